//! What checks found out, for the runtime API to show.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use check::{
    Action, Errors, Event, Health, Moved, OnError, Operation, Probe, Reason, Standing, Verdict,
    Verify,
};
use machine::Instant;
use proxy::{Backend, Config, Running, Server};
use tls::Connector;
use tokio::sync::Notify;

use crate::state::{lock, positions};

/// The health of all servers.
#[derive(Debug)]
pub(crate) struct Board {
    /// As [`Running::backends`].
    pub(crate) backends: Vec<BackendRecord>,
    /// What verifies certificates, read while the process could still read it.
    connectors: Arc<[(Verify, Connector)]>,
    /// What is logged is shown on standard error as well.
    pub(super) foreground: AtomicBool,
    /// Rung when a server of a backend begins to be spared.
    pub(super) warming: Vec<Notify>,
    /// Mail that waits to be handed over.
    pub(super) mail: Arc<super::mail::Outbox>,
}

impl Board {
    /// Nothing is checked yet: every server is up unless it is disabled.
    ///
    /// Reads the certificates of all `ca-file`s, so it is made before the process gives up its
    /// rights.
    ///
    /// # Errors
    ///
    /// The first `ca-file` that cannot be used.
    pub(crate) fn new(config: &Running) -> Result<Self, tls::Error> {
        let mut connectors: Vec<(Verify, Connector)> = Vec::new();
        let servers = config.backends.iter().flat_map(|backend| &backend.servers);
        for check in servers.filter_map(|server| server.check.as_ref()) {
            let Verify::Required { ca_file, host } = &check.verify else { continue };
            if speaks_tls(check) && !connectors.iter().any(|(known, _)| *known == check.verify) {
                let verify = tls::Verify::roots(ca_file.as_str(), host.clone());
                connectors.push((check.verify.clone(), Connector::new(&verify, &[])?));
            }
        }
        let backends: Vec<BackendRecord> =
            config.backends.iter().map(|backend| BackendRecord::new(backend)).collect();
        Ok(Self {
            connectors: connectors.into(),
            foreground: AtomicBool::new(false),
            warming: backends.iter().map(|_| Notify::new()).collect(),
            mail: Arc::default(),
            backends,
        })
    }

    /// Whether the checks of a configuration need no certificates, which may have changed since they
    /// were read.
    pub(crate) fn covers(config: &Config) -> bool {
        let servers = config.backends.iter().flat_map(|backend| &backend.servers);
        let mut checks = servers.filter_map(|server| server.check.as_ref());
        checks.all(|check| !matches!(check.verify, Verify::Required { .. }) || !speaks_tls(check))
    }

    /// The board of the configuration that follows: what is known of a server that
    /// [stays](is_same) stays known.
    pub(crate) fn after(&self, old: &Running, new: &Running) -> Self {
        let known = positions(
            old.backends.iter().map(|backend| backend.name.as_str()),
            new.backends.iter().map(|backend| backend.name.as_str()),
        );
        let backends: Vec<BackendRecord> = new
            .backends
            .iter()
            .zip(known)
            .map(|(backend, was)| match was {
                Some(was) => self.backends[was].after(&old.backends[was], backend),
                None => BackendRecord::new(backend),
            })
            .collect();
        Self {
            connectors: Arc::clone(&self.connectors),
            foreground: AtomicBool::new(self.foreground.load(Relaxed)),
            warming: backends.iter().map(|_| Notify::new()).collect(),
            mail: Arc::clone(&self.mail),
            backends,
        }
    }

    /// Those who wait for something on this board are to look at the one that followed.
    pub(crate) fn retire(&self) {
        self.warming.iter().for_each(Notify::notify_one);
    }

    /// What makes TLS connections whose server is judged like this.
    pub(super) fn connector(&self, verify: &Verify) -> Result<Connector, tls::Error> {
        match self.connectors.iter().find(|(known, _)| known == verify) {
            Some((_, connector)) => Ok(connector.clone()),
            None => Connector::new(&tls::Verify::None, &[]),
        }
    }
}

fn speaks_tls(check: &check::Config) -> bool {
    let steps = match &check.probe {
        Probe::Http { steps, .. } | Probe::Tcp { steps } => steps,
        _ => &[][..],
    };
    let over_tls = |action: &Action| matches!(action, Action::Connect(connect) if connect.tls);
    check.tls || steps.iter().any(|step| over_tls(&step.action))
}

/// One backend: up while one of its servers is.
#[derive(Debug)]
pub(crate) struct BackendRecord {
    /// In the order of the file.
    pub(crate) servers: Vec<Arc<ServerRecord>>,
    /// When it went up and down.
    pub(crate) history: Arc<History>,
}

/// Whether a line of the new file is about the same server as one of the old: then its state, its
/// history and its checks go on.
pub(crate) fn is_same(old: &Server, new: &Server) -> bool {
    let limits = |server: &Server| {
        server.check.as_ref().map(|check| (check.rise, check.fall, check.init_state))
    };
    is_same_place(old, new)
        && old.disabled == new.disabled
        && old.observe == new.observe
        && old.track.is_some() == new.track.is_some()
        && old.agent.is_some() == new.agent.is_some()
        && limits(old) == limits(new)
}

/// Whether two lines mean the same place. What a name stood for when the file was read does not
/// matter where name servers are asked for it all the time.
fn is_same_place(old: &Server, new: &Server) -> bool {
    use proxy::ServerAddress::Host;
    match (&old.address, &new.address) {
        (Host { name, port, .. }, Host { name: other, port: at, .. })
            if old.resolve.is_some() && new.resolve.is_some() =>
        {
            name == other && port == at
        }
        (old_address, new_address) => {
            old_address == new_address && old.resolve.is_some() == new.resolve.is_some()
        }
    }
}

impl BackendRecord {
    fn new(backend: &Backend) -> Self {
        let servers = backend.servers.iter().map(|one| Arc::new(ServerRecord::new(one))).collect();
        let up = backend.servers.iter().any(|server| !server.disabled && server.weight > 0);
        Self { servers, history: Arc::new(History::new(up || backend.servers.is_empty())) }
    }

    fn after(&self, old: &Backend, new: &Backend) -> Self {
        let known = positions(
            old.servers.iter().map(|server| server.name.as_str()),
            new.servers.iter().map(|server| server.name.as_str()),
        );
        let record = |(server, was): (&Server, Option<usize>)| {
            let same = was.filter(|was| is_same(&old.servers[*was], server));
            same.map_or_else(
                || Arc::new(ServerRecord::new(server)),
                |was| Arc::clone(&self.servers[was]),
            )
        };
        Self {
            servers: new.servers.iter().zip(known).map(record).collect(),
            history: Arc::clone(&self.history),
        }
    }

    pub(super) fn follow(&self, now: Instant, up: bool) {
        self.history.note(now, up);
    }
}

/// One server.
#[derive(Debug)]
pub(crate) struct ServerRecord {
    /// Somebody looks after it.
    watched: AtomicBool,
    standing: Mutex<Standing>,
    check: Option<Watched>,
    agent: Option<Watched>,
    limits: Option<(u32, u32)>,
    failed: AtomicU64,
    requeued: AtomicU32,
    /// Errors of sessions, where somebody looks at them.
    pub(super) observer: Option<Arc<Observer>>,
    /// Rung when its checks are to go on at once.
    pub(super) sooner: Notify,
    /// When it went up and down.
    pub(crate) history: History,
}

/// What a check or an agent found last.
#[derive(Debug, Default)]
struct Watched {
    last: Mutex<Reason>,
    running: AtomicBool,
}

/// Where sessions tell of servers that did not answer.
#[derive(Debug)]
pub(crate) struct Observer {
    errors: Mutex<Errors>,
    tripped: Mutex<Option<(OnError, String)>>,
    rung: Notify,
}

impl Observer {
    /// A session was connected, or was not. From any thread.
    pub(crate) fn note(&self, connected: bool) {
        let Some(tripped) = lock(&self.errors).note(connected) else { return };
        *lock(&self.tripped) = Some(tripped);
        self.rung.notify_one();
    }

    /// A check passed.
    pub(super) fn forget(&self) {
        lock(&self.errors).forget();
    }

    /// Waits for too many errors.
    pub(super) async fn tripped(&self) -> (OnError, String) {
        loop {
            if let Some(tripped) = lock(&self.tripped).take() {
                return tripped;
            }
            self.rung.notified().await;
        }
    }
}

/// A checked server, as it is now.
#[derive(Clone, Debug)]
pub(crate) struct CheckView {
    /// Its health.
    pub(crate) health: Health,
    /// What the last check found.
    pub(crate) last: Verdict,
    /// And how long it took.
    pub(crate) duration: Duration,
    /// Whether one is running.
    pub(crate) running: bool,
}

impl ServerRecord {
    fn new(server: &Server) -> Self {
        let health = server
            .check
            .as_ref()
            .map(|config| Health::new(config.rise, config.fall).starting(config.init_state));
        let agent = server.agent.as_ref().map(|_| Health::new(1, 1));
        let mut standing = Standing::new(health, agent);
        if server.disabled {
            standing = standing.disabled();
        }
        if server.added {
            standing = standing.added();
        }
        let nameless = matches!(&server.address, proxy::ServerAddress::Host { .. });
        if server.added && nameless {
            // Until an operator says where it is.
            standing = standing.unresolved();
        }
        if server.resolve.as_ref().is_some_and(|resolve| resolve.unresolved) {
            standing = standing.unresolved();
        }
        let observer = server.observe.map(|(limit, how)| {
            Arc::new(Observer {
                errors: Mutex::new(Errors::new(limit, how)),
                tripped: Mutex::new(None),
                rung: Notify::new(),
            })
        });
        let up = !standing.admin().is_maint() && standing.operation() != Operation::Stopped;
        Self {
            watched: AtomicBool::new(false),
            standing: Mutex::new(standing),
            check: server.check.as_ref().map(|_| Watched::default()),
            agent: server.agent.as_ref().map(|_| Watched::default()),
            limits: server.check.as_ref().map(|config| (config.rise, config.fall)),
            failed: AtomicU64::new(0),
            requeued: AtomicU32::new(0),
            observer,
            sooner: Notify::new(),
            history: History::new(up),
        }
    }

    /// Whether nobody looks after it yet; from now on somebody does.
    pub(super) fn watch(&self) -> bool {
        !self.watched.swap(true, Relaxed)
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        *lock(&self.standing)
    }

    /// Lets something happen to it; what it did, and how it stands now.
    pub(super) fn handle(&self, event: Event) -> (Vec<Moved>, Standing) {
        let mut standing = lock(&self.standing);
        let moves = standing.handle(event);
        (moves, *standing)
    }

    fn watched(&self, by_agent: bool) -> Option<&Watched> {
        if by_agent { self.agent.as_ref() } else { self.check.as_ref() }
    }

    pub(super) fn begin_check(&self, by_agent: bool, runs: bool) {
        if let Some(watched) = self.watched(by_agent) {
            watched.running.store(runs, Relaxed);
        }
    }

    /// Notes what a check found; whether it ended otherwise than the last one.
    pub(super) fn found(&self, by_agent: bool, reason: &Reason) -> bool {
        let Some(watched) = self.watched(by_agent) else { return false };
        let before = std::mem::replace(&mut *lock(&watched.last), reason.clone());
        before.verdict.status != reason.verdict.status
    }

    pub(super) fn count_failure(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn changed(&self, now: Instant, up: bool, requeued: u32) {
        self.history.note(now, up);
        self.requeued.store(requeued, Relaxed);
    }

    pub(super) fn requeued(&self) -> u32 {
        self.requeued.load(Relaxed)
    }

    /// Checks that failed while the server was not fully down (`chkfail`).
    pub(crate) fn failed_checks(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// `rise` and `fall` of its check.
    pub(crate) fn limits(&self) -> Option<(u32, u32)> {
        self.limits
    }

    /// Its check, if it has one that runs.
    pub(crate) fn check(&self) -> Option<CheckView> {
        self.view(false)
    }

    /// Its agent, if it has one that runs.
    pub(crate) fn agent(&self) -> Option<CheckView> {
        self.view(true)
    }

    fn view(&self, by_agent: bool) -> Option<CheckView> {
        let watched = self.watched(by_agent)?;
        let standing = self.standing();
        let watch = if by_agent { standing.agent() } else { standing.check() };
        // Agents go on in maintenance: they may end it.
        let paused = standing.admin().is_maint() && !by_agent;
        let watch = watch.filter(|watch| watch.enabled && !paused)?;
        let last = lock(&watched.last);
        Some(CheckView {
            health: watch.health,
            last: last.verdict.clone(),
            duration: last.duration,
            running: watched.running.load(Relaxed),
        })
    }
}

/// When something went up and down.
#[derive(Debug)]
pub(crate) struct History {
    inner: Mutex<Course>,
}

#[derive(Debug)]
struct Course {
    up: bool,
    changed: Instant,
    downs: u64,
    down_for: Duration,
}

impl History {
    fn new(up: bool) -> Self {
        let course = Course { up, changed: Instant::ZERO, downs: 0, down_for: Duration::ZERO };
        Self { inner: Mutex::new(course) }
    }

    fn note(&self, now: Instant, up: bool) {
        let mut course = lock(&self.inner);
        if course.up == up {
            return;
        }
        if up {
            let down_for = now - course.changed;
            course.down_for += down_for;
        } else {
            course.downs += 1;
        }
        course.up = up;
        course.changed = now;
    }

    /// Whether it is up.
    pub(crate) fn is_up(&self) -> bool {
        lock(&self.inner).up
    }

    /// Time since the last change (`lastchg`).
    pub(crate) fn unchanged_for(&self, now: Instant) -> Duration {
        now - lock(&self.inner).changed
    }

    /// How often it went down (`chkdown`).
    pub(crate) fn downs(&self) -> u64 {
        lock(&self.inner).downs
    }

    /// For how long it was down in all (`downtime`).
    pub(crate) fn down_for(&self, now: Instant) -> Duration {
        let course = lock(&self.inner);
        let running = if course.up { Duration::ZERO } else { now - course.changed };
        course.down_for + running
    }
}
