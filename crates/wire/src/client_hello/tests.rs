use alloc::vec;

use proptest::prelude::*;

use super::*;

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).expect("short");
    let entry = [&[0][..], &length.to_be_bytes(), name.as_bytes()].concat();
    extension(0, &[&(length + 3).to_be_bytes()[..], &entry].concat())
}

/// A handshake message: SNI, ALPN, a ticket that is asked for.
fn message(name: &str) -> Vec<u8> {
    let alpn = extension(16, b"\x00\x0c\x02h2\x08http/1.1");
    let extensions = [server_name(name), alpn, extension(35, b"")].concat();
    let length = u16::try_from(extensions.len()).expect("short");
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[2, 9, 9],
        &[0, 4, 0x13, 0x01, 0x13, 0x02],
        &[1, 0],
        &length.to_be_bytes(),
        &extensions,
    ]
    .concat();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

fn records(message: &[u8], fragment: usize) -> Vec<u8> {
    let mut out = vec![];
    for part in message.chunks(fragment) {
        let length = u16::try_from(part.len()).expect("short").to_be_bytes();
        out.extend_from_slice(&[22, 3, 1, length[0], length[1]]);
        out.extend_from_slice(part);
    }
    out
}

#[test]
fn a_hello_tells_host_protocols_ciphers_and_ticket() {
    let bytes = records(&message("api.example.org"), 4096);
    let hello = ClientHello::parse(&bytes).expect("it is one");
    assert_eq!(hello.version(), (3, 3));
    assert_eq!(hello.server_name(), Some(&b"api.example.org"[..]));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    assert_eq!(hello.ciphers(), [0x13, 0x01, 0x13, 0x02]);
    assert_eq!(hello.session_ticket(), Some(&[][..]));
    assert_eq!(hello.extension(99), None);
    assert_eq!(message_type(&bytes), Ok(1));
    assert_eq!(version(&bytes), Ok((3, 3)));
}

#[test]
fn a_hello_cut_at_any_byte_is_incomplete_and_never_something_else() {
    for fragment in [4096, 64, 5, 1] {
        let bytes = records(&message("api.example.org"), fragment);
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            assert_eq!(ClientHello::parse(cut), Err(Error::Incomplete), "{fragment}: {length}");
        }
        assert!(ClientHello::parse(&bytes).is_ok(), "{fragment}");
    }
}

#[test]
fn the_message_type_and_version_are_known_as_soon_as_their_bytes_are_there() {
    let bytes = records(&message("x"), 4096);
    for length in 0..bytes.len() {
        let kind = if length < 6 { Err(Error::Incomplete) } else { Ok(1) };
        assert_eq!(message_type(&bytes[..length]), kind, "{length}");
        let known = if length < 11 { Err(Error::Incomplete) } else { Ok((3, 3)) };
        assert_eq!(version(&bytes[..length]), known, "{length}");
    }
}

#[test]
fn the_version_is_known_when_it_stands_in_a_later_record() {
    for fragment in [5, 4, 1] {
        let bytes = records(&message("x"), fragment);
        for length in 0..bytes.len() {
            let seen = version(&bytes[..length]);
            assert_eq!(seen, Err(Error::Incomplete), "{fragment}: {length}");
        }
        assert_eq!(version(&bytes), Ok((3, 3)), "{fragment}");
    }
}

#[test]
fn other_protocols_are_told_apart_at_their_first_byte() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x", b"\x17\x03\x03\x00\x01\x00", b"\x16\x02"]
    {
        assert_eq!(ClientHello::parse(bytes), Err(Error::Other));
        assert_eq!(message_type(bytes), Err(Error::Other));
    }
    // A handshake message that is no hello.
    assert_eq!(message_type(b"\x16\x03\x01\x00\x04\x0b\x00\x00\x00"), Err(Error::Other));
    // A ServerHello.
    assert_eq!(message_type(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"), Ok(2));
    assert_eq!(message_type(b"\x16\x03\x03\x00\x00"), Err(Error::Other));
    // SSLv2 with TLS 1.0 in it.
    assert_eq!(version(b"\x80\x2e\x01\x03\x01"), Ok((3, 1)));
}

#[test]
fn lengths_that_lie_make_it_no_hello() {
    let good = records(&message("api.example.org"), 4096);
    // The session id, the ciphers, the compression methods, the extensions: each reaches beyond.
    for at in [5 + 4 + 34, 5 + 4 + 37, 5 + 4 + 43, 5 + 4 + 45, 5 + 4 + 49] {
        let mut bytes = good.clone();
        bytes[at] = 0xff;
        assert_eq!(ClientHello::parse(&bytes), Err(Error::Other), "{at}");
    }
    // A message of 16 megabytes is not waited for.
    let mut bytes = good;
    bytes[6] = 0xff;
    assert_eq!(ClientHello::parse(&bytes), Err(Error::Other));
    assert_eq!(ClientHello::parse(&bytes[..9]), Err(Error::Other));
}

#[test]
fn a_hello_without_extensions_has_no_host() {
    let body = [&[3, 1][..], &[0; 32], &[0, 0, 2, 0, 5, 1, 0]].concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    let bytes = records(&message, 4096);
    let hello = ClientHello::parse(&bytes).expect("it is one");
    assert_eq!((hello.version(), hello.server_name()), ((3, 1), None));
    assert_eq!(hello.alpn().count(), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let framed = records(&bytes, 100);
        for bytes in [&bytes, &framed] {
            if let Ok(hello) = ClientHello::parse(bytes) {
                let _ = (hello.server_name(), hello.alpn().count(), hello.extensions().count());
            }
            let _ = (message_type(bytes), version(bytes));
        }
    }

    #[test]
    fn a_damaged_hello_is_read_without_panic(at in 0_usize..160, byte: u8, fragment in 1_usize..200) {
        let mut message = message("damaged.example.org");
        let at = at % message.len();
        message[at] = byte;
        if let Ok(hello) = ClientHello::parse(&records(&message, fragment)) {
            let _ = (hello.server_name(), hello.alpn().count(), hello.session_ticket());
        }
    }
}
