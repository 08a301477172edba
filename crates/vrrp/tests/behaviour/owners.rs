//! Two that claim to own the addresses, and who is not to be believed.

use crate::common::*;
use vrrp::State::{Backup, Master};
use vrrp::config::{Initial, InstanceConfig};
use vrrp::{Action, Event};

fn owner() -> InstanceConfig {
    InstanceConfig { priority: 255, initial: Initial::Master, ..config() }
}

#[test]
fn of_two_owners_the_lower_address_gives_way() {
    let mut bench = Bench::master(owner());
    bench.hear(HIGH, 255);
    assert_eq!(bench.instance.state(), Backup);
    let line = "(VI_1) CONFIGURATION ERROR: local instance and 192.0.2.9 are both configured as \
                address owner, please resolve";
    assert_eq!(bench.said()[0], line);
}

#[test]
fn an_owner_that_hears_another_for_too_long_gives_up_its_priority_until_it_is_master_again() {
    let mut bench = Bench::master(owner());
    let first = bench.now;
    while bench.now - first < ms(3_200) {
        bench.hear(LOW, 255);
        assert_eq!(bench.instance.state(), Master);
        assert_eq!(bench.instance.priority(), 255);
        bench.pass(ms(400));
    }
    bench.hear(LOW, 255);
    assert_eq!((bench.instance.state(), bench.instance.priority()), (Backup, 254));
    let line = "(VI_1) 192.0.2.1 is still advertising as address owner, please resolve - reducing \
                our priority";
    assert!(bench.said().contains(&line.to_owned()), "{:?}", bench.said());
    assert!(bench.done().contains(&Action::PriorityChanged { priority: 254 }));
    bench.expire();
    assert_eq!((bench.instance.state(), bench.instance.priority()), (Master, 255));
    let line = "(VI_1) Restoring our priority to 255 since other address owner has disappeared";
    assert!(bench.said().contains(&line.to_owned()), "{:?}", bench.said());
    assert!(bench.done().contains(&send(255)));
}

#[test]
fn an_owner_told_to_ignores_the_adverts_of_others() {
    let mut bench = Bench::master(InstanceConfig { owner_ignore_adverts: true, ..owner() });
    bench.hear(HIGH, 255);
    assert_eq!(bench.instance.state(), Master);
}

/// RFC 9568 §7.1, erratum 8301: keepalived becomes master of every address on such a frame.
#[test]
fn one_forged_advert_without_an_interval_moves_nothing() {
    let version = vrrp::config::Version::V3;
    let mut bench = Bench::started(InstanceConfig { version, ..config() });
    bench.hear_every(LOW, 200, secs(1));
    bench.hear_every(HIGH, 254, secs(0));
    assert_eq!((bench.instance.state(), bench.instance.master()), (Backup, Some(LOW)));
    assert_eq!(bench.wait(), micros(3_609_375));
    assert_eq!(bench.instance.counters().rejected_in_all(), 1);
}

#[test]
fn a_flood_of_adverts_is_neither_answered_nor_logged_one_by_one() {
    let mut bench = Bench::settled(config());
    let (mut lines, mut sent) = (0, 0);
    for _ in 0..100_000 {
        bench.hear(HIGH, 50);
        lines += bench.said().iter().filter(|line| line.contains("lower priority")).count();
        sent += bench.done().iter().filter(|action| **action == send(100)).count();
    }
    assert_eq!((lines, sent), (20, 20));
    let mut bench = Bench::started(config());
    let mut lines = 0;
    for number in 0..100_000_u32 {
        let from = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into();
        bench.hear(from, if number % 2 == 0 { 200 } else { 50 });
        lines += bench.said().len();
    }
    assert!(lines < 100, "{lines}");
}

#[test]
fn who_overslept_without_preemption_comes_back_with_the_priority_configured_for_that() {
    let config = InstanceConfig { preempt: false, timer_expired_backup: Some(40), ..config() };
    let mut bench = Bench::settled(config);
    bench.now += secs(5);
    bench.tell(Event::Tick);
    assert_eq!((bench.instance.state(), bench.instance.priority()), (Backup, 40));
    bench.expire();
    assert_eq!((bench.instance.state(), bench.instance.priority()), (Master, 100));
}
