//! DNS, as far as finding the addresses of a name needs it: RFC 1035 §4, RFC 3596.
//!
//! ```text
//!  id (2) │ flags (2) │ questions, answers, authorities, additional (2 each)
//!  question   name │ type (2) │ class (2)
//!  answer     name │ type (2) │ class (2) │ TTL (4) │ length (2) │ data
//! ```
//!
//! ```
//! use wire::dns::{Error, Kind, answer, query};
//!
//! let mut bytes = query(7, "example.org", Kind::A).expect("a name");
//! assert_eq!(answer(&bytes, 7), Err(Error::NotAnAnswer));
//! bytes[2] |= 0x80;
//! bytes[3] |= 3;
//! assert_eq!(answer(&bytes, 7), Err(Error::Code(3)), "there is no such name");
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;

/// The longest name, RFC 1035 §2.3.4.
const MAX_NAME: usize = 255;
/// Names that refer to each other are followed so far.
const MAX_JUMPS: usize = 64;

/// Why a message gives no addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// It answers another question, or is no answer.
    NotAnAnswer,
    /// It breaks off, or a name in it has no end.
    Malformed,
    /// It was too long for a datagram.
    Truncated,
    /// The server's code: 1 format, 2 failure, 3 no such name, 4 not implemented, 5 refused.
    Code(u8),
}

/// What an answer says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The addresses, in the order of the message.
    pub addresses: Vec<IpAddr>,
    /// Seconds for which all of it holds.
    pub ttl: u32,
    /// The name that has the addresses, if they are still to be asked for.
    pub alias: Option<String>,
}

/// A question; `None` for what cannot be a name.
#[must_use]
pub fn query(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&id.to_be_bytes());
    // Recursion is desired; one question.
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > MAX_NAME - 2 {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    let kind = match kind {
        Kind::A => A,
        Kind::Aaaa => AAAA,
    };
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&INTERNET.to_be_bytes());
    Some(bytes)
}

/// The answer to the question of this number.
///
/// # Errors
///
/// Why it is none.
pub fn answer(bytes: &[u8], id: u16) -> Result<Answer, Error> {
    let word = |at: usize| -> Result<u16, Error> {
        let pair = bytes.get(at..at + 2).ok_or(Error::Malformed)?;
        Ok(u16::from_be_bytes([pair[0], pair[1]]))
    };
    let flags = word(2)?;
    if word(0)? != id || flags & 0x8000 == 0 {
        return Err(Error::NotAnAnswer);
    }
    if flags & 0x0200 != 0 {
        return Err(Error::Truncated);
    }
    match (flags & 15) as u8 {
        0 => {}
        code => return Err(Error::Code(code)),
    }
    let (questions, answers) = (word(4)?, word(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = skip_name(bytes, at)? + 4;
    }
    let mut found = Answer { ttl: u32::MAX, ..Answer::default() };
    for _ in 0..answers {
        at = skip_name(bytes, at)?;
        let (kind, class) = (word(at)?, word(at + 2)?);
        let ttl = u32::from(word(at + 4)?) << 16 | u32::from(word(at + 6)?);
        let length = usize::from(word(at + 8)?);
        let data = bytes.get(at + 10..at + 10 + length).ok_or(Error::Malformed)?;
        let address = match (kind, data) {
            _ if class != INTERNET => None,
            (A, &[a, b, c, d]) => Some(Ipv4Addr::new(a, b, c, d).into()),
            (AAAA, data) => {
                let octets: [u8; 16] = data.try_into().map_err(|_| Error::Malformed)?;
                Some(Ipv6Addr::from(octets).into())
            }
            (A, _) => return Err(Error::Malformed),
            (CNAME, _) => {
                found.alias = Some(name(bytes, at + 10)?);
                found.ttl = found.ttl.min(ttl);
                None
            }
            _ => None,
        };
        if let Some(address) = address {
            found.addresses.push(address);
            found.ttl = found.ttl.min(ttl);
        }
        at += 10 + length;
    }
    if !found.addresses.is_empty() {
        found.alias = None;
    }
    if found.ttl == u32::MAX {
        found.ttl = 0;
    }
    Ok(found)
}

/// Where a name ends.
fn skip_name(bytes: &[u8], mut at: usize) -> Result<usize, Error> {
    loop {
        match *bytes.get(at).ok_or(Error::Malformed)? {
            0 => return Ok(at + 1),
            length @ 1..64 => at += 1 + usize::from(length),
            0xc0.. => return Ok(at + 2),
            _ => return Err(Error::Malformed),
        }
    }
}

/// A name, references followed.
fn name(bytes: &[u8], mut at: usize) -> Result<String, Error> {
    let mut text = String::new();
    for _ in 0..MAX_JUMPS {
        let length = *bytes.get(at).ok_or(Error::Malformed)?;
        match length {
            0 => return Ok(text),
            1..64 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(length));
                let label = core::str::from_utf8(label.ok_or(Error::Malformed)?);
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(label.map_err(|_| Error::Malformed)?);
                if text.len() > MAX_NAME {
                    return Err(Error::Malformed);
                }
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let low = *bytes.get(at + 1).ok_or(Error::Malformed)?;
                at = usize::from(length & 0x3f) << 8 | usize::from(low);
            }
            _ => return Err(Error::Malformed),
        }
    }
    Err(Error::Malformed)
}

#[cfg(test)]
mod tests;
