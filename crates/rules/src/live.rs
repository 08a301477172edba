//! Values that many read and few change.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// A value as the configuration gave it, and what became of it since.
///
/// Until the first change readers take no lock. Who looks sees one version for as long as it looks.
/// Two of them are equal if the configuration gave the same.
pub struct Live<T> {
    first: T,
    changed: AtomicBool,
    now: RwLock<Option<T>>,
}

impl<T> Live<T> {
    /// A value as the configuration gives it.
    pub const fn new(first: T) -> Self {
        Self { first, changed: AtomicBool::new(false), now: RwLock::new(None) }
    }

    /// Looks at the value as it is.
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        if !self.changed.load(Ordering::Acquire) {
            return look(&self.first);
        }
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        look(now.as_ref().unwrap_or(&self.first))
    }

    /// Whoever looks from now on sees this one.
    pub(crate) fn replace(&self, value: T) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = Some(value);
        self.changed.store(true, Ordering::Release);
    }
}

impl<T: Clone> Live<T> {
    /// Changes the value.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut T)) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        change(now.get_or_insert_with(|| self.first.clone()));
        self.changed.store(true, Ordering::Release);
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|now| now.fmt(f))
    }
}

impl<T: PartialEq> PartialEq for Live<T> {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first
    }
}

impl<T: Eq> Eq for Live<T> {}
