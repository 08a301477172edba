//! The clock of state machines: it goes on while the machine is suspended.

use std::time::Duration;

use machine::Instant;
use nix::time::{ClockId, clock_gettime};

/// A clock whose zero is when it was made.
///
/// It reads `CLOCK_BOOTTIME`: whoever slept with the whole machine finds out as one who was stopped
/// does. [`until`](Self::until) does not count the time suspended, so what fell due meanwhile is
/// done late, by no more than was left to wait for at the start of it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Duration,
}

impl Clock {
    /// A clock at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { zero: since_boot() }
    }

    /// The time since its zero.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_zero(since_boot().saturating_sub(self.zero))
    }

    /// `at` as other processes on this machine count it: since boot.
    #[must_use]
    pub fn since_boot(&self, at: Instant) -> Duration {
        self.zero + (at - Instant::ZERO)
    }

    /// Waits until `deadline`, or for ever if there is none.
    pub async fn until(&self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        loop {
            let rest = deadline - self.now();
            if rest.is_zero() {
                return;
            }
            tokio::time::sleep(rest).await;
        }
    }
}

/// Every kernel since 2.6.39 has this clock; one that refuses it has the other.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME);
    now.or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC)).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/proc/uptime` counts it too.
    #[test]
    fn the_clock_is_the_one_that_counts_suspended_time() {
        let uptime = || {
            let line = std::fs::read_to_string("/proc/uptime").expect("/proc is mounted");
            let seconds = line.split_whitespace().next().expect("a number");
            Duration::from_secs_f64(seconds.parse().expect("a number"))
        };
        let (before, now, after) = (uptime(), since_boot(), uptime());
        // It is written in hundredths.
        assert!(before <= now && now < after + Duration::from_millis(10), "{before:?} {now:?}");
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second && second < Instant::from_zero(Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn a_deadline_is_never_early_and_none_never_comes() {
        let clock = Clock::start();
        let deadline = clock.now() + Duration::from_millis(20);
        clock.until(Some(deadline)).await;
        assert!(clock.now() >= deadline);
        clock.until(Some(Instant::ZERO)).await;
        let never = tokio::time::timeout(Duration::from_millis(20), clock.until(None)).await;
        assert!(never.is_err());
        let far = Instant::from_zero(Duration::MAX);
        let never = tokio::time::timeout(Duration::from_millis(20), clock.until(Some(far))).await;
        assert!(never.is_err());
    }
}
