//! Routes and rules as keepalived writes them.

use std::fmt::Write as _;

use vrrp::config::{NextHop, RouteConfig, RouteMode, RuleConfig};

use super::text::{prefix, unspecified};

/// `RTN_…` (linux/rtnetlink.h), by number.
const KINDS: [&str; 12] = [
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
];
const UNICAST: u8 = 1;
/// `RTAX_…` (linux/rtnetlink.h) in keepalived's order of writing, whether in milliseconds.
const METRICS: [(u16, &str, bool); 13] = [
    (2, "mtu", false),
    (8, "advmss", false),
    (4, "rtt", true),
    (5, "rttvar", true),
    (9, "reordering", false),
    (3, "window", false),
    (7, "cwnd", false),
    (6, "ssthresh", false),
    (13, "rto_min", true),
    (11, "initcwnd", false),
    (14, "initrwnd", false),
    (10, "hoplimit", false),
    (15, "quickack", false),
];
/// keepalived's own number as a routing protocol.
const PROTOCOL: u8 = 18;

fn kind(number: u8) -> &'static str {
    KINDS.get(usize::from(number)).copied().unwrap_or("unknown")
}

fn family(address: std::net::IpAddr) -> &'static str {
    if address.is_ipv4() { "inet" } else { "inet6" }
}

/// Appends formatted text; a String takes all of it.
macro_rules! add {
    ($out:expr, $($what:tt)*) => {{ let _ = write!($out, $($what)*); }};
}

/// One line of `virtual_routes` or `static_routes`.
pub(crate) fn route(route: &RouteConfig) -> String {
    let mut out = String::from(match route.mode {
        // A kind that cannot have equals is only ever added.
        RouteMode::Prepend if !matches!(route.kind, None | Some(UNICAST)) => "add",
        RouteMode::Prepend => "prepend",
        RouteMode::Add => "add",
        RouteMode::Append => "append",
    });
    if let Some(number) = route.kind.filter(|&number| number != UNICAST) {
        add!(out, " {}", kind(number));
    }
    match &route.to {
        Some(to) => add!(out, " {}/{}", to.address, to.len),
        None => add!(out, " {}/0", unspecified(!route.ipv6)),
    }
    if let Some(from) = &route.from {
        add!(out, " from {}", prefix(from));
    }
    if let Some(source) = route.source {
        add!(out, " src {source}");
    }
    if let Some(tos) = route.tos {
        add!(out, " tos {tos}");
    }
    if let Some(via) = route.via {
        add!(out, " via {} {via}", family(via));
    }
    if let Some(interface) = &route.interface {
        add!(out, " dev {interface}");
    }
    if let Some(table) = route.table {
        add!(out, " table {table}");
    }
    add!(out, " proto {}", route.protocol.unwrap_or(PROTOCOL));
    if let Some(scope) = route.scope {
        add!(out, " scope {scope}");
    }
    if let Some(metric) = route.metric {
        add!(out, " metric {metric}");
    }
    if route.onlink {
        out.push_str(" onlink");
    }
    if let Some(realms) = route.realms {
        add!(out, " realms {}", realms_of(realms));
    }
    if let Some(seconds) = route.expires {
        add!(out, " expires {seconds}sec");
    }
    if let Some(name) = &route.congestion_control {
        add!(out, " congctl {name}");
    }
    for (number, name, time) in METRICS {
        let Some((_, value)) = route.metrics.iter().find(|(metric, _)| *metric == number) else {
            continue;
        };
        let lock = if route.locked & (1 << number) != 0 { " lock" } else { "" };
        // The kernel counts rtt in eighths and rttvar in quarters of a millisecond.
        let value = match number {
            4 => value / 8,
            5 => value / 4,
            _ => *value,
        };
        add!(out, " {name}{lock} {value}{}", if time { "ms" } else { "" });
    }
    if let Some(preference) = route.preference {
        let name = match preference {
            1 => "high",
            3 => "low",
            _ => "medium",
        };
        add!(out, " pref {name}");
    }
    if let Some(propagate) = route.ttl_propagate {
        add!(out, " ttl-propagate {}", if propagate { "enabled" } else { "disabled" });
    }
    for hop in &route.nexthops {
        nexthop(&mut out, hop);
    }
    if route.no_track {
        out.push_str(" no_track");
    }
    if let Some(group) = &route.track_group {
        add!(out, " track_group {group}");
    }
    out
}

fn nexthop(out: &mut String, hop: &NextHop) {
    out.push_str(" nexthop");
    if let Some(via) = hop.via {
        add!(out, " via {} {via}", family(via));
    }
    if let Some(interface) = &hop.interface {
        add!(out, " dev {interface}");
    }
    add!(out, " weight {}", hop.weight.max(1));
    if hop.onlink {
        out.push_str(" onlink");
    }
    if let Some(realms) = hop.realms {
        add!(out, " realms {}", realms_of(realms));
    }
}

fn realms_of(realms: u32) -> String {
    match (realms >> 16, realms & 0xffff) {
        (0, to) => to.to_string(),
        (from, to) => format!("{from}/{to}"),
    }
}

/// `FR_ACT_…` (linux/fib_rules.h).
const TO_TABLE: u8 = 1;
const GOTO: u8 = 2;
const NOP: u8 = 3;

/// One line of `virtual_rules` or `static_rules`.
pub(crate) fn rule(rule: &RuleConfig) -> String {
    let mut out = String::new();
    if rule.not {
        out.push_str("not ");
    }
    match &rule.from {
        Some(from) => add!(out, "from {}", prefix(from)),
        None => out.push_str("from all"),
    }
    if let Some(to) = &rule.to {
        add!(out, " to {}", prefix(to));
    }
    if let Some(preference) = rule.preference {
        add!(out, " priority {preference}");
    }
    add!(out, " tos 0x{:x}", rule.tos.unwrap_or(0));
    match rule.mark {
        Some((mark, Some(mask))) => add!(out, " fwmark 0x{mark:x}/0x{mask:x}"),
        Some((mark, None)) => add!(out, " fwmark 0x{mark:x}"),
        None => {}
    }
    if let Some(interface) = &rule.input {
        add!(out, " iif {interface}");
    }
    if let Some(interface) = &rule.output {
        add!(out, " oif {interface}");
    }
    if let Some(len) = rule.suppress_prefix_len {
        add!(out, " suppress_prefixlen {len}");
    }
    if let Some(group) = rule.suppress_group {
        add!(out, " suppress_ifgroup {group}");
    }
    if let Some(tunnel) = rule.tunnel_id {
        add!(out, " tunnel-id {tunnel}");
    }
    if let Some((first, last)) = rule.uid_range {
        add!(out, " uidrange {first}-{last}");
    }
    if rule.l3mdev {
        out.push_str(" l3mdev");
    }
    // Rules that are not tracked are not marked as ours either.
    if !rule.no_track {
        add!(out, " protocol {}", rule.protocol.unwrap_or(PROTOCOL));
    }
    if let Some(protocol) = rule.ip_protocol {
        add!(out, " ipproto {protocol}");
    }
    for (name, ports) in [("sport", rule.source_ports), ("dport", rule.destination_ports)] {
        match ports {
            Some((first, last)) if first == last => add!(out, " {name} {first}"),
            Some((first, last)) => add!(out, " {name} {first}-{last}"),
            None => {}
        }
    }
    if let Some(realms) = rule.realms {
        add!(out, " realms {}", realms_of(realms));
    }
    match rule.action {
        None | Some(TO_TABLE) => add!(out, " lookup {}", rule.table.unwrap_or(0)),
        Some(GOTO) => add!(out, " goto {}", rule.goto.unwrap_or(0)),
        Some(NOP) => out.push_str(" type nop"),
        Some(action) => add!(out, " type {}", kind(action)),
    }
    if rule.no_track {
        out.push_str(" no_track");
    }
    if let Some(group) = &rule.track_group {
        add!(out, " track_group {group}");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use vrrp::config::Prefix;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn to(text: &str, len: u8) -> Option<Prefix> {
        Some(Prefix { address: ip(text), len })
    }

    #[test]
    fn routes_look_as_keepalived_2_2_7_writes_them() {
        let via = Some(ip("192.168.200.1"));
        let eth0 = Some("eth0".to_owned());
        let base = RouteConfig { to: to("10.77.0.0", 16), via, ..RouteConfig::default() };
        let cases = [
            (
                RouteConfig { no_track: true, ..base.clone() },
                "prepend 10.77.0.0/16 via inet 192.168.200.1 proto 18 no_track",
            ),
            (
                RouteConfig {
                    source: Some(ip("192.168.200.2")),
                    interface: eth0.clone(),
                    table: Some(10),
                    scope: Some(253),
                    onlink: true,
                    ..base.clone()
                },
                "prepend 10.77.0.0/16 src 192.168.200.2 via inet 192.168.200.1 dev eth0 table 10 \
                 proto 18 scope 253 onlink",
            ),
            (
                RouteConfig { to: to("10.98.0.0", 16), kind: Some(6), ..RouteConfig::default() },
                "add blackhole 10.98.0.0/16 proto 18",
            ),
            (
                RouteConfig {
                    to: None,
                    interface: eth0,
                    metric: Some(100),
                    metrics: vec![(2, 1400), (8, 1300), (11, 10), (15, 1)],
                    locked: 1 << 2,
                    ..base
                },
                "prepend 0.0.0.0/0 via inet 192.168.200.1 dev eth0 proto 18 metric 100 mtu lock 1400 \
                 advmss 1300 initcwnd 10 quickack 1",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(route(&config), expected);
        }
    }

    #[test]
    fn rules_look_as_keepalived_2_2_7_writes_them() {
        let from = to("10.3.0.0", 16);
        let cases = [
            (
                RuleConfig {
                    from,
                    to: to("10.4.0.0", 16),
                    preference: Some(900),
                    mark: Some((0x10, Some(0xff))),
                    input: Some("eth0".into()),
                    table: Some(55),
                    ..RuleConfig::default()
                },
                "from 10.3.0.0/16 to 10.4.0.0/16 priority 900 tos 0x0 fwmark 0x10/0xff iif eth0 \
                 protocol 18 lookup 55",
            ),
            (
                RuleConfig {
                    not: true,
                    from,
                    preference: Some(901),
                    table: Some(254),
                    no_track: true,
                    ..RuleConfig::default()
                },
                "not from 10.3.0.0/16 priority 901 tos 0x0 lookup 254 no_track",
            ),
            (
                RuleConfig {
                    to: to("10.5.0.0", 16),
                    preference: Some(904),
                    action: Some(GOTO),
                    goto: Some(950),
                    ..RuleConfig::default()
                },
                "from all to 10.5.0.0/16 priority 904 tos 0x0 protocol 18 goto 950",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(rule(&config), expected);
        }
    }
}
