//! A layer 4 load balancer that reads haproxy.cfg and nginx's `stream {}`.
//!
//! ```text
//!            Config (crate proxy)
//!               │ bind::Listeners::bind        all sockets, or none
//!               ▼
//!   worker::run ─────────────────────────────────────────────────────────┐
//!     main thread: signals, checks, stats sockets                        │ Shared (state)
//!     a thread per core: accept ─► session::Serve ─► log line            │ counters, pools, log
//!                                   │ backend: pick, wait, connect,      │
//!                                   │          retry, redispatch         │
//!                                   └ relay::Relay: bytes, timeouts ─────┘
//! ```
//!
//! ```
//! use balancerd::bind::Listeners;
//! use proxy::{Bind, BindAddress, Config, Flavour, Frontend};
//!
//! let mut config = Config::new(Flavour::HaProxy);
//! let mut frontend = Frontend::new(2, "fe");
//! frontend.binds.push(Bind::new(BindAddress::Inet("127.0.0.1:0".parse().unwrap())));
//! config.frontends.push(frontend);
//! let (listeners, warnings) = Listeners::bind(&config, Vec::new()).unwrap();
//! assert!(warnings.is_empty());
//! assert!(listeners.fds().count() >= 1);
//! ```
#![forbid(unsafe_code)]

mod access_log;
mod active_check;
mod answers;
mod backend;
pub mod bind;
pub mod cli_haproxy;
pub mod cli_nginx;
mod control;
mod dispatch;
mod facts;
mod handshake;
mod health;
mod http;
mod limits;
pub mod log;
mod master;
mod outbound;
mod peers;
mod prepare;
pub mod privilege;
mod reloads;
mod report;
mod resolver;
mod rules;
mod runtime_api;
mod server_state;
mod session;
mod socks;
pub mod state;
mod stats;
pub mod takeover;
mod terminal;
mod transport;
mod udp;
pub mod worker;
mod workers;
