//! Where keepalived is weak: what it does today, and ours beside it.
//!
//! Each point is one scenario with two expectations. That of keepalived is Debian 12's 2.2.7; it is
//! there so that nobody has to believe us.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Moment, NodeFile, Subject};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{FILE, KEEPALIVED, MASTER_DOWN, Pair, SKEW};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("weak_point_1_a_broken_file_on_reload", broken_reload);
    tests.each("weak_point_2_a_killed_daemon_and_its_address", killed);
    tests.each("weak_point_3_a_crashed_worker", crashed_worker);
    tests.each("weak_point_4_news_of_the_kernel_that_were_lost", overrun);
    tests.each("weak_point_5_a_missing_capability", capability);
    tests.each("weak_point_6_a_freeze_longer_than_the_master_down_time", frozen);
    tests.each("weak_point_7_a_tracked_process_in_a_namespace", tracked_process);
    tests.each("weak_point_8_an_address_that_somebody_else_removed", removed_address);
    tests.each("weak_point_9_a_weight_out_of_range", weight);
}

fn is_ours(subject: &Subject) -> bool {
    matches!(subject, Subject::Ours { .. })
}

/// keepalived ends with code 2 and leaves the address; ours goes on with what it had.
fn broken_reload(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let text = "vrrp_instance VI_1 {\n    interface eth0\n    priority 101\n}\n";
    pair.nodes[0].write(NodeFile::new(FILE, text))?;
    pair.daemons[0].signal(Signal::SIGHUP)?;
    if is_ours(subject) {
        pair.pass(MASTER_DOWN + Duration::from_secs(1));
        ensure!(pair.daemons[0].wait(Duration::ZERO).is_none(), "it ended");
        let holds = pair.holds();
        ensure!(holds.len() == 1 && !holds[0].ended, "the address moved: {holds:?}");
        return pair.never_both();
    }
    ensure!(pair.daemons[0].wait(Duration::from_secs(5)) == Some(2), "keepalived goes on");
    pair.pass(MASTER_DOWN + Duration::from_secs(1));
    ensure!(pair.never_both().is_err(), "keepalived removed the address of a dead daemon");
    Ok(())
}

/// keepalived's address stays, and two nodes have it; ours is gone before the backup takes it.
fn killed(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let from = Moment::now();
    pair.nodes[0].signal("keepalived", Signal::SIGKILL)?;
    pair.taken_by("second", from, MASTER_DOWN + Duration::from_secs(3))?;
    pair.pass(Duration::from_secs(1));
    two_holders_only_of_keepalived(subject, &pair)
}

fn two_holders_only_of_keepalived(subject: &Subject, pair: &Pair) -> Result<()> {
    if is_ours(subject) {
        return pair.never_both();
    }
    ensure!(pair.never_both().is_err(), "keepalived has one holder only: {:?}", pair.holds());
    Ok(())
}

/// keepalived drops the address and fails over; ours goes on and nobody notices.
fn crashed_worker(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let capture = pair.lab.capture()?;
    let child = *pair.daemons[0].children("keepalived")?.first().context("no child")?;
    let from = Moment::now();
    pair.daemons[0].signal_child(child, Signal::SIGKILL)?;
    pair.pass(MASTER_DOWN * 2 + Duration::from_secs(1));
    let heard = capture.adverts("second", from).len();
    let turns = pair.holds();
    if !is_ours(subject) {
        ensure!(heard > 0, "keepalived's backup did not take over: {turns:?}");
        return Ok(());
    }
    let lines = || pair.daemons[0].lines().join("\n");
    ensure!(heard == 0, "the backup sent {heard} adverts\n{}", lines());
    ensure!(turns.len() == 1 && !turns[0].ended, "the address moved: {turns:?}\n{}", lines());
    let sent = capture.adverts("first", from);
    let gaps = sent.windows(2).map(|two| two[1].0.since(two[0].0));
    let longest = gaps.max().unwrap_or_default();
    ensure!(longest < Duration::from_millis(1_500), "no advert for {longest:?}\n{}", lines());
    // And it still works as a whole.
    pair.daemons[0].signal(Signal::SIGTERM)?;
    pair.until_held_by("second", SKEW + Duration::from_secs(3))?;
    Ok(())
}

/// While nobody reads, more happens than the socket holds, and the cable's news are among what is
/// lost. keepalived goes on as if there were a cable; ours looks again.
fn overrun(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let (node, daemon) = (&pair.nodes[1], &pair.daemons[1]);
    let mut batch = String::new();
    for _ in 0..20 {
        for host in 1..=250 {
            batch += &format!("address add 10.250.0.{host}/32 dev lo\n");
        }
        batch += "address flush dev lo to 10.250.0.0/24\n";
    }
    node.write(NodeFile::new("/tmp/batch", batch))?;
    // Only the backup, and for less than it would take anybody to notice.
    node.signal("keepalived", Signal::SIGSTOP)?;
    let flood = node.run(&["ip", "-batch", "/tmp/batch"], Duration::from_secs(20))?;
    ensure!(flood.code == 0, "{flood:?}");
    node.link("eth0", false)?;
    // The ninth column of a socket's line is how many messages it had no room for.
    let sockets = node.read("/proc/net/netlink")?;
    let lost =
        sockets.lines().filter_map(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok());
    ensure!(lost.sum::<u64>() > 0, "nothing was lost: the test shows nothing\n{sockets}");
    node.signal("keepalived", Signal::SIGCONT)?;
    let noticed = daemon.wait_line("Entering FAULT STATE", Duration::from_secs(3));
    if is_ours(subject) {
        noticed?;
        node.link("eth0", true)?;
        daemon.wait_line("Entering BACKUP STATE", Duration::from_secs(3))?;
        return Ok(());
    }
    ensure!(noticed.is_err(), "keepalived noticed that the cable is gone");
    Ok(())
}

/// keepalived runs on, useless, or ends, as it falls out, and never says what is missing; ours does,
/// and ends with 4.
fn capability(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    pair.daemons[1].signal(Signal::SIGTERM)?;
    pair.daemons[1].wait(Duration::from_secs(5)).context("it does not end")?;
    if lab::ground::single_user() {
        println!("SKIPPED: there is no other user in this user namespace");
        return Ok(());
    }
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let files = ["-p", "/tmp/parent.pid", "-r", "/tmp/vrrp.pid"];
    let daemon = pair.nodes[1].start(&[&nobody[..], KEEPALIVED, &files[..]].concat())?;
    if is_ours(subject) {
        daemon.wait_line("CAP_NET_ADMIN is missing", Duration::from_secs(3))?;
        let code = daemon.wait(Duration::from_secs(3));
        ensure!(code == Some(4), "it ended with {code:?}");
        return Ok(());
    }
    daemon.wait(Duration::from_secs(2));
    let lines = daemon.lines().join("\n");
    ensure!(!lines.contains("CAP_"), "keepalived says it:\n{lines}");
    Ok(())
}

/// keepalived wakes up as master and fights; ours finds its address gone and listens.
fn frozen(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let capture = pair.lab.capture()?;
    let from = Moment::now();
    pair.nodes[0].signal("keepalived", Signal::SIGSTOP)?;
    pair.taken_by("second", from, MASTER_DOWN + Duration::from_secs(3))?;
    pair.pass(Duration::from_secs(1));
    let woken = Moment::now();
    pair.nodes[0].signal("keepalived", Signal::SIGCONT)?;
    pair.pass(Duration::from_millis(800));
    let spoke = !capture.adverts("first", woken).is_empty();
    if is_ours(subject) {
        ensure!(!spoke, "the woken node spoke before it listened");
    } else {
        ensure!(spoke, "keepalived listened first");
    }
    two_holders_only_of_keepalived(subject, &pair)
}

/// keepalived never hears of processes in a namespace, not even that they run; ours looks.
fn tracked_process(subject: &Subject) -> Result<()> {
    let before = "vrrp_track_process watched {\n    process sleep\n}\n";
    let added = "    track_process {\n        watched\n    }\n";
    let mut pair = Pair::start(subject, subject)?;
    pair.daemons[0].signal(Signal::SIGTERM)?;
    pair.until_held_by("second", SKEW + Duration::from_secs(3))?;
    let text = pair.nodes[0].read(FILE)?;
    let text =
        before.to_owned() + &text.replace("advert_int 1\n", &format!("advert_int 1\n{added}"));
    pair.nodes[0].write(NodeFile::new(FILE, text))?;
    let service = pair.nodes[0].start(&["sleep", "600"])?;
    pair.restart(0)?;
    if !is_ours(subject) {
        pair.daemons[0].wait_line("tracked process watched quorum", Duration::from_secs(3))?;
        pair.pass(MASTER_DOWN + Duration::from_secs(1));
        return pair.until_held_by("second", Duration::ZERO).map(drop);
    }
    pair.until_held_by("first", MASTER_DOWN + Duration::from_secs(4))?;
    service.signal(Signal::SIGKILL)?;
    pair.daemons[0].wait_line("Entering FAULT STATE", Duration::from_secs(3))?;
    pair.until_held_by("second", SKEW + Duration::from_secs(3))?;
    let _again = pair.nodes[0].start(&["sleep", "600"])?;
    pair.until_held_by("first", MASTER_DOWN + Duration::from_secs(6))?;
    pair.never_both()
}

/// keepalived steps down and elects itself after its skew time; ours has the address again, or
/// another node has, within a second.
fn removed_address(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let address = format!("{}/24", pair.address);
    let from = Moment::now();
    let deleted = pair.nodes[0]
        .run(&["ip", "address", "del", &address, "dev", "eth0"], Duration::from_secs(5))?;
    ensure!(deleted.code == 0, "{deleted:?}");
    let back = pair.lab.journal().wait(0, Duration::from_secs(5), |entry| {
        let lab::Event::Held { address, held, .. } = entry.event else { return None };
        (address == pair.address && held && entry.at > from && {
            // The sampling may see the old address once more.
            entry.at.since(from) > Duration::from_millis(15)
        })
        .then_some(entry.at)
    });
    let took = back.context("nobody has the address any more")?.since(from);
    ensure!(took < Duration::from_secs(1), "nobody had the address for {took:?}");
    pair.pass(Duration::from_secs(2));
    let open = pair.holds().iter().filter(|hold| !hold.ended).count();
    ensure!(open == 1, "{open} nodes have it: {:?}", pair.holds());
    Ok(())
}

/// keepalived complains of the weight and uses it; ours complains and does not.
fn weight(subject: &Subject) -> Result<()> {
    let before = "vrrp_script fails {\n    script /bin/false\n    interval 1\n    weight -254\n}\n";
    let added = "    track_script {\n        fails\n    }\n";
    let mut pair = Pair::start(subject, subject)?;
    pair.daemons[0].signal(Signal::SIGTERM)?;
    pair.until_held_by("second", SKEW + Duration::from_secs(3))?;
    let text = pair.nodes[0].read(FILE)?;
    let text =
        before.to_owned() + &text.replace("advert_int 1\n", &format!("advert_int 1\n{added}"));
    pair.nodes[0].write(NodeFile::new(FILE, text))?;
    pair.restart(0)?;
    let said = pair.daemons[0].wait_line("weight", Duration::from_secs(3))?;
    let changed = pair.daemons[0].wait_line("Changing effective priority", Duration::from_secs(4));
    if is_ours(subject) {
        ensure!(changed.is_err(), "the weight is used: {changed:?} after {said:?}");
        return Ok(());
    }
    ensure!(changed.is_ok(), "keepalived does not use the weight");
    Ok(())
}
