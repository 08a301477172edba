//! Where connections go.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use balance::{Algorithm, HashKey, HashType, Passive, PoolConfig, ServerConfig};

use super::{
    ActiveCheck, BackendRules, CheckWords, Discovery, EmailAlert, KeepAlive, LogTarget, Mode,
    Origin, Outbound, ProxyHeader, Resolve, Resolver, Tracked,
};
use crate::variable::Template;

/// A `backend`, the server side of a `listen`, or an nginx `upstream`.
///
/// An nginx `server` with its own `proxy_…` values gets a backend of its own: what nginx attaches
/// to the `server` (timeouts, retries, half-close) is here part of the backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backend {
    /// HAProxy's proxy id; equal to the frontend's for a `listen`.
    pub id: u32,
    /// Its name: of the section, or of the upstream (`host:port` when `proxy_pass` names one).
    pub name: String,
    /// Whether it is the server side of a `listen`: messages say `proxy` instead of `backend`.
    pub listen: bool,
    /// nginx: servers whose state this backend shares, because both use one `upstream`.
    pub shares_servers_with: Option<super::BackendIndex>,
    /// What it speaks.
    pub mode: Mode,
    /// Its servers, in the order of the file.
    pub servers: Vec<Server>,
    /// How a server is checked that is added while the process runs; `None`: no server can be.
    pub check_of_added: Option<Box<check::Config>>,
    /// The last position of a server that a rule names or another server tracks: none up to there
    /// can be removed.
    pub servers_named: Option<usize>,
    /// `id` was given, and not counted.
    pub forced_id: bool,
    /// Where connections go in place of a server, unless a rule names one.
    pub elsewhere: Option<Elsewhere>,
    /// `persist rdp-cookie`: what names the server of a client.
    pub rdp_cookie: Option<rules::Expr>,
    /// How one is picked.
    pub algorithm: Algorithm,
    /// `hash-type` and `hash-balance-factor`, where the algorithm hashes.
    pub hash: HashType,
    /// `balance hash`: what is hashed.
    pub hash_expr: Option<rules::Expr>,
    /// nginx's `hash`: what is hashed.
    pub hash_key: Option<Template>,
    /// `retries`: connects after the first that failed. HAProxy's default: 3.
    pub retries: u32,
    /// `option redispatch [N]`: when a retry may go to another server. `None`: never. `Some(-1)`:
    /// on the last retry (the default without a number); `Some(n)` every n-th retry; `Some(-n)`
    /// counted from the last.
    pub redispatch: Option<i32>,
    /// `timeout connect`, `proxy_connect_timeout`.
    pub connect_timeout: Option<Duration>,
    /// `timeout server`: how long a server may say nothing.
    pub server_timeout: Option<Duration>,
    /// `timeout server-fin`.
    pub server_fin_timeout: Option<Duration>,
    /// `timeout tunnel`: replaces both idle timeouts once data went both ways.
    pub tunnel_timeout: Option<Duration>,
    /// `timeout queue` (`None`: as `timeout connect`), or that of nginx's `queue`.
    pub queue_timeout: Option<Duration>,
    /// nginx's `queue`: how many may wait when no server can be picked; 0 for nobody.
    pub queue: u32,
    /// nginx's `proxy_timeout`: one idle time over both directions together.
    pub idle_timeout: Option<Duration>,
    /// `fullconn`: connections at which dynamic `minconn`…`maxconn` limits are full. `None`: 10 %
    /// of the `maxconn` of the frontends that can reach it.
    pub fullconn: Option<u32>,
    /// `option allbackups`: all backups at once and not only the first.
    pub allbackups: bool,
    /// What one side's end does to the other.
    pub half_close: HalfClose,
    /// nginx: when another server is tried.
    pub next_upstream: Option<NextUpstream>,
    /// Where changes of its servers are logged.
    pub log: Vec<LogTarget>,
    /// `option tcpka`, `option srvtcpka`, `proxy_socket_keepalive`.
    pub keepalive: Option<KeepAlive>,
    /// `option nolinger`: close servers with a reset.
    pub nolinger: bool,
    /// TCP_NODELAY towards servers.
    pub nodelay: bool,
    /// `source`, `proxy_bind`: the local address of connections to servers.
    pub source: Option<SocketAddr>,
    /// What a `source` line says besides; `None` for most.
    pub outbound: Option<Box<Outbound>>,
    /// `option abortonclose`: a client that half-closes while it waits gives up.
    pub abortonclose: bool,
    /// Its rules; `None` costs nothing.
    pub rules: Option<Box<BackendRules>>,
    /// What its checks' steps mean by number.
    pub check_words: CheckWords,
    /// `email-alert`.
    pub email_alert: Option<Box<EmailAlert>>,
    /// `load-server-state-from-file`: where the state its servers had is read at the start.
    pub state_from: StateFrom,
    /// `server-state-file-name`; without a name it is that of the backend.
    pub state_name: Option<String>,
    /// `mode http`: what it does with messages.
    pub http: Option<Box<super::Http>>,
    /// `disabled`: known, shown, not used.
    pub disabled: bool,
    /// `description` of the section.
    pub description: Option<String>,
    /// nginx's `proxy_upload_rate`: bytes a second from each client; 0 is no limit.
    pub upload_rate: u64,
    /// nginx's `proxy_download_rate`: bytes a second to each client; 0 is no limit.
    pub download_rate: u64,
    /// nginx's `proxy_requests`: datagrams of a client after which a new session begins; 0 never.
    pub requests: u32,
    /// nginx's `proxy_responses`: answers to each datagram that end a session; `None` does not end
    /// it.
    pub responses: Option<u32>,
    /// nginx: the header for addresses that are none of the servers.
    pub send_proxy: Option<ProxyHeader>,
    /// nginx's `resolver`, for addresses that are known only when a client comes.
    pub resolver: Option<Resolver>,
    /// Servers that name servers tell.
    pub discoveries: Vec<Discovery>,
    /// nginx's `proxy_bind` with variables: the local address, with or without a port; empty is none.
    pub source_text: Option<Template>,
    /// nginx's `proxy_upload_rate` and `proxy_download_rate` with variables.
    pub rate_texts: [Option<Template>; 2],
    /// nginx's `health_check`.
    pub active_check: Option<Box<ActiveCheck>>,
}

/// What is no server of a backend, and gets its connections.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Elsewhere {
    /// `dispatch` with an address.
    Address(SocketAddr),
    /// `dispatch` with the path of a UNIX socket.
    Unix(PathBuf),
    /// `option transparent`: where the client wanted to go.
    Original,
}

impl Backend {
    /// A backend without servers, with HAProxy's defaults.
    pub fn new(id: u32, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            listen: false,
            shares_servers_with: None,
            mode: Mode::Tcp,
            servers: Vec::new(),
            check_of_added: None,
            servers_named: None,
            forced_id: false,
            elsewhere: None,
            rdp_cookie: None,
            algorithm: Algorithm::RoundRobin,
            hash: HashType::default(),
            hash_expr: None,
            hash_key: None,
            retries: 3,
            redispatch: None,
            connect_timeout: None,
            server_timeout: None,
            server_fin_timeout: None,
            tunnel_timeout: None,
            queue_timeout: None,
            queue: 0,
            idle_timeout: None,
            fullconn: None,
            allbackups: false,
            half_close: HalfClose::Forward,
            next_upstream: None,
            log: Vec::new(),
            keepalive: None,
            nolinger: false,
            nodelay: true,
            source: None,
            outbound: None,
            abortonclose: false,
            rules: None,
            check_words: CheckWords::default(),
            email_alert: None,
            state_from: StateFrom::None,
            state_name: None,
            http: None,
            disabled: false,
            description: None,
            upload_rate: 0,
            download_rate: 0,
            requests: 0,
            responses: None,
            send_proxy: None,
            resolver: None,
            discoveries: Vec::new(),
            source_text: None,
            rate_texts: [None, None],
            active_check: None,
        }
    }

    /// What the balancer is told about all servers.
    ///
    /// `fullconn` is what the backend says, or 10 % of `frontends_maxconn`, the sum of the
    /// `maxconn` of the frontends that can reach it, but at least 1.
    pub fn pool_config(&self, frontends_maxconn: u32, seed: u64) -> PoolConfig {
        PoolConfig {
            algorithm: self.algorithm,
            hash: self.hash,
            all_backups: self.allbackups,
            fullconn: self.fullconn.unwrap_or_else(|| frontends_maxconn.div_ceil(10).max(1)),
            seed,
            waiting: self.queue,
        }
    }

    /// Whether it learns from failed connections instead of checks, as nginx does.
    pub fn is_passive(&self) -> bool {
        self.servers.iter().any(|server| server.passive.is_some())
    }
}

/// Where the state that servers had is read at the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StateFrom {
    /// Nowhere: they begin as configured.
    #[default]
    None,
    /// The file of the process (`server-state-file`).
    Global,
    /// A file of the backend's own, in the directory `server-state-base`.
    Local,
}

impl StateFrom {
    /// The names HAProxy has for them.
    pub const NAMES: [(&'static str, Self); 3] =
        [("none", Self::None), ("global", Self::Global), ("local", Self::Local)];
}

/// What one side's end does to the other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HalfClose {
    /// It is passed on, and the other direction goes on: HAProxy, `proxy_half_close on`.
    #[default]
    Forward,
    /// Both sides are closed once what arrived is delivered: nginx.
    CloseBoth,
}

/// nginx's `proxy_next_upstream` and its limits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NextUpstream {
    /// `off` tries one server only.
    pub enabled: bool,
    /// How many servers are tried; 0 is no limit.
    pub tries: u32,
    /// For how long; zero is no limit.
    pub timeout: Duration,
}

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// HAProxy's server id: from 1 in each backend.
    pub id: u32,
    /// `id` was given, and not counted.
    pub forced_id: bool,
    /// It was added over the runtime API: it begins in maintenance, and nothing is checked before
    /// somebody says so.
    pub added: bool,
    /// Its name; for nginx the address as written.
    pub name: String,
    /// Where it is.
    pub address: ServerAddress,
    /// `hash-key`: what its places for hashes come from.
    pub hash_key: HashKey,
    /// Its share, 0 to 256; nginx has no upper limit.
    pub weight: u32,
    /// Used only when no other is left.
    pub backup: bool,
    /// Out of use from the start: `disabled`, nginx's `down`.
    pub disabled: bool,
    /// nginx's `drain`: no new connections from the start.
    pub draining: bool,
    /// Connections at once; `None` has no limit. HAProxy's `maxconn`, nginx's `max_conns`.
    pub maxconn: Option<u32>,
    /// The dynamic lower limit.
    pub minconn: Option<u32>,
    /// Sessions that may wait for this server; `None` has no limit.
    pub maxqueue: Option<u32>,
    /// For how long its weight grows after it came up; zero: at once.
    pub slowstart: Duration,
    /// How it is checked, with the backend's `httpchk`, `tcp-check` and timeouts; `None`: not at
    /// all.
    pub check: Option<check::Config>,
    /// `agent-check`: who else is asked.
    pub agent: Option<check::Agent>,
    /// `track`: whose state it has.
    pub track: Option<Tracked>,
    /// `observe layer4`: after so many errors in a row, what is done.
    pub observe: Option<(u32, check::OnError)>,
    /// nginx: what failed connections do.
    pub passive: Option<Passive>,
    /// `on-marked-down shutdown-sessions`.
    pub on_marked_down: OnMarkedDown,
    /// `on-marked-up shutdown-backup-sessions`.
    pub shutdown_backup_sessions_when_up: bool,
    /// `non-stick`: connections to it are not remembered in stick tables.
    pub non_stick: bool,
    /// `source` of this line.
    pub source: Option<SocketAddr>,
    /// What it says of sockets besides; `None` for most.
    pub outbound: Option<Box<Outbound>>,
    /// The PROXY header its checks send first.
    pub check_header: Option<ProxyHeader>,
    /// `send-proxy`, `send-proxy-v2`, `proxy_protocol on`: what it is sent first.
    pub send_proxy: Option<ProxyHeader>,
    /// Name servers that tell its address while the process runs.
    pub resolve: Option<Box<Resolve>>,
    /// Where the line stands.
    pub origin: Origin,
}

impl Server {
    /// A server of weight 1 that is not checked.
    pub fn new(id: u32, name: impl Into<String>, address: ServerAddress) -> Self {
        Self {
            id,
            forced_id: false,
            added: false,
            name: name.into(),
            address,
            hash_key: HashKey::Id,
            weight: 1,
            backup: false,
            disabled: false,
            draining: false,
            non_stick: false,
            maxconn: None,
            minconn: None,
            maxqueue: None,
            slowstart: Duration::ZERO,
            check: None,
            agent: None,
            track: None,
            observe: None,
            passive: None,
            on_marked_down: OnMarkedDown::Nothing,
            shutdown_backup_sessions_when_up: false,
            source: None,
            outbound: None,
            check_header: None,
            send_proxy: None,
            resolve: None,
            origin: Origin::default(),
        }
    }

    /// What the balancer is told about it.
    pub fn pool_config(&self) -> ServerConfig {
        ServerConfig {
            weight: self.weight,
            id: self.id,
            hash_key: self.hash_key,
            address: self.address.socket().filter(|_| self.hash_key != HashKey::Id),
            maxconn: self.maxconn.unwrap_or(0),
            minconn: self.minconn.unwrap_or(0),
            maxqueue: self.maxqueue.unwrap_or(0),
            backup: self.backup,
            slowstart: self.slowstart,
            passive: self.passive,
            disabled: self.disabled,
            draining: self.draining,
            text: match self.passive {
                Some(_) => self.name.clone(),
                None => String::new(),
            },
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerAddress {
    /// An address. Port 0 is the port the client connected to, an unspecified address the one it
    /// connected to.
    Socket(SocketAddr),
    /// A UNIX socket; a path that begins with a zero byte is a name in the abstract namespace.
    Unix(PathBuf),
    /// A name to resolve when the process starts.
    Host {
        /// The name.
        name: String,
        /// The port; 0 is the port the client connected to.
        port: u16,
        /// What it was resolved to when the file was read, if it was.
        resolved: Option<IpAddr>,
    },
}

impl ServerAddress {
    /// The socket address, if it is one or was resolved to one.
    pub fn socket(&self) -> Option<SocketAddr> {
        match *self {
            Self::Socket(address) => Some(address),
            Self::Host { resolved: Some(ip), port, .. } => Some((ip, port).into()),
            Self::Host { resolved: None, .. } | Self::Unix(_) => None,
        }
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Unix(path) => match path.to_str().and_then(|path| path.strip_prefix('\0')) {
                Some(name) => write!(f, "abns@{}", name.trim_end_matches('\0')),
                None => write!(f, "unix:{}", path.display()),
            },
            Self::Host { name, port, .. } => write!(f, "{name}:{port}"),
        }
    }
}

/// What happens to the sessions of a server that a check found down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnMarkedDown {
    /// They go on.
    #[default]
    Nothing,
    /// They are closed (`D-` in the log).
    ShutdownSessions,
}
