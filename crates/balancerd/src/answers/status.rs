//! What there is, for programs and people: `api`, `prometheus` and `status_page`.
//!
//! The JSON is a read-only part of that of nginx's commercial version, `/9/…`: `nginx`, `processes`,
//! `connections`, `resolvers`, `stream/server_zones`, `stream/upstreams`, `stream/limit_conns`. The
//! metrics have the names of nginx's own exporter. Servers without `status_zone` are there by their
//! address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use balance::{ServerId, State};

use crate::backend::upstream;
use crate::cli_nginx::VERSION;
use crate::state::Shared;

/// Versions of the JSON a client may ask for: they do not differ in what is here.
const VERSIONS: std::ops::RangeInclusive<u64> = 1..=9;

/// A value of JSON.
enum Json {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Text(String),
    Number(u64),
    Bool(bool),
}

impl Json {
    fn object(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// What a path names.
    fn at(&self, path: &str) -> Option<&Self> {
        let mut here = self;
        for step in path.split('/').filter(|step| !step.is_empty()) {
            here = match here {
                Self::Object(fields) => {
                    &fields.iter().find(|(name, _)| *name == unescaped(step))?.1
                }
                Self::Array(all) => all.get(step.parse::<usize>().ok()?)?,
                Self::Text(_) | Self::Number(_) | Self::Bool(_) => return None,
            };
        }
        Some(here)
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Object(fields) => {
                out.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    quote(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Self::Array(all) => {
                out.push('[');
                for (at, value) in all.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    value.write(out);
                }
                out.push(']');
            }
            Self::Text(text) => quote(text, out),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        }
    }
}

/// A string of JSON, RFC 8259 §7.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a string does not fail.
            c if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A step of a path, its `%HH` resolved.
fn unescaped(step: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = step.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        };
        match after.get(..2).filter(|_| byte == b'%').and_then(hex) {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn number(of: &AtomicU64) -> u64 {
    of.load(Relaxed)
}

/// One server of an upstream.
struct Peer {
    id: u64,
    server: String,
    name: String,
    backup: bool,
    weight: u64,
    state: &'static str,
    active: u64,
    limit: Option<u64>,
    connections: u64,
    sent: u64,
    received: u64,
    fails: u64,
}

/// One `server`, or several of one `status_zone` together.
#[derive(Default)]
struct Zone {
    processing: u64,
    connections: u64,
    statuses: [u64; 3],
    received: u64,
    sent: u64,
}

fn zones(shared: &Shared) -> BTreeMap<String, Zone> {
    let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
    for (config, state) in shared.config.frontends.iter().zip(&shared.frontends) {
        let nginx = config.nginx.as_deref();
        if nginx.is_some_and(|nginx| matches!(nginx.content, proxy::Content::Http(_))) {
            continue;
        }
        let name = nginx.and_then(|nginx| nginx.zone.as_ref()).unwrap_or(&config.name);
        let zone = zones.entry(name.clone()).or_default();
        zone.processing += u64::from(state.traffic.current.load(Relaxed));
        zone.connections += number(&state.traffic.total);
        for (sum, count) in zone.statuses.iter_mut().zip(state.statuses.iter()) {
            *sum += number(count);
        }
        zone.received += number(&state.traffic.bytes_in);
        zone.sent += number(&state.traffic.bytes_out);
    }
    zones
}

fn upstreams(shared: &Shared) -> BTreeMap<String, Vec<Peer>> {
    let mut all = BTreeMap::new();
    for (config, state) in shared.config.backends.iter().zip(&shared.backends) {
        if config.shares_servers_with.is_some() || config.servers.is_empty() {
            continue;
        }
        let mut peers = Vec::new();
        for (at, (server, known)) in config.servers.iter().zip(state.servers.iter()).enumerate() {
            let id = ServerId(at);
            let now = shared.clock.now();
            let (view, out) =
                state.balancer.look(|pool| (pool.server(id), pool.is_left_out(now, id)));
            if view.weight == 0 {
                continue;
            }
            let traffic = &known.traffic;
            peers.push(Peer {
                id: at as u64,
                server: upstream(&known.target()),
                name: server.name.clone(),
                backup: view.backup,
                weight: u64::from(view.weight),
                state: match view.state {
                    _ if server.disabled => "down",
                    State::Down => "unhealthy",
                    State::Draining => "draining",
                    State::Up | State::Starting { .. } if out => "unavail",
                    State::Up | State::Starting { .. } => "up",
                },
                active: u64::from(traffic.current.load(Relaxed)),
                limit: server.maxconn.map(u64::from),
                connections: number(&traffic.total),
                sent: number(&traffic.bytes_in),
                received: number(&traffic.bytes_out),
                fails: number(&traffic.connect_errors),
            });
        }
        all.insert(config.name.clone(), peers);
    }
    all
}

fn everything(shared: &Shared) -> Json {
    let n = Json::Number;
    let started = shared.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let sessions = |statuses: [u64; 3]| {
        Json::object([
            ("2xx", n(statuses[0])),
            ("4xx", n(statuses[1])),
            ("5xx", n(statuses[2])),
            ("total", n(statuses.iter().sum())),
        ])
    };
    let zone = |(name, zone): (String, Zone)| {
        let ended: u64 = zone.statuses.iter().sum();
        let fields = [
            ("processing", n(zone.processing)),
            ("connections", n(zone.connections)),
            ("sessions", sessions(zone.statuses)),
            ("discarded", n(zone.connections.saturating_sub(ended + zone.processing))),
            ("received", n(zone.received)),
            ("sent", n(zone.sent)),
        ];
        (name, Json::object(fields))
    };
    let peer = |peer: Peer| {
        let mut fields = vec![
            ("id", n(peer.id)),
            ("server", Json::Text(peer.server)),
            ("name", Json::Text(peer.name)),
            ("backup", Json::Bool(peer.backup)),
            ("weight", n(peer.weight)),
            ("state", Json::Text(peer.state.to_owned())),
            ("active", n(peer.active)),
            ("connections", n(peer.connections)),
            ("sent", n(peer.sent)),
            ("received", n(peer.received)),
            ("fails", n(peer.fails)),
        ];
        fields.extend(peer.limit.map(|limit| ("max_conns", n(limit))));
        Json::object(fields)
    };
    let group = |(name, peers): (String, Vec<Peer>)| {
        let peers = Json::Array(peers.into_iter().map(peer).collect());
        (name, Json::object([("peers", peers)]))
    };
    let resolvers = shared.known.all().into_iter().filter_map(|(resolver, cache)| {
        let counts = &cache.counts;
        let codes = ["noerror", "formerr", "servfail", "nxdomain", "notimp", "refused", "unknown"];
        let codes = codes.iter().zip(&counts.codes).map(|(name, code)| (*name, n(number(code))));
        let responses = codes.chain([("timedout", n(number(&counts.timed_out)))]);
        let requests = [("name", n(number(&counts.names))), ("srv", n(number(&counts.services)))];
        let fields = [("requests", Json::object(requests)), ("responses", Json::object(responses))];
        Some((resolver.status_zone?, Json::object(fields)))
    });
    let zones_of_limits = shared.config.process.limit_zones.iter().zip(&shared.limits);
    let limits = zones_of_limits.map(|(zone, state)| {
        let fields = [
            ("passed", n(number(&state.passed))),
            ("rejected", n(number(&state.rejected))),
            ("rejected_dry_run", n(number(&state.rejected_dry_run))),
        ];
        (zone.name.clone(), Json::object(fields))
    });
    let active = u64::from(shared.process.current());
    Json::object([
        (
            "nginx",
            Json::object([
                ("version", Json::Text(VERSION.trim_start_matches("nginx/").to_owned())),
                ("pid", n(std::process::id().into())),
                ("load_timestamp", n(started * 1000)),
                ("timestamp", n(now * 1000)),
                ("generation", n(shared.generations() as u64)),
            ]),
        ),
        ("processes", Json::object([("respawned", n(0))])),
        (
            "connections",
            Json::object([
                ("accepted", n(number(&shared.sessions))),
                ("dropped", n(number(&shared.datagram_sessions_cut))),
                ("active", n(active)),
                ("idle", n(0)),
            ]),
        ),
        ("resolvers", Json::Object(resolvers.collect())),
        (
            "stream",
            Json::object([
                ("server_zones", Json::Object(zones(shared).into_iter().map(zone).collect())),
                ("limit_conns", Json::Object(limits.collect())),
                ("upstreams", Json::Object(upstreams(shared).into_iter().map(group).collect())),
            ]),
        ),
    ])
}

/// `api`: the JSON of a path below it; `None` is status 404.
pub(super) fn api(shared: &Shared, path: &str) -> Option<(&'static str, String)> {
    let mut text = String::new();
    let path = path.trim_start_matches('/');
    let (version, rest) = path.split_once('/').unwrap_or((path, ""));
    if version.is_empty() {
        Json::Array(VERSIONS.map(Json::Number).collect()).write(&mut text);
        return Some(("application/json", text));
    }
    version.parse().ok().filter(|version| VERSIONS.contains(version))?;
    let all = everything(shared);
    match all.at(rest)? {
        // As nginx: the root and `stream` list what is below them.
        Json::Object(fields) if matches!(rest.trim_matches('/'), "" | "stream") => {
            Json::Array(fields.iter().map(|(name, _)| Json::Text(name.clone())).collect())
                .write(&mut text);
        }
        found => found.write(&mut text),
    }
    Some(("application/json", text))
}

/// `prometheus`: text format 0.0.4, with the names of nginx's exporter.
pub(super) fn prometheus(shared: &Shared) -> (&'static str, String) {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: Vec<(String, u64)>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let plain = |value| vec![(String::new(), value)];
    let active = u64::from(shared.process.current());
    metric("nginx_up", "gauge", "Status of the last metric scrape", plain(1));
    if let Some(last) = crate::reloads::last() {
        let success = plain(u64::from(last.success));
        let name = "balancerd_config_last_reload_successful";
        metric(name, "gauge", "Whether the last configuration was taken", success);
        let name = "balancerd_config_last_reload_success_timestamp_seconds";
        metric(name, "gauge", "When a configuration was taken last", plain(last.succeeded));
    }
    let accepted = number(&shared.sessions);
    metric("nginx_connections_accepted", "counter", "Accepted client connections", plain(accepted));
    metric("nginx_connections_active", "gauge", "Active client connections", plain(active));
    metric("nginx_connections_handled", "counter", "Handled client connections", plain(accepted));
    let requests = number(&shared.requests);
    metric("nginx_http_requests_total", "counter", "Total http requests", plain(requests));
    let zones = zones(shared);
    let mut of_zones = |name: &str, kind: &str, help: &str, value: fn(&Zone) -> u64| {
        let label = |name: &str| format!("{{server_zone=\"{}\"}}", label(name));
        let values = zones.iter().map(|(name, zone)| (label(name), value(zone))).collect();
        metric(&format!("nginxplus_stream_server_zone_{name}"), kind, help, values);
    };
    of_zones("processing", "gauge", "Client connections that are being processed", |z| {
        z.processing
    });
    of_zones("connections", "counter", "Total connections", |z| z.connections);
    of_zones("received", "counter", "Bytes received from clients", |z| z.received);
    of_zones("sent", "counter", "Bytes sent to clients", |z| z.sent);
    let sessions = zones.iter().flat_map(|(name, zone)| {
        ["2xx", "4xx", "5xx"].into_iter().zip(zone.statuses).map(|(code, count)| {
            (format!("{{code=\"{code}\",server_zone=\"{}\"}}", label(name)), count)
        })
    });
    let name = "nginxplus_stream_server_zone_sessions";
    metric(name, "counter", "Total sessions completed", sessions.collect());
    let groups = upstreams(shared);
    let mut of_peers = |name: &str, kind: &str, help: &str, value: fn(&Peer) -> u64| {
        let peers = groups.iter().flat_map(|(name, peers)| peers.iter().map(move |p| (name, p)));
        let values = peers.map(|(name, peer)| {
            let (server, group) = (label(&peer.server), label(name));
            (format!("{{server=\"{server}\",upstream=\"{group}\"}}"), value(peer))
        });
        let values = values.collect();
        metric(&format!("nginxplus_stream_upstream_server_{name}"), kind, help, values);
    };
    of_peers("state", "gauge", "1 up, 2 draining, 3 down, 4 unavail, 6 unhealthy", |p| {
        match p.state {
            "up" => 1,
            "draining" => 2,
            "down" => 3,
            "unavail" => 4,
            _ => 6,
        }
    });
    of_peers("active", "gauge", "Active connections", |p| p.active);
    of_peers("limit", "gauge", "Limit for connections, 0 is none", |p| p.limit.unwrap_or(0));
    of_peers("connections", "counter", "Total connections", |p| p.connections);
    of_peers("sent", "counter", "Bytes sent to this server", |p| p.sent);
    of_peers("received", "counter", "Bytes received from this server", |p| p.received);
    of_peers("fails", "counter", "Unsuccessful attempts", |p| p.fails);
    ("text/plain; version=0.0.4", text)
}

/// The value of a label.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// `status_page`.
pub(super) fn page(shared: &Shared) -> (&'static str, String) {
    let html = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let mut text = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Streams</title>\
         <meta http-equiv=\"refresh\" content=\"5\"><style>body{font:14px sans-serif}\
         table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:2px 8px;text-align:right}\
         td:first-child,th:first-child{text-align:left}</style></head><body>\n\
         <h1>Servers</h1>\n<table><tr><th>server<th>now<th>connections<th>2xx<th>4xx<th>5xx\
         <th>bytes in<th>bytes out</tr>\n",
    );
    for (name, zone) in zones(shared) {
        let [good, refused, failed] = zone.statuses;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "<tr><td>{}<td>{}<td>{}<td>{good}<td>{refused}<td>{failed}<td>{}<td>{}</tr>",
            html(&name),
            zone.processing,
            zone.connections,
            zone.received,
            zone.sent
        );
    }
    text.push_str("</table>\n");
    for (name, peers) in upstreams(shared) {
        let _ = writeln!(
            text,
            "<h2>{}</h2>\n<table><tr><th>server<th>state<th>weight<th>now<th>connections<th>fails\
             <th>bytes to it<th>bytes from it</tr>",
            html(&name)
        );
        for peer in peers {
            let backup = if peer.backup { " (backup)" } else { "" };
            let _ = writeln!(
                text,
                "<tr><td>{}{backup}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
                html(&peer.server),
                peer.state,
                peer.weight,
                peer.active,
                peer.connections,
                peer.fails,
                peer.sent,
                peer.received
            );
        }
        text.push_str("</table>\n");
    }
    text.push_str("</body></html>\n");
    ("text/html", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_names_is_found_and_written_as_json() {
        let inner = Json::object([("a\"b", Json::Array(vec![Json::Number(1), Json::Bool(true)]))]);
        let all = Json::object([("x", inner), ("t", Json::Text("\n\\é".into()))]);
        let shown = |path| {
            let mut text = String::new();
            all.at(path).map(|found| {
                found.write(&mut text);
                text
            })
        };
        let whole = "{\"x\":{\"a\\\"b\":[1,true]},\"t\":\"\\u000a\\\\é\"}";
        assert_eq!(shown("").as_deref(), Some(whole));
        assert_eq!(shown("/x/a%22b/0/").as_deref(), Some("1"));
        assert_eq!((shown("x/y"), shown("x/a%22b/2"), shown("t/0")), (None, None, None));
    }
}
