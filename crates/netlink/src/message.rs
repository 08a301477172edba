//! What is read of the kernel's messages.

use std::net::IpAddr;

use netlink_packet_core::Parseable as _;
use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NlasIterator};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use crate::request::attributes;

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
// linux/if.h
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 1 << 6;

/// A network interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// The kernel's number of it; never used twice in one network namespace until it wraps.
    pub index: u32,
    /// Its name, which can change.
    pub name: String,
    /// Its Ethernet address, if it has one.
    pub hardware: Option<[u8; 6]>,
    /// What it is, as the kernel calls it: `macvlan`, `veth`, …; none for hardware.
    pub kind: Option<String>,
    /// The [`index`](Self::index) of the interface it is on top of.
    pub parent: Option<u32>,
    /// Set up by the administrator (`IFF_UP`) and with a carrier (`IFF_RUNNING`).
    pub up: bool,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    /// The interface's [`index`](Link::index).
    pub link: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Length of its prefix in bits.
    pub prefix_len: u8,
}

/// One message of the kernel about what there is.
#[derive(Debug)]
pub(crate) enum Notice {
    Link(Link),
    LinkGone(u32),
    /// And whether the kernel keeps it for ever.
    Address(Address, bool),
    AddressGone(Address),
    /// Nothing we follow.
    Other,
}

impl NetlinkDeserializable for Notice {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(match header.message_type {
            RTM_NEWLINK => link(payload).map_or(Self::Other, Self::Link),
            RTM_DELLINK => link(payload).map_or(Self::Other, |link| Self::LinkGone(link.index)),
            RTM_NEWADDR => address(payload)?
                .map_or(Self::Other, |(address, for_ever)| Self::Address(address, for_ever)),
            RTM_DELADDR => {
                address(payload)?.map_or(Self::Other, |(address, _)| Self::AddressGone(address))
            }
            _ => Self::Other,
        })
    }
}

/// Reads an `ifinfomsg` and the attributes of interest. Bridges report their ports in messages of
/// family `AF_BRIDGE` too, which say nothing about the port being there or not: they are `None`.
fn link(payload: &[u8]) -> Option<Link> {
    let (header, rest) = payload.split_first_chunk::<16>()?;
    if header[0] != 0 {
        return None;
    }
    let word = |at: usize| header[at..].first_chunk().copied().map(u32::from_ne_bytes);
    let (index, flags) = (word(4)?, word(8)?);
    let mut link = Link {
        index,
        name: String::new(),
        hardware: None,
        kind: None,
        parent: None,
        up: flags & IFF_UP != 0 && flags & IFF_RUNNING != 0,
    };
    for attribute in NlasIterator::new(rest).map_while(Result::ok) {
        match attribute.kind() {
            IFLA_IFNAME => {
                let name = attribute.value();
                let name = name.strip_suffix(&[0]).unwrap_or(name);
                link.name = String::from_utf8_lossy(name).into_owned();
            }
            IFLA_ADDRESS => link.hardware = attribute.value().try_into().ok(),
            IFLA_LINK => {
                link.parent = attribute.value().first_chunk().copied().map(u32::from_ne_bytes);
            }
            IFLA_LINKINFO => {
                let kind = attributes(attribute.value()).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = kind.map(|(_, name)| {
                    let name = name.strip_suffix(&[0]).unwrap_or(name);
                    String::from_utf8_lossy(name).into_owned()
                });
            }
            _ => {}
        }
    }
    Some(link)
}

fn address(payload: &[u8]) -> Result<Option<(Address, bool)>, DecodeError> {
    let message = AddressMessage::parse(payload)?;
    // The local address, which differs from IFA_ADDRESS, the peer's, on point-to-point links.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    let (link, prefix_len) = (message.header.index, message.header.prefix_len);
    let for_ever = message.header.flags.contains(AddressHeaderFlags::Permanent);
    Ok(address.map(|address| (Address { link, address, prefix_len }, for_ever)))
}
