//! What checks of servers are made of besides [`check::Config`].

use std::net::SocketAddr;
use std::time::Duration;

use rules::record::Variable;
use rules::{Expr, Format, Regex};

use super::{BackendIndex, Severity};

/// What the steps of a backend's checks mean by number: see [`check::Words`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckWords {
    /// Regular expressions.
    pub regexes: Vec<Regex>,
    /// Formats.
    pub formats: Vec<Format>,
    /// Expressions that make numbers.
    pub numbers: Vec<Expr>,
    /// `set-var`, `set-var-fmt`, `unset-var`.
    pub acts: Vec<CheckAct>,
}

/// What `tcp-check set-var` and its like do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckAct {
    /// `set-var`.
    Set(Variable, Expr),
    /// `set-var-fmt`.
    Format(Variable, Format),
    /// `unset-var`.
    Unset(Variable),
}

/// `track`: the server whose state another one has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tracked {
    /// Its backend.
    pub backend: BackendIndex,
    /// Its position there.
    pub server: usize,
}

/// `email-alert`: who is told by mail of what happens to a proxy's servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EmailAlert {
    /// The relays of the `mailers` section; each gets every mail.
    pub mailers: Vec<SocketAddr>,
    /// `timeout mail`: how long a conversation with one may take.
    pub timeout: Duration,
    /// `email-alert from`.
    pub from: String,
    /// `email-alert to`.
    pub to: String,
    /// `email-alert level`: lines of this severity and above.
    pub level: Severity,
    /// `email-alert myhostname`; the machine's name when not given.
    pub host: Option<String>,
}
