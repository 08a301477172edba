//! Health checks: when to probe, what to say, and what the answers mean.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;

pub use config::{Action, Config, Connect, Expect, Match, Probe, Request, Step, Verify};
