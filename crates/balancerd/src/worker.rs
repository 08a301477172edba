//! The process that serves connections: a thread with a runtime of its own per core, and one that
//! looks after them.
//!
//! ```text
//!   main thread, a tokio runtime        thread 0 … n-1, each in relay::block_on
//!   ────────────────────────────        ───────────────────────────────────────
//!   signals, drain, hard stop   watch   accept ─► Serve ─► Serve ─► …
//!   checks, stats sockets      ──────►  (datagrams: threads with tokio runtimes)
//!                               Shared: counters, pools, log
//! ```
//!
//! How a command line starts one (the same for both originals):
//!
//! 1. Read the configuration into a [`Config`].
//! 2. [`Listeners::bind`](crate::bind::Listeners::bind), with the sockets
//!    [inherited](crate::bind::inherited) from [`ENVIRONMENT`](crate::bind::ENVIRONMENT). Nothing
//!    has been started if it fails: print its errors and exit with 1.
//! 3. Write the pid file; go to the background *before* this point's next step, because
//! 4. [`run`] starts threads. It confines the process (`chroot`, `group`, `user`), calls
//!    [`Options::ready`] once clients are served, and returns when the process should exit.
//!
//! A master keeps its [`Listeners`] and starts each worker as a new process of the same program
//! ([`set_inheritable`](crate::bind::Listeners::set_inheritable),
//! [`environment`](crate::bind::Listeners::environment)). For a reload it reads the file again and
//! binds with [`try_clone`](crate::bind::Listeners::try_clone) as what is inherited: addresses that
//! stay keep their sockets, so no connection is refused or lost. Once the new worker is ready the
//! old one is told to drain: USR1 (HAProxy) or QUIT (nginx).

mod change;
mod posts;
mod renewal;

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;

use proxy::{Config, Flavour, Severity};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::bind::{Bound, Listeners};
use crate::health::Board;
use crate::privilege::{self, ConfineError};
use crate::state::{Door, Shared, Unresolved};
use crate::{control, outbound, peers, report};

pub(crate) use change::{Change, Changes};
use posts::{Renewal, Told};
pub(crate) use renewal::Order;

/// What a caller may choose.
pub struct Options {
    /// Called once when clients are served: the time for sd_notify and for telling a parent.
    pub ready: Box<dyn FnOnce()>,
    /// HAProxy in the foreground: what is logged about servers and proxies is shown on stderr too.
    pub foreground: bool,
    /// Whether signals are taken as the flavour says. HAProxy: USR1 drains, HUP shows the state of
    /// servers; TERM and INT end the process as they always do. nginx: QUIT drains, TERM and INT
    /// stop, USR1 reopens log files.
    pub signals: bool,
    /// Configurations to go over to, one after the other.
    pub(crate) orders: Option<mpsc::UnboundedReceiver<Order>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { ready: Box::new(|| ()), foreground: false, signals: true, orders: None }
    }
}

/// Why a process should exit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It was told to drain, and the last session has ended. Exit code 0.
    Drained,
    /// It was told to drain, and `hard-stop-after` or `worker_shutdown_timeout` ended the rest.
    /// Exit code 0.
    Cut,
    /// nginx: it was told to stop. Exit code 0.
    Stopped,
}

/// Why a process could not start. Exit code 1; each has the original's line in its variant's doc.
#[derive(Debug)]
pub enum StartError {
    /// Servers whose names have no address. HAProxy: `[FILE:LINE] : 'server b/s' : could not
    /// resolve address 'NAME'.` and `Failed to initialize server(s) addr.`; nginx: `host not found
    /// in upstream "NAME:PORT" in FILE:LINE`.
    Unresolved(Vec<Unresolved>),
    /// A log file. nginx: `open() "PATH" failed (2: No such file or directory)`.
    Log {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// `chroot`, `user` or `group`. HAProxy: `[haproxy.main()] ` and the error's own words.
    Confine(ConfineError),
    /// A thread or a runtime.
    System(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unresolved(servers) => {
                let names: Vec<_> =
                    servers.iter().map(|server| server.address.to_string()).collect();
                write!(f, "could not resolve {}", names.join(", "))
            }
            Self::Log { path, error } => {
                let number = error.raw_os_error().unwrap_or(0);
                let why = crate::bind::reason(error);
                write!(f, "open() \"{}\" failed ({number}: {why})", path.display())
            }
            Self::Confine(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// What the serving threads are to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    Serving,
    /// No new connections; those there are go on.
    Draining,
    Ending,
}

/// Serves until told to end. See the [module](self) for what comes before.
///
/// # Errors
///
/// When it could not start; nobody was served then.
pub fn run(config: Config, listeners: Listeners, options: Options) -> Result<Ended, StartError> {
    crate::reloads::open();
    let shared: &'static Shared =
        Box::leak(Box::new(Shared::new(config).map_err(StartError::Unresolved)?));
    if let Some((path, error)) = shared.log.problems().next() {
        let error = io::Error::new(error.kind(), error.to_string());
        return Err(StartError::Log { path: path.to_owned(), error });
    }
    let process = &shared.config.process;
    match process.nofile.filter(|_| shared.is_nginx()) {
        Some(each) => limit_files(shared, each),
        None => {
            let files = u64::from(shared.process.limit()) * 2 + 200;
            privilege::raise_open_files(process.nofile.unwrap_or(0).max(files));
        }
    }
    if let Some(bytes) = process.core_limit
        && let Err(error) = privilege::limit_core(bytes)
    {
        alert(
            shared,
            &format!("setrlimit(RLIMIT_CORE, {bytes}) failed ({})", nginx_conf::errno(&error)),
        );
    }
    if let Some(directory) = &process.working_directory {
        std::env::set_current_dir(directory).map_err(StartError::System)?;
    }
    let board: &'static Board = Box::leak(Box::new(
        Board::new(&shared.config).map_err(|error| StartError::System(io::Error::other(error)))?,
    ));
    for problem in crate::server_state::load(shared, board) {
        crate::cli_haproxy::say(conf::Severity::Warning, &problem);
    }
    outbound::open_networks(&shared.config).map_err(|(name, error)| {
        let error = io::Error::new(error.kind(), format!("Cannot open namespace '{name}'"));
        StartError::System(error)
    })?;
    let waiting = peers::bind(process).map_err(StartError::System)?;
    let foreign = |backend: &proxy::Backend| {
        backend.outbound.as_ref().is_some_and(|outbound| outbound.foreign.is_some())
    };
    let transparent =
        shared.is_nginx() && shared.config.backends.iter().any(|backend| foreign(backend));
    if let Some(nice) = process.niceness {
        linux::process::set_niceness(nice).map_err(StartError::System)?;
    }
    privilege::confine(process, transparent).map_err(StartError::Confine)?;
    let tuning = &process.tuning;
    if tuning.dumpable {
        linux::process::leave_core_files().map_err(StartError::System)?;
    }
    let most = if tuning.no_splice { 0 } else { tuning.pipes.unwrap_or(usize::MAX) };
    let capacity = tuning.pipe_size.and_then(|bytes| usize::try_from(bytes).ok());
    relay::limit_pipes(most, capacity);

    let Options { ready, foreground, signals, orders } = options;
    let flavour = shared.config.flavour;
    let runtime = runtime().map_err(StartError::System)?;
    runtime.block_on(async {
        // Before anybody can know that we are here, and ask us to go.
        let signals =
            if signals { Some(Signals::new(flavour).map_err(StartError::System)?) } else { None };
        let mut worker =
            Worker::start(shared, board, listeners.sockets).map_err(StartError::System)?;
        let control = tokio::task::LocalSet::new();
        control
            .run_until(async {
                let stage = worker.stage.subscribe();
                control::start(shared, board, listeners.stats, &stage, foreground);
                worker.followers = control::Followers::of(shared, board);
                let peers = peers::start(process, &shared.tables, waiting, &stage);
                let peers = shared.peers.get_or_init(|| peers);
                linux::pages::settle();
                ready();
                let ended = worker.until_told(foreground, signals, orders).await;
                if ended != Ended::Stopped {
                    peers.settled().await;
                }
                Ok(ended)
            })
            .await
    })
}

/// `worker_rlimit_nofile`: so many for each core, and what this process needs for itself.
fn limit_files(shared: &Shared, each: u64) {
    let cores = shared.threads.len() as u64;
    if let Err(error) = privilege::limit_open_files(each * cores, OWN_FILES + OWN_OF_CORE * cores) {
        let error = nginx_conf::errno(&error);
        alert(shared, &format!("setrlimit(RLIMIT_NOFILE, {each}) failed ({error})"));
    }
}

/// Descriptors a process opens for itself beside those it is started with, and for each core.
const OWN_FILES: u64 = 8;
const OWN_OF_CORE: u64 = 8;

/// A line about the whole process, as nginx has it.
fn alert(shared: &Shared, text: &str) {
    let route = shared.log.error_route(&shared.config.process.error_log);
    shared.log.send(&route, Severity::Alert, text);
}

/// The signals a worker is told by.
enum Signals {
    HaProxy {
        usr1: Signal,
        ttou: Signal,
        ttin: Signal,
        hup: Signal,
    },
    /// QUIT, TERM, INT, USR1.
    Nginx([Signal; 4]),
}

impl Signals {
    /// From here on none of them ends the process by itself. Runs in a runtime.
    fn new(flavour: Flavour) -> io::Result<Self> {
        if flavour == Flavour::HaProxy {
            // 2.6 ignores it in a process without master.
            drop(signal(SignalKind::user_defined2())?);
            let (usr1, hup) = (signal(SignalKind::user_defined1())?, signal(SignalKind::hangup())?);
            let (ttou, ttin) =
                (signal(SignalKind::from_raw(22))?, signal(SignalKind::from_raw(21))?);
            return Ok(Self::HaProxy { usr1, ttou, ttin, hup });
        }
        // For the master only.
        drop(signal(SignalKind::hangup())?);
        Ok(Self::Nginx([
            signal(SignalKind::quit())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::user_defined1())?,
        ]))
    }
}

/// What a signal means.
enum Wish {
    /// USR1, or nginx's QUIT.
    Drain,
    /// nginx's TERM and INT.
    Stop,
    /// HUP: the state of the servers.
    Show,
    /// TTOU pauses all frontends, TTIN lets them go on.
    Turn(Door),
    /// nginx's USR1: log files are opened anew.
    Reopen,
}

impl Signals {
    async fn next(&mut self) -> Wish {
        match self {
            Self::HaProxy { usr1, ttou, ttin, hup } => tokio::select! {
                _ = usr1.recv() => Wish::Drain,
                _ = ttou.recv() => Wish::Turn(Door::Paused),
                _ = ttin.recv() => Wish::Turn(Door::Open),
                _ = hup.recv() => Wish::Show,
            },
            Self::Nginx([quit, term, int, usr1]) => tokio::select! {
                _ = quit.recv() => Wish::Drain,
                _ = term.recv() => Wish::Stop,
                _ = int.recv() => Wish::Stop,
                _ = usr1.recv() => Wish::Reopen,
            },
        }
    }
}

/// `cpu-map`: a thread keeps to its processors; one that has none there goes where it is put.
fn keep_to(shared: &Shared, thread: u16) {
    let tuning = &shared.config.process.tuning;
    let Some((_, cpus)) = tuning.cpus.iter().find(|(known, _)| *known == thread + 1) else {
        return;
    };
    if let Err(error) = linux::sched::pin(cpus) {
        let text = format_args!("cpu-map: thread {} stays where it is: {error}", thread + 1);
        shared.log.send(&shared.log_route, Severity::Warning, text);
    }
}

/// The serving threads.
pub(crate) struct Worker {
    shared: &'static Shared,
    board: &'static Board,
    /// Who follows names and asks servers.
    followers: control::Followers,
    /// What each thread is told by, and whether it is one for datagrams.
    told: Vec<(bool, mpsc::UnboundedSender<Renewal>)>,
    /// What operators want changed.
    changes: mpsc::UnboundedReceiver<Change>,
    stage: watch::Sender<Stage>,
    /// Closed once every thread has stopped accepting.
    accepting: mpsc::Receiver<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread per core, each with its share of the listening sockets.
    pub(crate) fn start(
        shared: &'static Shared,
        board: &'static Board,
        sockets: Vec<Bound>,
    ) -> io::Result<Self> {
        shared.publish(board);
        let count = shared.threads.len();
        let (stage, _) = watch::channel(Stage::Serving);
        let (change, changes) = mpsc::unbounded_channel();
        // A process has one worker; in tests the first is asked.
        let _ = shared.changes.set(change);
        let (alive, accepting) = mpsc::channel(1);
        let udp = |one: &Bound| shared.config.frontends[one.frontend].binds[one.bind].udp;
        let shares = shares(sockets, count, udp)?;
        let (mut threads, mut told) = (Vec::new(), Vec::new());
        let mut tell = |datagrams| {
            let (renew, renewals) = mpsc::unbounded_channel();
            told.push((datagrams, renew));
            Told { stage: stage.subscribe(), renewals, alive: alive.clone() }
        };
        for (index, sockets) in shares.into_iter().enumerate() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let (datagrams, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().partition(udp);
            let builder = || thread::Builder::new().stack_size(256 * 1024);
            if !datagrams.is_empty() {
                let (told, runtime) = (tell(true), runtime()?);
                let serve = move || {
                    runtime.block_on(posts::serve_datagrams(shared, index, datagrams, told));
                };
                threads.push(builder().name(format!("datagrams {index}")).spawn(serve)?);
            }
            // What a session asks of the world besides its two sockets, as a name's addresses,
            // happens on the thread that looks after all.
            let outside = tokio::runtime::Handle::current();
            let told = tell(false);
            let serve = move || {
                let _outside = outside.enter();
                keep_to(shared, index);
                if let Err(error) = relay::block_on(posts::serve(shared, index, sockets, told)) {
                    let text = format_args!("cannot wait for connections: {error}");
                    shared.log.send(&shared.log_route, Severity::Alert, text);
                }
            };
            threads.push(builder().name(format!("worker {index}")).spawn(serve)?);
        }
        let followers = control::Followers::default();
        Ok(Self { shared, board, followers, told, changes, stage, accepting, threads })
    }

    async fn until_told(
        &mut self,
        foreground: bool,
        mut signals: Option<Signals>,
        mut orders: Option<mpsc::UnboundedReceiver<Order>>,
    ) -> Ended {
        let mut grace = None;
        loop {
            let over = async {
                match grace {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let order = async {
                match &mut orders {
                    Some(orders) => orders.recv().await,
                    None => std::future::pending().await,
                }
            };
            let signal = async {
                match &mut signals {
                    Some(signals) => signals.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                wish = signal => match wish {
                    Wish::Drain if grace.is_some() => {}
                    Wish::Drain => match self.shared.config.process.global.grace {
                        Some(time) if !time.is_zero() => {
                            report::grace(self.shared, foreground, time);
                            grace = Some(tokio::time::Instant::now() + time);
                        }
                        _ => return self.drain(foreground).await,
                    },
                    Wish::Stop => {
                        self.end();
                        return Ended::Stopped;
                    }
                    Wish::Turn(door) => report::all_turned(self.shared, door),
                    Wish::Show => report::servers(self.shared, foreground),
                    Wish::Reopen => self.shared.log.reopen(),
                },
                Some(change) = self.changes.recv() => self.change(change, foreground).await,
                () = over => {
                    report::grace_expired(self.shared, foreground);
                    return self.drain(foreground).await;
                }
                order = order => match order {
                    Some(order) => self.follow(order, foreground).await,
                    None => orders = None,
                },
            }
        }
    }

    /// Stops accepting, and waits for the sessions there are.
    pub(crate) async fn drain(&mut self, foreground: bool) -> Ended {
        self.shared.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        self.notice("gracefully shutting down");
        self.stage.send_replace(Stage::Draining);
        self.shared.end_idle();
        // Every thread lets go of its end once it does not accept any more.
        while self.accepting.recv().await.is_some() {}
        if self.shared.config.flavour == Flavour::HaProxy {
            report::stopped(self.shared, foreground);
        }
        let limit = self.shared.config.process.hard_stop_after;
        let empty = poll_fn(|cx| self.shared.process.poll_empty(cx));
        let in_time = match limit {
            Some(limit) => tokio::time::timeout(limit, empty).await.is_ok(),
            None => {
                empty.await;
                true
            }
        };
        self.end();
        if in_time { Ended::Drained } else { Ended::Cut }
    }

    /// What nginx's workers say of themselves.
    fn notice(&self, text: &str) {
        if self.shared.is_nginx() {
            let route = self.shared.log.error_route(&self.shared.config.process.error_log);
            self.shared.log.send(&route, Severity::Notice, text);
        }
    }

    /// Ends what is left and writes the last lines.
    pub(crate) fn end(&mut self) {
        self.stage.send_replace(Stage::Ending);
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
        self.notice("exiting");
        self.notice("exit");
        self.shared.log.flush();
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Deals the sockets of each address out to the threads; one that is alone is shared by all.
///
/// A socket of datagrams is one thread's: a client's sessions are in one place.
fn shares(
    sockets: Vec<Bound>,
    threads: usize,
    udp: impl Fn(&Bound) -> bool,
) -> io::Result<Vec<Vec<Bound>>> {
    let mut shares: Vec<Vec<Bound>> = (0..threads).map(|_| Vec::new()).collect();
    let mut groups: Vec<((usize, usize), Vec<OwnedFd>)> = Vec::new();
    let mut turn = 0;
    for socket in sockets {
        if udp(&socket) {
            shares[turn % threads].push(socket);
            turn += 1;
            continue;
        }
        let Bound { frontend, bind, fd } = socket;
        match groups.last_mut() {
            Some((key, fds)) if *key == (frontend, bind) => fds.push(fd),
            _ => groups.push(((frontend, bind), vec![fd])),
        }
    }
    for ((frontend, bind), mut fds) in groups {
        for at in fds.len()..threads {
            fds.push(fds[at % fds.len()].try_clone()?);
        }
        for (at, fd) in fds.into_iter().enumerate() {
            shares[at % threads].push(Bound { frontend, bind, fd });
        }
    }
    Ok(shares)
}

#[cfg(test)]
mod tests;
