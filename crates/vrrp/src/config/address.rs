//! Addresses that are put on interfaces.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use super::Prefix;

/// An address that is put on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix, 0 to 32 or 0 to 128.
    pub prefix_len: u8,
    /// Where it goes; the instance's interface if none.
    pub interface: Option<String>,
    /// Label of an IPv4 address, as `ip address` shows it.
    pub label: Option<String>,
    /// The kernel's number of its scope: 0 global, 200 site, 253 link, 254 host, 255 nowhere.
    pub scope: Option<u8>,
    /// The broadcast address set with it.
    pub broadcast: Option<Broadcast>,
    /// Its interface is not tracked.
    pub no_track: bool,
    /// The other end of a point-to-point link, and its prefix.
    pub peer: Option<Prefix>,
    /// `IFA_F_…` flags of an IPv6 address: home, mngtmpaddr, noprefixroute, autojoin.
    pub flags: u32,
    /// Duplicate address detection is done (`-nodad`); not unless asked for.
    pub detect_duplicates: bool,
    /// Seconds it is preferred as a source; for ever if none. 0 for an IPv6 address alone on its
    /// prefix, unless said otherwise.
    pub preferred: Option<u32>,
    /// It lives on an interface with the virtual MAC address.
    pub vmac: bool,
    /// The name of a [`TrackGroup`](super::TrackGroup), of a static address.
    pub track_group: Option<String>,
}

impl VirtualAddress {
    /// `address` alone on its prefix, without any option: `/32` or `/128`.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let prefix_len = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self {
            address,
            prefix_len,
            interface: None,
            label: None,
            scope: None,
            broadcast: None,
            no_track: false,
            peer: None,
            flags: 0,
            detect_duplicates: false,
            preferred: match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(_) => Some(0),
            },
            vmac: false,
            track_group: None,
        }
    }
}

/// `address/prefix`.
impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// The broadcast address of a [`VirtualAddress`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Broadcast {
    /// This one.
    Address(Ipv4Addr),
    /// `+`: the prefix with all host bits set.
    HostBitsSet,
    /// `-`: the prefix with all host bits clear.
    HostBitsClear,
}
