//! Lines for the operator: to syslog, to the console, or both.
//!
//! Nothing here waits. A line that cannot be taken at once, because the log daemon is stuck or
//! whoever reads the console is, is counted, and the count is logged when lines pass again: a
//! daemon with an election to win must not stop for its own log.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use linux::clock::LocalTime;

/// How much a line matters (RFC 3164 §4.1.1).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Nobody can use the system.
    Emergency = 0,
    /// Somebody must act at once.
    Alert = 1,
    /// A critical condition.
    Critical = 2,
    /// An error.
    Error = 3,
    /// A warning.
    Warning = 4,
    /// Normal but significant.
    Notice = 5,
    /// For information; nearly everything keepalived says.
    Info = 6,
    /// For whoever looks for a fault.
    Debug = 7,
}

/// What kind of program a line comes from (RFC 3164 §4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facility(u8);

impl Facility {
    /// `user`.
    pub const USER: Self = Self(1);
    /// `daemon`.
    pub const DAEMON: Self = Self(3);

    /// `local0` to `local7`; `None` for any other number.
    #[must_use]
    pub fn local(number: u8) -> Option<Self> {
        (number <= 7).then_some(Self(16 + number))
    }

    /// The facility called `name`, as syslog.conf(5) spells it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        const NAMES: [&str; 12] = [
            "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
            "authpriv", "ftp",
        ];
        if let Some(number) = name.strip_prefix("local") {
            return Self::local(number.parse().ok()?);
        }
        let number = NAMES.iter().position(|&known| known == name)?;
        u8::try_from(number).ok().map(Self)
    }

    /// The number both go by at the head of a line: `<30>` for `daemon.info`.
    #[must_use]
    pub fn priority(self, severity: Severity) -> u8 {
        self.0 * 8 + severity as u8
    }
}

/// Where the lines of one process go.
#[derive(Debug)]
pub struct Log {
    ident: String,
    facility: Facility,
    socket_path: Option<PathBuf>,
    socket: RefCell<Option<UnixDatagram>>,
    console: bool,
    /// Lines the syslog daemon did not take.
    lost: Cell<u64>,
    /// Lines nobody read from standard error.
    lost_on_console: Cell<u64>,
}

/// The longest line, as both syslog daemons and `PIPE_BUF` allow it.
const LONGEST: usize = 2048;

impl Log {
    /// A log of a process called `ident`, as yet to nowhere.
    #[must_use]
    pub fn new(ident: impl Into<String>) -> Self {
        Self {
            ident: ident.into(),
            facility: Facility::DAEMON,
            socket_path: None,
            socket: RefCell::default(),
            console: false,
            lost: Cell::new(0),
            lost_on_console: Cell::new(0),
        }
    }

    /// Also to the syslog daemon listening at `path`, `/dev/log` everywhere. It may start later,
    /// or restart.
    #[must_use]
    pub fn to_syslog(self, path: impl Into<PathBuf>, facility: Facility) -> Self {
        Self { socket_path: Some(path.into()), facility, ..self }
    }

    /// Also to standard error, each line after the time as the C locale writes it and a colon.
    #[must_use]
    pub fn to_console(self) -> Self {
        Self { console: true, ..self }
    }

    /// Logs a line for information.
    pub fn info(&self, line: impl fmt::Display) {
        self.write(Severity::Info, line);
    }

    /// Logs a line. Control characters in it are replaced, and it ends at 2048 bytes.
    pub fn write(&self, severity: Severity, line: impl fmt::Display) {
        let line = one_line(&line.to_string());
        let now = LocalTime::now();
        if self.console {
            tell(&self.lost_on_console, &line, |line| to_stderr(&now, line));
        }
        if self.socket_path.is_some() {
            tell(&self.lost, &line, |line| {
                // Without a log daemon there is nobody to lose a line, as with syslog(3).
                let sent = self.to_socket(severity, &now, line);
                !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            });
        }
    }

    fn to_socket(&self, severity: Severity, now: &LocalTime, line: &str) -> io::Result<()> {
        let mut socket = self.socket.borrow_mut();
        let priority = self.facility.priority(severity);
        let (ident, pid) = (&self.ident, std::process::id());
        let datagram = format!("<{priority}>{} {ident}[{pid}]: {line}", now.rfc3164());
        if let Some(open) = socket.as_ref() {
            match open.send(datagram.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => *socket = None,
                result => return result.map(drop),
            }
        }
        // Not connected yet, or the daemon restarted: its old socket is gone.
        let open = UnixDatagram::unbound()?;
        open.set_nonblocking(true)?;
        open.connect(self.socket_path.as_deref().unwrap_or("/dev/log".as_ref()))?;
        let sent = open.send(datagram.as_bytes());
        *socket = Some(open);
        sent.map(drop)
    }
}

/// Hands a line to one who reads, and before it how many lines that one lost.
fn tell(lost: &Cell<u64>, line: &str, put: impl Fn(&str) -> bool) {
    let before = lost.get();
    if before > 0 && put(&lost_lines(before)) {
        lost.set(0);
    }
    if lost.get() > 0 || !put(line) {
        lost.set(lost.get() + 1);
    }
}

fn lost_lines(count: u64) -> String {
    format!("{count} log lines were lost: nobody read them")
}

fn to_stderr(now: &LocalTime, line: &str) -> bool {
    let stderr = io::stderr();
    let line = format!("{}: {line}\n", now.c_locale());
    linux::poll::is_writable(stderr.as_fd()) && stderr.lock().write_all(line.as_bytes()).is_ok()
}

/// Makes one line of `text`: a name out of a file or off the network must not forge a second.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = line.floor_char_boundary(LONGEST);
    line.truncate(end);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("it was sent");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn syslog_gets_priority_time_ident_and_pid() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bound");
        let log = Log::new("Keepalived_vrrp").to_syslog(&path, Facility::DAEMON);
        log.info("(VI_1) Entering MASTER STATE");
        let line = received(&daemon);
        assert!(line.starts_with("<30>"), "{line}");
        let end = format!(" Keepalived_vrrp[{}]: (VI_1) Entering MASTER STATE", std::process::id());
        assert!(line.ends_with(&end), "{line}");
        // "<30>Nov 21 03:03:11" and nothing else before the ident.
        assert_eq!(line.len(), "<30>Nov 21 03:03:11".len() + end.len());
    }

    #[test]
    fn a_log_daemon_that_starts_late_or_restarts_is_found() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let log = Log::new("x").to_syslog(&path, Facility::USER);
        log.info("nobody listens yet");
        let daemon = UnixDatagram::bind(&path).expect("bound");
        log.info("first");
        assert!(received(&daemon).ends_with("first"));
        drop(daemon);
        std::fs::remove_file(&path).expect("it was there");
        let daemon = UnixDatagram::bind(&path).expect("bound");
        log.info("second");
        assert!(received(&daemon).ends_with("second"));
    }

    #[test]
    fn a_log_daemon_that_does_not_read_is_not_waited_for_and_told_what_it_missed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bound");
        let log = Log::new("x").to_syslog(&path, Facility::USER);
        for _ in 0..10_000 {
            log.info("more than the queue of a socket holds");
        }
        let lost = log.lost.get();
        assert!(lost > 0);
        daemon.set_nonblocking(true).expect("a flag");
        let mut buffer = [0; 256];
        while daemon.recv(&mut buffer).is_ok() {}
        log.info("again");
        assert!(received(&daemon).ends_with(&lost_lines(lost)));
        assert!(received(&daemon).ends_with("again"));
    }

    #[test]
    fn a_line_stays_one_line_and_of_bounded_length() {
        assert_eq!(one_line("a\nForged: b\0c\x1b"), "a Forged: b c ");
        assert_eq!(one_line(&"ä".repeat(3000)).len(), 2048);
    }

    #[test]
    fn facilities_are_named_as_syslog_names_them() {
        assert_eq!(Facility::named("daemon"), Some(Facility::DAEMON));
        assert_eq!(Facility::named("user"), Some(Facility::USER));
        assert_eq!(Facility::named("local7"), Facility::local(7));
        assert_eq!(Facility::named("local8"), None);
        assert_eq!(Facility::named("foo"), None);
        assert_eq!(Facility::local(0).map(|f| f.priority(Severity::Emergency)), Some(128));
    }
}
