//! nginx's `health_check`: every server of an upstream is asked again and again, on the thread that
//! looks after all.
//!
//! ```text
//!   a task per server: pause ─► probe: connect, send, wait for what is expected ─► passed or not
//!                        ▲                                                            │
//!                        └── so many in a row ─► State::Up, State::Down, a line ◄─────┘
//! ```
//!
//! Slots that name servers fill are asked while somebody is in them; whoever is new begins anew. What was
//! found out of a server is remembered while it stays, whatever becomes of the configuration.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use balance::{ServerId, State};
use proxy::variable::Finder;
use proxy::{ActiveCheck, CheckKind, Expected, ProxyHeader, Severity};
use relay::Target;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket, UnixStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::proxy_protocol::{self, Addresses};

use crate::backend::upstream;
use crate::state::{Shared, lock};

/// The most that is kept of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// What a datagram says if nobody says what.
const HELLO: &[u8] = b"nginx health check";

/// Asks every server that is to be asked, until it is dropped.
pub(crate) async fn run(shared: &'static Shared) {
    let mut tasks = JoinSet::new();
    let mut watched = Vec::new();
    for (backend, configured) in shared.config.backends.iter().enumerate() {
        let Some(check) = configured.active_check.as_deref() else { continue };
        if configured.shares_servers_with.is_some() {
            continue;
        }
        for server in 0..configured.servers.len() {
            let configured = &configured.servers[server];
            if !configured.disabled && !configured.draining {
                watched.extend(shared.backends[backend].servers.get(server).map(|one| one.id));
                tasks.spawn(Watcher { shared, check, backend, server }.watch());
            }
        }
    }
    shared.checked.forget_all_but(&watched, shared);
    while tasks.join_next().await.is_some() {}
}

/// Who asks one server.
#[derive(Clone, Copy)]
struct Watcher {
    shared: &'static Shared,
    check: &'static ActiveCheck,
    backend: usize,
    server: usize,
}

/// What is known of a server.
#[derive(Clone, Debug)]
struct Known {
    target: Target,
    healthy: bool,
    /// Results of one kind in a row that are not the state it has.
    against: u32,
    /// How it was asked, and when it is to be asked again.
    check: &'static ActiveCheck,
    due: Instant,
}

/// What is known of servers, by [`ServerState::id`](crate::state::ServerState::id), for whoever asks
/// them after a reload.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<u32, Known>>);

impl Memory {
    fn of(&self, id: u32) -> Option<Known> {
        lock(&self.0).get(&id).cloned()
    }

    fn note(&self, id: u32, known: Option<&Known>) {
        match known {
            Some(known) => lock(&self.0).insert(id, known.clone()),
            None => lock(&self.0).remove(&id),
        };
    }

    /// Only these are asked from now on. What the others failed does not keep clients from them any
    /// longer.
    fn forget_all_but(&self, watched: &[u32], shared: &Shared) {
        let mut freed = Vec::new();
        lock(&self.0).retain(|id, known| {
            let stays = watched.contains(id);
            if !stays && !known.healthy {
                freed.push(*id);
            }
            stays
        });
        for (backend, state) in shared.backends.iter().enumerate().filter(|_| !freed.is_empty()) {
            for (server, one) in state.servers.iter().enumerate() {
                if freed.contains(&one.id) {
                    shared.set_server_state(backend, server, State::Up);
                }
            }
        }
    }
}

impl Watcher {
    async fn watch(self) {
        let expected = match self.check.matching.as_ref().and_then(|one| one.expect.as_ref()) {
            // The dialect has looked at it.
            Some(Expected::Pattern(pattern)) => Finder::new(pattern).ok(),
            _ => None,
        };
        let state = &self.shared.backends[self.backend];
        let Some(id) = state.servers.get(self.server).map(|one| one.id) else { return };
        let mut known = self.shared.checked.of(id);
        if let Some(known) = &mut known {
            if *known.check == *self.check {
                tokio::time::sleep_until(known.due).await;
            } else {
                known.against = 0;
            }
            known.check = self.check;
        }
        loop {
            let view = state.balancer.look(|pool| pool.server(ServerId(self.server)));
            if view.weight == 0 {
                known = None;
            } else {
                let target = state.servers[self.server].target();
                if known.as_ref().is_none_or(|known| known.target != target) {
                    let healthy = !self.check.mandatory;
                    self.set(healthy);
                    let against = if healthy { 0 } else { self.check.passes - 1 };
                    let (target, due) = (target.clone(), Instant::now());
                    known = Some(Known { target, healthy, against, check: self.check, due });
                }
                let result = match tokio::time::timeout(
                    self.check.timeout,
                    self.probe(&target, expected.as_ref()),
                )
                .await
                {
                    Ok(result) => result,
                    Err(_) if self.check.kind == CheckKind::Udp && !self.waits() => Ok(()),
                    Err(_) => Err("timed out".to_owned()),
                };
                if let Some(known) = &mut known {
                    self.note(known, result);
                }
            }
            let jitter = self.check.jitter.mul_f64(fastrand::f64());
            let due = Instant::now() + self.check.interval + jitter;
            if let Some(known) = &mut known {
                known.due = due;
            }
            self.shared.checked.note(id, known.as_ref());
            tokio::time::sleep_until(due).await;
        }
    }

    /// Whether an answer is waited for.
    fn waits(&self) -> bool {
        let matching = self.check.matching.as_ref();
        matching.is_some_and(|one| one.expect.is_some())
            || matches!(self.check.kind, CheckKind::Http { .. })
    }

    fn note(&self, known: &mut Known, result: Result<(), String>) {
        if result.is_ok() == known.healthy {
            known.against = 0;
            return;
        }
        known.against += 1;
        let needed = if known.healthy { self.check.fails } else { self.check.passes };
        if known.against < needed {
            return;
        }
        (known.healthy, known.against) = (result.is_ok(), 0);
        self.set(known.healthy);
        let name = &self.shared.config.backends[self.backend].name;
        let peer = upstream(&known.target);
        let matching = self.check.matching.as_ref().map_or("", |one| one.name.as_str());
        let errors = self.shared.log.error_route(&self.shared.config.process.error_log);
        let line = |what: &str| {
            format!(
                "peer is {what}, health check \"{matching}\" of peer {peer} in upstream \"{name}\""
            )
        };
        match result {
            Ok(()) => self.shared.log.send(&errors, Severity::Notice, line("healthy")),
            Err(why) => {
                let text = line(&format!("unhealthy: {why}"));
                self.shared.log.send(&errors, Severity::Warning, text);
            }
        }
    }

    fn set(&self, healthy: bool) {
        let state = if healthy { State::Up } else { State::Down };
        self.shared.set_server_state(self.backend, self.server, state);
    }

    /// One check; the error says what was wrong.
    async fn probe(&self, target: &Target, finder: Option<&Finder>) -> Result<(), String> {
        let say = |what: &'static str| {
            move |error: io::Error| format!("{what} failed ({})", crate::bind::reason(&error))
        };
        let source = self.shared.config.backends[self.backend].source;
        let address = match target {
            Target::Inet(address) => {
                SocketAddr::new(address.ip(), self.check.port.unwrap_or(address.port()))
            }
            Target::Unix(path) => {
                let mut stream = UnixStream::connect(path).await.map_err(say("connect"))?;
                return self.converse(&mut stream, None, finder).await;
            }
        };
        let any = || match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let source = source.filter(|source| source.is_ipv4() == address.is_ipv4());
        let source = source.map(|source| SocketAddr::new(source.ip(), 0));
        if self.check.kind == CheckKind::Udp {
            let socket = UdpSocket::bind(source.unwrap_or_else(any)).await.map_err(say("bind"))?;
            socket.connect(address).await.map_err(say("connect"))?;
            let send = self.check.matching.as_ref().map(|one| one.send.as_slice());
            let send = send.filter(|send| !send.is_empty()).unwrap_or(HELLO);
            socket.send(send).await.map_err(say("send"))?;
            let mut bytes = vec![0; MAX_ANSWER];
            loop {
                let length = socket.recv(&mut bytes).await.map_err(say("recv"))?;
                if !self.waits() || self.is_expected(&bytes[..length], finder) {
                    return Ok(());
                }
            }
        }
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(say("socket"))?;
        if let Some(source) = source {
            socket.bind(source).map_err(say("bind"))?;
        }
        let mut stream = socket.connect(address).await.map_err(say("connect"))?;
        let ends = stream.local_addr().ok().zip(stream.peer_addr().ok());
        let result = self.converse(&mut stream, ends, finder).await;
        // What it may still say is of no use to anybody.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        result
    }

    /// Says what is to be said and waits for what is expected.
    async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        ends: Option<(SocketAddr, SocketAddr)>,
        finder: Option<&Finder>,
    ) -> Result<(), String> {
        let matching = self.check.matching.as_ref();
        let mut said = match self.shared.config.backends[self.backend].send_proxy {
            None => Vec::new(),
            Some(version) => {
                let ends = ends.map(|(source, destination)| Addresses { source, destination });
                match version {
                    ProxyHeader::V1 => proxy_protocol::encode_v1(ends),
                    ProxyHeader::V2 => proxy_protocol::encode_v2(ends, &[]),
                }
            }
        };
        match &self.check.kind {
            CheckKind::Http { uri } if matching.is_none_or(|one| one.send.is_empty()) => {
                let host = &self.shared.config.backends[self.backend].name;
                let request =
                    format!("GET {uri} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                said.extend_from_slice(request.as_bytes());
            }
            _ => said.extend_from_slice(matching.map_or(&[][..], |one| &one.send)),
        }
        let failed =
            |error: io::Error| format!("the connection broke ({})", crate::bind::reason(&error));
        if !said.is_empty() {
            stream.write_all(&said).await.map_err(failed)?;
        }
        if !self.waits() {
            return Ok(());
        }
        let mut answer = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let read = stream.read(&mut bytes).await.map_err(failed)?;
            let room = MAX_ANSWER - answer.len();
            answer.extend_from_slice(&bytes[..read.min(room)]);
            if self.is_expected(&answer, finder) {
                return Ok(());
            }
            if read == 0 || room <= read {
                return Err("the answer is not what was expected".to_owned());
            }
        }
    }

    /// Whether an answer, so far, is what was waited for.
    fn is_expected(&self, answer: &[u8], finder: Option<&Finder>) -> bool {
        let matching = self.check.matching.as_ref();
        if matches!(self.check.kind, CheckKind::Http { .. }) {
            let Some(code) = status(answer) else { return false };
            let listed = matching.map(|one| one.status.as_slice()).filter(|list| !list.is_empty());
            let passes = match listed {
                Some(list) => list.iter().any(|range| range.contains(&code)),
                None => (200..400).contains(&code),
            };
            if !passes {
                return false;
            }
        }
        match (matching.and_then(|one| one.expect.as_ref()), finder) {
            (None, _) => true,
            (Some(Expected::Bytes(bytes)), _) => {
                bytes.is_empty() || answer.windows(bytes.len()).any(|window| window == bytes)
            }
            (Some(Expected::Pattern(_)), Some(finder)) => finder.finds(answer),
            (Some(Expected::Pattern(_)), None) => false,
        }
    }
}

/// The status of an answer of HTTP whose first line is there.
fn status(answer: &[u8]) -> Option<u16> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&answer[..end]).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}
