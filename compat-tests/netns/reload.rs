//! SIGHUP.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{NodeFile, Subject};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{HIGH, LOW, Pair};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("a_reload_keeps_the_master_and_adds_an_address", good);
    tests.ours("a_broken_file_on_reload_changes_nothing_and_says_why", broken);
    tests.ours("a_reload_that_lowers_the_priority_hands_the_address_over", lowered);
}

/// Long enough for an election, had the reload begun one.
const ELECTION: Duration = Duration::from_secs(4);

fn good(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let other = pair.other_address(101);
    pair.nodes[0].watch(other)?;
    let begun = pair.holds().len();
    // Both nodes' files, the backup's first: a node drops adverts with other addresses than its own.
    for place in [1, 0] {
        let text = pair.nodes[place].read("/etc/keepalived/keepalived.conf")?;
        let added = text.replace(".100/24", &format!(".100/24\n        {other}/24"));
        pair.nodes[place].write(NodeFile::new("/etc/keepalived/keepalived.conf", added))?;
        pair.daemons[place].signal(Signal::SIGHUP)?;
    }
    let appeared = pair.lab.journal().wait(0, Duration::from_secs(5), |entry| {
        let lab::Event::Held { address, held, .. } = entry.event else { return None };
        (address == other && held && *entry.node == *"first").then_some(())
    });
    ensure!(appeared.is_some(), "{other} did not appear:\n{}", pair.daemons[0].lines().join("\n"));
    pair.pass(ELECTION);
    let holds = pair.holds();
    let logs = || pair.daemons.iter().flat_map(lab::Proc::lines).collect::<Vec<_>>().join("\n");
    ensure!(holds.len() == begun, "the address moved: {holds:?}\n{}", logs());
    ensure!(!holds[begun - 1].ended, "the address was dropped: {holds:?}\n{}", logs());
    Ok(())
}

fn broken(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    let begun = pair.holds().len();
    let said = pair.daemons[0].lines().len();
    let text = "vrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 5001\n";
    pair.nodes[0].write(NodeFile::new("/etc/keepalived/keepalived.conf", text))?;
    pair.daemons[0].signal(Signal::SIGHUP)?;
    pair.pass(ELECTION);
    let holds = pair.holds();
    let lines = pair.daemons[0].lines().split_off(said).join("\n");
    ensure!(holds.len() == begun && !holds[begun - 1].ended, "the address moved: {holds:?}");
    ensure!(lines.contains("5001"), "it does not say what is wrong:\n{lines}");
    // And a good file is taken again.
    pair.rewrite(0, LOW - 1, "")?;
    pair.daemons[0].signal(Signal::SIGHUP)?;
    pair.until_held_by("second", Duration::from_secs(6))?;
    pair.never_both()
}

fn lowered(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    pair.rewrite(0, LOW - 50, "")?;
    pair.daemons[0].signal(Signal::SIGHUP)?;
    pair.until_held_by("second", Duration::from_secs(6))?;
    pair.rewrite(0, HIGH, "")?;
    pair.daemons[0].signal(Signal::SIGHUP)?;
    pair.until_held_by("first", Duration::from_secs(6))?;
    pair.never_both()
}
