//! `cargo xtask bench failover`: how long nobody answers and how long two do, after every fault,
//! beside the original.
//!
//! ```text
//!   client (2 ms)  ──► switch ──┬── first, priority 150   ◄── the fault
//!                        │      └── second, priority 100
//!                     capture: adverts, announcements, echo replies, by the kernel's clock
//! ```
//!
//! The phase of a fault within the advertisement interval decides how long a silent master goes
//! unnoticed. It is therefore not left to chance: the repetitions of a cell spread over the interval,
//! the same for both programs.

mod page;
mod run;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::{Capture, Subject};

use self::page::Measured;
use self::run::Outcome;

/// What happens to the master.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    KillAll,
    Term,
    LinkDown,
    PortDown,
    PortBlocks,
    KillParent,
    KillRole,
    Freeze,
}

impl Fault {
    const ALL: [Self; 8] = [
        Self::KillAll,
        Self::Term,
        Self::LinkDown,
        Self::PortDown,
        Self::PortBlocks,
        Self::KillParent,
        Self::KillRole,
        Self::Freeze,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::KillAll => "SIGKILL of all processes",
            Self::Term => "SIGTERM",
            Self::LinkDown => "link down (`ip link set eth0 down`)",
            Self::PortDown => "switch port down",
            Self::PortBlocks => "switch port blocks, link stays up",
            Self::KillParent => "SIGKILL of the parent only",
            Self::KillRole => "SIGKILL of the VRRP process only",
            Self::Freeze => "SIGSTOP of all processes, later SIGCONT",
        }
    }

    /// Whether the old master cannot know and lives: then VRRP must have two holders.
    fn is_partition(self) -> bool {
        self == Self::PortBlocks
    }

    /// Whether it ends: the link comes back, the processes are woken.
    fn heals(self) -> bool {
        matches!(self, Self::LinkDown | Self::PortDown | Self::PortBlocks | Self::Freeze)
    }
}

/// The protocol's version and its clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Timing {
    pub(super) version: u8,
    /// In hundredths of a second.
    pub(super) interval: u16,
}

impl Timing {
    const ALL: [Self; 3] = [
        Self { version: 2, interval: 100 },
        Self { version: 3, interval: 10 },
        Self { version: 3, interval: 100 },
    ];

    fn interval(self) -> Duration {
        Duration::from_millis(u64::from(self.interval) * 10)
    }

    /// Three intervals and the skew time of priority 100.
    fn master_down(self) -> Duration {
        self.interval() * 3 + self.interval() * 156 / 256
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cell {
    pub(super) fault: Fault,
    pub(super) timing: Timing,
    pub(super) unicast: bool,
}

impl Cell {
    fn all(quick: bool) -> Vec<Self> {
        let mut cells = Vec::new();
        for timing in Timing::ALL {
            for unicast in [false, true] {
                if quick && (unicast || timing == Timing::ALL[2]) {
                    continue;
                }
                cells.extend(Fault::ALL.map(|fault| Self { fault, timing, unicast }));
            }
        }
        cells
    }
}

/// How many labs run at a time: a lab waits nearly always.
const WORKERS: usize = 12;

/// Runs the benchmark; fails when a cell of ours is slower, or has two holders where it must not.
pub(super) fn run(quick: bool, write: bool) -> Result<ExitCode> {
    let repetitions = if quick { 1 } else { 3 };
    let subjects = super::vrrp::subjects()?;
    let cells = Cell::all(quick);
    let mut jobs = Vec::new();
    for repetition in 0..repetitions {
        // In the middle of its share of the interval.
        let phase = (repetition as f64 + 0.5) / f64::from(repetitions);
        for (place, cell) in cells.iter().enumerate() {
            jobs.extend(subjects.iter().map(|subject| (place, *cell, subject, phase)));
        }
    }
    let results: Mutex<Vec<(usize, &Subject, Outcome)>> = Mutex::default();
    let failed: Mutex<Option<anyhow::Error>> = Mutex::default();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(place, cell, subject, phase)) = jobs.get(number) else { return };
                    let done = run::once(subject, cell, phase)
                        .with_context(|| format!("{cell:?} of {}", subject.name()));
                    match done {
                        Ok(outcome) => {
                            eprintln!(
                                "{:>3} of {}: {} {cell:?} {outcome}",
                                number + 1,
                                jobs.len(),
                                subject.name()
                            );
                            lock(&results).push((place, subject, outcome));
                        }
                        Err(why) => {
                            eprintln!("{why:#}");
                            *lock(&failed) = Some(why);
                        }
                    }
                }
            });
        }
    });
    if let Some(why) = lock(&failed).take() {
        return Err(why);
    }
    let results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let measured: Vec<Measured> = (cells.iter().enumerate())
        .map(|(place, cell)| {
            let of = |name: &str| {
                let mine = results.iter().filter(|(at, who, _)| *at == place && who.name() == name);
                mine.map(|(_, _, outcome)| outcome.clone()).collect::<Vec<_>>()
            };
            Measured { cell: *cell, ours: of("ours"), theirs: of("upstream") }
        })
        .collect();
    let page = page::page(&measured, &subjects, Capture::lost());
    println!("{}", page.text);
    if write {
        super::section::write("docs/failover.md", "failover", &page.text)?;
    }
    for line in &page.missed {
        eprintln!("MISSED: {line}");
    }
    Ok(if page.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
