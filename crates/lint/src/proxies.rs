//! What one haproxy.cfg or nginx.conf does that its author hardly meant.

use std::collections::BTreeMap;
use std::time::Duration;

use check::{Action, Probe};
use proxy::{Backend, Config, Frontend, Server};

use crate::Note;
use crate::node::Proxy;

/// Ports of Kubernetes' API servers: their clients keep watches open that are silent for minutes.
const API_PORTS: [u16; 4] = [6443, 8443, 16443, 7443];
/// Ports that speak TLS.
const TLS_PORTS: [u16; 6] = [443, 6443, 8443, 16443, 7443, 9345];
/// A watch hears of its server at least every minute.
const MINUTE: Duration = Duration::from_secs(60);
/// Connections a node or a controller keeps open to an API server come in dozens.
const FEW: u32 = 100;

pub(crate) fn look(proxy: &Proxy, note: &mut Note<'_>) {
    let Some(config) = &proxy.config else { return };
    for frontend in &config.frontends {
        let Some(backend) = config.backend_of(frontend) else { continue };
        if backend.servers.iter().any(serves_api) {
            watches(proxy, frontend, backend, note);
        }
    }
    for backend in &config.backends {
        self::backend(proxy, config, backend, note);
    }
}

fn port(server: &Server) -> Option<u16> {
    match &server.address {
        proxy::ServerAddress::Socket(address) => Some(address.port()),
        proxy::ServerAddress::Host { port, .. } => Some(*port),
        proxy::ServerAddress::Unix(_) => None,
    }
}

fn serves_api(server: &Server) -> bool {
    port(server).is_some_and(|port| API_PORTS.contains(&port))
}

/// A time-out that ends a silent connection.
fn watches(proxy: &Proxy, frontend: &Frontend, backend: &Backend, note: &mut Note<'_>) {
    let Some(origin) = frontend.binds.first().map(|bind| &bind.origin) else { return };
    let haproxy =
        [("timeout client", frontend.client_timeout), ("timeout server", backend.server_timeout)];
    let nginx = [("proxy_timeout", backend.idle_timeout)];
    let limits = if proxy.program == "nginx" { &nginx[..] } else { &haproxy[..] };
    // Once both sides have spoken it is the tunnel's that counts.
    if backend.tunnel_timeout.is_some_and(|limit| limit >= MINUTE) {
        return;
    }
    let short = limits.iter().filter_map(|(name, limit)| Some((*name, (*limit)?)));
    let Some((name, limit)) = short.min_by_key(|(_, limit)| *limit) else { return };
    if limit >= MINUTE {
        return;
    }
    let instead = match proxy.program {
        "nginx" => "write 'proxy_timeout 1h'",
        _ => "write 'timeout tunnel 1h', or an hour for both",
    };
    note.add(
        "cut-watches",
        proxy.near(origin, name),
        format!(
            "{name} of {} s ends 'kubectl logs -f', 'exec' and watches that are silent for as long",
            limit.as_secs_f64()
        ),
        instead,
    );
}

fn backend(proxy: &Proxy, config: &Config, backend: &Backend, note: &mut Note<'_>) {
    let name = &backend.name;
    let Some(first) = backend.servers.first() else { return };
    let many = backend.servers.iter().filter(|server| !server.disabled).count() > 1;
    for server in &backend.servers {
        if serves_api(server) && server.maxconn.is_some_and(|limit| limit < FEW) {
            note.add(
                "few-connections",
                proxy.near(&server.origin, &format!("server {}", server.name)),
                format!(
                    "{name}/{}: {} connections are soon used up by watches that last for hours; more wait, and then fail",
                    server.name,
                    server.maxconn.unwrap_or(0)
                ),
                "raise maxconn to thousands, or leave it out",
            );
            break;
        }
    }
    let ports: Vec<u16> = backend.servers.iter().filter_map(port).collect();
    odd_port(backend, &ports, note);
    if proxy.program == "nginx" {
        if many && backend.servers.iter().all(|server| server.check.is_none()) {
            note.add(
                "found-by-clients",
                proxy.near(&first.origin, "upstream"),
                format!(
                    "{name}: a dead server is noticed by the clients whose connections it fails"
                ),
                "add 'health_check;' beside proxy_pass, which this program has and nginx does not",
            );
        }
        return;
    }
    let used = config.frontends.iter().any(|frontend| {
        config.backend_of(frontend).is_some_and(|known| std::ptr::eq(known, backend))
    });
    if used && many && backend.servers.iter().all(|server| server.check.is_none()) {
        note.add(
            "nobody-checks",
            proxy.near(&first.origin, "server"),
            format!("{name}: no server is checked: one that is dead keeps getting its share"),
            "add 'check' to its server lines, or 'default-server check'",
        );
    }
    for server in &backend.servers {
        if let Some(check) = &server.check
            && let Probe::Http { steps, .. } = &check.probe
        {
            http_check(proxy, backend, server, check, steps, note);
            // Once for all of them.
            break;
        }
    }
}

fn http_check(
    proxy: &Proxy,
    backend: &Backend,
    server: &Server,
    check: &check::Config,
    steps: &[check::Step],
    note: &mut Note<'_>,
) {
    let name = &backend.name;
    let to = check.port.or_else(|| port(server)).unwrap_or(0);
    let connects_tls = |step: &check::Step| matches!(&step.action, Action::Connect(c) if c.tls);
    if TLS_PORTS.contains(&to) && !check.tls && !steps.iter().any(connects_tls) {
        note.add(
            "check-in-the-clear",
            proxy.near(&server.origin, "option httpchk"),
            format!(
                "{name}: the check speaks HTTP without TLS to port {to}: the servers will be down"
            ),
            "add 'check-ssl verify none' to the server lines, or 'http-check connect ssl'",
        );
    }
    let expects = |step: &check::Step| matches!(step.action, Action::Expect(_));
    if !steps.iter().any(expects) {
        note.add(
            "any-answer-will-do",
            proxy.near(&server.origin, "option httpchk"),
            format!("{name}: any answer from 200 to 399 counts as healthy, a redirection to a login page too"),
            "add 'http-check expect status 200'",
        );
    }
}

/// All have one port, but for one.
fn odd_port(backend: &Backend, ports: &[u16], note: &mut Note<'_>) {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for port in ports {
        *counts.entry(*port).or_default() += 1;
    }
    // Several on one machine are told apart by their ports.
    let hosts: std::collections::BTreeSet<String> = backend
        .servers
        .iter()
        .map(|server| match &server.address {
            proxy::ServerAddress::Socket(address) => address.ip().to_string(),
            other => other.to_string(),
        })
        .collect();
    if counts.len() != 2 || hosts.len() != backend.servers.len() {
        return;
    }
    let Some((odd, 1)) = counts.iter().map(|(port, count)| (*port, *count)).min_by_key(|(_, n)| *n)
    else {
        return;
    };
    let Some(server) = backend.servers.iter().rev().find(|server| port(server) == Some(odd)) else {
        return;
    };
    let others = counts.keys().find(|port| **port != odd).copied().unwrap_or(odd);
    let place = |server: &Server| {
        crate::Location::new(server.origin.file.clone(), server.origin.line as usize)
    };
    if let [first, second] = &backend.servers[..] {
        let (one, other) = (port(first).unwrap_or(0), port(second).unwrap_or(0));
        let what = format!("{}: port {other}, where the other server has {one}", backend.name);
        note.add("odd-port", place(second), what, "correct one of the two, unless it is meant");
        return;
    }
    note.add(
        "odd-port",
        place(server),
        format!("{}: port {odd}, where the others have {others}", backend.name),
        format!("write {others}, unless it is meant"),
    );
}
