//! Peers: processes that share stick tables, over HAProxy's protocol.
//!
//! ```text
//!             ┌ a connection to each peer, or the one it opened: the last one counts
//!   Section ──┤
//!             └ on the way out: one to our own address, where the next process listens
//! ```
//!
//! What is said is decided in [`stick::peers`]; here are the sockets. All of it lives on the thread
//! that looks after the process.

mod show;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, SystemTime};

use proxy::{BindAddress, PeersSection, Process};
use relay::timer;
use rules::tables::SharedTable;
use stick::peers::{Heard, Hello, Session, Status, Store};
use stick::{Config, Table, Update};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::worker::Stage;

pub(crate) use show::show;

/// How long a greeting may take, and how long is waited after a connect that failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this time without anybody who could tell more, what is known is all there is.
const LONELY: Duration = Duration::from_secs(5);
/// How often a process that goes looks for the next one.
const LOOKS: u32 = 5;

/// The `peers` sections of a process.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    sections: Vec<Arc<Section>>,
}

/// One section while it runs.
#[derive(Debug)]
struct Section {
    name: String,
    own: String,
    group: Group,
    /// Nobody knows more than we do.
    complete: AtomicBool,
    remotes: Vec<Remote>,
    /// The next process has been told all, or there is none.
    handed_over: watch::Sender<bool>,
}

/// The tables of a section.
#[derive(Debug)]
struct Group(Vec<(String, Arc<SharedTable>)>);

impl Store for Group {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, table: usize) -> &str {
        &self.0[table].0
    }

    fn config(&self, table: usize) -> &Config {
        self.0[table].1.config()
    }

    fn with(&self, table: usize, act: &mut dyn FnMut(&mut Table)) {
        self.0[table].1.with(|entries, _| act(entries));
    }
}

/// A peer.
#[derive(Debug)]
struct Remote {
    name: String,
    address: Option<SocketAddr>,
    /// It is this process, or the one before or after it.
    local: bool,
    /// Counts connections: each ends when it is not the last one any more.
    latest: watch::Sender<u64>,
    open: AtomicU32,
    acknowledged: Mutex<Vec<Update>>,
    seen: Mutex<Seen>,
}

/// What `show peers` tells of a peer.
#[derive(Clone, Debug, Default)]
struct Seen {
    status: &'static str,
    /// When it was greeted.
    greeted: Option<SystemTime>,
    connects: u32,
    errors: u32,
    /// By table: last change sent, acknowledged, and heard.
    progress: Vec<(Update, Update, u32)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Binds where peers are waited for, in the order of the sections.
///
/// # Errors
///
/// What HAProxy says of an address that cannot be bound.
pub(crate) fn bind(process: &Process) -> io::Result<Vec<Option<std::net::TcpListener>>> {
    process.peers.iter().map(|section| address(section).map(listen).transpose()).collect()
}

fn address(section: &PeersSection) -> Option<SocketAddr> {
    if let Some(bind) = &section.bind {
        return match &bind.address {
            BindAddress::Inet(address) => Some(*address),
            _ => None,
        };
    }
    section.peers.get(section.local)?.address
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // The next process binds while this one still listens.
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    let told = |error: io::Error| {
        let why = crate::bind::reason(&error);
        io::Error::new(error.kind(), format!("cannot bind peers at {address} ({why})"))
    };
    socket.bind(&address.into()).map_err(told)?;
    socket.listen(64)?;
    Ok(socket.into())
}

/// Starts all sections. Runs in a [`LocalSet`](tokio::task::LocalSet).
pub(crate) fn start(
    process: &Process,
    tables: &[Arc<SharedTable>],
    listeners: Vec<Option<std::net::TcpListener>>,
    stage: &watch::Receiver<Stage>,
) -> Arc<Peers> {
    let mut sections = Vec::new();
    let mut listeners = listeners.into_iter();
    for (at, config) in process.peers.iter().enumerate() {
        let shared = process.tables.iter().zip(tables).filter(|(table, _)| table.peers == Some(at));
        let group: Vec<_> = shared
            .map(|(config, table)| {
                table.share();
                (config.shared_name.clone(), Arc::clone(table))
            })
            .collect();
        let remotes = config.peers.iter().enumerate().map(|(peer, config_of_peer)| Remote {
            name: config_of_peer.name.clone(),
            address: config_of_peer.address,
            local: peer == config.local,
            latest: watch::channel(0).0,
            open: AtomicU32::new(0),
            acknowledged: Mutex::default(),
            seen: Mutex::new(Seen { status: "NONE", ..Seen::default() }),
        });
        let section = Arc::new(Section {
            name: config.name.clone(),
            own: config.peers[config.local].name.clone(),
            group: Group(group),
            complete: AtomicBool::new(false),
            remotes: remotes.collect(),
            handed_over: watch::channel(false).0,
        });
        let listener = listeners.next().flatten();
        tokio::task::spawn_local(run(
            Arc::clone(&section),
            listener,
            stage.clone(),
            address(config),
        ));
        sections.push(section);
    }
    Arc::new(Peers { sections })
}

impl Peers {
    /// Waits until the next process knows all, or it is clear that there is none.
    pub(crate) async fn settled(&self) {
        for section in &self.sections {
            let mut told = section.handed_over.subscribe();
            // Not for ever.
            let _ = timeout(PATIENCE, told.wait_for(|done| *done)).await;
        }
    }
}

async fn run(
    section: Arc<Section>,
    listener: Option<std::net::TcpListener>,
    mut stage: watch::Receiver<Stage>,
    own: Option<SocketAddr>,
) {
    let tasks = tokio::task::LocalSet::new();
    let living = Arc::clone(&section);
    tasks.spawn_local(async move {
        sleep(LONELY).await;
        living.complete.store(true, Relaxed);
    });
    if let Some(listener) = listener.and_then(|listener| TcpListener::from_std(listener).ok()) {
        let section = Arc::clone(&section);
        tasks.spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::task::spawn_local(answer(Arc::clone(&section), stream));
                    }
                    // Out of descriptors: others may be given back.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        });
    }
    for at in 0..section.remotes.len() {
        if !section.remotes[at].local && section.remotes[at].address.is_some() {
            tasks.spawn_local(keep_calling(Arc::clone(&section), at));
        }
    }
    tasks
        .run_until(async {
            // One that is gone has nothing more to say.
            let _ = stage.wait_for(|stage| *stage != Stage::Serving).await;
        })
        .await;
    // The next process takes the connections over, and listens alone.
    drop(tasks);
    if let Some(own) = own {
        hand_over(&section, own).await;
    }
    section.handed_over.send_replace(true);
}

/// Calls a peer whenever there is no connection with it.
async fn keep_calling(section: Arc<Section>, at: usize) {
    let remote = &section.remotes[at];
    let mut latest = remote.latest.subscribe();
    loop {
        // It may have called.
        while remote.open.load(Relaxed) > 0 {
            let _ = timeout(PATIENCE, latest.changed()).await;
        }
        let Some(address) = remote.address else { return };
        let pause = match call(&section, remote, address).await {
            Ok((stream, rest)) => {
                converse(&section, remote, stream, rest).await;
                // At once both would call at the same time for ever.
                Duration::from_millis(fastrand::u64(50..2_050))
            }
            Err(_) => PATIENCE,
        };
        sleep(pause).await;
    }
}

/// Connects and greets; the connection and what the other has said already.
async fn call(
    section: &Section,
    remote: &Remote,
    address: SocketAddr,
) -> io::Result<(TcpStream, Vec<u8>)> {
    {
        let mut seen = lock(&remote.seen);
        (seen.status, seen.connects) = ("CONN", seen.connects.saturating_add(1));
    }
    let failed = |_: &io::Error| lock(&remote.seen).status = "NONE";
    let greet = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let hello = Hello { to: remote.name.clone(), from: section.own.clone() };
        write_all(&stream, hello.text(std::process::id()).as_bytes()).await?;
        let mut heard = Vec::new();
        loop {
            if let Some((status, length)) = Status::parse(&heard) {
                heard.drain(..length);
                return match status {
                    Status::Welcome => Ok((stream, heard)),
                    _ => {
                        let mut seen = lock(&remote.seen);
                        seen.status = label(status);
                        Err(io::ErrorKind::ConnectionRefused.into())
                    }
                };
            }
            if read(&stream, &mut heard).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    let greeted =
        timeout(PATIENCE, greet).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    greeted.inspect_err(failed)
}

const fn label(status: Status) -> &'static str {
    match status {
        Status::Welcome => "ESTA",
        Status::Later => "RETR",
        Status::NotUnderstood => "PROT",
        Status::OtherVersion => "VERS",
        Status::NotMe => "NAME",
        Status::NotKnown => "UNKN",
    }
}

/// A peer that called.
async fn answer(section: Arc<Section>, stream: TcpStream) {
    let mut heard = Vec::new();
    let greeting = async {
        loop {
            match Hello::parse(&heard) {
                Err(status) => return Err(status),
                Ok(Some((hello, length))) => {
                    heard.drain(..length);
                    return Ok(hello);
                }
                Ok(None) => {}
            }
            if !matches!(read(&stream, &mut heard).await, Ok(1..)) {
                return Err(Status::NotUnderstood);
            }
        }
    };
    let Ok(greeting) = timeout(PATIENCE, greeting).await else { return };
    let found = greeting.and_then(|hello| {
        if hello.to != section.own {
            return Err(Status::NotMe);
        }
        let known = section.remotes.iter().find(|remote| remote.name == hello.from);
        known.ok_or(Status::NotKnown)
    });
    let status = found.as_ref().map_or_else(|status| *status, |_| Status::Welcome);
    let _ = stream.set_nodelay(true);
    let said = write_all(&stream, format!("{}\n", status.code()).as_bytes()).await;
    if let (Ok(remote), Ok(())) = (found, said) {
        converse(&section, remote, stream, heard).await;
    }
}

/// Talks until the connection ends, or a later one takes its place.
async fn converse(section: &Section, remote: &Remote, stream: TcpStream, first: Vec<u8>) {
    let mut number = 0;
    remote.latest.send_modify(|latest| {
        *latest += 1;
        number = *latest;
    });
    remote.open.fetch_add(1, Relaxed);
    let mut latest = remote.latest.subscribe();
    {
        let mut seen = lock(&remote.seen);
        (seen.status, seen.greeted) = ("ESTA", Some(SystemTime::now()));
    }
    let ask = !section.complete.load(Relaxed);
    let acknowledged = lock(&remote.acknowledged).clone();
    let mut session = Session::new(timer::now(), &acknowledged, section.group.count(), ask);
    let talk = talk(section, remote, &mut session, &stream, first);
    tokio::select! {
        ended = talk => {
            if ended.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
                lock(&remote.seen).errors += 1;
            }
        }
        _ = latest.wait_for(|latest| *latest != number) => {}
    }
    *lock(&remote.acknowledged) = session.acknowledged();
    if remote.open.fetch_sub(1, Relaxed) == 1 {
        lock(&remote.seen).status = "NONE";
    }
    remote.latest.send_modify(|_| ());
}

/// Rings when a table changes.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

async fn talk(
    section: &Section,
    remote: &Remote,
    session: &mut Session,
    stream: &TcpStream,
    first: Vec<u8>,
) -> io::Result<()> {
    let group = &section.group;
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(Arc::clone(&bell));
    let mut out = Vec::new();
    let mut heard = first;
    loop {
        let wrong = !heard.is_empty()
            && session.receive(timer::now(), &std::mem::take(&mut heard), group).is_err();
        for what in session.heard() {
            match what {
                Heard::Taught => section.complete.store(true, Relaxed),
                Heard::Confirmed if remote.local => return Ok(()),
                Heard::Confirmed | Heard::TaughtPartly => {}
            }
        }
        for (_, table) in &group.0 {
            table.wake_at_change(&waker);
        }
        let now = timer::now();
        if session.is_dead(now) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if out.len() < MOST_UNSENT {
            session.send(now, section.complete.load(Relaxed), group, &mut out);
        }
        match stream.try_write(&out) {
            Ok(sent) => drop(out.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || out.is_empty() => {}
            Err(error) => return Err(error),
        }
        if wrong {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let progress = (0..group.count()).filter_map(|at| session.progress(at)).collect();
        lock(&remote.seen).progress = progress;
        let more = session.has_more(group);
        let due = Duration::from_millis(session.deadline().saturating_sub(now).max(1));
        tokio::select! {
            read = read(stream, &mut heard) => if read? == 0 { return Ok(()) },
            ready = stream.writable(), if !out.is_empty() || more => ready?,
            () = bell.0.notified(), if out.is_empty() => {}
            () = sleep(due) => {}
        }
    }
}

/// Nothing more is prepared while so much waits to be sent.
const MOST_UNSENT: usize = 64 * 1024;

/// Reads what there is, and waits for it.
async fn read(stream: &TcpStream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4 * 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(length) => {
                into.extend_from_slice(&buffer[..length]);
                return Ok(length);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells the next process, which listens where we did, all there is.
async fn hand_over(section: &Section, mut own: SocketAddr) {
    if own.ip().is_unspecified() {
        let loopback: std::net::IpAddr = match own {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        own.set_ip(loopback);
    }
    let Some(remote) = section.remotes.iter().find(|remote| remote.local) else { return };
    // We are the one that knows.
    section.complete.store(true, Relaxed);
    for _ in 0..LOOKS {
        if let Ok((stream, rest)) = call(section, remote, own).await {
            converse(section, remote, stream, rest).await;
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
