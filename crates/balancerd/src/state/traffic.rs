//! Counters of frontends, backends and servers.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::unix_seconds;

/// Counters of a frontend, a backend or a server.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Sessions now.
    pub current: AtomicU32,
    /// The most there were at a time.
    pub peak: AtomicU32,
    /// Sessions since the start.
    pub total: AtomicU64,
    /// Bytes from clients.
    pub bytes_in: AtomicU64,
    /// Bytes from servers.
    pub bytes_out: AtomicU64,
    /// Connects that failed for good (`econ`).
    pub connect_errors: AtomicU64,
    /// Servers that broke off (`eresp`, `srv_abrt`).
    pub server_aborts: AtomicU64,
    /// Servers that were silent for too long while data went both ways (`srv_abrt` has them, too).
    pub server_timeouts: AtomicU64,
    /// Clients that broke off, or were silent for too long (`cli_abrt`).
    pub client_aborts: AtomicU64,
    /// Connects that were repeated (`wretr`).
    pub retries: AtomicU64,
    /// Connects that went to another server (`wredis`).
    pub redispatches: AtomicU64,
    /// How often it was picked (`lbtot`).
    pub picked: AtomicU64,
    /// Seconds since 1970 of the last session, 0 if there was none (`lastsess`).
    pub last: AtomicU64,
    /// Session starts per second.
    pub rate: Rate,
    /// Milliseconds spent by the sessions that ended: in queues, connecting, in all.
    pub queue_time: AtomicU64,
    /// As above.
    pub connect_time: AtomicU64,
    /// As above.
    pub total_time: AtomicU64,
    /// The longest of a session in milliseconds: in queues, connecting, in all.
    pub longest_queue: AtomicU32,
    /// As above.
    pub longest_connect: AtomicU32,
    /// As above.
    pub longest_total: AtomicU32,
    /// Of a backend: how long things took, once something did.
    pub(crate) latency: std::sync::OnceLock<Box<crate::http::Latency>>,
    /// Of proxies that speak HTTP.
    pub http: crate::http::Count,
}

impl Traffic {
    pub(crate) fn begin(&self, second: u64) {
        let current = self.current.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(current, Relaxed);
        self.total.fetch_add(1, Relaxed);
        self.last.store(second, Relaxed);
        self.rate.count(second);
    }

    pub(crate) fn end(&self) {
        self.current.fetch_sub(1, Relaxed);
    }

    pub(crate) fn bytes(&self, from_client: u64, from_server: u64) {
        self.bytes_in.fetch_add(from_client, Relaxed);
        self.bytes_out.fetch_add(from_server, Relaxed);
    }
}

/// Events per second: of the running one, the one before, and the most.
#[derive(Debug, Default)]
pub struct Rate {
    second: AtomicU64,
    running: AtomicU32,
    before: AtomicU32,
    most: AtomicU32,
}

impl Rate {
    pub(crate) fn count(&self, second: u64) {
        let counted = self.second.load(Relaxed);
        if counted != second
            && self.second.compare_exchange(counted, second, Relaxed, Relaxed).is_ok()
        {
            let last = self.running.swap(0, Relaxed);
            self.before.store(if counted + 1 == second { last } else { 0 }, Relaxed);
        }
        let running = self.running.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(running, Relaxed);
    }

    /// Events in the last whole second or in the running one, whichever is more.
    pub fn now(&self) -> u32 {
        let second = unix_seconds();
        match second.checked_sub(self.second.load(Relaxed)) {
            Some(0) => self.running.load(Relaxed).max(self.before.load(Relaxed)),
            Some(1) => self.running.load(Relaxed),
            _ => 0,
        }
    }

    /// The most is what there is from now on.
    pub(crate) fn forget_most(&self) {
        self.most.store(0, Relaxed);
    }

    /// The most in any second.
    pub fn most(&self) -> u32 {
        self.most.load(Relaxed)
    }
}
