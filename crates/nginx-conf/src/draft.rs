//! What the directives fill in, before names are resolved and levels are merged.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use balance::Algorithm;
use conf::{Span, Word};
use proxy::{Bind, BindAddress, ErrorLog, ServerAddress, Threads};

use crate::Lookups;

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
    pub(crate) shutdown_timeout: Option<Duration>,
    pub(crate) working_directory: Option<String>,
    pub(crate) error_log: Vec<ErrorLog>,
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
    /// `Some(None)` is `off`.
    pub(crate) bind: Option<Option<SocketAddr>>,
    pub(crate) error_log: Vec<ErrorLog>,
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
            bind: self.bind.or(outer.bind),
            error_log: error_log.clone(),
        }
    }
}

/// `stream {}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) scope: Scope,
    pub(crate) servers: Vec<Server>,
    pub(crate) upstreams: Vec<Upstream>,
    /// The names of the log formats.
    pub(crate) formats: Vec<String>,
    /// The variables that are used, in lower case.
    pub(crate) variables: Vec<String>,
}

/// `server {}` of `stream {}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) lookups: Lookups,
    pub(crate) scope: Scope,
    pub(crate) listens: Vec<Listen>,
    /// Every address of them.
    pub(crate) addresses: HashSet<BindAddress>,
    pub(crate) pass: Option<Word>,
}

/// One `listen`.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    /// One for each address of a host name and each port of a range.
    pub(crate) binds: Vec<Bind>,
    pub(crate) keepalive: Option<proxy::KeepAlive>,
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
    pub(crate) span: Span,
}

/// The addresses of a host as server addresses.
pub(crate) fn addresses(name: &str, ips: &[IpAddr], port: u16) -> Vec<ServerAddress> {
    let name = name.to_owned();
    ips.iter()
        .map(|ip| ServerAddress::Host { name: name.clone(), port, resolved: Some(*ip) })
        .collect()
}
