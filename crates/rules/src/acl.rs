//! ACLs, and conditions made of them.

use std::sync::Arc;

use crate::expr::{Expr, Reference};
use crate::list::Patterns;

use crate::record::Record;
use crate::scope::{Found, Scope};
use crate::source::Place;

/// Whether something holds, as far as is known.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Truth {
    /// No.
    No,
    /// More bytes will tell.
    Unknown,
    /// Yes.
    Yes,
}

impl Truth {
    pub(crate) const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

/// A named list of tests: it holds if one of them does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acl {
    /// Its name; empty between `{` and `}`.
    pub name: Box<str>,
    /// The tests, one for each line of the name.
    pub tests: Vec<Test>,
}

/// A value and what it is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Test {
    /// The value.
    pub expr: Expr,
    /// The patterns.
    pub patterns: Patterns,
}

impl Test {
    fn eval<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) -> Truth {
        if !self.expr.has_several() {
            return self.one(scope, record).unwrap_or(Truth::No);
        }
        let mut truth = Truth::No;
        for nth in 0.. {
            let scope = Scope { nth: Some(nth), ..*scope };
            match self.one(&scope, record) {
                Some(Truth::Yes) => return Truth::Yes,
                Some(one) => truth = truth.max(one),
                None => break,
            }
            // More bytes will tell of all of them.
            if truth == Truth::Unknown {
                break;
            }
        }
        truth
    }

    /// Whether one value matches; `None` if there is none.
    fn one<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) -> Option<Truth> {
        let (value, fixed) = match self.expr.eval(scope, record) {
            Found::Value(value) => (value, true),
            Found::Tentative(value) => (value, false),
            Found::Nothing => return None,
            Found::NotYet => return Some(Truth::Unknown),
        };
        Some(match (self.patterns.matches(value), fixed) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::No,
            (false, false) => Truth::Unknown,
        })
    }
}

impl Acl {
    /// Whether it holds.
    pub fn eval<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) -> Truth {
        let mut truth = Truth::No;
        for test in &self.tests {
            truth = truth.max(test.eval(scope, record));
            if truth == Truth::Yes {
                break;
            }
        }
        truth
    }

    /// The first of its fetches that can never find anything at `place`.
    pub fn misplaced(&self, place: &[Place]) -> Option<&'static str> {
        let offered = |test: &&Test| place.iter().any(|place| place.offers(test.expr.source()));
        self.tests.iter().find(|test| !offered(test)).map(|test| test.expr.fetch_name())
    }
}

/// An ACL in a condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Term {
    /// Behind a `!`.
    pub negated: bool,
    /// The ACL.
    pub acl: Arc<Acl>,
}

/// `if …` or `unless …`: it holds if all terms of one of its groups do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Condition {
    /// `unless`.
    pub unless: bool,
    /// The groups that `||` separates.
    pub any: Vec<Vec<Term>>,
}

impl Condition {
    /// Whether it holds.
    pub fn eval<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) -> Truth {
        let mut truth = Truth::No;
        for group in &self.any {
            let mut all = Truth::Yes;
            for term in group {
                let one = term.acl.eval(scope, record);
                all = all.min(if term.negated { one.not() } else { one });
                if all == Truth::No {
                    break;
                }
            }
            truth = truth.max(all);
            if truth == Truth::Yes {
                break;
            }
        }
        if self.unless { truth.not() } else { truth }
    }

    /// Its ACLs.
    pub fn acls(&self) -> impl Iterator<Item = &Arc<Acl>> {
        self.any.iter().flatten().map(|term| &term.acl)
    }

    /// Whether one of its ACLs looks at bytes of the client.
    pub fn reads_request(&self) -> bool {
        self.acls().flat_map(|acl| &acl.tests).any(|test| test.expr.reads_request())
    }

    /// Calls `resolve` for every argument that is a name.
    pub fn references(&mut self, resolve: &mut dyn FnMut(Reference<'_>)) {
        for term in self.any.iter_mut().flatten() {
            for test in &mut Arc::make_mut(&mut term.acl).tests {
                test.expr.references(resolve);
            }
        }
    }
}
