//! How long servers take, for nginx's `least_time`.
//!
//! As nginx has it since 1.31.0, a server's load is its average time in steps of 20 ms, at most 5 s,
//! times the connections it would have with this one. Who was not measured yet is taken for as fast
//! as the fastest, and what was measured long ago counts less, so that a server that was slow once
//! is asked again.

use core::time::Duration;

use machine::Instant;

use crate::smooth::Peer;

/// A new time moves the average by one in so many.
const SMOOTHING: u64 = 4;

/// After so long without a new time the average is halved.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// Averages are kept in sixteenths of a millisecond.
const FINE: u64 = 16;

/// Times that differ by less are alike.
const STEP: u64 = 20 * FINE;

/// Nothing is slower.
const LONGEST: u64 = 5_000 * FINE;

/// The times of one server.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The average in sixteenths of milliseconds, and when a time was last added.
    known: Option<(u64, Instant)>,
    /// Connections whose time is not known yet, and the sum of the milliseconds they began at.
    open: u64,
    begun: u64,
}

impl Pace {
    /// A connection was sent to it.
    pub(crate) fn began(&mut self, now: Instant) {
        self.open += 1;
        self.begun += millis(now.since_zero());
    }

    /// The time of a connection that began at `began` is known, or never will be.
    pub(crate) fn ended(&mut self, began: Instant, now: Instant, known: bool) {
        if let Some(open) = self.open.checked_sub(1) {
            self.open = open;
            self.begun = self.begun.saturating_sub(millis(began.since_zero()));
        }
        if self.open == 0 {
            self.begun = 0;
        }
        if known {
            let took = millis(now - began) * FINE;
            let average = match self.known {
                None => took,
                Some((average, _)) => (average * (SMOOTHING - 1) + took) / SMOOTHING,
            };
            self.known = Some((average, now));
        }
    }

    /// What is known of it where it goes on, but for its connections: they end where they began.
    pub(crate) const fn moved(&self) -> Self {
        Self { known: self.known, open: 0, begun: 0 }
    }

    fn average(&self, now: Instant) -> Option<u64> {
        let (average, at) = self.known?;
        let halvings = (now - at).as_secs() / HALF_LIFE.as_secs();
        Some(average >> halvings.min(63))
    }

    /// How old those are on average whose time is not known yet.
    fn age(&self, now: Instant) -> u64 {
        match self.begun.checked_div(self.open) {
            None => 0,
            Some(begun) => millis(now.since_zero()).saturating_sub(begun) * FINE,
        }
    }
}

/// The shortest average of those that were measured.
pub(crate) fn usual(peers: &[Peer], now: Instant) -> u64 {
    peers.iter().filter_map(|peer| peer.pace.average(now)).min().unwrap_or(0)
}

/// The load of a server with so many connections.
pub(crate) fn load(pace: &Pace, connections: u32, usual: u64, inflight: bool, now: Instant) -> u64 {
    let mut time = pace.average(now).unwrap_or(usual);
    if inflight {
        time = time.max(pace.age(now));
    }
    (time.min(LONGEST) / STEP + 1) * (u64::from(connections) + 1)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
