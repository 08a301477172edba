//! `global`: what few files say of the process and its sockets.

use conf::Form::Words;
use conf::{Binder, Keyword, Severity, Span, Status, Unit, Word};
use proxy::{Families, StatusCodes};

use super::text;
use crate::context::{Base, UnixBind};
use crate::draft::Global;
use crate::number::{bind_time, leading, surplus};
use crate::say::{Complain, TIGHT};

type G = Keyword<Global>;

/// As many words as a line can have.
const ALL: usize = usize::MAX;

/// The rows.
pub(crate) const TABLE: &[G] = &[
    G::new("unix-bind", Words("[prefix <path>] [mode <octal>] [user|uid|group|gid <id>]", 0..=ALL, unix_bind))
        .doc("What UNIX sockets that come later begin with: who owns them, who may connect, and the start of paths of `bind`."),
    G::new("default-path", Words("current|config|parent|origin <directory>", 0..=ALL, default_path))
        .default("current")
        .doc("Where files are that are named without a directory: where the process began, beside the file that names them, one above, or in a directory."),
    G::new("close-spread-time", Words("<time>|infinite", 0..=ALL, |_, w, b| {
        if w.first().is_some_and(|word| word.text == "infinite") {
            return;
        }
        time(b, "close-spread-time", w);
    }))
    .status(Status::Accepted("idle connections of HTTP are closed with their next answer")),
    G::new("grace", Words("<time>", 0..=ALL, |g, w, b| g.process.global.grace = time(b, "grace", w)))
        .doc("How long clients are still accepted after SIGUSR1, in milliseconds unless a unit is said."),
    G::new("noreuseport", Words("", 0..=ALL, |g, w, b| {
        if !surplus(b, "noreuseport", w, 0) {
            g.no_reuse_port = true;
        }
    }))
    .doc("Addresses are not shared with other processes (no SO_REUSEPORT)."),
    G::new("setcap", Words("<capability>[,…]", 0..=ALL, capabilities))
        .doc("Capabilities kept when the user changes: cap_net_raw, cap_net_admin, cap_net_bind_service, cap_sys_admin."),
    G::new("quick-exit", Words("", 0..=ALL, |_, w, b| {
        surplus(b, "quick-exit", w, 0);
    }))
        .status(Status::Accepted("a process that ends frees nothing anyway")),
    G::accepted("cpu-affinity", "per-core|per-group|auto|per-thread|per-ccx", "the kernel places threads"),
    G::new("harden.reject-privileged-ports.tcp", Words("on|off", 0..=ALL, |g, w, b| {
        if let Some(on) = on_off(b, "harden.reject-privileged-ports.tcp", w) {
            g.process.global.reject_privileged_ports = on;
        }
    }))
    .default("off")
    .doc("Connections from ports below 1024 are closed at once."),
    G::new("harden.reject-privileged-ports.quic", Words("on|off", 0..=ALL, |_, w, b| {
        on_off(b, "harden.reject-privileged-ports.quic", w);
    }))
    .status(Status::Accepted("QUIC is not spoken"))
    .default("on"),
    G::new("dns-accept-family", Words("auto|{ipv4|ipv6}[,…]", 0..=ALL, families))
        .default("auto")
        .doc("Which addresses of names are used, whoever is asked for them."),
    G::new("http-err-codes", Words("[+|-]<low>[-<high>][,…]…", 0..=ALL, |g, w, b| {
        codes(b, "http-err-codes", w, &mut g.process.global.codes.errors);
    }))
    .default("400-499")
    .doc("Answers that `http_err_cnt` counts, from 100 to 599; `+` adds to them, `-` removes."),
    G::new("http-fail-codes", Words("[+|-]<low>[-<high>][,…]…", 0..=ALL, |g, w, b| {
        codes(b, "http-fail-codes", w, &mut g.process.global.codes.failures);
    }))
    .doc("Answers that `http_fail_cnt` counts, from 100 to 599; `+` adds to them, `-` removes."),
    G::new("warn-blocked-traffic-after", Words("<1..1000 ms>", 0..=ALL, |_, w, b| {
        const NAME: &str = "warn-blocked-traffic-after";
        let Some(word) = w.first() else {
            b.refuse(here(w), format!("'{NAME}' expects <time> as argument between 1 and 1000 ms.\n"));
            return;
        };
        let say = |c| format!("unexpected character '{c}' in argument to <{NAME}>.\n");
        match bind_time(b, word, Unit::Millis, NAME, say).map(|time| time.as_millis()) {
            Some(1..=1000) | None => {}
            Some(_) => {
                b.refuse(word.span, format!("timer out of range in argument '{}' to '{NAME}' (value must be between 1 and 1000 ms)", word.text));
            }
        }
    }))
    .status(Status::Accepted("nothing watches how long a thread is busy"))
    .default("100"),
    G::accepted("max-threads-per-group", "<number>", "threads are not in groups"),
    G::new("anonkey", Words("<0..4294967295>", 0..=ALL, |g, w, b| {
        let Some(word) = w.first() else {
            b.complain(Severity::Error, TIGHT, here(w), "a key is expected after 'anonkey'.");
            return;
        };
        match u32::try_from(leading(&word.text).0) {
            Ok(key) => g.process.global.anonymity = key,
            Err(_) => {
                let text = format!("'anonkey' value must be within range 0-4294967295 (was '{}').", word.text);
                b.complain(Severity::Error, TIGHT, word.span, text);
            }
        }
    }))
    .status(Status::Accepted("answers of the runtime API name things as they are called"))
    .default("0"),
    G::accepted("debug.counters", "on|off", "events are not counted by where they happen"),
    G::accepted("stats calculate-max-counters", "on|off", "the highest values are always kept"),
];

fn here(words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

fn time(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<std::time::Duration> {
    let Some(word) = words.first() else {
        b.refuse(here(words), format!("'{keyword}' expects <time> as argument.\n"));
        return None;
    };
    let say = |c| format!("unexpected character '{c}' in argument to <{keyword}>.\n");
    bind_time(b, word, Unit::Millis, keyword, say)
}

fn on_off(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<bool> {
    match text(words, 0) {
        "on" => Some(true),
        "off" => Some(false),
        _ => {
            b.refuse(here(words), format!("'{keyword}' expects either 'on' or 'off'."));
            None
        }
    }
}

fn unix_bind(g: &mut Global, words: &[Word], b: &mut Binder) {
    let context = g.context.clone();
    let mut known = context.unix_bind.borrow_mut();
    for pair in words.chunks(2) {
        let value = text(pair, 1);
        match pair[0].text.as_str() {
            "prefix" if value.is_empty() => {
                b.refuse(pair[0].span, "unix_bind 'prefix' expects a path as an argument.");
                return;
            }
            "prefix" => known.prefix = value.to_owned(),
            // As C's strtol reads it: what is no octal number is 0.
            "mode" => {
                let digits =
                    value.len() - value.trim_start_matches(|c| matches!(c, '0'..='7')).len();
                known.mode = u32::from_str_radix(&value[..digits], 8).ok().filter(|mode| *mode > 0);
            }
            "user" | "group" => {
                let user = pair[0].text == "user";
                let database = if user { "/etc/passwd" } else { "/etc/group" };
                if !context.has_account(database, value) {
                    let text = format!("'unix-bind' : '{value}' unknown {}.", pair[0].text);
                    b.refuse(pair[0].span, text);
                    return;
                }
                let owner = if user { &mut known.user } else { &mut known.group };
                *owner = Some(value.to_owned());
            }
            "uid" => known.user = Some(leading(value).0.to_string()),
            "gid" => known.group = Some(leading(value).0.to_string()),
            _ => {
                b.refuse(pair[0].span, "'unix-bind' only supports the 'prefix', 'mode', 'uid', 'gid', 'user' and 'group' options.");
                return;
            }
        }
    }
}

fn default_path(g: &mut Global, words: &[Word], b: &mut Binder) {
    let base = match text(words, 0) {
        "current" => Base::Current,
        "config" => Base::Config,
        "parent" => Base::Parent,
        "origin" if words.len() < 2 => {
            b.refuse(here(words), "'default-path origin' expects a directory as an argument.");
            return;
        }
        "origin" => {
            let directory = std::path::PathBuf::from(&words[1].text);
            if let Err(error) = g.context.can_read(&directory) {
                let now = std::env::current_dir().unwrap_or_default();
                let text = format!(
                    "couldn't set 'default-path' to origin '{}': Impossible to get back to directory '{}': {}.",
                    directory.display(),
                    now.display(),
                    crate::load::strip_os(&error)
                );
                b.refuse(words[1].span, text);
                return;
            }
            Base::Origin(directory)
        }
        got => {
            let what = if got.is_empty() { "missing" } else { "unsupported" };
            b.refuse(here(words), format!("{what} default-path mode '{got}' for 'default-path', supported modes include 'current', 'config', 'parent', and 'origin'."));
            return;
        }
    };
    *g.context.base.borrow_mut() = base;
}

fn capabilities(g: &mut Global, words: &[Word], b: &mut Binder) {
    const KNOWN: [&str; 4] =
        ["cap_net_raw", "cap_net_admin", "cap_net_bind_service", "cap_sys_admin"];
    const SUPPORTED: &str =
        "Supported ones are: cap_net_raw, cap_net_admin, cap_net_bind_service and cap_sys_admin.";
    let names = text(words, 0);
    if names.is_empty() {
        b.refuse(here(words), format!("'setcap' : missing capability name(s).  {SUPPORTED}"));
        return;
    }
    for name in names.split(',') {
        match KNOWN.iter().find(|known| **known == name) {
            Some(known) => g.process.global.capabilities.push(known),
            None => {
                let text = format!("'setcap' : unsupported capability '{name}'.  {SUPPORTED}");
                b.refuse(words[0].span, text);
                return;
            }
        }
    }
}

fn families(g: &mut Global, words: &[Word], b: &mut Binder) {
    let mut families = Families { v4: false, v6: false };
    for word in text(words, 0).split(',') {
        match word {
            "auto" => families = Families::default(),
            "ipv4" => families.v4 = true,
            "ipv6" => families.v6 = true,
            got => {
                b.refuse(here(words), format!("'dns-accept-family' expects a comma-delimited list of 'ipv4' and 'ipv6' but got '{got}'."));
                return;
            }
        }
    }
    g.process.global.families = families;
    g.context.families.set(families);
}

/// `[+|-]<low>[-<high>][,…]`, several of them: without a sign they take the place of what was.
fn codes(b: &mut Binder, keyword: &str, words: &[Word], codes: &mut StatusCodes) {
    if words.is_empty() {
        b.refuse(here(words), format!("Missing status codes range for '{keyword}'."));
        return;
    }
    for word in words {
        let all = word.text.as_str();
        let (list, wanted) = match all.as_bytes().first() {
            Some(b'+') => (&all[1..], true),
            Some(b'-') => (&all[1..], false),
            _ => {
                *codes = StatusCodes::NONE;
                (all, true)
            }
        };
        let mut rest = list;
        loop {
            let (low, high, behind) = match range(rest) {
                Ok(range) => range,
                Err(left) => {
                    let at = all.len() - left.len();
                    b.refuse(word.span, format!("Invalid status codes range '{all}' in '{keyword}' at position {at}. Ranges must be in the form [+-]{{low[-{{high}}]}}[,...]."));
                    return;
                }
            };
            if !(100..=high).contains(&low) || high > 599 {
                b.refuse(word.span, format!("Invalid status codes range '{all}' in '{keyword}'.\n Codes must be between 100 and 599 and ranges in ascending order."));
                return;
            }
            codes.set(low, high, wanted);
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None if behind.is_empty() => break,
                // Not a number: found to be none in the next round.
                None => rest = behind,
            }
        }
    }
}

/// The first range of a list and what is behind it; what is left where a number should be.
fn range(text: &str) -> Result<(u16, u16, &str), &str> {
    let number = |text: &str| -> Option<(u16, usize)> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (digits > 0).then(|| (text[..digits].parse().unwrap_or(u16::MAX), digits))
    };
    let (low, len) = number(text).ok_or(text)?;
    let rest = &text[len..];
    match rest.strip_prefix('-') {
        Some(behind) => {
            let (high, len) = number(behind).ok_or(behind)?;
            Ok((low, high, &behind[len..]))
        }
        None => Ok((low, low, rest)),
    }
}

impl UnixBind {
    /// The path of a `bind` line.
    pub(crate) fn path(&self, path: std::path::PathBuf) -> std::path::PathBuf {
        if self.prefix.is_empty() {
            return path;
        }
        let mut whole = std::ffi::OsString::from(&self.prefix);
        whole.push(path);
        whole.into()
    }
}
