//! Where connections arrive.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{BackendIndex, ErrorLog, FrontendRules, Http, Inbound, LogPolicy, NginxServer, Origin};

/// A `frontend`, the client side of a `listen`, or an nginx `server`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frontend {
    /// HAProxy's proxy id: counts all proxies of the file, from 2 where there is a
    /// `stats socket` and else from 1; `id` forces one.
    pub id: u32,
    /// Its name; for nginx the first `listen` address as messages print it.
    pub name: String,
    /// What it was written as.
    pub kind: FrontendKind,
    /// The addresses it listens on.
    pub binds: Vec<Bind>,
    /// What it speaks.
    pub mode: Mode,
    /// Where its connections go; without one they are closed (`SC <NOSRV>`).
    pub default_backend: Option<BackendIndex>,
    /// Connections accepted at once; more wait in the kernel. `None`: the process's limit.
    pub maxconn: Option<u32>,
    /// `rate-limit sessions`: sessions a second that are accepted; more wait in the kernel. `None`
    /// has no limit.
    pub session_rate: Option<u32>,
    /// `backlog` of the section: the kernel's queue. `None`: `maxconn` (HAProxy), 511 (nginx).
    pub backlog: Option<u32>,
    /// `timeout client`: how long a client may say nothing.
    pub client_timeout: Option<Duration>,
    /// `timeout client-fin`: instead of it once the client's direction is half closed.
    pub client_fin_timeout: Option<Duration>,
    /// How sessions are logged.
    pub log: LogPolicy,
    /// nginx: where errors of its sessions go; empty is the process's.
    pub error_log: Vec<ErrorLog>,
    /// `option tcpka`, `option clitcpka`, `so_keepalive`: SO_KEEPALIVE towards clients.
    pub keepalive: Option<KeepAlive>,
    /// `option nolinger`: close clients with a reset.
    pub nolinger: bool,
    /// TCP_NODELAY; on unless nginx's `tcp_nodelay off`.
    pub nodelay: bool,
    /// Its rules; `None` costs nothing.
    pub rules: Option<Box<FrontendRules>>,
    /// `mode http`: what it does with messages.
    pub http: Option<Box<Http>>,
    /// `disabled`: known, shown, not listening.
    pub disabled: bool,
    /// `description` of the section.
    pub description: Option<String>,
    /// `option socket-stats`: each of its addresses is counted by itself, too.
    pub socket_stats: bool,
    /// `unique-id-format`.
    pub unique_id: Option<Box<rules::format::Format>>,
    /// What an nginx `server` does besides passing its sessions on; `None` if that is all.
    pub nginx: Option<Box<NginxServer>>,
}

impl Frontend {
    /// A TCP frontend without an address, with HAProxy's defaults.
    pub fn new(id: u32, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            kind: FrontendKind::Frontend,
            binds: Vec::new(),
            mode: Mode::Tcp,
            default_backend: None,
            maxconn: None,
            session_rate: None,
            backlog: None,
            client_timeout: None,
            client_fin_timeout: None,
            log: LogPolicy::default(),
            error_log: Vec::new(),
            keepalive: None,
            nolinger: false,
            nodelay: true,
            rules: None,
            http: None,
            disabled: false,
            description: None,
            socket_stats: false,
            unique_id: None,
            nginx: None,
        }
    }
}

/// What a frontend was written as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrontendKind {
    /// `frontend NAME`.
    Frontend,
    /// `listen NAME`: its backend has the same id and name.
    Listen,
    /// nginx's `server { listen …; proxy_pass …; }`.
    NginxServer,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Bytes.
    #[default]
    Tcp,
    /// HTTP/1.1: see [`Http`].
    Http,
}

/// One address to listen on. A `bind` line with several addresses or a port range is several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bind {
    /// Where.
    pub address: BindAddress,
    /// `name` of the `bind` line.
    pub name: Option<String>,
    /// `id` of the `bind` line, else the next number; 0 of lines that have none.
    pub id: u32,
    /// `interface`: SO_BINDTODEVICE.
    pub interface: Option<String>,
    /// IPV6_V6ONLY. `None`: the system's default (HAProxy); nginx sets it, on by default.
    pub v6only: Option<bool>,
    /// `backlog` of this line.
    pub backlog: Option<u32>,
    /// `maxconn` of this line.
    pub maxconn: Option<u32>,
    /// `defer-accept`, `deferred`: TCP_DEFER_ACCEPT.
    pub defer_accept: bool,
    /// `tfo`, `fastopen=n`: TCP_FASTOPEN queue length.
    pub fastopen: Option<u32>,
    /// SO_REUSEPORT may be shared with others: HAProxy always, nginx with `reuseport`.
    pub reuseport: bool,
    /// `transparent`: IP_TRANSPARENT.
    pub transparent: bool,
    /// What it says of its sockets besides; `None` for most.
    pub inbound: Option<Box<Inbound>>,
    /// Permission bits of a UNIX socket.
    pub mode: Option<u32>,
    /// Owner of a UNIX socket, by name or as digits.
    pub user: Option<String>,
    /// Group of a UNIX socket, by name or as digits.
    pub group: Option<String>,
    /// SO_RCVBUF, for nginx's `rcvbuf=`.
    pub receive_buffer: Option<u32>,
    /// SO_SNDBUF, for nginx's `sndbuf=`.
    pub send_buffer: Option<u32>,
    /// `accept-proxy`, `proxy_protocol`: a connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Datagrams instead of connections: nginx's `udp`.
    pub udp: bool,
    /// Where the line stands, for `Binding [file:line] for frontend …`.
    pub origin: Origin,
}

impl Bind {
    /// An address with HAProxy's defaults.
    pub fn new(address: BindAddress) -> Self {
        Self {
            address,
            name: None,
            id: 0,
            interface: None,
            v6only: None,
            backlog: None,
            maxconn: None,
            defer_accept: false,
            fastopen: None,
            reuseport: true,
            transparent: false,
            inbound: None,
            mode: None,
            user: None,
            group: None,
            receive_buffer: None,
            send_buffer: None,
            proxy_protocol: false,
            udp: false,
            origin: Origin::default(),
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum BindAddress {
    /// An address and port; the unspecified address is "any" of its family (`*:80`, `:::80`).
    Inet(SocketAddr),
    /// A UNIX socket.
    Unix(PathBuf),
    /// `abns@NAME`: a UNIX socket in the abstract namespace.
    Abstract(String),
    /// `fd@N`: a listening socket inherited from the parent.
    Fd(i32),
}

impl BindAddress {
    /// Any IPv4 address.
    pub fn any_v4(port: u16) -> Self {
        Self::Inet((Ipv4Addr::UNSPECIFIED, port).into())
    }

    /// Any IPv6 address.
    pub fn any_v6(port: u16) -> Self {
        Self::Inet((Ipv6Addr::UNSPECIFIED, port).into())
    }
}

impl std::fmt::Display for BindAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "abns@{}", name.trim_end_matches('\0')),
            Self::Fd(fd) => write!(f, "fd@{fd}"),
        }
    }
}

/// SO_KEEPALIVE and its timers; `None` is the system's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeepAlive {
    /// TCP_KEEPIDLE.
    pub idle: Option<Duration>,
    /// TCP_KEEPINTVL.
    pub interval: Option<Duration>,
    /// TCP_KEEPCNT.
    pub count: Option<u32>,
}
