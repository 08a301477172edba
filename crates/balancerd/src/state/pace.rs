//! How many connections or sessions a second are accepted.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A second, in the unit of [`Pace::room`].
const SECOND: u64 = 1_000;

/// A number of events a second with a limit. Without a limit nothing is counted.
///
/// What counts is the running second and that part of the one before which a window of a second
/// that ends now still covers: HAProxy's reckoning. Threads read and count on their own, so that
/// each may let one too many pass.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// 0: none.
    limit: AtomicU32,
    /// The running second.
    second: AtomicU64,
    running: AtomicU32,
    before: AtomicU32,
}

impl Pace {
    /// One with this limit; `None` and 0 have none.
    pub(crate) fn new(limit: Option<u32>) -> Self {
        Self { limit: AtomicU32::new(limit.unwrap_or(0)), ..Self::default() }
    }

    /// Events a second; 0 is no limit.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Changes it from here on; 0 is no limit.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Relaxed);
    }

    /// Whether one more may happen at `now`, in milliseconds of any clock: 0, or in how many
    /// milliseconds to ask again.
    pub(crate) fn room(&self, now: u64) -> u32 {
        let limit = u64::from(self.limit());
        if limit == 0 {
            return 0;
        }
        let (second, part) = (now / SECOND, now % SECOND);
        let counted = self.second.load(Relaxed);
        let (running, before) = match second.checked_sub(counted) {
            Some(0) => (self.running.load(Relaxed), self.before.load(Relaxed)),
            Some(1) => (0, self.running.load(Relaxed)),
            _ => (0, 0),
        };
        let (running, before) = (u64::from(running), u64::from(before));
        if running + before * (SECOND - part) / SECOND < limit {
            return 0;
        }
        // How far into a second fewer than `room` of the `events` of the one before still count.
        let fits = |events: u64, room: u64| {
            let counting = (room * SECOND).saturating_sub(1) / events.max(1);
            SECOND - counting.min(SECOND)
        };
        let until = match limit.checked_sub(running) {
            None | Some(0) => SECOND + fits(running, limit),
            Some(room) => fits(before, room),
        };
        u32::try_from(until.saturating_sub(part).max(1)).unwrap_or(1)
    }

    /// One more happened.
    pub(crate) fn count(&self, now: u64) {
        if self.limit() == 0 {
            return;
        }
        let second = now / SECOND;
        let counted = self.second.load(Relaxed);
        if counted != second
            && self.second.compare_exchange(counted, second, Relaxed, Relaxed).is_ok()
        {
            let last = self.running.swap(0, Relaxed);
            self.before.store(if counted + 1 == second { last } else { 0 }, Relaxed);
        }
        self.running.fetch_add(1, Relaxed);
    }
}

/// The limits of the whole process: `maxconnrate`, `maxsessrate`, `maxsslrate`.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    /// Connections.
    pub(crate) connections: Pace,
    /// Sessions.
    pub(crate) sessions: Pace,
    /// Sessions over TLS: shown, and limits nothing.
    pub(crate) tls: Pace,
}

impl Paces {
    /// Those of a configuration, where it says otherwise than the one before.
    pub(super) fn follow(&self, old: Option<&proxy::Process>, new: &proxy::Process) {
        let limits = |process: &proxy::Process| {
            [process.connection_rate, process.session_rate, process.tls_rate]
        };
        let was = old.map(limits);
        let paces = [&self.connections, &self.sessions, &self.tls];
        for (at, (pace, limit)) in paces.into_iter().zip(limits(new)).enumerate() {
            if was.is_none_or(|was| was[at] != limit) {
                pace.set_limit(limit.unwrap_or(0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks as often as it says; how many passed until `end`.
    fn passed(pace: &Pace, mut now: u64, end: u64) -> u32 {
        let mut passed = 0;
        while now < end {
            match pace.room(now) {
                0 => {
                    pace.count(now);
                    passed += 1;
                }
                wait => now += u64::from(wait),
            }
        }
        passed
    }

    #[test]
    fn no_more_than_the_limit_pass_in_any_second() {
        for limit in [1, 3, 50, 999, 20_000] {
            let pace = Pace::new(Some(limit));
            assert_eq!(passed(&pace, 10_000, 11_000), limit, "{limit}: the first second");
            let more = passed(&pace, 11_000, 20_000);
            assert!(more <= 9 * limit + 1, "{limit}: {more} in nine seconds");
            assert!(more >= 8 * limit, "{limit}: only {more} in nine seconds");
        }
    }

    #[test]
    fn without_a_limit_all_pass_and_a_limit_counts_from_when_it_is_set() {
        let pace = Pace::new(None);
        for now in 0..5_000 {
            assert_eq!(pace.room(now), 0);
            pace.count(now);
        }
        pace.set_limit(2);
        assert_eq!(passed(&pace, 5_000, 5_001), 2);
        pace.set_limit(0);
        assert_eq!(pace.room(5_001), 0);
    }

    #[test]
    fn a_quiet_time_is_forgotten() {
        let pace = Pace::new(Some(5));
        assert_eq!(passed(&pace, 0, 1), 5);
        assert_eq!(passed(&pace, 60_000, 60_001), 5);
    }
}
