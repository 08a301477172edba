use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const US: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 11);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

fn packet(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    Header::control(US, GROUP, 1).encode(payload, &mut out);
    out
}

#[test]
fn an_adverts_header_is_the_one_keepalived_sends() {
    let sent = [
        0x45, 0xc0, 0x00, 0x2c, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70, 0xd0, 0x7a, 0x0a, 0x09, 0x00,
        0x0b, 0xe0, 0x00, 0x00, 0x12,
    ];
    assert_eq!(packet(&[0; 24])[..HEADER_LEN], sent);
}

#[test]
fn encoding_appends_to_what_is_there() {
    let mut out = vec![1, 2, 3];
    Header::control(US, GROUP, 1).encode(&[9], &mut out);
    assert_eq!(out[..3], [1, 2, 3]);
    assert_eq!(out[3..], packet(&[9]));
}

#[test]
fn a_payload_beyond_the_largest_packet_is_cut() {
    let out = packet(&vec![7; 70_000]);
    assert_eq!(out.len(), 65_535);
    assert_eq!(Packet::parse(&out).unwrap().payload.len(), 65_515);
}

#[test]
fn each_cause_has_its_error() {
    let good = packet(&[1, 2, 3, 4]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(Packet::parse(&[]), Err(ParseError::TooShort(0)));
    assert_eq!(Packet::parse(&good[..19]), Err(ParseError::TooShort(19)));
    assert_eq!(Packet::parse(&with(0, 0x65)), Err(ParseError::Version(6)));
    assert_eq!(Packet::parse(&with(0, 0x44)), Err(ParseError::HeaderLength(16)));
    assert_eq!(Packet::parse(&with(0, 0x47)), Err(ParseError::HeaderLength(28)));
    let total = |claimed| Err(ParseError::TotalLength { claimed, received: 24 });
    assert_eq!(Packet::parse(&with(3, 25)), total(25));
    assert_eq!(Packet::parse(&with(3, 19)), total(19));
}

#[test]
fn options_and_padding_are_left_out() {
    let mut bytes = packet(&[1, 2, 3, 4, 5, 6]);
    bytes[0] = 0x46;
    bytes.extend([0; 20]);
    assert_eq!(Packet::parse(&bytes).unwrap().payload, [5, 6]);
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_is_parsed(
        source: u32, destination: u32, protocol: u8, tos: u8, id: u16, ttl: u8,
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (source, destination) = (source.into(), destination.into());
        let header = Header { source, destination, protocol, tos, id, ttl };
        let mut out = vec![];
        header.encode(&payload, &mut out);
        prop_assert_eq!(Checksum::new().over(&out[..HEADER_LEN]).finish(), 0);
        prop_assert_eq!(Packet::parse(&out), Ok(Packet { header, payload: &payload, whole: &out }));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Packet::parse(&bytes);
    }
}
