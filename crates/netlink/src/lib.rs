//! Addresses and links of the kernel, in our words.
//!
//! ```text
//!                 ┌────────────── kernel ──────────────┐
//!                 │                                    │
//!       RTM_NEWADDR, RTM_DELADDR             RTMGRP_LINK, RTMGRP_*_IFADDR
//!       RTM_GETLINK, RTM_GETADDR                       │
//!                 │                                    ▼
//!            ┌─────────┐     Snapshot            ┌─────────┐
//!  requests ►│ Kernel  ├────────────────────────►│ Monitor ├──► NetEvent
//!            └─────────┘   to compare with       └─────────┘
//! ```
//!
//! [`Kernel`] is asked and answers before it returns: the kernel carries out a request within
//! `send(2)`. That takes the lock of the whole network configuration, which some other program's
//! slow request may hold, so whoever has a deadline to keep lets another thread ask. [`Monitor`]
//! listens, never waits for that lock, and is awaited.
//!
//! The messages are netlink-packet-route's, the sockets our own. The `rtnetlink` crate was left
//! out for two reasons: its requests are carried out by a task later, so an address could be
//! announced before it is there; and it needs the whole of a link's attributes to be understood,
//! where a name, a hardware address and two flags are all that is of interest.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! let mut kernel = netlink::Kernel::open()?;
//! for link in kernel.snapshot()?.links.values() {
//!     println!("{}: {}", link.index, link.name);
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod filter;
mod kernel;
mod link;
mod message;
mod monitor;
mod request;
mod route;

pub use address::NewAddress;
pub use filter::{Filter, Ruleset};
pub use kernel::{Kernel, is_absence};
pub use link::{NewLink, NewLinkKind};
pub use message::{Address, Link};
pub use monitor::{Monitor, NetEvent, Snapshot};
pub use request::Request;
pub use route::{RouteKey, Wish, route, route_key, rule, rule_key};

#[cfg(test)]
mod tests;
