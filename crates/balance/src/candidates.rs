//! What one connection has tried, and what it may try next.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::Instant;

use crate::pool::ServerId;
use crate::queue::Rank;

/// One connection's search for a server.
///
/// [`Pool::pick`](crate::Pool::pick) reads it; what failed is noted here.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    pub(crate) source: Option<IpAddr>,
    pub(crate) prefer: Option<ServerId>,
    /// Whether the preferred one may be drained.
    pub(crate) demanded: bool,
    /// Whether it may even be down.
    pub(crate) forced: bool,
    pub(crate) avoid: Option<ServerId>,
    /// Its class, and by how much it came later than it did.
    priority: (i16, i32),
    /// nginx: every server is tried once, first the primaries, then the backups.
    tried: Vec<u64>,
    pub(crate) backups: bool,
    /// What is hashed, and how far nginx's search has come with it.
    pub(crate) key: Vec<u8>,
    pub(crate) search: Search,
}

/// nginx's search for a server by a key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Search {
    /// The running sum of `hash`, the point of `hash … consistent`.
    pub(crate) at: u32,
    /// How often the key was hashed.
    pub(crate) rehash: u32,
    /// Servers that could not be used.
    pub(crate) misses: u32,
    /// Whether `at` is set.
    pub(crate) begun: bool,
}

impl Candidates {
    /// A connection from `source`, which [`Algorithm::Source`](crate::Algorithm::Source) balances
    /// by; `None` for clients without an address.
    #[must_use]
    pub const fn new(source: Option<IpAddr>) -> Self {
        Self {
            source,
            prefer: None,
            demanded: false,
            forced: false,
            avoid: None,
            priority: (0, 0),
            tried: Vec::new(),
            backups: false,
            key: Vec::new(),
            search: Search { at: 0, rehash: 0, misses: 0, begun: false },
        }
    }

    /// What [`Algorithm::Hash`](crate::Algorithm::Hash) and
    /// [`Algorithm::SmoothHash`](crate::Algorithm::SmoothHash) go by. Without a key, or with an
    /// empty one, servers are taken in turn.
    pub fn set_key(&mut self, key: impl Into<Vec<u8>>) {
        self.key = key.into();
    }

    /// Who waits is served by class, the lowest first, and within one as if it had come so many
    /// milliseconds later, or earlier: HAProxy's `set-priority-class` (-2047 to 2047) and
    /// `set-priority-offset` (-524287 to 524287).
    pub const fn set_priority(&mut self, class: i16, offset: i32) {
        self.priority = (class, offset);
    }

    /// Its place among those who wait.
    pub(crate) fn rank(&self, now: Instant) -> Rank {
        let (class, offset) = self.priority;
        let at = i64::try_from(now.since_zero().as_millis()).unwrap_or(i64::MAX);
        Rank { class, at: at.saturating_add(offset.into()) }
    }

    /// The next pick is this server if it can be used at all: a retry without redispatch.
    pub fn insist(&mut self, server: ServerId) {
        self.prefer = Some(server);
        self.demanded = false;
        self.forced = false;
        self.avoid = None;
    }

    /// The next pick is this server if it is not down, even one that is drained or has no weight:
    /// persistence, or a rule that names it.
    pub fn demand(&mut self, server: ServerId) {
        self.insist(server);
        self.demanded = true;
    }

    /// The next pick is this server, even one that is down: `option persist`.
    pub fn force(&mut self, server: ServerId) {
        self.insist(server);
        self.forced = true;
    }

    /// The server that is asked for, by whatever is not the algorithm.
    #[must_use]
    pub const fn wanted(&self) -> Option<ServerId> {
        self.prefer
    }

    /// The next pick is another server than this one, if there is another: a redispatch.
    pub fn avoid(&mut self, server: ServerId) {
        self.prefer = None;
        self.avoid = Some(server);
    }

    /// The same search in a pool where servers have other positions; a server that is not there is
    /// neither avoided nor asked for. What is asked for here is asked for once, there.
    #[must_use]
    pub fn renumbered(&mut self, position: impl Fn(ServerId) -> Option<ServerId>) -> Self {
        Self {
            prefer: self.prefer.take().and_then(&position),
            avoid: self.avoid.and_then(&position),
            tried: Vec::new(),
            ..self.clone()
        }
    }

    pub(crate) fn was_tried(&self, server: usize) -> bool {
        self.tried.get(server / 64).is_some_and(|word| word & (1 << (server % 64)) != 0)
    }

    pub(crate) fn mark_tried(&mut self, server: usize) {
        let word = server / 64;
        if self.tried.len() <= word {
            self.tried.resize(word + 1, 0);
        }
        self.tried[word] |= 1 << (server % 64);
    }

    /// Who waited looks at all servers again.
    pub(crate) fn begin_again(&mut self) {
        self.backups = false;
        self.tried.clear();
        self.search = Search::default();
    }

    pub(crate) fn go_to_backups(&mut self) {
        self.backups = true;
        self.tried.clear();
    }
}

/// How often a connect that failed is repeated: `retries` and `option redispatch`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// `retries`: attempts after the first, 3 when not written.
    pub left: u32,
    /// All of them, to tell which one is next.
    pub total: u32,
    /// `option redispatch [<interval>]`: on every so many retries, negative counted from the last;
    /// -1 when written without a number; `None` without the option.
    pub redispatch: Option<i32>,
    /// `timeout connect`.
    pub timeout: Option<Duration>,
}

/// What to do after a connect that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// Try the same server after this time.
    Same(Duration),
    /// Try another server after this time (zero when there is another to go to).
    Other(Duration),
    /// The client is closed.
    GiveUp,
}

impl Retries {
    /// `retries` attempts after the first one.
    #[must_use]
    pub const fn new(retries: u32, redispatch: Option<i32>, timeout: Option<Duration>) -> Self {
        Self { left: retries, total: retries, redispatch, timeout }
    }

    /// A connect failed: was refused, or `timed_out`. `others` says whether the algorithm would
    /// offer another server: it is a round robin of any kind and has more than one active server.
    ///
    /// HAProxy waits 1 s (`timeout connect` if that is less) before the server that refused is
    /// asked again, and not at all when another server is asked or when the time is spent already.
    pub fn failed(&mut self, timed_out: bool, others: bool) -> Again {
        if self.left == 0 {
            return Again::GiveUp;
        }
        self.left -= 1;
        let second = Duration::from_secs(1);
        let pause = if timed_out {
            Duration::ZERO
        } else {
            self.timeout.map_or(second, |timeout| timeout.min(second))
        };
        match self.redispatch {
            Some(_) if others => Again::Other(Duration::ZERO),
            Some(interval) if self.redispatches(interval) => Again::Other(Duration::ZERO),
            _ => Again::Same(pause),
        }
    }

    /// Whether the retry that was just taken goes to another server.
    fn redispatches(&self, interval: i32) -> bool {
        let (left, total) = (i64::from(self.left), i64::from(self.total));
        match i64::from(interval) {
            0 => false,
            every @ 1.. => (total - left) % every == 0,
            from_last => left % (total + 1 + from_last).max(1) == 0,
        }
    }
}
