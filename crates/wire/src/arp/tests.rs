use proptest::prelude::*;

use super::*;

const MAC: Mac = [0x92, 0x58, 0x6e, 0xaf, 0x29, 0xf7];

#[test]
fn a_gratuitous_arp_is_the_frame_keepalived_sends() {
    let sent = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x92, 0x58, 0x6e, 0xaf, 0x29, 0xf7, 0x08, 0x06, 0x00,
        0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x92, 0x58, 0x6e, 0xaf, 0x29, 0xf7, 0x0a, 0x09,
        0x00, 0x64, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x09, 0x00, 0x64,
    ];
    let frame = Frame::gratuitous(MAC, Ipv4Addr::new(10, 9, 0, 100));
    assert_eq!(frame.to_bytes(), sent);
    assert_eq!(Frame::parse(&sent), Ok(frame));
}

#[test]
fn each_cause_has_its_error() {
    let good = Frame::gratuitous(MAC, Ipv4Addr::LOCALHOST).to_bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = good;
        bytes[at] = byte;
        Frame::parse(&bytes)
    };
    assert_eq!(Frame::parse(&good[..41]), Err(ParseError::TooShort(41)));
    assert_eq!(with(13, 0), Err(ParseError::EtherType(0x0800)));
    for (at, byte) in [(15, 6), (16, 0x86), (18, 8), (19, 16)] {
        assert_eq!(with(at, byte), Err(ParseError::NotIpv4OverEthernet), "byte {at}");
    }
    assert_eq!(with(21, 3), Err(ParseError::Operation(3)));
    assert_eq!(with(21, 2).map(|frame| frame.operation), Ok(Operation::Reply));
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_is_parsed(
        destination: Mac, source: Mac, reply: bool, sender_mac: Mac, sender_ip: u32,
        target_mac: Mac, target_ip: u32, padding in 0..20_usize,
    ) {
        let operation = if reply { Operation::Reply } else { Operation::Request };
        let (sender_ip, target_ip) = (sender_ip.into(), target_ip.into());
        let frame =
            Frame { destination, source, operation, sender_mac, sender_ip, target_mac, target_ip };
        let mut bytes = frame.to_bytes().to_vec();
        bytes.extend(core::iter::repeat_n(0, padding));
        prop_assert_eq!(Frame::parse(&bytes), Ok(frame));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Frame::parse(&bytes);
    }
}
