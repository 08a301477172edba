//! Whether a received packet is an advert for us, and well-formed (RFC 9568 §7.1, in keepalived's
//! order).

use core::fmt;
use core::time::Duration;

use wire::vrrp::{ADVERTISEMENT, Message, ParseError, PseudoHeader};

use crate::config::{Auth, InstanceConfig, MULTICAST_GROUP_V4, OWNER, OldChecksum, Version};
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
    /// Of version 3 with an interval of nothing, which would make every moment too late (RFC 9568
    /// §7.1, erratum 8301). keepalived takes over.
    ZeroInterval,
    /// From a peer, with more or fewer hops left than it may have.
    TtlRange {
        /// What was left.
        ttl: u8,
        /// At least.
        min: u8,
        /// At most.
        max: u8,
    },
    /// An authentication header of somebody else's address.
    AhSource {
        /// The index it came with.
        spi: u32,
        /// The sender's.
        expected: u32,
    },
    /// An authentication header of another key, or changed on the way.
    AhValue,
    /// An authentication header that was sent before.
    AhReplay {
        /// Its number.
        sequence: u32,
        /// The last one.
        last: u32,
    },
    /// Ours are the addresses (`owner_ignore_adverts`).
    Owner(core::net::IpAddr),
    /// Without addresses, in strict mode (RFC 9568 §5.2.5, erratum 8299).
    NoAddresses,
    /// Of version 2 with other addresses, and not from their owner, in strict mode (RFC 3768 §7.1).
    OtherAddresses,
}

impl Reject {
    /// How many causes there are.
    pub const CAUSES: usize = 20;

    /// A word for each cause, by [`cause`](Self::cause): for metrics, and never changed.
    pub const NAMES: [&'static str; Self::CAUSES] = [
        "length",
        "ttl",
        "version",
        "auth_type",
        "password",
        "interval",
        "packet_type",
        "total_length",
        "checksum",
        "cast",
        "unknown_peer",
        "vrid",
        "zero_interval",
        "ttl_range",
        "ah_source",
        "ah_value",
        "ah_replay",
        "owner",
        "no_addresses",
        "other_addresses",
    ];

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
            Self::ZeroInterval => 12,
            Self::TtlRange { .. } => 13,
            Self::AhSource { .. } => 14,
            Self::AhValue => 15,
            Self::AhReplay { .. } => 16,
            Self::Owner(_) => 17,
            Self::NoAddresses => 18,
            Self::OtherAddresses => 19,
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
            Self::ZeroInterval => f.write_str("received an advertisement interval of 0"),
            Self::TtlRange { ttl, min, max } => {
                write!(f, "TTL/HL {ttl} not in range {min} - {max}")
            }
            Self::AhSource { spi, expected } => {
                write!(f, "IPSEC AH : invalid IPSEC SPI value. {spi} and expect {expected}")
            }
            Self::AhValue => f.write_str(
                "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !",
            ),
            Self::AhReplay { sequence, last } => write!(
                f,
                "IPSEC-AH : sequence number {sequence} already processed. Packet dropped. \
                 Local({last})"
            ),
            Self::Owner(from) => {
                write!(f, "Dropping packet(s) from {from} since we are address owner")
            }
            Self::NoAddresses => f.write_str("received an advert without addresses"),
            Self::OtherAddresses => f.write_str("received an advert of other addresses"),
        }
    }
}

/// The advert in `datagram`, if it is one for `config`.
///
/// # Errors
/// The first cause to drop it.
pub fn accept<'a>(config: &InstanceConfig, datagram: &Datagram<'a>) -> Result<Message<'a>, Reject> {
    let payload = datagram.payload;
    accept_header(config, datagram)?;
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
    if unicast {
        accept_hops(config, datagram)?;
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
    if message.interval.is_zero() {
        return Err(Reject::ZeroInterval);
    }
    if message.trailing > 0 {
        let expected = payload.len() - message.trailing;
        return Err(Reject::TotalLength { expected, received: payload.len() });
    }
    if !checksum_is_valid(config, datagram, &message) {
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
    if config.priority == OWNER && (config.owner_ignore_adverts || config.strict) {
        return Err(Reject::Owner(datagram.source));
    }
    if config.strict {
        accept_addresses(config, &message)?;
    }
    Ok(message)
}

/// The authentication header, where there is to be one; how it counts is for the instance to judge.
fn accept_header(config: &InstanceConfig, datagram: &Datagram<'_>) -> Result<(), Reject> {
    let key = match config.auth {
        Some(Auth::Ah(key)) => key,
        Some(Auth::Pass(_)) | None if datagram.ah.is_some() => {
            return Err(Reject::AuthType { received: AH, expected: auth_kind(config) });
        }
        Some(Auth::Pass(_)) | None => return Ok(()),
    };
    let Some(ah) = datagram.ah else {
        return Err(Reject::AuthType { received: 0, expected: AH });
    };
    if let core::net::IpAddr::V4(source) = datagram.source
        && !ah.is_from(source)
    {
        return Err(Reject::AhSource { spi: ah.spi, expected: source.to_bits() });
    }
    if ah.is_authentic(&key) { Ok(()) } else { Err(Reject::AhValue) }
}

/// The hops a peer may be away.
fn accept_hops(config: &InstanceConfig, datagram: &Datagram<'_>) -> Result<(), Reject> {
    let peer = config.unicast_peers.iter().find(|peer| peer.address == datagram.source);
    let Some(peer) = peer else { return Ok(()) };
    let (min, max) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255));
    let ttl = datagram.ttl;
    if (min..=max).contains(&ttl) { Ok(()) } else { Err(Reject::TtlRange { ttl, min, max }) }
}

/// Whether the checksum is right in one of the ways it is written.
///
/// Version 3 over IPv4 counts a pseudo header (RFC 5798 §5.2.8, keepalived) or does not (RFC 9568
/// §5.2.8): either is accepted, but nothing else. keepalived drops the latter, unless under
/// `v3_checksum_as_v2`, when it verifies nothing.
fn checksum_is_valid(
    config: &InstanceConfig,
    datagram: &Datagram<'_>,
    message: &Message<'_>,
) -> bool {
    let ends = PseudoHeader { source: datagram.source, destination: datagram.destination };
    message.checksum_is_valid(Some(ends))
        || (datagram.source.is_ipv4() && message.checksum_is_valid(None))
        || has_old_checksum(config, datagram, message)
}

/// Whether the checksum is that of keepalived before 1.3.6 between unicast peers of version 3: as if
/// it went to the group.
pub(crate) fn has_old_checksum(
    config: &InstanceConfig,
    datagram: &Datagram<'_>,
    message: &Message<'_>,
) -> bool {
    let group = PseudoHeader { source: datagram.source, destination: MULTICAST_GROUP_V4.into() };
    config.old_unicast_checksum != OldChecksum::Never
        && config.version == Version::V3
        && datagram.source.is_ipv4()
        && !datagram.destination.is_multicast()
        && message.checksum_is_valid(Some(group))
}

/// What the standards ask of the addresses, and keepalived leaves out.
fn accept_addresses(config: &InstanceConfig, message: &Message<'_>) -> Result<(), Reject> {
    let ours = || config.addresses.iter().map(|listed| listed.address);
    if config.version == Version::V3 {
        return if message.addresses().len() == 0 { Err(Reject::NoAddresses) } else { Ok(()) };
    }
    let same = message.addresses().len() == config.addresses.len()
        && ours().all(|ours| message.addresses().any(|theirs| theirs == ours));
    if same || message.priority == OWNER { Ok(()) } else { Err(Reject::OtherAddresses) }
}

/// An authentication header, as version 2 numbers it.
const AH: u8 = 2;

/// What version 2 calls our way to authenticate.
fn auth_kind(config: &InstanceConfig) -> u8 {
    match config.auth {
        None => 0,
        Some(Auth::Pass(_)) => 1,
        Some(Auth::Ah(_)) => AH,
    }
}

/// What only version 2 checks: RFC 3768 §7.1, and the authentication of RFC 2338.
fn accept_v2(config: &InstanceConfig, message: &Message<'_>) -> Result<(), Reject> {
    let expected = auth_kind(config);
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
