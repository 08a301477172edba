//! `option external-check`: a program that looks at the server.

use std::process::Stdio;
use std::time::Duration;

use check::{Config, Status, Verdict};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proxy::BindAddress;
use relay::Target;
use tokio::process::Command;

use super::ward::Ward;

/// What a program that could not be run is said to have returned.
const NOT_RUN: i32 = 255;
/// What stands for an address where there is none.
const UNUSED: &str = "NOT_USED";

/// Runs the program until it ends or the time is over; then all its processes are killed.
pub(super) async fn run(
    ward: &Ward<'_>,
    config: &Config,
    command: &str,
    path: Option<&str>,
) -> Verdict {
    let limit = config.timeout_check.unwrap_or(config.inter);
    let mut program = prepared(ward, command, path);
    let failed = |code| Verdict { code, ..Verdict::new(Status::ProcessError) };
    let mut child = match program.spawn() {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(command, %error, "the program of an external check cannot be run");
            return failed(NOT_RUN);
        }
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) if status.success() => Verdict::new(Status::ProcessOk),
        Ok(Ok(status)) => failed(status.code().unwrap_or(0)),
        Ok(Err(_)) => failed(NOT_RUN),
        Err(_) => {
            if let Some(group) = group {
                // It may have ended meanwhile.
                let _ = killpg(group, Signal::SIGKILL);
            }
            // Reaped; it cannot take long any more.
            let _ = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
            Verdict::new(Status::ProcessTimeout)
        }
    }
}

fn prepared(ward: &Ward<'_>, command: &str, path: Option<&str>) -> Command {
    let (backend, server, shared) = (ward.backend_config(), ward.config(), ward.shared());
    // A `listen` is checked for its first address.
    let front = shared.config.frontends.iter().find(|front| front.name == backend.name);
    let bound = front.filter(|_| backend.listen).and_then(|front| front.binds.first());
    let (proxy_address, proxy_port) = match bound.map(|bind| &bind.address) {
        Some(BindAddress::Inet(address)) => (address.ip().to_string(), address.port().to_string()),
        Some(BindAddress::Unix(path)) => (path.display().to_string(), UNUSED.to_owned()),
        _ => (UNUSED.to_owned(), UNUSED.to_owned()),
    };
    let (address, port) = match ward.target() {
        Target::Inet(address) => (address.ip().to_string(), address.port().to_string()),
        Target::Unix(path) => (path.display().to_string(), UNUSED.to_owned()),
    };
    let mut program = Command::new(command);
    program.args([&proxy_address, &proxy_port, &address, &port]);
    program.env_clear();
    let now = ward.connections().to_string();
    for (name, value) in [
        ("HAPROXY_PROXY_ADDR", proxy_address.as_str()),
        ("HAPROXY_PROXY_PORT", &proxy_port),
        ("HAPROXY_PROXY_NAME", &backend.name),
        ("HAPROXY_PROXY_ID", &backend.id.to_string()),
        ("HAPROXY_SERVER_ADDR", &address),
        ("HAPROXY_SERVER_PORT", &port),
        ("HAPROXY_SERVER_NAME", &server.name),
        ("HAPROXY_SERVER_ID", &server.id.to_string()),
        ("HAPROXY_SERVER_MAXCONN", &server.maxconn.unwrap_or(0).to_string()),
        ("HAPROXY_SERVER_CURCONN", &now),
        ("HAPROXY_SERVER_SSL", "0"),
        ("HAPROXY_SERVER_PROTO", "tcp"),
        ("PATH", path.unwrap_or("")),
    ] {
        program.env(name, value);
    }
    program.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program
}
