//! Connections that wait for a free slot: by their priority, then in order of arrival.

use alloc::collections::VecDeque;

/// A connection that waits; unique within its pool.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub(crate) u64);

/// Who is served first: the lesser. Without a priority all are of class 0, and the first who came.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Rank {
    /// `set-priority-class`.
    pub(crate) class: i16,
    /// When it came, in milliseconds, later by what `set-priority-offset` says.
    pub(crate) at: i64,
}

/// One line of waiting connections.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<(Rank, Ticket, u64)>,
    /// How many were served so far: the difference is a connection's place in the line.
    served: u64,
    /// The most that ever waited at a time.
    pub(crate) max: u32,
}

impl Queue {
    pub(crate) fn len(&self) -> u32 {
        self.waiting.len() as u32
    }

    pub(crate) fn push(&mut self, rank: Rank, ticket: Ticket) {
        // Most come last: those of one rank are in order of arrival.
        let ahead = self.waiting.iter().rev().position(|(known, ..)| *known <= rank);
        let index = ahead.map_or(0, |behind| self.waiting.len() - behind);
        self.waiting.insert(index, (rank, ticket, self.served));
        self.max = self.max.max(self.len());
    }

    /// Who is served next.
    pub(crate) fn first(&self) -> Option<(Rank, Ticket)> {
        self.waiting.front().map(|&(rank, ticket, _)| (rank, ticket))
    }

    /// Serves the first; its place was how many of this line were served since it came, itself
    /// included.
    pub(crate) fn pop(&mut self) -> Option<(Ticket, u32)> {
        let (_, ticket, since) = self.waiting.pop_front()?;
        self.served += 1;
        Some((ticket, (self.served - since) as u32))
    }

    /// Takes out one that gave up; its place so far, if it was here.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<u32> {
        let index = self.waiting.iter().position(|&(_, waiting, _)| waiting == ticket)?;
        let (_, _, since) = self.waiting.remove(index)?;
        Some((self.served - since) as u32)
    }
}
