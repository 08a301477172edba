//! What a VRRP daemon weighs while nothing happens: guide 001's file on one node of the lab.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::Subject;
use lab::guide::{KEEPALIVED, named};
use lab::stage::Stage;

/// The hidden argument under which the benchmark runs itself again, in namespaces of its own.
pub(super) const ARGUMENT: &str = "at-rest";

/// Proportional memory (PSS) of all processes of one daemon, in kB.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtRest {
    /// failoverd's.
    pub(super) ours: u64,
    /// keepalived's, where it is installed.
    pub(super) theirs: Option<u64>,
}

impl AtRest {
    /// The most failoverd may need.
    pub(super) const MOST: u64 = 3_800;

    /// Measures in a process of its own: whoever enters namespaces stays in them.
    pub(super) fn measure() -> Result<Self> {
        let itself = std::env::current_exe()?;
        let output = Command::new(itself).args(["bench", ARGUMENT]).output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "measuring failoverd at rest: {errors}");
        let text = String::from_utf8(output.stdout)?;
        let mut numbers = text.split_whitespace().map(str::parse);
        let ours = numbers.next().context("no number")??;
        Ok(Self { ours, theirs: numbers.next().transpose()? })
    }

    /// As a row of the page's second table.
    pub(super) fn row(self) -> String {
        let theirs = self.theirs.map_or_else(
            || "not installed".to_owned(),
            |theirs| format!("{theirs} kB ({:.2}×)", theirs as f64 / self.ours as f64),
        );
        format!("| Memory of all processes (PSS) | {} kB | {theirs} |", self.ours)
    }
}

/// The other end of [`AtRest::measure`]: prints the numbers.
pub(super) fn print() -> Result<()> {
    let subjects = [Some(Subject::ours()?), Subject::upstream()];
    lab::ground::enter()?;
    for subject in subjects.into_iter().flatten() {
        println!("{}", weigh(&subject)?);
    }
    Ok(())
}

/// Starts the daemon on the guide's first node alone, lets it become master and send its second
/// announcements, and adds up what its processes weigh.
fn weigh(subject: &Subject) -> Result<u64> {
    let guide = named("001").into_iter().next().context("guide 001 is there")?;
    let stage = Stage::new(guide, subject)?;
    let daemon = stage.start_daemon(0, &KEEPALIVED)?;
    daemon.wait_line("Entering MASTER STATE", Duration::from_secs(20))?;
    let ended = daemon.wait(Duration::from_secs(10));
    ensure!(ended.is_none(), "it ended: {:?}", daemon.lines());
    let sum = "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = keepalived ] && \
               grep ^Pss: $p/smaps_rollup; done; true";
    let output = stage.balancers[0].run(&["sh", "-c", sum], Duration::from_secs(10))?;
    let kilobytes = output.stdout.lines().filter_map(|line| line.split_whitespace().nth(1));
    let sum = kilobytes.map(|number| Ok(number.parse::<u64>()?)).sum::<Result<u64>>()?;
    ensure!(sum > 0, "no process called keepalived: {}", output.stderr);
    Ok(sum)
}
