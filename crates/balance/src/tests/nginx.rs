//! Sequences measured with nginx's stream module, one worker, and the rules they come from.

use super::*;

fn passive(max_fails: u32, seconds: u64) -> ServerConfig {
    let fail_timeout = Duration::from_secs(seconds);
    ServerConfig { passive: Some(Passive { max_fails, fail_timeout }), ..server() }
}

/// The servers one connection is sent to while every connect fails.
fn tries(bench: &mut Bench) -> String {
    let mut candidates = Candidates::new(None);
    let mut tries = String::new();
    while let Choice::Server(id) = bench.pool.pick(bench.now, &mut candidates) {
        tries.push_str(&alloc::format!("{}", id.0 + 1));
        bench.pool.failed(bench.now, id);
        bench.close(id.0 + 1);
    }
    tries
}

#[test]
fn smooth_round_robin_picks_as_nginx_does() {
    let mut bench = Bench::new(Algorithm::SmoothRoundRobin, &[1, 1, 1, 2, 3]);
    assert_eq!(bench.turns(24), "541253455412534554125345");
    let mut bench = Bench::new(Algorithm::SmoothRoundRobin, &[5, 1, 1]);
    assert_eq!(bench.turns(14), "11213111121311");
}

#[test]
fn a_server_that_failed_max_fails_times_is_left_out_for_fail_timeout() {
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [passive(2, 10), passive(1, 10)]);
    assert!(!bench.pool.failed(bench.now, ServerId(0)), "one of two");
    assert!(bench.pool.failed(bench.now, ServerId(0)));
    assert_eq!(bench.turns(4), "2222");
    bench.wait(10_000);
    assert_eq!(bench.turns(2), "22", "the whole tenth second is part of it");
    bench.wait(1_000);
    let turns = bench.turns(6);
    assert_eq!(turns.matches('1').count(), 1, "one trial, then the next window: {turns}");
    bench.wait(1_000);
    bench.pool.succeeded(bench.now, ServerId(0));
    assert!(bench.turns(6).matches('1').count() >= 2, "a success brings it back");
}

#[test]
fn max_fails_of_0_never_leaves_a_server_out() {
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [passive(0, 10), passive(1, 10)]);
    for _ in 0..5 {
        assert!(!bench.pool.failed(bench.now, ServerId(0)));
    }
    assert_eq!(bench.turns(4), "1212");
}

#[test]
fn the_only_server_is_never_left_out() {
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [passive(1, 10)]);
    assert!(!bench.pool.failed(bench.now, ServerId(0)));
    assert_eq!(bench.turns(2), "11");
}

#[test]
fn a_connection_tries_each_server_once_then_the_backups() {
    let backup = ServerConfig { backup: true, ..passive(1, 10) };
    let down = ServerConfig { disabled: true, ..passive(1, 10) };
    let servers = [passive(1, 10), backup, passive(1, 10), down];
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, servers);
    assert_eq!(tries(&mut bench), "132");
    assert_eq!(tries(&mut bench), "", "all are left out: nginx says `no live upstreams`");
    bench.wait(11_000);
    assert_eq!(tries(&mut bench), "312", "the other primary has its turn now");
}

#[test]
fn least_conn_takes_the_fewest_connections_per_weight() {
    let mut bench = Bench::new(Algorithm::SmoothLeastConn, &[1, 2]);
    let opened = bench.open_many(6);
    assert_eq!(opened.matches('2').count(), 4, "{opened}");
    bench.close(1);
    assert_eq!(bench.open(), 1);
}

#[test]
fn least_conn_gives_equals_their_turns() {
    let mut bench = Bench::new(Algorithm::SmoothLeastConn, &[1, 1, 1]);
    assert_eq!(bench.turns(6), "123123");
}

#[test]
fn max_conns_counts_connections_being_made() {
    let one = ServerConfig { maxconn: 1, ..server() };
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [one.clone(), one]);
    assert_eq!(bench.open_many(3), "120");
    bench.close(2);
    assert_eq!(bench.open(), 2);
}

#[test]
fn an_empty_slot_is_nobody_until_it_is_filled() {
    let now = Instant::ZERO;
    for algorithm in [
        Algorithm::SmoothRoundRobin,
        Algorithm::SmoothLeastConn,
        Algorithm::SmoothHash { consistent: false },
        Algorithm::SmoothHash { consistent: true },
        Algorithm::SmoothRandom { two: true },
    ] {
        let config = PoolConfig { algorithm, ..PoolConfig::default() };
        let slot = || ServerConfig { weight: 0, text: "a:1".into(), ..passive(1, 10) };
        let mut pool = Pool::new(config, [slot(), slot(), slot()]);
        let picked = |pool: &mut Pool| {
            let mut candidates = Candidates::new(None);
            candidates.set_key("key");
            match pool.pick(now, &mut candidates) {
                Choice::Server(server) => {
                    pool.release(now, server, &mut Vec::new());
                    Some(server.0)
                }
                _ => None,
            }
        };
        assert_eq!((picked(&mut pool), pool.present()), (None, 0), "{algorithm:?}");
        pool.fill(now, ServerId(1), 2, false);
        assert_eq!((picked(&mut pool), pool.present()), (Some(1), 1), "{algorithm:?}");
        // Alone, it is never left out.
        assert!(!pool.failed(now, ServerId(1)), "{algorithm:?}");
        pool.fill(now, ServerId(2), 1, false);
        let seen: Vec<_> = (0..60).filter_map(|_| picked(&mut pool)).collect();
        assert!(seen.len() == 60 && !seen.contains(&0), "{algorithm:?}");
        // A backup is for when nobody else is there.
        pool.fill(now, ServerId(1), 2, true);
        assert_eq!(picked(&mut pool), Some(2), "{algorithm:?}");
        pool.fill(now, ServerId(2), 0, false);
        assert_eq!(picked(&mut pool), Some(1), "{algorithm:?}");
    }
}

/// The pick of one connection whose time is known after so many milliseconds, at once for the test.
fn timed(bench: &mut Bench, took: impl Fn(usize) -> u64) -> usize {
    let server = bench.open();
    let now = bench.now + Duration::from_millis(took(server));
    bench.pool.measured(ServerId(server - 1), bench.now, now, true);
    bench.close(server);
    server
}

const LEAST_TIME: Algorithm =
    Algorithm::SmoothLeastTime { measure: Measure::FirstByte, inflight: false };

#[test]
fn least_time_goes_to_whoever_answers_soonest_for_its_weight() {
    let mut bench = Bench::new(LEAST_TIME, &[1, 1, 1]);
    let took = |server: usize| [90, 10, 40][server - 1];
    let first: String = (0..3).map(|_| timed(&mut bench, took).to_string()).collect();
    let mut each: Vec<char> = first.chars().collect();
    each.sort_unstable();
    assert_eq!(each, ['1', '2', '3'], "who was not measured yet has its turn: {first}");
    for _ in 0..20 {
        assert_eq!(timed(&mut bench, took), 2);
    }
    // Five times the time is five times the connections.
    let opened = bench.open_many(10);
    let of = |server: char| opened.matches(server).count();
    assert!(of('2') >= 6 && of('3') >= 1 && of('1') >= 1, "{opened}");
    // A weight divides the load.
    let mut bench = Bench::new(LEAST_TIME, &[10, 1]);
    (0..2).for_each(|_| assert!(timed(&mut bench, |server| [40, 10][server - 1]) > 0));
    assert_eq!(timed(&mut bench, |_| 40), 1);
}

#[test]
fn least_time_asks_a_server_that_was_slow_again_after_a_while() {
    let mut bench = Bench::new(LEAST_TIME, &[1, 1]);
    let slow = |server: usize| [1_000, 10][server - 1];
    (0..2).for_each(|_| assert!(timed(&mut bench, slow) > 0));
    let mut again = None;
    for second in 0..200 {
        bench.wait(1_000);
        if timed(&mut bench, slow) == 1 {
            again = Some(second);
            break;
        }
    }
    assert!(again.is_some_and(|second| (30..120).contains(&second)), "{again:?}");
}

#[test]
fn least_time_with_inflight_sees_that_a_server_hangs() {
    for inflight in [false, true] {
        let algorithm = Algorithm::SmoothLeastTime { measure: Measure::LastByte, inflight };
        let mut bench = Bench::new(algorithm, &[1, 1]);
        (0..2).for_each(|_| assert!(timed(&mut bench, |server| [10, 30][server - 1]) > 0));
        assert_eq!(bench.open(), 1);
        // It answers no more; its connection is given back, and its time is never known.
        bench.wait(500);
        bench.pool.release(bench.now, ServerId(0), &mut bench.wakes);
        assert_eq!(bench.open(), if inflight { 2 } else { 1 });
    }
}

#[test]
fn a_server_with_a_slow_start_gets_its_share_step_by_step() {
    let slow = |seconds| ServerConfig { slowstart: Duration::from_secs(seconds), ..passive(1, 10) };
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [slow(100), slow(0)]);
    assert_eq!(bench.turns(8), "12121212", "not at the start");
    bench.set(1, State::Down);
    bench.turns(8);
    bench.set(1, State::Up);
    let mut share = |after: u64| {
        bench.wait(after);
        bench.turns(200).matches('1').count()
    };
    let shares = [share(0), share(10_000), share(40_000), share(50_000)];
    assert!(shares[0] <= 2, "{shares:?}");
    assert!((15..22).contains(&shares[1]), "a tenth of the other's: {shares:?}");
    assert!((62..72).contains(&shares[2]), "half of the other's: {shares:?}");
    assert_eq!(shares[3], 100, "{shares:?}");
}

#[test]
fn a_server_that_failed_and_answers_again_starts_slowly() {
    let slow = |seconds| ServerConfig { slowstart: Duration::from_secs(seconds), ..passive(1, 10) };
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [slow(100), slow(0)]);
    assert!(bench.pool.failed(bench.now, ServerId(0)));
    bench.wait(11_000);
    bench.turns(4);
    bench.wait(1_000);
    bench.pool.succeeded(bench.now, ServerId(0));
    assert!(bench.turns(100).matches('1').count() <= 2);
    bench.wait(100_000);
    assert_eq!(bench.turns(100).matches('1').count(), 50);
}

#[test]
fn a_server_that_starts_draining_takes_nobody() {
    let drain = ServerConfig { draining: true, ..passive(1, 10) };
    let mut bench = Bench::with(Algorithm::SmoothRoundRobin, [drain, passive(1, 10)]);
    assert_eq!(bench.turns(4), "2222");
    bench.set(1, State::Up);
    assert_eq!(bench.turns(4).matches('1').count(), 2);
}

#[test]
fn who_finds_no_server_waits_where_there_is_a_queue_and_no_longer_than_it_is() {
    let config =
        PoolConfig { algorithm: Algorithm::SmoothRoundRobin, waiting: 2, ..PoolConfig::default() };
    let full = ServerConfig { maxconn: 1, ..passive(1, 10) };
    let mut pool = Pool::new(config, [full]);
    let mut wakes = vec![];
    let mut candidates = Candidates::new(None);
    let server = ServerId(0);
    assert_eq!(pool.pick(Instant::ZERO, &mut candidates), Choice::Server(server));
    let mut wait = || match pool.pick(Instant::ZERO, &mut Candidates::new(None)) {
        Choice::Wait(ticket) => Some(ticket),
        _ => None,
    };
    let [first, second, third] = [wait(), wait(), wait()];
    assert!(first.is_some() && second.is_some());
    assert_eq!(third, None, "it is full");
    pool.release(Instant::ZERO, server, &mut wakes);
    assert_eq!(wakes, [Wake::PickAgain { ticket: first.unwrap() }]);
    assert_eq!(
        pool.pick(Instant::ZERO, &mut Candidates::new(None)),
        Choice::Server(server),
        "the first picks again"
    );
    pool.abandon(second.unwrap());
    wakes.clear();
    pool.release(Instant::ZERO, server, &mut wakes);
    assert_eq!(wakes, [], "who gave up is not woken");
}
