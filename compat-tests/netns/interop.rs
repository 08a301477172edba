//! Mixed groups: ours with the real keepalived and with FRR's vrrpd, every way VRRP is spoken.
//!
//! ```text
//!   version 2 · IPv4 ─┬─ no authentication ─┬─ multicast ─┬─ ours first
//!                     ├─ PASS               └─ unicast    └─ the other first
//!                     └─ AH
//!   version 3 · IPv4, IPv6
//! ```
//!
//! Each row starts the first router, lets the second find it, ends the first by SIGTERM, and starts
//! it again: the second must take over within its skew time and give back. All the while every
//! frame is captured, and every field of every advert checked. The rows run at the same time, for
//! they wait for clocks, each in a lab of its own.

#[path = "interop/check.rs"]
mod check;
#[path = "interop/group.rs"]
mod group;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Capture, Moment, Subject};
use libtest_mimic::{Arguments, Trial};

use self::group::{Auth, Group, Peer, Row};

fn main() -> ExitCode {
    let subjects = match compat_tests::begin() {
        Ok(subjects) => subjects,
        Err(why) => {
            eprintln!("{why:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(12);
    println!("{}", subjects.said);
    let mut trials = Vec::new();
    let mut add = |row: Row, peers: [Peer; 2]| {
        let name = format!("{}_then_{}::{row}", peers[0], peers[1]);
        let test = move || hand_over(row, &peers).map_err(|why| format!("{why:#}").into());
        trials.push(Trial::test(name, test));
    };
    if let Some(ours) = subjects.ours {
        let ours = Peer::Program(ours);
        if let Some(theirs) = subjects.upstream {
            let theirs = Peer::Program(theirs);
            for row in Row::all() {
                add(row, [ours.clone(), theirs.clone()]);
                add(row, [theirs.clone(), ours.clone()]);
            }
        }
        if group::frr_is_there() {
            for row in Row::all().into_iter().filter(Row::suits_frr) {
                add(row, [ours.clone(), Peer::Frr]);
                add(row, [Peer::Frr, ours.clone()]);
            }
        } else {
            println!("SKIPPED: groups with FRR's vrrpd, not installed here (Debian: frr)");
        }
    }
    compat_tests::conclude(&arguments, trials)
}

/// What the second may need to hear that the first has gone, beyond its skew time: a machine that
/// runs a dozen labs at once.
const SLACK: Duration = Duration::from_millis(400);
/// What the start of a daemon may take there.
const START: Duration = Duration::from_secs(2);

fn hand_over(row: Row, peers: &[Peer; 2]) -> Result<()> {
    let mut group = Group::new(row, peers)?;
    let begun = Moment::now();
    group.start(0)?;
    group.until_master(0, begun, row.master_down() + START)?;
    group.start(1)?;
    group.pass(row.interval() * 2 + Duration::from_secs(1));
    ensure!(
        group.capture.adverts(group.name(1), begun).is_empty(),
        "the second spoke while the first is master\n{}",
        group.logs()
    );

    let resigned = Moment::now();
    group.stop(0)?;
    let taken = group.until_master(1, resigned, row.skew() + START)?;
    let took = taken.since(resigned);
    // vrrpd's interface comes up as it becomes master; its IPv6 address takes another interval.
    let slower = if group.is_frr(1) && row.ipv6 { row.interval() } else { Duration::ZERO };
    ensure!(took <= row.skew() + slower + SLACK, "took over after {took:?}\n{}", group.logs());
    group.until_announced(1, resigned, Duration::from_secs(1))?;
    let last = group.capture.adverts(group.name(0), resigned);
    let zeros = last.iter().filter(|(_, advert)| advert.priority == 0).count();
    ensure!(
        zeros == 1 && last.last().is_some_and(|(_, advert)| advert.priority == 0),
        "one last advert of priority 0 was expected: {last:?}\n{}",
        group.logs()
    );

    let again = Moment::now();
    group.start(0)?;
    let back = group.until_master(0, again, row.master_down() + START)?;
    group.until_announced(0, again, Duration::from_secs(1))?;
    // The second yields to the first advert it hears.
    group.pass(row.interval() * 2);
    let late = group.capture.adverts(group.name(1), back.after(Duration::from_millis(100)));
    ensure!(late.is_empty(), "the second goes on: {late:?}\n{}", group.logs());
    group.only_holder_is(0)?;

    for place in [0, 1] {
        let starts: &[Moment] = if place == 0 { &[begun, again] } else { &[begun] };
        for (number, start) in starts.iter().enumerate() {
            let mut adverts = group.capture.adverts(group.name(place), *start);
            if let Some(next) = starts.get(number + 1) {
                adverts.retain(|(at, _)| at < next);
            }
            ensure!(!adverts.is_empty(), "no adverts of {}", group.name(place));
            check::adverts(&group, place, &adverts)
                .with_context(|| format!("adverts of {} ({})", group.name(place), peers[place]))?;
        }
    }
    ensure!(Capture::lost() == 0, "the capture lost {} frames", Capture::lost());
    Ok(())
}

/// The name under which a subject's daemon is started.
fn installed(peer: &Peer) -> Option<&Subject> {
    match peer {
        Peer::Program(subject) => Some(subject),
        Peer::Frr => None,
    }
}

/// What follows the addresses of an advert of version 2.
fn trailer(auth: Auth) -> [u8; 8] {
    match auth {
        // Eight bytes of what was configured.
        Auth::Pass => *b"longer-t",
        Auth::None | Auth::Ah => [0; 8],
    }
}
