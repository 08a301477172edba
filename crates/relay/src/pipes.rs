//! Pipes for data that is spliced: how many there may be, how large they are, and the spare ones.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use linux::splice::Pipe;

/// What a pipe is made for. More does not move more bytes per second (measured), and a user
/// without privileges has only so many pages of pipes.
pub(crate) const SIZE: usize = 256 * 1024;
/// Pipes that a thread keeps for the next who needs one.
const SPARE: usize = 32;

/// How many pipes the process may have.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);
/// How many it has.
static OPEN: AtomicUsize = AtomicUsize::new(0);
/// What the next one is made for.
static CAPACITY: AtomicUsize = AtomicUsize::new(SIZE);

thread_local! {
    static SPARES: RefCell<Vec<Lent>> = const { RefCell::new(Vec::new()) };
}

/// Sets how many pipes the process may have (none: nothing is spliced any more) and for how many
/// bytes each is made; `None` is 256 KiB. Relays that are under way keep the pipes they have.
pub fn limit_pipes(most: usize, capacity: Option<usize>) {
    MOST.store(most, Relaxed);
    CAPACITY.store(capacity.unwrap_or(SIZE), Relaxed);
}

/// Whether data may be spliced at all.
pub(crate) fn allowed() -> bool {
    MOST.load(Relaxed) > 0
}

/// A pipe that counts.
#[derive(Debug)]
pub(crate) struct Lent(Pipe);

impl Drop for Lent {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
    }
}

impl Deref for Lent {
    type Target = Pipe;

    fn deref(&self) -> &Pipe {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Pipe {
        &mut self.0
    }
}

/// An empty pipe: a spare one, or a new one where there may be one more and a descriptor is left.
pub(crate) fn take() -> Option<Lent> {
    if let Some(spare) = SPARES.with_borrow_mut(Vec::pop) {
        return Some(spare);
    }
    if OPEN.fetch_add(1, Relaxed) >= MOST.load(Relaxed) {
        OPEN.fetch_sub(1, Relaxed);
        return None;
    }
    match Pipe::new(CAPACITY.load(Relaxed)) {
        Ok(pipe) => Some(Lent(pipe)),
        Err(_) => {
            OPEN.fetch_sub(1, Relaxed);
            None
        }
    }
}

/// An empty pipe is kept for the next; one that still holds bytes is closed with them.
pub(crate) fn give_back(pipe: Lent) {
    SPARES.with_borrow_mut(|spares| {
        if pipe.is_empty() && spares.len() < SPARE && allowed() {
            spares.push(pipe);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limits are of the process: one test for all, so that none is in another's way.
    #[test]
    fn there_are_as_many_pipes_as_may_be_and_one_that_ends_makes_room() {
        // Relays of other tests may hold some meanwhile: the limit is counted from a high mark.
        assert!(allowed());
        limit_pipes(0, None);
        assert!(!allowed());
        let spares = SPARES.with_borrow(Vec::len);
        assert_eq!(spares, 0, "a thread of its own");
        assert!(take().is_none());
        limit_pipes(usize::MAX, Some(65_536));
        let one = take().expect("a pipe");
        assert!(OPEN.load(Relaxed) >= 1);
        give_back(one);
        assert_eq!(SPARES.with_borrow(Vec::len), 1);
        assert!(take().is_some(), "the spare one");
        limit_pipes(usize::MAX, None);
    }
}
