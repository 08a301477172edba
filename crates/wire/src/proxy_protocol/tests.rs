use alloc::string::{String, ToString as _};
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn addresses(source: &str, destination: &str) -> Addresses {
    let parse = |text: &str| text.parse().expect("an address");
    Addresses { source: parse(source), destination: parse(destination) }
}

fn shown(header: &Header<'_>) -> String {
    header
        .addresses
        .map_or_else(|| "-".to_string(), |a| format!("{} > {}", a.source, a.destination))
}

#[test]
fn a_header_of_version_1_is_read() {
    let cases: [(&[u8], &str, usize); 4] = [
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nx",
            "192.0.2.7:56324 > 198.51.100.1:443",
            45,
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n",
            "[2001:db8::7]:1 > [2001:db8::1]:65535",
            44,
        ),
        (b"PROXY UNKNOWN\r\n", "-", 15),
        (b"PROXY UNKNOWN whatever stands here\r\n", "-", 36),
    ];
    for (bytes, expected, length) in cases {
        let header = Header::parse(bytes).expect("a header");
        assert_eq!((shown(&header).as_str(), header.length), (expected, length));
    }
}

#[test]
fn what_is_no_header_of_version_1_is_broken() {
    let cases: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\n",
        b"PROXX",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 +5 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
        b"PROXY \xff\xff\r\n",
    ];
    for bytes in cases {
        assert_eq!(Header::parse(bytes), Err(Error::Broken), "{}", String::from_utf8_lossy(bytes));
    }
    let mut long = b"PROXY UNKNOWN ".to_vec();
    long.resize(MAX_V1 - 1, b'x');
    assert_eq!(Header::parse(&long), Err(Error::Incomplete));
    long.push(b'x');
    assert_eq!(Header::parse(&long), Err(Error::Broken), "longer than any");
}

#[test]
fn a_header_of_version_2_is_read_with_its_tlvs() {
    let both = addresses("192.0.2.7:56324", "198.51.100.1:443");
    let bytes = encode_v2(Some(both), &[(1, b"h2"), (0xe1, b"")]);
    // As HAProxy sends it.
    assert_eq!(bytes[12..16], [0x21, 0x11, 0, 12 + 5 + 3]);
    let header = Header::parse(&bytes).expect("a header");
    assert_eq!(header.addresses, Some(both));
    assert_eq!(header.tlvs().collect::<Vec<_>>(), [(1, &b"h2"[..]), (0xe1, &b""[..])]);
    let local = encode_v2(None, &[]);
    assert_eq!(local[12..], [0x20, 0, 0, 0]);
    assert_eq!(Header::parse(&local).expect("a header").addresses, None);
}

#[test]
fn a_tlv_that_is_cut_ends_them() {
    let mut bytes = encode_v2(None, &[(1, b"h2"), (2, b"name")]);
    bytes[15] -= 1;
    bytes.pop();
    let header = Header::parse(&bytes).expect("the header itself is whole");
    assert_eq!(header.tlvs().collect::<Vec<_>>(), [(1, &b"h2"[..])]);
}

#[test]
fn families_and_transports_without_addresses_of_ours_are_passed_over() {
    let build = |command: u8, family: u8, body: &[u8]| {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[command, family, 0, body.len() as u8]);
        bytes.extend_from_slice(body);
        bytes
    };
    for (command, family, size) in
        [(0x20, 0x11, 12), (0x21, 0x12, 12), (0x21, 0x22, 36), (0x21, 0x31, 216), (0x21, 0, 0)]
    {
        let bytes = build(command, family, &vec![7; size]);
        let header = Header::parse(&bytes).expect("a header");
        assert_eq!((header.addresses, header.length), (None, 16 + size), "{family:#x}");
    }
    for (command, family, size) in
        [(0x11, 0x11, 12), (0x22, 0x11, 12), (0x21, 0x11, 11), (0x21, 0x21, 35), (0x21, 0x31, 215)]
    {
        let bytes = build(command, family, &vec![7; size]);
        assert_eq!(Header::parse(&bytes), Err(Error::Broken), "{command:#x} {family:#x} {size}");
    }
    let mut long = build(0x21, 0x11, &[0; 12]);
    long[14] = 0xff;
    assert_eq!(Header::parse(&long), Err(Error::Broken), "longer than anybody waits for");
}

#[test]
fn ends_of_two_families_are_written_in_the_larger_one() {
    let mixed = addresses("192.0.2.7:1", "[2001:db8::1]:2");
    assert_eq!(
        String::from_utf8(encode_v1(Some(mixed))).expect("text"),
        "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n"
    );
    let mapped = addresses("[::ffff:192.0.2.7]:1", "[::ffff:198.51.100.1]:2");
    assert_eq!(encode_v1(Some(mapped)), b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n");
    assert_eq!(encode_v1(None), b"PROXY UNKNOWN\r\n");
    let bytes = encode_v2(Some(mixed), &[]);
    assert_eq!(bytes[13], 0x21);
    assert_eq!(
        Header::parse(&bytes).expect("a header").addresses.map(|a| a.source.port()),
        Some(1)
    );
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<bool>(), any::<u32>(), any::<u128>(), any::<u16>()).prop_map(|(v4, a, b, port)| {
        let ip: IpAddr = if v4 { Ipv4Addr::from(a).into() } else { Ipv6Addr::from(b).into() };
        SocketAddr::new(ip, port)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_every_shorter_piece_waits_for_the_rest(
        source in address(), destination in address(), tlv in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let both = alike(Addresses { source, destination });
        for mut bytes in [encode_v1(Some(both)), encode_v2(Some(both), &[(5, &tlv)])] {
            for cut in 0..bytes.len() {
                prop_assert_eq!(Header::parse(&bytes[..cut]), Err(Error::Incomplete), "cut at {}", cut);
            }
            let length = bytes.len();
            bytes.extend_from_slice(b"and more");
            let header = Header::parse(&bytes).expect("a header");
            prop_assert_eq!((header.addresses, header.length), (Some(both), length));
        }
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), v2 in any::<bool>()) {
        let mut all = if v2 { SIGNATURE.to_vec() } else { b"PROXY ".to_vec() };
        all.extend_from_slice(&bytes);
        if let Ok(header) = Header::parse(&all) {
            prop_assert!(header.length <= all.len());
            header.tlvs().count();
        }
    }
}

/// What HAProxy 2.6 sent with `proxy-v2-options crc32c`: its addresses, and its checksum.
const SEALED: &str = "0d0a0d0a000d0a515549540a211100137f0000017f000001e72eac4d03000487 22a83d";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn a_sealed_header_is_haproxys_byte_for_byte() {
    let theirs = bytes_of(SEALED);
    let header = Header::parse(&theirs).expect("a header");
    assert!(header.is_sound(&theirs));
    let mut ours = encode_v2(header.addresses, &[(tlv::CRC32C, &[0; 4])]);
    seal(&mut ours);
    assert_eq!(ours, theirs);
}

#[test]
fn every_changed_bit_of_a_sealed_header_is_noticed() {
    let sealed = bytes_of(SEALED);
    for at in 0..sealed.len() * 8 {
        let mut broken = sealed.clone();
        broken[at / 8] ^= 1 << (at % 8);
        // What is no header any more, or one of another length, is somebody else's to refuse.
        if let Ok(header) = Header::parse(&broken)
            && header.length == broken.len()
            && header.tlvs().any(|(kind, _)| kind == tlv::CRC32C)
        {
            assert!(!header.is_sound(&broken), "bit {at}");
        }
    }
}

#[test]
fn lying_tlvs_are_not_sound() {
    let addresses = Header::parse(&bytes_of(SEALED)).expect("a header").addresses;
    let sound = |list: &[(u8, &[u8])]| {
        let bytes = encode_v2(addresses, list);
        Header::parse(&bytes).expect("a header").is_sound(&bytes)
    };
    assert!(sound(&[]) && sound(&[(tlv::AUTHORITY, &[b'a'; 255]), (0xe1, b"")]));
    assert!(sound(&[(tlv::UNIQUE_ID, &[b'a'; 128])]));
    assert!(!sound(&[(tlv::AUTHORITY, &[b'a'; 256])]));
    assert!(!sound(&[(tlv::UNIQUE_ID, &[b'a'; 129])]));
    assert!(!sound(&[(tlv::CRC32C, &[1, 2, 3, 4])]) && !sound(&[(tlv::CRC32C, &[0; 3])]));
    // Cut inside of a TLV, and inside of its length: the header says that this is all.
    for cut in 1..5 {
        let mut bytes = encode_v2(addresses, &[(tlv::AUTHORITY, b"ab")]);
        bytes.truncate(bytes.len() - cut);
        let size = u16::try_from(bytes.len() - 16).expect("short").to_be_bytes();
        bytes[14..16].copy_from_slice(&size);
        let header = Header::parse(&bytes).expect("a header");
        assert!(!header.is_sound(&bytes), "{cut}");
    }
}
