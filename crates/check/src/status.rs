//! What one check found out.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

/// How a check ended, in HAProxy's terms.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Status {
    /// It could not be found out: we lacked what a check takes.
    Unknown,
    /// None ended yet.
    #[default]
    Initializing,
    /// An agent answered, and it changed nothing.
    Checked,
    /// Too many sessions went wrong (`observe`).
    Analysed,
    /// No socket could be made.
    SocketError,
    /// Connected; nothing more was asked for.
    L4Ok,
    /// No answer to the connect.
    L4Timeout,
    /// The connect was refused, or nothing leads there.
    L4Connection,
    /// TLS was agreed on; nothing more was asked for.
    L6Ok,
    /// No end of the TLS handshake.
    L6Timeout,
    /// The TLS handshake failed.
    L6Response,
    /// The answer was as expected.
    L7Ok,
    /// No answer, or not all of it.
    L7Timeout,
    /// An answer that is none, or has not what was expected.
    L7Response,
    /// The answer was as expected, but the server wants no new sessions.
    L7Conditional,
    /// An HTTP status other than expected.
    L7Status,
    /// The program of an external check could not be run, or failed.
    ProcessError,
    /// It took too long.
    ProcessTimeout,
    /// It said that all is well.
    ProcessOk,
}

/// What a check means for the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Nothing.
    Neutral,
    /// It is well.
    Passed,
    /// It is well, and wants no new sessions.
    Conditional,
    /// It is not well.
    Failed,
}

impl Status {
    /// As `show stat` prints it in `check_status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNK",
            Self::Initializing => "INI",
            Self::Checked => "CHECKED",
            Self::Analysed => "HANA",
            Self::SocketError => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Timeout => "L4TOUT",
            Self::L4Connection => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Timeout => "L6TOUT",
            Self::L6Response => "L6RSP",
            Self::L7Ok => "L7OK",
            Self::L7Timeout => "L7TOUT",
            Self::L7Response => "L7RSP",
            Self::L7Conditional => "L7OKC",
            Self::L7Status => "L7STS",
            Self::ProcessError => "PROCERR",
            Self::ProcessTimeout => "PROCTOUT",
            Self::ProcessOk => "PROCOK",
        }
    }

    /// As log lines and `check_desc` put it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Initializing => "Initializing",
            Self::Checked => "No status change",
            Self::Analysed => "Health analyze",
            Self::SocketError => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Timeout => "Layer4 timeout",
            Self::L4Connection => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Timeout => "Layer6 timeout",
            Self::L6Response => "Layer6 invalid response",
            Self::L7Ok => "Layer7 check passed",
            Self::L7Timeout => "Layer7 timeout",
            Self::L7Response => "Layer7 invalid response",
            Self::L7Conditional => "Layer7 check conditionally passed",
            Self::L7Status => "Layer7 wrong status",
            Self::ProcessError => "External check error",
            Self::ProcessTimeout => "External check timeout",
            Self::ProcessOk => "External check passed",
        }
    }

    /// The number `show servers state` prints for it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Initializing => 1,
            Self::Checked => 3,
            Self::Analysed => 4,
            Self::SocketError => 5,
            Self::L4Ok => 6,
            Self::L4Timeout => 7,
            Self::L4Connection => 8,
            Self::L6Ok => 9,
            Self::L6Timeout => 10,
            Self::L6Response => 11,
            Self::L7Timeout => 12,
            Self::L7Response => 13,
            Self::L7Ok => 15,
            Self::L7Conditional => 16,
            Self::L7Status => 17,
            Self::ProcessError => 18,
            Self::ProcessTimeout => 19,
            Self::ProcessOk => 20,
        }
    }

    /// What it means for the server.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Unknown | Self::Initializing | Self::Checked => Outcome::Neutral,
            Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::ProcessOk => Outcome::Passed,
            Self::L7Conditional => Outcome::Conditional,
            _ => Outcome::Failed,
        }
    }

    /// Whether the server passed, be it conditionally.
    #[must_use]
    pub const fn passed(self) -> bool {
        matches!(self.outcome(), Outcome::Passed | Outcome::Conditional)
    }

    /// Whether it comes with a code: HTTP's status, a program's, or 0.
    #[must_use]
    pub const fn has_code(self) -> bool {
        self.number() > 14
    }
}

/// The end of one check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// How it ended.
    pub status: Status,
    /// The HTTP status, a program's exit code, what `status-code` says, or 0; shown if the
    /// [`status`](Self::status) has one.
    pub code: i32,
    /// More words, empty for none: the system's error, the reason phrase.
    pub info: String,
}

impl Verdict {
    /// A verdict without more words.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self { status, code: 0, info: String::new() }
    }

    /// The same with more words.
    #[must_use]
    pub fn because(mut self, info: impl Into<String>) -> Self {
        self.info = info.into();
        self
    }
}

/// A verdict and how long it took: `, reason: Layer4 timeout, check duration: 1001ms`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reason {
    /// What was found.
    pub verdict: Verdict,
    /// From the start of the check to the verdict.
    pub duration: Duration,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { status, code, info } = &self.verdict;
        write!(f, ", reason: {}", status.description())?;
        if status.has_code() {
            write!(f, ", code: {code}")?;
        }
        if !info.is_empty() {
            write!(f, ", info: \"{info}\"")?;
        }
        write!(f, ", check duration: {}ms", self.duration.as_millis())
    }
}
