//! `global`.

use std::path::PathBuf;

use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Severity, Span, Status, Unit, Word};
use proxy::Threads;

use super::tls::{TlsDraft, default_option};
use super::{bind, log, text};
use crate::draft::Global;
use crate::number::{bind_time, integer, leading, surplus};
use crate::say::{Complain, LOUD, TIGHT};

type G = Keyword<Global>;

/// As many words as a line can have.
const ALL: usize = usize::MAX;

/// The rows that do something, or whose reason to do nothing is their own.
pub(crate) const TABLE: &[G] = &[
    G::new("ca-base", Words("<dir>", 0..=ALL, |g, w, b| {
        if let Some(dir) = directory(b, g, "ca-base", w) {
            g.ca_base = Some(dir.clone());
            g.process.ca_base = Some(dir);
        }
    }))
    .doc("Directory of `ca-file`s that are written without one."),
    G::new("crt-base", Words("<dir>", 0..=ALL, |g, w, b| {
        if let Some(dir) = directory(b, g, "crt-base", w) {
            g.crt_base = Some(dir);
        }
    }))
    .doc("Directory of certificates that are written without one."),
    G::new("key-base", Words("<dir>", 0..=ALL, |g, w, b| {
        if let Some(dir) = directory(b, g, "key-base", w) {
            g.key_base = Some(dir);
        }
    }))
    .doc("Directory of the keys of a `crt-store` that are written without one."),
    G::new("chroot", Words("<dir>", 0..=ALL, |g, w, b| {
        if let Some(dir) = once(b, g, "chroot", "expects a directory as an argument", w) {
            g.process.chroot = Some(dir.into());
        }
    }))
    .doc("Where to chroot to once the sockets are bound."),
    G::new("daemon", Words("", 0..=ALL, |g, w, b| {
        if !surplus(b, "daemon", w, 0) {
            g.process.daemon = true;
        }
    }))
    .doc("Leave the terminal, as `-D`; `-db` wins."),
    G::new("description", Words("<text>", 0..=ALL, |g, w, b| {
        let text = join(w);
        if text.is_empty() {
            tight(b, w, "'description' expects a string argument.");
        } else {
            g.process.description = Some(text);
        }
    }))
    .doc("Shown by `show info`."),
    G::new("gid", Words("<number>", 0..=ALL, |g, w, b| id(b, g, "gid", "group", w)))
        .doc("Group to change to, as a number."),
    G::new("group", Words("<name>", 0..=ALL, |g, w, b| account(b, g, "group", w)))
        .doc("Group to change to."),
    G::new("uid", Words("<number>", 0..=ALL, |g, w, b| id(b, g, "uid", "user", w)))
        .doc("User to change to, as a number."),
    G::new("user", Words("<name>", 0..=ALL, |g, w, b| account(b, g, "user", w)))
        .doc("User to change to once the sockets are bound."),
    G::new("hard-stop-after", Words("<time>", 0..=ALL, |g, w, b| {
        let Some(word) = w.first() else {
            b.refuse(here(b, w), "'hard-stop-after' expects <time> as argument.\n");
            return;
        };
        let say = |c| format!("unexpected character '{c}' in argument to <hard-stop-after>.\n");
        g.process.hard_stop_after = bind_time(b, word, Unit::Millis, "hard-stop-after", say);
    }))
    .doc("How long a soft stop may last."),
    G::new("log", Words("<target> [len <n>] [format <f>] <facility> [<level> [<minlevel>]]", 0..=ALL, |g, w, b| {
        let context = g.context.clone();
        if let Some(log::Line::Target(target)) = log::line(&context, b, w, true) {
            g.process.log.push(target);
        }
    }))
    .doc("Where messages go; up to several."),
    G::new("log-send-hostname", Words("[<name>]", 0..=ALL, |g, w, _| {
        g.process.log_hostname = Some(text(w, 0).to_owned());
    }))
    .doc("Puts a host name into the syslog header."),
    G::new("log-tag", Words("<tag>", 0..=ALL, |g, w, b| {
        match w.first() {
            Some(tag) if !surplus(b, "log-tag", w, 1) => g.process.log_tag = Some(tag.owned()),
            Some(_) => {}
            None => { b.refuse(here(b, w), "'log-tag' expects a tag for use in syslog."); }
        }
    }))
    .default("haproxy")
    .doc("The program's name in log lines."),
    G::new("master-worker", Words("[no-exit-on-failure]", 0..=ALL, |g, w, b| {
        if !w.is_empty() && w[0].text != "no-exit-on-failure" {
            b.refuse(w[0].span, "'master-worker' only supports 'no-exit-on-failure' option");
        }
        g.process.master_worker = true;
    }))
    .doc("A master that reloads and a worker that serves, as `-W`."),
    G::new("max-spread-checks", Words("<time>", 0..=ALL, |g, w, b| {
        let Some(word) = w.first() else {
            tight(b, w, "'max-spread-checks' expects an integer argument (0..50).");
            return;
        };
        let before = b.problems.len();
        let say = |c| format!("unsupported character '{c}' in 'max-spread-checks' (wants an integer delay).");
        g.process.max_spread_checks = bind_time(b, word, Unit::Millis, "max-spread-checks", say);
        b.problems[before..].iter_mut().for_each(|p| p.context = TIGHT.into());
    }))
    .doc("The first checks are spread over at most this time."),
    G::new("maxconn", Words("<number>", 0..=ALL, |g, w, b| {
        if let [word] = w
            && !leading(&word.text).1
        {
            let text = format!("cannot parse 'maxconn' value '{}', an integer is expected.", word.text);
            b.refuse(word.span, text);
            return;
        }
        let Some(n) = number(b, "maxconn", w) else { return };
        if g.again("maxconn") {
            again(b, w, "'maxconn' already specified. Continuing.");
        } else {
            g.process.maxconn = u32::try_from(n).ok().filter(|n| *n > 0);
        }
    }))
    .doc("Connections of the whole process."),
    G::new("maxconnrate", Words("<number>", 0..=ALL, |g, w, b| {
        rate(g, b, "maxconnrate", w, |process| &mut process.connection_rate);
    }))
    .doc("Connections a second that are accepted, of all frontends; more wait in the kernel. 0 is no limit. Read over a sliding second, by thread: a little more may pass."),
    G::new("maxsessrate", Words("<number>", 0..=ALL, |g, w, b| {
        rate(g, b, "maxsessrate", w, |process| &mut process.session_rate);
    }))
    .doc("Sessions a second that are accepted, of all frontends; as `maxconnrate`."),
    G::new("maxsslrate", Words("<number>", 0..=ALL, |g, w, b| {
        rate(g, b, "maxsslrate", w, |process| &mut process.tls_rate);
    }))
    .status(Status::Accepted("shown by `show info`; sessions over TLS are limited with the others")),
    G::new("nbthread", Words("<number>", 0..=ALL, |g, w, b| {
        let (n, whole) = leading(text(w, 0));
        let span = here(b, w);
        if surplus(b, "nbthread", w, 1) {
        } else if w.is_empty() || !whole {
            let got = text(w, 0);
            b.refuse(span, format!("'nbthread' passed a missing or unparsable integer value in '{got}'"));
        } else if !(1..=1024).contains(&n) {
            b.refuse(span, format!("'nbthread' value must be between 1 and 1024 (was {n})"));
        } else {
            g.process.threads = Threads::Count(n as u16);
        }
    }))
    .doc("How many cores serve connections; one for each usable CPU by default."),
    G::new("node", Words("<name>", 0..=ALL, |g, w, b| {
        let name = text(w, 0);
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(valid) {
            tight(b, w, "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).");
        } else {
            g.process.node = Some(name.to_owned());
        }
    }))
    .doc("The node's name in `show info`."),
    G::new("pidfile", Words("<file>", 0..=ALL, |g, w, b| {
        if let Some(file) = once(b, g, "pidfile", "expects a file name as an argument", w) {
            g.process.pidfile = Some(file.into());
        }
    }))
    .doc("Where the process id is written; `-p` wins."),
    G::new("server-state-base", Words("<directory>", 0..=ALL, |g, w, b| {
        if let Some(path) = once(b, g, "server-state-base", "expects one argument: a directory path", w) {
            g.process.state_base = Some(path.into());
        }
    }))
    .doc("Where files with the state of servers are."),
    G::new("server-state-file", Words("<file>", 0..=ALL, |g, w, b| {
        if let Some(path) = once(b, g, "server-state-file", "expects one argument: a file path", w) {
            g.process.state_file = Some(path.into());
        }
    }))
    .doc("What `show servers state` showed before, to go on from."),
    G::new("presetenv", Words("<name> <value>", 0..=ALL, |g, w, b| set_env(b, g, "presetenv", w)))
        .doc("Sets a variable of the environment that is not set."),
    G::new("setenv", Words("<name> <value>", 0..=ALL, |g, w, b| set_env(b, g, "setenv", w)))
        .doc("Sets a variable of the environment."),
    G::new("unsetenv", Words("<name>…", 0..=ALL, |g, w, _| {
        let mut env = g.context.env.borrow_mut();
        w.iter().for_each(|name| drop(env.remove(&name.text)));
    }))
    .doc("Removes variables of the environment."),
    G::new("resetenv", Words("[<name>…]", 0..=ALL, |g, w, _| {
        g.context.env.borrow_mut().retain(|name, _| w.iter().any(|kept| kept.text == *name));
    }))
    .doc("Removes all variables of the environment but these."),
    G::new("quiet", Flag(|g| g.process.quiet = true)).doc("No messages at start, as `-q`."),
    G::new("spread-checks", Words("<0..50>", 0..=ALL, |g, w, b| {
        let Some(word) = w.first() else {
            tight(b, w, "'spread-checks' expects an integer argument (0..50).");
            return;
        };
        match integer(b, "spread-checks", word) {
            n @ 0..=50 => g.process.spread_checks = n as u8,
            _ => tight(b, w, "'spread-checks' needs a positive value in range 0..50."),
        }
    }))
    .default("0")
    .doc("Per cent of randomness in check intervals."),
    G::new("ssl-server-verify", Words("none|required", 0..=ALL, |g, w, b| match text(w, 0) {
        "none" => g.process.server_verify_none = true,
        "required" => g.process.server_verify_none = false,
        "" => { b.refuse(here(b, w), "'ssl-server-verify' expects an integer argument."); }
        _ => { b.refuse(here(b, w), "'ssl-server-verify' expects 'none' or 'required' as argument."); }
    }))
    .default("required")
    .doc("Whether certificates of servers are verified by default."),
    G::new("stats", Words("socket|timeout|maxconn", 0..=ALL, |_, w, b| {
        let got = text(w, 0);
        b.refuse(here(b, w), format!("'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '{got}')"));
    }))
    .doc("The runtime API; see its own rows."),
    G::new("stats socket", Words("<address> [param…]", 0..=ALL, bind::stats_socket))
        .doc("Where the runtime API listens."),
    G::new("stats timeout", Words("<time>", 0..=ALL, |g, w, b| {
        let Some(word) = w.first() else {
            b.refuse(here(b, w), "'stats timeout' expects a positive value");
            return;
        };
        let say = |c| format!("'stats timeout' : unexpected character '{c}'");
        match bind_time(b, word, Unit::Millis, "stats timeout", say) {
            Some(time) if time.is_zero() => {
                b.refuse(word.span, "'stats timeout' expects a positive value");
            }
            time => g.process.stats_timeout = time,
        }
    }))
    .default("10s")
    .doc("How long an idle client of the runtime API is kept."),
    G::new("stats maxconn", Words("<number>", 0..=ALL, |g, w, b| match leading(text(w, 0)).0 {
        ..=0 => {
            b.refuse(here(b, w), "'stats maxconn' expects a positive value");
        }
        n => g.process.stats_maxconn = Some(u32::try_from(n).unwrap_or(u32::MAX)),
    }))
    .default("10")
    .doc("Clients of the runtime API at once, of all its sockets; more wait in the kernel."),
    G::new("stats bind-process", Words("<set>", 0..=ALL, |_, _, _| {}))
        .status(Status::Accepted("there is one process")),
    G::new("strict-limits", Flag(|g| g.lax_limits = false))
        .doc("Do not start where fewer files may be opened than 'maxconn' needs; 'no' in front: say so, and start."),
    G::new("ulimit-n", Words("<number>", 0..=ALL, |g, w, b| {
        if let Some(n) = number(b, "ulimit-n", w) {
            g.process.nofile = u64::try_from(n).ok().filter(|n| *n > 0);
        }
    }))
    .doc("Open files to ask the kernel for."),
    G::new("zero-warning", Flag(|g| g.zero_warning = true))
        .doc("Refuse to start with warnings, as `-dW`."),
    G::new("nbproc", Words("<number>", 0..=ALL, |_, w, b| {
        b.refuse(here(b, w), "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.")
            .help = Some("remove the line: one process uses all cores".into());
    }))
    .doc("Refused, as HAProxy does since 2.5."),
    G::new("ssl-default-bind-ciphers", Words("<ciphers>", 0..=ALL, |g, w, b| {
        g.bind_tls.ciphers = tls_words(b, "ssl-default-bind-ciphers", "a cipher suite", w);
    }))
    .doc("`ciphers` of `bind` lines that say none."),
    G::new("ssl-default-bind-ciphersuites", Words("<suites>", 0..=ALL, |g, w, b| {
        g.bind_tls.suites = tls_words(b, "ssl-default-bind-ciphersuites", "a cipher suite", w);
    }))
    .doc("`ciphersuites` of `bind` lines that say none."),
    G::new("ssl-default-bind-curves", Words("<curves>", 0..=ALL, |g, w, b| {
        g.bind_tls.curves = tls_words(b, "ssl-default-bind-curves", "a curves suite", w);
    }))
    .doc("`curves` of `bind` lines that say none."),
    G::new("ssl-default-bind-options", Words("<option>…", 0..=ALL, |g, w, b| {
        tls_options(b, "ssl-default-bind-options", &mut g.bind_tls, w);
    }))
    .doc("Versions, tickets and `strict-sni` of `bind` lines that say nothing of them."),
    G::new("ssl-default-server-ciphers", Words("<ciphers>", 0..=ALL, |g, w, b| {
        g.server_tls.ciphers = tls_words(b, "ssl-default-server-ciphers", "a cipher suite", w);
    }))
    .doc("`ciphers` of servers that say none; checks offer what the library has."),
    G::new("ssl-default-server-ciphersuites", Words("<suites>", 0..=ALL, |g, w, b| {
        g.server_tls.suites = tls_words(b, "ssl-default-server-ciphersuites", "a cipher suite", w);
    }))
    .doc("`ciphersuites` of servers that say none; checks offer what the library has."),
    G::new("ssl-default-server-curves", Words("<curves>", 0..=ALL, |g, w, b| {
        g.server_tls.curves = tls_words(b, "ssl-default-server-curves", "a curves suite", w);
    }))
    .doc("`curves` of servers that say none."),
    G::new("ssl-default-server-options", Words("<option>…", 0..=ALL, |g, w, b| {
        tls_options(b, "ssl-default-server-options", &mut g.server_tls, w);
    }))
    .doc("Versions of servers that say nothing of them; checks offer TLS 1.2 and 1.3."),
    G::new("tune.ssl.default-dh-param", Words("<bits>", 0..=ALL, |_, w, b| {
        if leading(text(w, 0)).0 < 1024 {
            b.refuse(here(b, w), "'tune.ssl.default-dh-param' expects a value >= 1024.");
        }
    }))
    .status(Status::Accepted("keys are exchanged over elliptic curves only"))
    .default("2048"),
];

/// Where a complaint about a statement without words points: nowhere yet, so at its first word.
fn here(_: &Binder, words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

fn tight(b: &mut Binder, words: &[Word], text: &str) {
    b.complain(Severity::Error, TIGHT, here(b, words), text);
}

/// All words, one blank between them.
pub(crate) fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// One number, or a complaint.
fn number(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<i64> {
    match words {
        [] => {
            b.refuse(here(b, words), format!("'{keyword}' expects an integer argument."));
            None
        }
        [word] => Some(integer(b, keyword, word)),
        _ => {
            surplus(b, keyword, words, 1);
            None
        }
    }
}

/// A number of events a second, of which the first counts; 0 is no limit.
fn rate(
    g: &mut Global,
    b: &mut Binder,
    keyword: &'static str,
    words: &[Word],
    place: fn(&mut proxy::Process) -> &mut Option<u32>,
) {
    let Some(n) = number(b, keyword, words) else { return };
    if g.again(keyword) {
        again(b, words, format!("'{keyword}' already specified. Continuing."));
    } else {
        *place(&mut g.process) = u32::try_from(n).ok().filter(|n| *n > 0);
    }
}

/// A keyword stands twice: the first one counts, and that is said aloud.
pub(super) fn again(b: &mut Binder, words: &[Word], text: impl Into<String>) {
    let span = here(b, words);
    b.complain(Severity::Warning, LOUD, span, text);
}

/// One word of a keyword that may stand once; HAProxy keeps the first.
fn once(
    b: &mut Binder,
    g: &mut Global,
    keyword: &'static str,
    expects: &str,
    words: &[Word],
) -> Option<String> {
    let span = here(b, words);
    if surplus(b, keyword, words, 1) {
        return None;
    }
    let Some(word) = words.first() else {
        b.refuse(span, format!("'{keyword}' {expects}."));
        return None;
    };
    if g.again(keyword) {
        again(b, words, format!("'{keyword}' already specified. Continuing."));
        return None;
    }
    Some(word.owned())
}

fn directory(
    b: &mut Binder,
    g: &mut Global,
    keyword: &'static str,
    words: &[Word],
) -> Option<PathBuf> {
    let span = here(b, words);
    if surplus(b, keyword, words, 1) {
        return None;
    }
    if g.again(keyword) {
        b.refuse(span, format!("'{keyword}' already specified."));
        return None;
    }
    let Some(word) = words.first() else {
        b.refuse(
            span,
            format!("global statement '{keyword}' expects a directory path as an argument."),
        );
        return None;
    };
    Some(word.text.clone().into())
}

/// `user`, `group`.
fn account(b: &mut Binder, g: &mut Global, keyword: &'static str, words: &[Word]) {
    let span = here(b, words);
    if surplus(b, keyword, words, 1) {
        return;
    }
    if g.again(keyword) {
        let text = match keyword {
            "user" => "user/uid already specified. Continuing.",
            _ => "gid/group was already specified. Continuing.",
        };
        again(b, words, text);
        return;
    }
    let name = text(words, 0).to_owned();
    let database = if keyword == "user" { "/etc/passwd" } else { "/etc/group" };
    if name.is_empty() || !g.context.has_account(database, &name) {
        b.refuse(span, format!("cannot find {keyword} id for '{name}' (0:Success)")).help =
            Some(format!("create the {keyword}, or name one that exists"));
        return;
    }
    if keyword == "user" {
        g.process.user = Some(name);
    } else {
        g.process.group = Some(name);
    }
}

/// `uid`, `gid`.
fn id(
    b: &mut Binder,
    g: &mut Global,
    keyword: &'static str,
    by_name: &'static str,
    words: &[Word],
) {
    let span = here(b, words);
    if surplus(b, keyword, words, 1) {
        return;
    }
    if g.again(by_name) {
        again(b, words, format!("{by_name}/{keyword} already specified. Continuing."));
        return;
    }
    let Some(word) = words.first() else {
        b.refuse(span, format!("'{keyword}' expects an integer argument."));
        return;
    };
    let (n, whole) = leading(&word.text);
    if !whole {
        b.warn(span, format!(" {keyword}: string '{}' is not a number.\n   | You might want to use the '{by_name}' parameter to use a system {by_name} name.", word.text));
        return;
    }
    if by_name == "user" {
        g.process.user = Some(n.to_string());
    } else {
        g.process.group = Some(n.to_string());
    }
}

fn set_env(b: &mut Binder, g: &mut Global, keyword: &str, words: &[Word]) {
    let (name, value) = match words {
        [name, value] => (name, value),
        [] => {
            b.refuse(here(b, words), format!("'{keyword}' expects environment variable name.\n."));
            return;
        }
        [name] => {
            let text =
                format!("'{keyword}' expects environment variable value for '{}'.\n.", name.text);
            b.refuse(here(b, words), text);
            return;
        }
        _ => {
            surplus(b, keyword, words, 2);
            return;
        }
    };
    let mut env = g.context.env.borrow_mut();
    if keyword == "setenv" || !env.contains_key(&name.text) {
        env.insert(name.owned(), value.owned());
    }
}

fn tls_words(b: &mut Binder, keyword: &str, what: &str, words: &[Word]) -> Option<String> {
    if words.is_empty() {
        b.refuse(
            here(b, words),
            format!("global statement '{keyword}' expects {what} as an argument."),
        );
    }
    words.first().map(Word::owned)
}

fn tls_options(b: &mut Binder, keyword: &str, tls: &mut TlsDraft, words: &[Word]) {
    if words.is_empty() {
        b.refuse(
            here(b, words),
            format!("global statement '{keyword}' expects an option as an argument."),
        );
    }
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            option @ ("ssl-min-ver" | "ssl-max-ver" | "verify") => {
                let argument = words.next();
                let version = argument.and_then(|word| super::tls::named(&word.text));
                match (version, argument) {
                    (Some(version), _) if option == "ssl-min-ver" => {
                        super::tls::old(version, std::slice::from_ref(word), b);
                    }
                    (Some(version), _) if version < 2 => {
                        let text = "no version before TLSv1.2 is spoken (RFC 8996).";
                        b.refuse(word.span, text);
                    }
                    (None, _) if option != "verify" => {
                        let text = format!(
                            "global statement '{keyword}' '{option}': unknown ssl/tls version."
                        );
                        b.refuse(word.span, text);
                    }
                    _ => {}
                }
                default_option(tls, option, argument.map_or("", |word| &word.text));
            }
            old @ ("force-sslv3" | "force-tlsv10" | "force-tlsv11") => {
                let text = format!("'{old}': no version before TLSv1.2 is spoken (RFC 8996).");
                b.refuse(word.span, text);
            }
            "no-sslv3"
            | "no-tlsv10"
            | "no-tlsv11"
            | "no-tlsv12"
            | "no-tlsv13"
            | "force-tlsv12"
            | "force-tlsv13"
            | "no-tls-tickets"
            | "tls-tickets"
            | "prefer-client-ciphers"
            | "strict-sni"
            | "no-strict-sni"
            | "allow-0rtt" => default_option(tls, &word.text, ""),
            other => {
                b.refuse(
                    word.span,
                    format!("unknown option '{other}' on global statement '{keyword}'."),
                );
            }
        }
    }
}
