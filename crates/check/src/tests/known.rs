//! Known protocols, and what HAProxy 2.6.12 said of servers that answered the same and closed.

use super::*;

fn check(known: Known) -> Config {
    Config { probe: Probe::Known(known), ..Config::default() }
}

fn mysql(user: Option<bool>) -> Config {
    check(Known::Mysql(user.map(|pre_41| MysqlUser { name: "bob".into(), pre_41 })))
}

fn smtp() -> Config {
    check(Known::Smtp { hello: "HELO localhost".into() })
}

fn postgres() -> Config {
    check(Known::Postgres { user: "bob".into() })
}

/// A server that says each of these when it is listened to, byte by byte or at once, and closes.
/// What it was told, and the verdict in the words of the log.
fn talk(config: &Config, answers: &[&[u8]], piece: usize) -> (Vec<u8>, String) {
    let mut conversation = Conversation::new(config);
    let mut said = Vec::new();
    let mut heard = Vec::new();
    let mut answers = answers.iter();
    let mut turn = conversation.start();
    let verdict = loop {
        turn = match turn {
            Turn::Verdict(verdict) => break verdict,
            Turn::Connect(_) => conversation.connected(),
            Turn::Send(bytes) => {
                said.extend(bytes);
                conversation.sent()
            }
            Turn::Expect => {
                if heard.is_empty() {
                    heard = answers.next().map_or_else(Vec::new, |answer| answer.to_vec());
                }
                if heard.is_empty() {
                    conversation.on_end()
                } else {
                    let rest = heard.split_off(piece.min(heard.len()));
                    let now = core::mem::replace(&mut heard, rest);
                    conversation.on_bytes(&now)
                }
            }
        };
    };
    let reason = Reason { verdict, duration: Duration::ZERO }.to_string();
    let words = reason.trim_start_matches(", reason: ");
    (said, words.split(", check duration").next().unwrap_or_default().to_owned())
}

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = (body.len() as u32).to_le_bytes().to_vec();
    packet[3] = number;
    packet.extend_from_slice(body);
    packet
}

fn greeting() -> Vec<u8> {
    packet(0, b"\x0a5.7.30\0\x07\0\0\0abcdefgh\0\xff\xf7\x21\x02\0mysql_native_password\0")
}

#[test]
fn each_protocol_is_judged_as_by_haproxy() {
    let hello = greeting();
    let ok = packet(2, b"\0\0\0\x02\0\0\0");
    let blocked = packet(0, b"\xff\x69\x04Host blocked");
    let denied = packet(2, b"\xff\x15\x04#28000Access denied");
    let redis = || check(Known::Redis);
    let tls = || check(Known::SslHello);
    let ldap = || check(Known::Ldap);
    let not_ldap = "Layer7 invalid response, info: \"Not LDAPv3 protocol\"";
    let postgres_ok = "Layer7 check passed, code: 0, info: \"PostgreSQL server is ok\"";
    let bind = |code: u8| {
        let mut answer = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec();
        answer[9] = code;
        answer
    };
    let cases: Vec<(Config, Vec<&[u8]>, &str)> = vec![
        (redis(), vec![b"+PONG\r\n"], "Layer7 check passed, code: 0, info: \"Redis server is ok\""),
        (redis(), vec![b"+PO"], "Layer7 wrong status, code: 0, info: \"+PO\""),
        (
            redis(),
            vec![],
            "Layer7 wrong status, code: 0, info: \"TCPCHK got an empty response at step 2\"",
        ),
        (tls(), vec![b"\x16\x03\x00\x00\x2a\x02"], "Layer6 check passed"),
        (tls(), vec![b"\x15\x03\x00\x00\x02\x02\x28"], "Layer6 check passed"),
        (tls(), vec![b"HTTP/1.0 400 Bad\r\n"], "Layer6 invalid response"),
        (
            tls(),
            vec![],
            "Layer6 invalid response, info: \"TCPCHK got an empty response at step 2\"",
        ),
        (
            smtp(),
            vec![b"220 mx ESMTP ready\r\n", b"250 mx hello\r\n", b"221 2.0.0 Bye\r\n"],
            "Layer7 check passed, code: 221, info: \"2.0.0 Bye\"",
        ),
        (
            smtp(),
            vec![b"220 mx\r\n", b"250-mx\r\n250-SIZE 1\r\n250 HELP\r\n", b"221 Bye\r\n"],
            "Layer7 check passed, code: 221, info: \"Bye\"",
        ),
        (smtp(), vec![b"421 busy\r\n"], "Layer7 wrong status, code: 421, info: \"busy\""),
        (smtp(), vec![b"hello there\r\n"], "Layer7 invalid response, info: \"hello there\""),
        (smtp(), vec![b"220-mx\r\n220 x\r\n"], "Layer7 invalid response, info: \"220-mx\""),
        (smtp(), vec![b"220"], "Layer7 invalid response, info: \"220\""),
        (
            smtp(),
            vec![],
            "Layer7 invalid response, info: \"TCPCHK got an empty response at step 2\"",
        ),
        (
            smtp(),
            vec![b"220 x\r\n"],
            "Layer7 wrong status, code: 0, info: \"TCPCHK got an empty response at step 5\"",
        ),
        (postgres(), vec![b"R\0\0\0\x0c\0\0\0\x05abcd"], postgres_ok),
        (postgres(), vec![b"R\0\0\0\x08\0\0\0\0"], postgres_ok),
        (postgres(), vec![b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"], postgres_ok),
        (
            postgres(),
            vec![b"E\0\0\0\x20SFATAL\0C28000\0Mno pg_hba\0\0"],
            "Layer7 invalid response, info: \"FATAL\"",
        ),
        (
            postgres(),
            vec![b"X\0\0\0\x08\0\0\0\0"],
            "Layer7 wrong status, code: 0, info: \"PostgreSQL unknown error\"",
        ),
        (
            postgres(),
            vec![b"R"],
            "Layer7 wrong status, code: 0, info: \"PostgreSQL unknown error\"",
        ),
        (
            postgres(),
            vec![],
            "Layer7 invalid response, info: \"TCPCHK got an empty response at step 3\"",
        ),
        (mysql(None), vec![&hello], "Layer7 check passed, code: 0, info: \"5.7.30\""),
        (mysql(None), vec![&blocked], "Layer7 wrong status, code: 1129, info: \"Host blocked\""),
        (mysql(Some(false)), vec![&hello, &ok], "Layer7 check passed, code: 0, info: \"5.7.30\""),
        (mysql(Some(true)), vec![&hello, &ok], "Layer7 check passed, code: 0, info: \"5.7.30\""),
        (
            mysql(Some(false)),
            vec![&hello, &denied],
            "Layer7 wrong status, code: 1045, info: \"#28000Access denied\"",
        ),
        (mysql(Some(false)), vec![&hello], "Layer7 invalid response"),
        (mysql(Some(false)), vec![&hello[..9]], "Layer7 invalid response"),
        (mysql(None), vec![b"HTTP/1.0 400 nope nope nope\r\n\r\n"], "Layer7 invalid response"),
        (
            mysql(None),
            vec![],
            "Layer7 invalid response, info: \"TCPCHK got an empty response at step 2\"",
        ),
        (ldap(), vec![b"\x30"], "Layer7 invalid response"),
        (ldap(), vec![b"hello ldap world"], not_ldap),
        (ldap(), vec![b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\0\x04\0\x04\0"], not_ldap),
        (ldap(), vec![b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\0\x04\0\x04\0"], not_ldap),
        (
            ldap(),
            vec![b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"],
            "Layer7 check passed, code: 0, info: \"Success\"",
        ),
    ];
    for (config, answers, expected) in &cases {
        for piece in [1, 3, 10_000] {
            let (_, verdict) = talk(config, answers, piece);
            assert_eq!(verdict, *expected, "{:?} {answers:?} by {piece}", config.probe);
        }
    }
    let (_, verdict) = talk(&ldap(), &[&bind(0)], 1);
    assert_eq!(verdict, "Layer7 check passed, code: 0, info: \"Success\"");
    let (_, verdict) = talk(&ldap(), &[&bind(49)], 1);
    assert_eq!(
        verdict,
        "Layer7 wrong status, code: 49, info: \"See RFC: \
         http://tools.ietf.org/html/rfc4511#section-4.1.9\""
    );
}

#[test]
fn each_protocol_says_what_haproxy_says() {
    let said = |config: &Config, answers: &[&[u8]]| talk(config, answers, 1000).0;
    assert_eq!(said(&check(Known::Redis), &[]), b"*1\r\n$4\r\nPING\r\n");
    assert_eq!(
        said(&check(Known::Ldap), &[]),
        b"0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\x00\x80\x00"
    );
    assert_eq!(said(&postgres(), &[]), b"\x00\x00\x00\x12\x00\x03\x00\x00user\x00bob\x00\x00");
    assert_eq!(said(&smtp(), &[b"220 x\r\n", b"250 x\r\n"]), b"HELO localhost\r\nQUIT\r\n");
    let mut login = b"%\x00\x00\x01\x00\x82\x00\x00\x00\x80\x00\x01!".to_vec();
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"bob\x00\x00\x01\x00\x00\x00\x01");
    assert_eq!(said(&mysql(Some(false)), &[]), login);
    assert_eq!(
        said(&mysql(Some(true)), &[]),
        b"\n\x00\x00\x01\x00\x80\x00\x00\x01bob\x00\x00\x01\x00\x00\x00\x01"
    );
    assert_eq!(said(&mysql(None), &[]), b"");
    let hello = said(&check(Known::SslHello), &[]);
    let start = b"\x16\x03\x00\x00y\x01\x00\x00u\x03\x00k\x01\xceJHAPROXYSSLCHK\nHAPROXYSSLCHK\n";
    assert!(hello.starts_with(start), "{}", hello.escape_ascii());
    assert_eq!(hello.len(), 126);
    assert!(hello[start.len()..].starts_with(b"\x00\x00N\x00\x01\x00\x02"));
    assert!(hello.ends_with(b"\x009\x00:\x01\x00"), "{}", hello.escape_ascii());
}

#[test]
fn whatever_a_server_says_a_check_ends() {
    let all = [
        check(Known::Redis),
        check(Known::SslHello),
        smtp(),
        postgres(),
        mysql(None),
        mysql(Some(false)),
        check(Known::Ldap),
    ];
    let mut seed = 1_u64;
    for round in 0..2_000 {
        let answers: Vec<Vec<u8>> = (0..4)
            .map(|_| {
                (0..round % 23)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        // Bytes these protocols have more often than others.
                        b"\0\x01\x02\x30\x61\x0a\xff\x8425R- \r\n\x05"[(seed >> 33) as usize % 16]
                    })
                    .collect()
            })
            .collect();
        let answers: Vec<&[u8]> = answers.iter().map(Vec::as_slice).collect();
        for config in &all {
            let at_once = talk(config, &answers, 10_000).1;
            assert!(!at_once.is_empty());
        }
    }
}
