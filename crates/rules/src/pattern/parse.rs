//! Patterns as they are written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// How numbers are compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operator {
    /// Equal, or in the range.
    #[default]
    Equal,
    /// At least.
    AtLeast,
    /// More than.
    MoreThan,
    /// At most.
    AtMost,
    /// Less than.
    LessThan,
}

impl Operator {
    /// `eq`, `ge`, `gt`, `le`, `lt`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "eq" => Some(Self::Equal),
            "ge" => Some(Self::AtLeast),
            "gt" => Some(Self::MoreThan),
            "le" => Some(Self::AtMost),
            "lt" => Some(Self::LessThan),
            _ => None,
        }
    }
}

/// Numbers from one to another, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Range {
    from: i64,
    to: i64,
}

impl Range {
    pub(super) const fn holds(self, number: i64) -> bool {
        self.from <= number && number <= self.to
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from != i64::MIN {
            write!(f, "{}", self.from)?;
        }
        write!(f, ":")?;
        if self.to != i64::MAX {
            write!(f, "{}", self.to)?;
        }
        Ok(())
    }
}

/// `a`, `a:b`, `a:` or `:b`, under an operator.
pub(super) fn range(
    pattern: &str,
    operator: Operator,
    number: fn(&str) -> Result<i64, String>,
) -> Result<Range, String> {
    // Versions may also have a dash between them.
    let dash = pattern.split_once('-').filter(|(from, _)| from.contains('.'));
    let (from, to) = match pattern.split_once(':').or(dash) {
        None => {
            let n = number(pattern)?;
            (n, n)
        }
        Some((from, to)) => {
            let wrong = |_| format!("'{pattern}' is not a valid number range");
            let from = if from.is_empty() { i64::MIN } else { number(from).map_err(wrong)? };
            let to = if to.is_empty() { i64::MAX } else { number(to).map_err(wrong)? };
            if from > to {
                return Err(format!("'{pattern}' is not a valid number range"));
            }
            (from, to)
        }
    };
    Ok(match operator {
        Operator::Equal => Range { from, to },
        Operator::AtLeast => Range { from, to: i64::MAX },
        Operator::MoreThan => Range { from: from.saturating_add(1), to: i64::MAX },
        Operator::AtMost => Range { from: i64::MIN, to },
        Operator::LessThan => Range { from: i64::MIN, to: to.saturating_sub(1) },
    })
}

/// A whole number.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number"))
}

/// `3.1`: the part before the dot × 65536, and the part behind it; `3` is `3.0`.
pub(super) fn version(text: &str) -> Result<i64, String> {
    let wrong = |_| format!("'{text}' is not a dotted number");
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let (major, minor): (u16, u16) = (major.parse().map_err(wrong)?, minor.parse().map_err(wrong)?);
    Ok(i64::from(major) << 16 | i64::from(minor))
}

/// Two hexadecimal digits a byte.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| {
        let found = char::from(byte);
        found.to_digit(16).ok_or_else(|| format!("an hex digit is expected (found '{found}')"))
    };
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hex digit is expected".to_owned());
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| Ok((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

/// `192.0.2.0/24`, `2001:db8::/32`, an address alone. A mask may be dotted, and have holes.
///
/// With `names`, what is no address with four parts is read as inet_aton(3) does, where `10` is
/// 0.0.0.10: HAProxy asks the resolver, and that is its answer.
pub(super) fn network(text: &str, names: bool) -> Result<Network, String> {
    let wrong = || format!("'{text}' is not a valid IPv4 or IPv6 address");
    let (address, mask) = match text.rsplit_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let ip = match address.parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) => aton(address).filter(|_| names).ok_or_else(wrong)?.into(),
    };
    match (ip, mask) {
        (IpAddr::V4(ip), None) => Ok(Network::V4(ip.into(), u32::MAX)),
        (IpAddr::V4(ip), Some(mask)) => Ok(Network::V4(ip.into(), mask4(mask).ok_or_else(wrong)?)),
        (IpAddr::V6(ip), None) => Ok(Network::V6(ip.into(), 128)),
        (IpAddr::V6(ip), Some(mask)) => {
            let length = mask.parse().ok().filter(|length| *length <= 128).ok_or_else(wrong)?;
            Ok(Network::V6(ip.into(), length))
        }
    }
}

/// An address with its mask, or its number of bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Network {
    V4(u32, u32),
    V6(u128, u8),
}

/// An IPv4 mask: a number of bits or dotted.
pub fn mask4(text: &str) -> Option<u32> {
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        return Some(mask.into());
    }
    let length: u32 = text.parse().ok().filter(|length| *length <= 32)?;
    Some(u32::MAX.checked_shl(32 - length).unwrap_or(0))
}

/// One to four parts, each decimal, octal or hexadecimal; the last fills what is left.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let part = |text: &str| match text {
        _ if text.starts_with("0x") => u32::from_str_radix(&text[2..], 16).ok(),
        _ if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        _ if text.starts_with('+') => None,
        _ => text.parse().ok(),
    };
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let left = 32_u32.checked_sub(8 * first.len() as u32).filter(|left| *left >= 8)?;
    if left < 32 && *last >= 1 << left || first.iter().any(|octet| *octet > 255) {
        return None;
    }
    let high = first.iter().fold(0, |sum, octet| sum << 8 | octet);
    Some((high.checked_shl(left).unwrap_or(0) | last).into())
}
