//! What a process does that was stopped or starved.

use crate::common::*;
use vrrp::State::{Backup, Master};
use vrrp::config::InstanceConfig;
use vrrp::{Action, Event};

#[test]
fn a_backup_woken_late_reads_what_waits_before_it_takes_over() {
    let mut bench = Bench::started(config());
    bench.pass(micros(3_609_375) + ms(6));
    assert_eq!(bench.done(), []);
    assert_eq!(bench.wait(), ms(10));
    bench.hear(LOW, 200);
    assert_eq!(bench.wait(), micros(3_609_375), "the master was there all the time");
    let mut bench = Bench::started(config());
    bench.pass(micros(3_609_375) + ms(6));
    bench.pass(ms(100));
    assert_eq!(bench.instance.state(), Master, "it is not put off again and again");
    let mut bench = Bench::started(config());
    bench.pass(micros(3_609_375) + ms(5));
    assert_eq!(bench.instance.state(), Master, "a little late is not late");
}

#[test]
fn a_backup_that_overslept_listens_anew() {
    let mut bench = Bench::started(config());
    bench.pass(secs(10));
    assert_eq!(bench.said(), ["A thread timer expired 6.390625 seconds ago"]);
    assert_eq!(bench.done(), []);
    assert_eq!(bench.wait(), micros(3_609_375));
}

#[test]
fn a_master_that_overslept_neither_advertises_nor_renews_nor_resigns() {
    type Told = fn(&mut Bench);
    let told: [Told; 4] = [
        |bench| bench.tell(Event::Tick),
        |bench| bench.hear(LOW, 50),
        |bench| bench.tell(Event::AddressLost(VIP)),
        |bench| bench.tell(Event::Link { interface: "eth1", up: true }),
    ];
    for tell in told {
        let mut bench = Bench::settled(config());
        bench.now += ms(2_876);
        tell(&mut bench);
        assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
        assert_eq!(bench.wait(), micros(3_609_375));
        let said = bench.said();
        assert_eq!(said[0], "A thread timer expired 1.876000 seconds ago");
        assert!(said[1].starts_with("(VI_1) silent for 2.876 sec - leaving MASTER"), "{}", said[1]);
        assert_eq!(said[2..4], ["(VI_1) Entering BACKUP STATE", "(VI_1) removing VIPs."]);
    }
    let mut bench = Bench::settled(config());
    bench.now += secs(10);
    bench.tell(Event::Shutdown);
    assert!(!bench.done().contains(&send(0)), "it is another's turn already");
    let mut bench = Bench::settled(config());
    bench.pass(ms(2_875));
    assert_eq!(bench.done()[..2], [send(100), renew()], "late, but nobody took over yet");
}

#[test]
fn a_master_that_misses_no_advert_is_never_taken_to_oversleep() {
    let mut bench = Bench::master(InstanceConfig { down_timer_adverts: 1, ..config() });
    for _ in 0..20 {
        bench.expire();
        assert_eq!(bench.instance.state(), Master);
    }
}
