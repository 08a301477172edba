use proptest::prelude::*;

use super::{expr, found, text};
use crate::{Arg, Found, Value};

fn int(number: i64) -> Arg {
    Arg::Int(number)
}

#[test]
fn payload_waits_for_its_last_byte_and_takes_all_there_is_at_length_0() {
    let two = expr("req.payload", vec![int(1), int(2)]);
    assert_eq!(found(&two, b"ab", false), Found::NotYet);
    assert_eq!(found(&two, b"abc", false), Found::Value(Value::Bin(b"bc"[..].into())));
    assert_eq!(found(&two, b"ab", true), Found::Nothing);
    let all = expr("req.payload", vec![int(0), int(0)]);
    assert_eq!(found(&all, b"ab", false), Found::Tentative(Value::Bin(b"ab"[..].into())));
    assert_eq!(found(&all, b"", false), Found::NotYet);
}

#[test]
fn payload_lv_takes_as_many_bytes_as_the_number_before_them_says() {
    let behind = expr("req.payload_lv", vec![int(1), int(2)]);
    assert_eq!(found(&behind, b"x\0\x03abcd", false), Found::Value(Value::Bin(b"abc"[..].into())));
    assert_eq!(found(&behind, b"x\0\x03ab", false), Found::NotYet);
    assert_eq!(found(&behind, b"x\0\x03ab", true), Found::Nothing);
    assert_eq!(found(&behind, b"x\0\0", false), Found::Nothing);
    let at = expr("req.payload_lv", vec![int(0), int(1), text("3")]);
    assert_eq!(found(&at, b"\x01..z", false), Found::Value(Value::Bin(b"z"[..].into())));
    let relative = expr("req.payload_lv", vec![int(0), int(1), text("+1")]);
    assert_eq!(found(&relative, b"\x01.z", false), Found::Value(Value::Bin(b"z"[..].into())));
}

#[test]
fn http_is_told_apart_by_its_first_line() {
    let http = expr("req.proto_http", vec![]);
    let yes = Found::Value(Value::Bool(true));
    let no = Found::Value(Value::Bool(false));
    assert_eq!(found(&http, b"GET / HTTP/1.1\r\n", false), yes);
    assert_eq!(found(&http, b"GET / HT", false), Found::NotYet);
    assert_eq!(found(&http, b"GET / HT", true), no);
    assert_eq!(found(&http, b"SSH-2.0-x\r\n", false), no);
    assert_eq!(found(&http, b"\x16\x03\x01", false), no);
}

#[test]
fn a_remote_desktop_cookie_is_found_by_its_name() {
    let line = b"Cookie: mstshash=alice\r\n";
    let length = 6 + line.len() as u8;
    let head = [3, 0, 0, length + 5, length, 0xe0, 0, 0, 0, 0, 0];
    let bytes = [&head[..], line].concat();
    let named = expr("req.rdp_cookie", vec![text("mstshash")]);
    assert_eq!(found(&named, &bytes, false), Found::Value(Value::text("alice")));
    assert_eq!(found(&named, &bytes[..20], false), Found::NotYet);
    assert_eq!(found(&named, b"GET / HTTP/1.1\r\n", false), Found::Nothing);
    let other = expr("req.rdp_cookie", vec![text("msts")]);
    assert_eq!(found(&other, &bytes, false), Found::Nothing);
    let count = expr("req.rdp_cookie_cnt", vec![]);
    assert_eq!(found(&count, &bytes, false), Found::Value(Value::Int(1)));
}

/// A ClientHello that asks for `x.org` and offers h2.
fn hello(fragment: usize) -> Vec<u8> {
    let extensions: &[u8] =
        b"\0\0\0\x0a\0\x08\0\0\x05x.org\0\x10\0\x05\0\x03\x02h2\0\x23\0\0\0\x0a\0\x04\0\x02\0\x1d";
    let body = [
        &b"\x03\x03"[..],
        &[7; 32],
        b"\0\0\x02\x13\x01\x01\0",
        &(extensions.len() as u16).to_be_bytes(),
        extensions,
    ]
    .concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    let record = |part: &[u8]| [&[22, 3, 1, 0, part.len() as u8][..], part].concat();
    message.chunks(fragment).flat_map(record).collect()
}

#[test]
fn a_client_hello_is_found_out_however_it_is_cut() {
    let cases = [
        ("req.ssl_sni", Value::text("x.org")),
        ("req.ssl_alpn", Value::text("h2")),
        ("req.ssl_hello_type", Value::Int(1)),
        ("req.ssl_st_ext", Value::Int(1)),
        ("req.ssl_ec_ext", Value::Bool(true)),
        ("req.ssl_cipherlist", Value::Bin(b"\x13\x01"[..].into())),
        ("req.ssl_supported_groups", Value::Bin(b"\0\x1d"[..].into())),
    ];
    for fragment in [200, 9] {
        let bytes = hello(fragment);
        for (name, expected) in &cases {
            let fetch = expr(name, vec![]);
            for length in 0..bytes.len() {
                assert_eq!(
                    found(&fetch, &bytes[..length], false),
                    Found::NotYet,
                    "{name} {length}"
                );
                assert_eq!(
                    found(&fetch, &bytes[..length], true),
                    Found::Nothing,
                    "{name} {length}"
                );
            }
            assert_eq!(found(&fetch, &bytes, false), Found::Value(expected.clone()), "{name}");
        }
    }
    let version = expr("req.ssl_ver", vec![]);
    assert_eq!(found(&version, &hello(200), false), Found::Value(Value::Int(3 << 16 | 3)));
    let other = expr("req.ssl_hello_type", vec![]);
    assert_eq!(found(&other, b"GET ", false), Found::Value(Value::Int(0)));
}

proptest! {
    #[test]
    fn any_bytes_are_looked_at_without_panic(bytes: Vec<u8>, a in 0_i64..40, b in 0_i64..40) {
        for row in crate::fetch::all() {
            let args = match row.args.kinds {
                [] => vec![],
                [crate::Kind::Int, crate::Kind::Int, ..] => vec![int(a), int(b)],
                _ => continue,
            };
            let fetch = crate::Expr::new(row, args);
            let _ = (found(&fetch, &bytes, false), found(&fetch, &bytes, true));
        }
    }
}
