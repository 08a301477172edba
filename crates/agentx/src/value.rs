//! Object identifiers and the values at them.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

/// An object identifier (RFC 2578 §3.5), at most 128 numbers on the wire. Ordered as SNMP walks.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// Its numbers.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// This one with `more` behind it.
    #[must_use]
    pub fn child(&self, more: impl IntoIterator<Item = u32>) -> Self {
        let mut numbers = self.0.clone();
        numbers.extend(more);
        Self(numbers)
    }
}

impl<const N: usize> From<[u32; N]> for Oid {
    fn from(numbers: [u32; N]) -> Self {
        Self(numbers.into())
    }
}

impl From<Vec<u32>> for Oid {
    fn from(numbers: Vec<u32>) -> Self {
        Self(numbers)
    }
}

/// What stands at an object identifier (RFC 2741 §5.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `Integer32`.
    Integer(i32),
    /// `OCTET STRING`, and what is made of it: texts, addresses.
    Octets(Vec<u8>),
    /// `OBJECT IDENTIFIER`.
    Oid(Oid),
    /// `IpAddress`.
    Address(Ipv4Addr),
    /// `Counter32`.
    Counter32(u32),
    /// `Gauge32` and `Unsigned32`.
    Gauge(u32),
    /// `TimeTicks`, hundredths of a second.
    Ticks(u32),
    /// `Counter64`.
    Counter64(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Octets(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Octets(text.into_bytes())
    }
}

impl From<IpAddr> for Value {
    /// As an `InetAddress` (RFC 4001): 4 or 16 octets.
    fn from(address: IpAddr) -> Self {
        Self::Octets(match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        })
    }
}
