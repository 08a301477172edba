//! The lines HAProxy logs about servers, word for word.

use core::fmt;

use crate::health::Health;
use crate::standing::Moved;
use crate::status::{Outcome, Reason};

/// How severe a line is; syslog's numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Level {
    /// 0: nobody is left.
    Emerg = 0,
    /// 1: a server is lost.
    Alert = 1,
    /// 5: what an operator may want to know.
    Notice = 5,
}

/// Who a line is about: `be/srv`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Named<'a> {
    /// The backend.
    pub backend: &'a str,
    /// Its server.
    pub server: &'a str,
    /// Whether it is a backup.
    pub backup: bool,
}

/// Who is left, and what that means for those connected.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// Servers in use.
    pub active: u32,
    /// Backups that could be.
    pub backup: u32,
    /// Connections of the server.
    pub sessions: u32,
    /// Those sent to another server, or taken from the queue.
    pub requeued: u32,
    /// Those that wait for any server.
    pub queued: u32,
}

/// Why a server moved.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Why<'a> {
    /// Nothing is said of it: `option log-health-checks` has said it already, or there is no reason.
    #[default]
    Unsaid,
    /// A check found this.
    Found(&'a Reason),
    /// An operator said so.
    Told,
    /// Name servers: why there is no address, or the name that has one again.
    Name(&'a str),
}

/// One line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLine<'a> {
    /// `option log-health-checks`: a check moved the counter, or ended otherwise than the last one.
    Checked {
        /// Of whom.
        who: Named<'a>,
        /// Whether it was the agent.
        agent: bool,
        /// With what result.
        reason: &'a Reason,
        /// And what that made of the server.
        health: Health,
        /// Its weight is 0.
        drained: bool,
    },
    /// A server moved.
    Moved {
        /// Who.
        who: Named<'a>,
        /// How.
        moved: Moved,
        /// The server it tracks, where that one is the reason.
        via: Option<Named<'a>>,
        /// Why.
        why: Why<'a>,
        /// Who is left.
        left: Left,
        /// It took no new sessions before.
        was_stopping: bool,
    },
    /// The last server of a backend is gone.
    NoServer {
        /// Of which backend.
        backend: &'a str,
        /// Whether that is a `listen` section.
        listen: bool,
    },
}

impl LogLine<'_> {
    /// How severe it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::NoServer { .. } => Level::Emerg,
            Self::Moved {
                moved: Moved::Down | Moved::IntoMaint { was_down: false, .. },
                was_stopping: false,
                ..
            } => Level::Alert,
            Self::Checked { .. } | Self::Moved { .. } => Level::Notice,
        }
    }
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checked { who, agent, reason, health, drained } => {
                let kind = if *agent { "Agent" } else { "Health" };
                let backup = if who.backup { "backup " } else { "" };
                let result = match reason.verdict.status.outcome() {
                    Outcome::Passed => "succeeded",
                    Outcome::Conditional => "conditionally succeeded",
                    Outcome::Neutral | Outcome::Failed => "failed",
                };
                let (step, of) = health.steps();
                let state = match (health.is_up(), drained) {
                    (true, true) => "DRAIN",
                    (true, false) => "UP",
                    (false, _) => "DOWN",
                };
                let Named { backend, server, .. } = who;
                write!(f, "{kind} check for {backup}server {backend}/{server} {result}{reason}")?;
                write!(f, ", status: {step}/{of} {state}.")
            }
            Self::Moved { who, moved, via, why, left, .. } => {
                let ready = |drain: bool| if drain { "DRAIN" } else { "READY" };
                let up = |up: bool| if up { "UP" } else { "DOWN" };
                let forced = |forced: bool| if forced { "forced " } else { "" };
                write!(f, "{who} ")?;
                match *moved {
                    Moved::Down => f.write_str("is DOWN")?,
                    Moved::Up => f.write_str("is UP")?,
                    Moved::Stopping => f.write_str("is stopping")?,
                    Moved::IntoMaint { was_down: false, .. } => {
                        f.write_str("is going DOWN for maintenance")?;
                    }
                    Moved::IntoMaint { was_down: true, .. } => {
                        f.write_str("was DOWN and now enters maintenance")?;
                    }
                    Moved::IntoDrain { .. } => f.write_str("enters drain state")?,
                    Moved::OutOfMaint { up: is, drain, .. } if let Why::Name(name) = why => {
                        let (is, ready) = (up(is), ready(drain));
                        return write!(f, "('{name}') is {is}/{ready} (resolves again).");
                    }
                    Moved::OutOfMaint { up: is, drain, forced: by } => {
                        let (is, ready, by) = (up(is), ready(drain), forced(by));
                        return write!(f, "is {is}/{ready} (leaving {by}maintenance).");
                    }
                    Moved::OutOfDrain { up: is, .. } => {
                        return write!(f, "is {} (leaving forced drain).", up(is));
                    }
                }
                if let Some(Named { backend, server, .. }) = via {
                    write!(f, " via {backend}/{server}")?;
                }
                match why {
                    Why::Unsaid => {}
                    Why::Found(reason) => write!(f, "{reason}")?,
                    Why::Told => f.write_str(", changed from CLI")?,
                    Why::Name(said) => write!(f, " ({said})")?,
                }
                f.write_str(".")?;
                let Left { active, backup, sessions, requeued, queued } = left;
                match moved {
                    Moved::IntoMaint { was_down: true, .. } => Ok(()),
                    Moved::Down | Moved::IntoMaint { .. } => {
                        write!(f, " {active} active and {backup} backup servers left.")?;
                        f.write_str(left.on_backup())?;
                        write!(f, " {sessions} sessions active, {requeued} requeued")?;
                        write!(f, ", {queued} remaining in queue.")
                    }
                    _ => {
                        write!(f, " {active} active and {backup} backup servers online.")?;
                        f.write_str(left.on_backup())?;
                        write!(f, " {requeued} sessions requeued, {queued} total in queue.")
                    }
                }
            }
            Self::NoServer { backend, listen } => {
                let kind = if *listen { "proxy" } else { "backend" };
                write!(f, "{kind} {backend} has no server available!")
            }
        }
    }
}

impl Left {
    const fn on_backup(&self) -> &'static str {
        if self.active == 0 && self.backup > 0 { " Running on backup." } else { "" }
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backup = if self.backup { "Backup " } else { "" };
        write!(f, "{backup}Server {}/{}", self.backend, self.server)
    }
}
