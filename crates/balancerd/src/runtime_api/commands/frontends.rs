//! Frontends that pause, go on, and end.

use proxy::Level;

use super::proxies::frontend;
use super::{Call, Command, Outcome, Reply};
use crate::report;
use crate::state::Door;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("disable frontend", "<frontend>", "refuse connections for a while", |call| {
        turn(call, Door::Paused)
    })
    .level(Level::Admin),
    Command::new("enable frontend", "<frontend>", "accept connections again", |call| {
        turn(call, Door::Open)
    })
    .level(Level::Admin),
    Command::new("shutdown frontend", "<frontend>", "accept connections no more", |call| {
        turn(call, Door::Shut)
    })
    .level(Level::Admin),
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
