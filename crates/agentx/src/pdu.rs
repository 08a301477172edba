//! The packets of RFC 2741 §6, as far as a subagent that only answers needs them.

use alloc::vec::Vec;

use crate::value::{Oid, Value};

/// Octets of a header.
pub(crate) const HEADER: usize = 20;
/// The longest payload that is taken: a GetBulk of some hundred ranges is a few thousand octets.
const LONGEST: usize = 64 << 10;
/// The most numbers an object identifier has (RFC 2741 §5.1).
const MOST_NUMBERS: usize = 128;

const VERSION: u8 = 1;
const NETWORK_BYTE_ORDER: u8 = 0x10;
const NON_DEFAULT_CONTEXT: u8 = 0x08;

/// Why a session cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// RFC 2741 knows version 1 only.
    #[error("an AgentX packet of version {0}; only version 1 is known")]
    Version(u8),
    /// Longer than any sensible request.
    #[error("an AgentX packet of {0} octets, which is too long")]
    TooLong(usize),
    /// It ends early, or its parts contradict each other.
    #[error("a malformed AgentX packet of type {0}")]
    Malformed(u8),
    /// The master agent refused to open the session or to register a subtree.
    #[error("the master agent refused with error {0}")]
    Refused(u16),
    /// The master agent closed the session.
    #[error("the master agent closed the session")]
    Closed,
}

/// The kinds of packet (RFC 2741 §6.1).
pub(crate) mod kind {
    pub(crate) const OPEN: u8 = 1;
    pub(crate) const CLOSE: u8 = 2;
    pub(crate) const REGISTER: u8 = 3;
    pub(crate) const GET: u8 = 5;
    pub(crate) const GET_NEXT: u8 = 6;
    pub(crate) const GET_BULK: u8 = 7;
    pub(crate) const TEST_SET: u8 = 8;
    pub(crate) const NOTIFY: u8 = 12;
    pub(crate) const RESPONSE: u8 = 18;
}

/// What every packet begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) session: u32,
    pub(crate) transaction: u32,
    pub(crate) packet: u32,
    pub(crate) length: usize,
}

impl Header {
    /// The header at the beginning of `bytes`; `None` until all of it is there.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let Some(head) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        if head[0] != VERSION {
            return Err(Broken::Version(head[0]));
        }
        let mut header = Self {
            kind: head[1],
            flags: head[2],
            session: 0,
            transaction: 0,
            packet: 0,
            length: 0,
        };
        let mut rest = Reader { bytes: &head[4..], big: header.is_big(), kind: header.kind };
        header.session = rest.number()?;
        header.transaction = rest.number()?;
        header.packet = rest.number()?;
        header.length = rest.number()? as usize;
        if header.length > LONGEST {
            return Err(Broken::TooLong(header.length));
        }
        Ok(Some(header))
    }

    fn is_big(self) -> bool {
        self.flags & NETWORK_BYTE_ORDER != 0
    }

    /// Its payload, behind the context if there is one.
    pub(crate) fn reader(self, payload: &[u8]) -> Result<Reader<'_>, Broken> {
        let mut reader = Reader { bytes: payload, big: self.is_big(), kind: self.kind };
        if self.flags & NON_DEFAULT_CONTEXT != 0 {
            reader.octets()?;
        }
        Ok(reader)
    }
}

/// Takes a payload apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    big: bool,
    kind: u8,
}

/// Where to look: the start, whether it counts itself, and the end.
pub(crate) type Range = (Oid, bool, Oid);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(self.malformed())?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn malformed(&self) -> Broken {
        Broken::Malformed(self.kind)
    }

    pub(crate) fn number(&mut self) -> Result<u32, Broken> {
        let bytes = self.take(4)?.try_into().map_err(|_| self.malformed())?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(crate) fn short(&mut self) -> Result<u16, Broken> {
        let bytes = self.take(2)?.try_into().map_err(|_| self.malformed())?;
        Ok(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], Broken> {
        let length = self.number()? as usize;
        let padded = length.checked_next_multiple_of(4).ok_or(self.malformed())?;
        Ok(&self.take(padded)?[..length])
    }

    /// An object identifier, and whether a range that begins there includes it (RFC 2741 §5.1).
    pub(crate) fn oid(&mut self) -> Result<(Oid, bool), Broken> {
        let head = self.take(4)?;
        let (count, prefix, include) = (usize::from(head[0]), head[1], head[2] != 0);
        if count > MOST_NUMBERS {
            return Err(self.malformed());
        }
        let mut numbers = Vec::with_capacity(count + 5);
        if prefix != 0 {
            numbers.extend([1, 3, 6, 1, u32::from(prefix)]);
        }
        for _ in 0..count {
            numbers.push(self.number()?);
        }
        Ok((Oid::from(numbers), include))
    }

    pub(crate) fn range(&mut self) -> Result<Range, Broken> {
        let (start, include) = self.oid()?;
        let (end, _) = self.oid()?;
        Ok((start, include, end))
    }

    /// All ranges that are left.
    pub(crate) fn ranges(&mut self) -> Result<Vec<Range>, Broken> {
        let mut ranges = Vec::new();
        while !self.is_empty() {
            ranges.push(self.range()?);
        }
        Ok(ranges)
    }
}

/// Puts a packet together, in network byte order.
#[derive(Debug)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

/// What was found where: RFC 2741 §5.4's exceptions beside values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found<'a> {
    Value(&'a Value),
    NoSuchObject,
    NoSuchInstance,
    EndOfMibView,
}

impl Writer {
    pub(crate) fn new(kind: u8, session: u32, transaction: u32, packet: u32) -> Self {
        let mut writer = Self(Vec::with_capacity(64));
        writer.0.extend([VERSION, kind, NETWORK_BYTE_ORDER, 0]);
        for number in [session, transaction, packet, 0] {
            writer.number(number);
        }
        writer
    }

    /// How long it is so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole packet.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - HEADER).unwrap_or(u32::MAX);
        self.0[16..20].copy_from_slice(&length.to_be_bytes());
        self.0
    }

    pub(crate) fn number(&mut self, number: u32) {
        self.0.extend(number.to_be_bytes());
    }

    pub(crate) fn short(&mut self, number: u16) {
        self.0.extend(number.to_be_bytes());
    }

    /// Single octets.
    pub(crate) fn raw(&mut self, octets: [u8; 4]) {
        self.0.extend(octets);
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.number(u32::try_from(octets.len()).unwrap_or(u32::MAX));
        self.0.extend(octets);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(crate) fn oid(&mut self, oid: &Oid) {
        let numbers = oid.numbers();
        let (prefix, rest) = match numbers {
            [1, 3, 6, 1, prefix @ 1..=255, rest @ ..] => (u8::try_from(*prefix).unwrap_or(0), rest),
            _ => (0, numbers),
        };
        let rest = &rest[..rest.len().min(MOST_NUMBERS)];
        self.0.extend([u8::try_from(rest.len()).unwrap_or(0), prefix, 0, 0]);
        for number in rest {
            self.number(*number);
        }
    }

    pub(crate) fn binding(&mut self, oid: &Oid, found: &Found<'_>) {
        let number = match found {
            Found::Value(Value::Integer(_)) => 2,
            Found::Value(Value::Octets(_)) => 4,
            Found::Value(Value::Oid(_)) => 6,
            Found::Value(Value::Address(_)) => 64,
            Found::Value(Value::Counter32(_)) => 65,
            Found::Value(Value::Gauge(_)) => 66,
            Found::Value(Value::Ticks(_)) => 67,
            Found::Value(Value::Counter64(_)) => 70,
            Found::NoSuchObject => 128,
            Found::NoSuchInstance => 129,
            Found::EndOfMibView => 130,
        };
        self.short(number);
        self.short(0);
        self.oid(oid);
        let Found::Value(value) = found else { return };
        match value {
            Value::Integer(number) => self.0.extend(number.to_be_bytes()),
            Value::Octets(octets) => self.octets(octets),
            Value::Oid(oid) => self.oid(oid),
            Value::Address(address) => self.octets(&address.octets()),
            Value::Counter32(number) | Value::Gauge(number) | Value::Ticks(number) => {
                self.number(*number);
            }
            Value::Counter64(number) => self.0.extend(number.to_be_bytes()),
        }
    }
}
