//! Actions that rules of TCP and of HTTP have in common.

use conf::{Unit, Word};
use rules::list::Use;
use rules::record::Variable;
use rules::{Action, Conditional, Input, ListChange, Lookup, Operand, Timeout, VarCondition};

use super::tcp_rules::{Family, expression};
use super::text;
use crate::draft::{Draft, Kind};
use crate::expr::Wrong;
use crate::format::{self, Purpose};

pub(super) type Read<'w> = (Action, &'w [Word]);

/// Reads one of them; `None` if it is none of them, or none that stands there.
pub(super) fn read<'w>(
    p: &Draft,
    family: Family,
    name: &str,
    argument: Option<&str>,
    words: &'w [Word],
) -> Option<Result<Read<'w>, Wrong>> {
    let rest = words.get(1..).unwrap_or_default();
    let of_http = family.is_http();
    let request = matches!(family, Family::Content | Family::Request);
    Some(match name {
        "set-map" | "del-map" | "add-acl" | "del-acl" if of_http => {
            change(p, family, name, argument.unwrap_or_default(), rest)
        }
        "set-priority-class" if request => {
            expression(p, family, Some(name), rest).map(|(e, r)| (Action::SetPriorityClass(e), r))
        }
        "set-priority-offset" if request => {
            expression(p, family, Some(name), rest).map(|(e, r)| (Action::SetPriorityOffset(e), r))
        }
        "do-resolve" if family == Family::Content => lookup(p, family, argument, words),
        "set-timeout" if family == Family::Request => timeout(p, family, rest),
        "set-retries" if request => retries(p, family, rest),
        "set-bc-mark" if request => {
            number(p, family, name, rest).map(|(n, rest)| (Action::SetServerMark(n), rest))
        }
        "set-bc-tos" if request => {
            number(p, family, name, rest).map(|(n, rest)| (Action::SetServerTos(n), rest))
        }
        "silent-drop" if text(rest, 0) == "rst-ttl" => match rest.get(1).map(|w| w.text.parse()) {
            None => said("missing rst-ttl value"),
            Some(Ok(hops @ 1..=255)) => Ok((Action::DropWithReset(hops), &rest[2..])),
            Some(_) => said("valid rst-ttl values are [1-255]"),
        },
        "disable-l7-retry" if family == Family::Request => Ok((Action::Nothing, rest)),
        "wait-for-handshake" if family == Family::Request => Ok((Action::Nothing, rest)),
        _ => return None,
    })
}

fn said<T>(text: &str) -> Result<T, Wrong> {
    Err(Wrong::Said(text.to_owned()))
}

fn format(p: &Draft, family: Family, text: &str) -> Result<rules::Format, Wrong> {
    let purpose = Purpose { places: family.places(p.kind), http: family.is_http(), log: false };
    format::parse(&p.context, text, purpose)
}

/// `set-map(file) key value`, `del-map(file) key`, `add-acl(file) key`, `del-acl(file) key`.
fn change<'w>(
    p: &Draft,
    family: Family,
    name: &str,
    file: &str,
    words: &'w [Word],
) -> Result<Read<'w>, Wrong> {
    let wanted = if name == "set-map" { 2 } else { 1 };
    if words.len() < wanted {
        return Err(Wrong::Said(format!("expects exactly {wanted} arguments")));
    }
    let key = format(p, family, &words[0].text)?;
    let value = match name {
        "set-map" => Some(format(p, family, &words[1].text)?),
        _ => None,
    };
    let change = ListChange {
        file: file.into(),
        list: if name.ends_with("-map") { Use::Map } else { Use::Acl },
        key,
        value,
        remove: name.starts_with("del-"),
    };
    Ok((Action::ChangeList(Box::new(change)), &words[wanted..]))
}

/// `do-resolve(variable,resolvers[,ipv4|ipv6]) expr`.
fn lookup<'w>(
    p: &Draft,
    family: Family,
    argument: Option<&str>,
    words: &'w [Word],
) -> Result<Read<'w>, Wrong> {
    let wrong = |word: &str| {
        Wrong::Said(format!(
            "Can't parse '{word}'. Expects 'do-resolve(<varname>,<resolvers>[,<options>]) <expr>'. Available options are 'ipv4' and 'ipv6'"
        ))
    };
    let parts: Vec<&str> = argument.unwrap_or_default().split(',').collect();
    let (variable, resolvers, prefer_v4) = match parts[..] {
        [variable, resolvers] | [variable, resolvers, "ipv6"] => (variable, resolvers, false),
        [variable, resolvers, "ipv4"] => (variable, resolvers, true),
        _ => return Err(wrong(text(words, 0))),
    };
    let (expr, rest) =
        expression(p, family, Some("do-resolve"), &words[1..]).map_err(|said| match said {
            Wrong::Said(_) => wrong(text(words, 1)),
            planned @ Wrong::Planned(_) => planned,
        })?;
    // HAProxy does not look at the name of the variable: one that is none is never set.
    let (variable, resolvers) = (Variable::parse(variable).ok(), resolvers.into());
    Ok((Action::Resolve(Box::new(Lookup { variable, resolvers, prefer_v4, expr })), rest))
}

/// A number, or an expression that finds one.
fn number<'w>(
    p: &Draft,
    family: Family,
    name: &str,
    words: &'w [Word],
) -> Result<(Operand, &'w [Word]), Wrong> {
    let Some(word) = words.first() else { return said("expects an argument") };
    if let Some(number) = c_number(&word.text) {
        return Ok((Operand::Number(number), &words[1..]));
    }
    let (expr, rest) = expression(p, family, Some(name), words)?;
    Ok((Operand::Expr(expr), rest))
}

/// A whole number as strtoul(3) reads it: decimal, octal after `0`, hexadecimal after `0x`.
fn c_number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

/// `set-timeout {client|server|tunnel|…} {<time>|<expr>}`.
fn timeout<'w>(p: &Draft, family: Family, words: &'w [Word]) -> Result<Read<'w>, Wrong> {
    let [which, to, rest @ ..] = words else { return said("expects exactly 2 arguments") };
    let which = which.text.as_str();
    let Some((_, timeout)) = Timeout::NAMES.iter().find(|(known, _)| *known == which) else {
        return Err(Wrong::Said(format!(
            "'set-timeout' rule supports 'client'/'connect'/'queue'/'server'/'tarpit'/'tunnel' (got '{which}')"
        )));
    };
    let of_client = matches!(timeout, Timeout::Client | Timeout::Tarpit);
    if !of_client && matches!(p.kind, Kind::Frontend) {
        return Err(Wrong::Said(format!("'{}' has no backend capability", p.name)));
    }
    if of_client && p.kind == Kind::Backend && *timeout == Timeout::Client {
        return Err(Wrong::Said(format!("'{}' has no frontend capability", p.name)));
    }
    if to.text.starts_with(|c: char| c.is_ascii_digit()) {
        return match crate::number::time(&to.text, Unit::Millis) {
            Ok((time, _)) if time.is_zero() => {
                said(&format!("null value is not valid for a 'set-timeout {which}' rule"))
            }
            Ok((time, _)) => {
                let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
                Ok((Action::SetTimeout(*timeout, Operand::Number(millis)), rest))
            }
            Err(_) => {
                let odd = to.text.trim_start_matches(|c: char| c.is_ascii_digit());
                let odd = odd.chars().next().unwrap_or(' ');
                said(&format!("unexpected character '{odd}' in rule 'set-timeout {which}'"))
            }
        };
    }
    let (expr, rest) = expression(p, family, Some("set-timeout"), &words[1..])?;
    Ok((Action::SetTimeout(*timeout, Operand::Expr(expr)), rest))
}

/// `set-retries {<1 to 100>|<expr>}`.
fn retries<'w>(p: &Draft, family: Family, words: &'w [Word]) -> Result<Read<'w>, Wrong> {
    let Some(word) = words.first() else {
        return said("expects exactly 1 argument (an expression or an integer between 1 and 100)");
    };
    if p.kind == Kind::Frontend {
        let family = family.name().split(' ').next().unwrap_or_default();
        return said(&format!("'{family}' only available in backend or listen section"));
    }
    if word.text.starts_with(|c: char| c.is_ascii_digit()) {
        return match word.text.parse() {
            Ok(number @ 0..=100) => Ok((Action::SetRetries(Operand::Number(number)), &words[1..])),
            _ => said("expects an expression or an integer between 1 and 100"),
        };
    }
    let (expr, rest) = expression(p, family, Some("set-retries"), words)?;
    Ok((Action::SetRetries(Operand::Expr(expr)), rest))
}

/// The conditions of `set-var(name,condition,…)`.
pub(super) fn conditional(
    variable: Variable,
    conditions: &str,
    to: Input,
) -> Result<Action, Wrong> {
    let named = conditions.split(',').filter(|name| !name.is_empty());
    let mut all = vec![];
    for name in named {
        let known = VarCondition::NAMES.iter().find(|(known, _)| *known == name);
        let Some((_, condition)) = known else {
            return Err(Wrong::Said(format!("unknown condition \"{name}\"")));
        };
        all.push(*condition);
    }
    Ok(Action::SetVarIf(Box::new(Conditional { variable, to, conditions: all })))
}
