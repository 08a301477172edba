//! What a rule looks at: a value with a type, and how one type becomes another.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value a fetch found or a converter made. HAProxy's strings are bytes, and so are these.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A number of 64 bits with a sign.
    Int(i64),
    /// An address of either family.
    Ip(IpAddr),
    /// Text.
    Str(Cow<'a, [u8]>),
    /// Bytes that are no text.
    Bin(Cow<'a, [u8]>),
}

/// The type of a [`Value`], as a table announces it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Type {
    /// Not known before it is there.
    Any,
    /// A boolean.
    Bool,
    /// A number.
    Int,
    /// An address of either family.
    Addr,
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// Text.
    Str,
    /// Bytes.
    Bin,
}

impl Type {
    /// HAProxy's name, as `show` commands and messages have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Bool => "bool",
            Self::Int => "sint",
            Self::Addr => "addr",
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
            Self::Str => "str",
            Self::Bin => "bin",
        }
    }

    /// Whether a value of this type may be used where one of type `to` is wanted. Whether a given
    /// value can is only known once it is there: a text may or may not be an address.
    pub const fn casts_to(self, to: Self) -> bool {
        use Type::{Addr, Any, Bin, Bool, Int, Str, V4, V6};
        match self {
            Any | Int | Str => true,
            Bool => matches!(to, Any | Bool | Int | Str),
            Addr | V6 => matches!(to, Any | Addr | V4 | V6 | Str | Bin),
            V4 => !matches!(to, Bool),
            Bin => matches!(to, Any | Str | Bin),
        }
    }
}

impl<'a> Value<'a> {
    /// Text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        match text.into() {
            Cow::Borrowed(text) => Self::Str(Cow::Borrowed(text.as_bytes())),
            Cow::Owned(text) => Self::Str(Cow::Owned(text.into_bytes())),
        }
    }

    /// The type it has.
    pub const fn kind(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Ip(IpAddr::V4(_)) => Type::V4,
            Self::Ip(IpAddr::V6(_)) => Type::V6,
            Self::Str(_) => Type::Str,
            Self::Bin(_) => Type::Bin,
        }
    }

    /// The same value, owning what it holds.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Bool(on) => Value::Bool(on),
            Self::Int(number) => Value::Int(number),
            Self::Ip(ip) => Value::Ip(ip),
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Bin(bytes) => Value::Bin(Cow::Owned(bytes.into_owned())),
        }
    }

    /// The value as one of type `to`; `None` where it has none.
    pub fn cast(self, to: Type) -> Option<Self> {
        match to {
            Type::Any => Some(self),
            Type::Bool => self.truth().map(Self::Bool),
            Type::Int => self.number().map(Self::Int),
            Type::Addr => self.address().map(Self::Ip),
            Type::V4 => self.v4().map(|ip| Self::Ip(ip.into())),
            Type::V6 => self.v6().map(|ip| Self::Ip(ip.into())),
            Type::Str => Some(Self::Str(self.into_text())),
            Type::Bin => self.into_bytes().map(Self::Bin),
        }
    }

    /// As a boolean: a number is true unless it is 0.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(on) => Some(*on),
            Self::Int(number) => Some(*number != 0),
            Self::Str(_) => self.number().map(|number| number != 0),
            Self::Ip(_) | Self::Bin(_) => None,
        }
    }

    /// As a number: of text the leading digits count.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Bool(on) => Some(i64::from(*on)),
            Self::Int(number) => Some(*number),
            Self::Ip(IpAddr::V4(ip)) => Some(i64::from(u32::from(*ip))),
            Self::Str(text) => Some(leading_number(text)),
            Self::Ip(IpAddr::V6(_)) | Self::Bin(_) => None,
        }
    }

    /// As an address.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Int(number) => Some(Ipv4Addr::from(*number as u32).into()),
            Self::Str(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
            Self::Bool(_) | Self::Bin(_) => None,
        }
    }

    fn v4(&self) -> Option<Ipv4Addr> {
        match self.address()? {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(ip) => v4_of(ip),
        }
    }

    fn v6(&self) -> Option<Ipv6Addr> {
        match self.address()? {
            IpAddr::V4(ip) => Some(ip.to_ipv6_mapped()),
            IpAddr::V6(ip) => Some(ip),
        }
    }

    /// As text: numbers in decimal, addresses in their usual form, bytes up to the first that is 0.
    pub fn into_text(self) -> Cow<'a, [u8]> {
        match self {
            Self::Bool(on) => Cow::Borrowed(if on { b"1" } else { b"0" }),
            Self::Int(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Ip(ip) => Cow::Owned(ip.to_string().into_bytes()),
            Self::Str(text) => text,
            Self::Bin(bytes) => match bytes.iter().position(|byte| *byte == 0) {
                None => bytes,
                Some(end) => Cow::Owned(bytes[..end].to_vec()),
            },
        }
    }

    /// As bytes: numbers as eight bytes and addresses as four or sixteen, in network order.
    pub fn into_bytes(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Bool(_) => None,
            Self::Int(number) => Some(Cow::Owned(number.to_be_bytes().to_vec())),
            Self::Ip(IpAddr::V4(ip)) => Some(Cow::Owned(ip.octets().to_vec())),
            Self::Ip(IpAddr::V6(ip)) => Some(Cow::Owned(ip.octets().to_vec())),
            Self::Str(bytes) | Self::Bin(bytes) => Some(bytes),
        }
    }
}

/// The IPv4 address inside an IPv6 one: mapped (`::ffff:0:0/96`), compatible (`::/96`) or 6to4
/// (`2002::/16`).
pub(crate) fn v4_of(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = ip.octets();
    if octets[..10] == [0; 10] && (octets[10..12] == [0; 2] || octets[10..12] == [0xff; 2]) {
        return Some(Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]));
    }
    let is_6to4 = octets[..2] == [0x20, 0x02];
    is_6to4.then(|| Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5]))
}

/// Upper-case hexadecimal, as HAProxy writes bytes.
pub(crate) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out
}

/// The number text begins with, 0 if it begins with none; it stops at the ends of the range.
pub(crate) fn leading_number(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let mut number = 0_i64;
    for digit in digits.iter().take_while(|digit| digit.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        number = number.saturating_mul(10);
        number = if negative { number.saturating_sub(digit) } else { number.saturating_add(digit) };
    }
    number
}
