//! TLS, and the only crate that names a library for it.
//!
//! ```text
//!   verify none | required ca-file        TCP stream, server name
//!            │                                   │
//!            ▼                                   ▼
//!     Connector::new  ── made once, kept ──► Connector::connect ──► Stream
//! ```
//!
//! So far only the client's side is here, for health checks: no session is ever resumed and no
//! client certificate sent. Spoken are TLS 1.2 and 1.3. The library has no NIST P-521: a server whose only
//! certificate has such a key passes `verify none` over TLS 1.3 and nothing else.
//!
//! ```
//! use tls::{Connector, Verify};
//!
//! let connector = Connector::new(&Verify::None, &["h2".into()])?;
//! assert!(Connector::new(&Verify::roots("/nonexistent.pem", None), &[]).is_err());
//! # Ok::<(), tls::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod connect;

pub use connect::{Connector, Error, Failure, Stream, Verify};
