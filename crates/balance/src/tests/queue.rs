//! `maxconn`, `minconn`, `maxqueue`, and who is served next.

use super::*;

fn most(maxconn: u32) -> ServerConfig {
    ServerConfig { maxconn, ..server() }
}

fn wait(choice: Choice) -> Ticket {
    let Choice::Wait(ticket) = choice else { panic!("not waiting but {choice:?}") };
    ticket
}

#[test]
fn whoever_waits_longest_gets_the_first_free_slot_of_any_server() {
    let mut bench = Bench::with(Algorithm::RoundRobin, [most(1), most(1)]);
    assert_eq!(bench.open_many(2), "12");
    let (first, second) = (wait(bench.pick()), wait(bench.pick()));
    assert_eq!(bench.pool.view().queued, 2);
    bench.close(2);
    let served =
        Wake::Served { ticket: first, server: ServerId(1), server_queue: 0, pool_queue: 1 };
    assert_eq!(bench.wakes, [served]);
    bench.wakes.clear();
    bench.close(1);
    let served =
        Wake::Served { ticket: second, server: ServerId(0), server_queue: 0, pool_queue: 2 };
    assert_eq!(bench.wakes, [served]);
    assert_eq!(bench.pool.view().waiting, 0);
}

#[test]
fn a_hash_waits_for_its_own_server_and_maxqueue_limits_that() {
    let own = ServerConfig { maxqueue: 1, ..most(1) };
    let mut bench = Bench::with(Algorithm::Source, [own.clone(), own]);
    let source = Some([10, 0, 0, 1].into());
    let pick = |bench: &mut Bench| bench.pool.pick(bench.now, &mut Candidates::new(source));
    assert_eq!(pick(&mut bench), Choice::Server(ServerId(1)));
    let ticket = wait(pick(&mut bench));
    assert_eq!(pick(&mut bench), Choice::Full(ServerId(1)));
    assert_eq!(bench.pool.server(ServerId(1)).queued, 1);
    assert_eq!(bench.pool.abandon(ticket), (0, 0), "nobody was served before it gave up");
    assert_eq!(bench.pool.view().waiting, 0);
    bench.close(2);
    assert!(bench.wakes.is_empty());
}

#[test]
fn whoever_waits_for_a_server_that_goes_down_picks_again() {
    let mut bench = Bench::with(Algorithm::Source, [most(1), most(1)]);
    let source = Some([10, 0, 0, 1].into());
    let mut candidates = Candidates::new(source);
    assert_eq!(bench.pool.pick(bench.now, &mut candidates), Choice::Server(ServerId(1)));
    let ticket = wait(bench.pool.pick(bench.now, &mut candidates));
    bench.set(2, State::Down);
    assert_eq!(bench.wakes, [Wake::PickAgain { ticket }]);
    assert_eq!(bench.pool.pick(bench.now, &mut candidates), Choice::Server(ServerId(0)));
}

#[test]
fn whoever_waits_while_the_last_server_goes_down_picks_again_and_finds_nothing() {
    let mut bench = Bench::with(Algorithm::RoundRobin, [most(1)]);
    assert_eq!(bench.open(), 1);
    let ticket = wait(bench.pick());
    bench.set(1, State::Down);
    assert_eq!(bench.wakes, [Wake::PickAgain { ticket }]);
    assert_eq!(bench.pick(), Choice::Nothing);
}

#[test]
fn a_server_that_comes_up_serves_those_who_wait() {
    let mut bench = Bench::with(Algorithm::RoundRobin, [most(1), most(2)]);
    bench.set(2, State::Down);
    assert_eq!(bench.open(), 1);
    let tickets = [wait(bench.pick()), wait(bench.pick()), wait(bench.pick())];
    bench.set(2, State::Up);
    let served = |index: usize| Wake::Served {
        ticket: tickets[index],
        server: ServerId(1),
        server_queue: 0,
        pool_queue: index as u32 + 1,
    };
    assert_eq!(bench.wakes, [served(0), served(1)]);
}

#[test]
fn a_free_slot_of_a_draining_server_is_not_given_to_those_who_wait_for_any() {
    let mut bench = Bench::with(Algorithm::RoundRobin, [most(1), most(1)]);
    assert_eq!(bench.open_many(2), "12");
    wait(bench.pick());
    bench.set(1, State::Draining);
    bench.close(1);
    assert!(bench.wakes.is_empty());
    bench.close(2);
    assert_eq!(bench.wakes.len(), 1);
}

#[test]
fn minconn_grows_to_maxconn_with_the_load_of_the_pool() {
    let servers = [ServerConfig { minconn: 2, ..most(10) }];
    let config = PoolConfig { fullconn: 20, ..PoolConfig::default() };
    let mut pool = Pool::new(config, servers);
    let mut pick = || pool.pick(Instant::ZERO, &mut Candidates::new(None));
    // Those who wait are load as well; from 6 of 20 on the limit is above `minconn`.
    let choices: Vec<Choice> = (0..20).map(|_| pick()).collect();
    let served = |choices: &[Choice]| {
        choices.iter().filter(|choice| matches!(choice, Choice::Server(_))).count()
    };
    assert_eq!(served(&choices[..6]), 2);
    assert_eq!(served(&choices), 9, "19 of 20 connections give 9 of 10");
}

#[test]
fn first_fills_a_server_before_the_next_one() {
    let mut bench = Bench::with(Algorithm::First, [most(2), most(2), most(2)]);
    assert_eq!(bench.open_many(5), "11223");
    bench.close(1);
    assert_eq!(bench.open(), 1);
}
