//! What HAProxy says about its proxies and servers, in its words.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use balance::{ServerId, State};
use proxy::{FrontendKind, Severity};

use crate::log::Route;
use crate::state::{Door, Shared};

/// Logs a line, and shows it on stderr of a process in the foreground as HAProxy does:
/// `[WARNING]  (pid) : text`.
pub(crate) fn say(
    shared: &Shared,
    route: &Route,
    severity: Severity,
    foreground: bool,
    text: impl fmt::Display,
) {
    if foreground && !shared.config.process.quiet {
        let label = match severity {
            Severity::Emerg | Severity::Alert => "[ALERT]   ",
            Severity::Notice | Severity::Info | Severity::Debug => "[NOTICE]  ",
            _ => "[WARNING] ",
        };
        crate::terminal::err(&format!("{label} ({}) : {text}\n", std::process::id()));
    }
    shared.log.send(route, severity, text);
}

/// SIGUSR1, with a `grace`.
pub(crate) fn grace(shared: &Shared, foreground: bool, time: std::time::Duration) {
    let text = format_args!("Scheduling a soft-stop in {} ms.", time.as_millis());
    say(shared, &shared.log_route, Severity::Notice, foreground, text);
}

/// The `grace` is over.
pub(crate) fn grace_expired(shared: &Shared, foreground: bool) {
    let text = "Grace period expired, proceeding with soft-stop now.";
    say(shared, &shared.log_route, Severity::Notice, foreground, text);
}

/// SIGUSR1: every proxy stops.
pub(crate) fn stopped(shared: &Shared, foreground: bool) {
    let total = |traffic: &crate::state::Traffic| traffic.total.load(Relaxed);
    // Proxies in the order of their ids, as in the file; a `listen` is one of each.
    let mut lines: Vec<(u32, &str, &Route, u64, u64)> = Vec::new();
    for (config, state) in shared.config.frontends.iter().zip(&shared.frontends) {
        let own = config
            .default_backend
            .filter(|_| config.kind == FrontendKind::Listen)
            .map_or(0, |index| total(&shared.backends[index.0].traffic));
        lines.push((config.id, &config.name, &state.log, total(&state.traffic), own));
    }
    for (config, state) in shared.config.backends.iter().zip(&shared.backends) {
        if !config.listen {
            lines.push((config.id, &config.name, &state.log, 0, total(&state.traffic)));
        }
    }
    lines.sort_by_key(|&(id, ..)| id);
    for (_, name, route, front, back) in lines {
        let text = format_args!("Proxy {name} stopped (cumulated conns: FE: {front}, BE: {back}).");
        say(shared, route, Severity::Warning, foreground, text);
    }
}

/// A frontend pauses, goes on, or ends.
pub(crate) fn turned(shared: &Shared, index: usize, door: Door) {
    let (config, state) = (&shared.config.frontends[index], &shared.frontends[index]);
    let before = state.gate.door();
    if before == door || before == Door::Shut {
        return;
    }
    state.gate.turn(door);
    let kind = match config.kind {
        FrontendKind::Listen => "proxy",
        _ => "frontend",
    };
    let (name, front) = (&config.name, state.traffic.total.load(Relaxed));
    let foreground = shared.foreground.load(Relaxed);
    let say = |text: fmt::Arguments<'_>| {
        say(shared, &state.log, Severity::Warning, foreground, text);
    };
    match door {
        Door::Open => say(format_args!("Resumed {kind} {name}.")),
        Door::Paused => say(format_args!("Paused {kind} {name}.")),
        Door::Shut => {
            say(format_args!("Proxy {name} stopped (cumulated conns: FE: {front}, BE: 0)."));
        }
    }
}

/// SIGTTOU and SIGTTIN: all of them.
pub(crate) fn all_turned(shared: &Shared, door: Door) {
    (0..shared.frontends.len()).for_each(|index| turned(shared, index, door));
}

/// SIGHUP: the state of every server and of every backend.
pub(crate) fn servers(shared: &Shared, foreground: bool) {
    for (config, state) in shared.config.backends.iter().zip(&shared.backends) {
        let say = |text: fmt::Arguments<'_>| {
            say(shared, &state.log, Severity::Notice, foreground, text);
        };
        for (at, (server, running)) in config.servers.iter().zip(state.servers.iter()).enumerate() {
            let view = state.balancer.look(|pool| pool.server(ServerId(at)));
            let up = if view.state == State::Down { "DOWN" } else { "UP" };
            let total = running.traffic.total.load(Relaxed);
            say(format_args!(
                "SIGHUP: Server {}/{} is {up}. Conn: {} act, {} pend, {total} tot.",
                config.name, server.name, view.served, view.queued
            ));
        }
        let view = state.balancer.look(balance::Pool::view);
        let current = state.traffic.current.load(Relaxed);
        let total = state.traffic.total.load(Relaxed);
        let numbers = format_args!(
            "Conn: act(FE+BE): 0+{current}, {} pend ({} unass), tot(FE+BE): 0+{total}.",
            view.waiting, view.queued
        );
        let name = &config.name;
        if config.servers.is_empty() {
            say(format_args!("SIGHUP: Proxy {name} has no servers. {numbers}"));
        } else if view.active == 0 {
            let what = if view.backup > 0 {
                "is running on backup servers"
            } else {
                "has no server available"
            };
            say(format_args!("SIGHUP: Proxy {name} {what} ! {numbers}"));
        } else {
            say(format_args!(
                "SIGHUP: Proxy {name} has {} active servers and {} backup servers available. {numbers}",
                view.active, view.backup
            ));
        }
    }
}
