//! NetScaler's client IP insertion: what a load balancer of Citrix tells of its client.
//!
//! ```text
//!  before 10.5   magic (4) │ length of what follows (4) │ IP header │ TCP header
//!  since 10.5    magic (4) │ length in all (4) │ type 1 (2) │ length of what follows (2) │ IP header │ TCP header
//! ```
//!
//! The headers are those of the last packet of the client's handshake. The magic number is agreed
//! upon; HAProxy's `netscaler-client-ip-insertion-protocol.txt` describes both.
//!
//! ```
//! use wire::netscaler::{Error, Header};
//!
//! let mut bytes = vec![0, 0, 4, 210, 0, 0, 0, 40];
//! bytes.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 9, 198, 51, 100, 1]);
//! bytes.extend([0x0f, 0xa0, 0x01, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0]);
//! bytes.extend(b"hello");
//! let header = Header::parse(&bytes, 1234)?;
//! assert_eq!(header.addresses.source.to_string(), "192.0.2.9:4000");
//! assert_eq!(&bytes[header.length..], b"hello");
//! assert_eq!(Header::parse(&bytes, 7), Err(Error::BadMagic));
//! # Ok::<(), Error>(())
//! ```

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proxy_protocol::Addresses;

/// Fewer bytes are never a header: HAProxy waits for a magic number, a length and an IPv4 header.
const LEAST: usize = 28;
/// The protocol number of TCP.
const TCP: u8 = 6;
const TCP_HEADER: usize = 20;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;

/// A header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whom it names.
    pub addresses: Addresses,
    /// So many bytes it has.
    pub length: usize,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// They may be its beginning.
    #[error("more bytes are needed")]
    Incomplete,
    /// They begin with another number than the one agreed upon.
    #[error("another magic number")]
    BadMagic,
    /// They hold something else than IP and TCP.
    #[error("neither IPv4 nor IPv6 with TCP")]
    BadProtocol,
}

impl Header {
    /// Reads the header `bytes` begin with.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn parse(bytes: &[u8], magic: u32) -> Result<Self, Error> {
        if bytes.len() < LEAST {
            return Err(Error::Incomplete);
        }
        if be32(bytes, 0)? != magic {
            return Err(Error::BadMagic);
        }
        // The version of IP stands where the newer form has its type.
        let (skipped, told) = match bytes[8] >> 4 {
            4 | 6 => (8, usize::try_from(be32(bytes, 4)?).unwrap_or(usize::MAX)),
            _ if bytes[8..10] == [0, 1] => (12, usize::from(be16(bytes, 10)?)),
            _ => return Err(Error::BadProtocol),
        };
        let ip = &bytes[skipped..];
        let (header, protocol) = match ip.first().ok_or(Error::Incomplete)? >> 4 {
            4 => (usize::from(ip[0] & 15) * 4, *ip.get(9).ok_or(Error::Incomplete)?),
            6 => (V6_HEADER, *ip.get(6).ok_or(Error::Incomplete)?),
            _ => return Err(Error::BadProtocol),
        };
        if protocol != TCP || header < V4_HEADER || told < header + TCP_HEADER {
            return Err(Error::BadProtocol);
        }
        let length = skipped.saturating_add(told);
        if bytes.len() < length {
            return Err(Error::Incomplete);
        }
        let tcp = &ip[header..];
        let (from, to) = (be16(tcp, 0)?, be16(tcp, 2)?);
        let addresses = if ip[0] >> 4 == 4 {
            let at = |offset| be32(ip, offset).map(Ipv4Addr::from);
            Addresses {
                source: SocketAddr::new(at(12)?.into(), from),
                destination: SocketAddr::new(at(16)?.into(), to),
            }
        } else {
            let at = |offset: usize| {
                let octets = ip.get(offset..).and_then(<[u8]>::first_chunk::<16>);
                octets.map(|octets| Ipv6Addr::from(*octets)).ok_or(Error::Incomplete)
            };
            Addresses {
                source: SocketAddr::new(at(8)?.into(), from),
                destination: SocketAddr::new(at(24)?.into(), to),
            }
        };
        Ok(Self { addresses, length })
    }
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Error> {
    let two = bytes.get(at..).and_then(<[u8]>::first_chunk);
    two.map(|two| u16::from_be_bytes(*two)).ok_or(Error::Incomplete)
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
    four.map(|four| u32::from_be_bytes(*four)).ok_or(Error::Incomplete)
}

#[cfg(test)]
mod tests {

    use alloc::vec::Vec;

    use super::*;

    const V4: &[u8] = &[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 9, 198, 51, 100, 1];
    const SEGMENT: &[u8] =
        &[0x0f, 0xa0, 0x01, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0];

    fn v6() -> Vec<u8> {
        let mut header = Vec::from([0x60, 0, 0, 0, 0, 20, 6, 64]);
        header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        header
    }

    fn message(newer: bool, ip: &[u8]) -> Vec<u8> {
        let rest = ip.len() + SEGMENT.len();
        let mut bytes = Vec::from(1234_u32.to_be_bytes());
        bytes.extend((rest as u32 + if newer { 12 } else { 0 }).to_be_bytes());
        if newer {
            bytes.extend([0, 1]);
            bytes.extend((rest as u16).to_be_bytes());
        }
        bytes.extend_from_slice(ip);
        bytes.extend_from_slice(SEGMENT);
        bytes
    }

    #[test]
    fn both_forms_tell_of_both_families() {
        for newer in [false, true] {
            for (ip, source, destination) in [
                (V4, "192.0.2.9:4000", "198.51.100.1:443"),
                (&v6(), "[2001:db8::1]:4000", "[2001:db8::2]:443"),
            ] {
                let bytes = message(newer, ip);
                let header = Header::parse(&bytes, 1234).expect("a header");
                assert_eq!(header.length, bytes.len());
                assert_eq!(alloc::format!("{}", header.addresses.source), source);
                assert_eq!(alloc::format!("{}", header.addresses.destination), destination);
                for end in 0..bytes.len() {
                    assert_eq!(Header::parse(&bytes[..end], 1234), Err(Error::Incomplete), "{end}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_header_is_told_apart() {
        let mut other = message(false, V4);
        assert_eq!(Header::parse(&other, 4321), Err(Error::BadMagic));
        other[8] = 0x55;
        assert_eq!(Header::parse(&other, 1234), Err(Error::BadProtocol));
        let mut datagram = message(true, V4);
        datagram[12 + 9] = 17;
        assert_eq!(Header::parse(&datagram, 1234), Err(Error::BadProtocol));
        let mut short = message(false, V4);
        short[7] = 3;
        assert_eq!(Header::parse(&short, 1234), Err(Error::BadProtocol));
    }
}
