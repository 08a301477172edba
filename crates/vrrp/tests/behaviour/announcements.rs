//! Gratuitous ARP: when, how often, how far apart.

use std::time::Duration;

use crate::common::*;
use vrrp::config::{GarpConfig, InstanceConfig, VirtualAddress};
use vrrp::{Action, Event};

#[test]
fn addresses_are_announced_five_times_at_once_and_again_after_five_seconds() {
    let mut bench = Bench::master(config());
    assert_eq!(announcements(&bench.actions), 5);
    let mut at = vec![];
    let start = bench.now;
    while bench.now < start + secs(20) {
        bench.expire();
        if announcements(&bench.actions) > 0 {
            at.push((bench.now - start, announcements(&bench.actions)));
        }
    }
    assert_eq!(at, [(secs(5), 5)]);
}

#[test]
fn announcements_of_several_addresses_are_interleaved() {
    let other = VirtualAddress {
        interface: Some("eth1".into()),
        ..VirtualAddress::host("192.0.2.101".parse().unwrap())
    };
    let garp = GarpConfig { master_repeat: 2, ..GarpConfig::default() };
    let mut bench = Bench::new(InstanceConfig { excluded: vec![other], garp, ..config() });
    bench.tell(Event::Link { interface: "eth1", up: true });
    bench.tell(Event::Start);
    bench.expire();
    bench.take_addresses();
    let lines: Vec<String> = bench.said().into_iter().filter(|l| l.contains("Sending")).collect();
    assert_eq!(
        lines,
        [
            "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100",
            "Sending gratuitous ARP on eth0 for 192.0.2.100",
            "(VI_1) Sending/queueing gratuitous ARPs on eth1 for 192.0.2.101",
            "Sending gratuitous ARP on eth1 for 192.0.2.101",
            "Sending gratuitous ARP on eth0 for 192.0.2.100",
            "Sending gratuitous ARP on eth1 for 192.0.2.101",
        ]
    );
}

#[test]
fn announcements_are_repeated_and_spaced_as_configured() {
    let garp = GarpConfig {
        master_delay: Duration::ZERO,
        master_repeat: 3,
        refresh: secs(10),
        refresh_repeat: 2,
        interval: ms(100),
        ..GarpConfig::default()
    };
    let mut bench = Bench::master(InstanceConfig { garp, ..config() });
    let start = bench.now;
    let mut at = vec![(Duration::ZERO, announcements(&bench.actions))];
    while bench.now < start + secs(21) {
        bench.expire();
        if announcements(&bench.actions) > 0 {
            at.push((bench.now - start, announcements(&bench.actions)));
        }
    }
    let moments: Vec<u64> =
        at.iter().map(|(at, _)| u64::try_from(at.as_millis()).unwrap()).collect();
    assert_eq!(moments, [0, 100, 200, 10_000, 10_100, 20_000, 20_100]);
    assert!(at.iter().all(|(_, count)| *count == 1));
}

#[test]
fn a_lower_advert_is_answered_by_announcements_now_and_five_seconds_later() {
    let mut bench = Bench::master(config());
    bench.pass(secs(1));
    for _ in 0..6 {
        bench.expire();
    }
    bench.hear(LOW, 50);
    let line = "(VI_1) Received advert from 192.0.2.1 with lower priority 50, ours 100, forcing new \
                election";
    assert_eq!(bench.said()[0], line);
    assert_eq!(announcements(&bench.actions), 5);
    let heard = bench.now;
    let mut again = vec![];
    while bench.now < heard + secs(12) {
        bench.expire();
        if announcements(&bench.actions) > 0 {
            again.push((bench.now - heard, announcements(&bench.actions)));
        }
    }
    assert_eq!(again, [(secs(5), 5)]);

    let master_delay = Duration::ZERO;
    let garp = GarpConfig { lower_prio_repeat: 0, master_delay, ..GarpConfig::default() };
    let quiet = InstanceConfig { lower_prio_no_advert: true, garp, ..config() };
    let mut bench = Bench::master(quiet);
    bench.hear(LOW, 50);
    assert_eq!(bench.done(), [Action::HeardLowerPriority]);
    assert_eq!(
        bench.said(),
        ["(VI_1) Received advert from 192.0.2.1 with lower priority 50, ours 100"]
    );
    for _ in 0..12 {
        bench.expire();
        assert_eq!(bench.done(), [send(100), renew()], "nothing else is ever due");
    }
}

#[test]
fn addresses_on_other_interfaces_are_announced_there_every_so_often() {
    let elsewhere = VirtualAddress { interface: Some("eth1".into()), ..VirtualAddress::host(HIGH) };
    let garp = GarpConfig {
        master_delay: Duration::ZERO,
        extra_interfaces: secs(30),
        ..GarpConfig::default()
    };
    let mut with = config();
    with.addresses.push(elsewhere);
    with.garp = garp;
    let mut bench = Bench::new(with);
    bench.tell(Event::Link { interface: "eth1", up: true });
    bench.tell(Event::Start);
    bench.expire();
    bench.take_addresses();
    let began = bench.now;
    let mut announced = vec![];
    while bench.now - began < secs(65) {
        bench.expire();
        for action in bench.done() {
            if let Action::Announce { address, interface } = action {
                announced.push((bench.now - began, address, interface));
            }
        }
    }
    let eth1 = || (HIGH, "eth1".to_owned());
    let places = announced.iter().map(|(at, ip, name)| (at.as_secs(), (*ip, name.clone())));
    assert!(places.eq([(30, eth1()), (60, eth1())]), "{announced:?}");
    let mut bench = Bench::master(InstanceConfig { garp, ..config() });
    for _ in 0..100 {
        bench.expire();
        assert_eq!(announcements(&bench.actions), 0, "there is no other interface");
    }
}

#[test]
fn neighbour_advertisements_have_a_pace_of_their_own() {
    let garp = GarpConfig { gna_interval: ms(100), master_repeat: 3, ..GarpConfig::default() };
    let six: std::net::IpAddr = "fe80::51".parse().expect("an address");
    let address = VirtualAddress::host(six);
    let mut bench = Bench::started(InstanceConfig { excluded: vec![address], garp, ..config() });
    bench.expire();
    bench.expire();
    let mut sent = vec![bench.done()];
    for _ in 0..2 {
        bench.pass(ms(100));
        sent.push(bench.done());
    }
    let count = |actions: &Vec<Action>, address| {
        let is = |action: &&Action| matches!(action, Action::Announce { address: a, .. } if *a == address);
        actions.iter().filter(is).count()
    };
    assert_eq!(sent.iter().map(|actions| count(actions, six)).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(sent.iter().map(|actions| count(actions, VIP)).sum::<usize>(), 3);
}

#[test]
fn after_a_fault_unicast_peers_are_told_where_we_are() {
    let mut bench = Bench::started(InstanceConfig { unicast_peers: vec![LOW.into()], ..config() });
    bench.tell(Event::Link { interface: "eth0", up: false });
    bench.tell(Event::Link { interface: "eth0", up: true });
    let ours = Action::Announce { address: US, interface: "eth0".into() };
    assert_eq!(bench.done()[0], ours);
}
