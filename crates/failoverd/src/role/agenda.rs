//! Which instance is due when: no instance is looked at before its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use machine::{Instant, Machine as _};

use super::Role;

/// The deadlines of all instances, by their places among the members.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// What was set, also what has been set anew since.
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    set: Vec<Option<Instant>>,
}

impl Agenda {
    /// Sets the deadline of the instance at `index`.
    pub(super) fn set(&mut self, index: usize, at: Option<Instant>) {
        if self.set.len() <= index {
            self.set.resize(index + 1, None);
        }
        if self.set[index] != at {
            self.set[index] = at;
            self.heap.extend(at.map(|at| Reverse((at, index))));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, index))) = self.heap.peek().copied() {
            if self.set.get(index) == Some(&Some(at)) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes those out whose deadline has come, the earliest first.
    pub(super) fn due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            if let Some(Reverse((_, index))) = self.heap.pop() {
                self.set[index] = None;
                due.push(index);
            }
        }
        due
    }

    /// Forgets everything, as the members' places have changed.
    fn clear(&mut self) {
        self.heap.clear();
        self.set.clear();
    }
}

impl Role {
    /// Notes when the instance at `index` is due.
    pub(super) fn schedule(&mut self, index: usize) {
        if let Some(member) = self.members.get(index) {
            self.agenda.set(index, member.instance.deadline());
        }
    }

    /// Takes note that the members have other places, or other sockets, than before.
    pub(super) fn renumber(&mut self) {
        self.agenda.clear();
        for index in 0..self.members.len() {
            self.schedule(index);
        }
        self.facts.index(&self.members, &self.config);
        self.index_routes();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn only_the_last_deadline_of_an_instance_counts() {
        let mut agenda = Agenda::default();
        agenda.set(3, Some(at(30)));
        agenda.set(1, Some(at(10)));
        agenda.set(1, Some(at(40)));
        agenda.set(2, Some(at(20)));
        agenda.set(2, None);
        assert_eq!(agenda.next(), Some(at(30)));
        assert_eq!(agenda.due(at(29)), [0; 0]);
        agenda.set(3, Some(at(5)));
        assert_eq!(agenda.due(at(40)), [3, 1]);
        assert_eq!(agenda.next(), None);
    }

    #[test]
    fn what_was_due_can_be_set_to_the_same_time_again() {
        let mut agenda = Agenda::default();
        agenda.set(0, Some(at(1)));
        assert_eq!(agenda.due(at(1)), [0]);
        agenda.set(0, Some(at(1)));
        assert_eq!(agenda.due(at(1)), [0]);
        agenda.clear();
        assert_eq!(agenda.next(), None);
    }
}
