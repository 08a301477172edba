//! DNS, as far as finding the servers behind a name needs it: RFC 1035 §4, RFC 2782 (SRV),
//! RFC 3596 (AAAA), RFC 6891 (the size of answers).
//!
//! ```text
//!  id (2) │ flags (2) │ questions, answers, authorities, additional (2 each)
//!  question   name │ type (2) │ class (2)
//!  record     name │ type (2) │ class (2) │ TTL (4) │ length (2) │ data
//! ```
//!
//! An answer counts only if it has the number and the question that were asked; only records of the
//! name that was asked for, or of what it is an alias of, are taken.
//!
//! ```
//! use wire::dns::{Error, Kind, Question};
//!
//! let question = Question { id: 7, name: "example.org", kind: Kind::A, payload: None };
//! let mut bytes = question.encode().expect("a name");
//! assert_eq!(question.answer(&bytes), Err(Error::NotAnAnswer));
//! bytes[2] |= 0x80;
//! bytes[3] |= 3;
//! assert_eq!(question.answer(&bytes), Err(Error::Code { code: 3, ttl: None }), "no such name");
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
    /// The hosts and ports of a service, RFC 2782.
    Srv,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

const CNAME: u16 = 5;
const SOA: u16 = 6;
const OPT: u16 = 41;
const INTERNET: u16 = 1;

/// The longest name, RFC 1035 §2.3.4.
const MAX_NAME: usize = 255;
/// References a name may consist of.
const MAX_JUMPS: usize = 64;
/// Aliases of aliases are followed so far inside of one message.
const MAX_ALIASES: usize = 16;

/// A question, which its answer has to repeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Question<'n> {
    /// Its number: nobody should be able to guess it.
    pub id: u16,
    /// The name, with or without a dot at its end.
    pub name: &'n str,
    /// What is asked for.
    pub kind: Kind,
    /// The longest answer that can be taken as a datagram, in bytes, said by an OPT record; without
    /// one it is 512.
    pub payload: Option<u16>,
}

/// Why a message gives nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// It answers another question, or is no answer.
    NotAnAnswer,
    /// It breaks off, or a name in it has no end.
    Malformed,
    /// It was too long for a datagram: ask again over TCP.
    Truncated,
    /// The aliases in it come back to one of them.
    Loop,
    /// The server's code: 1 format, 2 failure, 3 no such name, 4 not implemented, 5 refused.
    Code {
        /// That code, never 0.
        code: u8,
        /// Seconds for which it holds, RFC 2308 §5; `None` if the answer does not say.
        ttl: Option<u32>,
    },
}

/// What an answer says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The addresses, in the order of the message.
    pub addresses: Vec<IpAddr>,
    /// The places of a service, in the order of the message.
    pub services: Vec<Service>,
    /// Seconds for which all of it holds; 0 if nothing says.
    pub ttl: u32,
    /// The name that has what was asked for, if that is still to be asked.
    pub alias: Option<String>,
}

impl Answer {
    /// The name exists and has nothing of the kind that was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.services.is_empty() && self.alias.is_none()
    }
}

/// One place of a service, RFC 2782.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// The lowest is tried first.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, in lower case and without a dot at its end. Empty: there is no such service.
    pub target: String,
}

/// A record, its data still in the message.
struct Record {
    owner: Vec<u8>,
    kind: u16,
    ttl: u32,
    /// Where its data begins and how long it is.
    at: usize,
    length: usize,
}

impl Question<'_> {
    /// The message; `None` for what cannot be a name.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.id.to_be_bytes());
        let additional = u8::from(self.payload.is_some());
        // Recursion is desired; one question.
        bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, additional]);
        let name = self.plain_name();
        if name.len() > MAX_NAME - 2 {
            return None;
        }
        for label in name.split('.') {
            let length =
                u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
            bytes.push(length);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&self.kind.number().to_be_bytes());
        bytes.extend_from_slice(&INTERNET.to_be_bytes());
        if let Some(payload) = self.payload {
            // RFC 6891 §6.1.2: of the root, no flags, no options.
            bytes.push(0);
            bytes.extend_from_slice(&OPT.to_be_bytes());
            bytes.extend_from_slice(&payload.to_be_bytes());
            bytes.extend_from_slice(&[0; 6]);
        }
        Some(bytes)
    }

    fn plain_name(&self) -> &str {
        self.name.strip_suffix('.').unwrap_or(self.name)
    }

    /// Reads the answer to this question.
    ///
    /// # Errors
    ///
    /// Why it is none. After [`Error::NotAnAnswer`] the right one may still come.
    pub fn answer(&self, bytes: &[u8]) -> Result<Answer, Error> {
        let flags = word(bytes, 2)?;
        if word(bytes, 0)? != self.id || flags & 0x8000 == 0 {
            return Err(Error::NotAnAnswer);
        }
        let code = (flags & 15) as u8;
        let mut at = 12;
        let asked = self.plain_name().to_ascii_lowercase().into_bytes();
        match word(bytes, 4)? {
            // A server that could not even read the question need not repeat it.
            0 if code != 0 => {}
            1 => {
                let (name, end) = name(bytes, at)?;
                let (kind, class) = (word(bytes, end)?, word(bytes, end + 2)?);
                if name != asked || kind != self.kind.number() || class != INTERNET {
                    return Err(Error::NotAnAnswer);
                }
                at = end + 4;
            }
            _ => return Err(Error::NotAnAnswer),
        }
        if flags & 0x0200 != 0 {
            return Err(Error::Truncated);
        }
        let mut answers = Vec::new();
        for _ in 0..word(bytes, 6)? {
            let (record, end) = record(bytes, at)?;
            at = end;
            answers.extend(record);
        }
        if code != 0 {
            return Err(Error::Code { code, ttl: negative_ttl(bytes, at) });
        }
        let mut answer = self.follow(bytes, asked, &answers)?;
        if answer.is_empty() {
            answer.ttl = negative_ttl(bytes, at).unwrap_or(0);
        }
        Ok(answer)
    }

    /// Goes from alias to alias to the records that were asked for.
    fn follow(&self, bytes: &[u8], asked: Vec<u8>, all: &[Record]) -> Result<Answer, Error> {
        let mut owner = asked;
        let mut ttl = u32::MAX;
        let mut aliased = false;
        for _ in 0..=MAX_ALIASES {
            let mut found = Answer::default();
            for record in all {
                if record.owner != owner || record.kind != self.kind.number() {
                    continue;
                }
                ttl = ttl.min(record.ttl);
                self.take(bytes, record, &mut found)?;
            }
            if !found.is_empty() {
                return Ok(Answer { ttl, ..found });
            }
            let next = all.iter().find(|record| record.kind == CNAME && record.owner == owner);
            let Some(next) = next else {
                let alias = if aliased { Some(text(owner)?) } else { None };
                return Ok(Answer { ttl: if aliased { ttl } else { 0 }, alias, ..found });
            };
            ttl = ttl.min(next.ttl);
            (owner, _) = name(bytes, next.at)?;
            aliased = true;
        }
        Err(Error::Loop)
    }

    fn take(&self, bytes: &[u8], record: &Record, found: &mut Answer) -> Result<(), Error> {
        let data = bytes.get(record.at..record.at + record.length).ok_or(Error::Malformed)?;
        match self.kind {
            Kind::A => {
                let octets: [u8; 4] = data.try_into().map_err(|_| Error::Malformed)?;
                found.addresses.push(Ipv4Addr::from(octets).into());
            }
            Kind::Aaaa => {
                let octets: [u8; 16] = data.try_into().map_err(|_| Error::Malformed)?;
                found.addresses.push(Ipv6Addr::from(octets).into());
            }
            Kind::Srv => {
                let (target, end) = name(bytes, record.at + 6)?;
                if end != record.at + record.length {
                    return Err(Error::Malformed);
                }
                found.services.push(Service {
                    priority: word(data, 0)?,
                    weight: word(data, 2)?,
                    port: word(data, 4)?,
                    target: text(target)?,
                });
            }
        }
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u16, Error> {
    let pair = bytes.get(at..at + 2).ok_or(Error::Malformed)?;
    Ok(u16::from_be_bytes([pair[0], pair[1]]))
}

fn double(bytes: &[u8], at: usize) -> Result<u32, Error> {
    Ok(u32::from(word(bytes, at)?) << 16 | u32::from(word(bytes, at + 2)?))
}

/// The record there, unless it is of another class, and where the next one begins.
fn record(bytes: &[u8], at: usize) -> Result<(Option<Record>, usize), Error> {
    let (owner, at) = name(bytes, at)?;
    let (kind, class) = (word(bytes, at)?, word(bytes, at + 2)?);
    // RFC 2181 §8: a TTL with the highest bit set is zero.
    let ttl = Some(double(bytes, at + 4)?).filter(|ttl| ttl >> 31 == 0).unwrap_or(0);
    let length = usize::from(word(bytes, at + 8)?);
    let at = at + 10;
    bytes.get(at..at + length).ok_or(Error::Malformed)?;
    let record = Record { owner, kind, ttl, at, length };
    Ok(((class == INTERNET).then_some(record), at + length))
}

/// How long an answer that has nothing holds, RFC 2308 §5: the lesser of the SOA record's own time
/// and the last number in it.
fn negative_ttl(bytes: &[u8], mut at: usize) -> Option<u32> {
    for _ in 0..word(bytes, 8).ok()? {
        let (record, end) = record(bytes, at).ok()?;
        at = end;
        if let Some(record) = record.filter(|record| record.kind == SOA && record.length >= 20) {
            let minimum = double(bytes, record.at + record.length - 4).ok()?;
            return Some(record.ttl.min(minimum));
        }
    }
    None
}

fn text(name: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(name).map_err(|_| Error::Malformed)
}

/// A name in lower case, references followed, and where it ends.
fn name(bytes: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), Error> {
    let mut name = Vec::new();
    let mut end = None;
    for _ in 0..MAX_JUMPS + MAX_NAME / 2 {
        let length = *bytes.get(at).ok_or(Error::Malformed)?;
        match length {
            0 => return Ok((name, end.unwrap_or(at + 1))),
            1..64 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(length));
                let label = label.ok_or(Error::Malformed)?;
                // A dot inside of a label would make another name of it.
                if label.contains(&b'.') {
                    return Err(Error::Malformed);
                }
                if !name.is_empty() {
                    name.push(b'.');
                }
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                if name.len() > MAX_NAME {
                    return Err(Error::Malformed);
                }
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let low = *bytes.get(at + 1).ok_or(Error::Malformed)?;
                end.get_or_insert(at + 2);
                at = usize::from(length & 0x3f) << 8 | usize::from(low);
            }
            _ => return Err(Error::Malformed),
        }
    }
    Err(Error::Malformed)
}

#[cfg(test)]
mod tests;
