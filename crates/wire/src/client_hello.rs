//! TLS ClientHello: what a client asks for before anything is encrypted.
//!
//! ```text
//!  record     22 │ 3 │ minor │ length (2) │ fragment …          RFC 8446 §5.1
//!  handshake   1 │ length (3) │ hello …                         RFC 8446 §4
//!  hello      version (2) │ random (32) │ session id (1+) │ ciphers (2+) │ compression (1+) │
//!             extensions (2+): type (2) │ length (2) │ data …   RFC 8446 §4.1.2
//! ```
//!
//! A hello may be spread over several records: the fragments are joined then. Nothing is believed
//! that is not there: a length beyond its container makes it [`Error::Other`], bytes still to come
//! make it [`Error::Incomplete`].

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// The content type of a handshake record.
const HANDSHAKE: u8 = 22;
/// The handshake type of a ClientHello.
const CLIENT_HELLO: u8 = 1;
/// The handshake type of a ServerHello.
const SERVER_HELLO: u8 = 2;
/// The longest fragment of a record, RFC 8446 §5.1, and what older versions may add.
const MAX_FRAGMENT: usize = (1 << 14) + 2_048;
/// The longest hello that is joined. Browsers send two kilobytes.
pub const MAX_HELLO: usize = 1 << 16;

/// Why there is no hello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// There may be one: more bytes will tell.
    Incomplete,
    /// There is none, whatever comes.
    Other,
}

/// A ClientHello, whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientHello<'a> {
    /// The body of the handshake message.
    body: Cow<'a, [u8]>,
    version: (u8, u8),
    /// Where the ciphers are, and where the extensions are.
    ciphers: (usize, usize),
    extensions: (usize, usize),
}

impl<'a> ClientHello<'a> {
    /// Reads the hello at the beginning of what a client sent.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] as long as it may become one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let body = handshake(bytes, CLIENT_HELLO)?;
        let mut reader = Reader { bytes: &body, at: 0 };
        let version = (reader.byte()?, reader.byte()?);
        reader.skip(32)?;
        let session = reader.byte()?;
        reader.skip(usize::from(session))?;
        let ciphers = reader.vector2()?;
        let compression = reader.byte()?;
        reader.skip(usize::from(compression))?;
        // A hello without extensions ends here.
        let extensions =
            if reader.at == body.len() { (body.len(), body.len()) } else { reader.vector2()? };
        // Each of them is inside.
        let mut inner = Reader { bytes: &body[..extensions.1], at: extensions.0 };
        while inner.at < extensions.1 {
            inner.skip(2)?;
            inner.vector2()?;
        }
        Ok(Self { version, ciphers, extensions, body })
    }

    /// `legacy_version`: (3, 3) for TLS 1.2 and newer.
    pub const fn version(&self) -> (u8, u8) {
        self.version
    }

    /// The ciphers, two bytes each.
    pub fn ciphers(&self) -> &[u8] {
        &self.body[self.ciphers.0..self.ciphers.1]
    }

    /// The extensions in their order: type and data.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = &self.body[self.extensions.0..self.extensions.1];
        core::iter::from_fn(move || {
            let (kind, after) = rest.split_first_chunk::<2>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let data = after.get(..usize::from(u16::from_be_bytes(*length)))?;
            rest = &after[data.len()..];
            Some((u16::from_be_bytes(*kind), data))
        })
    }

    /// The data of the first extension of this type.
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        self.extensions().find(|(known, _)| *known == kind).map(|(_, data)| data)
    }

    /// The host that is asked for: `server_name`, RFC 6066 §3.
    pub fn server_name(&self) -> Option<&[u8]> {
        let (length, mut list) = self.extension(0)?.split_first_chunk::<2>()?;
        list = list.get(..usize::from(u16::from_be_bytes(*length)))?;
        while let Some((kind, after)) = list.split_first() {
            let (length, after) = after.split_first_chunk::<2>()?;
            let name = after.get(..usize::from(u16::from_be_bytes(*length)))?;
            if *kind == 0 {
                return Some(name);
            }
            list = &after[name.len()..];
        }
        None
    }

    /// The protocols that are offered: `application_layer_protocol_negotiation`, RFC 7301 §3.1.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let list = self.extension(16).and_then(|data| {
            let (length, list) = data.split_first_chunk::<2>()?;
            list.get(..usize::from(u16::from_be_bytes(*length)))
        });
        let mut rest = list.unwrap_or_default();
        core::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let name = after.get(..usize::from(*length))?;
            rest = &after[name.len()..];
            Some(name)
        })
    }

    /// The session ticket, RFC 5077 §3.2: empty if one is asked for.
    pub fn session_ticket(&self) -> Option<&[u8]> {
        self.extension(35)
    }
}

/// The type of the first handshake message: 1 for a ClientHello, 2 for a ServerHello.
///
/// # Errors
///
/// [`Error::Other`] for everything else, also for other handshake messages.
pub fn message_type(bytes: &[u8]) -> Result<u8, Error> {
    let fragment = record(bytes)?.0;
    match fragment.first() {
        None if fragment.is_empty() && bytes.len() > 5 => Err(Error::Other),
        None => Err(Error::Incomplete),
        Some(&kind @ (CLIENT_HELLO | SERVER_HELLO)) => Ok(kind),
        Some(_) => Err(Error::Other),
    }
}

/// The version of the first hello: of the handshake message, as HAProxy's `req.ssl_ver` has it.
/// SSLv2 hellos (RFC 5246 appendix E.2) are known too.
///
/// # Errors
///
/// [`Error::Incomplete`] until the version is there.
pub fn version(bytes: &[u8]) -> Result<(u8, u8), Error> {
    let first = *bytes.first().ok_or(Error::Incomplete)?;
    if first & 0x80 != 0 {
        // 15 bits of length, the type, the version.
        let head = bytes.get(..5).ok_or(Error::Incomplete)?;
        return if head[2] == CLIENT_HELLO { Ok((head[3], head[4])) } else { Err(Error::Other) };
    }
    let (fragment, whole) = record(bytes)?;
    match fragment {
        [kind, ..] if *kind != CLIENT_HELLO => Err(Error::Other),
        [_, _, _, _, major, minor, ..] => Ok((*major, *minor)),
        // It stands in a later record.
        _ if whole => ClientHello::parse(bytes).map(|hello| hello.version()),
        _ => Err(Error::Incomplete),
    }
}

/// What there is of the first record's fragment, and whether it is all of it.
fn record(bytes: &[u8]) -> Result<(&[u8], bool), Error> {
    let expected = |at: usize, is: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| is(*byte));
    if !expected(0, |b| b == HANDSHAKE) || !expected(1, |b| b == 3) {
        return Err(Error::Other);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<5>() else { return Err(Error::Incomplete) };
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    if length == 0 || length > MAX_FRAGMENT {
        return Err(Error::Other);
    }
    match rest.get(..length) {
        Some(fragment) => Ok((fragment, true)),
        None => Ok((rest, false)),
    }
}

/// The body of the first handshake message, from as many records as it takes.
fn handshake(bytes: &[u8], wanted: u8) -> Result<Cow<'_, [u8]>, Error> {
    let (first, whole) = record(bytes)?;
    if first.first().is_some_and(|kind| *kind != wanted) {
        return Err(Error::Other);
    }
    let length = |head: &[u8]| match head {
        [_, a, b, c, ..] => Some(u32::from_be_bytes([0, *a, *b, *c]) as usize),
        _ => None,
    };
    if length(first).is_some_and(|length| length > MAX_HELLO) {
        return Err(Error::Other);
    }
    if let Some(body) = length(first).and_then(|length| first.get(4..4 + length)) {
        return Ok(Cow::Borrowed(body));
    }
    if !whole {
        return Err(Error::Incomplete);
    }
    let (mut joined, mut rest) = (Vec::from(first), &bytes[5 + first.len()..]);
    loop {
        let (fragment, whole) = record(rest)?;
        joined.extend_from_slice(fragment);
        match length(&joined) {
            Some(length) if length > MAX_HELLO => return Err(Error::Other),
            Some(length) if joined.len() >= 4 + length => {
                joined.truncate(4 + length);
                joined.drain(..4);
                return Ok(Cow::Owned(joined));
            }
            _ if !whole => return Err(Error::Incomplete),
            _ => rest = &rest[5 + fragment.len()..],
        }
    }
}

/// Walks through a message that is whole: what is missing is a lie.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Error> {
        let byte = self.bytes.get(self.at).ok_or(Error::Other)?;
        self.at += 1;
        Ok(*byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), Error> {
        self.at += count;
        if self.at > self.bytes.len() { Err(Error::Other) } else { Ok(()) }
    }

    /// Where the bytes are that a length of two bytes announces.
    fn vector2(&mut self) -> Result<(usize, usize), Error> {
        let length = usize::from(self.byte()?) << 8 | usize::from(self.byte()?);
        let from = self.at;
        self.skip(length)?;
        Ok((from, self.at))
    }
}

#[cfg(test)]
mod tests;
