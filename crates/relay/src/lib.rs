//! Bytes between two sockets, at the price of what is happening and not of what could happen.
//!
//! ```text
//!            readable                                        writable
//!   client ───────────► one buffer per thread ─────────────────────► server
//!      ▲                  a full one: bulk, so                          │
//!      │                  splice(2) through a pipe of a pool            │
//!      └────────────────────────────────────────────────────────────────┘
//!
//!   Listener ─ accept4 ─► stream ─► Dial ─► Relay ─► Ended
//!                                     └ Timer ┘   one list per thread for all of them
//!   block_on, spawn: the tasks of a thread, on an epoll set of its own
//! ```
//!
//! An idle [`Relay`] owns its two sockets and a few numbers: no buffer, no pipe, no timer of its
//! own. Bytes are kept only while the receiver does not take them. A [`Relay`] is polled on the
//! thread it was made on, inside its [`block_on`].
//!
//! ```
//! use relay::{Dial, Ended, Limits, Listener, Relay};
//! use std::io::{Read, Write};
//!
//! let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let (to, via) = (server.local_addr().unwrap(), front.local_addr().unwrap());
//!
//! let echo = std::thread::spawn(move || {
//!     let (mut socket, _) = server.accept().unwrap();
//!     let mut text = String::new();
//!     socket.read_to_string(&mut text).unwrap();
//!     socket.write_all(text.to_uppercase().as_bytes()).unwrap();
//! });
//! let client = std::thread::spawn(move || {
//!     let mut socket = std::net::TcpStream::connect(via).unwrap();
//!     socket.write_all(b"hello").unwrap();
//!     socket.shutdown(std::net::Shutdown::Write).unwrap();
//!     let mut answer = String::new();
//!     socket.read_to_string(&mut answer).unwrap();
//!     answer
//! });
//! relay::block_on(async {
//!     let (client, _address) = Listener::new(front.into()).unwrap().accept().await.unwrap();
//!     let server = Dial::new(to).start().unwrap();
//!     relay::established(&server).await.unwrap();
//!     let mut relay = Relay::new(client, server);
//!     assert_eq!(std::future::poll_fn(|cx| relay.poll(cx, &Limits::default())).await, Ended::Finished);
//!     assert_eq!((relay.from_client(), relay.from_server()), (5, 5));
//! })
//! .unwrap();
//! assert_eq!(client.join().unwrap(), "HELLO");
//! # echo.join().unwrap();
//! ```
#![forbid(unsafe_code)]

mod connect;
mod datagram;
mod executor;
mod flow;
mod layer;
mod listen;
mod pipes;
mod pump;
mod ready;
mod stream;
pub mod timer;

pub use connect::{Dial, KeepAlive, Target, established};
pub use datagram::{Datagram, Door, Server};
pub use executor::{Task, block_on, spawn};
pub use layer::{Layer, Wire};
pub use listen::Listener;
pub use pipes::limit_pipes;
pub use pump::{Ended, Limits, Relay};
pub use ready::Ready;
pub use stream::Stream;
