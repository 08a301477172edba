use std::net::{IpAddr, Ipv4Addr};

use netlink::{Link, Snapshot};
use vrrp::config::{Config, InstanceConfig, SyncGroupConfig, VirtualAddress, Vrid};
use vrrp::{Counters, State};

use super::*;
use crate::role::watch::Watch;
use crate::view::{Group, Router, Totals};

fn config() -> Config {
    let address = |last| VirtualAddress::host(Ipv4Addr::new(192, 0, 2, last).into());
    let instance = InstanceConfig {
        name: "VI_1".into(),
        interface: "eth0".into(),
        vrid: Vrid(51),
        addresses: vec![address(100)],
        excluded: vec![address(101)],
        ..InstanceConfig::default()
    };
    let group = SyncGroupConfig {
        name: "G".into(),
        instances: vec!["VI_1".into()],
        ..SyncGroupConfig::default()
    };
    Config { instances: vec![instance], sync_groups: vec![group], ..Config::default() }
}

fn tree_of(snmp: &SnmpConfig) -> Tree {
    let config = config();
    let router = Router {
        config: config.instances[0].clone(),
        state: State::Init,
        priority: 100,
        master: None,
        source: None,
        down_interval: Duration::ZERO,
        master_interval: Duration::ZERO,
        lease: None,
        counters: Counters::default(),
        watch: Watch::new(Duration::ZERO),
        due_in: None,
        link: Some(3),
        socket: None,
        trackers: vec![],
    };
    let link = Link {
        index: 3,
        name: "eth0".into(),
        hardware: Some([2, 0, 0, 0, 0, 1]),
        ..Link::default()
    };
    let mut network = Snapshot::default();
    network.links.insert(3, link);
    let view = View {
        at: Duration::ZERO,
        boot: Duration::from_millis(1250),
        routers: vec![router],
        groups: vec![Group { name: "G".into(), state: State::Backup }],
        scripts: vec![],
        sockets: vec![],
        network,
        totals: Totals::default(),
        config,
    };
    let (router_id, mail_from) = ("R1".into(), "root@R1".into());
    tree(snmp, &view, &Names { version: "Keepalived", router_id, mail_from })
}

fn at(tree: &Tree, oid: &str) -> Option<Value> {
    let numbers: Vec<u32> = oid.split('.').filter_map(|number| number.parse().ok()).collect();
    tree.get(&Oid::from(numbers)).cloned()
}

const BASE: &str = "1.3.6.1.4.1.9586.100.5";

#[test]
fn keepalived_s_own_mib_tells_of_instances_groups_and_addresses() {
    let tree = tree_of(&SnmpConfig { keepalived: true, ..SnmpConfig::default() });
    let get = |rest: &str| at(&tree, &format!("{BASE}.{rest}"));
    assert_eq!(get("1.2.0"), Some("R1".into()));
    assert_eq!(get("2.1.1.2.1"), Some("G".into()));
    assert_eq!(get("2.1.1.3.1"), Some(Value::Integer(1)), "the group is backup");
    assert_eq!(get("2.3.1.2.1"), Some("VI_1".into()));
    assert_eq!(get("2.3.1.3.1"), Some(Value::Gauge(51)));
    assert_eq!(get("2.3.1.4.1"), Some(Value::Integer(0)), "the instance was not started");
    assert_eq!(get("2.3.1.18.1"), Some("G".into()));
    assert_eq!(get("2.6.1.3.1.2"), Some(IpAddr::from([192, 0, 2, 101]).into()));
    assert_eq!(get("2.6.1.11.1.1"), Some(Value::Integer(1)), "advertised");
    assert_eq!(get("2.6.1.11.1.2"), Some(Value::Integer(2)), "not advertised");
    assert_eq!(at(&tree, "1.3.6.1.2.1.68.1.1.0"), None, "the other MIBs are not asked for");
}

#[test]
fn the_mibs_of_the_rfcs_are_indexed_by_interface_and_number() {
    let tree = tree_of(&SnmpConfig { rfc_v2: true, rfc_v3: true, ..SnmpConfig::default() });
    let v2 = |rest: &str| at(&tree, &format!("1.3.6.1.2.1.68.{rest}"));
    assert_eq!(v2("1.3.1.5.3.51"), Some(Value::Integer(100)), "priority");
    assert_eq!(v2("1.3.1.13.3.51"), Some(Value::Ticks(125)));
    assert_eq!(v2("1.4.1.2.3.51.192.0.2.100"), Some(Value::Integer(1)));
    assert_eq!(v2("1.4.1.2.3.51.192.0.2.101"), None, "it is in no advert");
    let v3 = |rest: &str| at(&tree, &format!("1.3.6.1.2.1.207.{rest}"));
    assert_eq!(v3("1.1.1.1.5.3.51.1"), Some(Value::Octets(vec![2, 0, 0, 0, 0, 1])));
    assert_eq!(v3("1.1.1.1.9.3.51.1"), Some(Value::Integer(100)), "hundredths of a second");
    assert_eq!(at(&tree, &format!("{BASE}.1.2.0")), None);
}

#[test]
fn a_place_without_a_port_has_that_of_agentx() {
    let cases = [
        ("localhost", "localhost:705"),
        ("192.0.2.1:1705", "192.0.2.1:1705"),
        ("1705", "localhost:1705"),
        ("", "localhost:705"),
    ];
    for (place, expected) in cases {
        assert_eq!(with_port(place), expected);
    }
}

/// Waits for one event, and takes it in.
async fn go_on(agent: &mut Agent, now: Instant) -> Said {
    match agent.next(now).await {
        AgentEvent::Connected(connection) => agent.connected(now, connection),
        AgentEvent::Ready => agent.serve(now, || unreachable!("nothing was asked for")),
    }
}

#[tokio::test]
async fn an_attempt_to_connect_goes_on_whatever_else_happens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("tcp:{}", listener.local_addr().expect("bound"));
    let config = SnmpConfig { socket: Some(address), keepalived: true, ..SnmpConfig::default() };
    let mut agent = Agent::new(&config);
    let now = Instant::ZERO;
    for _ in 0..5 {
        tokio::select! {
            biased;
            _ = agent.next(now) => panic!("it has had no time to connect"),
            () = std::future::ready(()) => {}
        }
    }
    let said = go_on(&mut agent, now).await.expect("a line");
    assert_eq!(said, "NET-SNMP AgentX subagent connected");
    let _first = listener.accept().await.expect("a subagent");
    tokio::select! {
        biased;
        _ = listener.accept() => panic!("there was another attempt"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_master_agent_that_is_not_there_is_missed_once_and_tried_again_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = format!("unix:{}", folder.path().join("master").display());
    let config =
        SnmpConfig { socket: Some(socket), keepalived: true, traps: true, ..SnmpConfig::default() };
    let mut agent = Agent::new(&config);
    let now = Instant::ZERO;
    assert!(agent.wants_traps(), "kept for the first connection");
    let said = go_on(&mut agent, now).await.expect("a line");
    assert!(said.starts_with("Warning: Failed to connect to the agentx master agent"), "{said}");
    assert_eq!(agent.deadline(now), Some(now + RETRY));
    assert!(!agent.wants_traps());
    assert_eq!(go_on(&mut agent, now + RETRY).await, None, "said once");

    let listener = tokio::net::UnixListener::bind(folder.path().join("master")).expect("a socket");
    let later = now + RETRY * 2;
    let said = go_on(&mut agent, later).await.expect("a line");
    assert_eq!(said, "NET-SNMP AgentX subagent connected");
    let (stream, _) = listener.accept().await.expect("a subagent");
    let mut hello = [0; 20];
    stream.readable().await.expect("something");
    stream.try_read(&mut hello).expect("a header");
    assert_eq!(hello[..2], [1, 1], "an Open-PDU");

    drop(stream);
    let said = go_on(&mut agent, later).await.expect("a line");
    assert!(said.contains("trying again in 15 s"), "{said}");
    assert_eq!(agent.deadline(later), Some(later + RETRY));
}

#[test]
fn nothing_is_done_where_nothing_is_configured() {
    let agent = Agent::idle();
    assert_eq!(agent.deadline(Instant::ZERO), None);
    assert!(!agent.wants_traps());
}
