//! HAProxy's rules: values, what becomes of them, what they are compared with, and what follows.
//!
//! ```text
//!   bytes, addresses, counters ──► fetch ──► converter… ──► patterns ──► ACL ──► condition ──► action
//!          Scope                  req.ssl_sni   lower      -m end .org   is_org  if is_org !x   reject
//!                                        └───────┬──────┘
//!                                              Expr ──► Format ──► a line of a log, a backend's name
//! ```
//!
//! Everything is decided from a [`Scope`]: no clock is read here and no socket. A value that more
//! bytes may change makes a condition [`Truth::Unknown`], and a rule that asks it [`Verdict::Wait`].
//! Fetches and converters are rows of tables ([`fetch::all`], [`convert::all`]): the reader of a
//! dialect looks them up by name. What HAProxy knows and is not built is listed by name.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rules::pattern::{Flags, Match, Set};
//! use rules::record::{Process, Record};
//! use rules::{Acl, Action, Condition, Expr, Rule, Scope, Term, Test, Verdict, Waiting, fetch, run};
//! # use rules::scope::*;
//! # struct Nobody(Process);
//! # impl Environment for Nobody {
//! #     fn address(&self, _: End) -> Option<std::net::SocketAddr> { None }
//! #     fn is_local(&self, _: std::net::IpAddr) -> Option<bool> { None }
//! #     fn number(&self, _: Number) -> Option<i64> { None }
//! #     fn name(&self, _: Name) -> Option<std::borrow::Cow<'_, str>> { None }
//! #     fn frontend(&self, _: usize, _: FrontendNumber) -> Option<i64> { None }
//! #     fn backend(&self, _: usize, _: BackendNumber) -> Option<i64> { None }
//! #     fn server(&self, _: usize, _: usize, _: ServerNumber) -> Option<i64> { None }
//! #     fn backend_named(&self, _: &str) -> Option<usize> { None }
//! #     fn server_named(&self, _: usize, _: &str) -> Option<usize> { None }
//! #     fn random(&self, _: u64) -> u64 { 0 }
//! #     fn process(&self) -> &Process { &self.0 }
//! #     fn log_variable(&self, _: rules::format::Variable, _: &mut Vec<u8>) -> bool { false }
//! # }
//! # let environment = Nobody(Process::default());
//!
//! // tcp-request content accept if { req.payload(0,4) -m str "SSH-" }
//! let fetch = fetch::named("req.payload").expect("a fetch");
//! let args = vec![rules::Arg::Int(0), rules::Arg::Int(4)];
//! let mut patterns = Set::new(Match::Bin, Flags::default());
//! patterns.add("5353482D")?;
//! let test = Test { expr: Expr::new(fetch, args), patterns: patterns.into() };
//! let acl = Arc::new(Acl { name: "".into(), tests: vec![test] });
//! let any = vec![vec![Term { negated: false, acl }]];
//! let condition = Some(Condition { unless: false, any });
//! let rules = [
//!     Rule::new(Action::Accept, condition),
//!     Rule::new(Action::Reject, None),
//! ];
//!
//! let verdict = |bytes: &[u8], last| {
//!     let request = Some(Waiting { bytes, complete: last });
//!     let scope = Scope { request, last, ..Scope::new(&environment) };
//!     run(&rules, &scope, &mut Record::default())
//! };
//! assert_eq!(verdict(b"SS", false), Verdict::Wait);
//! assert_eq!(verdict(b"SSH-2.0", false), Verdict::Accept);
//! assert_eq!(verdict(b"SS", true), Verdict::Reject);
//! # Ok::<(), String>(())
//! ```

#![forbid(unsafe_code)]

mod acl;
mod action;
mod arg;
pub mod convert;
mod expr;
pub mod fetch;
pub mod format;
pub mod http;
mod later;
pub mod list;
mod live;
mod map;
pub mod pattern;
pub mod record;
mod regex;
pub mod scope;
mod source;
pub mod tables;
mod users;
mod value;

pub use acl::{Acl, Condition, Term, Test, Truth};
pub use action::{
    Action, Conditional, Input, ListChange, Operand, Rule, Timeout, VarCondition, Verdict, run,
};
pub use arg::{Arg, Args, Kind};
pub use expr::{Expr, Mismatch, Reference};
pub use format::Format;
pub use later::{Lookup, Question};
pub use list::Patterns;
pub use live::Live;
pub use map::Map;
pub use regex::Regex;
pub use scope::{Exchange, Found, Scope, Waiting};
pub use source::{Place, Source};
pub use users::{Users, basic};
pub use value::{Type, Value};

#[cfg(test)]
mod tests;
