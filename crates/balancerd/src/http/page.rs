//! The statistics page: what `show stat` says, for people, and forms to change servers' state.
//!
//! It is one document without anything from elsewhere. Its script only asks for the same document
//! again and shows what is new in it; without a script, `stats refresh` does the same.

mod write;

use http::Request;
use proxy::Stats;

use super::figures::{self, Table};
use super::own::Own;
use crate::state::Shared;
use crate::stats::Filter;

/// What the address behind `stats uri` asks for: `;csv;norefresh;st=DONE`, `?scope=name`.
#[derive(Debug, Default, Eq, PartialEq)]
struct Asked {
    csv: bool,
    json: bool,
    typed: bool,
    up: bool,
    no_maintenance: bool,
    no_refresh: bool,
    scope: String,
    result: String,
}

impl Asked {
    fn parse(uri: &[u8], prefix: &str) -> Self {
        let rest = String::from_utf8_lossy(&uri[prefix.len().min(uri.len())..]).into_owned();
        let mut asked = Self::default();
        for part in rest.split([';', '?', '&']) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "csv" => asked.csv = true,
                "json" => asked.json = true,
                "typed" => asked.typed = true,
                "up" => asked.up = true,
                "no-maint" => asked.no_maintenance = true,
                "norefresh" => asked.no_refresh = true,
                "scope" => value.clone_into(&mut asked.scope),
                "st" => value.clone_into(&mut asked.result),
                _ => {}
            }
        }
        asked
    }
}

/// Answers a request for it.
pub(super) fn answer(
    shared: &'static Shared,
    stats: &Stats,
    request: &Request,
    posted: Option<&[u8]>,
    admin: bool,
) -> Own {
    if !stats.users.is_empty() && stats.rules.is_empty() && !knows(stats, request) {
        return Own::of(rules::http::unauthorized(stats.realm.as_bytes()), &[]);
    }
    let uri = request.path_and_query().unwrap_or_default();
    let asked = Asked::parse(uri, &stats.uri);
    if request.method == "POST" {
        let result = match posted {
            _ if !admin => "DENY",
            _ if !same_origin(request) => "DENY",
            None => "EXCD",
            Some(form) => act(shared, stats, form),
        };
        return see_other(stats, &asked, result);
    }
    let filter = Filter { up: asked.up, no_maintenance: asked.no_maintenance, ..Filter::default() };
    let mut own = if asked.csv {
        let text = scoped_csv(&figures::csv(shared, filter), stats);
        Own::new(200, "text/plain", text.into_bytes())
    } else if asked.json || asked.typed {
        let (form, kind) =
            if asked.json { ("json", "application/json") } else { ("typed", "text/plain") };
        let text = figures::command(shared, &format!("show stat {form}")).unwrap_or_default();
        Own::new(200, kind, text.trim_end().as_bytes().to_vec())
    } else {
        let table = Table::of(shared, filter);
        let (text, policy) = write::page(shared, stats, &asked, &table, admin);
        let mut own = Own::new(200, "text/html; charset=utf-8", text.into_bytes());
        own.head.headers.add("content-security-policy", policy.as_bytes());
        own.head.headers.add("referrer-policy", b"same-origin");
        own.head.headers.add("x-frame-options", b"DENY");
        if let Some(refresh) = stats.refresh.filter(|_| !asked.no_refresh) {
            own.head.headers.add("refresh", refresh.as_secs().to_string().as_bytes());
        }
        own
    };
    own.head.headers.add("cache-control", b"no-cache");
    own
}

/// Whether the request says the password of one of its users.
fn knows(stats: &Stats, request: &Request) -> bool {
    let said = request.headers.get("authorization").and_then(rules::basic);
    let Some((user, password)) = said else { return false };
    let mut users = rules::Users::new("stats");
    for (name, secret) in &stats.users {
        users.add(name, secret, vec![]);
    }
    users.groups(&user, &password).is_some()
}

/// Whether a form was sent by a page of ours. Browsers say where a form comes from; a program that
/// says nothing is no browser, and nobody's password goes with its requests unasked.
fn same_origin(request: &Request) -> bool {
    let headers = &request.headers;
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site, b"same-origin" | b"none");
    }
    let Some(origin) = headers.get("origin").or_else(|| headers.get("referer")) else {
        return true;
    };
    let Some(at) = origin.windows(3).position(|part| part == b"://") else { return false };
    let host = origin[at + 3..].split(|byte| *byte == b'/').next().unwrap_or_default();
    request.headers.get("host").is_some_and(|own| own.eq_ignore_ascii_case(host))
}

fn see_other(stats: &Stats, asked: &Asked, result: &str) -> Own {
    let mut own = Own::new(303, "text/plain", Vec::new());
    let mut location = format!("{};st={result}", stats.uri);
    for (on, option) in
        [(asked.up, ";up"), (asked.no_maintenance, ";no-maint"), (asked.no_refresh, ";norefresh")]
    {
        location.push_str(if on { option } else { "" });
    }
    own.head.headers.add("cache-control", b"no-cache");
    own.head.headers.add("location", location.as_bytes());
    own
}

/// What a form's actions are called by the runtime API.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("ready", "state ready", "Set state to ready"),
    ("drain", "state drain", "Set state to drain"),
    ("maint", "state maint", "Set state to maintenance"),
    ("dhlth", "disable health", "Checks: disable"),
    ("ehlth", "enable health", "Checks: enable"),
    ("hrunn", "health up", "Checks: found up"),
    ("hnolb", "health stopping", "Checks: found stopping"),
    ("hdown", "health down", "Checks: found down"),
    ("dagent", "disable agent", "Agent: disable"),
    ("eagent", "enable agent", "Agent: enable"),
    ("arunn", "agent up", "Agent: found up"),
    ("adown", "agent down", "Agent: found down"),
    ("shutdown", "shutdown sessions", "Kill sessions"),
];

/// Does what a form says: `s=one&s=two&action=drain&b=%23<id>`; the result in HAProxy's letters.
fn act(shared: &'static Shared, stats: &Stats, form: &[u8]) -> &'static str {
    let (mut servers, mut action, mut backend) = (Vec::new(), None, None);
    for pair in form.split(|byte| *byte == b'&') {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = decoded(pair.get(at + 1..).unwrap_or_default());
        match &pair[..at] {
            b"s" => servers.push(value),
            b"action" => action = ACTIONS.iter().find(|(name, ..)| *name == value),
            b"b" => backend = find(shared, &value),
            _ => return "ERRP",
        }
    }
    let (Some((_, action, _)), Some(backend)) = (action, backend) else { return "ERRP" };
    let config = &shared.config.backends[backend];
    if !stats.scope.is_empty() && !stats.scope.contains(&config.name) {
        return "DENY";
    }
    let (mut done, mut failed) = (0, 0);
    for server in servers {
        if !config.servers.iter().any(|known| known.name == server) {
            failed += 1;
            continue;
        }
        let name = format!("{}/{server}", config.name);
        let line = match action.split_once(' ') {
            Some((verb @ ("disable" | "enable"), what)) => format!("{verb} {what} {name}"),
            Some(("shutdown", _)) => format!("shutdown sessions server {name}"),
            _ => format!("set server {name} {action}"),
        };
        let answer = figures::command(shared, &line);
        match answer {
            Some(text) if text.trim().is_empty() => done += 1,
            _ => failed += 1,
        }
    }
    match (done, failed) {
        (0, 0) => "NONE",
        (_, 0) => "DONE",
        (0, _) => "ERRP",
        _ => "PART",
    }
}

/// A backend by `#<id>` or by name.
fn find(shared: &Shared, wanted: &str) -> Option<usize> {
    let id: Option<u32> = wanted.strip_prefix('#').and_then(|id| id.parse().ok());
    shared.config.backends.iter().position(|backend| match id {
        Some(id) => backend.id == id,
        None => backend.name == wanted,
    })
}

/// A value of a form: `%23` is `#`, `+` a blank.
fn decoded(text: &[u8]) -> String {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'%', [high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                out.push(digit(*high) << 4 | digit(*low));
                rest = &behind[2..];
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Only the lines of proxies that may be shown.
fn scoped_csv(text: &str, stats: &Stats) -> String {
    if stats.scope.is_empty() {
        return text.to_owned();
    }
    let shown = |line: &&str| {
        line.starts_with('#')
            || stats.scope.iter().any(|name| {
                line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(','))
            })
    };
    text.lines().filter(shown).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests;
