//! `health_check` and `match`.

use std::ops::RangeInclusive;
use std::time::Duration;

use conf::{Binder, Problem, Stmt, Word};
use proxy::variable::{Finder, Pattern};
use proxy::{ActiveCheck, CheckKind, Expected, Matching};

use crate::blocks::bad_pattern;
use crate::draft::Server;
use crate::lex::Node;
use crate::value::{Resolution, digits, time};
use crate::walk::Walk;

pub(crate) fn health_check(server: &mut Server, words: &[Word], b: &mut Binder) {
    let mut check = ActiveCheck {
        interval: Duration::from_secs(5),
        jitter: Duration::ZERO,
        fails: 1,
        passes: 1,
        timeout: Duration::from_secs(5),
        mandatory: false,
        persistent: false,
        port: None,
        kind: CheckKind::Tcp,
        matching: None,
    };
    let mut matching = None;
    let (mut http, mut uri) = (false, None);
    for word in words {
        let positive = |text: &str| digits(text).filter(|n| *n > 0);
        let sound = match word.text.split_once('=') {
            Some(("interval", text)) => time(text, Resolution::Millis)
                .filter(|interval| !interval.is_zero())
                .map(|interval| check.interval = interval),
            Some(("jitter", text)) => {
                time(text, Resolution::Millis).map(|jitter| check.jitter = jitter)
            }
            Some(("fails", text)) => positive(text).map(|fails| check.fails = fails),
            Some(("passes", text)) => positive(text).map(|passes| check.passes = passes),
            Some(("port", text)) => positive(text)
                .and_then(|port| u16::try_from(port).ok())
                .map(|port| check.port = Some(port)),
            Some(("match", name)) => {
                let word = Word { text: name.to_owned(), span: word.span };
                matching = (!name.is_empty()).then_some(word);
                matching.as_ref().map(|_| ())
            }
            Some(("type", "tcp")) => {
                http = false;
                Some(())
            }
            Some(("type", "http")) => {
                http = true;
                Some(())
            }
            Some(("uri", text)) => text.starts_with('/').then(|| uri = Some(text.to_owned())),
            None if word.text == "mandatory" => {
                check.mandatory = true;
                Some(())
            }
            None if word.text == "persistent" => {
                check.persistent = true;
                Some(())
            }
            None if word.text == "udp" => {
                check.kind = CheckKind::Udp;
                Some(())
            }
            _ => None,
        };
        if sound.is_none() {
            let message = format!("invalid parameter \"{}\"", word.text);
            b.error(word.span, Problem::Other(message));
            return;
        }
    }
    let udp = check.kind == CheckKind::Udp;
    let complaint = match (&uri, http) {
        (Some(_), false) => Some("\"uri\" of \"health_check\" needs \"type=http\""),
        (_, true) if udp => {
            Some("\"udp\" and \"type=http\" of \"health_check\" exclude each other")
        }
        _ if check.persistent && !check.mandatory => {
            Some("\"persistent\" of \"health_check\" needs \"mandatory\"")
        }
        _ => None,
    };
    if let Some(message) = complaint {
        let at = words.first().map_or_else(Default::default, |word| word.span);
        b.error(at, Problem::Other(message.to_owned()));
        return;
    }
    if http {
        check.kind = CheckKind::Http { uri: uri.unwrap_or_else(|| "/".into()) };
    }
    server.check = Some((check, matching));
}

/// What a `match` block says.
pub(crate) fn matching(walk: &mut Walk<'_>, stmt: &Stmt, nodes: &[Node]) -> Option<Matching> {
    let name = stmt.words.get(1)?.owned();
    let mut found = Matching { name, ..Matching::default() };
    for node in nodes {
        let stmt = match node {
            Node::Fault(span, message) => {
                walk.error(*span, message.as_str());
                continue;
            }
            Node::Directive(stmt, None) => stmt,
            Node::Directive(stmt, Some(_)) => {
                walk.error(stmt.at(), "unexpected \"{\"");
                continue;
            }
        };
        let words: Vec<&str> = stmt.words.iter().map(|word| word.text.as_str()).collect();
        let done = match words.as_slice() {
            ["send", text] => bytes(text).map(|text| found.send = text),
            ["expect", text] => bytes(text).map(|text| found.expect = Some(Expected::Bytes(text))),
            ["expect", tilde @ ("~" | "~*"), text] => {
                let pattern = Pattern { text: (*text).to_owned(), caseless: *tilde == "~*" };
                if let Err(error) = Finder::new(&pattern) {
                    walk.error(stmt.at(), bad_pattern(text, &error));
                }
                found.expect = Some(Expected::Pattern(pattern));
                Some(())
            }
            ["status", codes @ ..] if !codes.is_empty() => {
                codes.iter().map(|code| range(code)).collect::<Option<Vec<_>>>().map(|ranges| {
                    found.status.extend(ranges);
                })
            }
            _ => None,
        };
        if done.is_none() {
            let message = format!("invalid line \"{}\" in \"match\"", words.join(" "));
            walk.error(stmt.at(), message);
        }
    }
    Some(found)
}

/// `200`, `300-399`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let code = |text: &str| text.parse().ok().filter(|code| (100..=999).contains(code));
    Some(code(first)?..=code(last)?)
}

/// A text with `\xHH` for bytes.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        all.extend_from_slice(before.as_bytes());
        all.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    all.extend_from_slice(rest.as_bytes());
    Some(all)
}
