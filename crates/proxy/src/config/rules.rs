//! Rules of frontends and backends, resolved.

use std::time::Duration;

use ::rules::{Condition, Format, Rule};

use super::BackendIndex;

/// What a frontend decides of its connections, in the order they pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FrontendRules {
    /// `tcp-request connection`: at accept.
    pub connection: Vec<Rule>,
    /// `tcp-request session`: once a PROXY header was read.
    pub session: Vec<Rule>,
    /// `tcp-request content`: while the client's first bytes come.
    pub content: Vec<Rule>,
    /// `tcp-request inspect-delay`: for how long they are waited for.
    pub inspect_delay: Option<Duration>,
    /// `use_backend`: the first whose condition holds is taken, else the default backend.
    pub switching: Vec<Switch>,
}

/// A `use_backend` rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Switch {
    /// Where to.
    pub target: SwitchTarget,
    /// When; `None`: always.
    pub condition: Option<Condition>,
}

/// Where a [`Switch`] leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SwitchTarget {
    /// To this backend.
    Backend(BackendIndex),
    /// To the backend of this name; to none if there is none.
    Named(Format),
}

/// What a backend decides of its connections.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BackendRules {
    /// `tcp-request content`; of a `listen` section, for connections of other frontends.
    pub content: Vec<Rule>,
    /// `tcp-request inspect-delay`.
    pub inspect_delay: Option<Duration>,
    /// `use-server`.
    pub servers: Vec<ServerRule>,
    /// `tcp-response content`: while the server's first bytes come.
    pub response: Vec<Rule>,
    /// `tcp-response inspect-delay`.
    pub response_delay: Option<Duration>,
    /// `stick` rules and what goes with them.
    pub stick: super::Stickiness,
}

/// A `use-server` rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerRule {
    /// Which.
    pub target: ServerTarget,
    /// When.
    pub condition: Condition,
}

/// The server of a [`ServerRule`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerTarget {
    /// Its position in the backend.
    Server(usize),
    /// The one of this name; none if there is none.
    Named(Format),
}
