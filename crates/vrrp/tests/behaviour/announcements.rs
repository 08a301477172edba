//! Gratuitous ARP: when, how often, how far apart.

use std::time::Duration;

use crate::common::*;
use vrrp::Event;
use vrrp::config::{GarpConfig, InstanceConfig, VirtualAddress};

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
    assert_eq!(bench.done(), [vrrp::Action::HeardLowerPriority]);
    assert_eq!(
        bench.said(),
        ["(VI_1) Received advert from 192.0.2.1 with lower priority 50, ours 100"]
    );
    for _ in 0..12 {
        bench.expire();
        assert_eq!(bench.done(), [send(100), renew()], "nothing else is ever due");
    }
}
