//! Which server gets the next connection.
//!
//! ```text
//!                       Candidates (source address, what was tried)
//!                             │
//!                             ▼             ┌─► Server(id) ── connect ──► release(id)
//!   checks ── set_state ──► Pool::pick ─────┼─► Wait(ticket) ◄── Wake ◄──────┘
//!   runtime API ─ set_weight ─┘             └─► Nothing, Full
//! ```
//!
//! HAProxy's algorithms pick the same server as HAProxy does, connection by connection; so do
//! nginx's. Nothing here reads a clock or a socket.
//!
//! ```
//! use balance::{Candidates, Choice, Pool, PoolConfig, ServerConfig};
//! use machine::Instant;
//!
//! let weights = [5, 3, 1];
//! let servers = weights.map(|weight| ServerConfig { weight, ..ServerConfig::default() });
//! let mut pool = Pool::new(PoolConfig::default(), servers);
//! let mut turns = String::new();
//! for _ in 0..9 {
//!     let Choice::Server(server) = pool.pick(Instant::ZERO, &mut Candidates::new(None)) else { break };
//!     turns.push_str(&(server.0 + 1).to_string());
//!     pool.release(Instant::ZERO, server, &mut Vec::new());
//! }
//! assert_eq!(turns, "112132112");
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod candidates;
pub mod config;
pub mod hash;
pub mod pool;

mod consistent;
mod least_conn;
mod least_time;
mod map;
mod queue;
mod random;
mod round_robin;
mod smooth;
mod smooth_hash;
#[cfg(test)]
mod tests;
mod unordered;

pub use candidates::{Again, Candidates, Retries};
pub use config::{
    Affinity, Algorithm, HashKey, HashType, Measure, Passive, PoolConfig, ServerConfig,
};
pub use hash::HashFunction;
pub use pool::{Choice, Pool, PoolView, ServerId, ServerView, State, Wake};
pub use queue::Ticket;
