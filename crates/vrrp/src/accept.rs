//! Whether a received packet is an advert for us, and well-formed (RFC 9568 §7.1, in keepalived's
//! order).

use core::fmt;
use core::time::Duration;

use wire::vrrp::{ADVERTISEMENT, Message, ParseError, PseudoHeader};

use crate::config::{Auth, InstanceConfig, Version};
use crate::event::Datagram;

/// Why a packet was dropped.
///
/// Displays as keepalived words it, behind the instance's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// Shorter than a header, or than its number of addresses calls for.
    Length {
        /// What came.
        received: usize,
        /// What it would take, at least.
        expected: usize,
    },
    /// A multicast advert that crossed a router.
    Ttl(u8),
    /// Of another version than ours.
    Version {
        /// Theirs.
        received: u8,
        /// Ours.
        expected: Version,
    },
    /// Authenticated in another way.
    AuthType {
        /// Theirs.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// With another password.
    Password,
    /// Of a version 2 master with another interval.
    Interval {
        /// Ours.
        mine: Duration,
        /// Theirs.
        theirs: Duration,
    },
    /// No advert.
    PacketType(u8),
    /// More than an advert.
    TotalLength {
        /// What an advert of so many addresses takes.
        expected: usize,
        /// What came.
        received: usize,
    },
    /// Damaged on the way.
    Checksum(Version),
    /// To the group while we expect unicast, or the other way round.
    Cast {
        /// We have unicast peers.
        unicast_expected: bool,
    },
    /// From somebody who is no peer of ours.
    UnknownPeer(core::net::IpAddr),
    /// Of another virtual router: a driver's mistake.
    Vrid(u8),
}

impl Reject {
    /// How many causes there are.
    pub const CAUSES: usize = 12;

    /// A number per cause, below [`CAUSES`](Self::CAUSES).
    #[must_use]
    pub const fn cause(&self) -> usize {
        match self {
            Self::Length { .. } => 0,
            Self::Ttl(_) => 1,
            Self::Version { .. } => 2,
            Self::AuthType { .. } => 3,
            Self::Password => 4,
            Self::Interval { .. } => 5,
            Self::PacketType(_) => 6,
            Self::TotalLength { .. } => 7,
            Self::Checksum(_) => 8,
            Self::Cast { .. } => 9,
            Self::UnknownPeer(_) => 10,
            Self::Vrid(_) => 11,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { received, expected } => {
                write!(f, "vrrp packet too short, length {received} and expect {expected}")
            }
            Self::Ttl(ttl) => write!(f, "invalid TTL/HL. Received {ttl} and expect 255"),
            Self::Version { received, expected } => {
                write!(f, "wrong version. Received {received} and expect {}", expected.number())
            }
            Self::AuthType { received, expected } => {
                write!(f, "received a {received} auth, expecting {expected}!")
            }
            Self::Password => f.write_str("received an invalid passwd!"),
            Self::Interval { mine, theirs } => write!(
                f,
                "advertisement interval mismatch mine={} sec rcv'd={} sec",
                mine.as_secs(),
                theirs.as_secs()
            ),
            Self::PacketType(kind) => {
                write!(f, "Invalid packet type. {kind} and expect {ADVERTISEMENT}")
            }
            Self::TotalLength { expected, received } => write!(
                f,
                "ip_tot_len mismatch against received length. {expected} and received {received}"
            ),
            Self::Checksum(version) => {
                write!(f, "Invalid VRRPv{} checksum", version.number())
            }
            Self::Cast { unicast_expected } => {
                let (expected, received) =
                    if *unicast_expected { ("un", "mult") } else { ("mult", "un") };
                write!(f, "Expected {expected}icast packet but received {received}icast packet")
            }
            Self::UnknownPeer(peer) => {
                write!(f, "unicast source address {peer} not a unicast peer")
            }
            Self::Vrid(vrid) => write!(f, "received an advert of VRID {vrid}"),
        }
    }
}

/// The advert in `datagram`, if it is one for `config`.
///
/// # Errors
/// The first cause to drop it.
pub fn accept<'a>(config: &InstanceConfig, datagram: &Datagram<'a>) -> Result<Message<'a>, Reject> {
    let payload = datagram.payload;
    if payload.len() < wire::vrrp::HEADER_LEN {
        let expected = wire::vrrp::HEADER_LEN;
        return Err(Reject::Length { received: payload.len(), expected });
    }
    // RFC 9568 §7.1: "MUST verify that the IPv4 TTL … is 255"; keepalived leaves unicast out, since
    // it may be routed.
    let unicast = !datagram.destination.is_multicast();
    if !unicast && datagram.ttl != 255 {
        return Err(Reject::Ttl(datagram.ttl));
    }
    let parsed = if datagram.source.is_ipv4() {
        Message::parse(payload)
    } else {
        Message::parse_v6(payload)
    };
    let expected = config.version;
    let message = parsed.map_err(|error| match error {
        ParseError::Version(received) => Reject::Version { received, expected },
        ParseError::TooShort(received) => {
            Reject::Length { received, expected: wire::vrrp::HEADER_LEN }
        }
        ParseError::Truncated { needed, received, .. } => {
            Reject::Length { received, expected: needed }
        }
    })?;
    if message.version != config.version {
        return Err(Reject::Version { received: message.version.number(), expected });
    }
    if message.vrid != config.vrid.0 {
        return Err(Reject::Vrid(message.vrid));
    }
    if config.version == Version::V2 {
        accept_v2(config, &message)?;
    }
    if message.kind != ADVERTISEMENT {
        return Err(Reject::PacketType(message.kind));
    }
    if message.trailing > 0 {
        let expected = payload.len() - message.trailing;
        return Err(Reject::TotalLength { expected, received: payload.len() });
    }
    let ends = PseudoHeader { source: datagram.source, destination: datagram.destination };
    // The kernel verifies it over IPv6. Under `v3_checksum_as_v2` keepalived verifies nothing; both
    // ways of writing it are accepted here, but no others.
    let valid = !datagram.source.is_ipv4()
        || message.checksum_is_valid(Some(ends))
        || (config.v3_checksum_as_v2 && message.checksum_is_valid(None));
    if !valid {
        return Err(Reject::Checksum(config.version));
    }
    let unicast_expected = !config.unicast_peers.is_empty();
    if unicast != unicast_expected {
        return Err(Reject::Cast { unicast_expected });
    }
    if config.check_unicast_source
        && unicast
        && !config.unicast_peers.iter().any(|peer| peer.address == datagram.source)
    {
        return Err(Reject::UnknownPeer(datagram.source));
    }
    Ok(message)
}

/// What only version 2 checks: RFC 3768 §7.1, and the authentication of RFC 2338.
fn accept_v2(config: &InstanceConfig, message: &Message<'_>) -> Result<(), Reject> {
    let expected = if config.auth.is_some() { 1 } else { 0 };
    if message.auth_kind != expected {
        return Err(Reject::AuthType { received: message.auth_kind, expected });
    }
    if let Some(Auth::Pass(password)) = config.auth {
        // All eight bytes are compared, whichever differs, so that the time says nothing.
        let differing = password.iter().zip(message.auth).fold(0, |all, (a, b)| all | (a ^ b));
        if differing != 0 {
            return Err(Reject::Password);
        }
    }
    if message.interval != config.advert_interval {
        let (mine, theirs) = (config.advert_interval, message.interval);
        return Err(Reject::Interval { mine, theirs });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
