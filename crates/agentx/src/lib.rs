//! An SNMP subagent's half of AgentX (RFC 2741), without input or output.
//!
//! ```text
//!   master agent (snmpd)                     Session                      daemon
//!     ── Response to Open ──►  opening ──► registering ──► ready
//!     ── Get, GetNext, GetBulk ──►  look up in ──► Tree ◄── what there is now
//!     ◄── Response, Notify ──
//! ```
//!
//! A [`Tree`] holds [`Value`]s by [`Oid`]. A [`Session`] is fed the bytes of a stream and says what
//! to send; it never blocks and never fails on what a master agent sends: what it cannot understand
//! ends it with a [`Broken`].
//!
//! ```
//! use agentx::{Oid, Session, Tree, Value};
//!
//! let mut tree = Tree::default();
//! tree.set(Oid::from([1, 3, 6, 1, 4, 1, 9586, 100, 5, 1, 2, 0]), Value::from("node-1"));
//! let mut session = Session::new("a daemon", vec![Oid::from([1, 3, 6, 1, 4, 1, 9586, 100, 5])]);
//! let hello = session.take_output();
//! assert_eq!(hello[0], 1, "the version");
//! assert_eq!(hello[1], 1, "an Open-PDU");
//! # let _ = tree;
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod pdu;
mod session;
mod tree;
mod value;

pub use pdu::Broken;
pub use session::Session;
pub use tree::Tree;
pub use value::{Oid, Value};
