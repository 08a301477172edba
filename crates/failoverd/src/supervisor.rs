//! The parent: it checks, starts, restarts and stops the role, and is whom signals, systemd and the
//! pid file mean.

mod reload;
mod surroundings;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use daemon::Signal;
use daemon::log::{Log, Severity};
use daemon::pidfile::{PidFile, PidFileError};
use daemon::systemd::Notifier;
use linux::pidfd::ChildFd;
use linux::process::{Capability, dies_with_parent, has_capability};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::OwnedReadHalf;
use vrrp::config::Globals;

use crate::asked::{Asked, Signals};
use crate::cli::{self, Options};
use crate::configuration;
use crate::exit;
use crate::ledger::Ledger;
use crate::life;
use crate::report::{self, Packed, Report};
use crate::takeover;

use self::reload::Reading;

/// A role that ran this long before it died is restarted at once.
const LONG_RUN: Duration = Duration::from_secs(60);
/// The longest wait before a restart.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Runs the daemon to its end.
pub(crate) fn run(mut options: Options, argv0: &OsStr, arguments: &[OsString]) -> u8 {
    let arguments = absolute(&mut options, arguments);
    let log = configuration::log(&options, None);
    let version = options.persona.version();
    log.info(format_args!("Starting {version}"));
    log.info(cli::running_on());
    log_command_line(argv0, &arguments.given, &log);
    let code = match start(&mut options, argv0, arguments.for_role, &log) {
        Ok(code) => code,
        Err(error) => {
            fail(&options, &log, &format!("{error:#}"));
            exit::FATAL
        }
    };
    log.info(format_args!("Stopped {version}"));
    code
}

/// Logs why nothing is started, and says it to whoever typed the command too.
fn fail(options: &Options, log: &Log, line: &str) {
    log.write(Severity::Error, line);
    if !(options.console && options.foreground) {
        eprintln!("{line}");
    }
}

fn start(
    options: &mut Options,
    argv0: &OsStr,
    mut arguments: Vec<OsString>,
    log: &Log,
) -> anyhow::Result<u8> {
    for (capability, name) in
        [(Capability::NetAdmin, "CAP_NET_ADMIN"), (Capability::NetRaw, "CAP_NET_RAW")]
    {
        if !has_capability(capability).unwrap_or(true) {
            let line = format!("{name} is missing: run as root, or grant it to this user");
            fail(options, log, &line);
            return Ok(exit::NO_PERMISSION);
        }
    }
    surroundings::keep_cores(options, log);
    let mut loaded = configuration::load(options);
    loaded.log_files_to(log, options.detail);
    let process = loaded.config.globals.process.clone();
    let suffix = surroundings::ident_suffix(&process);
    let renamed;
    let mut log = log;
    if !suffix.is_empty() {
        let ident = options.persona.ident();
        log.info(format_args!("Changing syslog ident to {ident}{suffix}"));
        surroundings::tell_ident(options, &mut arguments, suffix);
        renamed = configuration::log(options, None);
        log = &renamed;
    }
    surroundings::name_pid_files(options, &mut arguments, &process);
    let options = &*options;
    if let Some(code) = loaded.exit {
        loaded.log_to(log);
        if !(options.console && options.foreground) {
            loaded.print();
        }
        return Ok(code);
    }
    let nothing_to_do = options.only_checkers || loaded.is_empty();
    if nothing_to_do {
        // No role will read the file again and say what is wrong with it.
        loaded.log_to(log);
    }
    let current = report::pack(&loaded).context("cannot write the configuration down")?;
    let notices = loaded.advice();
    let globals = std::mem::take(&mut loaded.config.globals);
    let instances = std::mem::take(&mut loaded.config.instances);
    drop(loaded);
    check_descriptors()?;
    let already = |error: PidFileError| match error {
        PidFileError::Locked(_) => {
            log.info(&error);
            log.info("daemon is already running");
            exit::OK
        }
        // keepalived's code, for it cannot tell the two.
        PidFileError::Io { .. } => {
            fail(options, log, &error.to_string());
            exit::OK
        }
    };
    let mut pid_file = match PidFile::create(&options.pid_file) {
        Ok(file) => file,
        Err(error) => return Ok(already(error)),
    };
    // The role will lock its own; here it is only asked whether somebody has. What a role that was
    // killed left behind goes.
    if let Err(error @ PidFileError::Locked(_)) = PidFile::create(&options.vrrp_pid_file) {
        return Ok(already(error));
    }
    if !options.foreground {
        // Before any thread, and before the event loop, which would not survive it.
        nix::unistd::daemon(false, false).context("cannot become a daemon")?;
    }
    pid_file.write(std::process::id())?;
    if let Some(name) = &globals.process.process_name {
        linux::process::set_name(name.as_ref());
    }
    if nothing_to_do {
        log.info("Warning - keepalived has no configuration to run");
    }
    linux::process::trim_heap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(daemon::systemd::feed_watchdog());
        let ledger = Ledger::create().context("no memory for a ledger")?;
        takeover::note_masters(&ledger, &instances, log);
        let mut supervisor = Supervisor {
            options,
            log,
            argv0,
            arguments,
            notifier: Notifier::from_env(),
            ledger,
            current,
            globals,
            notices,
            reading: Reading::default(),
            role: None,
            delay: None,
            ready: false,
        };
        let script = supervisor.globals.startup_script.as_ref();
        life::run("startup", script, &supervisor.globals, log, options.detail).await;
        if nothing_to_do {
            supervisor.ready = true;
            supervisor.notifier.ready(std::process::id());
        } else {
            supervisor.start_role()?;
        }
        supervisor.serve().await
    })
}

/// Finds out before anything is started whether there are descriptors enough to start it: the
/// libraries below are not prepared for the contrary.
fn check_descriptors() -> anyhow::Result<()> {
    /// What a role takes that has nothing to do, and some for its first instance and script.
    const NEEDED: usize = 20;

    let spare: io::Result<Vec<File>> = (0..NEEDED).map(|_| File::open("/dev/null")).collect();
    spare.map(drop).with_context(|| format!("there are no {NEEDED} descriptors to start with"))
}

struct Supervisor<'a> {
    options: &'a Options,
    log: &'a Log,
    argv0: &'a OsStr,
    arguments: Vec<OsString>,
    notifier: Notifier,
    /// What a role leaves to the next one.
    ledger: OwnedFd,
    /// The configuration a role was last started with, or took over.
    current: Packed,
    /// Its settings of no single block.
    globals: Globals,
    /// Advice that was given already.
    notices: BTreeSet<String>,
    reading: Reading,
    role: Option<RunningRole>,
    /// Before the last restart, if there was one.
    delay: Option<Duration>,
    ready: bool,
}

/// A child process and what it reports.
struct RunningRole {
    child: AsyncFd<ChildFd>,
    reports: OwnedReadHalf,
    orders: report::Sender,
    started: Instant,
}

/// Something about a role.
enum News {
    Report(Report),
    Ended(ExitStatus),
}

impl RunningRole {
    async fn news(&mut self) -> io::Result<News> {
        loop {
            tokio::select! {
                ready = self.child.readable() => {
                    ready?.clear_ready();
                }
                ready = self.reports.readable() => {
                    ready?;
                    let mut byte = [0];
                    match self.reports.try_read(&mut byte) {
                        Ok(1) => if let Some(report) = Report::from_byte(byte[0]) {
                            return Ok(News::Report(report));
                        },
                        // Closed: it has ended, or is about to.
                        Ok(_) => return Ok(News::Ended(self.end().await?)),
                        Err(_would_block) => {}
                    }
                }
            }
            if let Some(status) = self.child.get_mut().try_wait()? {
                return Ok(News::Ended(status));
            }
        }
    }

    async fn end(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.get_mut().try_wait()? {
                return Ok(status);
            }
            self.child.readable().await?.clear_ready();
        }
    }
}

impl Supervisor<'_> {
    fn start_role(&mut self) -> anyhow::Result<()> {
        let (ours, theirs) = report::pair().context("no socket for the VRRP process")?;
        let ledger = self.ledger.try_clone().context("no descriptor for the VRRP process")?;
        // The binary that runs, even if another was installed meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0(self.argv0)
            .args(&self.arguments)
            .arg(format!("--{}=vrrp", cli::ROLE))
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(ledger));
        dies_with_parent(&mut command, Signal::SIGTERM);
        let child = ChildFd::new(command.spawn().context("cannot start the VRRP process")?)?;
        self.log.info(format_args!("Starting VRRP child process, pid={}", child.id()));
        let (reports, to) = ours.into_split();
        let orders = report::Sender::new(to);
        // It waits for this, so that its lines come after that one.
        orders.hand_over(&self.current);
        let child = linux::ready::watch(child)?;
        self.role = Some(RunningRole { child, reports, orders, started: Instant::now() });
        Ok(())
    }

    async fn serve(&mut self) -> anyhow::Result<u8> {
        let mut signals = Signals::catch().context("cannot catch signals")?;
        let mut restart_at: Option<tokio::time::Instant> = None;
        loop {
            tokio::select! {
                news = news(&mut self.role) => match news? {
                    News::Report(report) => self.reported(report),
                    News::Ended(status) => {
                        let Some(code) = self.role_ended(status) else {
                            restart_at = in_future(self.delay);
                            continue;
                        };
                        return Ok(code);
                    }
                },
                () = until(restart_at) => {
                    restart_at = None;
                    // A reload may have started it meanwhile.
                    if self.role.is_none() {
                        restart_at = in_future(self.start_role_or_retry());
                    }
                }
                loaded = self.reading.done() => {
                    if let Some(delay) = self.have_read(loaded) {
                        restart_at = in_future(Some(delay));
                    }
                    // What was read is of no use here any more.
                    linux::process::trim_heap();
                }
                asked = signals.next() => match asked {
                    Asked::Stop => {
                        let code = self.stop().await?;
                        let script = self.globals.shutdown_script.as_ref();
                        let detail = self.options.detail;
                        life::run("shutdown", script, &self.globals, self.log, detail).await;
                        return Ok(code);
                    }
                    Asked::Reload => self.begin_reload(),
                    asked => self.pass_on(asked),
                },
            }
        }
    }

    fn become_ready(&mut self) {
        self.ready = true;
        self.log.info("Startup complete");
        self.notifier.ready(std::process::id());
    }

    /// What a signal asks for besides.
    fn pass_on(&self, asked: Asked) {
        if asked == Asked::Data {
            crate::dump::write_parent(&self.globals, self.log);
        }
        if let Some(role) = &self.role {
            role.orders.ask(asked);
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Started if self.ready => self.notifier.ready(std::process::id()),
            Report::Started => self.become_ready(),
            Report::Reloaded => self.reloaded(),
            Report::Kept => self.kept(),
            Report::Wanted => self.read_for_role(),
        }
    }

    /// Starts a role; if that cannot be now, for want of processes or descriptors, says so and
    /// after how long to try again.
    fn start_role_or_retry(&mut self) -> Option<Duration> {
        let error = self.start_role().err()?;
        self.log.write(Severity::Error, format_args!("{error:#}"));
        Some(self.put_off())
    }

    /// How long to wait before the next start of a role.
    fn put_off(&mut self) -> Duration {
        let delay = next_delay(self.delay, Duration::ZERO);
        self.delay = Some(delay);
        self.log_delay(delay);
        delay
    }

    fn log_delay(&self, delay: Duration) {
        self.log.info(format_args!(
            "Restart of VRRP process delayed {} seconds to limit respawn rate",
            delay.as_secs()
        ));
    }

    /// Says how a role ended, and with which code we end too; none if it is to be restarted.
    fn role_ended(&mut self, status: ExitStatus) -> Option<u8> {
        let role = self.role.take()?;
        let pid = role.child.get_ref().id();
        self.abandon();
        let why = match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(exit::CONFIG) => Some((exit::CONFIG, "CONFIG")),
            Some(exit::FATAL) => Some((exit::FATAL, "FATAL")),
            Some(exit::NO_PERMISSION) => Some((exit::NO_PERMISSION, "MISSING PERMISSION")),
            _ => None,
        };
        if let Some((code, name)) = why.filter(|_| !self.ready) {
            let line = format_args!("pid {pid} exited with permanent error {name}. Terminating");
            self.log.info(line);
            return Some(code);
        }
        // keepalived ends here too if it ran well before: when it restarts a process that crashed
        // and somebody is just editing the file. Trying again heals that.
        match (status.signal(), status.code()) {
            (Some(number), _) => {
                let name = Signal::try_from(number).map_or("unknown", describe);
                self.log.info(format_args!("pid {pid} exited due to signal {number} ({name})"));
            }
            (None, code) => {
                let code = code.unwrap_or_default();
                self.log.info(format_args!("pid {pid} exited with status {code}"));
            }
        }
        if !self.options.respawn {
            self.log
                .write(Severity::Alert, format_args!("VRRP child process({pid}) died: Exiting"));
            return Some(exit::FATAL);
        }
        self.log.write(Severity::Alert, format_args!("VRRP child process({pid}) died: Respawning"));
        let delay = next_delay(self.delay, role.started.elapsed());
        self.delay = Some(delay);
        self.log_delay(delay);
        None
    }

    async fn stop(&mut self) -> anyhow::Result<u8> {
        self.log.info("Stopping");
        self.notifier.stopping();
        let Some(mut role) = self.role.take() else {
            // One that was killed has left its pid file, which nobody holds.
            let _ = std::fs::remove_file(&self.options.vrrp_pid_file);
            return Ok(exit::OK);
        };
        role.child.get_ref().signal(Signal::SIGTERM);
        let patience = self.globals.process.child_wait;
        if tokio::time::timeout(patience, role.end()).await.is_err() {
            let pid = role.child.get_ref().id();
            self.log.info(format_args!("VRRP child process({pid}) does not stop, killing it"));
            role.child.get_ref().signal(Signal::SIGKILL);
            role.end().await?;
        }
        if self.options.detail {
            self.log.info(configuration::cpu_usage());
        }
        Ok(exit::OK)
    }
}

async fn news(role: &mut Option<RunningRole>) -> io::Result<News> {
    match role {
        Some(role) => role.news().await,
        None => std::future::pending().await,
    }
}

fn in_future(delay: Option<Duration>) -> Option<tokio::time::Instant> {
    delay.map(|delay| tokio::time::Instant::now() + delay)
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// As keepalived: at once after a long run, else after 0, 1, 2, 4 … 32, 60 seconds.
fn next_delay(last: Option<Duration>, ran: Duration) -> Duration {
    match last {
        _ if ran >= LONG_RUN => Duration::ZERO,
        None => Duration::ZERO,
        Some(Duration::ZERO) => Duration::from_secs(1),
        Some(last) => (last * 2).min(LONGEST_DELAY),
    }
}

/// What `strsignal(3)` says of the signals that end a process.
fn describe(signal: Signal) -> &'static str {
    match signal {
        Signal::SIGKILL => "Killed",
        Signal::SIGSEGV => "Segmentation fault",
        Signal::SIGABRT => "Aborted",
        Signal::SIGBUS => "Bus error",
        Signal::SIGTERM => "Terminated",
        other => other.as_str(),
    }
}

/// The command line as it was given, and as a role in another directory needs it.
struct Arguments {
    given: Vec<OsString>,
    for_role: Vec<OsString>,
}

/// Makes the paths of `options` independent of the working directory, which a daemon leaves.
fn absolute(options: &mut Options, given: &[OsString]) -> Arguments {
    let mut for_role = given.to_vec();
    let mut fix = |path: &mut PathBuf, option: &str| {
        if path.is_relative()
            && let Ok(full) = std::path::absolute(Path::new(path))
        {
            let mut argument = OsString::from(format!("--{option}="));
            argument.push(&full);
            for_role.push(argument);
            *path = full;
        }
    };
    fix(&mut options.file, "use-file");
    fix(&mut options.pid_file, "pid");
    fix(&mut options.vrrp_pid_file, "vrrp_pid");
    Arguments { given: given.to_vec(), for_role }
}

/// `Command line: 'keepalived' '-n'`, in lines of at most about 90 characters.
fn log_command_line(argv0: &OsStr, arguments: &[OsString], log: &Log) {
    let mut line = String::from("Command line:");
    for word in std::iter::once(argv0).chain(arguments.iter().map(OsString::as_os_str)) {
        let word = format!(" '{}'", word.to_string_lossy());
        if line.len() + word.len() > 96 && line.len() > 13 {
            log.info(&line);
            line = " ".repeat(13);
        }
        line.push_str(&word);
    }
    log.info(&line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_at_growing_intervals_until_a_long_run() {
        let short = Duration::from_secs(5);
        let mut delay = None;
        let mut seconds = Vec::new();
        for _ in 0..10 {
            let next = next_delay(delay, short);
            seconds.push(next.as_secs());
            delay = Some(next);
        }
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(next_delay(delay, LONG_RUN), Duration::ZERO);
    }

    #[test]
    fn relative_paths_reach_the_role_as_absolute_ones() {
        let given: Vec<OsString> = ["-f", "x.conf", "-r", "/run/y.pid"].map(Into::into).to_vec();
        let (_, mut options) =
            cli::read(cli::Persona::Keepalived, given.iter().cloned()).expect("understood");
        let arguments = absolute(&mut options, &given);
        assert!(options.file.is_absolute());
        assert_eq!(arguments.given, given);
        assert_eq!(arguments.for_role.len(), given.len() + 1);
        let last = arguments.for_role.last().expect("added").to_string_lossy().into_owned();
        assert!(last.starts_with("--use-file=/") && last.ends_with("/x.conf"), "{last}");
    }
}
