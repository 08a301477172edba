//! Servers, and how they are checked.

use std::collections::HashMap;
use std::path::PathBuf;

use check::{Action, Verify};
use conf::Severity;
use proxy::{Backend, LogTarget, ProxyHeader, Server, ServerAddress};

use super::{checks, keepalive, limit};
use crate::draft::{CheckOption, Draft, InitAddr, Kind, ServerDraft, VerifyWord};
use crate::load::{Loader, strip_os};
use crate::say::{Complain, NOWHERE, SUMMARY};

/// The server side of a section.
pub(super) fn backend(loader: &mut Loader, draft: &Draft, targets: &[LogTarget]) -> Backend {
    let mut back = draft.back.clone();
    back.name.clone_from(&draft.name);
    back.listen = draft.kind == Kind::Listen;
    back.mode = draft.mode;
    back.log = targets.to_vec();
    if !draft.balanced {
        let original = draft.transparent.then_some(proxy::Elsewhere::Original);
        back.elsewhere = draft.dispatch.clone().or(original);
    }
    back.check_words = draft.checks.words.clone();
    if draft.checks.no_retries {
        back.retries = 0;
    }
    back.keepalive = keepalive(draft.tcpka.server, &draft.tcpka.server_timers);
    back.forced_id = draft.forced_id.is_some();
    back.check_of_added = Some(Box::new(template(draft)));
    let forced: Vec<u32> = draft.servers.iter().filter_map(|s| s.forced_id).collect();
    let mut next = 1;
    for line in &draft.servers {
        let mut server = one(draft, line);
        server.id = line.forced_id.unwrap_or_else(|| {
            while forced.contains(&next) {
                next += 1;
            }
            next += 1;
            next - 1
        });
        server.check = line.checked.then(|| health(loader, draft, line));
        server.resolve = asked(loader, draft, line);
        back.servers.push(server);
    }
    back
}

/// A server as its line says; its number, its checks and who resolves its name are for others.
pub(crate) fn one(draft: &Draft, line: &ServerDraft) -> Server {
    let mut server = line.server.clone();
    server.forced_id = line.forced_id.is_some();
    server.send_proxy = line.header.version();
    server.agent = checks::agent(draft, line);
    server.observe = checks::observed(line);
    // Checks that go elsewhere meet somebody else, who may not expect a header.
    let elsewhere = line.check.port.is_some() || line.check.addr.is_some();
    server.check_header = match line.check_send_proxy {
        true => server.send_proxy.or(Some(ProxyHeader::V1)),
        false => server.send_proxy.filter(|_| !elsewhere),
    };
    server
}

/// What all checks of a section have in common.
fn template(draft: &Draft) -> check::Config {
    check::Config {
        timeout_connect: limit(draft.back.connect_timeout),
        timeout_check: limit(draft.check_timeout),
        log: draft.log_health_checks,
        probe: checks::probe(draft),
        ..check::Config::default()
    }
}

/// The check of a server, but for certificates.
pub(crate) fn check_of(line: &ServerDraft, common: &check::Config) -> check::Config {
    let mut config = line.check.clone();
    config.timeout_connect = common.timeout_connect;
    config.timeout_check = common.timeout_check;
    config.log = common.log;
    config.probe = common.probe.clone();
    // `ssl` counts only while the check goes where the traffic goes.
    let elsewhere = config.port.is_some() || config.addr.is_some();
    config.tls = line.check_ssl || line.tls.on.is_some() && !elsewhere;
    config
}

/// Whether any connection of a server's checks speaks TLS.
fn speaks_tls(draft: &Draft, line: &ServerDraft) -> bool {
    let steps = match draft.check {
        CheckOption::Http(_) => draft.http_steps.as_slice(),
        CheckOption::Tcp => draft.tcp_steps.as_slice(),
        _ => &[],
    };
    let by_step =
        steps.iter().any(|step| matches!(&step.action, Action::Connect(connect) if connect.tls));
    line.check_ssl || line.tls.on.is_some() || by_step
}

/// Whether the certificate of a server is judged.
pub(super) fn verifies(loader: &Loader, line: &ServerDraft) -> bool {
    let default = if loader.global.process.server_verify_none {
        VerifyWord::None
    } else {
        VerifyWord::Required
    };
    line.verify.unwrap_or(default) == VerifyWord::Required
}

/// `ca-file` with `ca-base` before it.
fn ca_file(loader: &Loader, line: &ServerDraft) -> Option<PathBuf> {
    let file = line.ca_file.as_ref()?;
    if file.is_absolute() || file.to_string_lossy().starts_with('@') {
        return Some(file.clone());
    }
    Some(match &loader.global.ca_base {
        Some(base) => base.join(file),
        None => {
            loader.returns_to(line.at);
            loader.context.locate(file)
        }
    })
}

fn health(loader: &Loader, draft: &Draft, line: &ServerDraft) -> check::Config {
    let mut config = check_of(line, &template(draft));
    config.verify = match ca_file(loader, line) {
        Some(file) if verifies(loader, line) => {
            Verify::Required { ca_file: file.display().to_string(), host: line.verify_host.clone() }
        }
        _ => Verify::None,
    };
    config
}

/// What HAProxy checks of servers once all sections are read.
pub(super) fn check(loader: &mut Loader, draft: &Draft) {
    if !draft.kind.is_server_side() {
        return;
    }
    let (noun, proxy) = (draft.kind.noun(), &draft.name);
    if draft.dispatch.is_some() && draft.balanced {
        let text = format!("dispatch address of {noun} '{proxy}' will be ignored in balance mode.");
        loader.binder.complain(Severity::Warning, NOWHERE, draft.at, text);
    }
    let elsewhere = draft.dispatch.is_some() || draft.transparent;
    if elsewhere && !draft.balanced && draft.mode == proxy::Mode::Http {
        let keyword = "dispatch and transparent (in mode http)".to_owned();
        loader.binder.error(draft.at, conf::Problem::Planned { keyword });
    }
    let mut known: HashMap<&str, usize> = HashMap::with_capacity(draft.servers.len());
    for line in &draft.servers {
        if let Some(other) = known.get(line.name.as_str()) {
            let text = format!(
                "{noun} '{proxy}', another server named '{}' was already defined at line {}, please use distinct names.",
                line.name, other
            );
            loader.binder.refuse(line.at, text);
        } else {
            known.insert(&line.name, line.line);
        }
    }
    checks::check(loader, draft);
    for line in &draft.servers {
        tls(loader, draft, line);
        let config = &line.check;
        let steps_have_port =
            draft.tcp_steps.iter().chain(&draft.http_steps).any(
                |step| matches!(&step.action, Action::Connect(connect) if connect.port.is_some()),
            );
        let port = line.server.address.socket().map_or(1, |address| address.port());
        let named = match &line.server.address {
            ServerAddress::Host { port, .. } => *port,
            _ => port,
        };
        if line.checked && named == 0 && config.port.is_none() && !steps_have_port {
            let text = format!(
                "config: {noun} '{proxy}': server '{}' has neither service port nor check port.",
                line.name
            );
            loader.binder.complain(Severity::Error, NOWHERE, line.at, text).help =
                Some(format!("write a port behind the address of '{}'", line.name));
        }
    }
}

fn tls(loader: &mut Loader, draft: &Draft, line: &ServerDraft) {
    let context = format!("server {}/{}", draft.name, line.name);
    if let Some(file) = ca_file(loader, line).filter(|f| !f.to_string_lossy().starts_with('@'))
        && let Err(error) = loader.context.can_read(&file)
    {
        let file = file.display();
        let text = format!("Couldn't open the ca-file '{file}' ({}).", strip_os(&error));
        loader.binder.refuse(line.at, text).context = context;
        let text = format!("'ca-file' : unable to load {file}.");
        loader.binder.complain(Severity::Error, SUMMARY, line.at, text);
        loader.file_is_wrong(line.at);
    } else if speaks_tls(draft, line) && verifies(loader, line) && line.ca_file.is_none() {
        let text = "verify is enabled by default but no CA file specified. If you're running on a LAN where you're certain to trust the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side verifications by default.";
        loader.binder.refuse(line.at, text).context = context;
    }
}

/// What name servers are asked on behalf of a server.
fn asked(loader: &mut Loader, draft: &Draft, line: &ServerDraft) -> Option<Box<proxy::Resolve>> {
    let wanted = line.resolvers.as_deref()?;
    let Some(resolvers) = loader.resolvers_named(wanted) else {
        let text = format!(
            "{} '{}', server '{}': unable to find required resolvers '{wanted}'",
            draft.kind.noun(),
            draft.name,
            line.name
        );
        loader.binder.complain(Severity::Error, NOWHERE, line.at, text).help =
            Some(format!("add a section 'resolvers {wanted}' with a nameserver"));
        return None;
    };
    let ServerAddress::Host { name, port, .. } = &line.server.address else { return None };
    Some(Box::new(proxy::Resolve {
        resolvers,
        name: name.clone(),
        service: name.starts_with('_'),
        port: *port,
        prefer_v4: line.prefer_v4,
        networks: line.networks.clone(),
        allow_duplicates: line.allow_duplicates,
        ignore_weight: line.ignore_weight,
        unresolved: false,
    }))
}

/// Gives a server its first address, as `init-addr` says. Whether it may start.
pub(super) fn resolve(
    loader: &mut Loader,
    proxy: &str,
    line: &ServerDraft,
    server: &mut Server,
) -> bool {
    let ServerAddress::Host { name, resolved, .. } = &mut server.address else { return true };
    if name.starts_with('_') {
        // Only name servers know services.
        let Some(resolve) = &mut server.resolve else {
            let text = format!("no method found to resolve address '{name}'.");
            let diagnostic = loader.binder.refuse(line.at, text);
            diagnostic.context = format!("server {proxy}/{}", line.name);
            diagnostic.help = Some("add 'resolvers SECTION': this is the name of a service".into());
            return false;
        };
        *resolved = Some(std::net::Ipv4Addr::UNSPECIFIED.into());
        resolve.unresolved = true;
        return true;
    }
    for method in &line.init_addr {
        match method {
            InitAddr::Last => {}
            InitAddr::None => {
                // It has no address until a resolver gives it one, and there is none: it stays in
                // maintenance, as HAProxy keeps it.
                *resolved = Some(std::net::Ipv4Addr::UNSPECIFIED.into());
                match &mut server.resolve {
                    Some(resolve) => resolve.unresolved = true,
                    None => server.disabled = true,
                }
                return true;
            }
            InitAddr::Ip(ip) => {
                *resolved = Some(*ip);
                return true;
            }
            InitAddr::Libc => {
                let all = loader.context.resolve(name);
                let preferred = all.iter().find(|ip| ip.is_ipv4() == line.prefer_v4);
                if let Some(ip) = preferred.or(all.first()) {
                    *resolved = Some(*ip);
                    return true;
                }
            }
        }
    }
    if !loader.context.reach_out.get() {
        return true;
    }
    let text = format!("could not resolve address '{name}'.");
    let diagnostic = loader.binder.refuse(line.at, text);
    diagnostic.context = format!("server {proxy}/{}", line.name);
    diagnostic.help = Some("write an address, or 'init-addr none' to start without one".into());
    false
}
