//! What becomes of the address when its holder goes.
//!
//! Bounds: the backup's skew time or master-down time at priority 100 and `advert_int 1`, and 0.4 s
//! for a busy machine. A silent master is missed after its last advert, which is up to a second
//! before the fault, so the least is a second less.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Moment, Subject, Subnet};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{MASTER_DOWN, Pair, SKEW, SLACK, between};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("a_resigning_master_is_replaced_within_the_skew_time", resign);
    tests.each("a_killed_master_is_replaced_after_the_master_down_time", killed);
    tests.each("a_frozen_master_is_replaced_after_the_master_down_time", frozen);
    tests.each("a_master_without_cable_gives_the_address_up_and_is_replaced", unplugged);
    tests.each("a_returning_master_takes_the_address_back", returns);
    tests.ours("the_address_of_a_killed_master_is_gone_before_the_backup_takes_it", lease_killed);
    tests.ours("the_address_of_a_frozen_master_is_gone_before_the_backup_takes_it", lease_frozen);
    tests.ours("a_thawed_master_and_the_backup_never_both_hold_the_address", thawed);
    tests.ours("an_address_left_behind_is_removed_at_start", leftover);
    tests.ours("after_a_partition_one_holder_is_left_and_announces_the_address_again", partition);
}

fn resign(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let from = Moment::now();
    pair.daemons[0].signal(Signal::SIGTERM)?;
    let took = pair.taken_by("second", from, SKEW + Duration::from_secs(3))?;
    between(took, Duration::ZERO, SKEW + SLACK)?;
    pair.never_both()
}

fn killed(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let from = Moment::now();
    pair.nodes[0].signal("keepalived", Signal::SIGKILL)?;
    silent_master_is_replaced(&pair, from)
}

fn frozen(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let from = Moment::now();
    pair.nodes[0].signal("keepalived", Signal::SIGSTOP)?;
    silent_master_is_replaced(&pair, from)
}

fn unplugged(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let from = Moment::now();
    pair.nodes[0].cable("eth0", false)?;
    silent_master_is_replaced(&pair, from)?;
    pair.never_both()
}

fn silent_master_is_replaced(pair: &Pair, from: Moment) -> Result<()> {
    let took = pair.taken_by("second", from, MASTER_DOWN + Duration::from_secs(3))?;
    between(took, MASTER_DOWN - Duration::from_secs(1) - SLACK, MASTER_DOWN + SLACK)
}

fn returns(subject: &Subject) -> Result<()> {
    let mut pair = Pair::start(subject, subject)?;
    pair.daemons[0].signal(Signal::SIGTERM)?;
    pair.until_held_by("second", SKEW + Duration::from_secs(3))?;
    let from = Moment::now();
    pair.restart(0)?;
    let took = pair.taken_by("first", from, MASTER_DOWN + Duration::from_secs(3))?;
    // Its own master-down time runs out at once when a lesser master's advert is discarded, or
    // at the latest by itself.
    between(took, Duration::ZERO, MASTER_DOWN + SLACK + START)?;
    pair.until_held_by("first", Duration::from_secs(2))?;
    Ok(())
}

/// What the start of a daemon may take on a busy machine.
const START: Duration = Duration::from_secs(1);

fn lease_killed(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    pair.nodes[0].signal("keepalived", Signal::SIGKILL)?;
    pair.until_held_by("second", MASTER_DOWN + Duration::from_secs(3))?;
    pair.pass(Duration::from_secs(1));
    pair.never_both()
}

fn lease_frozen(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    pair.nodes[0].signal("keepalived", Signal::SIGSTOP)?;
    pair.until_held_by("second", MASTER_DOWN + Duration::from_secs(3))?;
    pair.pass(Duration::from_secs(1));
    pair.never_both()
}

fn thawed(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    pair.nodes[0].signal("keepalived", Signal::SIGSTOP)?;
    pair.until_held_by("second", MASTER_DOWN + Duration::from_secs(3))?;
    pair.nodes[0].signal("keepalived", Signal::SIGCONT)?;
    pair.until_held_by("first", MASTER_DOWN * 2 + Duration::from_secs(3))?;
    pair.never_both()
}

fn leftover(subject: &Subject) -> Result<()> {
    let mut pair = Pair::start_with(subject, subject, "    nopreempt")?;
    pair.daemons[0].signal(Signal::SIGTERM)?;
    pair.until_held_by("second", SKEW + Duration::from_secs(3))?;
    // What a crashed daemon without a lease would have left.
    pair.nodes[0].add_address("eth0", Subnet { address: pair.address, prefix: 24 })?;
    let from = Moment::now();
    pair.restart(0)?;
    pair.until_held_by("second", Duration::from_secs(2))?;
    between(Moment::now().since(from), Duration::ZERO, Duration::from_secs(2))
}

/// Nothing passes for a while, and both ends keep their carrier: both must hold the address. Clients
/// have learnt where the second is, so the first has to speak up when it alone is left.
fn partition(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let capture = pair.lab.capture()?;
    // The second has to have heard the first.
    pair.pass(Duration::from_millis(1_500));
    let from = Moment::now();
    pair.nodes[0].forward("eth0", false)?;
    pair.taken_by("second", from, MASTER_DOWN + Duration::from_secs(3))?;
    pair.pass(Duration::from_secs(1));
    ensure!(pair.never_both().is_err(), "nobody told the first to let go");
    let healed = Moment::now();
    pair.nodes[0].forward("eth0", true)?;
    pair.until_held_by("first", Duration::from_secs(1) + SLACK)?;
    let announced = capture.wait(healed, Duration::from_secs(1) + SLACK, |frame| {
        let lab::Sent::Gratuitous(address) = frame.sent() else { return None };
        (*frame.node == *"first" && address == pair.address).then_some(())
    });
    ensure!(announced.is_some(), "the address was not announced again");
    pair.daemons[0].wait_line("split: ", Duration::from_secs(1))?;
    Ok(())
}
