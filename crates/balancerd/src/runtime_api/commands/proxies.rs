//! Commands about frontends and backends.

use std::fmt::Write as _;

use balance::ServerId;
use relay::Target;

use super::servers::leading_number;
use super::{Call, Command, Outcome, Reply};
use crate::log::accept_date;
use crate::state::Shared;
use crate::stats::{self, Filter, Format};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("set maxconn frontend", set_maxconn),
    Command::new("show backend", show_backend),
    Command::new("show errors", show_errors),
    Command::new("show schema json", |_| Ok(Reply::Text(stats::schema()))),
    Command::new("show servers conn", show_connections),
    Command::new("show servers state", show_servers_state),
    Command::new("show stat", show_stat),
];

fn show_backend(call: &mut Call<'_>) -> Outcome {
    let mut out = String::from("# name\n");
    for backend in &call.shared.config.backends {
        out.push_str(&backend.name);
        out.push('\n');
    }
    Ok(Reply::Text(out))
}

/// The position of a frontend, found by name.
pub(super) fn frontend(call: &Call<'_>) -> Result<usize, Reply> {
    let name = call.word(0);
    if name.is_empty() {
        return Err(Reply::error_line("A frontend name is expected."));
    }
    let frontends = &call.shared.config.frontends;
    frontends
        .iter()
        .position(|known| known.name == name)
        .ok_or_else(|| Reply::error_line("No such frontend."))
}

fn set_maxconn(call: &mut Call<'_>) -> Outcome {
    let index = frontend(call)?;
    let (Some(number), _) = leading_number(call.word(1)) else {
        return Err(Reply::error_line("Integer value expected."));
    };
    let Ok(limit) = u32::try_from(number) else {
        return Err(Reply::error_line("Value out of range."));
    };
    call.shared.frontends[index].gate.set_limit(limit);
    Ok(Reply::DONE)
}

fn show_errors(call: &mut Call<'_>) -> Outcome {
    let name = call.word(0);
    if !name.is_empty()
        && !matches!(name, "request" | "response")
        && id_of(call.shared, name).is_none()
    {
        return Err(Reply::error_line("No such proxy."));
    }
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let date = std::fmt::from_fn(|f| accept_date(now, f));
    // Bytes are not judged here, so none are found wrong.
    Ok(Reply::Text(format!("Total events captured on [{date}] : 0\n")))
}

fn show_stat(call: &mut Call<'_>) -> Outcome {
    let mut filter = Filter::default();
    let mut rest = call.arguments;
    if let ["domain", domain, after @ ..] = rest {
        match *domain {
            "proxy" => rest = after,
            "resolvers" | "dns" => return Ok(Reply::Text(String::new())),
            _ => return Err(Reply::error_line(format_args!("Invalid statistics domain."))),
        }
    }
    if let [proxy, kinds, server, after @ ..] = rest
        && let (Ok(kinds), Ok(server)) = (kinds.parse::<i32>(), server.parse::<i64>())
    {
        filter.proxy = match proxy.parse::<i64>() {
            Ok(id) => u32::try_from(id).ok(),
            Err(_) => match id_of(call.shared, proxy) {
                Some(id) => Some(id),
                None => return Err(Reply::error_line("No such proxy.")),
            },
        };
        filter.kinds = u32::from_ne_bytes(kinds.to_ne_bytes());
        filter.server = u32::try_from(server).ok();
        rest = after;
    }
    for &word in rest {
        match word {
            "up" => filter.up = true,
            "no-maint" => filter.no_maintenance = true,
            _ => {}
        }
    }
    Ok(Reply::Text(stats::show_stat_as(call.shared, call.board, filter, Format::of(rest))))
}

fn id_of(shared: &Shared, name: &str) -> Option<u32> {
    let backends = shared.config.backends.iter().map(|backend| (&backend.name, backend.id));
    let frontends = shared.config.frontends.iter().map(|frontend| (&frontend.name, frontend.id));
    backends.chain(frontends).find(|(known, _)| *known == name).map(|(_, id)| id)
}

fn show_servers_state(call: &mut Call<'_>) -> Outcome {
    let only = call.arguments.first().copied();
    let state = stats::show_servers_state(call.shared, call.board, only);
    state.map(Reply::Text).ok_or_else(|| Reply::error_line("Can't find backend."))
}

/// Nothing is kept idle here, so most of HAProxy's columns are 0.
fn show_connections(call: &mut Call<'_>) -> Outcome {
    let (shared, only) = (call.shared, call.arguments.first());
    let threads = shared.threads.len();
    let mut out = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est \
         unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[{threads}]\n"
    );
    let mut found = only.is_none();
    for (index, backend) in shared.config.backends.iter().enumerate() {
        if only.is_some_and(|only| *only != backend.name) {
            continue;
        }
        found = true;
        for (at, server) in backend.servers.iter().enumerate() {
            let view = shared.backends[index].balancer.look(|pool| pool.server(ServerId(at)));
            let (address, port) = match shared.backends[index].servers[at].target() {
                Target::Inet(address) => (address.ip().to_string(), address.port()),
                Target::Unix(_) => ("-".to_owned(), 0),
            };
            let (now, most) = (view.served, view.max_served);
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "{}/{} {}/{} {address} {port} - 5000 {now} {most} {most} 0 0 -1 0{}",
                backend.name,
                server.name,
                backend.id,
                server.id,
                " 0".repeat(threads),
            );
        }
    }
    if found { Ok(Reply::Text(out)) } else { Err(Reply::error_line("Can't find backend.")) }
}
