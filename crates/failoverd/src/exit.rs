//! Exit codes, as keepalived's (lib/scheduler.h there).

/// All is well; also: another daemon is running already.
pub(crate) const OK: u8 = 0;
/// The command line, or something the system refused.
pub(crate) const FATAL: u8 = 1;
/// The configuration.
pub(crate) const CONFIG: u8 = 2;
/// A capability is missing.
pub(crate) const NO_PERMISSION: u8 = 4;
/// A mistake, found by `-t`.
pub(crate) const TEST_CONFIG: u8 = 5;
