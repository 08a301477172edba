//! `show resolvers`: what was asked of name servers, and what they said.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use super::{Call, Command, Outcome, Reply};

pub(super) const COMMANDS: &[Command] = &[Command::new("show resolvers", show_resolvers)];

fn show_resolvers(call: &mut Call<'_>) -> Outcome {
    let only = call.arguments.first().copied();
    let sections = &call.shared.config.process.resolvers;
    let mut shown =
        sections.iter().filter(|one| only.is_none_or(|only| one.name == only)).peekable();
    if only.is_some() && shown.peek().is_none() {
        return Err(Reply::error_line("Can't find that resolvers section"));
    }
    let mut out = String::new();
    for section in shown {
        // Writing to a string does not fail.
        let _ = writeln!(out, "Resolvers section {}", section.name);
        let counts = call.shared.known.sections.of(section);
        for (server, counts) in section.nameservers.iter().zip(&counts) {
            let _ = writeln!(out, " nameserver {}:", server.name);
            let none = 0;
            for (name, value) in [
                ("sent", counts.sent.load(Relaxed)),
                ("snd_error", counts.send_errors.load(Relaxed)),
                ("valid", counts.valid.load(Relaxed)),
                ("update", counts.updates.load(Relaxed)),
                ("cname", counts.cnames.load(Relaxed)),
                ("cname_error", none),
                ("any_err", counts.any_error.load(Relaxed)),
                ("nx", counts.no_such_name.load(Relaxed)),
                ("timeout", counts.timeouts.load(Relaxed)),
                ("refused", counts.refused.load(Relaxed)),
                ("other", counts.other.load(Relaxed)),
                ("invalid", counts.invalid.load(Relaxed)),
                // An answer that is too big or cut off is asked for again over TCP.
                ("too_big", none),
                ("truncated", none),
                ("outdated", none),
            ] {
                let _ = writeln!(out, "  {:<12} {value}", format!("{name}:"));
            }
        }
    }
    Ok(Reply::Text(out))
}
