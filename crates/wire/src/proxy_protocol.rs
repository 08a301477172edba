//! The PROXY protocol, versions 1 and 2: what a proxy tells the next one of its client.
//!
//! ```text
//!  version 1   PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 CR LF          at most 107 bytes
//!
//!  version 2   0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A                        signature
//!              version 2, command │ family, transport │ length (2)
//!              source, destination, ports │ TLVs: type │ length (2) │ value …
//! ```
//!
//! The specification is HAProxy's `proxy-protocol.txt`. A header is read from a connection's first
//! bytes; anything may follow it.
//!
//! ```
//! use wire::proxy_protocol::{Addresses, Error, Header};
//!
//! let bytes = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nhello";
//! let header = Header::parse(bytes)?;
//! assert_eq!(&bytes[header.length..], b"hello");
//! assert_eq!(header.addresses.map(|a| a.source.to_string()).as_deref(), Some("192.0.2.7:56324"));
//! assert_eq!(Header::parse(b"GET / HTTP/1.1"), Err(Error::Broken));
//! # Ok::<(), Error>(())
//! ```

use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, with its line end.
const MAX_V1: usize = 107;

/// The longest header of version 2 that is waited for: nginx's limit. A longer one is no header.
pub const MAX_V2: usize = 4096;

/// The types of TLVs that have a meaning of their own.
pub mod tlv {
    /// The protocol the client negotiated.
    pub const ALPN: u8 = 1;
    /// The name the client asked for.
    pub const AUTHORITY: u8 = 2;
    /// A checksum of the header.
    pub const CRC32C: u8 = 3;
    /// Nothing.
    pub const NOOP: u8 = 4;
    /// What identifies the connection.
    pub const UNIQUE_ID: u8 = 5;
    /// What is known of the client's TLS.
    pub const SSL: u8 = 0x20;
    /// The network namespace the client's connection belongs to.
    pub const NETNS: u8 = 0x30;
}

/// The longest authority HAProxy takes.
const MAX_AUTHORITY: usize = 255;

/// The longest unique id, as the specification has it.
const MAX_UNIQUE_ID: usize = 128;

/// Why there is no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// There may be one: more bytes will tell.
    Incomplete,
    /// There is none, whatever comes.
    Broken,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the PROXY header is not complete",
            Self::Broken => "the PROXY header is broken",
        })
    }
}

impl core::error::Error for Error {}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// A header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header<'a> {
    /// Whom it is about; `None` for `UNKNOWN`, `LOCAL`, UNIX sockets and datagrams.
    pub addresses: Option<Addresses>,
    /// Its bytes: what follows belongs to the connection.
    pub length: usize,
    tlvs: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads the header at the beginning of a connection.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] as long as more bytes may make it one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes.first() {
            None => Err(Error::Incomplete),
            Some(b'P') => v1(bytes),
            Some(b'\r') => v2(bytes),
            Some(_) => Err(Error::Broken),
        }
    }

    /// The TLVs of version 2, type and value, as far as they are whole.
    pub fn tlvs(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        tlvs(self.tlvs)
    }

    /// Whether its TLVs are what they should be, as HAProxy asks of them: whole, none longer than
    /// allowed, and a checksum, if there is one, that of the header's own `bytes`.
    #[must_use]
    pub fn is_sound(&self, bytes: &[u8]) -> bool {
        let mut taken = 0;
        for (kind, value) in self.tlvs() {
            let at = self.length - self.tlvs.len() + taken;
            taken += 3 + value.len();
            let fits = match kind {
                tlv::AUTHORITY => value.len() <= MAX_AUTHORITY,
                tlv::UNIQUE_ID => value.len() <= MAX_UNIQUE_ID,
                tlv::CRC32C => value.try_into().is_ok_and(|said: [u8; 4]| {
                    u32::from_be_bytes(said) == checksum(&bytes[..self.length], at + 3)
                }),
                _ => true,
            };
            if !fits {
                return false;
            }
        }
        taken == self.tlvs.len()
    }

    /// All TLVs as they came.
    #[must_use]
    pub const fn tlv_bytes(&self) -> &'a [u8] {
        self.tlvs
    }
}

/// Type and value of each TLV, as far as they are whole.
pub fn tlvs(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (&[kind, high, low], after) = rest.split_first_chunk::<3>()?;
        let value = after.get(..usize::from(u16::from_be_bytes([high, low])))?;
        rest = &after[value.len()..];
        Some((kind, value))
    })
}

/// Whether `bytes` is, as far as it goes, the beginning of `text`.
fn may_become(bytes: &[u8], text: &[u8]) -> bool {
    bytes.iter().zip(text).all(|(a, b)| a == b)
}

fn v1(bytes: &[u8]) -> Result<Header<'_>, Error> {
    if !may_become(bytes, b"PROXY ") {
        return Err(Error::Broken);
    }
    let window = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return Err(if bytes.len() < MAX_V1 { Error::Incomplete } else { Error::Broken });
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(Error::Broken)?;
    let length = end + 1;
    let text = core::str::from_utf8(line).map_err(|_| Error::Broken)?;
    let mut words = text.split(' ').skip(1);
    let v6 = match words.next() {
        Some("TCP4") => false,
        Some("TCP6") => true,
        // What follows it is not looked at.
        Some("UNKNOWN") => return Ok(Header { addresses: None, length, tlvs: &[] }),
        _ => return Err(Error::Broken),
    };
    let mut ip = || -> Option<IpAddr> {
        let word = words.next()?;
        if v6 {
            word.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        } else {
            word.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
    };
    let (source, destination) = (ip(), ip());
    let mut port = || -> Option<u16> {
        let word = words.next()?;
        word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
    };
    let (from, to) = (port(), port());
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (source, destination, from, to, words.next())
    else {
        return Err(Error::Broken);
    };
    let addresses = Addresses {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    };
    Ok(Header { addresses: Some(addresses), length, tlvs: &[] })
}

fn v2(bytes: &[u8]) -> Result<Header<'_>, Error> {
    if !may_become(bytes, SIGNATURE) {
        return Err(Error::Broken);
    }
    let Some((&[command, family, high, low], rest)) =
        bytes.get(SIGNATURE.len()..).and_then(|rest| rest.split_first_chunk::<4>())
    else {
        return match bytes.get(SIGNATURE.len()) {
            Some(byte) if byte >> 4 != 2 => Err(Error::Broken),
            _ => Err(Error::Incomplete),
        };
    };
    let size = usize::from(u16::from_be_bytes([high, low]));
    let length = SIGNATURE.len() + 4 + size;
    if command >> 4 != 2 || command & 15 > 1 || length > MAX_V2 {
        return Err(Error::Broken);
    }
    let body = rest.get(..size).ok_or(Error::Incomplete)?;
    // LOCAL: the proxy itself, perhaps a health check. Only streams have addresses here.
    let stream = command & 15 == 1 && family & 15 == 1;
    let (addresses, tlvs) = match family >> 4 {
        1 => {
            let (block, tlvs) = body.split_first_chunk::<12>().ok_or(Error::Broken)?;
            let ip =
                |at: usize| Ipv4Addr::new(block[at], block[at + 1], block[at + 2], block[at + 3]);
            (ends(ip(0).into(), ip(4).into(), &block[8..]), tlvs)
        }
        2 => {
            let (block, tlvs) = body.split_first_chunk::<36>().ok_or(Error::Broken)?;
            let ip = |at: usize| {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&block[at..at + 16]);
                Ipv6Addr::from(bytes)
            };
            (ends(ip(0).into(), ip(16).into(), &block[32..]), tlvs)
        }
        3 => (None, body.get(216..).ok_or(Error::Broken)?),
        // Unspecified: TLVs may begin at once; there is no saying what else would.
        0 => (None, body),
        _ => (None, &body[..0]),
    };
    Ok(Header { addresses: addresses.filter(|_| stream), length, tlvs })
}

fn ends(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Option<Addresses> {
    let &[a, b, c, d] = ports else { return None };
    Some(Addresses {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

/// CRC-32C (Castagnoli) of what a header says, the four bytes of the checksum itself as zeroes.
fn checksum(header: &[u8], at: usize) -> u32 {
    let zeroed = header.iter().enumerate();
    let zeroed = zeroed.map(|(here, byte)| if (at..at + 4).contains(&here) { 0 } else { *byte });
    !zeroed.fold(!0_u32, |mut state, byte| {
        state ^= u32::from(byte);
        for _ in 0..8 {
            state = if state & 1 == 1 { state >> 1 ^ 0x82f6_3b78 } else { state >> 1 };
        }
        state
    })
}

/// Fills in the checksum of an encoded header of version 2 that has a TLV of four bytes for it.
pub fn seal(header: &mut [u8]) {
    let Ok(Header { length, tlvs: list, .. }) = Header::parse(header) else { return };
    let mut at = length - list.len();
    let mut found = None;
    for (kind, value) in tlvs(list) {
        if kind == tlv::CRC32C && value.len() == 4 {
            found = Some(at + 3);
        }
        at += 3 + value.len();
    }
    if let Some(at) = found {
        let sum = checksum(&header[..length], at);
        header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Both ends in one family: IPv4 becomes IPv6 beside IPv6.
fn alike(addresses: Addresses) -> Addresses {
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (canonical(addresses.source), canonical(addresses.destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return Addresses { source, destination };
    }
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    Addresses { source: mapped(source), destination: mapped(destination) }
}

/// A header of version 1; without addresses it says `UNKNOWN`.
#[must_use]
pub fn encode_v1(addresses: Option<Addresses>) -> Vec<u8> {
    let Some(addresses) = addresses else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let Addresses { source, destination } = alike(addresses);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (a, b) = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {a} {b}\r\n").into_bytes()
}

/// A header of version 2; without addresses it is `LOCAL`. TLVs that do not fit are left out.
#[must_use]
pub fn encode_v2(addresses: Option<Addresses>, tlvs: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    let (command, family) = match addresses.map(alike) {
        None => (0x20, 0x00),
        Some(Addresses { source, destination }) => {
            let family = match (source.ip(), destination.ip()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    body.extend_from_slice(&from.octets());
                    body.extend_from_slice(&to.octets());
                    0x11
                }
                (from, to) => {
                    for ip in [from, to] {
                        if let IpAddr::V6(v6) = ip {
                            body.extend_from_slice(&v6.octets());
                        }
                    }
                    0x21
                }
            };
            body.extend_from_slice(&source.port().to_be_bytes());
            body.extend_from_slice(&destination.port().to_be_bytes());
            (0x21, family)
        }
    };
    for (kind, value) in tlvs {
        let Ok(length) = u16::try_from(value.len()) else { continue };
        if body.len() + 3 + value.len() <= usize::from(u16::MAX) {
            body.push(*kind);
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(value);
        }
    }
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[command, family]);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&body);
    header
}

#[cfg(test)]
mod tests;
