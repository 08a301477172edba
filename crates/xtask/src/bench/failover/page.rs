//! The table of fail-overs, and what of it is not as it should be.

use std::fmt::Write as _;
use std::time::Duration;

use lab::Subject;

use super::run::{Outcome, PROBE};
use super::{Cell, Fault};
use crate::bench::page::machine;
use crate::bench::vrrp::title;

/// All repetitions of a cell.
pub(super) struct Measured {
    pub(super) cell: Cell,
    pub(super) ours: Vec<Outcome>,
    /// Empty where the original is not installed.
    pub(super) theirs: Vec<Outcome>,
}

/// What is printed, and what is above its bound.
pub(super) struct Page {
    pub(super) text: String,
    pub(super) missed: Vec<String>,
}

/// What two probes and the nodes' sampling can make of no difference at all.
const TOLERANCE: Duration = Duration::from_millis(25);

pub(super) fn page(all: &[Measured], subjects: &[Subject], lost: u32) -> Page {
    let names: Vec<String> = subjects.iter().map(title).collect();
    let repetitions = all.first().map_or(0, |one| one.ours.len());
    let mut missed = Vec::new();
    let mut text = format!(
        "## Every fault, beside keepalived\n\n{}: two nodes of priority 150 and 100 on a virtual switch, the \
         master's fault, and a client that sends an echo request every {} ms. Figures are medians of \
         {repetitions} repetitions, in seconds, which begin at evenly spread phases of the advertisement interval, the same for \
         both programs. *Gap*: the longest time between two answers. *Taken*: the new master's first \
         advert. *Two holders*: how long both nodes had the address, sampled every 10 ms on each, at most of all repetitions. \
         No slower means: at most {} ms more, what sampling and a busy moment make.\n\n\
         | VRRP | fault of the master | gap | keepalived's | taken | keepalived's | two holders | \
         keepalived's | verdict |\n|---|---|---:|---:|---:|---:|---:|---:|---|\n",
        names.join(" and "),
        PROBE.as_millis(),
        TOLERANCE.as_millis(),
    );
    for one in all {
        let (ours, theirs) = (&one.ours, &one.theirs);
        let verdict = match one.verdict() {
            Ok(fine) => fine,
            Err(why) => {
                missed.push(format!("{}, {}: {why}", vrrp(one.cell), one.cell.fault.title()));
                format!("**{why}**")
            }
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {verdict} |",
            vrrp(one.cell),
            one.cell.fault.title(),
            seconds(median(ours, |run| Some(run.gap))),
            seconds(median(theirs, |run| Some(run.gap))),
            seconds(median(ours, |run| run.taken)),
            seconds(median(theirs, |run| run.taken)),
            seconds(most(ours, |run| run.both)),
            seconds(most(theirs, |run| run.both)),
        );
    }
    text.push_str(
        "\nWhen the fault ends (the first node's link is back, its processes are woken):\n\n\
         | VRRP | fault that ended | two holders after it | keepalived's | gap after it | keepalived's | the address \
         is announced after | keepalived's |\n|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for one in all.iter().filter(|one| one.cell.fault.heals()) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            vrrp(one.cell),
            one.cell.fault.title(),
            seconds(most(&one.ours, |run| run.both_after)),
            seconds(most(&one.theirs, |run| run.both_after)),
            seconds(most(&one.ours, |run| run.gap_after)),
            seconds(most(&one.theirs, |run| run.gap_after)),
            seconds(median(&one.ours, |run| run.announced)),
            seconds(median(&one.theirs, |run| run.announced)),
        );
    }
    if let Some(said) = all.iter().flat_map(|one| &one.ours).find_map(|run| run.said.as_ref()) {
        let _ = write!(text, "\nOf two holders that met, ours says: `{said}`\n");
    }
    let _ = write!(text, "\n{}\n", machine());
    if lost > 0 {
        missed.push(format!("the capture lost {lost} frames: no figure is sure"));
    }
    Page { text, missed }
}

impl Measured {
    /// What the row comes to, or what is wrong with it.
    fn verdict(&self) -> Result<String, String> {
        let (ours, theirs, cell) = (&self.ours, &self.theirs, self.cell);
        let both = most(ours, |run| run.both).unwrap_or_default();
        let their_both = most(theirs, |run| run.both).unwrap_or_default();
        let sub_second = cell.timing.interval() < Duration::from_millis(434);
        // Nobody can take the address from a dead or frozen node there: see the address lease.
        let no_lease = sub_second && matches!(cell.fault, Fault::KillAll | Fault::Freeze);
        if both > Duration::ZERO && !cell.fault.is_partition() && !no_lease {
            return Err(format!("two holders for {:.3} s", both.as_secs_f64()));
        }
        if sub_second {
            let most = match cell.fault {
                Fault::Term => Some(Duration::from_millis(75)),
                Fault::LinkDown => Some(Duration::from_millis(355)),
                _ => None,
            };
            let gap = median(ours, |run| Some(run.gap)).unwrap_or_default();
            if let Some(most) = most.filter(|most| gap > *most) {
                let (gap, most) = (gap.as_secs_f64(), most.as_secs_f64());
                return Err(format!("a gap of {gap:.3} s, at most {most:.3} s is promised"));
            }
        }
        if theirs.is_empty() {
            return Ok("nothing to compare with".to_owned());
        }
        let later = |value: fn(&Outcome) -> Option<Duration>| {
            let (ours, theirs) = (median(ours, value), median(theirs, value));
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => ours > theirs + TOLERANCE,
                (None, Some(_)) => cell.fault != Fault::KillRole,
                (_, None) => false,
            }
        };
        if !later(|run| Some(run.gap)) {
            return Ok("no slower".to_owned());
        }
        // An address that is gone in time is answered by nobody until the backup has it.
        if !later(|run| run.taken) && both == Duration::ZERO && their_both > Duration::ZERO {
            return Ok(format!(
                "no slower to take over, one holder; keepalived has two for {:.1} s and more",
                their_both.as_secs_f64()
            ));
        }
        Err("slower".to_owned())
    }
}

fn vrrp(cell: Cell) -> String {
    let cast = if cell.unicast { "unicast" } else { "multicast" };
    format!("v{}, {} s, {cast}", cell.timing.version, f64::from(cell.timing.interval) / 100.0)
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{:.3}", time.as_secs_f64()))
}

fn most(runs: &[Outcome], value: fn(&Outcome) -> Duration) -> Option<Duration> {
    runs.iter().map(value).max()
}

/// `None` unless more than half of the runs have a value.
fn median(runs: &[Outcome], value: impl Fn(&Outcome) -> Option<Duration>) -> Option<Duration> {
    let mut values: Vec<Duration> = runs.iter().filter_map(value).collect();
    values.sort_unstable();
    (values.len() * 2 > runs.len()).then(|| values[values.len() / 2])
}
