//! Frontends that pause, go on, and end.

use super::proxies::frontend;
use super::{Call, Command, Outcome, Reply};
use crate::report;
use crate::state::Door;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("disable frontend", |call| turn(call, Door::Paused)),
    Command::new("enable frontend", |call| turn(call, Door::Open)),
    Command::new("shutdown frontend", |call| turn(call, Door::Shut)),
];

fn turn(call: &mut Call<'_>, door: Door) -> Outcome {
    let index = frontend(call)?;
    let state = &call.shared.frontends[index];
    let refusal = match (state.gate.door(), door) {
        (Door::Shut, Door::Open) => "Frontend was previously shut down, cannot enable.",
        (Door::Shut, Door::Paused) => "Frontend was previously shut down, cannot disable.",
        (Door::Shut, Door::Shut) => "Frontend was already shut down.",
        (Door::Paused, Door::Paused) => "All sockets are already disabled.",
        (Door::Open, Door::Open) => "All sockets are already enabled.",
        _ => {
            report::turned(call.shared, index, door);
            return Ok(Reply::DONE);
        }
    };
    Err(Reply::error_line(refusal))
}
