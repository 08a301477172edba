//! Who is told when something changes: scripts, FIFOs, mail.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// A program that is run, and by whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Command {
    /// The program and its arguments, quotes resolved. Never empty.
    pub words: Vec<String>,
    /// Who runs it; [`Globals::script_user`](super::Globals::script_user) if none.
    pub user: Option<String>,
    /// Its group; the user's own if none.
    pub group: Option<String>,
}

/// What an instance or a sync group has run at its transitions.
///
/// [`any`](Self::any) and the FIFOs get `INSTANCE|GROUP`, the name, the state and the priority.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NotifyConfig {
    /// On becoming master.
    pub master: Option<Command>,
    /// On becoming backup.
    pub backup: Option<Command>,
    /// On leaving the race.
    pub fault: Option<Command>,
    /// When the daemon stops.
    pub stop: Option<Command>,
    /// When a reload removes it; [`fault`](Self::fault) is run unless
    /// [`deleted_is_told`](Self::deleted_is_told).
    pub deleted: Option<Command>,
    /// `notify_deleted` is there: a removed instance is told as `DELETED`, not as `FAULT`.
    pub deleted_is_told: bool,
    /// When a master hears a lower priority.
    pub master_rx_lower_pri: Option<Command>,
    /// At every change of state, with four more arguments.
    pub any: Option<Command>,
    /// The FIFO is told of every change of the priority.
    pub priority_changes: bool,
    /// A mail is sent at every change of state.
    pub smtp_alert: bool,
}

/// A named pipe that is told of every transition, one line each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FifoConfig {
    /// Where it is, or is created.
    pub path: String,
    /// Its owner; the script user if none.
    pub user: Option<String>,
    /// Its group; the user's own if none.
    pub group: Option<String>,
    /// A reader started with the path as its last argument, and again when it ends.
    pub reader: Option<Command>,
}

/// Where mail goes, and from whom (RFC 5321).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MailConfig {
    /// Who gets it; nobody gets any if empty.
    pub recipients: Vec<String>,
    /// The sender shown; `keepalived@` the host's name if none.
    pub from: Option<String>,
    /// The relay's name or address; none is sent without.
    pub server: Option<String>,
    /// The relay's port.
    pub port: u16,
    /// How long the relay may take to answer.
    pub timeout: Duration,
    /// What we call ourselves; the host's name if none.
    pub helo_name: Option<String>,
    /// No mail is sent on leaving the race.
    pub no_faults: bool,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            recipients: Vec::new(),
            from: None,
            server: None,
            port: 25,
            timeout: Duration::from_secs(30),
            helo_name: None,
            no_faults: false,
        }
    }
}

/// A script of the daemon's own start or end.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LifeScript {
    /// What is run.
    pub command: Command,
    /// How long it is waited for: 1 to 1000 s, 10 s by default.
    pub timeout: Duration,
}
