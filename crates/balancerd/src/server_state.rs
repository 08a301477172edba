//! `server-state-file`: servers go on as they were when `show servers state` was last saved.
//!
//! ```text
//!   show servers state ─ the operator's script ─► file ─ next start ─► lines ─► Ward, Pool
//! ```
//!
//! A file that is missing, of another version, cut off or too large is said and passed over; so is a
//! line that names no server or makes no sense.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use balance::ServerId;
use check::{Event, Operation, Order};
use proxy::StateFrom;
use relay::Target;

use crate::health::{Board, Ward};
use crate::state::Shared;

#[cfg(test)]
mod tests;

/// The most that is read of a file, in bytes: a line takes some 150.
const MOST: u64 = 64 * 1024 * 1024;

/// How a server was, as one line has it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Line<'a> {
    backend: &'a str,
    server: &'a str,
    operation: Operation,
    /// The bits of `srv_admin_state`.
    admin: u8,
    weight: u32,
    /// The weight that was configured then.
    configured: u32,
    port: Option<u16>,
}

/// Reads the files there are and lets servers go on as they were; what was in the way, in HAProxy's
/// words.
pub(crate) fn load(shared: &Shared, board: &Board) -> Vec<String> {
    let mut problems = Vec::new();
    let process = &shared.config.process;
    let place = |path: &Path| match &process.state_base {
        Some(base) => base.join(path),
        None => path.to_owned(),
    };
    let wanted = |from| shared.config.backends.iter().any(|backend| backend.state_from == from);
    let global = process.state_file.as_deref().filter(|_| wanted(StateFrom::Global));
    let global = global.and_then(|path| {
        let path = place(path);
        read(&path)
            .map_err(|why| {
                let path = path.display();
                let text = "config: Can't open global server state file";
                problems.push(format!("{text} '{path}': {why}"));
            })
            .ok()
    });
    for (index, backend) in shared.config.backends.iter().enumerate() {
        let own;
        let text = match backend.state_from {
            StateFrom::None => continue,
            StateFrom::Global => global.as_deref(),
            StateFrom::Local => {
                let name = backend.state_name.as_ref().unwrap_or(&backend.name);
                let path = place(&PathBuf::from(name));
                own = read(&path)
                    .map_err(|why| {
                        let (name, path) = (&backend.name, path.display());
                        let text = "Can't open server state file";
                        problems.push(format!("Proxy '{name}': {text} '{path}': {why}"));
                    })
                    .ok();
                own.as_deref()
            }
        };
        let lines = text.into_iter().flat_map(str::lines).skip(1).filter_map(parse);
        for line in lines.filter(|line| line.backend == backend.name) {
            let named = |server: &proxy::Server| server.name == line.server;
            if let Some(server) = backend.servers.iter().position(named) {
                apply(shared, board, (index, server), &line);
            }
        }
    }
    problems
}

fn read(path: &Path) -> Result<String, String> {
    let reason = |error: std::io::Error| crate::bind::reason(&error);
    let file = std::fs::File::open(path).map_err(reason)?;
    let mut text = Vec::new();
    file.take(MOST + 1).read_to_end(&mut text).map_err(reason)?;
    if text.len() as u64 > MOST {
        return Err("File too large".into());
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    match text.lines().next() {
        Some("1") => Ok(text),
        Some(other) => Err(format!("version '{other:.16}' is not known")),
        None => Err("it is empty".into()),
    }
}

fn parse(line: &str) -> Option<Line<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    // 2.6 and later have 25 of them; a line that was cut off has fewer.
    let [_, backend, _, server, _, operation, admin, weight, configured, _, rest @ ..] =
        words.as_slice()
    else {
        return None;
    };
    if rest.len() < 9 {
        return None;
    }
    let number = |word: &str| word.parse::<u32>().ok();
    let operation = match number(operation)? {
        0 => Operation::Stopped,
        1 | 2 => Operation::Running,
        3 => Operation::Stopping,
        _ => return None,
    };
    let weight = number(weight).filter(|weight| *weight <= 256)?;
    let configured = number(configured).filter(|weight| *weight <= 256)?;
    let port = rest[8].parse().ok().filter(|port| *port != 0);
    let admin = admin.parse().ok()?;
    Some(Line { backend, server, operation, admin, weight, configured, port })
}

fn apply(shared: &Shared, board: &Board, (backend, server): (usize, usize), line: &Line<'_>) {
    const FORCED_MAINT: u8 = 0x01;
    const CONFIGURED_MAINT: u8 = 0x04;
    const FORCED_DRAIN: u8 = 0x08;
    let config = &shared.config.backends[backend].servers[server];
    let state = &shared.backends[backend];
    let ward = Ward::new(shared, board, backend, server);
    if line.admin & FORCED_MAINT != 0 {
        ward.happen(Event::Order(Order::Maint));
    } else if line.admin & FORCED_DRAIN != 0 {
        ward.happen(Event::Order(Order::Drain));
    } else if config.disabled && line.admin & CONFIGURED_MAINT != 0 {
        // It was disabled then as well, and made ready by hand.
        ward.happen(Event::Order(Order::Ready));
    }
    if line.admin & FORCED_MAINT == 0 && line.operation != Operation::Running {
        ward.happen(Event::Force(line.operation));
    }
    // A weight that was changed in the file since wins.
    if line.configured == config.weight && line.weight != config.weight {
        let (now, id) = (shared.clock.now(), ServerId(server));
        state.balancer.change(|pool, wakes| pool.set_weight(now, id, line.weight, wakes));
    }
    if let (Some(port), Target::Inet(mut address)) = (line.port, state.servers[server].target())
        && address.port() != 0
        && address.port() != port
    {
        address.set_port(port);
        state.servers[server].move_to(Target::Inet(address));
        state.balancer.change(|pool, _| pool.set_address(ServerId(server), Some(address)));
    }
}
