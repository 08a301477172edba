//! What a frame on the switch is, read for tests: independent of the daemons' own codecs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a node sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sent {
    /// A VRRP advertisement.
    Advert(Box<Advert>),
    /// A gratuitous ARP request for this address.
    Gratuitous(Ipv4Addr),
    /// An unsolicited neighbour advertisement for this address.
    Neighbour(Ipv6Addr),
    /// The answer to an echo request, from this address.
    Echo(IpAddr),
    /// Anything else.
    Other,
}

/// Every field of an advertisement and of what carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advert {
    /// Destination and source of the frame.
    pub hardware: ([u8; 6], [u8; 6]),
    /// Source of the datagram.
    pub source: IpAddr,
    /// Destination of the datagram.
    pub to: IpAddr,
    /// TOS or traffic class.
    pub class: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4's identification and flags with offset; `None` in IPv6.
    pub id_and_flags: Option<(u16, u16)>,
    /// Whether IPv4's header checksum is right; true in IPv6, which has none.
    pub header_sum: bool,
    /// The authentication header: SPI, sequence number, check value.
    pub ah: Option<(u32, u32, [u8; 12])>,
    /// 2 or 3.
    pub version: u8,
    /// 1.
    pub kind: u8,
    /// The virtual router's number.
    pub vrid: u8,
    /// Its sender's priority.
    pub priority: u8,
    /// Version 2: 0 none, 1 PASS, 2 AH. Version 3: the reserved bits above the interval.
    pub auth_type: u8,
    /// Version 2: seconds. Version 3: hundredths.
    pub interval: u16,
    /// What the checksum covers.
    pub sum: Sum,
    /// The addresses, as many as the count says.
    pub addresses: Vec<IpAddr>,
    /// What follows the addresses within the datagram.
    pub rest: Vec<u8>,
}

/// What a VRRP checksum covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sum {
    /// The message.
    Plain,
    /// The message and a pseudo header.
    Pseudo,
    /// Nothing one would expect: it is wrong.
    Wrong,
}

impl Sent {
    /// Reads a frame, from the destination's hardware address on.
    pub fn of(frame: &[u8]) -> Self {
        read(frame).unwrap_or(Self::Other)
    }
}

fn read(frame: &[u8]) -> Option<Sent> {
    let kind = u16::from_be_bytes([*frame.get(12)?, *frame.get(13)?]);
    let body = frame.get(14..)?;
    match kind {
        0x0800 => ipv4(frame, body),
        0x0806 => arp(body),
        0x86dd => ipv6(frame, body),
        _ => None,
    }
}

fn arp(body: &[u8]) -> Option<Sent> {
    let address =
        |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(at..at + 4)?).ok()?));
    let (sender, target) = (address(14)?, address(24)?);
    (sender == target).then_some(Sent::Gratuitous(sender))
}

fn ipv4(frame: &[u8], body: &[u8]) -> Option<Sent> {
    let length = usize::from(body.first()? & 15) * 4;
    let total = usize::from(u16::from_be_bytes([*body.get(2)?, *body.get(3)?]));
    let (header, payload) = (body.get(..length)?, body.get(length..total)?);
    let address =
        |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(header.get(at..at + 4)?).ok()?));
    let (source, to) = (address(12)?, address(16)?);
    let (ah, payload) = match *header.get(9)? {
        1 => return (*payload.first()? == 0).then_some(Sent::Echo(source.into())),
        112 => (None, payload),
        51 => {
            let word =
                |at: usize| Some(u32::from_be_bytes(payload.get(at..at + 4)?.try_into().ok()?));
            // The next header is VRRP; the length is in words, less two.
            (*payload.first()? == 112 && *payload.get(1)? == 4).then_some(())?;
            let check = payload.get(12..24)?.try_into().ok()?;
            (Some((word(4)?, word(8)?, check)), payload.get(24..)?)
        }
        _ => return None,
    };
    let pseudo = {
        let mut bytes = Vec::from(source.octets());
        bytes.extend(to.octets());
        bytes.extend([0, 112]);
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes
    };
    let mut advert = message(payload, &pseudo, 4)?;
    advert.hardware = hardware(frame)?;
    (advert.source, advert.to) = (source.into(), to.into());
    (advert.class, advert.ttl) = (*header.get(1)?, *header.get(8)?);
    let id = u16::from_be_bytes([header[4], header[5]]);
    advert.id_and_flags = Some((id, u16::from_be_bytes([header[6], header[7]])));
    advert.header_sum = internet_checksum(&[header]) == 0;
    advert.ah = ah;
    Some(Sent::Advert(Box::new(advert)))
}

fn ipv6(frame: &[u8], body: &[u8]) -> Option<Sent> {
    let length = usize::from(u16::from_be_bytes([*body.get(4)?, *body.get(5)?]));
    let payload = body.get(40..40 + length)?;
    let address = |bytes: &[u8]| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?));
    let (source, to) = (address(body.get(8..24)?)?, address(body.get(24..40)?)?);
    match body[6] {
        58 => match *payload.first()? {
            129 => Some(Sent::Echo(source.into())),
            // Solicited ones answer somebody.
            136 if payload.get(4)? & 0x40 == 0 => {
                Some(Sent::Neighbour(address(payload.get(8..24)?)?))
            }
            _ => None,
        },
        112 => {
            let mut pseudo = body.get(8..40)?.to_vec();
            pseudo.extend((length as u32).to_be_bytes());
            pseudo.extend([0, 0, 0, 112]);
            let mut advert = message(payload, &pseudo, 16)?;
            advert.hardware = hardware(frame)?;
            (advert.source, advert.to) = (source.into(), to.into());
            advert.class = (body[0] << 4) | (body[1] >> 4);
            advert.ttl = body[7];
            Some(Sent::Advert(Box::new(advert)))
        }
        _ => None,
    }
}

fn hardware(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    Some((frame.get(..6)?.try_into().ok()?, frame.get(6..12)?.try_into().ok()?))
}

/// The VRRP message itself; `each` bytes to an address.
fn message(bytes: &[u8], pseudo: &[u8], each: usize) -> Option<Advert> {
    let [first, vrid, priority, count, five, six, ..] = *bytes else { return None };
    let version = first >> 4;
    let (auth_type, interval) = if version == 2 {
        (five, u16::from(six))
    } else {
        (five >> 4, u16::from_be_bytes([five & 15, six]))
    };
    let end = 8 + usize::from(count) * each;
    let addresses = bytes.get(8..end)?.chunks(each).filter_map(|one| match each {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(one).ok()?).into()),
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(one).ok()?).into()),
    });
    let sum = if internet_checksum(&[bytes]) == 0 {
        Sum::Plain
    } else if internet_checksum(&[pseudo, bytes]) == 0 {
        Sum::Pseudo
    } else {
        Sum::Wrong
    };
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Some(Advert {
        hardware: ([0; 6], [0; 6]),
        source: nowhere,
        to: nowhere,
        class: 0,
        ttl: 0,
        id_and_flags: None,
        header_sum: true,
        ah: None,
        version,
        kind: first & 15,
        vrid,
        priority,
        auth_type,
        interval,
        sum,
        addresses: addresses.collect(),
        rest: bytes[end..].to_vec(),
    })
}

/// The sum of RFC 1071 over parts of even length; zero over what carries a right one.
pub(crate) fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
