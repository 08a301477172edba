//! The IPv4 header (RFC 791 §3.1): the fields we set and check.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use thiserror::Error;

use crate::checksum::Checksum;

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// VRRP's protocol number (RFC 9568 §5.1.1.4).
pub const VRRP: u8 = 112;
/// Internetwork control, as keepalived marks its adverts.
pub const CONTROL: u8 = 0xc0;

/// What we decide about an IPv4 header; the rest follows from it and the payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Who it is for.
    pub destination: Ipv4Addr,
    /// Of the payload.
    pub protocol: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Time to live, hops.
    pub ttl: u8,
}

impl Header {
    /// The header of an advert: protocol 112, TTL 255 (RFC 9568 §5.1.1), type of service 0xC0.
    #[must_use]
    pub const fn control(source: Ipv4Addr, destination: Ipv4Addr, id: u16) -> Self {
        Self { source, destination, protocol: VRRP, tos: CONTROL, id, ttl: 255 }
    }

    /// Appends the header and `payload`; of a payload over 65,515 bytes the rest is left out.
    pub fn encode(&self, payload: &[u8], out: &mut Vec<u8>) {
        let room = usize::from(u16::MAX) - HEADER_LEN;
        let payload = payload.get(..room).unwrap_or(payload);
        let total = u16::try_from(HEADER_LEN + payload.len()).unwrap_or(u16::MAX);
        let start = out.len();
        out.extend([0x45, self.tos]);
        out.extend(total.to_be_bytes());
        out.extend(self.id.to_be_bytes());
        out.extend([0, 0, self.ttl, self.protocol, 0, 0]);
        out.extend(self.source.octets());
        out.extend(self.destination.octets());
        let checksum = Checksum::new().over(&out[start..]).finish();
        out[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
        out.extend_from_slice(payload);
    }
}

/// A received packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// What its header says.
    pub header: Header,
    /// What follows the header and its options, as far as the header says it reaches.
    pub payload: &'a [u8],
    /// The header, its options and the payload.
    pub whole: &'a [u8],
}

/// Why bytes are no IPv4 packet.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseError {
    /// Less than a header.
    #[error("{0} bytes are too few for an IPv4 header")]
    TooShort(usize),
    /// Not version 4.
    #[error("IP version {0} is not 4")]
    Version(u8),
    /// The header claims to be shorter than its fixed part, or longer than the packet.
    #[error("an IPv4 header of {0} bytes is impossible here")]
    HeaderLength(usize),
    /// The packet claims to be shorter than its header, or longer than what was received.
    #[error("the IPv4 packet claims {claimed} bytes, and {received} came")]
    TotalLength {
        /// What the header says.
        claimed: usize,
        /// What there is.
        received: usize,
    },
}

impl<'a> Packet<'a> {
    /// Takes a packet apart, as a raw socket delivers it; what follows its total length (Ethernet's
    /// padding) is left out. The header's checksum is not verified: the kernel has done that.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let too_short = |_| ParseError::TooShort(bytes.len());
        let (_, fixed) = fixed_part(bytes).map_err(too_short)?;
        if fixed.version != 4 {
            return Err(ParseError::Version(fixed.version));
        }
        if fixed.header_len < HEADER_LEN || fixed.header_len > bytes.len() {
            return Err(ParseError::HeaderLength(fixed.header_len));
        }
        let wrong = ParseError::TotalLength { claimed: fixed.total_len, received: bytes.len() };
        let whole = bytes.get(..fixed.total_len).ok_or(wrong)?;
        let payload = whole.get(fixed.header_len..).ok_or(wrong)?;
        Ok(Self { header: fixed.header, payload, whole })
    }
}

struct Fixed {
    version: u8,
    header_len: usize,
    total_len: usize,
    header: Header,
}

fn fixed_part(i: &[u8]) -> IResult<&[u8], Fixed> {
    let (i, (first, tos, total, id)) = (be_u8, be_u8, be_u16, be_u16).parse(i)?;
    let (i, (_fragment, ttl, protocol, _checksum)) =
        (take(2_usize), be_u8, be_u8, be_u16).parse(i)?;
    let (i, (source, destination)) = (be_u32, be_u32).parse(i)?;
    let (source, destination) = (Ipv4Addr::from_bits(source), Ipv4Addr::from_bits(destination));
    let header = Header { source, destination, protocol, tos, id, ttl };
    let header_len = usize::from(first & 0x0f) * 4;
    Ok((i, Fixed { version: first >> 4, header_len, total_len: usize::from(total), header }))
}

#[cfg(test)]
mod tests;
