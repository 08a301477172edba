//! Unsolicited neighbour advertisements (RFC 4861 §4.4): what gratuitous ARP is to IPv4.

use core::net::Ipv6Addr;

use crate::arp::Mac;
use crate::checksum::Checksum;

/// Bytes of the Ethernet frame: its header, an IPv6 header, the advertisement and one option.
pub const FRAME_LEN: usize = 14 + 40 + PAYLOAD_LEN;
/// Advertisement and target link-layer address option.
const PAYLOAD_LEN: usize = 24 + 8;
/// All nodes of the link (RFC 4291 §2.7.1), and the Ethernet group it maps to (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ETHERTYPE: u16 = 0x86dd;
/// ICMPv6's protocol number.
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// RFC 4861 §4.4: R, the sender is a router; O, the advertisement overrides what is cached.
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
/// RFC 4861 §4.6.1: target link-layer address, one unit of eight bytes.
const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];

/// "`address` is at `mac`", to all nodes of the link, as keepalived says it: the address itself is
/// the source, the hop limit 255, and whatever was cached is overridden.
///
/// `router` tells whether this machine forwards packets for others.
///
/// ```
/// let mac = [0x92, 0x58, 0x6e, 0xaf, 0x29, 0xf7];
/// let frame = wire::ndisc::unsolicited(mac, "fe80::51".parse()?, false);
/// assert_eq!(frame[54..58], [136, 0, 0x2d, 0xfd]);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[must_use]
pub fn unsolicited(mac: Mac, address: Ipv6Addr, router: bool) -> [u8; FRAME_LEN] {
    let flags = if router { ROUTER | OVERRIDE } else { OVERRIDE };
    let length = PAYLOAD_LEN as u16;
    let fields: [&[u8]; 13] = [
        &ALL_NODES_MAC,
        &mac,
        &ETHERTYPE.to_be_bytes(),
        &[0x60, 0, 0, 0],
        &length.to_be_bytes(),
        &[ICMPV6, 255],
        &address.octets(),
        &ALL_NODES.octets(),
        &[NEIGHBOUR_ADVERTISEMENT, 0, 0, 0],
        &[flags, 0, 0, 0],
        &address.octets(),
        &TARGET_LINK_LAYER_ADDRESS,
        &mac,
    ];
    let mut frame = [0; FRAME_LEN];
    for (to, from) in frame.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    // RFC 4443 §2.3: over a pseudo header of RFC 8200 §8.1 and the message.
    let checksum = Checksum::new()
        .over(&address.octets())
        .over(&ALL_NODES.octets())
        .over(&u32::from(length).to_be_bytes())
        .over(&[0, 0, 0, ICMPV6])
        .over(&frame[54..])
        .finish();
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// keepalived 2.4.3, captured.
    #[test]
    fn an_advertisement_is_keepalived_s_byte_for_byte() {
        let captured = [
            0x33, 0x33, 0, 0, 0, 1, 0x92, 0x58, 0x6e, 0xaf, 0x29, 0xf7, 0x86, 0xdd, 0x60, 0, 0, 0,
            0, 0x20, 0x3a, 0xff, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x51, 0xff, 2,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x88, 0, 0x2d, 0xfd, 0x20, 0, 0, 0, 0xfe,
            0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x51, 2, 1, 0x92, 0x58, 0x6e, 0xaf, 0x29,
            0xf7,
        ];
        let mac = [0x92, 0x58, 0x6e, 0xaf, 0x29, 0xf7];
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x51);
        assert_eq!(unsolicited(mac, address, false), captured);
        let router = unsolicited(mac, address, true);
        assert_eq!(router[58], 0xa0);
        assert_ne!(router[56..58], captured[56..58]);
    }
}
