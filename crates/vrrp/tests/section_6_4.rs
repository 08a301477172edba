//! RFC 9568 §6.4, paragraph by paragraph: in which state, what arrives, what is done at that instant,
//! the state after, and how long until something is due.

mod common;

use std::time::Duration;

use common::*;
use vrrp::State::{Backup, Fault, Init, Master};
use vrrp::config::{Initial, InstanceConfig, Version};
use vrrp::{Action, Event, State};

use Action::Entered;

/// What arrives.
#[derive(Clone, Copy, Debug)]
enum Arrives {
    Startup,
    Shutdown,
    Advert(std::net::IpAddr, u8),
    Timer,
}

struct Row {
    paragraph: &'static str,
    config: InstanceConfig,
    state: State,
    arrives: Arrives,
    done: Vec<Action>,
    after: State,
    wait: Duration,
    /// What is done when that has passed, if it is but the rest of the same.
    then: Vec<Action>,
}

fn check(rows: Vec<Row>) {
    for row in rows {
        let mut bench = Bench::in_state(row.state, row.config);
        if row.state == Backup {
            bench.pass(secs(1));
        }
        match row.arrives {
            Arrives::Startup => bench.tell(Event::Start),
            Arrives::Shutdown => bench.tell(Event::Shutdown),
            Arrives::Advert(from, priority) => bench.hear(from, priority),
            Arrives::Timer => bench.expire(),
        }
        assert_eq!(bench.done(), row.done, "{}", row.paragraph);
        assert_eq!(bench.instance.state(), row.after, "{}", row.paragraph);
        assert_eq!(bench.wait(), row.wait, "{}", row.paragraph);
        if !row.then.is_empty() {
            bench.expire();
            assert_eq!(bench.done(), row.then, "{}", row.paragraph);
            assert_eq!(row.wait + bench.wait(), secs(1), "{}", row.paragraph);
        }
    }
}

fn row(paragraph: &'static str, state: State, arrives: Arrives) -> Row {
    let config = config();
    let (done, then) = (vec![], vec![]);
    Row { paragraph, config, state, arrives, done, after: state, wait: Duration::ZERO, then }
}

/// `(256 - 100) / 256` s.
const SKEW: Duration = Duration::from_micros(609_375);
const DOWN: Duration = Duration::from_micros(3_609_375);

/// From a new master's advert to its addresses, where somebody alive may have them.
const HANDOVER: Duration = Duration::from_millis(20);
/// And where only an equal, who times out at the same moment, may want them.
const TIE: Duration = Duration::from_millis(5);

/// How a new master takes them.
fn addresses() -> Vec<Action> {
    let mut done = vec![add()];
    done.extend(vec![announce(); 5]);
    done.push(Entered(Master));
    done
}

#[test]
fn section_6_4_1_initialize() {
    let owner = InstanceConfig { priority: 255, initial: Initial::Master, ..config() };
    let reluctant = InstanceConfig { initial: Initial::Backup, ..owner.clone() };
    let wishful = InstanceConfig { initial: Initial::Master, ..config() };
    let to_backup = vec![remove(), Entered(Backup)];
    check(vec![
        Row {
            config: owner,
            done: vec![remove(), send(255)],
            after: Master,
            wait: HANDOVER,
            then: addresses(),
            ..row("the owner becomes active at once", Init, Arrives::Startup)
        },
        Row {
            config: reluctant,
            done: to_backup.clone(),
            after: Backup,
            wait: secs(3) + secs(1) / 256,
            ..row("an owner told `state BACKUP` does not", Init, Arrives::Startup)
        },
        Row {
            config: wishful,
            done: to_backup.clone(),
            after: Backup,
            wait: DOWN,
            ..row("`state MASTER` alone decides nothing", Init, Arrives::Startup)
        },
        Row {
            done: to_backup,
            after: Backup,
            wait: DOWN,
            ..row("others become backup, and wait", Init, Arrives::Startup)
        },
        row("adverts do not move it", Init, Arrives::Advert(HIGH, 200)),
        row("nor does a shutdown", Init, Arrives::Shutdown),
    ]);
}

#[test]
fn section_6_4_2_backup() {
    let stubborn = InstanceConfig { preempt: false, ..config() };
    let rest = DOWN - secs(1);
    check(vec![
        Row {
            done: vec![Entered(Init)],
            after: Init,
            ..row("shutdown: no advert, no address to take away", Backup, Arrives::Shutdown)
        },
        Row {
            done: vec![send(100)],
            after: Master,
            wait: TIE,
            then: addresses(),
            ..row("the timer fires: take over", Backup, Arrives::Timer)
        },
        Row { wait: SKEW, ..row("priority 0: wait for the skew", Backup, Arrives::Advert(LOW, 0)) },
        Row { wait: DOWN, ..row("higher: wait anew", Backup, Arrives::Advert(LOW, 200)) },
        Row {
            wait: DOWN,
            ..row("equal: wait anew, whoever it is", Backup, Arrives::Advert(LOW, 100))
        },
        Row {
            config: stubborn,
            wait: DOWN,
            ..row("lower, without preemption: wait anew", Backup, Arrives::Advert(LOW, 50))
        },
        Row {
            wait: rest,
            ..row("lower: discard, the timer goes on", Backup, Arrives::Advert(HIGH, 99))
        },
    ]);
}

#[test]
fn section_6_4_3_active() {
    let assert_self = vec![send(100), renew()];
    let mut once_more = assert_self.clone();
    once_more.extend(vec![announce(); 5]);
    once_more.push(Action::HeardLowerPriority);
    let give_way = vec![remove(), Entered(Backup)];
    check(vec![
        Row {
            done: vec![remove(), send(0), Entered(Init)],
            after: Init,
            ..row("shutdown: resign", Master, Arrives::Shutdown)
        },
        Row {
            done: assert_self.clone(),
            after: Master,
            wait: secs(1),
            ..row("the timer fires: advertise", Master, Arrives::Timer)
        },
        Row {
            done: assert_self,
            wait: secs(1),
            ..row("priority 0: advertise", Master, Arrives::Advert(LOW, 0))
        },
        Row {
            done: give_way.clone(),
            after: Backup,
            wait: DOWN,
            ..row("higher: give way", Master, Arrives::Advert(LOW, 101))
        },
        Row {
            done: give_way,
            after: Backup,
            wait: DOWN,
            ..row("equal, higher address: give way", Master, Arrives::Advert(HIGH, 100))
        },
        Row {
            done: once_more.clone(),
            wait: secs(1),
            ..row("lower: assert our state", Master, Arrives::Advert(HIGH, 99))
        },
        Row {
            done: once_more,
            wait: secs(1),
            ..row("equal, lower address: assert our state", Master, Arrives::Advert(LOW, 100))
        },
        Row {
            wait: secs(1),
            ..row("our own address elsewhere changes nothing", Master, Arrives::Advert(US, 100))
        },
    ]);
}

#[test]
fn a_fault_is_like_initialize() {
    check(vec![
        row("adverts do not move it", Fault, Arrives::Advert(HIGH, 200)),
        Row { done: vec![Entered(Init)], after: Init, ..row("shutdown", Fault, Arrives::Shutdown) },
    ]);
}

#[test]
fn a_version_3_backup_adopts_the_interval_of_its_master() {
    let config = InstanceConfig { version: Version::V3, ..config() };
    let mut bench = Bench::started(config);
    bench.hear_every(LOW, 200, secs(2));
    assert_eq!(bench.said().last().unwrap(), UPDATED);
    assert_eq!(bench.wait(), 2 * DOWN, "three intervals and a skew of the master's");
    bench.hear_every(LOW, 50, secs(1));
    assert_eq!(bench.instance.master_down_interval(), 2 * DOWN, "not of a lower priority");
    // RFC 9568 §6.1: as a master it has its own.
    bench.tell(Event::Shutdown);
    bench.tell(Event::Start);
    bench.expire();
    assert_eq!(bench.instance.state(), Master);
    assert!(bench.said().contains(&RESTORED.to_owned()), "{:?}", bench.said());
    let advert = bench.now;
    bench.take_addresses();
    bench.expire();
    assert_eq!((bench.done(), bench.now - advert), (vec![send(100), renew()], secs(1)));
}

const UPDATED: &str = "(VI_1) advertisement interval updated from 1000ms to 2000ms by master";
const RESTORED: &str = "(VI_1) changing advert interval from 2000ms to locally configured 1000ms";

#[test]
fn a_version_3_advert_without_interval_is_not_adopted() {
    let config = InstanceConfig { version: Version::V3, ..config() };
    let mut bench = Bench::started(config);
    bench.hear_every(LOW, 200, Duration::ZERO);
    assert_eq!(bench.wait(), DOWN);
}

#[test]
fn the_skew_of_version_2_is_of_a_second_and_of_version_3_of_the_interval() {
    for (version, skew) in [(Version::V2, SKEW), (Version::V3, 5 * SKEW)] {
        let advert_interval = secs(5);
        let bench = Bench::started(InstanceConfig { version, advert_interval, ..config() });
        assert_eq!(bench.instance.skew(), skew);
        assert_eq!(bench.wait(), secs(15) + skew);
    }
    let bench = Bench::started(InstanceConfig { down_timer_adverts: 7, ..config() });
    assert_eq!(bench.wait(), secs(7) + SKEW);
}
