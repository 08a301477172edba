//! Health checks: when to probe, what to say, and what the answers mean.
//!
//! ```text
//!              Config (check, option httpchk, tcp-check …)
//!                │
//!   schedule ◄───┼──► Conversation ◄── bytes ──► driver (sockets, TLS, clock)
//!   when next    │    Connect, Send, Expect │
//!      ▲         ▼                          ▼
//!      └────── Health ◄──────────────── Verdict
//!              UP 1/3                       │
//!                └──► Change ──► LogLine ◄──┘   "Server be/srv is DOWN, reason: …"
//! ```
//!
//! Nothing here reads a clock or a socket. The words are HAProxy's.
//!
//! ```
//! use check::{Change, Health};
//!
//! let mut health = Health::new(2, 3);
//! assert_eq!(health.to_string(), "UP 1/3");
//! assert_eq!(health.note(false), Change::Down, "one failure is enough before the first success");
//! assert_eq!(health.note(true), Change::Progress);
//! assert_eq!(health.to_string(), "DOWN 1/2");
//! assert_eq!(health.note(true), Change::Up);
//! assert_eq!(health.to_string(), "UP");
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod agent;
pub mod config;
pub mod health;
pub mod log;
pub mod probe;
pub mod schedule;
pub mod standing;
pub mod status;
pub mod words;

#[cfg(test)]
mod tests;

pub use config::{
    Action, Agent, Awaited, Code, Compare, Config, Connect, Expect, Header, Known, Match,
    MysqlUser, Pattern, Probe, Request, Saying, Step, Text, Verify,
};
pub use health::{Change, Health, InitState, Pace};
pub use log::{Left, Level, LogLine, Named, Why};
pub use probe::{Conversation, Endpoint, Handshake, ProxyUse, Turn};
pub use schedule::Deadline;
pub use standing::{Admin, Errors, Event, Moved, OnError, Operation, Order, Standing, Watch};
pub use status::{Outcome, Reason, Status, Verdict};
pub use words::{Heard, Words};
