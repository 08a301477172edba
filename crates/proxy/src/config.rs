//! What haproxy.cfg and nginx's `stream {}` are lowered to.
//!
//! Everything here is resolved: `defaults` are merged in, `log global` is replaced by the global
//! targets, names are indices. Times are [`Duration`]s; an absent limit is `None`.

mod active;
mod backend;
mod checks;
mod frontend;
mod global;
mod http;
mod log;
mod nginx;
mod resolvers;
mod ring;
mod rules;
mod running;
mod stick;
mod tls;
mod transport;
mod tuning;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::rules::list::List;

pub use self::http::{Forwarded, Http, Stats};
pub use active::{ActiveCheck, CheckKind, Expected, Matching};
pub use backend::{
    Backend, Elsewhere, HalfClose, NextUpstream, OnMarkedDown, Server, ServerAddress, StateFrom,
};
pub use balance::{Algorithm, Passive};
pub use checks::{CheckAct, CheckWords, EmailAlert, Tracked};
pub use frontend::{Bind, BindAddress, Frontend, FrontendKind, KeepAlive, Mode};
pub use global::{Codes, Families, Global, StatusCodes};
pub use log::{
    ErrorLog, ErrorLogTarget, Facility, LogAddress, LogFormat, LogFraming, LogPolicy, LogTarget,
    Severity,
};

pub use self::stick::{Peer, PeersSection, StickRule, StickTable, Stickiness};
pub use nginx::{
    AccessLog, AccessTarget, Content, Discovery, HttpAnswer, HttpLocation, HttpServer, LimitConn,
    LimitZone, LogCache, NginxServer, Peers, Preread, ProxyHeader, Resolver,
};
pub use resolvers::{Hold, NameServer, Resolve, Resolvers};
pub use ring::{Ring, RingServer, Sample};
pub use rules::{BackendRules, FrontendRules, ServerRule, ServerTarget, Switch, SwitchTarget};
pub use running::Running;
pub use tls::{
    ClientTls, KeyPair, Pem, ServerTls, TlsCertificate, TlsManner, TlsName, TlsSpoken, TlsTrust,
    TlsVerify,
};
pub use transport::{Foreign, HeaderOptions, Inbound, Outbound};
pub use tuning::{SocketTuning, Tuning};

/// A whole proxy process: immutable, comparable, without positions of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Whose manners the process has: messages, exit codes, log lines, half-close.
    pub flavour: Flavour,
    /// What concerns the process and not one proxy.
    pub process: Process,
    /// The patterns of ACLs and maps, in the order of the file: what can be changed while the
    /// process runs.
    pub patterns: Vec<Arc<List>>,
    /// Where connections arrive, in the order of the file.
    pub frontends: Vec<Frontend>,
    /// Where they go, in the order of the file. A `listen` section is one of each.
    pub backends: Vec<Backend>,
}

impl Config {
    /// A configuration that listens nowhere.
    pub fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            process: Process::default(),
            patterns: Vec::new(),
            frontends: Vec::new(),
            backends: Vec::new(),
        }
    }

    /// The backend a frontend sends to, if it names one.
    pub fn backend_of(&self, frontend: &Frontend) -> Option<&Backend> {
        self.backends.get(frontend.default_backend?.0)
    }
}

/// Whose manners a process has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Flavour {
    /// HAProxy's: `frontend`, `backend`, `listen`; a half-closed session goes on.
    HaProxy,
    /// nginx's stream module: `server`, `upstream`; one side's end closes both.
    Nginx,
}

/// A position in [`Config::backends`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BackendIndex(pub usize);

/// What concerns the process: `global` of haproxy.cfg, the main and `events` contexts of nginx.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Process {
    /// `user NAME`, or `uid N` as digits. Resolved when the process starts; `None` keeps the user.
    pub user: Option<String>,
    /// `group NAME`, or `gid N` as digits.
    pub group: Option<String>,
    /// Where to chroot to after the sockets are bound.
    pub chroot: Option<PathBuf>,
    /// Leave the terminal (`daemon`; nginx's `daemon on`).
    pub daemon: bool,
    /// nginx's `master_process on`; HAProxy's `master-worker`.
    pub master_worker: bool,
    /// Where the process id is written.
    pub pidfile: Option<PathBuf>,
    /// `server-state-file`: what `show servers state` showed before.
    pub state_file: Option<PathBuf>,
    /// `server-state-base`: where files of that kind are.
    pub state_base: Option<PathBuf>,
    /// Connections of the whole process. HAProxy's global `maxconn`; for nginx
    /// `worker_processes` × `worker_connections` ÷ 2. `None`: from the limit of open files.
    pub maxconn: Option<u32>,
    /// How many cores serve connections.
    pub threads: Threads,
    /// RLIMIT_NOFILE: what `ulimit-n` asks for at least, and what `worker_rlimit_nofile` allows for
    /// each core.
    pub nofile: Option<u64>,
    /// RLIMIT_CORE of those that serve, in bytes: `worker_rlimit_core`.
    pub core_limit: Option<u64>,
    /// nginx's `worker_connections` as written: what its line says when there is no room.
    pub worker_connections: Option<u32>,
    /// Where the runtime API listens.
    pub stats_sockets: Vec<StatsSocket>,
    /// How long an idle client of the runtime API is kept. HAProxy's default: 10 s.
    pub stats_timeout: Option<Duration>,
    /// `stats maxconn`: clients of the runtime API at once, of all its sockets; more wait in the
    /// kernel. HAProxy's default: 10.
    pub stats_maxconn: Option<u32>,
    /// `maxconnrate`: connections a second that are accepted, of all frontends; more wait in the
    /// kernel. `None` has no limit.
    pub connection_rate: Option<u32>,
    /// `maxsessrate`: the same of sessions.
    pub session_rate: Option<u32>,
    /// `maxsslrate`: the same of sessions over TLS; shown, and without an effect.
    pub tls_rate: Option<u32>,
    /// `log` lines of the global section: process-wide messages go there.
    pub log: Vec<LogTarget>,
    /// `log-tag`: the program's name in log lines; `None` is `haproxy`.
    pub log_tag: Option<String>,
    /// `log-send-hostname`: put a host name into the header; `Some("")` is the machine's own.
    pub log_hostname: Option<String>,
    /// nginx's `error_log` of the main context.
    pub error_log: Vec<ErrorLog>,
    /// How long draining may last: `hard-stop-after`, `worker_shutdown_timeout`.
    pub hard_stop_after: Option<Duration>,
    /// `node`: the name shown by `show info`.
    pub node: Option<String>,
    /// `description`: the text shown by `show info`.
    pub description: Option<String>,
    /// `spread-checks`: per cent of randomness in check intervals, 0 to 50.
    pub spread_checks: u8,
    /// `max-spread-checks`: the first checks are spread over at most this time.
    pub max_spread_checks: Option<Duration>,
    /// `ca-base`, already applied to the file names of checks; kept for `show`.
    pub ca_base: Option<PathBuf>,
    /// `ssl-server-verify none`: certificates of servers are not verified by default.
    pub server_verify_none: bool,
    /// `quiet` of the global section: no messages at start.
    pub quiet: bool,
    /// nginx's `worker_priority`: the nice value of workers, -20 to 20.
    pub niceness: Option<i32>,
    /// `working_directory` of nginx.
    pub working_directory: Option<PathBuf>,
    /// The variables nginx's configuration defines.
    pub variables: Vec<crate::variable::Definition>,
    /// HAProxy's variables of the process that have a value from the start: `set-var`.
    pub set_variables: Vec<(::rules::record::Variable, ::rules::Value<'static>)>,
    /// Stick tables of all sections, in the order of the file.
    pub tables: Vec<StickTable>,
    /// `peers` sections that are complete.
    pub peers: Vec<PeersSection>,
    /// `ring` sections.
    pub rings: Vec<Ring>,
    /// `resolvers` sections.
    pub resolvers: Vec<Resolvers>,
    /// `limit_conn_zone` of nginx.
    pub limit_zones: Vec<LimitZone>,
    /// What tunes the process, its sockets and its memory.
    pub tuning: Tuning,
    /// What few `global` sections say.
    pub global: Box<Global>,
}

/// How many cores serve connections: `nbthread`, `worker_processes`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Threads {
    /// One for each usable CPU.
    #[default]
    Auto,
    /// This many, at least 1.
    Count(u16),
}

/// One `stats socket` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatsSocket {
    /// Where it listens.
    pub address: BindAddress,
    /// Permission bits of a UNIX socket (`mode 660` is `0o660`).
    pub mode: Option<u32>,
    /// Owner of a UNIX socket, by name or as digits.
    pub user: Option<String>,
    /// Group of a UNIX socket, by name or as digits.
    pub group: Option<String>,
    /// What its clients may do.
    pub level: Level,
    /// `expose-fd listeners`: a new process may fetch the listening sockets here.
    pub expose_listeners: bool,
    /// Where the line stands, as messages name it: `file:line`.
    pub origin: Origin,
}

/// What a client of a `stats socket` may do.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Only read what is not sensitive.
    User,
    /// Read all.
    #[default]
    Operator,
    /// Change.
    Admin,
}

/// `file:line` of a directive whose failure at start names it. Never part of a comparison: moving
/// a line is not a change.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The file as given on the command line or found by an include.
    pub file: String,
    /// Its line, from 1; 0 if unknown.
    pub line: u32,
}

impl PartialEq for Origin {
    /// Always: where something was written does not change what it means.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
