//! Packets: parsed from borrowed bytes, written into a buffer.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+---------------+---------------+  ─┐
//! |                          IPv4 header …                        |   │ ipv4
//! +-------+-------+---------------+---------------+---------------+  ─┤
//! |Version| Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|   │ vrrp
//! +-------+-------+---------------+---------------+---------------+   │
//! |   Auth Type   |   Adver Int   |           Checksum            |   │
//! +---------------+---------------+-------------------------------+   │
//! |                        IP addresses …                         |   │
//! +---------------------------------------------------------------+   │
//! |              authentication, eight bytes (v2 only)            |   │
//! +---------------------------------------------------------------+  ─┘
//! ```
//!
//! Every decoder is total: whatever the bytes, it returns a value or a typed error, and never
//! panics. The parse functions take nothing but bytes, so that they can be fuzzed as they are.
//!
//! ```
//! use core::net::{IpAddr, Ipv4Addr};
//! use core::time::Duration;
//! use wire::ipv4;
//! use wire::vrrp::{Advert, AuthData, Message, PseudoHeader, Version};
//!
//! let (us, group) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(224, 0, 0, 18));
//! let ends = PseudoHeader { source: us.into(), destination: group.into() };
//! let advert = Advert {
//!     version: Version::V3,
//!     vrid: 51,
//!     priority: 150,
//!     interval: Duration::from_secs(1),
//!     auth: AuthData::None,
//!     addresses: &[IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100))],
//! };
//! let mut packet = vec![];
//! ipv4::Header::control(us, group, 1).encode(&advert.to_bytes(Some(ends)), &mut packet);
//!
//! let received = ipv4::Packet::parse(&packet)?;
//! let message = Message::parse(received.payload)?;
//! assert_eq!((message.vrid, message.priority), (51, 150));
//! assert!(message.checksum_is_valid(Some(ends)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ah;
pub mod arp;
pub mod checksum;
pub mod client_hello;
pub mod dns;
pub mod ipv4;
pub mod ndisc;
pub mod netscaler;
pub mod peers;
pub mod proxy_protocol;
pub mod smtp;
pub mod vrrp;
