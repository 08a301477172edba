//! The sessions there are, for those who end them from outside.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::task::Waker;

use proxy::Cause;
use slab::Slab;

use super::lock;

/// Instead of a backend: a client that may go at any time.
pub(crate) const IDLE: u32 = u32::MAX - 1;

/// The sessions of one thread.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    sessions: Mutex<Slab<Live>>,
}

/// Who a session is, for those who look at it from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// The id of its frontend.
    pub(crate) frontend: u32,
    /// The id of its backend.
    pub(crate) backend: u32,
    /// The id of its server.
    pub(crate) server: u32,
    /// Seconds since 1970 when it began.
    pub(crate) since: u32,
    /// Its client; port 0 of `::` for one without an address.
    peer: (Ipv6Addr, u16),
}

impl About {
    /// A session between these, of a client with this address.
    pub(crate) fn new(
        frontend: u32,
        (backend, server): (u32, u32),
        peer: Option<SocketAddr>,
    ) -> Self {
        let peer = peer.map_or((Ipv6Addr::UNSPECIFIED, 0), |peer| match peer.ip() {
            IpAddr::V4(ip) => (ip.to_ipv6_mapped(), peer.port()),
            IpAddr::V6(ip) => (ip, peer.port()),
        });
        let since = u32::try_from(super::unix_seconds()).unwrap_or(u32::MAX);
        Self { frontend, backend, server, since, peer }
    }

    /// The address of its client, unless that is a UNIX socket.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        let (ip, port) = self.peer;
        (port != 0).then(|| SocketAddr::new(IpAddr::V6(ip).to_canonical(), port))
    }
}

/// What others need to know of a session.
#[derive(Debug)]
struct Live {
    about: About,
    kill: Option<Cause>,
    waker: Option<Waker>,
}

impl Registry {
    /// A session that others can look at.
    pub(crate) fn enter_as(&self, about: About, waker: Waker) -> u32 {
        let live = Live { about, kill: None, waker: Some(waker) };
        u32::try_from(lock(&self.sessions).insert(live)).unwrap_or(u32::MAX)
    }

    pub(crate) fn leave(&self, key: u32) {
        let _ = lock(&self.sessions).try_remove(key as usize);
    }

    /// Notes that sessions of a backend, or of one server of it, are to end; how many.
    pub(super) fn kill(&self, backend: u32, server: Option<u32>, cause: Cause) -> usize {
        let matches = |live: &Live| {
            live.about.backend == backend && server.is_none_or(|server| live.about.server == server)
        };
        let mut sessions = lock(&self.sessions);
        let ended = sessions.iter_mut().filter(|(_, live)| matches(live));
        ended.map(|(_, live)| live.kill = Some(cause)).count()
    }

    /// Notes that one session is to end; false if there is none.
    pub(super) fn kill_one(&self, key: u32, cause: Cause) -> bool {
        let mut sessions = lock(&self.sessions);
        let live = sessions.get_mut(key as usize);
        live.map(|live| live.kill = Some(cause)).is_some()
    }

    /// Those there are now, by their keys.
    pub(crate) fn all(&self) -> Vec<(u32, About)> {
        let sessions = lock(&self.sessions);
        let key = |key| u32::try_from(key).unwrap_or(u32::MAX);
        sessions.iter().map(|(at, live)| (key(at), live.about)).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Wakes those that are to end.
    pub(super) fn wake_killed(&self) {
        let sessions = lock(&self.sessions);
        let ended = sessions.iter().filter(|(_, live)| live.kill.is_some());
        for waker in ended.filter_map(|(_, live)| live.waker.as_ref()) {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn killed(&self, key: u32) -> Option<Cause> {
        lock(&self.sessions).get(key as usize).and_then(|live| live.kill)
    }
}
