//! How often something happens: HAProxy's counter of events over a sliding period.

use crate::Millis;

/// Events of the period that runs and of the one before it.
///
/// The rate is what the running period has seen, and the share of the last one that a window of
/// one period still covers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate {
    /// When the running period began: the low 32 bits of the clock, as they are told to peers.
    pub since: u32,
    /// Events in it.
    pub current: u32,
    /// Events in the one before.
    pub previous: u32,
}

impl Rate {
    /// As if `events` had just happened.
    pub const fn of(now: Millis, events: u32) -> Self {
        Self { since: now as u32, current: events, previous: 0 }
    }

    /// Counts events; `period` is in milliseconds.
    pub const fn add(&mut self, now: Millis, period: u32, events: u32) {
        let now = now as u32;
        if now.wrapping_sub(self.since) < period {
            self.current = self.current.saturating_add(events);
            return;
        }
        self.previous = self.current;
        self.current = events;
        self.since = self.since.wrapping_add(period);
        if now.wrapping_sub(self.since) >= period {
            // A whole period or more went by without an event.
            self.previous = 0;
            self.since = now;
        }
    }

    /// Events per `period` milliseconds, at `now`.
    pub fn per(&self, now: Millis, period: u32) -> u32 {
        let elapsed = u64::from((now as u32).wrapping_sub(self.since));
        let length = u64::from(period.max(1));
        let (current, previous, left) = if elapsed < length {
            (self.current, self.previous, length - elapsed)
        } else if elapsed <= 2 * length {
            (0, self.current, 2 * length - elapsed)
        } else {
            return 0;
        };
        if current == 0 && previous <= 1 {
            // A single event counts until it is over, and does not flicker.
            return previous;
        }
        // Two numbers of 32 bits each fit.
        let total =
            u128::from(previous) * u128::from(left) + u128::from(current) * u128::from(length);
        u32::try_from(total / u128::from(length)).unwrap_or(u32::MAX)
    }
}
