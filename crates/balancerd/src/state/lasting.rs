//! What lives as long as the process, whatever is configured.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use daemon::clock::Clock;
use proxy::Cause;

use super::registry::Registry;
use super::{Gate, Paces, Rate, Shared};
use crate::health::Board;

/// Everything of a process that no reload in place touches.
#[derive(Debug)]
pub struct Lasting {
    /// The time balancing and checks go by.
    pub clock: Clock,
    /// When the process started.
    pub started: SystemTime,
    /// Who shares stick tables, once the process serves.
    pub(crate) peers: std::sync::OnceLock<std::sync::Arc<crate::peers::Peers>>,
    /// Connections of the whole process.
    pub process: Gate,
    /// How many a second there may be.
    pub(crate) paces: Paces,
    /// Sessions since the start, of all frontends.
    pub sessions: AtomicU64,
    /// Session starts per second, of all frontends.
    pub rate: Rate,
    /// nginx's number of the next connection, `*1` in its log.
    pub connection_number: AtomicU64,
    /// HAProxy's variables of the process.
    pub(crate) variables: ::rules::record::Process,
    /// No new connections are taken: those that only wait for another request may go.
    pub(crate) draining: AtomicBool,
    /// Sessions that wait for a descriptor: they have theirs before anybody new is accepted.
    pub(crate) starving: AtomicU32,
    /// HAProxy in the foreground: what is logged about proxies is shown on stderr as well.
    pub(crate) foreground: AtomicBool,
    /// Requests answered without a server: `stub_status` counts them.
    pub requests: AtomicU64,
    /// Sessions of datagrams that ended because newer ones needed their room.
    pub datagram_sessions_cut: AtomicU64,
    /// Names that were looked up for clients.
    pub(crate) known: crate::resolver::Caches,
    /// What nginx's checks found out of servers.
    pub(crate) checked: crate::active_check::Memory,
    /// Sessions by thread.
    pub(crate) threads: Vec<Registry>,
    kills: AtomicU32,
    ids: AtomicU32,
    generations: AtomicUsize,
    kept_bytes: AtomicUsize,
    newest: RwLock<Option<Newest>>,
    /// Who carries out changes of what is served, once somebody does.
    pub(crate) changes: std::sync::OnceLock<crate::worker::Changes>,
}

/// What is served, and what is known of the servers' health.
type Newest = (&'static Shared, &'static Board);

impl Lasting {
    /// Of a process with this many threads, for at most this many connections.
    pub(super) fn new(threads: usize, maxconn: u32) -> Self {
        Self {
            clock: Clock::start(),
            started: SystemTime::now(),
            peers: std::sync::OnceLock::new(),
            process: Gate::new(maxconn),
            paces: Paces::default(),
            sessions: AtomicU64::new(0),
            rate: Rate::default(),
            connection_number: AtomicU64::new(1),
            variables: ::rules::record::Process::default(),
            draining: AtomicBool::new(false),
            starving: AtomicU32::new(0),
            foreground: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            datagram_sessions_cut: AtomicU64::new(0),
            known: crate::resolver::Caches::default(),
            checked: crate::active_check::Memory::default(),
            threads: (0..threads).map(|_| Registry::default()).collect(),
            kills: AtomicU32::new(0),
            ids: AtomicU32::new(0),
            generations: AtomicUsize::new(1),
            kept_bytes: AtomicUsize::new(0),
            newest: RwLock::new(None),
            changes: std::sync::OnceLock::new(),
        }
    }

    /// A number nobody else has.
    pub(super) fn next_id(&self) -> u32 {
        self.ids.fetch_add(1, Relaxed)
    }

    pub(super) fn set_newest(&self, shared: &'static Shared, board: &'static Board) {
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some((shared, board));
    }

    pub(super) fn newest(&self) -> Option<Newest> {
        *self.newest.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many configurations have been served.
    pub fn generations(&self) -> usize {
        self.generations.load(Relaxed)
    }

    /// About how many bytes the configurations before this one still take.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes.load(Relaxed)
    }

    /// Another configuration followed one that takes this many bytes.
    pub(super) fn keeps(&self, bytes: usize) {
        self.generations.fetch_add(1, Relaxed);
        self.kept_bytes.fetch_add(bytes, Relaxed);
    }

    /// Ends the sessions of a backend, or of one server of it; how many.
    pub(super) fn end_sessions(&self, backend: u32, server: Option<u32>, cause: Cause) -> usize {
        let ended = self.threads.iter().map(|one| one.kill(backend, server, cause)).sum();
        self.kills.fetch_add(1, Relaxed);
        // After the count, so that nobody who is woken misses it.
        self.threads.iter().for_each(Registry::wake_killed);
        ended
    }

    /// Ends one session, by its thread and its key; false if there is none.
    pub(crate) fn end_session(&self, thread: usize, key: u32, cause: Cause) -> bool {
        let Some(registry) = self.threads.get(thread) else { return false };
        if !registry.kill_one(key, cause) {
            return false;
        }
        self.kills.fetch_add(1, Relaxed);
        registry.wake_killed();
        true
    }

    /// Whether no new connections are taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Tells clients that may go at any time to do so.
    pub(crate) fn end_idle(&self) {
        self.end_sessions(super::IDLE, None, Cause::None);
    }

    /// How often sessions were ended from outside: a session looks for its own name only when this
    /// changed.
    pub(crate) fn kills(&self) -> u32 {
        self.kills.load(Relaxed)
    }
}
