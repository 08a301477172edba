//! Gratuitous ARP (RFC 826, RFC 5227 §3): a master tells the link where its addresses now are.

use core::net::Ipv4Addr;

use nom::bytes::complete::take;
use nom::number::complete::{be_u16, be_u32};
use nom::{IResult, Parser};
use thiserror::Error;

/// Bytes of an Ethernet frame with an ARP packet, without padding.
pub const FRAME_LEN: usize = 42;
/// A hardware address.
pub type Mac = [u8; 6];
/// Everybody on the link.
pub const BROADCAST: Mac = [0xff; 6];

const ETHERTYPE: u16 = 0x0806;
/// Ethernet, IPv4, and the lengths of their addresses.
const HARDWARE_AND_PROTOCOL: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What an ARP packet is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// "Who has the target address?"
    Request,
    /// "I have the sender address."
    Reply,
}

/// An Ethernet frame with an ARP packet for IPv4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Whom the frame is for.
    pub destination: Mac,
    /// Who sent the frame.
    pub source: Mac,
    /// Request or reply.
    pub operation: Operation,
    /// Who has [`sender_ip`](Self::sender_ip).
    pub sender_mac: Mac,
    /// The address that is announced.
    pub sender_ip: Ipv4Addr,
    /// Who is asked; all ones in a gratuitous ARP of keepalived.
    pub target_mac: Mac,
    /// The address that is asked for.
    pub target_ip: Ipv4Addr,
}

impl Frame {
    /// "`address` is at `mac`", as keepalived says it: a broadcast *request* of the address for
    /// itself, whose target hardware address is the broadcast address too.
    #[must_use]
    pub const fn gratuitous(mac: Mac, address: Ipv4Addr) -> Self {
        Self {
            destination: BROADCAST,
            source: mac,
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip: address,
            target_mac: BROADCAST,
            target_ip: address,
        }
    }

    /// The frame, from its destination on.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; FRAME_LEN] {
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        let fields: [&[u8]; 9] = [
            &self.destination,
            &self.source,
            &ETHERTYPE.to_be_bytes(),
            &HARDWARE_AND_PROTOCOL,
            &operation.to_be_bytes(),
            &self.sender_mac,
            &self.sender_ip.octets(),
            &self.target_mac,
            &self.target_ip.octets(),
        ];
        let mut frame = [0; FRAME_LEN];
        for (to, from) in frame.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        frame
    }

    /// Reads a frame; padding behind it is left out.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let (_, fields) = fields(bytes).map_err(|_| ParseError::TooShort(bytes.len()))?;
        if fields.ethertype != ETHERTYPE {
            return Err(ParseError::EtherType(fields.ethertype));
        }
        if fields.kind != HARDWARE_AND_PROTOCOL {
            return Err(ParseError::NotIpv4OverEthernet);
        }
        let operation = match fields.operation {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => return Err(ParseError::Operation(other)),
        };
        let Fields { destination, source, sender_mac, sender_ip, target_mac, target_ip, .. } =
            fields;
        Ok(Self { destination, source, operation, sender_mac, sender_ip, target_mac, target_ip })
    }
}

/// Why bytes are no ARP packet for IPv4.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseError {
    /// Less than [`FRAME_LEN`].
    #[error("{0} bytes are too few for an ARP frame")]
    TooShort(usize),
    /// Another protocol.
    #[error("EtherType {0:#06x} is not ARP")]
    EtherType(u16),
    /// Addresses of another kind.
    #[error("not ARP for IPv4 over Ethernet")]
    NotIpv4OverEthernet,
    /// Neither request nor reply.
    #[error("unknown ARP operation {0}")]
    Operation(u16),
}

struct Fields {
    destination: Mac,
    source: Mac,
    ethertype: u16,
    kind: [u8; 6],
    operation: u16,
    sender_mac: Mac,
    sender_ip: Ipv4Addr,
    target_mac: Mac,
    target_ip: Ipv4Addr,
}

fn fields(i: &[u8]) -> IResult<&[u8], Fields> {
    let (i, (destination, source, ethertype)) = (six, six, be_u16).parse(i)?;
    let (i, (kind, operation)) = (six, be_u16).parse(i)?;
    let (i, (sender_mac, sender_ip)) = (six, be_u32.map(Ipv4Addr::from_bits)).parse(i)?;
    let (i, (target_mac, target_ip)) = (six, be_u32.map(Ipv4Addr::from_bits)).parse(i)?;
    let fields = Fields {
        destination,
        source,
        ethertype,
        kind,
        operation,
        sender_mac,
        sender_ip,
        target_mac,
        target_ip,
    };
    Ok((i, fields))
}

fn six(i: &[u8]) -> IResult<&[u8], [u8; 6]> {
    let (i, bytes) = take(6_usize).parse(i)?;
    let mut six = [0; 6];
    six.copy_from_slice(bytes);
    Ok((i, six))
}

#[cfg(test)]
mod tests;
