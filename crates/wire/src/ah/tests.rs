use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// keepalived 2.4.3, captured: priority 150 and, two packets later, 0, both with the key `1234`.
const CAPTURED: [[u8; 64]; 2] = [
    [
        0x45, 0xc0, 0, 0x40, 0, 1, 0, 0, 0xff, 0x33, 0xd0, 0xa3, 10, 9, 0, 11, 224, 0, 0, 18, 0x70,
        4, 0, 0, 10, 9, 0, 11, 0, 0, 0, 1, 0xa2, 0xa4, 0x06, 0x6e, 0x7c, 0xe6, 0x95, 0x54, 0x77,
        0x58, 0xab, 0xac, 0x21, 0x33, 0x96, 1, 2, 1, 0x3c, 0x5d, 10, 9, 0, 100, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0x45, 0xc0, 0, 0x40, 0, 3, 0, 0, 0xff, 0x33, 0xd0, 0xa1, 10, 9, 0, 11, 224, 0, 0, 18, 0x70,
        4, 0, 0, 10, 9, 0, 11, 0, 0, 0, 3, 0xc0, 0x8d, 0x91, 0xe1, 0x09, 0x14, 0x58, 0x89, 0xfb,
        0x27, 0xa4, 0x38, 0x21, 0x33, 0, 1, 2, 1, 0xd2, 0x5d, 10, 9, 0, 100, 0, 0, 0, 0, 0, 0, 0,
        0,
    ],
];
const KEY: &[u8] = b"1234\0\0\0\0";

#[test]
fn packets_are_keepalived_s_byte_for_byte() {
    for (packet, sequence) in CAPTURED.iter().zip([1, 3]) {
        let read = Packet::parse(packet, 20).unwrap();
        assert_eq!((read.next, read.sequence, read.payload.len()), (112, sequence, 20));
        assert!(read.is_from(Ipv4Addr::new(10, 9, 0, 11)));
        assert!(read.is_authentic(KEY));
        assert!(!read.is_authentic(b"1235"));
        let ipv4::Packet { header, .. } = ipv4::Packet::parse(packet).unwrap();
        let header = ipv4::Header { protocol: ipv4::VRRP, ..header };
        let mut written = vec![];
        encode(&header, sequence, KEY, read.payload, &mut written);
        assert_eq!(written, packet);
    }
}

#[test]
fn a_unicast_packet_of_keepalived_is_authentic_whatever_its_time_to_live() {
    // keepalived 2.2.7, captured: priority 255, with the key `secret12`.
    let mut packet = [
        0x45, 0xc0, 0, 0x40, 0, 1, 0, 0, 0xff, 0x33, 0xa4, 0xc5, 10, 1, 1, 1, 10, 1, 1, 2, 0x70, 4,
        0, 0, 10, 1, 1, 1, 0, 0, 0, 1, 0xa2, 0x1c, 0x1b, 0x31, 0x57, 0xdf, 0x4d, 0x12, 0x77, 0xc7,
        0x48, 0x50, 0x21, 0x33, 0xff, 1, 2, 1, 0xd2, 0x64, 10, 1, 1, 100, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let key = b"secret12";
    assert!(Packet::parse(&packet, 20).unwrap().is_authentic(key));
    let ipv4::Packet { header, .. } = ipv4::Packet::parse(&packet).unwrap();
    let header = ipv4::Header { protocol: ipv4::VRRP, ..header };
    let mut written = vec![];
    encode(&header, 1, key, Packet::parse(&packet, 20).unwrap().payload, &mut written);
    assert_eq!(written, packet);
    packet[8] = 3;
    assert!(Packet::parse(&packet, 20).unwrap().is_authentic(key));
    packet[19] = 3;
    assert!(!Packet::parse(&packet, 20).unwrap().is_authentic(key));
}

#[test]
fn what_changes_on_the_way_is_not_authenticated_and_all_else_is() {
    let changes = [1, 6, 7, 10, 11];
    // Next header and length are read before anything is checked.
    for at in (0..64).filter(|at| ![0, 2, 3, 21].contains(at)) {
        let mut packet = CAPTURED[0];
        packet[at] ^= 0x01;
        let authentic = Packet::parse(&packet, 20).unwrap().is_authentic(KEY);
        assert_eq!(authentic, changes.contains(&at), "byte {at}");
    }
}

#[test]
fn a_packet_cut_anywhere_is_refused_or_not_authentic() {
    for end in 0..64 {
        match Packet::parse(&CAPTURED[0][..end], 20) {
            Err(error) => assert_eq!(error, ParseError::TooShort(end.saturating_sub(20))),
            Ok(packet) => assert!(!packet.is_authentic(KEY), "{end}"),
        }
    }
    let mut longer = CAPTURED[0];
    longer[21] = 5;
    assert_eq!(Packet::parse(&longer, 20), Err(ParseError::Length(5)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, header in 0_usize..80) {
        if let Ok(packet) = Packet::parse(&bytes, header) {
            let _ = packet.is_authentic(KEY);
        }
    }
}
