//! `option mysql-check` and its like, `email-alert`, and what `server` lines say of checks.

use check::{Known, MysqlUser, OnError};
use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Span, Word};

use super::server::{delay, refuse};
use super::{PROXY, SERVER, text};
use crate::address::plain_ip;
use crate::draft::{CheckOption, Draft, Observe, ServerDraft};
use crate::lexer::bytes_of;
use crate::number::{leading, surplus};
use crate::say::Complain;

type P = Keyword<Draft>;
type S = Keyword<ServerDraft>;

const ALL: usize = usize::MAX;

fn at(words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

/// A check without arguments.
fn plain(p: &mut Draft, name: &str, words: &[Word], b: &mut Binder, known: CheckOption) {
    if !surplus(b, name, words, 0) {
        p.check = known;
    }
}

/// Options and keywords of proxies.
pub(crate) const TABLE: &[P] = &[
    P::new(
        "option ssl-hello-chk",
        Words("", 0..=ALL, |p, w, b| {
            plain(p, "option ssl-hello-chk", w, b, CheckOption::Known(Known::SslHello));
        }),
    )
    .within(SERVER)
    .doc("Checks say hello in SSL 3.0; a handshake or an alert is an answer."),
    P::new(
        "option redis-check",
        Words("", 0..=ALL, |p, w, b| {
            plain(p, "option redis-check", w, b, CheckOption::Known(Known::Redis));
        }),
    )
    .within(SERVER)
    .doc("Checks say `PING` to Redis."),
    P::new(
        "option ldap-check",
        Words("", 0..=ALL, |p, w, b| {
            plain(p, "option ldap-check", w, b, CheckOption::Known(Known::Ldap));
        }),
    )
    .within(SERVER)
    .doc("Checks bind anonymously by LDAP."),
    P::new(
        "option external-check",
        Words("", 0..=ALL, |p, w, b| {
            plain(p, "option external-check", w, b, CheckOption::External);
        }),
    )
    .within(SERVER)
    .doc("Checks run `external-check command`."),
    P::new("option mysql-check", Words("[user <name> [pre-41|post-41]]", 0..=ALL, mysql))
        .within(SERVER)
        .doc("Checks read the greeting of MySQL, and log in."),
    P::new(
        "option pgsql-check",
        Words("user <name>", 0..=ALL, |p, w, b| {
            if text(w, 0) != "user" || text(w, 1).is_empty() {
                b.refuse(at(w), "'option pgsql-check' expects 'user <username>' as argument.");
                return;
            }
            let known = Known::Postgres { user: w[1].owned() };
            if !surplus(b, "option pgsql-check", w, 2) {
                p.check = CheckOption::Known(known);
            }
        }),
    )
    .within(SERVER)
    .doc("Checks begin a session of PostgreSQL."),
    P::new(
        "option smtpchk",
        Words("[<hello> <domain>]", 0..=ALL, |p, w, b| {
            // Anything else than these two is as nothing.
            let hello = match (text(w, 0), text(w, 1)) {
                (hello @ ("EHLO" | "HELO"), domain) if !domain.is_empty() => {
                    format!("{hello} {domain}")
                }
                _ => "HELO localhost".to_owned(),
            };
            if !surplus(b, "option smtpchk", w, 2) {
                p.check = CheckOption::Known(Known::Smtp { hello });
            }
        }),
    )
    .within(SERVER)
    .doc("Checks say hello by SMTP; `HELO localhost` where nothing is given."),
    P::planned("option spop-check", "").within(SERVER),
    P::new("retry-on", Words("<event>…", 0..=ALL, retry_on))
        .within(SERVER)
        .status(conf::Status::Accepted(
            "connects are retried, or with `none` are not; answers of HTTP never",
        ))
        .default("conn-failure"),
    P::new(
        "email-alert",
        Words("<keyword> <value>", 0..=ALL, |_, w, b| {
            match text(w, 0) {
                "" => b.refuse(at(w), "missing argument after 'email-alert'."),
                other => b.refuse(at(w), format!("email-alert: unknown argument '{other}'.")),
            };
        }),
    )
    .within(PROXY)
    .doc("See the rows below."),
    P::new(
        "email-alert from",
        Words("<address>", 0..=ALL, |p, w, b| {
            match w.first() {
                Some(word) => alert(p).from = Some(word.text.clone()),
                None => {
                    b.refuse(at(w), "missing argument after 'from'.");
                }
            };
        }),
    )
    .within(PROXY)
    .doc("Who sends mail about servers."),
    P::new(
        "email-alert to",
        Words("<address>", 0..=ALL, |p, w, b| {
            match w.first() {
                Some(word) => alert(p).to = Some(word.text.clone()),
                None => {
                    b.refuse(at(w), "missing argument after 'to'.");
                }
            };
        }),
    )
    .within(PROXY)
    .doc("Who gets it."),
    P::new(
        "email-alert mailers",
        Words("<section>", 0..=ALL, |p, w, b| {
            match w.first() {
                Some(word) => alert(p).mailers = Some(word.text.clone()),
                None => {
                    b.refuse(at(w), "missing argument after 'mailers'.");
                }
            };
        }),
    )
    .within(PROXY)
    .doc("Through which relays."),
    P::new(
        "email-alert myhostname",
        Words("<name>", 0..=ALL, |p, w, b| {
            match w.first() {
                Some(word) => alert(p).host = Some(word.text.clone()),
                None => {
                    b.refuse(at(w), "missing argument after 'myhostname'.");
                }
            };
        }),
    )
    .within(PROXY)
    .doc("What the relays are told our name is."),
    P::new(
        "email-alert level",
        Words("<level>", 0..=ALL, |p, w, b| {
            match proxy::Severity::NAMES.iter().position(|known| *known == text(w, 0)) {
                Some(at) => alert(p).level = Some(proxy::Severity::ALL[at]),
                None => {
                    let got = text(w, 0);
                    b.refuse(at(w), format!("unknown log level '{got}' after 'level'"));
                }
            }
        }),
    )
    .within(PROXY)
    .doc("Which lines are sent: those of this level and above."),
];

/// What makes HAProxy try again.
const RETRIED: &[&str] = &[
    "none",
    "conn-failure",
    "empty-response",
    "response-timeout",
    "0rtt-rejected",
    "junk-response",
    "all-retryable-errors",
    "401",
    "403",
    "404",
    "408",
    "421",
    "425",
    "429",
    "500",
    "501",
    "502",
    "503",
    "504",
];

fn retry_on(p: &mut Draft, words: &[Word], b: &mut Binder) {
    if words.is_empty() {
        b.refuse(at(words), "'retry-on' needs at least one keyword to specify when to retry");
        return;
    }
    for word in words {
        if !RETRIED.contains(&word.text.as_str()) {
            b.refuse(word.span, format!("'retry-on': unknown keyword '{}'", word.text));
            return;
        }
        if word.text == "none" && words.len() > 1 {
            b.refuse(word.span, "'retry-on' 'none' keyword only usable alone");
            return;
        }
    }
    let connects = ["conn-failure", "all-retryable-errors"];
    p.checks.no_retries = !words.iter().any(|word| connects.contains(&word.text.as_str()));
}

fn alert(p: &mut Draft) -> &mut super::check_words::EmailDraft {
    p.checks.email.wanted = true;
    &mut p.checks.email
}

fn mysql(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let [keyword, rest @ ..] = words else {
        p.check = CheckOption::Known(Known::Mysql(None));
        return;
    };
    if keyword.text != "user" {
        let got = &keyword.text;
        b.refuse(
            keyword.span,
            format!("'option mysql-check' only supports optional values: 'user' (got '{got}')."),
        );
        return;
    }
    let Some(name) = rest.first() else {
        b.refuse(keyword.span, "'option mysql-check user' expects <username> as argument.");
        return;
    };
    let pre_41 = match text(rest, 1) {
        "" | "post-41" => false,
        "pre-41" => true,
        got => {
            b.refuse(
                rest[1].span,
                format!("keyword 'user' only supports 'post-41' and 'pre-41' (got '{got}')."),
            );
            return;
        }
    };
    if !surplus(b, "option mysql-check", words, 3) {
        let user = MysqlUser { name: name.owned(), pre_41 };
        p.check = CheckOption::Known(Known::Mysql(Some(user)));
    }
}

/// Parameters of `server` and `default-server`.
pub(crate) const SERVERS: &[S] = &[
    S::new("agent-check", Flag(|s| s.agent_checked = true))
        .doc("Asks a program beside the server how it is."),
    S::new("no-agent-check", Flag(|s| s.agent_checked = false)),
    S::new("agent-inter", Words("<time>", 0..=1, |s, w, b| {
        if let Some(time) = delay(s, b, "agent-inter", w) {
            s.agent.inter = time;
        }
    }))
    .default("2s")
    .doc("Time between two questions."),
    S::new("agent-port", Words("<port>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'agent-port' expects a port number as argument.."),
        // HAProxy keeps the low bits of whatever is there.
        Some(word) => s.agent.port = leading(&word.text).0 as u16,
    }))
    .doc("Where it listens."),
    S::new("agent-addr", Words("<ip>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'agent-addr' expects an address as argument.."),
        Some(word) => match plain_ip(&s.context.clone(), &word.text) {
            Ok(ip) => s.agent.addr = Some(ip),
            Err(_) => {
                let text = &word.text;
                refuse(b, w, &format!("parsing agent-addr failed. Check if '{text}' is correct address.."));
            }
        },
    }))
    .doc("The address it has, if not the server's."),
    S::new("agent-send", Words("<text>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'agent-send' expects a string as argument.."),
        Some(word) => s.agent.send = bytes_of(&word.text),
    }))
    .doc("What it is told first."),
    S::new("check-proto", Words("<name>", 0..=1, |s, w, b| match text(w, 0) {
        "" => refuse(b, w, "'check-proto' : missing value."),
        "none" => s.check_proto = Some("none"),
        "h1" => s.check_proto = Some("h1"),
        "fcgi" => s.check_proto = Some("fcgi"),
        "h2" => s.check_proto = Some("h2"),
        other => refuse(b, w, &format!("'check-proto' :  unknown MUX protocol '{other}'.")),
    }))
    .doc("What HTTP checks speak: `h1`."),
    S::new("track", Words("[<backend>/]<server>", 0..=1, |s, w, b| match text(w, 0) {
        "" => refuse(b, w, "'track' expects [<proxy>/]<server> as argument.."),
        name => s.track = Some(name.to_owned()),
    }))
    .doc("Has the state of another server."),
    S::new("observe", Words("none|layer4|layer7", 0..=1, |s, w, b| match text(w, 0) {
        "" => refuse(b, w, "'observe' expects <mode> as argument.."),
        "none" => s.observe = Observe::Nothing,
        "layer4" => s.observe = Observe::Layer4,
        "layer7" => s.observe = Observe::Layer7,
        got => refuse(b, w, &format!("'observe' expects one of 'none', 'layer4', 'layer7' but got '{got}'.")),
    }))
    .default("none")
    .doc("Sessions that go wrong count as well."),
    S::new("error-limit", Words("<count>", 0..=1, |s, w, b| {
        if w.is_empty() {
            return refuse(b, w, "'error-limit' expects an integer argument..");
        }
        match u32::try_from(leading(&w[0].text).0).ok().filter(|n| *n > 0) {
            Some(limit) => s.error_limit = limit,
            None => refuse(b, w, "error-limit has to be > 0.."),
        }
    }))
    .default("10")
    .doc("How many in a row are too many."),
    S::new("on-error", Words("fastinter|fail-check|sudden-death|mark-down", 0..=1, |s, w, b| {
        s.on_error = match text(w, 0) {
            "fastinter" => OnError::FastInter,
            "fail-check" => OnError::FailCheck,
            "sudden-death" => OnError::SuddenDeath,
            "mark-down" => OnError::MarkDown,
            got => {
                return refuse(b, w, &format!("'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or 'mark-down' but got '{got}'."));
            }
        };
    }))
    .default("fail-check")
    .doc("What too many do."),
    S::new("init-state", Words("fully-up|up|down|fully-down", 0..=1, |s, w, b| {
        s.check.init_state = match text(w, 0) {
            "fully-up" => check::InitState::FullyUp,
            "up" => check::InitState::Up,
            "down" => check::InitState::Down,
            "fully-down" => check::InitState::FullyDown,
            got => {
                return refuse(b, w, &format!("'init-state' expects one of 'fully-up', 'up', 'down', or 'fully-down' but got '{got}'"));
            }
        };
    }))
    .default("up")
    .doc("How the server begins."),
    S::new("check-via-socks4", Flag(|s| {
        s.server.outbound.get_or_insert_default().checks_via_socks4 = true;
    }))
    .doc("Checks go through the `socks4` proxy as well."),
];

/// An agent nobody has described yet.
pub(crate) fn agent() -> check::Agent {
    check::Agent {
        inter: std::time::Duration::from_secs(2),
        addr: None,
        port: 0,
        send: Vec::new(),
        timeout_connect: None,
        timeout_check: None,
    }
}
