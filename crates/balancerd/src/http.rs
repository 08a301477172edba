//! HTTP/1.1: proxies of `mode http`.
//!
//! ```text
//!   head ─► http-request ─► monitor-uri ─► statistics ─► use_backend ─► http-request ─► server
//!     │       of the frontend                                            of the backend     │
//!     └◄── next request ◄── body ◄── http-after-response ◄── http-response ◄── head ◄───────┘
//! ```

mod notes;

pub(crate) use notes::Notes;
