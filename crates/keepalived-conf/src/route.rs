//! The lines of `virtual_routes` and `static_routes`, in the words of ip-route(8).

mod nexthop;

use std::net::IpAddr;

use conf::{Binder, Problem, Span, Stmt, Word};
use vrrp::config::{Prefix, RouteConfig, RouteMode};

use crate::names::Names;
use crate::number::unsigned;
use crate::wording::CHILD;

/// `RTPROT_KEEPALIVED`
pub(crate) const KEEPALIVED: u8 = 18;

/// What a line is checked against.
pub(crate) struct Around<'a> {
    /// The names of tables and their like.
    pub(crate) names: &'a Names<'a>,
    /// Whether there is an interface of this name, or may be one later.
    pub(crate) has_interface: &'a dyn Fn(&str) -> bool,
    /// It is one of `static_routes` or `static_rules`: `track_group` is a word, and these are known.
    pub(crate) groups: Option<&'a [String]>,
}

/// The kernel's names of the kinds of route (`RTN_…`).
const KINDS: &[(&str, u8)] = &[
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
    ("throw", 9),
    ("nat", 10),
    ("xresolve", 11),
];

/// The number of a kind of route, by its name.
pub(crate) fn kind(word: &str) -> Option<u8> {
    KINDS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

/// `RTAX_…` numbers of the words that set a plain number, and the largest one allowed.
const METRICS: &[(&str, u16, u32, &str)] = &[
    ("mtu", 2, u32::MAX, "Invalid MTU {} specified for route"),
    ("window", 3, u32::MAX, "Invalid window value {} specified for route"),
    ("rtt", 4, u32::MAX / 8, "Invalid rtt {} for route"),
    ("rttvar", 5, u32::MAX / 4, "Invalid rttvar {} for route"),
    ("ssthresh", 6, u32::MAX, "Invalid ssthresh value {} specified for route"),
    ("cwnd", 7, u32::MAX, "Invalid cwnd value {} specified for route"),
    ("advmss", 8, u32::MAX, "Invalid advmss {} specified for route"),
    ("reordering", 9, u32::MAX, "Invalid reordering value {} specified for route"),
    ("hoplimit", 10, 255, "Invalid hoplimit {} specified for route"),
    ("initcwnd", 11, u32::MAX, "Invalid initcwnd value {} specified for route"),
    ("rto_min", 13, u32::MAX, "Invalid rto_min value {} specified for route"),
    ("initrwnd", 14, u32::MAX, "Invalid initrwnd value {} specified for route"),
    ("quickack", 15, 1, "Invalid quickack value {} specified for route"),
    ("fastopen_no_cookie", 17, 1, "Invalid fastopen_no_cookie value {} specified for route"),
];

/// `RTAX_FEATURES` and its bit for ECN.
const FEATURES: (u16, u32) = (12, 1);
/// `RTAX_CC_ALGO`
const CONGESTION_CONTROL: u16 = 16;

/// Why a line is given up. The complaint has been made.
pub(crate) struct Refused;

/// What came of reading a part of one.
pub(crate) type Step<T = ()> = Result<T, Refused>;

struct Reader<'a, 'w> {
    around: &'a Around<'a>,
    b: &'a mut Binder,
    line: &'w Stmt,
    /// The word that is looked at next.
    at: usize,
    family: Option<bool>,
}

/// Reads one line; nothing where keepalived drops it.
pub(crate) fn read(line: &Stmt, around: &Around<'_>, b: &mut Binder) -> Option<RouteConfig> {
    let mut reader = Reader { around, b, line, at: 0, family: None };
    let mut route = RouteConfig::default();
    let mut found = Found::default();
    reader.words(&mut route, &mut found).ok()?;
    reader.check(&mut route, &found).ok()?;
    Some(route)
}

/// What has been named already.
#[derive(Default)]
struct Found {
    destination: bool,
    /// The gateways of `… or …`, an old way to name two.
    or: Option<IpAddr>,
}

impl<'w> Reader<'_, 'w> {
    fn words(&mut self, route: &mut RouteConfig, found: &mut Found) -> Step {
        while let Some(word) = self.line.words.get(self.at) {
            self.at += 1;
            if word.text == "nexthop" {
                self.at -= 1;
                nexthop::read(self, route)?;
                return Ok(());
            }
            self.word(word, route, found)?;
        }
        Ok(())
    }

    fn word(&mut self, word: &'w Word, route: &mut RouteConfig, found: &mut Found) -> Step {
        match word.text.as_str() {
            "inet" => self.family_is(false, "inet specified for IPv6 route", word)?,
            "inet6" => self.family_is(true, "inet6 specified for IPv4 route", word)?,
            "src" => route.source = Some(self.address("invalid route src address {}")?),
            "as" => {
                let next = self.argument()?;
                if next.text == "to" {
                    self.argument()?;
                }
                self.say(word.span, "\"as to\" for MPLS only - ignoring".to_owned());
            }
            "via" | "gw" => {
                if word.text == "gw" {
                    let said = "\"gw\" for routes is deprecated. Please use \"via\"".to_owned();
                    self.say(word.span, said);
                }
                if ["inet", "inet6"].contains(&self.line.word(self.at)) {
                    self.at += 1;
                }
                route.via = Some(self.address("invalid route via address {}")?);
            }
            "from" => {
                let word = self.argument()?;
                let from = self.prefix(word)?.filter(|_| true);
                let Some(from) = from else {
                    return self
                        .refuse(word.span, format!("invalid route from address {}", word.text));
                };
                if from.address.is_ipv4() {
                    let said =
                        format!("route from address only supported with IPv6 ({})", word.text);
                    return self.refuse(word.span, said);
                }
                self.same_family(from.address, word.span)?;
                route.from = Some(from);
            }
            "tos" | "dsfield" => {
                let word = self.argument()?;
                let tos = self.around.names.number("rt_dsfield", &word.text, 255);
                let Some(tos) = tos.and_then(|n| u8::try_from(n).ok()) else {
                    return self.refuse(word.span, format!("TOS value {} is invalid", word.text));
                };
                route.tos = Some(tos);
            }
            "table" => {
                let word = self.argument()?;
                let table = self.around.names.number("rt_tables", &word.text, u32::MAX);
                let Some(table) = table else {
                    let said = format!("Routing table {} not found for route", word.text);
                    return self.refuse(word.span, said);
                };
                route.table = Some(table);
            }
            "protocol" => {
                let said = "Protocol {} not found or invalid for route";
                route.protocol = Some(self.named("rt_protos", said)?);
            }
            "scope" => {
                route.scope =
                    Some(self.named("rt_scopes", "Scope {} not found or invalid for route")?);
            }
            "metric" | "priority" | "preference" => {
                route.metric =
                    Some(self.number(u32::MAX, "Invalid metric {} specified for route")?);
            }
            "dev" | "oif" => route.interface = Some(self.interface()?),
            "onlink" => route.onlink = true,
            "encap" | "vrf" => {
                let problem = Problem::Planned { keyword: format!("{} of a route", word.text) };
                self.b.error(word.span, problem).context.push_str(CHILD);
                return Err(Refused);
            }
            "expires" => {
                let word = self.argument()?;
                if self.family == Some(false) {
                    let said = "expires is only valid for IPv6".to_owned();
                    return self.refuse(word.span, said);
                }
                self.family = Some(true);
                route.expires = Some(self.checked(
                    word,
                    u32::MAX,
                    "Invalid expires time {} specified for route",
                )?);
            }
            "realms" => route.realms = Some(self.realms()?),
            "features" => self.features(route)?,
            "congctl" => {
                let mut word = self.argument()?;
                if word.text == "lock" {
                    route.locked |= 1 << CONGESTION_CONTROL;
                    word = self.argument()?;
                }
                route.congestion_control = Some(word.owned());
            }
            "pref" => {
                let word = self.argument()?;
                if self.family == Some(false) {
                    return self.refuse(word.span, "pref is only valid for IPv6".to_owned());
                }
                self.family = Some(true);
                route.preference = match word.text.as_str() {
                    "low" => Some(3),
                    "medium" => Some(0),
                    "high" => Some(1),
                    _ => {
                        let said = "Invalid pref value {} specified for route";
                        Some(self.checked(word, 3, said)? as u8)
                    }
                };
            }
            "ttl-propagate" => {
                let argument = self.argument()?;
                route.ttl_propagate = match argument.text.as_str() {
                    "enabled" => Some(true),
                    "disabled" => Some(false),
                    other => {
                        let said = format!("ttl-propagate value {other} not recognised");
                        return self.refuse(argument.span, said);
                    }
                };
            }
            "add" => route.mode = RouteMode::Add,
            "append" => route.mode = RouteMode::Append,
            "prepend" => route.mode = RouteMode::Prepend,
            "or" => {
                self.say(
                    word.span,
                    "\"or\" for routes is deprecated. Please use \"nexthop\"".to_owned(),
                );
                found.or = Some(self.address("Invalid \"or\" address {}")?);
            }
            "no_track" => route.no_track = true,
            "track_group" if self.around.groups.is_some() => {
                let word = self.argument()?;
                route.track_group = self.group(route.track_group.take(), word);
            }
            name if METRICS.iter().any(|(known, ..)| *known == name) => self.metric(name, route)?,
            _ => self.destination(word, route, found)?,
        }
        Ok(())
    }

    /// `[to] [<kind>] <prefix>|default`
    fn destination(&mut self, word: &'w Word, route: &mut RouteConfig, found: &mut Found) -> Step {
        let mut word = word;
        if word.text == "to" {
            word = self.argument()?;
        }
        if let Some(kind) = kind(&word.text) {
            route.kind = Some(kind);
            if found.destination {
                return Ok(());
            }
            word = self.argument()?;
        }
        if word.text == "default6" {
            let said = "'default6' is deprecated - please replace with 'inet6 default'";
            self.b.notice(word.span, Problem::Other(said.to_owned())).context.push_str(CHILD);
            self.family = Some(true);
        }
        if ["default", "default6", "any", "all"].contains(&word.text.as_str()) {
            found.destination = true;
            route.to = None;
            return Ok(());
        }
        let Some(prefix) = self.prefix(word)? else {
            return self.refuse(word.span, format!("unknown route keyword {}", word.text));
        };
        self.same_family(prefix.address, word.span)?;
        route.to = Some(prefix);
        found.destination = true;
        Ok(())
    }

    fn check(&mut self, route: &mut RouteConfig, found: &Found) -> Step {
        let at = self.line.at();
        if !found.destination {
            return self.refuse(at, "Route must have a destination".to_owned());
        }
        route.ipv6 = self.family == Some(true);
        if let Some(or) = found.or {
            if !route.nexthops.is_empty() {
                self.say(at, "Cannot specify nexthops with \"or\" route".to_owned());
            }
            let hop = |via| vrrp::config::NextHop { via, weight: 1, ..Default::default() };
            route.nexthops = vec![hop(route.via.take()), hop(Some(or))];
        }
        if route.track_group.is_some() && route.no_track {
            let said = "Static route has both track_group and no_track set - not tracking";
            self.say(at, said.to_owned());
            route.track_group = None;
        }
        if !route.no_track && route.protocol.is_some_and(|p| p != KEEPALIVED) {
            let said = format!(
                "Route cannot be tracked if protocol is not RTPROT_KEEPALIVED({KEEPALIVED}), resetting protocol"
            );
            self.say(at, said);
            route.protocol = Some(KEEPALIVED);
        }
        if !route.no_track && route.interface.is_none() {
            let shown = match route.to {
                None => "default".to_owned(),
                Some(to) => shown(to),
            };
            let said = format!(
                "Warning - cannot track route {shown} with no interface specified, not tracking"
            );
            self.say(at, said);
            route.no_track = true;
        }
        if route.track_group.is_some() && route.interface.is_none() {
            self.say(
                at,
                "Static route cannot have track_group if interface not specified".to_owned(),
            );
            route.track_group = None;
        }
        Ok(())
    }

    fn features(&mut self, route: &mut RouteConfig) -> Step {
        let word = self.argument()?;
        if word.text != "ecn" {
            return self.refuse(word.span, format!("feature {} not supported", word.text));
        }
        route.metrics.push(FEATURES);
        Ok(())
    }

    /// `<metric> [lock] <number>`
    fn metric(&mut self, name: &str, route: &mut RouteConfig) -> Step {
        let Some((_, number, most, said)) = METRICS.iter().find(|(known, ..)| *known == name)
        else {
            return Ok(());
        };
        let mut word = self.argument()?;
        if word.text == "lock" {
            route.locked |= 1 << number;
            word = self.argument()?;
        }
        let times = ["rtt", "rttvar", "rto_min"].contains(&name);
        let value =
            if times { self.time(word, *most, said)? } else { self.checked(word, *most, said)? };
        let value = match name {
            // The kernel's units.
            "rtt" => value.saturating_mul(8),
            "rttvar" => value.saturating_mul(4),
            _ => value,
        };
        route.metrics.push((*number, value));
        Ok(())
    }

    /// Milliseconds, unless they end with `s` or `ms`.
    fn time(&mut self, word: &Word, most: u32, said: &str) -> Step<u32> {
        let text = word.text.as_str();
        let (digits, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(digits), _) => (digits, 1),
            (None, Some(digits)) => (digits, 1000),
            (None, None) => (text, 1),
        };
        let value = digits.parse::<u32>().ok().and_then(|n| n.checked_mul(unit));
        match value.filter(|n| *n <= most) {
            Some(value) => Ok(value),
            None => {
                let said = said.replace("{}", text);
                self.refuse(word.span, format!("invalid number '{text}'\n{said}"))
            }
        }
    }

    fn realms(&mut self) -> Step<u32> {
        let word = self.argument()?;
        let realm = |text: &str| self.around.names.number("rt_realms", text, 0xffff);
        let value = match word.text.split_once('/') {
            Some((from, to)) => realm(from).zip(realm(to)).map(|(from, to)| from << 16 | to),
            None => realm(&word.text),
        };
        let Some(value) = value else {
            return self.refuse(word.span, format!("Invalid realms {} for route", word.text));
        };
        if self.family == Some(true) {
            return self.refuse(word.span, "realms are only valid for IPv4".to_owned());
        }
        Ok(value)
    }

    /// The word behind a keyword; without one, keepalived ends.
    fn argument(&mut self) -> Step<&'w Word> {
        let line = self.line;
        if let Some(word) = line.words.get(self.at) {
            self.at += 1;
            return Ok(word);
        }
        self.b.problems.push(missing(line));
        Err(Refused)
    }

    fn named(&mut self, file: &'static str, said: &str) -> Step<u8> {
        let word = self.argument()?;
        let number = self.around.names.number(file, &word.text, 255);
        match number.and_then(|n| u8::try_from(n).ok()) {
            Some(number) => Ok(number),
            None => self.refuse(word.span, said.replace("{}", &word.text)),
        }
    }

    fn number(&mut self, most: u32, said: &str) -> Step<u32> {
        let word = self.argument()?;
        self.checked(word, most, said)
    }

    fn checked(&mut self, word: &Word, most: u32, said: &str) -> Step<u32> {
        match unsigned(&word.text, 0..=most) {
            Ok(number) => Ok(number),
            Err(why) => {
                let said = said.replace("{}", &word.text);
                self.refuse(word.span, format!("{why}\n{said}"))
            }
        }
    }

    fn interface(&mut self) -> Step<String> {
        let word = self.argument()?;
        if !(self.around.has_interface)(&word.text) {
            let said =
                format!("WARNING - interface {} for VROUTE nexthop doesn't exist", word.text);
            return self.refuse(word.span, said);
        }
        Ok(word.owned())
    }

    fn address(&mut self, said: &str) -> Step<IpAddr> {
        let word = self.argument()?;
        let Ok(address) = word.text.parse() else {
            let said = said.replace("{}", &word.text);
            let text = &word.text;
            return self.refuse(
                word.span,
                format!("VRRP parsed invalid IP {text}. skipping IP...\n{said}"),
            );
        };
        self.same_family(address, word.span)?;
        Ok(address)
    }

    fn prefix(&mut self, word: &Word) -> Step<Option<Prefix>> {
        Ok(prefix(word, self.b))
    }

    fn same_family(&mut self, address: IpAddr, span: Span) -> Step {
        let ipv6 = address.is_ipv6();
        if self.family.is_some_and(|known| known != ipv6) {
            return self.refuse(span, "Cannot mix IPv4 and IPv6 addresses for route".to_owned());
        }
        self.family = Some(ipv6);
        Ok(())
    }

    fn family_is(&mut self, ipv6: bool, said: &str, word: &Word) -> Step {
        if self.family.is_some_and(|known| known != ipv6) {
            return self.refuse(word.span, said.to_owned());
        }
        self.family = Some(ipv6);
        Ok(())
    }

    fn group(&mut self, there: Option<String>, word: &Word) -> Option<String> {
        let around = self.around;
        track_group(there, word, around.groups.unwrap_or_default(), self.b)
    }

    fn say(&mut self, span: Span, said: String) {
        self.b.error(span, Problem::Other(said)).context.push_str(CHILD);
    }

    fn refuse<T>(&mut self, span: Span, said: String) -> Step<T> {
        self.say(span, said);
        Err(Refused)
    }
}

/// A group that is named behind `track_group`, if there is one.
pub(crate) fn track_group(
    there: Option<String>,
    word: &Word,
    groups: &[String],
    b: &mut Binder,
) -> Option<String> {
    let text = &word.text;
    let said = if there.is_some() {
        format!("track_group {text} is a duplicate")
    } else if groups.contains(text) {
        return Some(text.clone());
    } else {
        format!("track_group {text} not found")
    };
    b.error(word.span, Problem::Other(said)).context.push_str(CHILD);
    there
}

/// `<addr>[/<len>]`; the length is corrected, the address must be one.
pub(crate) fn prefix(word: &Word, b: &mut Binder) -> Option<Prefix> {
    let (text, len) = match word.text.split_once('/') {
        Some((text, len)) => (text, Some(len)),
        None => (word.text.as_str(), None),
    };
    let mut say = |said: String| {
        b.error(word.span, Problem::Other(said)).context.push_str(CHILD);
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        say(format!("VRRP parsed invalid IP {}. skipping IP...", word.text));
        return None;
    };
    let full: u8 = if address.is_ipv4() { 32 } else { 128 };
    let len = len.map_or(full, |len| match unsigned(len, 0..=full.into()) {
        Ok(len) => u8::try_from(len).unwrap_or(full),
        Err(said) => {
            let text = &word.text;
            say(format!(
                "{said}\nInvalid address prefix len {len} for address {text} - using {full}"
            ));
            full
        }
    });
    Some(Prefix { address, len })
}

/// As keepalived prints a prefix: without a length if it is alone on it.
fn shown(prefix: Prefix) -> String {
    match prefix.address {
        IpAddr::V4(address) if prefix.len == 32 => address.to_string(),
        IpAddr::V6(address) if prefix.len == 128 => address.to_string(),
        address => format!("{address}/{}", prefix.len),
    }
}

/// The complaint about a last word that takes another.
pub(crate) fn missing(line: &Stmt) -> conf::Diagnostic {
    let keyword = line.words.last().map(|w| w.owned()).unwrap_or_default();
    let problem = Problem::Other(format!(
        "*** Configuration line starting `{}` is missing a parameter after keyword `{keyword}` at word position {}",
        line.word(0),
        line.words.len() + 1
    ));
    conf::Diagnostic::new(conf::Severity::Error, line.at(), problem).context(CHILD)
}
