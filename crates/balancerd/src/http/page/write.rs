//! The document.

use std::fmt::Write as _;

use proxy::Stats;

use super::super::figures::{self, Row, Table};
use super::super::prometheus::server_state;
use super::{ACTIONS, Asked};
use crate::state::Shared;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A column: its heading, and what stands in it.
type Column = (&'static str, fn(&Row<'_>) -> String);

const COLUMNS: &[Column] = &[
    ("Status", |row| status(row)),
    ("Sessions", |row| of(row, "scur", "smax", "slim")),
    ("Rate/s", |row| of(row, "rate", "rate_max", "rate_lim")),
    ("Total", |row| grouped(row.get("stot"))),
    (
        "Queue",
        |row| if row.kind() == "0" { String::new() } else { of(row, "qcur", "qmax", "qlimit") },
    ),
    ("In", |row| bytes(row.get("bin"))),
    ("Out", |row| bytes(row.get("bout"))),
    ("Denied", |row| sum(row, &["dreq", "dresp", "dcon", "dses"])),
    ("Errors", |row| sum(row, &["ereq", "econ", "eresp"])),
    (
        "Retries",
        |row| if row.kind() == "0" { String::new() } else { sum(row, &["wretr", "wredis"]) },
    ),
    ("Weight", |row| row.get("weight").to_owned()),
    ("Check", |row| check(row)),
    ("Down", |row| duration(row.get("downtime"))),
];

/// The page, and the policy browsers hold it to.
pub(super) fn page(
    shared: &Shared,
    stats: &Stats,
    asked: &Asked,
    table: &Table,
    admin: bool,
) -> (String, String) {
    let nonce = format!("{:032x}", fastrand::u128(..));
    let info = figures::info(shared);
    let field = |name: &str| info.get(name).map_or("", String::as_str);
    let mut out = String::with_capacity(32 * 1024);
    let title = match &stats.node {
        Some(name) if name.is_empty() => format!("Statistics: {}", field("node")),
        Some(name) => format!("Statistics: {name}"),
        None => "Statistics".to_owned(),
    };
    let title = escape(&title);
    let every = stats.refresh.map_or(5, |every| every.as_secs().max(1));
    let live = if asked.no_refresh { 0 } else { every };
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><link rel=\"icon\" href=\"data:,\">\
         <style nonce=\"{nonce}\">{STYLE}</style></head>\n<body data-live=\"{live}\">\
         <header><h1>{title}</h1>"
    );
    let version = if stats.hide_version { "" } else { field("Version") };
    let described = match stats.description.as_deref() {
        Some("") => field("description"),
        Some(text) => text,
        None => "",
    };
    for text in [described, version].into_iter().filter(|text| !text.is_empty()) {
        let _ = write!(out, "<p>{}</p>", escape(text));
    }
    out.push_str("</header>\n<main>");
    result(&mut out, &asked.result);
    out.push_str("<dl class=\"sum\">");
    for (name, value) in [
        ("up for", field("Uptime").to_owned()),
        ("pid", field("Pid").to_owned()),
        ("connections", format!("{} of {}", field("CurrConns"), field("Maxconn"))),
        ("per second", format!("{}, at most {}", field("ConnRate"), field("MaxConnRate"))),
        ("since the start", grouped(field("CumConns"))),
        ("idle", format!("{} %", field("Idle_pct"))),
    ] {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    out.push_str("</dl>\n");
    let mut names: Vec<&str> = Vec::new();
    for row in table.rows() {
        let name = row.get("pxname");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let hidden = !stats.scope.is_empty() && !stats.scope.iter().any(|shown| shown == name);
        if hidden || !name.contains(&asked.scope) {
            continue;
        }
        let rows: Vec<Row<'_>> = table.rows().filter(|row| row.get("pxname") == name).collect();
        proxy(&mut out, stats, name, &rows, admin);
    }
    let uri = escape(&stats.uri);
    let _ = write!(
        out,
        "</main>\n<footer><a href=\"{uri};csv\">CSV</a> <a href=\"{uri};json\">JSON</a> \
         <a href=\"{uri};up\">only what is up</a> <a href=\"{uri}\">all</a> \
         <button id=\"live\" type=\"button\" hidden></button></footer>\n\
         <script nonce=\"{nonce}\">{SCRIPT}</script></body></html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    (out, policy)
}

/// What became of a form.
fn result(out: &mut String, result: &str) {
    let (class, text) = match result {
        "DONE" => ("good", "It is done."),
        "NONE" => ("", "Nothing was to be done."),
        "PART" => ("bad", "It was done for some of the servers."),
        "ERRP" => ("bad", "The form was not understood, or it could not be done."),
        "EXCD" => ("bad", "The form is too long."),
        "DENY" => ("bad", "You may not do that."),
        "" => return,
        _ => ("bad", "What became of it is not known."),
    };
    let _ = write!(out, "<p class=\"told {class}\" role=\"status\">{text}</p>");
}

fn proxy(out: &mut String, stats: &Stats, name: &str, rows: &[Row<'_>], admin: bool) {
    let shown = escape(name);
    let first = rows.first();
    let mode = first.map_or("", |row| row.get("mode"));
    let _ = write!(out, "<section id=\"{shown}\"><h2>{shown} <small>{}</small>", escape(mode));
    if stats.legends
        && let Some(algorithm) = rows.iter().map(|row| row.get("algo")).find(|a| !a.is_empty())
    {
        let _ = write!(out, " <small>{}</small>", escape(algorithm));
    }
    out.push_str("</h2>");
    let servers = rows.iter().any(|row| row.kind() == "2");
    let form = admin && servers;
    if form {
        let _ = write!(out, "<form method=\"post\" action=\"{}\">", escape(&stats.uri));
    }
    out.push_str("<table><thead><tr>");
    if form {
        out.push_str("<th></th>");
    }
    out.push_str("<th class=\"l\">Name</th>");
    for (heading, _) in COLUMNS {
        let left = if *heading == "Status" { " class=\"l\"" } else { "" };
        let _ = write!(out, "<th{left}>{heading}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        let class = match row.kind() {
            "0" => "front",
            "1" => "back",
            _ => "server",
        };
        let _ = write!(out, "<tr class=\"{class} {}\">", state(row));
        let own = escape(row.get("svname"));
        if form {
            match row.kind() {
                "2" => {
                    let _ = write!(
                        out,
                        "<td class=\"pick\"><input type=\"checkbox\" name=\"s\" value=\"{own}\" aria-label=\"{own}\"></td>"
                    );
                }
                _ => out.push_str("<td class=\"pick\"></td>"),
            }
        }
        let address = if stats.legends { escape(row.get("addr")) } else { String::new() };
        let _ = write!(out, "<th scope=\"row\">{own}<small>{address}</small></th>");
        for (heading, value) in COLUMNS {
            let value = escape(&value(row));
            let empty = if value.is_empty() { " class=\"none\"" } else { "" };
            let _ = write!(out, "<td{empty} data-is=\"{heading}\">{value}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    if form {
        let id = rows.iter().find(|row| row.kind() != "0").map_or("", |row| row.get("iid"));
        out.push_str("<p class=\"act\"><select name=\"action\" aria-label=\"What to do\"><option value=\"\">What to do…</option>");
        for (value, _, text) in ACTIONS {
            let _ = write!(out, "<option value=\"{value}\">{text}</option>");
        }
        let _ = write!(
            out,
            "</select> <input type=\"hidden\" name=\"b\" value=\"#{}\"><button>Apply</button></p></form>",
            escape(id)
        );
    }
    out.push_str("</section>\n");
}

/// The class of a line.
fn state(row: &Row<'_>) -> &'static str {
    match (row.kind(), server_state(row)) {
        ("0", "OPEN") => "up",
        ("0", _) => "down",
        (_, "UP") => "up",
        (_, "MAINT") => "maint",
        (_, "DRAIN" | "NOLB") => "drain",
        _ => "down",
    }
}

fn status(row: &Row<'_>) -> String {
    let since = duration(row.get("lastchg"));
    let status = row.get("status");
    if since.is_empty() { status.to_owned() } else { format!("{status}, {since}") }
}

fn check(row: &Row<'_>) -> String {
    let status = row.get("check_status");
    if status.is_empty() {
        return String::new();
    }
    let (code, millis) = (row.get("check_code"), row.get("check_duration"));
    let code = if code.is_empty() { String::new() } else { format!("/{code}") };
    let took = if millis.is_empty() { String::new() } else { format!(" in {millis} ms") };
    format!("{status}{code}{took}")
}

/// `3 (most 5, limit 100)`, shortly.
fn of(row: &Row<'_>, now: &str, most: &str, limit: &str) -> String {
    let (now, most, limit) = (row.get(now), row.get(most), row.get(limit));
    if now.is_empty() {
        return String::new();
    }
    let limit = match limit {
        "" | "0" => String::new(),
        limit => format!(" of {}", grouped(limit)),
    };
    format!("{}{limit}, max {}", grouped(now), grouped(most))
}

fn sum(row: &Row<'_>, names: &[&str]) -> String {
    let numbers: Vec<u64> = names.iter().filter_map(|name| row.get(name).parse().ok()).collect();
    if numbers.is_empty() {
        String::new()
    } else {
        grouped(&numbers.iter().sum::<u64>().to_string())
    }
}

/// Digits in groups of three.
fn grouped(number: &str) -> String {
    if number.len() < 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut out = String::new();
    for (at, digit) in number.chars().enumerate() {
        if at > 0 && (number.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn bytes(number: &str) -> String {
    let Ok(all) = number.parse::<u64>() else { return String::new() };
    let mut rest = all as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if rest < 1_000.0 {
            let places = usize::from(unit != "B" && rest < 100.0);
            return format!("{rest:.places$}\u{202f}{unit}");
        }
        rest /= 1_000.0;
    }
    format!("{rest:.1}\u{202f}PB")
}

fn duration(seconds: &str) -> String {
    let Ok(all) = seconds.parse::<u64>() else { return String::new() };
    let (days, hours, minutes, seconds) = (all / 86_400, all / 3_600 % 24, all / 60 % 60, all % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{seconds}s"),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// Text in a document or in one of its attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
