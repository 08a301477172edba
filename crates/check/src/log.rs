//! The lines HAProxy logs about servers, word for word.

use core::fmt;

use crate::health::Health;
use crate::status::Reason;

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

/// One line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLine<'a> {
    /// `option log-health-checks`: a check moved the counter, or ended otherwise than the last one.
    Checked {
        /// Of whom.
        who: Named<'a>,
        /// With what result.
        reason: &'a Reason,
        /// And what that made of the server.
        health: Health,
    },
    /// A server is down.
    Down {
        /// Who.
        who: Named<'a>,
        /// Why; only without `option log-health-checks`, whose line says it already.
        reason: Option<&'a Reason>,
        /// Who is left.
        left: Left,
    },
    /// A server is up.
    Up {
        /// Who.
        who: Named<'a>,
        /// Why; as for [`LogLine::Down`].
        reason: Option<&'a Reason>,
        /// Who is there.
        left: Left,
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
            Self::Down { .. } => Level::Alert,
            Self::Checked { .. } | Self::Up { .. } => Level::Notice,
        }
    }
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = |f: &mut fmt::Formatter<'_>, reason: Option<&Reason>| match reason {
            Some(reason) => write!(f, "{reason}."),
            None => f.write_str("."),
        };
        match self {
            Self::Checked { who, reason, health } => {
                let backup = if who.backup { "backup " } else { "" };
                let passed = reason.verdict.status.passed();
                let result = if passed { "succeeded" } else { "failed" };
                let (step, of) = health.steps();
                let state = if health.is_up() { "UP" } else { "DOWN" };
                let Named { backend, server, .. } = who;
                write!(f, "Health check for {backup}server {backend}/{server} {result}{reason}")?;
                write!(f, ", status: {step}/{of} {state}.")
            }
            Self::Down { who, reason: why, left } => {
                write!(f, "{who} is DOWN")?;
                reason(f, *why)?;
                let Left { active, backup, sessions, requeued, queued } = left;
                write!(f, " {active} active and {backup} backup servers left.")?;
                f.write_str(left.on_backup())?;
                write!(f, " {sessions} sessions active, {requeued} requeued")?;
                write!(f, ", {queued} remaining in queue.")
            }
            Self::Up { who, reason: why, left } => {
                write!(f, "{who} is UP")?;
                reason(f, *why)?;
                let Left { active, backup, requeued, queued, .. } = left;
                write!(f, " {active} active and {backup} backup servers online.")?;
                f.write_str(left.on_backup())?;
                write!(f, " {requeued} sessions requeued, {queued} total in queue.")
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
