//! What an SNMP master agent is told, by AgentX (RFC 2741): `KEEPALIVED-MIB`, `VRRP-MIB` (RFC 2787)
//! and `VRRPV3-MIB` (RFC 6527), as far as they are about VRRP.
//!
//! ```text
//!   snmpd ◄── stream ──► Agent ── agentx::Session
//!                          ▲ made when asked
//!                         View, at most once a second
//! ```
//!
//! Nothing waits for the master agent: an answer it does not take is dropped with the connection,
//! which is tried again every [`RETRY`].

mod keepalived_mib;
mod rfc_mibs;

use std::future::pending;
use std::io;
use std::time::Duration;

use agentx::{Broken, Oid, Session, Tree, Value};
use machine::Instant;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use vrrp::config::SnmpConfig;

pub(crate) use self::keepalived_mib::{group_changed, instance_changed};

/// A notification: which, and what it tells.
pub(crate) type Trap = (Oid, Vec<(Oid, Value)>);

use crate::view::View;

/// Between two attempts to reach the master agent, net-snmp's own interval.
const RETRY: Duration = Duration::from_secs(15);
/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How old an answer may be: a walk asks a question per value.
const FRESH: Duration = Duration::from_secs(1);
/// Octets of answers kept for a master agent that does not take them.
const MOST_UNSENT: usize = 256 << 10;
/// Where net-snmp listens.
const DEFAULT_SOCKET: &str = "/var/agentx/master";

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    async fn connect(address: &str) -> io::Result<Self> {
        let name = |rest: &str| rest.to_owned();
        match address.split_once(':') {
            Some(("unix", path)) => Ok(Self::Unix(UnixStream::connect(name(path)).await?)),
            Some(("tcp", place)) => Ok(Self::Tcp(TcpStream::connect(with_port(place)).await?)),
            None | Some(_) if address.starts_with('/') => {
                Ok(Self::Unix(UnixStream::connect(name(address)).await?))
            }
            None | Some(_) => Ok(Self::Tcp(TcpStream::connect(with_port(address)).await?)),
        }
    }

    async fn readable(&self) -> io::Result<()> {
        let ready = match self {
            Self::Unix(stream) => stream.ready(Interest::READABLE).await,
            Self::Tcp(stream) => stream.ready(Interest::READABLE).await,
        };
        ready.map(drop)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read(buffer),
            Self::Tcp(stream) => stream.try_read(buffer),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write(bytes),
            Self::Tcp(stream) => stream.try_write(bytes),
        }
    }
}

/// `place` with AgentX's port, 705, unless it names one (RFC 2741 §8.1.1).
fn with_port(place: &str) -> String {
    let place = if place.is_empty() { "localhost" } else { place };
    match place.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => place.to_owned(),
        _ if place.parse::<u16>().is_ok() => format!("localhost:{place}"),
        _ => format!("{place}:705"),
    }
}

/// What happened to the connection.
#[derive(Debug)]
pub(crate) enum AgentEvent {
    /// Something came, or can be written: call [`Agent::serve`].
    Ready,
    /// It is time to connect, and here is how that went.
    Connected(Connection),
}

/// A connection, or why there is none.
#[derive(Debug)]
pub(crate) struct Connection(io::Result<Stream>);

/// The daemon's end of the conversation with a master agent; nothing if none is configured.
#[derive(Debug)]
pub(crate) struct Agent {
    config: SnmpConfig,
    stream: Option<Stream>,
    /// Of this connection, or of the next: until it is open it keeps the notifications.
    session: Session,
    /// An attempt to connect, which goes on whatever else happens.
    connecting: Option<JoinHandle<io::Result<Stream>>>,
    unsent: Vec<u8>,
    /// What was last told, and when it was made.
    made: Option<(Instant, Tree)>,
    retry_at: Instant,
    /// That there is nobody has been logged.
    missed: bool,
}

/// A line for the log, if there is something to say.
pub(crate) type Said = Option<String>;

impl Agent {
    pub(crate) fn new(config: &SnmpConfig) -> Self {
        Self {
            config: config.clone(),
            stream: None,
            session: session(config),
            connecting: None,
            unsent: Vec::new(),
            made: None,
            retry_at: Instant::ZERO,
            missed: false,
        }
    }

    /// Goes on under another configuration.
    pub(crate) fn reconfigure(&mut self, config: &SnmpConfig) {
        if self.config != *config {
            *self = Self::new(config);
        }
    }

    /// One that is told nothing.
    pub(crate) fn idle() -> Self {
        Self::new(&SnmpConfig::default())
    }

    /// When to be asked [`next`](Self::next) again, if that is later than `now`.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let waits = self.config.is_on() && self.stream.is_none() && self.retry_at > now;
        waits.then_some(self.retry_at)
    }

    /// Whether notifications are configured, and somebody is there to take them, or may be.
    pub(crate) fn wants_traps(&self) -> bool {
        self.config.traps && self.config.is_on() && (self.stream.is_some() || !self.missed)
    }

    /// Waits for something to do. Cancelling loses nothing.
    pub(crate) async fn next(&mut self, now: Instant) -> AgentEvent {
        match &self.stream {
            Some(stream) => {
                // An error is found again by reading.
                let _ = stream.readable().await;
                AgentEvent::Ready
            }
            None if self.config.is_on() && self.retry_at <= now => {
                let address = self.config.socket.as_deref().unwrap_or(DEFAULT_SOCKET);
                let connecting = self.connecting.get_or_insert_with(|| {
                    let address = address.to_owned();
                    tokio::spawn(async move {
                        tokio::time::timeout(PATIENCE, Stream::connect(&address)).await?
                    })
                });
                let connected = connecting.await.unwrap_or_else(|gone| Err(io::Error::other(gone)));
                self.connecting = None;
                AgentEvent::Connected(Connection(connected))
            }
            None => pending().await,
        }
    }

    /// Takes up a connection, or puts the next attempt off.
    pub(crate) fn connected(&mut self, now: Instant, connection: Connection) -> Said {
        self.retry_at = now + RETRY;
        match connection.0 {
            Ok(stream) => {
                self.stream = Some(stream);
                self.missed = false;
                self.flush(now).or_else(|| Some("NET-SNMP AgentX subagent connected".to_owned()))
            }
            Err(_) if self.missed => None,
            Err(error) => {
                self.missed = true;
                // What it keeps would be old news.
                self.session = session(&self.config);
                let address = self.config.socket.as_deref().unwrap_or(DEFAULT_SOCKET);
                Some(format!(
                    "Warning: Failed to connect to the agentx master agent ({address}): {error}"
                ))
            }
        }
    }

    /// Answers what has come, by a view that is made unless one was a moment ago.
    pub(crate) fn serve(&mut self, now: Instant, view: impl FnOnce() -> (View, Names)) -> Said {
        let Some(stream) = &self.stream else { return None };
        let mut buffer = [0; 8192];
        let read = match stream.try_read(&mut buffer) {
            Ok(0) => Err("the master agent closed the connection".to_owned()),
            Ok(length) => {
                let (config, made) = (&self.config, &mut self.made);
                let tree = || {
                    let old = made.as_ref().is_none_or(|(at, _)| now >= *at + FRESH);
                    if old {
                        let (view, names) = view();
                        *made = Some((now, tree(config, &view, &names)));
                    }
                    made.as_ref().map_or(&EMPTY, |(_, tree)| tree)
                };
                let received = self.session.receive(&buffer[..length], tree);
                received.map_err(|broken: Broken| broken.to_string())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(()) => self.flush(now),
            Err(why) => self.disconnect(now, &why),
        }
    }

    /// Sends a notification, if they are configured.
    pub(crate) fn notify(&mut self, now: Instant, trap: Trap) -> Said {
        if !self.wants_traps() {
            return None;
        }
        self.session.notify(trap.0, trap.1);
        self.flush(now)
    }

    fn flush(&mut self, now: Instant) -> Said {
        let stream = self.stream.as_ref()?;
        self.unsent.extend(self.session.take_output());
        while !self.unsent.is_empty() {
            match stream.try_write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return self.disconnect(now, &error.to_string()),
            }
        }
        if self.unsent.len() > MOST_UNSENT {
            return self.disconnect(now, "the master agent does not read");
        }
        None
    }

    fn disconnect(&mut self, now: Instant, why: &str) -> Said {
        self.stream = None;
        self.session = session(&self.config);
        self.retry_at = now + RETRY;
        self.unsent.clear();
        self.made = None;
        Some(format!("AgentX: {why}; trying again in {} s", RETRY.as_secs()))
    }
}

/// A session that is yet to be opened, about what is configured.
fn session(config: &SnmpConfig) -> Session {
    let mut subtrees = Vec::new();
    if config.keepalived {
        subtrees.extend([keepalived_mib::global(), keepalived_mib::vrrp()]);
    }
    if config.rfc_v2 {
        subtrees.push(rfc_mibs::v2());
    }
    if config.rfc_v3 {
        subtrees.push(rfc_mibs::v3());
    }
    Session::new("Keepalived", subtrees)
}

static EMPTY: Tree = Tree::empty();

/// What the view does not tell.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// As the first line of the log has it.
    pub(crate) version: &'static str,
    /// The name in mails.
    pub(crate) router_id: String,
    /// The sender of mails.
    pub(crate) mail_from: String,
}

fn tree(config: &SnmpConfig, view: &View, names: &Names) -> Tree {
    let mut tree = Tree::empty();
    if config.keepalived {
        keepalived_mib::fill(&mut tree, view, names);
    }
    if config.rfc_v2 {
        rfc_mibs::fill_v2(&mut tree, view);
    }
    if config.rfc_v3 {
        rfc_mibs::fill_v3(&mut tree, view);
    }
    tree
}

#[cfg(test)]
mod tests;
