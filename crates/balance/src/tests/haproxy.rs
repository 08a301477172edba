//! Sequences measured with HAProxy 2.6.12: one client, one connection after another.

use super::*;

/// What was done, and the servers of the turns after it.
type Steps = &'static [(&'static str, &'static str)];

/// Weights, and the servers picked.
const ROUND_ROBIN: &[(&[u32], &str)] = &[
    (
        &[5, 3, 1],
        "1121321121121321121121321121121321121121321121121321121121321121121321121121\
         3211211213211211213211211213211211213211211213211211213211211213211211213211\
         2112132112112132112112132112112132112112132112112132112112132112112132112112\
         1321121121321121121321121121321121121321121121321121121321121121321121121321\
         1211213211211213",
    ),
    (
        &[1, 1, 1],
        "1231231231231231231231231231231231231231231231231231231231231231231231231231\
         23123123123123123123123123123123123123123123123123123123123123123123",
    ),
    (
        &[3, 2],
        "1121211212112121121211212112121121211212112121121211212112121121211212112121\
         1212112121121211212112121121211212112121121211212112121121211212112121121211\
         2121121211212112121121211212112121121211212112121121211212112121121211212112\
         121121211212",
    ),
    (
        &[7, 4, 2, 1],
        "1213121412132112131214121321121312141213211213121412132112131214121321121312\
         1412132112131214121321121312141213211213121412132112131214121321121312141213\
         2112131214121321121312141213211213121412132112131214121321121312141213211213\
         1214121321121312141213211213121412132112131214121321121312141213211213121412\
         1321121312141213211213121412132112131214121321121312141213211213121412132112\
         13121412132112131214",
    ),
    (
        &[100, 50, 20],
        "1121312112112311211213121121123112112131211211231121121312112112311211213121\
         1211231121121312112112311211213121121123112112131211211231121121312112112311\
         2112131211211231121121312112112311211213121121123112112131211211231121121312\
         1121123112112131211211231121121312112112311211213121121123112112131211211231\
         1211213121121123112112131211211231121121312112112311211213121121123112112131\
         21121123112112131211",
    ),
    (
        &[1, 256],
        "2222222222222222222222222222222222222222222222222222222222222222222222222222\
         2222222222222222222222222222222222222222222222222222222222222222222222222222\
         2222222222222222222222222222222222222222222222222222222222222222222222222222\
         2222222222222222222222222222122222222222222222222222222222222222222222222222\
         2222222222222222222222222222222222222222222222222222222222222222222222222222\
         22222222222222222222",
    ),
    (
        &[2, 2, 1, 1],
        "1231241231241231241231241231241231241231241231241231241231241231241231241231\
         2412312412312412312412312412312412312412312412312412312412312412312412312412\
         3124123124123124123124123124123124123124123124123124123124123124123124123124\
         123124123124123124123124123124123124123124123124123124123124",
    ),
];

/// Weights 5,3,1: 7 turns; server 2 goes into maintenance: 12 turns; it comes back: 30 turns; server 3
/// gets weight 4: 200 turns; server 1 weight 0: 10 turns; it gets 5 again: 200 turns.
const CHANGES: [&str; 6] = [
    "1121321",
    "111111311111",
    "312112121312112121312112121312",
    "1213132131231213132131231213132131231213132131231213132131231213132131231213\
         1321312312131321312131231312132131231312132131231312132131231312132131231312\
         132131231312132131231312132131231312132131231312",
    "3232332332",
    "3213123123113213123123113213123123113213123123113213123123113213123123113213\
         1231231132131231231132131231231131312313121321312313121321312313121321312313\
         121321312313121321312313121321312313121321312313",
];

/// Weights; then what was done to which server, and the turns after it.
///
/// `m1`: server 1 into maintenance; `r1`: ready; `w1=5`: weight 5. No turns: no server was usable.
const SCENARIOS: &[(&[u32], Steps)] = &[
    (
        &[5, 3, 1],
        &[
            ("start", "1121321121121"),
            ("w1=33", "312"),
            ("m1", "2222222"),
            ("m3", "222222222222222222222222222222222222222222222222222222222222"),
            ("m1", "222"),
            ("w2=0", ""),
            ("w1=0", ""),
            ("r1", ""),
            ("m3", ""),
            ("w3=0", ""),
            ("r1", ""),
            ("r2", ""),
            ("r1", ""),
            ("r3", ""),
            ("r3", ""),
        ],
    ),
    (
        &[2, 4, 2, 4],
        &[
            ("start", "241243"),
            ("m1", "242423424234242342423424234242342423424234242342423424234242"),
            ("w2=33", "324222222224222222223422222222242222222324222222224222222223"),
            ("r4", "4222222"),
            ("r4", "2224222"),
            ("r2", "222232422222222422222222342222222224222222232422222222222242"),
            ("m2", "333443443443443443443443443443443443443443443443443443443443"),
            ("w3=2", "443443443443443443443443443443443443443443443443443443443443"),
            ("r4", "443443443443443443443443443443443443443443443443443443443443"),
            ("m1", "443443443443443443443443443443443443443443443443443443443443"),
            ("r4", "4434434"),
            ("w2=5", "434"),
            ("r1", "4314431"),
            ("w3=9", "4331433"),
            ("m1", "4333433"),
        ],
    ),
    (
        &[10, 20, 30],
        &[
            ("start", "323132323132323132"),
            ("m3", "221"),
            ("r3", "323123323123323123323123323123323123323123323123323123323123"),
            ("w3=2", "221221221221221322122122122122132212212212212213221221221221"),
            ("r2", "221"),
            ("r2", "322"),
            ("m3", "1221221"),
            ("r1", "2212212"),
            ("r1", "2122122"),
            ("w2=0", "111"),
            ("w2=9", "1121212"),
            ("w1=9", "2121212"),
            ("w3=2", "121212121212121212121212121212121212121212121212121212121212"),
            ("r2", "121"),
            ("r1", "212"),
        ],
    ),
    (
        &[1, 1, 1],
        &[
            ("start", "1231231231"),
            ("r3", "231"),
            ("r2", "2312312"),
            ("m2", "313"),
            ("r2", "132132132132132132132132132132132132132132132132132132132132"),
            ("r3", "132"),
            ("m3", "1212121"),
            ("w3=5", "2121212"),
            ("m2", "1111111"),
            ("w3=0", "111"),
            ("r1", "1111111"),
            ("m1", ""),
            ("m3", ""),
            ("r1", "111111111111111111111111111111111111111111111111111111111111"),
            ("r1", "111111111111111111111111111111111111111111111111111111111111"),
        ],
    ),
];

/// Weights; the servers of 24 connections that stay; and of 10 more after the first 6 were closed.
const LEAST_CONN: &[(&[u32], &str, &str)] = &[
    (&[1, 3], "122222122212221222122212", "2222122212"),
    (&[1, 1, 1], "123123123123123123123123", "1231231231"),
    (&[5, 3, 1], "123112121121121321121121", "3211213211"),
    (&[100, 10], "121111111111111111112111", "1121111111"),
];

#[test]
fn round_robin_picks_as_haproxy_does_for_any_weights() {
    for &(weights, turns) in ROUND_ROBIN {
        let mut bench = Bench::new(Algorithm::RoundRobin, weights);
        assert_eq!(bench.turns(turns.len()), turns, "weights {weights:?}");
    }
}

#[test]
fn round_robin_picks_as_haproxy_does_while_servers_change() {
    let mut bench = Bench::new(Algorithm::RoundRobin, &[5, 3, 1]);
    let changes: [fn(&mut Bench); 6] = [
        |_| {},
        |bench| bench.set(2, State::Down),
        |bench| bench.set(2, State::Up),
        |bench| bench.weigh(3, 4),
        |bench| bench.weigh(1, 0),
        |bench| bench.weigh(1, 5),
    ];
    for (step, (change, turns)) in changes.into_iter().zip(CHANGES).enumerate() {
        change(&mut bench);
        assert_eq!(bench.turns(turns.len()), turns, "step {step}");
    }
}

#[test]
fn least_conn_picks_as_haproxy_does_for_any_weights() {
    for &(weights, opened, reopened) in LEAST_CONN {
        let mut bench = Bench::new(Algorithm::LeastConn, weights);
        assert_eq!(bench.open_many(24), opened, "weights {weights:?}");
        for server in opened[..6].bytes() {
            bench.close(usize::from(server - b'0'));
        }
        assert_eq!(bench.open_many(10), reopened, "weights {weights:?}");
    }
}

#[test]
fn round_robin_picks_as_haproxy_does_whatever_the_runtime_api_does() {
    for &(weights, steps) in SCENARIOS {
        let mut bench = Bench::new(Algorithm::RoundRobin, weights);
        for (index, &(action, turns)) in steps.iter().enumerate() {
            let server = action[1..2].parse().unwrap_or(0);
            match action.as_bytes() {
                [b'm', _] => bench.set(server, State::Down),
                [b'r', _] => bench.set(server, State::Up),
                [b'w', ..] => bench.weigh(server, action[3..].parse().unwrap()),
                _ => {}
            }
            if turns.is_empty() {
                assert_eq!(bench.pick(), Choice::Nothing, "{weights:?}, step {index}: {action}");
            } else {
                let ours = bench.turns(turns.len());
                assert_eq!(ours, turns, "{weights:?}, step {index}: {action}");
            }
        }
    }
}

#[test]
fn static_round_robin_picks_as_haproxy_does() {
    let mut bench = Bench::new(Algorithm::StaticRoundRobin, &[5, 3, 1]);
    assert_eq!(bench.turns(18), "112121213112121213");
    let mut bench = Bench::new(Algorithm::StaticRoundRobin, &[100, 100, 100]);
    assert_eq!(bench.turns(9), "123123123");
}

#[test]
fn source_sends_an_address_where_haproxy_sends_it() {
    let mut bench = Bench::new(Algorithm::Source, &[1, 1, 1]);
    let turns: String = (1..=24)
        .map(|last| {
            let source = core::net::IpAddr::from([10, 0, 0, last]);
            let choice = bench.pool.pick(bench.now, &mut Candidates::new(Some(source)));
            let Choice::Server(ServerId(index)) = choice else { return '0' };
            char::from(b'1' + index as u8)
        })
        .collect();
    assert_eq!(turns, "312312312312312312312312");
}

#[test]
fn slow_start_raises_the_weight_as_haproxy_shows_it() {
    let slow = ServerConfig { weight: 100, slowstart: Duration::from_secs(2), ..server() };
    let mut bench = Bench::with(Algorithm::RoundRobin, [slow, server()]);
    assert_eq!(bench.pool.server(ServerId(0)).current_weight, 100, "not at the start");
    bench.wait(10_000);
    bench.set(1, State::Down);
    bench.set(1, State::Up);
    let mut steps = vec![];
    while let Some(deadline) = bench.pool.deadline() {
        let view = bench.pool.server(ServerId(0));
        steps.push((view.current_weight, view.throttle));
        bench.now = deadline;
        let done = bench.pool.tick(deadline, &mut bench.wakes);
        assert_eq!(done.is_empty(), bench.pool.deadline().is_some());
    }
    assert_eq!(steps, [(7, Some(6)), (57, Some(56))]);
    let view = bench.pool.server(ServerId(0));
    assert_eq!((view.current_weight, view.throttle), (100, None));
}
