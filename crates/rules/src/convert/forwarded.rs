//! RFC 7239: what a `Forwarded` header says of nodes, and how a node is written in one.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Converter, bytes};
use crate::arg::{Args, Kind};
use crate::value::Type::{Any, Bool, Str};
use crate::value::Value;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("rfc7239_is_valid", Args::NONE, Str, Bool, |v, _| {
        Some(Value::Bool(elements(&bytes(v)).is_some()))
    })
    .doc(
        "Whether it is the value of a `Forwarded` header (RFC 7239 §4) as HAProxy reads one: one \
          hop, names in lower case, no blanks.",
    ),
    Converter::new("rfc7239_field", Args::all(&[Kind::Str]), Str, Str, |v, step| {
        let header = bytes(v);
        let wanted = step.text(0);
        let (_, found) = elements(&header)?.into_iter().find(|(name, _)| *name == wanted)?;
        Some(Value::Str(Cow::Owned(found.to_vec())))
    })
    .doc("One of `proto`, `host`, `for` and `by` of a `Forwarded` header, without its quotes."),
    Converter::new("rfc7239_n2nn", Args::NONE, Str, Any, |v, _| {
        let text = bytes(v);
        Some(match Node::read(&text)?.0 {
            Node { name: Name::Ip(ip), .. } => Value::Ip(ip),
            Node { name: Name::Word(word), .. } => Value::Str(Cow::Owned(word.to_vec())),
        })
    })
    .doc("The name of a node (RFC 7239 §6): an address, `unknown` or an obfuscated name."),
    Converter::new("rfc7239_n2np", Args::NONE, Str, Any, |v, _| {
        let text = bytes(v);
        Some(match Node::read(&text)?.0.port? {
            Port::Number(port) => Value::Int(port.into()),
            Port::Word(word) => Value::Str(Cow::Owned(word.to_vec())),
        })
    })
    .doc("The port of a node (RFC 7239 §6.2): a number or an obfuscated one."),
    Converter::new("rfc7239_nn", Args::NONE, Any, Str, |v, _| {
        Some(match v {
            Value::Ip(IpAddr::V4(ip)) => Value::text(ip.to_string()),
            Value::Ip(IpAddr::V6(ip)) => Value::text(format!("[{ip}]")),
            other => obfuscated(&other.into_text(), "unknown")?,
        })
    })
    .doc("A node's name as RFC 7239 §6 writes it: what is no address gets a `_` in front."),
    Converter::new("rfc7239_np", Args::NONE, Any, Str, |v, _| {
        Some(match v {
            // As HAProxy: no more than 32 bits are looked at.
            Value::Int(port) => Value::text((port as u32).to_string()),
            other => obfuscated(&other.into_text(), "")?,
        })
    })
    .doc("A node's port as RFC 7239 §6.2 writes it: what is no number gets a `_` in front."),
];

/// `_name`, or `empty` for nothing.
fn obfuscated(text: &[u8], empty: &'static str) -> Option<Value<'static>> {
    if text.is_empty() {
        return Some(Value::text(empty));
    }
    text.iter().all(|byte| is_obfuscated(*byte)).then(|| {
        let mut name = vec![b'_'];
        name.extend_from_slice(text);
        Value::Str(name.into())
    })
}

const fn is_obfuscated(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// The name of a node.
#[derive(Debug, Eq, PartialEq)]
enum Name<'t> {
    Ip(IpAddr),
    /// `unknown` or `_name`.
    Word(&'t [u8]),
}

/// The port of a node.
#[derive(Debug, Eq, PartialEq)]
enum Port<'t> {
    Number(u16),
    /// `_port`.
    Word(&'t [u8]),
}

/// RFC 7239 §6: `node = nodename [ ":" node-port ]`.
#[derive(Debug, Eq, PartialEq)]
struct Node<'t> {
    name: Name<'t>,
    port: Option<Port<'t>>,
}

impl<'t> Node<'t> {
    /// A node at the beginning of a text, and what stands behind it.
    fn read(text: &'t [u8]) -> Option<(Self, &'t [u8])> {
        let (name, rest) = match text.first()? {
            b'[' => {
                let (ip, rest) = bracketed(text)?;
                (Name::Ip(ip.into()), rest)
            }
            b'_' => {
                let (word, rest) = word(text)?;
                (Name::Word(word), rest)
            }
            _ => match text.strip_prefix(b"unknown") {
                Some(rest) => (Name::Word(&text[..b"unknown".len()]), rest),
                None => {
                    let digits = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
                    let (ip, rest) = text.split_at(text.iter().take_while(|b| digits(b)).count());
                    let ip: Ipv4Addr = std::str::from_utf8(ip).ok()?.parse().ok()?;
                    (Name::Ip(ip.into()), rest)
                }
            },
        };
        let Some(rest) = rest.strip_prefix(b":") else {
            return Some((Self { name, port: None }, rest));
        };
        let (port, rest) = match rest.first()? {
            b'_' => {
                let (word, rest) = word(rest)?;
                (Port::Word(word), rest)
            }
            _ => {
                let (port, rest) = port(rest)?;
                (Port::Number(port), rest)
            }
        };
        Some((Self { name, port: Some(port) }, rest))
    }
}

/// `_` and at least one more character.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().take_while(|byte| is_obfuscated(**byte)).count();
    (length > 1).then(|| text.split_at(length))
}

/// `[::1]`.
fn bracketed(text: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let inside = text.strip_prefix(b"[")?;
    let end = inside.iter().position(|byte| *byte == b']')?;
    let ip = std::str::from_utf8(&inside[..end]).ok()?.parse().ok()?;
    Some((ip, &inside[end + 1..]))
}

/// A port that is not 0.
fn port(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_at(text.iter().take_while(|b| b.is_ascii_digit()).count());
    let port: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (port > 0).then_some((port, rest))
}

/// The pairs of a header, quotes taken off; `None` if it is none.
fn elements(header: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found: Vec<(&[u8], &[u8])> = Vec::new();
    for pair in header.split(|byte| *byte == b';') {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        if found.iter().any(|(known, _)| *known == name) {
            return None;
        }
        let inside = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        // A token has neither colons nor brackets (RFC 7239 §4).
        let token = !value.iter().any(|byte| matches!(byte, b':' | b'[' | b'"'));
        let text = match inside {
            Some(inside) => inside,
            None if token && !value.is_empty() => value,
            None => return None,
        };
        let good = match name {
            b"proto" => inside.is_none() && matches!(text, b"http" | b"https"),
            b"host" => is_host(text),
            b"for" | b"by" => Node::read(text).is_some_and(|(_, rest)| rest.is_empty()),
            _ => false,
        };
        if !good {
            return None;
        }
        found.push((name, text));
    }
    Some(found)
}

/// A name or an address, with or without a port. Between quotes there may be nothing at all.
fn is_host(text: &[u8]) -> bool {
    let rest = match text.first() {
        Some(b'[') => match bracketed(text) {
            Some((_, rest)) => rest,
            None => return false,
        },
        _ => {
            let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            &text[text.iter().take_while(|byte| part(byte)).count()..]
        }
    };
    match rest.strip_prefix(b":") {
        Some(digits) => port(digits).is_some_and(|(_, rest)| rest.is_empty()),
        None => rest.is_empty(),
    }
}
