//! What a tcp proxy does not do with keywords of HTTP: HAProxy says so, and so does this.

use conf::{Binder, Severity};
use proxy::Mode;

use crate::draft::{CheckOption, Draft};
use crate::say::{Complain, NOWHERE};

fn warn(b: &mut Binder, draft: &Draft, text: String) {
    b.complain(Severity::Warning, NOWHERE, draft.at, text);
}

/// Before the complaint about timeouts.
pub(super) fn before_timeouts(b: &mut Binder, draft: &Draft) {
    let (noun, name, http) = (draft.kind.noun(), &draft.name, &draft.http);
    misfits(b, draft);
    if draft.mode == Mode::Tcp {
        if http.cookie && draft.kind.is_server_side() {
            warn(
                b,
                draft,
                format!("cookie will be ignored for {noun} '{name}' (needs 'mode http')."),
            );
        }
        if http.layer7_balance && draft.kind.is_server_side() {
            warn(
                b,
                draft,
                format!(
                    "Layer 7 hash not possible for {noun} '{name}' (needs 'mode http'). Falling back to round robin."
                ),
            );
        }
        if let Some(at) = http.httplog.filter(|_| draft.kind.is_client_side()) {
            b.warn(at, format!("'option httplog' not usable with {noun} '{name}' (needs 'mode http'). Falling back to 'option tcplog'."));
        }
    }
    let server_side = draft.kind.is_server_side();
    if server_side && !draft.http_steps.is_empty() && !matches!(draft.check, CheckOption::Http(_)) {
        warn(
            b,
            draft,
            format!(
                "{noun} '{name}' uses http-check rules without 'option httpchk', so the rules are ignored."
            ),
        );
    }
}

/// Protocols beside bytes that lines ask for.
fn misfits(b: &mut Binder, draft: &Draft) {
    let name = &draft.name;
    let servers = draft.servers.iter().filter_map(|server| {
        let origin = &server.server.origin;
        let proto = server.multiplexer?;
        let text = format!(
            "MUX protocol '{proto}' is not usable for server '{}' at [{origin}].",
            server.name
        );
        Some((server.at, text))
    });
    for (at, text) in draft.misfits.iter().cloned().chain(servers) {
        // One that speaks HTTP could be meant, and speaks HTTP/1.1 alone.
        if draft.mode == Mode::Http {
            if !text.contains("'h1'") {
                b.error(at, conf::Problem::Planned { keyword: "proto (in mode http)".to_owned() });
            }
            continue;
        }
        b.complain(Severity::Error, NOWHERE, at, format!("proxy '{name}' : {text}"));
    }
}

/// After it.
pub(super) fn tcp_check(b: &mut Binder, draft: &Draft) {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    let unused = !draft.tcp_steps.is_empty() && draft.check != CheckOption::Tcp;
    if draft.kind.is_server_side() && unused {
        warn(
            b,
            draft,
            format!(
                "{noun} '{name}' uses tcp-check rules without 'option tcp-check', so the rules are ignored."
            ),
        );
    }
}

/// After the complaint about log formats.
pub(super) fn after_timeouts(b: &mut Binder, draft: &Draft) {
    if draft.mode != Mode::Tcp {
        return;
    }
    let (noun, name, http) = (draft.kind.noun(), &draft.name, &draft.http);
    if http.stats.is_some() {
        warn(
            b,
            draft,
            format!("'stats' statement ignored for {noun} '{name}' as it requires HTTP mode."),
        );
    }
    if http.model.monitor_uri.is_some() && draft.kind.is_client_side() {
        let text = "'monitor-uri' statement ignored for";
        warn(b, draft, format!("{text} {noun} '{name}' as it requires HTTP mode."));
    }
    let rules = [
        (&http.request_rules, "http-request"),
        (&http.response_rules, "http-response"),
        (&http.after_response_rules, "http-after-response"),
        (&http.redirect_rules, "redirect"),
    ];
    for (_, keyword) in rules.iter().filter(|(rules, _)| !rules.is_empty()) {
        warn(
            b,
            draft,
            format!("'{keyword}' rules ignored for {noun} '{name}' as they require HTTP mode."),
        );
    }
    for server in draft.servers.iter().filter(|server| server.cookie) {
        warn(
            b,
            draft,
            format!(
                "{noun} '{name}' : ignoring cookie for server '{}' as HTTP mode is disabled.",
                server.name
            ),
        );
    }
    for (_, option) in [
        (http.model.forwarded_for.is_some(), "forwardfor"),
        (http.model.original_to.is_some(), "originalto"),
    ]
    .iter()
    .filter(|(used, _)| *used)
    {
        warn(
            b,
            draft,
            format!("'option {option}' ignored for {noun} '{name}' as it requires HTTP mode."),
        );
    }
}
