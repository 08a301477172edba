//! Stick tables: what is remembered of a key, for how long, and how peers share it.
//!
//! ```text
//!                       lookup, create, touch, hold
//!   rules, commands ───────────────────────────────► Table ── key ─► Entry: server_id, conn_cnt,
//!                                                      │                    conn_rate, gpc, …
//!                       updates, teaching              │
//!   peers (other machines, the next process) ◄─────────┘
//! ```
//!
//! A [`Table`] is a pure value: the time is handed in, in milliseconds of a monotonic clock. An
//! entry lives for the table's `expire` after it was last touched; one that is held does not
//! expire. A table that is full makes room by dropping what was touched least recently, unless it
//! is not to purge.
//!
//! ```
//! use stick::{Config, Data, KeyType, Stored, Table};
//!
//! let data = vec![Stored::plain(Data::ConnCnt), Stored::rate(Data::ConnRate, 10_000)];
//! let config = Config { expire: Some(30_000), data, ..Config::new(KeyType::Ip, 100) };
//! let mut table = Table::new(config);
//!
//! let now = 1_000;
//! let entry = table.create(now, &[192, 0, 2, 1]).expect("there is room");
//! table.add(now, entry, Data::ConnCnt, 0, 1);
//! table.add(now, entry, Data::ConnRate, 0, 1);
//! assert_eq!(table.number(now, entry, Data::ConnRate, 0), Some(1));
//!
//! assert!(table.lookup(now + 29_999, &[192, 0, 2, 1]).is_some());
//! assert!(table.lookup(now + 30_000, &[192, 0, 2, 1]).is_none());
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod data;
pub mod peers;
mod rate;
mod table;

pub use data::{Config, Data, KeyType, Kind, ServerKey, Stored};
pub use rate::Rate;
pub use table::{EntryId, Slot, Table, Update};

/// Milliseconds of a monotonic clock.
pub type Millis = u64;

#[cfg(test)]
mod tests;
