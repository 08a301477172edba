//! The one model of a layer 4 proxy, whatever dialect it was written in.
//!
//! ```text
//!   haproxy.cfg ── haproxy-cfg ──┐
//!                                ├──► Config ──► Plan::between(old, new) ──► what a reload changes
//!   nginx.conf ─── nginx-conf ───┘      │
//!                                       └──► balancerd: listeners, servers, checks, logs
//! ```
//!
//! The model is immutable and holds no position of a text: two configurations are equal when they
//! mean the same, so a moved line is not a change. What a session ended with is a
//! [`Termination`], printed as HAProxy's two letters.
//!
//! ```
//! use proxy::{Backend, Config, Flavour, Server, ServerAddress};
//!
//! let mut config = Config::new(Flavour::HaProxy);
//! let mut backend = Backend::new(2, "kube");
//! backend.servers.push(Server::new(1, "cp1", ServerAddress::Socket("192.0.2.1:6443".parse().unwrap())));
//! config.backends.push(backend);
//! assert_eq!(config.clone(), config);
//! ```
#![forbid(unsafe_code)]

pub mod config;
mod plan;
mod termination;
pub mod variable;

pub use config::*;
pub use plan::{Plan, Step, in_place};
pub use termination::{Cause, Phase, Termination};
