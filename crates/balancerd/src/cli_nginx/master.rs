//! The master: sockets, pid file, workers, signals.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use daemon::systemd::Notifier;
use nginx_conf::{Loaded, Options, Wording};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy::{BindAddress, Config, Severity};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::handover::Handover;
use super::say::Console;
use super::{VERSION, WORKER, log_files, start};
use crate::bind::{ENVIRONMENT, Listeners, NGINX_ENVIRONMENT, inherited};
use crate::log::{Logger, Route};
use crate::worker;

/// How often a port in use is tried, and how long apart.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// How long workers may take to stop before they are killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves until told to end. Returns the exit code.
pub(super) fn run(loaded: Loaded, file: &Path, options: &Options, console: &Console) -> ExitCode {
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
    if !serving.config.process.master_worker {
        return alone(serving, pid_file, console);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), local) = (runtime, tokio::task::LocalSet::new()) else {
        console.say(Severity::Emerg, "epoll_create() failed");
        return ExitCode::FAILURE;
    };
    let (events, happened) = mpsc::unbounded_channel();
    let master = Master {
        file: file.to_owned(),
        options: options.clone(),
        serving,
        pid_file,
        workers: Vec::new(),
        pending: None,
        events,
        notifier: Notifier::from_env(),
        started: false,
    };
    local.block_on(&runtime, master.run(happened, console))
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
            start::say_ready();
            start::leave_terminal(log.as_deref());
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
        let to_terminal =
            config.process.error_log.iter().any(|log| log.target == proxy::ErrorLogTarget::Stderr);
        let say = |text: &str| {
            logger.send(&route, Severity::Emerg, text);
            if !to_terminal {
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

/// What happens to workers.
enum Event {
    /// It serves.
    Ready(u32),
    /// It is gone.
    Exited(u32, Option<ExitStatus>),
}

struct Worker {
    pid: u32,
    ready: bool,
    /// It was told to go.
    leaving: bool,
}

struct Master {
    file: PathBuf,
    options: Options,
    serving: Serving,
    pid_file: PidFile,
    workers: Vec<Worker>,
    /// A new configuration and the number of the worker that is to serve it.
    pending: Option<(Serving, u32)>,
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
                _ = usr2.recv() => self.log(Severity::Error, "not supported yet: SIGUSR2"),
                event = happened.recv() => match event {
                    Some(Event::Ready(pid)) => self.ready(pid),
                    Some(Event::Exited(pid, status)) if !self.exited(pid, status) => {
                        return ExitCode::FAILURE;
                    }
                    // The channel never closes: this holds a sender itself.
                    Some(Event::Exited(..)) | None => {}
                },
            }
        };
        self.end(end, happened, [&mut term, &mut int]).await
    }

    fn log(&self, severity: Severity, text: &str) {
        self.serving.log(severity, text);
    }

    /// Starts a worker for the configuration that is served.
    fn start_worker(&mut self) -> Result<(), String> {
        let worker = spawn(&self.serving, &self.events)?;
        self.log(Severity::Notice, &format!("start worker process {}", worker.pid));
        self.workers.push(worker);
        Ok(())
    }

    /// SIGHUP. Whatever is wrong with the new configuration, the old one goes on.
    fn reload(&mut self) {
        self.log(Severity::Notice, "signal 1 (SIGHUP) received, reconfiguring");
        self.notifier.reloading();
        self.log(Severity::Notice, "reconfiguring");
        if self.prepare().is_none() {
            self.notifier.ready(std::process::id());
        }
    }

    fn prepare(&mut self) -> Option<()> {
        let loaded = nginx_conf::load(&self.file, &self.options);
        for diagnostic in &loaded.diagnostics {
            let text = Wording.message(&loaded.sources, diagnostic);
            self.log(Wording.level(diagnostic), &text);
        }
        if !loaded.is_ok() {
            return None;
        }
        if let Some((_, pid)) = self.pending.take() {
            // Overtaken by this one.
            tell(pid, Signal::SIGTERM);
        }
        let sockets = self.serving.listeners.try_clone().ok()?;
        let handover = Handover::of(&loaded, &self.file, &self.options);
        let log = |text: &str| self.log(Severity::Emerg, text);
        let serving = Serving::open(loaded.config, handover, sockets, &log)?;
        match spawn(&serving, &self.events) {
            Ok(worker) => {
                self.log(Severity::Notice, &format!("start worker process {}", worker.pid));
                self.pending = Some((serving, worker.pid));
                self.workers.push(worker);
                Some(())
            }
            Err(error) => {
                self.log(Severity::Alert, &error);
                None
            }
        }
    }

    /// A worker serves: the ones before it may go.
    fn ready(&mut self, pid: u32) {
        for worker in self.workers.iter_mut().filter(|worker| worker.pid == pid) {
            worker.ready = true;
        }
        if let Some((serving, _)) = self.pending.take_if(|(_, pending)| *pending == pid) {
            self.serving = serving;
            if self.serving.config.process.pidfile.as_deref() != Some(&self.pid_file.0) {
                match PidFile::write(&self.serving.config) {
                    Ok(pid_file) => self.pid_file = pid_file,
                    Err(said) => self.log(Severity::Emerg, &said),
                }
            }
            for worker in self.workers.iter_mut().filter(|worker| worker.pid != pid) {
                worker.leaving = true;
                tell(worker.pid, Signal::SIGQUIT);
            }
        }
        self.notifier.ready(std::process::id());
        if !self.started {
            self.started = true;
            if self.serving.config.process.daemon {
                start::say_ready();
                start::leave_terminal(log_files(&self.serving.config).next());
            }
        }
    }

    /// A worker is gone. `false` if that is the end of the master: it never served.
    fn exited(&mut self, pid: u32, status: Option<ExitStatus>) -> bool {
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
            return true;
        }
        if worker.leaving {
            return true;
        }
        if !worker.ready {
            let said = format!("worker process {pid} could not start and is not started again");
            self.log(Severity::Alert, &said);
            self.serving.logger.flush();
            return self.started;
        }
        if let Err(error) = self.start_worker() {
            self.log(Severity::Alert, &error);
        }
        true
    }

    fn log_exit(&self, pid: u32, status: Option<ExitStatus>) {
        use std::os::unix::process::ExitStatusExt as _;
        let Some(status) = status else { return };
        match (status.signal(), status.code()) {
            (Some(signal), _) => {
                let core = if status.core_dumped() { " (core dumped)" } else { "" };
                let said = format!("worker process {pid} exited on signal {signal}{core}");
                self.log(Severity::Alert, &said);
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
        for worker in &self.workers {
            tell(worker.pid, Signal::SIGUSR1);
        }
    }

    /// SIGWINCH: workers drain, the master stays. Only in the background, as the signal otherwise
    /// means that the terminal has another size.
    fn quit_workers(&mut self) {
        if !self.serving.config.process.daemon {
            return;
        }
        self.log(Severity::Notice, "gracefully shutting down");
        for worker in &mut self.workers {
            worker.leaving = true;
            tell(worker.pid, Signal::SIGQUIT);
        }
    }

    async fn end(
        mut self,
        end: End,
        mut happened: mpsc::UnboundedReceiver<Event>,
        [term, int]: [&mut tokio::signal::unix::Signal; 2],
    ) -> ExitCode {
        self.notifier.stopping();
        let (said, signal) = match end {
            End::Gracefully => ("signal 3 (SIGQUIT) received, shutting down", Signal::SIGQUIT),
            End::AtOnce => ("signal 15 (SIGTERM) received, exiting", Signal::SIGTERM),
        };
        self.log(Severity::Notice, said);
        // Nobody is to wait in a queue that is never read again.
        self.serving.listeners = Listeners::default();
        self.pending = None;
        for worker in &self.workers {
            tell(worker.pid, signal);
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
        for bind in self.serving.config.frontends.iter().flat_map(|frontend| &frontend.binds) {
            if let BindAddress::Unix(path) = &bind.address {
                let _ = std::fs::remove_file(path);
            }
        }
        self.log(Severity::Notice, "exit");
        self.serving.logger.flush();
        ExitCode::SUCCESS
    }
}

/// Starts a worker, and has the channel told what becomes of it.
fn spawn(serving: &Serving, events: &mpsc::UnboundedSender<Event>) -> Result<Worker, String> {
    let failed = |error: std::io::Error| {
        format!("could not start a worker process ({})", nginx_conf::errno(&error))
    };
    let input = serving.handover.write().map_err(failed)?;
    let mut command = Command::new(start::program());
    command
        .arg0(WORKER)
        .env(ENVIRONMENT, serving.listeners.environment())
        .env_remove(NGINX_ENVIRONMENT)
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped());
    serving.listeners.set_inheritable(true).map_err(failed)?;
    let started = command.spawn();
    serving.listeners.set_inheritable(false).map_err(failed)?;
    let mut child = started.map_err(failed)?;
    let pid = child.id().unwrap_or_default();
    let (output, events) = (child.stdout.take(), events.clone());
    tokio::task::spawn_local(async move {
        if let Some(output) = output {
            let mut line = String::new();
            // A worker that dies first says nothing; that it has died is told below.
            let _ = BufReader::new(output).read_line(&mut line).await;
            if line.trim_end() == start::READY {
                let _ = events.send(Event::Ready(pid));
            }
        }
        let _ = events.send(Event::Exited(pid, child.wait().await.ok()));
    });
    Ok(Worker { pid, ready: false, leaving: false })
}

fn tell(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // One that has just ended needs no telling.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
