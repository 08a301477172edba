//! nginx's picks: smooth weighted round robin and `least_conn`, with passive failures.

use core::cmp::Ordering;

use machine::Instant;

use crate::config::Passive;

/// What nginx keeps about one server.
#[derive(Debug)]
pub(crate) struct Peer {
    weight: i64,
    effective: i64,
    current: i64,
    passive: Passive,
    fails: u32,
    /// Second of the last failure, and of the last failure or trial.
    accessed: u64,
    checked: u64,
}

impl Peer {
    pub(crate) fn new(weight: u32, passive: Passive) -> Self {
        let weight = i64::from(weight);
        Self { weight, effective: weight, current: 0, passive, fails: 0, accessed: 0, checked: 0 }
    }

    pub(crate) fn set_weight(&mut self, weight: u32) {
        self.weight = i64::from(weight);
        self.effective = self.weight;
    }

    /// What failed before it was configured anew is not forgotten.
    pub(crate) fn follow(&mut self, before: &Self) {
        self.fails = before.fails;
        self.accessed = before.accessed;
        self.checked = before.checked;
    }

    /// Its share as configured or as set since.
    pub(crate) const fn weight(&self) -> i64 {
        self.weight
    }

    /// Left out for now, after `max_fails` failures.
    pub(crate) fn left_out(&self, now: u64) -> bool {
        self.passive.max_fails > 0
            && self.fails >= self.passive.max_fails
            && now.saturating_sub(self.checked) <= self.passive.fail_timeout.as_secs()
    }

    /// It was picked: this is the one try of this window.
    pub(crate) fn tried(&mut self, now: u64) {
        if now.saturating_sub(self.checked) > self.passive.fail_timeout.as_secs() {
            self.checked = now;
        }
    }

    /// A connection was refused or timed out; true if the server is left out from now on.
    pub(crate) fn failed(&mut self, now: u64) -> bool {
        self.fails = self.fails.saturating_add(1);
        self.accessed = now;
        self.checked = now;
        let max_fails = self.passive.max_fails;
        if max_fails == 0 {
            return false;
        }
        self.effective = (self.effective - self.weight / i64::from(max_fails)).max(0);
        self.fails >= max_fails
    }

    /// A connection was established.
    pub(crate) fn succeeded(&mut self) {
        if self.accessed < self.checked {
            self.fails = 0;
        }
    }

    /// The only server of its upstream is never left out.
    pub(crate) fn forgive(&mut self) {
        self.fails = 0;
    }

    /// Adds a turn's credit; returns what was added.
    fn credit(&mut self) -> i64 {
        let added = self.effective;
        self.current += added;
        if self.effective < self.weight {
            self.effective += 1;
        }
        added
    }
}

/// Seconds, as nginx counts them.
pub(crate) fn seconds(now: Instant) -> u64 {
    // Not from 0: a moment that never was (0) must differ from the first second.
    now.since_zero().as_secs() + 1
}

/// The smooth round robin among the servers that `usable` allows, in order of configuration.
pub(crate) fn round_robin(
    peers: &mut [Peer],
    usable: impl Fn(usize, &Peer) -> bool,
) -> Option<usize> {
    let mut best: Option<usize> = None;
    let mut total = 0;
    for index in 0..peers.len() {
        if !usable(index, &peers[index]) {
            continue;
        }
        total += peers[index].credit();
        if best.is_none_or(|best| peers[index].current > peers[best].current) {
            best = Some(index);
        }
    }
    peers[best?].current -= total;
    best
}

/// The fewest connections per weight; the smooth round robin among equals.
pub(crate) fn least_conn(
    peers: &mut [Peer],
    connections: &[u32],
    usable: impl Fn(usize, &Peer) -> bool,
) -> Option<usize> {
    // Connections per weight without dividing: a·w(b) against b·w(a).
    let compare = |peers: &[Peer], a: usize, b: usize| {
        (i64::from(connections[a]) * peers[b].weight)
            .cmp(&(i64::from(connections[b]) * peers[a].weight))
    };
    let mut best: Option<usize> = None;
    let mut many = false;
    for index in 0..peers.len() {
        if !usable(index, &peers[index]) {
            continue;
        }
        match best.map(|best| compare(peers, index, best)) {
            None | Some(Ordering::Less) => {
                best = Some(index);
                many = false;
            }
            Some(Ordering::Equal) => many = true,
            Some(Ordering::Greater) => {}
        }
    }
    let first = best?;
    if !many {
        return best;
    }
    let (connected, weight) = (i64::from(connections[first]), peers[first].weight);
    let equal = |index: usize, peer: &Peer| {
        i64::from(connections[index]) * weight == connected * peer.weight
    };
    round_robin(peers, |index, peer| index >= first && equal(index, peer) && usable(index, peer))
}
