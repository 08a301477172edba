//! How many connections there may be.

use std::sync::Mutex;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU32};
use std::task::{Context, Poll, Waker};

use super::lock;

/// A number of connections with a limit, and who waits for it to fall.
#[derive(Debug)]
pub struct Gate {
    current: AtomicU32,
    limit: AtomicU32,
    /// The limit that is configured.
    highest: AtomicU32,
    waiting: AtomicU32,
    wakers: Mutex<Vec<Waker>>,
    door: AtomicU8,
    /// Who closes and opens listening sockets.
    porters: Mutex<Vec<Waker>>,
}

/// Whether connections are accepted at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Door {
    /// They are.
    Open,
    /// Not for now: they are refused.
    Paused,
    /// Never again.
    Shut,
}

impl Gate {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            current: AtomicU32::new(0),
            limit: AtomicU32::new(limit),
            highest: AtomicU32::new(limit),
            waiting: AtomicU32::new(0),
            wakers: Mutex::default(),
            door: AtomicU8::new(Door::Open as u8),
            porters: Mutex::default(),
        }
    }

    /// Connections now.
    pub fn current(&self) -> u32 {
        self.current.load(Relaxed)
    }

    /// The most there may be.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Whether connections are accepted at all.
    pub(crate) fn door(&self) -> Door {
        match self.door.load(SeqCst) {
            0 => Door::Open,
            1 => Door::Paused,
            _ => Door::Shut,
        }
    }

    /// Opens or closes it; those that listen are woken.
    pub(crate) fn turn(&self, door: Door) {
        self.door.store(door as u8, SeqCst);
        lock(&self.porters).iter().for_each(Waker::wake_by_ref);
    }

    /// Whoever listens is woken when the door turns, for as long as it lives.
    pub(crate) fn attend(&self, porter: &Waker) {
        let mut porters = lock(&self.porters);
        if !porters.iter().any(|known| known.will_wake(porter)) {
            porters.push(porter.clone());
        }
    }

    /// The limit that is configured.
    pub fn highest(&self) -> u32 {
        self.highest.load(Relaxed)
    }

    /// Makes it one of another limit; what it was, for whoever wants it back.
    pub(crate) fn resize(&self, (limit, highest): (u32, u32)) -> (u32, u32) {
        let before = (self.limit(), self.highest.swap(highest, Relaxed));
        self.set_limit(limit);
        before
    }

    /// Changes it; those there are stay, even if they are more.
    pub(crate) fn set_limit(&self, limit: u32) {
        if self.limit.swap(limit, SeqCst) < limit {
            self.wake();
        }
    }

    /// Ready when one more connection is allowed.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.current() < self.limit() {
            return Poll::Ready(());
        }
        let mut wakers = lock(&self.wakers);
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        self.waiting.store(1, SeqCst);
        drop(wakers);
        // Somebody may have left before the waker was there.
        if self.current.load(SeqCst) < self.limit() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Ready when there are no connections.
    pub(crate) fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if self.current() == 0 {
            return Poll::Ready(());
        }
        let mut wakers = lock(&self.wakers);
        wakers.push(cx.waker().clone());
        self.waiting.store(1, SeqCst);
        drop(wakers);
        if self.current.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(crate) fn enter(&self) -> u32 {
        self.current.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn leave(&self) {
        self.current.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) != 0 {
            self.wake();
        }
    }

    fn wake(&self) {
        let mut wakers = lock(&self.wakers);
        self.waiting.store(0, Relaxed);
        wakers.drain(..).for_each(Waker::wake);
    }
}
