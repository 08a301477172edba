//! How a server stands: what checks, its agent, operators and the server it follows make of it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::health::{Change, Health, Pace};
use crate::status::Outcome;

/// Whether a server runs, as far as checks know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// It does not.
    Stopped,
    /// It does.
    Running,
    /// It does, and wants no new sessions (`disable-on-404`).
    Stopping,
}

/// Why a server is kept out of use, besides checks: a set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Admin(pub u8);

impl Admin {
    /// An operator's maintenance.
    pub const FORCED_MAINT: Self = Self(0x01);
    /// The maintenance of the server it tracks.
    pub const INHERITED_MAINT: Self = Self(0x02);
    /// `disabled` in the configuration.
    pub const CONFIGURED_MAINT: Self = Self(0x04);
    /// An operator's drain.
    pub const FORCED_DRAIN: Self = Self(0x08);
    /// The drain of the server it tracks.
    pub const INHERITED_DRAIN: Self = Self(0x10);
    /// Its name has no address.
    pub const RESOLUTION: Self = Self(0x20);

    /// Whether it is in maintenance.
    #[must_use]
    pub const fn is_maint(self) -> bool {
        self.0 & (Self::FORCED_MAINT.0 | Self::INHERITED_MAINT.0 | Self::RESOLUTION.0) != 0
    }

    /// Whether it is in drain.
    #[must_use]
    pub const fn is_drain(self) -> bool {
        self.0 & (Self::FORCED_DRAIN.0 | Self::INHERITED_DRAIN.0) != 0
    }

    /// Whether one of these is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn set(&mut self, other: Self, on: bool) {
        if on {
            self.0 |= other.0;
        } else {
            self.0 &= !other.0;
        }
    }
}

/// What operators and agents want.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Out of use; nothing is checked.
    Maint,
    /// No new sessions.
    Drain,
    /// In use.
    Ready,
}

/// What happens to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// A check ended.
    Checked(Outcome),
    /// The agent spoke of health, or could not be heard (which is no event).
    Agent(Outcome),
    /// Somebody wants something.
    Order(Order),
    /// `set server … health`: a state, whatever checks say.
    Force(Operation),
    /// The tracked server stands so now.
    Follow {
        /// Whether it runs.
        operation: Operation,
        /// It is in maintenance.
        maint: bool,
        /// It is in drain.
        drain: bool,
    },
    /// Its name has an address, or has none any more.
    Resolved(bool),
    /// Sessions went wrong: `on-error sudden-death`, `fail-check` or `mark-down`.
    Errors(OnError),
    /// `enable health`, `disable health`.
    EnableCheck(bool),
    /// `enable agent`, `disable agent`.
    EnableAgent(bool),
}

/// `on-error`: what too many errors of sessions do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnError {
    /// The next check comes after `fastinter`.
    FastInter,
    /// As a check that failed.
    #[default]
    FailCheck,
    /// As the last but one check that may fail.
    SuddenDeath,
    /// The server is down.
    MarkDown,
}

/// A step a server took; each has its line in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moved {
    /// `is DOWN`.
    Down,
    /// `is UP`.
    Up,
    /// `is stopping`.
    Stopping,
    /// `is going DOWN for maintenance`, `was DOWN and now enters maintenance`.
    IntoMaint {
        /// It was down before.
        was_down: bool,
        /// By an operator.
        forced: bool,
    },
    /// `is UP/READY (leaving forced maintenance)`.
    OutOfMaint {
        /// It is up now.
        up: bool,
        /// It is in drain.
        drain: bool,
        /// It was an operator's.
        forced: bool,
    },
    /// `enters drain state`.
    IntoDrain {
        /// By an operator.
        forced: bool,
    },
    /// `is UP (leaving forced drain)`.
    OutOfDrain {
        /// It is up.
        up: bool,
        /// It was an operator's.
        forced: bool,
    },
}

impl Moved {
    /// Whether the server takes sessions less than before.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        matches!(
            self,
            Self::Down | Self::Stopping | Self::IntoMaint { .. } | Self::IntoDrain { .. }
        )
    }
}

/// A check or an agent: its health, and whether it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Watch {
    /// What it found.
    pub health: Health,
    /// `disable health` and `disable agent` switch it off.
    pub enabled: bool,
}

impl Watch {
    const fn objects(watch: Option<&Self>) -> bool {
        matches!(watch, Some(Self { health, enabled: true }) if !health.is_up())
    }
}

/// How a server stands.
///
/// ```
/// use check::standing::{Event, Moved, Operation, Order, Standing};
/// use check::{Health, Outcome};
///
/// let mut server = Standing::new(Some(Health::new(2, 3)), None);
/// assert_eq!(server.handle(Event::Checked(Outcome::Failed)), [Moved::Down]);
/// assert_eq!(server.handle(Event::Order(Order::Maint)).len(), 1);
/// let back = Moved::OutOfMaint { up: true, drain: false, forced: true };
/// assert_eq!(server.handle(Event::Order(Order::Ready)), [back]);
/// assert_eq!(server.operation(), Operation::Running);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    operation: Operation,
    admin: Admin,
    check: Option<Watch>,
    agent: Option<Watch>,
    /// The server it tracks is stopped.
    behind: bool,
    /// The counter moved with the last event.
    changed: Change,
}

impl Standing {
    /// A server that was not checked yet: up.
    #[must_use]
    pub fn new(check: Option<Health>, agent: Option<Health>) -> Self {
        let watch = |health| Watch { health, enabled: true };
        let up = check.is_none_or(|health| health.is_up());
        Self {
            operation: if up { Operation::Running } else { Operation::Stopped },
            admin: Admin::default(),
            check: check.map(watch),
            agent: agent.map(watch),
            behind: false,
            changed: Change::None,
        }
    }

    /// The same, and out of use from the start.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.admin = Admin(Admin::FORCED_MAINT.0 | Admin::CONFIGURED_MAINT.0);
        self.enter_maint();
        self
    }

    /// The same, in an operator's maintenance, and with nothing that is checked.
    #[must_use]
    pub fn added(mut self) -> Self {
        self.admin.set(Admin::FORCED_MAINT, true);
        self.enter_maint();
        for watch in [&mut self.check, &mut self.agent].into_iter().flatten() {
            watch.enabled = false;
        }
        self
    }

    /// The same, without an address until its name has one.
    #[must_use]
    pub fn unresolved(mut self) -> Self {
        self.admin.set(Admin::RESOLUTION, true);
        self.enter_maint();
        self
    }

    /// Whether it runs.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Why it is kept out of use.
    #[must_use]
    pub const fn admin(&self) -> Admin {
        self.admin
    }

    /// Its check.
    #[must_use]
    pub const fn check(&self) -> Option<Watch> {
        self.check
    }

    /// Its agent.
    #[must_use]
    pub const fn agent(&self) -> Option<Watch> {
        self.agent
    }

    /// What the last check or answer of the agent did to its counter.
    #[must_use]
    pub const fn change(&self) -> Change {
        self.changed
    }

    /// Takes an event; what the server did, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Moved> {
        let mut moves = Vec::new();
        self.changed = Change::None;
        match event {
            Event::Checked(outcome) => {
                self.changed = Self::count(&mut self.check, outcome);
                self.judge(outcome, false, &mut moves);
            }
            Event::Agent(outcome) => {
                self.changed = Self::count(&mut self.agent, outcome);
                self.judge(outcome, true, &mut moves);
            }
            Event::Errors(how) => {
                if let Some(check) = &mut self.check {
                    check.health.shorten(how);
                }
                if how != OnError::FastInter {
                    self.changed = Self::count(&mut self.check, Outcome::Failed);
                    self.judge(Outcome::Failed, false, &mut moves);
                }
            }
            Event::Order(order) => {
                let maint = order == Order::Maint;
                let drain = order == Order::Drain;
                // A server that goes from maintenance to drain is never ready in between.
                if drain {
                    self.switch(Admin::FORCED_DRAIN, true, &mut moves);
                }
                self.switch(Admin::FORCED_MAINT, maint, &mut moves);
                self.switch(Admin::FORCED_DRAIN, drain, &mut moves);
            }
            Event::Force(operation) => {
                if let Some(check) = &mut self.check {
                    check.health.force(operation != Operation::Stopped);
                }
                if let Some(agent) = self.agent.as_mut().filter(|_| operation == Operation::Running)
                {
                    agent.health.force(true);
                }
                self.operate(operation, &mut moves);
            }
            Event::Follow { operation, maint, drain } => {
                self.behind = operation == Operation::Stopped;
                self.switch(Admin::INHERITED_MAINT, maint, &mut moves);
                self.switch(Admin::INHERITED_DRAIN, drain, &mut moves);
                let objects =
                    Watch::objects(self.check.as_ref()) || Watch::objects(self.agent.as_ref());
                if operation == Operation::Stopped || !objects {
                    self.operate(operation, &mut moves);
                }
            }
            Event::Resolved(known) => self.switch(Admin::RESOLUTION, !known, &mut moves),
            Event::EnableCheck(enabled) => {
                if let Some(check) = &mut self.check {
                    check.enabled = enabled;
                }
            }
            Event::EnableAgent(enabled) => {
                if let Some(agent) = &mut self.agent {
                    agent.enabled = enabled;
                }
            }
        }
        moves
    }

    fn count(watch: &mut Option<Watch>, outcome: Outcome) -> Change {
        match (watch, outcome) {
            (Some(watch), Outcome::Passed | Outcome::Conditional) => watch.health.note(true),
            (Some(watch), Outcome::Failed) => watch.health.note(false),
            _ => Change::None,
        }
    }

    /// What a result means while nobody else objects.
    fn judge(&mut self, outcome: Outcome, by_agent: bool, moves: &mut Vec<Moved>) {
        let (check, agent) = (self.check.as_ref(), self.agent.as_ref());
        let objects = self.behind || Watch::objects(check) || Watch::objects(agent);
        let own = if by_agent { agent } else { check };
        match outcome {
            Outcome::Neutral => {}
            Outcome::Failed => {
                if own.is_some_and(|watch| watch.health.value() == 0) {
                    self.operate(Operation::Stopped, moves);
                }
            }
            // An agent does not end what the check's 404 began.
            Outcome::Passed if by_agent && self.operation == Operation::Stopping => {}
            Outcome::Passed if !objects => self.operate(Operation::Running, moves),
            Outcome::Conditional if !objects && !by_agent => {
                self.operate(Operation::Stopping, moves);
            }
            Outcome::Passed | Outcome::Conditional => {}
        }
    }

    fn operate(&mut self, operation: Operation, moves: &mut Vec<Moved>) {
        if self.admin.is_maint() || self.operation == operation {
            return;
        }
        self.operation = operation;
        moves.push(match operation {
            Operation::Stopped => Moved::Down,
            Operation::Running => Moved::Up,
            Operation::Stopping => Moved::Stopping,
        });
    }

    /// Sets or clears a reason to be out of use.
    fn switch(&mut self, reason: Admin, on: bool, moves: &mut Vec<Moved>) {
        let before = self.admin;
        self.admin.set(reason, on);
        let forced = reason == Admin::FORCED_MAINT || reason == Admin::FORCED_DRAIN;
        match (before.is_maint(), self.admin.is_maint()) {
            (false, true) => {
                let was_down = self.operation == Operation::Stopped;
                self.enter_maint();
                return moves.push(Moved::IntoMaint { was_down, forced });
            }
            (true, false) => {
                for watch in [&mut self.check, &mut self.agent].into_iter().flatten() {
                    watch.health.restart();
                }
                let up = !self.behind;
                self.operation = if up { Operation::Running } else { Operation::Stopped };
                let drain = self.admin.is_drain();
                return moves.push(Moved::OutOfMaint { up, drain, forced });
            }
            (true, true) => return,
            (false, false) => {}
        }
        let up = self.operation != Operation::Stopped;
        match (before.is_drain(), self.admin.is_drain()) {
            (false, true) => moves.push(Moved::IntoDrain { forced }),
            (true, false) => moves.push(Moved::OutOfDrain { up, forced }),
            _ => {}
        }
    }

    fn enter_maint(&mut self) {
        self.operation = Operation::Stopped;
        for watch in [&mut self.check, &mut self.agent].into_iter().flatten() {
            watch.health.force(false);
        }
    }

    /// As the column `status` of `show stat`; `seen` is the server it tracks in the end, or itself,
    /// and `tracked` names the one it tracks: `be/srv`.
    #[must_use]
    pub fn status(&self, seen: &Self, tracked: Option<&str>) -> String {
        if self.admin.has(Admin::RESOLUTION) {
            return "MAINT (resolution)".into();
        }
        if self.admin.has(Admin::INHERITED_MAINT) {
            return format!("MAINT (via {})", tracked.unwrap_or_default());
        }
        if self.admin.is_maint() {
            return "MAINT".into();
        }
        let check = seen.check.filter(|watch| watch.enabled).map(|watch| watch.health);
        let agent = seen.agent.filter(|watch| watch.enabled).map(|watch| watch.health);
        let failing = check.is_some_and(|health| health.is_up() && health.pace() == Pace::Changing);
        let steps = |word: &str| match check.or(agent) {
            Some(health) => {
                let (step, of) = health.steps();
                format!("{word} {step}/{of}")
            }
            None => word.to_string(),
        };
        match self.operation {
            Operation::Running if self.admin.is_drain() => match () {
                () if agent.is_some() => "DRAIN (agent)".into(),
                () if failing => steps("DRAIN"),
                () => "DRAIN".into(),
            },
            Operation::Running if failing => steps("UP"),
            Operation::Running if check.is_none() => "no check".into(),
            Operation::Running => "UP".into(),
            Operation::Stopping if failing => steps("NOLB"),
            Operation::Stopping => "NOLB".into(),
            Operation::Stopped if agent.is_some_and(|health| health.value() == 0) => {
                "DOWN (agent)".into()
            }
            Operation::Stopped if check.is_some_and(|health| health.value() == 0) => "DOWN".into(),
            Operation::Stopped => steps("DOWN"),
        }
    }
}

/// `error-limit` and `on-error`: consecutive errors of sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Errors {
    limit: u32,
    how: OnError,
    seen: u32,
}

impl Errors {
    /// `limit` errors in a row, 1 at least, do `how`.
    #[must_use]
    pub fn new(limit: u32, how: OnError) -> Self {
        Self { limit: limit.max(1), how, seen: 0 }
    }

    /// A session's connection came about or did not. What is to be done, and the words for it.
    pub fn note(&mut self, connected: bool) -> Option<(OnError, String)> {
        if connected {
            self.seen = 0;
            return None;
        }
        self.seen += 1;
        if self.seen < self.limit {
            return None;
        }
        let seen = core::mem::take(&mut self.seen);
        let last = "L4 unsuccessful connection";
        Some((self.how, format!("Detected {seen} consecutive errors, last one was: {last}")))
    }

    /// A check passed.
    pub fn forget(&mut self) {
        self.seen = 0;
    }
}
