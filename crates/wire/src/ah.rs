//! The IP authentication header (RFC 2402) with HMAC-MD5-96 (RFC 2403), as VRRP version 2 used it
//! (RFC 2338 §5.3.6.3) and keepalived still does.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |  Next Header  |  Payload Len  |           reserved            |
//! +---------------+---------------+-------------------------------+
//! |          Security Parameters Index: the sender's address      |
//! +---------------------------------------------------------------+
//! |                        Sequence Number                        |
//! +---------------------------------------------------------------+
//! |                Integrity Check Value, 12 bytes                |
//! +---------------------------------------------------------------+
//! ```

use core::net::Ipv4Addr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use thiserror::Error;

use crate::ipv4;

/// Its protocol number.
pub const PROTOCOL: u8 = 51;
/// Bytes of the header with this check value.
pub const HEADER_LEN: usize = 24;
/// Bytes of the check value.
pub const ICV_LEN: usize = 12;
/// The length a header of [`HEADER_LEN`] states: 32-bit words, less two (RFC 2402 §2.2).
const PAYLOAD_LEN: u8 = 4;
/// Where the check value begins.
const ICV_AT: usize = HEADER_LEN - ICV_LEN;

/// Appends an IPv4 packet whose `payload` of `protocol` is authenticated by `key`.
///
/// The header's protocol becomes [`PROTOCOL`]; `sequence` must never be sent twice.
pub fn encode(
    header: &ipv4::Header,
    sequence: u32,
    key: &[u8],
    payload: &[u8],
    out: &mut alloc::vec::Vec<u8>,
) {
    let start = out.len();
    let mut inner = alloc::vec::Vec::with_capacity(HEADER_LEN + payload.len());
    inner.extend([header.protocol, PAYLOAD_LEN, 0, 0]);
    inner.extend(header.source.octets());
    inner.extend(sequence.to_be_bytes());
    inner.extend([0; ICV_LEN]);
    inner.extend_from_slice(payload);
    ipv4::Header { protocol: PROTOCOL, ..*header }.encode(&inner, out);
    let packet = &mut out[start..];
    let value = check_value(packet, ipv4::HEADER_LEN, key);
    let at = ipv4::HEADER_LEN + ICV_AT;
    packet[at..at + ICV_LEN].copy_from_slice(&value);
}

/// A received header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// The protocol of [`payload`](Self::payload).
    pub next: u8,
    /// The sender's address, if keepalived sent it.
    pub spi: u32,
    /// Grows with every packet.
    pub sequence: u32,
    /// What is authenticated.
    pub payload: &'a [u8],
    value: &'a [u8],
    /// From the IP header on, without what follows its total length.
    bytes: &'a [u8],
    ip_header_len: usize,
}

/// Why bytes are no authentication header we could check.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseError {
    /// Less than a header.
    #[error("{0} bytes are too few for an authentication header")]
    TooShort(usize),
    /// A check value of another length.
    #[error("an authentication header of length {0} instead of 4")]
    Length(u8),
}

impl<'a> Packet<'a> {
    /// Takes apart a whole IPv4 packet `bytes` whose payload begins at `ip_header_len`.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`ParseError`].
    pub fn parse(bytes: &'a [u8], ip_header_len: usize) -> Result<Self, ParseError> {
        let rest = bytes.get(ip_header_len..).unwrap_or_default();
        let (payload, (fixed, value)) =
            header(rest).map_err(|_| ParseError::TooShort(rest.len()))?;
        if fixed.length != PAYLOAD_LEN {
            return Err(ParseError::Length(fixed.length));
        }
        let Fixed { next, spi, sequence, .. } = fixed;
        Ok(Self { next, spi, sequence, payload, value, bytes, ip_header_len })
    }

    /// Whether the sender knew `key`, and nothing that does not change on the way was changed.
    #[must_use]
    pub fn is_authentic(&self, key: &[u8]) -> bool {
        let mut packet = alloc::vec::Vec::from(self.bytes);
        let at = self.ip_header_len + ICV_AT;
        packet[at..at + ICV_LEN].fill(0);
        let expected = check_value(&packet, self.ip_header_len, key);
        // All bytes are compared, whichever differs, so that the time says nothing.
        expected.iter().zip(self.value).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }

    /// Whether the security parameters index is `source`'s, as keepalived fills it in.
    #[must_use]
    pub fn is_from(&self, source: Ipv4Addr) -> bool {
        self.spi == source.to_bits()
    }
}

/// RFC 2402 §3.3.3.1.1: over the packet with zeros for what changes on the way, which are type of
/// service, flags and offset and the checksum, and for the check value itself. The time to live is
/// among them too, but not in keepalived's multicast adverts, which cross no router.
fn check_value(packet: &[u8], ip_header_len: usize, key: &[u8]) -> [u8; ICV_LEN] {
    let (ip, rest) = packet.split_at(ip_header_len.min(packet.len()));
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("a key of any length will do");
    let unicast = ip.get(16).is_none_or(|first| first >> 4 != 0b1110);
    for (at, byte) in ip.iter().enumerate() {
        let mutable = matches!(at, 1 | 6 | 7 | 10 | 11) || (at == 8 && unicast);
        mac.update(&[if mutable { 0 } else { *byte }]);
    }
    mac.update(rest);
    let mut value = [0; ICV_LEN];
    value.copy_from_slice(&mac.finalize().into_bytes()[..ICV_LEN]);
    value
}

struct Fixed {
    next: u8,
    length: u8,
    spi: u32,
    sequence: u32,
}

fn header(i: &[u8]) -> IResult<&[u8], (Fixed, &[u8])> {
    let (i, (next, length, _reserved)) = (be_u8, be_u8, be_u16).parse(i)?;
    let (i, (spi, sequence)) = (be_u32, be_u32).parse(i)?;
    let (i, value) = take(ICV_LEN).parse(i)?;
    Ok((i, (Fixed { next, length, spi, sequence }, value)))
}

#[cfg(test)]
mod tests;
