//! The virtual router redundancy protocol (RFC 9568), as keepalived lives it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
