//! What changes while the process runs: connections, counters, queues, the state of servers.
//!
//! The configuration never changes; all of this exists once per process and is shared by its
//! threads. Counters are relaxed atomics: read one by one they are right, together only almost.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balance::{Pool, ServerId, State, Ticket, Wake};
use daemon::clock::Clock;
use proxy::{Backend, BackendIndex, Cause, Config, Flavour, Frontend, ServerAddress, SwitchTarget};
use relay::{Limits, Target};
use slab::Slab;

use crate::log::{Logger, Route};
use crate::{bind, privilege};

/// Everything the threads of a process share. There is one for the life of a process.
#[derive(Debug)]
pub struct Shared {
    /// What is running.
    pub config: Config,
    /// The time balancing and checks go by.
    pub clock: Clock,
    /// When the process started.
    pub started: SystemTime,
    /// Connections of the whole process.
    pub process: Gate,
    /// Sessions since the start, of all frontends.
    pub sessions: AtomicU64,
    /// Session starts per second, of all frontends.
    pub rate: Rate,
    /// nginx's number of the next connection, `*1` in its log.
    pub connection_number: AtomicU64,
    /// As [`Config::frontends`].
    pub frontends: Vec<FrontendState>,
    /// As [`Config::backends`].
    pub backends: Vec<BackendState>,
    /// Where lines go.
    pub log: Logger,
    /// Where those of the process itself go: the `log` lines of `global`.
    pub log_route: Route,
    /// nginx's variables.
    pub(crate) program: proxy::variable::Program,
    /// HAProxy's variables of the process.
    pub(crate) variables: ::rules::record::Process,
    /// The zones of `limit_conn`, as [`Process::limit_zones`](proxy::Process::limit_zones).
    pub(crate) limits: Vec<crate::limits::Zone>,
    /// No new connections are taken: those that only wait for another request may go.
    pub(crate) draining: std::sync::atomic::AtomicBool,
    /// Requests answered without a server: `stub_status` counts them.
    pub requests: AtomicU64,
    /// Sessions of datagrams that ended because newer ones needed their room.
    pub datagram_sessions_cut: AtomicU64,
    /// Names that were looked up for clients.
    pub(crate) known: crate::resolve::Known,
    /// Sessions by thread.
    pub(crate) threads: Vec<Registry>,
    kills: AtomicU32,
}

impl Shared {
    /// The state of a process that is about to start. Names of servers are resolved here.
    ///
    /// # Errors
    ///
    /// The servers whose names have no address, as `backend/server` and the name.
    pub fn new(config: Config) -> Result<Self, Vec<Unresolved>> {
        let threads = bind::thread_count(config.process.threads);
        let maxconn = config.process.maxconn.unwrap_or_else(|| automatic_maxconn(threads));
        let log = Logger::new(&config);
        let mut unresolved = Vec::new();
        let mut backends: Vec<BackendState> = Vec::new();
        for (index, backend) in config.backends.iter().enumerate() {
            let reach: u32 = config
                .frontends
                .iter()
                .filter(|frontend| reaches(frontend, BackendIndex(index)))
                .map(|frontend| frontend.maxconn.unwrap_or(maxconn))
                .fold(0, u32::saturating_add);
            let shared = backend
                .shares_servers_with
                .and_then(|BackendIndex(other)| backends.get(other))
                .map(|other| (Arc::clone(&other.balancer), Arc::clone(&other.servers)));
            let (balancer, servers) = shared.unwrap_or_else(|| {
                let seed = fastrand::u64(..);
                let servers = backend.servers.iter().map(proxy::Server::pool_config);
                let pool = Pool::new(backend.pool_config(reach, seed), servers);
                let states = backend.servers.iter().map(|server| {
                    let target = target(&server.address);
                    if target.is_none() {
                        unresolved.push(Unresolved {
                            origin: server.origin.clone(),
                            backend: backend.name.clone(),
                            server: server.name.clone(),
                            address: server.address.clone(),
                        });
                    }
                    let nowhere = || Target::Inet(SocketAddr::from(([0, 0, 0, 0], 0)));
                    ServerState::new(target.unwrap_or_else(nowhere))
                });
                (Arc::new(Balancer::new(pool)), states.collect())
            });
            backends.push(BackendState {
                balancer,
                servers,
                traffic: Traffic::default(),
                log: log.route(&backend.log, None),
                fullconn: backend.pool_config(reach, 0).fullconn,
            });
        }
        if !unresolved.is_empty() {
            return Err(unresolved);
        }
        let frontends = config
            .frontends
            .iter()
            .map(|frontend| FrontendState {
                gate: Gate::new(frontend.maxconn.unwrap_or(maxconn)),
                traffic: Traffic::default(),
                limits: limits(frontend, config.backend_of(frontend)),
                other_limits: dynamic(frontend)
                    .chain(switched(frontend, config.backends.len()))
                    .filter_map(|index| {
                        let backend = config.backends.get(index)?;
                        Some((index, limits(frontend, Some(backend))))
                    })
                    .collect(),
                log: log.route(&frontend.log.targets, frontend.log.tag.as_deref()),
                lines: AtomicU64::new(0),
                access: frontend
                    .nginx
                    .iter()
                    .flat_map(|nginx| &nginx.access_logs)
                    .map(|one| log.access_route(one))
                    .collect(),
                errors: log.error_route(if frontend.error_log.is_empty() {
                    &config.process.error_log
                } else {
                    &frontend.error_log
                }),
            })
            .collect();
        Ok(Self {
            clock: Clock::start(),
            started: SystemTime::now(),
            process: Gate::new(maxconn),
            sessions: AtomicU64::new(0),
            rate: Rate::default(),
            connection_number: AtomicU64::new(1),
            frontends,
            backends,
            log_route: log.route(&config.process.log, None),
            log,
            // The dialect has looked at every pattern.
            program: proxy::variable::Program::new(&config.process.variables).unwrap_or_default(),
            draining: std::sync::atomic::AtomicBool::new(false),
            requests: AtomicU64::new(0),
            datagram_sessions_cut: AtomicU64::new(0),
            known: crate::resolve::Known::default(),
            variables: ::rules::record::Process::default(),
            limits: config.process.limit_zones.iter().map(crate::limits::Zone::new).collect(),
            threads: (0..threads).map(|_| Registry::default()).collect(),
            kills: AtomicU32::new(0),
            config,
        })
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
        let matches = |live: &Live| {
            live.backend as usize == backend
                && server.is_none_or(|server| live.server as usize == server)
        };
        let mut ended = 0;
        for registry in &self.threads {
            for (_, live) in lock(&registry.sessions).iter_mut().filter(|(_, live)| matches(live)) {
                live.kill = Some(cause);
                ended += 1;
            }
        }
        self.kills.fetch_add(1, Relaxed);
        // After the count, so that nobody who is woken misses it.
        for registry in &self.threads {
            for (_, live) in lock(&registry.sessions).iter().filter(|(_, live)| live.kill.is_some())
            {
                if let Some(waker) = &live.waker {
                    waker.wake_by_ref();
                }
            }
        }
        ended
    }

    /// How often [`shutdown_sessions`](Self::shutdown_sessions) was called: a session looks for its
    /// own name only when this changed.
    pub(crate) fn kills(&self) -> u32 {
        self.kills.load(Relaxed)
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

fn target(address: &ServerAddress) -> Option<Target> {
    match address {
        ServerAddress::Unix(path) => Some(Target::Unix(path.clone())),
        ServerAddress::Host { name, port, resolved: None } => {
            let mut found =
                std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), *port)).ok()?;
            found.next().map(Target::Inet)
        }
        known => known.socket().map(Target::Inet),
    }
}

/// Whether a frontend names a backend. One whose name a format makes does not count.
fn reaches(frontend: &Frontend, backend: BackendIndex) -> bool {
    let rules = frontend.rules.as_deref().map_or(&[][..], |rules| &rules.switching);
    frontend.default_backend == Some(backend)
        || rules.iter().any(|rule| rule.target == SwitchTarget::Backend(backend))
}

/// The backends `use_backend` rules may send sessions to.
fn switched(frontend: &Frontend, all: usize) -> impl Iterator<Item = usize> {
    let rules = frontend.rules.as_deref().map_or(&[][..], |rules| &rules.switching);
    let any = rules.iter().any(|rule| matches!(rule.target, SwitchTarget::Named(_)));
    let fixed = rules.iter().filter_map(|rule| match rule.target {
        SwitchTarget::Backend(BackendIndex(index)) => Some(index),
        SwitchTarget::Named(_) => None,
    });
    (0..if any { all } else { 0 }).chain(fixed)
}

/// The backends a frontend may send sessions to besides its default one.
fn dynamic(frontend: &Frontend) -> impl Iterator<Item = usize> {
    let content = frontend.nginx.as_deref().map(|nginx| &nginx.content);
    let (upstreams, other) = match content {
        Some(proxy::Content::Dynamic { upstreams, other, .. }) => {
            (upstreams.as_slice(), Some(other.0))
        }
        _ => (&[][..], None),
    };
    upstreams.iter().map(|(_, BackendIndex(index))| *index).chain(other)
}

impl FrontendState {
    /// The timeouts of a session that goes to a backend.
    pub fn limits_to(&self, backend: usize) -> &Limits {
        self.other_limits.get(&backend).unwrap_or(&self.limits)
    }
}

fn limits(frontend: &Frontend, backend: Option<&Backend>) -> Limits {
    let Some(backend) = backend else { return Limits::default() };
    Limits {
        client: frontend.client_timeout,
        server: backend.server_timeout,
        client_fin: frontend.client_fin_timeout,
        server_fin: backend.server_fin_timeout,
        tunnel: backend.tunnel_timeout,
        idle: backend.idle_timeout,
        close_both: backend.half_close == proxy::HalfClose::CloseBoth,
    }
}

/// Half of the open files, less what is needed besides connections: HAProxy's reckoning.
fn automatic_maxconn(threads: usize) -> u32 {
    let reserved = 50 + 10 * threads as u64;
    let files = privilege::open_files_limit().saturating_sub(reserved);
    u32::try_from(files / 2).unwrap_or(u32::MAX).clamp(10, 2_000_000)
}

/// A frontend while it runs.
#[derive(Debug)]
pub struct FrontendState {
    /// Its connections against its `maxconn`.
    pub gate: Gate,
    /// Its counters.
    pub traffic: Traffic,
    /// The timeouts of its sessions, the backend's included.
    pub limits: Limits,
    /// Those of sessions that go to another backend than the default one.
    pub other_limits: HashMap<usize, Limits>,
    /// Where its sessions are logged.
    pub log: Route,
    /// nginx: where their errors are.
    pub errors: Route,
    /// Lines it logged about sessions.
    pub(crate) lines: AtomicU64,
    /// nginx: where its `access_log` lines go, as [`proxy::NginxServer::access_logs`].
    pub access: Vec<crate::log::AccessRoute>,
}

/// A backend while it runs.
#[derive(Debug)]
pub struct BackendState {
    /// Who is next, and who waits.
    pub balancer: Arc<Balancer>,
    /// Its servers, in the order of the file.
    pub servers: Arc<[ServerState]>,
    /// Its counters.
    pub traffic: Traffic,
    /// Where changes of its servers are logged.
    pub log: Route,
    /// `fullconn` in force.
    pub fullconn: u32,
}

/// A server while it runs. Whether it is up, its weight and its queue are the
/// [`Pool`]'s to tell.
#[derive(Debug)]
pub struct ServerState {
    target: RwLock<Target>,
    /// Its counters.
    pub traffic: Traffic,
}

impl ServerState {
    /// A server at an address.
    pub fn new(target: Target) -> Self {
        Self { target: RwLock::new(target), traffic: Traffic::default() }
    }

    /// Where it is now: a name server or an operator may move it.
    pub fn target(&self) -> Target {
        self.target.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// New connections go there from now on; those there are stay. Returns where it was.
    pub fn move_to(&self, target: Target) -> Target {
        std::mem::replace(&mut *self.target.write().unwrap_or_else(PoisonError::into_inner), target)
    }
}

/// Counters of a frontend, a backend or a server.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Sessions now.
    pub current: AtomicU32,
    /// The most there were at a time.
    pub peak: AtomicU32,
    /// Sessions since the start.
    pub total: AtomicU64,
    /// Bytes from clients.
    pub bytes_in: AtomicU64,
    /// Bytes from servers.
    pub bytes_out: AtomicU64,
    /// Connects that failed for good (`econ`).
    pub connect_errors: AtomicU64,
    /// Servers that broke off (`eresp`, `srv_abrt`).
    pub server_aborts: AtomicU64,
    /// Clients that broke off (`cli_abrt`).
    pub client_aborts: AtomicU64,
    /// Connects that were repeated (`wretr`).
    pub retries: AtomicU64,
    /// Connects that went to another server (`wredis`).
    pub redispatches: AtomicU64,
    /// How often it was picked (`lbtot`).
    pub picked: AtomicU64,
    /// Seconds since 1970 of the last session, 0 if there was none (`lastsess`).
    pub last: AtomicU64,
    /// Session starts per second.
    pub rate: Rate,
    /// Milliseconds spent by the sessions that ended: in queues, connecting, in all.
    pub queue_time: AtomicU64,
    /// As above.
    pub connect_time: AtomicU64,
    /// As above.
    pub total_time: AtomicU64,
}

impl Traffic {
    pub(crate) fn begin(&self, second: u64) {
        let current = self.current.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(current, Relaxed);
        self.total.fetch_add(1, Relaxed);
        self.last.store(second, Relaxed);
        self.rate.count(second);
    }

    pub(crate) fn end(&self) {
        self.current.fetch_sub(1, Relaxed);
    }

    pub(crate) fn bytes(&self, from_client: u64, from_server: u64) {
        self.bytes_in.fetch_add(from_client, Relaxed);
        self.bytes_out.fetch_add(from_server, Relaxed);
    }
}

/// Events per second: of the running one, the one before, and the most.
#[derive(Debug, Default)]
pub struct Rate {
    second: AtomicU64,
    running: AtomicU32,
    before: AtomicU32,
    most: AtomicU32,
}

impl Rate {
    pub(crate) fn count(&self, second: u64) {
        let counted = self.second.load(Relaxed);
        if counted != second
            && self.second.compare_exchange(counted, second, Relaxed, Relaxed).is_ok()
        {
            let last = self.running.swap(0, Relaxed);
            self.before.store(if counted + 1 == second { last } else { 0 }, Relaxed);
        }
        let running = self.running.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(running, Relaxed);
    }

    /// Events in the last whole second or in the running one, whichever is more.
    pub fn now(&self) -> u32 {
        let second = unix_seconds();
        match second.checked_sub(self.second.load(Relaxed)) {
            Some(0) => self.running.load(Relaxed).max(self.before.load(Relaxed)),
            Some(1) => self.running.load(Relaxed),
            _ => 0,
        }
    }

    /// The most in any second.
    pub fn most(&self) -> u32 {
        self.most.load(Relaxed)
    }
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// A number of connections with a limit, and who waits for it to fall.
#[derive(Debug)]
pub struct Gate {
    current: AtomicU32,
    limit: AtomicU32,
    waiting: AtomicU32,
    wakers: Mutex<Vec<Waker>>,
}

impl Gate {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            current: AtomicU32::new(0),
            limit: AtomicU32::new(limit),
            waiting: AtomicU32::new(0),
            wakers: Mutex::default(),
        }
    }

    /// Connections now.
    pub fn current(&self) -> u32 {
        self.current.load(Relaxed)
    }

    /// The most there may be.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Ready when one more connection is allowed.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.current() < self.limit() {
            return Poll::Ready(());
        }
        let mut wakers = lock(&self.wakers);
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        self.waiting.store(1, SeqCst);
        drop(wakers);
        // Somebody may have left before the waker was there.
        if self.current.load(SeqCst) < self.limit() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Ready when there are no connections.
    pub(crate) fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if self.current() == 0 {
            return Poll::Ready(());
        }
        let mut wakers = lock(&self.wakers);
        wakers.push(cx.waker().clone());
        self.waiting.store(1, SeqCst);
        drop(wakers);
        if self.current.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(crate) fn enter(&self) -> u32 {
        self.current.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn leave(&self) {
        self.current.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) != 0 {
            let mut wakers = lock(&self.wakers);
            self.waiting.store(0, Relaxed);
            wakers.drain(..).for_each(Waker::wake);
        }
    }
}

/// A [`Pool`] and the sessions that wait for a slot in it.
#[derive(Debug)]
pub struct Balancer {
    inner: Mutex<Balancing>,
}

#[derive(Debug)]
struct Balancing {
    pool: Pool,
    waiting: HashMap<Ticket, Waiting>,
    wakes: Vec<Wake>,
}

#[derive(Debug)]
enum Waiting {
    Asleep(Option<Waker>),
    Woken(Wake),
}

impl Balancer {
    fn new(pool: Pool) -> Self {
        let inner = Balancing { pool, waiting: HashMap::new(), wakes: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    /// Looks at the pool.
    pub fn look<T>(&self, look: impl FnOnce(&Pool) -> T) -> T {
        look(&lock(&self.inner).pool)
    }

    /// Uses the pool in a way that wakes nobody.
    pub fn with<T>(&self, using: impl FnOnce(&mut Pool) -> T) -> T {
        using(&mut lock(&self.inner).pool)
    }

    /// Changes the pool and wakes whom it says; returns how many that were.
    pub fn change<T>(&self, change: impl FnOnce(&mut Pool, &mut Vec<Wake>) -> T) -> u32 {
        let mut inner = lock(&self.inner);
        let Balancing { pool, waiting, wakes } = &mut *inner;
        change(pool, wakes);
        let woken = wakes.len() as u32;
        for wake in wakes.drain(..) {
            let (Wake::Served { ticket, .. } | Wake::PickAgain { ticket }) = wake;
            let asleep = waiting.insert(ticket, Waiting::Woken(wake));
            if let Some(Waiting::Asleep(Some(waker))) = asleep {
                waker.wake();
            }
        }
        woken
    }

    /// Picks, and notes a ticket before its wake can come.
    pub(crate) fn pick(
        &self,
        now: machine::Instant,
        candidates: &mut balance::Candidates,
    ) -> balance::Choice {
        let mut inner = lock(&self.inner);
        let choice = inner.pool.pick(now, candidates);
        if let balance::Choice::Wait(ticket) = choice {
            inner.waiting.insert(ticket, Waiting::Asleep(None));
        }
        choice
    }

    /// Waits for the wake of a ticket.
    pub(crate) fn poll_wake(&self, ticket: Ticket, cx: &Context<'_>) -> Poll<Wake> {
        let mut inner = lock(&self.inner);
        match inner.waiting.get_mut(&ticket) {
            Some(Waiting::Asleep(waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(&mut Waiting::Woken(wake)) => {
                inner.waiting.remove(&ticket);
                Poll::Ready(wake)
            }
            // A ticket is asked for until its wake came, and not after.
            None => Poll::Ready(Wake::PickAgain { ticket }),
        }
    }

    /// Gives a ticket up; its places in the queues. A slot it was just given goes to the next.
    pub(crate) fn abandon(&self, now: machine::Instant, ticket: Ticket) -> (u32, u32) {
        let mut inner = lock(&self.inner);
        let waited = inner.waiting.remove(&ticket);
        match waited {
            Some(Waiting::Woken(Wake::Served { server, server_queue, pool_queue, .. })) => {
                drop(inner);
                self.change(|pool, wakes| pool.release(now, server, wakes));
                (server_queue, pool_queue)
            }
            Some(_) => inner.pool.abandon(ticket),
            None => (0, 0),
        }
    }
}

/// The sessions of one thread.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    sessions: Mutex<Slab<Live>>,
}

/// What others need to know of a session.
#[derive(Debug)]
struct Live {
    backend: u32,
    server: u32,
    kill: Option<Cause>,
    waker: Option<Waker>,
}

impl Registry {
    pub(crate) fn enter(&self, backend: u32, server: u32, waker: Waker) -> u32 {
        let live = Live { backend, server, kill: None, waker: Some(waker) };
        u32::try_from(lock(&self.sessions).insert(live)).unwrap_or(u32::MAX)
    }

    pub(crate) fn leave(&self, key: u32) {
        let _ = lock(&self.sessions).try_remove(key as usize);
    }

    pub(crate) fn killed(&self, key: u32) -> Option<Cause> {
        lock(&self.sessions).get(key as usize).and_then(|live| live.kill)
    }
}

/// Locks; a panic elsewhere is no reason to stop serving.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
