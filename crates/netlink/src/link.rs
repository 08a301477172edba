//! Interfaces of virtual routers' own.

use crate::request::{NLM_F_CREATE, NLM_F_EXCL, Request};

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_GROUP: u16 = 27;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_MACVLAN_MODE: u16 = 1;
const MACVLAN_MODE_PRIVATE: u32 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_FLAGS: u16 = 2;
const IPVLAN_MODE_L2: u16 = 0;
/// linux/if.h
const IFF_UP: u32 = 1;

/// An interface to be made on top of another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewLink {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The index of the interface below.
    pub parent: u32,
    /// What it is.
    pub kind: NewLinkKind,
    /// The interface group it is put in, 0 if none.
    pub group: Option<u32>,
}

/// What a [`NewLink`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewLinkKind {
    /// A private macvlan with this hardware address.
    Macvlan([u8; 6]),
    /// An ipvlan of layer 2 with `IPVLAN_F_…`: 0 for bridge, 1 private, 2 VEPA.
    Ipvlan(u16),
}

impl NewLinkKind {
    /// As the kernel calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
        }
    }
}

impl NewLink {
    /// The request that makes it, down; `EEXIST` if there is an interface of its name.
    #[must_use]
    pub fn add(&self) -> Request {
        let mut request = Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &[0; 16])
            .with(IFLA_LINK, &self.parent.to_ne_bytes())
            .with_name(IFLA_IFNAME, &self.name)
            .with_some(IFLA_GROUP, self.group.map(u32::to_ne_bytes));
        if let NewLinkKind::Macvlan(address) = self.kind {
            request = request.with(IFLA_ADDRESS, &address);
        }
        request.nested(IFLA_LINKINFO, |info| {
            info.with(IFLA_INFO_KIND, self.kind.name().as_bytes()).nested(IFLA_INFO_DATA, |data| {
                match self.kind {
                    NewLinkKind::Macvlan(_) => {
                        data.with(IFLA_MACVLAN_MODE, &MACVLAN_MODE_PRIVATE.to_ne_bytes())
                    }
                    NewLinkKind::Ipvlan(flags) => data
                        .with(IFLA_IPVLAN_MODE, &IPVLAN_MODE_L2.to_ne_bytes())
                        .with(IFLA_IPVLAN_FLAGS, &flags.to_ne_bytes()),
                }
            })
        })
    }

    /// The request that sets the interface with this index up.
    #[must_use]
    pub fn up(index: u32) -> Request {
        Request::new(RTM_NEWLINK, 0, &about(index, IFF_UP))
    }

    /// The request that removes the interface with this index.
    #[must_use]
    pub fn remove(index: u32) -> Request {
        Request::new(RTM_DELLINK, 0, &about(index, 0))
    }
}

/// `struct ifinfomsg`, with flags to set.
fn about(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}
