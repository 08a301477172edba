//! Keywords of HTTP: what a proxy of `mode http` does, and what a tcp proxy warns about.

use std::sync::Arc;

use conf::Form::Words;
use conf::{Binder, Keyword, Span, Status, Within, Word};
use proxy::Forwarded;
use proxy::variable::Network;
use rules::Place;
use rules::http::HttpAction;

use super::http_rules::{PAGES, redirect, rule, when};
use super::tcp_rules::Family;
use super::{CLIENT, CLIENT_ONLY, NAMED, PROXY, SERVER, text};
use crate::draft::{Draft, HttpRuleDraft};
use crate::expr::Wrong;
use crate::say::Complain;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;
pub(super) const UNSERVED: Status = Status::Accepted(
    "a tcp proxy warns about it or ignores it; one of `mode http` is refused for it",
);

/// A keyword that is not built: a proxy of `mode http` is refused for it.
const fn unserved(name: &'static str, usage: &'static str, within: Within) -> P {
    P::new(name, Words(usage, 0..=ALL, |_, _, _| {})).within(within).status(UNSERVED)
}

/// Keywords of HTTP.
pub(crate) const TABLE: &[P] = &[
    P::new("cookie", Words("<name> [param…]", 0..=ALL, |p, _, _| p.http.cookie = true))
        .within(SERVER)
        .status(UNSERVED),
    P::new(
        "http-request",
        Words("<action> [param…]", 0..=ALL, |p, w, b| {
            if let Some(rule) = rule(p, Family::Request, w, b) {
                p.http.request_rules.push(rule);
            }
        }),
    )
    .within(PROXY)
    .doc("A rule for each request, once its head is there."),
    P::new(
        "http-response",
        Words("<action> [param…]", 0..=ALL, |p, w, b| {
            if let Some(rule) = rule(p, Family::Answer, w, b) {
                p.http.response_rules.push(rule);
            }
        }),
    )
    .within(PROXY)
    .doc("A rule for each answer of a server."),
    P::new(
        "http-after-response",
        Words("<action> [param…]", 0..=ALL, |p, w, b| {
            if let Some(rule) = rule(p, Family::AfterAnswer, w, b) {
                p.http.after_response_rules.push(rule);
            }
        }),
    )
    .within(PROXY)
    .doc("A rule for each answer, one of our own as well."),
    P::new("redirect", Words("<kind> <to> [param…] [if|unless <condition>]", 0..=ALL, redirection))
        .within(NAMED)
        .doc("As `http-request redirect`, behind all of those."),
    P::new("monitor-uri", Words("<uri>", 0..=ALL, monitor_uri))
        .within(CLIENT)
        .doc("A request for it is answered here: 200, or 503 if a `monitor fail` holds."),
    P::new("monitor fail", Words("if|unless <condition>", 0..=ALL, monitor_fail))
        .within(CLIENT_ONLY)
        .doc("When `monitor-uri` is answered 503."),
    P::new("errorfile", Words("<code> <file>", 0..=ALL, errorfile))
        .within(PROXY)
        .doc("A whole message that is answered instead of HAProxy's for a status."),
    P::new(
        "capture request header",
        Words("<name> len <n>", 0..=ALL, |p, w, b| {
            if let Some(kept) = header(w, b, "request") {
                let slot = p.rules.captures;
                p.rules.captures += 1;
                p.http.model.request_captures.push((kept.0, kept.1, slot));
            }
        }),
    )
    .within(CLIENT_ONLY)
    .doc("Keeps the last value of a header of requests for `%hr`."),
    P::new(
        "capture response header",
        Words("<name> len <n>", 0..=ALL, |p, w, b| {
            if let Some(kept) = header(w, b, "response") {
                let slot = p.http.model.response_captures.len();
                p.http.model.response_captures.push((kept.0, kept.1, slot));
            }
        }),
    )
    .within(CLIENT_ONLY)
    .doc("Keeps the last value of a header of answers for `%hs`."),
    P::new(
        "http-reuse",
        Words("never|safe|aggressive|always", 0..=ALL, |_, w, b| {
            if !matches!(text(w, 0), "never" | "safe" | "aggressive" | "always") {
                let text = "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.";
                b.refuse(w.first().map_or_else(Span::default, |w| w.span), text);
            }
        }),
    )
    .within(SERVER)
    .status(Status::Accepted(
        "connections to servers are not shared: one is kept for each client's connection",
    )),
    P::new("unique-id-header", Words("<name>", 0..=ALL, |p, _, _| p.http.unique_id = true))
        .within(CLIENT)
        .status(UNSERVED),
    unserved("capture cookie", "<name> len <n>", CLIENT_ONLY),
    unserved("compression algo", "<algorithm>…", PROXY),
    unserved("compression algo-req", "<algorithm>", PROXY),
    unserved("compression algo-res", "<algorithm>…", PROXY),
    unserved("compression direction", "<direction>", PROXY),
    unserved("compression minsize-req", "<size>", PROXY),
    unserved("compression minsize-res", "<size>", PROXY),
    unserved("compression offload", "", PROXY),
    unserved("compression type", "<type>…", PROXY),
    unserved("compression type-req", "<type>…", PROXY),
    unserved("compression type-res", "<type>…", PROXY),
    unserved("errorfiles", "<section> [<code>…]", PROXY),
    unserved("errorloc", "<code> <url>", PROXY),
    unserved("errorloc302", "<code> <url>", PROXY),
    unserved("errorloc303", "<code> <url>", PROXY),
    unserved("http-error status", "<code> [param…]", PROXY),
    unserved("http-send-name-header", "[<name>]", SERVER),
    P::new("max-keep-alive-queue", Words("<n>", 0..=ALL, |_, _, _| {}))
        .within(SERVER)
        .status(Status::Accepted("a client keeps its server for as long as both want to")),
    unserved("use-fcgi-app", "<name>", SERVER),
];

/// Whether a proxy of `mode http` is refused for a row.
pub(crate) fn is_unserved(row: &P) -> bool {
    row.status == UNSERVED
}

/// `redirect …`: HAProxy runs it behind the `http-request` rules.
fn redirection(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let family = "http-request";
    let mut draft = HttpRuleDraft { at, family, action: None, planned: vec![], condition: None };
    match redirect(p, Family::Request, words) {
        Ok((redirect, rest)) => {
            let Some(condition) = when(p, "redirect", Family::Request.places(p.kind), rest, b)
            else {
                return;
            };
            draft.condition = condition;
            draft.action = Some(HttpAction::Redirect(redirect));
        }
        Err(Wrong::Planned(keyword)) => draft.planned.push(keyword),
        Err(Wrong::Said(why)) => {
            let name = &p.name;
            let text =
                format!("error detected in proxy '{name}' while parsing redirect rule : {why}.");
            b.refuse(at, text);
            return;
        }
    }
    p.http.redirect_rules.push(draft);
}

fn monitor_uri(p: &mut Draft, words: &[Word], b: &mut Binder) {
    match words.first() {
        Some(word) => p.http.model.monitor_uri = Some(word.owned()),
        None => drop(b.refuse(Span::default(), "'monitor-uri' expects an URI.")),
    }
}

fn monitor_fail(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    if !matches!(text(words, 0), "if" | "unless") {
        let text = "'monitor fail' requires either 'if' or 'unless' followed by a condition.";
        b.refuse(at, text);
        return;
    }
    if let Some(Some(condition)) = when(p, "monitor fail", &[Place::FrontendRequest], words, b) {
        p.http.monitor_fail.push(condition);
    }
}

fn errorfile(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let [code, file] = words else {
        b.refuse(at, "errorfile : expects <status_code> and <file> as arguments.\n");
        return;
    };
    let Some(status) = code.text.parse().ok().filter(|status| PAGES.contains(status)) else {
        b.refuse(at, format!("errorfile : status code '{}' not handled.", code.text));
        return;
    };
    let mut message = Vec::new();
    if p.context.reach_out.get() {
        match p.context.read(&file.text) {
            Ok(bytes) => message = bytes,
            Err(_) => {
                let text = format!("errorfile : error opening file '{}'.", file.text);
                b.refuse(file.span, text);
                return;
            }
        }
    }
    let errors = &mut p.http.model.errors;
    errors.retain(|(known, _)| *known != status);
    errors.push((status, Arc::from(message)));
}

fn header(words: &[Word], b: &mut Binder, which: &str) -> Option<(String, usize)> {
    match words {
        [name, len, number] if len.text == "len" => {
            Some((name.owned(), number.text.parse().unwrap_or(0)))
        }
        _ => {
            let text = format!("'capture {which}' expects 'header' <header_name> 'len' <len>.");
            b.refuse(words.first().map_or_else(Span::default, |word| word.span), text);
            None
        }
    }
}

/// `option forwardfor` and `option originalto`.
pub(super) fn forwarded(
    words: &[Word],
    b: &mut Binder,
    option: &str,
    header: &str,
) -> Option<Forwarded> {
    let mut forwarded = Forwarded { header: header.to_owned(), except: None, if_none: false };
    let mut rest = words;
    while let [word, behind @ ..] = rest {
        rest = behind;
        match word.text.as_str() {
            "if-none" if option == "forwardfor" => {
                forwarded.if_none = true;
                continue;
            }
            "except" => {
                let Some((network, _)) = Network::parse(text(behind, 0)) else {
                    let text =
                        format!("'option {option} except' expects <address>[/mask] as argument.");
                    b.refuse(word.span, text);
                    return None;
                };
                forwarded.except = Some(network);
            }
            "header" => {
                let Some(name) = behind.first() else {
                    let text =
                        format!("'option {option}' : 'header' expects <header_name> as argument.");
                    b.refuse(word.span, text);
                    return None;
                };
                forwarded.header = name.owned();
            }
            _ => {
                let text = match option {
                    "forwardfor" => {
                        "'option forwardfor' only supports optional values: 'except', 'header' and 'if-none'."
                    }
                    _ => {
                        "'option originalto' only supports optional values: 'except' and 'header'."
                    }
                };
                b.refuse(word.span, text);
                return None;
            }
        }
        rest = &behind[1..];
    }
    Some(forwarded)
}
