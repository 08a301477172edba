//! `VRRP-MIB` (RFC 2787) and `VRRPV3-MIB` (RFC 6527), with keepalived's indices.

use std::net::IpAddr;
use std::time::Duration;

use agentx::{Oid, Tree, Value};
use vrrp::config::{Auth, InstanceConfig, Version};
use vrrp::{Counters, Reject, State};

use crate::view::{Router, View};

/// `RowStatus`, RFC 2579: active; and `TruthValue` true, and an interface's own "up".
const YES: i32 = 1;
const NO: i32 = 2;

/// `vrrpMIB`.
pub(super) fn v2() -> Oid {
    Oid::from([1, 3, 6, 1, 2, 1, 68])
}

/// `vrrpv3MIB`.
pub(super) fn v3() -> Oid {
    Oid::from([1, 3, 6, 1, 2, 1, 207])
}

/// `initialize(1), backup(2), master(3)` in both.
fn state(state: State) -> i32 {
    match state {
        State::Init | State::Fault => 1,
        State::Backup => 2,
        State::Master => 3,
    }
}

fn ticks(time: Duration) -> Value {
    // TimeTicks begin again after 497 days.
    Value::Ticks((time.as_millis() / 10) as u32)
}

fn counter(count: u64) -> Value {
    // Counter32 begins again (RFC 2578 §7.1.6).
    Value::Counter32(count as u32)
}

fn hardware(router: &Router, view: &View) -> Value {
    let link = router.link.and_then(|link| view.network.links.get(&link));
    Value::Octets(link.and_then(|link| link.hardware).unwrap_or_default().to_vec())
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Dropped packets of these causes.
fn dropped(counters: &Counters, causes: &[Reject]) -> u64 {
    causes.iter().map(|cause| counters.rejected[cause.cause()]).sum()
}

const LENGTH: &[Reject] = &[
    Reject::Length { received: 0, expected: 0 },
    Reject::TotalLength { received: 0, expected: 0 },
];
const INTERVAL: &[Reject] = &[Reject::Interval { mine: Duration::ZERO, theirs: Duration::ZERO }];

/// The master's address: our own while we are.
fn master(router: &Router) -> Option<IpAddr> {
    match router.state {
        State::Master => router.source,
        State::Backup => router.master,
        State::Init | State::Fault => None,
    }
}

fn v4(address: Option<IpAddr>) -> Value {
    match address {
        Some(IpAddr::V4(address)) => Value::Address(address),
        Some(IpAddr::V6(_)) | None => Value::Address([0, 0, 0, 0].into()),
    }
}

/// RFC 2787: version 2 over IPv4 only.
pub(super) fn fill_v2(tree: &mut Tree, view: &View) {
    let root = v2();
    // vrrpNodeVersion, vrrpNotificationCntl.
    tree.set(root.child([1, 1, 0]), Value::Integer(2));
    let traps = if view.config.globals.snmp.traps { YES } else { NO };
    tree.set(root.child([1, 2, 0]), Value::Integer(traps));
    let is_old = |r: &&Router| r.config.version == Version::V2 && r.config.is_ipv4();
    let routers = || view.routers.iter().filter(is_old);
    let sum = |cause: Reject| routers().map(|r| r.counters.rejected[cause.cause()]).sum();
    let versions = Reject::Version { received: 0, expected: Version::V2 };
    for (last, total) in
        [(1, sum(Reject::Checksum(Version::V2))), (2, sum(versions)), (3, sum(Reject::Vrid(0)))]
    {
        tree.set(root.child([2, last, 0]), counter(total));
    }
    for router in routers() {
        v2_router(tree, &root, router, view);
    }
}

fn v2_router(tree: &mut Tree, root: &Oid, router: &Router, view: &View) {
    let config = &router.config;
    let index = [router.link.unwrap_or(0), u32::from(config.vrid.0)];
    let seconds = i32::try_from(config.advert_interval.as_secs()).unwrap_or(i32::MAX);
    let auth = match config.auth {
        None => 1,
        Some(Auth::Pass(_)) => 2,
        Some(Auth::Ah(_)) => 3,
    };
    let up = matches!(router.state, State::Backup | State::Master);
    let operations = [
        (2, hardware(router, view)),
        (3, Value::Integer(state(router.state))),
        (4, Value::Integer(if up { YES } else { NO })),
        (5, Value::Integer(router.priority.into())),
        (6, Value::Integer(count(config.addresses.len()))),
        (7, v4(master(router))),
        (8, v4(router.source)),
        (9, Value::Integer(auth)),
        (11, Value::Integer(seconds)),
        (12, Value::Integer(if config.preempt { YES } else { NO })),
        (13, ticks(router.for_how_long(view.boot))),
        (14, Value::Integer(1)),
        (15, Value::Integer(YES)),
    ];
    for (column, value) in operations {
        tree.set(root.child([1, 3, 1, column]).child(index), value);
    }
    for address in &config.addresses {
        if let IpAddr::V4(address) = address.address {
            let octets = address.octets().map(u32::from);
            let row = root.child([1, 4, 1, 2]).child(index).child(octets);
            tree.set(row, Value::Integer(YES));
        }
    }
    let counters = &router.counters;
    let auth_type = Reject::AuthType { received: 0, expected: 0 };
    let statistics = [
        (1, counters.became_master),
        (2, counters.adverts_received),
        (3, dropped(counters, INTERVAL)),
        (4, dropped(counters, &[Reject::Password])),
        (5, dropped(counters, &[Reject::Ttl(0)])),
        (6, counters.zero_received),
        (7, counters.zero_sent),
        (8, dropped(counters, &[Reject::PacketType(0)])),
        (9, counters.address_mismatches),
        (10, dropped(counters, &[auth_type])),
        (11, 0),
        (12, dropped(counters, LENGTH)),
    ];
    for (column, number) in statistics {
        tree.set(root.child([2, 4, 1, column]).child(index), counter(number));
    }
}

/// RFC 6527: both versions and families, as keepalived has it.
pub(super) fn fill_v3(tree: &mut Tree, view: &View) {
    let root = v3();
    let sum = |cause: Reject| {
        let all = view.routers.iter().map(|r| r.counters.rejected[cause.cause()]);
        Value::Counter64(all.sum())
    };
    let versions = Reject::Version { received: 0, expected: Version::V3 };
    tree.set(root.child([1, 2, 1, 0]), sum(Reject::Checksum(Version::V3)));
    tree.set(root.child([1, 2, 2, 0]), sum(versions));
    tree.set(root.child([1, 2, 3, 0]), sum(Reject::Vrid(0)));
    tree.set(root.child([1, 2, 4, 0]), Value::Ticks(0));
    for router in &view.routers {
        v3_router(tree, &root, router, view);
    }
}

/// `InetAddressType`, RFC 4001.
fn family(config: &InstanceConfig) -> u32 {
    if config.is_ipv4() { 1 } else { 2 }
}

fn inet(address: Option<IpAddr>, config: &InstanceConfig) -> Value {
    let nowhere = if config.is_ipv4() { vec![0; 4] } else { vec![0; 16] };
    address.map_or(Value::Octets(nowhere), Value::from)
}

fn v3_router(tree: &mut Tree, root: &Oid, router: &Router, view: &View) {
    let config = &router.config;
    let index = [router.link.unwrap_or(0), u32::from(config.vrid.0), family(config)];
    let centis = i32::try_from(config.advert_interval.as_millis() / 10).unwrap_or(i32::MAX);
    let yes = |is: bool| Value::Integer(if is { YES } else { NO });
    let operations = [
        (3, inet(master(router), config)),
        (4, inet(router.source, config)),
        (5, hardware(router, view)),
        (6, Value::Integer(state(router.state))),
        (7, Value::Gauge(router.priority.into())),
        (8, Value::Integer(count(config.addresses.len()))),
        (9, Value::Integer(centis)),
        (10, yes(config.preempt)),
        (11, yes(config.accept)),
        (12, ticks(router.for_how_long(view.boot))),
        (13, Value::Integer(YES)),
    ];
    for (column, value) in operations {
        tree.set(root.child([1, 1, 1, 1, column]).child(index), value);
    }
    for address in &config.addresses {
        let octets: Vec<u32> = match address.address {
            IpAddr::V4(address) => address.octets().map(u32::from).to_vec(),
            IpAddr::V6(address) => address.octets().map(u32::from).to_vec(),
        };
        let row = root.child([1, 1, 2, 1, 2]).child(index).child(octets);
        tree.set(row, Value::Integer(YES));
    }
    let counters = &router.counters;
    // notMaster, priority, preempted, masterNoResponse: which is not kept apart beyond this.
    let reason = if router.state == State::Master { 3 } else { 0 };
    let refresh = u32::try_from(config.advert_interval.as_millis()).unwrap_or(u32::MAX);
    let statistics = [
        (1, counter(counters.became_master)),
        (2, Value::Integer(reason)),
        (3, Value::Counter64(counters.adverts_received)),
        (4, Value::Counter64(dropped(counters, INTERVAL))),
        (5, Value::Counter64(dropped(counters, &[Reject::Ttl(0)]))),
        (6, Value::Integer(0)),
        (7, Value::Counter64(counters.zero_received)),
        (8, Value::Counter64(counters.zero_sent)),
        (9, Value::Counter64(dropped(counters, &[Reject::PacketType(0)]))),
        (10, Value::Counter64(counters.address_mismatches)),
        (11, Value::Counter64(dropped(counters, LENGTH))),
        (12, Value::Ticks(0)),
        (13, Value::Gauge(refresh)),
    ];
    for (column, value) in statistics {
        tree.set(root.child([1, 2, 5, 1, column]).child(index), value);
    }
}
