//! The lines of `virtual_rules` and `static_rules`, in the words of ip-rule(8).

use conf::{Binder, Problem, Span, Stmt, Word};
use vrrp::config::RuleConfig;

use crate::number::unsigned;
use crate::route::{Around, KEEPALIVED, Refused, Step, kind, missing, prefix, track_group};
use crate::wording::CHILD;

/// What becomes of a packet a rule matches (`FR_ACT_…`).
const TO_TABLE: u8 = 1;
const GOTO: u8 = 2;
const NOP: u8 = 3;

struct Reader<'a, 'w> {
    around: &'a Around<'a>,
    b: &'a mut Binder,
    line: &'w Stmt,
    at: usize,
    family: Option<bool>,
    rule: RuleConfig,
    action: Option<u8>,
}

/// Reads one line; nothing where keepalived drops it. `next` are the preferences given to rules
/// without one, of IPv4 and IPv6.
pub(crate) fn read(
    line: &Stmt,
    around: &Around<'_>,
    next: &mut [u32; 2],
    b: &mut Binder,
) -> Option<RuleConfig> {
    let rule = RuleConfig::default();
    let mut reader = Reader { around, b, line, at: 0, family: None, rule, action: None };
    reader.words().ok()?;
    reader.check(next).ok()?;
    Some(reader.rule)
}

impl<'w> Reader<'_, 'w> {
    fn words(&mut self) -> Step {
        while let Some(word) = self.line.words.get(self.at) {
            self.at += 1;
            self.word(word)?;
        }
        Ok(())
    }

    fn word(&mut self, word: &'w Word) -> Step {
        match word.text.as_str() {
            "inet" => self.family_is(false, "inet specified for IPv6 rule", word.span)?,
            "inet6" => self.family_is(true, "inet6 specified for IPv4 rule", word.span)?,
            "from" => {
                self.rule.from = self.selector("from")?;
            }
            "to" => {
                self.rule.to = self.selector("to")?;
            }
            "not" => self.rule.not = true,
            "table" | "lookup" => {
                let word = self.argument()?;
                let table = self.around.names.number("rt_tables", &word.text, u32::MAX);
                match table {
                    None => {
                        let said = format!("Routing table {} not found for rule", word.text);
                        return self.refuse(word.span, said);
                    }
                    Some(0) => return self.refuse(word.span, "Table 0 is not valid".to_owned()),
                    Some(table) => self.rule.table = Some(table),
                }
                self.act(TO_TABLE, word.span)?;
            }
            "preference" | "order" | "priority" => {
                let said = format!("Invalid rule preference {} specified", word.text);
                self.rule.preference = Some(self.number(u32::MAX, &said)?);
            }
            "tos" | "dsfield" => {
                let word = self.argument()?;
                let tos = self.around.names.number("rt_dsfield", &word.text, 255);
                let Some(tos) = tos.and_then(|n| u8::try_from(n).ok()) else {
                    return self.refuse(word.span, format!("TOS value {} is invalid", word.text));
                };
                self.rule.tos = Some(tos);
            }
            "fwmark" => self.mark()?,
            "realms" => {
                let word = self.argument()?;
                let realm = |text: &str| self.around.names.number("rt_realms", text, 0xffff);
                let realms = match word.text.split_once('/') {
                    Some((from, to)) => realm(from).zip(realm(to)).map(|(f, t)| f << 16 | t),
                    None => realm(&word.text),
                };
                if realms.is_none() {
                    return self
                        .refuse(word.span, format!("invalid realms {} for rule", word.text));
                }
                if self.family == Some(true) {
                    return self.refuse(word.span, "realms is only valid for IPv4".to_owned());
                }
                self.rule.realms = realms;
            }
            "suppress_prefixlength" | "sup_pl" => {
                let said = format!("Invalid suppress_prefixlength {} specified", word.text);
                self.rule.suppress_prefix_len = Some(self.number(i32::MAX as u32, &said)?);
            }
            "suppress_ifgroup" | "sup_group" => {
                let word = self.argument()?;
                let group = self.around.names.number("group", &word.text, i32::MAX as u32);
                if group.is_none() {
                    let said = format!("suppress_group {} is invalid", word.text);
                    return self.refuse(word.span, said);
                }
                self.rule.suppress_group = group;
            }
            "dev" | "iif" => self.rule.input = Some(self.interface()?),
            "oif" => self.rule.output = Some(self.interface()?),
            "tunnel-id" => {
                let said = format!("Invalid tunnel-id {} specified", word.text);
                let word = self.argument()?;
                match word.text.parse::<u64>() {
                    Ok(id) => self.rule.tunnel_id = Some(id),
                    Err(_) => {
                        let text = &word.text;
                        return self.refuse(word.span, format!("invalid number '{text}'\n{said}"));
                    }
                }
            }
            "uidrange" => {
                let said = format!("Invalid uidrange {} specified", word.text);
                let word = self.argument()?;
                let range = word.text.split_once('-');
                let range = range.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                if range.is_none() {
                    return self.refuse(word.span, said);
                }
                self.rule.uid_range = range;
            }
            "l3mdev" => {
                if self.action.is_some() {
                    let said = "Cannot specify l3mdev with other action".to_owned();
                    return self.refuse(word.span, said);
                }
                self.rule.l3mdev = true;
            }
            "protocol" => {
                let word = self.argument()?;
                let number = unsigned(&word.text, 0..=255);
                match number.map(u8::try_from) {
                    Ok(Ok(number)) => self.rule.protocol = Some(number),
                    Ok(Err(_)) => {}
                    Err(said) => {
                        let said = format!("{said}\nInvalid protocol {}", word.text);
                        return self.refuse(word.span, said);
                    }
                }
            }
            "ipproto" => {
                let word = self.argument()?;
                let number = ip_protocol(&word.text);
                if number.is_none() {
                    return self.refuse(word.span, format!("Invalid ipproto {}", word.text));
                }
                self.rule.ip_protocol = number;
            }
            "sport" => self.rule.source_ports = Some(self.ports("sport")?),
            "dport" => self.rule.destination_ports = Some(self.ports("dport")?),
            "no_track" => self.rule.no_track = true,
            "track_group" if self.around.groups.is_some() => {
                let word = self.argument()?;
                let groups = self.around.groups.unwrap_or_default();
                self.rule.track_group =
                    track_group(self.rule.track_group.take(), word, groups, self.b);
            }
            "goto" => {
                let said = format!("Invalid target {} specified", word.text);
                self.rule.goto = Some(self.number(u32::MAX, &said)?);
                self.act(GOTO, word.span)?;
            }
            "nop" => self.act(NOP, word.span)?,
            "type" => {
                let word = self.argument()?;
                self.kind(word)?;
            }
            _ => self.kind(word)?,
        }
        Ok(())
    }

    /// `blackhole`, `unreachable`, `prohibit`: what becomes of a packet, by the kind of a route.
    fn kind(&mut self, word: &Word) -> Step {
        // `FR_ACT_BLACKHOLE` and its like have the numbers of the kinds of route.
        match kind(&word.text) {
            Some(number @ 6..=8) => self.act(number, word.span),
            Some(_) => self.refuse(word.span, format!("Invalid rule action {}", word.text)),
            None => self.refuse(word.span, format!("Unknown rule option {}", word.text)),
        }
    }

    fn act(&mut self, action: u8, span: Span) -> Step {
        if self.rule.l3mdev || self.action.is_some() {
            let l3mdev = if action == TO_TABLE { "" } else { "/l3mdev" };
            let said = format!(
                "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable{l3mdev} for rule"
            );
            return self.refuse(span, said);
        }
        self.action = Some(action);
        Ok(())
    }

    fn check(&mut self, next: &mut [u32; 2]) -> Step {
        let at = self.line.at();
        let action = match (self.action, self.rule.l3mdev) {
            (Some(action), _) => action,
            (None, true) => TO_TABLE,
            (None, false) => {
                return self.refuse(at, "No action specified for rule - ignoring".to_owned());
            }
        };
        if let Some(target) = self.rule.goto {
            match self.rule.preference {
                Some(preference) if preference >= target => {
                    let said =
                        format!("Invalid rule - preference {preference} >= goto target {target}");
                    return self.refuse(at, said);
                }
                Some(_) => {}
                None => {
                    let said =
                        format!("Invalid rule - goto target {target} specified without preference");
                    return self.refuse(at, said);
                }
            }
        }
        let suppresses = self.rule.suppress_prefix_len.is_some()
            || self.rule.suppress_group.is_some()
            || self.rule.realms.is_some();
        if action != TO_TABLE && suppresses {
            let said = "suppressor/realm specified for non table action - skipping".to_owned();
            return self.refuse(at, said);
        }
        let rule = &mut self.rule;
        rule.action = (action != TO_TABLE).then_some(action);
        rule.ipv6 = self.family == Some(true);
        let mut said = Vec::new();
        if rule.track_group.is_some() && rule.no_track {
            said.push(
                "Static rule has both track_group and no_track set - not tracking".to_owned(),
            );
            rule.track_group = None;
        }
        if !rule.no_track && rule.protocol.is_some_and(|p| p != KEEPALIVED) {
            said.push(format!(
                "Rule cannot be tracked if protocol is not RTPROT_KEEPALIVED({KEEPALIVED}), resetting protocol"
            ));
            rule.protocol = Some(KEEPALIVED);
        }
        if rule.track_group.is_some() && rule.input.is_none() {
            said.push("Static rule cannot have track_group if dev/iif not specified".to_owned());
            rule.track_group = None;
        }
        if rule.preference.is_none() {
            let next = &mut next[usize::from(rule.ipv6)];
            said.push(format!(
                "Rule has no preference specified - setting to {next}. This is probably not what you want."
            ));
            rule.preference = Some(*next);
            *next = next.saturating_sub(1);
        }
        for said in said {
            self.say(at, said);
        }
        Ok(())
    }

    /// `all`, or a prefix.
    fn selector(&mut self, keyword: &str) -> Step<Option<vrrp::config::Prefix>> {
        let word = self.argument()?;
        if ["all", "any", "default"].contains(&word.text.as_str()) {
            return Ok(None);
        }
        let Some(prefix) = prefix(word, self.b) else {
            return self.refuse(word.span, format!("Invalid rule {keyword} address {}", word.text));
        };
        let ipv6 = prefix.address.is_ipv6();
        if self.family.is_some_and(|known| known != ipv6) {
            let said = "rule specification has mixed IPv4 and IPv6".to_owned();
            return self.refuse(word.span, said);
        }
        self.family = Some(ipv6);
        Ok(Some(prefix))
    }

    /// `<mark>[/<mask>]`
    fn mark(&mut self) -> Step {
        let word = self.argument()?;
        let (mark, mask) = match word.text.split_once('/') {
            Some((mark, mask)) => (mark, Some(mask)),
            None => (word.text.as_str(), None),
        };
        let mark = crate::names::number(mark);
        let mask = mask.map(crate::names::number);
        match (mark, mask) {
            (Some(mark), None) => self.rule.mark = Some((mark, None)),
            (Some(mark), Some(Some(mask))) => self.rule.mark = Some((mark, Some(mask))),
            _ => {
                let said = format!("Invalid rule fwmark {} specified", word.text);
                return self.refuse(word.span, said);
            }
        }
        Ok(())
    }

    /// `<first>-<last>`
    fn ports(&mut self, keyword: &str) -> Step<(u16, u16)> {
        let word = self.argument()?;
        let ports = word.text.split_once('-');
        match ports.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))) {
            Some(ports) => Ok(ports),
            None => self.refuse(word.span, format!("invalid {keyword} range {}", word.text)),
        }
    }

    fn interface(&mut self) -> Step<String> {
        let word = self.argument()?;
        if !(self.around.has_interface)(&word.text) {
            let said = format!("WARNING - interface {} for rule doesn't exist", word.text);
            return self.refuse(word.span, said);
        }
        Ok(word.owned())
    }

    fn family_is(&mut self, ipv6: bool, said: &str, span: Span) -> Step {
        if self.family.is_some_and(|known| known != ipv6) {
            return self.refuse(span, said.to_owned());
        }
        self.family = Some(ipv6);
        Ok(())
    }

    fn number(&mut self, most: u32, said: &str) -> Step<u32> {
        let word = self.argument()?;
        match unsigned(&word.text, 0..=most) {
            Ok(number) => Ok(number),
            Err(why) => self.refuse(word.span, format!("{why}\n{said}")),
        }
    }

    fn argument(&mut self) -> Step<&'w Word> {
        let line = self.line;
        if let Some(word) = line.words.get(self.at) {
            self.at += 1;
            return Ok(word);
        }
        self.b.problems.push(missing(line));
        Err(Refused)
    }

    fn say(&mut self, span: Span, said: String) {
        self.b.error(span, Problem::Other(said)).context.push_str(CHILD);
    }

    fn refuse<T>(&mut self, span: Span, said: String) -> Step<T> {
        self.say(span, said);
        Err(Refused)
    }
}

/// The numbers of the protocols rules are written for, or a number.
fn ip_protocol(word: &str) -> Option<u8> {
    const NAMES: &[(&str, u8)] = &[
        ("icmp", 1),
        ("igmp", 2),
        ("ipip", 4),
        ("tcp", 6),
        ("udp", 17),
        ("dccp", 33),
        ("ipv6", 41),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("ipv6-icmp", 58),
        ("ospf", 89),
        ("vrrp", 112),
        ("sctp", 132),
        ("udplite", 136),
    ];
    let named = NAMES.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    named.or_else(|| word.parse().ok())
}
