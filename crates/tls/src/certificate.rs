//! What a certificate says (RFC 5280), as far as anybody asks.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A certificate, by its bytes. What it says is looked for when somebody asks.
#[derive(Clone, Eq, PartialEq)]
pub struct Certificate {
    der: Vec<u8>,
}

/// Where its parts are.
struct Parts<'d> {
    version: u8,
    serial: &'d [u8],
    signature: &'d [u8],
    issuer: &'d [u8],
    before: Value<'d>,
    after: Value<'d>,
    subject: &'d [u8],
    key: &'d [u8],
    extensions: &'d [u8],
}

/// One value of DER: its tag and its contents.
#[derive(Clone, Copy)]
struct Value<'d> {
    tag: u8,
    body: &'d [u8],
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OID: u8 = 6;
/// subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// Takes the first value of some bytes; `None` if they hold no whole one.
fn value<'d>(bytes: &mut &'d [u8]) -> Option<Value<'d>> {
    let (tag, rest) = bytes.split_first()?;
    // No part of a certificate has a tag of several bytes.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (first, mut rest) = rest.split_first()?;
    let length = match *first {
        short @ 0..=0x7f => usize::from(short),
        0x81..=0x84 => {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            digits.iter().try_fold(0_usize, |sum, digit| {
                sum.checked_mul(256)?.checked_add(usize::from(*digit))
            })?
        }
        _ => return None,
    };
    let (body, after) = rest.split_at_checked(length)?;
    *bytes = after;
    Some(Value { tag: *tag, body })
}

fn expect<'d>(bytes: &mut &'d [u8], tag: u8) -> Option<Value<'d>> {
    value(bytes).filter(|value| value.tag == tag)
}

impl Certificate {
    /// One of these bytes, whatever they are: what cannot be read of it says nothing.
    pub const fn new(der: Vec<u8>) -> Self {
        Self { der }
    }

    /// All of it, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let mut whole = &self.der[..];
        let mut outer = expect(&mut whole, SEQUENCE)?.body;
        let mut inner = expect(&mut outer, SEQUENCE)?.body;
        let mut first = value(&mut inner)?;
        let mut version = 1;
        if first.tag == 0xa0 {
            version = expect(&mut { first.body }, INTEGER)?.body.last()? + 1;
            first = value(&mut inner)?;
        }
        let signature = expect(&mut expect(&mut inner, SEQUENCE)?.body, OID)?.body;
        let issuer = expect(&mut inner, SEQUENCE)?.body;
        let mut validity = expect(&mut inner, SEQUENCE)?.body;
        let (before, after) = (value(&mut validity)?, value(&mut validity)?);
        let subject = expect(&mut inner, SEQUENCE)?.body;
        let key = expect(&mut inner, SEQUENCE)?.body;
        let mut extensions = &[][..];
        while let Some(more) = value(&mut inner) {
            if more.tag == 0xa3 {
                extensions = expect(&mut { more.body }, SEQUENCE)?.body;
            }
        }
        let serial = first.body;
        Some(Parts { version, serial, signature, issuer, before, after, subject, key, extensions })
    }

    /// Its version, from 1 to 3.
    pub fn version(&self) -> Option<u8> {
        Some(self.parts()?.version)
    }

    /// Its serial number, as DER has it.
    pub fn serial(&self) -> Option<&[u8]> {
        Some(self.parts()?.serial)
    }

    /// Whom it is about: each attribute's short name and value, in order.
    pub fn subject(&self) -> Option<Vec<(String, Vec<u8>)>> {
        Some(attributes(self.parts()?.subject))
    }

    /// Who issued it.
    pub fn issuer(&self) -> Option<Vec<(String, Vec<u8>)>> {
        Some(attributes(self.parts()?.issuer))
    }

    /// Whether it says to be its own issuer.
    pub fn is_self_issued(&self) -> bool {
        self.parts().is_some_and(|parts| parts.subject == parts.issuer)
    }

    /// From when to when it holds, as it is written there: `261121193000Z`.
    pub fn validity(&self) -> Option<(&[u8], &[u8])> {
        let parts = self.parts()?;
        Some((parts.before.body, parts.after.body))
    }

    /// From when to when it holds.
    pub fn times(&self) -> Option<(SystemTime, SystemTime)> {
        let parts = self.parts()?;
        Some((moment(parts.before)?, moment(parts.after)?))
    }

    /// The algorithm it is signed with, in OpenSSL's words: `RSA-SHA256`.
    pub fn signature_algorithm(&self) -> Option<&'static str> {
        Some(match self.parts()?.signature {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] => "RSA-SHA1",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => "RSASSA-PSS",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11] => "RSA-SHA256",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] => "RSA-SHA384",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] => "RSA-SHA512",
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => "ecdsa-with-SHA1",
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] => "ecdsa-with-SHA256",
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => "ecdsa-with-SHA384",
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => "ecdsa-with-SHA512",
            [0x2b, 0x65, 0x70] => "ED25519",
            [0x2b, 0x65, 0x71] => "ED448",
            _ => return None,
        })
    }

    /// What its key is for, in OpenSSL's words: `rsaEncryption`.
    pub fn key_algorithm(&self) -> Option<&'static str> {
        let mut key = self.parts()?.key;
        Some(match expect(&mut expect(&mut key, SEQUENCE)?.body, OID)?.body {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1] => "rsaEncryption",
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => "id-ecPublicKey",
            [0x2b, 0x65, 0x70] => "ED25519",
            [0x2b, 0x65, 0x71] => "ED448",
            _ => return None,
        })
    }

    /// How its key is called in a PROXY header: `RSA2048`, `EC256`.
    pub fn key_name(&self) -> Option<String> {
        let mut key = self.parts()?.key;
        let mut algorithm = expect(&mut key, SEQUENCE)?.body;
        let kind = expect(&mut algorithm, OID)?.body;
        let bits = expect(&mut key, 3)?.body.get(1..)?;
        Some(match kind {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1] => {
                let mut inner = expect(&mut { bits }, SEQUENCE)?.body;
                let modulus = expect(&mut inner, INTEGER)?.body;
                let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
                format!("RSA{}", (modulus.len() - zeros) * 8)
            }
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => {
                // A point is a byte and two numbers.
                let size = match bits.len() {
                    133 => 521,
                    length => length.saturating_sub(1) / 2 * 8,
                };
                format!("EC{size}")
            }
            _ => return None,
        })
    }

    /// The names of hosts it is for: those of its subjectAltName.
    pub fn host_names(&self) -> Vec<String> {
        self.alternatives().filter(|name| name.tag == 0x82).filter_map(text).collect()
    }

    /// Its subject's common name, the last one.
    pub fn common_name(&self) -> Option<String> {
        let subject = self.subject()?;
        let name = subject.into_iter().rev().find(|(kind, _)| kind == "CN")?.1;
        String::from_utf8(name).ok()
    }

    fn alternatives(&self) -> impl Iterator<Item = Value<'_>> {
        let mut list = self.parts().map_or(&[][..], |parts| parts.extensions);
        let mut names = &[][..];
        while let Some(extension) = expect(&mut list, SEQUENCE) {
            let mut body = extension.body;
            let Some(oid) = expect(&mut body, OID) else { continue };
            // Whether it is critical may stand between.
            let Some(mut inner) = value(&mut body) else { continue };
            if inner.tag == 1 {
                let Some(next) = value(&mut body) else { continue };
                inner = next;
            }
            if oid.body == ALTERNATIVE_NAMES
                && let Some(found) = expect(&mut { inner.body }, SEQUENCE)
            {
                names = found.body;
            }
        }
        std::iter::from_fn(move || value(&mut names))
    }

    /// The same as [`is_for`](Self::is_for) as OpenSSL's `X509_check_host` has it: a host that is an
    /// address is compared as a name.
    pub fn is_for_name(&self, host: &str) -> bool {
        let names = self.host_names();
        if names.is_empty() {
            return self.common_name().is_some_and(|name| holds(&name, host));
        }
        names.iter().any(|name| holds(name, host))
    }

    /// Whether it is for this host (RFC 6125): one of its alternative names, or, where it has no
    /// names of hosts, its common name. A `*` is for one label, the first.
    pub fn is_for(&self, host: &str) -> bool {
        if let Ok(ip) = host.parse::<IpAddr>() {
            let wanted = match ip {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            return self.alternatives().any(|name| name.tag == 0x87 && name.body == wanted);
        }
        self.is_for_name(host)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.common_name()).finish()
    }
}

/// Whether a name of a certificate, perhaps `*.example.com`, is this host's.
pub fn holds(pattern: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match pattern.strip_prefix("*.") {
        Some(rest) => host
            .split_once('.')
            .is_some_and(|(first, after)| !first.is_empty() && after.eq_ignore_ascii_case(rest)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

fn text(value: Value<'_>) -> Option<String> {
    std::str::from_utf8(value.body).ok().filter(|text| !text.contains('\0')).map(str::to_owned)
}

/// The attributes of a name.
fn attributes(mut name: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(set) = value(&mut name) {
        let mut set = set.body;
        while let Some(attribute) = value(&mut set) {
            let mut parts = attribute.body;
            let (Some(kind), Some(what)) = (expect(&mut parts, OID), value(&mut parts)) else {
                continue;
            };
            let bytes = match what.tag {
                // BMPString.
                0x1e => {
                    let wide = what.body.chunks_exact(2);
                    let wide: Vec<u16> =
                        wide.map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
                    String::from_utf16_lossy(&wide).into_bytes()
                }
                _ => what.body.to_vec(),
            };
            all.push((short_name(kind), bytes));
        }
    }
    all
}

/// OpenSSL's short name of an attribute.
fn short_name(kind: Value<'_>) -> String {
    let name = match kind.body {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 4] => "SN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "street",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x55, 4, 12] => "title",
        [0x55, 4, 42] => "GN",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        other => {
            let mut dotted = String::new();
            let mut number = 0_u64;
            for (at, byte) in other.iter().enumerate() {
                number = number.wrapping_mul(128) + u64::from(byte & 0x7f);
                if byte & 0x80 != 0 {
                    continue;
                }
                let _ = match at {
                    0 => write!(dotted, "{}.{}", number / 40, number % 40),
                    _ => write!(dotted, ".{number}"),
                };
                number = 0;
            }
            return dotted;
        }
    };
    name.to_owned()
}

/// UTCTime and GeneralizedTime (RFC 5280 §4.1.2.5).
fn moment(time: Value<'_>) -> Option<SystemTime> {
    let text = std::str::from_utf8(time.body).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match time.tag {
        0x17 => {
            let year: u64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        _ => (text.get(..4)?.parse().ok()?, text.get(4..)?),
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    // Days since 1970, of the proleptic Gregorian calendar.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(UNIX_EPOCH + Duration::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

#[cfg(test)]
mod tests;
