//! Sections beside `global` and the proxies.

use conf::{Keyword, Within};

/// What a section beside the proxies fills in: nothing yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Nothing;

type N = Keyword<Nothing>;

/// A section with a table of its own.
pub(crate) struct Section {
    /// As the file has it.
    pub(crate) name: &'static str,
    /// As HAProxy's complaints have it.
    pub(crate) said: &'static str,
    /// Whether the whole section is refused as not built.
    pub(crate) planned: bool,
    /// Whether it must have a name.
    pub(crate) named: bool,
    /// Its keywords.
    pub(crate) table: &'static [N],
}

/// Sections that act only through keywords that are refused.
const fn passive(name: &'static str, table: &'static [N]) -> Section {
    Section { name, said: name, planned: false, named: true, table }
}

/// Sections that act by themselves, and are refused.
const fn active(name: &'static str, table: &'static [N]) -> Section {
    Section { name, said: name, planned: true, named: false, table }
}

/// A keyword of a section that is refused as a whole.
const fn later(name: &'static str) -> N {
    N::planned(name, "…")
}

/// A keyword of a section.
const fn row(name: &'static str, why: &'static str) -> N {
    N { within: Within(u32::MAX), ..N::accepted(name, "…", why) }
}

/// A keyword its section's reader looks at by itself.
const fn done(name: &'static str, usage: &'static str, doc: &'static str) -> N {
    N { within: Within(u32::MAX), ..N::new(name, conf::Form::Known(usage)).doc(doc) }
}

const ACME: &str = "the section is refused, as HAProxy does where experiments are not allowed";
const PROGRAM: &str = "the section is refused, as HAProxy does since 3.2";
const TRACES: &str = "HAProxy's own engine has them";
const HTTP: &str = "a part of HTTP that is not served";

/// The sections beside `global`, `defaults`, `frontend`, `listen` and `backend`.
pub(crate) const SECTIONS: &[Section] = &[
    passive(
        "resolvers",
        &[
            done("accepted_payload_size", "<bytes>", "The largest answer over UDP; 512."),
            done(
                "hold",
                "<kind of answer> <time>",
                "How long after a good answer another kind changes nothing.",
            ),
            done(
                "nameserver",
                "<name> [udp@]<address>:<port>",
                "A name server; all are asked at once.",
            ),
            done("parse-resolv-conf", "", "The name servers of /etc/resolv.conf."),
            done(
                "resolve_retries",
                "<count>",
                "Questions without an answer before the name counts as silent; 3.",
            ),
            done(
                "timeout",
                "resolve|retry <time>",
                "From one good answer to the next question; how long an answer is waited for; both 1s.",
            ),
        ],
    ),
    // Its keywords are in `peers`.
    passive("peers", &[]),
    Section {
        said: "userlist",
        ..passive(
            "userlist",
            &[
                done("group", "<name> [users <users>]", "A group of users."),
                done(
                    "user",
                    "<name> insecure-password <password> [groups <groups>]",
                    "A user; passwords that are encrypted (`password`) are refused.",
                ),
            ],
        )
    },
    passive(
        "mailers",
        &[
            done("mailer", "<name> <ip>:<port>", "A relay that is handed mail about servers."),
            done("timeout", "mail <time>", "How long handing one over may take; 10s."),
        ],
    ),
    passive(
        "cache",
        &[
            row("early-hints", HTTP),
            row("max-age", HTTP),
            row("max-object-size", HTTP),
            row("max-secondary-entries", HTTP),
            row("process-vary", HTTP),
            row("total-max-size", HTTP),
        ],
    ),
    passive(
        "ring",
        &[
            later("backing-file"),
            done("description", "<text>", "What `show events` says of it."),
            done("format", "<format>", "How lines are framed whose `log` line does not say; raw."),
            done("maxlen", "<bytes>", "The longest line; 1024."),
            done(
                "server",
                "<name> <address>:<port> [log-proto legacy|octet-count]",
                "Who is sent every line, over TCP.",
            ),
            done("size", "<bytes>", "How much it holds; 16384."),
            done("timeout", "connect|server <time>", "How long connecting may take."),
        ],
    ),
    passive("http-errors", &[row("errorfile", HTTP)]),
    passive(
        "fcgi-app",
        &[
            row("acl", HTTP),
            row("docroot", HTTP),
            row("index", HTTP),
            row("log-stderr", HTTP),
            row("no", HTTP),
            row("option", HTTP),
            row("pass-header", HTTP),
            row("path-info", HTTP),
            row("set-param", HTTP),
        ],
    ),
    active(
        "log-forward",
        &[
            later("backlog"),
            later("bind"),
            later("dgram-bind"),
            later("log"),
            later("maxconn"),
            later("option"),
            later("timeout"),
        ],
    ),
    Section {
        named: false,
        ..passive(
            "program",
            &[
                row("command", PROGRAM),
                row("group", PROGRAM),
                row("no", PROGRAM),
                row("option", PROGRAM),
                row("user", PROGRAM),
            ],
        )
    },
    Section {
        named: false,
        ..passive(
            "namespace_list",
            &[done("namespace", "<name>", "A network namespace that must be there at the start.")],
        )
    },
    Section {
        named: false,
        ..passive(
            "crt-store",
            &[
                done("crt-base", "<dir>", "Directory of certificates written without one."),
                done("key-base", "<dir>", "Directory of keys written without one."),
                done(
                    "load",
                    "crt <file> [key <file>] [alias <name>]",
                    "A certificate that `crt @store/name` means, by its alias or its file.",
                ),
                later("alias"),
                later("crt"),
                later("domains"),
                later("issuer"),
                later("key"),
                later("ocsp"),
                later("ocsp-update"),
                later("sctl"),
                later("acme"),
                later("bits"),
                later("curves"),
                later("generate-dummy"),
                later("ips"),
                later("jwt"),
                later("keytype"),
            ],
        )
    },
    Section {
        named: false,
        ..passive(
            "acme",
            &[
                row("challenge-ready", ACME),
                row("dns-delay", ACME),
                row("dns-timeout", ACME),
                row("eab-key-id", ACME),
                row("eab-mac-alg", ACME),
                row("eab-mac-key", ACME),
                row("profile", ACME),
                row("account-key", ACME),
                row("acme-vars", ACME),
                row("bits", ACME),
                row("challenge", ACME),
                row("contact", ACME),
                row("curves", ACME),
                row("directory", ACME),
                row("keytype", ACME),
                row("map", ACME),
                row("provider-name", ACME),
                row("reuse-key", ACME),
            ],
        )
    },
    Section {
        named: false,
        ..passive("traces", &[row("default-sink", TRACES), row("trace", TRACES)])
    },
    active("log-profile", &[later("log-tag"), later("on")]),
    active("healthcheck", &[later("http-check"), later("tcp-check"), later("type")]),
];
