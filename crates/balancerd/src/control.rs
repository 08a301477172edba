//! What runs beside the sessions: on the main thread, in a [`LocalSet`](tokio::task::LocalSet).

use std::os::fd::OwnedFd;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::health::{self, Board};
use crate::runtime_api;
use crate::state::Shared;
use crate::worker::Stage;

/// Those who follow names and ask servers on behalf of one configuration. They end with this.
#[derive(Default)]
pub(crate) struct Followers(JoinSet<()>);

impl Followers {
    /// Begins with what a configuration says; where others did the same for the one before, they go
    /// on from where those are. Runs in a [`LocalSet`](tokio::task::LocalSet).
    pub(crate) fn of(shared: &'static Shared, board: &'static Board) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn_local(crate::resolver::follow::run(shared));
        tasks.spawn_local(crate::resolver::named::run(shared, board));
        tasks.spawn_local(crate::active_check::run(shared));
        Self(tasks)
    }

    /// Nobody asks any more.
    pub(crate) fn end(&mut self) {
        self.0.abort_all();
    }
}

/// Starts the tasks that look after servers and answer operators. `stats` are the listening
/// sockets of `stats socket` lines, by their position in the configuration.
///
/// Operators are answered while `stage` is [`Stage::Serving`]. `foreground` says that what they log is shown on stderr as well.
pub(crate) fn start(
    shared: &'static Shared,
    board: &'static Board,
    stats: Vec<(usize, OwnedFd)>,
    stage: &watch::Receiver<Stage>,
    foreground: bool,
) {
    crate::terminal::end_log();
    shared.foreground.store(foreground, std::sync::atomic::Ordering::Relaxed);
    crate::http::know(shared, board);
    tokio::task::spawn_local(health::run(shared, board, foreground));
    if let Some(control) = from_master() {
        tokio::task::spawn_local(runtime_api::serve_master(shared, board, control));
    }
    let room = runtime_api::room(shared);
    for (index, socket) in stats {
        let line = &shared.config.process.stats_sockets[index];
        let (level, exposes) = (line.level, line.expose_listeners);
        let (mut stage, room) = (stage.clone(), std::sync::Arc::clone(&room));
        tokio::task::spawn_local(async move {
            // Who comes after this process has the same socket and answers from then on.
            tokio::select! {
                () = runtime_api::serve(shared, board, socket, level, exposes, room) => {}
                _ = stage.wait_for(|stage| *stage != Stage::Serving) => {}
            }
        });
    }
}

/// The socket over which the master sends its clients here.
fn from_master() -> Option<OwnedFd> {
    let number = std::env::var(crate::master::CONTROL).ok()?;
    linux::tcp::inherited_stream(number.parse().ok()?).ok()
}
