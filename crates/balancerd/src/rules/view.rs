//! What rules and log lines see of a session.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balance::{ServerId, State};
use linux::clock::LocalTime;
use linux::tcp_info::TcpInfo;
use proxy::{Backend, Server, Termination};
use relay::{Stream, Target};
use rules::format::Variable;
use rules::record::Process;
use rules::scope::{BackendNumber, End, Environment, FrontendNumber, Name, Number, ServerNumber};
use rules::{Exchange, Scope};

use crate::log::accept_date;
use crate::session::Session;
use crate::state::BackendState;

thread_local! {
    /// The number of the thread that serves.
    static THREAD: Cell<u16> = const { Cell::new(0) };
}

/// Tells a thread its number.
pub(crate) fn number_thread(number: u16) {
    THREAD.with(|thread| thread.set(number));
}

/// A session, as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct View<'s> {
    session: &'s Session,
    client: Option<&'s Stream>,
    /// For a log line: how it ended, bytes from the client and from the server, and whether it is
    /// written before the end (`option logasap`).
    ended: Option<(Termination, (u64, u64), bool)>,
}

impl<'s> View<'s> {
    pub(super) const fn new(session: &'s Session, client: Option<&'s Stream>) -> Self {
        Self { session, client, ended: None }
    }

    /// The same for a log line.
    pub(super) const fn at_end(self, ended: Termination, bytes: (u64, u64), early: bool) -> Self {
        Self { ended: Some((ended, bytes, early)), ..self }
    }

    /// The exchange of HTTP that is under way.
    pub(crate) fn exchange(&self) -> Option<Exchange<'_>> {
        Some(self.session.extra.as_ref()?.http.as_ref()?.exchange())
    }

    /// What rules see.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { http: self.exchange(), ..Scope::new(self) }
    }

    fn backend_parts(&self, at: usize) -> Option<(&'s Backend, &'s BackendState)> {
        let shared = self.session.shared;
        Some((shared.config.backends.get(at)?, shared.backends.get(at)?))
    }

    fn server_config(&self) -> Option<&'s Server> {
        let (backend, _) = self.backend_parts(self.session.backend()?)?;
        backend.servers.get(self.session.server()?)
    }

    /// What the kernel knows of the client's connection, while it is there.
    fn tcp(&self, what: fn(&TcpInfo) -> u32) -> Option<i64> {
        let info = match self.client {
            Some(client) => TcpInfo::of(client).ok(),
            None => self.session.extra.as_ref()?.rules.info,
        };
        info.map(|info| what(&info).into())
    }

    /// What the kernel knew of the server's connection at its end.
    fn server_info(&self) -> Option<TcpInfo> {
        self.session.extra.as_ref()?.rules.server_info
    }

    /// What the client connected to.
    fn local(&self) -> Option<SocketAddr> {
        let noted = self.session.extra.as_ref().and_then(|extra| extra.local);
        noted.or_else(|| self.client?.local_addr().ok())
    }

    /// The same, as rules want it seen.
    fn destination(&self) -> Option<SocketAddr> {
        let seen = self.session.extra.as_ref().and_then(|extra| extra.rules.seen);
        seen.or_else(|| self.local())
    }

    /// 1 for the session's own connection while its line is written: it counts until then.
    fn own(&self, backend: usize, server: Option<usize>) -> i64 {
        let here = self.session.backend() == Some(backend)
            && (server.is_none() || server == self.session.server());
        i64::from(here && self.ended.is_some_and(|(.., early)| !early))
    }

    fn target(&self) -> Option<Target> {
        let (_, state) = self.backend_parts(self.session.backend()?)?;
        Some(state.servers.get(self.session.server()?)?.target())
    }

    fn server_address(&self) -> Option<SocketAddr> {
        match self.target()? {
            Target::Inet(address) if address.port() == 0 => {
                Some(SocketAddr::new(address.ip(), self.local()?.port()))
            }
            Target::Inet(address) => Some(address),
            Target::Unix(_) => None,
        }
    }
}

impl Environment for View<'_> {
    fn address(&self, which: End) -> Option<SocketAddr> {
        let session = self.session;
        let extra = session.extra.as_deref();
        match which {
            End::ClientSource => extra.and_then(|extra| extra.connected).or(session.peer),
            End::ClientDestination | End::SeenDestination => self.local(),
            End::SeenSource => session.peer,
            End::ServerSource => extra?.rules.bound,
            End::ServerDestination => self.server_address(),
        }
    }

    fn proxy_tlv(&self, kind: u8) -> Option<&[u8]> {
        self.session.header_tlv(kind)
    }

    fn tls(&self, what: rules::scope::Tls) -> Option<rules::Value<'_>> {
        crate::transport::said(self.session.extra.as_deref()?, what)
    }

    fn unique_id(&self) -> Option<&[u8]> {
        self.session.extra.as_ref()?.unique_id.as_deref()
    }

    fn is_local(&self, ip: IpAddr) -> Option<bool> {
        // An address is ours if a socket can be bound to it.
        Some(std::net::UdpSocket::bind((ip, 0)).is_ok())
    }

    fn number(&self, what: Number) -> Option<i64> {
        let session = self.session;
        let (shared, config) = (session.shared, session.config());
        let backend = || Some(self.backend_parts(session.backend()?)?.0);
        let millis = |time: Option<Duration>| {
            Some(time.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
        };
        match what {
            Number::FrontendId => Some(config.id.into()),
            Number::BackendId => Some(backend()?.id.into()),
            Number::ServerId => Some(self.server_config()?.id.into()),
            Number::CaptureSlots => {
                if let Some(http) = config.http.as_deref() {
                    return i64::try_from(http.captures).ok();
                }
                let rules = config.rules.as_deref().map_or(&[][..], |rules| &rules.content);
                let slots = rules.iter().filter_map(|rule| match rule.action {
                    rules::Action::Capture { slot, .. } => i64::try_from(slot + 1).ok(),
                    _ => None,
                });
                Some(slots.max().unwrap_or(0))
            }
            Number::ResponseCaptureSlots => {
                let http = config.http.as_deref();
                i64::try_from(http.map_or(0, |http| http.response_captures.len())).ok()
            }
            Number::ClientTls => {
                Some(session.extra.as_ref().is_some_and(|extra| extra.tls.is_some()).into())
            }
            Number::ClientTimeout => millis(config.client_timeout),
            Number::ServerTimeout => millis(backend()?.server_timeout),
            Number::TunnelTimeout => millis(backend()?.tunnel_timeout),
            Number::ConnectTimeout => millis(backend()?.connect_timeout),
            Number::AcceptDate => i64::try_from(session.date).ok(),
            Number::Pid => Some(std::process::id().into()),
            Number::Uptime => {
                let age = SystemTime::now().duration_since(shared.started).unwrap_or_default();
                i64::try_from(age.as_secs()).ok()
            }
            Number::Connections => Some(shared.process.current().into()),
            Number::ListenerId => Some(session.listener()?.id.into()),
            Number::ListenerConnections => Some(match session.listener_count() {
                Some(count) => count.load(Relaxed).into(),
                None => shared.frontends[session.frontend as usize].gate.current().into(),
            }),
            Number::ClientError => {
                let failed = session.extra.as_ref().and_then(|extra| extra.rules.failed);
                Some(failed.map_or(0, |failed| failed.number.into()))
            }
            Number::Stopping => Some(shared.draining.load(Relaxed).into()),
            Number::Thread => Some(THREAD.with(Cell::get).into()),
            Number::Serial => Some(session.number.into()),
            Number::RequestDate => {
                let notes = session.extra.as_ref().and_then(|extra| extra.http.as_ref());
                let date = notes.map_or(session.date, |notes| notes.date);
                i64::try_from(date).ok()
            }
            Number::WentWrong => {
                let notes = session.extra.as_ref().and_then(|extra| extra.http.as_ref());
                let ended = self.ended.map_or(Termination::NORMAL, |(ended, ..)| ended);
                let failed = notes.is_some_and(|notes| notes.status >= 500);
                Some((!ended.is_normal() || session.retries > 0 || failed).into())
            }
            Number::Forwarded => Some(session.server().is_some().into()),
            Number::Connected => Some((session.connect_time >= 0).into()),
            Number::AnsweredHere => {
                let notes = session.extra.as_ref().and_then(|extra| extra.http.as_ref());
                Some((session.server().is_none() && notes.is_some_and(|n| n.status > 0)).into())
            }
            Number::ServerReused => None,
            Number::ServerRtt => Some(self.server_info().map_or(0, |info| info.rtt.into())),
            Number::ServerRttVariance => {
                Some(self.server_info().map_or(0, |info| info.rtt_variance.into()))
            }
            Number::MaxRetries => Some(backend()?.retries.into()),
            Number::QueueTimeout => millis(backend()?.queue_timeout),
            Number::TarpitTimeout => millis(config.http.as_deref().and_then(|h| h.tarpit_timeout)),
            Number::BackendTarpitTimeout => {
                millis(backend()?.http.as_deref().and_then(|http| http.tarpit_timeout))
            }
            Number::Retries => Some(session.retries.into()),
            Number::Redispatched => Some(session.redispatched.into()),
            Number::ClientProxied => {
                Some(session.extra.as_ref().is_some_and(|extra| extra.header.is_some()).into())
            }
            Number::HttpMajor => self.session.speaks_http().then_some(1),
            Number::BytesIn => self.ended.and_then(|(_, (up, _), _)| i64::try_from(up).ok()),
            Number::BytesOut => self.ended.and_then(|(_, (_, down), _)| i64::try_from(down).ok()),
            Number::ClientRtt => self.tcp(|info| info.rtt),
            Number::ClientRttVariance => self.tcp(|info| info.rtt_variance),
            Number::ClientUnacked => self.tcp(|info| info.unacked),
            Number::ClientSacked => self.tcp(|info| info.sacked),
            Number::ClientLost => self.tcp(|info| info.lost),
            Number::ClientRetransmitted => self.tcp(|info| info.retransmitted),
            Number::ClientFackets => self.tcp(|info| info.fackets),
            Number::ClientReordering => self.tcp(|info| info.reordering),
        }
    }

    fn name(&self, what: Name) -> Option<Cow<'_, str>> {
        let session = self.session;
        let shared = session.shared;
        let backend = |at: usize| Some(shared.config.backends.get(at)?.name.as_str());
        Some(Cow::Borrowed(match what {
            Name::Frontend => session.config().name.as_str(),
            Name::DefaultBackend => backend(session.config().default_backend?.0)?,
            Name::Backend => backend(session.backend()?)?,
            Name::Server => self.server_config()?.name.as_str(),
            Name::Host => host(),
            Name::ClientError => session.extra.as_ref()?.rules.failed?.name,
            Name::ClientErrorText => session.extra.as_ref()?.rules.failed?.text,
            Name::Listener => session.listener()?.name.as_deref()?,
        }))
    }

    fn frontend(&self, frontend: usize, what: FrontendNumber) -> Option<i64> {
        let state = self.session.shared.frontends.get(frontend)?;
        Some(match what {
            FrontendNumber::Connections => state.gate.current().into(),
            FrontendNumber::SessionRate => state.traffic.rate.now().into(),
            FrontendNumber::RequestRate => state.traffic.http.request_rate.now().into(),
        })
    }

    fn backend(&self, backend: usize, what: BackendNumber) -> Option<i64> {
        let (config, state) = self.backend_parts(backend)?;
        let view = state.balancer.look(|pool| pool.view());
        let usable = view.active + view.backup;
        let servers = || {
            let usable = |at: &usize| state.balancer.look(|pool| pool.server(ServerId(*at)).usable);
            (0..config.servers.len()).filter(usable).map(|at| (at, &config.servers[at]))
        };
        Some(match what {
            BackendNumber::Connections => {
                i64::from(state.traffic.current.load(Relaxed)) + self.own(backend, None)
            }
            BackendNumber::SessionRate => state.traffic.rate.now().into(),
            BackendNumber::UsableServers => usable.into(),
            BackendNumber::Queue => view.waiting.into(),
            BackendNumber::AverageQueue => match usable {
                0 => view.waiting.into(),
                usable => view.waiting.div_ceil(usable).into(),
            },
            BackendNumber::Slots => {
                let mut slots = 0;
                for (at, server) in servers() {
                    // One without a limit makes it none.
                    let (Some(maxconn), Some(maxqueue)) =
                        (server.maxconn.filter(|n| *n > 0), server.maxqueue.filter(|n| *n > 0))
                    else {
                        return Some(-1);
                    };
                    let now = state.balancer.look(|pool| pool.server(ServerId(at)));
                    slots += i64::from(maxconn) + i64::from(maxqueue);
                    slots -= i64::from(now.served) + i64::from(now.queued);
                }
                slots.max(0)
            }
            BackendNumber::FreeConnections => {
                let mut free = 0;
                for (at, server) in servers() {
                    let Some(maxconn) = server.maxconn.filter(|n| *n > 0) else { return Some(-1) };
                    let now = state.balancer.look(|pool| pool.server(ServerId(at)));
                    free += (i64::from(maxconn) - i64::from(now.served)).max(0);
                }
                free
            }
        })
    }

    fn server(&self, backend: usize, server: usize, what: ServerNumber) -> Option<i64> {
        let (config, state) = self.backend_parts(backend)?;
        let (config, traffic) = (config.servers.get(server)?, &state.servers.get(server)?.traffic);
        let view = state.balancer.look(|pool| pool.server(ServerId(server)));
        Some(match what {
            ServerNumber::Connections => {
                i64::from(traffic.current.load(Relaxed)) + self.own(backend, Some(server))
            }
            ServerNumber::FreeConnections => match config.maxconn.filter(|n| *n > 0) {
                Some(maxconn) => (i64::from(maxconn) - i64::from(view.served)).max(0),
                None => -1,
            },
            ServerNumber::IsUp => i64::from(!matches!(view.state, State::Down)),
            ServerNumber::Queue => view.queued.into(),
            ServerNumber::SessionRate => traffic.rate.now().into(),
            ServerNumber::Weight => view.weight.into(),
            ServerNumber::InitialWeight => config.weight.into(),
        })
    }

    fn backend_named(&self, name: &str) -> Option<usize> {
        self.session.shared.config.backends.iter().position(|backend| backend.name == name)
    }

    fn frontend_named(&self, name: &str) -> Option<usize> {
        self.session.shared.config.frontends.iter().position(|frontend| frontend.name == name)
    }

    fn server_named(&self, backend: usize, name: &str) -> Option<usize> {
        let servers = &self.session.shared.config.backends.get(backend)?.servers;
        servers.iter().position(|server| server.name == name)
    }

    fn table(&self, table: usize) -> Option<&std::sync::Arc<rules::tables::SharedTable>> {
        self.session.shared.tables.get(table)
    }

    fn patterns(&self) -> &[std::sync::Arc<::rules::list::List>] {
        self.session.shared.patterns()
    }

    fn zone(&self, seconds: i64) -> ::rules::scope::Zone {
        let (offset, name) = linux::clock::zone(seconds);
        ::rules::scope::Zone { offset, name: name.into() }
    }

    fn random(&self, below: u64) -> u64 {
        fastrand::u64(..below.max(1))
    }

    fn process(&self) -> &Process {
        &self.session.shared.variables
    }

    fn log_variable(&self, variable: Variable, out: &mut Vec<u8>) -> bool {
        self.write(variable, out).is_some()
    }
}

impl View<'_> {
    /// Writes a variable of a log line; `None` where it has no value.
    fn write(&self, variable: Variable, out: &mut Vec<u8>) -> Option<()> {
        let session = self.session;
        let (shared, config) = (session.shared, session.config());
        let backend = session.backend().and_then(|at| self.backend_parts(at));
        let (ended, (up, down), early) = self.ended.unwrap_or((Termination::NORMAL, (0, 0), false));
        let plus = if early { "+" } else { "" };
        let accepted = UNIX_EPOCH + Duration::from_millis(session.date);
        let ip = |address: SocketAddr| -> IpAddr { address.ip().to_canonical() };
        let total = session.age();
        let mut text = String::new();
        // Writing to a vector does not fail.
        macro_rules! put {
            ($($arg:tt)*) => {{
                let _ = write!(out, $($arg)*);
            }};
        }
        match variable {
            Variable::ActiveConnections => put!("{}", shared.process.current()),
            Variable::BackendAddress => put!("{}", ip(session.extra.as_ref()?.rules.bound?)),
            Variable::BackendPort => put!("{}", session.extra.as_ref()?.rules.bound?.port()),
            Variable::BackendConnections => {
                put!("{}", backend.map_or(0, |(_, b)| b.traffic.current.load(Relaxed)));
            }
            Variable::BackendName => put!("{}", backend.map_or(&config.name, |(b, _)| &b.name)),
            Variable::BackendQueue => put!("{}", session.queues.1),
            Variable::BytesRead => put!("{plus}{down}"),
            Variable::BytesUploaded => put!("{plus}{up}"),
            Variable::Captured | Variable::CapturedList | Variable::Nothing => {}
            Variable::ClientAddress => match session.peer {
                Some(peer) => put!("{}", ip(peer)),
                None => put!("unix"),
            },
            Variable::ClientPort => match session.peer {
                Some(peer) => put!("{}", peer.port()),
                None => put!("1"),
            },
            Variable::ConnectTime => put!("{}", session.connect_time),
            Variable::Date => {
                let _ = accept_date(Duration::from_millis(session.date), &mut text);
                put!("{text}");
            }
            Variable::DateGmt | Variable::DateLocal => {
                let local = variable == Variable::DateLocal;
                put!("{}", clf(accepted, local));
            }
            Variable::DataTime => {
                let begun = session.queue_time.max(0) + session.connect_time.max(0);
                put!("{}", if session.connect_time < 0 { -1 } else { total - begun });
            }
            Variable::FrontendAddress => put!("{}", ip(self.destination()?)),
            Variable::FrontendPort => put!("{}", self.destination()?.port()),
            Variable::FrontendConnections => {
                put!("{}", shared.frontends[session.frontend as usize].gate.current());
            }
            Variable::FrontendName | Variable::FrontendNameTransport => put!("{}", config.name),
            Variable::HandshakeTime => put!("0"),
            Variable::Hostname => put!("{}", host()),
            Variable::LogCounter => {
                let state = &shared.frontends[session.frontend as usize];
                put!("{}", state.lines.load(Relaxed));
            }
            Variable::Milliseconds => put!("{:03}", session.date % 1_000),
            Variable::Pid => put!("{}", std::process::id()),
            Variable::RequestCounter => put!("{}", session.number),
            Variable::Retries => {
                let mark = if session.redispatched { "+" } else { "" };
                put!("{mark}{}", session.retries);
            }
            Variable::ServerAddress => put!("{}", ip(self.server_address()?)),
            Variable::ServerPort => put!("{}", self.server_address()?.port()),
            Variable::ServerConnections => {
                let server = session.server().zip(backend);
                put!(
                    "{}",
                    server.map_or(0, |(at, (_, state))| {
                        state.servers[at].traffic.current.load(Relaxed)
                    })
                );
            }
            Variable::ServerName => match self.server_config() {
                Some(server) => put!("{}", server.name),
                None => {
                    let notes = session.extra.as_ref().and_then(|extra| extra.http.as_ref());
                    put!("{}", notes.and_then(|notes| notes.server).unwrap_or("<NOSRV>"));
                }
            },
            Variable::ServerQueue => put!("{}", session.queues.0),
            Variable::Status => {
                match session.extra.as_ref().and_then(|extra| extra.http.as_ref()) {
                    Some(notes) => put!("{}", notes.status),
                    None => put!("0"),
                }
            }
            Variable::TerminationAndCookieState => put!("{ended}--"),
            Variable::TerminationState => put!("{ended}"),
            Variable::Timestamp => put!("{}", session.date / 1_000),
            Variable::TotalTime | Variable::UserTime => put!("{plus}{total}"),
            Variable::WaitTime => put!("{}", session.queue_time),
            Variable::UniqueId => {
                out.extend_from_slice(session.extra.as_ref()?.unique_id.as_deref()?);
            }
            Variable::TlsCipher => put!("{}", session.extra.as_ref()?.tls.as_ref()?.0.suite),
            Variable::TlsVersion => put!("{}", session.extra.as_ref()?.tls.as_ref()?.0.version),
            of_http => return session.extra.as_ref()?.http.as_ref()?.write(session, of_http, out),
        }
        Some(())
    }
}

/// `21/Nov/2026:14:21:05 +0000`.
pub(crate) fn clf(at: SystemTime, local: bool) -> String {
    let time = LocalTime::from(at);
    let time = if local || time.offset == 0 {
        time
    } else {
        // The zone is taken off again.
        let offset = u64::from(time.offset.unsigned_abs());
        let shift = Duration::from_secs(offset);
        let gmt = if time.offset > 0 { at - shift } else { at + shift };
        LocalTime { offset: 0, ..LocalTime::from(gmt) }
    };
    let LocalTime { year, month, day, hour, minute, second, offset, .. } = time;
    let month = crate::log::MONTHS.get(usize::from(month) - 1).copied().unwrap_or("?");
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.unsigned_abs() / 3_600, offset.unsigned_abs() / 60 % 60);
    format!(
        "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{hours:02}{minutes:02}"
    )
}

fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        nix::unistd::gethostname()
            .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
    })
}
