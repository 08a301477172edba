//! Asking the kernel.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use linux::route::RouteSocket;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::message::{Address, Notice};
use crate::monitor::Snapshot;

/// The dump was disturbed by a change and may be inconsistent (linux/netlink.h).
const NLM_F_DUMP_INTR: u16 = 0x10;
/// A lifetime that never ends (linux/if_addr.h).
const INFINITY_LIFE_TIME: u32 = u32::MAX;
/// asm-generic/errno-base.h
const ENODEV: i32 = 19;
/// Who set the address, as `ip address` shows it: keepalived's number, 18, in `IFA_PROTO`.
const PROTOCOL: AddressProtocol = AddressProtocol::Other(18);

/// An address to put on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewAddress {
    /// Which, and where.
    pub address: Address,
    /// Label of an IPv4 address; the interface's name or that and a colon and more.
    pub label: Option<String>,
    /// The kernel's number of the scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Broadcast address of an IPv4 address.
    pub broadcast: Option<Ipv4Addr>,
    /// After how many whole seconds the kernel removes it if nobody adds it again; never if
    /// `None`. The kernel looks at lifetimes at intervals and may be 0.2 s late.
    pub lifetime: Option<u32>,
}

impl NewAddress {
    fn message(&self) -> AddressMessage {
        let Address { link, address, prefix_len } = self.address;
        let mut message = AddressMessage::default();
        message.header.index = link;
        message.header.prefix_len = prefix_len;
        message.header.scope = AddressScope::from(self.scope);
        message.attributes = vec![
            AddressAttribute::Local(address),
            AddressAttribute::Address(address),
            AddressAttribute::Protocol(PROTOCOL),
        ];
        let mut preferred = self.lifetime.unwrap_or(INFINITY_LIFE_TIME);
        match address {
            IpAddr::V4(_) => {
                message.header.family = AddressFamily::Inet;
                message.attributes.extend(self.label.clone().map(AddressAttribute::Label));
                message.attributes.extend(self.broadcast.map(AddressAttribute::Broadcast));
            }
            IpAddr::V6(_) => {
                message.header.family = AddressFamily::Inet6;
                // As keepalived: no duplicate detection, which would delay the address, and an
                // address alone on its prefix is never chosen as a source.
                message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
                if prefix_len == 128 {
                    preferred = 0;
                }
            }
        }
        if self.lifetime.is_some() || preferred == 0 {
            let mut lifetimes = CacheInfo::default();
            lifetimes.ifa_valid = self.lifetime.unwrap_or(INFINITY_LIFE_TIME);
            lifetimes.ifa_preferred = preferred;
            message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
        }
        message
    }
}

/// A socket on which requests are made.
///
/// Each call takes the kernel's lock of the network configuration, and so can be held up by other
/// programs changing it.
#[derive(Debug)]
pub struct Kernel {
    socket: RouteSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Kernel {
    /// Opens the socket; no privilege is needed to ask, `CAP_NET_ADMIN` to change.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: RouteSocket::open(0, 0)?, sequence: 0, buffer: Vec::new() })
    }

    /// Adds an address, or renews its lifetime if it is there.
    ///
    /// # Errors
    ///
    /// What the kernel says: `ENODEV`, `EPERM`, `EADDRNOTAVAIL` for a label that does not start
    /// with the interface's name, …
    pub fn add(&mut self, address: &NewAddress) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewAddress(address.message());
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes an address, and says whether it was there.
    ///
    /// # Errors
    ///
    /// What the kernel says: `EPERM`.
    pub fn remove(&mut self, address: Address) -> io::Result<bool> {
        let mut message = AddressMessage::default();
        message.header.family = match address.address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        message.header.index = address.link;
        message.header.prefix_len = address.prefix_len;
        message.attributes = vec![AddressAttribute::Local(address.address)];
        match self.change(RouteNetlinkMessage::DelAddress(message), 0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(false),
            // The link is gone, and took its addresses with it.
            Err(error) if error.raw_os_error() == Some(ENODEV) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All links and addresses there are.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or the configuration changed during each of several attempts.
    pub fn snapshot(&mut self) -> io::Result<Snapshot> {
        let mut links = BTreeMap::new();
        let mut addresses = Vec::new();
        self.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()), |notice| match notice {
            Some(Notice::Link(link)) => drop(links.insert(link.index, link)),
            Some(_) => {}
            None => links.clear(),
        })?;
        self.dump(
            &RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            |notice| match notice {
                Some(Notice::Address(address)) => addresses.push(address),
                Some(_) => {}
                None => addresses.clear(),
            },
        )?;
        Ok(Snapshot { links, addresses })
    }

    fn change(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let sequence = self.send(request, NLM_F_ACK | flags)?;
        loop {
            let mut answer = None;
            self.receive(|header, payload| {
                if header.sequence_number == sequence
                    && let NetlinkPayload::Error(verdict) = payload
                {
                    answer = Some(verdict.code);
                }
            })?;
            match answer {
                Some(None) => return Ok(()),
                Some(Some(code)) => return Err(io::Error::from_raw_os_error(code.get().abs())),
                None => {}
            }
        }
    }

    /// Calls `each` with everything the kernel answers to `request`, or with `None` to forget
    /// what it was told because the dump starts over.
    fn dump(
        &mut self,
        request: &RouteNetlinkMessage,
        mut each: impl FnMut(Option<Notice>),
    ) -> io::Result<()> {
        const ATTEMPTS: u32 = 5;

        for _ in 0..ATTEMPTS {
            each(None);
            let sequence = self.send(request.clone(), NLM_F_DUMP)?;
            let mut disturbed = false;
            let mut end = None;
            while end.is_none() {
                self.receive(|header, payload| {
                    if header.sequence_number != sequence {
                        return;
                    }
                    disturbed |= header.flags & NLM_F_DUMP_INTR != 0;
                    match payload {
                        NetlinkPayload::InnerMessage(notice) => each(Some(notice)),
                        NetlinkPayload::Done(_) => end = Some(Ok(())),
                        NetlinkPayload::Error(error) => end = Some(Err(error.to_io())),
                        _ => {}
                    }
                })?;
            }
            match end {
                Some(Err(error)) => return Err(error),
                _ if !disturbed => return Ok(()),
                _ => {}
            }
        }
        Err(io::Error::other("the network configuration changes too fast to be read"))
    }

    fn send(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<u32> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        self.buffer.clear();
        self.buffer.resize(message.buffer_len(), 0);
        message.serialize(&mut self.buffer);
        self.socket.send(&self.buffer)?;
        Ok(self.sequence)
    }

    /// Hands the messages of one datagram to `each`. There is always one: the kernel answers
    /// within `send`, and continues a dump within `receive`.
    fn receive(
        &mut self,
        each: impl FnMut(NetlinkHeader, NetlinkPayload<Notice>),
    ) -> io::Result<()> {
        let length = self.socket.receive(&mut self.buffer)?;
        messages(&self.buffer[..length], each);
        Ok(())
    }
}

/// Splits a datagram into its messages; one that cannot be read is passed over.
pub(crate) fn messages(
    mut datagram: &[u8],
    mut each: impl FnMut(NetlinkHeader, NetlinkPayload<Notice>),
) {
    /// linux/netlink.h: `NLMSG_HDRLEN`.
    const HEADER: usize = 16;

    while let Some(length) = datagram.first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        let Some(message) = datagram.get(..length).filter(|_| length >= HEADER) else { return };
        if let Ok(message) = NetlinkMessage::<Notice>::deserialize(message) {
            let (header, payload) = message.into_parts();
            each(header, payload);
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}
