//! HTTP/1.1: proxies of `mode http`.
//!
//! ```text
//!   head ─► http-request ─► monitor-uri ─► statistics ─► use_backend ─► http-request ─► server
//!     │       of the frontend                                            of the backend     │
//!     └◄── next request ◄── body ◄── http-after-response ◄── http-response ◄── head ◄───────┘
//! ```

mod count;
mod figures;
mod judge;
mod latency;
mod notes;
mod own;
mod page;
mod pages;
mod prometheus;
mod serve;
mod transfer;

pub(crate) use count::Count;
pub(crate) use figures::know;
pub(crate) use latency::Latency;
pub(crate) use notes::Notes;
pub(crate) use serve::Kept;

#[cfg(test)]
mod tests;
