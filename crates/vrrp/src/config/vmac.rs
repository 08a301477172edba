//! An interface of the virtual router's own.

use alloc::string::String;
use core::net::IpAddr;

/// The interface the virtual addresses live on (`use_vmac`, `use_ipvlan`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VmacConfig {
    /// What kind.
    pub kind: VmacKind,
    /// Its name; the prefix, a dot and the VRID if none (`vrrp.51`, IPv6 `vrrp6.51` if both exist).
    pub name: Option<String>,
    /// Adverts leave from the interface below, by its own hardware address.
    pub xmit_base: bool,
    /// The interface group it is put in.
    pub group: Option<u32>,
    /// Its links' changes are told to others (`netlink_notify_msg`).
    pub netlink_notify: bool,
}

/// The kinds of interface a virtual router can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum VmacKind {
    /// A macvlan with this hardware address; 00:00:5e:00:01:VRID or 00:00:5e:00:02:VRID if none
    /// (RFC 9568 §7.3).
    Macvlan(Option<[u8; 6]>),
    /// An ipvlan with this address, sharing the hardware address of the interface below.
    Ipvlan {
        /// The address adverts are sent from.
        address: Option<(IpAddr, u8)>,
        /// How it treats its siblings.
        mode: IpvlanMode,
    },
}

/// How an ipvlan treats its siblings (ip-link(8)).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum IpvlanMode {
    /// It talks to them.
    #[default]
    Bridge,
    /// It does not.
    Private,
    /// Through the switch.
    Vepa,
}
