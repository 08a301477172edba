//! Routes and rules, as rtnetlink(7) writes them.

use std::fmt;
use std::net::IpAddr;

use vrrp::config::{NextHop, Prefix, RouteConfig, RouteMode, RuleConfig};

use crate::request::{
    Answer, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, Request, answers, attributes,
};

// linux/rtnetlink.h
pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_NEWRULE: u16 = 32;
pub(crate) const RTM_DELRULE: u16 = 33;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_FLOW: u16 = 11;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;
const RTA_EXPIRES: u16 = 23;
const RTA_TTL_PROPAGATE: u16 = 26;
const RTAX_LOCK: u16 = 1;
const RTAX_CC_ALGO: u16 = 16;
const RTNH_F_ONLINK: u8 = 4;
const RT_TABLE_UNSPEC: u8 = 0;
const RT_TABLE_MAIN: u32 = 254;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BROADCAST: u8 = 3;
const RTN_ANYCAST: u8 = 4;
const RTN_MULTICAST: u8 = 5;
const RTN_NAT: u8 = 10;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_HOST: u8 = 254;
const RT_SCOPE_NOWHERE: u8 = 255;
/// linux/rtnetlink.h: `RTPROT_KEEPALIVED`.
pub(crate) const PROTOCOL: u8 = 18;
/// linux/ipv6_route.h: what a route without a metric gets.
const IP6_RT_PRIO_USER: u32 = 1024;
// linux/socket.h
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
// linux/fib_rules.h
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_FLOW: u16 = 11;
const FRA_TUN_ID: u16 = 12;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_GOTO: u8 = 2;
const FIB_RULE_INVERT: u32 = 2;

/// What tells a route or a rule from others, in our requests and in the kernel's notices.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RouteKey {
    /// A route.
    Route {
        /// Of IPv6.
        ipv6: bool,
        /// Where it is.
        table: u32,
        /// Where to, host bits clear.
        to: Option<(IpAddr, u8)>,
        /// Type of service.
        tos: u8,
        /// The smaller the better.
        metric: u32,
    },
    /// A rule.
    Rule {
        /// Of IPv6.
        ipv6: bool,
        /// The smaller the earlier.
        preference: u32,
        /// Source prefix.
        from: Option<(IpAddr, u8)>,
        /// Destination prefix.
        to: Option<(IpAddr, u8)>,
        /// Where to look.
        table: u32,
    },
}

/// As ip-route(8) and ip-rule(8) begin to show it.
impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |prefix: &Option<(IpAddr, u8)>, none: &str| match prefix {
            Some((address, len)) => format!("{address}/{len}"),
            None => none.to_owned(),
        };
        match self {
            Self::Route { table, to, metric, .. } => {
                write!(f, "route {} table {table} metric {metric}", or(to, "default"))
            }
            Self::Rule { preference, from, to, table, .. } => {
                let (from, to) = (or(from, "all"), or(to, "all"));
                write!(f, "rule {preference}: from {from} to {to} lookup {table}")
            }
        }
    }
}

/// Whether something is to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// Yes.
    There,
    /// No.
    Gone,
}

/// The request that adds or removes a route.
///
/// `index` finds the number of an interface; `default` is the interface of a route that names
/// neither a gateway nor an interface. `None` while an interface it names does not exist.
#[must_use]
pub fn route(
    config: &RouteConfig,
    wish: Wish,
    default: Option<&str>,
    index: &dyn Fn(&str) -> Option<u32>,
) -> Option<Request> {
    let ipv6 = is_ipv6(config);
    let kind = config.kind.unwrap_or(RTN_UNICAST);
    let table = config.table.unwrap_or(RT_TABLE_MAIN);
    let fixed = [
        if ipv6 { AF_INET6 } else { AF_INET },
        config.to.map_or(0, |to| to.len),
        config.from.map_or(0, |from| from.len),
        config.tos.unwrap_or(0),
        u8::try_from(table).unwrap_or(RT_TABLE_UNSPEC),
        config.protocol.unwrap_or(PROTOCOL),
        scope(config, kind, ipv6, wish),
        kind,
        if config.onlink { RTNH_F_ONLINK } else { 0 },
        0,
        0,
        0,
    ];
    let (message, flags) = match (wish, config.mode) {
        (Wish::Gone, _) => (RTM_DELROUTE, 0),
        (Wish::There, RouteMode::Prepend) => (RTM_NEWROUTE, NLM_F_CREATE),
        (Wish::There, RouteMode::Add) => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL),
        (Wish::There, RouteMode::Append) => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND),
    };
    let mut request = Request::new(message, flags, &fixed)
        .with_some(RTA_TABLE, Some(table.to_ne_bytes()))
        .with_some(RTA_PRIORITY, config.metric.map(u32::to_ne_bytes));
    if let Some(to) = config.to {
        request = request.with(RTA_DST, &octets(masked(to).0));
    }
    if let Some(from) = config.from {
        request = request.with(RTA_SRC, &octets(masked(from).0));
    }
    if let Some(source) = config.source {
        request = request.with(RTA_PREFSRC, &octets(source));
    }
    request = gateway(request, config.via, ipv6);
    let link = match (&config.interface, default) {
        (Some(name), _) => Some(index(name)?),
        (None, Some(name)) if is_on_link(config, kind) => Some(index(name)?),
        (None, _) => None,
    };
    request = request
        .with_some(RTA_OIF, link.map(u32::to_ne_bytes))
        .with_some(RTA_FLOW, config.realms.map(u32::to_ne_bytes))
        .with_some(RTA_EXPIRES, config.expires.map(u32::to_ne_bytes))
        .with_some(RTA_PREF, config.preference.map(|preference| [preference]))
        .with_some(RTA_TTL_PROPAGATE, config.ttl_propagate.map(|on| [u8::from(on)]));
    request = metrics(request, config);
    if !config.nexthops.is_empty() {
        let links: Option<Vec<Option<u32>>> = config
            .nexthops
            .iter()
            .map(|hop| match &hop.interface {
                Some(name) => index(name).map(Some),
                None => Some(None),
            })
            .collect();
        let links = links?;
        request = request.nested(RTA_MULTIPATH, |all| {
            config
                .nexthops
                .iter()
                .zip(links)
                .fold(all, |all, (hop, link)| next_hop(all, hop, link, ipv6))
        });
    }
    Some(request)
}

/// What a route is known by.
#[must_use]
pub fn route_key(config: &RouteConfig) -> RouteKey {
    let ipv6 = is_ipv6(config);
    let table = config.table.unwrap_or(RT_TABLE_MAIN);
    let default = if ipv6 { IP6_RT_PRIO_USER } else { 0 };
    RouteKey::Route {
        ipv6,
        table,
        to: config.to.map(masked).filter(|to| to.1 > 0),
        tos: config.tos.unwrap_or(0),
        metric: config.metric.unwrap_or(default),
    }
}

fn is_ipv6(config: &RouteConfig) -> bool {
    let told = config.to.or(config.from).map(|prefix| prefix.address);
    let via = config.via.or_else(|| config.nexthops.iter().find_map(|hop| hop.via));
    told.or(config.source).or(via).map_or(config.ipv6, |address| address.is_ipv6())
}

/// Whether its packets go to their destination without a gateway.
fn is_on_link(config: &RouteConfig, kind: u8) -> bool {
    let direct =
        matches!(kind, RTN_UNICAST | RTN_LOCAL | RTN_BROADCAST | RTN_ANYCAST | RTN_MULTICAST);
    direct && config.via.is_none() && config.nexthops.is_empty()
}

/// As keepalived fills in the scope of an IPv4 route that names none.
fn scope(config: &RouteConfig, kind: u8, ipv6: bool, wish: Wish) -> u8 {
    match (config.scope, kind) {
        (Some(scope), _) => scope,
        _ if ipv6 => RT_SCOPE_UNIVERSE,
        (None, RTN_LOCAL | RTN_NAT) => RT_SCOPE_HOST,
        (None, RTN_BROADCAST | RTN_MULTICAST | RTN_ANYCAST) => RT_SCOPE_LINK,
        (None, _) if wish == Wish::Gone => RT_SCOPE_NOWHERE,
        (None, _) => RT_SCOPE_UNIVERSE,
    }
}

fn gateway(request: Request, via: Option<IpAddr>, ipv6: bool) -> Request {
    match via {
        None => request,
        Some(via) if via.is_ipv6() == ipv6 => request.with(RTA_GATEWAY, &octets(via)),
        Some(via) => {
            let family = u16::from(if via.is_ipv6() { AF_INET6 } else { AF_INET });
            request.with_all(RTA_VIA, &[&family.to_ne_bytes(), &octets(via)])
        }
    }
}

fn metrics(request: Request, config: &RouteConfig) -> Request {
    if config.metrics.is_empty() && config.congestion_control.is_none() && config.locked == 0 {
        return request;
    }
    request.nested(RTA_METRICS, |mut all| {
        if config.locked != 0 {
            all = all.with(RTAX_LOCK, &config.locked.to_ne_bytes());
        }
        for (kind, value) in &config.metrics {
            all = all.with(*kind, &value.to_ne_bytes());
        }
        match &config.congestion_control {
            Some(name) => all.with_name(RTAX_CC_ALGO, name),
            None => all,
        }
    })
}

/// `struct rtnexthop` and its attributes.
fn next_hop(request: Request, hop: &NextHop, link: Option<u32>, ipv6: bool) -> Request {
    let weight = u8::try_from(hop.weight.clamp(1, 256) - 1).unwrap_or(u8::MAX);
    let flags = if hop.onlink { RTNH_F_ONLINK } else { 0 };
    let mut fixed = [0; 8];
    fixed[2] = flags;
    fixed[3] = weight;
    fixed[4..].copy_from_slice(&link.unwrap_or(0).to_ne_bytes());
    request.counted(&fixed, |all| {
        gateway(all, hop.via, ipv6).with_some(RTA_FLOW, hop.realms.map(u32::to_ne_bytes))
    })
}

/// The table a rule leads to, 0 for none, and what it does.
fn verdict(config: &RuleConfig) -> (u32, u8) {
    let default = if config.goto.is_some() { FR_ACT_GOTO } else { FR_ACT_TO_TBL };
    let action = config.action.unwrap_or(default);
    let looks_up = action == FR_ACT_TO_TBL && !config.l3mdev;
    (config.table.unwrap_or(if looks_up { RT_TABLE_MAIN } else { 0 }), action)
}

fn rule_is_ipv6(config: &RuleConfig) -> bool {
    config.from.or(config.to).map_or(config.ipv6, |prefix| prefix.address.is_ipv6())
}

/// What a rule is known by.
#[must_use]
pub fn rule_key(config: &RuleConfig) -> RouteKey {
    RouteKey::Rule {
        ipv6: rule_is_ipv6(config),
        preference: config.preference.unwrap_or(0),
        from: config.from.map(masked).filter(|from| from.1 > 0),
        to: config.to.map(masked).filter(|to| to.1 > 0),
        table: verdict(config).0,
    }
}

/// The request that adds or removes a rule. A rule names its interfaces, which need not exist.
#[must_use]
pub fn rule(config: &RuleConfig, wish: Wish) -> Request {
    let ipv6 = rule_is_ipv6(config);
    let (table, action) = verdict(config);
    let flags = if config.not { FIB_RULE_INVERT } else { 0 }.to_ne_bytes();
    let fixed = [
        if ipv6 { AF_INET6 } else { AF_INET },
        config.to.map_or(0, |to| to.len),
        config.from.map_or(0, |from| from.len),
        config.tos.unwrap_or(0),
        u8::try_from(table).unwrap_or(RT_TABLE_UNSPEC),
        0,
        0,
        action,
        flags[0],
        flags[1],
        flags[2],
        flags[3],
    ];
    let (message, create) = match wish {
        Wish::There => (RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL),
        Wish::Gone => (RTM_DELRULE, 0),
    };
    let mut request = Request::new(message, create, &fixed)
        .with_some(FRA_TABLE, (table > 0).then(|| table.to_ne_bytes()))
        .with_some(FRA_PRIORITY, config.preference.map(u32::to_ne_bytes))
        .with_some(FRA_GOTO, config.goto.map(u32::to_ne_bytes))
        .with_some(FRA_FWMARK, config.mark.map(|(mark, _)| mark.to_ne_bytes()))
        .with_some(FRA_FWMASK, config.mark.and_then(|(_, mask)| mask).map(u32::to_ne_bytes))
        .with_some(FRA_FLOW, config.realms.map(u32::to_ne_bytes))
        .with_some(FRA_TUN_ID, config.tunnel_id.map(u64::to_be_bytes))
        .with_some(FRA_SUPPRESS_IFGROUP, config.suppress_group.map(u32::to_ne_bytes))
        .with_some(FRA_SUPPRESS_PREFIXLEN, config.suppress_prefix_len.map(u32::to_ne_bytes))
        .with_some(FRA_L3MDEV, config.l3mdev.then_some([1]))
        // keepalived leaves it out where it does not look for its loss.
        .with_some(
            FRA_PROTOCOL,
            config.protocol.or((!config.no_track).then_some(PROTOCOL)).map(|protocol| [protocol]),
        )
        .with_some(FRA_IP_PROTO, config.ip_protocol.map(|protocol| [protocol]));
    if let Some(from) = config.from {
        request = request.with(FRA_SRC, &octets(masked(from).0));
    }
    if let Some(to) = config.to {
        request = request.with(FRA_DST, &octets(masked(to).0));
    }
    if let Some(name) = &config.input {
        request = request.with_name(FRA_IIFNAME, name);
    }
    if let Some(name) = &config.output {
        request = request.with_name(FRA_OIFNAME, name);
    }
    if let Some((first, last)) = config.uid_range {
        request = request.with_all(FRA_UID_RANGE, &[&first.to_ne_bytes(), &last.to_ne_bytes()]);
    }
    for (kind, ports) in
        [(FRA_SPORT_RANGE, config.source_ports), (FRA_DPORT_RANGE, config.destination_ports)]
    {
        if let Some((first, last)) = ports {
            request = request.with_all(kind, &[&first.to_ne_bytes(), &last.to_ne_bytes()]);
        }
    }
    request
}

/// The routes and rules a datagram of the kernel says are gone.
pub(crate) fn gone(datagram: &[u8]) -> impl Iterator<Item = RouteKey> {
    answers(datagram).filter_map(|answer| match answer.kind {
        RTM_DELROUTE => gone_route(&answer),
        RTM_DELRULE => gone_rule(&answer),
        _ => None,
    })
}

fn gone_route(answer: &Answer<'_>) -> Option<RouteKey> {
    let fixed: &[u8; 12] = answer.payload.first_chunk()?;
    let (mut table, mut to, mut metric) = (u32::from(fixed[4]), None, 0);
    for (kind, value) in attributes(&answer.payload[12..]) {
        match kind {
            RTA_TABLE => table = word(value)?,
            RTA_PRIORITY => metric = word(value)?,
            RTA_DST => to = Some((address(value)?, fixed[1])),
            _ => {}
        }
    }
    let ipv6 = fixed[0] == AF_INET6;
    Some(RouteKey::Route { ipv6, table, to, tos: fixed[3], metric })
}

fn gone_rule(answer: &Answer<'_>) -> Option<RouteKey> {
    let fixed: &[u8; 12] = answer.payload.first_chunk()?;
    let (mut table, mut preference) = (u32::from(fixed[4]), 0);
    let (mut from, mut to) = (None, None);
    for (kind, value) in attributes(&answer.payload[12..]) {
        match kind {
            FRA_TABLE => table = word(value)?,
            FRA_PRIORITY => preference = word(value)?,
            FRA_SRC => from = Some((address(value)?, fixed[2])),
            FRA_DST => to = Some((address(value)?, fixed[1])),
            _ => {}
        }
    }
    Some(RouteKey::Rule { ipv6: fixed[0] == AF_INET6, preference, from, to, table })
}

fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().copied().map(IpAddr::from),
        16 => value.first_chunk::<16>().copied().map(IpAddr::from),
        _ => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A prefix without host bits, which the kernel refuses in a route.
fn masked(prefix: Prefix) -> (IpAddr, u8) {
    let address = match prefix.address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
            IpAddr::V4((address.to_bits() & !host).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
            IpAddr::V6((address.to_bits() & !host).into())
        }
    };
    (address, prefix.len)
}

#[cfg(test)]
mod tests;
