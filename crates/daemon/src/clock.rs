//! The monotonic clock, in the words of state machines and of tokio.

use machine::Instant;

/// A clock whose zero is when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: std::time::Instant,
}

impl Clock {
    /// A clock at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { zero: std::time::Instant::now() }
    }

    /// The time since its zero.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_zero(self.zero.elapsed())
    }

    /// Waits until `deadline`, or for ever if there is none.
    pub async fn until(&self, deadline: Option<Instant>) {
        match deadline.and_then(|deadline| self.zero.checked_add(deadline.since_zero())) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
