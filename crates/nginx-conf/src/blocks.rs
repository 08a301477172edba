//! `map`, `geo` and `split_clients`: blocks whose lines are data.

use std::net::Ipv4Addr;

use conf::{Problem, Span, Stmt, Word};
use proxy::variable::{MapKey, Network, Pattern};

use crate::draft::{Definition, Geo, Map, Source};
use crate::lex::Node;
use crate::variable;
use crate::walk::Walk;

/// What a block defines, if it defines anything.
pub(crate) fn define(walk: &mut Walk<'_>, stmt: &Stmt, nodes: &[Node]) -> Option<Definition> {
    let words = &stmt.words;
    let name = variable::defined(words.last()?, &mut walk.binder)?;
    let key = words.get(1).filter(|_| words.len() > 2);
    if let Some(key) = key {
        walk.uses(key);
    }
    let text = key.map(Word::owned);
    let source = match stmt.word(0) {
        "map" => {
            let map = Map { key: text.unwrap_or_default(), ..Map::default() };
            let mut block = Block::Map(map);
            lines(walk, &mut block, nodes);
            let Block::Map(map) = block else { return None };
            Source::Map(map)
        }
        "geo" => {
            let mut block = Block::Geo(Geo { address: text, ..Geo::default() });
            lines(walk, &mut block, nodes);
            let Block::Geo(geo) = block else { return None };
            Source::Geo(geo)
        }
        _ => {
            let mut block = Block::Split(vec![]);
            lines(walk, &mut block, nodes);
            let Block::Split(shares) = block else { return None };
            split_total(walk, stmt.at(), &shares);
            Source::Split { key: text.unwrap_or_default(), shares }
        }
    };
    Some(Definition { name, source })
}

enum Block {
    Map(Map),
    Geo(Geo),
    Split(Vec<(Option<u32>, String)>),
}

fn lines(walk: &mut Walk<'_>, block: &mut Block, nodes: &[Node]) {
    for node in nodes {
        let (stmt, body) = match node {
            Node::Fault(span, message) => {
                walk.error(*span, message.as_str());
                continue;
            }
            Node::Directive(stmt, body) => (stmt, body),
        };
        let Some(first) = stmt.words.first() else { continue };
        if body.is_some() {
            walk.error(first.span, "unexpected \"{\"");
            continue;
        }
        if first.text == "include" && stmt.words.len() == 2 {
            let mask = &stmt.words[1];
            for path in walk.included(mask) {
                walk.inside(path, mask, |walk, nodes| lines(walk, block, nodes));
            }
            continue;
        }
        match block {
            Block::Map(map) => map_line(walk, map, &stmt.words),
            Block::Geo(geo) => geo_line(walk, geo, &stmt.words),
            Block::Split(shares) => split_line(walk, shares, &stmt.words),
        }
    }
}

fn map_line(walk: &mut Walk<'_>, map: &mut Map, words: &[Word]) {
    let [key, value] = words else {
        return match words {
            [word] if word.text == "hostnames" => map.hostnames = true,
            [word] if word.text == "volatile" => map.volatile = true,
            _ => walk.error(words[0].span, "invalid number of the map parameters"),
        };
    };
    if !variable::check(value, &mut walk.binder) {
        return;
    }
    walk.uses(value);
    if key.text == "default" {
        if map.default.is_some() {
            return walk.error(key.span, "duplicate default map parameter");
        }
        map.default = Some(value.owned());
        return;
    }
    let text = key.text.strip_prefix('\\').unwrap_or(&key.text);
    if let Some(pattern) = key.text.strip_prefix('~') {
        let caseless = pattern.strip_prefix('*');
        let text = caseless.unwrap_or(pattern).to_owned();
        let pattern = Pattern { text, caseless: caseless.is_some() };
        match pattern.groups() {
            Ok(groups) => walk.groups.extend(groups),
            Err(error) => return walk.error(key.span, bad_pattern(&pattern.text, &error)),
        }
        map.entries.push((MapKey::Pattern(pattern), value.owned()));
        return;
    }
    let lower = text.to_ascii_lowercase();
    let keys = match map.hostnames && (lower.starts_with(['*', '.']) || lower.ends_with(".*")) {
        true => wildcard(&lower),
        false if map.hostnames && lower.contains('*') => None,
        false => Some(vec![MapKey::Exact(lower)]),
    };
    let Some(keys) = keys else {
        let message = format!("invalid hostname or wildcard \"{text}\"");
        return walk.error(key.span, message);
    };
    for one in keys {
        if map.entries.iter().any(|(known, _)| *known == one) {
            // nginx names what is compared: the text in lower case.
            let shown = if map.hostnames { text } else { &key.text };
            let shown = match &one {
                MapKey::Exact(text) if !map.hostnames => text,
                _ => shown,
            };
            let message = format!("conflicting parameter \"{shown}\"");
            return walk.error(key.span, message);
        }
        map.entries.push((one, value.owned()));
    }
}

/// `*.end`, `.end` (the end alone, too), `start.*`; nothing else has a star.
pub(crate) fn wildcard(text: &str) -> Option<Vec<MapKey>> {
    let sound = |text: &str| {
        !text.is_empty() && !text.contains('*') && !text.contains("..") && !text.starts_with('.')
    };
    if let Some(end) = text.strip_prefix("*.") {
        return sound(end).then(|| vec![MapKey::End(format!(".{end}"))]);
    }
    if let Some(end) = text.strip_prefix('.') {
        let both = || vec![MapKey::Exact(end.to_owned()), MapKey::End(format!(".{end}"))];
        return sound(end).then(both);
    }
    let start = text.strip_suffix(".*")?;
    sound(start).then(|| vec![MapKey::Start(format!("{start}."))])
}

/// nginx prints what PCRE2 says; the mistakes people make most are told apart.
pub(crate) fn bad_pattern(text: &str, error: &str) -> String {
    let opened = text.matches('(').count() > text.matches(')').count();
    let said = if error.contains("unclosed character class")
        || error.contains("Invalid character class")
    {
        "missing terminating ] for character class"
    } else if opened {
        "missing closing parenthesis"
    } else if text.starts_with(['*', '+', '?']) {
        "quantifier does not follow a repeatable item"
    } else if text.ends_with('\\') {
        "\\ at end of pattern"
    } else {
        error
    };
    format!("pcre2_compile() failed: {said} in \"{text}\"")
}

fn geo_line(walk: &mut Walk<'_>, geo: &mut Geo, words: &[Word]) {
    let (name, value) = match words {
        [word] if word.text == "ranges" => {
            if !geo.networks.is_empty() || !geo.ranges.is_empty() || geo.default.is_some() {
                let message =
                    "the \"ranges\" directive must be the first directive inside \"geo\" block";
                return walk.error(word.span, message);
            }
            geo.by_ranges = true;
            return;
        }
        [word] if word.text == "volatile" => {
            geo.volatile = true;
            return;
        }
        [name, value] => (name, value),
        _ => return walk.error(words[0].span, "invalid number of the geo parameters"),
    };
    if name.text == "default" {
        if let Some(old) = geo.default.replace(value.owned()) {
            duplicate(walk, name.span, "network", "default", &value.text, &old);
        }
        return;
    }
    if geo.by_ranges {
        return range_line(walk, geo, name, value);
    }
    let delete = name.text == "delete";
    let written = if delete { value } else { name };
    let Some((network, loose)) = Network::parse(&written.text) else {
        let message = format!("invalid network \"{}\"", written.text);
        return walk.error(written.span, message);
    };
    if loose {
        let message = format!("low address bits of {} are meaningless", written.text);
        walk.binder.warning(written.span, Problem::Other(message));
    }
    let known = geo.networks.iter().position(|(known, _)| *known == network);
    match (delete, known) {
        (true, Some(at)) => {
            geo.networks.remove(at);
        }
        (true, None) => {
            let message = format!("no network \"{}\" to delete", written.text);
            walk.binder.warning(written.span, Problem::Other(message));
        }
        (false, Some(at)) => {
            let old = std::mem::replace(&mut geo.networks[at].1, value.owned());
            duplicate(walk, name.span, "network", &name.text, &value.text, &old);
        }
        (false, None) => geo.networks.push((network, value.owned())),
    }
}

fn duplicate(walk: &mut Walk<'_>, at: Span, what: &str, name: &str, value: &str, old: &str) {
    let message = format!("duplicate {what} \"{name}\", value: \"{value}\", old value: \"{old}\"");
    walk.binder.warning(at, Problem::Other(message));
}

/// `FIRST-LAST VALUE`; a later range takes what it covers from those before it.
fn range_line(walk: &mut Walk<'_>, geo: &mut Geo, name: &Word, value: &Word) {
    let delete = name.text == "delete";
    let written = if delete { value } else { name };
    let ends = written.text.split_once('-').and_then(|(first, last)| {
        let bits = |text: &str| text.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
        Some((bits(first)?, bits(last)?)).filter(|(first, last)| first <= last)
    });
    let Some((first, last)) = ends else {
        let message = format!("invalid range \"{}\"", written.text);
        return walk.error(written.span, message);
    };
    let same = geo.ranges.iter().position(|range| (range.0, range.1) == (first, last));
    if delete {
        match same {
            Some(at) => {
                geo.ranges.remove(at);
            }
            None => {
                let message = format!("no address range \"{}\" to delete", written.text);
                walk.binder.warning(written.span, Problem::Other(message));
            }
        }
        return;
    }
    if let Some(at) = same {
        let old = std::mem::replace(&mut geo.ranges[at].2, value.owned());
        return duplicate(walk, name.span, "range", &name.text, &value.text, &old);
    }
    let mut rest = Vec::new();
    for (low, high, text) in geo.ranges.drain(..) {
        if high < first || low > last {
            rest.push((low, high, text));
            continue;
        }
        if low < first {
            rest.push((low, first - 1, text.clone()));
        }
        if high > last {
            rest.push((last + 1, high, text));
        }
    }
    rest.push((first, last, value.owned()));
    geo.ranges = rest;
}

fn split_line(walk: &mut Walk<'_>, shares: &mut Vec<(Option<u32>, String)>, words: &[Word]) {
    let Some((share, value)) = words.first().zip(words.get(1)) else {
        return walk.error(words[0].span, "invalid number of the split_clients parameters");
    };
    if share.text == "*" {
        shares.push((None, value.owned()));
        return;
    }
    match hundredths(&share.text) {
        Some(share @ 1..) => shares.push((Some(share), value.owned())),
        _ => walk.error(share.span, format!("invalid percent value \"{}\"", share.text)),
    }
}

/// `12.34%`: at most two places.
fn hundredths(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 2 {
        return None;
    }
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part)
}

/// What is left for `*` counts as what it is when it is met.
fn split_total(walk: &mut Walk<'_>, at: Span, shares: &[(Option<u32>, String)]) {
    let mut sum = 0_u64;
    for (share, _) in shares {
        sum += share.map_or(10_000_u64.saturating_sub(sum), u64::from);
        if sum > 10_000 {
            return walk.error(at, "percent total is greater than 100%");
        }
    }
}
