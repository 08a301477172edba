//! A backend's pool, shared by all threads.

use std::collections::HashMap;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use balance::{Pool, Ticket, Wake};

use super::lock;

/// A [`Pool`] and the sessions that wait for a slot in it.
#[derive(Debug)]
pub struct Balancer {
    inner: Mutex<Balancing>,
}

#[derive(Debug)]
struct Balancing {
    pool: Pool,
    waiting: HashMap<Ticket, Waiting>,
    wakes: Vec<Wake>,
}

#[derive(Debug)]
enum Waiting {
    Asleep(Option<Waker>),
    Woken(Wake),
}

impl Balancer {
    pub(super) fn new(pool: Pool) -> Self {
        let inner = Balancing { pool, waiting: HashMap::new(), wakes: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    /// Looks at the pool.
    pub fn look<T>(&self, look: impl FnOnce(&Pool) -> T) -> T {
        look(&lock(&self.inner).pool)
    }

    /// Uses the pool in a way that wakes nobody.
    pub fn with<T>(&self, using: impl FnOnce(&mut Pool) -> T) -> T {
        using(&mut lock(&self.inner).pool)
    }

    /// Changes the pool and wakes whom it says; returns how many that were.
    pub fn change<T>(&self, change: impl FnOnce(&mut Pool, &mut Vec<Wake>) -> T) -> u32 {
        let mut inner = lock(&self.inner);
        let Balancing { pool, waiting, wakes } = &mut *inner;
        change(pool, wakes);
        let woken = wakes.len() as u32;
        for wake in wakes.drain(..) {
            let (Wake::Served { ticket, .. } | Wake::PickAgain { ticket }) = wake;
            let asleep = waiting.insert(ticket, Waiting::Woken(wake));
            if let Some(Waiting::Asleep(Some(waker))) = asleep {
                waker.wake();
            }
        }
        woken
    }

    /// Picks, and notes a ticket before its wake can come.
    pub(crate) fn pick(
        &self,
        now: machine::Instant,
        candidates: &mut balance::Candidates,
    ) -> balance::Choice {
        let mut inner = lock(&self.inner);
        let choice = inner.pool.pick(now, candidates);
        if let balance::Choice::Wait(ticket) = choice {
            inner.waiting.insert(ticket, Waiting::Asleep(None));
        }
        choice
    }

    /// Waits for the wake of a ticket.
    pub(crate) fn poll_wake(&self, ticket: Ticket, cx: &Context<'_>) -> Poll<Wake> {
        let mut inner = lock(&self.inner);
        match inner.waiting.get_mut(&ticket) {
            Some(Waiting::Asleep(waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(&mut Waiting::Woken(wake)) => {
                inner.waiting.remove(&ticket);
                Poll::Ready(wake)
            }
            // A ticket is asked for until its wake came, and not after.
            None => Poll::Ready(Wake::PickAgain { ticket }),
        }
    }

    /// Gives a ticket up; its places in the queues. A slot it was just given goes to the next.
    pub(crate) fn abandon(&self, now: machine::Instant, ticket: Ticket) -> (u32, u32) {
        let mut inner = lock(&self.inner);
        let waited = inner.waiting.remove(&ticket);
        match waited {
            Some(Waiting::Woken(Wake::Served { server, server_queue, pool_queue, .. })) => {
                drop(inner);
                self.change(|pool, wakes| pool.release(now, server, wakes));
                (server_queue, pool_queue)
            }
            Some(_) => inner.pool.abandon(ticket),
            None => (0, 0),
        }
    }
}
