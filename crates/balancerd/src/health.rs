//! Health checks while the process runs: one task for each checked server.
//!
//! ```text
//!   check::schedule ── when ──► probe::run (sockets, TLS) ── Verdict ──► Board (Health, counters)
//!                                                                          │ up, down
//!            log targets, stderr ◄── LogLine ◄── Shared::set_server_state ◄┘
//! ```

mod board;
mod probe;
#[cfg(test)]
mod tests;

use balance::{ServerId, State};
use check::{Change, Left, LogLine, Moved, Named, Why};
use proxy::{Cause, OnMarkedDown, Severity};
use tokio::task::JoinSet;

use crate::state::Shared;

pub(crate) use board::{Board, ServerRecord};

/// Checks all servers that are to be checked, until it is dropped. Returns at once if there are
/// none.
///
/// To be run once for a process, on any of its threads. `foreground` prints what is logged on
/// standard error as well, as HAProxy does until it leaves the terminal.
pub(crate) async fn run(shared: &'static Shared, board: &'static Board, foreground: bool) {
    let mut checks = Vec::new();
    for (backend, configured) in shared.config.backends.iter().enumerate() {
        if configured.disabled || configured.shares_servers_with.is_some() {
            continue;
        }
        for (server, configured) in configured.servers.iter().enumerate() {
            if let Some(config) = &configured.check
                && !configured.disabled
            {
                checks.push((backend, server, config));
            }
        }
    }
    let process = &shared.config.process;
    let configs = checks.iter().map(|&(_, _, config)| config);
    let offsets = check::schedule::first_checks(configs, process.max_spread_checks);
    let mut tasks = JoinSet::new();
    for (&(backend, server, _), offset) in checks.iter().zip(offsets) {
        let watcher = Watcher { shared, board, backend, server, foreground };
        tasks.spawn(async move {
            tokio::time::sleep(offset).await;
            watcher.watch().await;
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Who watches over one server.
#[derive(Clone, Copy)]
struct Watcher {
    shared: &'static Shared,
    board: &'static Board,
    backend: usize,
    server: usize,
    foreground: bool,
}

impl Watcher {
    async fn watch(self) {
        let configured = &self.shared.config.backends[self.backend].servers[self.server];
        let Some(config) = &configured.check else { return };
        let state = &self.shared.backends[self.backend].servers[self.server];
        let record = &self.board.backends[self.backend].servers[self.server];
        let spread = self.shared.config.process.spread_checks;
        let mut probe =
            probe::Probe::new(config, state.target(), configured.check_header, self.board);
        loop {
            record.begin_check();
            probe.target = state.target();
            let reason = probe.run(&self.shared.clock).await;
            let noted = record.note(reason);
            self.follow(noted.change);
            if config.log && noted.reported {
                let health = noted.health;
                let who = self.who();
                let reason = &noted.reason;
                self.say(LogLine::Checked { who, agent: false, reason, health, drained: false });
            }
            let why = if config.log { Why::Unsaid } else { Why::Found(&noted.reason) };
            match noted.change {
                Change::Up => self.came_up(why),
                Change::Down => self.went_down(why),
                Change::None | Change::Progress => {}
            }
            let pause =
                check::schedule::interval_spread(config, &noted.health, spread, fastrand::u32(..));
            tokio::time::sleep(pause).await;
        }
    }

    /// Lets the balancer know before anybody is told.
    fn follow(&self, change: Change) {
        let state = match change {
            Change::Up => State::Up,
            Change::Down => State::Down,
            Change::None | Change::Progress => return,
        };
        let moved = self.shared.set_server_state(self.backend, self.server, state);
        let now = self.shared.clock.now();
        let view = self.shared.backends[self.backend].balancer.look(balance::Pool::view);
        let record = &self.board.backends[self.backend];
        record.servers[self.server].changed(now, state == State::Up, moved);
        record.follow(now, view.active + view.backup > 0);
    }

    fn went_down(&self, why: Why<'_>) {
        let configured = &self.shared.config.backends[self.backend];
        let left = self.left();
        self.say(self.moved(Moved::Down, why, left));
        if left.active + left.backup == 0 {
            let (backend, listen) = (configured.name.as_str(), configured.listen);
            self.say(LogLine::NoServer { backend, listen });
        }
        if configured.servers[self.server].on_marked_down == OnMarkedDown::ShutdownSessions {
            self.shared.shutdown_sessions(self.backend, Some(self.server), Cause::ServerDown);
        }
    }

    fn came_up(&self, why: Why<'_>) {
        let configured = &self.shared.config.backends[self.backend];
        self.say(self.moved(Moved::Up, why, self.left()));
        let server = &configured.servers[self.server];
        if server.shutdown_backup_sessions_when_up && !server.backup {
            for (index, other) in configured.servers.iter().enumerate() {
                if other.backup {
                    let cause = Cause::BackupNotNeeded;
                    self.shared.shutdown_sessions(self.backend, Some(index), cause);
                }
            }
        }
        if !server.slowstart.is_zero() {
            tokio::spawn(self.warm_up());
        }
    }

    /// Raises the weight of a server that came up, step by step, and says when it is done.
    async fn warm_up(self) {
        let balancer = &self.shared.backends[self.backend].balancer;
        while let Some(step) = balancer.look(balance::Pool::deadline) {
            tokio::time::sleep(step - self.shared.clock.now()).await;
            let now = self.shared.clock.now();
            let mut finished = Vec::new();
            let requeued = balancer.change(|pool, wakes| finished = pool.tick(now, wakes));
            for ServerId(server) in finished {
                let watcher = Self { server, ..self };
                let left = Left { requeued, ..watcher.left() };
                watcher.say(watcher.moved(Moved::Up, Why::Unsaid, left));
            }
        }
    }

    fn moved<'s>(&'s self, moved: Moved, why: Why<'s>, left: Left) -> LogLine<'s> {
        LogLine::Moved { who: self.who(), moved, via: None, why, left, was_stopping: false }
    }

    fn who(&self) -> Named<'_> {
        let backend = &self.shared.config.backends[self.backend];
        let server = &backend.servers[self.server];
        Named { backend: &backend.name, server: &server.name, backup: server.backup }
    }

    fn left(&self) -> Left {
        let balancer = &self.shared.backends[self.backend].balancer;
        let (pool, server) =
            balancer.look(|pool| (pool.view(), pool.server(ServerId(self.server))));
        let record = &self.board.backends[self.backend].servers[self.server];
        Left {
            active: pool.active,
            backup: pool.backup,
            sessions: server.served,
            requeued: record.requeued(),
            queued: pool.queued,
        }
    }

    fn say(&self, line: LogLine<'_>) {
        let severity = match line.level() {
            check::Level::Emerg => Severity::Emerg,
            check::Level::Alert => Severity::Alert,
            check::Level::Notice => Severity::Notice,
        };
        self.shared.log.send(&self.shared.backends[self.backend].log, severity, line);
        if self.foreground && !self.shared.config.process.quiet {
            crate::terminal::err(&format!("{}\n", on_terminal(line)));
        }
    }
}

/// The line as HAProxy prints it in the foreground: `[WARNING]  (7) : Server be/srv is DOWN…`.
fn on_terminal(line: LogLine<'_>) -> String {
    let pid = std::process::id();
    match line {
        LogLine::NoServer { backend, listen } => {
            let kind = if listen { "proxy" } else { "backend" };
            format!("[ALERT]    ({pid}) : {kind} '{backend}' has no server available!")
        }
        line => format!("[WARNING]  ({pid}) : {line}"),
    }
}
