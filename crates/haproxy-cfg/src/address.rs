//! Addresses: `*:80`, `:::6443`, `1.2.3.4:80-90`, `unix@/run/x`, `fd@4`, `$HOST:$PORT`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::context::Context;

/// An address as it is written, before names are resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Address {
    /// A host and ports.
    Inet { host: Host, ports: Ports, family: Option<u8>, datagram: bool, multipath: bool },
    /// A UNIX socket.
    Unix(PathBuf),
    /// A UNIX socket in the abstract namespace.
    Abstract(String),
    /// An inherited socket.
    Fd(i32),
    /// A kind that is known and not built: its prefix.
    Planned(&'static str),
}

/// The part before the port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    /// Nothing or `*`.
    Any,
    /// An address.
    Ip(IpAddr),
    /// A name.
    Name(String),
}

/// The part after the last colon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ports {
    /// None was written.
    Missing,
    /// The first and last; the text after the last digit, which HAProxy 2.6 passes over.
    Range(u32, u32, String),
    /// `+5` or `-5`: relative to the client's.
    Relative(i32),
}

/// Reads an address. The complaint, if any, is HAProxy's, without the keyword before it.
pub(crate) fn parse(context: &Context, raw: &str) -> Result<Address, String> {
    let (text, _) = context.expand(raw);
    if text.is_empty() {
        return Err(format!(
            "'{raw}' resolves to an empty address (environment variable missing?)"
        ));
    }
    let (mut family, mut datagram, mut multipath) = (None, false, false);
    let mut rest = text.as_str();
    if rest.starts_with('/') {
        return Ok(Address::Unix(rest.into()));
    }
    if let Some((prefix, after)) = text.split_once('@') {
        rest = after;
        match prefix {
            "ipv4" | "tcp4" | "stream+ipv4" => family = Some(4),
            "ipv6" | "tcp6" | "stream+ipv6" => family = Some(6),
            "tcp" => {}
            "udp" => datagram = true,
            "udp4" | "dgram+ipv4" => (family, datagram) = (Some(4), true),
            "udp6" | "dgram+ipv6" => (family, datagram) = (Some(6), true),
            "unix" | "uxst" | "stream+unix" => return Ok(Address::Unix(after.into())),
            "uxdg" | "dgram+unix" => return Ok(Address::Planned("uxdg@")),
            "abns" => return abstract_name(after, raw, true),
            "abnsz" => return abstract_name(after, raw, false),
            "fd" => {
                let fd = after.parse().ok().filter(|fd| *fd >= 0);
                return fd.map(Address::Fd).ok_or_else(|| {
                    format!("file descriptor '{after}' is not a valid integer in '{raw}'")
                });
            }
            "sockpair" => return Ok(Address::Planned("sockpair@")),
            "quic4" | "quic6" => return Ok(Address::Planned("quic4@ and quic6@")),
            "mptcp" => multipath = true,
            "mptcp4" => (family, multipath) = (Some(4), true),
            "mptcp6" => (family, multipath) = (Some(6), true),
            "rhttp" => return Ok(Address::Planned("rhttp@")),
            _ => rest = &text,
        }
    }
    let (host, port) = split_port(rest);
    let ports = match port {
        None => Ports::Missing,
        Some(port) => ports(port, raw)?,
    };
    let host = match host {
        "" | "*" => Host::Any,
        name => literal(name, family).map_or_else(|| Host::Name(name.to_owned()), Host::Ip),
    };
    Ok(Address::Inet { host, ports, family, datagram, multipath })
}

/// The longest name: what `sockaddr_un` has room for behind the zero.
const ABSTRACT: usize = 107;

/// A name without a path. That of `abns@` is filled up with zeroes, as it always was.
fn abstract_name(name: &str, raw: &str, filled: bool) -> Result<Address, String> {
    if name.len() > ABSTRACT {
        return Err(format!("socket path '{name}' too long (max {ABSTRACT}) in '{raw}'"));
    }
    let zeroes = if filled { ABSTRACT - name.len() } else { 0 };
    Ok(Address::Abstract(name.to_owned() + &"\0".repeat(zeroes)))
}

/// Host and port: after the bracket, or after the last colon.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((inside, after)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        return (inside, after.strip_prefix(':'));
    }
    text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
}

fn ports(port: &str, raw: &str) -> Result<Ports, String> {
    let first = port.chars().next();
    let number = |text: &str| -> u32 {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        // More digits than a u32 holds is no port, either.
        digits.parse().unwrap_or(if digits.is_empty() { 0 } else { u32::MAX })
    };
    match first {
        None => Ok(Ports::Missing),
        Some('+') => Ok(Ports::Relative(number(&port[1..]).min(65_535) as i32)),
        Some('-') => Ok(Ports::Relative(-(number(&port[1..]).min(65_535) as i32))),
        Some(c) if c.is_ascii_digit() => {
            let (low, high) = port.split_once('-').map_or((port, port), |(low, high)| (low, high));
            let (from, to) = (number(low), number(high));
            for (text, value) in [(low, from), (high, to)] {
                if value > 65_535 {
                    return Err(format!("invalid port '{text}'"));
                }
            }
            if from > to {
                return Err(format!("invalid port range '{port}'"));
            }
            let junk = high.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
            Ok(Ports::Range(from, to, junk))
        }
        Some(c) => Err(format!("invalid character '{c}' in port number '{port}' in '{raw}'")),
    }
}

/// A literal address of the family asked for; `1.2.3` is 1.2.0.3, as the C library reads it.
fn literal(text: &str, family: Option<u8>) -> Option<IpAddr> {
    let v4 = || text.parse::<Ipv4Addr>().ok().or_else(|| short_v4(text)).map(IpAddr::V4);
    let v6 = || text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    match family {
        Some(4) => v4(),
        Some(_) => v6(),
        None => v4().or_else(v6),
    }
}

fn short_v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let (last, head) = parts.split_last()?;
    if head.len() > 2 || head.iter().any(|p| *p > 255) {
        return None;
    }
    let bits = 32 - 8 * head.len() as u32;
    if bits < 32 && *last >= 1 << bits {
        return None;
    }
    let high = head.iter().enumerate().fold(0, |sum, (i, p)| sum | p << (24 - 8 * i as u32));
    Some(Ipv4Addr::from(high | last))
}

impl Host {
    /// The addresses it stands for; none if it is a name nobody knows.
    pub(crate) fn resolve(&self, context: &Context, family: Option<u8>) -> Vec<IpAddr> {
        match self {
            Self::Any if family == Some(6) => vec![Ipv6Addr::UNSPECIFIED.into()],
            Self::Any => vec![Ipv4Addr::UNSPECIFIED.into()],
            Self::Ip(ip) => vec![*ip],
            Self::Name(name) => {
                let mut all = context.resolve(name);
                all.retain(|ip| family.is_none_or(|family| ip.is_ipv4() == (family == 4)));
                all
            }
        }
    }
}

/// The address a source line names; the complaint is HAProxy's.
pub(crate) fn plain_ip(context: &Context, text: &str) -> Result<IpAddr, String> {
    match parse(context, text)? {
        Address::Inet { host, family, .. } => host.resolve(context, family).first().copied(),
        _ => None,
    }
    .ok_or_else(|| format!("invalid address: '{text}' in '{text}'"))
}

/// A placeholder of a guide: `<haproxy address>`, which the lexer cut at its blank.
pub(crate) fn is_placeholder(word: &str) -> bool {
    word.starts_with('<') && word[1..].starts_with(|c: char| c.is_ascii_alphabetic())
}
