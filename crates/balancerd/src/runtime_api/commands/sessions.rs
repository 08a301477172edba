//! Commands about sessions.

use std::fmt::Write as _;
use std::time::Duration;

use proxy::Cause;

use super::{Call, Command, Outcome, Reply};
use crate::state::{About, Shared};

pub(super) const COMMANDS: &[Command] =
    &[Command::new("show sess", show_sessions), Command::new("shutdown session", shutdown_session)];

/// `0x1000000000002a`: the thread above, its place there below.
fn id(thread: usize, key: u32) -> String {
    format!("{:#x}", (thread as u64 + 1) << 48 | u64::from(key))
}

fn find(call: &Call<'_>) -> Option<(usize, u32)> {
    let number = call.word(0).strip_prefix("0x")?;
    let number = u64::from_str_radix(number, 16).ok()?;
    let thread = usize::try_from(number >> 48).ok()?.checked_sub(1)?;
    Some((thread, u32::try_from(number & 0xffff_ffff_ffff).ok()?))
}

fn shutdown_session(call: &mut Call<'_>) -> Outcome {
    let pointer = call.word(0).strip_prefix("0x").and_then(|it| u64::from_str_radix(it, 16).ok());
    if pointer.is_none_or(|pointer| pointer == 0) {
        return Err(Reply::error_line("Session pointer expected (use 'show sess')."));
    }
    let unknown = || Reply::error_line("No such session (use 'show sess').");
    let (thread, key) = find(call).ok_or_else(unknown)?;
    match call.shared.end_session(thread, key, Cause::Killed) {
        true => Ok(Reply::DONE),
        false => Err(Reply::error_line("No such session (use 'show sess').")),
    }
}

fn show_sessions(call: &mut Call<'_>) -> Outcome {
    let mut out = String::new();
    let mut least = Duration::ZERO;
    let mut one = None;
    match call.word(0) {
        "" | "all" => {}
        "older" => match haproxy_cfg::cli::time(call.word(1), conf::Unit::Seconds) {
            Some(age) => least = age,
            None => return Err(Reply::error_line("Expects an age.")),
        },
        _ => match find(call) {
            Some(wanted) => one = Some(wanted),
            None if call.word(0).starts_with("0x") => {
                return Err(Reply::error_line("Session not found."));
            }
            None => {
                let text =
                    format!("Unsupported option '{}', try 'help' for more info.", call.word(0));
                return Err(Reply::error_line(text));
            }
        },
    }
    let now = crate::state::unix_seconds();
    for (thread, registry) in call.shared.threads.iter().enumerate() {
        for (key, about) in registry.all() {
            let age = now.saturating_sub(u64::from(about.since));
            let wanted = one.is_none_or(|one| one == (thread, key));
            if wanted && age >= least.as_secs() {
                write_session(&mut out, call.shared, &id(thread, key), &about, age);
            }
        }
    }
    if out.is_empty() && one.is_some() {
        return Err(Reply::error_line("Session not found."));
    }
    Ok(Reply::Text(out))
}

/// The fields that mean something here, in HAProxy's order.
fn write_session(out: &mut String, shared: &Shared, id: &str, about: &About, age: u64) {
    let (proto, source) = match about.peer() {
        Some(peer) if peer.is_ipv4() => ("tcpv4", peer.to_string()),
        Some(peer) => ("tcpv6", format!("{}:{}", peer.ip(), peer.port())),
        None => ("unix_stream", "unix:1".to_owned()),
    };
    let frontend = shared.config.frontends.iter().zip(&shared.frontends);
    let frontend = frontend.filter(|(_, state)| state.id == about.frontend).map(|(it, _)| &it.name);
    let frontend = frontend.map(String::as_str).next().unwrap_or("<gone>");
    let backend = shared.backends.iter().position(|state| state.id == about.backend);
    let backend_name = backend.map_or("<NONE>", |at| shared.config.backends[at].name.as_str());
    let server = backend.and_then(|at| {
        let servers = shared.backends[at].servers.iter();
        let index = servers.clone().position(|state| state.id == about.server)?;
        Some(shared.config.backends[at].servers[index].name.as_str())
    });
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{id}: proto={proto} src={source} fe={frontend} be={backend_name} srv={} ts=00 epoch=0 \
         age={} calls=1 rate=0 cpu=0 lat=0",
        server.unwrap_or("<none>"),
        Age(age),
    );
}

/// `5s`, `2m5s`, `1h2m`, `3d4h`.
struct Age(u64);

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0;
        match seconds {
            0..60 => write!(f, "{seconds}s"),
            60..3_600 => write!(f, "{}m{}s", seconds / 60, seconds % 60),
            3_600..86_400 => write!(f, "{}h{}m", seconds / 3_600, seconds / 60 % 60),
            _ => write!(f, "{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
        }
    }
}
