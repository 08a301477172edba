//! Another configuration while it runs.

use crate::common::*;
use vrrp::Action;
use vrrp::State::Master;
use vrrp::config::{InstanceConfig, LeasePolicy, Version, VirtualAddress};

#[test]
fn a_reload_keeps_a_master_and_touches_only_what_differs() {
    let mut bench = Bench::master(config());
    let mut wanted = config();
    let new = VirtualAddress::host(HIGH);
    wanted.addresses = vec![new.clone()];
    wanted.priority = 120;
    bench.actions.clear();
    bench.instance.reconfigure(wanted.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(
        bench.done()[..4],
        [
            remove(),
            send(120),
            renew(),
            Action::AddAddresses { addresses: vec![new], lifetime: Some(secs(2)) },
        ]
    );
    let announced = Action::Announce { address: HIGH, interface: "eth0".into() };
    assert_eq!(bench.done()[4..], vec![announced; 5]);
    assert_eq!(bench.said()[0], "(VI_1) ip address 192.0.2.100/32 dev eth0, no longer exist");
    assert_eq!(bench.said()[1], "(VI_1) setting VIPs.");
    assert_eq!(bench.instance.state(), Master);
    bench.actions.clear();
    bench.instance.reconfigure(wanted.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.done(), [send(120), renew()]);

    // Without a lease any more, the addresses must not run out.
    let off = InstanceConfig { lease: LeasePolicy::Off, ..wanted.clone() };
    bench.actions.clear();
    bench.instance.reconfigure(off.clone(), &[], bench.now, &mut bench.actions);
    let addresses = off.addresses.clone();
    assert_eq!(bench.done(), [send(120), Action::AddAddresses { addresses, lifetime: None }]);
    // And with one again, they are given it.
    bench.actions.clear();
    bench.instance.reconfigure(wanted, &[], bench.now, &mut bench.actions);
    assert_eq!(bench.done(), [send(120), renew()]);
}

#[test]
fn a_reload_lets_a_backup_wait_no_longer_than_anew() {
    let mut bench = Bench::started(InstanceConfig { advert_interval: secs(10), ..config() });
    bench.instance.reconfigure(config(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.wait(), micros(3_609_375));
    bench.pass(secs(1));
    bench.instance.reconfigure(config(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.wait(), micros(2_609_375), "what was waited counts");
}

#[test]
fn a_reload_forgets_the_masters_interval_only_where_ours_is_another() {
    let version_3 = InstanceConfig { version: Version::V3, ..config() };
    let mut bench = Bench::started(version_3.clone());
    bench.hear_every(LOW, 200, secs(2));
    let down = bench.instance.master_down_interval();
    assert_eq!(down, 2 * micros(3_609_375));
    let busier = InstanceConfig { priority: 120, ..version_3.clone() };
    bench.instance.reconfigure(busier.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.instance.master_down_interval(), secs(6) + 2 * secs(136) / 256);
    let longer = InstanceConfig { advert_interval: secs(4), ..busier };
    bench.instance.reconfigure(longer, &[], bench.now, &mut bench.actions);
    assert_eq!(bench.instance.master_down_interval(), secs(12) + 4 * secs(136) / 256);
    let version_2 = InstanceConfig { version: Version::V2, ..version_3.clone() };
    let mut bench = Bench::started(version_3);
    bench.hear_every(LOW, 200, secs(2));
    bench.instance.reconfigure(version_2, &[], bench.now, &mut bench.actions);
    assert_eq!(bench.instance.master_down_interval(), micros(3_609_375));
}
