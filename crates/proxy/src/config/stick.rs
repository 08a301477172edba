//! Stick tables, the rules that go by them, and who shares them.

use std::net::SocketAddr;

use rules::{Condition, Expr};

use super::{Bind, Origin};

/// A stick table of a proxy or of a `peers` section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickTable {
    /// Of its proxy, or `peers/name`: rules and commands find it by this.
    pub name: String,
    /// What peers call it: its name without that of the section.
    pub shared_name: String,
    /// What it is.
    pub config: stick::Config,
    /// The position of the `peers` section that shares it.
    pub peers: Option<usize>,
}

/// A `stick` rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickRule {
    /// The position of its table in [`Process::tables`](super::Process::tables).
    pub table: usize,
    /// The key.
    pub expr: Expr,
    /// `match`, `on`: a known key leads to its server.
    pub matches: bool,
    /// `store-request`, `on`: the server is remembered.
    pub stores: bool,
    /// When; `None`: always.
    pub condition: Option<Condition>,
}

/// What makes connections of a backend stick to servers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stickiness {
    /// `stick on`, `stick match` and `stick store-request`.
    pub rules: Vec<StickRule>,
    /// `stick store-response`.
    pub answers: Vec<StickRule>,
    /// `option persist`: also to servers that are down.
    pub persist: bool,
    /// `force-persist` (true) and `ignore-persist` (false): the first that holds counts.
    pub exceptions: Vec<(bool, Condition)>,
}

/// A `peers` section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeersSection {
    /// Its name.
    pub name: String,
    /// `disabled`.
    pub disabled: bool,
    /// Its peers, in the order of the file.
    pub peers: Vec<Peer>,
    /// The position of this process among them.
    pub local: usize,
    /// Where it listens, of the `bind` line or the local peer's address.
    pub bind: Option<Bind>,
    /// Where it stands.
    pub origin: Origin,
}

/// One process that shares tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Its name, as it says of itself.
    pub name: String,
    /// Where it listens; the local one may have none.
    pub address: Option<SocketAddr>,
}
