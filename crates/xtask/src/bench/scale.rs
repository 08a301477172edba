//! `cargo xtask bench scale`: what many virtual routers cost, and whether a reload delays an advert.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::{Moment, Subject};
use nix::sys::signal::Signal;

use super::vrrp::{Begun, Crowd, Lateness, Many, pass, per_minute, subjects, title};

/// What one daemon needs for so many routers.
struct Cost {
    /// CPU seconds per minute.
    master: f64,
    backup: f64,
    /// Of all processes, in kB.
    memory: [u64; 2],
    processes: u64,
    steady: Lateness,
    reload: Lateness,
}

/// Runs the benchmark; fails when ours need more than the original.
pub(super) fn run(quick: bool, write: bool) -> Result<ExitCode> {
    let sizes: &[Many] = if quick {
        &[Many { interfaces: 1, each: 250 }, Many { interfaces: 4, each: 250 }]
    } else {
        &[
            Many { interfaces: 1, each: 1 },
            Many { interfaces: 1, each: 50 },
            Many { interfaces: 1, each: 250 },
            Many { interfaces: 1, each: 255 },
            Many { interfaces: 4, each: 250 },
        ]
    };
    let window = Duration::from_secs(if quick { 10 } else { 30 });
    let subjects = subjects()?;
    let mut text = format!(
        "# What many virtual routers cost\n\nTwo nodes on a virtual switch, the first master of \
         all, the second backup; version 2, `advert_int 1`, an address each. CPU time is what the \
         scheduler counted for all processes of the daemon in {} s, as seconds per minute; memory is \
         the proportional share (PSS) of all of them. How late an advert is, is measured on the wire, \
         against the one before it; the reload is of the same file, under load.\n\n\
         | routers | | CPU as master | CPU as backup | memory of the master | of the backup | latest advert \
         (99.9 %) | latest around a reload | adverts of the backup |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        window.as_secs()
    );
    let mut met = true;
    for &many in sizes {
        let routers = match many.interfaces {
            1 => format!("{}", many.total()),
            n => format!("{} on {n} interfaces", many.total()),
        };
        let mut costs = Vec::new();
        for subject in &subjects {
            eprintln!("{routers}: {}", subject.name());
            let cost = measure(subject, many, window)
                .with_context(|| format!("{routers} routers of {}", subject.name()))?;
            let _ = writeln!(text, "| {routers} | {} | {} |", title(subject), cost.cells());
            eprintln!("  {} ({} processes)", cost.cells(), cost.processes);
            costs.push(cost);
        }
        if let [ours, theirs] = costs.as_slice() {
            met &= ours.is_no_more_than(theirs, many);
        }
    }
    let _ = write!(text, "\n{}\n", super::page::machine());
    println!("{text}");
    if write {
        super::section::write("docs/BENCHMARKS.md", "scale", &text)?;
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(subject: &Subject, many: Many, window: Duration) -> Result<Cost> {
    let crowd = Crowd::start(subject, many)?;
    let from = Begun::now();
    let before = crowd.usage()?;
    pass(&crowd.daemons[0], window)?;
    let after = crowd.usage()?;
    let steady = crowd.lateness(from, Moment::now())?;
    let from = Begun::now();
    pass(&crowd.daemons[0], Duration::from_millis(1_300))?;
    crowd.daemons[0].signal(Signal::SIGHUP)?;
    pass(&crowd.daemons[0], Duration::from_secs(4))?;
    let reload = crowd.lateness(from, Moment::now())?;
    Ok(Cost {
        master: per_minute(before[0], after[0], window),
        backup: per_minute(before[1], after[1], window),
        memory: [after[0].pss, after[1].pss],
        processes: after[0].processes,
        steady,
        reload,
    })
}

impl Cost {
    fn cells(&self) -> String {
        let late = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        format!(
            "{:.3} s | {:.3} s | {} kB | {} kB | {} ({}) | {} | {}",
            self.master,
            self.backup,
            self.memory[0],
            self.memory[1],
            late(self.steady.worst),
            late(self.steady.most),
            late(self.reload.worst),
            self.strays()
        )
    }

    fn strays(&self) -> usize {
        self.steady.strays + self.reload.strays
    }

    /// Says what is above the original's.
    fn is_no_more_than(&self, theirs: &Self, many: Many) -> bool {
        let mut wrong = Vec::new();
        let mut check = |what: &str, ours: f64, most: f64| {
            if ours > most {
                wrong.push(format!("{what}: {ours:.3}, at most {most:.3}"));
            }
        };
        // What keepalived 2.4 needs on a quiet machine; a busy one gives either a little more or less.
        let quiet = |of_250: f64| (of_250 * many.total() as f64 / 250.0).max(0.02);
        check("CPU s/min as master", self.master, theirs.master.max(quiet(0.42)));
        check("CPU s/min as backup", self.backup, theirs.backup.max(quiet(0.1)));
        if many.total() <= 255 {
            let memory = self.memory[0].max(self.memory[1]);
            check("memory in kB", memory as f64, 8_000.0);
        }
        check("adverts of the backup", self.strays() as f64, 0.0);
        // A tenth of an interval is late; what the machine adds to both is not.
        let most = theirs.reload.worst.max(Duration::from_millis(100));
        check("lateness in a reload", self.reload.worst.as_secs_f64(), most.as_secs_f64());
        for line in &wrong {
            eprintln!("  MISSED with {} routers: {line}", many.total());
        }
        wrong.is_empty()
    }
}
