//! What the directives fill in, before names are resolved and levels are merged.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use balance::Algorithm;
use conf::{Span, Word};
use proxy::variable::{Escape, MapKey, Network};
use proxy::{
    Bind, BindAddress, ErrorLog, ErrorLogTarget, Foreign, Peers, ProxyHeader, Resolver,
    ServerAddress, Severity, Threads,
};

use crate::Lookups;

mod tls;

pub(crate) use tls::{Protocols, ProxyTls};

/// The main context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Main {
    pub(crate) prefix: PathBuf,
    pub(crate) lookups: Lookups,
    pub(crate) daemon: Option<bool>,
    pub(crate) master_process: Option<bool>,
    pub(crate) pid: Option<String>,
    pub(crate) user: Option<(String, Option<String>)>,
    pub(crate) workers: Option<Threads>,
    pub(crate) nofile: Option<u32>,
    pub(crate) core: Option<u64>,
    pub(crate) shutdown_timeout: Option<Duration>,
    pub(crate) working_directory: Option<String>,
    pub(crate) error_log: Vec<ErrorLog>,
    pub(crate) niceness: Option<i32>,
    pub(crate) ignore_http: Option<bool>,
    /// Whether a block has been seen: modules cannot be loaded after it.
    pub(crate) blocks: bool,
}

/// `events {}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    pub(crate) connections: Option<u32>,
    pub(crate) multi_accept: Option<bool>,
}

/// What may stand in `stream {}` and in its `server {}`; the inner one wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scope {
    pub(crate) nodelay: Option<bool>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) next_upstream: Option<bool>,
    pub(crate) next_upstream_tries: Option<u32>,
    pub(crate) next_upstream_timeout: Option<Duration>,
    pub(crate) half_close: Option<bool>,
    pub(crate) socket_keepalive: Option<bool>,
    pub(crate) socket_receive_buffer: Option<u64>,
    pub(crate) socket_send_buffer: Option<u64>,
    /// `Some(None)` is `off`.
    pub(crate) bind: Option<Option<LocalAddress>>,
    pub(crate) error_log: Vec<ErrorLog>,
    pub(crate) access: Vec<(bool, Peers)>,
    /// `Some(vec![])` is `off`.
    pub(crate) access_logs: Option<Vec<AccessLog>>,
    /// `Some(None)` is `off`.
    pub(crate) log_cache: Option<Option<proxy::LogCache>>,
    /// Zones by name.
    pub(crate) limits: Vec<(String, u32)>,
    pub(crate) limit_dry_run: Option<bool>,
    pub(crate) limit_level: Option<Severity>,
    /// `Some(None)` is `off`.
    pub(crate) send_proxy: Option<Option<ProxyHeader>>,
    pub(crate) header_timeout: Option<Duration>,
    pub(crate) preread: Option<bool>,
    pub(crate) preread_timeout: Option<Duration>,
    pub(crate) preread_size: Option<u64>,
    pub(crate) trusted: Vec<Peers>,
    pub(crate) upload_rate: Option<Rate>,
    pub(crate) download_rate: Option<Rate>,
    pub(crate) requests: Option<u32>,
    pub(crate) responses: Option<u32>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) resolver_timeout: Option<Duration>,
    pub(crate) check_timeout: Option<Duration>,
    pub(crate) tls: ProxyTls,
}

/// `proxy_bind`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LocalAddress {
    Fixed(SocketAddr),
    /// With variables, as written.
    Text(String),
    /// `transparent`: an address that is not this machine's.
    Foreign(Foreign),
}

/// A rate in bytes a second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rate {
    Fixed(u64),
    /// With variables, as written.
    Text(String),
}

/// One `access_log`, its texts as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessLog {
    pub(crate) target: AccessTarget,
    pub(crate) format: String,
    pub(crate) condition: Option<String>,
    pub(crate) buffer: usize,
    pub(crate) flush: Duration,
    pub(crate) gzip: Option<u8>,
}

/// Where an `access_log` points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AccessTarget {
    /// A file, perhaps with variables in its name.
    File(String),
    /// `syslog:…`, with its severity.
    Syslog(ErrorLogTarget, Severity),
}

impl Scope {
    /// This level's values, and the outer level's where there are none.
    pub(crate) fn or(&self, outer: &Self) -> Self {
        let error_log = if self.error_log.is_empty() { &outer.error_log } else { &self.error_log };
        Self {
            nodelay: self.nodelay.or(outer.nodelay),
            connect_timeout: self.connect_timeout.or(outer.connect_timeout),
            timeout: self.timeout.or(outer.timeout),
            next_upstream: self.next_upstream.or(outer.next_upstream),
            next_upstream_tries: self.next_upstream_tries.or(outer.next_upstream_tries),
            next_upstream_timeout: self.next_upstream_timeout.or(outer.next_upstream_timeout),
            half_close: self.half_close.or(outer.half_close),
            socket_keepalive: self.socket_keepalive.or(outer.socket_keepalive),
            socket_receive_buffer: self.socket_receive_buffer.or(outer.socket_receive_buffer),
            socket_send_buffer: self.socket_send_buffer.or(outer.socket_send_buffer),
            bind: self.bind.clone().or_else(|| outer.bind.clone()),
            error_log: error_log.clone(),
            access: list(&self.access, &outer.access),
            access_logs: self.access_logs.clone().or_else(|| outer.access_logs.clone()),
            log_cache: self.log_cache.or(outer.log_cache),
            limits: list(&self.limits, &outer.limits),
            limit_dry_run: self.limit_dry_run.or(outer.limit_dry_run),
            limit_level: self.limit_level.or(outer.limit_level),
            send_proxy: self.send_proxy.or(outer.send_proxy),
            header_timeout: self.header_timeout.or(outer.header_timeout),
            preread: self.preread.or(outer.preread),
            preread_timeout: self.preread_timeout.or(outer.preread_timeout),
            preread_size: self.preread_size.or(outer.preread_size),
            trusted: list(&self.trusted, &outer.trusted),
            upload_rate: self.upload_rate.clone().or_else(|| outer.upload_rate.clone()),
            download_rate: self.download_rate.clone().or_else(|| outer.download_rate.clone()),
            requests: self.requests.or(outer.requests),
            responses: self.responses.or(outer.responses),
            resolver: self.resolver.clone().or_else(|| outer.resolver.clone()),
            resolver_timeout: self.resolver_timeout.or(outer.resolver_timeout),
            check_timeout: self.check_timeout.or(outer.check_timeout),
            tls: self.tls.or(&outer.tls),
        }
    }
}

/// A list is replaced as a whole.
fn list<T: Clone>(own: &[T], outer: &[T]) -> Vec<T> {
    if own.is_empty() { outer.to_vec() } else { own.to_vec() }
}

/// `stream {}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) scope: Scope,
    pub(crate) servers: Vec<Server>,
    pub(crate) upstreams: Vec<Upstream>,
    /// The log formats.
    pub(crate) formats: Vec<Format>,
    /// `limit_conn_zone`: name, key and size.
    pub(crate) zones: Vec<(String, String, u64)>,
    /// `match`.
    pub(crate) matches: Vec<proxy::Matching>,
    /// What `map`, `geo` and `split_clients` define.
    pub(crate) definitions: Vec<Definition>,
}

/// One `log_format`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    pub(crate) name: String,
    pub(crate) escape: Escape,
    pub(crate) text: String,
}

/// A variable a block defines; texts with variables are as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// Where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Map(Map),
    Geo(Geo),
    Split { key: String, shares: Vec<(Option<u32>, String)> },
}

/// A `map`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map {
    pub(crate) key: String,
    pub(crate) hostnames: bool,
    pub(crate) volatile: bool,
    pub(crate) entries: Vec<(MapKey, String)>,
    pub(crate) default: Option<String>,
}

/// A `geo`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Geo {
    pub(crate) address: Option<String>,
    pub(crate) volatile: bool,
    pub(crate) by_ranges: bool,
    pub(crate) networks: Vec<(Network, String)>,
    pub(crate) ranges: Vec<(u32, u32, String)>,
    pub(crate) default: Option<String>,
}

/// `server {}` of `stream {}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) lookups: Lookups,
    pub(crate) scope: Scope,
    pub(crate) listens: Vec<Listen>,
    /// Every address of them, and whether it is for datagrams.
    pub(crate) addresses: HashSet<(BindAddress, bool)>,
    pub(crate) pass: Option<Word>,
    /// `set`: names in lower case, and texts.
    pub(crate) sets: Vec<(String, String)>,
    /// `return`.
    pub(crate) answer: Option<String>,
    /// `pass`.
    pub(crate) hand_over: Option<String>,
    /// `server_name`.
    pub(crate) names: Vec<Word>,
    /// `status_zone`.
    pub(crate) zone: Option<String>,
    /// `health_check`, and the name of its `match`.
    pub(crate) check: Option<(proxy::ActiveCheck, Option<Word>)>,
}

/// One `listen`.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    /// One for each address of a host name and each port of a range.
    pub(crate) binds: Vec<Bind>,
    pub(crate) keepalive: Option<proxy::KeepAlive>,
    /// `default_server`.
    pub(crate) default: bool,
    /// Whether it says anything about the socket.
    pub(crate) set: bool,
    pub(crate) span: Span,
}

/// `upstream NAME {}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upstream {
    pub(crate) lookups: Lookups,
    pub(crate) name: String,
    /// Where it begins.
    pub(crate) span: Span,
    pub(crate) peers: Vec<Peer>,
    pub(crate) method: Option<Algorithm>,
    /// What `hash` hashes.
    pub(crate) key: Option<String>,
    pub(crate) zone: bool,
    /// `queue`: how many may wait, and for how long.
    pub(crate) queue: Option<(u32, Duration)>,
    /// Its own `resolver` and `resolver_timeout`.
    pub(crate) resolver: Option<Resolver>,
    pub(crate) resolver_timeout: Option<Duration>,
}

/// One `server` of an upstream.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The address as written.
    pub(crate) name: String,
    /// What it was resolved to: several for a name with several addresses.
    pub(crate) addresses: Vec<ServerAddress>,
    pub(crate) weight: u32,
    pub(crate) max_conns: u32,
    pub(crate) max_fails: u32,
    pub(crate) fail_timeout: Duration,
    pub(crate) backup: bool,
    pub(crate) down: bool,
    /// `drain`.
    pub(crate) drain: bool,
    pub(crate) slow_start: Duration,
    /// What a name server is asked while the process runs.
    pub(crate) asked: Option<Asked>,
    pub(crate) span: Span,
}

/// A name that is asked for while the process runs.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) service: bool,
    pub(crate) port: u16,
}

/// The addresses of a host as server addresses.
pub(crate) fn addresses(name: &str, ips: &[IpAddr], port: u16) -> Vec<ServerAddress> {
    let name = name.to_owned();
    ips.iter()
        .map(|ip| ServerAddress::Host { name: name.clone(), port, resolved: Some(*ip) })
        .collect()
}
