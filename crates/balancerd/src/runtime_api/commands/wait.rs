//! `wait`: an answer that comes later.

use std::time::Duration;

use balance::ServerId;
use proxy::Level;

use super::{Call, Command, Outcome, Reply};
use crate::health::Board;
use crate::state::Shared;

pub(super) const COMMANDS: &[Command] = &[Command::new("wait", wait)];

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(20);

const USAGE: &str = "Usage: wait {-h|<duration>} [condition [args...]]
  - '-h' displays this help
  - <duration> is the maximum wait time, optionally suffixed by the unit among
    'us', 'ms', 's', 'm', 'h', and 'd'. ; the default unit is milliseconds.
  - <condition> indicates what to wait for, no longer than the specified
    duration. Supported conditions are:
    - <none> : by default, just sleep for the specified duration.
    - srv-removable <px>/<sv> : wait for this server to become removable.
";

/// What is waited for.
#[derive(Debug)]
pub(in super::super) struct Wait {
    time: Duration,
    /// `srv-removable`: until this server of this backend can be deleted.
    removable: Option<(String, String)>,
}

impl Wait {
    /// Ready when the time has passed or the condition holds; what is said then.
    pub(in super::super) async fn over(
        self,
        shared: &'static Shared,
        board: &'static Board,
    ) -> &'static str {
        let Some((backend, server)) = self.removable else {
            tokio::time::sleep(self.time).await;
            return "Done.\n";
        };
        let end = tokio::time::Instant::now() + self.time;
        loop {
            let (shared, board) = shared.newest(board);
            match is_removable(shared, board, &backend, &server) {
                Removable::Never => return "Failed.\n",
                Removable::Now => return "Done.\n",
                Removable::Later => {}
            }
            if tokio::time::Instant::now() >= end {
                return "Wait delay expired.\n";
            }
            tokio::time::sleep(STEP).await;
        }
    }
}

/// Whether a server can be deleted.
enum Removable {
    Now,
    /// Once its sessions have ended.
    Later,
    /// Not before somebody does something about it.
    Never,
}

fn is_removable(shared: &Shared, board: &Board, backend: &str, server: &str) -> Removable {
    let backends = &shared.config.backends;
    let place = backends.iter().position(|known| known.name == backend).and_then(|at| {
        let servers = &backends[at].servers;
        Some((at, servers.iter().position(|known| known.name == server)?))
    });
    let Some((at, server)) = place else { return Removable::Never };
    if !board.backends[at].servers[server].standing().admin().is_maint()
        || super::dynamic::is_named(&backends[at], server)
    {
        return Removable::Never;
    }
    let view = shared.backends[at].balancer.look(|pool| pool.server(ServerId(server)));
    match view.served == 0 && view.queued == 0 {
        true => Removable::Now,
        false => Removable::Later,
    }
}

fn wait(call: &mut Call<'_>) -> Outcome {
    match call.word(0) {
        "" => return Err(Reply::error_line("Expects a duration in milliseconds.")),
        "-h" => return Err(Reply::error(USAGE)),
        _ => {}
    }
    // A number without a unit is milliseconds.
    let time = haproxy_cfg::cli::time(call.word(0), conf::Unit::Millis);
    let Some(time) = time.filter(|time| !time.is_zero()) else {
        return Err(Reply::error_line("Invalid duration."));
    };
    let removable = match call.word(1) {
        "" => None,
        "srv-removable" => {
            if call.session.level < Level::Admin {
                return Err(Reply::error_line("Permission denied"));
            }
            if call.word(2).is_empty() {
                return Err(Reply::error_line("Missing server name (<backend>/<server>)."));
            }
            let Some((backend, server)) = call.word(2).split_once('/') else {
                return Err(Reply::error_line("Require 'backend/server'."));
            };
            Some((backend.to_owned(), server.to_owned()))
        }
        _ => return Err(Reply::error(USAGE)),
    };
    Ok(Reply::Wait(Wait { time, removable }))
}
