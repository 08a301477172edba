//! Where log lines go and what they say.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How a frontend logs its sessions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogPolicy {
    /// The targets, `log global` already replaced.
    pub targets: Vec<LogTarget>,
    /// What a line says.
    pub format: LogFormat,
    /// `error-log-format`: what the line of a connection says that becomes no session.
    pub errors: Option<Box<rules::Format>>,
    /// `log-format-sd`: the structured data of a line in the framing of RFC 5424.
    pub structured: Option<Box<rules::Format>>,
    /// `option dontlognull`: a session without a byte is not logged.
    pub dontlognull: bool,
    /// `option dontlog-normal`: only sessions that went wrong are.
    pub dontlog_normal: bool,
    /// `option logasap`: a line as soon as the server is connected, with `+` marks.
    pub logasap: bool,
    /// `option log-separate-errors`: what went wrong is logged at level `err`.
    pub separate_errors: bool,
    /// `log-tag` of the section.
    pub tag: Option<String>,
}

/// What a session's line says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// `Connect from A:P to A:P (name/TCP)` when it begins: HAProxy without any `option …log`.
    #[default]
    Connect,
    /// `option tcplog`, and `option httplog` of a TCP proxy.
    Tcp,
    /// `log-format`.
    Custom(rules::Format),
}

/// One `log` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogTarget {
    /// Where.
    pub address: LogAddress,
    /// `len`: longer lines are cut. Default 1024, at least 80.
    pub length: usize,
    /// `format`.
    pub framing: LogFraming,
    /// The syslog facility.
    pub facility: Facility,
    /// The least severe line that is sent: `notice` sends notice and worse.
    pub max_level: Severity,
    /// Lines worse than this are sent as this: the second level of the line.
    pub min_level: Severity,
    /// `sample`: only some of the lines.
    pub sample: Option<super::Sample>,
}

impl LogTarget {
    /// All levels in the default framing.
    pub fn new(address: LogAddress, facility: Facility) -> Self {
        Self {
            address,
            length: 1024,
            framing: LogFraming::Default,
            facility,
            max_level: Severity::Debug,
            min_level: Severity::Emerg,
            sample: None,
        }
    }
}

/// Where a `log` line points.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogAddress {
    /// A datagram socket in the file system, seen from inside the chroot.
    Unix(PathBuf),
    /// UDP; port 514 by default.
    Udp(SocketAddr),
    /// `stdout`.
    Stdout,
    /// `stderr`.
    Stderr,
    /// `fd@N`.
    Fd(i32),
    /// `ring@NAME`.
    Ring(String),
}

/// The framing of a line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFraming {
    /// As `local` for network targets, as `raw` where nothing was said for a file descriptor.
    #[default]
    Default,
    /// `<134>Nov 21 03:39:08 haproxy[28176]: …`.
    Local,
    /// With a host name.
    Rfc3164,
    /// `<134>1 2026-11-21T03:39:08.783910+00:00 - haproxy 28176 - - …`.
    Rfc5424,
    /// `<134>…`.
    Priority,
    /// `<6>…`.
    Short,
    /// `<6>2026-11-21T03:39:08.783910+00:00 …`.
    Timed,
    /// `2026-11-21T03:39:08.783910+00:00 …`.
    Iso,
    /// The text alone.
    Raw,
}

/// A syslog severity, most severe first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Severity {
    /// 0.
    Emerg,
    /// 1.
    Alert,
    /// 2.
    Crit,
    /// 3: `err` of HAProxy, `error` of nginx.
    Error,
    /// 4: `warning` of HAProxy, `warn` of nginx.
    Warning,
    /// 5.
    Notice,
    /// 6.
    Info,
    /// 7.
    Debug,
}

impl Severity {
    /// HAProxy's names, most severe first.
    pub const NAMES: [&'static str; 8] =
        ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    /// nginx's names, most severe first.
    pub const NGINX_NAMES: [&'static str; 8] =
        ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
    /// All, most severe first: the order of the names.
    pub const ALL: [Self; 8] = [
        Self::Emerg,
        Self::Alert,
        Self::Crit,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];
}

/// A syslog facility: its number, 0 (`kern`) to 23 (`local7`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facility(pub u8);

impl Facility {
    /// The names HAProxy accepts, in the order of the numbers.
    pub const NAMES: [&'static str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
        "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
        "local5", "local6", "local7",
    ];

    /// The facility of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).map(|at| Self(at as u8))
    }
}

/// One `error_log` of nginx.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorLog {
    /// Where.
    pub target: ErrorLogTarget,
    /// The least severe line that is written. nginx's default: `error`.
    pub level: Severity,
}

/// Where an `error_log` points.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ErrorLogTarget {
    /// A file, the prefix already applied.
    File(PathBuf),
    /// The terminal.
    Stderr,
    /// `syslog:server=…`.
    Syslog {
        /// Where the daemon listens.
        server: LogAddress,
        /// `facility=`, `local7` by default.
        facility: Facility,
        /// `tag=`, `nginx` by default.
        tag: String,
        /// Whether the header holds a host name: off with `nohostname`.
        hostname: bool,
    },
}
