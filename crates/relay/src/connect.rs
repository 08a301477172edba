//! Connections to servers.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::executor;
use crate::ready::Ready;
use crate::stream::{Nagle, Stream};

/// How a connection to a server is made.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Where to.
    pub to: Target,
    /// The local address, port 0 for any.
    pub source: Option<SocketAddr>,
    /// TCP_NODELAY, set once there is something it could speed up.
    pub nodelay: bool,
    /// SO_KEEPALIVE.
    pub keepalive: Option<KeepAlive>,
}

/// Where a server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// TCP.
    Inet(SocketAddr),
    /// A UNIX stream socket.
    Unix(PathBuf),
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

impl KeepAlive {
    /// Sets it on a socket; on a listening one its connections inherit it.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` gives.
    pub fn apply(&self, socket: &Socket) -> io::Result<()> {
        socket.set_keepalive(true)?;
        let mut timers = TcpKeepalive::new();
        if let Some(idle) = self.idle {
            timers = timers.with_time(idle);
        }
        if let Some(interval) = self.interval {
            timers = timers.with_interval(interval);
        }
        if let Some(count) = self.count {
            timers = timers.with_retries(count);
        }
        if *self == Self::default() { Ok(()) } else { socket.set_tcp_keepalive(&timers) }
    }
}

impl Dial {
    /// A TCP connection without delay, as both originals make it.
    pub fn new(to: SocketAddr) -> Self {
        Self { to: Target::Inet(to), source: None, nodelay: true, keepalive: None }
    }

    /// Starts to connect; [`established`] waits for the result.
    ///
    /// # Errors
    ///
    /// When no socket can be had, or the system knows at once that there is no way.
    pub fn start(&self) -> io::Result<Stream> {
        self.start_with(Socket::new_raw, |_| Ok(()))
    }

    /// The same with a socket that is made by `make`, of a family, a type and a protocol, and that
    /// `prepare` may change before it is bound.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and theirs.
    pub fn start_with(
        &self,
        make: impl Fn(Domain, Type, Option<Protocol>) -> io::Result<Socket>,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Stream> {
        let (domain, address) = match &self.to {
            Target::Inet(to) => (Domain::for_address(*to), SockAddr::from(*to)),
            Target::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        let make = || make(domain, Type::STREAM.nonblocking().cloexec(), None);
        let socket = executor::with_descriptor(make)?;
        prepare(&socket)?;
        if domain != Domain::UNIX {
            if let Some(keepalive) = &self.keepalive {
                keepalive.apply(&socket)?;
            }
            if let Some(source) = self.source {
                socket.set_reuse_address(true)?;
                socket.bind(&source.into())?;
            }
        }
        match socket.connect(&address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        // Also for a UNIX socket: recv, send and shutdown are the same calls.
        let delays = self.nodelay && domain != Domain::UNIX;
        Stream::with(socket.into(), if delays { Nagle::Off } else { Nagle::Settled })
    }
}

const EINPROGRESS: i32 = 115;

/// Waits until a started connection is established.
///
/// # Errors
///
/// Why it was not.
pub async fn established(stream: &Stream) -> io::Result<()> {
    let ready = stream.ready(Ready::WRITABLE).await?;
    // Only what looks broken is worth another system call.
    if ready.is_write_closed() {
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        // The server of a UNIX socket that has gone again, perhaps after an answer, was there.
        socket2::SockRef::from(stream).peer_addr()?;
    }
    Ok(())
}
