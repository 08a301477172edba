//! `add server`, `del server`: servers that come and go while the process runs.
//!
//! Each is a small reload in place (`worker::change`): sessions go on, and what the other servers
//! count and how they stand is kept. A reload of the file knows nothing of them: it says which it
//! removed.

use std::sync::Arc;

use balance::ServerId;
use haproxy_cfg::dynamic;
use proxy::{Backend, BackendIndex, Running, Tracked};

use super::{Call, Command, Outcome, Reply};
use crate::health::Board;
use crate::state::Shared;
use crate::worker::Change;

pub(super) const COMMANDS: &[Command] =
    &[Command::new("add server", add), Command::new("del server", delete)];

/// `be/s` of the first argument.
fn named(call: &Call<'_>) -> Result<(String, String), Reply> {
    match call.word(0).split_once('/') {
        Some((backend, server)) if !server.is_empty() => Ok((backend.into(), server.into())),
        _ => Err(Reply::error_line("Require 'backend/server'.")),
    }
}

/// Has a change carried out.
fn change(
    call: &Call<'_>,
    make: impl FnOnce(&Shared, &Board) -> Result<(Running, String), String> + Send + 'static,
) -> Outcome {
    let (change, told) = Change::new(make);
    let sent = call.shared.changes.get().is_some_and(|changes| changes.send(change).is_ok());
    if !sent {
        return Err(Reply::error_line("Servers cannot be changed now."));
    }
    Ok(Reply::Soon(told))
}

/// The same configuration with another backend at this position.
fn with(config: &Running, at: usize, backend: Backend) -> Running {
    let mut next = config.clone();
    next.backends[at] = Arc::new(backend);
    next
}

fn find(config: &Running, name: &str) -> Result<usize, String> {
    let place = config.backends.iter().position(|known| known.name == name);
    place.ok_or_else(|| "No such backend.\n".to_owned())
}

fn add(call: &mut Call<'_>) -> Outcome {
    let (backend, server) = named(call)?;
    let arguments: Vec<String> =
        call.arguments.iter().skip(1).map(|&word| word.to_owned()).collect();
    change(call, move |shared, _| {
        let mut words = vec![server.as_str()];
        words.extend(arguments.iter().map(String::as_str));
        added(&shared.config, &backend, &words)
    })
}

fn added(config: &Running, name: &str, words: &[&str]) -> Result<(Running, String), String> {
    let at = find(config, name)?;
    let backend = &config.backends[at];
    if backend.pool_config(0, 0).is_static() {
        let text = "Backend must use a dynamic load balancing to support dynamic servers.\n";
        return Err(text.to_owned());
    }
    if backend.servers.iter().any(|server| server.resolve.is_some()) {
        let text = "not supported yet: a dynamic server beside servers with resolvers\n";
        return Err(text.to_owned());
    }
    let verify_none = config.process.server_verify_none;
    let dynamic::Added { mut server, track, warnings } =
        dynamic::server(backend, verify_none, words).map_err(|why| format!("{why}\n"))?;
    if let Some(tracked) = track {
        server.track = Some(tracks(config, at, &tracked).map_err(|why| format!("{why}\n"))?);
    }
    if backend.servers.iter().any(|known| known.name == server.name) {
        return Err("Already exists a server with the same name in backend.\n".to_owned());
    }
    let mut next = (**backend).clone();
    next.servers.push(server);
    let mut next = with(config, at, next);
    note_tracked(&mut next);
    let mut said: String = warnings.iter().map(|text| format!("{text}\n")).collect();
    said.push_str("New server registered.\n");
    Ok((next, said))
}

/// `track be/s`: whose state the server has.
fn tracks(config: &Running, own: usize, text: &str) -> Result<Tracked, String> {
    let (backend, server) = text.split_once('/').unwrap_or((&config.backends[own].name, text));
    let at = config.backends.iter().position(|known| known.name == backend);
    let at =
        at.ok_or_else(|| format!("unable to find required proxy '{backend}' for tracking."))?;
    let servers = &config.backends[at].servers;
    let place = servers.iter().position(|known| known.name == server);
    let place =
        place.ok_or_else(|| format!("unable to find required server '{server}' for tracking."))?;
    let seen = &servers[place];
    if seen.check.is_none() && seen.agent.is_none() && seen.track.is_none() {
        return Err(format!(
            "unable to use {backend}/{server} for tracking as it does not have any check nor \
             agent enabled."
        ));
    }
    Ok(Tracked { backend: BackendIndex(at), server: place })
}

/// Positions that somebody tracks are theirs from now on.
fn note_tracked(config: &mut Running) {
    let servers = config.backends.iter().flat_map(|backend| &backend.servers);
    let tracked: Vec<Tracked> = servers.filter_map(|server| server.track).collect();
    for Tracked { backend: BackendIndex(at), server } in tracked {
        let Some(backend) = config.backends.get_mut(at) else { continue };
        if backend.servers_named < Some(server) {
            Arc::make_mut(backend).servers_named = Some(server);
        }
    }
}

/// Whether something in the configuration needs the server where it is.
pub(super) fn is_named(backend: &Backend, server: usize) -> bool {
    backend.servers_named.is_some_and(|last| server <= last)
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let (backend, server) = named(call)?;
    change(call, move |shared, board| deleted(shared, board, &backend, &server))
}

fn deleted(
    shared: &Shared,
    board: &Board,
    name: &str,
    server: &str,
) -> Result<(Running, String), String> {
    let config = &shared.config;
    let at = find(config, name)?;
    let backend = &config.backends[at];
    let place = backend.servers.iter().position(|known| known.name == server);
    let place = place.ok_or_else(|| "No such server.\n".to_owned())?;
    if is_named(backend, place) {
        let text = "This server cannot be removed at runtime due to other configuration elements \
                    pointing to it.\n";
        return Err(text.to_owned());
    }
    if !board.backends[at].servers[place].standing().admin().is_maint() {
        return Err("Only servers in maintenance mode can be deleted.\n".to_owned());
    }
    let view = shared.backends[at].balancer.look(|pool| pool.server(ServerId(place)));
    if view.served > 0 || view.queued > 0 {
        let text = "Server still has connections attached to it, cannot remove it.\n";
        return Err(text.to_owned());
    }
    let mut next = (**backend).clone();
    next.servers.remove(place);
    Ok((with(config, at, next), "Server deleted.\n".to_owned()))
}
