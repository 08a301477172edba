//! What follows from an event: the balancer, other servers, sessions, lines and mail.

use std::sync::atomic::Ordering::Relaxed;

use balance::{Pool, ServerId, State};
use check::{
    Admin, Change, Event, Left, LogLine, Moved, Named, Operation, Outcome, Reason, Standing, Why,
};
use proxy::{Backend, Cause, OnMarkedDown, Server, Severity};

use super::board::{Board, ServerRecord};
use crate::state::Shared;

/// A server and all that is told of it.
#[derive(Clone, Copy)]
pub(crate) struct Ward<'a> {
    shared: &'a Shared,
    board: &'a Board,
    backend: usize,
    server: usize,
}

impl<'a> Ward<'a> {
    /// A server, by the positions of its backend and its own.
    pub(crate) const fn new(
        shared: &'a Shared,
        board: &'a Board,
        backend: usize,
        server: usize,
    ) -> Self {
        Self { shared, board, backend, server }
    }

    pub(super) fn shared(&self) -> &'a Shared {
        self.shared
    }

    pub(super) fn config(&self) -> &'a Server {
        &self.backend_config().servers[self.server]
    }

    pub(super) fn backend_config(&self) -> &'a Backend {
        &self.shared.config.backends[self.backend]
    }

    pub(super) fn record(&self) -> &'a ServerRecord {
        &self.board.backends[self.backend].servers[self.server]
    }

    fn logs_checks(&self) -> bool {
        let configured = self.config();
        match (&configured.check, configured.track) {
            (Some(check), _) => check.log,
            _ => self
                .backend_config()
                .servers
                .iter()
                .any(|server| server.check.as_ref().is_some_and(|check| check.log)),
        }
    }

    /// An operator's word, or the state another process left.
    pub(crate) fn happen(&self, event: Event) {
        let (moves, standing) = self.record().handle(event);
        self.follow(&moves, standing, Why::Unsaid, None);
    }

    /// The same, said to have come by the runtime API: `set server … health`.
    pub(crate) fn force(&self, operation: Operation) {
        let (moves, standing) = self.record().handle(Event::Force(operation));
        self.follow(&moves, standing, Why::Told, None);
    }

    /// What name servers said of its name, and how that is put.
    pub(crate) fn named(&self, event: Event, said: &str) {
        let (moves, standing) = self.record().handle(event);
        self.follow(&moves, standing, Why::Name(said), None);
    }

    /// A line about it that is no step of its own, shown on the terminal too.
    pub(crate) fn tell(&self, line: std::fmt::Arguments<'_>) {
        self.note(line);
        if self.board.foreground.load(Relaxed) && !self.shared.config.process.quiet {
            crate::terminal::err(&format!("[WARNING]  ({}) : {line}\n", std::process::id()));
        }
    }

    /// The same, for the log alone.
    pub(crate) fn note(&self, line: std::fmt::Arguments<'_>) {
        let route = &self.shared.backends[self.backend].log;
        self.shared.log.send(route, Severity::Notice, line);
    }

    /// What a check found.
    pub(super) fn checked(&self, reason: &Reason) {
        let outcome = reason.verdict.status.outcome();
        self.noted(Event::Checked(outcome), reason, false);
        if let Some(observer) = self.record().observer.as_ref()
            && matches!(outcome, Outcome::Passed | Outcome::Conditional)
        {
            observer.forget();
        }
    }

    /// What an agent said of its server's health, or that it could not be heard.
    pub(super) fn heard(&self, reason: &Reason) {
        let status = reason.verdict.status;
        // Who cannot be heard says nothing.
        let outcome = match status {
            check::Status::L7Ok | check::Status::L7Status => status.outcome(),
            _ => Outcome::Neutral,
        };
        self.noted(Event::Agent(outcome), reason, true);
    }

    /// Too many sessions went wrong.
    pub(super) fn analysed(&self, how: check::OnError, reason: &Reason) {
        self.noted(Event::Errors(how), reason, false);
    }

    fn noted(&self, event: Event, reason: &Reason, by_agent: bool) {
        if reason.verdict.status == check::Status::Unknown {
            return;
        }
        let record = self.record();
        let (moves, standing) = record.handle(event);
        let other = match event {
            Event::Errors(check::OnError::FastInter) => false,
            _ => record.found(by_agent, reason),
        };
        let failed = reason.verdict.status.outcome() == Outcome::Failed;
        let moved = standing.change() != Change::None;
        if failed && moved && !by_agent {
            record.count_failure();
        }
        let watch = if by_agent { standing.agent() } else { standing.check() };
        let neutral = reason.verdict.status.outcome() == Outcome::Neutral;
        if self.logs_checks()
            && (moved || other)
            && !neutral
            && let Some(watch) = watch
        {
            let (who, health) = (self.who(), watch.health);
            let drained = self.balancer(|pool, server| pool.server(server).weight) == 0;
            self.say(LogLine::Checked { who, agent: by_agent, reason, health, drained });
        }
        let why = if self.logs_checks() { Why::Unsaid } else { Why::Found(reason) };
        self.follow(&moves, standing, why, None);
    }

    /// Carries out what a server did, and lets those that track it follow.
    fn follow(&self, moves: &[Moved], standing: Standing, why: Why<'_>, via: Option<Named<'_>>) {
        for &moved in moves {
            self.carry_out(moved, standing, why, via);
        }
        if moves.is_empty() {
            return;
        }
        let followed = followed(standing);
        for (backend, configured) in self.shared.config.backends.iter().enumerate() {
            for (server, other) in configured.servers.iter().enumerate() {
                let follows = other.track.is_some_and(|tracked| {
                    (tracked.backend.0, tracked.server) == (self.backend, self.server)
                });
                if follows {
                    let other = Self { backend, server, ..*self };
                    let (moves, standing) = other.record().handle(followed);
                    other.follow(&moves, standing, Why::Unsaid, Some(self.who()));
                }
            }
        }
    }

    /// The balancer knows before anybody is told.
    fn carry_out(&self, moved: Moved, standing: Standing, why: Why<'_>, via: Option<Named<'_>>) {
        let usable = |pool: &Pool, _| {
            let view = pool.view();
            view.active + view.backup
        };
        let before = self.balancer(usable);
        let was_stopping =
            self.balancer(|pool, server| pool.server(server).state) == State::Draining;
        let requeued = self.shared.set_server_state(self.backend, self.server, state_of(standing));
        let now = self.shared.clock.now();
        let after = self.balancer(usable);
        let up = !standing.admin().is_maint() && standing.operation() != Operation::Stopped;
        self.record().changed(now, up, requeued);
        self.board.backends[self.backend].follow(now, after > 0);
        if matches!(moved, Moved::OutOfMaint { .. }) {
            self.record().sooner.notify_one();
        }
        let (who, left) = (self.who(), self.left());
        self.say(LogLine::Moved { who, moved, via, why, left, was_stopping });
        if moved.is_loss() && before > 0 && after == 0 {
            let configured = self.backend_config();
            let (backend, listen) = (configured.name.as_str(), configured.listen);
            self.say(LogLine::NoServer { backend, listen });
        }
        let configured = self.config();
        let ends = matches!(moved, Moved::Down | Moved::IntoMaint { was_down: false, .. });
        if ends && configured.on_marked_down == OnMarkedDown::ShutdownSessions {
            self.shared.shutdown_sessions(self.backend, Some(self.server), Cause::ServerDown);
        }
        let begins = matches!(moved, Moved::Up | Moved::OutOfMaint { up: true, .. });
        if begins && configured.shutdown_backup_sessions_when_up && !configured.backup {
            for (index, other) in self.backend_config().servers.iter().enumerate() {
                if other.backup {
                    let cause = Cause::BackupNotNeeded;
                    self.shared.shutdown_sessions(self.backend, Some(index), cause);
                }
            }
        }
        if !configured.slowstart.is_zero() {
            self.board.warming[self.backend].notify_one();
        }
    }

    /// Where it is.
    pub(super) fn target(&self) -> relay::Target {
        self.shared.backends[self.backend].servers[self.server].target()
    }

    /// Its connections.
    pub(super) fn connections(&self) -> u32 {
        self.balancer(|pool, server| pool.server(server).served)
    }

    /// What `http-check send-state` tells the server.
    pub(super) fn reported_state(&self, target: &relay::Target) -> String {
        let (address, port) = match target {
            relay::Target::Inet(address) => (address.ip().to_string(), address.port()),
            relay::Target::Unix(path) => (path.display().to_string(), 0),
        };
        let own = self.balancer(|pool, server| pool.server(server));
        let weights = self.shared.backends[self.backend]
            .balancer
            .look(|pool| (0..pool.len()).map(|at| pool.server(ServerId(at)).weight).sum::<u32>());
        let served = self.shared.backends[self.backend].traffic.current.load(Relaxed);
        let all = self.balancer(|pool, _| pool.view());
        let who = self.who();
        let node = nix::unistd::gethostname().unwrap_or_default();
        format!(
            "{}; address={address}; port={port}; name={}/{}; node={}; weight={}/{weights}; \
             scur={}/{served}; qcur={}",
            self.status(),
            who.backend,
            who.server,
            node.to_string_lossy(),
            own.weight,
            own.served,
            all.queued,
        )
    }

    /// Begins as the configuration, or the server it tracks, says: without a word.
    pub(super) fn begin(&self) {
        if let Some(tracked) = self.config().track {
            let seen = Self { backend: tracked.backend.0, server: tracked.server, ..*self };
            seen.begin();
            let standing = seen.record().standing();
            self.record().handle(followed(standing));
        }
        let standing = self.record().standing();
        let state = state_of(standing);
        let now = self.balancer(|pool, server| pool.server(server).state);
        if state != State::Up || now == State::Down {
            self.shared.set_server_state(self.backend, self.server, state);
        }
    }

    fn balancer<T>(&self, look: impl FnOnce(&Pool, ServerId) -> T) -> T {
        let server = ServerId(self.server);
        self.shared.backends[self.backend].balancer.look(|pool| look(pool, server))
    }

    /// The slow start of this server is over.
    pub(super) fn warm(&self, requeued: u32) {
        let left = Left { requeued, ..self.left() };
        let (who, moved, why) = (self.who(), Moved::Up, Why::Unsaid);
        self.say(LogLine::Moved { who, moved, via: None, why, left, was_stopping: false });
    }

    fn who(&self) -> Named<'a> {
        let (backend, server) = (self.backend_config(), self.config());
        Named { backend: &backend.name, server: &server.name, backup: server.backup }
    }

    fn left(&self) -> Left {
        let (pool, server) = self.balancer(|pool, server| (pool.view(), pool.server(server)));
        Left {
            active: pool.active,
            backup: pool.backup,
            sessions: server.served,
            requeued: self.record().requeued(),
            queued: pool.queued,
        }
    }

    /// The column `status` of `show stat`.
    pub(crate) fn status(&self) -> String {
        let own = self.record().standing();
        let mut seen = *self;
        let mut tracked = None;
        while let Some(next) = seen.config().track {
            seen = Self { backend: next.backend.0, server: next.server, ..seen };
            if tracked.is_none() {
                let who = seen.who();
                tracked = Some(format!("{}/{}", who.backend, who.server));
            }
        }
        own.status(&seen.record().standing(), tracked.as_deref())
    }

    /// Why it is kept out of use.
    pub(crate) fn admin(&self) -> Admin {
        self.record().standing().admin()
    }

    fn say(&self, line: LogLine<'_>) {
        let severity = match line.level() {
            check::Level::Emerg => Severity::Emerg,
            check::Level::Alert => Severity::Alert,
            check::Level::Notice => Severity::Notice,
        };
        self.shared.log.send(&self.shared.backends[self.backend].log, severity, line);
        if self.board.foreground.load(Relaxed) && !self.shared.config.process.quiet {
            crate::terminal::err(&format!("{}\n", on_terminal(line)));
        }
        if let Some(alert) = self.backend_config().email_alert.as_deref() {
            self.board.mail.tell(alert, line);
        }
    }
}

/// What those that track a server are told.
fn followed(standing: Standing) -> Event {
    let maint = standing.admin().is_maint();
    let operation = if maint { Operation::Stopped } else { standing.operation() };
    Event::Follow { operation, maint, drain: standing.admin().is_drain() }
}

/// What the balancer makes of it.
fn state_of(standing: Standing) -> State {
    let admin = standing.admin();
    match standing.operation() {
        _ if admin.is_maint() => State::Down,
        Operation::Stopped => State::Down,
        Operation::Stopping => State::Draining,
        Operation::Running if admin.is_drain() => State::Draining,
        Operation::Running => State::Up,
    }
}

/// The line as HAProxy prints it in the foreground: `[WARNING]  (7) : Server be/srv is DOWN…`.
pub(super) fn on_terminal(line: LogLine<'_>) -> String {
    let pid = std::process::id();
    match line {
        LogLine::NoServer { backend, listen } => {
            let kind = if listen { "proxy" } else { "backend" };
            format!("[ALERT]    ({pid}) : {kind} '{backend}' has no server available!")
        }
        line => format!("[WARNING]  ({pid}) : {line}"),
    }
}
