//! The servers of one backend: their state, their connections, and who is next.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use machine::Instant;

use crate::candidates::Candidates;
use crate::config::{Affinity, Algorithm, HashKey, PoolConfig, ServerConfig};
use crate::consistent::{Load, Ring, beginning};
use crate::hash::avalanche;
use crate::least_conn::LeastConn;
use crate::map::{Map, common_divisor, hash_address};
use crate::queue::{Queue, Rank, Ticket};
use crate::random::Random;
use crate::round_robin::RoundRobin;
use crate::unordered::{draw, first};

mod follow;
mod nginx;
mod view;

use nginx::Smooth;

pub use view::{PoolView, ServerView};

/// Weights are counted in sixteenths, so that slow start has steps for a weight of 1.
const SCALE: u32 = 16;

/// A server of a pool: its position in the configuration, from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(pub usize);

/// Whether a server takes connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It does.
    Up,
    /// It came up a while ago and is still spared (`slowstart`).
    Starting {
        /// When it came up.
        since: Instant,
    },
    /// No new ones; those it has go on (drain, `disable-on-404`).
    Draining,
    /// None: a check found it down, or it is in maintenance.
    Down,
}

/// The answer of [`Pool::pick`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// This server; a slot of it is taken, and [`Pool::release`] gives it back.
    Server(ServerId),
    /// All slots are taken: wait until a [`Wake`] names the ticket, or [`Pool::abandon`] it.
    Wait(Ticket),
    /// As many connections wait as `maxqueue` allows.
    Full(ServerId),
    /// No server can be used.
    Nothing,
}

/// What became of a connection that waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// It has a slot of this server.
    Served {
        /// Who.
        ticket: Ticket,
        /// Where to.
        server: ServerId,
        /// Its place in the queue of that server when it came, from 1; 0 if it did not wait there.
        server_queue: u32,
        /// The same in the queue of the whole pool.
        pool_queue: u32,
    },
    /// The server it waited for is gone: [`pick`](Pool::pick) again.
    PickAgain {
        /// Who.
        ticket: Ticket,
    },
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: ServerConfig,
    /// `minconn` and `maxconn` as configured; those in `config` may be an operator's.
    limits: (u32, u32),
    /// The address as configured; that in `config` may be another.
    configured: Option<SocketAddr>,
    state: State,
    /// The weight in force before slow start: the configured one, or what the runtime API set.
    weight: u32,
    /// The same in sixteenths, after slow start.
    pub(crate) effective: u32,
    pub(crate) served: u32,
    max_served: u32,
    pub(crate) queue: Queue,
    step: Option<Instant>,
}

impl Server {
    /// How much of its weight is in force, in sixteenths.
    fn share(&self, now: Instant) -> u32 {
        let State::Starting { since } = self.state else { return SCALE };
        let slowstart = self.config.slowstart.as_secs_f64().max(f64::MIN_POSITIVE);
        let elapsed = (now - since).as_secs() as f64;
        // At least one.
        let share = (f64::from(SCALE) * elapsed + slowstart) / slowstart;
        (share as u32).min(SCALE)
    }

    pub(crate) fn usable(&self) -> bool {
        self.effective > 0 && matches!(self.state, State::Up | State::Starting { .. })
    }
}

#[derive(Debug)]
enum Picker {
    RoundRobin(RoundRobin),
    Map(Map),
    LeastConn(LeastConn),
    First,
    Random(u32, Random),
    Ring(Ring),
    Smooth(Smooth),
}

/// The servers of one backend.
///
/// A pool is plain data: whoever shares it between threads puts a lock around it. A pick and its
/// release, with an uncontended lock around each, take 0.04 to 0.2 µs for three servers and 0.06 to
/// 1.3 µs for a hundred, depending on the algorithm: little beside the system calls of a
/// connection.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    servers: Vec<Server>,
    picker: Picker,
    queue: Queue,
    tickets: u64,
    served: u32,
    waiting: u32,
    /// Connections per server for nginx's `least_conn`, kept so that a pick allocates nothing.
    connections: Vec<u32>,
}

impl Pool {
    /// A pool whose servers are all up, except those that are `disabled`.
    #[must_use]
    pub fn new(config: PoolConfig, servers: impl IntoIterator<Item = ServerConfig>) -> Self {
        let mut pool = Self::build(config, servers);
        pool.start();
        pool
    }

    /// Before anything is laid out.
    fn build(config: PoolConfig, servers: impl IntoIterator<Item = ServerConfig>) -> Self {
        let servers: Vec<Server> = servers
            .into_iter()
            .map(|config| Server {
                state: match (config.disabled, config.draining) {
                    (true, _) => State::Down,
                    (false, true) => State::Draining,
                    (false, false) => State::Up,
                },
                weight: config.weight,
                effective: config.weight * SCALE,
                served: 0,
                max_served: 0,
                queue: Queue::default(),
                step: None,
                limits: (config.minconn, config.maxconn),
                configured: config.address,
                config,
            })
            .collect();
        let groups = || servers.iter().map(|server| usize::from(server.config.backup));
        let picker = match config.algorithm {
            Algorithm::RoundRobin => Picker::RoundRobin(RoundRobin::new(groups())),
            Algorithm::Source | Algorithm::Hash if config.hash.consistent => {
                Picker::Ring(Ring::default())
            }
            Algorithm::StaticRoundRobin | Algorithm::Source | Algorithm::Hash => {
                Picker::Map(Map::default())
            }
            Algorithm::LeastConn => Picker::LeastConn(LeastConn::new(groups())),
            Algorithm::First => Picker::First,
            Algorithm::Random { draws } => Picker::Random(draws.max(1), Random::new(config.seed)),
            Algorithm::SmoothRoundRobin
            | Algorithm::SmoothLeastConn
            | Algorithm::SmoothLeastTime { .. }
            | Algorithm::SmoothHash { .. }
            | Algorithm::SmoothRandom { .. } => {
                let configs: Vec<&ServerConfig> = servers.iter().map(|s| &s.config).collect();
                Picker::Smooth(Smooth::new(&config, &configs))
            }
        };
        let connections = servers.iter().map(|_| 0).collect();
        let queue = Queue::default();
        Self { config, servers, picker, queue, tickets: 0, served: 0, waiting: 0, connections }
    }

    fn start(&mut self) {
        let weights = self.servers.iter().map(|s| if s.usable() { s.effective } else { 0 });
        match &mut self.picker {
            Picker::RoundRobin(round_robin) => round_robin.start(weights),
            Picker::LeastConn(least) => {
                for (index, weight) in weights.enumerate() {
                    let server = &self.servers[index];
                    least.update(index as u32, server.served + server.queue.len(), weight);
                }
            }
            Picker::Map(_) => self.lay_out_map(),
            Picker::Ring(_) => self.lay_out_ring(),
            Picker::First | Picker::Random(..) | Picker::Smooth(_) => {}
        }
    }

    /// How many servers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there is no server at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// A server for a new connection, or for one that tries again.
    ///
    /// Takes a slot of the server it names, or a place in a queue.
    pub fn pick(&mut self, now: Instant, candidates: &mut Candidates) -> Choice {
        let rank = candidates.rank(now);
        if self.config.algorithm.is_smooth() {
            return self.pick_smooth(now, candidates);
        }
        if let Some(server) = candidates.prefer.take()
            && (self.servers[server.0].usable()
                || candidates.forced
                || candidates.demanded && self.servers[server.0].state != State::Down)
        {
            return self.take_or_wait(now, rank, server);
        }
        let Some(group) = self.group() else { return Choice::Nothing };
        let avoid = candidates.avoid.map(|server| server.0 as u32);
        if group == 1
            && !self.config.all_backups
            && let Some(first) = self.first_backup()
        {
            return self.take_or_wait(now, rank, first);
        }
        let Self { servers, picker, config, .. } = self;
        let beyond = self.served + self.waiting;
        let fullconn = config.fullconn;
        let free = |server: u32| {
            let server = &servers[server as usize];
            server.queue.len() == 0 && server.served < limit(server, beyond, fullconn, now)
        };
        let found = match picker {
            Picker::RoundRobin(round_robin) => round_robin.next(group, avoid, free),
            // A hash names one server, and who does not fit waits for it. Nothing to hash: in turn.
            Picker::Map(map) => match hash_of(config, candidates).and_then(|hash| map.at(hash)) {
                Some(server) => return self.take_or_wait(now, rank, ServerId(server as usize)),
                None => map.next(avoid, free),
            },
            Picker::Ring(ring) => match hash_of(config, candidates) {
                Some(hash) => {
                    let room = |server: &Server| has_room(server, config, beyond, now);
                    let served = self.served;
                    match nearest(ring, group, hash, avoid, servers, config, served, room) {
                        Some(server) => {
                            return self.take_or_wait(now, rank, ServerId(server as usize));
                        }
                        None => None,
                    }
                }
                None => ring.next(group, avoid, free),
            },
            Picker::LeastConn(least) => least.next(group, avoid, |index| {
                let server = &servers[index as usize];
                let most =
                    limit(server, beyond, fullconn, now).saturating_add(server.config.maxqueue);
                server.served + server.queue.len() < most
            }),
            Picker::First => first(servers, group, avoid, free),
            Picker::Random(draws, random) => draw(servers, group, *draws, random, avoid, free),
            Picker::Smooth(_) => None,
        };
        match found {
            Some(server) => self.take_or_wait(now, rank, ServerId(server as usize)),
            None => {
                let ticket = self.ticket();
                self.queue.push(rank, ticket);
                Choice::Wait(ticket)
            }
        }
    }

    /// The group new connections go to: 0 the active servers, 1 the backups.
    fn group(&self) -> Option<usize> {
        let mut backup = None;
        for server in self.servers.iter().filter(|server| server.usable()) {
            if !server.config.backup {
                return Some(0);
            }
            backup = Some(1);
        }
        backup
    }

    fn first_backup(&self) -> Option<ServerId> {
        self.servers.iter().position(|server| server.config.backup && server.usable()).map(ServerId)
    }

    fn take_or_wait(&mut self, now: Instant, rank: Rank, id: ServerId) -> Choice {
        let beyond = self.served + self.waiting;
        let server = &mut self.servers[id.0];
        let limit = limit(server, beyond, self.config.fullconn, now);
        if server.queue.len() == 0 && server.served < limit {
            self.take(id);
            return Choice::Server(id);
        }
        let maxqueue = server.config.maxqueue;
        if maxqueue > 0 && server.queue.len() >= maxqueue {
            return Choice::Full(id);
        }
        let ticket = self.ticket();
        self.servers[id.0].queue.push(rank, ticket);
        self.load_changed(id);
        Choice::Wait(ticket)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.waiting += 1;
        Ticket(self.tickets)
    }

    fn take(&mut self, id: ServerId) {
        let server = &mut self.servers[id.0];
        server.served += 1;
        server.max_served = server.max_served.max(server.served);
        self.connections[id.0] = server.served;
        self.served += 1;
        self.load_changed(id);
    }

    fn load_changed(&mut self, id: ServerId) {
        if let Picker::LeastConn(least) = &mut self.picker {
            let server = &self.servers[id.0];
            let weight = if server.usable() { server.effective } else { 0 };
            least.update(id.0 as u32, server.served + server.queue.len(), weight);
        }
    }

    /// A connection of `server` ended, or the connect failed: its slot is free, and may go to
    /// whoever waits.
    pub fn release(&mut self, now: Instant, id: ServerId, wakes: &mut Vec<Wake>) {
        let server = &mut self.servers[id.0];
        server.served = server.served.saturating_sub(1);
        self.connections[id.0] = server.served;
        self.served = self.served.saturating_sub(1);
        self.load_changed(id);
        if self.waiting == 0 {
            return;
        }
        if self.config.algorithm.is_smooth() {
            self.wake_smooth(1, wakes);
        } else {
            self.serve_waiting(now, id, wakes);
        }
    }

    /// Hands free slots of one server to those who wait, by their priority and then the longest
    /// waiting first.
    fn serve_waiting(&mut self, now: Instant, id: ServerId, wakes: &mut Vec<Wake>) {
        loop {
            let beyond = self.served + self.waiting;
            let server = &mut self.servers[id.0];
            if server.served >= limit(server, beyond, self.config.fullconn, now) {
                return;
            }
            let own = server.queue.first();
            // Those who wait for any server do not go to a backup while an active one is up, nor
            // to a server that takes no new connections.
            let any = if server.usable() && (!server.config.backup || self.group() == Some(1)) {
                self.queue.first()
            } else {
                None
            };
            let (ticket, server_queue, pool_queue) = match (own, any) {
                (None, None) => return,
                (Some(own), any) if any.is_none_or(|any| own < any) => {
                    let Some((ticket, place)) = self.servers[id.0].queue.pop() else { return };
                    (ticket, place, 0)
                }
                _ => {
                    let Some((ticket, place)) = self.queue.pop() else { return };
                    (ticket, 0, place)
                }
            };
            self.waiting -= 1;
            self.take(id);
            wakes.push(Wake::Served { ticket, server: id, server_queue, pool_queue });
        }
    }

    /// A connection that waits gives up (its client left, or `timeout queue` passed); its places in
    /// the queue of a server and of the pool, both 0 if it does not wait any more.
    pub fn abandon(&mut self, ticket: Ticket) -> (u32, u32) {
        if let Some(place) = self.queue.remove(ticket) {
            self.waiting -= 1;
            return (0, place);
        }
        for index in 0..self.servers.len() {
            if let Some(place) = self.servers[index].queue.remove(ticket) {
                self.waiting -= 1;
                self.load_changed(ServerId(index));
                return (place, 0);
            }
        }
        (0, 0)
    }

    /// Changes whether a server takes connections; those who waited for it pick again, those who
    /// wait for any may get its slots.
    ///
    /// [`State::Up`] with a `slowstart` becomes [`State::Starting`] when the server was down.
    pub fn set_state(&mut self, now: Instant, id: ServerId, state: State, wakes: &mut Vec<Wake>) {
        let slow = !self.config.is_static() && !self.config.algorithm.is_smooth();
        let server = &mut self.servers[id.0];
        let slowstart = server.config.slowstart;
        let was_usable = matches!(server.state, State::Up | State::Starting { .. });
        let was_down = server.state == State::Down;
        if !(was_usable && state == State::Up) {
            server.step = None;
        }
        server.state = match state {
            State::Up if was_down && slow && !slowstart.is_zero() => {
                server.step = Some(now + pace(slowstart));
                State::Starting { since: now }
            }
            State::Up if was_usable => server.state,
            state => state,
        };
        if was_down
            && state == State::Up
            && let Picker::Smooth(smooth) = &mut self.picker
        {
            smooth.came_up(id, now);
        }
        let server = &mut self.servers[id.0];
        if state == State::Down {
            while let Some((ticket, _)) = server.queue.pop() {
                self.waiting -= 1;
                wakes.push(Wake::PickAgain { ticket });
            }
        }
        self.weight_changed(now, id);
        self.after_change(now, wakes);
    }

    /// Sets a server's weight, 0 to 256; static algorithms know none but 0 and the configured one,
    /// others have no effect there.
    pub fn set_weight(&mut self, now: Instant, id: ServerId, weight: u32, wakes: &mut Vec<Wake>) {
        let configured = self.servers[id.0].config.weight;
        if self.config.is_static() && weight != 0 && weight != configured {
            return;
        }
        self.servers[id.0].weight = weight;
        if let Picker::Smooth(smooth) = &mut self.picker {
            smooth.set_weight(id, weight);
        }
        self.weight_changed(now, id);
        self.after_change(now, wakes);
    }

    /// A server is somewhere else from now on; with `hash-key` its places for hashes may change.
    pub fn set_address(&mut self, id: ServerId, address: Option<SocketAddr>) {
        let config = &mut self.servers[id.0].config;
        if config.hash_key != HashKey::Id && config.address != address {
            config.address = address;
            self.lay_out_ring();
        }
    }

    /// The highest numbers there were are those of now.
    pub fn forget_peaks(&mut self) {
        self.queue.max = self.queue.len();
        for server in &mut self.servers {
            server.max_served = server.served;
            server.queue.max = server.queue.len();
        }
    }

    /// Sets how many connections a server may have at a time, 0 for no limit; who waits may get the
    /// new slots.
    pub fn set_maxconn(&mut self, now: Instant, id: ServerId, maxconn: u32, wakes: &mut Vec<Wake>) {
        let config = &mut self.servers[id.0].config;
        config.minconn = if config.minconn == config.maxconn || config.minconn > maxconn {
            maxconn
        } else {
            config.minconn
        };
        config.maxconn = maxconn;
        self.after_change(now, wakes);
    }

    fn weight_changed(&mut self, now: Instant, id: ServerId) {
        let server = &mut self.servers[id.0];
        server.effective = server.weight * server.share(now);
        let weight = if server.usable() { server.effective } else { 0 };
        match &mut self.picker {
            Picker::RoundRobin(round_robin) => round_robin.set_weight(id.0 as u32, weight),
            Picker::LeastConn(_) => self.load_changed(id),
            Picker::Map(_) => self.lay_out_map(),
            Picker::Ring(_) => self.lay_out_ring(),
            Picker::First | Picker::Random(..) | Picker::Smooth(_) => {}
        }
    }

    /// The map holds the group that is in use.
    fn lay_out_map(&mut self) {
        let divisor = common_divisor(self.servers.iter().map(|server| server.weight));
        let group = self.group().unwrap_or(0);
        let weights: Vec<(u32, u32)> = self
            .servers
            .iter()
            .enumerate()
            .filter(|(_, server)| server.usable() && usize::from(server.config.backup) == group)
            .map(|(index, server)| (index as u32, server.weight / divisor))
            .collect();
        if let Picker::Map(map) = &mut self.picker {
            map.lay_out(&weights);
        }
    }

    /// Each group's places on the circle.
    fn lay_out_ring(&mut self) {
        let Picker::Ring(ring) = &mut self.picker else { return };
        let usable = self.servers.iter().enumerate().filter(|(_, server)| server.usable());
        ring.lay_out(usable.map(|(index, server)| {
            let group = usize::from(server.config.backup);
            (group, beginning(&server.config), index as u32, server.effective)
        }));
    }

    /// Who waits for any server is served by whoever became usable, or told that nobody is left.
    fn after_change(&mut self, now: Instant, wakes: &mut Vec<Wake>) {
        if self.waiting == 0 {
            return;
        }
        if self.config.algorithm.is_smooth() {
            return self.wake_smooth(usize::MAX, wakes);
        }
        for index in 0..self.servers.len() {
            self.serve_waiting(now, ServerId(index), wakes);
        }
        if self.group().is_none() {
            while let Some((ticket, _)) = self.queue.pop() {
                self.waiting -= 1;
                wakes.push(Wake::PickAgain { ticket });
            }
        }
    }

    /// When [`tick`](Self::tick) is next due: a server in slow start gets its next share.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.servers.iter().filter_map(|server| server.step).min()
    }

    /// Raises the weight of servers in slow start; returns those that have their full weight now.
    pub fn tick(&mut self, now: Instant, wakes: &mut Vec<Wake>) -> Vec<ServerId> {
        let mut finished = Vec::new();
        for index in 0..self.servers.len() {
            let server = &mut self.servers[index];
            let (Some(step), State::Starting { since }) = (server.step, server.state) else {
                continue;
            };
            if now < step {
                continue;
            }
            if now - since >= server.config.slowstart {
                server.state = State::Up;
                server.step = None;
                finished.push(ServerId(index));
            } else {
                let end = since + server.config.slowstart;
                server.step = Some((now + pace(server.config.slowstart)).min(end));
            }
            self.weight_changed(now, ServerId(index));
        }
        self.after_change(now, wakes);
        finished
    }

    /// Whether a redispatch can go elsewhere at once: a round robin of any kind with more than one
    /// active server.
    #[must_use]
    pub fn has_others(&self) -> bool {
        let algorithm = self.config.algorithm;
        let in_turn = !algorithm.is_hash() && algorithm != Algorithm::First;
        let usable = |server: &&Server| server.usable() && !server.config.backup;
        in_turn && self.servers.iter().filter(usable).nth(1).is_some()
    }
}

/// What a connection is hashed to, if the algorithm hashes and there is something to hash.
fn hash_of(config: &PoolConfig, candidates: &Candidates) -> Option<u32> {
    let hash = match config.algorithm {
        // HAProxy leaves addresses out of `hash-type`'s function.
        Algorithm::Source => hash_address(candidates.source?),
        Algorithm::Hash if !candidates.key.is_empty() => config.hash.function.of(&candidates.key),
        _ => return None,
    };
    Some(if config.hash.avalanche { avalanche(hash) } else { hash })
}

#[expect(clippy::too_many_arguments, reason = "the parts of a pool, of which one is borrowed")]
/// The server a hash falls on, with `hash-balance-factor` the next that is not loaded too much.
fn nearest(
    ring: &Ring,
    group: usize,
    hash: u32,
    avoid: Option<u32>,
    servers: &[Server],
    config: &PoolConfig,
    served: u32,
    room: impl Fn(&Server) -> bool,
) -> Option<u32> {
    let factor = config.hash.balance_factor;
    if factor == 0 {
        return ring.nearest(group, hash, avoid, |index| room(&servers[index as usize]));
    }
    let in_group = |server: &&Server| server.usable() && usize::from(server.config.backup) == group;
    let total = servers.iter().filter(in_group).map(|server| server.effective).sum();
    let load = Load { served, factor, total };
    ring.nearest(group, hash, avoid, |index| {
        let before = servers[..index as usize].iter().filter(in_group);
        let before = before.map(|server| server.effective).sum();
        let server = &servers[index as usize];
        load.allows(server.served, server.effective, before) && room(server)
    })
}

/// Whether a key may go to its server, by `hash-preserve-affinity`.
fn has_room(server: &Server, config: &PoolConfig, beyond: u32, now: Instant) -> bool {
    let full = || server.served >= limit(server, beyond, config.fullconn, now);
    match config.hash.affinity {
        Affinity::Always => true,
        Affinity::Maxconn => !full(),
        Affinity::Maxqueue => {
            let most = server.config.maxqueue;
            most == 0 || server.queue.len() < most || !full()
        }
    }
}

/// Time between two steps of a slow start.
fn pace(slowstart: Duration) -> Duration {
    (slowstart / 20).max(Duration::from_secs(1)).min(slowstart.max(Duration::from_millis(1)))
}

/// Connections a server may have right now: `maxconn`, lowered by `minconn` while the pool has less
/// than `fullconn` connections, and in proportion while it starts slowly.
fn limit(server: &Server, pool: u32, fullconn: u32, now: Instant) -> u32 {
    let ServerConfig { maxconn, minconn, .. } = server.config;
    if maxconn == 0 {
        return u32::MAX;
    }
    let mut limit = maxconn;
    if minconn > 0 && pool < fullconn {
        let share = u64::from(maxconn) * u64::from(pool) / u64::from(fullconn);
        limit = minconn.max(share as u32);
    }
    if let State::Starting { since } = server.state {
        let slowstart = server.config.slowstart.as_millis().max(1);
        let share = u128::from(limit) * (now - since).as_millis() / slowstart;
        limit = limit.min(share as u32).max(1);
    }
    limit
}
