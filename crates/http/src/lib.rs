//! HTTP/1.1 messages, as bytes and back: no socket, no clock.
//!
//! ```text
//!   bytes ──► Request::parse ──► Request ──► framing() ──► Body ──► Decoder ──► data
//!             Response::parse    Response        │                     │
//!                                 headers        └── what a message's end is told by
//!                                    └────► write ──► bytes
//! ```
//!
//! A head is read strictly (RFC 9112) and always written anew, so that the next reader cannot
//! understand another message than this one did. What two readers could read differently is an
//! error and not a guess: see [`BadHead`] and [`BadBody`].
//!
//! ```
//! use http::{Body, Request};
//!
//! let bytes = b"GET /healthz?full HTTP/1.1\r\nHost: example.org\r\n\r\n";
//! let (request, length) = Request::parse(bytes)?.expect("it is whole");
//! assert_eq!(length, bytes.len());
//! assert_eq!(request.path(), Some(&b"/healthz"[..]));
//! assert_eq!(request.headers.get("host"), Some(&b"example.org"[..]));
//! assert_eq!(request.framing()?, Body::Empty);
//! # Ok::<(), http::BadHead>(())
//! ```

#![forbid(unsafe_code)]

mod body;
mod head;
mod headers;
mod target;

pub use body::{BadBody, Body, Decoder, chunk, last_chunk};
pub use head::{BadHead, MAX_HEAD, MAX_HEADERS, Request, Response, Version, reason};
pub use headers::{Headers, elements};

#[cfg(test)]
mod tests;
