//! The lifetime of the addresses.

use crate::common::*;
use vrrp::State::{Backup, Master};
use vrrp::config::{InstanceConfig, LeasePolicy, Version, VirtualAddress};
use vrrp::{Action, Event};

#[test]
fn the_lease_is_renewed_with_every_advert() {
    let mut bench = Bench::master(config());
    for _ in 0..3 {
        bench.expire();
        assert_eq!(bench.done(), [send(100), renew()]);
    }
    let off = InstanceConfig { lease: LeasePolicy::Off, ..config() };
    let mut bench = Bench::master(off);
    let addresses = vec![VirtualAddress::host(VIP)];
    assert!(bench.done().contains(&Action::AddAddresses { addresses, lifetime: None }));
    bench.expire();
    assert_eq!(bench.done(), [send(100)]);
}

#[test]
fn a_short_lease_is_renewed_between_adverts_but_never_too_late() {
    let mut bench = Bench::settled(InstanceConfig { down_timer_adverts: 2, ..config() });
    let start = bench.now;
    let renewed = Action::RenewLease { lifetime: secs(1) };
    let mut at = vec![];
    while bench.now < start + secs(2) {
        bench.expire();
        if bench.done().contains(&renewed) {
            at.push((bench.now - start).as_millis());
        }
    }
    assert_eq!(at, [275, 550, 1_000, 1_275, 1_550, 2_000]);
    let mut late = Bench { instance: bench.instance.clone(), now: bench.now, actions: vec![] };
    late.pass(ms(700));
    assert_eq!(late.done(), vec![renewed.clone()], "not too late");
    // The renewal at 275 ms comes at 701 ms: it would outlast a backup's patience.
    bench.pass(ms(701));
    assert_eq!(bench.done(), []);
    assert_eq!(bench.wait(), ms(299));
    bench.expire();
    assert_eq!(bench.done(), [send(100), renewed]);
}

#[test]
fn an_interval_without_room_for_a_lease_gets_the_shortest_and_says_so_at_the_start() {
    let short = InstanceConfig { version: Version::V3, advert_interval: ms(100), ..config() };
    let mut bench = Bench::started(short.clone());
    let line = "(VI_1) advert_int 0.1 sec is too short for an address lease that ends before a \
                backup takes over - if this process dies, both hold the addresses for a second";
    assert_eq!(bench.said().iter().filter(|said| *said == line).count(), 1);
    bench.expire();
    assert!(!bench.said().contains(&line.to_owned()));
    bench.take_addresses();
    let addresses = vec![VirtualAddress::host(VIP)];
    let lifetime = Some(secs(1));
    assert!(bench.done().contains(&Action::AddAddresses { addresses, lifetime }));
    assert!(!bench.said().contains(&line.to_owned()));
    let start = bench.now;
    let mut renewals = 0;
    while bench.now < start + secs(4) {
        bench.expire();
        let renewed = |action: &&Action| matches!(action, Action::RenewLease { .. });
        renewals += bench.actions.iter().filter(renewed).count();
    }
    assert_eq!(renewals, 10, "with every fourth advert");
    let off = InstanceConfig { lease: LeasePolicy::Off, ..short };
    assert!(!Bench::started(off).said().contains(&line.to_owned()));
}

#[test]
fn an_address_whose_lease_ran_out_while_we_were_late_is_put_back() {
    let mut bench = Bench::master(config());
    bench.now += ms(2_100);
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.done()[..2], [send(100), renew()]);
    assert_eq!(bench.instance.state(), Master);
    bench.pass(ms(100));
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.done(), [renew()], "the kernel's word of it came after the renewal");
    bench.pass(ms(500));
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.instance.state(), Backup, "that was somebody else");
}
