//! `wait`: an answer that comes later.

use std::time::Duration;

use balance::ServerId;
use proxy::Level;

use super::{Call, Command, Outcome, Reply};
use crate::state::Shared;

pub(super) const COMMANDS: &[Command] =
    &[Command::new("wait", "<delay> [srv-removable <bk>/<srv>]", "say nothing for a while", wait)];

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(20);

/// What is waited for.
#[derive(Debug)]
pub(in super::super) struct Wait {
    time: Duration,
    /// `srv-removable`: until this server has no sessions left.
    removable: Option<(usize, usize)>,
}

impl Wait {
    /// Ready when the time has passed or the condition holds; what is said then.
    pub(in super::super) async fn over(self, shared: &'static Shared) -> Option<&'static str> {
        let Some((backend, server)) = self.removable else {
            tokio::time::sleep(self.time).await;
            return None;
        };
        let end = tokio::time::Instant::now() + self.time;
        loop {
            let view = shared.backends[backend].balancer.look(|pool| pool.server(ServerId(server)));
            let idle = view.served == 0 && view.queued == 0;
            if idle && view.state == balance::State::Down {
                return None;
            }
            if tokio::time::Instant::now() >= end {
                return Some("Wait delay expired.\n");
            }
            tokio::time::sleep(STEP).await;
        }
    }
}

fn wait(call: &mut Call<'_>) -> Outcome {
    // A number without a unit is milliseconds.
    let Some(time) = haproxy_cfg::cli::time(call.word(0), conf::Unit::Millis) else {
        let text = "Expects a duration in milliseconds, and maybe a condition.";
        return Err(Reply::error_line(text));
    };
    let removable = match call.word(1) {
        "" => None,
        "srv-removable" => {
            if call.session.level < Level::Admin {
                return Err(Reply::error_line("Permission denied"));
            }
            let rest = Call {
                payload: None,
                shared: call.shared,
                board: call.board,
                session: call.session,
                arguments: call.arguments.get(2..).unwrap_or_default(),
            };
            let found = super::servers::find(&rest)?;
            Some((found.backend, found.server))
        }
        other => {
            return Err(Reply::error_line(format_args!("Unknown condition '{other}'.")));
        }
    };
    Ok(Reply::Wait(Wait { time, removable }))
}
