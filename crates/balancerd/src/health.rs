//! Health checks while the process runs: what servers, agents and sessions tell of servers.
//!
//! ```text
//!   check::schedule ── when ──► probe::run (sockets, TLS) ── Verdict ──┐
//!                               external::run (a program)              │
//!                               agent::ask ── Advice ──────────────────┤
//!   sessions ──► Observer ── too many errors ──────────────────────────┤
//!   operators, the server that is tracked ─────────────────────────────┤
//!                                                                      ▼
//!        log targets, stderr, mail ◄── LogLine ◄── Ward ◄── check::Standing
//!                                                   │
//!                          Shared::set_server_state ◄┘
//! ```

mod agent;
mod board;
mod external;
mod mail;
mod probe;
#[cfg(test)]
mod tests;
mod ward;
mod watch;
mod words;

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::state::Shared;
use watch::Watcher;

pub(crate) use board::{Board, CheckView, Observer, ServerRecord, is_same};
pub(crate) use ward::Ward;

/// Checks all servers that are to be checked and that nobody looks after yet, until it is dropped.
/// Returns at once if there are none.
///
/// To be run once for each configuration that is served: who looks after a server since the one
/// before goes on as if nothing had happened. `foreground` prints what is logged on
/// standard error as well, as HAProxy does until it leaves the terminal.
pub(crate) async fn run(shared: &'static Shared, board: &'static Board, foreground: bool) {
    board.foreground.store(foreground, Relaxed);
    let mut tasks = JoinSet::new();
    let mut checks = Vec::new();
    let mut fresh = HashSet::new();
    for (backend, configured) in shared.config.backends.iter().enumerate() {
        if configured.disabled || configured.shares_servers_with.is_some() {
            continue;
        }
        for (server, other) in configured.servers.iter().enumerate() {
            if !board.backends[backend].servers[server].watch() {
                continue;
            }
            fresh.insert((backend, server));
            Ward::new(shared, board, backend, server).begin();
            if let Some(config) = &other.check {
                checks.push((backend, server, config));
            }
            if let (Some(observer), Some(state)) = (
                &board.backends[backend].servers[server].observer,
                shared.backends[backend].servers.get(server),
            ) {
                // A server that is kept across a reload keeps who looks at its sessions.
                let _ = state.observer.set(std::sync::Arc::clone(observer));
            }
        }
        if configured.servers.iter().any(|server| !server.slowstart.is_zero()) {
            tasks.spawn(watch::warm_up(shared, board, backend));
        }
    }
    let process = &shared.config.process;
    let configs = checks.iter().map(|&(_, _, config)| config);
    let offsets = check::schedule::first_checks(configs, process.max_spread_checks);
    for (&(backend, server, _), offset) in checks.iter().zip(offsets) {
        let watcher = Watcher::new(shared, board, backend, server);
        tasks.spawn(async move {
            tokio::time::sleep(offset).await;
            watcher.check().await;
        });
    }
    let agents = shared.config.backends.iter().enumerate().flat_map(|(backend, configured)| {
        configured.servers.iter().enumerate().map(move |(server, other)| (backend, server, other))
    });
    for (backend, server, configured) in agents {
        let Some(agent) = configured.agent.as_ref().filter(|_| fresh.contains(&(backend, server)))
        else {
            continue;
        };
        let watcher = Watcher::new(shared, board, backend, server);
        let offset = agent.inter.min(Duration::from_secs(1)).mul_f64(fastrand::f64());
        tasks.spawn(async move {
            tokio::time::sleep(offset).await;
            watcher.ask().await;
        });
    }
    if shared.config.backends.iter().any(|backend| backend.email_alert.is_some()) {
        let mail = std::sync::Arc::clone(&board.mail);
        if mail.claim() {
            tasks.spawn(async move { mail.deliver().await });
        }
    }
    while tasks.join_next().await.is_some() {}
}
