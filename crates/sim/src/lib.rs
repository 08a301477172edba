//! A link with virtual routers on it, on a clock of its own: every run is decided by its seed.
//!
//! ```text
//!   n0                 n1                 n2          a Node: a process with a vrrp::Instance, or
//!  ┌────────┐         ┌────────┐         ┌────────┐   those of a sync group, a clock that drifts,
//!  │process │         │process │         │process │   a kernel with addresses that expire, cables
//!  │kernel  │         │kernel  │         │kernel  │
//!  └───┬────┘         └───┬────┘         └───┬────┘
//!  ────┴──────────────────┴──────────────────┴─────  the Lan: delay, loss, copies, partition
//! ```
//!
//! Processes can be killed, frozen, resumed, terminated, restarted and followed by another, cables
//! pulled, packets lost. What crosses the link are the real packets. [`Lan::violations`] lists every
//! moment at which an address came to a second kernel, [`Lan::overlaps`] how long it stayed there.
//!
//! ```
//! use std::time::Duration;
//!
//! let mut lan = sim::Lan::new(7);
//! let (low, high) = (lan.add(sim::router(100)), lan.add(sim::router(150)));
//! lan.start(low);
//! lan.start(high);
//! lan.run(Duration::from_secs(5));
//! assert_eq!(lan.holders(), [high]);
//! lan.kill(high);
//! lan.run(Duration::from_secs(4));
//! assert_eq!(lan.holders(), [low]);
//! assert!(lan.violations().is_empty());
//! ```
#![forbid(unsafe_code)]

mod lan;
mod node;
mod overlap;

use std::net::Ipv4Addr;

use vrrp::config::{InstanceConfig, Version, VirtualAddress, Vrid};

pub use lan::{Lan, Traced};
pub use node::Node;
pub use overlap::Overlaps;

/// The address all routers made by [`router`] share.
pub const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

/// A router of this priority, on `eth0`, with [`VIRTUAL`] as its address.
#[must_use]
pub fn router(priority: u8) -> InstanceConfig {
    InstanceConfig {
        name: "VI_1".into(),
        interface: "eth0".into(),
        vrid: Vrid(51),
        priority,
        version: Version::V3,
        addresses: vec![VirtualAddress::host(VIRTUAL.into())],
        ..InstanceConfig::default()
    }
}
