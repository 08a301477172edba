//! What runs beside the sessions: on the main thread, in a [`LocalSet`](tokio::task::LocalSet).

use std::os::fd::OwnedFd;

use crate::health::{self, Board};
use crate::runtime_api;
use crate::state::Shared;

/// Starts the tasks that look after servers and answer operators. `stats` are the listening
/// sockets of `stats socket` lines, by their position in the configuration.
///
/// `foreground` says that what they log is shown on stderr as well.
pub(crate) fn start(
    shared: &'static Shared,
    board: &'static Board,
    stats: Vec<(usize, OwnedFd)>,
    foreground: bool,
) {
    tokio::task::spawn_local(health::run(shared, board, foreground));
    for (index, socket) in stats {
        let level = shared.config.process.stats_sockets[index].level;
        tokio::task::spawn_local(runtime_api::serve(shared, board, socket, level));
    }
}
