use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn logger(flavour: Flavour, target: LogTarget) -> (Logger, Route) {
    let mut config = Config::new(flavour);
    config.process.log.push(target);
    let logger = Logger::new(&config);
    let route = logger.route(&config.process.log, None);
    (logger, route)
}

struct Daemon {
    socket: UnixDatagram,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let socket = UnixDatagram::bind(&path).expect("a path");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self { socket, path, _directory: directory }
    }

    fn target(&self) -> LogTarget {
        LogTarget::new(LogAddress::Unix(self.path.clone()), Facility(16))
    }

    fn line(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a line");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

/// Digits become `0`, so that times compare.
fn shape(line: &str) -> String {
    let zero = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
    line.replace(&std::process::id().to_string(), "PID").chars().map(zero).collect()
}

#[test]
fn each_framing_puts_its_own_head_before_the_text() {
    let daemon = Daemon::start();
    let month = month();
    let cases = [
        (LogFraming::Default, format!("<000>{month} 00 00:00:00 haproxy[PID]: text\n")),
        (LogFraming::Local, format!("<000>{month} 00 00:00:00 haproxy[PID]: text\n")),
        (LogFraming::Priority, "<000>text\n".to_owned()),
        (LogFraming::Short, "<0>text\n".to_owned()),
        (LogFraming::Raw, "text\n".to_owned()),
        (LogFraming::Iso, "0000-00-00T00:00:00.000000+00:00 text\n".to_owned()),
        (LogFraming::Timed, "<0>0000-00-00T00:00:00.000000+00:00 text\n".to_owned()),
        (
            LogFraming::Rfc5424,
            "<000>0 0000-00-00T00:00:00.000000+00:00 - haproxy PID - - text\n".to_owned(),
        ),
    ];
    for (framing, expected) in cases {
        let (logger, route) = logger(Flavour::HaProxy, LogTarget { framing, ..daemon.target() });
        logger.send(&route, Severity::Info, "text");
        // The day may have one digit, and the zone be west.
        let line = shape(&daemon.line()).replace("  0 ", " 00 ").replace("-00:00 ", "+00:00 ");
        assert_eq!(line, expected, "{framing:?}");
    }
}

fn month() -> String {
    let stamp = linux::clock::LocalTime::now().rfc3164().to_string();
    stamp.split(' ').next().expect("a month").to_owned()
}

#[test]
fn the_priority_is_facility_and_severity_and_the_second_level_caps_it() {
    let daemon = Daemon::start();
    let target = LogTarget {
        framing: LogFraming::Priority,
        facility: Facility(19),
        max_level: Severity::Info,
        min_level: Severity::Error,
        ..daemon.target()
    };
    let (logger, route) = logger(Flavour::HaProxy, target);
    logger.send(&route, Severity::Debug, "too much");
    logger.send(&route, Severity::Info, "info");
    logger.send(&route, Severity::Emerg, "not worse than err");
    assert_eq!(daemon.line(), "<158>info\n");
    assert_eq!(daemon.line(), "<155>not worse than err\n");
    assert!(!route.takes(Severity::Debug));
}

#[test]
fn a_line_is_cut_where_its_target_says() {
    let daemon = Daemon::start();
    let target = LogTarget { framing: LogFraming::Raw, length: 80, ..daemon.target() };
    let (logger, route) = logger(Flavour::HaProxy, target);
    logger.send(&route, Severity::Info, "ä".repeat(100));
    assert_eq!(daemon.line(), format!("{}\n", "ä".repeat(39)));
}

#[test]
fn a_daemon_that_is_not_there_loses_lines_and_nothing_else() {
    let path = PathBuf::from("/nonexistent/log");
    let (logger, route) =
        logger(Flavour::HaProxy, LogTarget::new(LogAddress::Unix(path), Facility(16)));
    logger.send(&route, Severity::Info, "lost");
    assert_eq!(logger.dropped(), 1);
}

#[test]
fn an_error_log_is_written_in_nginx_words_and_opened_anew_when_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("error.log");
    let mut config = Config::new(Flavour::Nginx);
    config
        .process
        .error_log
        .push(ErrorLog { target: ErrorLogTarget::File(path.clone()), level: Severity::Warning });
    let logger = Logger::new(&config);
    assert_eq!(logger.problems().count(), 0);
    let route = logger.error_route(&config.process.error_log);
    logger.send(&route, Severity::Notice, "not at this level");
    logger.send(&route, Severity::Warning, "*1 one");
    logger.flush();
    let moved = directory.path().join("error.log.1");
    std::fs::rename(&path, &moved).expect("it is there");
    logger.reopen();
    logger.send(&route, Severity::Error, "*2 two");
    logger.flush();
    let read = |path| std::fs::read_to_string(path).expect("a file");
    assert_eq!(shape(&read(&moved)), "0000/00/00 00:00:00 [warn] PID#PID: *0 one\n");
    assert_eq!(shape(&read(&path)), "0000/00/00 00:00:00 [error] PID#PID: *0 two\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_a_problem_with_its_name() {
    let mut config = Config::new(Flavour::Nginx);
    let path = PathBuf::from("/nonexistent/error.log");
    config
        .process
        .error_log
        .push(ErrorLog { target: ErrorLogTarget::File(path.clone()), level: Severity::Error });
    let logger = Logger::new(&config);
    let (named, error) = logger.problems().next().expect("a problem");
    assert_eq!((named, error.kind()), (path.as_path(), std::io::ErrorKind::NotFound));
}
