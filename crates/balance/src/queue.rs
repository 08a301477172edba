//! Connections that wait for a free slot, in order of arrival.

use alloc::collections::VecDeque;

/// A connection that waits; unique within its pool.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub(crate) u64);

/// One line of waiting connections.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<(Ticket, u64)>,
    /// How many were served so far: the difference is a connection's place in the line.
    served: u64,
    /// The most that ever waited at a time.
    pub(crate) max: u32,
}

impl Queue {
    pub(crate) fn len(&self) -> u32 {
        self.waiting.len() as u32
    }

    pub(crate) fn push(&mut self, ticket: Ticket) {
        self.waiting.push_back((ticket, self.served));
        self.max = self.max.max(self.len());
    }

    /// The ticket that has waited longest.
    pub(crate) fn first(&self) -> Option<Ticket> {
        self.waiting.front().map(|&(ticket, _)| ticket)
    }

    /// Serves the first; its place was how many of this line were served since it came, itself
    /// included.
    pub(crate) fn pop(&mut self) -> Option<(Ticket, u32)> {
        let (ticket, since) = self.waiting.pop_front()?;
        self.served += 1;
        Some((ticket, (self.served - since) as u32))
    }

    /// Takes out one that gave up; its place so far, if it was here.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<u32> {
        let index = self.waiting.iter().position(|&(waiting, _)| waiting == ticket)?;
        let (_, since) = self.waiting.remove(index)?;
        Some((self.served - since) as u32)
    }
}
