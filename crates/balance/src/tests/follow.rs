//! A pool that takes the place of another.

use super::*;

fn limited(count: usize, maxconn: u32) -> Vec<ServerConfig> {
    (0..count).map(|_| ServerConfig { maxconn, ..server() }).collect()
}

fn follow(bench: &mut Bench, servers: Vec<ServerConfig>, kept: &[Option<usize>]) -> Bench {
    let kept: Vec<_> = kept.iter().map(|was| was.map(ServerId)).collect();
    let config = PoolConfig { seed: 1, ..PoolConfig::default() };
    let mut wakes = vec![];
    let pool = Pool::following(config, servers, &mut bench.pool, &kept, bench.now, &mut wakes);
    Bench { pool, now: bench.now, wakes }
}

#[test]
fn connections_of_a_server_that_stays_count_in_the_pool_that_follows() {
    let mut old = Bench::with(Algorithm::RoundRobin, limited(2, 0));
    assert!((0..4).all(|_| matches!(old.pick(), Choice::Server(_))));
    let mut new = follow(&mut old, limited(3, 0), &[None, Some(1), Some(0)]);
    let served: Vec<_> = (0..3).map(|id| new.pool.server(ServerId(id)).served).collect();
    assert_eq!(served, [0, 2, 2]);
    assert_eq!((new.pool.view().served, old.pool.view().served), (4, 0));
    new.pool.release(new.now, ServerId(1), &mut new.wakes);
    assert_eq!(new.pool.server(ServerId(1)).served, 1);
}

#[test]
fn who_waits_keeps_ticket_and_place_unless_the_server_is_gone() {
    let mut old = Bench::with(Algorithm::RoundRobin, limited(2, 1));
    assert!((0..2).all(|_| matches!(old.pick(), Choice::Server(_))));
    let waits: Vec<_> = (0..3)
        .map(|at| {
            let mut candidates = Candidates::new(None);
            if at < 2 {
                candidates.insist(ServerId(at));
            }
            match old.pool.pick(old.now, &mut candidates) {
                Choice::Wait(ticket) => ticket,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let mut new = follow(&mut old, limited(1, 1), &[Some(1)]);
    assert_eq!(new.wakes, [Wake::PickAgain { ticket: waits[0] }]);
    assert_eq!(new.pool.view().waiting, 2);
    new.wakes.clear();
    for ticket in [waits[1], waits[2]] {
        new.pool.release(new.now, ServerId(0), &mut new.wakes);
        let served = |wake: &Wake| matches!(wake, Wake::Served { ticket: t, .. } if *t == ticket);
        assert!(new.wakes.drain(..).all(|wake| served(&wake)));
    }
    // A new ticket is none of theirs.
    let Choice::Wait(next) = new.pick() else { panic!("it is full") };
    assert!(next > waits[2]);
}

#[test]
fn room_that_a_new_configuration_makes_is_given_to_those_who_wait() {
    let mut old = Bench::with(Algorithm::RoundRobin, limited(1, 1));
    assert!(matches!(old.pick(), Choice::Server(_)));
    assert!((0..3).all(|_| matches!(old.pick(), Choice::Wait(_))));
    let new = follow(&mut old, limited(1, 3), &[Some(0)]);
    let served = new.wakes.iter().filter(|wake| matches!(wake, Wake::Served { .. })).count();
    assert_eq!((served, new.pool.view().waiting), (2, 1));
}

#[test]
fn what_checks_and_operators_said_holds_and_what_the_file_says_anew_wins() {
    let mut old = Bench::with(Algorithm::RoundRobin, limited(3, 0));
    let (now, wakes) = (old.now, &mut vec![]);
    old.pool.set_state(now, ServerId(0), State::Down, wakes);
    old.pool.set_weight(now, ServerId(1), 7, wakes);
    old.pool.set_weight(now, ServerId(2), 7, wakes);
    let mut servers = limited(3, 0);
    servers[2].weight = 9;
    let new = follow(&mut old, servers, &[Some(0), Some(1), Some(2)]);
    assert_eq!(new.pool.server(ServerId(0)).state, State::Down);
    let weights: Vec<_> = (0..3).map(|id| new.pool.server(ServerId(id)).weight).collect();
    assert_eq!(weights, [1, 7, 9]);
}

#[test]
fn a_pool_that_follows_picks_as_a_fresh_one_does() {
    let algorithms = [
        Algorithm::RoundRobin,
        Algorithm::StaticRoundRobin,
        Algorithm::LeastConn,
        Algorithm::First,
        Algorithm::SmoothRoundRobin,
    ];
    for algorithm in algorithms {
        let mut old = Bench::new(algorithm, &[1, 2, 3]);
        let weights = [3, 1, 5, 2];
        let configs = || {
            let numbered = weights.iter().enumerate();
            numbered.map(|(at, &weight)| ServerConfig { weight, id: at as u32 + 1, ..server() })
        };
        let config = || PoolConfig { algorithm, seed: 1, ..PoolConfig::default() };
        let kept = [Some(ServerId(0)), None, Some(ServerId(1)), Some(ServerId(2))];
        let mut wakes = vec![];
        let pool = Pool::following(config(), configs(), &mut old.pool, &kept, old.now, &mut wakes);
        let mut new = Bench { pool, now: old.now, wakes };
        let mut fresh = Bench { pool: Pool::new(config(), configs()), now: old.now, wakes: vec![] };
        for _ in 0..50 {
            assert_eq!(new.pick(), fresh.pick(), "{algorithm:?}");
        }
    }
}
