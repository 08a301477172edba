//! HAProxy's `roundrobin`: every server has a next position on a line that the picks walk along.
//!
//! The servers of a group wait in three places:
//!
//! ```text
//!   init     servers that have not had their first turn of this round, heaviest first
//!   current  servers with a known next position, nearest first
//!   next     servers whose next position lies in the round after this one
//! ```
//!
//! Each pick takes the nearest server of `current` if its position is reached, else the first of
//! `init`, else the nearest of `current` anyway; and the rounds swap when both are empty. A server's
//! next position is `total weight / own weight` further on, remainders being carried. So 5,3,1 gives
//! `112132112` for ever.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// The highest weight a server can have in the units used here (256 × 16).
pub(crate) const MAX_WEIGHT: u32 = 256 * 16;

/// Units per weight of the configuration.
const SCALE: u64 = 16;

/// Where a server waits, and under which key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Nowhere: it cannot be used, or it is being moved.
    Out,
    /// In one of the two trees ordered by weight.
    Waiting { tree: usize, key: Key },
    /// In the tree ordered by position.
    Current(Key),
}

/// Tree order: by the first number, then in order of insertion, then the server.
type Key = (u64, u64, u32);

#[derive(Debug)]
struct Slot {
    group: usize,
    weight: u64,
    place: Place,
    position: u64,
    last: u64,
    remainder: u64,
}

#[derive(Debug, Default)]
struct Group {
    current: BTreeSet<Key>,
    /// The two trees ordered by weight; `init` says which one is for this round.
    waiting: [BTreeSet<Key>; 2],
    init: usize,
    /// Total weight of this round, and of the next one.
    weight: u64,
    next_weight: u64,
    position: u64,
}

/// The state of one pool's round robin.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    groups: [Group; 2],
    slots: Vec<Slot>,
    sequence: u64,
    skipped: Vec<u32>,
}

impl RoundRobin {
    /// A round robin of `groups.len()` servers, each in group 0 or 1, none of them usable yet.
    pub(crate) fn new(groups: impl Iterator<Item = usize>) -> Self {
        let slots = groups
            .map(|group| Slot {
                group,
                weight: 0,
                place: Place::Out,
                position: 0,
                last: 0,
                remainder: 0,
            })
            .collect();
        Self { groups: Default::default(), slots, sequence: 0, skipped: Vec::new() }
    }

    /// All servers at once, before the first pick: they share the first round.
    pub(crate) fn start(&mut self, weights: impl Iterator<Item = u32>) {
        for (index, weight) in weights.enumerate() {
            let slot = &mut self.slots[index];
            slot.weight = u64::from(weight);
            let group = &mut self.groups[slot.group];
            group.next_weight += slot.weight;
            if weight > 0 {
                let tree = group.init;
                self.wait(index as u32, tree);
            }
        }
        for group in &mut self.groups {
            group.weight = group.next_weight;
            group.position = group.weight;
        }
    }

    /// A server's weight changes; 0 takes it out.
    pub(crate) fn set_weight(&mut self, server: u32, weight: u32) {
        let (old, new) = (self.slots[server as usize].weight, u64::from(weight));
        if old == new {
            return;
        }
        let slot = &mut self.slots[server as usize];
        slot.weight = new;
        let group = &mut self.groups[slot.group];
        group.next_weight = group.next_weight + new - old;
        if old == 0 {
            slot.position = group.position
                + (group.next_weight + group.weight).saturating_sub(group.position) / new;
            self.enqueue(server);
            return;
        }
        let place = slot.place;
        self.take_out(server);
        if new == 0 {
            return;
        }
        let slot = &mut self.slots[server as usize];
        let group = &self.groups[slot.group];
        match place {
            Place::Waiting { tree, .. } if tree == group.init => {
                self.wait(server, tree);
                return;
            }
            // What is due in the next round counts from the start of this one again.
            Place::Waiting { .. } => slot.position += group.weight,
            Place::Current(_) | Place::Out => {}
        }
        // It has places left in this round: the next one comes nearer, never further away.
        let step = group.next_weight / new;
        slot.remainder = 0;
        slot.position = slot.position.min(slot.last + step);
        if slot.position < group.position + 2 {
            slot.position = group.position + step;
        }
        self.enqueue(server);
    }

    /// The next server of `group` for which `usable` holds, `avoid` only if there is no other.
    pub(crate) fn next(
        &mut self,
        group: usize,
        avoid: Option<u32>,
        mut usable: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut avoided = None;
        let mut switched = false;
        let found = loop {
            let Some(server) = self.nearest(group) else {
                if switched {
                    break avoided;
                }
                switched = true;
                self.switch(group);
                continue;
            };
            self.take_out(server);
            self.advance(server);
            self.groups[group].position += 1;
            if usable(server) {
                if avoid != Some(server) {
                    self.enqueue(server);
                    break Some(server);
                }
                avoided = Some(server);
            }
            self.skipped.push(server);
        };
        while let Some(server) = self.skipped.pop() {
            self.enqueue(server);
        }
        found
    }

    fn nearest(&mut self, group: usize) -> Option<u32> {
        let group = &self.groups[group];
        let current = group.current.first();
        if let Some(&(_, _, server)) = current
            && self.slots[server as usize].position <= group.position
        {
            return Some(server);
        }
        if let Some(&(_, _, server)) = group.waiting[group.init].first() {
            let slot = &mut self.slots[server as usize];
            (slot.position, slot.remainder) = (0, 0);
            return Some(server);
        }
        current.map(|&(_, _, server)| server)
    }

    fn advance(&mut self, server: u32) {
        let slot = &mut self.slots[server as usize];
        let group = &self.groups[slot.group];
        slot.last = if slot.position == 0 { group.position } else { slot.position };
        slot.position = slot.last + group.next_weight / slot.weight;
        slot.remainder += group.next_weight % slot.weight;
        if slot.remainder >= slot.weight {
            slot.remainder -= slot.weight;
            slot.position += 1;
        }
    }

    fn switch(&mut self, group: usize) {
        let group = &mut self.groups[group];
        group.init = 1 - group.init;
        group.weight = group.next_weight;
        group.position = group.weight;
    }

    fn take_out(&mut self, server: u32) {
        let slot = &mut self.slots[server as usize];
        let group = &mut self.groups[slot.group];
        match slot.place {
            Place::Out => {}
            Place::Waiting { tree, key } => {
                group.waiting[tree].remove(&key);
            }
            Place::Current(key) => {
                group.current.remove(&key);
            }
        }
        slot.place = Place::Out;
    }

    /// Into `current`, or into the next round when its position is beyond this one.
    fn enqueue(&mut self, server: u32) {
        let slot = &mut self.slots[server as usize];
        let group = &mut self.groups[slot.group];
        if slot.position >= 2 * group.weight || slot.position >= group.weight + group.next_weight {
            slot.position = slot.position.saturating_sub(group.weight);
            let tree = 1 - group.init;
            self.wait(server, tree);
            return;
        }
        self.sequence += 1;
        // Nearest first; on the same position whoever has the least remainder for its weight, in
        // whole units of weight.
        let claim = (u64::from(MAX_WEIGHT) + slot.remainder).saturating_sub(slot.weight) / SCALE;
        let key = (slot.position << 16 | claim, self.sequence, server);
        group.current.insert(key);
        slot.place = Place::Current(key);
    }

    fn wait(&mut self, server: u32, tree: usize) {
        self.sequence += 1;
        let slot = &mut self.slots[server as usize];
        let heaviest_first = u64::from(MAX_WEIGHT).saturating_sub(slot.weight);
        let key = (heaviest_first, self.sequence, server);
        self.groups[slot.group].waiting[tree].insert(key);
        slot.place = Place::Waiting { tree, key };
    }
}
