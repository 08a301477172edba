//! 1,038 choices measured with nginx. The list stands beside the project and is not part of it; a
//! part of it is kept in the crate's own tests. Without the list this test says so and passes.

use std::path::PathBuf;

use balance::hash::murmur2;
use balance::{Algorithm, Candidates, Choice, Pool, PoolConfig, ServerConfig, ServerId};
use machine::Instant;

fn list() -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/reference/nginx-balance-vectors.tsv");
    std::fs::read_to_string(beside).ok()
}

fn pool(algorithm: Algorithm, weights: &[u32], down: Option<usize>) -> Pool {
    let servers = weights.iter().enumerate().map(|(at, &weight)| ServerConfig {
        weight,
        text: format!("127.0.0.1:{}", 21_001 + at),
        disabled: down == Some(at),
        ..ServerConfig::default()
    });
    Pool::new(PoolConfig { algorithm, ..PoolConfig::default() }, servers)
}

fn choice(pool: &mut Pool, key: &str) -> String {
    let mut candidates = Candidates::new(None);
    candidates.set_key(key);
    match pool.pick(Instant::ZERO, &mut candidates) {
        Choice::Server(server @ ServerId(at)) => {
            pool.release(Instant::ZERO, server, &mut Vec::new());
            format!("127.0.0.1:{}", 21_001 + at)
        }
        other => format!("{other:?}"),
    }
}

/// `split_clients { 10% a; 33.33% b; 0.5% c; * d; }`.
fn split(key: &str) -> String {
    let hash = u64::from(murmur2(key.as_bytes()));
    let shares = [(1_000_u64, "a"), (4_333, "b"), (4_383, "c")];
    let whole = u64::from(u32::MAX);
    let hit = shares.iter().find(|(until, _)| hash < until * whole / 10_000);
    hit.map_or("d", |(_, value)| value).to_owned()
}

#[test]
fn every_measured_choice_of_nginx_is_ours() {
    let Some(list) = list() else {
        eprintln!("SKIPPED: the list of measured choices is not here");
        return;
    };
    let (hash, consistent) =
        (Algorithm::SmoothHash { consistent: false }, Algorithm::SmoothHash { consistent: true });
    let mut pools = [
        ("hash", pool(hash, &[1, 1, 1, 2, 3], None)),
        ("chash", pool(consistent, &[1, 1, 1, 2, 3], None)),
        ("chash3", pool(consistent, &[1, 1, 1], None)),
        ("chash3down2", pool(consistent, &[1, 1, 1], Some(1))),
        ("rr", pool(Algorithm::SmoothRoundRobin, &[1, 1, 1, 2, 3], None)),
        ("rr511", pool(Algorithm::SmoothRoundRobin, &[5, 1, 1], None)),
    ];
    let mut wrong = Vec::new();
    let mut total = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(set), Some(key), Some(theirs)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let ours = match pools.iter_mut().find(|(name, _)| *name == set) {
            Some((name, pool)) => choice(pool, if name.starts_with("rr") { "" } else { key }),
            None if set == "split" => split(key),
            None => panic!("an unknown set: {set}"),
        };
        total += 1;
        if ours != theirs {
            wrong.push(format!("{set} {key}: {theirs}, ours {ours}"));
        }
    }
    eprintln!("{} of {total} choices identical", total - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(total, 1_038);
}
