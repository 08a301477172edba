//! What any daemon does, whichever protocol it speaks.
//!
//! ```text
//!   command line ──► argv          log ──► /dev/log, stderr
//!   systemd ◄────── systemd        script ──► child processes
//!   pid file ◄───── pidfile        clock ──► machine::Instant
//! ```
//!
//! ```
//! use daemon::argv::{self, Opt, Takes};
//!
//! const OPTIONS: &[Opt] = &[
//!     Opt::new('n', "dont-fork", Takes::Nothing, "Stay in the foreground"),
//!     Opt::new('t', "config-test", Takes::Maybe("FILE"), "Check the configuration"),
//! ];
//! let arguments = ["-nt/tmp/log"].map(Into::into);
//! let given = argv::parse(OPTIONS, arguments).expect("both are known");
//! assert_eq!(given.options[1].opt.long, "config-test");
//! assert_eq!(given.options[1].value.as_deref(), Some("/tmp/log".as_ref()));
//! ```
#![forbid(unsafe_code)]

pub mod argv;
pub mod clock;
pub mod group;
pub mod log;
pub mod pidfile;
pub mod script;
pub mod systemd;

pub use nix::sys::signal::Signal;
