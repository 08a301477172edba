//! Values by object identifier.

use alloc::collections::BTreeMap;
use core::ops::Bound;

use crate::value::{Oid, Value};

/// What can be asked for, at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree(BTreeMap<Oid, Value>);

impl Tree {
    /// A tree without values.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// Puts a value at `oid`, in place of one that is there.
    pub fn set(&mut self, oid: Oid, value: Value) {
        self.0.insert(oid, value);
    }

    /// What is at `oid`.
    #[must_use]
    pub fn get(&self, oid: &Oid) -> Option<&Value> {
        self.0.get(oid)
    }

    /// The first value behind `start`, or at it if `include`, and before `end` if there is one
    /// (RFC 2741 §7.2.3.2).
    #[must_use]
    pub fn next(&self, start: &Oid, include: bool, end: &Oid) -> Option<(&Oid, &Value)> {
        let from = if include { Bound::Included(start) } else { Bound::Excluded(start) };
        let found = self.0.range((from, Bound::Unbounded)).next()?;
        (end.numbers().is_empty() || found.0 < end).then_some(found)
    }

    /// Whether another instance of the object `oid` is one of is there: then it is the instance that
    /// is missing, not the object.
    #[must_use]
    pub fn has_sibling(&self, oid: &Oid) -> bool {
        let Some((_, parent)) = oid.numbers().split_last() else { return false };
        let parent = Oid::from(parent.to_vec());
        let next = self.0.range((Bound::Excluded(&parent), Bound::Unbounded)).next();
        next.is_some_and(|(found, _)| {
            let (found, same) = (found.numbers(), oid.numbers().len());
            found.starts_with(parent.numbers()) && found.len() == same
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for last in [1, 2, 5] {
            tree.set(Oid::from([1, 3, last]), Value::Gauge(last));
        }
        tree
    }

    #[test]
    fn next_is_what_is_behind_and_before_the_end() {
        let tree = tree();
        let none = Oid::default();
        let next = |start: [u32; 3], include, end: &Oid| {
            tree.next(&start.into(), include, end).map(|(oid, _)| oid.numbers()[2])
        };
        assert_eq!(next([1, 3, 1], false, &none), Some(2));
        assert_eq!(next([1, 3, 1], true, &none), Some(1));
        assert_eq!(next([1, 3, 3], true, &none), Some(5));
        assert_eq!(next([1, 3, 2], false, &Oid::from([1, 3, 5])), None);
        assert_eq!(next([1, 3, 5], false, &none), None);
    }

    #[test]
    fn a_sibling_is_an_instance_of_the_same_object() {
        let tree = tree();
        assert!(tree.has_sibling(&Oid::from([1, 3, 9])));
        assert!(!tree.has_sibling(&Oid::from([1, 3])));
        assert!(!tree.has_sibling(&Oid::from([1, 4, 1])));
    }
}
