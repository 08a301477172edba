//! The sessions there are, for those who end them from outside.

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

/// What others need to know of a session: the ids of its backend and its server.
#[derive(Debug)]
struct Live {
    backend: u32,
    server: u32,
    kill: Option<Cause>,
    waker: Option<Waker>,
}

impl Registry {
    pub(crate) fn enter(&self, backend: u32, server: u32, waker: Waker) -> u32 {
        let live = Live { backend, server, kill: None, waker: Some(waker) };
        u32::try_from(lock(&self.sessions).insert(live)).unwrap_or(u32::MAX)
    }

    pub(crate) fn leave(&self, key: u32) {
        let _ = lock(&self.sessions).try_remove(key as usize);
    }

    /// Notes that sessions of a backend, or of one server of it, are to end; how many.
    pub(super) fn kill(&self, backend: u32, server: Option<u32>, cause: Cause) -> usize {
        let matches = |live: &Live| {
            live.backend == backend && server.is_none_or(|server| live.server == server)
        };
        let mut sessions = lock(&self.sessions);
        let ended = sessions.iter_mut().filter(|(_, live)| matches(live));
        ended.map(|(_, live)| live.kill = Some(cause)).count()
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
