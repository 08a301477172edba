//! HAProxy's `leastconn`: servers ordered by load per weight; among equals, whoever waited longest.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::round_robin::MAX_WEIGHT;

/// The usable servers of both groups, the least loaded first.
#[derive(Debug)]
pub(crate) struct LeastConn {
    groups: [BTreeSet<(u64, u64, u32)>; 2],
    slots: Vec<(usize, Option<(u64, u64)>)>,
    sequence: u64,
}

impl LeastConn {
    /// `groups` gives the group of each server; none is usable yet.
    pub(crate) fn new(groups: impl Iterator<Item = usize>) -> Self {
        Self {
            groups: Default::default(),
            slots: groups.map(|group| (group, None)).collect(),
            sequence: 0,
        }
    }

    /// A server's load (connections and those waiting for it) or weight changed; weight 0 takes it
    /// out.
    pub(crate) fn update(&mut self, server: u32, load: u32, weight: u32) {
        let (group, place) = &mut self.slots[server as usize];
        if let Some((key, sequence)) = place.take() {
            self.groups[*group].remove(&(key, sequence, server));
        }
        if weight == 0 {
            return;
        }
        // An idle server comes first whatever its weight; the next connection is counted already,
        // so that weight 3 takes three where weight 1 takes one.
        let key = match u64::from(load) {
            0 => 0,
            load => (load + 1) * u64::from(MAX_WEIGHT) / u64::from(weight),
        };
        self.sequence += 1;
        *place = Some((key, self.sequence));
        self.groups[*group].insert((key, self.sequence, server));
    }

    /// The least loaded server of `group` for which `usable` holds, `avoid` only if there is no
    /// other.
    pub(crate) fn next(
        &self,
        group: usize,
        avoid: Option<u32>,
        mut usable: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut avoided = None;
        for &(_, _, server) in &self.groups[group] {
            if !usable(server) {
                continue;
            }
            if avoid != Some(server) {
                return Some(server);
            }
            avoided = Some(server);
        }
        avoided
    }
}
