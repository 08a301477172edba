//! One connection of a client, from accept to log line.

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balance::Measure;
use proxy::{BackendIndex, Cause, Frontend, LogFormat, Phase, Severity, Termination};
use relay::timer::{self, Millis};
use relay::{Ended, Relay, Stream};

use crate::backend::{Connecting, Slot};
use crate::facts::Extra;
use crate::log::accept_date;
use crate::rules::Answered;
use crate::state::Shared;

/// How often a session adds its bytes to the counters while they flow.
const REPORT: Millis = 1_000;

fn report_time(at: Millis) -> u32 {
    (at / REPORT) as u32
}

/// Milliseconds since 1970.
type UnixMillis = u64;

const NO_SERVER: u32 = u32::MAX;
const NO_BACKEND: u32 = u32::MAX;
const NO_BIND: u16 = u16::MAX;

/// What is known of one connection. There may be very many: no field is larger than it has to be.
pub(crate) struct Session {
    pub(crate) shared: &'static Shared,
    pub(crate) frontend: u32,
    /// [`NO_BACKEND`] until it is known where it goes.
    backend: u32,
    /// [`NO_SERVER`] until one is picked.
    server: u32,
    /// The client's address; a UNIX socket's has none.
    pub(crate) peer: Option<SocketAddr>,
    /// When it was accepted, by the clock of timers and by the calendar.
    pub(crate) accepted: Millis,
    pub(crate) date: UnixMillis,
    /// Milliseconds until a server was picked and until it answered; -1 if that did not happen.
    pub(crate) queue_time: i32,
    pub(crate) connect_time: i32,
    pub(crate) retries: u16,
    pub(crate) redispatched: bool,
    /// The position of the `bind` line it came in by; [`NO_BIND`] for datagrams.
    bind: u16,
    /// It is made of datagrams.
    pub(crate) udp: bool,
    /// What went wrong was said: no line at its end.
    said: bool,
    /// Its places in the queues of the server and of the backend when it came.
    pub(crate) queues: (u32, u32),
    /// nginx's number of the connection; 0 otherwise.
    pub(crate) number: u32,
    /// Bytes from the client and from the server already added to the counters.
    pub(crate) reported: (u64, u64),
    /// What only some sessions need.
    pub(crate) extra: Option<Box<Extra>>,
}

impl Session {
    /// A connection that was just accepted; it is counted from here on.
    pub(crate) fn begin(
        shared: &'static Shared,
        frontend: u32,
        peer: Option<SocketAddr>,
        udp: bool,
    ) -> Self {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = date.as_secs();
        let config = &shared.config.frontends[frontend as usize];
        let state = &shared.frontends[frontend as usize];
        shared.process.enter();
        let count = shared.sessions.fetch_add(1, Relaxed);
        shared.rate.count(second);
        state.gate.enter();
        state.traffic.begin(second);
        let mut backend = NO_BACKEND;
        let mut has_extra =
            config.nginx.is_some() || config.http.is_some() || crate::rules::has_rules(config);
        if let Some(BackendIndex(index)) = config.default_backend {
            // With rules, or several servers of one address, it is not known yet.
            let by_name = config.nginx.as_deref().is_some_and(|nginx| nginx.by_name.is_some());
            if config.rules.is_none() && config.http.is_none() && !by_name {
                backend = u32::try_from(index).unwrap_or(NO_BACKEND);
                shared.backends[index].traffic.begin(second);
            }
            let backend = &shared.config.backends[index];
            has_extra |= backend.hash_key.is_some()
                || backend.source_text.is_some()
                || backend.algorithm.measure().is_some()
                || backend.rate_texts != [None, None];
        }
        let number = match shared.is_nginx() {
            true => shared.connection_number.fetch_add(1, Relaxed) as u32,
            false => count as u32,
        };
        Self {
            shared,
            frontend,
            backend,
            server: NO_SERVER,
            peer,
            accepted: timer::now(),
            date: UnixMillis::try_from(date.as_millis()).unwrap_or(0),
            queue_time: -1,
            connect_time: -1,
            retries: 0,
            redispatched: false,
            bind: NO_BIND,
            udp,
            said: false,
            queues: (0, 0),
            number,
            reported: (0, 0),
            extra: has_extra.then(|| Box::new(Extra { status: 200, ..Extra::default() })),
        }
    }

    /// Another frontend has it from here on, or this one for good: its default backend, too.
    pub(crate) fn switch(&mut self, frontend: usize) {
        let (old, shared) = (self.frontend as usize, self.shared);
        let Some(new) = shared.frontends.get(frontend) else { return };
        if frontend != old {
            new.gate.enter();
            new.traffic.begin(crate::state::unix_seconds());
            shared.frontends[old].traffic.end();
            shared.frontends[old].gate.leave();
            self.frontend = u32::try_from(frontend).unwrap_or(self.frontend);
        }
        if let Some(backend) = self.config().default_backend {
            self.set_backend(backend);
        }
    }

    /// It came in by this `bind` line.
    fn came_by(&mut self, bind: u16) {
        self.bind = bind;
        if let Some(count) = self.listener_count() {
            count.fetch_add(1, Relaxed);
        }
        if let Some(socket) = self.socket() {
            socket.begin(crate::state::unix_seconds());
        }
    }

    /// The counters of the address it came in by, where addresses have some.
    fn socket(&self) -> Option<&'static crate::state::Traffic> {
        let sockets = &self.shared.frontends[self.frontend as usize].sockets;
        sockets.get(usize::from(self.bind)).map(|socket| &**socket)
    }

    /// The `bind` line it came in by.
    pub(crate) fn listener(&self) -> Option<&'static proxy::Bind> {
        self.config().binds.get(usize::from(self.bind))
    }

    /// Connections of that, where there are several and rules can ask. nginx's have none, and its
    /// sessions may go over to another `server`, whose lines are others.
    pub(crate) fn listener_count(&self) -> Option<&'static AtomicU32> {
        if self.shared.is_nginx() {
            return None;
        }
        match &*self.shared.frontends[self.frontend as usize].listeners {
            [] | [_] => None,
            several => several.get(usize::from(self.bind)),
        }
    }

    /// Milliseconds since it was accepted.
    pub(crate) fn age(&self) -> i32 {
        i32::try_from(timer::now() - self.accepted).unwrap_or(i32::MAX)
    }

    /// When a client that says nothing has said nothing for too long.
    pub(crate) fn client_deadline(&self) -> Option<Millis> {
        let limit = self.shared.frontends[self.frontend as usize].limits.client;
        let limit = limit.or(self.config().client_timeout)?;
        Some(self.accepted + Millis::try_from(limit.as_millis()).unwrap_or(Millis::MAX / 2))
    }

    /// The position of its backend.
    pub(crate) fn backend(&self) -> Option<usize> {
        (self.backend != NO_BACKEND).then_some(self.backend as usize)
    }

    /// It goes to this backend, and has not gone to another one yet.
    pub(crate) fn set_backend(&mut self, BackendIndex(index): BackendIndex) {
        if self.backend == NO_BACKEND {
            self.backend = u32::try_from(index).unwrap_or(NO_BACKEND);
            self.shared.backends[index].traffic.begin(crate::state::unix_seconds());
        }
    }

    /// The position of its server in the backend, once one is picked.
    pub(crate) fn server(&self) -> Option<usize> {
        (self.server != NO_SERVER).then_some(self.server as usize)
    }

    pub(crate) fn set_server(&mut self, server: Option<u32>) {
        self.server = server.unwrap_or(NO_SERVER);
    }

    pub(crate) fn config(&self) -> &'static Frontend {
        &self.shared.config.frontends[self.frontend as usize]
    }

    /// A TLV of the PROXY header it began with; one that names nobody has none that count.
    pub(crate) fn header_tlv(&self, kind: u8) -> Option<&[u8]> {
        let (addresses, list) = self.extra.as_ref()?.header.as_ref()?;
        addresses.as_ref()?;
        wire::proxy_protocol::tlvs(list).find(|(known, _)| *known == kind).map(|(_, value)| value)
    }

    /// Adds what flowed since the last time to the counters.
    pub(crate) fn report(&mut self, from_client: u64, from_server: u64) {
        let new = (from_client - self.reported.0, from_server - self.reported.1);
        if new == (0, 0) {
            return;
        }
        self.reported = (from_client, from_server);
        self.count_tracked(new.0, new.1);
        self.shared.frontends[self.frontend as usize].traffic.bytes(new.0, new.1);
        if let Some(socket) = self.socket() {
            socket.bytes(new.0, new.1);
        }
        if let Some(backend) = self.backend() {
            let backend = &self.shared.backends[backend];
            backend.traffic.bytes(new.0, new.1);
            if let Some(server) = self.server() {
                backend.servers[server].traffic.bytes(new.0, new.1);
            }
        }
    }

    /// It goes nowhere yet, again: another request begins.
    pub(crate) fn forget_backend(&mut self) {
        (self.backend, self.server) = (NO_BACKEND, NO_SERVER);
        (self.queue_time, self.connect_time) = (-1, -1);
        (self.retries, self.redispatched, self.said) = (0, false, false);
        (self.queues, self.reported) = ((0, 0), (0, 0));
    }

    /// Counts and logs the end. The server's slot was given back already, as HAProxy does it: its
    /// own connection is not counted in the line's last three numbers.
    pub(crate) fn finish(&mut self, ended: Termination, from_client: u64, from_server: u64) {
        self.conclude(ended, from_client, from_server);
        if self.shared.is_nginx() {
            let connected = !matches!(ended.phase, Phase::Connect | Phase::Queue);
            let status = match self.extra.as_deref() {
                Some(extra) => extra.status,
                None => {
                    if connected {
                        200
                    } else {
                        502
                    }
                }
            };
            let class = match status {
                400..500 => 1,
                500.. => 2,
                _ => 0,
            };
            let frontend = &self.shared.frontends[self.frontend as usize];
            frontend.statuses[class].fetch_add(1, Relaxed);
        }
        if let Some(count) = self.listener_count().filter(|_| self.bind != NO_BIND) {
            count.fetch_sub(1, Relaxed);
        }
        if let Some(socket) = self.socket() {
            socket.end();
        }
        let (shared, frontend) = (self.shared, &self.shared.frontends[self.frontend as usize]);
        frontend.traffic.end();
        frontend.gate.leave();
        shared.process.leave();
    }

    /// Who it is, for those who look at it from outside; `ids` are its backend's and its server's.
    pub(crate) fn about(&self, ids: (u32, u32)) -> crate::state::About {
        let frontend = self.shared.frontends[self.frontend as usize].id;
        crate::state::About::new(frontend, ids, self.peer)
    }

    /// Counts and logs the end of what was done for a client, whose connection may go on.
    pub(crate) fn conclude(&mut self, ended: Termination, from_client: u64, from_server: u64) {
        self.report(from_client, from_server);
        if from_server > 0 {
            self.measure(Some(Measure::LastByte));
        }
        self.measure(None);
        if let Some(tried) = self.last_try() {
            tried.session = Some(timer::now() - tried.started);
        }
        crate::access_log::write(self);
        let total = self.age();
        let shared = self.shared;
        if let Some(backend) = self.backend() {
            let backend = &shared.backends[backend];
            backend.traffic.end();
            let latency = backend.traffic.latency.get_or_init(Box::default);
            latency.queue.add(self.queue_time);
            latency.connect.add(self.connect_time);
            latency.session.add(total);
            let exchange = self.extra.as_ref().and_then(|extra| extra.http.as_ref());
            let answered = exchange.map(|notes| notes.answer_time).filter(|time| *time >= 0);
            let server = self.server().map(|server| &*backend.servers[server].traffic);
            for traffic in [Some(&*backend.traffic), server].into_iter().flatten() {
                add(&traffic.queue_time, self.queue_time);
                add(&traffic.connect_time, self.connect_time);
                add(&traffic.total_time, total);
                longest(&traffic.longest_queue, self.queue_time);
                longest(&traffic.longest_connect, self.connect_time);
                longest(&traffic.longest_total, total);
                if let Some(answered) = answered {
                    add(&traffic.http.response_time, answered);
                    longest(&traffic.http.longest_response, answered);
                }
                match ended.cause {
                    // Who leaves before there is a connection to a server is not counted.
                    _ if matches!(ended.phase, Phase::Queue | Phase::Connect) => continue,
                    Cause::Client => &traffic.client_aborts,
                    Cause::ClientTimeout if ended.phase == Phase::Data => &traffic.client_aborts,
                    Cause::Server if ended.phase == Phase::Data => &traffic.server_aborts,
                    Cause::ServerTimeout if ended.phase == Phase::Data => &traffic.server_timeouts,
                    _ => continue,
                }
                .fetch_add(1, Relaxed);
            }
        }
        let log = &self.config().log;
        let quiet = self.said
            || self.is_silent()
            || log.dontlognull && from_client == 0
            || log.dontlog_normal && ended.is_normal() && self.retries == 0
            || log.logasap && self.connect_time >= 0;
        if !quiet && log.format != LogFormat::Connect {
            let failed = !ended.is_normal() || self.retries > 0;
            let severity = match log.separate_errors && failed {
                true => Severity::Error,
                false => Severity::Info,
            };
            self.log(severity, ended, (from_client, from_server), false);
        }
    }

    /// Writes its line: that of `option tcplog`, or of a format.
    fn log(&mut self, severity: Severity, ended: Termination, bytes: (u64, u64), early: bool) {
        let severity = self
            .log_level()
            .and_then(|at| Severity::ALL.get(usize::from(at)).copied())
            .unwrap_or(severity);
        let (shared, frontend) = (self.shared, &self.shared.frontends[self.frontend as usize]);
        if let Some(data) = &self.config().log.structured {
            let data = self.custom_line(data, ended, bytes, early);
            let data = if data.is_empty() { "-" } else { &data };
            let line = match &self.config().log.format {
                LogFormat::Custom(format) => self.custom_line(format, ended, bytes, early),
                _ => self.line(ended, bytes.1, early).to_string(),
            };
            shared.log.send_with(&frontend.log, severity, data, line);
        } else if let LogFormat::Custom(format) = &self.config().log.format {
            let line = self.custom_line(format, ended, bytes, early);
            shared.log.send(&frontend.log, severity, line);
        } else {
            shared.log.send(&frontend.log, severity, self.line(ended, bytes.1, early));
        }
        frontend.lines.fetch_add(1, Relaxed);
    }

    /// `option tcplog`: `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`.
    fn line(&self, ended: Termination, bytes: u64, early: bool) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let shared = self.shared;
            let frontend = &shared.frontends[self.frontend as usize];
            match self.peer {
                Some(peer) => write!(f, "{}:{}", peer.ip().to_canonical(), peer.port())?,
                None => write!(f, "unix:1")?,
            }
            f.write_str(" [")?;
            accept_date(Duration::from_millis(self.date), f)?;
            let name = &self.config().name;
            let backend = self
                .backend()
                .map(|index| (&shared.config.backends[index], &shared.backends[index]));
            write!(f, "] {name} {}/", backend.map_or(name, |(config, _)| &config.name))?;
            let server = self.server().zip(backend);
            match server {
                Some((server, (config, _))) => f.write_str(&config.servers[server].name)?,
                None => f.write_str("<NOSRV>")?,
            }
            let plus = if early { "+" } else { "" };
            let Self { queue_time, connect_time, retries, redispatched, queues, .. } = *self;
            write!(f, " {queue_time}/{connect_time}/{plus}{} {plus}{bytes} {ended} ", self.age())?;
            let (active, front) = (shared.process.current(), frontend.gate.current());
            let back = backend.map_or(0, |(_, state)| state.traffic.current.load(Relaxed));
            let served = server.map_or(0, |(server, (_, state))| {
                state.servers[server].traffic.current.load(Relaxed)
            });
            let mark = if redispatched { "+" } else { "" };
            write!(f, "{active}/{front}/{back}/{served}/{mark}{retries} {}/{}", queues.0, queues.1)
        })
    }

    /// A line of nginx's error log about this session; nothing for HAProxy.
    pub(crate) fn error_line(
        &self,
        severity: Severity,
        upstream: Option<&str>,
        what: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result,
    ) {
        self.error_line_with_bytes(severity, upstream, (0, 0), what);
    }

    pub(crate) fn error_line_with_bytes(
        &self,
        severity: Severity,
        upstream: Option<&str>,
        bytes: (u64, u64),
        what: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result,
    ) {
        let route = &self.shared.frontends[self.frontend as usize].errors;
        if !self.shared.is_nginx() || !route.takes(severity) {
            return;
        }
        let line = fmt::from_fn(|f| {
            write!(f, "*{} ", self.number)?;
            what(f)?;
            let udp = if self.udp { "udp " } else { "" };
            match self.peer {
                Some(peer) => write!(f, ", {udp}client: {}", peer.ip())?,
                None => f.write_str(", client: unix:")?,
            }
            write!(f, ", server: {}", self.config().name)?;
            match upstream {
                None => return Ok(()),
                // It was to be passed on, but there is nobody yet.
                Some("") => {}
                Some(upstream) => write!(f, ", upstream: \"{upstream}\"")?,
            }
            let (up, down) = bytes;
            let sent = up + self.extra.as_deref().map_or(0, |extra| extra.announced);
            write!(f, ", bytes from/to client:{up}/{down}, bytes from/to upstream:{down}/{sent}")
        });
        self.shared.log.send(route, severity, line);
    }

    /// HAProxy's line about a connection that was none yet.
    pub(crate) fn embryonic(&mut self, why: crate::handshake::Failed) {
        self.said = true;
        let frontend = &self.shared.frontends[self.frontend as usize];
        if let Some(format) = &self.config().log.errors {
            let line = self.refused_line(format, why);
            self.shared.log.send(&frontend.log, Severity::Info, line);
            return;
        }
        let what = why.text;
        let listener = self.listener();
        let line = fmt::from_fn(|f| {
            match self.peer {
                Some(peer) => write!(f, "{}:{}", peer.ip().to_canonical(), peer.port())?,
                None => f.write_str("unix:1")?,
            }
            f.write_str(" [")?;
            accept_date(Duration::from_millis(self.date), f)?;
            write!(f, "] {}/", self.config().name)?;
            match listener {
                Some(proxy::Bind { name: Some(name), .. }) => f.write_str(name)?,
                Some(proxy::Bind { id, .. }) => write!(f, "{id}")?,
                None => f.write_str("1")?,
            }
            write!(f, ": {what}")
        });
        self.shared.log.send(&frontend.log, Severity::Info, line);
    }

    /// It ends without a line.
    pub(crate) fn say_nothing(&mut self) {
        self.said = true;
    }

    /// A line of nginx's error log that only says what happened.
    pub(crate) fn plain_line(&self, severity: Severity, what: impl fmt::Display) {
        let route = &self.shared.frontends[self.frontend as usize].errors;
        if route.takes(severity) {
            self.shared.log.send(route, severity, format_args!("*{} {what}", self.number));
        }
    }
}

/// Looks first: nearly always it is not the longest.
fn longest(most: &std::sync::atomic::AtomicU32, time: i32) {
    let time = u32::try_from(time).unwrap_or(0);
    if time > most.load(Relaxed) {
        most.fetch_max(time, Relaxed);
    }
}

fn add(counter: &std::sync::atomic::AtomicU64, time: i32) {
    counter.fetch_add(u64::try_from(time).unwrap_or(0), Relaxed);
}

/// A connection being served: the future of its task. It is as small as it can be, because most of
/// the time it does nothing but exist.
pub(crate) struct Serve {
    doing: Doing,
    thread: u16,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them relay nearly all of the time: a box would only add to it"
)]
enum Doing {
    /// Looking for a server. Boxed: it is large, and soon over.
    Connecting(Pin<Box<dyn Future<Output = Found>>>),
    Relaying(Relaying),
    Over,
}

type Found = (Connecting, Result<(Stream, Slot), Termination>);

struct Relaying {
    session: Session,
    relay: Relay,
    slot: Slot,
    /// Its entry in the list of live sessions, and the count of kills it has seen.
    key: u32,
    kills: u32,
    /// When its bytes were last added to the counters, in units of [`REPORT`].
    reported: u32,
}

impl Serve {
    /// Serves a connection that was just accepted.
    pub(crate) fn new(
        shared: &'static Shared,
        thread: u16,
        frontend: u32,
        bind: u16,
        client: Stream,
        peer: Option<SocketAddr>,
    ) -> Self {
        let mut session = Session::begin(shared, frontend, peer, false);
        session.came_by(bind);
        let has_header = session.listener().is_some_and(|bind| bind.proxy_protocol);
        let front = shared.transport.front((frontend as usize, bind.into()));
        if shared.is_nginx() {
            let line = fmt::from_fn(|f| {
                match peer {
                    Some(peer) => write!(f, "client {peer}")?,
                    None => f.write_str("client unix:")?,
                }
                write!(f, " connected to {}", session.config().name)
            });
            session.plain_line(Severity::Info, line);
        } else if session.config().log.format == LogFormat::Connect {
            connect_line(&session, &client);
        }
        let connecting = Connecting { session, client, thread, kept: None, has_header, front };
        Self { doing: Doing::Connecting(Box::pin(connecting.run())), thread }
    }

    fn connected(&mut self, cx: &Context<'_>, found: Found) -> bool {
        let (Connecting { mut session, client, .. }, result) = found;
        let shared = session.shared;
        match result {
            Err(ended) => {
                if !shared.is_nginx() {
                    let first = session.extra.as_ref().map_or(0, |extra| extra.first.len() as u64);
                    let (up, down) = session.reported;
                    session.report(first.max(up), down);
                    // What was never read would turn the close into a reset; HAProxy has read it.
                    let _ = (&*socket2::SockRef::from(&client)).read(&mut [0; 16 * 1024]);
                } else if session.extra.as_ref().is_some_and(|extra| !extra.first.is_empty()) {
                    // nginx leaves unread what it does not pass on, so its close is a reset.
                    let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
                }
                session.note_end(&client, None);
                drop(client);
                let (up, down) = session.reported;
                session.finish(ended, up, down);
                false
            }
            Ok((server, slot)) => {
                let ids = slot.ids();
                let about = session.about(ids);
                let key =
                    shared.threads[usize::from(self.thread)].enter_as(about, cx.waker().clone());
                if shared.is_nginx() {
                    session.plain_line(Severity::Info, proxied(&server));
                } else if session.config().log.logasap {
                    let log = &session.config().log;
                    if log.format != LogFormat::Connect && !session.is_silent() {
                        session.log(Severity::Info, Termination::NORMAL, (0, 0), true);
                    }
                }
                let inspecting = session.expect_answer(&server);
                let mut spoken = None;
                let mut relay = Relay::new(client, server);
                let backend = &shared.config.backends[slot.backend as usize];
                let [up, down] = session.rates(backend);
                relay.limit(up, down);
                if let Some(extra) = &mut session.extra {
                    spoken = extra.rules.spoken;
                    relay.begin_with(std::mem::take(&mut extra.first));
                }
                if inspecting {
                    relay.hold_answer();
                }
                if !shared.is_nginx() {
                    relay.client_spoke(spoken.unwrap_or(session.accepted));
                }
                let (kills, reported) = (shared.kills(), report_time(timer::now()));
                self.doing =
                    Doing::Relaying(Relaying { session, relay, slot, key, kills, reported });
                true
            }
        }
    }
}

impl Future for Serve {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Doing::Connecting(connecting) = &mut self.doing {
            let Poll::Ready(found) = connecting.as_mut().poll(cx) else { return Poll::Pending };
            if !self.connected(cx, found) {
                self.doing = Doing::Over;
            }
        }
        let thread = usize::from(self.thread);
        let Doing::Relaying(relaying) = &mut self.doing else { return Poll::Ready(()) };
        let Poll::Ready(ended) = relaying.poll(cx, thread) else { return Poll::Pending };
        if let Doing::Relaying(relaying) = std::mem::replace(&mut self.doing, Doing::Over) {
            relaying.finish(ended, thread);
        }
        Poll::Ready(())
    }
}

impl Drop for Serve {
    /// A process that ends drops its sessions: they are counted and logged as well.
    fn drop(&mut self) {
        if let Doing::Relaying(relaying) = std::mem::replace(&mut self.doing, Doing::Over) {
            let killed = Termination::new(Cause::Killed, Phase::None);
            let thread = usize::from(self.thread);
            relaying.finish(How::Termination(killed), thread);
        }
    }
}

/// How a relay came to its end, before it is put in an original's words.
#[derive(Clone, Copy, Debug)]
enum How {
    Ended(Ended),
    Termination(Termination),
}

impl Relaying {
    fn poll(&mut self, cx: &mut Context<'_>, thread: usize) -> Poll<How> {
        let shared = self.session.shared;
        let kills = shared.kills();
        if kills != self.kills {
            self.kills = kills;
            if let Some(cause) = shared.threads[thread].killed(self.key) {
                // As HAProxy 3.2 has it: `KC`, where 2.6 had `K-`.
                let phase = if shared.is_nginx() { Phase::None } else { Phase::Connect };
                let termination = Termination::new(cause, phase);
                return Poll::Ready(How::Termination(termination));
            }
        }
        let frontend = &shared.frontends[self.session.frontend as usize];
        if self.session.expects_answer()
            && let Poll::Ready(answered) = self.session.poll_answer(cx, self.relay.server())
        {
            match answered {
                Answered::Pass(bytes) => self.relay.answer_with(bytes),
                Answered::Close(bytes) => {
                    self.relay.answer_with(bytes);
                    let server = socket2::SockRef::from(self.relay.server());
                    // One that is closed already is as good.
                    let _ = server.shutdown(std::net::Shutdown::Both);
                }
                Answered::End(bytes, ended) => {
                    self.relay.answer_with(bytes);
                    // What was never read would turn the close into a reset.
                    let client = socket2::SockRef::from(self.relay.client());
                    let _ = (&*client).read(&mut [0; 16 * 1024]);
                    return Poll::Ready(How::Termination(ended));
                }
            }
        }
        let limits = frontend.limits_to(self.slot.backend as usize);
        let ended = self.relay.poll(cx, limits);
        if self.relay.from_server() > 0
            && let Some(tried) = self.session.last_try()
        {
            tried.first_byte.get_or_insert(timer::now() - tried.started);
            self.session.measure(Some(Measure::FirstByte));
        }
        if let Poll::Ready(ended) = ended {
            return Poll::Ready(How::Ended(ended));
        }
        let active = report_time(self.relay.last_active());
        if active != self.reported {
            self.reported = active;
            self.session.report(self.relay.from_client(), self.relay.from_server());
        }
        Poll::Pending
    }

    fn finish(self, how: How, thread: usize) {
        let Self { mut session, relay, slot, key, .. } = self;
        session.shared.threads[thread].leave(key);
        let (up, down) = (relay.from_client(), relay.from_server());
        let phase = if relay.is_delivering() { Phase::Last } else { Phase::Data };
        let ended = match how {
            How::Termination(termination) => termination,
            How::Ended(Ended::Finished) => Termination::NORMAL,
            How::Ended(Ended::ClientError) => Termination::new(Cause::Client, phase),
            How::Ended(Ended::ServerError) => Termination::new(Cause::Server, phase),
            How::Ended(Ended::ClientTimeout | Ended::IdleTimeout) => {
                Termination::new(Cause::ClientTimeout, phase)
            }
            How::Ended(Ended::ServerTimeout) => Termination::new(Cause::ServerTimeout, phase),
        };
        if session.shared.is_nginx() {
            nginx_end(&session, &relay, how, (up, down));
        }
        let announced = session.extra.as_deref().map_or(0, |extra| extra.announced);
        if let Some(tried) = session.last_try() {
            tried.bytes = (up + announced, down);
        }
        let config = session.config();
        if config.nolinger && !ended.is_normal() {
            let _ = socket2::SockRef::from(relay.client()).set_linger(Some(Duration::ZERO));
        }
        session.note_end(relay.client(), Some(relay.server()));
        drop(relay);
        drop(slot);
        session.finish(ended, up, down);
    }
}

/// HAProxy's line without any `option …log`, when a connection begins.
fn connect_line(session: &Session, client: &Stream) {
    let shared = session.shared;
    let route = &shared.frontends[session.frontend as usize].log;
    if !route.takes(Severity::Info) {
        return;
    }
    let (Some(peer), Ok(local)) = (session.peer, client.local_addr()) else { return };
    let (peer_ip, local_ip) = (peer.ip().to_canonical(), local.ip().to_canonical());
    let line = format_args!(
        "Connect from {peer_ip}:{} to {local_ip}:{} ({}/{})",
        peer.port(),
        local.port(),
        session.config().name,
        match session.config().mode {
            proxy::Mode::Tcp => "TCP",
            proxy::Mode::Http => "HTTP",
        },
    );
    shared.log.send(route, Severity::Info, line);
}

/// `proxy 127.0.0.1:45678 connected to 192.0.2.1:6443`.
fn proxied(server: &Stream) -> impl fmt::Display {
    fmt::from_fn(move |f| match (server.local_addr(), server.peer_addr()) {
        (Ok(local), Ok(peer)) => write!(f, "proxy {local} connected to {peer}"),
        _ => f.write_str("proxy unix: connected to unix:"),
    })
}

/// What nginx says when a session ends.
fn nginx_end(session: &Session, relay: &Relay, how: How, bytes @ (up, down): (u64, u64)) {
    // Not asked of the socket: one that was reset has forgotten.
    let target = session
        .backend()
        .zip(session.server())
        .map(|(backend, server)| session.shared.backends[backend].servers[server].target());
    let tried = session.extra.as_deref().and_then(|extra| extra.tries.last());
    let upstream = || match (&target, tried) {
        (Some(target), _) => crate::backend::upstream(target),
        (None, Some(tried)) => tried.address.clone(),
        (None, None) => String::new(),
    };
    let broke = |severity, error: Option<std::io::Error>, what: &str, doing: &str| {
        let Some(error) = error else { return };
        session.error_line_with_bytes(severity, Some(&upstream()), bytes, |f| {
            let (number, why) = (error.raw_os_error().unwrap_or(0), crate::bind::reason(&error));
            write!(f, "{what}() failed ({number}: {why}) while proxying and {doing}")
        });
    };
    let who = match how {
        How::Termination(Termination { cause: Cause::Killed, .. })
            if session.shared.draining.load(Relaxed) =>
        {
            session.error_line_with_bytes(Severity::Info, Some(&upstream()), bytes, |f| {
                f.write_str("shutdown timeout while proxying connection")
            });
            return;
        }
        How::Ended(Ended::IdleTimeout) => {
            session.error_line_with_bytes(Severity::Info, Some(&upstream()), bytes, |f| {
                f.write_str(
                    "connection timed out (110: Connection timed out) while proxying connection",
                )
            });
            return;
        }
        How::Ended(Ended::ServerError) => {
            let error = Severity::Error;
            broke(error, relay.error_from_server(), "recv", "reading from upstream");
            broke(error, relay.error_from_client(), "send", "sending to upstream");
            "upstream"
        }
        How::Ended(Ended::ClientError) => {
            let info = Severity::Info;
            broke(info, relay.error_from_client(), "recv", "reading from client");
            broke(info, relay.error_from_server(), "send", "sending to client");
            "client"
        }
        _ if relay.client_ended_first() => "client",
        _ => "upstream",
    };
    // With `proxy_half_close` it is over when the other one has ended as well, who is named then.
    let forwards = session.backend().is_some_and(|backend| {
        session.shared.config.backends[backend].half_close == proxy::HalfClose::Forward
    });
    let who = match who {
        _ if !forwards => who,
        "client" => "upstream",
        _ => "client",
    };
    let sent = up + session.extra.as_deref().map_or(0, |extra| extra.announced);
    let line = format_args!(
        "{who} disconnected, bytes from/to client:{up}/{down}, bytes from/to upstream:{down}/{sent}"
    );
    session.plain_line(Severity::Info, line);
}
