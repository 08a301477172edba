//! How the role is left, and what a fault is.

use std::time::Duration;

use crate::common::*;
use machine::Instant;
use vrrp::State::{Backup, Fault, Master};
use vrrp::config::{InstanceConfig, UnicastPeer};
use vrrp::{Action, Event, Instance};

#[test]
fn one_last_advert_precedes_giving_way_where_configured() {
    let mut bench = Bench::master(InstanceConfig { higher_prio_send_advert: true, ..config() });
    bench.hear(LOW, 200);
    assert_eq!(bench.done(), [send(100), remove(), Action::Entered(Backup)]);
    assert_eq!(bench.instance.master(), Some(LOW));
    assert_eq!(bench.instance.counters().adverts_sent, 2);
}

#[test]
fn a_master_that_was_cut_off_is_told_so_that_it_announces_its_addresses_again() {
    let mut bench = Bench::started(config());
    bench.hear(LOW, 200);
    bench.expire();
    assert_eq!(bench.instance.state(), Master);
    bench.take_addresses();
    bench.hear(LOW, 200);
    assert_eq!(bench.done(), [send(100), remove(), Action::Entered(Backup)]);
    assert!(bench.said().iter().any(|line| line.contains("all along")));
    assert_eq!(bench.instance.counters().splits, 0, "it may as well have died and returned");
}

#[test]
fn a_lower_master_that_cannot_have_heard_us_was_split_from_us() {
    let mut bench = Bench::master(config());
    bench.hear(LOW, 50);
    assert_eq!(bench.instance.counters().splits, 0, "it may not have heard us yet");
    let start = bench.now;
    while bench.now < start + secs(3) {
        bench.expire();
    }
    bench.hear(LOW, 50);
    assert_eq!(bench.instance.counters().splits, 1);
    assert!(bench.said().iter().any(|line| line.contains("split: ")));
}

#[test]
fn a_master_that_resigned_and_returns_is_told_nothing() {
    let mut bench = Bench::started(config());
    bench.hear(LOW, 200);
    bench.hear(LOW, 0);
    bench.expire();
    bench.take_addresses();
    bench.hear(LOW, 200);
    assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
}

#[test]
fn the_addresses_are_gone_before_priority_0_is_sent() {
    let mut bench = Bench::master(config());
    bench.tell(Event::Link { interface: "eth0", up: false });
    assert_eq!(bench.done(), [remove(), send(0), Action::Entered(Fault)]);
    let said = ["(VI_1) Entering FAULT STATE", "(VI_1) sent 0 priority", "(VI_1) removing VIPs."];
    assert_eq!(bench.said(), said);
    assert_eq!(bench.wait(), Duration::ZERO);
    bench.tell(Event::Link { interface: "eth0", up: true });
    assert_eq!(bench.done(), [Action::Entered(Backup)]);
    assert_eq!(bench.said(), ["(VI_1) Entering BACKUP STATE"]);
    assert_eq!(bench.wait(), micros(3_609_375));
}

#[test]
fn an_owner_leaves_a_fault_as_master() {
    let owner =
        InstanceConfig { priority: 255, initial: vrrp::config::Initial::Master, ..config() };
    let mut bench = Bench::master(owner);
    bench.tell(Event::Link { interface: "eth0", up: false });
    bench.tell(Event::Link { interface: "eth0", up: true });
    assert_eq!(bench.done(), [send(255)]);
    assert_eq!((bench.instance.state(), bench.wait()), (Master, ms(20)));
}

#[test]
fn losing_the_source_address_is_a_fault_whose_last_advert_still_has_it() {
    let mut bench = Bench::master(config());
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Fault);
    let mut packet = vec![];
    assert!(bench.instance.packet(0, GROUP, &mut packet));
    assert_eq!(packet[12..16], [192, 0, 2, 5]);

    let source = Some(HIGH);
    let mut bench = Bench::started(InstanceConfig { source, ..config() });
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Backup, "a configured source is not tracked");
    let mut bench = Bench::started(InstanceConfig { source, track_source: true, ..config() });
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Fault, "but on demand");
}

/// A file copied from another node names that one's address: two masters would hear nobody.
#[test]
fn who_speaks_to_peers_waits_for_the_source_it_is_to_speak_from() {
    let source = Some(HIGH);
    let unicast_peers = vec![UnicastPeer { address: LOW, min_ttl: None, max_ttl: None }];
    let unicast = InstanceConfig { source, unicast_peers, ..config() };
    let instance = Instance::new(unicast, &[]);
    let mut bench = Bench { instance, now: Instant::ZERO, actions: vec![] };
    bench.tell(Event::Link { interface: "eth0", up: true });
    bench.tell(Event::Start);
    assert_eq!(bench.instance.state(), Fault);
    bench.tell(Event::Source(source));
    assert_eq!(bench.instance.state(), Backup);
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Backup, "it is not tracked from then on");
}

#[test]
fn what_is_wrong_at_the_start_is_said_there() {
    let mut bench = Bench::new(config());
    bench.tell(Event::Link { interface: "eth0", up: false });
    bench.tell(Event::Start);
    let said = [
        "(VI_1): entering FAULT state (interface eth0 down)",
        "(VI_1) entering FAULT state",
        "(VI_1) removing VIPs.",
    ];
    assert_eq!(bench.said(), said);
    assert_eq!(bench.done(), [remove(), Action::Entered(Fault)]);
    let mut bench = Bench::new(config());
    bench.tell(Event::Source(None));
    bench.tell(Event::Start);
    assert_eq!(bench.said()[0], "(VI_1) entering FAULT state (no IPv4 address for interface)");
    bench.tell(Event::Start);
    assert_eq!(bench.actions, [], "a second start is none");
}

#[test]
fn a_priority_of_0_that_is_heard_is_counted_and_said() {
    let mut bench = Bench::started(config());
    bench.hear(LOW, 0);
    assert_eq!(bench.said(), ["(VI_1) Backup received priority 0 advertisement"]);
    let mut bench = Bench::master(config());
    bench.hear(LOW, 0);
    assert_eq!(bench.said(), ["(VI_1) Master received priority 0 message"]);
    let counters = bench.instance.counters();
    assert_eq!((counters.zero_received, counters.adverts_received), (1, 1));
    assert_eq!((counters.adverts_sent, counters.became_master), (2, 1));
    bench.tell(Event::Shutdown);
    let counters = bench.instance.counters();
    assert_eq!((counters.zero_sent, counters.adverts_sent, counters.released_master), (1, 3, 1));
}

#[test]
fn an_address_somebody_removes_costs_the_role() {
    let mut bench = Bench::master(config());
    bench.pass(ms(500));
    bench.tell(Event::AddressLost(HIGH));
    assert_eq!(bench.actions, [], "not one of ours");
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(
        bench.said(),
        [
            "Netlink reflector reports IP 192.0.2.100 removed from eth0",
            "(VI_1) Entering BACKUP STATE",
            "(VI_1) sent 0 priority",
            "(VI_1) removing VIPs.",
        ]
    );
    assert_eq!(bench.done(), [remove(), send(0), Action::Entered(Backup)]);
    assert_eq!(bench.wait(), micros(609_375));
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.actions, [], "a backup has none to lose");
}

#[test]
fn why_a_master_gives_way_is_said() {
    let rows = [
        (LOW, 101, "higher priority 101, ours 100"),
        (HIGH, 100, "same priority 100 but higher IP address than ours"),
    ];
    for (from, priority, why) in rows {
        let mut bench = Bench::master(config());
        bench.hear(from, priority);
        assert_eq!(
            bench.said()[0],
            format!("(VI_1) Master received advert from {from} with {why}")
        );
    }
}
