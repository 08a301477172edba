//! `tcp-check …` and `http-check …`: the steps of a check.

use check::{Action, Connect, Expect, Match, Request, Step, Text};
use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Span, Status, Word};

use super::{SERVER, text};
use crate::address::plain_ip;
use crate::context::Context;
use crate::draft::Draft;
use crate::lexer::bytes_of;
use crate::number::leading;
use crate::say::Complain;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;

/// The steps of checks.
pub(crate) const TABLE: &[P] = &[
    P::new("tcp-check", Words("<step>", 0..=ALL, |_, w, b| {
        let got = text(w, 0);
        refuse(b, w, format!("'tcp-check' only supports 'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{got}'"));
    }))
    .within(SERVER)
    .doc("See the rows of the single steps."),
    P::new("http-check", Words("<step>", 0..=ALL, |_, w, b| {
        let got = text(w, 0);
        if ["set-var", "unset-var"].iter().any(|kind| got.starts_with(kind)) {
            b.error(at(w), Problem::Planned { keyword: "http-check set-var".into() });
            return;
        }
        refuse(b, w, format!("'http-check' only supports 'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{got}'"));
    }))
    .within(SERVER)
    .doc("See the rows of the single steps."),
    P::new("tcp-check connect", Words("[port <n>] [addr <ip>] [ssl] [sni <name>] [alpn <list>] [linger] [default] [comment <text>]", 0..=ALL, |p, w, b| {
        connect("tcp-check", &p.context.clone(), &mut p.tcp_steps, w, b);
    }))
    .within(SERVER)
    .doc("Opens a connection."),
    P::new("http-check connect", Words("[port <n>] [addr <ip>] [ssl] [sni <name>] [alpn <list>] [linger] [default] [comment <text>]", 0..=ALL, |p, w, b| {
        connect("http-check", &p.context.clone(), &mut p.http_steps, w, b);
    }))
    .within(SERVER)
    .doc("Opens a connection."),
    P::new("tcp-check send", Words("<data> [comment <text>]", 0..=ALL, |p, w, b| {
        let Some(data) = w.first() else {
            return refuse(b, w, "'tcp-check send' : 'string' expects a send as argument.".into());
        };
        if let Some(comment) = comment("tcp-check send", &w[1..], b) {
            p.tcp_steps.push(Step { action: Action::Send(bytes_of(&data.text)), comment });
        }
    }))
    .within(SERVER)
    .doc("Sends bytes."),
    P::new("tcp-check send-binary", Words("<hex> [comment <text>]", 0..=ALL, |p, w, b| {
        let Some(data) = w.first() else {
            return refuse(b, w, "'tcp-check send-binary' : 'binary' expects a send as argument.".into());
        };
        let Some(bytes) = hex(&data.text) else {
            return refuse(b, w, format!("'tcp-check send-binary' : '{}' invalid binary string (an even number of hex digit is expected).\n.", data.text));
        };
        if let Some(comment) = comment("tcp-check send-binary", &w[1..], b) {
            p.tcp_steps.push(Step { action: Action::Send(bytes), comment });
        }
    }))
    .within(SERVER)
    .doc("Sends bytes written as hexadecimal digits."),
    P::new("tcp-check expect", Words("[min-recv <n>] [comment <text>] [!] string|binary <pattern>", 0..=ALL, |p, w, b| {
        if let Some(step) = expect("tcp-check", w, b) {
            p.tcp_steps.push(step);
        }
    }))
    .within(SERVER)
    .doc("What the answer must hold."),
    P::new("http-check expect", Words("[min-recv <n>] [comment <text>] [!] status|string <pattern>", 0..=ALL, |p, w, b| {
        if let Some(step) = expect("http-check", w, b) {
            p.http_steps.push(step);
        }
    }))
    .within(SERVER)
    .doc("What the answer must be; 2xx and 3xx without it."),
    P::new("http-check send", Words("[meth <m>] [uri <uri>] [ver <v>] [hdr <name> <value>]… [body <text>] [comment <text>]", 0..=ALL, |p, w, b| {
        if let Some(step) = send(w, b) {
            p.http_steps.push(step);
        }
    }))
    .within(SERVER)
    .doc("The request."),
    P::new("tcp-check comment", Words("<text>", 0..=ALL, |_, w, b| said("tcp-check", w, b)))
        .within(SERVER)
        .status(Status::Accepted("a comment")),
    P::new("http-check comment", Words("<text>", 0..=ALL, |_, w, b| said("http-check", w, b)))
        .within(SERVER)
        .status(Status::Accepted("a comment")),
    P::planned("http-check disable-on-404", "").within(SERVER),
    P::planned("http-check send-state", "").within(SERVER),
    P::planned("http-check set-var", "(<name>) <expr>").within(SERVER),
    P::planned("http-check set-var-fmt", "(<name>) <format>").within(SERVER),
    P::planned("http-check unset-var", "(<name>)").within(SERVER),
    P::planned("tcp-check send-lf", "<format>").within(SERVER),
    P::planned("tcp-check send-binary-lf", "<format>").within(SERVER),
    P::planned("tcp-check set-var", "(<name>) <expr>").within(SERVER),
    P::planned("tcp-check set-var-fmt", "(<name>) <format>").within(SERVER),
    P::planned("tcp-check unset-var", "(<name>)").within(SERVER),
    P::planned("external-check command", "<command>").within(SERVER),
    P::planned("external-check path", "<path>").within(SERVER),
];

fn at(words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

fn refuse(b: &mut Binder, words: &[Word], text: String) {
    b.refuse(at(words), text);
}

fn said(kind: &str, words: &[Word], b: &mut Binder) {
    if words.is_empty() {
        refuse(b, words, format!("'{kind} comment' : expects a string as argument."));
    }
}

/// Nothing or `comment <text>`; the outer `None` is a complaint.
#[allow(clippy::option_option, reason = "a missing comment and a mistake are different things")]
fn comment(name: &str, words: &[Word], b: &mut Binder) -> Option<Option<String>> {
    match words {
        [] => Some(None),
        [keyword, value, ..] if keyword.text == "comment" => Some(Some(value.owned())),
        [keyword, ..] if keyword.text == "comment" => {
            refuse(b, words, format!("'{name}' : 'comment' expects a string as argument.."));
            None
        }
        [other, ..] => {
            refuse(
                b,
                words,
                format!("'{name}' : expects 'comment' but got '{}' as argument..", other.text),
            );
            None
        }
    }
}

/// Bytes of an even number of hexadecimal digits.
fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn connect(kind: &str, context: &Context, steps: &mut Vec<Step>, words: &[Word], b: &mut Binder) {
    let name = format!("'{kind} connect'");
    if !steps.is_empty() && !Draft::connects(steps) {
        return refuse(
            b,
            words,
            format!(
                "{name} : first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', when there is a 'connect' step in the tcp-check ruleset."
            ),
        );
    }
    let mut step = Connect::default();
    let mut comment = None;
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let value = after.first();
        let mut two = true;
        match (word.text.as_str(), value) {
            ("port", Some(port)) => match leading(&port.text) {
                (n @ 1..=65_535, true) => step.port = Some(n as u16),
                (_, true) => {
                    return refuse(
                        b,
                        rest,
                        format!(
                            "{name} : expects a valid TCP port (from range 1 to 65535) or a sample expression, got {}..",
                            port.text
                        ),
                    );
                }
                _ => {
                    return refuse(
                        b,
                        rest,
                        format!(
                            "{name} : error detected while parsing port expression : unknown fetch method '{}'.",
                            port.text
                        ),
                    );
                }
            },
            ("addr", Some(address)) => match plain_ip(context, &address.text) {
                Ok(ip) => step.addr = Some(ip),
                Err(error) => return refuse(b, rest, format!("{name} : 'addr' : {error}\n..")),
            },
            ("sni", Some(value)) => step.sni = Some(value.owned()),
            ("alpn", Some(value)) => {
                step.alpn = value.text.split(',').map(str::to_owned).collect();
            }
            ("comment", Some(value)) => comment = Some(value.owned()),
            ("alpn", None) => {
                return refuse(
                    b,
                    rest,
                    format!("{name} : 'alpn' : missing the comma-delimited ALPN protocol suite."),
                );
            }
            (missing @ ("port" | "addr" | "sni" | "comment"), None) => {
                return refuse(
                    b,
                    rest,
                    format!("{name} : '{missing}' expects a value as argument.."),
                );
            }
            (planned @ ("send-proxy" | "via-socks4" | "proto"), _) => {
                let keyword = format!("{kind} connect {planned}");
                b.error(word.span, Problem::Planned { keyword });
                two = planned == "proto";
            }
            (flag, _) => {
                two = false;
                match flag {
                    "ssl" => step.tls = true,
                    "linger" => step.linger = true,
                    "default" => step.default = true,
                    other => {
                        return refuse(
                            b,
                            rest,
                            format!(
                                "{name} : expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', 'default' but got '{other}' as argument.."
                            ),
                        );
                    }
                }
            }
        }
        rest = after.get(usize::from(two)..).unwrap_or(&[]);
    }
    steps.push(Step { action: Action::Connect(step), comment });
}

fn send(words: &[Word], b: &mut Binder) -> Option<Step> {
    // What is not said here is what `option httpchk` says; empty until then.
    let mut request = Request {
        method: String::new(),
        uri: Text::default(),
        version: String::new(),
        ..Request::default()
    };
    let mut comment = None;
    let mut rest = words;
    let mut refuse = |words: &[Word], text: &str| {
        b.refuse(at(words), format!("'http-check send' : {text}"));
        None
    };
    while let Some((word, after)) = rest.split_first() {
        match (word.text.as_str(), after) {
            ("meth", [value, ..]) => value.text.clone_into(&mut request.method),
            ("uri", [value, ..]) => request.uri = value.text.as_str().into(),
            ("ver", [value, ..]) => value.text.clone_into(&mut request.version),
            ("body", [value, ..]) => request.body = Text::Plain(bytes_of(&value.text)),
            ("comment", [value, ..]) => comment = Some(value.owned()),
            ("hdr", [name, value, ..]) => {
                // A header is a format; without `%` it is its own text.
                if value.text.contains('%') {
                    let keyword = "http-check send hdr with a log format".into();
                    b.error(value.span, Problem::Planned { keyword });
                    return None;
                }
                request.headers.push((name.owned(), value.text.as_str().into()));
                rest = &after[2..];
                continue;
            }
            ("hdr", _) => return refuse(rest, "'hdr' expects <name> and <value> as arguments."),
            (keyword @ ("meth" | "uri" | "ver" | "body" | "comment"), []) => {
                return refuse(rest, &format!("'{keyword}' expects a string as argument.."));
            }
            (planned @ ("uri-lf" | "body-lf"), _) => {
                let keyword = format!("http-check send {planned}");
                b.error(word.span, Problem::Planned { keyword });
                return None;
            }
            (other, _) => {
                return refuse(
                    rest,
                    &format!(
                        "expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '{other}' as argument.."
                    ),
                );
            }
        }
        rest = &after[1..];
    }
    Some(Step { action: Action::SendHttp(request), comment })
}

fn expect(kind: &str, words: &[Word], b: &mut Binder) -> Option<Step> {
    let http = kind == "http-check";
    let name = format!("'{kind} expect'");
    let (mut negated, mut min_recv, mut comment, mut matching) = (false, None, None, None);
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let mut keyword = word.text.as_str();
        if let Some(negation) = keyword.strip_prefix('!') {
            negated = true;
            if negation.is_empty() {
                rest = after;
                continue;
            }
            keyword = negation;
        }
        let planned = match keyword {
            "rstring" | "string-lf" | "on-success" | "on-error" | "status-code" | "ok-status"
            | "error-status" | "tout-status" => true,
            "rstatus" | "hdr" | "fhdr" => http,
            "rbinary" | "binary-lf" => !http,
            _ => false,
        };
        if planned {
            let keyword = format!("{kind} expect {keyword}");
            b.error(word.span, Problem::Planned { keyword });
            return None;
        }
        let known = match keyword {
            "min-recv" | "comment" => true,
            "string" => matching.is_none(),
            "status" => http && matching.is_none(),
            "binary" => !http && matching.is_none(),
            _ => false,
        };
        if !known {
            let supported = if http {
                "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or comment"
            } else {
                "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment"
            };
            refuse(b, rest, format!("{name} : {supported} but got '{}' as argument..", word.text));
            return None;
        }
        let Some(value) = after.first() else {
            refuse(b, rest, format!("{name} : '{keyword}' expects a <pattern> as argument."));
            return None;
        };
        match keyword {
            "min-recv" => min_recv = usize::try_from(leading(&value.text).0).ok(),
            "comment" => comment = Some(value.owned()),
            "string" => matching = Some(Match::String(bytes_of(&value.text))),
            "binary" => match hex(&value.text) {
                Some(bytes) => matching = Some(Match::Binary(bytes)),
                None => {
                    let bad = value.text.chars().find(|c| !c.is_ascii_hexdigit());
                    let reason = bad.map_or_else(
                        || "an even number of hex digit is expected".to_owned(),
                        |c| format!("an hex digit is expected (found '{c}')"),
                    );
                    refuse(b, rest, format!("{name} : invalid binary string ({reason})."));
                    return None;
                }
            },
            _ => match status_ranges(&value.text) {
                Ok(ranges) => matching = Some(Match::Status(ranges)),
                Err(error) => {
                    refuse(b, rest, format!("{name} : {error}."));
                    return None;
                }
            },
        }
        rest = &after[1..];
    }
    let Some(matching) = matching else {
        refuse(b, words, format!("{name} : expects at least a matching pattern as arguments."));
        return None;
    };
    Some(Step { action: Action::Expect(Expect { negated, min_recv, ..matching.into() }), comment })
}

/// `200,300-310`.
fn status_ranges(text: &str) -> Result<Vec<std::ops::RangeInclusive<u16>>, String> {
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_digit() && !matches!(c, '-' | ',')) {
        return Err(format!("invalid character '{bad}' in the list of status codes"));
    }
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
            return Err(format!("invalid range of status codes '{part}'"));
        };
        if low > high || low < 100 || high > 999 {
            return Err(format!("invalid range of status codes '{part}'"));
        }
        Ok(low..=high)
    };
    text.split(',').map(range).collect()
}
