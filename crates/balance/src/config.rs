//! What a pool and its servers are told: the typed form of `balance`, `server … weight …` and of
//! nginx's `upstream`.

use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;

use crate::hash::HashFunction;

/// How a server is picked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Algorithm {
    /// `balance roundrobin`: HAProxy's weighted round robin; weights may change at any time.
    #[default]
    RoundRobin,
    /// `balance static-rr`: HAProxy's round robin over a fixed map; weights cannot change.
    StaticRoundRobin,
    /// `balance leastconn`: fewest connections per weight, round robin among equals.
    LeastConn,
    /// `balance first`: the lowest id that has a free slot.
    First,
    /// `balance source`: the client's address decides, by [`PoolConfig::hash`].
    Source,
    /// `balance hash`: the [key](crate::Candidates::set_key) decides, by [`PoolConfig::hash`].
    Hash,
    /// `balance random(<draws>)`: the least loaded of so many servers drawn by weight.
    Random {
        /// How many are drawn; 2 when not written; at least 1.
        draws: u32,
    },
    /// nginx's round robin (no directive): smooth weighted round robin with effective weights.
    SmoothRoundRobin,
    /// nginx's `least_conn`: fewest connections per weight, smooth round robin among equals.
    SmoothLeastConn,
    /// nginx's `least_time`, since 1.31.0: the shortest time for the connections it has, and
    /// its weight; smooth round robin among equals.
    SmoothLeastTime {
        /// Which time.
        measure: Measure,
        /// `inflight`: connections whose time is not known yet count as long as they last.
        inflight: bool,
    },
    /// nginx's `hash <key>`: the [key](crate::Candidates::set_key) decides; other servers follow
    /// when that one cannot be used.
    SmoothHash {
        /// `consistent`: few keys move when servers come and go.
        consistent: bool,
    },
    /// nginx's `random`: by weight.
    SmoothRandom {
        /// `two`: the one of two with fewer connections per weight.
        two: bool,
    },
}

impl Algorithm {
    /// The name HAProxy prints for it in `show stat`; nginx's own algorithms go by their directive.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::StaticRoundRobin => "static-rr",
            Self::LeastConn => "leastconn",
            Self::First => "first",
            Self::Source => "source",
            Self::Hash => "hash",
            Self::Random { .. } => "random",
            Self::SmoothRoundRobin => "round_robin",
            Self::SmoothLeastConn => "least_conn",
            Self::SmoothLeastTime { .. } => "least_time",
            Self::SmoothHash { .. } => "hash",
            Self::SmoothRandom { .. } => "random",
        }
    }

    /// Whether a key decides, and not whose turn it is.
    #[must_use]
    pub const fn is_hash(self) -> bool {
        matches!(self, Self::Source | Self::Hash | Self::SmoothHash { .. })
    }

    /// Whether it is one of nginx's: backups form one group, and each connection tries a server
    /// once.
    #[must_use]
    pub const fn is_smooth(self) -> bool {
        matches!(
            self,
            Self::SmoothRoundRobin
                | Self::SmoothLeastConn
                | Self::SmoothLeastTime { .. }
                | Self::SmoothHash { .. }
                | Self::SmoothRandom { .. }
        )
    }
}

impl Algorithm {
    /// What is measured of each connection, if anything is.
    #[must_use]
    pub const fn measure(self) -> Option<Measure> {
        match self {
            Self::SmoothLeastTime { measure, .. } => Some(measure),
            _ => None,
        }
    }
}

/// The time `least_time` goes by, from the pick on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    /// Until the connection is established.
    Connect,
    /// Until its first byte comes.
    FirstByte,
    /// Until it ends.
    LastByte,
}

/// What holds for all servers of a pool.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PoolConfig {
    /// How a server is picked.
    pub algorithm: Algorithm,
    /// `hash-type` and `hash-balance-factor`, for [`Algorithm::Source`] and [`Algorithm::Hash`].
    pub hash: HashType,
    /// `option allbackups`: all backups share the load, not only the first one that is up.
    pub all_backups: bool,
    /// `fullconn`: connections of the whole pool at which a server with `minconn` is given its full
    /// `maxconn`; 0 for always.
    pub fullconn: u32,
    /// nginx's `queue`: how many may wait when no server can be picked; 0 for nobody. Only with
    /// nginx's algorithms.
    pub waiting: u32,
    /// Seed of the draws of [`Algorithm::Random`] and [`Algorithm::SmoothRandom`].
    pub seed: u64,
}

impl PoolConfig {
    /// Whether weights follow the configuration only (`set weight` refuses, slow start is ignored).
    #[must_use]
    pub const fn is_static(&self) -> bool {
        match self.algorithm {
            Algorithm::StaticRoundRobin => true,
            Algorithm::Source | Algorithm::Hash => !self.hash.consistent,
            _ => false,
        }
    }
}

/// HAProxy's `hash-type` and `hash-balance-factor`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HashType {
    /// `consistent`; otherwise `map-based`, where every change of a server moves most keys.
    pub consistent: bool,
    /// What a key is put through. `balance source` uses none, whatever this says.
    pub function: HashFunction,
    /// `avalanche`: the result is mixed once more.
    pub avalanche: bool,
    /// `hash-balance-factor`: a server has at most so many per cent of the mean load, counted by
    /// weight; above 100, 0 for no such limit. Only with [`consistent`](Self::consistent).
    pub balance_factor: u32,
    /// `hash-preserve-affinity`: when a key goes to the next server instead of waiting for its own.
    /// Only with [`consistent`](Self::consistent).
    pub affinity: Affinity,
}

/// HAProxy's `hash-preserve-affinity`, since 3.2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Affinity {
    /// `always`: a key waits for its server.
    #[default]
    Always,
    /// `maxconn`: a server that has as many connections as it may have is passed over.
    Maxconn,
    /// `maxqueue`: one is passed over for which besides as many wait as may wait.
    Maxqueue,
}

/// HAProxy's `hash-key`, since 3.0: what gives a server its places with `hash-type consistent`.
///
/// With an address all who know the server by it agree, whatever the order of their files. A server
/// without one has the places of its id.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HashKey {
    /// `id`: its number.
    #[default]
    Id,
    /// `addr`: its IP address.
    Addr,
    /// `addr-port`: its IP address and its port.
    AddrPort,
}

/// What holds for one server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerConfig {
    /// `weight`: HAProxy 0 to 256, nginx 1 and more. 0 takes no new connections.
    pub weight: u32,
    /// `id`, else the position in the backend counted from 1: the order of `balance first`.
    pub id: u32,
    /// `hash-key`: what its places for hashes come from.
    pub hash_key: HashKey,
    /// Where it is, if [`hash_key`](Self::hash_key) asks for that.
    pub address: Option<SocketAddr>,
    /// `maxconn` or `max_conns`: connections at a time; 0 for no limit.
    pub maxconn: u32,
    /// `minconn`: the limit while the pool is idle; 0 for always `maxconn`.
    pub minconn: u32,
    /// `maxqueue`: how many may wait for this server; 0 for no limit.
    pub maxqueue: u32,
    /// `backup`: used when no other server can be.
    pub backup: bool,
    /// `slowstart`: how long a server that came back is spared; zero for not at all.
    pub slowstart: Duration,
    /// `max_fails` and `fail_timeout` of nginx.
    pub passive: Option<Passive>,
    /// `disabled` or nginx's `down`: it starts in maintenance.
    pub disabled: bool,
    /// nginx's `drain`: it starts without taking new connections.
    pub draining: bool,
    /// The text of nginx's `server` directive, from which `hash … consistent` takes its places.
    pub text: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            weight: 1,
            id: 0,
            hash_key: HashKey::Id,
            address: None,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            backup: false,
            slowstart: Duration::ZERO,
            passive: None,
            disabled: false,
            draining: false,
            text: String::new(),
        }
    }
}

/// When nginx's balancer leaves out a server that refused connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passive {
    /// `max_fails`, 1: failures until it is left out; 0 never leaves it out.
    pub max_fails: u32,
    /// `fail_timeout`, 10 s, in whole seconds: how long it is left out.
    pub fail_timeout: Duration,
}

impl Default for Passive {
    fn default() -> Self {
        Self { max_fails: 1, fail_timeout: Duration::from_secs(10) }
    }
}
