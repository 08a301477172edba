//! Who is told of transitions: scripts, named pipes, people with a mailbox.
//!
//! ```text
//!                      ┌─► queue: a line for each instance and group ─► scripts, one after another
//!   role ──► tell ─────┼─► fifo:  written at once, or lost and counted ──► its reader
//!                      └─► mail:  one after another ─► smtp
//! ```
//!
//! Nobody who is told can keep an advert waiting: pipes never block, scripts are started by a thread
//! of their own, and names are looked up by another.

mod fifo;
mod mail;
mod queue;
mod readers;
mod smtp;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use daemon::clock::Clock;
use daemon::log::{Log, Severity};
use daemon::script::{Outcome, Runner, Script as Program};
use linux::clock::LocalTime;
use machine::Instant;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, unbounded_channel};
use vrrp::State;
use vrrp::config::{Command, Config, FifoConfig, Globals, NotifyConfig};

use self::fifo::{Fifo, Written};
use self::mail::Mail;
use self::queue::Queue;
use self::readers::Reader;
use crate::programs;

/// How many mails may wait for the relay; beyond that, new ones are left out.
const MAILS: usize = 1024;

/// What a notification is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// A virtual router.
    Instance,
    /// Virtual routers that move together.
    Group,
}

impl Kind {
    /// As scripts and pipes are told.
    const fn name(self) -> &'static str {
        match self {
            Self::Instance => "INSTANCE",
            Self::Group => "GROUP",
        }
    }
}

/// What is told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    Master,
    Backup,
    Fault,
    /// The daemon stops.
    Stop,
    /// A reload removed it, and `notify_deleted` is there.
    Deleted,
    /// As master it heard a lower priority.
    HeardLowerPriority,
    /// Its priority changed while it is master.
    MasterPriority,
    /// Its priority changed while it is not.
    BackupPriority,
}

impl Told {
    /// As scripts and pipes are told.
    const fn name(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::HeardLowerPriority => "MASTER_RX_LOWER_PRI",
            Self::MasterPriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
        }
    }

    /// A state that was entered, by something that goes on.
    pub(crate) const fn entered(state: State) -> Option<Self> {
        match state {
            State::Master => Some(Self::Master),
            State::Backup => Some(Self::Backup),
            State::Fault => Some(Self::Fault),
            State::Init => None,
        }
    }

    /// The end of something a reload removed.
    pub(crate) const fn removed(config: &NotifyConfig) -> Self {
        if config.deleted_is_told { Self::Deleted } else { Self::Fault }
    }

    /// Whether `notify` scripts and mails are for it.
    const fn is_state(self) -> bool {
        matches!(self, Self::Master | Self::Backup | Self::Fault | Self::Stop | Self::Deleted)
    }

    /// The script of its own.
    fn script(self, config: &NotifyConfig) -> Option<&Command> {
        match self {
            Self::Master => config.master.as_ref(),
            Self::Backup => config.backup.as_ref(),
            Self::Fault => config.fault.as_ref(),
            Self::Stop => config.stop.as_ref(),
            Self::Deleted => config.deleted.as_ref(),
            Self::HeardLowerPriority => config.master_rx_lower_pri.as_ref(),
            Self::MasterPriority | Self::BackupPriority => None,
        }
    }
}

/// One thing to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice<'a> {
    pub(crate) kind: Kind,
    /// Of the instance or group.
    pub(crate) name: &'a str,
    pub(crate) told: Told,
    /// The effective one; 0 of a group.
    pub(crate) priority: u8,
    /// Whom it wants told.
    pub(crate) config: &'a NotifyConfig,
}

type Line = (Kind, String);

/// Something that was started has ended.
#[derive(Debug)]
pub(crate) enum End {
    Script { line: Line, number: u64, program: String, outcome: Outcome },
    Mail(Result<SocketAddr, smtp::Failure>),
    Reader { script: String, outcome: Outcome },
}

/// Tells everybody.
#[derive(Debug)]
pub(crate) struct Notifier {
    log: Rc<Log>,
    detail: bool,
    globals: Globals,
    /// Who we are, for mails that name no sender.
    user: String,
    /// The group of each instance that has one, and the instances of each group.
    group_of: BTreeMap<String, String>,
    members: BTreeMap<String, Vec<String>>,
    /// Made with the first script: without scripts there is no thread for them.
    runner: Option<Arc<Runner>>,
    queue: Queue<Line, Program>,
    pipes: Vec<Pipe>,
    mails: Option<mpsc::Sender<Mail>>,
    /// Those handed to the task that sends them, and not yet sent.
    mails_waiting: usize,
    mails_left_out: u64,
    ends: UnboundedReceiver<End>,
    ended: UnboundedSender<End>,
}

/// A FIFO and its reader.
#[derive(Debug)]
struct Pipe {
    config: FifoConfig,
    /// None if it could not be opened.
    fifo: Option<Fifo>,
    reader: Option<Reader>,
    failed: bool,
}

impl Notifier {
    /// Tells nobody yet.
    pub(crate) fn new(log: Rc<Log>, detail: bool) -> Self {
        let (ended, ends) = unbounded_channel();
        Self {
            log,
            detail,
            globals: Globals::default(),
            user: linux::user::own_name().unwrap_or_else(|| "root".to_owned()),
            group_of: BTreeMap::new(),
            members: BTreeMap::new(),
            runner: None,
            queue: Queue::new(),
            pipes: Vec::new(),
            mails: None,
            mails_waiting: 0,
            mails_left_out: 0,
            ends,
            ended,
        }
    }

    /// Takes a configuration, at the start or at a reload. A pipe that stays is not closed.
    pub(crate) fn configure(&mut self, config: &Config) {
        let script_user_stays = self.globals.script_user == config.globals.script_user
            && self.globals.script_group == config.globals.script_group;
        self.globals = config.globals.clone();
        self.members = BTreeMap::new();
        self.group_of = BTreeMap::new();
        for group in &config.sync_groups {
            self.members.insert(group.name.clone(), group.instances.clone());
            for instance in &group.instances {
                self.group_of.insert(instance.clone(), group.name.clone());
            }
        }
        let globals = &config.globals;
        let named = [("", &globals.fifo), ("vrrp ", &globals.vrrp_fifo)];
        let mut old = std::mem::take(&mut self.pipes);
        let mut new: Vec<(&str, &FifoConfig)> = Vec::new();
        for (name, wanted) in named {
            if let Some(wanted) = wanted
                && !new.iter().any(|(_, other)| other.path == wanted.path)
            {
                new.push((name, wanted));
            }
        }
        let mut pipes = Vec::new();
        for (_, wanted) in &new {
            let same = |pipe: &Pipe| script_user_stays && pipe.config == **wanted;
            pipes.push(old.iter().position(same).map(|at| old.swap_remove(at)));
        }
        // What is no longer wanted goes before anything takes its place.
        drop(old);
        for ((name, wanted), kept) in new.into_iter().zip(pipes) {
            let pipe = kept.unwrap_or_else(|| self.open(name, wanted));
            self.pipes.push(pipe);
        }
    }

    fn open(&mut self, name: &str, config: &FifoConfig) -> Pipe {
        let path = &config.path;
        let owner = match &config.user {
            Some(user) => programs::account(Some(user), config.group.as_deref(), &self.globals),
            None => programs::account(None, None, &self.globals),
        };
        let fifo = owner
            .identity()
            .and_then(|identity| Fifo::open(Path::new(path), identity))
            .map_err(|error| {
                self.warn(format_args!("Unable to open {name}notify fifo {path}: {error}"))
            })
            .ok();
        let mut reader = None;
        if let (Some(fifo), Some(command)) = (&fifo, &config.reader) {
            let mut program = programs::program(command, &self.globals);
            program.command.push(fifo.path());
            let script = format!("{name}notify fifo script");
            reader = self
                .runner()
                .map(|runner| Reader::start(runner, program, script, self.ended.clone()));
        }
        Pipe { config: config.clone(), fifo, reader, failed: false }
    }

    /// Tells everybody who wants to know.
    pub(crate) fn tell(&mut self, now: Instant, notice: Notice<'_>) {
        let Notice { kind, name, told, priority, config } = notice;
        let arguments = [kind.name(), name, told.name(), &priority.to_string()];
        let wanted = match told {
            Told::MasterPriority | Told::BackupPriority => config.priority_changes,
            _ => true,
        };
        if wanted {
            self.repeat(kind, name, told, priority);
        }
        if let Some(command) = told.script(config) {
            self.queue_script(notice, programs::program(command, &self.globals));
        }
        if let Some(command) = config.any.as_ref().filter(|_| told.is_state()) {
            let mut program = programs::program(command, &self.globals);
            program.command.extend(arguments.map(Into::into));
            self.queue_script(notice, program);
        }
        if config.smtp_alert && told.is_state() {
            self.post(notice);
        }
        self.start_due(now);
    }

    /// Tells the pipes alone.
    pub(crate) fn repeat(&mut self, kind: Kind, name: &str, told: Told, priority: u8) {
        self.write(&format!("{} \"{name}\" {} {priority}\n", kind.name(), told.name()));
    }

    fn queue_script(&mut self, notice: Notice<'_>, program: Program) {
        let line = (notice.kind, notice.name.to_owned());
        // Who is in a group is told before the group, and the group before they are told more.
        let before: Vec<Line> = match notice.kind {
            Kind::Instance => {
                let group = self.group_of.get(notice.name);
                group.map(|group| (Kind::Group, group.clone())).into_iter().collect()
            }
            Kind::Group => {
                let members = self.members.get(notice.name).into_iter().flatten();
                members.map(|member| (Kind::Instance, member.clone())).collect()
            }
        };
        if notice.told == Told::Stop {
            self.queue.push_last(line, program, before);
        } else {
            self.queue.push(line, program, before);
        }
        let left_out = self.queue.take_left_out();
        if left_out > 0 {
            let name = notice.name;
            self.warn(format_args!(
                "({name}) {left_out} notify script(s) not run: too many wait for one that does not end"
            ));
        }
    }

    fn write(&mut self, line: &str) {
        let mut said = Vec::new();
        for pipe in &mut self.pipes {
            let Some(fifo) = &mut pipe.fifo else { continue };
            let path = &pipe.config.path;
            match fifo.write(line) {
                Ok(Written::Whole | Written::StillFull) => {}
                Ok(Written::NowFull) => {
                    said.push(format!(
                        "notify fifo {path} is full: what happens is not told there"
                    ));
                }
                Ok(Written::AfterLoss(lost)) => {
                    said.push(format!(
                        "notify fifo {path} has room again: {lost} line(s) are lost"
                    ));
                }
                Err(_) if pipe.failed => {}
                Err(error) => {
                    pipe.failed = true;
                    said.push(format!("notify fifo {path} cannot be written: {error}"));
                }
            }
        }
        for line in said {
            self.warn(line);
        }
    }

    fn post(&mut self, notice: Notice<'_>) {
        let mail = &self.globals.mail;
        if mail.server.is_none() || mail.recipients.is_empty() {
            return;
        }
        let host = host_name();
        let short = host.split('.').next().unwrap_or_default();
        let router = self.globals.router_id.as_deref().unwrap_or(short);
        let Some(mail) = mail::about(&notice, mail, router, (&self.user, &host), LocalTime::now())
        else {
            return;
        };
        let ended = &self.ended;
        let mails = self.mails.get_or_insert_with(|| {
            let (sender, mut mails) = mpsc::channel::<Mail>(MAILS);
            let ended = ended.clone();
            tokio::spawn(async move {
                while let Some(mail) = mails.recv().await {
                    // Nobody listens any more when the daemon stops.
                    let _ = ended.send(End::Mail(smtp::deliver(&mail).await));
                }
            });
            sender
        });
        if mails.try_send(mail).is_ok() {
            self.mails_waiting += 1;
            self.mails_left_out = 0;
        } else {
            self.mails_left_out += 1;
            if self.mails_left_out == 1 {
                self.warn(format_args!("{MAILS} mails wait for the relay: new ones are left out"));
            }
        }
    }

    /// Starts what is to be started now.
    fn start_due(&mut self, now: Instant) {
        while let Some((line, number, program)) = self.queue.start(now) {
            let Some(runner) = self.runner() else {
                self.queue.end(&line, number);
                continue;
            };
            let ended = self.ended.clone();
            tokio::spawn(async move {
                let outcome = runner.run(&program).await;
                let program = program.command.first().map(|p| p.to_string_lossy().into_owned());
                let program = program.unwrap_or_default();
                // Nobody listens any more when the daemon stops.
                let _ = ended.send(End::Script { line, number, program, outcome });
            });
        }
    }

    fn runner(&mut self) -> Option<Arc<Runner>> {
        if self.runner.is_none() {
            match Runner::start() {
                Ok(runner) => self.runner = Some(Arc::new(runner)),
                Err(error) => self.warn(format_args!("no thread for scripts: {error}")),
            }
        }
        self.runner.clone()
    }

    /// The next end of something that was started. Cancelling loses nothing.
    pub(crate) async fn ended(&mut self) -> End {
        match self.ends.recv().await {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }

    /// Takes the end of something in.
    pub(crate) fn end(&mut self, now: Instant, end: End) {
        match end {
            End::Script { line, number, program, outcome } => {
                if let Outcome::NotStarted(error) = outcome {
                    self.warn(format_args!("Error exec-ing command '{program}': {error}"));
                }
                self.queue.end(&line, number);
                self.start_due(now);
            }
            End::Mail(result) => {
                self.mails_waiting = self.mails_waiting.saturating_sub(1);
                self.sent(result);
            }
            End::Reader { script, outcome: Outcome::NotStarted(error) } => {
                self.warn(format_args!("{script} cannot be started: {error}"));
            }
            End::Reader { script, .. } => self.log.info(format_args!("{script} terminated")),
        }
    }

    fn sent(&self, result: Result<SocketAddr, smtp::Failure>) {
        let detail = |line: fmt::Arguments<'_>| {
            if self.detail {
                self.log.info(line);
            }
        };
        let connected = match &result {
            Ok(to) => Some(*to),
            Err(failure) => failure.connected_to(),
        };
        if let Some(to) = connected {
            let (ip, port) = (to.ip(), to.port());
            detail(format_args!("Remote SMTP server [{ip}]:{port} connected."));
        }
        match result {
            Ok(_) => detail(format_args!("SMTP alert successfully sent.")),
            Err(failure) => self.log.info(failure),
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queue.deadline()
    }

    /// Lets others have their turn where a script takes too long.
    pub(crate) fn tick(&mut self, now: Instant) {
        for (_, name) in self.queue.lose_patience(now) {
            let seconds = queue::PATIENCE.as_secs();
            self.warn(format_args!(
                "({name}) a notify script runs for {seconds} s: the next does not wait for it"
            ));
        }
        self.start_due(now);
    }

    /// Gives all who were told of the end a second for it: scripts that wait for their turn, then
    /// the last of each line, readers of pipes, and the mail.
    pub(crate) async fn finish(&mut self, clock: Clock) {
        self.queue.hurry(clock.now());
        // Readers see the end of the file behind the last line.
        let mut readers: Vec<Reader> = Vec::new();
        for pipe in self.pipes.drain(..) {
            drop(pipe.fifo);
            readers.extend(pipe.reader);
        }
        let end = clock.now() + queue::LAST_PATIENCE;
        // The supervisor's patience ends after five.
        let all = clock.now() + queue::LAST_PATIENCE * 4;
        while !self.queue.is_empty() && clock.now() < all {
            let deadline = self.queue.deadline().map_or(all, |deadline| deadline.min(all));
            let deadline = Some(deadline);
            tokio::select! {
                () = clock.until(deadline) => {
                    let now = clock.now();
                    self.queue.lose_patience(now);
                    self.start_due(now);
                }
                end = self.ended() => self.end(clock.now(), end),
            }
        }
        while clock.now() < end && (self.mails_waiting > 0 || readers.iter().any(Reader::runs)) {
            tokio::select! {
                () = clock.until(Some(end)) => {}
                end = self.ended() => self.end(clock.now(), end),
            }
        }
    }

    fn warn(&self, line: impl fmt::Display) {
        self.log.write(Severity::Warning, line);
    }
}

impl smtp::Failure {
    /// The relay, if there was a connection.
    fn connected_to(&self) -> Option<SocketAddr> {
        match self {
            Self::Unknown { .. } | Self::Connect { .. } | Self::ConnectTimeout { .. } => None,
            Self::Silent { to }
            | Self::Closed { to }
            | Self::Broken { to, .. }
            | Self::Nonsense { to }
            | Self::Refused { to, .. } => Some(*to),
        }
    }
}

pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|name| name.trim().to_owned()).unwrap_or_else(|_: io::Error| "localhost".to_owned())
}

#[cfg(test)]
mod tests;
