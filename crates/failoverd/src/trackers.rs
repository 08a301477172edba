//! The tracked scripts: `vrrp::Script` says when, `daemon::script` runs them.

use std::io;
use std::sync::Arc;

use daemon::Signal;
use daemon::script::{Outcome, Runner, Running, Script as Program};
use machine::{Instant, Machine as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use vrrp::config::{Globals, ScriptConfig};
use vrrp::{LogLine, Script, ScriptAction, ScriptEvent};

use crate::programs;

/// All tracked scripts.
#[derive(Debug)]
pub(crate) struct Trackers {
    /// Made with the first script: without scripts there is no thread for them.
    runner: Option<Arc<Runner>>,
    scripts: Vec<Tracker>,
    next_run: u64,
    ends: UnboundedReceiver<(u64, ScriptEvent)>,
    ended: UnboundedSender<(u64, ScriptEvent)>,
}

#[derive(Debug)]
struct Tracker {
    machine: Script,
    program: Program,
    child: Option<Child>,
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
    Verdict { name: String, good: bool },
}

impl Trackers {
    pub(crate) fn new() -> Self {
        let (ended, ends) = unbounded_channel();
        Self { runner: None, scripts: Vec::new(), next_run: 0, ends, ended }
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
        self.scripts.push(Tracker { machine: Script::new(config), program, child: None });
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

    /// What each script counts as, for instances that are made later.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.scripts.iter().filter_map(|script| {
            Some((script.machine.config().name.as_str(), script.machine.is_good()?))
        })
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.scripts.iter().filter_map(|script| script.machine.deadline()).min()
    }

    /// The next end of a script. Cancelling loses nothing.
    pub(crate) async fn ended(&mut self) -> (u64, ScriptEvent) {
        match self.ends.recv().await {
            Some(end) => end,
            None => std::future::pending().await,
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

    /// Takes the end of a run in; one of a script that was removed meanwhile says nothing.
    pub(crate) fn end(&mut self, now: Instant, end: (u64, ScriptEvent), news: &mut Vec<News>) {
        let (run, event) = end;
        let is_it = |tracker: &Tracker| tracker.child.as_ref().is_some_and(|c| c.run == run);
        if let Some(index) = self.scripts.iter().position(is_it) {
            self.scripts[index].child = None;
            self.handle(index, now, event, news);
        }
    }

    fn handle(&mut self, index: usize, now: Instant, event: ScriptEvent, news: &mut Vec<News>) {
        let mut actions = Vec::new();
        self.scripts[index].machine.handle(now, event, &mut actions);
        for action in actions {
            match action {
                ScriptAction::Run => self.run(index),
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
        trackers.end(Instant::ZERO, (run, ScriptEvent::Exited { status: 1 }), &mut news);
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
}
