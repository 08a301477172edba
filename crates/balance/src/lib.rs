//! Which server gets the next connection.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;

pub use config::{Algorithm, Passive, PoolConfig, ServerConfig};
