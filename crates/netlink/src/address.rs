//! Addresses that are put on interfaces.

use std::net::{IpAddr, Ipv4Addr};

use crate::message::Address;
use crate::request::{NLM_F_CREATE, NLM_F_REPLACE, Request};
use crate::route::PROTOCOL;

// linux/rtnetlink.h
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFA_F_NODAD: u32 = 2;
/// A lifetime that never ends.
const INFINITY_LIFE_TIME: u32 = u32::MAX;
// linux/socket.h
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// An address to put on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewAddress {
    /// Which, and where. Beside a [`peer`](Self::peer), the prefix is the peer's.
    pub address: Address,
    /// Label of an IPv4 address; the interface's name or that and a colon and more.
    pub label: Option<String>,
    /// The kernel's number of the scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Broadcast address of an IPv4 address.
    pub broadcast: Option<Ipv4Addr>,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// `IFA_F_…`, besides [`detect_duplicates`](Self::detect_duplicates).
    pub flags: u32,
    /// Whether the kernel asks the link for another owner of an IPv6 address before it uses it,
    /// which delays it.
    pub detect_duplicates: bool,
    /// Seconds it is preferred as a source address; for ever if none, and never longer than its
    /// lifetime.
    pub preferred: Option<u32>,
    /// After how many whole seconds the kernel removes it if nobody adds it again; never if
    /// `None`. The kernel looks at lifetimes at intervals and may be a third of a second late.
    pub lifetime: Option<u32>,
}

impl NewAddress {
    /// `address` without anything special about it.
    #[must_use]
    pub const fn plain(address: Address) -> Self {
        Self {
            address,
            label: None,
            scope: 0,
            broadcast: None,
            peer: None,
            flags: 0,
            detect_duplicates: false,
            preferred: None,
            lifetime: None,
        }
    }

    /// The request that adds it, or changes it if it is there.
    #[must_use]
    pub fn add(&self) -> Request {
        let ipv6 = self.address.address.is_ipv6();
        let mut flags = self.flags;
        if ipv6 && !self.detect_duplicates {
            flags |= IFA_F_NODAD;
        }
        let create = NLM_F_CREATE | NLM_F_REPLACE;
        let mut request = self
            .begin(RTM_NEWADDR, create)
            .with_some(IFA_FLAGS, (flags != 0).then(|| flags.to_ne_bytes()))
            .with(IFA_PROTO, &[PROTOCOL]);
        if !ipv6 {
            if let Some(label) = &self.label {
                request = request.with_name(IFA_LABEL, label);
            }
            request = request.with_some(IFA_BROADCAST, self.broadcast.map(|ip| ip.octets()));
        }
        let valid = self.lifetime.unwrap_or(INFINITY_LIFE_TIME);
        let preferred = self.preferred.unwrap_or(INFINITY_LIFE_TIME).min(valid);
        if valid != INFINITY_LIFE_TIME || preferred != INFINITY_LIFE_TIME {
            // `struct ifa_cacheinfo`; when it was made and changed is the kernel's to say.
            let times = [&preferred.to_ne_bytes()[..], &valid.to_ne_bytes(), &[0; 8]];
            request = request.with_all(IFA_CACHEINFO, &times);
        }
        request
    }

    /// The request that removes it; `EADDRNOTAVAIL` if it is not there, `ENODEV` if its link is not.
    #[must_use]
    pub fn remove(&self) -> Request {
        self.begin(RTM_DELADDR, 0)
    }

    fn begin(&self, kind: u16, flags: u16) -> Request {
        let Address { link, address, prefix_len } = self.address;
        let index = link.to_ne_bytes();
        let family = if address.is_ipv6() { AF_INET6 } else { AF_INET };
        let fixed = [family, prefix_len, 0, self.scope, index[0], index[1], index[2], index[3]];
        let request = Request::new(kind, flags, &fixed);
        let octets = |request: Request, kind, address| match address {
            IpAddr::V4(address) => request.with(kind, &Ipv4Addr::octets(&address)),
            IpAddr::V6(address) => request.with(kind, &address.octets()),
        };
        let request = octets(request, IFA_LOCAL, address);
        octets(request, IFA_ADDRESS, self.peer.unwrap_or(address))
    }
}
