//! What only nginx's `server` has: what happens to a session before it has a server, and what is
//! written about it after its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{BackendIndex, Facility, LogAddress, Severity};
use crate::variable::{Escape, Network, Template};

/// The phases of a session of nginx, in their order: PROXY header, `set_real_ip_from`, `set`,
/// `limit_conn`, `allow` and `deny`, `ssl_preread`, `return` or `proxy_pass`, `access_log`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NginxServer {
    /// `proxy_protocol_timeout`: how long a PROXY header may take.
    pub header_timeout: Duration,
    /// `set_real_ip_from`: whose PROXY header tells the client's address.
    pub trusted: Vec<Peers>,
    /// `set`: positions among [`Process::variables`](super::Process::variables) and their values.
    pub sets: Vec<(usize, Template)>,
    /// `limit_conn`.
    pub limits: Vec<LimitConn>,
    /// `limit_conn_dry_run`: nobody is refused.
    pub limit_dry_run: bool,
    /// `limit_conn_log_level`; nginx's default is `error`.
    pub limit_level: Option<Severity>,
    /// `allow` (true) and `deny`: the first that fits decides; nobody is refused if none does.
    pub access: Vec<(bool, Peers)>,
    /// `ssl_preread on`.
    pub preread: Option<Preread>,
    /// What is done with a session that comes so far.
    pub content: Content,
    /// `access_log`.
    pub access_logs: Vec<AccessLog>,
    /// `status_zone`: the name it is shown by; its address if it has none.
    pub zone: Option<String>,
    /// The first `server_name`.
    pub name: String,
    /// Several servers on its addresses: the position among
    /// [`Process::variables`](super::Process::variables) of the one whose value, found by the name a
    /// client asks for in its ClientHello, is the position of another frontend that has the session
    /// from there on. Empty is this one.
    pub by_name: Option<usize>,
}

/// What is done with a session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Content {
    /// It goes to the frontend's backend; it ends with status 500 if there is none.
    #[default]
    Proxy,
    /// `return`: the client gets this and is closed.
    Return(Template),
    /// `proxy_pass` with variables: the name of an upstream, or an address with a port.
    Dynamic {
        /// Where to.
        to: Template,
        /// Upstreams by name in lower case, and the backends they are for this server.
        upstreams: Vec<(String, BackendIndex)>,
        /// The backend without servers that holds the timeouts for any other address.
        other: BackendIndex,
    },
    /// `pass`: the client goes to another listener of this process, as if it had connected there.
    Pass(Template),
    /// A `server` of `http {}` that only answers by itself: ports for liveness and metrics.
    Http(HttpServer),
}

/// What a `server` of `http {}` answers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HttpServer {
    /// `return` outside of every `location`.
    pub answer: Option<HttpAnswer>,
    /// `location`: the longest prefix counts, an exact path before all.
    pub locations: Vec<HttpLocation>,
    /// `keepalive_timeout`; zero closes after each answer.
    pub keepalive: Duration,
    /// `server_tokens`: whether answers name the version.
    pub tokens: bool,
}

/// A `location` that only answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpLocation {
    /// `location =`.
    pub exact: bool,
    /// The beginning of a path, or all of it.
    pub path: String,
    /// `allow` and `deny`.
    pub access: Vec<(bool, Peers)>,
    /// What is answered; `None` is status 404.
    pub answer: Option<HttpAnswer>,
}

/// An answer that needs nothing else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HttpAnswer {
    /// `return CODE [TEXT]`; for a redirection the text is where to.
    Return {
        /// 200 to 999.
        code: u16,
        /// The body, or the URL.
        text: String,
        /// `default_type`.
        mime: String,
    },
    /// `stub_status`.
    Status,
    /// `api`: what there is, as JSON, below the location's path.
    Api,
    /// `prometheus`: the same for a collector of metrics.
    Prometheus,
    /// `status_page`: the same for people.
    StatusPage,
}

/// Whom `allow`, `deny` and `set_real_ip_from` mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peers {
    /// `all`.
    All,
    /// `unix:`: clients of UNIX sockets.
    Unix,
    /// An address or a network.
    Network(Network),
}

/// `limit_conn ZONE NUMBER`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitConn {
    /// The position among [`Process::limit_zones`](super::Process::limit_zones).
    pub zone: usize,
    /// The most at a time, at least 1.
    pub most: u32,
}

/// `limit_conn_zone KEY zone=NAME:SIZE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitZone {
    /// Its name.
    pub name: String,
    /// What connections are counted by; empty is not counted.
    pub key: Template,
    /// Bytes of shared memory nginx would use: how many keys there may be at a time follows.
    pub size: u64,
}

/// `preread_timeout`, `preread_buffer_size`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preread {
    /// How long a ClientHello may take; 30 s.
    pub timeout: Duration,
    /// How many bytes it may have; 16 KB.
    pub size: usize,
}

/// One `access_log`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessLog {
    /// Where to.
    pub target: AccessTarget,
    /// What a line says.
    pub format: Template,
    /// `escape=` of the format.
    pub escape: Escape,
    /// `if=`: no line when this is empty or `0`.
    pub condition: Option<Template>,
    /// `buffer=`: bytes collected before they are written; 0 writes each line.
    pub buffer: usize,
    /// `flush=`: how long they are collected at most; zero is no limit.
    pub flush: Duration,
    /// `gzip`: its level, 1 to 9.
    pub gzip: Option<u8>,
}

/// nginx's `open_log_file_cache`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogCache {
    /// `max=`: how many files stay open, 1 and more; the one unused longest goes for another.
    pub max: u32,
    /// `inactive=`, 10 s: how long one may be unused.
    pub inactive: Duration,
    /// `min_uses=`, 1: how often one has to be used in that time to stay open.
    pub min_uses: u32,
    /// `valid=`, 60 s: after this time it is looked whether the name still is this file's.
    pub valid: Duration,
}

/// Where an `access_log` points.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccessTarget {
    /// A file, the prefix already applied.
    File(PathBuf),
    /// A file whose name has variables; opened for each line unless it is kept open.
    Files {
        /// What a name that does not begin with `/` is relative to.
        prefix: PathBuf,
        /// The name.
        name: Template,
        /// `open_log_file_cache`: which files stay open.
        cache: Option<LogCache>,
    },
    /// `syslog:server=…`.
    Syslog {
        /// Where the daemon listens.
        server: LogAddress,
        /// `facility=`, `local7` by default.
        facility: Facility,
        /// `severity=`, `info` by default.
        severity: Severity,
        /// `tag=`, `nginx` by default.
        tag: String,
        /// Whether the header holds a host name: off with `nohostname`.
        hostname: bool,
    },
}

/// The PROXY header a server is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyHeader {
    /// Version 1, a line of text.
    V1,
    /// Version 2, binary.
    V2,
}

/// `resolver ADDRESS … [valid=TIME] [ipv4=off] [ipv6=off]`, and `resolver_timeout`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolver {
    /// The name servers, asked in turn.
    pub servers: Vec<SocketAddr>,
    /// `valid=`: how long an answer is good for; otherwise as long as it says.
    pub valid: Option<Duration>,
    /// Whether IPv4 addresses are asked for.
    pub v4: bool,
    /// Whether IPv6 addresses are asked for.
    pub v6: bool,
    /// `resolver_timeout`, `timeout resolve`: how long all of it may take.
    pub timeout: Duration,
    /// `timeout retry`: when a name server that says nothing is followed by the next. nginx: 5 s.
    pub resend: Duration,
    /// `resolve_retries`: how many questions are sent at most; `None` is no limit.
    pub tries: Option<usize>,
    /// `accepted_payload_size`: the longest answer a name server may send as a datagram, which is
    /// then said to it; otherwise 512 bytes.
    pub payload: Option<u16>,
    /// `status_zone`: the name its counters are shown by.
    pub status_zone: Option<String>,
}

impl Resolver {
    /// nginx's: both families, answers hold as long as they say, 30 s in all.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            valid: None,
            v4: true,
            v6: true,
            timeout: Duration::from_secs(30),
            resend: Duration::from_secs(5),
            tries: None,
            payload: None,
            status_zone: None,
        }
    }
}

/// A line of an upstream whose servers a name server tells: nginx's `resolve`.
///
/// Its servers are the slots `first..first + slots` of [`Backend::servers`](super::Backend), empty
/// (of weight 0) until an answer fills them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// Who is asked.
    pub resolver: Resolver,
    /// The name that is asked for: of the host, or with `service=` of the SRV records.
    pub name: String,
    /// `service=`: hosts, ports, shares and who is a backup come from SRV records.
    pub service: bool,
    /// The port of every address; unused with `service`.
    pub port: u16,
    /// The first slot.
    pub first: usize,
    /// How many addresses there may be at a time.
    pub slots: usize,
    /// `weight=`; with `service` 1 leaves it to the records.
    pub weight: u32,
    /// `backup`.
    pub backup: bool,
}
