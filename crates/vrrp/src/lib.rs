//! The virtual router redundancy protocol (RFC 9568), as keepalived lives it: pure, without input
//! or output.
//!
//! ```text
//!                  Event                               Action
//!   packets ──► Received ──┐                       ┌─► SendAdvert ──► raw socket
//!   netlink ──► Link ──────┤   ┌──────────────┐    ├─► AddAddresses, RenewLease ──► netlink
//!               Source ────┼──►│   Instance   │────┼─► Announce ──► packet socket
//!   scripts ──► Script ────┤   └──────────────┘    ├─► Entered ──► notify scripts
//!   clock ────► Tick ──────┘                       └─► Log
//! ```
//!
//! An [`Instance`] is one virtual router, a [`Script`] one tracked script; both are
//! [`Machine`](machine::Machine)s. [`config`] is what either is told, [`Plan`] how to get from one
//! configuration to the next.
//!
//! ```
//! use std::net::{IpAddr, Ipv4Addr};
//! use std::time::Duration;
//!
//! use machine::{Instant, Machine};
//! use vrrp::config::{InstanceConfig, VirtualAddress, Vrid};
//! use vrrp::{Action, Event, Instance, State};
//!
//! let config = InstanceConfig {
//!     name: "VI_1".into(),
//!     interface: "eth0".into(),
//!     vrid: Vrid(51),
//!     addresses: vec![VirtualAddress::host(Ipv4Addr::new(192, 0, 2, 100).into())],
//!     ..InstanceConfig::default()
//! };
//! let mut instance = Instance::new(config, &[]);
//! let (mut now, mut actions) = (Instant::ZERO, vec![]);
//! instance.handle(now, Event::Link { interface: "eth0", up: true }, &mut actions);
//! instance.handle(now, Event::Source(Some(Ipv4Addr::new(192, 0, 2, 1).into())), &mut actions);
//! instance.handle(now, Event::Start, &mut actions);
//! assert_eq!(instance.state(), State::Backup);
//!
//! // Nobody else is there: after 3 seconds and the skew of priority 100 it takes over.
//! now = instance.deadline().expect("a backup waits");
//! assert_eq!(now - Instant::ZERO, Duration::from_micros(3_609_375));
//! actions.clear();
//! instance.handle(now, Event::Tick, &mut actions);
//! assert_eq!(instance.state(), State::Master);
//! assert!(actions.contains(&Action::SendAdvert { priority: 100 }));
//!
//! let mut packet = vec![];
//! let group = IpAddr::from(Ipv4Addr::new(224, 0, 0, 18));
//! assert!(instance.packet(100, group, &mut packet));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accept;
mod action;
mod announce;
pub mod config;
mod event;
mod group;
mod instance;
pub mod lease;
pub mod log;
mod plan;
mod script;
mod track;

pub use accept::Reject;
pub use action::{Action, State};
pub use event::{Datagram, Event};
pub use group::{Fitness, Group, Order, Standing, Sync};
pub use instance::{Counters, Instance};
pub use lease::{Lease, lease};
pub use log::{Fault, LogLine, Message};
pub use plan::{InstanceKey, Plan, Step};
pub use script::{Script, ScriptAction, ScriptEvent};
pub use track::{Trackables, TrackerKind, TrackerView};
