//! ACLs, rules, stickiness and switching: known, and not built yet.

use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Span, Status, Unit, Within, Word};

use super::{CLIENT, CLIENT_ONLY, NAMED, PROXY, SERVER, SERVER_ONLY, text};
use crate::draft::Draft;
use crate::number::bind_time;
use crate::say::Complain;

type P = Keyword<Draft>;
type A = Keyword<()>;

const ALL: usize = usize::MAX;

/// A rule; all of them are refused as a whole.
const fn rule(name: &'static str, usage: &'static str, within: Within) -> P {
    P::planned(name, usage).within(within)
}

/// Rules.
pub(crate) const TABLE: &[P] = &[
    P::new("acl", Words("<name> <criterion> [flags] [operator] <value>…", 0..=ALL, acl))
        .within(PROXY)
        .status(Status::Planned),
    P::new(
        "use_backend",
        Words("<backend> [if|unless <condition>]", 0..=ALL, |p, w, b| {
            let Some(name) = w.first() else {
                b.refuse(Span::default(), "'use_backend' expects a backend name.");
                return;
            };
            if !name.text.contains('%') {
                p.use_backends.push(name.owned());
            }
        }),
    )
    .within(CLIENT_ONLY)
    .status(Status::Planned)
    .doc("Sends connections that meet a condition elsewhere."),
    P::new(
        "tcp-request inspect-delay",
        Words("<time>", 0..=ALL, |_, w, b| inspect_delay("tcp-request", w, b)),
    )
    .within(PROXY)
    .status(Status::Accepted("nothing inspects content: the rules that do are refused")),
    P::new(
        "tcp-response inspect-delay",
        Words("<time>", 0..=ALL, |_, w, b| inspect_delay("tcp-response", w, b)),
    )
    .within(SERVER)
    .status(Status::Accepted("nothing inspects content: the rules that do are refused")),
    rule("tcp-request connection", "<action> [if|unless <condition>]", CLIENT),
    rule("tcp-request content", "<action> [if|unless <condition>]", PROXY),
    rule("tcp-request session", "<action> [if|unless <condition>]", CLIENT),
    rule("tcp-response content", "<action> [if|unless <condition>]", SERVER),
    rule("quic-initial", "<action> [if|unless <condition>]", CLIENT),
    rule("force-persist", "if|unless <condition>", NAMED),
    rule("force-be-switch", "if|unless <condition>", CLIENT_ONLY),
    rule("ignore-persist", "if|unless <condition>", NAMED),
    rule("stick match", "<pattern> [table <t>] [if|unless <condition>]", SERVER_ONLY),
    rule("stick on", "<pattern> [table <t>] [if|unless <condition>]", SERVER_ONLY),
    rule("stick store-request", "<pattern> [table <t>] [if|unless <condition>]", SERVER_ONLY),
    rule("stick store-response", "<pattern> [table <t>] [if|unless <condition>]", SERVER_ONLY),
    rule("stick-table", "type <type> size <size> [param…]", NAMED),
    rule("use-server", "<server> if|unless <condition>", SERVER_ONLY),
];

/// `acl`: refused, but a name HAProxy refuses is refused with its words.
fn acl(_: &mut Draft, words: &[Word], b: &mut Binder) {
    let span = words.first().map_or_else(Span::default, |w| w.span);
    let name = text(words, 0);
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if let Some(bad) = name.chars().find(|c| !valid(*c)) {
        b.refuse(span, format!("character '{bad}' is not permitted in acl name '{name}'."));
    } else if name.eq_ignore_ascii_case("or") {
        b.refuse(span, format!("acl name '{name}' will never match. 'or' is used to express a logical disjunction within a condition."));
    }
}

fn inspect_delay(kind: &str, words: &[Word], b: &mut Binder) {
    let name = format!("{kind} inspect-delay");
    let Some(word) = words.first() else {
        let problem = Problem::Other(format!(
            "'{name}' expects a positive delay in milliseconds, in 'defaults' section (no default value)"
        ));
        b.error(Span::default(), problem);
        return;
    };
    bind_time(b, word, Unit::Millis, &name, |c| {
        format!("'{name}' expects a positive delay in milliseconds (unexpected character '{c}')")
    });
}

/// The actions of rules: known by name.
pub(crate) const ACTIONS: &[A] = &[
    A::planned("accept", "…"),
    A::planned("add-header", "…"),
    A::planned("allow", "…"),
    A::planned("auth", "…"),
    A::planned("del-header", "…"),
    A::planned("deny", "…"),
    A::planned("expect-proxy", "…"),
    A::planned("redirect", "…"),
    A::planned("reject", "…"),
    A::planned("return", "…"),
    A::planned("set-header", "…"),
    A::planned("set-var", "…"),
    A::planned("silent-drop", "…"),
    A::planned("track-sc0", "…"),
    A::planned("track-sc1", "…"),
    A::planned("track-sc2", "…"),
    A::planned("use-service", "…"),
    A::planned("add-acl", "…"),
    A::planned("cache-store", "…"),
    A::planned("cache-use", "…"),
    A::planned("capture", "…"),
    A::planned("close", "…"),
    A::planned("del-acl", "…"),
    A::planned("del-map", "…"),
    A::planned("do-resolve", "…"),
    A::planned("expect-netscaler-cip", "…"),
    A::planned("replace-header", "…"),
    A::planned("replace-path", "…"),
    A::planned("replace-pathq", "…"),
    A::planned("replace-uri", "…"),
    A::planned("replace-value", "…"),
    A::planned("sc-add-gpc", "…"),
    A::planned("sc-inc-gpc", "…"),
    A::planned("sc-inc-gpc0", "…"),
    A::planned("sc-inc-gpc1", "…"),
    A::planned("sc-set-gpt", "…"),
    A::planned("sc-set-gpt0", "…"),
    A::planned("set-dst", "…"),
    A::planned("set-dst-port", "…"),
    A::planned("set-log-level", "…"),
    A::planned("set-map", "…"),
    A::planned("set-mark", "…"),
    A::planned("set-method", "…"),
    A::planned("set-nice", "…"),
    A::planned("set-path", "…"),
    A::planned("set-pathq", "…"),
    A::planned("set-priority-class", "…"),
    A::planned("set-priority-offset", "…"),
    A::planned("set-query", "…"),
    A::planned("set-src", "…"),
    A::planned("set-src-port", "…"),
    A::planned("set-status", "…"),
    A::planned("set-timeout", "…"),
    A::planned("set-tos", "…"),
    A::planned("set-uri", "…"),
    A::planned("set-var-fmt", "…"),
    A::planned("strict-mode", "…"),
    A::planned("tarpit", "…"),
    A::planned("unset-var", "…"),
    A::planned("wait-for-body", "…"),
    A::planned("disable-l7-retry", "…"),
    A::planned("do-log", "…"),
    A::planned("early-hint", "…"),
    A::planned("normalize-uri", "…"),
    A::planned("pause", "…"),
    A::planned("send-spoe-group", "…"),
    A::planned("set-bandwidth-limit", "…"),
    A::planned("set-bc-mark", "…"),
    A::planned("set-bc-tos", "…"),
    A::planned("set-fc-mark", "…"),
    A::planned("set-fc-tos", "…"),
    A::planned("set-retries", "…"),
    A::planned("switch-mode", "…"),
    A::planned("wait-for-handshake", "…"),
    A::planned("add-headers-bin", "…"),
    A::planned("attach-srv", "…"),
    A::planned("del-headers-bin", "…"),
    A::planned("dgram-drop", "…"),
    A::planned("send-retry", "…"),
    A::planned("set-headers-bin", "…"),
    A::planned("track-sc", "…"),
];
