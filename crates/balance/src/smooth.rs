//! nginx's picks: smooth weighted round robin, `least_conn` and `least_time`, with passive failures.

use core::cmp::Ordering;
use core::time::Duration;

use machine::Instant;

use crate::config::{Passive, ServerConfig};
use crate::least_time::Pace;

/// What a weight of 1 counts where servers have a slow start: the smallest share is one of it.
const STEPS: i64 = 256;

/// What nginx keeps about one server.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As configured or as set since, in `unit`s.
    weight: i64,
    /// The same while it is spared (`slow_start`): what it has of it by now.
    share: i64,
    unit: i64,
    effective: i64,
    current: i64,
    passive: Passive,
    fails: u32,
    /// Second of the last failure, and of the last failure or trial.
    accessed: u64,
    checked: u64,
    slow_start: Duration,
    /// Since when it is spared.
    spared: Option<Instant>,
    /// How long its answers take.
    pub(crate) pace: Pace,
}

impl Peer {
    /// A server with this weight; `fine` where any server of its pool has a slow start.
    pub(crate) fn new(server: &ServerConfig, weight: u32, fine: bool) -> Self {
        let unit = if fine { STEPS } else { 1 };
        let weight = i64::from(weight) * unit;
        Self {
            weight,
            share: weight,
            unit,
            effective: weight,
            current: 0,
            passive: server.passive.unwrap_or_default(),
            fails: 0,
            accessed: 0,
            checked: 0,
            slow_start: server.slowstart,
            spared: None,
            pace: Pace::default(),
        }
    }

    pub(crate) fn set_weight(&mut self, weight: u32) {
        self.weight = i64::from(weight) * self.unit;
        self.effective = self.weight;
        self.share = self.weight;
    }

    /// It came back: its weight grows from nothing, where it has a slow start.
    pub(crate) fn spare(&mut self, now: Instant) {
        if !self.slow_start.is_zero() {
            self.spared = Some(now);
            self.current = 0;
            self.grow(now);
        }
    }

    /// What it has of its weight by now.
    pub(crate) fn grow(&mut self, now: Instant) {
        let Some(since) = self.spared else { return };
        let (passed, all) = (now - since, self.slow_start);
        self.share = if passed >= all {
            self.spared = None;
            self.weight
        } else {
            let share = self.weight as i128 * passed.as_millis() as i128;
            // At least one step, or it would never be asked anything.
            ((share / all.as_millis().max(1) as i128) as i64).max(1)
        };
    }

    /// What failed before it was configured anew is not forgotten.
    pub(crate) fn follow(&mut self, before: &Self) {
        self.fails = before.fails;
        self.accessed = before.accessed;
        self.checked = before.checked;
        self.spared = before.spared.filter(|_| !self.slow_start.is_zero());
        self.pace = before.pace.moved();
    }

    /// What it has of its weight.
    pub(crate) const fn share(&self) -> i64 {
        self.share
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
    pub(crate) fn succeeded(&mut self, now: Instant) {
        if self.accessed < self.checked {
            if self.passive.max_fails > 0 && self.fails >= self.passive.max_fails {
                self.spare(now);
            }
            self.fails = 0;
        }
    }

    /// The only server of its upstream is never left out.
    pub(crate) fn forgive(&mut self) {
        self.fails = 0;
    }

    /// Adds a turn's credit; returns what was added.
    fn credit(&mut self) -> i64 {
        let added = self.effective.min(self.share);
        self.current += added;
        if self.effective < self.weight {
            self.effective += self.unit;
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

/// The least load per weight; the smooth round robin among equals.
pub(crate) fn least(
    peers: &mut [Peer],
    load: impl Fn(usize, &Peer) -> u64,
    usable: impl Fn(usize, &Peer) -> bool,
) -> Option<usize> {
    // Load per weight without dividing: a·w(b) against b·w(a).
    let scaled = |load: u64, by: &Peer| u128::from(load) * u128::from(by.share.unsigned_abs());
    let mut best: Option<(usize, u64)> = None;
    let mut many = false;
    for (index, peer) in peers.iter().enumerate() {
        if !usable(index, peer) {
            continue;
        }
        let own = load(index, peer);
        let order = best.map(|(best, its)| scaled(own, &peers[best]).cmp(&scaled(its, peer)));
        match order {
            None | Some(Ordering::Less) => {
                best = Some((index, own));
                many = false;
            }
            Some(Ordering::Equal) => many = true,
            Some(Ordering::Greater) => {}
        }
    }
    let (first, least) = best?;
    if !many {
        return Some(first);
    }
    let weight = u128::from(peers[first].share.unsigned_abs());
    let equal =
        |index: usize, peer: &Peer| u128::from(load(index, peer)) * weight == scaled(least, peer);
    round_robin(peers, |index, peer| index >= first && equal(index, peer) && usable(index, peer))
}
