//! A table per section of RFC 9112, and the bodies whole and in pieces.

use proptest::prelude::*;

use super::*;

fn request(head: &str) -> Result<Request, BadHead> {
    let text = format!("{head}\r\n\r\n");
    Request::parse(text.as_bytes()).map(|read| read.expect("it is whole").0)
}

#[test]
fn a_request_is_read_and_written_again_with_names_in_lower_case() {
    let read = request("POST /a?b=c HTTP/1.1\r\nHost: x.y\r\nX-One:  1 \r\nContent-Length: 3");
    let read = read.expect("a request");
    assert_eq!((read.path(), read.query()), (Some(&b"/a"[..]), &b"b=c"[..]));
    assert_eq!(read.framing(), Ok(Body::Length(3)));
    let mut out = Vec::new();
    read.write(&mut out);
    let text = String::from_utf8(out).expect("text");
    assert_eq!(text, "POST /a?b=c HTTP/1.1\r\nhost: x.y\r\nx-one: 1\r\ncontent-length: 3\r\n\r\n");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    const CASES: &[(&str, BadHead, &str)] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", BadHead::Host, "two hosts"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a", BadHead::Host, "the same host twice"),
        ("GET / HTTP/1.1\r\nHost: a,b", BadHead::Host, "a comma in the host"),
        ("GET http://a/ HTTP/1.1\r\nHost: b", BadHead::Host, "a host that is not the target's"),
        ("GET / HTTP/1.1\r\nHost : a", BadHead::Syntax, "a blank before the colon"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2", BadHead::Syntax, "a folded line"),
        ("GET / HTTP/1.1\r\n: empty", BadHead::Syntax, "a field without a name"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b", BadHead::Syntax, "NUL"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb", BadHead::Syntax, "a bare CR"),
        ("GET /a b HTTP/1.1\r\nHost: a", BadHead::Syntax, "a blank in the target"),
        ("GET /a#b HTTP/1.1\r\nHost: a", BadHead::Syntax, "a fragment"),
        ("GET a HTTP/1.1\r\nHost: a", BadHead::Syntax, "a target of no form"),
        ("GET * HTTP/1.1\r\nHost: a", BadHead::Syntax, "an asterisk of another method"),
        ("GET / HTTP/2.0\r\nHost: a", BadHead::Syntax, "another version"),
        ("GET /", BadHead::Syntax, "HTTP/0.9"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1", BadHead::Length, "a sign"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:", BadHead::Length, "an empty length"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2", BadHead::Length, "a list"),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", BadHead::Length, "two"),
        ("POST / HTTP/1.1\r\nContent-Length: 0x1", BadHead::Length, "hexadecimal"),
        (
            "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616",
            BadHead::Length,
            "more than 64 bits",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            BadHead::Coding,
            "both",
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked", BadHead::Coding, "chunks in 1.0"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip", BadHead::Coding, "not chunked"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip", BadHead::Coding, "not last"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked", BadHead::Coding, "two codings"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunkedd", BadHead::Coding, "nearly chunked"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            BadHead::Coding,
            "twice",
        ),
    ];
    for (head, wanted, what) in CASES {
        assert_eq!(request(head).err(), Some(*wanted), "{what}");
    }
}

#[test]
fn the_same_length_twice_is_one_and_a_usual_port_is_none() {
    let twice = request("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3");
    assert_eq!(twice.and_then(|r| r.framing()), Ok(Body::Length(3)));
    assert!(request("GET http://a:80/ HTTP/1.1\r\nHost: a").is_ok());
}

#[test]
fn a_head_may_have_no_end_but_not_be_endless() {
    assert_eq!(Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
    let long = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(MAX_HEAD));
    assert_eq!(Request::parse(long.as_bytes()), Err(BadHead::TooLarge));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(Request::parse(many.as_bytes()), Err(BadHead::TooLarge));
}

#[test]
fn a_long_name_stays_whole() {
    let name = "n".repeat(300);
    let read = request(&format!("GET / HTTP/1.1\r\n{name}: v")).expect("a request");
    assert_eq!(read.headers.get(&name), Some(&b"v"[..]));
}

#[test]
fn an_answers_end_is_told_by_its_status_its_fields_or_the_connection() {
    let framing = |head: &str, method| {
        let text = format!("{head}\r\n\r\n");
        let (read, _) = Response::parse(text.as_bytes()).expect("an answer").expect("whole");
        read.framing(method)
    };
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5", "GET"), Ok(Body::Length(5)));
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD"), Ok(Body::Empty));
    assert_eq!(framing("HTTP/1.1 304 NM\r\nContent-Length: 5", "GET"), Ok(Body::Empty));
    assert_eq!(framing("HTTP/1.1 204 No", "GET"), Ok(Body::Empty));
    assert_eq!(framing("HTTP/1.1 200", "GET"), Ok(Body::UntilClose));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked";
    assert_eq!(framing(chunked, "GET"), Ok(Body::Chunked));
    let both = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(Response::parse(both), Err(BadHead::Coding));
    assert_eq!(Response::parse(b"HTTP/1.1 999 X\r\n\r\n"), Err(BadHead::Syntax));
}

fn decoded(bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), BadBody> {
    let (mut decoder, mut data) = (Decoder::new(Body::Chunked), Vec::new());
    let used = decoder.decode(bytes, &mut data)?;
    Ok((data, used, decoder.is_done()))
}

#[test]
fn chunks_are_taken_apart_and_what_follows_them_is_left() {
    let bytes = b"4;x=\"y\"\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\nGET /";
    assert_eq!(decoded(bytes), Ok((b"Wikipedia".to_vec(), bytes.len() - 5, true)));
}

#[test]
fn what_is_no_chunk_is_refused() {
    const CASES: &[&[u8]] = &[
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1 \r\n",
        b"1\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n",
        b"1;\x01\r\n",
        b"1;a\rb\r\n",
        b"10000000000000000\r\n",
        b"ffffffffffffffff\r\n",
        b"00000000000000001\r\n",
    ];
    for case in CASES {
        assert_eq!(decoded(case).err(), Some(BadBody::Chunk), "{}", case.escape_ascii());
    }
    let endless = vec![b'0'; 2_000];
    assert_eq!(decoded(&endless).err(), Some(BadBody::Chunk));
}

#[test]
fn trailers_may_not_say_what_a_head_says() {
    for name in ["Content-Length: 1", "Transfer-Encoding: chunked", "Host: a", "A b: c", ": v"] {
        let bytes = format!("0\r\n{name}\r\n\r\n");
        assert_eq!(decoded(bytes.as_bytes()).err(), Some(BadBody::Trailer), "{name}");
    }
}

#[test]
fn a_header_value_cannot_end_its_line() {
    let mut headers = Headers::new();
    headers.set("X", b"a\r\nInjected: b");
    let mut out = Vec::new();
    headers.write(&mut out);
    assert_eq!(out, b"x: a  Injected: b\r\n");
}

#[test]
fn a_comma_between_quotes_parts_nothing() {
    let mut headers = Headers::new();
    headers.add("x", b"a, \"b,\\\"c\" ,, d");
    let elements: Vec<_> = headers.elements("X").collect();
    assert_eq!(elements, [&b"a"[..], b"\"b,\\\"c\"", b"d"]);
}

#[test]
fn parts_of_a_target_are_replaced_one_by_one() {
    let mut request = request("GET http://a/b?c HTTP/1.1\r\nHost: a").expect("a request");
    request.set_path(b"/new");
    assert_eq!(request.target, b"http://a/new?c");
    request.set_query(b"?d=e");
    assert_eq!(request.target, b"http://a/new?d=e");
    request.set_query(b"");
    assert_eq!(request.target, b"http://a/new");
    request.set_uri(b"/x y\r\n");
    assert_eq!(request.target, b"/xy");
}

proptest! {
    #[test]
    fn any_bytes_are_a_head_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::parse(&bytes);
        let _ = Response::parse(&bytes);
        let _ = decoded(&bytes);
    }

    #[test]
    fn chunks_say_the_same_in_any_pieces(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..8),
        cut in 1_usize..7,
    ) {
        let mut bytes = Vec::new();
        for part in &parts {
            chunk(part, &mut bytes);
        }
        last_chunk(&Headers::new(), &mut bytes);
        let (mut decoder, mut data, mut held) = (Decoder::new(Body::Chunked), Vec::new(), Vec::new());
        for piece in bytes.chunks(cut) {
            held.extend_from_slice(piece);
            let used = decoder.decode(&held, &mut data).expect("chunks");
            held.drain(..used);
        }
        prop_assert!(decoder.is_done() && held.is_empty());
        prop_assert_eq!(data, parts.concat());
    }

    #[test]
    fn a_written_head_is_read_as_the_same(
        names in proptest::collection::vec("[a-z][a-z-]{0,8}", 0..5),
        values in proptest::collection::vec("[!-~]([ -~]{0,9}[!-~])?", 5),
        path in "/[a-z0-9/?=&]{0,20}",
    ) {
        let mut headers = Headers::new();
        for (name, value) in names.iter().zip(&values) {
            if !["host", "content-length", "transfer-encoding"].contains(&name.as_str()) {
                headers.add(name, value.as_bytes());
            }
        }
        let method = "GET".to_owned();
        let target = path.into_bytes();
        let request = Request { method, target, version: Version::Http11, headers };
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        let length = bytes.len();
        prop_assert_eq!(Request::parse(&bytes), Ok(Some((request, length))));
    }
}
