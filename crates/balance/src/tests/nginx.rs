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
    bench.pool.succeeded(ServerId(0));
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
