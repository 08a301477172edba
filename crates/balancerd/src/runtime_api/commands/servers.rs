//! Commands about one server.

use std::net::IpAddr;

use balance::ServerId;
use proxy::{Cause, Server};
use relay::Target;

use super::{Call, Command, Outcome, Reply};
use check::standing::{Event, Operation, Order};

use crate::health::{Board, Ward};
use crate::state::{AgentAt, ServerState, Shared};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("disable agent", |call| enable_agent(call, false)),
    Command::new("disable health", |call| enable_checks(call, false)),
    Command::new("disable server", |call| maintain(call, true)),
    Command::new("enable agent", |call| enable_agent(call, true)),
    Command::new("enable health", |call| enable_checks(call, true)),
    Command::new("enable server", |call| maintain(call, false)),
    Command::new("get weight", get_weight),
    Command::new("set maxconn server", set_maxconn),
    Command::new("set server", set_server),
    Command::new("set weight", set_weight),
    Command::new("shutdown sessions server", shutdown_sessions),
];

/// One server.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) shared: &'static Shared,
    pub(super) board: &'static Board,
    pub(super) backend: usize,
    pub(super) server: usize,
}

impl Found {
    fn ward(&self) -> Ward<'static> {
        Ward::new(self.shared, self.board, self.backend, self.server)
    }

    fn config(&self) -> &'static Server {
        &self.shared.config.backends[self.backend].servers[self.server]
    }

    fn standing(&self) -> check::Standing {
        self.board.backends[self.backend].servers[self.server].standing()
    }

    /// Whether its checks are on.
    fn is_checked(&self) -> bool {
        self.standing().check().is_some_and(|watch| watch.enabled)
    }

    /// Whether its agent is asked.
    fn is_asked(&self) -> bool {
        self.standing().agent().is_some_and(|watch| watch.enabled)
    }

    fn state(&self) -> &'static ServerState {
        &self.shared.backends[self.backend].servers[self.server]
    }
}

/// One server, found by the first argument.
pub(super) fn find(call: &Call<'_>) -> Result<Found, Reply> {
    let named = call.arguments.first().and_then(|argument| argument.split_once('/'));
    let Some((backend, server)) = named else {
        return Err(Reply::error_line("Require 'backend/server'."));
    };
    let backends = &call.shared.config.backends;
    let Some(backend) = backends.iter().position(|known| known.name == backend) else {
        return Err(Reply::error_line("No such backend."));
    };
    let servers = &backends[backend].servers;
    let Some(server) = servers.iter().position(|known| known.name == server) else {
        return Err(Reply::error_line("No such server."));
    };
    Ok(Found { shared: call.shared, board: call.board, backend, server })
}

/// Something happens to a server; what follows from it is logged as ever.
fn happens(found: Found, event: Event) -> Outcome {
    found.ward().happen(event);
    Ok(Reply::DONE)
}

fn maintain(call: &mut Call<'_>, on: bool) -> Outcome {
    let order = if on { Order::Maint } else { Order::Ready };
    happens(find(call)?, Event::Order(order))
}

fn enable_checks(call: &mut Call<'_>, on: bool) -> Outcome {
    let found = find(call)?;
    if on && found.config().check.is_none() {
        let text = "Health check was not configured on this server, cannot enable.";
        return Err(Reply::error_line(text));
    }
    happens(found, Event::EnableCheck(on))
}

fn enable_agent(call: &mut Call<'_>, on: bool) -> Outcome {
    let found = find(call)?;
    if on && found.config().agent.is_none() {
        let text = "Agent was not configured on this server, cannot enable.";
        return Err(Reply::error_line(text));
    }
    happens(found, Event::EnableAgent(on))
}

fn get_weight(call: &mut Call<'_>) -> Outcome {
    let Found { shared, backend, server, .. } = find(call)?;
    let view = shared.backends[backend].balancer.look(|pool| pool.server(ServerId(server)));
    let initial = shared.config.backends[backend].servers[server].weight;
    Ok(Reply::info_line(format_args!("{} (initial {initial})", view.weight)))
}

fn set_weight(call: &mut Call<'_>) -> Outcome {
    let found = find(call)?;
    change_weight(found, call.word(1))
}

/// `10`, `50%` of the configured weight; at most 256.
fn change_weight(found: Found, text: &str) -> Outcome {
    let Found { shared, backend, server, .. } = found;
    if text.is_empty() {
        return Err(Reply::error_line("Require <weight> or <weight%>."));
    }
    let (number, rest) = leading_number(text);
    let Some(number) = number else {
        return Err(Reply::error_line("Empty weight string empty or preceded by garbage"));
    };
    let initial = i64::from(shared.config.backends[backend].servers[server].weight);
    let weight = match rest {
        "%" if number < 0 => return Err(Reply::error_line("Relative weight must be positive.")),
        "%" => (initial.saturating_mul(number) / 100).min(256),
        "" if !(0..=256).contains(&number) => {
            let text = "Absolute weight can only be between 0 and 256 inclusive.";
            return Err(Reply::error_line(text));
        }
        "" => number,
        _ => return Err(Reply::error_line("Trailing garbage in weight string")),
    };
    let is_static = shared.config.backends[backend].pool_config(0, 0).is_static();
    if is_static && weight != 0 && weight != initial {
        let text = "Backend is using a static LB algorithm and only accepts weights '0%' and \
                    '100%'.";
        return Err(Reply::error_line(text));
    }
    let (now, weight) = (shared.clock.now(), u32::try_from(weight).unwrap_or(0));
    shared.backends[backend]
        .balancer
        .change(|pool, wakes| pool.set_weight(now, ServerId(server), weight, wakes));
    Ok(Reply::DONE)
}

/// As C's `strtol`: a number at the beginning, and what follows it.
pub(super) fn leading_number(text: &str) -> (Option<i64>, &str) {
    let trimmed = text.trim_start();
    let sign = usize::from(trimmed.starts_with(['-', '+']));
    let digits = trimmed[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (None, text);
    }
    let (number, rest) = trimmed.split_at(sign + digits);
    let limit = if number.starts_with('-') { i64::MIN } else { i64::MAX };
    (Some(number.parse().unwrap_or(limit)), rest)
}

fn set_maxconn(call: &mut Call<'_>) -> Outcome {
    let Found { shared, backend, server, .. } = find(call)?;
    let text = call.word(1);
    if text.is_empty() {
        return Err(Reply::error_line("Require <maxconn>."));
    }
    let maxconn = match leading_number(text) {
        (None, _) => return Err(Reply::error_line("maxconn string empty or preceded by garbage")),
        (Some(number), "") => u32::try_from(number.max(0)).unwrap_or(u32::MAX),
        _ => return Err(Reply::error_line("Trailing garbage in maxconn string")),
    };
    let now = shared.clock.now();
    shared.backends[backend]
        .balancer
        .change(|pool, wakes| pool.set_maxconn(now, ServerId(server), maxconn, wakes));
    Ok(Reply::DONE)
}

fn shutdown_sessions(call: &mut Call<'_>) -> Outcome {
    let Found { shared, backend, server, .. } = find(call)?;
    shared.shutdown_sessions(backend, Some(server), Cause::Killed);
    Ok(Reply::DONE)
}

const AGENT_OFF: &str = "agent checks are not enabled on this server";

fn set_server(call: &mut Call<'_>) -> Outcome {
    let found = find(call)?;
    let (what, value) = (call.word(1), call.word(2));
    match what {
        "weight" => change_weight(found, value),
        "state" => set_state(found, value),
        "health" => set_health(found, value),
        "agent" => set_agent(found, value),
        "agent-send" if !found.is_asked() => Err(Reply::error_line(format_args!("{AGENT_OFF}."))),
        "agent-addr" | "agent-port" if !found.is_asked() => Err(Reply::error_line(AGENT_OFF)),
        "agent-send" => {
            let send = Some(value.as_bytes().to_vec());
            found.state().ask_at(AgentAt { send, ..AgentAt::default() });
            Ok(Reply::DONE)
        }
        "agent-addr" => set_agent_address(call, found),
        "agent-port" => {
            if value.is_empty() {
                let text = "set server <b>/<s> agent-port requires a port.";
                return Err(Reply::error_line(text));
            }
            let port = Some(check_port(value)?);
            found.state().ask_at(AgentAt { port, ..AgentAt::default() });
            Ok(Reply::DONE)
        }
        "addr" => set_address(call, found),
        "check-addr" => set_check_address(call, found),
        "check-port" => set_check_port(found, value),
        "fqdn" if value.is_empty() => {
            Err(Reply::error_line("set server <b>/<s> fqdn requires a FQDN."))
        }
        "fqdn" if found.config().resolve.is_some() => {
            Err(Reply::error_line("not supported yet: set server fqdn"))
        }
        "fqdn" => {
            let text = "set server <b>/<s> fqdn failed because no resolution is configured.";
            Err(Reply::error_line(text))
        }
        "ssl" => {
            let text = "'set server <srv> ssl' cannot be set.  default-server should define ssl \
                        settings";
            Err(Reply::error_line(text))
        }
        _ => {
            let text = "usage: set server <backend>/<server> addr | agent | agent-addr | \
                        agent-port | agent-send | check-addr | check-port | fqdn | health | ssl \
                        | state | weight";
            Err(Reply::error_line(text))
        }
    }
}

fn set_state(found: Found, state: &str) -> Outcome {
    let order = match state {
        "ready" => Order::Ready,
        "drain" => Order::Drain,
        "maint" => Order::Maint,
        _ => {
            let text = "'set server <srv> state' expects 'ready', 'drain' and 'maint'.";
            return Err(Reply::error_line(text));
        }
    };
    happens(found, Event::Order(order))
}

/// As if the agent had said it.
fn set_agent(found: Found, word: &str) -> Outcome {
    if !found.is_asked() {
        return Err(Reply::error_line(format_args!("{AGENT_OFF}.")));
    }
    match word {
        "up" => found.ward().force(Operation::Running),
        "down" => found.ward().force(Operation::Stopped),
        _ => {
            let text = "'set server <srv> agent' expects 'up' or 'down'.";
            return Err(Reply::error_line(text));
        }
    }
    Ok(Reply::DONE)
}

fn set_health(found: Found, health: &str) -> Outcome {
    let operation = match health {
        "up" => Operation::Running,
        "stopping" => Operation::Stopping,
        "down" => Operation::Stopped,
        _ => {
            let text = "'set server <srv> health' expects 'up', 'stopping', or 'down'.";
            return Err(Reply::error_line(text));
        }
    };
    found.ward().force(operation);
    Ok(Reply::DONE)
}

/// `addr A [port P]`.
fn set_address(call: &Call<'_>, found: Found) -> Outcome {
    const BY: &str = "by 'stats socket command'";
    let text = call.word(2);
    if text.is_empty() {
        let text = "set server <b>/<s> addr requires an address and optionally a port.";
        return Err(Reply::error_line(text));
    }
    let Some(ip) = text.parse::<IpAddr>().ok() else {
        return Err(Reply::error_line(format_args!("Invalid addr '{text}'")));
    };
    let state = &found.shared.backends[found.backend].servers[found.server];
    let before = match state.target() {
        Target::Inet(address) => address,
        Target::Unix(_) => {
            return Err(Reply::error_line(format_args!("Invalid addr '{text}' {BY}")));
        }
    };
    let mut said = Vec::new();
    let mut after = before;
    if before.ip() != ip {
        said.push(format!("IP changed from '{}' to '{ip}'", before.ip()));
        after.set_ip(ip);
    }
    if call.word(3) == "port" && !call.word(4).is_empty() {
        let text = call.word(4);
        match leading_number(text) {
            _ if text.starts_with(['+', '-']) => {
                let text = "can't change <port> to port map because it is incompatible with \
                            current health check port configuration (use 'port' statement from \
                            the 'server' directive.";
                return Err(Reply::error_line(format_args!("{text} {BY}")));
            }
            (Some(port), "") if (1..=65_535).contains(&port) => {
                let port = u16::try_from(port).unwrap_or(0);
                if port == before.port() {
                    said.push("no need to change the port".to_owned());
                } else {
                    said.push(format!("port changed from '{}' to '{port}'", before.port()));
                    after.set_port(port);
                }
            }
            (Some(_), "") => {
                let text = format_args!("provided port is not valid {BY}");
                return Err(Reply::error_line(text));
            }
            _ => {
                let text = format_args!("problem converting port '{text}' to an int {BY}");
                return Err(Reply::error_line(text));
            }
        }
    }
    if said.is_empty() {
        return Ok(Reply::info_line(format_args!("no need to change the addr {BY}")));
    }
    if after != before {
        state.move_to(Target::Inet(after));
        let balancer = &found.shared.backends[found.backend].balancer;
        balancer.change(|pool, _| pool.set_address(ServerId(found.server), Some(after)));
    }
    if found.config().added && found.config().resolve.is_none() {
        // Now it has an address.
        found.ward().happen(Event::Resolved(true));
    }
    Ok(Reply::info_line(format_args!("{} {BY}", said.join(", "))))
}

const CHECKS_OFF: &str = "health checks are not enabled on this server";

fn set_check_address(call: &Call<'_>, found: Found) -> Outcome {
    let text = call.word(2);
    if text.is_empty() {
        let text = "set server <b>/<s> check-addr requires an address and optionally a port.";
        return Err(Reply::error_line(text));
    }
    if !found.is_checked() {
        return Err(Reply::error_line(CHECKS_OFF));
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(Reply::error_line(format_args!("invalid addr '{text}'")));
    };
    let port = match (call.word(3), call.word(4)) {
        ("port", port) => Some(check_port(port)?),
        _ => None,
    };
    found.state().check_at(Some(address), port);
    Ok(Reply::DONE)
}

fn set_agent_address(call: &Call<'_>, found: Found) -> Outcome {
    let text = call.word(2);
    if text.is_empty() {
        let text = "set server <b>/<s> agent-addr requires an address and optionally a port.";
        return Err(Reply::error_line(text));
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(Reply::error_line(format_args!("invalid addr '{text}'")));
    };
    let port = match (call.word(3), call.word(4)) {
        ("port", port) => Some(check_port(port)?),
        _ => None,
    };
    found.state().ask_at(AgentAt { address: Some(address), port, send: None });
    Ok(Reply::DONE)
}

fn set_check_port(found: Found, text: &str) -> Outcome {
    if text.is_empty() {
        return Err(Reply::error_line("set server <b>/<s> check-port requires a port."));
    }
    if !found.is_checked() {
        return Err(Reply::error_line(CHECKS_OFF));
    }
    found.state().check_at(None, Some(check_port(text)?));
    Ok(Reply::DONE)
}

fn check_port(text: &str) -> Result<u16, Reply> {
    match leading_number(text) {
        (Some(port), "") if (0..=65_535).contains(&port) => Ok(u16::try_from(port).unwrap_or(0)),
        (Some(_), "") => Err(Reply::error_line("provided port is invalid")),
        _ => Err(Reply::error_line("provided port is not an integer")),
    }
}
