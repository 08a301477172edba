//! Everything that happened, in one list that all threads may read and wait on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::order::{Event, Moment};

/// One thing that happened in one node.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, by the node's reading of the common clock.
    pub at: Moment,
    /// The node's name.
    pub node: Arc<str>,
    /// What.
    pub event: Event,
}

/// The list of [`Entry`]s, in the order in which they reached the lab.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<Vec<Entry>>,
    grown: Condvar,
}

impl Journal {
    /// Appends and wakes whoever waits.
    pub(crate) fn push(&self, entry: Entry) {
        self.lock().push(entry);
        self.grown.notify_all();
    }

    /// How many entries there are: the place to start reading what comes next.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the entries from place `from` on.
    pub fn since(&self, from: usize) -> Vec<Entry> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    /// Shows all entries to `look`, in place; nothing is appended meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until `found` returns something for an entry at `from` or later.
    ///
    /// Each entry is shown to `found` once. `None` when `limit` passes first.
    pub fn wait<T>(
        &self,
        from: usize,
        limit: Duration,
        mut found: impl FnMut(&Entry) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut next = from;
        let mut entries = self.lock();
        loop {
            while next < entries.len() {
                if let Some(value) = found(&entries[next]) {
                    return Some(value);
                }
                next += 1;
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            entries = self.grown.wait_timeout(entries, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // A thread that panicked while appending leaves a list that is still in order.
        self.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
