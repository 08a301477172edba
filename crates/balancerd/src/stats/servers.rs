//! `show servers state`.

use std::fmt::Write as _;
use std::net::IpAddr;

use balance::{ServerId, State};
use check::Status;
use proxy::ServerAddress;
use relay::Target;

use crate::health::Board;
use crate::state::{Shared, lock};

/// Version 1 of the format, its only one.
const HEAD: &str = "1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
srv_check_port srv_check_addr srv_agent_addr srv_agent_port
";

/// The bit of `srv_admin_state` for a name that came after the file was read.
const NAMED_LATER: u8 = 0x40;

/// The bits of `srv_check_state`.
const RUNNING: u8 = 0x01;
const CONFIGURED: u8 = 0x02;
const ENABLED: u8 = 0x04;
const PAUSED: u8 = 0x08;
const AGENT: u8 = 0x10;

/// The answer to `show servers state [<backend>]`; `None` if there is no such backend.
pub(crate) fn show_servers_state(
    shared: &Shared,
    board: &Board,
    only: Option<&str>,
) -> Option<String> {
    let mut out = String::from(HEAD);
    let mut found = only.is_none();
    let mut order: Vec<usize> = (0..shared.config.backends.len()).collect();
    order.sort_by_key(|&index| shared.config.backends[index].id);
    for index in order {
        let backend = &shared.config.backends[index];
        if only.is_some_and(|name| name != backend.name) {
            continue;
        }
        found = true;
        let now = shared.clock.now();
        for (at, server) in backend.servers.iter().enumerate() {
            let view = shared.backends[index].balancer.look(|pool| pool.server(ServerId(at)));
            let record = &board.backends[index].servers[at];
            let check = record.check();
            let standing = record.standing();
            let operational = match (standing.operation(), view.state) {
                (check::Operation::Stopped, _) => 0,
                (check::Operation::Running, State::Starting { .. }) => 1,
                (check::Operation::Running, _) => 2,
                (check::Operation::Stopping, _) => 3,
            };
            let place = lock(&shared.backends[index].servers[at].service).clone();
            let admin = standing.admin().0 | if place.is_some() { NAMED_LATER } else { 0 };
            let status = check.as_ref().map_or(Status::Initializing, |check| check.last.status);
            let result = match status.outcome() {
                check::Outcome::Neutral if status == Status::Initializing => 0,
                check::Outcome::Neutral => 1,
                check::Outcome::Failed => 2,
                check::Outcome::Passed => 3,
                check::Outcome::Conditional => 4,
            };
            let unchecked = if server.disabled || server.added { 0 } else { 2 };
            let health = standing.check().map_or(unchecked, |watch| watch.health.value());
            let maint = standing.admin().is_maint();
            let mut checking = 0;
            if let Some(watch) = standing.check() {
                checking |= CONFIGURED;
                checking |= if watch.enabled { ENABLED } else { 0 };
                checking |= if maint && watch.enabled { PAUSED } else { 0 };
            } else if server.disabled {
                // As HAProxy, which lets only those go on that are checked.
                checking = PAUSED;
            }
            if check.as_ref().is_some_and(|check| check.running) {
                checking |= RUNNING;
            }
            let unresolved = standing.admin().has(check::Admin::RESOLUTION);
            let address = match shared.backends[index].servers[at].target() {
                Target::Inet(address) if !unresolved => address.ip().to_string(),
                Target::Inet(_) | Target::Unix(_) => "-".into(),
            };
            let port = match shared.backends[index].servers[at].target() {
                Target::Inet(address) => address.port(),
                Target::Unix(_) => 0,
            };
            let service = server.resolve.as_ref().filter(|resolve| resolve.service);
            let record_name = service.map_or("-", |resolve| resolve.name.as_str());
            let fqdn = match &server.address {
                _ if service.is_some() => place.as_ref().map_or("-", |(host, _)| host.as_str()),
                ServerAddress::Host { name, .. } => name.as_str(),
                ServerAddress::Socket(_) | ServerAddress::Unix(_) => "-",
            };
            let probed = server.check.as_ref();
            let (addr, port_set) = shared.backends[index].servers[at].checked_at();
            let check_port = port_set.or(probed.and_then(|check| check.port)).unwrap_or(0);
            let check_addr = addr.or(probed.and_then(|check| check.addr));
            let mut agent = 0;
            if let Some(watch) = standing.agent() {
                agent |= AGENT | CONFIGURED | if watch.enabled { ENABLED } else { 0 };
                let running = record.agent().is_some_and(|agent| agent.running);
                agent |= if running { RUNNING } else { 0 };
            }
            let state = &shared.backends[index].servers[at];
            let asked = server.agent.as_ref().map(|agent| state.agent_of(agent));
            // `addr` and `port` are for both.
            let agent_port = asked.as_ref().map(|agent| agent.port).filter(|port| *port > 0);
            let agent_port = agent_port.or(probed.and_then(|check| check.port)).unwrap_or(0);
            let agent_addr = asked.as_ref().and_then(|agent| agent.addr);
            let agent_addr = agent_addr.or(probed.and_then(|check| check.addr));
            let agent_addr = agent_addr.map_or_else(|| "-".into(), |addr: IpAddr| addr.to_string());
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "{} {} {} {} {address} {operational} {admin} {} {} {} {} {result} {health} \
                 {checking} {agent} {} {} {fqdn} {port} {record_name} 0 {check_port} {} {agent_addr} \
                 {agent_port}",
                backend.id,
                backend.name,
                server.id,
                server.name,
                view.weight,
                server.weight,
                record.history.unchanged_for(now).as_secs(),
                status.number(),
                u8::from(backend.forced_id),
                u8::from(server.forced_id),
                check_addr.map_or_else(|| "-".into(), |addr: IpAddr| addr.to_string()),
            );
        }
    }
    found.then_some(out)
}
