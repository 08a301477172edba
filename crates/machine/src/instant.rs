//! A point in time that can be written down.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point on a monotonic clock: the time since the driver's own zero.
///
/// Unlike the standard library's it can be printed, stored, sent and replayed, and exists without
/// an operating system. Arithmetic saturates at both ends: a moment before [`ZERO`](Self::ZERO) is
/// [`ZERO`](Self::ZERO), and one beyond the largest is the largest.
///
/// ```
/// use core::time::Duration;
/// use machine::Instant;
///
/// let later = Instant::ZERO + Duration::from_millis(1_500);
/// assert_eq!(later - Instant::ZERO, Duration::from_millis(1_500));
/// assert_eq!(Instant::ZERO - later, Duration::ZERO);
/// assert_eq!(later.to_string(), "1.500000");
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(Duration);

impl Instant {
    /// The driver's zero.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `since_zero` after [`ZERO`](Self::ZERO).
    #[must_use]
    pub const fn from_zero(since_zero: Duration) -> Self {
        Self(since_zero)
    }

    /// The time since [`ZERO`](Self::ZERO).
    #[must_use]
    pub const fn since_zero(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// How long after `rhs` this is; zero if it is not after it.
    fn sub(self, rhs: Self) -> Duration {
        self.0.saturating_sub(rhs.0)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Seconds with six places: `12.000250`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        let last = Instant::from_zero(Duration::MAX);
        assert_eq!(last + second, last);
        assert_eq!(Instant::ZERO - second, Instant::ZERO);
        assert_eq!(Instant::ZERO - last, Duration::ZERO);
        assert_eq!(last - Instant::ZERO, Duration::MAX);
        let mut moment = Instant::ZERO;
        moment += second;
        assert_eq!(moment.since_zero(), second);
        assert_eq!(moment - second, Instant::ZERO);
    }

    #[test]
    fn moments_print_as_seconds() {
        let moment = Instant::from_zero(Duration::from_micros(12_000_250));
        assert_eq!(format!("{moment}"), "12.000250");
        assert_eq!(format!("{moment:?}"), "12.00025s");
    }
}
