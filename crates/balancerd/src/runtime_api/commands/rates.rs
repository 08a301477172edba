//! `set rate-limit`: connections and sessions a second.

use super::servers::leading_number;
use super::{Call, Command, Outcome, Reply};

pub(super) const COMMANDS: &[Command] = &[Command::new("set rate-limit", set_rate_limit)];

const USAGE: &str = "'set rate-limit' only supports :
   - 'connections global' to set the per-process maximum connection rate
   - 'sessions global' to set the per-process maximum session rate
   - 'ssl-sessions global' to set the per-process maximum SSL session rate
   - 'http-compression global' to set the per-process maximum compression speed in kB/s
";

/// `set rate-limit connections global 100`; 0 is no limit.
fn set_rate_limit(call: &mut Call<'_>) -> Outcome {
    let paces = &call.shared.paces;
    let pace = match (call.word(0), call.word(1)) {
        ("connections", "global") => Some(&paces.connections),
        ("sessions", "global") => Some(&paces.sessions),
        ("ssl-sessions", "global") => Some(&paces.tls),
        // Nothing is compressed here.
        ("http-compression", "global") => None,
        _ => return Err(Reply::error(USAGE)),
    };
    let Some(pace) = pace else { return Ok(Reply::DONE) };
    if call.word(2).is_empty() {
        return Err(Reply::error_line("Expects an integer value."));
    }
    let number = leading_number(call.word(2)).0.unwrap_or(0);
    // More than this HAProxy takes for something else.
    let limit = i32::try_from(number).ok().and_then(|limit| u32::try_from(limit).ok());
    let Some(limit) = limit else { return Err(Reply::error_line("Value out of range.")) };
    pace.set_limit(limit);
    Ok(Reply::DONE)
}
