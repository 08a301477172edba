//! When to check, and how long a check may take.

use core::time::Duration;

use machine::Instant;

use crate::config::Config;
use crate::health::{Health, Pace};

/// Only intervals of at least this much count for the spread of the first checks.
const SPREAD_FROM: Duration = Duration::from_secs(1);

/// Time from the end of one check to the start of the next.
#[must_use]
pub fn interval(config: &Config, health: &Health) -> Duration {
    let other = match health.pace() {
        Pace::Up => None,
        Pace::Down => config.downinter,
        Pace::Changing => config.fastinter,
    };
    other.unwrap_or(config.inter)
}

/// The same with `spread-checks`: up to `percent` (0 to 50) more or less. `draw` is anything, evenly
/// spread.
#[must_use]
pub fn interval_spread(config: &Config, health: &Health, percent: u8, draw: u32) -> Duration {
    let interval = interval(config, health);
    let most = interval * u32::from(percent) / 100;
    let share = f64::from(draw) / f64::from(u32::MAX);
    interval + most - (2 * most).mul_f64(share)
}

/// When each server is checked for the first time: they are spread over the shortest interval of at
/// least 1 s, or their own if that is longer, and over `most` (`max-spread-checks`) at most.
///
/// The servers come in the order of the configuration, over all backends.
pub fn first_checks<'a>(
    servers: impl Iterator<Item = &'a Config> + Clone,
    most: Option<Duration>,
) -> impl Iterator<Item = Duration> {
    let inter = |config: &Config| interval(config, &Health::new(config.rise, config.fall));
    let count = servers.clone().count() as u32;
    let shortest = servers.clone().map(inter).filter(|&inter| inter >= SPREAD_FROM).min();
    servers.zip(0..count).map(move |(config, position)| {
        let over = shortest.unwrap_or_default().max(inter(config));
        most.map_or(over, |most| over.min(most)) * position / count
    })
}

/// How long one check may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline {
    connect: Instant,
    check: Option<Duration>,
}

impl Deadline {
    /// For a check that starts now: with a `timeout check` the connect may take `timeout connect`,
    /// `inter` at most; without one everything together may take `inter`.
    #[must_use]
    pub fn new(config: &Config, now: Instant) -> Self {
        let connect = match (config.timeout_check, config.timeout_connect) {
            (Some(_), Some(connect)) => connect.min(config.inter),
            _ => config.inter,
        };
        Self { connect: now + connect, check: config.timeout_check }
    }

    /// Until when the connect may take.
    #[must_use]
    pub const fn connect(&self) -> Instant {
        self.connect
    }

    /// Until when the answer may take, when the connect was done at `now`: `timeout check`, but
    /// never less than the connect could have taken.
    #[must_use]
    pub fn answer(&self, now: Instant) -> Instant {
        self.check.map_or(self.connect, |check| (now + check).max(self.connect))
    }
}
