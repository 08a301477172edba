//! One tracked script: when to run it, how long it may take, and what its results add up to.
//!
//! ```text
//!          ┌──── interval ────┐
//!   Run ───┤                  ├──► Run            Exited, Signalled
//!          └──── timeout ──► Terminate ─2 s─► Kill ──► …
//!
//!   failed  0 … rise-1 │ rise … rise+fall-1  good        (the counter of results)
//! ```

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use machine::{Instant, Machine};

use crate::config::ScriptConfig;
use crate::log::{LogLine, Message};

/// A script that is run every so often, as long as somebody calls.
///
/// ```
/// use machine::{Instant, Machine};
/// use vrrp::config::ScriptConfig;
/// use vrrp::{Script, ScriptAction, ScriptEvent};
///
/// let mut script = Script::new(ScriptConfig { name: "chk".into(), ..ScriptConfig::default() });
/// let mut actions = vec![];
/// script.handle(Instant::ZERO, ScriptEvent::Tick, &mut actions);
/// assert_eq!(actions, [ScriptAction::Run]);
/// script.handle(Instant::ZERO, ScriptEvent::Exited { status: 0 }, &mut actions);
/// assert_eq!(script.is_good(), Some(true));
/// assert!(actions.contains(&ScriptAction::Verdict { good: true }));
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    config: ScriptConfig,
    name: Arc<str>,
    run_due: Instant,
    child: Child,
    /// None before the first result.
    result: Option<u32>,
    last_status: i32,
    /// No result yet under this configuration.
    fresh: bool,
}

#[derive(Clone, Copy, Debug)]
enum Child {
    None,
    Running {
        timeout: Instant,
    },
    /// Asked to end, and to be killed if it does not.
    Terminating {
        kill: Instant,
    },
    /// Killed: nothing more can be done but wait.
    Killed,
}

/// What can happen to a [`Script`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ScriptEvent {
    /// Nothing but the passing of time.
    Tick,
    /// It ended by itself.
    Exited {
        /// Its exit status; 0 is success.
        status: i32,
    },
    /// It was ended by a signal: ours, or another.
    Signalled {
        /// Which.
        signal: i32,
    },
    /// It could not be started.
    FailedToRun {
        /// Why.
        reason: String,
    },
}

/// What a [`Script`] asks its driver to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ScriptAction {
    /// Start it, in a process group of its own.
    Run,
    /// Send its process group SIGTERM.
    Terminate,
    /// Send its process group SIGKILL.
    Kill,
    /// Tell every [`Instance`](crate::Instance) by [`Event::Script`](crate::Event::Script).
    Verdict {
        /// What it now counts as.
        good: bool,
    },
    /// Tell the operator.
    Log(LogLine),
}

impl Script {
    /// A script that is due at once.
    #[must_use]
    pub fn new(config: ScriptConfig) -> Self {
        Self {
            name: config.name.as_str().into(),
            run_due: Instant::ZERO,
            child: Child::None,
            result: config.init_fail.then_some(0),
            last_status: 0,
            fresh: true,
            config,
        }
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &ScriptConfig {
        &self.config
    }

    /// What it counts as; none before its first result.
    #[must_use]
    pub fn is_good(&self) -> Option<bool> {
        self.result.map(|result| result >= self.config.rise)
    }

    /// Its results, counted as keepalived counts them: less than `rise` is failed.
    #[must_use]
    pub fn result(&self) -> Option<u32> {
        self.result
    }

    /// Goes on under another configuration of the same name, keeping what it counts as.
    pub fn reconfigure(&mut self, config: ScriptConfig) {
        let good = self.is_good();
        self.name = config.name.as_str().into();
        self.config = config;
        self.fresh = true;
        self.result = good.map(|good| if good { self.best() } else { 0 });
    }

    fn best(&self) -> u32 {
        self.config.rise.saturating_add(self.config.fall).saturating_sub(1)
    }

    /// Counts a result, and tells who wants to know if it changed what the script counts as.
    fn count(&mut self, good: bool, message: Message, actions: &mut Vec<ScriptAction>) {
        let before = self.is_good();
        let result = match (self.result, good) {
            // The first result ever decides at once.
            (None, true) => self.best(),
            (None, false) => 0,
            (Some(result), true) if result + 1 >= self.config.rise => self.best(),
            (Some(result), true) => result + 1,
            (Some(result), false) if result > self.config.rise => result - 1,
            (Some(_), false) => 0,
        };
        self.result = Some(result);
        self.fresh = false;
        if self.is_good() != before {
            self.log(message, actions);
            actions.push(ScriptAction::Verdict { good });
        }
    }

    fn log(&self, message: Message, actions: &mut Vec<ScriptAction>) {
        actions.push(ScriptAction::Log(LogLine::new(&self.name, message)));
    }

    fn ended(&mut self, event: ScriptEvent, actions: &mut Vec<ScriptAction>) {
        let ended = core::mem::replace(&mut self.child, Child::None);
        if matches!(ended, Child::None) && !matches!(event, ScriptEvent::FailedToRun { .. }) {
            return;
        }
        let timed_out = matches!(ended, Child::Terminating { .. } | Child::Killed);
        match event {
            ScriptEvent::Tick => {}
            _ if timed_out => self.count(false, Message::ScriptTimedOut, actions),
            ScriptEvent::Exited { status } => {
                if status != self.last_status {
                    self.log(Message::ScriptNowReturning { status }, actions);
                    self.last_status = status;
                }
                let message = match status {
                    0 => Message::ScriptSucceeded,
                    status => Message::ScriptExited { status },
                };
                self.count(status == 0, message, actions);
            }
            ScriptEvent::Signalled { signal } => {
                self.count(false, Message::ScriptSignalled { signal }, actions);
            }
            ScriptEvent::FailedToRun { reason } => {
                self.count(false, Message::ScriptFailedToRun { reason }, actions);
            }
        }
    }

    fn run_if_due(&mut self, now: Instant, actions: &mut Vec<ScriptAction>) {
        if self.run_due > now {
            return;
        }
        // A late start delays the following ones; none is made up for.
        self.run_due = now + self.config.interval.max(SHORTEST);
        match self.child {
            Child::None => {
                let timeout = now + self.config.timeout.max(SHORTEST);
                self.child = Child::Running { timeout };
                actions.push(ScriptAction::Run);
            }
            // As keepalived, of which it is news only that a script takes longer than its interval.
            _ if !self.fresh => {}
            Child::Running { .. } => self.log(Message::ScriptSkipped { killing: false }, actions),
            Child::Terminating { .. } | Child::Killed => {
                self.log(Message::ScriptSkipped { killing: true }, actions);
            }
        }
    }

    fn end_if_due(&mut self, now: Instant, actions: &mut Vec<ScriptAction>) {
        match self.child {
            Child::Running { timeout } if timeout <= now => {
                self.child = Child::Terminating { kill: now + PATIENCE };
                actions.push(ScriptAction::Terminate);
            }
            Child::Terminating { kill } if kill <= now => {
                self.child = Child::Killed;
                actions.push(ScriptAction::Kill);
            }
            Child::None | Child::Running { .. } | Child::Terminating { .. } | Child::Killed => {}
        }
    }
}

impl Machine for Script {
    type Event<'a> = ScriptEvent;
    type Action = ScriptAction;

    fn handle(&mut self, now: Instant, event: ScriptEvent, actions: &mut Vec<ScriptAction>) {
        if event != ScriptEvent::Tick {
            self.ended(event, actions);
        }
        self.run_if_due(now, actions);
        self.end_if_due(now, actions);
    }

    fn deadline(&self) -> Option<Instant> {
        let end = match self.child {
            Child::Running { timeout } => Some(timeout),
            Child::Terminating { kill } => Some(kill),
            Child::None | Child::Killed => None,
        };
        Some(end.map_or(self.run_due, |end| end.min(self.run_due)))
    }
}

/// From SIGTERM to SIGKILL.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nothing happens more often than this, whatever is configured.
const SHORTEST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
