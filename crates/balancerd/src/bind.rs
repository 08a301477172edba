//! The sockets a configuration listens on: all of them, or none.
//!
//! A reload or an upgrade starts a new process that inherits the listening sockets. Their numbers
//! travel in an environment variable, separated by `;`, as nginx has it; what each is for is found
//! out from the address it is bound to, so parent and child need not agree on more.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use linux::namespace::Network;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use proxy::{
    Bind, BindAddress, Config, Flavour, Frontend, FrontendKind, Inbound, Origin, StatsSocket,
    Threads,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// The environment variable that names inherited listening sockets: `5;6;7;`.
pub const ENVIRONMENT: &str = "EVERGATE_LISTENERS";

/// nginx's name of it, for a takeover from a running nginx and back.
pub const NGINX_ENVIRONMENT: &str = "NGINX";

/// All listening sockets of a process.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(crate) sockets: Vec<Bound>,
    pub(crate) stats: Vec<(usize, OwnedFd)>,
}

/// A listening socket of one `bind` line.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Position in [`Config::frontends`].
    pub(crate) frontend: usize,
    /// Position in [`Frontend::binds`].
    pub(crate) bind: usize,
    pub(crate) fd: OwnedFd,
}

impl Listeners {
    /// Binds every address of `config`, taking over those sockets of `inherited` that are bound to
    /// one of them. The other inherited sockets are closed.
    ///
    /// Where SO_REUSEPORT allows it each thread gets a socket of its own.
    ///
    /// # Errors
    ///
    /// All addresses that could not be bound; nothing listens then except in the parent. Problems
    /// that are not [fatal](BindError::fatal) come back beside the listeners.
    pub fn bind(
        config: &Config,
        inherited: Vec<OwnedFd>,
    ) -> Result<(Self, Vec<BindError>), Vec<BindError>> {
        let (mut datagrams, streams) = split(inherited);
        let mut inherited = by_address(streams);
        let mut placings = Vec::new();
        let mut listeners = Self::default();
        let mut problems = Vec::new();
        let threads = thread_count(&config.process);
        for (frontend, section) in config.frontends.iter().enumerate() {
            if section.disabled {
                continue;
            }
            for (bind, line) in section.binds.iter().enumerate() {
                let sockets = match &line.address {
                    BindAddress::Inet(address) if line.udp => {
                        let most = if line.reuseport { threads } else { 1 };
                        let known = datagrams.remove(address).unwrap_or_default();
                        datagram_sockets(line, *address, known, most).map(|sockets| (sockets, None))
                    }
                    BindAddress::Inet(address) => {
                        let most = if line.reuseport { threads } else { 1 };
                        let known = inherited.remove(&line.address).unwrap_or_default();
                        inet_sockets(config.flavour, section, line, *address, known, most)
                    }
                    other => {
                        let owner = Owner::of_bind(section, line);
                        local_socket(other, &owner, &mut inherited, &mut placings)
                            .map(|fd| (vec![fd], None))
                    }
                };
                match sockets {
                    Ok((sockets, warning)) => {
                        let bound = sockets.into_iter().map(|fd| Bound { frontend, bind, fd });
                        listeners.sockets.extend(bound);
                        let warning = warning
                            .map(|(what, error)| BindError::new(section, line, what, error, false));
                        problems.extend(warning);
                    }
                    Err((what, error)) => {
                        problems.push(BindError::new(section, line, what, error, true));
                    }
                }
            }
        }
        for (index, stats) in config.process.stats_sockets.iter().enumerate() {
            let socket = match &stats.address {
                BindAddress::Inet(address) => match take(&mut inherited, &stats.address) {
                    Some(known) => Ok(known),
                    None => inet_socket(*address, None, |_| Ok(()), 100).map(|(fd, _)| fd),
                },
                other => {
                    let owner = Owner::of_stats(stats);
                    local_socket(other, &owner, &mut inherited, &mut placings)
                }
            };
            match socket {
                Ok(fd) => listeners.stats.push((index, fd)),
                Err((what, error)) => problems.push(BindError {
                    origin: stats.origin.clone(),
                    proxy: "frontend GLOBAL".to_owned(),
                    what,
                    error,
                    address: stats.address.clone(),
                    fatal: true,
                }),
            }
        }
        if problems.iter().any(|problem| problem.fatal) {
            return Err(problems);
        }
        // Only now do paths change hands: whoever listened there goes on if this fails.
        problems.extend(placings.into_iter().filter_map(|placing| placing.place().err()));
        if problems.iter().any(|problem| problem.fatal) {
            return Err(problems);
        }
        Ok((listeners, problems))
    }

    /// The sockets a new process may inherit: those of frontends, then those of `stats socket`.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let stats = self.stats.iter().map(|(_, fd)| fd.as_fd());
        self.sockets.iter().map(|bound| bound.fd.as_fd()).chain(stats)
    }

    /// What to put into [`ENVIRONMENT`] for a child that is to inherit the sockets.
    pub fn environment(&self) -> String {
        self.fds().map(|fd| format!("{};", fd.as_raw_fd())).collect()
    }

    /// Lets children inherit the sockets, or not any more.
    ///
    /// # Errors
    ///
    /// What fcntl(2) gives, which it should not.
    pub fn set_inheritable(&self, inheritable: bool) -> io::Result<()> {
        let flags = if inheritable { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
        for fd in self.fds() {
            fcntl(fd, FcntlArg::F_SETFD(flags))?;
        }
        Ok(())
    }

    /// Copies for a process that binds again while these go on: a reload of a master.
    ///
    /// # Errors
    ///
    /// When no file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Vec<OwnedFd>> {
        self.fds().map(|fd| fd.try_clone_to_owned()).collect()
    }
}

/// The sockets named by the text of [`ENVIRONMENT`] or [`NGINX_ENVIRONMENT`]; what is not a
/// listening socket is left out. Call it once, before anything else is opened.
pub fn inherited(text: &str) -> Vec<OwnedFd> {
    text.split([';', ':'])
        .filter_map(|number| number.parse::<RawFd>().ok())
        .filter_map(|fd| {
            let listener = linux::tcp::inherited_listener(fd);
            listener.or_else(|_| linux::tcp::inherited_datagrams(fd)).ok()
        })
        .collect()
}

/// How many threads serve connections.
pub fn thread_count(process: &proxy::config::Process) -> usize {
    let count = match process.threads {
        Threads::Auto => std::thread::available_parallelism().map_or(1, usize::from),
        Threads::Count(count) => usize::from(count.max(1)),
    };
    count.min(process.tuning.most_threads.map_or(usize::MAX, usize::from))
}

/// An address that could not be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The `bind`, `listen` or `stats socket` line.
    pub origin: Origin,
    /// `frontend NAME`, or `proxy NAME` for a `listen` section.
    pub proxy: String,
    /// What could not be done, in HAProxy's words: `cannot bind socket`.
    pub what: &'static str,
    /// Why.
    pub error: io::Error,
    /// Where.
    pub address: BindAddress,
    /// Whether the process cannot start. HAProxy goes on without an `interface` it does not find.
    pub fatal: bool,
}

impl BindError {
    fn new(
        frontend: &Frontend,
        bind: &Bind,
        what: &'static str,
        error: io::Error,
        fatal: bool,
    ) -> Self {
        Self {
            origin: bind.origin.clone(),
            proxy: described(frontend),
            what,
            error,
            address: bind.address.clone(),
            fatal,
        }
    }

    /// As HAProxy prints it after `[ALERT]    (pid) : `. When any was
    /// [fatal](Self::fatal), `[haproxy.main()] Some protocols failed to start their listeners!
    /// Exiting.` follows, and exit code 1.
    pub fn haproxy(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            let Self { origin, proxy, what, error, address, .. } = self;
            let why = reason(error);
            write!(f, "Binding [{origin}] for {proxy}: {what} ({why}) ")?;
            match address {
                BindAddress::Inet(address) => write!(f, "for [{}]", in_haproxy_words(*address)),
                other => write!(f, "[{other}]"),
            }
        })
    }

    /// As nginx prints it after `[emerg] `. It tries an address in use five times, 500 ms apart,
    /// then says `still could not bind()`; exit code 1.
    pub fn nginx(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            let Self { error, address, .. } = self;
            let (number, why) = (error.raw_os_error().unwrap_or(0), reason(error));
            let call = if self.what == "cannot listen to socket" { "listen()" } else { "bind()" };
            match address {
                BindAddress::Unix(path) => {
                    write!(f, "{call} to unix:{} failed ({number}: {why})", path.display())
                }
                other => write!(f, "{call} to {other} failed ({number}: {why})"),
            }
        })
    }
}

/// `frontend NAME`, `proxy NAME`.
fn described(frontend: &Frontend) -> String {
    let kind = if frontend.kind == FrontendKind::Listen { "proxy" } else { "frontend" };
    format!("{kind} {}", frontend.name)
}

/// `127.0.0.1:80`, `::1:80`: HAProxy puts no brackets around an IPv6 address.
fn in_haproxy_words(address: SocketAddr) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{}:{}", address.ip(), address.port()))
}

/// The words of strerror(3).
pub(crate) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

type Sockets = (Vec<OwnedFd>, Option<Problem>);
type Problem = (&'static str, io::Error);

fn inet_sockets(
    flavour: Flavour,
    frontend: &Frontend,
    bind: &Bind,
    address: SocketAddr,
    known: Vec<OwnedFd>,
    most: usize,
) -> Result<Sockets, Problem> {
    let default = match flavour {
        Flavour::HaProxy => frontend.maxconn.unwrap_or(2_000),
        Flavour::Nginx => 511,
    };
    let backlog = bind.backlog.or(frontend.backlog).unwrap_or(default);
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let mut sockets = known;
    let mut warning = None;
    for fd in &sockets {
        // Its options may have changed with the file.
        let socket = socket2::SockRef::from(fd);
        let _ = inherited_options(&socket, frontend).and_then(|()| socket.listen(backlog));
    }
    // The first socket takes the port from others; only then are more of our own opened.
    while sockets.len() < most {
        let options = |socket: &Socket| options(socket, frontend, bind, address);
        let more = bind.inbound.as_deref();
        let (fd, problem) = inet_socket(address, more, options, backlog)?;
        sockets.push(fd);
        warning = warning.or(problem);
    }
    Ok((sockets, warning))
}

/// Sockets for datagrams, those that are there already first.
fn datagram_sockets(
    bind: &Bind,
    address: SocketAddr,
    known: Vec<OwnedFd>,
    most: usize,
) -> Result<Vec<OwnedFd>, Problem> {
    let words = |what| move |error| (what, error);
    let mut sockets = known;
    while sockets.len() < most {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)
            .map_err(words("cannot create receiving socket"))?;
        socket.set_reuse_address(true).map_err(words("cannot bind socket"))?;
        if bind.reuseport {
            socket.set_reuse_port(true).map_err(words("cannot share the port"))?;
        }
        if let (Some(v6only), true) = (bind.v6only, address.is_ipv6()) {
            socket.set_only_v6(v6only).map_err(words("cannot set IPV6_V6ONLY"))?;
        }
        if let Some(bytes) = bind.receive_buffer {
            socket.set_recv_buffer_size(bytes as usize).map_err(words("cannot set SO_RCVBUF"))?;
        }
        if let Some(bytes) = bind.send_buffer {
            socket.set_send_buffer_size(bytes as usize).map_err(words("cannot set SO_SNDBUF"))?;
        }
        socket.bind(&address.into()).map_err(words("cannot bind socket"))?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

/// Makes one socket; what `options` returns is a problem that is not fatal.
fn inet_socket(
    address: SocketAddr,
    more: Option<&Inbound>,
    options: impl Fn(&Socket) -> Result<(), Problem>,
    backlog: i32,
) -> Result<(OwnedFd, Option<Problem>), Problem> {
    let words = |what| move |error| (what, error);
    let make = || {
        let protocol = more.is_some_and(|more| more.multipath).then_some(Protocol::MPTCP);
        Socket::new(Domain::for_address(address), Type::STREAM, protocol)
    };
    let made = match more.and_then(|more| more.namespace.as_deref()) {
        Some(name) => Network::open(name).and_then(|network| network.within(make)).flatten(),
        None => make(),
    };
    let socket = made.map_err(words("cannot create receiving socket"))?;
    socket.set_reuse_address(true).map_err(words("cannot bind socket"))?;
    let problem = options(&socket).err();
    socket.bind(&address.into()).map_err(words("cannot bind socket"))?;
    socket.listen(backlog).map_err(words("cannot listen to socket"))?;
    Ok((socket.into(), problem))
}

fn options(
    socket: &Socket,
    frontend: &Frontend,
    bind: &Bind,
    address: SocketAddr,
) -> Result<(), Problem> {
    let words = |what| move |error| (what, error);
    if bind.reuseport {
        socket.set_reuse_port(true).map_err(words("cannot share the port"))?;
    }
    if let (Some(v6only), true) = (bind.v6only, address.is_ipv6()) {
        socket.set_only_v6(v6only).map_err(words("cannot set IPV6_V6ONLY"))?;
    }
    if bind.transparent {
        let set = if address.is_ipv6() {
            socket.set_ip_transparent_v6(true)
        } else {
            socket.set_ip_transparent_v4(true)
        };
        set.map_err(words("cannot make listening socket transparent"))?;
    }
    inherited_options(socket, frontend).map_err(words("cannot set options"))?;
    if bind.defer_accept {
        linux::tcp::defer_accept(socket).map_err(words("cannot enable DEFER_ACCEPT"))?;
    }
    if let Some(queue) = bind.fastopen {
        linux::tcp::fast_open(socket, queue).map_err(words("cannot enable TCP_FASTOPEN"))?;
    }
    if let Some(bytes) = bind.receive_buffer {
        socket.set_recv_buffer_size(bytes as usize).map_err(words("cannot set SO_RCVBUF"))?;
    }
    if let Some(bytes) = bind.send_buffer {
        socket.set_send_buffer_size(bytes as usize).map_err(words("cannot set SO_SNDBUF"))?;
    }
    if let Some(more) = &bind.inbound {
        inbound(socket, more, address)?;
    }
    if let Some(interface) = &bind.interface {
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(words("cannot bind receiver to device"))?;
    }
    Ok(())
}

/// What few lines say.
fn inbound(socket: &Socket, more: &Inbound, address: SocketAddr) -> Result<(), Problem> {
    let words = |what| move |error| (what, error);
    if let Some(bytes) = more.unsent {
        socket.set_tcp_notsent_lowat(bytes).map_err(words("cannot set TCP_NOTSENT_LOWAT"))?;
    }
    if let Some(wait) = more.user_timeout {
        socket.set_tcp_user_timeout(Some(wait)).map_err(words("cannot set TCP User Timeout"))?;
    }
    if let Some(segment) = more.segment {
        // What a segment is where nothing is known of the path.
        let usual = if address.is_ipv4() { 536 } else { 1220 };
        let segment = if segment < 0 { (usual + segment).max(88) } else { segment };
        socket.set_tcp_mss(segment.unsigned_abs()).map_err(words("cannot set MSS"))?;
    }
    if let Some(name) = &more.congestion {
        let set = socket.set_tcp_congestion(name.as_bytes());
        set.map_err(words("cannot set TCP congestion control algorithm"))?;
    }
    Ok(())
}

/// What Linux copies from a listening socket to its connections, so that no call is needed there.
fn inherited_options(socket: &Socket, frontend: &Frontend) -> io::Result<()> {
    socket.set_tcp_nodelay(frontend.nodelay)?;
    match frontend.keepalive {
        Some(keepalive) => crate::backend::keepalive(keepalive).apply(socket),
        None => Ok(()),
    }
}

/// Who may use a socket that has a path, and which line asks for it.
struct Owner<'a> {
    mode: Option<u32>,
    user: Option<&'a str>,
    group: Option<&'a str>,
    origin: &'a Origin,
    proxy: String,
}

impl<'a> Owner<'a> {
    fn of_bind(frontend: &Frontend, line: &'a Bind) -> Self {
        let (user, group) = (line.user.as_deref(), line.group.as_deref());
        Self { mode: line.mode, user, group, origin: &line.origin, proxy: described(frontend) }
    }

    fn of_stats(line: &'a StatsSocket) -> Self {
        let (user, group) = (line.user.as_deref(), line.group.as_deref());
        let proxy = "frontend GLOBAL".to_owned();
        Self { mode: line.mode, user, group, origin: &line.origin, proxy }
    }

    fn apply(&self, path: &Path) -> io::Result<()> {
        if self.user.is_some() || self.group.is_some() {
            let uid = self.user.map(crate::privilege::user_id).transpose()?;
            let gid = self.group.map(crate::privilege::group_id).transpose()?;
            std::os::unix::fs::chown(path, uid, gid)?;
        }
        match self.mode {
            Some(mode) => fs::set_permissions(path, Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }
}

/// A listening socket that is not on the network: taken over, or new.
fn local_socket(
    address: &BindAddress,
    owner: &Owner<'_>,
    inherited: &mut HashMap<BindAddress, Vec<OwnedFd>>,
    placings: &mut Vec<Placing>,
) -> Result<OwnedFd, Problem> {
    let known = take(inherited, address);
    match address {
        BindAddress::Unix(path) => match known {
            // Whoever has removed the path wants a new one.
            Some(known) if path.exists() => {
                owner.apply(path).map_err(|error| ("cannot bind UNIX socket", error))?;
                Ok(known)
            }
            _ => {
                let (fd, placing) = unix_socket(path, owner)?;
                placings.push(placing);
                Ok(fd)
            }
        },
        BindAddress::Abstract(name) => known.map_or_else(|| abstract_socket(name), Ok),
        BindAddress::Fd(fd) => linux::tcp::inherited_listener(*fd)
            .map_err(|error| ("cannot use the inherited socket", error)),
        BindAddress::Inet(address) => {
            known.map_or_else(|| inet_socket(*address, None, |_| Ok(()), 100).map(|(fd, _)| fd), Ok)
        }
    }
}

/// A socket that listens beside its path, and takes it with [`place`](Self::place).
struct Placing {
    temporary: PathBuf,
    path: PathBuf,
    origin: Origin,
    proxy: String,
}

impl Placing {
    /// Replaces what stands at the path, at once.
    fn place(self) -> Result<(), BindError> {
        fs::rename(&self.temporary, &self.path).map_err(|error| BindError {
            origin: self.origin.clone(),
            proxy: self.proxy.clone(),
            what: "cannot bind UNIX socket",
            error,
            address: BindAddress::Unix(self.path.clone()),
            fatal: true,
        })
    }
}

impl Drop for Placing {
    fn drop(&mut self) {
        // Gone already if it was placed.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Listens beside a path, already with its final owner and mode.
fn unix_socket(path: &Path, owner: &Owner<'_>) -> Result<(OwnedFd, Placing), Problem> {
    let words = |what| move |error| (what, error);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let placing = Placing {
        temporary: PathBuf::from(name),
        path: path.to_owned(),
        origin: owner.origin.clone(),
        proxy: owner.proxy.clone(),
    };
    let _ = fs::remove_file(&placing.temporary);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)
        .map_err(words("cannot create receiving socket"))?;
    let listen = || {
        if path.is_dir() {
            return Err(nix::errno::Errno::EISDIR.into());
        }
        socket.bind(&SockAddr::unix(&placing.temporary)?)?;
        owner.apply(&placing.temporary)?;
        socket.listen(1024)
    };
    let listens: io::Result<()> = listen();
    listens.map_err(words("cannot bind UNIX socket"))?;
    Ok((socket.into(), placing))
}

fn abstract_socket(name: &str) -> Result<OwnedFd, Problem> {
    let words = |what| move |error| (what, error);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)
        .map_err(words("cannot create receiving socket"))?;
    let address = SockAddr::unix(format!("\0{name}")).map_err(words("cannot bind UNIX socket"))?;
    socket.bind(&address).map_err(words("cannot bind UNIX socket"))?;
    socket.listen(1024).map_err(words("cannot bind UNIX socket"))?;
    Ok(socket.into())
}

/// Sockets of datagrams by their address, and all others.
fn split(inherited: Vec<OwnedFd>) -> (HashMap<SocketAddr, Vec<OwnedFd>>, Vec<OwnedFd>) {
    let mut datagrams: HashMap<SocketAddr, Vec<OwnedFd>> = HashMap::new();
    let mut streams = Vec::new();
    for fd in inherited {
        let socket = socket2::SockRef::from(&fd);
        let address = || socket.local_addr().ok()?.as_socket();
        match socket.r#type() {
            Ok(Type::DGRAM) => {
                if let Some(address) = address() {
                    datagrams.entry(address).or_default().push(fd);
                }
            }
            _ => streams.push(fd),
        }
    }
    (datagrams, streams)
}

/// Sorts sockets by the address they are bound to.
fn by_address(inherited: Vec<OwnedFd>) -> HashMap<BindAddress, Vec<OwnedFd>> {
    let mut known: HashMap<BindAddress, Vec<OwnedFd>> = HashMap::new();
    for fd in inherited {
        if let Some(address) = local_address(&fd) {
            known.entry(address).or_default().push(fd);
        }
    }
    known
}

fn take(known: &mut HashMap<BindAddress, Vec<OwnedFd>>, address: &BindAddress) -> Option<OwnedFd> {
    known.get_mut(address)?.pop()
}

fn local_address(fd: &OwnedFd) -> Option<BindAddress> {
    let address = socket2::SockRef::from(fd).local_addr().ok()?;
    if let Some(inet) = address.as_socket() {
        return Some(BindAddress::Inet(inet));
    }
    if let Some(name) = address.as_abstract_namespace() {
        return Some(BindAddress::Abstract(String::from_utf8_lossy(name).into_owned()));
    }
    // What it was bound to before it got its path: PATH.PID.tmp.
    let path = address.as_pathname()?;
    let placed = || {
        let (path, pid) = path.to_str()?.strip_suffix(".tmp")?.rsplit_once('.')?;
        pid.parse::<u32>().ok().map(|_| PathBuf::from(path))
    };
    Some(BindAddress::Unix(placed().unwrap_or_else(|| path.to_owned())))
}

#[cfg(test)]
mod tests;
