//! Adverts of the virtual router redundancy protocol.
//!
//! Version 2 is RFC 3768 §5.1 with the authentication field of RFC 2338 §5.3.10, which keepalived
//! always sends; version 3 is RFC 9568 §5.2.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use nom::number::complete::{be_u8, be_u16};
use nom::{IResult, Parser};
use thiserror::Error;

use crate::checksum::Checksum;
use crate::ipv4;

/// Bytes before the addresses.
pub const HEADER_LEN: usize = 8;
/// Bytes of authentication data behind the addresses in version 2.
pub const AUTH_LEN: usize = 8;
/// The only packet type there is (RFC 9568 §5.2.2).
pub const ADVERTISEMENT: u8 = 1;

/// The protocol's version.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Version {
    /// RFC 3768, with the authentication of RFC 2338.
    #[default]
    V2,
    /// RFC 9568.
    V3,
}

impl Version {
    /// 2 or 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Authentication of version 2 (RFC 2338 §5.3.6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuthData {
    /// Type 0; in version 2 eight zeros are sent all the same.
    #[default]
    None,
    /// Type 1: a clear text password, padded with zeros.
    Simple([u8; AUTH_LEN]),
    /// Type 2: an IP authentication header comes before the advert (see [`ah`](crate::ah)).
    Header,
}

impl AuthData {
    /// Its number on the wire.
    #[must_use]
    pub const fn kind(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Simple(_) => 1,
            Self::Header => 2,
        }
    }
}

/// Between whom a packet goes, which version 3 includes in its checksum (RFC 9568 §5.2.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PseudoHeader {
    /// Who sends it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
}

impl PseudoHeader {
    fn sum(self, len: usize) -> Checksum {
        let length = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let mut sum = Checksum::new();
        for address in [self.source, self.destination] {
            sum = match address {
                IpAddr::V4(address) => sum.over(&address.octets()),
                IpAddr::V6(address) => sum.over(&address.octets()),
            };
        }
        sum.over(&[0, ipv4::VRRP]).over(&length)
    }
}

/// An advert to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advert<'a> {
    /// How it is written.
    pub version: Version,
    /// The number of the virtual router, 1 to 255.
    pub vrid: u8,
    /// 0 for a master that resigns, 255 for the owner of the addresses.
    pub priority: u8,
    /// Until the next one: at most 255 s, in whole seconds, in version 2; at most 40.95 s, in steps
    /// of 10 ms, in version 3. The rest is cut.
    pub interval: Duration,
    /// Left out in version 3.
    pub auth: AuthData,
    /// All of one family; those after the 255th are left out.
    pub addresses: &'a [IpAddr],
}

impl Advert<'_> {
    /// The bytes behind the IP header.
    ///
    /// The pseudo header counts in version 3 only; without one its checksum is of the packet alone,
    /// as some routers send it (keepalived's `v3_checksum_as_v2`).
    #[must_use]
    pub fn to_bytes(&self, ends: Option<PseudoHeader>) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + 16 * self.addresses.len() + AUTH_LEN);
        self.encode(ends, &mut out);
        out
    }

    /// Appends the same bytes to `buffer`.
    pub fn encode(&self, ends: Option<PseudoHeader>, buffer: &mut Vec<u8>) {
        let addresses = self.addresses.get(..255).unwrap_or(self.addresses);
        let start = buffer.len();
        let out = &mut *buffer;
        out.push(self.version.number() << 4 | ADVERTISEMENT);
        out.push(self.vrid);
        out.push(self.priority);
        out.push(u8::try_from(addresses.len()).unwrap_or(u8::MAX));
        match self.version {
            Version::V2 => {
                let seconds = u8::try_from(self.interval.as_secs()).unwrap_or(u8::MAX);
                out.extend([self.auth.kind(), seconds]);
            }
            Version::V3 => {
                let centis = u16::try_from(self.interval.as_millis() / 10).unwrap_or(u16::MAX);
                out.extend(centis.min(0x0fff).to_be_bytes());
            }
        }
        out.extend([0, 0]);
        for address in addresses {
            match address {
                IpAddr::V4(address) => out.extend(address.octets()),
                IpAddr::V6(address) => out.extend(address.octets()),
            }
        }
        // RFC 2338 §5.3.8 leaves out the authentication data; keepalived, and we, include it. For
        // zeros there is no difference.
        if self.version == Version::V2 {
            match self.auth {
                AuthData::None | AuthData::Header => out.extend([0; AUTH_LEN]),
                AuthData::Simple(password) => out.extend(password),
            }
        }
        let out = &mut buffer[start..];
        let checksum = checksum(out, ends.filter(|_| self.version == Version::V3));
        out[6..8].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A received advert, as far as its structure holds; whether it is to be believed is for the caller
/// to judge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// How it is written.
    pub version: Version,
    /// [`ADVERTISEMENT`], or something nobody knows.
    pub kind: u8,
    /// The number of the virtual router.
    pub vrid: u8,
    /// 0 for a master that resigns, 255 for the owner of the addresses.
    pub priority: u8,
    /// Until the next one.
    pub interval: Duration,
    /// The type of authentication in version 2; 0 in version 3.
    pub auth_kind: u8,
    /// The authentication data of version 2; zeros in version 3.
    pub auth: [u8; AUTH_LEN],
    /// As it came.
    pub checksum: u16,
    addresses: &'a [u8],
    width: usize,
    /// Everything the checksum is of.
    bytes: &'a [u8],
    /// Bytes behind it.
    pub trailing: usize,
}

/// Why bytes are no advert.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseError {
    /// Less than a header.
    #[error("{0} bytes are too few for a VRRP packet")]
    TooShort(usize),
    /// Neither version 2 nor 3.
    #[error("VRRP version {0} is neither 2 nor 3")]
    Version(u8),
    /// Less than its number of addresses and its version call for.
    #[error("a VRRP packet of {count} addresses takes {needed} bytes, and {received} came")]
    Truncated {
        /// How many addresses it claims to have.
        count: u8,
        /// How long it would be.
        needed: usize,
        /// What there is.
        received: usize,
    },
}

impl<'a> Message<'a> {
    /// Takes the payload of an IPv4 packet apart.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::with_width(bytes, 4)
    }

    /// Takes the payload of an IPv6 packet apart.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`ParseError`].
    pub fn parse_v6(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::with_width(bytes, 16)
    }

    fn with_width(bytes: &'a [u8], width: usize) -> Result<Self, ParseError> {
        let too_short = |_| ParseError::TooShort(bytes.len());
        let (body, header) = header(bytes).map_err(too_short)?;
        let version = match header.first >> 4 {
            2 => Version::V2,
            3 => Version::V3,
            other => return Err(ParseError::Version(other)),
        };
        let truncated =
            |needed| ParseError::Truncated { count: header.count, needed, received: bytes.len() };
        let addresses_len = usize::from(header.count) * width;
        let auth_len = if version == Version::V2 { AUTH_LEN } else { 0 };
        let needed = HEADER_LEN + addresses_len + auth_len;
        if bytes.len() < needed {
            return Err(truncated(needed));
        }
        let (addresses, rest) = body.split_at(addresses_len);
        let mut auth = [0; AUTH_LEN];
        auth[..auth_len].copy_from_slice(&rest[..auth_len]);
        let [auth_kind, seconds] = header.middle.to_be_bytes();
        let (auth_kind, interval) = match version {
            Version::V2 => (auth_kind, Duration::from_secs(seconds.into())),
            // RFC 9568 §5.2.6: the upper four bits are reserved, "ignored on reception".
            Version::V3 => (0, Duration::from_millis(u64::from(header.middle & 0x0fff) * 10)),
        };
        Ok(Self {
            version,
            kind: header.first & 0x0f,
            vrid: header.vrid,
            priority: header.priority,
            interval,
            auth_kind,
            auth,
            checksum: header.checksum,
            addresses,
            width,
            bytes: &bytes[..needed],
            trailing: bytes.len() - needed,
        })
    }

    /// The addresses it lists, in order.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = IpAddr> + '_ {
        self.addresses.chunks_exact(self.width).map(|octets| {
            if let Ok(octets) = <[u8; 4]>::try_from(octets) {
                return Ipv4Addr::from(octets).into();
            }
            let mut long = [0; 16];
            long[..octets.len()].copy_from_slice(octets);
            Ipv6Addr::from(long).into()
        })
    }

    /// Whether the checksum is right. The pseudo header counts in version 3 only; without one the
    /// checksum is taken to be of the packet alone.
    #[must_use]
    pub fn checksum_is_valid(&self, ends: Option<PseudoHeader>) -> bool {
        let sum = match (self.version, ends) {
            (Version::V3, Some(ends)) => ends.sum(self.bytes.len()),
            (Version::V2, _) | (_, None) => Checksum::new(),
        };
        sum.over(self.bytes).finish() == 0
    }
}

/// The checksum of a payload whose own is zero; the pseudo header counts where it is given.
#[must_use]
pub fn checksum(payload: &[u8], ends: Option<PseudoHeader>) -> u16 {
    let sum = ends.map_or_else(Checksum::new, |ends| ends.sum(payload.len()));
    sum.over(payload).finish()
}

/// The virtual router a packet is of, if it is long enough to say so: what a receiver needs to know
/// before it can choose who is to judge the rest.
#[must_use]
pub fn vrid(payload: &[u8]) -> Option<u8> {
    payload.get(1).copied()
}

struct Header {
    first: u8,
    vrid: u8,
    priority: u8,
    count: u8,
    middle: u16,
    checksum: u16,
}

fn header(i: &[u8]) -> IResult<&[u8], Header> {
    let (i, (first, vrid, priority, count)) = (be_u8, be_u8, be_u8, be_u8).parse(i)?;
    let (i, (middle, checksum)) = (be_u16, be_u16).parse(i)?;
    Ok((i, Header { first, vrid, priority, count, middle, checksum }))
}

#[cfg(test)]
mod tests;
