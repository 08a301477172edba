use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use crate::*;

mod course;
mod known;
mod standing;
mod words;

/// `be/s`.
const WHO: Named<'static> = Named { backend: "be", server: "s", backup: false };

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn health_counts_as_the_manual_says() {
    let mut health = Health::new(2, 3);
    assert_eq!((health.value(), health.steps()), (2, (1, 3)));
    let steps: Vec<(Change, String)> = [true, false, false, false, false, true, false, true, true]
        .into_iter()
        .map(|passed| (health.note(passed), health.to_string()))
        .collect();
    let expected = [
        (Change::Progress, "UP"),
        (Change::Progress, "UP 2/3"),
        (Change::Progress, "UP 1/3"),
        (Change::Down, "DOWN"),
        (Change::None, "DOWN"),
        (Change::Progress, "DOWN 1/2"),
        (Change::Progress, "DOWN"),
        (Change::Progress, "DOWN 1/2"),
        (Change::Up, "UP"),
    ];
    assert_eq!(steps, expected.map(|(change, text)| (change, text.to_owned())));
}

#[test]
fn with_rise_and_fall_of_1_every_check_decides() {
    let mut health = Health::new(1, 1);
    assert_eq!(health.pace(), Pace::Up);
    assert_eq!(health.note(true), Change::None);
    assert_eq!(health.note(false), Change::Down);
    assert_eq!(health.note(true), Change::Up);
    assert_eq!(Health::new(0, 0), Health::new(1, 1), "0 is not a number of checks");
}

#[test]
fn a_check_comes_sooner_while_the_server_changes() {
    let config = Config {
        inter: millis(300),
        fastinter: Some(millis(100)),
        downinter: Some(millis(200)),
        ..Config::default()
    };
    let mut health = Health::new(2, 3);
    let mut pauses = vec![schedule::interval(&config, &health)];
    for passed in [true, false, false, false, true, true] {
        health.note(passed);
        pauses.push(schedule::interval(&config, &health));
    }
    assert_eq!(pauses, [100, 300, 100, 100, 200, 100, 300].map(millis));
    let plain = Config { inter: millis(300), ..Config::default() };
    assert_eq!(schedule::interval(&plain, &Health::new(2, 3)), millis(300));
}

#[test]
fn spread_checks_stay_within_their_share() {
    let config = Config { inter: millis(1000), ..Config::default() };
    let spread = |draw| schedule::interval_spread(&config, &Health::new(2, 3), 20, draw);
    assert_eq!([0, u32::MAX].map(spread), [millis(1200), millis(800)]);
    assert!((millis(999)..=millis(1001)).contains(&spread(u32::MAX / 2)));
    assert_eq!(schedule::interval_spread(&config, &Health::new(2, 3), 0, 7), millis(1000));
}

#[test]
fn first_checks_are_spread_over_the_longest_interval_of_their_own() {
    let inter = |inter| Config { inter: millis(inter), ..Config::default() };
    let offsets = |configs: &[Config], most| -> Vec<u64> {
        schedule::first_checks(configs.iter(), most).map(|at| at.as_millis() as u64).collect()
    };
    let quick = [inter(300), inter(300), inter(300)];
    assert_eq!(offsets(&quick, None), [0, 100, 200]);
    // Twelve checks, one of them every 10 s: the others wait for it, 10 s / 12 apart.
    let mut slow: Vec<Config> = (0..12).map(|_| inter(300)).collect();
    slow[8] = inter(10_000);
    assert_eq!(offsets(&slow, None)[..4], [0, 833, 1_666, 2_500]);
    assert_eq!(offsets(&slow, Some(millis(1_200)))[..4], [0, 100, 200, 300]);
    assert!(offsets(&[], None).is_empty());
}

type Times = (Option<u64>, Option<u64>, u64, u64, u64);

/// Measured with HAProxy 2.6.12: `timeout connect`, `timeout check`, `inter`; how long a check took
/// that was never connected, and one that was never answered.
const TIMES: &[Times] = &[
    (Some(200), Some(150), 1000, 200, 200),
    (Some(200), Some(150), 300, 200, 200),
    (Some(200), Some(700), 1000, 200, 700),
    (Some(200), Some(700), 300, 200, 700),
    (Some(200), None, 1000, 1000, 1000),
    (Some(200), None, 300, 300, 300),
    (Some(500), Some(150), 1000, 500, 500),
    (Some(500), Some(150), 300, 300, 300),
    (Some(500), Some(700), 300, 300, 700),
    (None, Some(150), 1000, 1000, 1000),
    (None, Some(700), 300, 300, 700),
    (None, None, 1000, 1000, 1000),
];

#[test]
fn a_check_takes_no_longer_than_haproxy_lets_it() {
    for &(connect, check, inter, unconnected, unanswered) in TIMES {
        let config = Config {
            inter: millis(inter),
            timeout_connect: connect.map(millis),
            timeout_check: check.map(millis),
            ..Config::default()
        };
        let start = Instant::from_zero(millis(5_000));
        let deadline = Deadline::new(&config, start);
        assert_eq!(deadline.connect() - start, millis(unconnected), "{config:?}");
        assert_eq!(deadline.answer(start) - start, millis(unanswered), "{config:?}");
    }
}
