//! What instances follow, but the network: scripts, of which `vrrp::Script` says when and
//! `daemon::script` runs them, files and processes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use daemon::Signal;
use daemon::script::{Outcome, Runner, Running, Script as Program};
use machine::{Instant, Machine as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use vrrp::config::{Config, Globals, ScriptConfig, TrackFileConfig, TrackProcessConfig};
use vrrp::{LogLine, Script, ScriptAction, ScriptEvent};

use crate::files::{self, FileNews, Files};
use crate::processes::{ProcessNews, Processes};
use crate::programs;
use crate::view::{ScriptCounts, ScriptView};

/// How long the first look at files and processes may take before instances start without it.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// All that is tracked.
#[derive(Debug)]
pub(crate) struct Trackers {
    /// Made with the first script: without scripts there is no thread for them.
    runner: Option<Arc<Runner>>,
    scripts: Vec<Tracker>,
    next_run: u64,
    ends: UnboundedReceiver<(u64, ScriptEvent)>,
    ended: UnboundedSender<(u64, ScriptEvent)>,
    files: Followed<TrackFileConfig, Files, FileNews, i64>,
    processes: Followed<TrackProcessConfig, Processes, ProcessNews, bool>,
}

/// What a thread follows, and what it has told.
#[derive(Debug)]
struct Followed<C, T, N, V> {
    config: Vec<C>,
    /// Made with the first: without any there is no thread for them.
    thread: Option<T>,
    news: UnboundedReceiver<N>,
    told: BTreeMap<String, V>,
}

impl<C, T, N, V> Followed<C, T, N, V> {
    fn new() -> Self {
        let (_, news) = unbounded_channel();
        Self { config: Vec::new(), thread: None, news, told: BTreeMap::new() }
    }

    /// Cancelling loses nothing.
    async fn next(&mut self) -> N {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

/// Something tracked has news.
#[derive(Debug)]
pub(crate) enum Tracked {
    Script(u64, ScriptEvent),
    File(FileNews),
    Process(ProcessNews),
}

#[derive(Debug)]
struct Tracker {
    machine: Script,
    program: Program,
    child: Option<Child>,
    /// When it was last started.
    started: Instant,
    counts: ScriptCounts,
}

/// A run of a script. Dropping it ends the script.
#[derive(Debug)]
struct Child {
    run: u64,
    signals: UnboundedSender<Signal>,
    task: JoinHandle<()>,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the instances and the operator are told.
#[derive(Debug)]
pub(crate) enum News {
    Log(LogLine),
    Verdict {
        name: String,
        good: bool,
    },
    File {
        name: String,
        value: i64,
    },
    Process {
        name: String,
        good: bool,
    },
    Line(String),
    /// A line for `--log-detail`.
    Detail(String),
}

impl Trackers {
    pub(crate) fn new() -> Self {
        let (ended, ends) = unbounded_channel();
        Self {
            runner: None,
            scripts: Vec::new(),
            next_run: 0,
            ends,
            ended,
            files: Followed::new(),
            processes: Followed::new(),
        }
    }

    /// Begins to run a script.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn add(&mut self, config: ScriptConfig, globals: &Globals) -> io::Result<()> {
        let program = program(&config, globals);
        if self.runner.is_none() {
            self.runner = Some(Arc::new(Runner::start()?));
        }
        self.scripts.push(Tracker {
            machine: Script::new(config),
            program,
            child: None,
            started: Instant::ZERO,
            counts: ScriptCounts::default(),
        });
        Ok(())
    }

    /// Goes on under another configuration. A run under the old one is ended, as keepalived does.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add); the script then goes on as before.
    pub(crate) fn change(&mut self, config: ScriptConfig, globals: &Globals) -> io::Result<()> {
        let program = program(&config, globals);
        match self.scripts.iter_mut().find(|script| script.machine.config().name == config.name) {
            Some(script) => {
                script.program = program;
                script.machine.reconfigure(config);
                Ok(())
            }
            None => self.add(config, globals),
        }
    }

    /// Stops running a script, and ends it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.scripts.retain(|script| script.machine.config().name != name);
    }

    /// What each script is, for whoever looks.
    pub(crate) fn views(&self) -> impl Iterator<Item = ScriptView> {
        self.scripts.iter().map(|script| ScriptView {
            name: script.machine.config().name.clone(),
            good: script.machine.is_good(),
            result: script.machine.result(),
            running: script.child.is_some(),
            counts: script.counts,
        })
    }

    /// Writes the first number of files that ask for one.
    pub(crate) fn initialise(&mut self, config: &Config, news: &mut Vec<News>) {
        for file in &config.track_files {
            if let Err(error) = files::initialise(file) {
                news.push(News::Line(format!("cannot write track file {}: {error}", file.path)));
            }
        }
    }

    /// Follows the files and processes of `config`. At the start it waits until all has been looked at
    /// once.
    pub(crate) fn follow(&mut self, config: &Config, start: bool, news: &mut Vec<News>) {
        let mut failed = |what: &str, error: io::Error| {
            news.push(News::Line(format!("{what} are not tracked: {error}")));
        };
        if self.files.config != config.track_files {
            self.files.config.clone_from(&config.track_files);
            self.files.thread = None;
            let known = |name: &str| config.track_files.iter().any(|file| file.name == *name);
            self.files.told.retain(|name, _| known(name));
            if !config.track_files.is_empty() {
                let (sender, receiver) = unbounded_channel();
                self.files.news = receiver;
                match Files::follow(config.track_files.clone(), sender) {
                    Ok(thread) => self.files.thread = Some(thread),
                    Err(error) => failed("files", error),
                }
            }
        }
        if self.processes.config != config.track_processes {
            self.processes.config.clone_from(&config.track_processes);
            self.processes.thread = None;
            let known = |name: &str| config.track_processes.iter().any(|p| p.name == *name);
            self.processes.told.retain(|name, _| known(name));
            if !config.track_processes.is_empty() {
                let (sender, receiver) = unbounded_channel();
                self.processes.news = receiver;
                match Processes::follow(config.track_processes.clone(), sender) {
                    Ok(thread) => self.processes.thread = Some(thread),
                    Err(error) => failed("processes", error),
                }
            }
        }
        if start {
            self.files.thread.iter().for_each(|thread| thread.wait(FIRST_LOOK));
            self.processes.thread.iter().for_each(|thread| thread.wait(FIRST_LOOK));
            while let Ok(told) = self.files.news.try_recv() {
                self.file(told, news);
            }
            while let Ok(told) = self.processes.news.try_recv() {
                self.process(told, news);
            }
        }
    }

    fn file(&mut self, told: FileNews, news: &mut Vec<News>) {
        match told {
            FileNews::Value { name, value } => {
                self.files.told.insert(name.clone(), value);
                news.push(News::File { name, value });
            }
            FileNews::Line(line) => news.push(News::Line(line)),
        }
    }

    fn process(&mut self, told: ProcessNews, news: &mut Vec<News>) {
        match told {
            ProcessNews::Quorum { name, good, first } => {
                if !first {
                    let what = if good { "gained" } else { "lost" };
                    news.push(News::Line(format!("Quorum {what} for tracked process {name}")));
                }
                self.processes.told.insert(name.clone(), good);
                news.push(News::Process { name, good });
            }
            ProcessNews::Line(line) => news.push(News::Line(line)),
            ProcessNews::Detail(line) => news.push(News::Detail(line)),
        }
    }

    /// What is known of files and processes, for instances that are made later.
    pub(crate) fn known(&self) -> Vec<News> {
        let files = self.files.told.iter();
        let files = files.map(|(name, &value)| News::File { name: name.clone(), value });
        let processes = self.processes.told.iter();
        let processes = processes.map(|(name, &good)| News::Process { name: name.clone(), good });
        files.chain(processes).collect()
    }

    /// What each script counts as, for instances that are made later.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.scripts.iter().filter_map(|script| {
            Some((script.machine.config().name.as_str(), script.machine.is_good()?))
        })
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.scripts.iter().filter_map(|script| script.machine.deadline()).min()
    }

    /// The next news of anything tracked. Cancelling loses nothing.
    pub(crate) async fn ended(&mut self) -> Tracked {
        let Self { ends, files, processes, .. } = self;
        let script = async {
            match ends.recv().await {
                Some((run, event)) => Tracked::Script(run, event),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            script = script => script,
            news = files.next() => Tracked::File(news),
            news = processes.next() => Tracked::Process(news),
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant, news: &mut Vec<News>) {
        for index in 0..self.scripts.len() {
            if self.scripts[index].machine.deadline().is_some_and(|due| due <= now) {
                self.handle(index, now, ScriptEvent::Tick, news);
            }
        }
    }

    /// Takes in what [`ended`](Self::ended) returned. The end of a script that was removed meanwhile
    /// says nothing.
    pub(crate) fn end(&mut self, now: Instant, end: Tracked, news: &mut Vec<News>) {
        let (run, event) = match end {
            Tracked::Script(run, event) => (run, event),
            Tracked::File(told) => return self.file(told, news),
            Tracked::Process(told) => return self.process(told, news),
        };
        let is_it = |tracker: &Tracker| tracker.child.as_ref().is_some_and(|c| c.run == run);
        if let Some(index) = self.scripts.iter().position(is_it) {
            let script = &mut self.scripts[index];
            script.child = None;
            let good = matches!(event, ScriptEvent::Exited { status: 0 });
            script.counts.count(good, now - script.started);
            self.handle(index, now, event, news);
        }
    }

    fn handle(&mut self, index: usize, now: Instant, event: ScriptEvent, news: &mut Vec<News>) {
        let mut actions = Vec::new();
        self.scripts[index].machine.handle(now, event, &mut actions);
        for action in actions {
            match action {
                ScriptAction::Run => {
                    self.scripts[index].started = now;
                    self.run(index);
                }
                ScriptAction::Terminate => self.signal(index, Signal::SIGTERM),
                ScriptAction::Kill => self.signal(index, Signal::SIGKILL),
                ScriptAction::Log(line) => news.push(News::Log(line)),
                ScriptAction::Verdict { good } => {
                    let name = self.scripts[index].machine.config().name.clone();
                    news.push(News::Verdict { name, good });
                }
            }
        }
    }

    fn run(&mut self, index: usize) {
        let Some(runner) = self.runner.clone() else { return };
        let (signals, wanted) = unbounded_channel();
        self.next_run += 1;
        let (run, ended) = (self.next_run, self.ended.clone());
        let program = self.scripts[index].program.clone();
        let task = tokio::spawn(async move {
            let event = match runner.spawn(&program).await {
                Ok(running) => event(follow(running, wanted).await),
                Err(error) => event(Outcome::NotStarted(error)),
            };
            // Nobody listens any more when the daemon stops.
            let _ = ended.send((run, event));
        });
        self.scripts[index].child = Some(Child { run, signals, task });
    }

    fn signal(&self, index: usize, signal: Signal) {
        if let Some(child) = &self.scripts[index].child {
            // It may have ended, with the news of it still on the way.
            let _ = child.signals.send(signal);
        }
    }
}

/// Waits for the end of a script, passing on what signals are wanted.
async fn follow(mut running: Running, mut wanted: UnboundedReceiver<Signal>) -> Outcome {
    loop {
        tokio::select! {
            outcome = running.ended() => return outcome,
            Some(signal) = wanted.recv() => running.signal(signal),
        }
    }
}

fn event(outcome: Outcome) -> ScriptEvent {
    match outcome {
        Outcome::Exited(status) => ScriptEvent::Exited { status },
        Outcome::Signalled(signal) => ScriptEvent::Signalled { signal },
        // Not of `Running`: the machine keeps the time.
        Outcome::TimedOut => ScriptEvent::Signalled { signal: Signal::SIGTERM as i32 },
        Outcome::NotStarted(error) => ScriptEvent::FailedToRun { reason: error.to_string() },
    }
}

fn program(config: &ScriptConfig, globals: &Globals) -> Program {
    Program {
        command: config.command.iter().map(Into::into).collect(),
        account: programs::account(config.user.as_deref(), config.group.as_deref(), globals),
        timeout: None,
        guard: programs::guard(globals),
    }
}

#[cfg(test)]
mod tests {
    use daemon::clock::Clock;

    use super::*;

    fn config(name: &str, shell: &str) -> ScriptConfig {
        let command = ["sh", "-c", shell].map(str::to_owned).to_vec();
        ScriptConfig { name: name.into(), command, ..ScriptConfig::default() }
    }

    async fn first_verdict(trackers: &mut Trackers, clock: Clock) -> (String, bool) {
        let mut news = Vec::new();
        loop {
            trackers.tick(clock.now(), &mut news);
            for item in news.drain(..) {
                if let News::Verdict { name, good } = item {
                    return (name, good);
                }
            }
            let deadline = trackers.deadline();
            tokio::select! {
                () = clock.until(deadline) => {}
                end = trackers.ended() => trackers.end(clock.now(), end, &mut news),
            }
        }
    }

    #[tokio::test]
    async fn the_verdict_is_what_the_script_says() {
        for (shell, expected) in [("exit 0", true), ("exit 1", false), ("kill -9 $$", false)] {
            let mut trackers = Trackers::new();
            trackers.add(config("chk", shell), &Globals::default()).expect("no user named");
            let verdict = first_verdict(&mut trackers, Clock::start()).await;
            assert_eq!(verdict, ("chk".to_owned(), expected), "{shell}");
            assert_eq!(trackers.verdicts().next(), Some(("chk", expected)));
        }
    }

    #[tokio::test]
    async fn a_script_that_hangs_is_ended_and_counts_as_failed() {
        let mut trackers = Trackers::new();
        let mut config = config("chk", "sleep 60; true");
        config.timeout = std::time::Duration::from_millis(50);
        trackers.add(config, &Globals::default()).expect("no user named");
        let verdict = first_verdict(&mut trackers, Clock::start()).await;
        assert_eq!(verdict, ("chk".to_owned(), false));
    }

    #[tokio::test]
    async fn a_script_removed_while_it_runs_says_nothing_more() {
        let mut trackers = Trackers::new();
        trackers.add(config("chk", "sleep 60"), &Globals::default()).expect("no user named");
        let mut news = Vec::new();
        trackers.tick(Instant::ZERO + std::time::Duration::from_secs(1), &mut news);
        let run = trackers.next_run;
        trackers.remove("chk");
        let end = Tracked::Script(run, ScriptEvent::Exited { status: 1 });
        trackers.end(Instant::ZERO, end, &mut news);
        assert!(news.is_empty(), "{news:?}");
        assert_eq!(trackers.deadline(), None);
    }

    #[tokio::test]
    async fn a_script_of_a_user_that_does_not_exist_fails() {
        let mut trackers = Trackers::new();
        let config = ScriptConfig { user: Some("no such user".into()), ..config("chk", "true") };
        trackers.add(config, &Globals::default()).expect("a thread");
        let verdict = first_verdict(&mut trackers, Clock::start()).await;
        assert_eq!(verdict, ("chk".to_owned(), false));
    }
    #[tokio::test]
    async fn files_and_processes_are_known_before_anything_starts() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file").to_str().expect("text").to_owned();
        let file = TrackFileConfig {
            name: "f".into(),
            path: path.clone(),
            init: Some((7, false)),
            ..TrackFileConfig::default()
        };
        let process = TrackProcessConfig {
            name: "p".into(),
            process: "no such name".into(),
            ..TrackProcessConfig::default()
        };
        let mut config = Config::default();
        config.track_files.push(file);
        config.track_processes.push(process);
        let (mut trackers, mut news) = (Trackers::new(), Vec::new());
        trackers.initialise(&config, &mut news);
        trackers.follow(&config, true, &mut news);
        let is = |news: &[News]| {
            let file = |n: &News| matches!(n, News::File { name, value: 7 } if name == "f");
            let process =
                |n: &News| matches!(n, News::Process { name, good: false } if name == "p");
            news.iter().any(file) && news.iter().any(process)
        };
        assert!(is(&news), "{news:?}");
        assert!(is(&trackers.known()));
        std::fs::write(&path, "8").expect("written");
        news.clear();
        // The kernel may have something to say of processes first.
        while !news.iter().any(|news| matches!(news, News::File { .. })) {
            let end = trackers.ended().await;
            trackers.end(Instant::ZERO, end, &mut news);
        }
        let file = |news: &News| matches!(news, News::File { value: 8, .. });
        assert!(news.iter().any(file), "{news:?}");
        trackers.follow(&Config::default(), false, &mut news);
        assert!(trackers.known().is_empty());
    }
}
