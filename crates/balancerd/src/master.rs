//! HAProxy's master: it holds the listening sockets, starts workers, and replaces them on demand.
//!
//! ```text
//!            USR2, HUP          TERM, INT          USR1
//!               │                   │                │
//!   master ── read, bind ──► the worker goes over to it in place, and says what has changed
//!     │                        │ it cannot
//!     │                      new worker ── ready ──► old one drains (USR1)
//!     │  a broken file, an address in use, a worker that does not start:
//!     │  say why, and the old worker goes on
//!     └ a line (socket) to each worker: "ready" comes up, its end says that the master is gone
//! ```
//!
//! Workers are this program again with the same command line; which role a process has stands in
//! the environment. The sockets stay open here, so a connection that arrives between two workers
//! waits in the kernel instead of being refused.

mod cli;
mod roll;

use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use conf::Severity;
use daemon::systemd::Notifier;
use haproxy_cfg::{Manner, preamble};
use nix::sys::signal::Signal;
use proxy::{BindAddress, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::bind::{ENVIRONMENT, Listeners};
use crate::cli_haproxy::{
    Arguments, Cli, Handover, NO_LISTENER, again, announce_bind_errors, executable, in_main, read,
    say, tell_old, write_pid,
};
use crate::reloads::Notes;
use crate::workers::line;
use crate::{terminal, workers};

pub(crate) use cli::parse as parse_socket;
use cli::{Ask, Target};
use roll::{Member, Roll};

/// Environment of a worker: `N=M;` for a configured `fd@N` that is open as M.
pub(crate) const FDS: &str = "EVERGATE_FDS";

/// Environment of a worker: the number of the socket over which operators come to it.
pub(crate) const CONTROL: &str = "EVERGATE_CONTROL";

/// Listening sockets, and which of them stand for a configured `fd@N`.
#[derive(Debug, Default)]
struct Sockets {
    listeners: Listeners,
    /// N, and the number it is open as.
    placed: Vec<(i32, RawFd)>,
}

/// What happens to a master.
enum Event {
    Worker(workers::Event),
    Reload,
    /// USR1.
    Drain,
    /// TERM or INT, and the exit code that follows.
    Stop(Signal, u8),
    /// Somebody at the master's socket.
    Asked(Ask),
    /// A worker has had its time to answer the order with this number.
    Overdue(u32),
}

/// How long a worker may take to go over to another configuration.
const PATIENCE: Duration = Duration::from_secs(10);

struct Master<'a> {
    cli: &'a Cli,
    arguments: &'a Arguments,
    /// The sockets of the current worker.
    sockets: Sockets,
    /// The sockets of the worker that is being started.
    next: Option<Sockets>,
    starting: Option<u32>,
    current: Option<u32>,
    former: Vec<u32>,
    /// Since when workers run.
    members: Vec<Member>,
    /// How operators get to each worker.
    controls: HashMap<u32, UnixStream>,
    started: Instant,
    reloads: u32,
    /// How the last reload ended, for the workers.
    notes: Option<Notes>,
    /// `mworker-max-reloads` of the configuration that was read last.
    most_reloads: Option<u32>,
    failed: u32,
    /// Who waits for the end of a reload.
    waiting: Vec<oneshot::Sender<String>>,
    /// What the workers that start and serve are told by.
    lines: Vec<(u32, UnixStream)>,
    /// The number of the order the current worker has not answered yet.
    asked: Option<u32>,
    orders: u32,
    /// Whether another reload was asked for while one went on.
    again: bool,
    /// Set once the process is to end: its exit code.
    ending: Option<u8>,
    detached: bool,
    introduced: bool,
    notifier: Notifier,
    events: mpsc::UnboundedSender<Event>,
}

/// Runs a master until it is told to end. `introduced`: the two notices before the first warning
/// have been printed.
pub(crate) fn run(
    cli: &Cli,
    arguments: &Arguments,
    config: Config,
    handover: Handover,
    introduced: bool,
) -> ExitCode {
    let detached = handover.role.is_some();
    let Some(sockets) = bind(config.clone(), handover) else { return ExitCode::from(1) };
    if !write_pid(&config, std::process::id()) {
        return ExitCode::from(1);
    }
    drop(config);
    linux::process::trim_heap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            say(Severity::Error, &in_main(error));
            return ExitCode::from(1);
        }
    };
    let (events, happening) = mpsc::unbounded_channel();
    let notifier = if arguments.notify { Notifier::from_env() } else { Notifier::default() };
    let own = match cli::bind(arguments.sockets.clone()) {
        Ok(own) => own,
        Err(problems) => {
            announce_bind_errors(&problems);
            return ExitCode::from(1);
        }
    };
    let shown = cli::sockets(&arguments.sockets);
    let asking = events.clone();
    let master = Master {
        cli,
        arguments,
        sockets: Sockets::default(),
        next: Some(sockets),
        starting: None,
        current: None,
        former: vec![],
        members: vec![],
        controls: HashMap::new(),
        started: Instant::now(),
        reloads: 0,
        most_reloads: None,
        notes: Notes::new(),
        failed: 0,
        waiting: vec![],
        lines: vec![],
        asked: None,
        orders: 0,
        again: false,
        ending: None,
        detached,
        introduced,
        notifier,
        events,
    };
    let tasks = tokio::task::LocalSet::new();
    ExitCode::from(tasks.block_on(&runtime, async move {
        let (asks, mut asked) = mpsc::unbounded_channel();
        for (level, socket) in own {
            tokio::task::spawn_local(cli::serve(socket, level, shown.clone(), asks.clone()));
        }
        tokio::task::spawn_local(async move {
            while let Some(ask) = asked.recv().await {
                if asking.send(Event::Asked(ask)).is_err() {
                    return;
                }
            }
        });
        master.live(happening).await
    }))
}

/// Binds what workers accept on, and where they answer operators.
fn bind(mut config: Config, handover: Handover) -> Option<Sockets> {
    let written = config.clone();
    handover.place(&mut config);
    let listeners = match Listeners::bind(&config, handover.sockets) {
        Ok((listeners, problems)) => {
            announce_bind_errors(&problems);
            listeners
        }
        Err(problems) => {
            announce_bind_errors(&problems);
            return None;
        }
    };
    let placed = |bound: &crate::bind::Bound| {
        let line = written.frontends.get(bound.frontend)?.binds.get(bound.bind)?;
        match line.address {
            BindAddress::Fd(number) => Some((number, bound.fd.as_raw_fd())),
            _ => None,
        }
    };
    let placed_stats =
        |(index, fd): &(usize, OwnedFd)| match written.process.stats_sockets.get(*index)?.address {
            BindAddress::Fd(number) => Some((number, fd.as_raw_fd())),
            _ => None,
        };
    let stats = listeners.stats.iter().filter_map(placed_stats);
    let placed = listeners.sockets.iter().filter_map(placed).chain(stats).collect();
    Some(Sockets { listeners, placed })
}

impl Sockets {
    /// Tells a worker which descriptors it inherits.
    fn hand_to(&self, command: &mut std::process::Command) {
        let is_placed = |fd: RawFd| self.placed.iter().any(|(_, open)| *open == fd);
        let numbers = self.listeners.fds().map(|fd| fd.as_raw_fd());
        let anonymous: String =
            numbers.filter(|fd| !is_placed(*fd)).map(|fd| format!("{fd};")).collect();
        let placed: String =
            self.placed.iter().map(|(number, open)| format!("{number}={open};")).collect();
        command.env(ENVIRONMENT, anonymous).env(FDS, placed);
    }

    /// What a reload takes over.
    fn handover(&self) -> std::io::Result<Handover> {
        let mut handover = Handover::default();
        for fd in self.listeners.fds() {
            let copy = fd.try_clone_to_owned()?;
            match self.placed.iter().find(|(_, open)| *open == fd.as_raw_fd()) {
                // From here on it is known by its number alone; binding takes it over by that.
                Some((number, _)) => handover.placed.push((*number, copy.into_raw_fd())),
                None => handover.sockets.push(copy),
            }
        }
        Ok(handover)
    }
}

impl Master<'_> {
    /// Until the last worker has ended. Returns the exit code.
    async fn live(mut self, mut happening: mpsc::UnboundedReceiver<Event>) -> u8 {
        if self.arguments.notify {
            tokio::spawn(daemon::systemd::feed_watchdog());
        }
        if let Err(error) = self.listen_for_signals().and_then(|()| self.start()) {
            self.say(Severity::Error, &in_main(format_args!("Cannot fork: {error}.")));
            return 1;
        }
        while let Some(event) = happening.recv().await {
            match event {
                Event::Worker(workers::Event::Ready(pid)) => self.ready(pid),
                Event::Worker(workers::Event::Exited(pid, status)) => self.exited(pid, status),
                Event::Worker(workers::Event::Answered(pid, answer)) => self.answered(pid, answer),
                Event::Overdue(order) => {
                    if self.asked == Some(order) {
                        self.instead("the worker does not answer");
                    }
                }
                Event::Reload => self.reload(),
                Event::Drain => self.stop(Signal::SIGUSR1, 0),
                Event::Stop(signal, code) => self.stop(signal, code),
                Event::Asked(ask) => self.answer(ask),
            }
            let nobody = self.starting.or(self.current).is_none() && self.former.is_empty();
            if let (Some(code), true) = (self.ending, nobody) {
                if self.introduced {
                    let text = format!("All workers exited. Exiting... ({code})");
                    self.say(Severity::Warning, &text);
                }
                return code;
            }
        }
        0
    }

    fn listen_for_signals(&self) -> std::io::Result<()> {
        let meanings: [(SignalKind, fn() -> Event); 5] = [
            (SignalKind::user_defined2(), || Event::Reload),
            (SignalKind::hangup(), || Event::Reload),
            (SignalKind::user_defined1(), || Event::Drain),
            (SignalKind::terminate(), || Event::Stop(Signal::SIGTERM, 0)),
            (SignalKind::interrupt(), || Event::Stop(Signal::SIGINT, 130)),
        ];
        for (kind, event) in meanings {
            let mut stream = signal(kind)?;
            let events = self.events.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if events.send(event()).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(())
    }

    /// Says something, after the two notices that stand before the first warning.
    fn say(&mut self, severity: Severity, text: &str) {
        if self.arguments.quiet || self.detached && self.current.is_some() {
            self.introduced |= severity > Severity::Notice;
            return;
        }
        if severity > Severity::Notice && !self.introduced {
            terminal::err(&preamble(std::process::id(), &executable()));
            self.introduced = true;
        }
        say(severity, text);
    }

    /// Starts a worker on the sockets of `next`.
    fn start(&mut self) -> std::io::Result<()> {
        let Some(sockets) = &self.next else { return Ok(()) };
        let (mut command, line) = again(self.cli, "worker")?;
        sockets.hand_to(&mut command);
        let (control, theirs) = UnixStream::pair()?;
        nix::fcntl::fcntl(&theirs, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        command.env(CONTROL, theirs.as_raw_fd().to_string());
        if let Some(notes) = &self.notes {
            notes.tell(&mut command);
        }
        let events = self.events.clone();
        let (pid, line) = workers::start(command, line, &sockets.listeners, move |event| {
            // Nobody listens any more when the master is at its end.
            let _ = events.send(Event::Worker(event));
        })?;
        drop(theirs);
        self.controls.insert(pid, control);
        self.members.push(Member { pid, since: Instant::now(), reloads: self.reloads });
        self.starting = Some(pid);
        self.lines.push((pid, line));
        self.say(Severity::Notice, &format!("New worker ({pid}) forked"));
        self.end_the_oldest();
        Ok(())
    }

    fn ready(&mut self, pid: u32) {
        if self.starting != Some(pid) {
            return;
        }
        self.say(Severity::Notice, "Loading success.");
        self.starting = None;
        self.reloaded(true);
        if let Some(next) = self.next.take() {
            self.sockets = next;
        }
        if let Some(old) = self.current.replace(pid) {
            workers::signal(old, Signal::SIGUSR1);
            self.former.push(old);
        } else {
            tell_old(&self.arguments.finish, &self.arguments.terminate);
            if self.detached {
                workers::say_ready(std::io::stdin());
                workers::leave_terminal(None);
            }
        }
        linux::pages::settle();
        self.notifier.ready(std::process::id());
        if std::mem::take(&mut self.again) {
            self.reload();
        }
    }

    fn reload(&mut self) {
        if self.ending.is_some() {
            return;
        }
        if self.starting.is_some() || self.asked.is_some() {
            self.again = true;
            return;
        }
        self.notifier.reloading();
        self.reloads += 1;
        terminal::begin_log();
        self.say(Severity::Notice, "Reloading HAProxy");
        if !self.replace() {
            self.say(Severity::Warning, "Loading failure!");
            self.reloaded(false);
            self.next = None;
            self.notifier.ready(std::process::id());
        }
    }

    /// Reads the configuration again and starts a worker for it. False: nothing has changed.
    fn replace(&mut self) -> bool {
        let (loaded, answers) = conf::outside::recorded(|| read(self.arguments));
        let report = loaded.report(&Manner {
            pid: std::process::id(),
            executable: &executable(),
            quiet: self.arguments.quiet,
            check: false,
            zero_warning: self.arguments.zero_warning,
            explain: self.arguments.explain,
        });
        if !self.detached {
            terminal::err(&report.stderr);
        }
        let Some(config) = loaded.config.filter(|_| report.code == 0) else {
            if report.code == 2 {
                self.say(Severity::Error, &in_main(NO_LISTENER));
            }
            return false;
        };
        self.most_reloads = config.process.tuning.most_reloads;
        let handover = match self.sockets.handover() {
            Ok(handover) => handover,
            Err(error) => {
                self.say(Severity::Error, &in_main(error));
                return false;
            }
        };
        self.next = bind(config, handover);
        let asked = self.next.is_some() && self.ask(&answers).is_some();
        drop(answers);
        linux::process::trim_heap();
        self.next.is_some() && (asked || self.start().is_ok())
    }

    /// Tells the worker that serves to go over to `next`, where that is wanted and it can be told.
    fn ask(&mut self, answers: &conf::outside::Answers) -> Option<()> {
        let (next, current) = (self.next.as_ref()?, self.current?);
        if !line::in_place_is_wanted() {
            return None;
        }
        let (_, worker) = self.lines.iter().find(|(pid, _)| *pid == current)?;
        let fresh = line::fresh(&next.listeners, &self.sockets.listeners).ok()?;
        line::send(worker, answers, &fresh).ok()?;
        self.orders += 1;
        let order = self.orders;
        self.asked = Some(order);
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            // Nobody listens any more when the master is at its end.
            let _ = events.send(Event::Overdue(order));
        });
        Some(())
    }

    /// The worker has gone over to the next configuration, or says why not.
    fn answered(&mut self, pid: u32, answer: line::Answer) {
        if self.current != Some(pid) || self.asked.is_none() {
            return;
        }
        match answer {
            Ok(told) => {
                self.asked = None;
                if let Some(next) = self.next.take() {
                    self.sockets = next;
                }
                self.say(Severity::Notice, "Loading success.");
                self.say(Severity::Notice, &format!("Changed in place: {told}"));
                self.reloaded(true);
                self.notifier.ready(std::process::id());
                if std::mem::take(&mut self.again) {
                    self.reload();
                }
            }
            Err(why) => self.instead(&why),
        }
    }

    /// A new worker for what the one that serves cannot go over to.
    fn instead(&mut self, why: &str) {
        self.asked = None;
        self.say(Severity::Notice, &format!("Not changed in place: {why}"));
        if self.ending.is_none() && self.start().is_err() {
            self.say(Severity::Warning, "Loading failure!");
            self.reloaded(false);
            self.next = None;
            self.notifier.ready(std::process::id());
        }
    }

    fn exited(&mut self, pid: u32, status: ExitStatus) {
        let (code, why) = ended(status);
        self.controls.remove(&pid);
        self.members.retain(|member| member.pid != pid);
        self.lines.retain(|(known, _)| *known != pid);
        if self.current == Some(pid) && self.asked.is_some() && self.ending.is_none() {
            // It died of a configuration it was to go over to: a new one may live with it.
            self.current = None;
            let text = format!("Current worker ({pid}) exited with code {code} ({why})");
            self.say(Severity::Error, &text);
            self.instead("the worker is gone");
            return;
        }
        let severity = if code == 0 { Severity::Warning } else { Severity::Error };
        if self.starting == Some(pid) {
            self.starting = None;
            self.next = None;
            if self.current.is_none() {
                // It has said why.
                self.ending.get_or_insert(code.max(1));
                return;
            }
            self.say(Severity::Warning, "Loading failure!");
            self.reloaded(false);
            self.notifier.ready(std::process::id());
        } else if self.current == Some(pid) {
            self.current = None;
            let text = format!("Current worker ({pid}) exited with code {code} ({why})");
            self.say(severity, &text);
            if self.ending.is_none() {
                self.say(Severity::Error, "exit-on-failure: killing every processes with SIGTERM");
                self.ending = Some(code);
                self.signal_all(Signal::SIGTERM);
            }
        } else {
            self.former.retain(|former| *former != pid);
            self.say(severity, &format!("Former worker ({pid}) exited with code {code} ({why})"));
        }
    }

    /// A start or a reload is over; those who wait for it hear how it went.
    fn reloaded(&mut self, success: bool) {
        self.failed += u32::from(!success);
        if let Some(notes) = &self.notes {
            notes.ended(success);
        }
        terminal::end_log();
        let said = terminal::startup_log();
        for waiting in self.waiting.drain(..) {
            // Who has gone does not want to know.
            let _ = waiting.send(format!("Success={}\n--\n{said}\n", u8::from(success)));
        }
    }

    /// Answers a client of the master's socket.
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Processes(answer) => {
                let find = |pid: &u32| self.members.iter().find(|member| member.pid == *pid);
                let former: Vec<Member> = self.former.iter().filter_map(find).copied().collect();
                let roll = Roll {
                    started: self.started,
                    reloads: self.reloads,
                    failed: self.failed,
                    current: self.current.as_ref().and_then(find).copied(),
                    former: &former,
                };
                let _ = answer.send(roll.show(Instant::now()));
            }
            Ask::Reload(answer) => {
                self.waiting.push(answer);
                self.reload();
            }
            Ask::Worker(target, level, answer) => {
                let pid = match target {
                    Target::Master => None,
                    Target::Current => self.current,
                    Target::Process(pid) => Some(pid),
                };
                let found = pid.and_then(|pid| Some((pid, self.controls.get(&pid)?)));
                let pair = found
                    .and_then(|(pid, control)| Some((pid, cli::connect(control, level).ok()?)));
                let _ = answer.send(pair);
            }
        }
    }

    fn stop(&mut self, signal: Signal, code: u8) {
        self.ending.get_or_insert(code);
        self.notifier.stopping();
        self.say(Severity::Warning, "Exiting Master process...");
        self.signal_all(signal);
    }

    /// `mworker-max-reloads`: those that have outlived more reloads are told to end.
    fn end_the_oldest(&self) {
        let Some(most) = self.most_reloads else { return };
        let old = |member: &&Member| self.reloads.saturating_sub(member.reloads) > most;
        for member in self.members.iter().filter(old).filter(|old| Some(old.pid) != self.current) {
            workers::signal(member.pid, Signal::SIGTERM);
        }
    }

    fn signal_all(&self, signal: Signal) {
        let workers = self.starting.iter().chain(&self.current).chain(&self.former);
        workers.for_each(|pid| workers::signal(*pid, signal));
    }
}

/// How a process ended, as a shell counts it, with the words HAProxy has for it.
fn ended(status: ExitStatus) -> (u8, &'static str) {
    match status.signal().and_then(|number| Signal::try_from(number).ok()) {
        Some(signal) => {
            let words = match signal {
                Signal::SIGTERM => "Terminated",
                Signal::SIGINT => "Interrupt",
                Signal::SIGKILL => "Killed",
                Signal::SIGABRT => "Aborted",
                Signal::SIGSEGV => "Segmentation fault",
                Signal::SIGBUS => "Bus error",
                Signal::SIGHUP => "Hangup",
                Signal::SIGQUIT => "Quit",
                other => other.as_str(),
            };
            (128 + u8::try_from(signal as i32).unwrap_or(0), words)
        }
        None => (status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1), "Exit"),
    }
}
