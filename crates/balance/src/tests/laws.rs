//! What holds for every algorithm.

use super::*;

const ALL: [Algorithm; 8] = [
    Algorithm::RoundRobin,
    Algorithm::StaticRoundRobin,
    Algorithm::LeastConn,
    Algorithm::First,
    Algorithm::Source,
    Algorithm::Random { draws: 2 },
    Algorithm::SmoothRoundRobin,
    Algorithm::SmoothLeastConn,
];

fn backup() -> ServerConfig {
    ServerConfig { backup: true, ..server() }
}

#[test]
fn a_server_that_is_down_or_drains_gets_nothing_and_comes_back() {
    for algorithm in ALL {
        for state in [State::Down, State::Draining] {
            let mut bench = Bench::new(algorithm, &[1, 1, 1]);
            bench.set(2, state);
            assert!(!bench.turns(30).contains('2'), "{algorithm:?}");
            bench.set(1, State::Down);
            bench.set(3, State::Down);
            assert_eq!(bench.pick(), Choice::Nothing, "{algorithm:?}");
            bench.set(2, State::Up);
            assert_eq!(bench.turns(3), "222", "{algorithm:?}");
        }
    }
}

#[test]
fn backups_are_used_when_nothing_else_is_left() {
    for algorithm in ALL {
        let mut bench = Bench::with(algorithm, [server(), backup(), backup()]);
        assert_eq!(bench.turns(6), "111111", "{algorithm:?}");
        bench.set(1, State::Down);
        let turns = bench.turns(40);
        assert!(!turns.contains('1'), "{algorithm:?}");
        assert_eq!(turns.contains('3'), algorithm.is_smooth(), "{algorithm:?}: {turns}");
        bench.set(2, State::Down);
        assert_eq!(bench.turns(2), "33", "{algorithm:?}");
        bench.set(1, State::Up);
        assert_eq!(bench.turns(2), "11", "{algorithm:?}");
    }
}

#[test]
fn allbackups_uses_all_of_them() {
    let config = PoolConfig { all_backups: true, ..PoolConfig::default() };
    let pool = Pool::new(config, [backup(), backup()]);
    let mut bench = Bench { pool, now: Instant::ZERO, wakes: vec![] };
    assert_eq!(bench.turns(4), "1212");
}

#[test]
fn a_weight_of_0_takes_nothing() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastConn, Algorithm::Random { draws: 3 }] {
        let mut bench = Bench::new(algorithm, &[0, 4]);
        assert_eq!(bench.turns(5), "22222", "{algorithm:?}");
        bench.weigh(1, 256);
        bench.weigh(2, 0);
        assert_eq!(bench.turns(5), "11111", "{algorithm:?}");
    }
}

#[test]
fn random_shares_by_weight_and_avoids_the_loaded() {
    let mut bench = Bench::new(Algorithm::Random { draws: 1 }, &[3, 1]);
    let turns = bench.turns(4_000);
    let first = turns.matches('1').count();
    assert!((2_850..3_150).contains(&first), "{first} of 4000 for three quarters of the weight");
    let mut bench = Bench::new(Algorithm::Random { draws: 2 }, &[1, 1]);
    let opened = bench.open_many(200);
    let first = opened.matches('1').count();
    assert!((95..=105).contains(&first), "{first} of 200 that stay open");
}

#[test]
fn a_redispatch_goes_elsewhere_if_there_is_anywhere_to_go() {
    for algorithm in ALL.into_iter().filter(|a| !a.is_smooth() && *a != Algorithm::Source) {
        let mut bench = Bench::new(algorithm, &[1, 1]);
        for failed in [0, 1, 0, 1] {
            let mut candidates = Candidates::new(None);
            candidates.avoid(ServerId(failed));
            let choice = bench.pool.pick(bench.now, &mut candidates);
            assert_eq!(choice, Choice::Server(ServerId(1 - failed)), "{algorithm:?}");
            bench.close(2 - failed);
        }
        bench.set(2, State::Down);
        let mut candidates = Candidates::new(None);
        candidates.avoid(ServerId(0));
        let choice = bench.pool.pick(bench.now, &mut candidates);
        assert_eq!(choice, Choice::Server(ServerId(0)), "{algorithm:?}");
    }
}

#[test]
fn a_retry_without_redispatch_stays_unless_the_server_is_gone() {
    let mut bench = Bench::new(Algorithm::RoundRobin, &[1, 1, 1]);
    let mut candidates = Candidates::new(None);
    candidates.insist(ServerId(2));
    assert_eq!(bench.pool.pick(bench.now, &mut candidates), Choice::Server(ServerId(2)));
    bench.set(3, State::Down);
    candidates.insist(ServerId(2));
    assert_eq!(bench.pool.pick(bench.now, &mut candidates), Choice::Server(ServerId(0)));
}

#[test]
fn retries_are_spent_as_haproxy_spends_them() {
    let second = Duration::from_secs(1);
    let timeout = Some(Duration::from_millis(400));
    let run = |redispatch, others, timed_out| {
        let mut retries = Retries::new(3, redispatch, timeout);
        let mut steps = vec![];
        loop {
            let step = retries.failed(timed_out, others);
            steps.push(step);
            if step == Again::GiveUp {
                return steps;
            }
        }
    };
    let same = Again::Same(Duration::from_millis(400));
    let (other, at_once) = (Again::Other(Duration::ZERO), Again::Same(Duration::ZERO));
    assert_eq!(run(None, true, false), [same, same, same, Again::GiveUp]);
    assert_eq!(run(None, true, true), [at_once, at_once, at_once, Again::GiveUp]);
    assert_eq!(run(Some(-1), true, false), [other, other, other, Again::GiveUp]);
    assert_eq!(run(Some(-1), false, false), [same, same, other, Again::GiveUp]);
    assert_eq!(run(Some(1), false, false), [other, other, other, Again::GiveUp]);
    assert_eq!(run(Some(2), false, false), [same, other, same, Again::GiveUp]);
    assert_eq!(Retries::new(1, None, None).failed(false, false), Again::Same(second));
}

#[test]
fn counts_are_right_after_any_course_of_events() {
    for algorithm in ALL {
        let servers = [1, 2, 3].map(|maxconn| ServerConfig { maxconn, ..server() });
        let mut bench = Bench::with(algorithm, servers);
        let mut random = crate::random::Random::new(7);
        let mut open: Vec<usize> = vec![];
        let mut tickets: Vec<Ticket> = vec![];
        for _ in 0..5_000 {
            bench.wait(u64::from(random.below(50)));
            let server = random.below(3) as usize + 1;
            match random.below(9) {
                0..3 => match bench.pick() {
                    Choice::Server(id) => open.push(id.0 + 1),
                    Choice::Wait(ticket) => tickets.push(ticket),
                    Choice::Full(_) | Choice::Nothing => {}
                },
                3..6 if !open.is_empty() => {
                    let server = open.swap_remove(random.below(open.len() as u32) as usize);
                    bench.close(server);
                }
                6 => bench.set(server, [State::Up, State::Down][random.below(2) as usize]),
                7 if !tickets.is_empty() => {
                    bench.pool.abandon(tickets.swap_remove(0));
                }
                8 => bench.weigh(server, random.below(257)),
                _ => bench.set(server, State::Up),
            }
            for wake in bench.wakes.drain(..) {
                let (Wake::Served { ticket, .. } | Wake::PickAgain { ticket }) = wake;
                let place = tickets.iter().position(|&waiting| waiting == ticket);
                tickets.remove(place.expect("nobody is woken twice, or after giving up"));
                if let Wake::Served { server, .. } = wake {
                    open.push(server.0 + 1);
                }
            }
            let view = bench.pool.view();
            assert_eq!(view.served as usize, open.len(), "{algorithm:?}");
            assert_eq!(view.waiting as usize, tickets.len(), "{algorithm:?}");
            for (index, most) in [1, 2, 3].into_iter().enumerate() {
                let count = open.iter().filter(|&&server| server == index + 1).count();
                assert_eq!(bench.pool.server(ServerId(index)).served as usize, count);
                assert!(count <= most, "{algorithm:?}: maxconn {most}, {count} connections");
            }
        }
    }
}

#[test]
fn every_round_robin_shares_by_weight_whatever_the_weights() {
    let mut random = crate::random::Random::new(3);
    for algorithm in
        [Algorithm::RoundRobin, Algorithm::StaticRoundRobin, Algorithm::SmoothRoundRobin]
    {
        for _ in 0..100 {
            let count = random.below(6) as usize + 2;
            let weights: Vec<u32> = (0..count).map(|_| random.below(30) + 1).collect();
            let total: u32 = weights.iter().sum();
            let mut bench = Bench::new(algorithm, &weights);
            let turns = bench.turns(10 * total as usize);
            for (index, weight) in weights.iter().enumerate() {
                let digit = char::from(b'1' + index as u8);
                let picked = turns.chars().filter(|&turn| turn == digit).count() as u32;
                let fair = 10 * weight;
                assert!(picked.abs_diff(fair) <= 2, "{algorithm:?} {weights:?}: {picked}, {fair}");
            }
        }
    }
}

#[test]
fn round_robin_stays_fair_after_weights_changed() {
    let mut bench = Bench::new(Algorithm::RoundRobin, &[1, 1, 1]);
    let mut random = crate::random::Random::new(11);
    for _ in 0..300 {
        let weights = [(); 3].map(|()| random.below(20) + 1);
        for (index, weight) in weights.into_iter().enumerate() {
            bench.weigh(index + 1, weight);
        }
        // The round that was running may end by the old weights.
        bench.turns(16 * 60);
        let total: u32 = weights.iter().sum();
        let turns = bench.turns(10 * total as usize);
        for (index, weight) in weights.into_iter().enumerate() {
            let digit = char::from(b'1' + index as u8);
            let picked = turns.chars().filter(|&turn| turn == digit).count() as u32;
            assert!(picked.abs_diff(10 * weight) <= 2, "{weights:?}: {turns}");
        }
    }
}
