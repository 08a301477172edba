use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use vrrp::config::{NextHop, Prefix, RouteConfig, RouteMode, RuleConfig};

use super::*;
use crate::Kernel;

/// In a network namespace with the link `left` (192.0.2.1/24, 2001:db8::1/64), if one can be made.
fn in_a_namespace(body: impl FnOnce(&mut Kernel, u32) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return eprintln!("SKIPPED: no network namespace: {error}");
        }
        ip("link add left type veth peer name right");
        ip("link set left up");
        ip("link set right up");
        ip("address add 192.0.2.1/24 dev left");
        ip("address add 2001:db8::1/64 dev left nodad");
        let mut kernel = Kernel::open().expect("a socket");
        let index = kernel.snapshot().expect("a dump").link("left").expect("just made").index;
        body(&mut kernel, index);
    });
    thread.join().expect("the body's assertions hold");
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2");
    assert!(output.status.success(), "ip {arguments}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').expect("a prefix");
    Prefix { address: address.parse().expect("one"), len: len.parse().expect("a length") }
}

fn apply(kernel: &mut Kernel, request: Request) {
    let refused = kernel.apply(&[request]).expect("sent");
    assert!(refused.is_empty(), "{refused:?}");
}

/// Adds a route, checks how `ip` shows it, removes it, and checks that it is gone.
fn there_and_gone(kernel: &mut Kernel, index: u32, config: &RouteConfig, show: &str, as_: &str) {
    let find = |name: &str| (name == "left").then_some(index);
    let add = route(config, Wish::There, Some("left"), &find).expect("left is there");
    apply(kernel, add);
    let shown = ip(show);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.starts_with(as_), "{shown:?} is not {as_:?}");
    let remove = route(config, Wish::Gone, Some("left"), &find).expect("left is there");
    apply(kernel, remove.clone());
    assert_eq!(ip(show), "");
    let refused = kernel.apply(&[remove]).expect("sent");
    assert!(crate::is_absence(&refused[0].1), "{refused:?}");
}

#[test]
fn routes_are_what_ip_shows() {
    in_a_namespace(|kernel, index| {
        let to = |text| RouteConfig { to: Some(prefix(text)), ..RouteConfig::default() };
        let via = "192.0.2.7".parse().ok();
        there_and_gone(
            kernel,
            index,
            &RouteConfig { via, metric: Some(7), ..to("198.51.100.9/24") },
            "route show 198.51.100.0/24",
            "198.51.100.0/24 via 192.0.2.7 dev left proto keepalived metric 7",
        );
        there_and_gone(
            kernel,
            index,
            &to("198.51.100.0/24"),
            "route show 198.51.100.0/24",
            "198.51.100.0/24 dev left proto keepalived",
        );
        there_and_gone(
            kernel,
            index,
            &RouteConfig { kind: Some(6), table: Some(1000), ..to("198.51.100.0/24") },
            "route show 198.51.100.0/24 table 1000",
            "blackhole 198.51.100.0/24 proto keepalived",
        );
        there_and_gone(
            kernel,
            index,
            &RouteConfig {
                via: "198.51.100.1".parse().ok(),
                interface: Some("left".into()),
                onlink: true,
                source: "192.0.2.1".parse().ok(),
                protocol: Some(4),
                metrics: vec![(2, 1400), (8, 1200)],
                locked: 1 << 2,
                congestion_control: Some("cubic".into()),
                mode: RouteMode::Append,
                ..RouteConfig::default()
            },
            "route show default",
            "default via 198.51.100.1 dev left proto static src 192.0.2.1 onlink mtu lock 1400 advmss \
             1200 congctl cubic",
        );
        there_and_gone(
            kernel,
            index,
            &RouteConfig {
                via: "2001:db8::7".parse().ok(),
                preference: Some(1),
                mode: RouteMode::Add,
                ..to("2001:db8:1::/48")
            },
            "-6 route show 2001:db8:1::/48",
            "2001:db8:1::/48 via 2001:db8::7 dev left proto keepalived metric 1024 pref high",
        );
    });
}

#[test]
fn a_route_over_several_ways_has_them_all() {
    in_a_namespace(|kernel, index| {
        let hop = |via: &str, weight| NextHop {
            via: via.parse().ok(),
            interface: Some("left".into()),
            weight,
            ..NextHop::default()
        };
        let config = RouteConfig {
            to: Some(prefix("198.51.100.0/24")),
            nexthops: vec![hop("192.0.2.7", 1), hop("192.0.2.8", 256)],
            ..RouteConfig::default()
        };
        there_and_gone(
            kernel,
            index,
            &config,
            "route show 198.51.100.0/24",
            "198.51.100.0/24 proto keepalived nexthop via 192.0.2.7 dev left weight 1 nexthop via \
             192.0.2.8 dev left weight 256",
        );
        let missing = RouteConfig { nexthops: vec![hop("192.0.2.7", 1)], ..config };
        assert_eq!(route(&missing, Wish::There, None, &|_| None), None);
    });
}

#[test]
fn rules_are_what_ip_shows() {
    in_a_namespace(|kernel, _| {
        let rules = [
            (
                RuleConfig {
                    from: Some(prefix("198.51.100.0/24")),
                    to: Some(prefix("203.0.113.0/24")),
                    table: Some(1000),
                    preference: Some(77),
                    not: true,
                    mark: Some((0x10, Some(0xff))),
                    input: Some("left".into()),
                    ..RuleConfig::default()
                },
                "rule show",
                "77: not from 198.51.100.0/24 to 203.0.113.0/24 fwmark 0x10/0xff iif left lookup \
                 1000 proto keepalived",
            ),
            (
                RuleConfig {
                    ipv6: true,
                    preference: Some(78),
                    action: Some(7),
                    uid_range: Some((5, 9)),
                    ip_protocol: Some(6),
                    source_ports: Some((1, 2)),
                    destination_ports: Some((80, 80)),
                    ..RuleConfig::default()
                },
                "-6 rule show",
                "78: from all uidrange 5-9 ipproto tcp sport 1-2 dport 80 unreachable proto \
                 keepalived",
            ),
            (
                RuleConfig {
                    preference: Some(79),
                    table: Some(5),
                    suppress_prefix_len: Some(3),
                    output: Some("left".into()),
                    tos: Some(16),
                    ..RuleConfig::default()
                },
                "rule show",
                "79: from all tos 0x10 oif left lookup 5 suppress_prefixlength 3 proto keepalived",
            ),
        ];
        for (config, show, expected) in rules {
            let add = rule(&config, Wish::There);
            apply(kernel, add.clone());
            let refused = kernel.apply(&[add]).expect("sent");
            assert_eq!(refused[0].1.kind(), std::io::ErrorKind::AlreadyExists);
            let tidy = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let shown = ip(show);
            let found = shown
                .lines()
                .map(tidy)
                .any(|line| line.replace("tos throughput", "tos 0x10") == expected);
            assert!(found, "{expected:?} is not in\n{shown}");
            apply(kernel, rule(&config, Wish::Gone));
            assert!(!ip(show).contains("keepalived"));
        }
    });
}

#[test]
fn what_somebody_takes_away_is_known_again() {
    let expected = route_key(&RouteConfig {
        to: Some(prefix("198.51.100.9/24")),
        metric: Some(7),
        ..RouteConfig::default()
    });
    // RTM_DELROUTE of 198.51.100.0/24 metric 7 in the main table.
    let fixed = [2, 24, 0, 0, 254, 18, 0, 1, 0, 0, 0, 0];
    let request = Request::new(RTM_DELROUTE, 0, &fixed)
        .with(RTA_DST, &[198, 51, 100, 0])
        .with(RTA_PRIORITY, &7_u32.to_ne_bytes());
    let mut datagram = Vec::new();
    request.write(1, &mut datagram);
    let config = RuleConfig { preference: Some(5), table: Some(300), ..RuleConfig::default() };
    rule(&config, Wish::Gone).write(2, &mut datagram);
    assert_eq!(gone(&datagram).collect::<Vec<_>>(), [expected, rule_key(&config)]);
    for end in 0..datagram.len() {
        let _ = gone(&datagram[..end]).count();
    }
}
