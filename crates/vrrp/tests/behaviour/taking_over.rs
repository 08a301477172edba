//! How the role is taken: from the dead, from the living, and before an equal.

use crate::common::*;
use vrrp::Action;
use vrrp::State::{Backup, Master};
use vrrp::config::{Initial, InstanceConfig, Version};

#[test]
fn a_lower_master_is_let_be_for_the_preempt_delay() {
    let mut bench = Bench::started(InstanceConfig { preempt_delay: secs(3), ..config() });
    bench.pass(ms(500));
    let first = bench.now;
    bench.hear(LOW, 50);
    assert_eq!(
        bench.said(),
        ["(VI_1) master set to 192.0.2.1", "(VI_1) start preempt delay (3.000000)"]
    );
    let mut taken = None;
    for _ in 0..10 {
        bench.pass(secs(1));
        bench.hear(LOW, 50);
        if bench.instance.state() == Master && taken.is_none() {
            taken = Some(bench.now - first);
        }
    }
    assert_eq!(taken, Some(secs(5)), "keepalived takes 6");
    let mut bench = Bench::started(InstanceConfig { preempt_delay: secs(3), ..config() });
    bench.hear(LOW, 50);
    bench.hear(HIGH, 200);
    assert_eq!(
        bench.said(),
        ["(VI_1) master changed from 192.0.2.1 to 192.0.2.9", "(VI_1) stop preempt delay"]
    );
}

/// The lower master is alive when it is taken over from, and has let go when the addresses come.
#[test]
fn a_live_master_is_taken_over_from_right_after_its_advert() {
    let mut bench = Bench::started(config());
    bench.pass(ms(300));
    for _ in 0..2 {
        bench.hear(LOW, 50);
        let line = "(VI_1) received lower priority (50) advert from 192.0.2.1 - discarding";
        assert_eq!(bench.said().last().unwrap(), line);
        bench.pass(secs(1));
    }
    assert_eq!(bench.instance.state(), Backup);
    bench.hear(LOW, 50);
    assert_eq!(bench.instance.state(), Backup, "the next is due at 3.3 s, before the timer");
    bench.pass(secs(1));
    bench.hear(LOW, 50);
    assert_eq!(bench.done(), [send(100)]);
    assert_eq!(bench.instance.state(), Master);
    assert_eq!(bench.wait(), ms(20));
    bench.hear(LOW, 50);
    assert_eq!(bench.done(), [send(100)], "still without addresses: nothing to announce");
    bench.expire();
    assert_eq!(bench.done()[0], add());
    assert_eq!(bench.done().last(), Some(&Action::Entered(Master)));
}

/// Its next advert is waited for if it comes before the timer, and an eighth of an interval before.
#[test]
fn the_last_advert_before_the_timer_is_the_one_that_is_answered() {
    let last = micros(3_609_375) - ms(1_125);
    for (at, state) in [(last - micros(1), Backup), (last, Master), (ms(2_600), Master)] {
        let mut bench = Bench::started(config());
        bench.pass(at);
        bench.hear(LOW, 50);
        assert_eq!(bench.instance.state(), state, "{at:?}");
    }
}

#[test]
fn a_better_master_that_speaks_up_during_the_handover_wins() {
    let mut bench = Bench::started(config());
    bench.pass(ms(3_000));
    bench.hear(LOW, 50);
    assert_eq!(bench.instance.state(), Master);
    bench.hear(HIGH, 200);
    let entered = [Action::Entered(Master), Action::Entered(Backup)];
    assert_eq!(bench.done(), entered, "there was nothing to remove");
}

/// Their timers ran out together: each has sent its advert before it hears the other's.
#[test]
fn of_two_equals_the_lower_address_yields_before_it_has_taken_anything() {
    let mut bench = Bench::started(config());
    bench.expire();
    assert_eq!(bench.done(), [send(100)]);
    bench.pass(ms(4));
    bench.hear(HIGH, 100);
    assert_eq!(bench.done(), [Action::Entered(Master), Action::Entered(Backup)]);
    assert_eq!(bench.wait(), micros(3_609_375));

    let mut bench = Bench::started(config());
    bench.expire();
    bench.pass(ms(4));
    bench.hear(LOW, 100);
    assert_eq!(bench.done(), [send(100)]);
    bench.expire();
    assert_eq!(bench.done()[0], add(), "the other has let go");
}

#[test]
fn an_equal_is_waited_for_by_a_fiftieth_of_the_interval_between_two_and_five_milliseconds() {
    for (interval, wait) in [(10, 2), (100, 2), (200, 4), (250, 5), (1000, 5)] {
        let advert_interval = ms(interval);
        let config = InstanceConfig { version: Version::V3, advert_interval, ..config() };
        let mut bench = Bench::started(config);
        bench.expire();
        assert_eq!((bench.instance.state(), bench.wait()), (Master, ms(wait)), "{interval} ms");
    }
}

#[test]
fn a_quarter_of_a_short_interval_is_the_longest_wait_for_addresses() {
    let short = InstanceConfig {
        version: Version::V3,
        advert_interval: ms(10),
        priority: 255,
        initial: Initial::Master,
        ..config()
    };
    let bench = Bench::started(short);
    assert_eq!((bench.instance.state(), bench.wait()), (Master, micros(2_500)));
}

#[test]
fn a_new_master_woken_late_reads_what_waits_before_it_takes_the_addresses() {
    let mut bench = Bench::started(config());
    bench.expire();
    bench.pass(ms(5) + ms(3));
    assert_eq!(bench.done(), [send(100)], "those who listen know again");
    assert_eq!(bench.wait(), ms(10));
    let mut outdone = Bench { instance: bench.instance.clone(), now: bench.now, actions: vec![] };
    outdone.hear(HIGH, 100);
    assert_eq!(outdone.done(), [Action::Entered(Master), Action::Entered(Backup)]);
    bench.pass(ms(100));
    assert_eq!(bench.done()[0], add(), "it is not put off again and again");
    let mut bench = Bench::started(config());
    bench.expire();
    bench.pass(ms(5) + ms(2));
    assert_eq!(bench.done()[0], add(), "a little late is not late");
}

#[test]
fn a_lower_master_that_fell_silent_is_given_its_whole_down_time() {
    let mut bench = Bench::started(config());
    bench.pass(ms(2_400));
    bench.hear(LOW, 50);
    let heard = bench.now;
    // Its next advert would come before our timer, but does not.
    bench.expire();
    assert_eq!(bench.instance.state(), Backup);
    let mut eager = Bench { instance: bench.instance.clone(), now: bench.now, actions: vec![] };
    eager.pass(ms(100));
    eager.hear(LOW, 50);
    assert_eq!(eager.instance.state(), Master, "late, but alive");
    assert_eq!(eager.wait(), ms(20));
    bench.expire();
    assert_eq!(bench.now - heard, micros(3_609_375));
    assert_eq!(bench.done(), [send(100)], "dead, and its lease is over");
    assert_eq!(bench.wait(), ms(5));
    bench.take_addresses();
    assert_eq!(bench.done()[0], add());
}
