//! Counters for Prometheus: HAProxy's names, types and labels, and histograms of our own.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, text format 0.0.4.

mod metrics;

use std::fmt::{Display, Write as _};

use super::figures::{self, Row, Table};
use super::latency::{BOUNDS, Histogram};
use super::own::Own;
use crate::state::Shared;
use crate::stats::Filter;
use metrics::{BACKEND, FRONTEND, Metric, PROCESS, SERVER, Value};

const KIND: &str = "text/plain; version=0.0.4";
/// The states of servers and of checks, in HAProxy's order.
const SERVER_STATES: &[&str] = &["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];
const CHECK_STATES: &[&str] = &[
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP",
    "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];
const CODES: [(&str, &str); 6] = [
    ("1xx", "hrsp_1xx"),
    ("2xx", "hrsp_2xx"),
    ("3xx", "hrsp_3xx"),
    ("4xx", "hrsp_4xx"),
    ("5xx", "hrsp_5xx"),
    ("other", "hrsp_other"),
];

/// What `?scope=…&no-maint&metrics=…` asks for.
#[derive(Debug)]
struct Wanted {
    scopes: Vec<String>,
    no_maintenance: bool,
    metrics: Vec<String>,
}

impl Wanted {
    /// Reads a query; `None` for a parameter that is known to nobody.
    fn parse(query: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(query).ok()?;
        let mut wanted = Self { scopes: vec![], no_maintenance: false, metrics: vec![] };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "scope" => match value {
                    "" => {}
                    "*" => wanted.scopes.clear(),
                    "global" | "frontend" | "backend" | "server" | "listener" | "sticktable"
                    | "resolver" => wanted.scopes.push(value.to_owned()),
                    _ => return None,
                },
                "no-maint" => wanted.no_maintenance = true,
                // No module has counters of its own.
                "extra-counters" | "desc" => {}
                "metrics" => wanted.metrics.extend(value.split(',').map(str::to_owned)),
                _ => return None,
            }
        }
        Some(wanted)
    }

    fn scope(&self, name: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == name)
    }

    fn metric(&self, name: &str) -> bool {
        let unwanted = |m: &&String| m.strip_prefix('-').is_some_and(|m| m == name);
        let positive = self.metrics.iter().any(|m| !m.starts_with('-'));
        !self.metrics.iter().any(|m| unwanted(&m))
            && (!positive || self.metrics.iter().any(|m| m == name))
    }
}

/// Answers a request for them.
pub(super) fn answer(shared: &'static Shared, query: &[u8]) -> Own {
    let Some(wanted) = Wanted::parse(query) else {
        return Own::page(400, &[]);
    };
    let mut own = Own::new(200, KIND, write(shared, &wanted).into_bytes());
    own.head.headers.set("cache-control", b"no-cache");
    own
}

fn write(shared: &'static Shared, wanted: &Wanted) -> String {
    let filter = Filter { no_maintenance: wanted.no_maintenance, ..Filter::default() };
    let table = Table::of(shared, filter);
    let mut out = Out { text: String::with_capacity(16 * 1024), wanted };
    if wanted.scope("global") {
        process(shared, &mut out);
    }
    for (scope, kind, prefix, metrics) in [
        ("frontend", "0", "haproxy_frontend_", FRONTEND),
        ("backend", "1", "haproxy_backend_", BACKEND),
        ("server", "2", "haproxy_server_", SERVER),
    ] {
        if wanted.scope(scope) {
            let rows: Vec<Row<'_>> = table.rows().filter(|row| row.kind() == kind).collect();
            for metric in metrics {
                series(&mut out, prefix, metric, &rows, &table);
            }
        }
    }
    if wanted.scope("sticktable") {
        tables(shared, &mut out);
    }
    if wanted.scope("backend") {
        histograms(shared, &mut out);
    }
    out.text
}

struct Out<'w> {
    text: String,
    wanted: &'w Wanted,
}

impl Out<'_> {
    /// Begins a metric; whether it is wanted.
    fn begin(&mut self, name: &str, kind: &str, help: &str) -> bool {
        if !self.wanted.metric(name) {
            return false;
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
        true
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// Words from a name: `current_sessions` is "current sessions".
fn help(name: &str) -> String {
    name.replace('_', " ")
}

fn process(shared: &Shared, out: &mut Out<'_>) {
    let info = figures::info(shared);
    for Metric { name, kind, value } in PROCESS {
        let full = format!("haproxy_process_{name}");
        if !out.begin(&full, kind, &help(name)) {
            continue;
        }
        let field = |field: &str| info.get(field).cloned().unwrap_or_default();
        match value {
            Value::Field(name) => out.sample(&full, &[], number(&field(name), 1)),
            Value::Scaled(name, factor) => out.sample(&full, &[], number(&field(name), *factor)),
            Value::Text(label, name) => out.sample(&full, &[(label, &field(name))], 1),
            Value::Zero => out.sample(&full, &[], 0),
            Value::One => out.sample(&full, &[], 1),
            _ => {}
        }
    }
    let full = "haproxy_process_start_time_seconds";
    if out.begin(full, "gauge", "start time") {
        let started = shared.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        out.sample(full, &[], started.as_secs());
    }
    let last = crate::reloads::last();
    let full = "balancerd_config_last_reload_successful";
    if out.begin(full, "gauge", "whether the last configuration was taken") {
        out.sample(full, &[], u8::from(last.is_none_or(|last| last.success)));
    }
    let full = "balancerd_config_last_reload_success_timestamp_seconds";
    if out.begin(full, "gauge", "when a configuration was taken last") {
        let started = shared.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        out.sample(full, &[], last.map_or(started.as_secs(), |last| last.succeeded));
    }
    let full = "balancerd_reloads_in_place_total";
    if out.begin(full, "counter", "configurations that followed another one in the same process") {
        out.sample(full, &[], shared.generations().saturating_sub(1));
    }
}

/// A number as it is written; what is none is `NaN`.
fn number(text: &str, factor: u64) -> String {
    match text.parse::<i64>() {
        Ok(number) if factor == 1 => number.to_string(),
        Ok(number) => number.saturating_mul(i64::try_from(factor).unwrap_or(1)).to_string(),
        Err(_) => "NaN".to_owned(),
    }
}

fn seconds(text: &str) -> String {
    match text.parse::<i64>() {
        Ok(millis) => format!("{}.{:06}", millis / 1_000, millis % 1_000 * 1_000),
        Err(_) => "NaN".to_owned(),
    }
}

fn series(out: &mut Out<'_>, prefix: &str, metric: &Metric, rows: &[Row<'_>], table: &Table) {
    let Metric { name, kind, value } = metric;
    let full = format!("{prefix}{name}");
    let http = matches!(value, Value::Codes) || name.starts_with("http_");
    let rows: Vec<&Row<'_>> =
        rows.iter().filter(|row| !http || row.get("mode") == "http").collect();
    let rows = rows.as_slice();
    if rows.is_empty() || !out.begin(&full, kind, &help(name)) {
        return;
    }
    let mut each = |row: &Row<'_>, more: Option<(&str, &str)>, value: String| {
        let mut labels = vec![("proxy", row.get("pxname"))];
        if row.kind() == "2" {
            labels.push(("server", row.get("svname")));
        }
        labels.extend(more);
        out.sample(&full, &labels, value);
    };
    let one = |on: bool| u8::from(on).to_string();
    match value {
        Value::Field(field) => {
            rows.iter().for_each(|row| each(row, None, number(row.get(field), 1)))
        }
        Value::Scaled(field, factor) => {
            rows.iter().for_each(|row| each(row, None, number(row.get(field), *factor)));
        }
        Value::Millis(field) => {
            rows.iter().for_each(|row| each(row, None, seconds(row.get(field))))
        }
        Value::Zero => rows.iter().for_each(|row| each(row, None, "0".to_owned())),
        Value::Codes => {
            for (code, field) in CODES {
                for row in rows {
                    each(row, Some(("code", code)), number(row.get(field), 1));
                }
            }
        }
        Value::Open => {
            for row in rows {
                let open = row.get("status") == "OPEN";
                each(row, Some(("state", "DOWN")), one(!open));
                each(row, Some(("state", "UP")), one(open));
            }
        }
        Value::UpDown => {
            for row in rows {
                let up = row.get("status") == "UP";
                each(row, Some(("state", "DOWN")), one(!up));
                each(row, Some(("state", "UP")), one(up));
            }
        }
        Value::ServerStates => {
            for row in rows {
                for state in SERVER_STATES {
                    each(row, Some(("state", state)), one(server_state(row) == *state));
                }
            }
        }
        Value::CheckStates => {
            for row in rows.iter().filter(|row| !row.get("check_status").is_empty()) {
                for state in CHECK_STATES {
                    each(row, Some(("state", state)), one(check_state(row) == *state));
                }
            }
        }
        Value::ServersIn => {
            for row in rows {
                for state in SERVER_STATES {
                    let count = servers(table, row).filter(|s| server_state(s) == *state).count();
                    each(row, Some(("state", state)), count.to_string());
                }
            }
        }
        Value::ChecksIn => {
            for row in rows {
                for state in CHECK_STATES {
                    let count = servers(table, row).filter(|s| check_state(s) == *state).count();
                    each(row, Some(("state", state)), count.to_string());
                }
            }
        }
        Value::Text(..) | Value::One => {}
    }
}

/// Stick tables: what `show table` says of each.
fn tables(shared: &'static Shared, out: &mut Out<'_>) {
    let text = figures::command(shared, "show table").unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# table: ")).collect();
    for metric in ["size", "used"] {
        let full = format!("haproxy_sticktable_{metric}");
        if lines.is_empty() || !out.begin(&full, "gauge", &help(metric)) {
            continue;
        }
        for line in &lines {
            let (name, rest) = line.split_once(", type: ").unwrap_or((line, ""));
            let kind = rest.split(',').next().unwrap_or("");
            let field = rest
                .split([',', ' '])
                .find_map(|word| word.strip_prefix(metric)?.strip_prefix(':'));
            let labels = [("name", name), ("type", kind)];
            out.sample(&full, &labels, number(field.unwrap_or(""), 1));
        }
    }
}

/// The servers of a backend's row.
fn servers<'t>(table: &'t Table, backend: &Row<'t>) -> impl Iterator<Item = Row<'t>> {
    let id = backend.get("iid");
    table.rows().filter(move |row| row.kind() == "2" && row.get("iid") == id)
}

/// The first word of a server's status; one without a check is up.
pub(super) fn server_state<'t>(row: &Row<'t>) -> &'t str {
    match row.get("status").split(' ').next().unwrap_or("") {
        "no" => "UP",
        state => state,
    }
}

fn check_state<'t>(row: &Row<'t>) -> &'t str {
    row.get("check_status").trim_start_matches("* ")
}

fn histograms(shared: &Shared, out: &mut Out<'_>) {
    type Pick = fn(&super::Latency) -> &Histogram;
    let kinds: [(&str, &str, Pick); 3] = [
        ("haproxy_backend_queue_time_seconds", "time in queues", |latency| &latency.queue),
        ("haproxy_backend_connect_time_seconds", "time of connects", |latency| &latency.connect),
        ("haproxy_backend_session_time_seconds", "time of sessions and requests", |latency| {
            &latency.session
        }),
    ];
    for (name, help, pick) in kinds {
        if !out.begin(name, "histogram", help) {
            continue;
        }
        for (config, state) in shared.config.backends.iter().zip(&shared.backends) {
            let latency = state.traffic.latency.get();
            let (counts, sum) = latency.map_or(([0; 15], 0), |latency| pick(latency).read());
            let proxy = ("proxy", config.name.as_str());
            let bucket = format!("{name}_bucket");
            for (at, count) in counts.iter().enumerate() {
                let bound = BOUNDS.get(at).map_or_else(
                    || "+Inf".to_owned(),
                    |bound| (*bound as f64 / 1_000.0).to_string(),
                );
                out.sample(&bucket, &[proxy, ("le", &bound)], count);
            }
            let sum = format!("{}.{:03}", sum / 1_000, sum % 1_000);
            out.sample(&format!("{name}_sum"), &[proxy], sum);
            out.sample(&format!("{name}_count"), &[proxy], counts[BOUNDS.len()]);
        }
    }
}

#[cfg(test)]
mod tests;
