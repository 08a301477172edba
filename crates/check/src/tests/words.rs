//! Conversations, and what HAProxy 2.6.12 said about servers that answered the same.

use alloc::format;

use super::*;

fn expect(matching: Match) -> Step {
    Action::Expect(matching.into()).into()
}

fn unwanted(matching: Match) -> Step {
    Action::Expect(Expect { negated: true, ..matching.into() }).into()
}

fn send(text: &str) -> Step {
    Action::Send(text.as_bytes().to_vec()).into()
}

fn connect() -> Step {
    Action::Connect(Connect::default()).into()
}

fn text(text: &str) -> Match {
    Match::String(text.as_bytes().to_vec())
}

fn commented(step: Step, comment: &str) -> Step {
    Step { comment: Some(comment.to_owned()), ..step }
}

fn http(steps: Vec<Step>) -> Config {
    Config { probe: Probe::http(steps), ..Config::default() }
}

fn tcp(steps: Vec<Step>) -> Config {
    Config { probe: Probe::Tcp { steps }, ..Config::default() }
}

/// The verdict on a server that says `answer` when first asked, in pieces or at once, and
/// closes; in the words of the log.
fn verdict(config: &Config, answer: &[u8]) -> String {
    let at_once = judge(config, &mut core::iter::once(answer));
    let in_pieces = judge(config, &mut answer.chunks(1));
    assert_eq!(at_once, in_pieces, "{}", String::from_utf8_lossy(answer));
    let reason = Reason { verdict: at_once, duration: Duration::ZERO }.to_string();
    let (words, _) = reason.rsplit_once(", check duration").unwrap();
    words.trim_start_matches(", reason: ").to_owned()
}

fn judge(config: &Config, pieces: &mut dyn Iterator<Item = &[u8]>) -> Verdict {
    let mut talk = Conversation::new(config);
    let mut turn = talk.start();
    for _ in 0..100_000 {
        turn = match turn {
            Turn::Connect(_) => talk.connected(),
            Turn::Send(_) => talk.sent(),
            Turn::Expect => match pieces.next() {
                Some(piece) => talk.on_bytes(piece),
                None => talk.on_end(),
            },
            Turn::Verdict(verdict) => return verdict,
        };
    }
    panic!("no end");
}

#[test]
fn http_answers_are_judged_in_haproxys_words() {
    let plain = http(vec![]);
    let bodies = |matching: Match| http(vec![expect(matching)]);
    let five = b"HTTP/1.0 200 Fine\r\nContent-Length: 5\r\n\r\nnever";
    let chunked =
        b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nne\r\n3\r\nver\r\n0\r\n\r\n";
    let moved = b"HTTP/1.0 301 Moved\r\n\r\n";
    let cases: &[(&Config, &[u8], &str)] = &[
        (&plain, b"HTTP/1.0 200 OK\r\n\r\n", "Layer7 check passed, code: 200"),
        (&plain, b"HTTP/1.1 204 No Content\r\n\r\n", "Layer7 check passed, code: 204"),
        (&plain, b"HTTP/1.1 302 Found\r\n\r\n", "Layer7 check passed, code: 302"),
        (
            &plain,
            b"HTTP/1.1 100 Continue\r\n\r\n",
            "Layer7 wrong status, code: 100, info: \"Continue\"",
        ),
        (
            &plain,
            b"HTTP/1.0 404 Not Found Here\r\n\r\n",
            "Layer7 wrong status, code: 404, info: \"Not Found Here\"",
        ),
        (&plain, b"HTTP/1.0 500\r\n\r\n", "Layer7 wrong status, code: 500"),
        (&plain, b"HTT", "Layer7 invalid response"),
        (&plain, b"HTTP/1.0 200 OK\r\n", "Layer7 invalid response"),
        (&plain, b"", "Layer7 invalid response"),
        (&plain, b"SSH-2.0-OpenSSH\r\n", "Layer7 invalid response"),
        (&plain, b"garbage garbage garbage\r\n\r\n", "Layer7 invalid response"),
        (
            &bodies(Match::Status(vec![200..=299])),
            moved,
            "Layer7 wrong status, code: 301, info: \"Moved\"",
        ),
        (
            &bodies(Match::Status(vec![200..=200, 301..=301])),
            moved,
            "Layer7 check passed, code: 301",
        ),
        (
            &http(vec![commented(expect(Match::Status(vec![200..=200])), "hello")]),
            moved,
            "Layer7 wrong status, code: 301, info: \"Moved comment: hello\"",
        ),
        (
            &http(vec![unwanted(Match::Status(vec![301..=301]))]),
            moved,
            "Layer7 wrong status, code: 301, info: \"Moved\"",
        ),
        (
            &bodies(text("ok")),
            five,
            "Layer7 invalid response, info: \"HTTP content check did not match\"",
        ),
        (&bodies(text("ever")), five, "Layer7 check passed, code: 200"),
        (
            &http(vec![unwanted(text("ever"))]),
            five,
            "Layer7 invalid response, info: \"HTTP check matched unwanted content\"",
        ),
        (
            &bodies(text("ever")),
            b"HTTP/1.0 200 Fine\r\n\r\n",
            "Layer7 invalid response, info: \"HTTP content check could not find a response body\"",
        ),
        (&bodies(text("never")), chunked, "Layer7 check passed, code: 200"),
    ];
    for (config, answer, words) in cases {
        assert_eq!(verdict(config, answer), *words, "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn tcp_answers_are_judged_in_haproxys_words() {
    let ok = || expect(text("OK"));
    let bad = "Layer7 invalid response, info: \"TCPCHK";
    let good = "Layer7 check passed, code: 0, info: \"(tcp-check)\"".to_owned();
    let least = Expect { min_recv: Some(10), ..text("OK").into() };
    let cases: &[(Vec<Step>, &[u8], String)] = &[
        (vec![ok()], b"xOK", good.clone()),
        (vec![ok()], b"NO", alloc::format!("{bad} did not match content 'OK' at step 1\"")),
        (
            vec![commented(ok(), "the comment")],
            b"NO",
            alloc::format!("{bad} did not match content 'OK' at step 1 comment: the comment\""),
        ),
        (
            vec![unwanted(text("NO"))],
            b"NO",
            alloc::format!("{bad} matched unwanted content 'NO' at step 1\""),
        ),
        (vec![unwanted(text("OK"))], b"NO", good.clone()),
        (
            vec![expect(Match::Binary(vec![0x4f, 0x4b]))],
            b"NO",
            alloc::format!("{bad} did not match content (binary) at step 1\""),
        ),
        (vec![send("hi"), ok()], b"", alloc::format!("{bad} got an empty response at step 2\"")),
        (vec![send("hi")], b"", good.clone()),
        (vec![connect()], b"", "Layer4 check passed, info: \"(tcp-check)\"".into()),
        (vec![Action::Expect(least).into()], b"OK", good.clone()),
        (
            vec![connect(), ok(), send("X"), expect(text("YES"))],
            b"OK",
            alloc::format!("{bad} got an empty response at step 4\""),
        ),
        (vec![connect(), ok(), ok()], b"OK", good),
        (vec![], b"", "Layer4 check passed".into()),
    ];
    for (steps, answer, words) in cases {
        assert_eq!(verdict(&tcp(steps.clone()), answer), *words, "{steps:?}");
    }
}

#[test]
fn connects_that_fail_and_answers_that_never_come_are_placed() {
    let refused = |config: &Config| {
        let mut talk = Conversation::new(config);
        talk.start();
        talk.refused("Connection refused").info
    };
    let in_vain = |config: &Config| {
        let mut talk = Conversation::new(config);
        let mut turn = talk.start();
        while let Turn::Connect(_) | Turn::Send(_) = turn {
            turn = if let Turn::Send(_) = turn { talk.sent() } else { talk.connected() };
        }
        let Verdict { status, info, .. } = talk.timed_out();
        (status, info)
    };
    let pong = commented(expect(text("+PONG")), "pong");
    let ping = tcp(vec![connect(), send("PING\r\n"), pong]);
    assert_eq!(refused(&Config::default()), "Connection refused");
    assert_eq!(refused(&http(vec![])), "Connection refused");
    assert_eq!(refused(&ping), "Connection refused at step 1 of tcp-check (connect)");
    assert_eq!(
        refused(&tcp(vec![commented(connect(), "c")])),
        "Connection refused at step 1 of tcp-check (connect) comment: 'c'"
    );
    for steps in [vec![], vec![send("hi")]] {
        let info = refused(&tcp(steps));
        assert_eq!(info, "Connection refused at initial connection step of tcp-check");
    }
    let at_3 = " at step 3 of tcp-check (expect string '+PONG') comment: 'pong'";
    assert_eq!(in_vain(&ping), (Status::L7Timeout, at_3.to_owned()));
    assert_eq!(in_vain(&http(vec![])), (Status::L7Timeout, String::new()));
    let mut talk = Conversation::new(&ping);
    talk.start();
    let at_1 = " at step 1 of tcp-check (connect)";
    assert_eq!(talk.timed_out(), Verdict::new(Status::L4Timeout).because(at_1));
    talk.handshaking();
    assert_eq!(talk.timed_out().status, Status::L6Timeout);
    let plain = http(vec![]);
    let failed = |why| Conversation::new(&plain).handshake_failed(why).info;
    assert_eq!(failed(Handshake::Failed), "SSL handshake failure");
    let other = "Server presented an SSL certificate different from the";
    assert_eq!(failed(Handshake::NotSentName), alloc::format!("{other} expected one"));
    assert_eq!(failed(Handshake::NotConfiguredName), alloc::format!("{other} configured one"));
}

#[test]
fn a_reset_before_an_answer_is_a_socket_error() {
    let config = tcp(vec![expect(text("OK"))]);
    let mut talk = Conversation::new(&config);
    talk.start();
    talk.connected();
    let info = "Connection reset by peer at step 1 of tcp-check (expect string 'OK')";
    let reset = Turn::Verdict(Verdict::new(Status::SocketError).because(info));
    assert_eq!(talk.on_error("Connection reset by peer"), reset);
}

#[test]
fn requests_are_the_bytes_haproxy_sends() {
    let bytes = |request: Request| {
        let config = http(vec![Action::SendHttp(request).into()]);
        let mut talk = Conversation::new(&config);
        talk.start();
        let Turn::Send(bytes) = talk.connected() else { panic!("no request") };
        String::from_utf8(bytes).unwrap()
    };
    let headers = vec![("Host".to_owned(), "www".into()), ("X-y".to_owned(), "z".into())];
    let get = |version: &str, headers| Request {
        method: "GET".to_owned(),
        uri: "/x".into(),
        version: version.to_owned(),
        headers,
        body: Text::default(),
    };
    assert_eq!(bytes(Request::default()), "OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(bytes(get("HTTP/1.0", vec![])), "GET /x HTTP/1.0\r\n\r\n");
    assert_eq!(
        bytes(get("HTTP/1.1", headers)),
        "GET /x HTTP/1.1\r\nhost: www\r\nx-y: z\r\nconnection: close\r\n\r\n"
    );
    let body = "abc".into();
    assert_eq!(
        bytes(Request { body, ..get("HTTP/1.1", vec![]) }),
        "GET /x HTTP/1.1\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
    );
}

#[test]
fn only_a_check_that_says_nothing_goes_unnoticed() {
    let first = |config: &Config| {
        let Turn::Connect(endpoint) = Conversation::new(config).start() else { panic!() };
        endpoint
    };
    assert!(first(&Config::default()).unnoticed);
    assert!(first(&tcp(vec![])).unnoticed);
    assert!(first(&tcp(vec![connect()])).unnoticed);
    let linger = Connect { linger: true, ..Connect::default() };
    assert!(!first(&tcp(vec![Action::Connect(linger).into()])).unnoticed);
    assert!(!first(&tcp(vec![connect(), send("x")])).unnoticed);
    assert!(!first(&http(vec![])).unnoticed);
    assert!(!first(&Config { tls: true, ..Config::default() }).unnoticed);
}

#[test]
fn a_connect_step_says_what_the_server_line_does_only_if_asked_to() {
    let line = Config { tls: true, sni: Some("a".to_owned()), port: Some(1), ..Config::default() };
    let with = |connect: Connect| {
        let probe = Probe::http(vec![Action::Connect(connect).into()]);
        let config = Config { probe, ..line.clone() };
        let Turn::Connect(endpoint) = Conversation::new(&config).start() else { panic!() };
        (endpoint.tls, endpoint.sni, endpoint.port)
    };
    assert_eq!(with(Connect::default()), (false, None, Some(1)));
    let default = Connect { default: true, ..Connect::default() };
    assert_eq!(with(default), (true, Some("a".to_owned()), Some(1)));
    let own = Connect { tls: true, port: Some(2), ..Connect::default() };
    assert_eq!(with(own), (true, None, Some(2)));
}

#[test]
fn an_endless_answer_is_judged_when_the_buffer_is_full() {
    let config = tcp(vec![expect(text("OK"))]);
    let noise = vec![b'x'; probe::MAX_ANSWER * 2];
    let words = verdict(&config, &noise);
    let none = "Layer7 invalid response, info: \"TCPCHK did not match content 'OK' at step 1\"";
    assert_eq!(words, none);
    let mut header = b"HTTP/1.0 200 OK\r\nX: ".to_vec();
    header.extend_from_slice(&noise);
    assert_eq!(verdict(&http(vec![]), &header), "Layer7 invalid response");
}

#[test]
fn no_answer_whatever_makes_a_conversation_panic_or_hang() {
    let configs = [
        http(vec![]),
        http(vec![expect(text("ok"))]),
        http(vec![connect(), expect(Match::Binary(vec![0])), expect(Match::Http2xx3xx)]),
        tcp(vec![expect(text("OK")), send("a"), unwanted(text("")), connect(), expect(text("b"))]),
    ];
    let words: [&[u8]; 12] = [
        b"HTTP/1.1 ",
        b"200",
        b" ",
        b"OK",
        b"\r\n",
        b"\n",
        b"Content-Length: ",
        b"9",
        b"Transfer-Encoding: chunked",
        b"ffffffffffffffff",
        b":",
        &[0xff],
    ];
    let mut seed = 1_u64;
    for _ in 0..5_000 {
        let mut answer = vec![];
        for _ in 0..12 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            answer.extend_from_slice(words[(seed >> 33) as usize % words.len()]);
        }
        for config in &configs {
            judge(config, &mut answer.chunks(7));
        }
    }
}

#[test]
fn an_answer_that_arrives_byte_by_byte_is_looked_at_once() {
    let chunk = "5\r\naaaaa\r\n".repeat(1_000);
    let headers = "X: y\r\n".repeat(2_000);
    let answers = [
        (http(vec![expect(text("aab"))]), format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(15_000))),
        (
            http(vec![expect(text("aab"))]),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        ),
        (http(vec![]), format!("HTTP/1.1 200 OK\r\n{headers}")),
        (http(vec![]), format!("HTTP/1.1 200 {}", "a".repeat(15_000))),
        (tcp(vec![expect(text("aab"))]), "a".repeat(15_000)),
    ];
    for (config, answer) in answers {
        let mut talk = Conversation::new(&config);
        let mut turn = talk.start();
        while turn != Turn::Expect {
            turn = match turn {
                Turn::Connect(_) => talk.connected(),
                _ => talk.sent(),
            };
        }
        for byte in answer.as_bytes() {
            assert_eq!(talk.on_bytes(&[*byte]), Turn::Expect);
        }
        // Once for the end of its line or as a part of the body, and twice by the search.
        let (work, length) = (talk.work(), answer.len());
        assert!((length..=3 * length + 10).contains(&work), "{work} for {length}");
    }
}
