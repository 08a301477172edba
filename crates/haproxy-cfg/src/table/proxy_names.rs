//! `defaults`, `frontend`, `listen` and `backend`: what few files say.

use balance::Affinity;
use conf::Form::{Switch, Words};
use conf::{Binder, Keyword, Problem, Severity, Span, Status, Word};
use proxy::Elsewhere;

use super::{CLIENT, CLIENT_ONLY, NAMED, PROXY, SERVER, SERVER_ONLY, text};
use crate::address::{Address, Host, Ports, parse};
use crate::draft::{Draft, Kind};
use crate::number::{leading, surplus};
use crate::say::{Complain, TIGHT};

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;

/// The rows.
pub(crate) const TABLE: &[P] = &[
    P::new("dispatch", Words("<address>:<port>", 0..=ALL, dispatch))
        .within(SERVER_ONLY)
        .doc("Where connections go whose section has no `balance`: past its servers."),
    P::new("transparent", Words("", 0..=ALL, |p, w, b| {
        if !surplus(b, "transparent", w, 0) {
            p.transparent = true;
        }
    }))
    .within(SERVER)
    .doc("As `option transparent`."),
    P::new("option transparent", Switch(|p, on| p.transparent = on))
        .within(SERVER)
        .doc("Connections of a section without `balance` go where the client wanted to go."),
    P::new("option http_proxy", Words("", 0..=ALL, |_, w, b| {
        b.complain(Severity::Error, TIGHT, here(w), "option 'http_proxy' is not supported any more since HAProxy 2.5. This option stopped working in HAProxy 1.9 and usually had nasty side effects. It can be more reliably implemented with combinations of 'http-request set-dst' and 'http-request set-uri', and even 'http-request do-resolve' if DNS resolution is desired.");
    }))
    .within(PROXY)
    .doc("Refused, as HAProxy does since 2.5."),
    P::new("filter", Words("<name> …", 0..=ALL, filter))
        .within(NAMED)
        .status(Status::Accepted("filters of HTTP have nothing to do in a tcp proxy; others are refused")),
    P::planned("filter-sequence", "<name>…").within(NAMED),
    P::planned("be-unpublished", "").within(SERVER),
    P::planned("ssl-f-use", "<param…>").within(CLIENT_ONLY),
    P::new("hash-preserve-affinity", Words("always|maxconn|maxqueue", 0..=ALL, |p, w, b| {
        if p.kind == Kind::Frontend {
            b.refuse(here(w), "'hash-preserve-affinity' only available in backend or listen section");
            return;
        }
        let affinity = match text(w, 0) {
            "always" => Affinity::Always,
            "maxconn" => Affinity::Maxconn,
            "maxqueue" => Affinity::Maxqueue,
            "" => {
                b.refuse(here(w), "'hash-preserve-affinity' needs a keyword to specify when to preserve hash affinity");
                return;
            }
            other => {
                b.refuse(here(w), format!("'hash-preserve-affinity': unknown keyword '{other}'"));
                return;
            }
        };
        p.back.hash.affinity = affinity;
    }))
    .within(PROXY)
    .default("always")
    .doc(
        "With `hash-type consistent`: whether a key waits for its server `always`, or goes to the next one \
         that can take it when its own has `maxconn` connections, or when `maxqueue` wait for it.",
    ),
    P::new("max-session-srv-conns", Words("<n>", 0..=ALL, |_, w, b| {
        if w.is_empty() {
            b.refuse(here(w), "'max-session-srv-conns' expects a number. Got no argument");
        }
    }))
    .within(CLIENT)
    .status(Status::Accepted("a client keeps one connection to a server"))
    .default("5"),
    P::new("persist", Words("rdp-cookie(<name>)", 0..=ALL, persist))
        .within(PROXY)
        .doc("As `persist rdp-cookie`, by a cookie of another name."),
    P::new("persist rdp-cookie", Words("", 0..=ALL, |p, _, _| p.back.rdp_cookie = rdp_cookie(p, "msts")))
        .within(PROXY)
        .doc("A client goes to the server that the cookie `msts` of its RDP connection names."),
    P::new("declare", Words("capture request|response len <n>", 0..=ALL, |_, w, b| {
        let wrong = match text(w, 0) {
            "" => "'declare' needs a second keyword that specify the type of declaration ('capture')".to_owned(),
            got => format!("unknown declaration type '{got}' (supports 'capture')"),
        };
        b.refuse(here(w), wrong);
    }))
    .within(CLIENT_ONLY)
    .doc("See `declare capture`."),
    P::new("declare capture", Words("request|response len <n>", 0..=ALL, declare))
        .within(CLIENT_ONLY)
        .doc("A place for what rules capture, of so many bytes."),
    P::new("dynamic-cookie-key", Words("<key>", 0..=ALL, |_, w, b| {
        if w.is_empty() {
            b.refuse(here(w), "'dynamic-cookie-key' expects <secret_key> as argument.");
        }
    }))
    .within(SERVER)
    .status(super::http::UNSERVED),
];

fn here(words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

fn dispatch(p: &mut Draft, words: &[Word], b: &mut Binder) {
    if surplus(b, "dispatch", words, 1) {
        return;
    }
    let raw = text(words, 0).to_owned();
    let context = p.context.clone();
    let found = match parse(&context, &raw) {
        Err(error) => Err(error),
        Ok(Address::Unix(path)) => Ok(Elsewhere::Unix(path)),
        Ok(Address::Abstract(name)) => Ok(Elsewhere::Unix(format!("\0{name}").into())),
        Ok(Address::Inet { datagram: true, .. }) => {
            Err(format!("dgram-type address not acceptable in '{raw}'"))
        }
        Ok(Address::Inet { ports: Ports::Missing, .. }) => {
            Err(format!("missing port specification in '{raw}'"))
        }
        Ok(Address::Inet { ports: Ports::Relative(_), .. }) => {
            Err(format!("port offset not permitted here in '{raw}'"))
        }
        Ok(Address::Inet { ports: Ports::Range(from, to, _), .. }) if from != to => {
            Err(format!("port range not permitted here in '{raw}'"))
        }
        Ok(Address::Inet { ports: Ports::Range(0, ..), .. }) => {
            Err(format!("invalid port '0' in '{raw}'"))
        }
        Ok(Address::Inet { host, ports: Ports::Range(port, ..), family, .. }) => {
            match host.resolve(&context, family).first() {
                Some(ip) => Ok(Elsewhere::Address((*ip, port as u16).into())),
                None => {
                    let name = match host {
                        Host::Name(name) => name,
                        _ => raw.clone(),
                    };
                    Err(format!("invalid address: '{name}' in '{raw}'"))
                }
            }
        }
        Ok(Address::Fd(_)) => Err(format!("a file descriptor is not acceptable here in '{raw}'")),
        Ok(Address::Planned(kind)) => {
            b.error(here(words), Problem::Planned { keyword: format!("dispatch {kind}") });
            return;
        }
    };
    match found {
        Ok(to) => p.dispatch = Some(to),
        Err(error) => {
            b.refuse(here(words), format!("'dispatch' : {error}"));
        }
    }
}

fn filter(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let name = text(words, 0);
    let span = here(words);
    let expects = |b: &mut Binder, name: &str| {
        b.refuse(span, format!("'filter' : {name} : expects a <name> argument"));
    };
    match name {
        "" => {
            let text = format!(
                "parsing [{}] : missing argument for 'filter' in proxy '{}'.",
                p.context.origin(),
                p.name
            );
            b.refuse(span, text);
        }
        "compression" => p.http.unserved.push((span, "filter compression")),
        "cache" if words.len() < 2 => expects(b, "cache"),
        "cache" => p.http.unserved.push((span, "filter cache")),
        "fcgi-app" if words.len() < 2 => expects(b, "fcgi-app"),
        "fcgi-app" => p.http.unserved.push((span, "filter fcgi-app")),
        "trace" | "spoe" | "bwlim-in" | "bwlim-out" => {
            b.error(span, Problem::Planned { keyword: format!("filter {name}") });
        }
        _ => {
            b.refuse(span, format!("'filter' : unknown keyword '{name}'. Registered keywords :\n    [BWLIM] bwlim-in\n    [BWLIM] bwlim-out\n    [CACHE] cache\n    [COMP] compression\n    [FCGI] fcgi-app\n    [SPOE] spoe\n    [TRACE] trace"));
        }
    }
}

fn persist(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let span = here(words);
    let Some(rest) = text(words, 0).strip_prefix("rdp-cookie(") else {
        let known = if words.is_empty() { "missing" } else { "unknown" };
        b.refuse(span, format!("{known} persist method."));
        return;
    };
    match rest.strip_suffix(')') {
        Some(name) if !name.is_empty() => p.back.rdp_cookie = rdp_cookie(p, name),
        _ => {
            b.refuse(span, "persist rdp-cookie(name)' requires an rdp cookie name.");
        }
    }
}

/// What reads a cookie of RDP.
pub(super) fn rdp_cookie(p: &Draft, name: &str) -> Option<rules::Expr> {
    let text = format!("req.rdp_cookie({name})");
    crate::expr::read(&p.context, &[&text], crate::expr::Manner::Rule).ok().map(|read| read.expr)
}

fn declare(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let wrong = match (text(words, 0), text(words, 1), words.get(2)) {
        ("request" | "response", "len", Some(length)) => match leading(&length.text) {
            (length @ 1.., _) => {
                // No header has this name: the place is filled by rules alone.
                let (header, most) = (String::new(), usize::try_from(length).unwrap_or(usize::MAX));
                let http = &mut p.http.model;
                if text(words, 0) == "request" {
                    http.request_captures.push((header, most, p.rules.captures));
                    p.rules.captures += 1;
                } else {
                    let slot = http.response_captures.len();
                    http.response_captures.push((header, most, slot));
                }
                return;
            }
            (_, true) => "length must be > 0".to_owned(),
            (_, false) => format!("'declare capture': cannot parse the length '{}'.", length.text),
        },
        ("request" | "response", "len", None) => {
            "'declare capture': 'len' requires a numeric value that represents the capture length"
                .to_owned()
        }
        ("request" | "response", ..) => {
            "'declare capture' requires a capture length ('len')".to_owned()
        }
        _ => "'declare capture' requires a direction ('request' or 'response')".to_owned(),
    };
    b.refuse(here(words), wrong);
}
