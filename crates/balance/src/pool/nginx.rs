//! nginx's picks over the servers of a pool.

use alloc::vec::Vec;

use machine::Instant;

use super::{Choice, Picker, Pool, Server, ServerId, State, Wake};
use crate::candidates::{Candidates, Search};
use crate::config::{Algorithm, Measure, PoolConfig, ServerConfig};
use crate::least_time;
use crate::queue::Rank;
use crate::random::Random;
use crate::smooth::{self, Peer};
use crate::smooth_hash::{self, Circle};

/// Draws until nginx takes servers in turn.
const DRAWS: u32 = 20;

/// What nginx's algorithms keep.
#[derive(Debug)]
pub(super) struct Smooth {
    method: Method,
    peers: Vec<Peer>,
    /// The servers that are no backups, and no empty slots.
    primaries: Vec<u32>,
    /// How many servers there are that are no empty slots.
    present: usize,
    /// Whether any of them has a slow start.
    fine: bool,
}

#[derive(Debug)]
enum Method {
    RoundRobin,
    LeastConn,
    LeastTime { inflight: bool },
    Hash,
    Consistent(Circle),
    Random { two: bool, random: Random },
}

impl Smooth {
    pub(super) fn new(config: &PoolConfig, servers: &[&ServerConfig]) -> Self {
        let method = match config.algorithm {
            Algorithm::SmoothLeastConn => Method::LeastConn,
            Algorithm::SmoothLeastTime { inflight, .. } => Method::LeastTime { inflight },
            Algorithm::SmoothHash { consistent: false } => Method::Hash,
            Algorithm::SmoothHash { consistent: true } => Method::Consistent(Circle::new(servers)),
            Algorithm::SmoothRandom { two } => {
                Method::Random { two, random: Random::new(config.seed) }
            }
            _ => Method::RoundRobin,
        };
        let fine = servers.iter().any(|server| !server.slowstart.is_zero());
        let peer = |server: &&ServerConfig| Peer::new(server, server.weight, fine);
        let mut smooth = Self {
            method,
            peers: servers.iter().map(peer).collect(),
            primaries: Vec::new(),
            present: 0,
            fine,
        };
        smooth.count(servers);
        smooth
    }

    /// Looks again at who is there.
    fn count(&mut self, servers: &[&ServerConfig]) {
        let present = |index: u32| servers[index as usize].weight > 0;
        let primary = |&index: &u32| present(index) && !servers[index as usize].backup;
        let all = 0..servers.len() as u32;
        self.primaries = all.clone().filter(primary).collect();
        self.present = all.filter(|&index| present(index)).count();
    }

    /// `set weight`; the places of `hash … consistent` stay.
    pub(super) fn set_weight(&mut self, id: ServerId, weight: u32) {
        self.peers[id.0].set_weight(weight);
    }

    /// It was down and is up.
    pub(super) fn came_up(&mut self, id: ServerId, now: Instant) {
        if self.present > 1 {
            self.peers[id.0].spare(now);
        }
    }

    /// What is known of failures.
    pub(super) fn follow(&mut self, id: ServerId, before: &Self, was: ServerId) {
        self.peers[id.0].follow(&before.peers[was.0]);
    }

    /// What the method says of the primaries; `None` leaves it to the round robin.
    fn by_method(
        &mut self,
        candidates: &Candidates,
        search: &mut Search,
        connections: &[u32],
        usable: &dyn Fn(&Candidates, usize, &Peer) -> bool,
        now: Instant,
    ) -> Option<usize> {
        let Self { method, peers, primaries, .. } = self;
        let key = &candidates.key;
        let few = primaries.len() < 2;
        let usable = |index: usize, peer: &Peer| usable(candidates, index, peer);
        match method {
            Method::RoundRobin => None,
            Method::LeastConn => {
                smooth::least(peers, |index, _| u64::from(connections[index]), usable)
            }
            Method::LeastTime { inflight } => {
                let (usual, inflight) = (least_time::usual(peers, now), *inflight);
                let load = |index: usize, peer: &Peer| {
                    least_time::load(&peer.pace, connections[index], usual, inflight, now)
                };
                smooth::least(peers, load, usable)
            }
            Method::Hash | Method::Consistent(_) if few || key.is_empty() => None,
            Method::Hash => smooth_hash::named(key, search, peers, primaries, usable),
            Method::Consistent(circle) => circle.named(key, search, peers, usable),
            Method::Random { .. } if few => None,
            Method::Random { two, random } => {
                let usable = |index: usize| usable(index, &peers[index]);
                drawn(*two, random, peers, primaries, connections, usable)
            }
        }
    }
}

/// A server drawn by weight, or the better of two different ones.
fn drawn(
    two: bool,
    random: &mut Random,
    peers: &[Peer],
    primaries: &[u32],
    connections: &[u32],
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let weight = |index: usize| u32::try_from(peers[index].share()).unwrap_or(u32::MAX);
    let members = || primaries.iter().map(|&index| index as usize);
    let total = members().map(weight).fold(0, u32::saturating_add);
    if total == 0 {
        return None;
    }
    let mut first: Option<usize> = None;
    for _ in 0..DRAWS {
        let mut point = random.below(total);
        let found = members().find(|&index| match point.checked_sub(weight(index)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })?;
        if first == Some(found) || !usable(found) {
            continue;
        }
        if !two {
            return Some(found);
        }
        let Some(other) = first else {
            first = Some(found);
            continue;
        };
        let load = |index: usize, by: usize| u64::from(connections[index]) * u64::from(weight(by));
        return Some(if load(other, found) < load(found, other) { other } else { found });
    }
    None
}

impl Pool {
    pub(super) fn pick_smooth(&mut self, now: Instant, candidates: &mut Candidates) -> Choice {
        let Picker::Smooth(smooth) = &mut self.picker else { return Choice::Nothing };
        let servers = &self.servers;
        let second = smooth::seconds(now);
        if smooth.fine {
            smooth.peers.iter_mut().for_each(|peer| peer.grow(now));
        }
        // A server that is alone is never left out for its failures.
        let alone = smooth.present == 1;
        let usable = |candidates: &Candidates, index: usize, peer: &Peer| {
            let server: &Server = &servers[index];
            server.config.backup == candidates.backups
                && peer.share() > 0
                && !candidates.was_tried(index)
                && matches!(server.state, State::Up | State::Starting { .. })
                && (server.config.maxconn == 0 || server.served < server.config.maxconn)
                && (alone || !peer.left_out(second))
        };
        loop {
            let mut found = None;
            let for_backups = matches!(smooth.method, Method::LeastConn | Method::LeastTime { .. });
            if !candidates.backups || for_backups {
                let mut search = candidates.search;
                found = smooth.by_method(candidates, &mut search, &self.connections, &usable, now);
                candidates.search = search;
            }
            let found = found.or_else(|| {
                smooth::round_robin(&mut smooth.peers, |index, peer| {
                    usable(candidates, index, peer)
                })
            });
            if let Some(index) = found {
                smooth.peers[index].tried(second);
                if self.config.algorithm.measure().is_some() {
                    smooth.peers[index].pace.began(now);
                }
                candidates.mark_tried(index);
                self.take(ServerId(index));
                return Choice::Server(ServerId(index));
            }
            if candidates.backups || !servers.iter().any(|server| server.config.backup) {
                let choice = self.wait_smooth();
                if matches!(choice, Choice::Wait(_)) {
                    candidates.begin_again();
                }
                return choice;
            }
            candidates.go_to_backups();
        }
    }

    /// nginx: a connect to `server` failed; true if it is left out from now on (`upstream server
    /// temporarily disabled`). [`release`](Self::release) it as well.
    pub fn failed(&mut self, now: Instant, id: ServerId) -> bool {
        match &mut self.picker {
            Picker::Smooth(smooth) if smooth.present == 1 => {
                smooth.peers[id.0].forgive();
                false
            }
            Picker::Smooth(smooth) => smooth.peers[id.0].failed(smooth::seconds(now)),
            _ => false,
        }
    }

    /// nginx: a slot gets a server that a name server told of, with this weight, or is emptied with
    /// the weight 0. Nothing is known of a new server's failures; whoever is connected stays.
    ///
    /// Only pools of nginx's algorithms have slots; of others it is
    /// [`set_weight`](Self::set_weight) alone.
    pub fn fill(&mut self, now: Instant, id: ServerId, weight: u32, backup: bool) {
        if !self.config.algorithm.is_smooth() {
            let mut wakes = Vec::new();
            return self.set_weight(now, id, weight, &mut wakes);
        }
        let server = &mut self.servers[id.0];
        (server.config.weight, server.config.backup) = (weight, backup);
        server.weight = weight;
        self.weight_changed(now, id);
        let Self { servers, picker: Picker::Smooth(smooth), .. } = self else { return };
        let configs: Vec<&ServerConfig> = servers.iter().map(|server| &server.config).collect();
        smooth.peers[id.0] = Peer::new(configs[id.0], weight, smooth.fine);
        smooth.count(&configs);
        if let Method::Consistent(circle) = &mut smooth.method {
            *circle = Circle::new(&configs);
        }
    }

    /// Whether a server is left out for now, after `max_fails` failures.
    #[must_use]
    pub fn is_left_out(&self, now: Instant, id: ServerId) -> bool {
        match &self.picker {
            Picker::Smooth(smooth) if smooth.present > 1 => {
                smooth.peers[id.0].left_out(smooth::seconds(now))
            }
            _ => false,
        }
    }

    /// How many servers there are that are no empty slots: with nginx's algorithms, slots whose
    /// weight is 0 hold nobody.
    #[must_use]
    pub fn present(&self) -> usize {
        match &self.picker {
            Picker::Smooth(smooth) => smooth.present,
            _ => self.servers.len(),
        }
    }

    /// nginx: a connection to `server` is established.
    pub fn succeeded(&mut self, now: Instant, id: ServerId) {
        if let Picker::Smooth(smooth) = &mut self.picker {
            smooth.peers[id.0].succeeded(now);
        }
    }

    /// What `least_time` measures; `None` with other methods, where nothing has to be
    /// [`measured`](Self::measured).
    #[must_use]
    pub const fn measure(&self) -> Option<Measure> {
        self.config.algorithm.measure()
    }

    /// nginx's `least_time`: what was to be measured of a connection that `server` was picked for
    /// at `began` has happened, or will not happen any more (`known` is false). Once for each pick.
    pub fn measured(&mut self, id: ServerId, began: Instant, now: Instant, known: bool) {
        if let Picker::Smooth(smooth) = &mut self.picker {
            smooth.peers[id.0].pace.ended(began, now, known);
        }
    }

    /// Nobody can be picked: who came may wait where `queue` has room.
    fn wait_smooth(&mut self) -> Choice {
        if self.waiting >= self.config.waiting {
            return Choice::Nothing;
        }
        let ticket = self.ticket();
        self.queue.push(Rank::default(), ticket);
        Choice::Wait(ticket)
    }

    /// nginx's `queue`: so many as there may be slots for pick again, the longest waiting first.
    pub(super) fn wake_smooth(&mut self, slots: usize, wakes: &mut Vec<Wake>) {
        for _ in 0..slots {
            let Some((ticket, _)) = self.queue.pop() else { return };
            self.waiting -= 1;
            wakes.push(Wake::PickAgain { ticket });
        }
    }
}
