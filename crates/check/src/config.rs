//! What a health check is told to do: the typed form of `server … check …`, `option httpchk`,
//! `http-check …`, `option tcp-check` and `tcp-check …`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

/// The health check of one server.
///
/// [`Default`] is what haproxy.cfg means by a bare `check`: a TCP connect every 2 s, `rise 2`,
/// `fall 3`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Time between two checks of a server whose state is settled (`inter`, 2 s).
    pub inter: Duration,
    /// The same while its state is changing (`fastinter`; `inter` when not given).
    pub fastinter: Option<Duration>,
    /// The same while it is fully down (`downinter`; `inter` when not given).
    pub downinter: Option<Duration>,
    /// Consecutive successes until a server that is down is up (`rise`, 2; at least 1).
    pub rise: u32,
    /// Consecutive failures until a server that is up is down (`fall`, 3; at least 1).
    pub fall: u32,
    /// `timeout connect` of the backend.
    pub timeout_connect: Option<Duration>,
    /// `timeout check`: time for everything after the connect.
    pub timeout_check: Option<Duration>,
    /// What is said to the server.
    pub probe: Probe,
    /// `check-ssl` (or `ssl` on the server line, when neither `port` nor `addr` is given): TLS for
    /// connections that no `connect` step describes.
    pub tls: bool,
    /// `check-sni`: the server name sent by such connections.
    pub sni: Option<String>,
    /// `check-alpn` or `alpn` of the step-less connection, in order of preference.
    pub alpn: Vec<String>,
    /// How the certificate is judged, for every TLS connection of this check.
    pub verify: Verify,
    /// `addr`: where to connect instead of the server's own address.
    pub addr: Option<IpAddr>,
    /// `port`: where to connect instead of the server's own port.
    pub port: Option<u16>,
    /// `option log-health-checks`: a line for each check that changed something.
    pub log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inter: Duration::from_secs(2),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            timeout_connect: None,
            timeout_check: None,
            probe: Probe::Connect,
            tls: false,
            sni: None,
            alpn: Vec::new(),
            verify: Verify::None,
            addr: None,
            port: None,
            log: false,
        }
    }
}

/// `verify none` or `verify required`, with what it needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    /// Any certificate will do.
    #[default]
    None,
    /// The chain must end at a certificate of this file, and name `verifyhost` if there is one.
    Required {
        /// `ca-file`: PEM, already joined with `ca-base`; `@system-ca` stands for the system's.
        ca_file: String,
        /// `verifyhost`; without it and without SNI any name is accepted, as HAProxy does.
        host: Option<String>,
    },
}

/// The conversation of one check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Probe {
    /// Connect, and nothing else: invisible to the application behind a plain TCP port.
    #[default]
    Connect,
    /// `option httpchk`; the expectation is [`Match::Http2xx3xx`] when no step gives one.
    Http {
        /// `http-check …` in order; [`Action::SendHttp`] may be left out: `OPTIONS / HTTP/1.0`.
        steps: Vec<Step>,
    },
    /// `option tcp-check`; without steps it is [`Probe::Connect`], in slightly other words.
    Tcp {
        /// `tcp-check …` in order.
        steps: Vec<Step>,
    },
}

/// One `tcp-check` or `http-check` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// `comment`: repeated in the message when the step fails.
    pub comment: Option<String>,
}

impl From<Action> for Step {
    fn from(action: Action) -> Self {
        Self { action, comment: None }
    }
}

/// What one step does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// `connect`: opens a new connection, closing the one before.
    Connect(Connect),
    /// `tcp-check send`: these bytes, escapes already resolved.
    Send(Vec<u8>),
    /// `http-check send`, or the request of `option httpchk`.
    SendHttp(Request),
    /// `expect`: waits for an answer.
    Expect(Expect),
}

/// `tcp-check connect` and `http-check connect`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Connect {
    /// `default`: what the server line says (`check-ssl`, `check-sni`, `port`, …); the other fields
    /// add to it.
    pub default: bool,
    /// `ssl`.
    pub tls: bool,
    /// `sni`.
    pub sni: Option<String>,
    /// `alpn`, in order of preference.
    pub alpn: Vec<String>,
    /// `port`.
    pub port: Option<u16>,
    /// `addr`.
    pub addr: Option<IpAddr>,
    /// `linger`: close in the usual way rather than with a reset.
    pub linger: bool,
}

/// The request of an HTTP check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// `meth`; `OPTIONS` when not given.
    pub method: String,
    /// `uri`; `/` when not given.
    pub uri: String,
    /// `ver`, as written: `HTTP/1.0`, `HTTP/1.1`.
    pub version: String,
    /// `hdr <name> <value>`, in order. `Connection: close` and `Content-Length` are ours.
    pub headers: Vec<(String, String)>,
    /// `body`.
    pub body: Vec<u8>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "OPTIONS".into(),
            uri: "/".into(),
            version: "HTTP/1.0".into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// `tcp-check expect` and `http-check expect`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expect {
    /// What the answer is compared with.
    pub matching: Match,
    /// `!`: the check fails when it matches.
    pub negated: bool,
    /// `min-recv`: do not judge before this many bytes (or the end).
    pub min_recv: Option<usize>,
}

impl From<Match> for Expect {
    fn from(matching: Match) -> Self {
        Self { matching, negated: false, min_recv: None }
    }
}

/// The pattern of an [`Expect`]. Regular expressions (`rstring`, `rstatus`, `rbinary`) and headers
/// (`hdr`, `fhdr`) are not supported yet: the configuration says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Match {
    /// HTTP status 200 to 399: `option httpchk` without an expectation.
    Http2xx3xx,
    /// `status 200,300-310`: the HTTP status is in one of the ranges.
    Status(Vec<RangeInclusive<u16>>),
    /// `string`: found anywhere in the answer (`tcp-check`) or its body (`http-check`).
    String(Vec<u8>),
    /// `binary`: the same, written as hexadecimal digits.
    Binary(Vec<u8>),
}
