//! What a driver, the simulator and a replayer need to know of any state machine.
//!
//! ```text
//!            event, now                        actions, in order
//!   driver ─────────────► Machine::handle ───────────────────────► driver
//!     ▲                                                               │
//!     └───────────── waits for an event or Machine::deadline ◄────────┘
//! ```
//!
//! A [`Machine`] opens no socket and reads no clock: it is handed the time, and says when it wants
//! to be called again. The same value therefore runs in a daemon, in a simulator with a clock of its
//! own, and on a recorded list of events.
//!
//! ```
//! use core::time::Duration;
//! use machine::{Instant, Machine};
//!
//! /// Rings once, a minute after it was started.
//! struct Alarm(Option<Instant>);
//!
//! struct Start;
//!
//! impl Machine for Alarm {
//!     type Event<'a> = Option<Start>;
//!     type Action = &'static str;
//!
//!     fn handle(&mut self, now: Instant, event: Option<Start>, actions: &mut Vec<&'static str>) {
//!         if let Some(Start) = event {
//!             self.0 = Some(now + Duration::from_secs(60));
//!         } else if self.0.is_some_and(|due| due <= now) {
//!             self.0 = None;
//!             actions.push("ring");
//!         }
//!     }
//!
//!     fn deadline(&self) -> Option<Instant> {
//!         self.0
//!     }
//! }
//!
//! let (mut alarm, mut actions) = (Alarm(None), vec![]);
//! alarm.handle(Instant::ZERO, Some(Start), &mut actions);
//! let due = alarm.deadline().expect("it was started");
//! alarm.handle(due, None, &mut actions);
//! assert_eq!(actions, ["ring"]);
//! assert_eq!(alarm.deadline(), None);
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod instant;

pub use instant::Instant;

use alloc::vec::Vec;

/// A state machine that performs no input or output of its own.
///
/// The driver waits for something to happen or for [`deadline`](Self::deadline) to pass, calls
/// [`handle`](Self::handle), and carries out the actions in order.
pub trait Machine {
    /// What can happen to it; one variant says that nothing did but the passing of time.
    type Event<'a>;
    /// What it asks its driver to do.
    type Action;

    /// Takes one event, and whatever has expired by `now`, appending what is to be done.
    ///
    /// `now` never goes backwards from one call to the next.
    fn handle(&mut self, now: Instant, event: Self::Event<'_>, actions: &mut Vec<Self::Action>);

    /// When [`handle`](Self::handle) is next due even if nothing happens.
    ///
    /// Calling early is harmless; calling late delays whatever was due by as much.
    fn deadline(&self) -> Option<Instant>;
}
