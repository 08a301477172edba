//! The files people and exporters read: `keepalived.data`, `.stats` and `.json`.

use daemon::log::Log;
use vrrp::config::Globals;

use crate::cli::Options;

/// Writes the supervisor's part of `keepalived.data`.
pub(crate) fn write_parent(_globals: &Globals, _options: &Options, _log: &Log) {}
