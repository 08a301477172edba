//! Ours and the original in one VRRP group.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Moment, Subject};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{MASTER_DOWN, Pair, SKEW, SLACK, between};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.both("the_original_takes_over_from_ours_and_gives_back", |ours, upstream| {
        hand_over(ours, upstream, "")
    });
    tests.both("ours_takes_over_from_the_original_and_gives_back", |ours, upstream| {
        hand_over(upstream, ours, "")
    });
    tests.both("ours_as_master_with_a_password_is_heard_by_the_original", |ours, upstream| {
        hand_over(ours, upstream, PASSWORD)
    });
    tests.both("the_original_as_master_with_a_password_is_heard_by_ours", |ours, upstream| {
        hand_over(upstream, ours, PASSWORD)
    });
    tests.both("a_killed_original_is_replaced_by_ours", |ours, upstream| {
        killed(upstream, ours).map(drop)
    });
    tests.both("ours_when_killed_is_replaced_by_the_original", |ours, upstream| {
        killed(ours, upstream)?.never_both()
    });
}

const PASSWORD: &str =
    "    authentication {\n        auth_type PASS\n        auth_pass longer-than-8\n    }";

fn hand_over(first: &Subject, second: &Subject, added: &str) -> Result<()> {
    let mut pair = Pair::start_with(first, second, added)?;
    let from = Moment::now();
    pair.daemons[0].signal(Signal::SIGTERM)?;
    let took = pair.taken_by("second", from, SKEW + Duration::from_secs(3))?;
    between(took, Duration::ZERO, SKEW + SLACK)?;
    pair.restart(0)?;
    let back = pair.until_held_by("first", MASTER_DOWN + Duration::from_secs(3))?;
    // Nobody else was master in between: one stretch each.
    let turns = pair.holds();
    ensure!(turns.len() == 3, "three turns were expected: {turns:?}");
    ensure!(back == turns[2].first, "the last turn is the first node's: {turns:?}");
    Ok(())
}

fn killed(first: &Subject, second: &Subject) -> Result<Pair> {
    let pair = Pair::start(first, second)?;
    let from = Moment::now();
    pair.nodes[0].signal("keepalived", Signal::SIGKILL)?;
    let took = pair.taken_by("second", from, MASTER_DOWN + Duration::from_secs(3))?;
    between(took, MASTER_DOWN - Duration::from_secs(1) - SLACK, MASTER_DOWN + SLACK)?;
    Ok(pair)
}
