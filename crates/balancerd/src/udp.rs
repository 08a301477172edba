//! Sessions made of datagrams, as nginx defines them: a client's address and the address it sent to.
//!
//! ```text
//!   Door ─ recvmmsg ─► Flows: (client, local) ─► Flow ─ sendmmsg ─► server
//!    ▲                   │ new: a task that picks a server            │
//!    └──── sendmmsg ─────┴──────── the task, until ◄── recvmmsg ──────┘
//!            proxy_responses are there, proxy_timeout has passed, or newer sessions need the room
//! ```
//!
//! What arrives together leaves together: one call for what a session's server is sent, and one for
//! the answers of all sessions that had some in a turn of the thread.
//!
//! A socket is read by one thread, so a client's datagrams never belong to two sessions. When there
//! are as many sessions as there may be, the one that was silent longest goes for a new one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};

use balance::{Candidates, Choice, Measure, ServerId};
use proxy::{Backend, Cause, Content, Phase, ProxyHeader, Severity, Termination};
use relay::timer::{self, Millis, Timer};
use relay::{Datagram, Door, Target};
use wire::proxy_protocol::{self, Addresses};

use crate::backend::{Slot, upstream, wait_to_pick};
use crate::facts::millis;
use crate::outbound::Ways;
use crate::session::Session;
use crate::state::{Shared, lock};

/// Datagrams a session may have waiting while its server is looked for.
const PENDING: usize = 64;

/// How often a session is asked for answers before others have their turn.
const TURNS: usize = 16;

/// The client and the address it sent to.
type Key = (SocketAddr, SocketAddr);

/// Whom a socket's next session is for: a configuration, and a frontend of it.
pub(crate) type Desk = Arc<Mutex<(&'static Shared, u32)>>;

/// Sessions of one socket.
#[derive(Debug)]
struct Flows {
    desk: Desk,
    door: Door,
    by_key: Mutex<HashMap<Key, Arc<Flow>>>,
    /// In the order in which they were last looked at, and when they were active then.
    oldest: Mutex<VecDeque<(Weak<Flow>, Millis)>>,
    /// Wakes the task that sends what waits at the door; `None` when it has ended.
    sender: Mutex<Option<Waker>>,
}

/// What is for one session among the datagrams that one call took.
struct Batch<'a> {
    flow: Arc<Flow>,
    /// The session takes no more: the client's next datagram begins another.
    full: bool,
    datagrams: Vec<&'a [u8]>,
}

/// Has the sessions send themselves when nobody does it for them any longer.
struct Serving<'a>(&'a Flows);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        *lock(&self.0.sender) = None;
        self.0.door.flush();
    }
}

/// A session that datagrams find.
#[derive(Debug)]
struct Flow {
    key: Key,
    server: OnceLock<relay::Server>,
    pending: Mutex<Vec<Box<[u8]>>>,
    active: AtomicU64,
    /// Datagrams from the client and from the server, and their bytes.
    requests: AtomicU32,
    responses: AtomicU32,
    up: AtomicU64,
    down: AtomicU64,
    /// It is to end: for another session, or because a datagram could not be sent.
    over: AtomicBool,
    /// A send failed with this number.
    errno: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

impl Flow {
    fn new(key: Key) -> Self {
        Self {
            key,
            server: OnceLock::new(),
            pending: Mutex::default(),
            active: AtomicU64::new(timer::now()),
            requests: AtomicU32::new(0),
            responses: AtomicU32::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            over: AtomicBool::new(false),
            errno: AtomicU32::new(0),
            waker: Mutex::default(),
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake_by_ref();
        }
    }

    /// Whom to wake from now on.
    fn wakes(&self, cx: &Context<'_>) {
        let mut waker = lock(&self.waker);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn end(&self) {
        self.over.store(true, Relaxed);
        self.wake();
    }

    /// Takes datagrams of the client, which were counted before.
    fn take(&self, datagrams: &[&[u8]], now: Millis) {
        self.active.store(now, Relaxed);
        let bytes: usize = datagrams.iter().map(|bytes| bytes.len()).sum();
        self.up.fetch_add(bytes as u64, Relaxed);
        match self.server.get() {
            Some(server) => self.send(server, datagrams),
            None => {
                let mut pending = lock(&self.pending);
                let room = PENDING.saturating_sub(pending.len());
                pending.extend(datagrams.iter().take(room).map(|bytes| Box::from(*bytes)));
            }
        }
    }

    fn send(&self, server: &relay::Server, datagrams: &[&[u8]]) {
        if let Err(error) = server.send(datagrams) {
            let errno = error.raw_os_error().and_then(|errno| u32::try_from(errno).ok());
            self.errno.store(errno.unwrap_or(0), Relaxed);
            self.end();
        }
    }
}

/// Serves the datagrams that come to a socket. Aborting it ends no session.
pub(crate) async fn serve(desk: Desk, thread: u16, fd: OwnedFd) {
    let door = match Door::new(fd) {
        Ok(door) => door,
        Err(error) => {
            let (shared, _) = *lock(&desk);
            let text = format_args!("cannot watch a socket of datagrams: {error}");
            shared.log.send(&shared.log_route, Severity::Alert, text);
            return;
        }
    };
    let flows = Arc::new(Flows {
        desk,
        door,
        by_key: Mutex::default(),
        oldest: Mutex::default(),
        sender: Mutex::default(),
    });
    let _serving = Serving(&flows);
    loop {
        let mut fresh = Vec::new();
        let received = poll_fn(|cx| {
            flows.door.flush();
            let mut sender = lock(&flows.sender);
            if !sender.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *sender = Some(cx.waker().clone());
            }
            drop(sender);
            flows.door.poll_receive(cx, |datagrams| flows.arrived(datagrams, &mut fresh))
        })
        .await;
        for flow in fresh {
            tokio::spawn(Arc::clone(&flows).run(thread, flow));
        }
        if let Err(error) = received {
            let (shared, frontend) = flows.whom();
            let route = &shared.frontends[frontend as usize].errors;
            let number = error.raw_os_error().unwrap_or(0);
            let text = format!("recvmsg() failed ({number}: {})", crate::bind::reason(&error));
            shared.log.send(route, Severity::Error, text);
            timer::until(timer::now() + 100).await;
        }
    }
}

impl Flows {
    /// Whom a session that begins now is for.
    fn whom(&self) -> (&'static Shared, u32) {
        *lock(&self.desk)
    }

    /// Gives datagrams to their sessions; new ones are added to `fresh`.
    fn arrived(&self, datagrams: &[Datagram<'_>], fresh: &mut Vec<Arc<Flow>>) {
        let (limits, now) = (self.limits(), timer::now());
        let mut batches: Vec<Batch<'_>> = Vec::new();
        for datagram in datagrams {
            let key = (datagram.from, datagram.to);
            let known = batches.iter().position(|batch| !batch.full && batch.flow.key == key);
            let place = known.unwrap_or_else(|| {
                let flow = self.session_of(key, now, fresh);
                batches.push(Batch { flow, full: false, datagrams: Vec::new() });
                batches.len() - 1
            });
            let batch = &mut batches[place];
            batch.datagrams.push(datagram.bytes);
            let requests = batch.flow.requests.fetch_add(1, Relaxed) + 1;
            if limits.0 > 0 && requests >= limits.0 {
                self.forget(&batch.flow);
                batch.full = true;
            }
        }
        for batch in batches {
            batch.flow.take(&batch.datagrams, now);
            if batch.full || limits.1 == Some(0) {
                batch.flow.wake();
            }
        }
    }

    /// The session of a client, perhaps a new one.
    fn session_of(&self, key: Key, now: Millis, fresh: &mut Vec<Arc<Flow>>) -> Arc<Flow> {
        if let Some(known) = lock(&self.by_key).get(&key) {
            return Arc::clone(known);
        }
        self.make_room();
        let flow = Arc::new(Flow::new(key));
        lock(&self.by_key).insert(key, Arc::clone(&flow));
        lock(&self.oldest).push_back((Arc::downgrade(&flow), now));
        fresh.push(Arc::clone(&flow));
        flow
    }

    /// Sends a client an answer, with those of other sessions that come in this turn.
    fn answer(&self, flow: &Flow, bytes: &[u8]) {
        let (client, local) = flow.key;
        if self.door.put(bytes, client, local) {
            match &*lock(&self.sender) {
                Some(waker) => waker.wake_by_ref(),
                None => self.door.flush(),
            }
        }
    }

    /// `proxy_requests` and `proxy_responses` of the default backend.
    fn limits(&self) -> (u32, Option<u32>) {
        let (shared, frontend) = self.whom();
        let config = &shared.config;
        let backend = config.backend_of(&config.frontends[frontend as usize]);
        backend.map_or((0, None), |backend| (backend.requests, backend.responses))
    }

    /// The session's key is free for another one.
    fn forget(&self, flow: &Arc<Flow>) {
        let mut by_key = lock(&self.by_key);
        if by_key.get(&flow.key).is_some_and(|known| Arc::ptr_eq(known, flow)) {
            by_key.remove(&flow.key);
        }
    }

    /// Ends the session that was silent longest if there are as many as there may be.
    fn make_room(&self) {
        let (shared, frontend) = self.whom();
        let gate = &shared.frontends[frontend as usize].gate;
        let process = &shared.process;
        if gate.current() < gate.limit() && process.current() < process.limit() {
            return;
        }
        let mut oldest = lock(&self.oldest);
        while let Some((flow, seen)) = oldest.pop_front() {
            let Some(flow) = flow.upgrade().filter(|flow| !flow.over.load(Relaxed)) else {
                continue;
            };
            let active = flow.active.load(Relaxed);
            if active > seen {
                oldest.push_back((Arc::downgrade(&flow), active));
                continue;
            }
            self.forget(&flow);
            flow.end();
            shared.datagram_sessions_cut.fetch_add(1, Relaxed);
            return;
        }
    }

    /// Leaves those that ended out of the list, so that it has an end.
    fn tidy(&self) {
        let sessions = lock(&self.by_key).len();
        let mut oldest = lock(&self.oldest);
        if oldest.len() > 2 * sessions + 64 {
            oldest.retain(|(flow, _)| flow.strong_count() > 0);
        }
    }

    /// One session, from its first datagram to its end.
    async fn run(self: Arc<Self>, thread: u16, flow: Arc<Flow>) {
        let (client, local) = flow.key;
        let (shared, frontend) = self.whom();
        let mut session = Session::begin(shared, frontend, Some(client), true);
        if let Some(extra) = &mut session.extra {
            extra.local = Some(local);
        }
        let line = fmt::from_fn(|f| {
            write!(f, "udp client {client} connected to {}", session.config().name)
        });
        session.plain_line(Severity::Info, line);
        let ended = self.relay(&mut session, thread, &flow).await;
        self.forget(&flow);
        self.tidy();
        let (up, down) = (flow.up.load(Relaxed), flow.down.load(Relaxed));
        let announced = session.extra.as_deref().map_or(0, |extra| extra.announced);
        if let Some(tried) = session.last_try() {
            tried.bytes = (up + announced, down);
        }
        session.finish(ended, up, down);
    }

    async fn relay(&self, session: &mut Session, thread: u16, flow: &Flow) -> Termination {
        let shared = session.shared;
        if let Some(nginx) = session.config().nginx.as_deref() {
            if let Err(refused) = session.admit(nginx) {
                return refused;
            }
            match &nginx.content {
                // Only connections can be handed on.
                Content::Pass(_) => return session.refuse(500),
                Content::Proxy | Content::Http(_) => {}
                Content::Return(text) => {
                    let text = session.text(text);
                    self.answer(flow, &text);
                    flow.down.fetch_add(text.len() as u64, Relaxed);
                    return session.refuse(200);
                }
                Content::Dynamic { to, upstreams, other } => {
                    let to = session.text(to);
                    let to = String::from_utf8_lossy(&to).into_owned();
                    if let Err(refused) = session.direct(&to, upstreams, *other).await {
                        return refused;
                    }
                }
            }
        }
        let Some(index) = session.backend() else { return session.refuse(500) };
        let backend = &shared.config.backends[index];
        let found = match session.extra.as_mut().and_then(|extra| extra.target.take()) {
            Some(target) => open(session, backend, &target, backend.send_proxy, flow).map(|_| None),
            None => {
                let state = &shared.backends[index];
                state.awaited.wait(state, backend.connect_timeout).await;
                pick(session, backend, index, flow).await
            }
        };
        let slot = match found {
            Ok(slot) => slot,
            Err(ended) => return ended,
        };
        let nobody = (shared.backends[index].id, u32::MAX);
        let about = crate::state::About::new(
            shared.frontends[session.frontend as usize].id,
            slot.as_ref().map_or(nobody, Slot::ids),
            session.peer,
        );
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let key = shared.threads[usize::from(thread)].enter_as(about, waker);
        let mut answers = Answers {
            flows: self,
            flow,
            backend,
            timer: Timer::new(),
            failed: false,
            first: None,
            kills: shared.kills(),
            thread: usize::from(thread),
            key,
        };
        let Some(server) = flow.server.get() else { return session.refuse(500) };
        let mut ready = pin!(server.ready());
        let how = poll_fn(|cx| {
            loop {
                if let Poll::Ready(how) = answers.poll(cx, session, server) {
                    return Poll::Ready(how);
                }
                if ready.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                ready.set(server.ready());
            }
        })
        .await;
        let (failed, first) = (answers.failed, answers.first);
        shared.threads[usize::from(thread)].leave(key);
        if let Some(tried) = session.last_try() {
            tried.first_byte = first.map(|at| at - tried.started);
        }
        session.report(flow.up.load(Relaxed), flow.down.load(Relaxed));
        let ended = self.over(session, flow, how);
        if let Some(slot) = slot {
            let failed = failed || matches!(how, How::SendFailed(_) | How::NoAnswer);
            settle(session, backend, index, &slot, failed);
        }
        ended
    }

    /// Says how a session ended.
    fn over(&self, session: &mut Session, flow: &Flow, how: How) -> Termination {
        let bytes @ (up, down) = (flow.up.load(Relaxed), flow.down.load(Relaxed));
        let address = session.last_try().map(|tried| tried.address.clone()).unwrap_or_default();
        let announced = session.extra.as_deref().map_or(0, |extra| extra.announced);
        let (asked, answered) = (flow.requests.load(Relaxed), flow.responses.load(Relaxed));
        let line = |what: &str| {
            format!(
                "udp {what}, packets from/to client:{asked}/{answered}, bytes from/to \
                 client:{up}/{down}, bytes from/to upstream:{down}/{}",
                up + announced
            )
        };
        match how {
            How::Done => {
                session.plain_line(Severity::Info, line("done"));
                Termination::NORMAL
            }
            How::TimedOut => {
                session.plain_line(Severity::Info, line("timed out"));
                Termination::NORMAL
            }
            How::NoAnswer => {
                session.error_line_with_bytes(Severity::Error, Some(&address), bytes, |f| {
                    f.write_str(
                        "upstream timed out (110: Connection timed out) while proxying connection",
                    )
                });
                session.refuse(502);
                Termination::new(Cause::ServerTimeout, Phase::Data)
            }
            How::SendFailed(errno) => {
                let error = io::Error::from_raw_os_error(errno);
                session.error_line_with_bytes(Severity::Error, Some(&address), bytes, |f| {
                    let why = crate::bind::reason(&error);
                    write!(
                        f,
                        "send() failed ({errno}: {why}) while proxying and sending to upstream"
                    )
                });
                Termination::new(Cause::Server, Phase::Data)
            }
            How::Cut => {
                session.error_line_with_bytes(Severity::Warning, Some(&address), bytes, |f| {
                    f.write_str("the session that was silent longest ends for a new one")
                });
                Termination::new(Cause::Resource, Phase::Data)
            }
            How::Killed(cause) => Termination::new(cause, Phase::Data),
        }
    }
}

/// How the answers of a session came to an end.
#[derive(Clone, Copy, Debug)]
enum How {
    /// As many answers as there should be.
    Done,
    /// Silence for `proxy_timeout`, and nobody said how many answers there should be.
    TimedOut,
    /// The same, and answers are missing.
    NoAnswer,
    SendFailed(i32),
    Cut,
    Killed(Cause),
}

/// What a session does while it waits for its server.
struct Answers<'a> {
    flows: &'a Flows,
    flow: &'a Flow,
    backend: &'a Backend,
    timer: Timer,
    failed: bool,
    first: Option<Millis>,
    kills: u32,
    thread: usize,
    key: u32,
}

impl Answers<'_> {
    fn poll(
        &mut self,
        cx: &Context<'_>,
        session: &mut Session,
        server: &relay::Server,
    ) -> Poll<How> {
        let flow = self.flow;
        flow.wakes(cx);
        let shared = session.shared;
        if shared.kills() != self.kills {
            self.kills = shared.kills();
            if let Some(cause) = shared.threads[self.thread].killed(self.key) {
                return Poll::Ready(How::Killed(cause));
            }
        }
        let mut done = false;
        for turn in 0.. {
            done = self.is_done();
            if done {
                break;
            }
            if turn == TURNS {
                cx.waker().wake_by_ref();
                break;
            }
            match server.answers(|datagrams| self.answers(datagrams)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(true) => {}
                Ok(false) => {
                    done = self.is_done();
                    break;
                }
                Err(error) => {
                    self.failed = true;
                    // nginx takes it for an answer: whoever waits for one waits no longer.
                    flow.responses.fetch_add(1, Relaxed);
                    let address = session.last_try().map(|tried| tried.address.clone());
                    let bytes = (flow.up.load(Relaxed), flow.down.load(Relaxed));
                    let address = address.unwrap_or_else(|| {
                        server.addresses().map_or_else(|_| String::new(), |(_, to)| to.to_string())
                    });
                    session.error_line_with_bytes(Severity::Error, Some(&address), bytes, |f| {
                        let number = error.raw_os_error().unwrap_or(0);
                        let why = crate::bind::reason(&error);
                        write!(f, "recv() failed ({number}: {why}) while proxying and reading from upstream")
                    });
                }
            }
        }
        if self.first.is_some() {
            session.measure(Some(Measure::FirstByte));
        }
        if done {
            return Poll::Ready(How::Done);
        }
        if flow.over.load(Relaxed) {
            return Poll::Ready(match flow.errno.load(Relaxed) {
                0 => How::Cut,
                errno => How::SendFailed(i32::try_from(errno).unwrap_or(0)),
            });
        }
        session.report(flow.up.load(Relaxed), flow.down.load(Relaxed));
        self.watch(cx)
    }

    fn answers(&mut self, datagrams: &[Datagram<'_>]) {
        let flow = self.flow;
        let now = timer::now();
        self.first.get_or_insert(now);
        flow.active.store(now, Relaxed);
        for datagram in datagrams {
            // What comes after the last one is nobody's.
            if self.is_done() {
                break;
            }
            flow.down.fetch_add(datagram.bytes.len() as u64, Relaxed);
            flow.responses.fetch_add(1, Relaxed);
            self.flows.answer(flow, datagram.bytes);
        }
    }

    fn is_done(&self) -> bool {
        let requests = self.flow.requests.load(Relaxed);
        if self.backend.requests > 0 && requests < self.backend.requests {
            return false;
        }
        let Some(each) = self.backend.responses else { return false };
        requests > 0 && self.flow.responses.load(Relaxed) >= each.saturating_mul(requests)
    }

    fn watch(&mut self, cx: &Context<'_>) -> Poll<How> {
        let Some(idle) = self.backend.idle_timeout else { return Poll::Pending };
        let now = timer::now();
        let until = self.flow.active.load(Relaxed) + millis(idle);
        if now < until {
            self.timer.arm_by(until, now, cx);
            return Poll::Pending;
        }
        let requests = self.flow.requests.load(Relaxed);
        let enough = self
            .backend
            .responses
            .is_none_or(|each| self.flow.responses.load(Relaxed) >= each.saturating_mul(requests));
        Poll::Ready(if enough { How::TimedOut } else { How::NoAnswer })
    }
}

/// Picks a server and opens a socket to it; others follow where that cannot be done.
async fn pick(
    session: &mut Session,
    backend: &'static Backend,
    index: usize,
    flow: &Flow,
) -> Result<Option<Slot>, Termination> {
    const NO_SERVER: Termination = Termination::new(Cause::Server, Phase::Connect);
    let shared = session.shared;
    let state = &shared.backends[index];
    let mut candidates = Candidates::new(session.peer.map(|peer| peer.ip()));
    if let Some(key) = &backend.hash_key {
        candidates.set_key(session.text(key));
    }
    let started = timer::now();
    let patience = started + backend.queue_timeout.map_or(0, millis);
    let mut tries = 0;
    loop {
        let now = shared.clock.now();
        let mut choice = state.balancer.pick(now, &mut candidates);
        if let Choice::Wait(ticket) = choice {
            wait_to_pick(shared, state, ticket, patience).await;
            if timer::now() < patience {
                continue;
            }
            choice = Choice::Nothing;
        }
        let Choice::Server(server) = choice else {
            session.error_line(Severity::Error, Some(&backend.name), |f| {
                f.write_str("no live upstreams while connecting to upstream")
            });
            session.tries(&backend.name);
            break;
        };
        let position = u32::try_from(index).unwrap_or(u32::MAX);
        let slot = Slot::new(shared, position, server);
        session.set_server(Some(slot.server));
        session.begin_measuring(backend, now);
        tries += 1;
        let header = backend.servers[server.0].send_proxy;
        if open(session, backend, &state.servers[server.0].target(), header, flow).is_ok() {
            session.measure(Some(Measure::Connect));
            return Ok(Some(slot));
        }
        session.measure(None);
        settle(session, backend, index, &slot, true);
        let next = backend.next_upstream.unwrap_or_default();
        let late = !next.timeout.is_zero() && timer::now() - started >= millis(next.timeout);
        if !next.enabled || late || next.tries > 0 && tries >= next.tries {
            break;
        }
    }
    session.refuse(502);
    Err(NO_SERVER)
}

/// Opens a socket to a server and sends it what has come so far.
fn open(
    session: &mut Session,
    backend: &'static Backend,
    target: &Target,
    header: Option<ProxyHeader>,
    flow: &Flow,
) -> Result<(), Termination> {
    let (client, local) = flow.key;
    session.tries(&upstream(target));
    let opened = match target {
        Target::Inet(to) => {
            let port = if to.port() == 0 { local.port() } else { to.port() };
            let to = SocketAddr::new(to.ip(), port);
            relay::Server::open(to, session.local_address(backend), |socket| {
                Ways::of_backend(backend).buffers(socket)
            })
        }
        Target::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    };
    session.shared.connection_number.fetch_add(1, Relaxed);
    let server = match opened {
        Ok(server) => server,
        Err(error) => {
            session.error_line(Severity::Error, Some(&upstream(target)), |f| {
                let (number, why) =
                    (error.raw_os_error().unwrap_or(0), crate::bind::reason(&error));
                write!(f, "connect() failed ({number}: {why}) while connecting to upstream")
            });
            session.refuse(502);
            return Err(Termination::new(Cause::Server, Phase::Connect));
        }
    };
    session.connect_time = 0;
    if let Some(tried) = session.last_try() {
        tried.connect = Some(0);
    }
    let line = fmt::from_fn(|f| match server.addresses() {
        Ok((from, to)) => write!(f, "udp proxy {from} connected to {to}"),
        _ => f.write_str("udp proxy connected"),
    });
    session.plain_line(Severity::Info, line);
    let mut pending = std::mem::take(&mut *lock(&flow.pending)).into_iter();
    if let Some(version) = header {
        // In front of the first datagram, and of no other, as nginx has it.
        let ends = Some(Addresses { source: client, destination: local });
        let mut first = match version {
            ProxyHeader::V1 => proxy_protocol::encode_v1(ends),
            ProxyHeader::V2 => proxy_protocol::encode_v2(ends, &[]),
        };
        if let Some(extra) = &mut session.extra {
            extra.announced = first.len() as u64;
        }
        first.extend_from_slice(&pending.next().unwrap_or_default());
        flow.send(&server, &[first.as_slice()]);
    }
    let pending: Vec<&[u8]> = pending.as_slice().iter().map(|bytes| &**bytes).collect();
    flow.send(&server, &pending);
    // Nobody else opens one for this session.
    let _ = flow.server.set(server);
    Ok(())
}

/// Tells the balancer how a server did.
fn settle(session: &Session, backend: &Backend, index: usize, slot: &Slot, failed: bool) {
    let shared = session.shared;
    let server = ServerId(slot.server as usize);
    let balancer = &shared.backends[index].balancer;
    if !failed {
        let now = shared.clock.now();
        balancer.with(|pool| pool.succeeded(now, server));
        return;
    }
    let now = shared.clock.now();
    if balancer.with(|pool| pool.failed(now, server)) {
        let name = &backend.servers[server.0].name;
        session.error_line_with_bytes(Severity::Warning, Some(name), session.reported, |f| {
            f.write_str("upstream server temporarily disabled while proxying connection")
        });
    }
}
