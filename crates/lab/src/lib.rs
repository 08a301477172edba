//! A small network on one machine: nodes on a virtual switch, each in namespaces of its own.
//!
//! The demo and the black-box tests stand on this crate. It needs no root (user namespaces are
//! enough), no network and no program of the host beyond a shell: links and addresses are made
//! over netlink, and a node that finds no `curl` or `pgrep` on the host gets a [`standin`].
//!
//! ```text
//!   the ground: one user namespace, one network namespace with the switch
//!   ┌───────────────────────────────────────────────────────────────────────┐
//!   │   Lab ── rtnetlink ──► bridge ─┬── veth ──┬── veth ──┬── veth ──┐     │
//!   │    │                           │          │          │          │     │
//!   │    │ JSON lines           ┌────┴───┐ ┌────┴───┐ ┌────┴───┐ ┌────┴───┐ │
//!   │    └─ stdin/stdout ──────►│ lb1    │ │ lb2    │ │ cp1    │ │ client │ │
//!   │                           │ agent=1│ │ agent=1│ │ agent=1│ │ agent=1│ │
//!   │                           │ daemons│ │ daemons│ │ api    │ │ probe  │ │
//!   │                           └────────┘ └────────┘ └────────┘ └────────┘ │
//!   │                            net, mount, pid and uts namespace of its own│
//!   └───────────────────────────────────────────────────────────────────────┘
//!                 every event, stamped by one monotonic clock ──► Journal
//! ```
//!
//! The first thing a program's `main` does is [`init`], which turns the process into a node's
//! agent or a stand-in when it was started as one, and [`ground::enter`], which must happen while
//! the process has a single thread.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! lab::init();
//! lab::ground::enter()?;
//! let lab = lab::Lab::new("example")?;
//! let a = lab.node(lab::NodePlan::new("a").link("eth0", "10.0.0.1/24".parse()?))?;
//! let b = lab.node(lab::NodePlan::new("b").link("eth0", "10.0.0.2/24".parse()?))?;
//! a.start(&["/usr/local/bin/apiserver", "a", "10.0.0.1:6443"])?;
//! let asked = b.run(&["curl", "-sk", "https://10.0.0.1:6443/"], Duration::from_secs(5))?;
//! assert_eq!(asked.stdout, "a\n");
//! # anyhow::Ok(())
//! ```

pub mod account;
mod agent;
mod apiserver;
mod capture;
mod frame;
pub mod ground;
pub mod guide;
mod host;
mod journal;
mod mailsink;
mod order;
mod ping;
mod probe;
mod rootfs;
pub mod stage;
pub mod standin;
mod subject;
mod switch;
mod tls;

pub use crate::capture::{Capture, Frame};
pub use crate::frame::{Advert, Sent, Sum};
pub use crate::host::{Lab, Node, NodePlan, Output, Proc};
pub use crate::journal::{Entry, Journal};
pub use crate::order::{Event, Moment, NodeFile, Program, Stream, Usage};
pub use crate::ping::Ping;
pub use crate::probe::Request;
pub use crate::subject::Subject;
pub use crate::switch::Subnet;
pub use crate::tls::self_signed;

/// Turns the process into what it was started as: a node's agent or one of the stand-ins.
///
/// Returns only in a program that was started as itself. Call it first in `main`.
pub fn init() {
    if std::env::args().nth(1).as_deref() == Some(agent::ARGUMENT) {
        agent::run();
    }
    standin::run_if_called();
}

#[cfg(test)]
mod tests;
