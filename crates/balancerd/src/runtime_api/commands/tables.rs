//! Commands about stick tables.

use proxy::Level;

use super::{Call, Command, Outcome, Reply};
use crate::runtime_api::table;
use crate::state::Shared;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear table", "<table> [<filter>]*", "removes entries", |call| {
        answer(call, table::clear)
    })
    .level(Level::Operator),
    Command::new(
        "set table",
        "<table> key <k> [data.* <v>]*",
        "what is stored with a key",
        |call| answer(call, table::set),
    )
    .level(Level::Operator),
    Command::new("show peers", "[dict|-] [section]", "who shares stick tables", |call| {
        let peers = call.shared.peers.get();
        let text = peers.map(|peers| crate::peers::show(peers, call.arguments));
        Ok(Reply::Text(text.unwrap_or_default()))
    }),
    Command::new(
        "show table",
        "[<table> [<filter>]*]",
        "stick tables, or what one holds",
        |call| answer(call, table::show),
    )
    .level(Level::Operator),
];

#[expect(clippy::unnecessary_wraps, reason = "as every command")]
fn answer(call: &Call<'_>, run: fn(&Shared, &[&str]) -> String) -> Outcome {
    Ok(Reply::Text(run(call.shared, call.arguments)))
}
