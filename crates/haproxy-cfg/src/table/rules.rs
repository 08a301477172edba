//! ACLs, rules, stickiness and switching.

use conf::Form::Words;
use conf::{Binder, Form, Keyword, Problem, Span, Unit, Within, Word};
use rules::Place;

use super::tcp_rules::{Family, refuse_planned, rule as tcp_rule};
use super::{CLIENT, CLIENT_ONLY, NAMED, PROXY, SERVER, SERVER_ONLY, stick, text};
use crate::acl::{condition, conflicts, test};
use crate::draft::{Draft, Kind, TargetDraft};
use crate::expr::texts;
use crate::number::bind_time;
use crate::say::Complain;

type P = Keyword<Draft>;
type A = Keyword<()>;

const ALL: usize = usize::MAX;
const ACTION: &str = "<action> [if|unless <condition>]";

/// A rule; all of them are refused as a whole.
const fn rule(name: &'static str, usage: &'static str, within: Within) -> P {
    P::planned(name, usage).within(within)
}

/// Rules.
pub(crate) const TABLE: &[P] = &[
    P::new("acl", Words("<name> <criterion> [flags] [operator] <value>…", 0..=ALL, acl))
        .within(PROXY)
        .doc("A named test: several lines of one name hold if one of them does."),
    P::new("use_backend", Words("<backend> [if|unless <condition>]", 0..=ALL, use_backend))
        .within(CLIENT_ONLY)
        .doc("Sends connections that meet a condition to a backend, named or made of a format."),
    P::new("use-server", Words("<server> if|unless <condition>", 0..=ALL, use_server))
        .within(SERVER_ONLY)
        .doc("Sends connections that meet a condition to a server, if it can be used."),
    P::new(
        "tcp-request inspect-delay",
        Words("<time>", 0..=ALL, |p, w, b| {
            p.rules.inspect_delay = inspect_delay("tcp-request", p, w, b);
        }),
    )
    .within(PROXY)
    .doc("For how long the client's first bytes are waited for by the rules that look at them."),
    P::new(
        "tcp-response inspect-delay",
        Words("<time>", 0..=ALL, |p, w, b| {
            p.rules.response_delay = inspect_delay("tcp-response", p, w, b);
        }),
    )
    .within(SERVER)
    .doc("For how long the server's first bytes are waited for by the rules that look at them."),
    P::new(
        "tcp-request connection",
        Words(ACTION, 0..=ALL, |p, w, b| tcp_rule(p, Family::Connection, w, b)),
    )
    .within(PROXY)
    .doc("A rule for each connection, as soon as it is accepted."),
    P::new(
        "tcp-request session",
        Words(ACTION, 0..=ALL, |p, w, b| tcp_rule(p, Family::Session, w, b)),
    )
    .within(PROXY)
    .doc("A rule for each connection whose layers are accepted."),
    P::new(
        "tcp-request content",
        Words(ACTION, 0..=ALL, |p, w, b| tcp_rule(p, Family::Content, w, b)),
    )
    .within(PROXY)
    .doc("A rule that may look at the first bytes of the client."),
    P::new(
        "tcp-response content",
        Words(ACTION, 0..=ALL, |p, w, b| {
            if p.kind == Kind::Frontend {
                let text = "tcp-response content is only allowed in 'backend' sections or 'defaults' section with a name";
                b.refuse(Span::default(), text);
            } else {
                tcp_rule(p, Family::Response, w, b);
            }
        }),
    )
    .within(PROXY)
    .doc("A rule that may look at the first bytes of the server."),
    rule("quic-initial", "<action> [if|unless <condition>]", CLIENT),
    P::new(
        "force-persist",
        Words("if|unless <condition>", 0..=ALL, |p, w, b| stick::persistence(p, true, w, b)),
    )
    .within(NAMED)
    .doc("When it holds, a server that is remembered is used although it is down."),
    rule("force-be-switch", "if|unless <condition>", CLIENT_ONLY),
    P::new(
        "ignore-persist",
        Words("if|unless <condition>", 0..=ALL, |p, w, b| stick::persistence(p, false, w, b)),
    )
    .within(NAMED)
    .doc("When it holds, cookies do not lead to servers."),
    sticky("stick match", |p, w, b| stick::stick(p, "match", w, b))
        .doc("Leads to the server that a table remembers for a key."),
    sticky("stick on", |p, w, b| stick::stick(p, "on", w, b))
        .doc("Leads to the server that a table remembers for a key, and remembers it."),
    sticky("stick store-request", |p, w, b| stick::stick(p, "store-request", w, b))
        .doc("Remembers the server for a key of the request."),
    sticky("stick store-response", |p, w, b| stick::stick(p, "store-response", w, b))
        .doc("Remembers the server for a key of its answer."),
    P::new(
        "stick-table",
        Words("type <type> size <size> [param*]", 0..=ALL, stick::stick_table),
    )
    .within(NAMED)
    .doc("What is remembered of keys: servers to stick to, counters, rates."),
];

/// A `stick` rule.
const fn sticky(name: &'static str, read: fn(&mut Draft, &[Word], &mut Binder)) -> P {
    P::new(name, Words("<pattern> [table <t>] [if|unless <condition>]", 0..=ALL, read))
        .within(NAMED)
}

fn acl(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let span = words.first().map_or_else(Span::default, |w| w.span);
    let name = text(words, 0);
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if let Some(bad) = name.chars().find(|c| !valid(*c)) {
        b.refuse(span, format!("character '{bad}' is not permitted in acl name '{name}'."));
        return;
    }
    if name.eq_ignore_ascii_case("or") {
        b.refuse(span, format!("acl name '{name}' will never match. 'or' is used to express a logical disjunction within a condition."));
        return;
    }
    let rest = texts(words.get(1..).unwrap_or_default());
    let mut planned = vec![];
    let context = p.context.clone();
    match test(&context, b, span, &rest, &mut planned) {
        Ok(test) => {
            refuse_planned(b, span, planned);
            p.acls.add(name, test);
        }
        Err(why) => {
            b.refuse(span, format!("error detected while parsing ACL '{name}' : {why}"));
        }
    }
}

fn use_backend(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some(name) = words.first() else {
        b.refuse(Span::default(), "'use_backend' expects a backend name.");
        return;
    };
    let condition = match words.get(1) {
        None => None,
        Some(word) if matches!(word.text.as_str(), "if" | "unless") => {
            let Some(read) = switching(p, &words[1..], &[Place::UseBackend], b) else { return };
            Some(read)
        }
        Some(other) => {
            let text = format!(
                "unexpected keyword '{}' after switching rule, only 'if' and 'unless' are allowed.",
                other.text
            );
            b.refuse(other.span, text);
            return;
        }
    };
    p.rules.switching.push(TargetDraft { at: name.span, target: name.owned(), condition });
}

fn use_server(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some(name) = words.first() else {
        b.refuse(Span::default(), "'use-server' expects a server name.");
        return;
    };
    if !matches!(text(words, 1), "if" | "unless") {
        let text = "'use-server' requires either 'if' or 'unless' followed by a condition.";
        b.refuse(name.span, text);
        return;
    }
    let Some(read) = switching(p, &words[1..], &[Place::UseServer], b) else { return };
    let target = name.owned();
    p.rules.servers.push(TargetDraft { at: name.span, target, condition: Some(read) });
}

fn switching(
    p: &Draft,
    words: &[Word],
    places: &[Place],
    b: &mut Binder,
) -> Option<crate::acl::ConditionDraft> {
    let at = words[0].span;
    let unless = words[0].text == "unless";
    let mut planned = vec![];
    match condition(&p.context, b, &p.acls, unless, &words[1..], &mut planned) {
        Ok(read) => {
            refuse_planned(b, at, planned);
            for text in conflicts(&p.acls, &read, places, "") {
                b.warn(at, text);
            }
            Some(read)
        }
        Err(why) => {
            b.refuse(at, format!("error detected while parsing switching rule : {why}"));
            None
        }
    }
}

fn inspect_delay(
    kind: &str,
    p: &Draft,
    words: &[Word],
    b: &mut Binder,
) -> Option<std::time::Duration> {
    let name = format!("{kind} inspect-delay");
    let whose = match p.kind {
        Kind::Defaults => "'defaults' section".to_owned(),
        _ => format!("proxy '{}'", p.name),
    };
    let Some(word) = words.first() else {
        let problem = Problem::Other(format!(
            "'{name}' expects a positive delay in milliseconds, in {whose}"
        ));
        b.error(Span::default(), problem);
        return None;
    };
    bind_time(b, word, Unit::Millis, &name, |c| {
        format!(
            "'{name}' expects a positive delay in milliseconds, in {whose} (unexpected character '{c}')"
        )
    })
}

/// The actions of rules: known by name.
pub(crate) const ACTIONS: &[A] = &[
    A::new("accept", Form::Known("…"))
        .doc("Accepts the connection: no more rules of this place are asked."),
    A::new("add-header", Form::Known("…")).doc("Adds a header."),
    A::new("allow", Form::Known("…")).doc("No more rules of this place are asked."),
    A::new("auth", Form::Known("…")).doc("Asks for credentials."),
    A::new("del-header", Form::Known("…")).doc("Removes headers of a name."),
    A::new("deny", Form::Known("…")).doc("Answers an error."),
    A::new("expect-proxy", Form::Known("…"))
        .doc("The connection begins with a PROXY header (`layer4`)."),
    A::new("redirect", Form::Known("…")).doc("Answers another place."),
    A::new("reject", Form::Known("…")).doc("Closes the connection."),
    A::new("return", Form::Known("…")).doc("Answers by itself."),
    A::new("set-header", Form::Known("…")).doc("Sets a header."),
    A::new("set-var", Form::Known("…")).doc("Sets a variable."),
    A::new("silent-drop", Form::Known("…"))
        .doc("Forgets the connection without telling the client."),
    A::new("track-sc0", Form::Known("…"))
        .doc("Tracks the entry of a key: it counts this connection."),
    A::new("track-sc1", Form::Known("…")).doc("As `track-sc0`, another counter."),
    A::new("track-sc2", Form::Known("…")).doc("As `track-sc0`, a third counter."),
    A::new("use-service", Form::Known("…"))
        .doc("Answers counters for Prometheus (`prometheus-exporter`)."),
    A::new("add-acl", Form::Known("…")).doc("Adds a pattern to the list of an ACL's file, unless it is there."),
    A::planned("cache-store", "…"),
    A::planned("cache-use", "…"),
    A::new("capture", Form::Known("…")).doc("Keeps a part of a value for later."),
    A::new("close", Form::Known("…")).doc("Closes the connection to the server."),
    A::new("del-acl", Form::Known("…")).doc("Removes a pattern from the list of an ACL's file."),
    A::new("del-map", Form::Known("…")).doc("Removes a key from the list of a map's file."),
    A::new("do-resolve", Form::Known("…"))
        .doc("Asks name servers for the address of a name, and waits for their answer within `inspect-delay` (`tcp-request content`)."),
    A::new("expect-netscaler-cip", Form::Known("…"))
        .doc("The connection begins with a NetScaler's word of its client (`layer4`)."),
    A::new("replace-header", Form::Known("…")).doc("Replaces values of a header."),
    A::new("replace-path", Form::Known("…")).doc("Replaces the path."),
    A::new("replace-pathq", Form::Known("…")).doc("Replaces path and query."),
    A::new("replace-uri", Form::Known("…")).doc("Replaces the target."),
    A::new("replace-value", Form::Known("…")).doc("Replaces elements of a header."),
    A::new("sc-add-gpc", Form::Known("…")).doc("Adds to a general counter of what is tracked."),
    A::new("sc-inc-gpc", Form::Known("…")).doc("Adds one to a general counter of what is tracked."),
    A::new("sc-inc-gpc0", Form::Known("…"))
        .doc("Adds one to the first general counter of what is tracked."),
    A::new("sc-inc-gpc1", Form::Known("…"))
        .doc("Adds one to the second general counter of what is tracked."),
    A::new("sc-set-gpt", Form::Known("…")).doc("Sets a tag of what is tracked."),
    A::new("sc-set-gpt0", Form::Known("…")).doc("Sets the tag of what is tracked."),
    A::new("set-dst", Form::Known("…")).doc("Sets the address the client connected to."),
    A::new("set-dst-port", Form::Known("…")).doc("Sets the port the client connected to."),
    A::new("set-log-level", Form::Known("…"))
        .doc("Sets the severity of the connection's log line, or `silent`."),
    A::new("set-map", Form::Known("…")).doc("Sets the value of a key in the list of a map's file, or adds it."),
    A::new("set-mark", Form::Known("…")).doc("Sets the mark of packets to the client (SO_MARK)."),
    A::new("set-method", Form::Known("…")).doc("Sets the method."),
    A::accepted("set-nice", "…", "no connection has priority over another here"),
    A::new("set-path", Form::Known("…")).doc("Sets the path."),
    A::new("set-pathq", Form::Known("…")).doc("Sets path and query."),
    A::new("set-priority-class", Form::Known("…")).doc("Its class in queues: the lowest is served first (-2047 to 2047)."),
    A::new("set-priority-offset", Form::Known("…")).doc("As if it had come so many milliseconds later, or earlier (-524287 to 524287), for queues."),
    A::new("set-query", Form::Known("…")).doc("Sets the query."),
    A::new("set-src", Form::Known("…")).doc("Sets the client's address."),
    A::new("set-src-port", Form::Known("…")).doc("Sets the client's port."),
    A::new("set-status", Form::Known("…")).doc("Sets the status of an answer."),
    A::new("set-timeout", Form::Known("…")).doc("Sets a timeout of the session in milliseconds: `client`, `connect`, `queue`, `server`, `tarpit`, `tunnel`."),
    A::new("set-tos", Form::Known("…"))
        .doc("Sets the type of service of packets to the client (IP_TOS, IPV6_TCLASS)."),
    A::new("set-uri", Form::Known("…")).doc("Sets the target."),
    A::new("set-var-fmt", Form::Known("…")).doc("Sets a variable to what a format stands for."),
    A::accepted("strict-mode", "…", "a rewriting here succeeds or leaves its message as it was"),
    A::new("tarpit", Form::Known("…")).doc("Answers an error, late."),
    A::new("unset-var", Form::Known("…")).doc("Removes a variable."),
    A::planned("wait-for-body", "…"),
    A::accepted("disable-l7-retry", "…", "requests are not repeated here"),
    A::planned("do-log", "…"),
    A::planned("early-hint", "…"),
    A::planned("normalize-uri", "…"),
    A::planned("pause", "…"),
    A::planned("send-spoe-group", "…"),
    A::planned("set-bandwidth-limit", "…"),
    A::new("set-bc-mark", Form::Known("…")).doc("Sets the mark of packets to the server (SO_MARK)."),
    A::new("set-bc-tos", Form::Known("…")).doc("Sets the type of service of packets to the server (IP_TOS, IPV6_TCLASS)."),
    A::new("set-fc-mark", Form::Known("…"))
        .doc("Sets the mark of packets to the client (SO_MARK)."),
    A::new("set-fc-tos", Form::Known("…"))
        .doc("Sets the type of service of packets to the client (IP_TOS, IPV6_TCLASS)."),
    A::new("set-retries", Form::Known("…")).doc("How many connects are repeated (1 to 100)."),
    A::planned("switch-mode", "…"),
    A::accepted("wait-for-handshake", "…", "a request is read once the handshake is over"),
    A::planned("add-headers-bin", "…"),
    A::planned("attach-srv", "…"),
    A::planned("del-headers-bin", "…"),
    A::planned("dgram-drop", "…"),
    A::planned("send-retry", "…"),
    A::planned("set-headers-bin", "…"),
    A::new("track-sc", Form::Known("…"))
        .doc("As `track-sc0`; with a number, one of `tune.stick-counters`."),
];
