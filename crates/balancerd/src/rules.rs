//! HAProxy's rules on a session: where it may go, and whether it may go on.
//!
//! ```text
//!   accept ─► connection ─► PROXY header ─► session ─► content ─► use_backend ─► content of the
//!               RST, no line                  FIN, no line   PR                   backend ─► use-server
//!                                                                                    │
//!   relay ◄─ tcp-response content ◄─ the server's first bytes ◄────── connected ◄────┘
//!                 PD
//! ```

mod inspect;
mod stick;
mod view;

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use balance::{ServerId, State};
use linux::tcp_info::TcpInfo;
use nix::sys::socket::{setsockopt, sockopt};
use proxy::{
    BackendIndex, BackendRules, Cause, FrontendRules, LogFormat, Phase, ServerTarget, SwitchTarget,
    Termination,
};
use relay::Stream;
use relay::timer::{self, Millis, Timer};
use rules::record::{Record, SILENT, Timeouts};
use rules::{Expr, Format, Rule, Scope, Truth, Value, Verdict, Waiting, run};

use crate::backend::Connecting;
use crate::handshake::Failed;
use crate::outbound::Marks;
use crate::session::Session;
pub(crate) use view::View;
pub(crate) use view::{clf, number_thread};

pub(crate) use stick::tables;

/// What rules see at most: HAProxy's `tune.bufsize` without `tune.maxrewrite`.
const MOST: usize = 15 * 1_024;
/// How long speaking at once may take, in milliseconds.
const AT_ONCE: Millis = 2;
/// Nobody reads its letters: it has no line.
const UNSAID: Termination = Termination::new(Cause::Proxy, Phase::Request);
const REJECTED: Termination = Termination::new(Cause::Proxy, Phase::Request);
const ANSWER_REJECTED: Termination = Termination::new(Cause::Proxy, Phase::Data);

/// What the rules of a session wrote down, and the server's first bytes while they are looked at.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) record: Record,
    answer: Option<Answer>,
    /// Tables and the keys that will lead to the server that accepts the connection.
    stores: Vec<(usize, Vec<u8>)>,
    /// `force-persist` holds.
    insists: bool,
    /// The client has ended, and rules have seen it.
    pub(crate) ended: bool,
    /// It broke off or was silent for too long: its rules run to their end, and then it is over.
    gone: Option<Cause>,
    /// When the client last sent something that rules looked at.
    pub(crate) spoken: Option<Millis>,
    /// Why it becomes no session.
    failed: Option<Failed>,
    /// What the kernel knew of the client's connection at its end, for log lines.
    info: Option<TcpInfo>,
    /// The same of the server's.
    server_info: Option<TcpInfo>,
    /// Where the client connected to, as rules want it seen.
    pub(crate) seen: Option<SocketAddr>,
    /// Our end of the connection to the server, for log lines.
    pub(crate) bound: Option<std::net::SocketAddr>,
}

/// The inspection of a server's first bytes.
#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
    until: Option<Millis>,
    timer: Timer,
}

/// HAProxy keeps no more of a unique id.
const MOST_UNIQUE_ID: usize = 127;

/// Whether sessions of a frontend need room for what rules write down.
pub(crate) fn has_rules(frontend: &proxy::Frontend) -> bool {
    frontend.rules.is_some()
        || frontend.log.structured.is_some()
        || matches!(frontend.log.format, LogFormat::Custom(_))
}

impl Session {
    /// Lends the record, and what the client sent, to an evaluation.
    pub(crate) fn judge<T>(
        &mut self,
        client: Option<&Stream>,
        judge: impl FnOnce(&View<'_>, &[u8], &mut Record) -> T,
    ) -> T {
        let extra = self.extra.get_or_insert_default();
        let mut record = std::mem::take(&mut extra.rules.record);
        let first = std::mem::take(&mut extra.first);
        let done = judge(&View::new(self, client), &first, &mut record);
        let extra = self.extra.get_or_insert_default();
        (extra.rules.record, extra.first) = (record, first);
        done
    }

    /// Applies what rules say of addresses. What is said before there is a session changes the
    /// connection itself; later it only changes what is seen of it.
    pub(crate) fn readdress(&mut self, early: bool) {
        let Some(extra) = &mut self.extra else { return };
        let record = &mut extra.rules.record;
        if let (Some(peer), true) =
            (&mut self.peer, record.source.is_some() || record.source_port.is_some())
        {
            if !early {
                extra.connected = extra.connected.or(Some(*peer));
            }
            peer.set_ip(record.source.take().unwrap_or(peer.ip()));
            peer.set_port(record.source_port.take().unwrap_or(peer.port()));
        }
        let Some(local) = &mut extra.local else { return };
        let mut seen = *local;
        seen.set_ip(record.destination.unwrap_or(local.ip()));
        seen.set_port(record.destination_port.unwrap_or(local.port()));
        if early {
            *local = seen;
            (record.destination, record.destination_port) = (None, None);
        } else {
            extra.rules.seen = Some(seen);
        }
    }

    /// Whether requests are answered one by one: by its frontend, or by the backend it goes to.
    pub(crate) fn speaks_http(&self) -> bool {
        let backend = self.backend().map(|at| &self.shared.config.backends[at]);
        self.config().http.is_some() || backend.is_some_and(|backend| backend.http.is_some())
    }

    /// The severity rules want for its log line; `None` is the usual one, [`SILENT`] none at all.
    pub(crate) fn log_level(&self) -> Option<u8> {
        self.extra.as_ref()?.rules.record.log_level
    }

    /// Whether rules want no log line.
    pub(crate) fn is_silent(&self) -> bool {
        self.log_level() == Some(SILENT)
    }

    /// Adds bytes to the counters it tracks.
    pub(crate) fn count_tracked(&self, up: u64, down: u64) {
        if let Some(extra) = &self.extra {
            extra.rules.record.counters.count_bytes(up, down);
        }
    }

    /// Decides what identifies it, where its frontend says how and nobody has asked before.
    pub(crate) fn identify(&mut self, client: Option<&Stream>) {
        let Some(format) = self.config().unique_id.as_deref() else { return };
        if self.extra.as_ref().is_some_and(|extra| extra.unique_id.is_some()) {
            return;
        }
        let mut id = self.written(client, format);
        id.truncate(MOST_UNIQUE_ID);
        self.extra.get_or_insert_default().unique_id = Some(id.into_boxed_slice());
    }

    /// What a format says of it now.
    pub(crate) fn written(&mut self, client: Option<&Stream>, format: &'static Format) -> Vec<u8> {
        self.judge(client, |view, first, record| {
            let request = Some(Waiting { bytes: first, complete: true });
            let mut out = Vec::new();
            format.write(&Scope { request, ..view.scope() }, record, &mut out);
            out
        })
    }

    /// Does to the client's socket what rules want of its packets.
    fn mark_client(&mut self, client: &Stream) {
        let Some(extra) = &mut self.extra else { return };
        let record = &mut extra.rules.record;
        let socket = socket2::SockRef::from(client);
        // Without the right to, packets go as they are: HAProxy says nothing either.
        if let Some(mark) = record.mark.take() {
            let _ = socket.set_mark(mark);
        }
        if let Some(tos) = record.tos.take() {
            let _ = match self.peer {
                Some(SocketAddr::V6(peer)) if peer.ip().to_ipv4_mapped().is_none() => {
                    socket.set_tclass_v6(tos.into())
                }
                _ => socket.set_tos_v4(tos.into()),
            };
        }
    }

    /// Its line in a format of the configuration.
    pub(crate) fn custom_line(
        &mut self,
        format: &'static Format,
        ended: Termination,
        bytes: (u64, u64),
        early: bool,
    ) -> String {
        self.identify(None);
        self.judge(None, |view, _, record| {
            let view = view.at_end(ended, bytes, early);
            let mut line = Vec::with_capacity(256);
            format.write(&view.scope(), record, &mut line);
            String::from_utf8(line)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        })
    }

    /// The line of a connection that becomes no session: `error-log-format`.
    pub(crate) fn refused_line(&mut self, format: &'static Format, why: Failed) -> String {
        self.extra.get_or_insert_default().rules.failed = Some(why);
        self.custom_line(format, UNSAID, (0, 0), false)
    }

    /// Whether a rule expects a NetScaler's word of the client.
    pub(crate) fn expects_netscaler(&self) -> bool {
        self.record().is_some_and(|record| record.expect_netscaler)
    }

    /// Notes what only an open connection tells, if its line may say it.
    pub(crate) fn note_end(&mut self, client: &Stream, server: Option<&Stream>) {
        if let (LogFormat::Custom(_), Some(extra)) = (&self.config().log.format, &mut self.extra) {
            extra.rules.info = TcpInfo::of(client).ok();
            extra.rules.server_info = server.and_then(|server| TcpInfo::of(server).ok());
        }
    }

    fn record(&self) -> Option<&Record> {
        self.extra.as_ref().map(|extra| &extra.rules.record)
    }

    /// `set-retries`.
    pub(crate) fn retries_set(&self) -> Option<u32> {
        self.record()?.retries
    }

    /// `set-priority-class` and `set-priority-offset`, if one of them was set.
    pub(crate) fn priority(&self) -> Option<(i16, i32)> {
        self.record().map(|record| record.priority).filter(|set| *set != (0, 0))
    }

    /// A timeout that a rule set.
    pub(crate) fn timeout_set(&self, which: fn(&Timeouts) -> Option<u32>) -> Option<Duration> {
        let millis = which(self.record()?.timeouts.as_deref()?)?;
        Some(Duration::from_millis(millis.into()))
    }

    /// What rules say of packets to the server.
    pub(crate) fn marks(&self) -> Marks {
        let marks = |record: &Record| Marks { mark: record.server_mark, tos: record.server_tos };
        self.record().map(marks).unwrap_or_default()
    }

    /// Forgets the client without a word, or with a reset that does not get far.
    pub(crate) fn silence(&self, client: &Stream) {
        match self.record().and_then(|record| record.reset_hops) {
            Some(hops) => reset_within(client, hops.into()),
            None => silence(client),
        }
    }

    fn frontend_rules(&self) -> Option<&'static FrontendRules> {
        self.config().rules.as_deref()
    }

    fn backend_rules(&self) -> Option<&'static BackendRules> {
        self.shared.config.backends[self.backend()?].rules.as_deref()
    }
}

impl Connecting {
    /// `tcp-request connection`: before anything is read.
    pub(crate) fn at_accept(&mut self) -> Result<(), Termination> {
        if let Some(extra) = self.session.extra.as_mut().filter(|extra| extra.local.is_none()) {
            extra.local = self.client.local_addr().ok();
        }
        let Some(rules) = self.session.frontend_rules() else { return Ok(()) };
        let verdict = self.without_bytes(&rules.connection);
        self.obey(verdict, true)?;
        let record = self.session.extra.as_ref().map(|extra| &extra.rules.record);
        self.has_header |= record.is_some_and(|record| record.expect_proxy);
        Ok(())
    }

    /// All that is decided before a server is looked for.
    pub(crate) async fn rules(&mut self) -> Result<(), Termination> {
        // Rules may ask for it.
        self.session.identify(Some(&self.client));
        if let Some(rules) = self.session.frontend_rules() {
            let verdict = self.without_bytes(&rules.session);
            self.obey(verdict, false)?;
            if let Some(extra) = &self.session.extra {
                extra.rules.record.counters.count_session();
            }
            self.inspect(&rules.content, rules.inspect_delay).await?;
        }
        if self.session.config().http.is_some() {
            // Where it goes is decided request by request.
            return self.stays();
        }
        self.choose().await;
        self.stays()?;
        let Some(rules) = self.session.backend_rules() else { return Ok(()) };
        let shared = self.session.shared;
        let backend = self.session.backend().map(|at| &shared.config.backends[at]);
        // The content rules of a `listen` were those of its frontend.
        let own = backend.is_some_and(|b| b.listen && b.id == self.session.config().id);
        if own {
            return Ok(());
        }
        self.inspect(&rules.content, rules.inspect_delay).await?;
        self.stays()
    }

    /// `use_backend` and the default.
    pub(crate) async fn choose(&mut self) {
        if let Some(rules) = self.session.frontend_rules()
            && !rules.switching.is_empty()
        {
            self.switch(rules).await;
        }
        if let Some(default) = self.session.config().default_backend {
            // Unless a rule has said where to go.
            self.session.set_backend(default);
        }
    }

    /// Whether the client is still there once its rules have run.
    fn stays(&self) -> Result<(), Termination> {
        match self.session.extra.as_ref().and_then(|extra| extra.rules.gone) {
            Some(cause) => Err(Termination::new(cause, Phase::Request)),
            None => Ok(()),
        }
    }

    /// What `balance hash` goes by: the bytes of a value, nothing if it has none.
    pub(crate) fn hash_key(&mut self, expr: &'static Expr) -> Vec<u8> {
        self.session.judge(Some(&self.client), |view, first, record| {
            let request = Some(Waiting { bytes: first, complete: true });
            let scope = Scope { request, ..view.scope() };
            let value = expr.eval(&scope, record).value();
            value.and_then(Value::into_bytes).unwrap_or_default().into_owned()
        })
    }

    fn without_bytes(&mut self, rules: &'static [Rule]) -> Verdict {
        if rules.is_empty() {
            return Verdict::Accept;
        }
        let verdict = self
            .session
            .judge(Some(&self.client), |view, _, record| run(rules, &view.scope(), record));
        self.session.readdress(true);
        self.session.mark_client(&self.client);
        verdict
    }

    /// Ends a connection that is not wanted, without a line: it is no session yet.
    fn obey(&mut self, verdict: Verdict, early: bool) -> Result<(), Termination> {
        match verdict {
            Verdict::Accept | Verdict::Wait => return Ok(()),
            Verdict::SilentDrop => self.session.silence(&self.client),
            Verdict::Reject | Verdict::Close if early => {
                let _ = socket2::SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
            }
            Verdict::Reject | Verdict::Close => {}
        }
        self.session.say_nothing();
        Err(UNSAID)
    }

    /// `use_backend`: the first rule whose condition holds.
    async fn switch(&mut self, rules: &'static FrontendRules) {
        let reads = |format: &Format| format.reads_request();
        let wanted = rules.switching.iter().any(|rule| {
            rule.condition.as_ref().is_some_and(rules::Condition::reads_request)
                || matches!(&rule.target, SwitchTarget::Named(format) if reads(format))
        });
        // Bytes that were looked at are there; others are taken if they have come.
        let nothing = self.session.extra.as_ref().is_none_or(|extra| extra.first.is_empty());
        let nothing = nothing && self.session.config().http.is_none();
        if nothing && self.glance(wanted) && wanted && !self.noted().ended {
            self.linger().await;
        }
        let shared = self.session.shared;
        let to = self.session.judge(Some(&self.client), |view, first, record| {
            let request = Some(Waiting { bytes: first, complete: true });
            let scope = Scope { request, ..view.scope() };
            for rule in &rules.switching {
                let holds = |record: &mut Record| match &rule.condition {
                    Some(condition) => condition.eval(&scope, record) == Truth::Yes,
                    None => true,
                };
                if !holds(record) {
                    continue;
                }
                return match &rule.target {
                    SwitchTarget::Backend(index) => Some(*index),
                    SwitchTarget::Named(format) => {
                        let mut name = Vec::new();
                        format.write(&scope, record, &mut name);
                        let known = |backend: &std::sync::Arc<proxy::Backend>| {
                            backend.name.as_bytes() == name
                        };
                        // A name nobody has leads to the default backend.
                        shared.config.backends.iter().position(known).map(BackendIndex)
                    }
                };
            }
            None
        });
        if let Some(index) = to {
            self.session.set_backend(index);
        }
    }

    /// `use-server`: the server of the first rule that holds and whose server can be used.
    pub(crate) fn wanted_server(&mut self) -> Option<ServerId> {
        let rules = self.session.backend_rules().filter(|rules| !rules.servers.is_empty())?;
        let at = self.session.backend()?;
        let (config, state) =
            (&self.session.shared.config.backends[at], &self.session.shared.backends[at]);
        self.session.judge(Some(&self.client), |view, first, record| {
            let request = Some(Waiting { bytes: first, complete: true });
            let scope = Scope { request, ..view.scope() };
            rules.servers.iter().find_map(|rule| {
                if rule.condition.eval(&scope, record) != Truth::Yes {
                    return None;
                }
                let server = match &rule.target {
                    ServerTarget::Server(at) => *at,
                    ServerTarget::Named(format) => {
                        let mut name = Vec::new();
                        format.write(&scope, record, &mut name);
                        config.servers.iter().position(|s| s.name.as_bytes() == name)?
                    }
                };
                let server = ServerId(server);
                let down = state.balancer.look(|pool| pool.server(server).state == State::Down);
                (!down).then_some(server)
            })
        })
    }
}

/// Makes the end of a connection known to nobody: as HAProxy, by TCP_REPAIR where that is allowed,
/// else by a reset that does not get further than the next router.
fn silence(client: &Stream) {
    if setsockopt(client, sockopt::TcpRepair, &1).is_err() {
        reset_within(client, 1);
    } else {
        let _ = socket2::SockRef::from(client).set_linger(Some(Duration::ZERO));
    }
}

/// The end of a connection is a reset that so many routers pass on.
fn reset_within(client: &Stream, hops: u32) {
    let socket = socket2::SockRef::from(client);
    let _ = socket.set_linger(Some(Duration::ZERO));
    let is_v4 = client.local_addr().is_ok_and(|local| local.is_ipv4());
    let _ = if is_v4 { socket.set_ttl_v4(hops) } else { socket.set_unicast_hops_v6(hops) };
}

/// What becomes of the server's first bytes.
pub(crate) enum Answered {
    /// They go to the client, and all others after them.
    Pass(Vec<u8>),
    /// They go to the client, and the server is told no more.
    Close(Vec<u8>),
    /// The session ends; they are only counted.
    End(Vec<u8>, Termination),
}

impl Session {
    /// Begins to look at what the server says, if rules of its backend do. Returns whether.
    pub(crate) fn expect_answer(&mut self, server: &Stream) -> bool {
        if let Some(extra) = &mut self.extra {
            extra.rules.bound = server.local_addr().ok();
        }
        let Some(rules) = self.backend_rules().filter(|rules| !rules.response.is_empty()) else {
            return false;
        };
        let until = rules.response_delay.map(|delay| timer::now() + crate::facts::millis(delay));
        let answer = Answer { bytes: Vec::new(), until, timer: Timer::new() };
        self.extra.get_or_insert_default().rules.answer = Some(answer);
        true
    }

    /// Whether rules look at what the server says.
    pub(crate) fn expects_answer(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.rules.answer.is_some())
    }

    /// Looks at what the server says until the rules decide.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>, server: &Stream) -> Poll<Answered> {
        let rules = self.backend_rules();
        let answer = self.extra.as_mut().and_then(|extra| extra.rules.answer.take());
        let (Some(rules), Some(mut answer)) = (rules, answer) else {
            return Poll::Ready(Answered::Pass(Vec::new()));
        };
        let mut ended = false;
        let decided = loop {
            let expired = answer.until.is_none_or(|until| timer::now() >= until);
            let last = ended || expired || answer.bytes.len() >= MOST;
            let verdict = self.judge(None, |view, _, record| {
                let response = Some(Waiting { bytes: &answer.bytes, complete: last });
                run(&rules.response, &Scope { response, last, ..view.scope() }, record)
            });
            match verdict {
                Verdict::Wait => {}
                Verdict::Accept => break Some(Answered::Pass(std::mem::take(&mut answer.bytes))),
                Verdict::Reject | Verdict::SilentDrop => {
                    self.count_denied_answer();
                    break Some(Answered::End(std::mem::take(&mut answer.bytes), ANSWER_REJECTED));
                }
                Verdict::Close => {
                    break Some(Answered::Close(std::mem::take(&mut answer.bytes)));
                }
            }
            let held = answer.bytes.len();
            answer.bytes.resize(MOST.max(held), 0);
            let read = match server.poll_recv(cx, &mut answer.bytes[held..]) {
                Poll::Pending => None,
                Poll::Ready(read) => Some(read),
            };
            answer.bytes.truncate(held + read.as_ref().map_or(0, |r| r.as_ref().map_or(0, |n| *n)));
            match read {
                None => break None,
                Some(Ok(0) | Err(_)) => ended = true,
                Some(Ok(_)) => {}
            }
        };
        match decided {
            Some(decided) => {
                if let (Answered::Pass(bytes) | Answered::Close(bytes), Some((backend, server))) =
                    (&decided, self.backend().zip(self.server()))
                {
                    self.remember_answer(bytes, backend, server);
                }
                Poll::Ready(decided)
            }
            None => {
                if let Some(until) = answer.until {
                    answer.timer.arm(until, cx);
                }
                answer.bytes.shrink_to_fit();
                self.extra.get_or_insert_default().rules.answer = Some(answer);
                Poll::Pending
            }
        }
    }
}
