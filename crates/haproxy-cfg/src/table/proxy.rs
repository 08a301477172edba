//! `defaults`, `frontend`, `listen` and `backend`: what has no file of its own.

use balance::{Algorithm, HashFunction, HashType};
use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Severity, Span, Unit, Word};
use proxy::{Mode, Outbound};

use super::global::join;
use super::{
    CLIENT, CLIENT_ONLY, NAMED, PROXY, SERVER, SERVER_ONLY, bind, server, server_transport, text,
};
use crate::draft::{Draft, Kind};
use crate::number::{bind_time, leading, limit, surplus};
use crate::say::{Complain, TIGHT};

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;

/// The rows that have no file of their own.
pub(crate) const TABLE: &[P] = &[
    P::new("backlog", Words("<number>", 0..=ALL, |p, w, b| {
        if let Some(word) = one(b, "backlog", "expects an integer argument", w) {
            p.front.backlog = limit(b, "backlog", &word);
        }
    }))
    .within(CLIENT)
    .doc("Length of the kernel's queue; `maxconn` if absent."),
    P::new("balance", Words("<algorithm>", 0..=ALL, balance))
        .within(SERVER)
        .doc("How a server is picked: roundrobin where nothing is said."),
    P::new("bind", Words("[<address>]:<ports>[,…] [param…]", 0..=ALL, bind::bind))
        .within(CLIENT_ONLY)
        .doc("Where connections arrive."),
    P::new("clitcpka-cnt", Words("<count>", 0..=ALL, |p, w, b| {
        p.tcpka.client_timers.count = keepalive_count(b, "clitcpka-cnt", w);
    }))
    .within(CLIENT)
    .doc("Unanswered probes until a client is gone (TCP_KEEPCNT)."),
    P::new("clitcpka-idle", Words("<time>", 0..=ALL, |p, w, b| {
        p.tcpka.client_timers.idle = keepalive_time(b, "clitcpka-idle", w);
    }))
    .within(CLIENT)
    .doc("Silence until the first probe (TCP_KEEPIDLE)."),
    P::new("clitcpka-intvl", Words("<time>", 0..=ALL, |p, w, b| {
        p.tcpka.client_timers.interval = keepalive_time(b, "clitcpka-intvl", w);
    }))
    .within(CLIENT)
    .doc("Time between probes (TCP_KEEPINTVL)."),
    P::new("srvtcpka-cnt", Words("<count>", 0..=ALL, |p, w, b| {
        p.tcpka.server_timers.count = keepalive_count(b, "srvtcpka-cnt", w);
    }))
    .within(SERVER)
    .doc("Unanswered probes until a server is gone (TCP_KEEPCNT)."),
    P::new("srvtcpka-idle", Words("<time>", 0..=ALL, |p, w, b| {
        p.tcpka.server_timers.idle = keepalive_time(b, "srvtcpka-idle", w);
    }))
    .within(SERVER)
    .doc("Silence until the first probe (TCP_KEEPIDLE)."),
    P::new("srvtcpka-intvl", Words("<time>", 0..=ALL, |p, w, b| {
        p.tcpka.server_timers.interval = keepalive_time(b, "srvtcpka-intvl", w);
    }))
    .within(SERVER)
    .doc("Time between probes (TCP_KEEPINTVL)."),
    P::new("default-server", Words("[param…]", 0..=ALL, server::default_server))
        .within(SERVER)
        .doc("Parameters of the `server` lines that follow."),
    P::new("default_backend", Words("<backend>", 0..=ALL, |p, w, b| {
        if let Some(word) = one(b, "default_backend", "expects a backend name", w) {
            p.default_backend = Some(word.owned());
        }
    }))
    .within(CLIENT)
    .doc("Where connections go."),
    P::new("description", Words("<text>", 0..=ALL, |p, w, b| {
        let text = join(w);
        if text.is_empty() {
            b.complain(Severity::Error, TIGHT, Span::default(), "'description' expects a string argument.");
        } else {
            p.front.description = Some(text.clone());
            p.back.description = Some(text);
        }
    }))
    .within(NAMED)
    .doc("Shown in statistics."),
    P::new("disabled", Words("", 0..=ALL, |p, w, b| {
        if !surplus(b, "disabled", w, 0) {
            (p.front.disabled, p.back.disabled) = (true, true);
        }
    }))
    .within(PROXY)
    .doc("Known and shown, but it does not run."),
    P::new("enabled", Words("", 0..=ALL, |p, w, b| {
        if !surplus(b, "enabled", w, 0) {
            (p.front.disabled, p.back.disabled) = (false, false);
        }
    }))
    .within(PROXY)
    .doc("Takes back a `disabled` of the defaults."),
    P::new("fullconn", Words("<number>", 0..=ALL, |p, w, b| {
        if let Some(word) = one(b, "fullconn", "expects an integer argument", w) {
            p.back.fullconn = limit(b, "fullconn", &word);
        }
    }))
    .within(SERVER)
    .doc("Connections at which servers with `minconn` get their `maxconn`."),
    P::new("hash-type", Words("<method> [<function> [<modifier>]]", 0..=ALL, hash_type))
        .within(SERVER)
        .default("map-based sdbm")
        .doc(
            "How keys are spread: `map-based` or `consistent`; `sdbm`, `djb2`, `wt6`, `crc32` or `none`; \
             `avalanche`, which `consistent` alone implies.",
        ),
    P::new("hash-balance-factor", Words("<per cent>", 0..=ALL, hash_balance_factor))
        .within(SERVER)
        .default("0")
        .doc("With `hash-type consistent`: the most a server may have of the mean load; 0 for no limit."),
    P::new("id", Words("<number>", 0..=ALL, |p, w, b| {
        let span = w.first().map_or_else(Span::default, |w| w.span);
        if w.is_empty() {
            b.complain(Severity::Error, TIGHT, span, "'id' expects an integer argument.");
            return;
        }
        match u32::try_from(leading(text(w, 0)).0) {
            Ok(id @ 1..) => p.forced_id = Some(id),
            _ => {
                b.complain(Severity::Error, TIGHT, span, "custom id has to be > 0.");
            }
        }
    }))
    .within(NAMED)
    .doc("Number of the proxy in statistics."),
    P::new("maxconn", Words("<number>", 0..=ALL, |p, w, b| {
        if let Some(word) = one(b, "maxconn", "expects an integer argument", w) {
            p.front.maxconn = limit(b, "maxconn", &word);
        }
    }))
    .within(CLIENT)
    .doc("Connections accepted at once; more wait in the kernel."),
    P::new("mode", Words("tcp|http|log|spop|udp", 0..=ALL, mode))
        .within(PROXY)
        .default("tcp")
        .doc("What it speaks: bytes, or HTTP/1.1."),
    P::new("retries", Words("<number>", 0..=ALL, |p, w, b| {
        let Some(word) = w.first() else {
            b.refuse(Span::default(), "'retries' expects an integer argument (dispatch counts for one).");
            return;
        };
        if !surplus(b, "retries", w, 1) {
            p.back.retries = limit(b, "retries", word).unwrap_or(0);
        }
    }))
    .within(SERVER)
    .default("3")
    .doc("Connects after the first that failed."),
    P::new("server", Words("<name> <address>[:<port>] [param…]", 0..=ALL, server::server))
        .within(SERVER_ONLY)
        .doc("Where connections go to."),
    P::new("source", Words("<addr>[:<port>] [usesrc client|clientip|<addr>] [interface <name>]", 0..=ALL, proxy_source))
    .within(SERVER)
    .doc("Local address of connections to servers."),
    P::new("load-server-state-from-file", Words("global|local|none", 0..=ALL, |p, w, b| {
        let known = w.first().and_then(|word| {
            proxy::StateFrom::NAMES.iter().find(|(name, _)| *name == word.text)
        });
        match known {
            Some((_, from)) => p.back.state_from = *from,
            None => {
                let span = w.first().map_or_else(Default::default, |word| word.span);
                let given = w.first().map_or("", |word| &word.text);
                b.refuse(span, format!("'load-server-state-from-file' expects 'global', 'local' or 'none'. Got '{given}'"));
            }
        }
    }))
        .within(SERVER)
        .doc("Where the state that servers had is read at the start."),
    P::new("server-state-file-name", Words("[<file>|use-backend-name]", 0..=ALL, |p, w, _| {
        let name = w.first().map(|word| word.text.to_string());
        p.back.state_name = name.filter(|name| name != "use-backend-name");
    }))
        .within(SERVER_ONLY)
        .doc("The name of the backend's own file; without one it is the backend's."),
    P::accepted("guid", "<name>", "statistics have no guids").within(NAMED),
    P::new("rate-limit sessions", Words("<n>", 0..=ALL, rate_limit))
        .within(PROXY)
        .doc("Sessions a second that a frontend accepts; more wait in the kernel. 0 is no limit. Read over a sliding second, by thread: a little more may pass."),
    P::new("server-template", Words("<prefix> <n>|<from>-<to> <address>[:<port>] [param…]", 0..=ALL, server::template))
        .within(SERVER_ONLY)
        .doc("Servers that name servers fill: of a host's addresses, or of a service's SRV records."),
    P::new("rate-limit", Words("sessions <n>", 0..=ALL, |_, w, b| {
        let what = text(w, 0);
        let span = w.first().map_or_else(Span::default, |word| word.span);
        b.refuse(span, format!("'rate-limit' only supports 'sessions' (got '{what}')"));
    }))
        .within(PROXY)
        .doc("See `rate-limit sessions`."),
    P::new("unique-id-format", Words("<format>", 0..=ALL, |p, w, b| match w {
        [] => {
            b.refuse(Span::default(), "unique-id-format expects an argument.");
        }
        [format] => p.unique_id_format = Some(format.clone()),
        [_, extra, ..] => {
            b.refuse(extra.span, "unique-id-format expects only one argument, don't forget to escape spaces!");
        }
    }))
    .within(CLIENT)
    .doc("What identifies a connection: `%ID`, `unique-id`, the header's TLV."),
    removed("clitimeout", "the 'clitimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout client'."),
    removed("contimeout", "the 'contimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout connect'."),
    removed("srvtimeout", "the 'srvtimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout server'."),
    removed("appsession", "'appsession' is not supported anymore since HAProxy 1.6."),
    removed("redispatch", "keyword 'redispatch' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'."),
    removed("reqadd", "The 'reqadd' directive is not supported anymore since HAProxy 2.1. Use 'http-request add-header' instead."),
    removed("rspadd", "The 'rspadd' directive is not supported anymore since HAProxy 2.1. Use 'http-response add-header' instead."),
    removed("reqallow", "The 'reqallow' directive is not supported anymore since HAProxy 2.1. Use 'http-request allow' instead."),
    removed("reqdel", "The 'reqdel' directive is not supported anymore since HAProxy 2.1. Use 'http-request del-header' instead."),
    removed("reqiallow", "The 'reqiallow' directive is not supported anymore since HAProxy 2.1. Use 'http-request allow' instead."),
    removed("reqidel", "The 'reqidel' directive is not supported anymore since HAProxy 2.1. Use 'http-request del-header' instead."),
    removed("reqideny", "The 'reqideny' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' instead."),
    removed("reqipass", "The 'reqipass' directive is not supported anymore since HAProxy 2.1."),
    removed("reqirep", "The 'reqirep' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-header' instead."),
    removed("reqitarpit", "The 'reqitarpit' directive is not supported anymore since HAProxy 2.1. Use 'http-request tarpit' instead."),
    removed("reqrep", "The 'reqrep' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead."),
    removed("reqtarpit", "The 'reqtarpit' directive is not supported anymore since HAProxy 2.1. Use 'http-request tarpit' instead."),
    removed("rspdel", "The 'rspdel' directive is not supported anymore since HAProxy 2.1. Use 'http-response del-header' ."),
    removed("rspdeny", "The 'rspdeny' directive is not supported anymore since HAProxy 2.1. Use 'http-response deny' instead."),
    removed("rspidel", "The 'rspidel' directive is not supported anymore since HAProxy 2.1. Use 'http-response del-header' instead."),
    removed("rspideny", "The 'rspideny' directive is not supported anymore since HAProxy 2.1. Use 'http-response deny' instead."),
    removed("rspirep", "The 'rspirep' directive is not supported anymore since HAProxy 2.1. Use 'http-response replace-header' instead."),
    removed("rsprep", "The 'rsprep' directive is not supported anymore since HAProxy 2.1. Use 'http-response replace-header' instead."),
    removed("cliexp", "The 'cliexp' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead."),
    removed("srvexp", "The 'srvexp' directive is not supported anymore since HAProxy 2.1. Use 'http-response replace-header' instead."),
    removed("reqdeny", "The 'reqdeny' not supported anymore since HAProxy 2.1. Use 'http-request deny' instead."),
    removed("reqpass", "The 'reqpass' not supported anymore since HAProxy 2.1."),
    removed("monitor-net", "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if { src x }' instead."),
    removed("block", "The 'block' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses the exact same syntax."),
];

/// A keyword HAProxy removed; the doc is what it says, and what `removed_text` finds.
const fn removed(name: &'static str, says: &'static str) -> P {
    P::new(
        name,
        conf::Form::Whole("", |_, stmt, b| {
            let row = TABLE.iter().find(|row| row.name == stmt.word(0));
            b.refuse(stmt.at(), row.map_or("", |row| row.doc));
        }),
    )
    .doc(says)
}

/// The only word of a keyword.
fn one(b: &mut Binder, keyword: &str, expects: &str, words: &[Word]) -> Option<Word> {
    if surplus(b, keyword, words, 1) {
        return None;
    }
    if words.is_empty() {
        b.refuse(Span::default(), format!("'{keyword}' {expects}."));
    }
    words.first().cloned()
}

fn keepalive_time(b: &mut Binder, name: &str, words: &[Word]) -> Option<std::time::Duration> {
    let Some(word) = words.first() else {
        b.refuse(Span::default(), format!("'{name}' expects an integer value (in seconds)."));
        return None;
    };
    let say = |c| format!("unexpected character '{c}' in argument to <{name}>.\n");
    bind_time(b, word, Unit::Seconds, name, say)
}

fn keepalive_count(b: &mut Binder, name: &str, words: &[Word]) -> Option<u32> {
    let Some(word) = words.first() else {
        b.refuse(Span::default(), format!("'{name}' expects an integer value"));
        return None;
    };
    if let Some(c) = word.text.chars().find(|c| !c.is_ascii_digit()) {
        let text =
            format!("'{name}' : unexpected character '{c}' in integer value '{}'", word.text);
        b.refuse(word.span, text);
        return None;
    }
    word.text.parse().ok()
}

fn mode(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let span = words.first().map_or_else(Span::default, |w| w.span);
    match text(words, 0) {
        "tcp" => p.mode = Mode::Tcp,
        "http" => p.mode = Mode::Http,
        "health" => {
            b.refuse(span, "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.");
            return;
        }
        planned @ ("log" | "spop" | "udp" | "haterm") => {
            b.error(span, Problem::Planned { keyword: format!("mode {planned}") });
            return;
        }
        got => {
            b.refuse(span, format!("unknown proxy mode '{got}'."));
            return;
        }
    }
    p.mode_at = Some(span);
    surplus(b, "mode", words, 1);
}

/// `balance <algorithm> [<arguments>]`; without an algorithm it is the default one.
fn balance(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let word = text(words, 0);
    let span = words.first().map_or_else(Span::default, |w| w.span);
    let (name, argument) = match word.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
        None => (word, None),
    };
    p.http.layer7_balance = false;
    p.balanced = true;
    p.back.algorithm = match name {
        "" | "roundrobin" => Algorithm::RoundRobin,
        "static-rr" => Algorithm::StaticRoundRobin,
        "leastconn" => Algorithm::LeastConn,
        "first" => Algorithm::First,
        "source" => Algorithm::Source,
        "random" => match draws(argument, b, span) {
            Some(draws) => Algorithm::Random { draws },
            None => return,
        },
        "url_param" if words.len() < 2 => {
            b.refuse(span, "balance url_param requires an URL parameter name.");
            return;
        }
        // A tcp proxy falls back to round robin, with a warning.
        "uri" | "url_param" | "hdr" => {
            p.http.layer7_balance = true;
            Algorithm::RoundRobin
        }
        "hash" => match hash_expression(p, words, span, b) {
            Some(expr) => {
                p.back.hash_expr = Some(expr);
                Algorithm::Hash
            }
            None => return,
        },
        "rdp-cookie" => {
            let name = argument.unwrap_or("mstshash");
            if name.is_empty() {
                b.refuse(span, "balance rdp-cookie : missing cookie name.");
                return;
            }
            p.back.hash_expr = super::proxy_names::rdp_cookie(p, name);
            Algorithm::Hash
        }
        "log-hash" | "sticky" => {
            b.error(span, Problem::Planned { keyword: format!("balance {name}") });
            return;
        }
        _ => {
            b.refuse(span, "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hash', 'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options.");
            return;
        }
    };
}

/// `balance hash <expr>`.
fn hash_expression(p: &Draft, words: &[Word], span: Span, b: &mut Binder) -> Option<rules::Expr> {
    let all = crate::expr::texts(words.get(1..).unwrap_or_default());
    if all.is_empty() {
        b.refuse(span, "balance hash requires a sample expression.");
        return None;
    }
    let wrong = match crate::expr::read(&p.context, &all, crate::expr::Manner::Rule) {
        Ok(mut read) => {
            let mut named = None;
            read.expr.references(&mut |reference| named = Some(reference.fetch));
            match named {
                None => return Some(read.expr),
                Some(fetch) => crate::expr::Wrong::Planned(format!("balance hash {fetch}(…)")),
            }
        }
        Err(wrong) => wrong,
    };
    match wrong {
        crate::expr::Wrong::Planned(keyword) => {
            b.error(span, Problem::Planned { keyword });
        }
        crate::expr::Wrong::Said(said) => {
            let text = format!(
                "proxy '{}' [{}]: failed to parse 'balance hash' expression '{}' in : {said}.",
                p.name,
                p.origin,
                all.join(" ")
            );
            b.complain(Severity::Error, crate::say::NOWHERE, span, text);
        }
    }
    None
}

fn draws(argument: Option<&str>, b: &mut Binder, span: Span) -> Option<u32> {
    let Some(argument) = argument else { return Some(2) };
    if let Some(c) = argument.chars().find(|c| !c.is_ascii_digit()) {
        b.refuse(span, format!("balance random : unexpected character '{c}' after argument."));
        return None;
    }
    match argument.parse() {
        Ok(n @ 1u32..) => Some(n),
        _ => {
            b.refuse(span, "balance random : number of draws must be at least 1.");
            None
        }
    }
}

/// `hash-type <method> [<function> [avalanche]]`.
fn hash_type(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let span = words.first().map_or_else(Span::default, |w| w.span);
    let consistent = match text(words, 0) {
        "map-based" => false,
        "consistent" => true,
        "avalanche" => {
            b.refuse(span, "experimental feature 'hash-type avalanche' is not supported anymore, please use 'hash-type map-based sdbm avalanche' instead.");
            return;
        }
        _ => {
            b.refuse(span, "'hash-type' only supports 'consistent' and 'map-based'.");
            return;
        }
    };
    let function = text(words, 1);
    let named = HashFunction::NAMES.iter().position(|name| *name == function);
    if !function.is_empty() && named.is_none() {
        b.refuse(
            span,
            "'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions.",
        );
        return;
    }
    let avalanche = match text(words, 2) {
        "avalanche" => true,
        "" => consistent && function.is_empty(),
        _ => {
            b.refuse(
                span,
                "'hash-type' only supports 'avalanche' as a modifier for hash functions.",
            );
            return;
        }
    };
    let function = named.map_or_else(HashFunction::default, |at| HashFunction::ALL[at]);
    p.back.hash = HashType { consistent, function, avalanche, ..p.back.hash };
}

/// `hash-balance-factor <per cent>`: digits at the front count, as for HAProxy.
fn hash_balance_factor(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else {
        b.refuse(Span::default(), "'hash-balance-factor' expects an integer argument.");
        return;
    };
    let factor = u32::try_from(leading(&word.text).0).unwrap_or(0);
    if (1..=100).contains(&factor) {
        b.refuse(word.span, "'hash-balance-factor' must be 0 or greater than 100.");
        return;
    }
    p.back.hash.balance_factor = factor;
}

/// What HAProxy says of a keyword in the wrong kind of section, and how bad it is.
pub(crate) fn misplaced(keyword: &str, kind: Kind, name: &str) -> (Severity, &'static str, String) {
    let noun = kind.noun();
    if kind == Kind::Defaults {
        let rule = matches!(
            keyword.split(' ').next(),
            Some(
                "acl"
                    | "http-request"
                    | "http-response"
                    | "http-after-response"
                    | "tcp-request"
                    | "tcp-response"
            )
        );
        let anonymous = if rule { "anonymous " } else { "" };
        let manner = match keyword {
            "id" | "description" => TIGHT,
            "server" => crate::say::BARE,
            _ => "",
        };
        let first = keyword.split(' ').next().unwrap_or(keyword);
        if first == "declare" {
            let text = "'declare' not available in default section";
            return (Severity::Error, "", text.to_owned());
        }
        return (
            Severity::Error,
            manner,
            format!("'{first}' not allowed in {anonymous}'defaults' section."),
        );
    }
    let side = if kind == Kind::Backend { "frontend" } else { "backend" };
    if keyword.starts_with("declare") {
        let text = "'declare' only available in frontend or listen section";
        return (Severity::Error, "", text.to_owned());
    }
    if let "server" | "default-server" | "server-template" = keyword {
        let text =
            format!("'{keyword}' not allowed because {noun} '{name}' has no {side} capability.");
        return (Severity::Error, "@@", text);
    }
    if keyword.starts_with("timeout ") {
        let text =
            format!("'{keyword}' will be ignored because {noun} '{name}' has no {side} capability");
        return (Severity::Warning, "", text);
    }
    let shown = match keyword.split_once(' ') {
        Some(("option", option)) => option,
        Some(("tcp-check" | "http-check" | "stats" | "capture" | "compression" | "monitor", _)) => {
            keyword.split(' ').next().unwrap_or(keyword)
        }
        _ => keyword,
    };
    let hint = match keyword {
        "maxconn" => " Maybe you want 'fullconn' instead ?",
        "fullconn" => " Maybe you want 'maxconn' instead ?",
        _ => "",
    };
    let text = format!("'{shown}' ignored because {noun} '{name}' has no {side} capability.{hint}");
    (Severity::Warning, "", text)
}

/// `source <addr>[:<port>[-<port>]] [usesrc …] [interface …]` of a section.
fn proxy_source(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some((word, mut rest)) = words.split_first() else {
        b.refuse(Span::default(), "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>.");
        return;
    };
    let context = p.context.clone();
    match server_transport::source(&context, &word.text) {
        Ok((address, ports)) => {
            p.back.source = Some(address);
            p.back.outbound =
                ports.map(|ports| Box::new(Outbound { ports: Some(ports), ..Outbound::default() }));
        }
        Err(error) => {
            b.refuse(word.span, format!("'source {}' : {error}", word.text));
            return;
        }
    }
    while let Some((keyword, more)) = rest.split_first() {
        match keyword.text.as_str() {
            "usesrc" if more.is_empty() => {
                b.refuse(
                    keyword.span,
                    "'usesrc' expects <addr>[:<port>], 'client', or 'clientip' as argument.",
                );
                return;
            }
            "usesrc" => match server_transport::foreign(&context, more) {
                Ok(foreign) => p.back.outbound.get_or_insert_default().foreign = Some(foreign),
                Err(server_transport::Wrong::Says(text)) => {
                    b.refuse(keyword.span, text);
                    return;
                }
                Err(server_transport::Wrong::Planned(keyword)) => {
                    b.error(more[0].span, Problem::Planned { keyword });
                    return;
                }
            },
            "interface" if more.is_empty() => {
                b.refuse(keyword.span, "'source' : missing interface name.");
                return;
            }
            "interface" => {
                let name = Some(more[0].owned());
                p.back.outbound.get_or_insert_default().interface = name;
            }
            _ => {
                b.refuse(
                    keyword.span,
                    "'source' only supports optional keywords 'interface' and 'usesrc'.",
                );
                return;
            }
        }
        rest = &more[1..];
    }
}

/// `rate-limit sessions <n>`.
fn rate_limit(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else {
        let text = "'rate-limit sessions' expects expects an integer value (in sessions/second)";
        b.refuse(Span::default(), text);
        return;
    };
    let digits = word.text.trim_start_matches(['-', '+']);
    if let Some(wrong) = digits.chars().find(|letter| !letter.is_ascii_digit()) {
        let text = format!(
            "'rate-limit sessions' : unexpected character '{wrong}' in integer value '{}'",
            word.text
        );
        b.refuse(word.span, text);
        return;
    }
    let number = leading(&word.text).0;
    if !matches!(p.kind, Kind::Defaults | Kind::Frontend | Kind::Listen) {
        let text = format!(
            "rate-limit sessions will be ignored because {} '{}' has no frontend capability",
            p.kind.noun(),
            p.name
        );
        b.warn(word.span, text);
        return;
    }
    p.front.session_rate = u32::try_from(number).ok().filter(|number| *number > 0);
}
