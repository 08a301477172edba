//! Addresses: `127.0.0.1:80`, `[::1]:80`, `name:80`, `unix:PATH`, and for `listen` also `80`, `*:80`
//! and ranges of ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// An address as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    /// Where.
    pub(crate) host: Host,
    /// The ports; empty where none is written.
    pub(crate) ports: Option<RangeInclusive<u16>>,
}

/// The part without the port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    /// Every IPv4 address.
    Any,
    /// A literal.
    Ip(IpAddr),
    /// A name.
    Name(String),
    /// A UNIX socket.
    Unix(PathBuf),
}

/// What an address is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// To listen on: `80`, `*:80`, `80-90`.
    Listen,
    /// To connect to.
    Connect,
}

/// Reads an address; the error is nginx's, without the address it is about.
pub(crate) fn parse(text: &str, using: Use) -> Result<Address, &'static str> {
    if let Some(path) =
        text.get(..5).filter(|p| p.eq_ignore_ascii_case("unix:")).map(|_| &text[5..])
    {
        // A name and anything after a colon belong to HTTP; here a colon is part of the path.
        return match path.len() {
            0 => Err("no path in the unix domain socket"),
            // sun_path of unix(7) with its final zero.
            1..108 => Ok(Address { host: Host::Unix(path.into()), ports: None }),
            _ => Err("too long path in the unix domain socket"),
        };
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("invalid host")?;
        let ports = match after.strip_prefix(':') {
            Some(port) => Some(ports(port, using)?),
            None if after.is_empty() => None,
            None => return Err("invalid host"),
        };
        let ip: Ipv6Addr = host.parse().map_err(|_| "invalid IPv6 address")?;
        return Ok(Address { host: Host::Ip(ip.into()), ports });
    }
    if text.contains('/') {
        return Err("invalid host");
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
    let Some(port) = port else {
        if using == Use::Listen && host.bytes().next().is_some_and(|b| b.is_ascii_digit()) {
            // A bare port or range; anything else with a digit in front may be an address.
            match ports(host, using) {
                Ok(ports) => return Ok(Address { host: Host::Any, ports: Some(ports) }),
                Err(error) if host.bytes().all(|b| b.is_ascii_digit()) => return Err(error),
                Err(error @ "invalid port range") => return Err(error),
                Err(_) => {}
            }
        }
        return Ok(Address { host: name(host, using)?, ports: None });
    };
    let ports = ports(port, using)?;
    Ok(Address { host: name(host, using)?, ports: Some(ports) })
}

fn name(host: &str, using: Use) -> Result<Host, &'static str> {
    match host {
        "" => Err("no host"),
        "*" if using == Use::Listen => Ok(Host::Any),
        _ => Ok(host.parse::<Ipv4Addr>().map_or_else(
            |_| Host::Name(host.to_owned()),
            |ip| {
                if ip.is_unspecified() && using == Use::Listen {
                    Host::Any
                } else {
                    Host::Ip(ip.into())
                }
            },
        )),
    }
}

fn ports(text: &str, using: Use) -> Result<RangeInclusive<u16>, &'static str> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0).ok_or("invalid port")
    };
    match text.split_once('-') {
        Some((first, last)) if using == Use::Listen => {
            let (first, last) = (port(first)?, port(last)?);
            if first > last { Err("invalid port range") } else { Ok(first..=last) }
        }
        _ => port(text).map(|port| port..=port),
    }
}
