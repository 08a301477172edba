//! Deadlines of many connections on one list per thread.
//!
//! A timer costs nothing while a connection moves bytes: it is left where it is, and a connection
//! that is woken by it looks at its real deadline and arms it again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// Milliseconds since the first call in this process.
pub type Millis = u64;

/// The time now.
pub fn now() -> Millis {
    Millis::try_from(zero().elapsed().as_millis()).unwrap_or(Millis::MAX)
}

fn zero() -> Instant {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    // A second back, so that 0 is never a deadline.
    *ZERO.get_or_init(|| {
        Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now)
    })
}

/// One deadline of one task. Armed again, it replaces the earlier one; dropped, it is gone.
#[derive(Debug, Default)]
pub struct Timer {
    /// 0 while it is not armed.
    at: Millis,
    key: u32,
}

impl Timer {
    /// One that is not armed.
    pub const fn new() -> Self {
        Self { at: 0, key: 0 }
    }

    /// When it wakes its task, if it is armed.
    pub const fn deadline(&self) -> Option<Millis> {
        if self.at == 0 { None } else { Some(self.at) }
    }

    /// Wakes the task of `cx` at `at`, or soon if that has passed. Nothing happens if it is armed
    /// for that moment already.
    pub fn arm(&mut self, at: Millis, cx: &Context<'_>) {
        let at = at.max(1);
        if self.at == at {
            return;
        }
        WHEEL.with_borrow_mut(|wheel| {
            if self.at == 0 {
                let key = wheel.wakers.insert(cx.waker().clone());
                self.key = u32::try_from(key).expect("four thousand million timers");
            } else {
                wheel.due.remove(&(self.at, self.key));
            }
            self.at = at;
            wheel.due.insert((at, self.key));
            if at < wheel.sleeps_until {
                wheel.sleeps_until = at;
                if let Some(driver) = &wheel.driver {
                    driver.wake_by_ref();
                }
            }
        });
    }

    /// Makes sure that the task of `cx` is awake at `at`: a deadline before that stays, because
    /// a task that is woken early looks again.
    pub fn arm_by(&mut self, at: Millis, now: Millis, cx: &Context<'_>) {
        if self.at == 0 || self.at > at || self.at <= now {
            self.arm(at, cx);
        }
    }

    /// Takes the deadline back.
    pub fn disarm(&mut self) {
        if self.at == 0 {
            return;
        }
        // A thread that is ending may have dropped its wheel before its tasks.
        let _ = WHEEL.try_with(|wheel| {
            let mut wheel = wheel.borrow_mut();
            wheel.due.remove(&(self.at, self.key));
            drop(wheel.wakers.try_remove(self.key as usize));
        });
        self.at = 0;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Waits until `at`.
pub async fn until(at: Millis) {
    let mut timer = Timer::new();
    poll_fn(|cx| {
        if now() >= at {
            return Poll::Ready(());
        }
        timer.arm(at, cx);
        Poll::Pending
    })
    .await;
}

/// Wakes this thread's timers inside a tokio runtime. One task of such a thread runs it; it does
/// not end. [`block_on`](crate::block_on) does without.
pub async fn drive() {
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        loop {
            let Some(next) = wake_due(Some(cx.waker())) else { return Poll::<()>::Pending };
            sleep.as_mut().reset((zero() + Duration::from_millis(next)).into());
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

thread_local! {
    static WHEEL: RefCell<Wheel> = const { RefCell::new(Wheel::new()) };
}

struct Wheel {
    due: BTreeSet<(Millis, u32)>,
    wakers: Slab<Waker>,
    driver: Option<Waker>,
    sleeps_until: Millis,
}

impl Wheel {
    const fn new() -> Self {
        Self { due: BTreeSet::new(), wakers: Slab::new(), driver: None, sleeps_until: Millis::MAX }
    }
}

/// Wakes what is due on a thread that looks again before it waits, and returns the next deadline.
pub(crate) fn wake_due_here() -> Option<Millis> {
    wake_due(None)
}

/// Wakes what is due and returns the next deadline.
fn wake_due(driver: Option<&Waker>) -> Option<Millis> {
    let now = now();
    WHEEL.with_borrow_mut(|wheel| {
        if let Some(driver) = driver
            && !wheel.driver.as_ref().is_some_and(|known| known.will_wake(driver))
        {
            wheel.driver = Some(driver.clone());
        }
        // Their owners are told, and take themselves out or arm themselves again.
        for &(_, key) in wheel.due.range(..=(now, u32::MAX)) {
            if let Some(waker) = wheel.wakers.get(key as usize) {
                waker.wake_by_ref();
            }
        }
        // What is due stays listed until its owner has run; the sleep is for what comes after.
        let next = wheel.due.range((now + 1, 0)..).next().map(|&(at, _)| at);
        wheel.sleeps_until = next.unwrap_or(Millis::MAX);
        next
    })
}

#[cfg(test)]
mod tests;
