//! What runs beside the sessions: on the main thread, in a [`LocalSet`](tokio::task::LocalSet).

use std::os::fd::OwnedFd;

use crate::state::Shared;

/// Starts the tasks that look after servers and answer operators. `stats` are the listening
/// sockets of `stats socket` lines, by their position in the configuration.
///
/// `foreground` says that what they log is shown on stderr as well.
pub(crate) fn start(shared: &'static Shared, stats: Vec<(usize, OwnedFd)>, foreground: bool) {
    let _ = (shared, stats, foreground);
}
