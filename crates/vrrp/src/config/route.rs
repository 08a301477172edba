//! Routes and rules, in the words of ip-route(8) and ip-rule(8).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// An address and the length of its prefix.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Prefix {
    /// The address, host bits and all, as it was written.
    pub address: IpAddr,
    /// 0 to 32 or 0 to 128.
    pub len: u8,
}

/// A route (`virtual_routes`, `static_routes`). Numbers are the kernel's (rtnetlink(7)); names of
/// tables, protocols, scopes and realms have been looked up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RouteConfig {
    /// Where to; everywhere if none.
    pub to: Option<Prefix>,
    /// Of which family, if nothing else tells.
    pub ipv6: bool,
    /// `RTN_UNICAST` and its like; unicast if none.
    pub kind: Option<u8>,
    /// `RTA_SRC`'s source prefix (`from`), IPv6 only.
    pub from: Option<Prefix>,
    /// The preferred source address (`src`).
    pub source: Option<IpAddr>,
    /// The gateway (`via`), possibly of the other family.
    pub via: Option<IpAddr>,
    /// The interface (`dev`); the instance's or the kernel's choice if none.
    pub interface: Option<String>,
    /// The gateway is on the link whatever the addresses say.
    pub onlink: bool,
    /// `RT_TABLE_MAIN` if none.
    pub table: Option<u32>,
    /// 18, keepalived's, if none.
    pub protocol: Option<u8>,
    /// The kernel's default if none.
    pub scope: Option<u8>,
    /// The metric.
    pub metric: Option<u32>,
    /// Type of service.
    pub tos: Option<u8>,
    /// `RTA_FLOW`.
    pub realms: Option<u32>,
    /// `RTA_METRICS`: number of the attribute (`RTAX_…`), its value, in the order written.
    pub metrics: Vec<(u16, u32)>,
    /// `RTAX_CC_ALGO`.
    pub congestion_control: Option<String>,
    /// Bit mask of the metrics that are locked.
    pub locked: u32,
    /// Seconds until an IPv6 route expires.
    pub expires: Option<u32>,
    /// Router preference of an IPv6 route: 0 medium, 1 high, 3 low.
    pub preference: Option<u8>,
    /// `RTA_TTL_PROPAGATE`.
    pub ttl_propagate: Option<bool>,
    /// Several ways, instead of [`via`](Self::via) and [`interface`](Self::interface).
    pub nexthops: Vec<NextHop>,
    /// What becomes of a route that is there already.
    pub mode: RouteMode,
    /// Its disappearance is nobody's fault.
    pub no_track: bool,
    /// The name of a [`TrackGroup`](super::TrackGroup), of a static route.
    pub track_group: Option<String>,
}

/// One way of several.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NextHop {
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: Option<String>,
    /// 1 to 256.
    pub weight: u16,
    /// As of a route.
    pub onlink: bool,
    /// As of a route.
    pub realms: Option<u32>,
}

/// Where a new route goes among its equals.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RouteMode {
    /// Before those that are there (`NLM_F_CREATE`).
    #[default]
    Prepend,
    /// Only if there is none (`NLM_F_CREATE | NLM_F_EXCL`).
    Add,
    /// Behind them (`NLM_F_CREATE | NLM_F_APPEND`).
    Append,
}

/// A rule (`virtual_rules`, `static_rules`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleConfig {
    /// Of which family.
    pub ipv6: bool,
    /// Everything but what is described.
    pub not: bool,
    /// Source prefix.
    pub from: Option<Prefix>,
    /// Destination prefix.
    pub to: Option<Prefix>,
    /// `FR_ACT_TO_TBL` and its like; a table if none.
    pub action: Option<u8>,
    /// Where to look.
    pub table: Option<u32>,
    /// The preference of another rule to go on at (`goto`).
    pub goto: Option<u32>,
    /// The smaller the earlier.
    pub preference: Option<u32>,
    /// Type of service.
    pub tos: Option<u8>,
    /// Mark, and mask if there is one.
    pub mark: Option<(u32, Option<u32>)>,
    /// Incoming interface.
    pub input: Option<String>,
    /// Outgoing interface.
    pub output: Option<String>,
    /// `FRA_FLOW`.
    pub realms: Option<u32>,
    /// `FRA_SUPPRESS_PREFIXLEN`.
    pub suppress_prefix_len: Option<u32>,
    /// `FRA_SUPPRESS_IFGROUP`.
    pub suppress_group: Option<u32>,
    /// `FRA_TUN_ID`.
    pub tunnel_id: Option<u64>,
    /// First and last user id.
    pub uid_range: Option<(u32, u32)>,
    /// `FRA_L3MDEV`.
    pub l3mdev: bool,
    /// `FRA_PROTOCOL`; 18, keepalived's, if none.
    pub protocol: Option<u8>,
    /// `FRA_IP_PROTO`.
    pub ip_protocol: Option<u8>,
    /// First and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port.
    pub destination_ports: Option<(u16, u16)>,
    /// Its disappearance is nobody's fault.
    pub no_track: bool,
    /// The name of a [`TrackGroup`](super::TrackGroup), of a static rule.
    pub track_group: Option<String>,
}
