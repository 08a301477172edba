use alloc::vec;

use proptest::prelude::*;

use super::*;

fn ip(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    Ipv4Addr::new(a, b, c, d).into()
}

fn ends() -> PseudoHeader {
    PseudoHeader { source: ip(10, 9, 0, 11), destination: ip(224, 0, 0, 18) }
}

fn advert(addresses: &[IpAddr]) -> Advert<'_> {
    Advert {
        version: Version::V2,
        vrid: 51,
        priority: 150,
        interval: Duration::from_secs(1),
        auth: AuthData::None,
        addresses,
    }
}

/// Packets keepalived 2.4.3 sent, without their IP headers.
#[test]
fn adverts_are_the_bytes_keepalived_sends() {
    let two = [ip(10, 9, 0, 100), ip(10, 9, 0, 101)];
    let v2 = [
        0x21, 0x33, 0x96, 0x02, 0x00, 0x01, 0x33, 0xee, 0x0a, 0x09, 0x00, 0x64, 0x0a, 0x09, 0x00,
        0x65, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(advert(&two).to_bytes(Some(ends())), v2);
    let resign = Advert { priority: 0, ..advert(&two) }.to_bytes(None);
    assert_eq!(resign[..8], [0x21, 0x33, 0x00, 0x02, 0x00, 0x01, 0xc9, 0xee]);

    let pass = Advert { auth: AuthData::Simple(*b"1234\0\0\0\0"), ..advert(&two[..1]) };
    let sent = [
        0x21, 0x33, 0x96, 0x01, 0x01, 0x01, 0xd8, 0xf6, 0x0a, 0x09, 0x00, 0x64, 0x31, 0x32, 0x33,
        0x34, 0, 0, 0, 0,
    ];
    assert_eq!(pass.to_bytes(None), sent);

    let interval = Duration::from_millis(500);
    let v3 = Advert { version: Version::V3, interval, ..advert(&two[..1]) };
    let sent = [0x31, 0x33, 0x96, 0x01, 0x00, 0x32, 0x43, 0x89, 0x0a, 0x09, 0x00, 0x64];
    assert_eq!(v3.to_bytes(Some(ends())), sent);
    assert_eq!(v3.to_bytes(None)[6..8], [0x2e, 0x2c], "v3_checksum_as_v2");

    let unicast = PseudoHeader { destination: ip(10, 9, 0, 12), ..ends() };
    let v3 = Advert { version: Version::V3, ..advert(&two[..1]) }.to_bytes(Some(unicast));
    assert_eq!(v3[4..8], [0x00, 0x64, 0x19, 0x55]);
}

#[test]
fn an_advert_over_ipv6_is_the_one_keepalived_sends() {
    let link_local =
        |last: [u16; 4]| Ipv6Addr::new(0xfe80, 0, 0, 0, last[0], last[1], last[2], last[3]).into();
    let addresses =
        [link_local([0, 0, 0, 0x51]), Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x100).into()];
    let ends = PseudoHeader {
        source: link_local([0x9058, 0x6eff, 0xfeaf, 0x29f7]),
        destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
    };
    let bytes = Advert { version: Version::V3, ..advert(&addresses) }.to_bytes(Some(ends));
    assert_eq!(bytes.len(), 40);
    assert_eq!(bytes[..8], [0x31, 0x33, 0x96, 0x02, 0x00, 0x64, 0x15, 0x5d]);
    let message = Message::parse_v6(&bytes).unwrap();
    assert!(message.addresses().eq(addresses));
    assert!(message.checksum_is_valid(Some(ends)));
}

#[test]
fn what_does_not_fit_its_field_is_cut() {
    let interval = Duration::from_millis(300_999);
    let bytes = Advert { interval, ..advert(&[]) }.to_bytes(None);
    assert_eq!(bytes[5], 255);
    let bytes = Advert { version: Version::V3, interval, ..advert(&[]) }.to_bytes(None);
    assert_eq!(bytes[4..6], [0x0f, 0xff]);
    let many = vec![ip(1, 2, 3, 4); 300];
    let bytes = advert(&many).to_bytes(None);
    assert_eq!(bytes[3], 255);
    assert_eq!(bytes.len(), 8 + 255 * 4 + 8);
}

#[test]
fn each_cause_has_its_error() {
    let good = advert(&[ip(10, 9, 0, 100)]).to_bytes(None);
    assert_eq!(Message::parse(&good[..7]), Err(ParseError::TooShort(7)));
    let truncated =
        |count, needed, received| Err(ParseError::Truncated { count, needed, received });
    assert_eq!(Message::parse(&good[..19]), truncated(1, 20, 19));
    let mut bytes = good.clone();
    bytes[3] = 200;
    assert_eq!(Message::parse(&bytes), truncated(200, 816, 20));
    assert_eq!(Message::parse_v6(&good), truncated(1, 32, 20));
    bytes[0] = 0x41;
    assert_eq!(Message::parse(&bytes), Err(ParseError::Version(4)));
    bytes[0] = 0x3f;
    bytes[3] = 0;
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.kind, message.trailing), (15, 12), "unknown, and for the caller to judge");
}

#[test]
fn reserved_bits_of_version_3_are_ignored() {
    let mut bytes = Advert { version: Version::V3, ..advert(&[]) }.to_bytes(None);
    bytes[4] |= 0xf0;
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.auth_kind, message.interval), (0, Duration::from_secs(1)));
}

#[test]
fn the_virtual_router_is_known_before_the_rest_is() {
    assert_eq!(vrid(&[]), None);
    assert_eq!(vrid(&[0x21]), None);
    assert_eq!(vrid(&[0x21, 51]), Some(51));
}

fn any_auth() -> impl Strategy<Value = AuthData> {
    prop_oneof![Just(AuthData::None), any::<[u8; 8]>().prop_map(AuthData::Simple)]
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_is_parsed(
        v3: bool, vrid: u8, priority: u8, interval in 0..4096_u64, auth in any_auth(),
        addresses in prop::collection::vec(any::<u32>(), 0..30), source: u32, destination: u32,
        trailing in 0..20_usize,
    ) {
        let (version, interval) = if v3 {
            (Version::V3, Duration::from_millis(interval * 10))
        } else {
            (Version::V2, Duration::from_secs(interval % 256))
        };
        let addresses: Vec<IpAddr> =
            addresses.into_iter().map(|bits| Ipv4Addr::from_bits(bits).into()).collect();
        let ends = PseudoHeader {
            source: Ipv4Addr::from_bits(source).into(),
            destination: Ipv4Addr::from_bits(destination).into(),
        };
        let sent = Advert { version, vrid, priority, interval, auth, addresses: &addresses };
        let mut bytes = sent.to_bytes(Some(ends));
        bytes.extend(core::iter::repeat_n(0xaa, trailing));
        let got = Message::parse(&bytes).unwrap();
        prop_assert!(got.checksum_is_valid(Some(ends)));
        prop_assert!(got.addresses().eq(addresses.iter().copied()));
        prop_assert_eq!((got.version, got.kind, got.vrid), (version, ADVERTISEMENT, vrid));
        prop_assert_eq!((got.priority, got.interval), (priority, interval));
        prop_assert_eq!(got.trailing, trailing);
        let expected = match auth {
            AuthData::Simple(password) if !v3 => (1, password),
            AuthData::Header if !v3 => (2, [0; 8]),
            AuthData::None | AuthData::Simple(_) | AuthData::Header => (0, [0; 8]),
        };
        prop_assert_eq!((got.auth_kind, got.auth), expected);
    }

    #[test]
    fn a_flipped_bit_fails_the_checksum(v3: bool, bit in 0..160_usize) {
        let version = if v3 { Version::V3 } else { Version::V2 };
        let addresses = [ip(10, 9, 0, 100), ip(10, 9, 0, 101), ip(10, 9, 0, 102)];
        let mut bytes = Advert { version, ..advert(&addresses) }.to_bytes(Some(ends()));
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(message) = Message::parse(&bytes) {
            let same_version = message.version == version;
            prop_assert!(!same_version || !message.checksum_is_valid(Some(ends())));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for message in [Message::parse(&bytes), Message::parse_v6(&bytes)].into_iter().flatten() {
            let _ = (message.addresses().count(), message.checksum_is_valid(Some(ends())));
        }
        let _ = vrid(&bytes);
    }
}
