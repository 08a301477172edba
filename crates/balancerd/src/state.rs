//! What changes while the process runs: connections, counters, queues, the state of servers.
//!
//! ```text
//!   Lasting            one for the life of a process: counters, the list of sessions, variables
//!      ▲    ▲
//!   Shared  Shared     one for each configuration that was served (a generation)
//!    │  │    │  │
//!    │  └─┬──┘  └──►   what is new in the second one
//!    ▼    ▼
//!  gone  kept by both: gates, traffic, pools, servers, found by name
//! ```
//!
//! A configuration never changes. A reload in place makes another [`Shared`] that keeps
//! what has the same name (`Shared::after`); sessions that are under way go on with the one they
//! began with, whose parts are the same, so every number stays one. Threads keep plain references:
//! a generation is never freed, it costs what it did not keep, and [`Lasting::kept_bytes`] says how
//! much that is in all. Counters are relaxed atomics: read one by one they are right, together only
//! almost.

mod balancer;
mod gate;
mod generation;
mod lasting;
mod pace;
mod registry;
mod traffic;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balance::{ServerId, State};
use proxy::{Cause, Config, Flavour, Running, ServerAddress};
use relay::{Limits, Target};

use crate::log::{Logger, Route};
use crate::resolver::follow::Awaited;
use crate::{bind, privilege};

pub use balancer::Balancer;
pub(crate) use gate::Door;
pub use gate::Gate;
pub(crate) use generation::positions;
pub use lasting::Lasting;
pub(crate) use pace::{Pace, Paces};
pub(crate) use registry::{About, IDLE, Registry};
pub use traffic::{Rate, Traffic};

/// Everything the threads of a process share while one configuration is served. What outlives it
/// is in [`Lasting`], and is used as if it were part of this.
#[derive(Debug)]
pub struct Shared {
    /// What is running.
    pub config: Running,
    /// As [`Running::frontends`].
    pub frontends: Vec<Arc<FrontendState>>,
    /// As [`Running::backends`].
    pub backends: Vec<Arc<BackendState>>,
    /// Where lines go.
    pub log: Arc<Logger>,
    /// Where those of the process itself go: the `log` lines of `global`.
    pub log_route: Route,
    /// nginx's variables.
    pub(crate) program: Arc<proxy::variable::Program>,
    /// The zones of `limit_conn`, as [`Process::limit_zones`](proxy::Process::limit_zones).
    pub(crate) limits: Vec<Arc<crate::limits::Zone>>,
    /// As [`Process::tables`](proxy::Process::tables).
    pub(crate) tables: Vec<Arc<::rules::tables::SharedTable>>,
    /// What TLS is spoken with.
    pub(crate) transport: crate::transport::Transport,
    /// Another configuration is served by now.
    retired: AtomicBool,
    lasting: Arc<Lasting>,
}

impl Deref for Shared {
    type Target = Lasting;

    fn deref(&self) -> &Lasting {
        &self.lasting
    }
}

impl Shared {
    /// The state of a process that is about to start. Names of servers are resolved here.
    ///
    /// # Errors
    ///
    /// The servers whose names have no address, as `backend/server` and the name.
    pub fn new(config: Config) -> Result<Self, Vec<Unresolved>> {
        let threads = bind::thread_count(&config.process);
        let maxconn = maxconn(&config.process, threads);
        let lasting = Arc::new(Lasting::new(threads, maxconn));
        let log = Arc::new(Logger::new(&config));
        generation::build(Running::from(config), lasting, log, None)
    }

    /// Sessions of this configuration are not to take up anything new: the process ends, or serves
    /// another configuration.
    pub(crate) fn is_draining(&self) -> bool {
        self.retired.load(Relaxed) || self.lasting.is_draining()
    }

    /// Another configuration is served from now on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// Whose manners the process has.
    pub fn is_nginx(&self) -> bool {
        self.config.flavour == Flavour::Nginx
    }

    /// Changes whether a server takes connections, as a health check or an operator says. Who waits
    /// for it is sent elsewhere, and who waits for any server is served.
    ///
    /// Returns how many waiting connections were moved.
    pub fn set_server_state(&self, backend: usize, server: usize, state: State) -> u32 {
        let now = self.clock.now();
        self.backends[backend]
            .balancer
            .change(|pool, wakes| pool.set_state(now, ServerId(server), state, wakes))
    }

    /// Ends the sessions of a backend, or of one server of it, with `cause` in their log line:
    /// `shutdown sessions`, `on-marked-down shutdown-sessions`. Returns how many.
    pub fn shutdown_sessions(&self, backend: usize, server: Option<usize>, cause: Cause) -> usize {
        let Some(backend) = self.backends.get(backend) else { return 0 };
        let id = match server.map(|server| backend.servers.get(server)) {
            Some(None) => return 0,
            Some(Some(server)) => Some(server.id),
            None => None,
        };
        self.end_sessions(backend.id, id, cause)
    }
}

/// A server whose name has no address.
#[derive(Clone, Debug)]
pub struct Unresolved {
    /// The `server` line.
    pub origin: proxy::Origin,
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// What was looked up.
    pub address: ServerAddress,
}

impl FrontendState {
    /// The timeouts of a session that goes to a backend.
    pub fn limits_to(&self, backend: usize) -> &Limits {
        self.other_limits.get(&backend).unwrap_or(&self.limits)
    }
}

/// Half of the open files, less what is needed besides connections: HAProxy's reckoning.
/// How many connections a process with so many threads takes.
pub(crate) fn maxconn(process: &proxy::Process, threads: usize) -> u32 {
    process.maxconn.unwrap_or_else(|| automatic_maxconn(threads, process.tuning.most_files))
}

fn automatic_maxconn(threads: usize, most_files: Option<u64>) -> u32 {
    let reserved = 50 + 10 * threads as u64;
    let files = privilege::open_files_limit().min(most_files.unwrap_or(u64::MAX));
    let files = files.saturating_sub(reserved);
    u32::try_from(files / 2).unwrap_or(u32::MAX).clamp(10, 2_000_000)
}

/// A frontend while it runs.
#[derive(Debug)]
pub struct FrontendState {
    /// No other frontend of the process ever has it.
    pub(crate) id: u32,
    /// Its connections against its `maxconn`.
    pub gate: Arc<Gate>,
    /// Its sessions a second against `rate-limit sessions`.
    pub(crate) pace: Arc<Pace>,
    /// Its counters.
    pub traffic: Arc<Traffic>,
    /// The timeouts of its sessions, the backend's included.
    pub limits: Limits,
    /// Those of sessions that go to another backend than the default one.
    pub other_limits: HashMap<usize, Limits>,
    /// Connections by listening socket, where there are several; they begin anew with each
    /// configuration.
    pub(crate) listeners: Box<[AtomicU32]>,
    /// The counters of each address with `option socket-stats`; none without.
    pub(crate) sockets: Vec<Arc<Traffic>>,
    /// Where its sessions are logged.
    pub log: Route,
    /// nginx: where their errors are.
    pub errors: Route,
    /// nginx: sessions that ended with a status of 2xx, 4xx and 5xx.
    pub(crate) statuses: Arc<[AtomicU64; 3]>,
    /// Lines it logged about sessions.
    pub(crate) lines: Arc<AtomicU64>,
    /// nginx: where its `access_log` lines go, as [`proxy::NginxServer::access_logs`].
    pub access: Vec<crate::log::AccessRoute>,
}

/// A backend while it runs.
#[derive(Debug)]
pub struct BackendState {
    /// What its sessions are found by; no other backend or server of the process ever has it.
    pub(crate) id: u32,
    /// Who is next, and who waits.
    pub balancer: Arc<Balancer>,
    /// Its servers, in the order of the file.
    pub servers: Arc<[Arc<ServerState>]>,
    /// Answers of name servers its servers depend on, while the first has not come.
    pub(crate) awaited: Arc<Awaited>,
    /// Its counters.
    pub traffic: Arc<Traffic>,
    /// Where changes of its servers are logged.
    pub log: Route,
    /// `fullconn` in force.
    pub fullconn: u32,
}

/// What an operator wants otherwise of the questions to an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentAt {
    /// Where it is.
    pub(crate) address: Option<IpAddr>,
    /// Its port.
    pub(crate) port: Option<u16>,
    /// What it is sent first.
    pub(crate) send: Option<Vec<u8>>,
}

/// A server while it runs. Whether it is up, its weight and its queue are the
/// [`Pool`](balance::Pool)'s to tell.
#[derive(Debug)]
pub struct ServerState {
    /// What its sessions are found by; no other backend or server of the process ever has it.
    pub(crate) id: u32,
    target: RwLock<Target>,
    /// Where an operator wants its checks to look instead: an address, a port.
    check_at: Mutex<(Option<IpAddr>, Option<u16>)>,
    /// What an operator made of the questions to its agent.
    agent: Mutex<Option<Box<AgentAt>>>,
    /// The host and port it has of a service's SRV records, if it fills a place of one.
    pub(crate) service: Mutex<Option<(String, u16)>>,
    /// Who looks at its sessions (`observe`), if somebody does.
    pub(crate) observer: std::sync::OnceLock<Arc<crate::health::Observer>>,
    /// Its counters.
    pub traffic: Arc<Traffic>,
}

impl ServerState {
    /// A server at an address.
    pub(crate) fn new(id: u32, target: Target) -> Self {
        let (observer, check_at) = (std::sync::OnceLock::new(), Mutex::default());
        let (target, service) = (RwLock::new(target), Mutex::default());
        let agent = Mutex::default();
        Self { id, target, check_at, agent, service, observer, traffic: Arc::default() }
    }

    /// Where it is now: a name server or an operator may move it.
    pub fn target(&self) -> Target {
        self.target.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its checks look there from now on; `None` keeps what is.
    pub(crate) fn check_at(&self, address: Option<IpAddr>, port: Option<u16>) {
        let mut place = lock(&self.check_at);
        *place = (address.or(place.0), port.or(place.1));
    }

    /// Where an operator wants its checks to look in place of what is configured.
    pub(crate) fn checked_at(&self) -> (Option<IpAddr>, Option<u16>) {
        *lock(&self.check_at)
    }

    /// Its agent is asked otherwise from now on; `None` keeps what is.
    pub(crate) fn ask_at(&self, other: AgentAt) {
        let mut agent = lock(&self.agent);
        let now = agent.get_or_insert_default();
        now.address = other.address.or(now.address);
        now.port = other.port.or(now.port);
        now.send = other.send.or_else(|| now.send.take());
    }

    /// Its agent as an operator wants it.
    pub(crate) fn agent_of(&self, configured: &check::Agent) -> check::Agent {
        let mut agent = configured.clone();
        if let Some(other) = &*lock(&self.agent) {
            agent.addr = other.address.or(agent.addr);
            agent.port = other.port.unwrap_or(agent.port);
            if let Some(send) = &other.send {
                agent.send.clone_from(send);
            }
        }
        agent
    }

    /// New connections go there from now on; those there are stay. Returns where it was.
    pub fn move_to(&self, target: Target) -> Target {
        std::mem::replace(&mut *self.target.write().unwrap_or_else(PoisonError::into_inner), target)
    }
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Locks; a panic elsewhere is no reason to stop serving.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
