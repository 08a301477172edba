//! Sections → the model, and what only all sections together can tell.

mod checks;
mod http;
mod http_rules;
mod log;
mod rules;
pub(crate) mod server;
mod stick;
mod tls;
mod transport;
mod tuning;

use std::rc::Rc;
use std::time::Duration;

use conf::Severity;
use proxy::{BackendIndex, Config, Flavour, FrontendKind, KeepAlive, LogTarget, Mode, Origin};

use crate::draft::{Draft, Kind, LogLine};
use crate::load::Loader;
use crate::say::{Complain, NOWHERE};

/// Checks references and builds the model. The model is whole only if nothing was refused.
pub(crate) fn lower(loader: &mut Loader) -> Config {
    become_tcp(loader);
    // The runtime API is a proxy of its own, and the first.
    let first = if loader.global.process.stats_sockets.is_empty() { 1 } else { 2 };
    number(&mut loader.proxies, first);
    let mut config = Config::new(Flavour::HaProxy);
    config.process = loader.global.process.clone();
    let backends: Vec<(String, bool)> = loader
        .proxies
        .iter()
        .filter(|p| p.kind.is_server_side())
        .map(|p| (p.name.clone(), p.front.disabled))
        .collect();
    (config.process.tables, config.process.peers) = stick::tables(loader);
    let names = rules::Names::new(&loader.proxies, &config.process.tables);
    for index in 0..loader.proxies.len() {
        let draft = Rc::clone(&loader.proxies[index]);
        // A disabled proxy is known by name, and looked at no further.
        let mut lowered = rules::Lowered::default();
        if !draft.front.disabled {
            lowered = check(loader, &draft, &backends, &names);
        }
        let targets = targets(loader, &draft);
        if draft.kind.is_client_side() {
            let no_reuse_port = loader.global.no_reuse_port;
            let mut frontend = frontend(&draft, &targets, &backends, no_reuse_port);
            for (bind, line) in frontend.binds.iter_mut().zip(&draft.bind_tls) {
                let Some(line) = line.as_ref().filter(|_| !draft.front.disabled) else { continue };
                bind.inbound.get_or_insert_default().tls = tls::front(loader, &draft, line);
            }
            (frontend.rules, frontend.log.format) = (lowered.frontend, lowered.log);
            (frontend.log.errors, frontend.log.structured) = lowered.more_logs;
            frontend.http = lowered.http.clone();
            frontend.unique_id = lowered.unique_id;
            config.frontends.push(frontend);
        }
        if draft.kind.is_server_side() {
            let mut backend = server::backend(loader, &draft, &targets);
            for ((server, line), sni) in
                backend.servers.iter_mut().zip(&draft.servers).zip(lowered.snis)
            {
                let verifies = server::verifies(loader, line);
                if let Some(tls) = tls::server(loader, &draft, line, verifies, sni) {
                    server.outbound.get_or_insert_default().tls = Some(tls);
                }
            }
            for (server, tlvs) in backend.servers.iter_mut().zip(lowered.tlvs) {
                if !tlvs.is_empty() {
                    server.outbound.get_or_insert_default().header.tlvs = tlvs;
                }
            }
            backend.rules = lowered.backend;
            backend.http = lowered.http;
            if let Some(rules) = &backend.rules {
                stick::remember_servers(&mut config.process.tables, &rules.stick);
            }
            backend.email_alert = checks::email(loader, &draft);
            config.backends.push(backend);
        }
    }
    checks::track(loader, &mut config.backends);
    let servers = config.backends.iter().flat_map(|backend| &backend.servers);
    let tracked = servers.filter_map(|server| server.track);
    let mut named: Vec<(usize, usize)> = tracked.map(|one| (one.backend.0, one.server)).collect();
    named.extend(names.named.take());
    for (backend, server) in named {
        if let Some(backend) = config.backends.get_mut(backend) {
            backend.servers_named = backend.servers_named.max(Some(server));
        }
    }
    checks::unused_mailers(loader);
    loader.check_resolvers();
    loader.check_rings();
    config.process.rings.clone_from(&loader.rings);
    let sections = loader.resolvers.iter();
    config.process.resolvers = sections.map(|draft| draft.resolvers.clone()).collect();
    tuning::spread(&mut config);
    config
}

/// Resolves the servers' names; HAProxy does that once all else is right.
pub(crate) fn resolve(loader: &mut Loader, config: &mut Config) {
    let drafts: Vec<_> =
        loader.proxies.iter().filter(|p| p.kind.is_server_side()).cloned().collect();
    let mut failed = None;
    for (draft, backend) in drafts.iter().zip(&mut config.backends) {
        for (line, server) in draft.servers.iter().zip(&mut backend.servers) {
            if !server::resolve(loader, &draft.name, line, server) {
                failed.get_or_insert(line.at);
            }
        }
    }
    if let Some(at) = failed {
        let text = "Failed to initialize server(s) addr.";
        loader.binder.complain(Severity::Error, crate::say::SUMMARY, at, text);
    }
}

/// A frontend that speaks HTTP by default, and whose only way out is a tcp backend, is tcp.
fn become_tcp(loader: &mut Loader) {
    let tcp: Vec<(String, Origin)> = loader
        .proxies
        .iter()
        .filter(|p| p.kind.is_server_side() && p.mode == Mode::Tcp)
        .map(|p| (p.name.clone(), p.origin.clone()))
        .collect();
    for draft in &mut loader.proxies {
        if draft.kind != Kind::Frontend
            || draft.mode != Mode::Http
            || !draft.rules.switching.is_empty()
            || speaks_http(draft)
        {
            continue;
        }
        let Some(target) = &draft.default_backend else { continue };
        let Some((name, origin)) = tcp.iter().find(|(name, _)| name == target) else { continue };
        let text = format!(
            "http frontend '{}' ({}) becomes tcp, like the tcp backend '{name}' ({origin}) which is its default backend: HAProxy refuses this (see 'mode').",
            draft.name, draft.origin
        );
        Rc::make_mut(draft).mode = Mode::Tcp;
        loader.binder.complain(Severity::Warning, NOWHERE, draft.at, text).help =
            Some(format!("write 'mode tcp' into frontend '{}'", draft.name));
    }
}

/// Whether a section says by itself that it speaks HTTP.
fn speaks_http(draft: &Draft) -> bool {
    let own = |at: &conf::Span| at.file == draft.at.file && at.start > draft.at.start;
    let http = &draft.http;
    draft.mode_at.as_ref().is_some_and(own)
        || !http.request_rules.is_empty()
        || !http.response_rules.is_empty()
        || !http.redirect_rules.is_empty()
        || http.model.monitor_uri.is_some()
        || http.stats.is_some()
}

/// A proxy that speaks HTTP cannot send what it understands to a backend that does not.
fn same_mode(loader: &mut Loader, draft: &Draft) {
    if !draft.kind.is_client_side() || draft.mode != Mode::Http {
        return;
    }
    let switched =
        draft.rules.switching.iter().map(|rule| (&rule.target, "in a 'use_backend' rule"));
    let default = draft.default_backend.iter().map(|name| (name, "as its default backend"));
    let mut said = vec![];
    for (target, how) in switched.chain(default) {
        let tcp =
            |p: &&Rc<Draft>| p.kind.is_server_side() && p.name == *target && p.mode == Mode::Tcp;
        if let Some(backend) = loader.proxies.iter().find(tcp) {
            said.push(format!(
                "http {} '{}' ({}) tries to use incompatible tcp {} '{}' ({}) {how} (see 'mode').",
                draft.kind.noun(),
                draft.name,
                draft.origin,
                backend.kind.noun(),
                backend.name,
                backend.origin
            ));
        }
    }
    for text in said {
        loader.binder.complain(Severity::Error, NOWHERE, draft.at, text);
    }
}

/// Ids: forced ones first, the others from `next` upwards in the order of the file.
fn number(proxies: &mut [Rc<Draft>], mut next: u32) {
    let forced: Vec<u32> = proxies.iter().filter_map(|p| p.forced_id).collect();
    for draft in proxies {
        let id = draft.forced_id.unwrap_or_else(|| {
            while forced.contains(&next) {
                next += 1;
            }
            next += 1;
            next - 1
        });
        let draft = Rc::make_mut(draft);
        (draft.front.id, draft.back.id) = (id, id);
    }
}

/// What HAProxy checks of one proxy once all are read, in its order.
fn check(
    loader: &mut Loader,
    draft: &Draft,
    backends: &[(String, bool)],
    names: &rules::Names,
) -> rules::Lowered {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    let b = &mut loader.binder;
    if draft.kind.is_client_side() && draft.binds.is_empty() {
        let text = format!(
            "{noun} '{name}' has no 'bind' directive. Please declare it as a backend if this was intended."
        );
        b.complain(Severity::Warning, NOWHERE, draft.at, text);
    }
    let known = |target: &str| backends.iter().any(|(name, _)| name == target);
    if let Some(target) = &draft.default_backend {
        if !known(target) {
            let text =
                format!("Proxy '{name}': unable to find required default_backend: '{target}'.");
            let near = conf::nearest(target, backends.iter().map(|(name, _)| name.as_str()));
            b.complain(Severity::Error, NOWHERE, draft.at, text).help =
                near.map(|near| format!("did you mean '{near}'?"));
        } else if target == name && draft.kind == Kind::Listen {
            let text = format!("Proxy '{name}': loop detected for default_backend: '{target}'.");
            b.complain(Severity::Error, NOWHERE, draft.at, text);
        }
    }
    same_mode(loader, draft);
    let mut lowered = rules::lower(loader, draft, names);
    lowered.http = http_rules::lower(loader, draft, names);
    http::before_timeouts(&mut loader.binder, draft);
    timeouts(loader, draft);
    http::tcp_check(&mut loader.binder, draft);
    lowered.log = rules::log(loader, draft, names);
    lowered.more_logs = rules::more_logs(loader, draft, names);
    http::after_timeouts(&mut loader.binder, draft);
    server::check(loader, draft);
    lowered
}

fn timeouts(loader: &mut Loader, draft: &Draft) {
    let client = draft.kind.is_client_side() && draft.front.client_timeout.is_none();
    let back = &draft.back;
    let silent = back.server_timeout.is_none() && back.tunnel_timeout.is_none();
    let server = draft.kind.is_server_side()
        && !draft.servers.is_empty()
        && (back.connect_timeout.is_none() || silent);
    if !client && !server {
        return;
    }
    let text = format!(
        "missing timeouts for {} '{}'.\n   | While not properly invalid, you will certainly encounter various problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.",
        draft.kind.noun(),
        draft.name
    );
    loader.binder.complain(Severity::Warning, NOWHERE, draft.at, text);
}

/// The log targets of a proxy, `log global` replaced.
fn targets(loader: &Loader, draft: &Draft) -> Vec<LogTarget> {
    let global = &loader.global.process.log;
    let expand = |line: &LogLine| match line {
        LogLine::Global => global.clone(),
        LogLine::Target(target) => vec![target.clone()],
    };
    draft.logs.iter().flat_map(expand).collect()
}

fn keepalive(on: bool, timers: &KeepAlive) -> Option<KeepAlive> {
    on.then_some(*timers)
}

fn frontend(
    draft: &Draft,
    targets: &[LogTarget],
    backends: &[(String, bool)],
    no_reuse_port: bool,
) -> proxy::Frontend {
    let mut front = draft.front.clone();
    front.name.clone_from(&draft.name);
    front.mode = draft.mode;
    front.binds.clone_from(&draft.binds);
    let mut last = 0;
    for bind in &mut front.binds {
        if bind.id == 0 {
            bind.id = last + 1;
        }
        last = bind.id;
        bind.reuseport &= !no_reuse_port;
    }
    let target = match draft.kind {
        Kind::Listen => {
            front.kind = FrontendKind::Listen;
            // A listen with a default backend sends there what it would keep otherwise.
            draft.default_backend.as_ref().unwrap_or(&draft.name)
        }
        _ => draft.default_backend.as_ref().unwrap_or(&front.name),
    };
    let to_itself = draft.kind == Kind::Frontend && draft.default_backend.is_none();
    let position = backends.iter().position(|(name, _)| name == target);
    front.default_backend = position.filter(|_| !to_itself).map(BackendIndex);
    front.log.targets = targets.to_vec();
    front.keepalive = keepalive(draft.tcpka.client, &draft.tcpka.client_timers);
    front
}

/// A time, or HAProxy's "no limit".
pub(crate) fn limit(time: Option<Duration>) -> Option<Duration> {
    time.filter(|time| !time.is_zero())
}
