//! `limit_conn`: connections of one key at a time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use proxy::LimitZone;

use crate::state::{Shared, lock};

/// Bytes nginx needs for a key: 64 for addresses, and a power of two for longer ones.
const LEAST_NODE: usize = 64;

/// What nginx keeps beside a key.
const NODE: usize = 40;

/// The keys of one zone and how many connections each has.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    inner: Mutex<Counts>,
    /// Bytes of shared memory nginx would have: the limit of keys follows.
    size: usize,
    /// Connections that were one too many where that has no effect (`limit_conn_dry_run`).
    pub(crate) rejected_dry_run: AtomicU64,
    pub(crate) passed: AtomicU64,
    pub(crate) rejected: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    connections: HashMap<Box<[u8]>, u32>,
    used: usize,
}

/// A connection that counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    shared: &'static Shared,
    zone: usize,
    key: Box<[u8]>,
}

impl Zone {
    pub(crate) fn new(zone: &LimitZone) -> Self {
        let size = usize::try_from(zone.size).unwrap_or(usize::MAX);
        Self { size, ..Self::default() }
    }

    /// Counts a connection; false if its key has as many as it may, or if there are too many keys.
    fn enter(&self, key: &[u8], most: u32) -> bool {
        let mut counts = lock(&self.inner);
        if let Some(connections) = counts.connections.get_mut(key) {
            if *connections >= most {
                return false;
            }
            *connections += 1;
            return true;
        }
        let node = node(key);
        if counts.used + node > self.size {
            return false;
        }
        counts.used += node;
        counts.connections.insert(key.into(), 1);
        true
    }

    /// What came of a connection.
    pub(crate) fn count(&self, passed: bool, dry: bool) {
        let count = match (passed, dry) {
            (true, _) => &self.passed,
            (false, true) => &self.rejected_dry_run,
            (false, false) => &self.rejected,
        };
        count.fetch_add(1, Relaxed);
    }

    fn leave(&self, key: &[u8]) {
        let mut counts = lock(&self.inner);
        let Some(connections) = counts.connections.get_mut(key) else { return };
        *connections -= 1;
        if *connections == 0 {
            counts.connections.remove(key);
            counts.used -= node(key);
        }
    }
}

fn node(key: &[u8]) -> usize {
    (NODE + key.len()).next_power_of_two().max(LEAST_NODE)
}

impl Counted {
    /// Counts a connection of `key`; `None` if it is one too many.
    pub(crate) fn enter(
        shared: &'static Shared,
        zone: usize,
        key: &[u8],
        most: u32,
    ) -> Option<Self> {
        let entered = shared.limits.get(zone).is_none_or(|zone| zone.enter(key, most));
        entered.then(|| Self { shared, zone, key: key.into() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(zone) = self.shared.limits.get(self.zone) {
            zone.leave(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proxy::variable::Template;

    use super::*;

    fn zone(size: u64) -> Zone {
        Zone::new(&LimitZone { name: "z".into(), key: Template::default(), size })
    }

    #[test]
    fn a_key_has_no_more_connections_than_it_may_and_others_have_their_own() {
        let zone = zone(32 * 1024);
        assert!(zone.enter(b"a", 2) && zone.enter(b"a", 2));
        assert!(!zone.enter(b"a", 2));
        assert!(zone.enter(b"b", 2));
        zone.leave(b"a");
        assert!(zone.enter(b"a", 2));
    }

    #[test]
    fn a_zone_that_is_full_of_keys_refuses_new_ones_until_one_goes() {
        let zone = zone(128);
        assert!(zone.enter(b"a", 1) && zone.enter(b"b", 1));
        assert!(!zone.enter(b"c", 1));
        zone.leave(b"b");
        assert!(zone.enter(b"c", 1));
        zone.leave(b"a");
        zone.leave(b"c");
        assert_eq!(lock(&zone.inner).used, 0);
    }
}
