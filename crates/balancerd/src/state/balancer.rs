//! A backend's pool, shared by all threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use balance::{Candidates, Choice, Pool, PoolConfig, ServerConfig, ServerId, Ticket, Wake};
use machine::Instant;

use super::lock;

/// A [`Pool`] and the sessions that wait for a slot in it.
///
/// One that was followed by another passes on what sessions of its time ask:
/// they see the servers they know, at the positions they know, in the pool that is in force.
#[derive(Debug)]
pub struct Balancer {
    inner: Mutex<Balancing>,
}

#[derive(Debug)]
struct Balancing {
    pool: Pool,
    waiting: HashMap<Ticket, Waiting>,
    wakes: Vec<Wake>,
    /// The one that followed.
    moved: Option<Arc<Moved>>,
    /// The last of those that followed, as far as that was looked for.
    last: Option<Arc<Moved>>,
}

#[derive(Debug)]
enum Waiting {
    Asleep(Option<Waker>),
    Woken(Wake),
}

impl Waiting {
    /// The same at other positions. A slot of a server that is not there is given to `gone`.
    fn translated(
        self,
        ticket: Ticket,
        to: &[Option<ServerId>],
        gone: impl FnOnce(ServerId),
    ) -> Self {
        let Self::Woken(Wake::Served { server, server_queue, pool_queue, .. }) = self else {
            return self;
        };
        match to.get(server.0).copied().flatten() {
            Some(server) => Self::Woken(Wake::Served { ticket, server, server_queue, pool_queue }),
            None => {
                gone(server);
                Self::Woken(Wake::PickAgain { ticket })
            }
        }
    }
}

impl Balancer {
    pub(super) fn new(pool: Pool) -> Self {
        let inner =
            Balancing { pool, waiting: HashMap::new(), wakes: Vec::new(), moved: None, last: None };
        Self { inner: Mutex::new(inner) }
    }

    /// The one that takes the place of this, with another configuration. `kept` names, for each of
    /// `servers`, the one it is here.
    pub(super) fn followed(
        &self,
        config: PoolConfig,
        servers: impl IntoIterator<Item = ServerConfig>,
        kept: &[Option<ServerId>],
        now: Instant,
    ) -> Arc<Self> {
        let mut inner = lock(&self.inner);
        let Balancing { pool, waiting, .. } = &mut *inner;
        // Nobody waits in a pool that was followed.
        let mut nobody = Vec::new();
        let mut to = vec![None; pool.len()];
        for (index, was) in kept.iter().enumerate() {
            if let Some(place) = was.and_then(|was| to.get_mut(was.0)) {
                *place = Some(ServerId(index));
            }
        }
        let in_turn = config.algorithm.is_smooth();
        let mut wakes = Vec::new();
        let next = Pool::following(config, servers, pool, kept, now, &mut wakes);
        let next = Arc::new(Self::new(next));
        let mut there = lock(&next.inner);
        // All who wait are there from now on, so that nobody has to be looked for on the way.
        there.waiting = waiting
            .drain()
            .map(|(ticket, one)| {
                (ticket, one.translated(ticket, &to, |gone| pool.release(now, gone, &mut nobody)))
            })
            .collect();
        let woken = there.wake(wakes);
        drop(there);
        let from = kept.to_vec();
        inner.moved = Some(Arc::new(Moved { next: Arc::clone(&next), to, from, in_turn }));
        drop(inner);
        woken.into_iter().for_each(Waker::wake);
        next
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
        let (woken, wakers) = lock(&self.inner).change(change);
        wakers.into_iter().for_each(Waker::wake);
        woken
    }

    /// Picks, and notes a ticket before its wake can come.
    pub(crate) fn pick(&self, now: Instant, candidates: &mut Candidates) -> Choice {
        let mut inner = lock(&self.inner);
        // nginx's servers have no queues, and what was tried is a matter of positions.
        if inner.moved.as_ref().is_some_and(|moved| !moved.in_turn) {
            drop(inner);
            if let Some(choice) = self.moved().and_then(|moved| moved.pick(now, candidates)) {
                return choice;
            }
            // None of its servers is left: they serve on for those who know no others.
            inner = lock(&self.inner);
        }
        let choice = inner.pool.pick(now, candidates);
        if let Choice::Wait(ticket) = choice {
            inner.waiting.insert(ticket, Waiting::Asleep(None));
        }
        choice
    }

    /// Waits for the wake of a ticket.
    pub(crate) fn poll_wake(&self, now: Instant, ticket: Ticket, cx: &Context<'_>) -> Poll<Wake> {
        let mut inner = lock(&self.inner);
        match inner.waiting.get_mut(&ticket) {
            Some(Waiting::Asleep(waker)) => {
                *waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(&mut Waiting::Woken(wake)) => {
                inner.waiting.remove(&ticket);
                return Poll::Ready(wake);
            }
            None => {}
        }
        drop(inner);
        match self.moved() {
            Some(moved) => moved.next.poll_wake(now, ticket, cx).map(|wake| moved.back(now, wake)),
            // A ticket is asked for until its wake came, and not after.
            None => Poll::Ready(Wake::PickAgain { ticket }),
        }
    }

    /// Gives a ticket up; its places in the queues. A slot it was just given goes to the next.
    pub(crate) fn abandon(&self, now: Instant, ticket: Ticket) -> (u32, u32) {
        let mut inner = lock(&self.inner);
        match inner.waiting.remove(&ticket) {
            Some(Waiting::Woken(Wake::Served { server, server_queue, pool_queue, .. })) => {
                drop(inner);
                self.release(now, server);
                return (server_queue, pool_queue);
            }
            Some(_) => return inner.pool.abandon(ticket),
            None => {}
        }
        drop(inner);
        self.moved().map_or((0, 0), |moved| moved.next.abandon(now, ticket))
    }

    /// Gives a slot back, here or where its connection is counted since.
    pub(crate) fn release(&self, now: Instant, server: ServerId) {
        let Some((mut next, mut server)) = self.release_here(now, server) else { return };
        while let Some(further) = next.release_here(now, server) {
            (next, server) = further;
        }
    }

    /// Where it is to be given back if not here.
    fn release_here(&self, now: Instant, server: ServerId) -> Option<(Arc<Self>, ServerId)> {
        let mut inner = lock(&self.inner);
        // Connections are alike: those that were picked here since are counted here.
        if let Some(moved) = &inner.moved
            && inner.pool.server(server).served == 0
        {
            return Some((Arc::clone(&moved.next), moved.to.get(server.0).copied().flatten()?));
        }
        let (_, wakers) = inner.change(|pool, wakes| pool.release(now, server, wakes));
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        None
    }

    /// The last of those that followed.
    fn moved(&self) -> Option<Arc<Moved>> {
        let inner = lock(&self.inner);
        let mut moved = inner.last.clone().or_else(|| inner.moved.clone())?;
        drop(inner);
        let mut far = false;
        loop {
            let Some(further) = lock(&moved.next.inner).moved.clone() else { break };
            moved = Arc::new(moved.then(&further));
            far = true;
        }
        if far {
            lock(&self.inner).last = Some(Arc::clone(&moved));
        }
        Some(moved)
    }
}

impl Balancing {
    /// Changes the pool; how many were woken, and those of them who sleep.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Pool, &mut Vec<Wake>) -> T,
    ) -> (u32, Vec<Waker>) {
        let mut wakes = std::mem::take(&mut self.wakes);
        change(&mut self.pool, &mut wakes);
        let woken = wakes.len() as u32;
        let wakers = if woken == 0 { Vec::new() } else { self.wake(wakes.drain(..)) };
        self.wakes = wakes;
        (woken, wakers)
    }

    /// Notes the wakes; whom to wake.
    fn wake(&mut self, wakes: impl IntoIterator<Item = Wake>) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for wake in wakes {
            let (Wake::Served { ticket, .. } | Wake::PickAgain { ticket }) = wake;
            let asleep = self.waiting.insert(ticket, Waiting::Woken(wake));
            if let Some(Waiting::Asleep(Some(waker))) = asleep {
                wakers.push(waker);
            }
        }
        wakers
    }
}

/// Where a pool went, with the positions of its servers.
#[derive(Debug)]
struct Moved {
    next: Arc<Balancer>,
    /// By the position before.
    to: Vec<Option<ServerId>>,
    /// By the position there.
    from: Vec<Option<ServerId>>,
    /// nginx's: sessions go on with the pool they began with.
    in_turn: bool,
}

impl Moved {
    /// How often a server is picked that is not known here, before one that is is asked for.
    const STRANGERS: usize = 3;

    fn then(&self, further: &Self) -> Self {
        let step = |map: &[Option<ServerId>], at: Option<ServerId>| {
            at.and_then(|at| map.get(at.0).copied().flatten())
        };
        Self {
            next: Arc::clone(&further.next),
            to: self.to.iter().map(|&at| step(&further.to, at)).collect(),
            from: further.from.iter().map(|&at| step(&self.from, at)).collect(),
            in_turn: self.in_turn || further.in_turn,
        }
    }

    fn known(&self, there: ServerId) -> Option<ServerId> {
        self.from.get(there.0).copied().flatten()
    }

    /// `None` if there is no server that is known here.
    fn pick(&self, now: Instant, candidates: &mut Candidates) -> Option<Choice> {
        let known = |pool: &Pool| {
            let known = self.to.iter().flatten();
            let usable = known.filter(|id| pool.server(**id).usable);
            usable.min_by_key(|id| pool.server(**id).served).copied()
        };
        let least = self.next.look(known)?;
        let mut there = candidates.renumbered(|id| self.to.get(id.0).copied().flatten());
        for attempt in 0..=Self::STRANGERS {
            if attempt == Self::STRANGERS {
                there.insist(least);
            }
            return match self.next.pick(now, &mut there) {
                Choice::Server(server) => match self.known(server) {
                    Some(server) => Some(Choice::Server(server)),
                    None => {
                        self.next.release(now, server);
                        continue;
                    }
                },
                Choice::Full(server) => {
                    Some(Choice::Full(self.known(server).unwrap_or(ServerId(0))))
                }
                choice => Some(choice),
            };
        }
        None
    }

    /// A wake of there in the words of here.
    fn back(&self, now: Instant, wake: Wake) -> Wake {
        let Wake::Served { ticket, server, server_queue, pool_queue } = wake else { return wake };
        match self.known(server) {
            Some(server) => Wake::Served { ticket, server, server_queue, pool_queue },
            None => {
                self.next.release(now, server);
                Wake::PickAgain { ticket }
            }
        }
    }
}
