//! Commands about stick tables.

use super::{Call, Command, Outcome, Reply};
use crate::runtime_api::table;
use crate::state::Shared;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear table", |call| answer(call, table::clear)),
    Command::new("set table", |call| answer(call, table::set)),
    Command::new("show peers", |call| {
        let peers = call.shared.peers.get();
        let text = peers.map(|peers| crate::peers::show(peers, call.arguments));
        Ok(Reply::Text(text.unwrap_or_default()))
    }),
    Command::new("show table", |call| answer(call, table::show)),
];

#[expect(clippy::unnecessary_wraps, reason = "as every command")]
fn answer(call: &Call<'_>, run: fn(&Shared, &[&str]) -> String) -> Outcome {
    Ok(Reply::Text(run(call.shared, call.arguments)))
}
