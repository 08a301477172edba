//! TLS, and the only crate that names a library for it.
//!
//! ```text
//!   verify none | required ca-file        TCP stream, server name
//!            │                                   │
//!            ▼                                   ▼
//!     Connector::new  ── made once, kept ──► Connector::connect ──► Stream
//! ```
//!
//! The same for a relay, which owns its sockets and waits by itself:
//!
//! ```text
//!   PEM, names, versions ─► Origin ── open ───┐
//!                                             ├─► Session: shake_hands, read, write, end ◄─► socket
//!   PEM, names, versions ─► Front ── accept ──┘        └─► Facts: version, suite, certificates
//! ```
//!
//! Spoken are TLS 1.2 and 1.3, with forward secrecy and authenticated encryption; OpenSSL's names
//! for suites, versions and mistakes are known, because files and logs speak them. The library has no
//! NIST P-521: a server whose only certificate has such a key passes `verify none` over TLS 1.3 and
//! nothing else. Health checks resume no session and send no certificate.
//!
//! ```
//! use tls::{Connector, Verify};
//!
//! let connector = Connector::new(&Verify::None, &["h2".into()])?;
//! assert!(Connector::new(&Verify::roots("/nonexistent.pem", None), &[]).is_err());
//! # Ok::<(), tls::Error>(())
//! ```
#![forbid(unsafe_code)]

mod certificate;
pub mod client;
pub mod connect;
mod failure;
mod judge;
mod material;
pub mod server;
mod session;
mod suites;

pub use certificate::{Certificate, holds};
pub use client::{Origin, OriginSettings};
pub use connect::{Connector, Error, Failure, Stream, Verify};
pub use failure::{Distrust, Trouble};
pub use judge::{Overlooked, Trust};
pub use material::Problem;
pub use server::{Ask, Front, FrontSettings, Shown};
pub use session::{Facts, Session, Waits};
pub use suites::{NoSuite, Spoken};
