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

/// A keyword of a section.
const fn row(name: &'static str, why: &'static str) -> N {
    N { within: Within(u32::MAX), ..N::accepted(name, "…", why) }
}

const HTTP: &str = "HTTP only, and HTTP is not served yet";
const PEERS: &str = "has an effect through stick tables only, which are refused";
const RESOLVERS: &str = "has an effect through `server … resolvers` only, which is refused";
const MAILERS: &str = "has an effect through `email-alert` only, which is refused";
const RING: &str = "has an effect through `log ring@…` only, which is refused";
const REFUSED: &str = "the section is refused as a whole";

/// The sections beside `global`, `defaults`, `frontend`, `listen` and `backend`.
pub(crate) const SECTIONS: &[Section] = &[
    passive(
        "resolvers",
        &[
            row("accepted_payload_size", RESOLVERS),
            row("hold", RESOLVERS),
            row("nameserver", RESOLVERS),
            row("parse-resolv-conf", RESOLVERS),
            row("resolve_retries", RESOLVERS),
            row("timeout", RESOLVERS),
        ],
    ),
    passive(
        "peers",
        &[
            row("bind", PEERS),
            row("default-bind", PEERS),
            row("default-server", PEERS),
            row("disabled", PEERS),
            row("enabled", PEERS),
            row("log", PEERS),
            row("peer", PEERS),
            row("server", PEERS),
            row("shards", PEERS),
            row("table", PEERS),
        ],
    ),
    Section { said: "users", ..passive("userlist", &[row("group", HTTP), row("user", HTTP)]) },
    passive("mailers", &[row("mailer", MAILERS), row("timeout", MAILERS)]),
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
            row("backing-file", RING),
            row("description", RING),
            row("format", RING),
            row("maxlen", RING),
            row("server", RING),
            row("size", RING),
            row("timeout", RING),
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
            row("backlog", REFUSED),
            row("bind", REFUSED),
            row("dgram-bind", REFUSED),
            row("log", REFUSED),
            row("maxconn", REFUSED),
            row("option", REFUSED),
            row("timeout", REFUSED),
        ],
    ),
    active(
        "program",
        &[
            row("command", REFUSED),
            row("group", REFUSED),
            row("no", REFUSED),
            row("option", REFUSED),
            row("user", REFUSED),
        ],
    ),
    active("namespace_list", &[row("namespace", REFUSED)]),
    active(
        "crt-store",
        &[
            row("alias", REFUSED),
            row("crt", REFUSED),
            row("domains", REFUSED),
            row("issuer", REFUSED),
            row("key", REFUSED),
            row("ocsp", REFUSED),
            row("ocsp-update", REFUSED),
            row("sctl", REFUSED),
            row("acme", REFUSED),
            row("bits", REFUSED),
            row("curves", REFUSED),
            row("generate-dummy", REFUSED),
            row("ips", REFUSED),
            row("jwt", REFUSED),
            row("keytype", REFUSED),
            row("crt-base", REFUSED),
            row("key-base", REFUSED),
            row("load", REFUSED),
        ],
    ),
    active(
        "acme",
        &[
            row("challenge-ready", REFUSED),
            row("dns-delay", REFUSED),
            row("dns-timeout", REFUSED),
            row("eab-key-id", REFUSED),
            row("eab-mac-alg", REFUSED),
            row("eab-mac-key", REFUSED),
            row("profile", REFUSED),
            row("account-key", REFUSED),
            row("acme-vars", REFUSED),
            row("bits", REFUSED),
            row("challenge", REFUSED),
            row("contact", REFUSED),
            row("curves", REFUSED),
            row("directory", REFUSED),
            row("keytype", REFUSED),
            row("map", REFUSED),
            row("provider-name", REFUSED),
            row("reuse-key", REFUSED),
        ],
    ),
    active("traces", &[row("default-sink", REFUSED), row("trace", REFUSED)]),
    active("log-profile", &[row("log-tag", REFUSED), row("on", REFUSED)]),
    active(
        "healthcheck",
        &[row("http-check", REFUSED), row("tcp-check", REFUSED), row("type", REFUSED)],
    ),
];
