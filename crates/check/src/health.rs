//! From results to up and down.

use core::fmt;

use crate::standing::OnError;

/// The health of one server: a counter from 0 to `rise + fall - 1`; from `rise` on the server is
/// up.
///
/// It starts at `rise`: up, but one failure away from being down, shown as `UP 1/3`. One success
/// makes it as healthy as can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Health {
    rise: u32,
    fall: u32,
    value: u32,
}

/// `init-state`: how a server begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InitState {
    /// Down after `fall` failures.
    FullyUp,
    /// Down after the first failure.
    #[default]
    Up,
    /// Up after the first success.
    Down,
    /// Up after `rise` successes.
    FullyDown,
}

/// What a result did to the [`Health`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Nothing: fully up and passed, or fully down and failed.
    None,
    /// The counter moved, the server did not.
    Progress,
    /// The server is up now.
    Up,
    /// The server is down now.
    Down,
}

/// Which interval applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// Fully up: `inter`.
    Up,
    /// Fully down: `downinter`.
    Down,
    /// In between: `fastinter`.
    Changing,
}

impl Health {
    /// The health of a server that was not checked yet. Both numbers are at least 1.
    #[must_use]
    pub fn new(rise: u32, fall: u32) -> Self {
        let (rise, fall) = (rise.max(1), fall.max(1));
        Self { rise, fall, value: rise }
    }

    /// Takes the result of one check.
    pub fn note(&mut self, passed: bool) -> Change {
        let was_up = self.is_up();
        let before = self.value;
        if passed {
            self.value = (self.value + 1).min(self.full());
            if self.is_up() {
                self.value = self.full();
            }
        } else {
            self.value = self.value.saturating_sub(1);
            if !self.is_up() {
                self.value = 0;
            }
        }
        match (was_up, self.is_up()) {
            (false, true) => Change::Up,
            (true, false) => Change::Down,
            _ if self.value == before => Change::None,
            _ => Change::Progress,
        }
    }

    /// Whether the server is up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.value >= self.rise
    }

    /// The counter, as `check_health` shows it.
    #[must_use]
    pub const fn value(&self) -> u32 {
        self.value
    }

    /// Which interval applies now.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        match self.value {
            0 => Pace::Down,
            value if value == self.full() => Pace::Up,
            _ => Pace::Changing,
        }
    }

    /// `init-state`: another beginning than [`new`](Self::new)'s.
    #[must_use]
    pub const fn starting(mut self, state: InitState) -> Self {
        self.value = match state {
            InitState::FullyUp => self.full(),
            InitState::Up => self.rise,
            InitState::Down => self.rise - 1,
            InitState::FullyDown => 0,
        };
        self
    }

    /// As healthy, or as ill, as can be.
    pub const fn force(&mut self, up: bool) {
        self.value = if up { self.full() } else { 0 };
    }

    /// Up, but one failure away from being down.
    pub const fn restart(&mut self) {
        self.value = self.rise;
    }

    /// What `on-error` does before it counts a failure.
    pub(crate) fn shorten(&mut self, how: OnError) {
        match how {
            OnError::FastInter | OnError::FailCheck => {}
            OnError::SuddenDeath => self.value = self.value.min(self.rise + 1),
            OnError::MarkDown => self.value = self.value.min(self.rise),
        }
    }

    const fn full(&self) -> u32 {
        self.rise + self.fall - 1
    }

    /// Steps of how many in its direction: `3/3` of an `UP` server, `1/2` of a `DOWN` one.
    #[must_use]
    pub const fn steps(&self) -> (u32, u32) {
        if self.is_up() { (self.value - self.rise + 1, self.fall) } else { (self.value, self.rise) }
    }
}

/// As the column `status` of `show stat`: `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2`.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_up() { "UP" } else { "DOWN" })?;
        if self.pace() == Pace::Changing {
            let (step, of) = self.steps();
            write!(f, " {step}/{of}")?;
        }
        Ok(())
    }
}
