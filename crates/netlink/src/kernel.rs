//! Asking the kernel.

use std::collections::BTreeMap;
use std::io;

use linux::route::RouteSocket;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;

use crate::address::NewAddress;
use crate::message::{Address, Notice};
use crate::monitor::Snapshot;
use crate::request::{Request, answers};

/// The dump was disturbed by a change and may be inconsistent (linux/netlink.h).
const NLM_F_DUMP_INTR: u16 = 0x10;
/// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
/// Bytes of requests carried out by one system call.
const AT_ONCE: usize = 32 << 10;
// asm-generic/errno-base.h
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const ENODEV: i32 = 19;
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

    /// What [`Monitor::ignore_renewals`](crate::Monitor::ignore_renewals) knows it by.
    pub(crate) fn port(&self) -> io::Result<u32> {
        self.socket.port()
    }

    /// Carries out all of `requests`, in order, and returns those the kernel refused, by their
    /// places, with what it says.
    ///
    /// # Errors
    ///
    /// When they cannot be sent or answered at all.
    pub fn apply(&mut self, requests: &[Request]) -> io::Result<Vec<(usize, io::Error)>> {
        let mut refused = Vec::new();
        let mut next = 0;
        while next < requests.len() {
            let first = next;
            let sequence = self.sequence.wrapping_add(1);
            self.buffer.clear();
            while let Some(request) = requests.get(next)
                && (next == first || self.buffer.len() + request.len() <= AT_ONCE)
            {
                self.sequence = self.sequence.wrapping_add(1);
                request.write(self.sequence, &mut self.buffer);
                next += 1;
            }
            self.socket.send(&self.buffer)?;
            self.refusals(|number, error| {
                let place = number.wrapping_sub(sequence);
                if let Some(place) = usize::try_from(place).ok().filter(|at| first + at < next) {
                    refused.push((first + place, error));
                }
            })?;
        }
        Ok(refused)
    }

    /// Hands over what the kernel refused of what was just sent: without `NLM_F_ACK` it has answers
    /// to nothing else, and they are all there when sending returns.
    fn refusals(&mut self, mut each: impl FnMut(u32, io::Error)) -> io::Result<()> {
        loop {
            let length = match self.socket.receive(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            for answer in answers(&self.buffer[..length]) {
                let code = answer.payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
                if answer.kind == NLMSG_ERROR && code != 0 {
                    each(answer.sequence, io::Error::from_raw_os_error(code.saturating_neg()));
                }
            }
        }
    }

    /// Adds an address, or renews its lifetime if it is there.
    ///
    /// # Errors
    ///
    /// What the kernel says: `ENODEV`, `EPERM`, `EADDRNOTAVAIL` for a label that does not start
    /// with the interface's name, …
    pub fn add(&mut self, address: &NewAddress) -> io::Result<()> {
        self.change(address.add())
    }

    /// Removes an address, and says whether it was there.
    ///
    /// # Errors
    ///
    /// What the kernel says: `EPERM`.
    pub fn remove(&mut self, address: &NewAddress) -> io::Result<bool> {
        match self.change(address.remove()) {
            Ok(()) => Ok(true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn change(&mut self, request: Request) -> io::Result<()> {
        match self.apply(&[request])?.pop() {
            Some((_, error)) => Err(error),
            None => Ok(()),
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
                Some(Notice::Address(address, _)) => addresses.push(address),
                Some(_) => {}
                None => addresses.clear(),
            },
        )?;
        Ok(Snapshot { links, addresses })
    }

    /// The addresses that the kernel will remove by itself, unless somebody renews them.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn leased(&mut self) -> io::Result<Vec<Address>> {
        let mut leased = Vec::new();
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.dump(&request, |notice| match notice {
            Some(Notice::Address(address, false)) => leased.push(address),
            Some(_) => {}
            None => leased.clear(),
        })?;
        Ok(leased)
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

/// Whether a refusal to remove something says that it is not there: an address
/// (`EADDRNOTAVAIL`), a route (`ESRCH`), a rule (`ENOENT`), or its link, which took it with it
/// (`ENODEV`).
#[must_use]
pub fn is_absence(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(error.raw_os_error(), Some(ENOENT | ESRCH | ENODEV))
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
