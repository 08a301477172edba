//! How a session ended: HAProxy's two letters as a type.

use std::fmt;

/// Who or what ended a session, and how far it had come.
///
/// Its [`Display`](fmt::Display) is the field `%ts` of a log line.
///
/// ```
/// use proxy::{Cause, Phase, Termination};
///
/// assert_eq!(Termination::NORMAL.to_string(), "--");
/// let timeout = Termination { cause: Cause::ServerTimeout, phase: Phase::Connect };
/// assert_eq!(timeout.to_string(), "sC");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Termination {
    /// The first letter.
    pub cause: Cause,
    /// The second letter.
    pub phase: Phase,
}

impl Termination {
    /// Both sides ended as they wanted.
    pub const NORMAL: Self = Self { cause: Cause::None, phase: Phase::None };

    /// A session that ended because of `cause` in `phase`.
    pub const fn new(cause: Cause, phase: Phase) -> Self {
        Self { cause, phase }
    }

    /// Whether nothing went wrong.
    pub fn is_normal(self) -> bool {
        self.cause == Cause::None
    }
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.cause.letter(), self.phase.letter())
    }
}

/// Who or what ended a session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// Nobody: it came to its end.
    None,
    /// The client broke off.
    Client,
    /// The server broke off or refused.
    Server,
    /// A rule or a limit of the proxy.
    Proxy,
    /// The proxy answered by itself.
    Local,
    /// Something ran out: memory, descriptors, ports.
    Resource,
    /// A mistake inside the proxy.
    Internal,
    /// The server was found down (`on-marked-down shutdown-sessions`).
    ServerDown,
    /// An active server came back (`on-marked-up shutdown-backup-sessions`).
    BackupNotNeeded,
    /// An operator.
    Killed,
    /// The client was silent for too long.
    ClientTimeout,
    /// The server was, or the wait for one was too long.
    ServerTimeout,
}

impl Cause {
    /// HAProxy's letter.
    pub const fn letter(self) -> char {
        match self {
            Self::None => '-',
            Self::Client => 'C',
            Self::Server => 'S',
            Self::Proxy => 'P',
            Self::Local => 'L',
            Self::Resource => 'R',
            Self::Internal => 'I',
            Self::ServerDown => 'D',
            Self::BackupNotNeeded => 'U',
            Self::Killed => 'K',
            Self::ClientTimeout => 'c',
            Self::ServerTimeout => 's',
        }
    }
}

/// How far a session had come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Phase {
    /// To its end, or nobody asks.
    None,
    /// The client's request was awaited.
    Request,
    /// In a queue.
    Queue,
    /// Connecting to a server.
    Connect,
    /// The server's headers were awaited.
    Headers,
    /// Data went both ways.
    Data,
    /// The last data went to the client, the server had ended.
    Last,
    /// In the tar pit.
    Tarpit,
}

impl Phase {
    /// HAProxy's letter.
    pub const fn letter(self) -> char {
        match self {
            Self::None => '-',
            Self::Request => 'R',
            Self::Queue => 'Q',
            Self::Connect => 'C',
            Self::Headers => 'H',
            Self::Data => 'D',
            Self::Last => 'L',
            Self::Tarpit => 'T',
        }
    }
}
