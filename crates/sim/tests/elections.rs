//! Routers on a link with all its troubles, a thousand seeds each. A failing seed prints itself.

use std::time::Duration;

use fastrand::Rng;
use sim::{Lan, router};
use vrrp::config::{InstanceConfig, Version};
use vrrp::{Event, State};

const SEEDS: u64 = 1_000;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Three routers of one kind, with priorities `apart` at least.
fn three(rng: &mut Rng, apart: u8) -> Vec<InstanceConfig> {
    let (version, interval) = match rng.u8(0..4) {
        0 => (Version::V2, seconds(1)),
        1 => (Version::V2, seconds(2)),
        2 => (Version::V3, Duration::from_millis(500)),
        _ => (Version::V3, seconds(1)),
    };
    let mut priority = 30;
    let mut routers: Vec<InstanceConfig> = (0..3)
        .map(|_| {
            priority += apart + rng.u8(0..50);
            InstanceConfig { version, advert_interval: interval, ..router(priority) }
        })
        .collect();
    rng.shuffle(&mut routers);
    routers
}

fn best(routers: &[InstanceConfig]) -> usize {
    let rank = |i: &usize| (routers[*i].priority, *i);
    (0..routers.len()).max_by_key(rank).expect("there are three")
}

fn lan(seed: u64, routers: &[InstanceConfig]) -> Lan {
    let mut lan = Lan::new(seed);
    for config in routers {
        let i = lan.add(config.clone());
        lan.start(i);
    }
    lan
}

#[test]
fn the_highest_priority_ends_up_alone_as_master_after_any_storm() {
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let routers = three(&mut rng, 0);
        let mut lan = lan(seed, &routers);
        for _ in 0..20 {
            lan.set_loss(rng.u8(0..=100));
            let i = rng.usize(0..3);
            match rng.u8(0..8) {
                0 => lan.kill(i),
                1 => lan.terminate(i),
                2 => lan.start(i),
                3 => lan.freeze(i),
                4 => lan.resume(i),
                5 => lan.set_cable(i, false),
                6 => lan.set_cable(i, true),
                _ => lan.set_side(i, rng.u8(0..2)),
            }
            lan.run(Duration::from_millis(rng.u64(0..5_000)));
        }
        lan.set_loss(0);
        for i in 0..3 {
            lan.set_side(i, 0);
            lan.set_cable(i, true);
            lan.resume(i);
            if lan.node(i).state().is_none() {
                lan.start(i);
            }
        }
        lan.run(routers[0].advert_interval * 12);
        let highest = routers[best(&routers)].priority;
        let masters = lan.masters();
        assert_eq!(masters.len(), 1, "seed {seed}\n{}", lan.story());
        // Between equals, whoever came first stays.
        assert_eq!(routers[masters[0]].priority, highest, "seed {seed}\n{}", lan.story());
        assert_eq!(lan.holders(), masters, "seed {seed}\n{}", lan.story());
    }
}

/// Crashes, freezes, SIGTERM and pulled cables, one host at a time or several, with no packet lost
/// between those that run.
#[test]
fn no_address_is_ever_on_two_hosts_while_the_link_is_whole() {
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let apart = if seed % 2 == 0 { 10 } else { 0 };
        let routers = three(&mut rng, apart);
        let mut lan = lan(seed, &routers);
        for _ in 0..12 {
            lan.run(Duration::from_millis(rng.u64(0..6_000)));
            let i = rng.usize(0..3);
            match rng.u8(0..10) {
                0 => lan.kill(i),
                1 => lan.terminate(i),
                2 => lan.start(i),
                3 | 4 => lan.freeze(i),
                5 => lan.resume(i),
                6 => lan.set_cable(i, false),
                7 => lan.respawn(i),
                _ => lan.set_cable(i, true),
            }
            let violations = lan.violations();
            assert!(violations.is_empty(), "seed {seed} {violations:?}\n{}", lan.story());
        }
        for i in 0..3 {
            lan.set_cable(i, true);
            lan.resume(i);
            if lan.node(i).state().is_none() {
                lan.start(i);
            }
        }
        lan.run(routers[0].advert_interval * 12);
        let (holders, highest) = (lan.holders(), routers[best(&routers)].priority);
        assert_eq!(holders.len(), 1, "seed {seed}\n{}", lan.story());
        assert_eq!(routers[holders[0]].priority, highest, "seed {seed}\n{}", lan.story());
        let violations = lan.violations();
        assert!(violations.is_empty(), "seed {seed} {violations:?}\n{}", lan.story());
    }
}

/// However long it takes until another process follows the one that was killed.
#[test]
fn a_process_that_follows_a_killed_one_goes_on_only_where_nobody_else_has_taken_over() {
    let mut stayed = 0;
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut lan = lan(seed, &[router(150), router(rng.u8(1..=254))]);
        lan.run(seconds(9));
        let master = lan.masters()[0];
        lan.kill(master);
        lan.run(Duration::from_millis(rng.u64(0..6_000)));
        lan.respawn(master);
        let at_once = lan.masters() == [master];
        stayed += u64::from(at_once);
        lan.run(Duration::from_millis(3_200));
        assert!(!at_once || lan.masters() == [master], "seed {seed}\n{}", lan.story());
        let violations = lan.violations();
        assert!(violations.is_empty(), "seed {seed} {violations:?}\n{}", lan.story());
    }
    assert!((SEEDS / 4..SEEDS * 3 / 4).contains(&stayed), "{stayed}");
}

/// The last advert took up to two milliseconds, the timer that missed the next was up to one late.
const SLACK: Duration = Duration::from_millis(3);
/// From a new master's advert to its addresses: five milliseconds, on a timer of the same kind.
const TIE: Duration = Duration::from_millis(6);

/// From a fault of the master to the address on the backup of priority 100, at `advert_int 1`.
fn gap(seed: u64, fault: impl Fn(&mut Lan, usize)) -> Duration {
    let mut lan = lan(seed, &[router(150), router(100), router(50)]);
    lan.run(seconds(5) + Duration::from_millis(Rng::with_seed(seed).u64(0..1_000)));
    assert_eq!(lan.holders(), [0], "seed {seed}");
    let broken = lan.now();
    fault(&mut lan, 0);
    lan.run_while(broken + seconds(10), |lan| !lan.node(1).holds());
    assert_eq!(lan.holders(), [1], "seed {seed}\n{}", lan.story());
    lan.now() - broken
}

#[test]
fn a_resigning_master_is_replaced_within_the_skew_time() {
    for seed in 0..SEEDS {
        let gap = gap(seed, Lan::terminate);
        assert!(gap <= Duration::from_micros(609_375) + SLACK + TIE, "seed {seed}: {gap:?}");
    }
}

/// Guides print one priority for both nodes: their timers run out together.
#[test]
fn equals_that_time_out_together_never_both_take_the_addresses() {
    for seed in 0..SEEDS {
        let mut lan = lan(seed, &[router(100), router(100), router(100)]);
        lan.run(seconds(10));
        let first = lan.holders();
        assert_eq!(first.len(), 1, "seed {seed}\n{}", lan.story());
        lan.kill(first[0]);
        lan.run(seconds(10));
        let violations = lan.violations();
        assert!(violations.is_empty(), "seed {seed} {violations:?}\n{}", lan.story());
    }
}

/// The one that is stopped there wakes up among the addresses of another, and must not add its own.
#[test]
fn an_equal_that_is_stopped_between_its_advert_and_its_addresses_does_not_take_them() {
    let mut stopped = 0;
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut lan = lan(seed, &[router(100), router(100), router(100)]);
        let waits = |lan: &Lan, i| lan.masters().contains(&i) && !lan.node(i).holds();
        for i in 0..3 {
            lan.run_while(machine::Instant::ZERO + seconds(4), |lan| !waits(lan, i));
            if waits(&lan, i) {
                stopped += 1;
                lan.freeze(i);
                // Longer than the five milliseconds and what a timer may be late.
                lan.run(Duration::from_millis(rng.u64(8..4_000)));
                lan.resume(i);
            }
        }
        lan.run(seconds(8));
        assert_eq!(lan.holders().len(), 1, "seed {seed}\n{}", lan.story());
        let violations = lan.violations();
        assert!(violations.is_empty(), "seed {seed} {violations:?}\n{}", lan.story());
    }
    assert!(stopped > SEEDS / 2, "{stopped}");
}

#[test]
fn a_dead_frozen_or_unplugged_master_is_replaced_within_the_master_down_interval() {
    let unplug = |lan: &mut Lan, i| lan.set_cable(i, false);
    for seed in 0..SEEDS {
        for gap in [gap(seed, Lan::kill), gap(seed, Lan::freeze), gap(seed, unplug)] {
            assert!(gap <= Duration::from_micros(3_609_375) + SLACK + TIE, "seed {seed}: {gap:?}");
            assert!(gap >= seconds(2), "seed {seed}: {gap:?}");
        }
    }
}

#[test]
fn a_master_that_is_stopped_for_a_while_never_shares_its_addresses() {
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut lan = lan(seed, &[router(150), router(100)]);
        lan.run(seconds(5));
        for _ in 0..5 {
            lan.freeze(0);
            lan.run(Duration::from_millis(rng.u64(0..5_000)));
            lan.resume(0);
            lan.run(Duration::from_millis(rng.u64(4_500..6_000)));
            assert_eq!(lan.holders(), [0], "seed {seed}\n{}", lan.story());
        }
        assert!(lan.violations().is_empty(), "seed {seed}\n{}", lan.story());
    }
}

#[test]
fn an_undisturbed_master_keeps_its_addresses_without_a_gap() {
    for (interval, adverts) in [(434, 3), (500, 3), (1_000, 3), (1_000, 2), (7_000, 3), (450, 5)] {
        let config = InstanceConfig {
            advert_interval: Duration::from_millis(interval),
            down_timer_adverts: adverts,
            ..router(200)
        };
        let mut lan = lan(interval, std::slice::from_ref(&config));
        lan.run(config.advert_interval * u32::from(adverts + 1));
        let lease = lan.node(0).instance().unwrap().lease();
        assert!(lease.is_some(), "{interval} ms");
        assert_eq!(lan.holders(), [0]);
        let end = lan.now() + seconds(100);
        assert!(lan.run_while(end, |lan| lan.node(0).holds()), "{interval} ms\n{}", lan.story());
    }
}

#[test]
fn a_partition_has_a_master_on_every_side_and_one_when_it_heals() {
    for seed in 0..SEEDS {
        let mut lan = lan(seed, &[router(100), router(100), router(100)]);
        for i in 0..3 {
            lan.set_side(i, u8::try_from(i).unwrap());
        }
        lan.run(seconds(5));
        assert_eq!(lan.masters(), [0, 1, 2]);
        for i in 0..3 {
            lan.set_side(i, 0);
        }
        lan.run(seconds(4));
        assert_eq!(lan.masters(), [2], "the highest address, seed {seed}\n{}", lan.story());
    }
}

#[test]
fn a_reload_neither_drops_an_address_nor_the_role() {
    let mut lan = lan(3, &[router(150), router(100)]);
    lan.run(seconds(5));
    let another = std::net::Ipv4Addr::new(192, 0, 2, 101).into();
    let mut config = router(150);
    config.addresses.push(vrrp::config::VirtualAddress::host(another));
    lan.reload(0, config.clone());
    assert_eq!(lan.node(0).addresses().collect::<Vec<_>>(), [sim::VIRTUAL.into(), another]);
    let end = lan.now() + seconds(10);
    assert!(lan.run_while(end, |lan| lan.node(0).addresses().count() == 2));
    config.addresses.remove(0);
    lan.reload(0, config);
    assert_eq!(lan.node(0).addresses().collect::<Vec<_>>(), [another]);
    lan.run(seconds(10));
    assert_eq!(lan.masters(), [0]);
    assert_eq!(lan.node(1).state(), Some(State::Backup));
}

#[test]
fn an_address_somebody_took_away_comes_back_on_the_best_router() {
    let mut lan = lan(4, &[router(150), router(100)]);
    lan.run(seconds(5));
    lan.tell(0, Event::AddressLost(sim::VIRTUAL.into()));
    assert_eq!(lan.holders(), []);
    lan.run(Duration::from_millis(600));
    assert_eq!(lan.masters(), [0], "it is the quicker one\n{}", lan.story());
}
