//! What checks found out, for the runtime API to show.

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use check::{Action, Change, Health, Probe, Reason, Verdict, Verify};
use machine::Instant;
use proxy::{Backend, Running, Server};
use tls::Connector;

use crate::state::lock;

/// The health of all servers.
#[derive(Debug)]
pub(crate) struct Board {
    /// As [`Running::backends`].
    pub(crate) backends: Vec<BackendRecord>,
    /// What verifies certificates, read while the process could still read it.
    connectors: Vec<(Verify, Connector)>,
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
        let backends = config.backends.iter().map(|backend| BackendRecord::new(backend)).collect();
        Ok(Self { backends, connectors })
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
    pub(crate) servers: Vec<ServerRecord>,
    /// When it went up and down.
    pub(crate) history: History,
}

impl BackendRecord {
    fn new(backend: &Backend) -> Self {
        let servers: Vec<ServerRecord> = backend.servers.iter().map(ServerRecord::new).collect();
        let up = backend.servers.iter().any(|server| !server.disabled && server.weight > 0);
        Self { servers, history: History::new(up || backend.servers.is_empty()) }
    }

    pub(super) fn follow(&self, now: Instant, up: bool) {
        self.history.note(now, up);
    }
}

/// One server.
#[derive(Debug)]
pub(crate) struct ServerRecord {
    check: Option<Mutex<Check>>,
    limits: Option<(u32, u32)>,
    running: AtomicBool,
    failed: AtomicU64,
    requeued: AtomicU32,
    /// When it went up and down.
    pub(crate) history: History,
}

#[derive(Debug)]
struct Check {
    health: Health,
    last: Reason,
}

/// What a check changed.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) change: Change,
    /// Whether `option log-health-checks` has a line for it.
    pub(super) reported: bool,
    pub(super) health: Health,
    pub(super) reason: Reason,
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
        let check = server.check.as_ref().filter(|_| !server.disabled).map(|config| {
            let health = Health::new(config.rise, config.fall);
            Mutex::new(Check { health, last: Reason::default() })
        });
        Self {
            limits: server.check.as_ref().map(|config| (config.rise, config.fall)),
            check,
            running: AtomicBool::new(false),
            failed: AtomicU64::new(0),
            requeued: AtomicU32::new(0),
            history: History::new(!server.disabled),
        }
    }

    pub(super) fn begin_check(&self) {
        self.running.store(true, Relaxed);
    }

    pub(super) fn note(&self, reason: Reason) -> Noted {
        self.running.store(false, Relaxed);
        let passed = reason.verdict.status.passed();
        let Some(check) = &self.check else {
            let health = Health::new(1, 1);
            return Noted { change: Change::None, reported: false, health, reason };
        };
        let mut check = lock(check);
        let change = check.health.note(passed);
        if !passed && change != Change::None {
            self.failed.fetch_add(1, Relaxed);
        }
        let reported = change != Change::None || check.last.verdict.status != reason.verdict.status;
        check.last = reason.clone();
        Noted { change, reported, health: check.health, reason }
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

    /// Its check, if it has one.
    pub(crate) fn check(&self) -> Option<CheckView> {
        let check = lock(self.check.as_ref()?);
        Some(CheckView {
            health: check.health,
            last: check.last.verdict.clone(),
            duration: check.last.duration,
            running: self.running.load(Relaxed),
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
