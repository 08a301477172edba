//! The runtime API: commands over a `stats socket`, answered in HAProxy's manner.
//!
//! ```text
//!   stats socket ─ accept ─► Client: lines, `;`, prompt ─► commands::run ─► stats::show_…
//!                              │ idle for `stats timeout`: closed
//!                              └ at most `stats maxconn` at a time, 16 KiB a command
//! ```
//!
//! A connection is answered once and closed, unless it asks for the `prompt`. Every answer ends
//! with an empty line.

mod client;
mod commands;
mod sockets;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use linux::tcp::Listener;
use proxy::{BindAddress, Level, StatsSocket};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use client::Client;
pub(crate) use sockets::fetch as fetch_sockets;

use crate::health::Board;
use crate::state::Shared;

/// `stats maxconn` when not given: clients of all sockets at a time.
const MAX_CLIENTS: u32 = 10;

/// `stats timeout` when not given.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Room for as many clients as `stats maxconn` allows.
pub(crate) fn room(shared: &Shared) -> Arc<Semaphore> {
    let most = shared.config.process.stats_maxconn.unwrap_or(MAX_CLIENTS);
    let most = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}

/// Answers the clients of one listening socket, each in one of the places of `room`, for as long as the process runs. Runs in a
/// [`LocalSet`](tokio::task::LocalSet).
pub(crate) async fn serve(
    shared: &'static Shared,
    board: &'static Board,
    socket: OwnedFd,
    level: Level,
    exposes: bool,
    room: Arc<Semaphore>,
) {
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => {
            let text = format!("the stats socket cannot be watched: {error}");
            crate::terminal::err(&format!("[ALERT]    ({}) : {text}\n", std::process::id()));
            return;
        }
    };
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = std::future::poll_fn(|cx| listener.poll_accept(cx)).await;
        let (fd, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no client of the stats socket");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (shared, board) = shared.newest(board);
        let timeout = shared.config.process.stats_timeout.unwrap_or(TIMEOUT);
        let mut client = Client::new(shared, board, level, timeout);
        client.expose(exposes.then(|| fd.try_clone().ok()).flatten());
        tokio::task::spawn_local(async move {
            let talked = match address {
                Some(_) => tcp(fd, client).await,
                None => unix(fd, client).await,
            };
            if let Err(error) = talked {
                tracing::debug!(%error, "a client of the stats socket is gone");
            }
            drop(place);
        });
    }
}

/// Answers the clients that the master sends over `control`, one byte for the level of each.
pub(crate) async fn serve_master(shared: &'static Shared, board: &'static Board, control: OwnedFd) {
    let control = std::os::unix::net::UnixStream::from(control);
    let Ok(()) = control.set_nonblocking(true) else { return };
    let Ok(control) = UnixStream::from_std(control) else { return };
    loop {
        let received = control
            .async_io(tokio::io::Interest::READABLE, || {
                let mut byte = [0; 1];
                let (count, files) = linux::rights::receive(&control, &mut byte)?;
                Ok((count, byte[0], files))
            })
            .await;
        let Ok((1, level, files)) = received else { return };
        let level = match level {
            0 => Level::User,
            1 => Level::Operator,
            _ => Level::Admin,
        };
        for file in files {
            if socket2::SockRef::from(&file).set_nonblocking(true).is_err() {
                continue;
            }
            let (shared, board) = shared.newest(board);
            let timeout = shared.config.process.stats_timeout.unwrap_or(TIMEOUT);
            let client = Client::new(shared, board, level, timeout);
            tokio::task::spawn_local(async move {
                if let Err(error) = unix(file, client).await {
                    tracing::debug!(%error, "a client of the master's socket is gone");
                }
            });
        }
    }
}

/// What a level is called.
pub(crate) const fn level_name(level: Level) -> &'static str {
    match level {
        Level::User => "user",
        Level::Operator => "operator",
        Level::Admin => "admin",
    }
}

/// Where a socket listens, as `show cli sockets` has it.
pub(crate) fn address(socket: &StatsSocket) -> String {
    match &socket.address {
        BindAddress::Inet(address) if address.is_ipv4() => format!("ipv4@{address}"),
        BindAddress::Inet(address) => format!("ipv6@{address}"),
        BindAddress::Unix(path) => format!("unix@{}", path.display()),
        other => other.to_string(),
    }
}

async fn tcp(fd: OwnedFd, client: Client) -> io::Result<()> {
    client.talk(TcpStream::from_std(fd.into())?).await
}

async fn unix(fd: OwnedFd, client: Client) -> io::Result<()> {
    client.talk(UnixStream::from_std(fd.into())?).await
}

/// What an administrator is answered to one line, the empty line behind it included.
pub(crate) fn execute(shared: &'static Shared, board: &'static Board, line: &str) -> String {
    Client::new(shared, board, Level::Admin, TIMEOUT).line_at_once(line)
}
