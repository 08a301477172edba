//! `tcp-check …` and `http-check …`: the steps of a check.

use check::{Action, Connect, Request, Step, Text};
use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Span, Word};

use super::check_expect::expect;
use super::check_words::{act, format, header_format, number};
use super::{SERVER, text};
use crate::address::plain_ip;
use crate::draft::Draft;
use crate::lexer::bytes_of;
use crate::number::{leading, surplus};
use crate::say::Complain;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;

/// The steps of checks.
pub(crate) const TABLE: &[P] = &[
    P::new("tcp-check", Words("<step>", 0..=ALL, |p, w, b| {
        let got = text(w, 0);
        if is_act(got) {
            if let Some(act) = act(p, "tcp-check", w, b) {
                p.tcp_steps().push(Action::Act(act).into());
            }
            return;
        }
        refuse(b, w, format!("'tcp-check' only supports 'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{got}'"));
    }))
    .within(SERVER)
    .doc("See the rows of the single steps."),
    P::new("http-check", Words("<step>", 0..=ALL, |p, w, b| {
        let got = text(w, 0);
        if is_act(got) {
            if let Some(act) = act(p, "http-check", w, b) {
                p.http_steps().push(Action::Act(act).into());
            }
            return;
        }
        refuse(b, w, format!("'http-check' only supports 'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{got}'"));
    }))
    .within(SERVER)
    .doc("See the rows of the single steps."),
    P::new("tcp-check connect", Words(CONNECT, 0..=ALL, |p, w, b| connect(p, "tcp-check", w, b)))
        .within(SERVER)
        .doc("Opens a connection."),
    P::new("http-check connect", Words(CONNECT, 0..=ALL, |p, w, b| connect(p, "http-check", w, b)))
        .within(SERVER)
        .doc("Opens a connection."),
    P::new("tcp-check send", Words("<data> [comment <text>]", 0..=ALL, |p, w, b| {
        let Some(data) = w.first() else {
            return refuse(b, w, "'tcp-check send' : 'string' expects a send as argument.".into());
        };
        if let Some(comment) = comment("tcp-check send", &w[1..], b) {
            p.tcp_steps().push(Step { action: Action::Send(bytes_of(&data.text)), comment });
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
            p.tcp_steps().push(Step { action: Action::Send(bytes), comment });
        }
    }))
    .within(SERVER)
    .doc("Sends bytes written as hexadecimal digits."),
    P::new("tcp-check send-lf", Words("<format> [comment <text>]", 0..=ALL, |p, w, b| {
        send_format(p, "send-lf", Action::SendFormat, w, b);
    }))
    .within(SERVER)
    .doc("Sends what a format says."),
    P::new("tcp-check send-binary-lf", Words("<format> [comment <text>]", 0..=ALL, |p, w, b| {
        send_format(p, "send-binary-lf", Action::SendHexFormat, w, b);
    }))
    .within(SERVER)
    .doc("Sends what a format says, written as hexadecimal digits."),
    P::new("tcp-check expect", Words("[min-recv <n>] [comment <text>] [ok-status|error-status|tout-status <status>] [on-success|on-error <format>] [status-code <expr>] [!] string|rstring|string-lf|binary|rbinary|binary-lf <pattern>", 0..=ALL, |p, w, b| {
        if let Some(step) = expect(p, "tcp-check", w, b) {
            p.tcp_steps().push(step);
        }
    }))
    .within(SERVER)
    .doc("What the answer must hold."),
    P::new("http-check expect", Words("[min-recv <n>] [comment <text>] [ok-status|error-status|tout-status <status>] [on-success|on-error <format>] [status-code <expr>] [!] status|rstatus|hdr|fhdr|string|rstring|string-lf <pattern>", 0..=ALL, |p, w, b| {
        if let Some(step) = expect(p, "http-check", w, b) {
            p.http_steps().push(step);
        }
    }))
    .within(SERVER)
    .doc("What the answer must be; 2xx and 3xx without it."),
    P::new("http-check send", Words("[meth <m>] [uri|uri-lf <uri>] [ver <v>] [hdr <name> <format>]… [body|body-lf <text>] [comment <text>]", 0..=ALL, |p, w, b| {
        if let Some(step) = send(p, w, b) {
            p.http_steps().push(step);
        }
    }))
    .within(SERVER)
    .doc("The request."),
    P::new("tcp-check comment", Words("<text>", 0..=ALL, |p, w, b| {
        if said("tcp-check", w, b) {
            p.tcp_steps().push(Action::Comment.into());
        }
    }))
    .within(SERVER)
    .doc("Nothing, but it is counted as a step."),
    P::new("http-check comment", Words("<text>", 0..=ALL, |p, w, b| {
        if said("http-check", w, b) {
            p.http_steps().push(Action::Comment.into());
        }
    }))
    .within(SERVER)
    .doc("Nothing, but it is counted as a step."),
    P::new("http-check disable-on-404", Words("", 0..=ALL, |p, w, b| {
        if !surplus(b, "http-check", w, 0) {
            p.checks.disable_on_404 = true;
        }
    }))
    .within(SERVER)
    .doc("A server that answers 404 gets no new sessions."),
    P::new("http-check send-state", Words("", 0..=ALL, |p, w, b| {
        if !surplus(b, "http-check", w, 0) {
            p.checks.send_state = true;
        }
    }))
    .within(SERVER)
    .doc("A header tells the server how it is seen."),
    P::new("http-check set-var", Words("(<name>) <expr>", 0..=ALL, |p, w, b| bare("http-check", "set-var", p, w, b)))
        .within(SERVER)
        .doc("Sets a variable."),
    P::new("http-check set-var-fmt", Words("(<name>) <format>", 0..=ALL, |p, w, b| bare("http-check", "set-var-fmt", p, w, b)))
        .within(SERVER)
        .doc("Sets a variable to what a format says."),
    P::new("http-check unset-var", Words("(<name>)", 0..=ALL, |p, w, b| bare("http-check", "unset-var", p, w, b)))
        .within(SERVER)
        .doc("Forgets a variable."),
    P::new("tcp-check set-var", Words("(<name>) <expr>", 0..=ALL, |p, w, b| bare("tcp-check", "set-var", p, w, b)))
        .within(SERVER)
        .doc("Sets a variable."),
    P::new("tcp-check set-var-fmt", Words("(<name>) <format>", 0..=ALL, |p, w, b| bare("tcp-check", "set-var-fmt", p, w, b)))
        .within(SERVER)
        .doc("Sets a variable to what a format says."),
    P::new("tcp-check unset-var", Words("(<name>)", 0..=ALL, |p, w, b| bare("tcp-check", "unset-var", p, w, b)))
        .within(SERVER)
        .doc("Forgets a variable."),
    P::new("external-check", Words("command|path <value>", 0..=ALL, |_, w, b| match text(w, 0) {
        "" => refuse(b, w, "missing argument after 'external-check'.\n".into()),
        got => refuse(b, w, format!("'external-check' only supports 'command' and 'path'. but got '{got}'.")),
    }))
    .within(SERVER)
    .doc("See the rows below."),
    P::new("external-check command", Words("<command>", 0..=ALL, |p, w, b| {
        if let Some(value) = one("command", w, b) {
            p.checks.command = Some(value);
        }
    }))
    .within(SERVER)
    .doc("The program of `option external-check`."),
    P::new("external-check path", Words("<path>", 0..=ALL, |p, w, b| {
        if let Some(value) = one("path", w, b) {
            p.checks.path = Some(value);
        }
    }))
    .within(SERVER)
    .doc("Its `PATH`."),
];

const CONNECT: &str = "[port <n>|<expr>] [addr <ip>] [send-proxy] [ssl] [sni <name>] [alpn <list>] [linger] [default] [comment <text>]";

fn is_act(word: &str) -> bool {
    ["set-var(", "set-var-fmt(", "unset-var("].iter().any(|kind| word.starts_with(kind))
}

/// `set-var` without its parentheses.
fn bare(kind: &str, name: &str, p: &mut Draft, words: &[Word], b: &mut Binder) {
    let mut all =
        vec![Word { text: name.to_owned(), ..words.first().cloned().unwrap_or_default() }];
    all.extend_from_slice(words);
    act(p, kind, &all, b);
}

fn one(keyword: &str, words: &[Word], b: &mut Binder) -> Option<String> {
    let Some(value) = words.first() else {
        refuse(b, words, format!("missing argument after '{keyword}'."));
        return None;
    };
    (!surplus(b, "external-check", words, 1)).then(|| value.owned())
}

fn send_format(
    p: &mut Draft,
    keyword: &str,
    action: fn(usize) -> Action,
    words: &[Word],
    b: &mut Binder,
) {
    let name = format!("tcp-check {keyword}");
    let Some(data) = words.first() else {
        return refuse(b, words, format!("'{name}' : 'string' expects a {keyword} as argument."));
    };
    let Some(comment) = comment(&name, &words[1..], b) else { return };
    if let Some(number) = format(p, &format!("'{name}'"), data, b) {
        p.tcp_steps().push(Step { action: action(number), comment });
    }
}

fn at(words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

fn refuse(b: &mut Binder, words: &[Word], text: String) {
    b.refuse(at(words), text);
}

fn said(kind: &str, words: &[Word], b: &mut Binder) -> bool {
    if words.is_empty() {
        refuse(b, words, format!("'{kind} comment' : expects a string as argument."));
    }
    !words.is_empty()
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
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn connect(p: &mut Draft, kind: &str, words: &[Word], b: &mut Binder) {
    let name = format!("'{kind} connect'");
    let context = p.context.clone();
    let steps = if kind == "tcp-check" { p.tcp_steps() } else { p.http_steps() };
    let before = |step: &Step| matches!(step.action, Action::Act(_) | Action::Comment);
    if !steps.iter().all(before) && !Draft::connects(steps) {
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
                _ => match number(p, &name, "port", port, b) {
                    Some(number) => step.port_expr = Some(number),
                    None => return,
                },
            },
            ("addr", Some(address)) => match plain_ip(&context, &address.text) {
                Ok(ip) => step.addr = Some(ip),
                Err(error) => return refuse(b, rest, format!("{name} : 'addr' : {error}..")),
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
            ("proto", None) => {
                let text = format!("{name} : 'proto' expects a MUX protocol as argument..");
                return refuse(b, rest, text);
            }
            ("proto", Some(proto)) => match proto.text.as_str() {
                // What there is anyway.
                "none" if kind == "tcp-check" => {}
                "h1" if kind == "http-check" => {}
                "h1" | "h2" | "fcgi" | "none" if kind == "tcp-check" => {
                    let text = format!(
                        "{name} : 'proto' : invalid MUX protocol '{}' for tcp-check.",
                        proto.text
                    );
                    return refuse(b, rest, text);
                }
                "h2" => {
                    let keyword = format!("{kind} connect proto h2");
                    b.error(word.span, Problem::Planned { keyword });
                }
                "none" | "fcgi" => {
                    let text = format!(
                        "{name} : 'proto' : invalid MUX protocol '{}' for http-check.",
                        proto.text
                    );
                    return refuse(b, rest, text);
                }
                other => {
                    let text = format!("{name} : 'proto' : unknown MUX protocol '{other}'..");
                    return refuse(b, rest, text);
                }
            },
            ("via-socks4", _) => {
                let keyword = format!("{kind} connect via-socks4");
                b.error(word.span, Problem::Planned { keyword });
                two = false;
            }
            (flag, _) => {
                two = false;
                match flag {
                    "ssl" => step.tls = true,
                    "linger" => step.linger = true,
                    "send-proxy" => step.send_proxy = true,
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
    let steps = if kind == "tcp-check" { p.tcp_steps() } else { p.http_steps() };
    steps.push(Step { action: Action::Connect(step), comment });
}

fn send(p: &mut Draft, words: &[Word], b: &mut Binder) -> Option<Step> {
    // What is not said here is what `option httpchk` says; empty until then.
    let mut request = Request {
        method: String::new(),
        uri: Text::default(),
        version: String::new(),
        ..Request::default()
    };
    let mut comment = None;
    let mut rest = words;
    let name = "'http-check send'";
    let refuse = |b: &mut Binder, words: &[Word], text: &str| {
        b.refuse(at(words), format!("{name} : {text}"));
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
                let value = header_format(p, "'http-check send'", value, b)?;
                request.headers.push((name.owned(), value));
                rest = &after[2..];
                continue;
            }
            ("hdr", _) => return refuse(b, rest, "'hdr' expects <name> and <value> as arguments."),
            ("uri-lf", [value, ..]) => request.uri = Text::Format(format(p, name, value, b)?),
            ("body-lf", [value, ..]) => request.body = Text::Format(format(p, name, value, b)?),
            (
                keyword @ ("meth" | "uri" | "uri-lf" | "ver" | "body" | "body-lf" | "comment"),
                [],
            ) => {
                return refuse(b, rest, &format!("'{keyword}' expects a string as argument.."));
            }
            (other, _) => {
                return refuse(
                    b,
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
