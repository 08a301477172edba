//! Protocols whose steps are known, as HAProxy speaks them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::config::{
    Action, Awaited, Code, Connect, Expect, Known, Match, MysqlUser, Saying, Step,
};
use crate::status::{Status, Verdict};

/// The cipher suites of the hello: those of SSL 3.0 and the first ones with AES.
const SUITES: [u8; 39] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10,
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x2f, 0x30, 0x31, 0x32, 0x33,
    0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
];
/// What the hello has for a time and random bytes: nobody looks at the time, so it is always one.
const RANDOM: &[u8] = b"k\x01\xceJHAPROXYSSLCHK\nHAPROXYSSLCHK\n";

/// The steps of a check of this protocol.
pub(super) fn steps(known: &Known) -> Vec<Step> {
    let mut steps: Vec<Action> = Vec::new();
    let awaited = |what| Expect::new(Match::Known(what));
    match known {
        Known::Redis => {
            steps.push(Action::Send(b"*1\r\n$4\r\nPING\r\n".to_vec()));
            steps.push(Action::Expect(Expect {
                error_status: Some(Status::L7Status),
                on_success: Some(Saying::Words("Redis server is ok")),
                on_error: Some(Saying::Line(0)),
                ..Expect::new(Match::String(b"+PONG\r\n".to_vec()))
            }));
        }
        Known::SslHello => {
            steps.push(Action::Send(ssl_hello()));
            steps.push(Action::Expect(Expect {
                min_recv: Some(5),
                ok_status: Some(Status::L6Ok),
                error_status: Some(Status::L6Response),
                timeout_status: Some(Status::L6Timeout),
                ..awaited(Awaited::TlsRecord)
            }));
        }
        Known::Smtp { hello } => {
            let reply = |what, from, error, min_recv| {
                Action::Expect(Expect {
                    min_recv,
                    error_status: Some(error),
                    on_error: Some(Saying::Line(from)),
                    on_success: Some(Saying::Line(4)),
                    code: Some(Code::FirstDigits),
                    ..awaited(what)
                })
            };
            steps.push(Action::Connect(polite()));
            steps.push(reply(Awaited::SmtpReply, 0, Status::L7Response, Some(4)));
            steps.push(reply(Awaited::SmtpSuccess, 4, Status::L7Status, Some(4)));
            steps.push(Action::Send(format!("{hello}\r\n").into_bytes()));
            steps.push(reply(Awaited::SmtpSuccesses, 4, Status::L7Status, None));
            steps.push(Action::Send(b"QUIT\r\n".to_vec()));
            steps.push(reply(Awaited::SmtpFarewell, 4, Status::L7Status, Some(4)));
        }
        Known::Postgres { user } => {
            steps.push(Action::Connect(polite()));
            steps.push(Action::Send(postgres_startup(user)));
            steps.push(Action::Expect(Expect {
                min_recv: Some(5),
                error_status: Some(Status::L7Response),
                on_error: Some(Saying::Line(6)),
                ..awaited(Awaited::PostgresNoError)
            }));
            steps.push(Action::Expect(Expect {
                min_recv: Some(9),
                error_status: Some(Status::L7Status),
                on_success: Some(Saying::Words("PostgreSQL server is ok")),
                on_error: Some(Saying::Words("PostgreSQL unknown error")),
                ..awaited(Awaited::PostgresAuthentication)
            }));
        }
        Known::Mysql(user) => {
            steps.push(Action::Connect(polite()));
            steps.extend(user.as_ref().map(|user| Action::Send(mysql_login(user))));
            steps.push(Action::Expect(awaited(Awaited::MysqlGreeting)));
            steps.extend(user.as_ref().map(|_| Action::Expect(awaited(Awaited::MysqlResult))));
        }
        Known::Ldap => {
            steps.push(Action::Send(
                b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00".to_vec(),
            ));
            steps.push(Action::Expect(Expect {
                min_recv: Some(14),
                on_error: Some(Saying::Words(NOT_LDAP)),
                ..awaited(Awaited::LdapMessage)
            }));
            steps.push(Action::Expect(awaited(Awaited::LdapBind)));
        }
    }
    steps.into_iter().map(Step::from).collect()
}

const NOT_LDAP: &str = "Not LDAPv3 protocol";

/// As the server line says, and closed in the usual way: these servers count clients that vanish.
fn polite() -> Connect {
    Connect { default: true, linger: true, ..Connect::default() }
}

/// A ClientHello of SSL 3.0.
fn ssl_hello() -> Vec<u8> {
    let mut body = vec![3, 0];
    body.extend_from_slice(RANDOM);
    body.extend_from_slice(&[0, 0, 2 * SUITES.len() as u8]);
    body.extend(SUITES.iter().flat_map(|&suite| [0, suite]));
    body.extend_from_slice(&[1, 0]);
    let length = body.len() as u8;
    let mut hello = vec![0x16, 3, 0, 0, length + 4, 1, 0, 0, length];
    hello.append(&mut body);
    hello
}

/// A StartupMessage of protocol 3.0.
fn postgres_startup(user: &str) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    for word in ["user", user, ""] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    let mut message = (body.len() as u32 + 4).to_be_bytes().to_vec();
    message.append(&mut body);
    message
}

/// A login without a password, and a goodbye.
fn mysql_login(user: &MysqlUser) -> Vec<u8> {
    let mut body = if user.pre_41 {
        // Protocol 4.0, long passwords; packets of up to 1 byte.
        vec![0x00, 0x80, 0x00, 0x00, 0x01]
    } else {
        // Protocol 4.1, its passwords, plugins; UTF-8.
        let mut body = vec![0x00, 0x82, 0x00, 0x00, 0x00, 0x80, 0x00, 0x01, 0x21];
        body.extend_from_slice(&[0; 23]);
        body
    };
    body.extend_from_slice(user.name.as_bytes());
    // The end of the name, and an empty password.
    body.extend_from_slice(&[0, 0]);
    let mut login = (body.len() as u32).to_le_bytes().to_vec();
    login[3] = 1;
    login.append(&mut body);
    login.extend_from_slice(&[1, 0, 0, 0, 1]);
    login
}

/// What an answer is to a known protocol.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// What was awaited.
    Match,
    /// Not that, or not yet.
    NoMatch,
    /// Only more bytes can tell; without any the check failed.
    Wait,
    /// It is over, one way or the other.
    Verdict(Verdict),
    /// It is what was awaited, and says this.
    Says(String),
}

/// Compares an answer with what is awaited.
pub(super) fn judge(awaited: Awaited, answer: &[u8]) -> Judged {
    let matched = |matches: bool| if matches { Judged::Match } else { Judged::NoMatch };
    match awaited {
        Awaited::TlsRecord => matched(matches!(answer, [0x15 | 0x16, ..])),
        // A line that drips in is waited for: what is said into the middle of it is lost.
        Awaited::SmtpReply
        | Awaited::SmtpSuccess
        | Awaited::SmtpSuccesses
        | Awaited::SmtpFarewell
            if !answer.ends_with(b"\n") =>
        {
            Judged::Wait
        }
        Awaited::SmtpReply => matched(matches!(code(answer), Some((_, b' ' | b'\r')))),
        Awaited::SmtpSuccess => matched(matches!(code(answer), Some((b'2', b' ' | b'\r')))),
        Awaited::SmtpFarewell => matched(matches!(code(answer), Some((b'2', b' ' | b'-' | b'\r')))),
        Awaited::SmtpSuccesses => smtp_successes(answer),
        // What is said of an error is its severity: it is waited for.
        Awaited::PostgresNoError => match answer {
            [b'E', _, _, _, _, rest @ ..] if !rest.contains(&0) => Judged::Wait,
            _ => matched(!answer.starts_with(b"E")),
        },
        Awaited::PostgresAuthentication => matched(matches!(
            answer,
            [b'R', 0, 0, 0, _, 0, 0, 0, 0 | 2 | 3 | 4 | 5 | 6 | 7 | 9 | 10, ..]
        )),
        Awaited::MysqlGreeting => mysql(answer, 0),
        Awaited::MysqlResult => match packet(answer, 0) {
            Some(length) => mysql(answer, length),
            None => Judged::Wait,
        },
        Awaited::LdapMessage => matched(answer.starts_with(b"0")),
        Awaited::LdapBind => ldap_bind(answer),
    }
}

/// The first digit of a reply and what follows its code.
fn code(line: &[u8]) -> Option<(u8, u8)> {
    match line {
        [a, b, c, after, ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => {
            Some((*a, *after))
        }
        _ => None,
    }
}

fn smtp_successes(answer: &[u8]) -> Judged {
    for line in answer.split_inclusive(|&byte| byte == b'\n') {
        match code(line) {
            Some((b'2', b' ' | b'\r')) => return Judged::Match,
            Some((b'2', b'-')) => {}
            _ => return Judged::NoMatch,
        }
    }
    Judged::Wait
}

/// Where the packet that begins at `from` ends, if it is all there.
fn packet(answer: &[u8], from: usize) -> Option<usize> {
    let [a, b, c, _, ..] = *answer.get(from..)? else { return None };
    let end = from + 4 + u32::from_le_bytes([a, b, c, 0]) as usize;
    (end <= answer.len()).then_some(end)
}

/// The packet at `from`: an error, or the server's version is said.
fn mysql(answer: &[u8], from: usize) -> Judged {
    let Some(end) = packet(answer, from) else { return Judged::Wait };
    if let [0xff, low, high, text @ ..] = &answer[from + 4..end] {
        return Judged::Verdict(Verdict {
            status: Status::L7Status,
            code: i32::from(u16::from_le_bytes([*low, *high])),
            info: line(text, 0),
        });
    }
    Judged::Says(line(answer, 5))
}

/// The answer to a bind: RFC 4511, sections 4.1.1, 4.1.9 and 4.2.2, as BER in definite form.
fn ldap_bind(answer: &[u8]) -> Judged {
    let not = || Judged::Verdict(Verdict::new(Status::L7Response).because(NOT_LDAP));
    // How many more bytes a length takes.
    let long = |at: usize| {
        answer.get(at).map(|&byte| if byte & 0x80 == 0 { 0 } else { usize::from(byte & 0x7f) })
    };
    let Some(length) = long(1) else { return Judged::Wait };
    // The message's number, 1, and the kind, a bindResponse.
    let at = 2 + length;
    match answer.get(at..at + 4) {
        Some([2, 1, 1, 0x61]) => {}
        Some(_) => return not(),
        None => return Judged::Wait,
    }
    let Some(length) = long(at + 4) else { return Judged::Wait };
    // resultCode, an enumeration.
    let at = at + 5 + length;
    match answer.get(at..at + 3) {
        Some([0x0a, 1, 0]) => Judged::Says("Success".to_string()),
        Some([0x0a, 1, code]) => Judged::Verdict(Verdict {
            status: Status::L7Status,
            code: (*code).into(),
            info: "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9".into(),
        }),
        Some(_) => not(),
        None => Judged::Wait,
    }
}

/// The first line of an answer from a byte on, up to a NUL at most, without blanks before it.
pub(super) fn line(answer: &[u8], from: usize) -> String {
    let rest = answer.get(from..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)).unwrap_or(rest.len());
    let text = String::from_utf8_lossy(&rest[..end]);
    if from == 0 { text.into_owned() } else { text.trim_start_matches(' ').to_string() }
}

/// The number an answer begins with.
pub(super) fn first_digits(answer: &[u8]) -> i32 {
    let digits = answer.iter().take(3).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'))
}
