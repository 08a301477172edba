//! What can happen to a virtual router.

use core::net::IpAddr;
use core::time::Duration;

use wire::{ah, ipv4};

use crate::group::Sync;

/// What can happen to an [`Instance`](crate::Instance).
///
/// Before [`Start`](Self::Start), tell it the facts: [`Link`](Self::Link) for each interface it
/// [names](crate::Instance::interfaces) and [`Source`](Self::Source). What it was never told counts
/// as down and missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// Nothing but the passing of time.
    Tick,
    /// Take part from now on.
    Start,
    /// Instead of [`Start`](Self::Start), in a process that follows one that died, of an instance
    /// that was master there and [held](crate::Instance::holds) its addresses: go on as if nothing had happened, with an advert at once. Nothing is
    /// removed and no state is entered.
    ///
    /// Only if that is safe: beyond [`patience`](crate::Instance::patience) a backup may have taken
    /// over, and the instance starts as any other does.
    Resume {
        /// How long ago its last advert was, at most.
        silent: Duration,
    },
    /// A packet came in, of our protocol, interface and virtual router.
    Received(Datagram<'a>),
    /// An interface is up and running, or is not.
    Link {
        /// Its name; others than ours and the tracked ones are ignored.
        interface: &'a str,
        /// Administratively up, and with a carrier.
        up: bool,
    },
    /// The first address of our family on our interface, none if it has none. Of an instance with a
    /// [configured source](crate::config::InstanceConfig::source): that address, none while it is
    /// missing.
    Source(Option<IpAddr>),
    /// A tracked script changed from good to bad, the other way, or told its first result.
    Script {
        /// Its name; others than the tracked ones are ignored.
        name: &'a str,
        /// As [`Script`](crate::Script) judges it.
        good: bool,
    },
    /// The number in a tracked file, 0 if it holds none.
    File {
        /// Its name; others than the tracked ones are ignored.
        name: &'a str,
        /// As it was read.
        value: i64,
    },
    /// As many tracked processes run as have to, or too few or too many.
    Process {
        /// Their name; others than the tracked ones are ignored.
        name: &'a str,
        /// Whether there is a quorum, and not more than the most there may be.
        good: bool,
    },
    /// The sync group it is a [member](crate::Instance::set_grouped) of has something to say.
    Group(Sync),
    /// Somebody, or the kernel, took one of our routes or rules away. Not sent for our own removals,
    /// nor for those that are not tracked.
    RouteLost,
    /// Somebody, or the kernel, took this virtual address away. Not sent for our own removals.
    AddressLost(IpAddr),
    /// Stop taking part.
    Shutdown,
}

/// A packet with what its IP header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it was sent to.
    pub destination: IpAddr,
    /// Hops it had left.
    pub ttl: u8,
    /// What follows the IP header, and the authentication header if there is one.
    pub payload: &'a [u8],
    /// The authentication header.
    pub ah: Option<ah::Packet<'a>>,
}

impl<'a> Datagram<'a> {
    /// What a raw IPv6 socket delivers, together with what it says of the header: the payload alone.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr, ttl: u8, payload: &'a [u8]) -> Self {
        Self { source, destination, ttl, payload, ah: None }
    }

    /// Takes apart what a raw IPv4 socket delivers, of VRRP or of the authentication header.
    ///
    /// # Errors
    /// See [`ipv4::Packet::parse`]; an authentication header we could not check, or of something else
    /// than VRRP, counts as too short.
    pub fn from_ipv4(packet: &'a [u8]) -> Result<Self, ipv4::ParseError> {
        let ipv4::Packet { header, payload, whole } = ipv4::Packet::parse(packet)?;
        let (source, destination) = (header.source.into(), header.destination.into());
        if header.protocol != ah::PROTOCOL {
            return Ok(Self::new(source, destination, header.ttl, payload));
        }
        let too_short = ipv4::ParseError::TooShort(whole.len());
        let ah = ah::Packet::parse(whole, whole.len() - payload.len()).map_err(|_| too_short)?;
        if ah.next != ipv4::VRRP {
            return Err(too_short);
        }
        Ok(Self { ah: Some(ah), ..Self::new(source, destination, header.ttl, ah.payload) })
    }

    /// The virtual router it is of, by which a driver finds the instance to hand it to.
    #[must_use]
    pub fn vrid(&self) -> Option<crate::config::Vrid> {
        wire::vrrp::vrid(self.payload).map(crate::config::Vrid)
    }
}
