//! The master: sockets, pid file, workers, signals.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use daemon::systemd::Notifier;
use nginx_conf::{Loaded, Options, Wording};
use nix::sys::signal::Signal;
use proxy::{BindAddress, Config, ErrorLogTarget, Severity};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::handover::Handover;
use super::say::Console;
use super::{VERSION, WORKER, log_files, start};
use crate::bind::{ENVIRONMENT, Listeners, NGINX_ENVIRONMENT, inherited};
use crate::log::{Logger, Route};
use crate::reloads::Notes;
use crate::worker;
use crate::workers::{self, Event, signal as tell};

pub(super) mod in_place;
mod upgrade;

use in_place::Asked;
use upgrade::Upgrade;

/// How often a port in use is tried, and how long apart.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// How long after a worker was lost before it served, or could not be started, another is tried.
const BEFORE_NEXT: Duration = Duration::from_millis(250);

/// How long workers may take to stop before they are killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves until told to end. Returns the exit code.
pub(super) fn run(
    loaded: Loaded,
    file: &Path,
    options: &Options,
    called: &[OsString],
    console: &Console,
) -> ExitCode {
    if !loaded.is_ok() {
        return ExitCode::FAILURE;
    }
    if loaded.config.process.daemon {
        // Fails only for a leader of a process group, which a started process is not.
        let _ = nix::unistd::setsid();
    }
    let handover = Handover::of(&loaded, file, options);
    let Some(serving) = Serving::open(loaded.config, handover, Vec::new(), &|text| {
        console.say(Severity::Emerg, text);
    }) else {
        return ExitCode::FAILURE;
    };
    let pid_file = match PidFile::write(&serving.config) {
        Ok(pid_file) => pid_file,
        Err(said) => {
            serving.log(Severity::Emerg, &said);
            console.say(Severity::Emerg, &said);
            return ExitCode::FAILURE;
        }
    };
    serving.log(Severity::Notice, "using the \"epoll\" event method");
    serving.log(Severity::Notice, VERSION);
    for line in super::say::surroundings() {
        serving.log(Severity::Notice, &line);
    }
    if !serving.config.process.master_worker {
        return alone(serving, pid_file, console);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        console.say(Severity::Emerg, "epoll_create() failed");
        return ExitCode::FAILURE;
    };
    let (events, happened) = mpsc::unbounded_channel();
    let master = Master {
        file: file.to_owned(),
        options: options.clone(),
        called: called.to_vec(),
        upgrade: Upgrade::default(),
        serving,
        pid_file,
        workers: Vec::new(),
        pending: None,
        asked: None,
        missing: false,
        notes: Notes::new(),
        again: false,
        events,
        notifier: Notifier::from_env(),
        started: false,
    };
    runtime.block_on(master.run(happened, console))
}

/// `master_process off`: one process does it all.
fn alone(mut serving: Serving, pid_file: PidFile, console: &Console) -> ExitCode {
    // Only workers become another user: this process still has a pid file to remove.
    serving.config.process.user = None;
    serving.config.process.group = None;
    let daemon = serving.config.process.daemon;
    let log = log_files(&serving.config).next().map(Path::to_path_buf);
    let ready = move || {
        Notifier::from_env().ready(std::process::id());
        if daemon {
            workers::say_ready(std::io::stdout());
            workers::leave_terminal(log.as_deref());
        }
    };
    let options = worker::Options { ready: Box::new(ready), ..worker::Options::default() };
    let ended = worker::run(serving.config, serving.listeners, options);
    drop(pid_file);
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            console.say(Severity::Emerg, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// One configuration with what was opened for it.
struct Serving {
    config: Config,
    handover: Handover,
    logger: Logger,
    route: Route,
    listeners: Listeners,
}

impl Serving {
    /// Opens logs and sockets; all of them or, after complaints, nothing. `sockets` are those of
    /// the configuration before.
    fn open(
        config: Config,
        handover: Handover,
        mut sockets: Vec<std::os::fd::OwnedFd>,
        complain: &dyn Fn(&str),
    ) -> Option<Self> {
        let logger = Logger::new(&config);
        let route = logger.error_route(&config.process.error_log);
        let mut sound = true;
        for (path, error) in logger.problems() {
            let why = nginx_conf::errno(error);
            complain(&format!("open() \"{}\" failed ({why})", path.display()));
            sound = false;
        }
        if !sound {
            return None;
        }
        // Once it serves, the log is the only place; and the terminal may be the log.
        let reloading = !sockets.is_empty();
        let is_terminal = |log: &proxy::ErrorLog| log.target == ErrorLogTarget::Stderr;
        let seen = reloading || config.process.error_log.iter().any(is_terminal);
        let say = |text: &str| {
            logger.send(&route, Severity::Emerg, text);
            if !seen {
                complain(text);
            }
        };
        if sockets.is_empty() {
            let text = std::env::var(NGINX_ENVIRONMENT).or_else(|_| std::env::var(ENVIRONMENT));
            sockets = text.map(|text| inherited(&text)).unwrap_or_default();
        }
        let mut tries = 0;
        let listeners = loop {
            let known: Option<Vec<_>> = sockets.iter().map(|fd| fd.try_clone().ok()).collect();
            match Listeners::bind(&config, known.unwrap_or_default()) {
                Ok((listeners, _)) => break listeners,
                Err(problems) => {
                    for problem in &problems {
                        say(&problem.nginx().to_string());
                    }
                    tries += 1;
                    if problems.iter().any(|problem| !start::in_use(&problem.error)) {
                        logger.flush();
                        return None;
                    }
                    if tries == TRIES {
                        say("still could not bind()");
                        logger.flush();
                        return None;
                    }
                    std::thread::sleep(BETWEEN_TRIES);
                }
            }
        };
        Some(Self { config, handover, logger, route, listeners })
    }

    fn log(&self, severity: Severity, text: &str) {
        self.logger.send(&self.route, severity, text);
    }
}

/// The file with the master's number; gone with it.
struct PidFile(PathBuf);

impl PidFile {
    fn write(config: &Config) -> Result<Self, String> {
        let path = config.process.pidfile.clone().unwrap_or_default();
        let written = File::create(&path)
            .and_then(|mut file| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        match written {
            Ok(()) => Ok(Self(path)),
            Err(error) => {
                let why = nginx_conf::errno(&error);
                Err(format!("open() \"{}\" failed ({why})", path.display()))
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Worker {
    pid: u32,
    /// What it is told by.
    line: UnixStream,
    ready: bool,
    /// It was told to go.
    leaving: bool,
}

struct Master {
    file: PathBuf,
    options: Options,
    /// The words the program was called with, its name first.
    called: Vec<OsString>,
    upgrade: Upgrade,
    serving: Serving,
    pid_file: PidFile,
    workers: Vec<Worker>,
    /// A new configuration and the number of the worker that is to serve it.
    pending: Option<(Serving, u32)>,
    /// A new configuration the worker was told to go over to.
    asked: Option<Asked>,
    /// A worker was lost and another is to be started in a moment.
    missing: bool,
    /// How the last reload ended, for the workers.
    notes: Option<Notes>,
    /// Another reload was asked for while a worker was starting.
    again: bool,
    events: mpsc::UnboundedSender<Event>,
    notifier: Notifier,
    /// Whether clients have been served.
    started: bool,
}

/// How it ends.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Gracefully,
    AtOnce,
}

impl Master {
    async fn run(
        mut self,
        mut happened: mpsc::UnboundedReceiver<Event>,
        console: &Console,
    ) -> ExitCode {
        let kinds = [
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::user_defined1(),
            SignalKind::window_change(),
            SignalKind::user_defined2(),
        ];
        let [
            Ok(mut hup),
            Ok(mut quit),
            Ok(mut term),
            Ok(mut int),
            Ok(mut usr1),
            Ok(mut winch),
            Ok(mut usr2),
        ] = kinds.map(signal)
        else {
            console.say(Severity::Emerg, "sigaction() failed");
            return ExitCode::FAILURE;
        };
        self.log(Severity::Notice, "start worker processes");
        if let Err(error) = self.start_worker() {
            console.say(Severity::Alert, &error);
            return ExitCode::FAILURE;
        }
        let end = loop {
            tokio::select! {
                _ = hup.recv() => self.reload(),
                _ = quit.recv() => break End::Gracefully,
                _ = term.recv() => break End::AtOnce,
                _ = int.recv() => break End::AtOnce,
                _ = usr1.recv() => self.reopen(),
                _ = winch.recv() => self.quit_workers(),
                _ = usr2.recv() => self.change_binary(),
                event = happened.recv() => match event {
                    Some(Event::Ready(pid)) => self.ready(pid),
                    Some(Event::Answered(pid, answer)) => self.answered(pid, answer),
                    Some(Event::Exited(pid, status)) if !self.exited(pid, status) => {
                        return ExitCode::FAILURE;
                    }
                    // The channel never closes: this holds a sender itself.
                    Some(Event::Exited(..)) | None => {}
                },
                () = tokio::time::sleep(BEFORE_NEXT), if self.missing => self.restart(),
                () = until(self.asked.as_ref()) => self.overdue(),
            }
        };
        self.end(end, happened, [&mut term, &mut int]).await
    }

    fn log(&self, severity: Severity, text: &str) {
        self.serving.log(severity, text);
    }

    /// Starts a worker for the configuration that is served.
    fn start_worker(&mut self) -> Result<(), String> {
        let worker = spawn(&self.serving, self.notes.as_ref(), &self.events)?;
        self.log(Severity::Notice, &format!("start worker process {}", worker.pid));
        self.workers.push(worker);
        Ok(())
    }

    /// Another worker for one that was lost; again in a moment if the system has no room for it.
    fn restart(&mut self) {
        let started = self.start_worker();
        self.missing = started.is_err();
        if let Err(error) = started {
            self.log(Severity::Alert, &error);
        }
    }

    /// SIGHUP. Whatever is wrong with the new configuration, the old one goes on.
    ///
    /// One at a time: of those that come while a worker starts, the last is carried out after it.
    fn reload(&mut self) {
        let starting = self.workers.iter().any(|worker| !worker.ready && !worker.leaving);
        if starting || self.asked.is_some() {
            self.again = true;
            return;
        }
        self.again = false;
        self.log(Severity::Notice, "signal 1 (SIGHUP) received, reconfiguring");
        self.notifier.reloading();
        self.log(Severity::Notice, "reconfiguring");
        if self.prepare().is_none() {
            self.note(false);
            self.notifier.ready(std::process::id());
        }
    }

    /// How a reload ended.
    fn note(&self, success: bool) {
        if let Some(notes) = &self.notes {
            notes.ended(success);
        }
    }

    fn prepare(&mut self) -> Option<()> {
        let (loaded, handover, answers) = in_place::load(&self.file, &self.options);
        for diagnostic in &loaded.diagnostics {
            let text = Wording.message(&loaded.sources, diagnostic);
            self.log(Wording.level(diagnostic), &text);
        }
        if !loaded.is_ok() {
            return None;
        }
        let sockets = self.serving.listeners.try_clone().ok()?;
        let log = |text: &str| self.log(Severity::Emerg, text);
        let serving = Serving::open(loaded.config, handover, sockets, &log)?;
        match self.ask(serving, &answers) {
            None => Some(()),
            Some(serving) => self.start_for(serving),
        }
    }

    /// A worker serves: the ones before it may go.
    fn ready(&mut self, pid: u32) {
        for worker in self.workers.iter_mut().filter(|worker| worker.pid == pid) {
            worker.ready = true;
        }
        if let Some((serving, _)) = self.pending.take_if(|(_, pending)| *pending == pid) {
            self.serve(serving);
            for worker in self.workers.iter_mut().filter(|worker| worker.pid != pid) {
                worker.leave();
            }
        }
        linux::pages::settle();
        self.notifier.ready(std::process::id());
        if !self.started {
            self.started = true;
            if self.serving.config.process.daemon {
                workers::say_ready(std::io::stdout());
                workers::leave_terminal(log_files(&self.serving.config).next());
            }
        }
        self.reload_if_asked();
    }

    /// From now on this is what is served.
    fn serve(&mut self, serving: Serving) {
        self.note(true);
        self.serving = serving;
        self.missing = false;
        if self.serving.config.process.pidfile.as_deref() != Some(&self.pid_file.0) {
            match PidFile::write(&self.serving.config) {
                Ok(pid_file) => self.pid_file = pid_file,
                Err(said) => self.log(Severity::Emerg, &said),
            }
        }
    }

    /// What was asked for while a worker was starting.
    fn reload_if_asked(&mut self) {
        if self.again {
            self.reload();
        }
    }

    /// A worker is gone. `false` if that is the end of the master: it never served.
    fn exited(&mut self, pid: u32, status: ExitStatus) -> bool {
        if self.new_binary_exited(pid, status) {
            return true;
        }
        self.log_exit(pid, status);
        let Some(at) = self.workers.iter().position(|worker| worker.pid == pid) else {
            return true;
        };
        let worker = self.workers.remove(at);
        if self.pending.take_if(|(_, pending)| *pending == pid).is_some() {
            self.log(
                Severity::Alert,
                "the new configuration could not be served, the old one goes on",
            );
            self.notifier.ready(std::process::id());
            self.reload_if_asked();
            return true;
        }
        if worker.leaving || self.died_of_it(pid) {
            return true;
        }
        if worker.ready {
            self.restart();
            return true;
        }
        if !self.started {
            self.serving.logger.flush();
            return false;
        }
        match status.code() {
            // It has said why, and would say it again.
            Some(code) => {
                let said = format!(
                    "worker process {pid} exited with fatal code {code} and cannot be respawned"
                );
                self.log(Severity::Alert, &said);
            }
            None => self.missing = true,
        }
        self.reload_if_asked();
        true
    }

    fn log_exit(&self, pid: u32, status: ExitStatus) {
        use std::os::unix::process::ExitStatusExt as _;
        // One that did not serve yet is told to go by a signal it has no answer to.
        let told = |worker: &Worker| worker.pid == pid && worker.leaving && !worker.ready;
        let told = self.workers.iter().any(told);
        match (status.signal(), status.code()) {
            (Some(signal), _) => {
                let core = if status.core_dumped() { " (core dumped)" } else { "" };
                let said = format!("worker process {pid} exited on signal {signal}{core}");
                let severity = if told { Severity::Notice } else { Severity::Alert };
                self.log(severity, &said);
            }
            (_, Some(code)) => {
                self.log(
                    Severity::Notice,
                    &format!("worker process {pid} exited with code {code}"),
                );
            }
            (None, None) => {}
        }
    }

    /// SIGUSR1.
    fn reopen(&self) {
        self.log(Severity::Notice, "signal 10 (SIGUSR1) received, reopening logs");
        self.serving.logger.reopen();
        // A file this made anew is root's; workers write to it with fewer rights.
        self.serving.logger.flush();
        if let Err((path, error)) = self.give_logs_to_workers() {
            let (path, why) = (path.display(), nginx_conf::errno(&error));
            self.log(Severity::Emerg, &format!("chown(\"{path}\") failed ({why})"));
        }
        for worker in self.workers.iter().filter(|worker| worker.ready) {
            tell(worker.pid, Signal::SIGUSR1);
        }
    }

    /// Makes the workers' user the owner of the log files, where this process may.
    fn give_logs_to_workers(&self) -> Result<(), (PathBuf, std::io::Error)> {
        let config = &self.serving.config;
        let Some(user) =
            config.process.user.as_deref().filter(|_| nix::unistd::geteuid().is_root())
        else {
            return Ok(());
        };
        for path in log_files(config) {
            let give = || {
                let uid = crate::privilege::user_id(user)?;
                if std::fs::metadata(path)?.uid() == uid {
                    return Ok(());
                }
                std::os::unix::fs::chown(path, Some(uid), None)
            };
            give().map_err(|error| (path.to_owned(), error))?;
        }
        Ok(())
    }

    /// SIGWINCH: workers drain, the master stays. Only in the background, as the signal otherwise
    /// means that the terminal has another size.
    fn quit_workers(&mut self) {
        if !self.serving.config.process.daemon {
            return;
        }
        self.log(Severity::Notice, "gracefully shutting down");
        self.missing = false;
        for worker in &mut self.workers {
            worker.leave();
        }
    }

    async fn end(
        mut self,
        end: End,
        mut happened: mpsc::UnboundedReceiver<Event>,
        [term, int]: [&mut tokio::signal::unix::Signal; 2],
    ) -> ExitCode {
        self.notifier.stopping();
        let said = match end {
            End::Gracefully => "signal 3 (SIGQUIT) received, shutting down",
            End::AtOnce => "signal 15 (SIGTERM) received, exiting",
        };
        self.log(Severity::Notice, said);
        // Nobody is to wait in a queue that is never read again.
        self.serving.listeners = Listeners::default();
        self.pending = None;
        self.asked = None;
        for worker in &mut self.workers {
            match end {
                End::Gracefully => worker.leave(),
                End::AtOnce => tell(worker.pid, Signal::SIGTERM),
            }
        }
        let mut at_once = end == End::AtOnce;
        while !self.workers.is_empty() {
            let patience = async {
                if at_once {
                    tokio::time::sleep(PATIENCE).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                event = happened.recv() => {
                    if let Some(Event::Exited(pid, status)) = event {
                        self.log_exit(pid, status);
                        self.workers.retain(|worker| worker.pid != pid);
                    }
                }
                () = patience => {
                    for worker in &self.workers {
                        tell(worker.pid, Signal::SIGKILL);
                    }
                }
                _ = term.recv() => at_once = true,
                _ = int.recv() => at_once = true,
            }
            if at_once {
                for worker in &self.workers {
                    tell(worker.pid, Signal::SIGTERM);
                }
            }
        }
        let binds = self.serving.config.frontends.iter().flat_map(|frontend| &frontend.binds);
        // Those of the program that follows stay.
        for bind in binds.filter(|_| !self.upgrade.is_running()) {
            if let BindAddress::Unix(path) = &bind.address {
                let _ = std::fs::remove_file(path);
            }
        }
        self.log(Severity::Notice, "exit");
        self.serving.logger.flush();
        ExitCode::SUCCESS
    }
}

impl Worker {
    /// Has it drain; one that does not serve yet has nothing to drain, and no answer to SIGQUIT.
    fn leave(&mut self) {
        self.leaving = true;
        tell(self.pid, if self.ready { Signal::SIGQUIT } else { Signal::SIGTERM });
    }
}

/// Waits until an answer is overdue.
async fn until(asked: Option<&Asked>) {
    match asked {
        Some(asked) => tokio::time::sleep_until(asked.until()).await,
        None => std::future::pending().await,
    }
}

/// Starts a worker, and has the channel told what becomes of it.
fn spawn(
    serving: &Serving,
    notes: Option<&Notes>,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<Worker, String> {
    let start = || {
        let (line, theirs) = workers::line()?;
        let mut command = workers::again(WORKER);
        command
            .env(ENVIRONMENT, serving.listeners.environment())
            .env_remove(NGINX_ENVIRONMENT)
            .stdin(Stdio::from(serving.handover.write()?))
            .stdout(theirs);
        if let Some(notes) = notes {
            notes.tell(&mut command);
        }
        let events = events.clone();
        workers::start(command, line, &serving.listeners, move |event| {
            // Nobody listens any more when the master is at its end.
            let _ = events.send(event);
        })
    };
    let failed =
        |error| format!("could not start a worker process ({})", nginx_conf::errno(&error));
    let (pid, line) = start().map_err(failed)?;
    Ok(Worker { pid, line, ready: false, leaving: false })
}
