//! How servers are checked, and who is told.

use std::net::SocketAddr;

use check::{Action, Probe, Step};
use conf::{Problem, Severity};
use proxy::{BackendIndex, EmailAlert, Tracked};

use super::limit;
use crate::draft::{CheckOption, Draft, Observe, ServerDraft};
use crate::load::Loader;
use crate::say::{Complain, NOWHERE};

/// What a server is asked.
pub(super) fn probe(draft: &Draft) -> Probe {
    match &draft.check {
        CheckOption::None => Probe::Connect,
        CheckOption::Tcp => Probe::Tcp { steps: draft.tcp_steps.clone() },
        CheckOption::Http(request) => Probe::Http {
            steps: http_steps(draft, request),
            disable_on_404: draft.checks.disable_on_404,
            send_state: draft.checks.send_state,
        },
        CheckOption::Known(known) => Probe::Known(known.clone()),
        CheckOption::External => Probe::External {
            command: draft.checks.command.clone().unwrap_or_default(),
            path: draft.checks.path.clone(),
        },
    }
}

/// The steps of an HTTP check: the first request is what `option httpchk` says, as far as
/// `http-check send` says nothing else.
fn http_steps(draft: &Draft, request: &check::Request) -> Vec<Step> {
    let mut steps = draft.http_steps.clone();
    let mut first = true;
    for step in &mut steps {
        let Action::SendHttp(sent) = &mut step.action else { continue };
        let default = if first { request.clone() } else { check::Request::default() };
        for (field, default) in
            [(&mut sent.method, default.method), (&mut sent.version, default.version)]
        {
            if field.is_empty() {
                *field = default;
            }
        }
        if sent.uri.is_empty() {
            sent.uri = default.uri;
        }
        if sent.headers.is_empty() {
            sent.headers = default.headers;
        }
        if sent.body.is_empty() {
            sent.body = default.body;
        }
        first = false;
    }
    if first {
        let after_connect = steps.iter().position(|step| matches!(step.action, Action::Connect(_)));
        let at = after_connect.map_or(0, |at| at + 1);
        steps.insert(at, Step::from(Action::SendHttp(request.clone())));
    }
    steps
}

/// A server's agent.
pub(super) fn agent(draft: &Draft, line: &ServerDraft) -> Option<check::Agent> {
    let timeout_connect = limit(draft.back.connect_timeout);
    let timeout_check = limit(draft.check_timeout);
    let agent = check::Agent { timeout_connect, timeout_check, ..line.agent.clone() };
    line.agent_checked.then_some(agent)
}

/// What errors of sessions do to a server.
pub(super) fn observed(line: &ServerDraft) -> Option<(u32, check::OnError)> {
    (line.observe == Observe::Layer4 && line.checked).then_some((line.error_limit, line.on_error))
}

/// The position of a server: of its backend, and there.
fn find(all: &[&Draft], own: &Draft, name: &str) -> Result<(usize, usize), String> {
    let (backend, server) = name.rsplit_once('/').unwrap_or((own.name.as_str(), name));
    let at = all.iter().position(|draft| draft.name == backend);
    let Some(at) = at else {
        return Err(format!("unable to find required proxy '{backend}' for tracking."));
    };
    let server_at = all[at].servers.iter().position(|line| line.name == server);
    server_at
        .map(|server| (at, server))
        .ok_or_else(|| format!("unable to find required server '{server}' for tracking."))
}

/// Whose state a server has, at once and in the end; a chain that loops back is a mistake.
fn tracked(all: &[&Draft], own: usize, at: usize, line: &ServerDraft) -> Result<Tracked, String> {
    let name = line.track.as_deref().unwrap_or_default();
    let (backend, server) = find(all, all[own], name)?;
    let mut seen = (backend, server);
    let mut last = seen;
    let hops: usize = all.iter().map(|draft| draft.servers.len()).sum();
    for _ in 0..=hops {
        last = last.max(if seen == (own, at) { last } else { seen });
        let next = &all[seen.0].servers[seen.1];
        // Whoever closes the circle is told.
        if seen == (own, at) && last <= (own, at) {
            let first = format!("{}/{}", all[backend].name, all[backend].servers[server].name);
            let us = format!("{}/{}", all[own].name, line.name);
            return Err(format!(
                "unable to track {first} as it belongs to a tracking chain looping back to {us}."
            ));
        }
        let Some(further) = &next.track else {
            if !next.checked && !next.agent_checked {
                let (be, srv) = (&all[seen.0].name, &next.name);
                return Err(format!(
                    "unable to use {be}/{srv} for tracking as it does not have any check nor agent enabled."
                ));
            }
            return Ok(Tracked { backend: BackendIndex(backend), server });
        };
        match find(all, all[seen.0], further) {
            Ok(further) => seen = further,
            // That one's own complaint.
            Err(_) => return Ok(Tracked { backend: BackendIndex(backend), server }),
        }
    }
    Ok(Tracked { backend: BackendIndex(backend), server })
}

/// `track` of all servers, by backend and server; with what is wrong said.
pub(super) fn track(loader: &mut Loader, backends: &mut [proxy::Backend]) {
    let drafts: Vec<_> =
        loader.proxies.iter().filter(|p| p.kind.is_server_side()).cloned().collect();
    let all: Vec<&Draft> = drafts.iter().map(AsRef::as_ref).collect();
    for (own, draft) in drafts.iter().enumerate() {
        for (at, line) in draft.servers.iter().enumerate() {
            if line.track.is_none() || draft.front.disabled || line.checked || line.agent_checked {
                continue;
            }
            match tracked(&all, own, at, line) {
                Ok(tracked) => backends[own].servers[at].track = Some(tracked),
                Err(text) => {
                    loader.binder.refuse(line.at, text).context =
                        format!("server {}/{}", draft.name, line.name);
                }
            }
        }
    }
}

/// What HAProxy says of checks once all sections are read.
pub(super) fn check(loader: &mut Loader, draft: &Draft) {
    let (noun, proxy) = (draft.kind.noun(), &draft.name);
    let global = loader.global.external_check;
    for line in &draft.servers {
        let named = |d: &mut conf::Diagnostic| d.context = format!("server {proxy}/{}", line.name);
        let b = &mut loader.binder;
        if line.observe == Observe::Layer7 && draft.mode == proxy::Mode::Tcp {
            named(b.warn(line.at, "'layer7' can only be used in http proxies.."));
        }
        let http = matches!(draft.check, CheckOption::Http(_));
        match line.check_proto.filter(|_| line.checked) {
            Some("h2") if http => {
                b.error(line.at, Problem::Planned { keyword: "server check-proto h2".into() });
            }
            Some(proto) if proto != if http { "h1" } else { "none" } => {
                let name = &line.name;
                let text = format!(
                    "config: {noun} '{proxy}': server '{name}' uses an incompatible MUX protocol for the selected check type"
                );
                b.complain(Severity::Error, NOWHERE, line.at, text);
            }
            _ => {}
        }
    }
    if draft.check == CheckOption::External {
        let b = &mut loader.binder;
        let head = format!("Proxy '{proxy}' : 'option external-check'");
        if !global {
            let text = format!("{head} unable to find required 'global.external-check'.");
            b.complain(Severity::Error, NOWHERE, draft.at, text);
        }
        if draft.checks.command.is_none() {
            let text = format!("{head} unable to find required 'external-check command'.");
            b.complain(Severity::Error, NOWHERE, draft.at, text);
        }
        if !loader.global.insecure_fork {
            let text = format!(
                "Proxy '{proxy}' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail."
            );
            loader.binder.complain(Severity::Warning, NOWHERE, draft.at, text);
        }
    }
}

/// `email-alert` of a proxy.
pub(super) fn email(loader: &mut Loader, draft: &Draft) -> Option<Box<EmailAlert>> {
    let email = &draft.checks.email;
    if !email.wanted || draft.front.disabled {
        return None;
    }
    let (Some(mailers), Some(from), Some(to)) = (&email.mailers, &email.from, &email.to) else {
        let text = format!(
            "'email-alert' will be ignored for {} '{}' (the presence any of 'email-alert from', 'email-alert level' 'email-alert mailers', 'email-alert myhostname', or 'email-alert to' requires each of 'email-alert from', 'email-alert mailers' and 'email-alert to' to be present).",
            draft.kind.noun(),
            draft.name
        );
        loader.binder.complain(Severity::Warning, NOWHERE, draft.at, text);
        return None;
    };
    let Some(found) = loader.mailers.iter().find(|known| known.name == *mailers) else {
        let text = format!("Proxy '{}': unable to find mailers '{mailers}'.", draft.name);
        loader.binder.complain(Severity::Error, NOWHERE, draft.at, text);
        return None;
    };
    let relays: Vec<SocketAddr> = found.relays.clone();
    Some(Box::new(EmailAlert {
        mailers: relays,
        timeout: found.timeout,
        from: from.clone(),
        to: to.clone(),
        level: email.level.unwrap_or(proxy::Severity::Alert),
        host: email.host.clone(),
    }))
}

/// Says which `mailers` sections nobody uses: HAProxy drops them.
pub(super) fn unused_mailers(loader: &mut Loader) {
    let used = |name: &str| {
        loader.proxies.iter().any(|draft| {
            let email = &draft.checks.email;
            let whole = email.from.is_some() && email.to.is_some();
            whole && !draft.front.disabled && email.mailers.as_deref() == Some(name)
        })
    };
    let unused: Vec<_> =
        loader.mailers.iter().filter(|mailers| !used(&mailers.name)).cloned().collect();
    for mailers in unused {
        let text = format!("Removing incomplete section 'mailers {}'.", mailers.name);
        loader.binder.complain(Severity::Warning, NOWHERE, mailers.at, text);
    }
}
