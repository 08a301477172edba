//! What a session of nginx knows of itself, for its variables.

use std::fmt::{Arguments, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balance::{Measure, ServerId};
use linux::clock::LocalTime;
use machine::Instant;
use proxy::Backend;
use proxy::variable::{Facts, ProxyTlv, Template, Values, Variable};
use relay::Target;
use relay::timer::{self, Millis};
use wire::proxy_protocol::{Addresses, tlvs};

use crate::limits::Counted;
use crate::session::Session;

/// What is known of a session beyond what relaying needs. Only sessions that need it have one.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Values of variables that were looked up.
    pub(crate) values: Values,
    /// nginx's status of the session.
    pub(crate) status: u16,
    /// Who connected, where a PROXY header names another client.
    pub(crate) connected: Option<SocketAddr>,
    /// What the client connected to.
    pub(crate) local: Option<SocketAddr>,
    /// Addresses and TLVs of the client's PROXY header.
    pub(crate) header: Option<(Option<Addresses>, Box<[u8]>)>,
    /// What its ClientHello says.
    pub(crate) hello: Option<Hello>,
    /// Its places in the zones of `limit_conn`, and what that came to.
    pub(crate) counted: Vec<Counted>,
    pub(crate) limit_status: Option<&'static str>,
    /// The servers it was sent to, the last one last.
    pub(crate) tries: Vec<Try>,
    /// When its server was picked, while what `least_time` measures has not happened.
    pub(crate) measuring: Option<Instant>,
    /// Where it goes, if that is no server of an upstream.
    pub(crate) target: Option<Target>,
    /// Bytes of the PROXY header the server was sent.
    pub(crate) announced: u64,
    /// What the client sent and nobody has been given yet.
    pub(crate) first: Vec<u8>,
    /// What identifies it, once somebody has asked.
    pub(crate) unique_id: Option<Box<[u8]>>,
    /// The exchange that is under way, where HTTP is spoken.
    pub(crate) http: Option<Box<crate::http::Notes>>,
    /// What was agreed on with a client that speaks TLS, and what was overlooked of its
    /// certificate, by OpenSSL's number.
    pub(crate) tls: Option<Box<(tls::Facts, u32)>>,
    /// What was agreed on with its server.
    pub(crate) server_tls: Option<Box<tls::Facts>>,
    /// What HAProxy's rules wrote down.
    pub(crate) rules: crate::rules::Noted,
}

/// `ssl_preread`.
#[derive(Debug, Default)]
pub(crate) struct Hello {
    pub(crate) server_name: Box<[u8]>,
    pub(crate) alpn: Box<[u8]>,
    pub(crate) protocol: &'static str,
}

/// One server a session was sent to.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// `None` is the name of the upstream: no server could be used.
    pub(crate) address: String,
    pub(crate) started: Millis,
    /// Milliseconds.
    pub(crate) connect: Option<Millis>,
    pub(crate) first_byte: Option<Millis>,
    pub(crate) session: Option<Millis>,
    /// Bytes to the server and from it.
    pub(crate) bytes: (u64, u64),
}

impl Try {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            started: timer::now(),
            connect: None,
            first_byte: None,
            session: None,
            bytes: (0, 0),
        }
    }
}

impl Session {
    /// The text of a template, with what is known so far.
    pub(crate) fn text(&mut self, template: &Template) -> Vec<u8> {
        self.evaluate(|session, values| session.shared.program.text(template, session, values))
    }

    /// Evaluates with the session's values, which are put back.
    pub(crate) fn evaluate<T>(&mut self, with: impl FnOnce(&Self, &mut Values) -> T) -> T {
        let mut values =
            self.extra.as_mut().map(|extra| std::mem::take(&mut extra.values)).unwrap_or_default();
        let result = with(self, &mut values);
        if let Some(extra) = &mut self.extra {
            extra.values = values;
        }
        result
    }

    /// It is sent to a server, or to none of this upstream.
    pub(crate) fn tries(&mut self, address: &str) {
        let Some(extra) = &mut self.extra else { return };
        let now = timer::now();
        if let Some(last) = extra.tries.last_mut().filter(|last| last.session.is_none()) {
            last.session = Some(now - last.started);
        }
        extra.tries.push(Try::new(address.to_owned()));
    }

    /// Its server was picked at this moment: what `least_time` measures begins.
    pub(crate) fn begin_measuring(&mut self, backend: &Backend, now: Instant) {
        if let Some(extra) = &mut self.extra {
            extra.measuring = backend.algorithm.measure().map(|_| now);
        }
    }

    /// What may be measured has happened; `None`: nothing else will.
    pub(crate) fn measure(&mut self, what: Option<Measure>) {
        let Some(began) = self.extra.as_deref().and_then(|extra| extra.measuring) else { return };
        let (Some(backend), Some(server)) = (self.backend(), self.server()) else { return };
        let state = &self.shared.backends[backend];
        let now = self.shared.clock.now();
        let ended = state.balancer.with(|pool| {
            let known = what.is_some() && what == pool.measure();
            if known || what.is_none() {
                pool.measured(ServerId(server), began, now, known);
            }
            known || what.is_none()
        });
        if let Some(extra) = self.extra.as_mut().filter(|_| ended) {
            extra.measuring = None;
        }
    }

    /// The last server it was sent to.
    pub(crate) fn last_try(&mut self) -> Option<&mut Try> {
        self.extra.as_mut()?.tries.last_mut()
    }
}

impl Facts for Session {
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let extra = self.extra.as_deref();
        match variable {
            Variable::Defined(_) | Variable::Capture(_) | Variable::Absent => false,
            Variable::BinaryRemoteAddr => {
                match self.client() {
                    Some(IpAddr::V4(v4)) => out.extend_from_slice(&v4.octets()),
                    Some(IpAddr::V6(v6)) => out.extend_from_slice(&v6.octets()),
                    // nginx has the family's name there.
                    None => out.extend_from_slice(b"unix:"),
                }
                true
            }
            Variable::RemoteAddr => address(self.peer, out),
            Variable::RemotePort => port(self.peer, out),
            Variable::RealipRemoteAddr => {
                address(extra.and_then(|extra| extra.connected).or(self.peer), out)
            }
            Variable::RealipRemotePort => {
                port(extra.and_then(|extra| extra.connected).or(self.peer), out)
            }
            Variable::ServerAddr => match extra.and_then(|extra| extra.local) {
                None => self.own_path(out),
                local => address(local, out),
            },
            Variable::ServerPort => port(extra.and_then(|extra| extra.local), out),
            Variable::ServerName => {
                let nginx = self.config().nginx.as_deref();
                put(out, format_args!("{}", nginx.map_or("", |nginx| nginx.name.as_str())))
            }
            Variable::Protocol => {
                put(out, format_args!("{}", if self.udp { "UDP" } else { "TCP" }))
            }
            Variable::Connection => put(out, format_args!("{}", self.number)),
            Variable::BytesReceived => put(out, format_args!("{}", self.reported.0)),
            Variable::BytesSent => put(out, format_args!("{}", self.reported.1)),
            Variable::SessionTime => {
                seconds(Millis::try_from(self.age()).unwrap_or(0), out);
                true
            }
            Variable::Status => {
                let status = extra.map_or(0, |extra| extra.status);
                // nginx has three digits, 000 until the session has ended.
                put(out, format_args!("{status:03}"))
            }
            Variable::LimitConnStatus => match extra.and_then(|extra| extra.limit_status) {
                Some(status) => put(out, format_args!("{status}")),
                None => false,
            },
            Variable::Hostname => put(out, format_args!("{}", self.shared.log.own_host())),
            Variable::NginxVersion => {
                put(out, format_args!("{}", crate::cli_nginx::VERSION.trim_start_matches("nginx/")))
            }
            Variable::Pid => put(out, format_args!("{}", std::process::id())),
            Variable::Msec => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                put(out, format_args!("{}.{:03}", now.as_secs(), now.subsec_millis()))
            }
            Variable::TimeLocal => time_local(out),
            Variable::TimeIso8601 => time_iso(out),
            Variable::ProxyProtocolAddr => announced(self.header(|a| a.source), address, out),
            Variable::ProxyProtocolPort => announced(self.header(|a| a.source), port, out),
            Variable::ProxyProtocolServerAddr => {
                announced(self.header(|a| a.destination), address, out)
            }
            Variable::ProxyProtocolServerPort => {
                announced(self.header(|a| a.destination), port, out)
            }
            Variable::ProxyTlv(tlv) => {
                let bytes = extra.and_then(|extra| extra.header.as_ref()).map(|(_, tlvs)| &**tlvs);
                bytes.is_some_and(|bytes| proxy_tlv(bytes, *tlv, out))
            }
            Variable::PrereadServerName => hello(extra, |hello| &hello.server_name, out),
            Variable::PrereadAlpn => hello(extra, |hello| &hello.alpn, out),
            Variable::PrereadProtocol => hello(extra, |hello| hello.protocol.as_bytes(), out),
            Variable::UpstreamAddr => {
                each(extra, out, |tried, out| put(out, format_args!("{}", tried.address)))
            }
            Variable::UpstreamBytesSent => {
                each(extra, out, |tried, out| put(out, format_args!("{}", tried.bytes.0)))
            }
            Variable::UpstreamBytesReceived => {
                each(extra, out, |tried, out| put(out, format_args!("{}", tried.bytes.1)))
            }
            Variable::UpstreamConnectTime => {
                each(extra, out, |tried, out| time(tried.connect, out))
            }
            Variable::UpstreamFirstByteTime => {
                each(extra, out, |tried, out| time(tried.first_byte, out))
            }
            Variable::UpstreamSessionTime => {
                each(extra, out, |tried, out| time(tried.session, out))
            }
        }
    }

    fn client(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip())
    }
}

impl Session {
    /// The UNIX socket it came to, as nginx writes it.
    fn own_path(&self, out: &mut Vec<u8>) -> bool {
        let unix = self.config().binds.iter().find_map(|bind| match &bind.address {
            proxy::BindAddress::Unix(path) => Some(path),
            _ => None,
        });
        match unix {
            Some(path) => put(out, format_args!("unix:{}", path.display())),
            None => address(None, out),
        }
    }

    fn header(&self, end: impl Fn(&Addresses) -> SocketAddr) -> Option<SocketAddr> {
        let (addresses, _) = self.extra.as_deref()?.header.as_ref()?;
        addresses.as_ref().map(end)
    }
}

/// Appends and says that it is there.
fn put(out: &mut Vec<u8>, text: Arguments<'_>) -> bool {
    use std::io::Write as _;
    out.write_fmt(text).is_ok()
}

fn address(of: Option<SocketAddr>, out: &mut Vec<u8>) -> bool {
    match of {
        Some(of) => put(out, format_args!("{}", of.ip())),
        None => put(out, format_args!("unix:")),
    }
}

/// What a PROXY header says; one without addresses says nothing.
fn announced(
    of: Option<SocketAddr>,
    put: impl Fn(Option<SocketAddr>, &mut Vec<u8>) -> bool,
    out: &mut Vec<u8>,
) -> bool {
    of.is_some() && put(of, out)
}

fn port(of: Option<SocketAddr>, out: &mut Vec<u8>) -> bool {
    match of {
        Some(of) => put(out, format_args!("{}", of.port())),
        // UNIX sockets have an empty one.
        None => true,
    }
}

fn hello<'e>(
    extra: Option<&'e Extra>,
    field: impl Fn(&'e Hello) -> &'e [u8],
    out: &mut Vec<u8>,
) -> bool {
    let Some(hello) = extra.and_then(|extra| extra.hello.as_ref()) else { return false };
    out.extend_from_slice(field(hello));
    true
}

/// The values of every try, joined; nothing was tried: not found.
fn each(
    extra: Option<&Extra>,
    out: &mut Vec<u8>,
    one: impl Fn(&Try, &mut Vec<u8>) -> bool,
) -> bool {
    let tries = extra.map(|extra| extra.tries.as_slice()).unwrap_or_default();
    for (at, tried) in tries.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        one(tried, out);
    }
    !tries.is_empty()
}

fn seconds(millis: Millis, out: &mut Vec<u8>) {
    put(out, format_args!("{}.{:03}", millis / 1_000, millis % 1_000));
}

fn time(millis: Option<Millis>, out: &mut Vec<u8>) -> bool {
    match millis {
        Some(millis) => {
            seconds(millis, out);
            true
        }
        None => put(out, format_args!("-")),
    }
}

fn proxy_tlv(bytes: &[u8], tlv: ProxyTlv, out: &mut Vec<u8>) -> bool {
    let find =
        |bytes, wanted| tlvs(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    // Five bytes stand before those inside of `ssl`: client flags and the result of verification.
    let ssl = || find(bytes, 0x20).and_then(|value: &[u8]| value.split_first_chunk::<5>());
    match tlv {
        ProxyTlv::Plain(kind) => {
            find(bytes, kind).map(|value| out.extend_from_slice(value)).is_some()
        }
        ProxyTlv::Ssl(kind) => ssl()
            .and_then(|(_, inner)| find(inner, kind))
            .map(|value| out.extend_from_slice(value))
            .is_some(),
        ProxyTlv::SslVerify => match ssl() {
            Some((&[_, a, b, c, d], _)) => {
                put(out, format_args!("{}", u32::from_be_bytes([a, b, c, d])))
            }
            None => false,
        },
    }
}

/// `21/Nov/2026:03:22:07 +0000`.
fn time_local(out: &mut Vec<u8>) -> bool {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let LocalTime { year, month, day, hour, minute, second, offset, .. } = LocalTime::now();
    let month = MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or("?");
    let mut text = String::new();
    let _ = write!(text, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} ");
    zone(offset, "", &mut text);
    put(out, format_args!("{text}"))
}

/// `2026-11-21T03:22:07+00:00`.
fn time_iso(out: &mut Vec<u8>) -> bool {
    let LocalTime { year, month, day, hour, minute, second, offset, .. } = LocalTime::now();
    let mut text = String::new();
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    zone(offset, ":", &mut text);
    put(out, format_args!("{text}"))
}

fn zone(offset: i32, between: &str, text: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    let _ = write!(text, "{sign}{:02}{between}{:02}", minutes / 60, minutes % 60);
}

/// Whole milliseconds of a time that may have no end.
pub(crate) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX / 2)
}
