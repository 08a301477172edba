//! Choices by a key: those measured with nginx and with HAProxy.

use super::*;

fn named(port: u16, weight: u32) -> ServerConfig {
    ServerConfig { weight, text: alloc::format!("127.0.0.1:{port}"), ..server() }
}

fn by_key(bench: &mut Bench, key: &str) -> usize {
    let mut candidates = Candidates::new(None);
    candidates.set_key(key);
    let Choice::Server(ServerId(index)) = bench.pool.pick(bench.now, &mut candidates) else {
        return 0;
    };
    bench.close(index + 1);
    index + 1
}

/// The servers the vectors were measured with.
fn nginx_pool(set: &str) -> Option<Bench> {
    let consistent = Algorithm::SmoothHash { consistent: true };
    let five = || [1, 1, 1, 2, 3].iter().zip(21_001..).map(|(&weight, port)| named(port, weight));
    let three = || (21_001..21_004).map(|port| named(port, 1));
    Some(match set {
        "hash" => Bench::with(Algorithm::SmoothHash { consistent: false }, five()),
        "chash" => Bench::with(consistent, five()),
        "chash3" => Bench::with(consistent, three()),
        "chash3down2" => Bench::with(
            consistent,
            three().enumerate().map(|(at, one)| ServerConfig { disabled: at == 1, ..one }),
        ),
        _ => return None,
    })
}

/// Every fifth of the measured choices of each set: the first key, each next
/// one being 5 more, and the servers.
const NGINX: &[(&str, usize, &str)] = &[
    ("hash", 22000, "5554421324315545455555452431421355545455"),
    ("chash", 23000, "5535454453242545544542445145544224245214"),
    ("chash3", 24000, "1213131212122313123312121231131323312223"),
    ("chash3down2", 25000, "3133331131331133113133331111333313131111"),
];

#[test]
fn nginx_hash_sends_the_measured_keys_to_the_measured_servers() {
    for (set, first, servers) in NGINX {
        let mut bench = nginx_pool(set).expect("a known set");
        let ours: String = (0..servers.len())
            .map(|at| alloc::format!("{}", by_key(&mut bench, &(first + 5 * at).to_string())))
            .collect();
        assert_eq!(ours, *servers, "{set}");
    }
}

#[test]
fn nginx_takes_servers_in_turn_without_a_key_and_when_the_hash_finds_none() {
    let mut bench = nginx_pool("hash").expect("a known set");
    assert_eq!(bench.turns(8), "54125345".to_string(), "as without `hash`");
    let mut bench = Bench::with(Algorithm::SmoothHash { consistent: false }, [named(1, 1)]);
    assert_eq!(by_key(&mut bench, "x"), 1);
}

#[test]
fn nginx_hash_goes_on_to_other_servers_and_then_to_the_backups() {
    let backup = ServerConfig { backup: true, ..named(21_009, 1) };
    for consistent in [false, true] {
        let servers = [named(21_001, 1), named(21_002, 1), backup.clone()];
        let mut bench = Bench::with(Algorithm::SmoothHash { consistent }, servers);
        let mut candidates = Candidates::new(None);
        candidates.set_key("22000");
        let mut tried = vec![];
        while let Choice::Server(ServerId(index)) = bench.pool.pick(bench.now, &mut candidates) {
            bench.close(index + 1);
            tried.push(index);
        }
        assert_eq!(tried.len(), 3, "each once: {tried:?}");
        assert_eq!(tried[2], 2, "the backup last");
    }
}

#[test]
fn nginx_random_follows_the_weights_and_two_prefers_who_has_less() {
    let mut bench = Bench::new(Algorithm::SmoothRandom { two: false }, &[3, 1]);
    let ones = bench.turns(4_000).matches('1').count();
    assert!((2_850..3_150).contains(&ones), "{ones} of 4000 for a share of 3 in 4");
    let mut bench = Bench::new(Algorithm::SmoothRandom { two: true }, &[1, 1]);
    // Of two servers both are drawn, so the one with fewer connections is always the choice.
    let opened = bench.open_many(100);
    assert_eq!(opened.matches('1').count(), 50, "{opened}");
    bench.set(1, State::Down);
    assert_eq!(bench.turns(20), "2".repeat(20));
}

fn haproxy(hash: HashType, algorithm: Algorithm, weights: &[u32]) -> Bench {
    let servers = weights.iter().enumerate().map(|(at, &weight)| ServerConfig {
        weight,
        id: at as u32 + 1,
        ..server()
    });
    let config = PoolConfig { algorithm, hash, ..PoolConfig::default() };
    Bench { pool: Pool::new(config, servers), now: Instant::ZERO, wakes: vec![] }
}

fn from_addresses(bench: &mut Bench) -> String {
    (1..=24)
        .map(|last| {
            let source = core::net::IpAddr::from([10, 0, 0, last]);
            match bench.pool.pick(bench.now, &mut Candidates::new(Some(source))) {
                Choice::Server(ServerId(index)) => {
                    bench.close(index + 1);
                    alloc::format!("{}", index + 1)
                }
                _ => "-".into(),
            }
        })
        .collect()
}

#[test]
fn balance_source_spreads_addresses_as_haproxy_does() {
    let map = HashType::default();
    assert_eq!(from_addresses(&mut haproxy(map, Algorithm::Source, &[1, 1, 1])), "312".repeat(8));
    let circle = HashType { consistent: true, avalanche: true, ..map };
    assert_eq!(
        from_addresses(&mut haproxy(circle, Algorithm::Source, &[1, 1, 1])),
        "111121213121212221321233"
    );
}

/// Servers of weights 3, 2 and 1 picked by HAProxy 2.6.12 with `balance hash` for the keys `k0` to
/// `k59`: method, function, modifier, servers.
const HAPROXY: &[(&str, &str, &str, &str)] = &[
    ("map-based", "sdbm", "", "311212311223112123113112123112112123112112123112122123112123"),
    (
        "map-based",
        "sdbm",
        "avalanche",
        "222111321211112111231132111211213212311211121313311112111233",
    ),
    ("map-based", "djb2", "", "112123112112311212311121231121123112123111212311211231121231"),
    (
        "map-based",
        "djb2",
        "avalanche",
        "211221111122112111221212211223121121221111212131112111211112",
    ),
    ("map-based", "wt6", "", "121122211212121111222222222221222221212222221111222222222222"),
    (
        "map-based",
        "wt6",
        "avalanche",
        "222232323212112331211221111111111113113122121111322111311112",
    ),
    ("map-based", "crc32", "", "111322121333311112112212313322111321221321223113221111111211"),
    (
        "map-based",
        "crc32",
        "avalanche",
        "121313121213121331313111121213131212213112211211121113111121",
    ),
    ("consistent", "sdbm", "", "111111111133333333333333333333333333333333333333333333333333"),
    (
        "consistent",
        "sdbm",
        "avalanche",
        "121312121131121212131111131121311211123111321113121211211121",
    ),
    ("consistent", "djb2", "", "111111111111111111111111111111111111111111111111111111111111"),
    (
        "consistent",
        "djb2",
        "avalanche",
        "111112211113212211113121221232222112111121122131111113111212",
    ),
    ("consistent", "wt6", "", "333112112311111113121111111312131111111113111111111311111111"),
    (
        "consistent",
        "wt6",
        "avalanche",
        "111311131112221112123112121111131121111111311211212111221222",
    ),
    ("consistent", "crc32", "", "121222122111121122111112211111112232212113221122111121122121"),
    (
        "consistent",
        "crc32",
        "avalanche",
        "212213232112111232113211121111132121122322231131121311321321",
    ),
];

#[test]
fn balance_hash_sends_the_measured_keys_to_the_measured_servers() {
    for (method, function, modifier, servers) in HAPROXY {
        let named = HashFunction::NAMES.iter().position(|name| name == function);
        let hash = HashType {
            consistent: *method == "consistent",
            function: HashFunction::ALL[named.expect("a function")],
            avalanche: *modifier == "avalanche",
            ..HashType::default()
        };
        let mut bench = haproxy(hash, Algorithm::Hash, &[3, 2, 1]);
        let key = |at: usize| alloc::format!("k{at}");
        let ours: String = (0..servers.len())
            .map(|at| alloc::format!("{}", by_key(&mut bench, &key(at))))
            .collect();
        assert_eq!(ours, *servers, "{method} {function} {modifier}");
    }
}

#[test]
fn a_consistent_hash_moves_only_the_keys_of_the_server_that_left() {
    let hash = HashType { consistent: true, avalanche: true, ..HashType::default() };
    let mut bench = haproxy(hash, Algorithm::Hash, &[1, 1, 1, 1]);
    let keys: Vec<String> = (0..500).map(|at| alloc::format!("key {at}")).collect();
    let before: Vec<usize> = keys.iter().map(|key| by_key(&mut bench, key)).collect();
    bench.set(2, State::Down);
    for (key, &was) in keys.iter().zip(&before) {
        let now = by_key(&mut bench, key);
        assert!(if was == 2 { now != 2 } else { now == was }, "{key}: {was}, then {now}");
    }
    bench.set(2, State::Up);
    let after: Vec<usize> = keys.iter().map(|key| by_key(&mut bench, key)).collect();
    assert_eq!(before, after);
}

#[test]
fn hash_balance_factor_bounds_the_load_of_a_popular_key() {
    let open = |bench: &mut Bench| {
        let mut candidates = Candidates::new(None);
        candidates.set_key("everybody");
        match bench.pool.pick(bench.now, &mut candidates) {
            Choice::Server(ServerId(index)) => index,
            _ => usize::MAX,
        }
    };
    let unbounded = HashType { consistent: true, avalanche: true, ..HashType::default() };
    let mut bench = haproxy(unbounded, Algorithm::Hash, &[1, 1, 1]);
    let first = open(&mut bench);
    assert!((0..29).all(|_| open(&mut bench) == first), "without it one server has them all");
    let mut bench =
        haproxy(HashType { balance_factor: 150, ..unbounded }, Algorithm::Hash, &[1, 1, 1]);
    let mut counts = [0; 3];
    for _ in 0..30 {
        counts[open(&mut bench)] += 1;
    }
    assert_eq!(counts.iter().max(), Some(&15), "half as much again as the mean of 10: {counts:?}");
}

#[test]
fn the_hash_none_takes_the_number_the_key_is() {
    assert_eq!(HashFunction::None.of(b"1234"), 1234);
    assert_eq!(HashFunction::None.of(b"-1"), u32::MAX);
    assert_eq!(HashFunction::None.of(b"7x9"), 7);
    assert_eq!(HashFunction::None.of(b"99999999999999999999999"), u32::MAX);
}

/// `maxconn` and `maxqueue` of each of three servers, what `hash-preserve-affinity` says, and where
/// HAProxy 3.2.26 sends clients that stay, from 127.0.1.1 on in steps of seven: to a server, to its
/// queue (`q`), or away (`-`).
const AFFINITIES: &[(u32, u32, Affinity, &str)] = &[
    (2, 0, Affinity::Always, "1 1 1q 0 0 0q 1q 0q 0q 0q 0q 2 0q 2"),
    (2, 0, Affinity::Maxconn, "1 1 2 0 0 2 1q 1q 1q 1q 1q 1q 1q 1q"),
    (2, 0, Affinity::Maxqueue, "1 1 1q 0 0 0q 1q 0q 0q 0q 0q 2 0q 2"),
    (2, 1, Affinity::Always, "1 1 1q 0 0 0q - - - - - 2 - 2"),
    (2, 1, Affinity::Maxconn, "1 1 2 0 0 2 1q - - - - - - -"),
    (2, 1, Affinity::Maxqueue, "1 1 1q 0 0 0q 2 2 2q - - - - -"),
    (0, 1, Affinity::Maxconn, "1 1 1 0 0 0 1 0 0 0 0 2 0 2"),
    (0, 1, Affinity::Maxqueue, "1 1 1 0 0 0 1 0 0 0 0 2 0 2"),
    (1, 2, Affinity::Always, "1 1q 1q 0 0q 0q - - - - - 2 - 2q"),
    (1, 2, Affinity::Maxconn, "1 2 0 1q 1q - - - - - - - - -"),
    (1, 2, Affinity::Maxqueue, "1 1q 1q 0 0q 0q 2 2q 2q - - - - -"),
];

#[test]
fn a_key_waits_or_goes_on_as_measured() {
    for &(maxconn, maxqueue, affinity, expected) in AFFINITIES {
        let hash = HashType { consistent: true, avalanche: true, affinity, ..HashType::default() };
        let config = PoolConfig { algorithm: Algorithm::Source, hash, ..PoolConfig::default() };
        let servers = (1..=3).map(|id| ServerConfig { id, maxconn, maxqueue, ..server() });
        let mut pool = Pool::new(config, servers);
        let waiting =
            |pool: &Pool| -> Vec<_> { (0..3).map(|at| pool.server(ServerId(at)).queued).collect() };
        let ends: Vec<String> = (0..14_u8)
            .map(|at| {
                let before = waiting(&pool);
                let mut candidates = Candidates::new(Some([127, 0, 1, at * 7 + 1].into()));
                match pool.pick(Instant::ZERO, &mut candidates) {
                    Choice::Server(ServerId(at)) => at.to_string(),
                    Choice::Wait(_) => {
                        let after = waiting(&pool);
                        let grown = (0..3).find(|&at| after[at] > before[at]);
                        grown.map_or_else(|| "any".into(), |at| alloc::format!("{at}q"))
                    }
                    Choice::Full(_) | Choice::Nothing => "-".into(),
                }
            })
            .collect();
        assert_eq!(ends.join(" "), expected, "{maxconn} {maxqueue} {affinity:?}");
    }
}

#[test]
fn servers_with_one_address_have_the_same_keys_whatever_their_numbers() {
    let hash = HashType { consistent: true, avalanche: true, ..HashType::default() };
    let config = PoolConfig { algorithm: Algorithm::Hash, hash, ..PoolConfig::default() };
    let places = ["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80", "[2001:db8::1]:81"];
    let pool = |order: [usize; 4], hash_key| {
        let servers = order.iter().zip(1..).map(|(&at, id)| ServerConfig {
            id,
            hash_key,
            address: places[at].parse().ok(),
            ..server()
        });
        let pool = Pool::new(config.clone(), servers);
        Bench { pool, now: Instant::ZERO, wakes: vec![] }
    };
    let there = |bench: &mut Bench, order: [usize; 4]| -> Vec<usize> {
        (0..200).map(|at| order[by_key(bench, &alloc::format!("k{at}")) - 1]).collect()
    };
    let (one, other) = ([0, 1, 2, 3], [3, 1, 0, 2]);
    let by = |key| (there(&mut pool(one, key), one), there(&mut pool(other, key), other));
    let (ids, ids_again) = by(HashKey::Id);
    assert_ne!(ids, ids_again);
    let (ports, ports_again) = by(HashKey::AddrPort);
    assert_eq!(ports, ports_again);
    assert!((0..4).all(|at| ports.contains(&at)));
    let mut moved = pool(one, HashKey::AddrPort);
    moved.pool.set_address(ServerId(0), "192.0.2.9:80".parse().ok());
    assert_ne!(there(&mut moved, one), ports);
    moved.pool.set_address(ServerId(0), places[0].parse().ok());
    assert_eq!(there(&mut moved, one), ports);
}
