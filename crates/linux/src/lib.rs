//! Linux system calls behind safe functions: the only crate of the workspace with `unsafe`.
//!
//! ```text
//!   failoverd      netlink       daemon         relay
//!       │             │            │              │
//!       ▼             ▼            ▼              ▼
//!  ┌─────────┐  ┌──────────┐  ┌─────────┐  ┌─────────────┐
//!  │ raw     │  │ route    │  │ process │  │ splice      │
//!  │ packet  │  │ (netlink │  │ file    │  │ tcp options │
//!  │         │  │  socket) │  │ user    │  │             │
//!  │         │  │          │  │ pidfd   │  │             │
//!  └─────────┘  └──────────┘  └─────────┘  └─────────────┘
//! ```
//!
//! One wrapper per call, each with the condition of its manual page and a test that makes it.
//! What `nix` and `socket2` already offer safely is used from there.
//!
//! ```
//! use linux::clock::LocalTime;
//!
//! println!("{}: Startup complete", LocalTime::now().c_locale());
//! ```

pub mod clock;
pub mod close;
pub mod file;
pub mod namespace;
pub mod packet;
pub mod pages;
pub mod pidfd;
pub mod poll;
pub mod proc_events;
pub mod process;
pub mod raw;
pub mod ready;
pub mod rights;
pub mod route;
pub mod sched;
pub mod spawn;
pub mod splice;
pub mod tcp;
pub mod tcp_info;
pub mod user;

#[cfg(test)]
mod tests;
