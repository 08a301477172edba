//! From one configuration to the next: what is kept, and what is made anew.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use balance::{Pool, PoolConfig, ServerConfig, ServerId};
use proxy::{Backend, BackendIndex, Frontend, Running, ServerAddress, SwitchTarget};
use relay::{Limits, Target};

use super::Traffic;
use super::{
    BackendState, Balancer, FrontendState, Gate, Lasting, Pace, ServerState, Shared, Unresolved,
};
use crate::health::{self, Board};
use crate::limits::Zone;
use crate::log::Logger;
use crate::resolver::follow::Awaited;

impl Shared {
    /// The state of the configuration that follows in the same process. Frontends and backends are
    /// known by their names, servers by their names and addresses: they keep their counters,
    /// connections, queues, weights and whatever was said of them. The pools of `self` hand over to
    /// those of what is returned, so it has to be served.
    ///
    /// # Errors
    ///
    /// What stands in the way; nothing has changed then.
    pub(crate) fn after(&self, config: Running) -> Result<Self, Obstacle> {
        let log = Logger::after(&self.log, &config).map_err(Obstacle::Log)?;
        let next = build(config, Arc::clone(&self.lasting), log, Some(self))
            .map_err(Obstacle::Unresolved)?;
        self.lasting.keeps(cost(self, &next));
        Ok(next)
    }
}

impl Shared {
    /// From here on this is the configuration that is served.
    pub(crate) fn publish(&'static self, board: &'static Board) {
        self.lasting.set_newest(self, board);
    }

    /// What is served now, which is this or one that came after it. Whoever lives longer than a
    /// session asks each time before it begins something.
    pub(crate) fn newest(&'static self, board: &'static Board) -> (&'static Self, &'static Board) {
        self.lasting.newest().unwrap_or((self, board))
    }
}

impl Shared {
    /// The lists of patterns of what is served now.
    pub(crate) fn patterns(&self) -> &[Arc<::rules::list::List>] {
        match self.lasting.newest() {
            Some((newest, _)) => &newest.config.patterns,
            None => &self.config.patterns,
        }
    }
}

/// Why a process cannot go over to a configuration.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// A log file that is not open yet.
    Log(PathBuf),
    /// Servers whose names have no address here.
    Unresolved(Vec<Unresolved>),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(path) => write!(f, "log file {} is new", path.display()),
            Self::Unresolved(servers) => {
                let names: Vec<_> =
                    servers.iter().map(|server| server.address.to_string()).collect();
                write!(f, "no address for {}", names.join(", "))
            }
        }
    }
}

/// What serves `config`, with what `before` has of it.
///
/// # Errors
///
/// The servers whose names have no address; `before` is as it was.
pub(super) fn build(
    config: Running,
    lasting: Arc<Lasting>,
    log: Arc<Logger>,
    before: Option<&Shared>,
) -> Result<Shared, Vec<Unresolved>> {
    let drafts = drafts(&config, &lasting, before)?;
    lasting.paces.follow(before.map(|before| &*before.config.process), &config.process);
    // From here on nothing fails.
    let same_log = before.is_some_and(|before| Arc::ptr_eq(&before.log, &log));
    let mut backends: Vec<Arc<BackendState>> = Vec::with_capacity(drafts.len());
    for (backend, draft) in config.backends.iter().zip(drafts) {
        let state = draft.into_state(backend, &backends, &lasting, &log, same_log);
        backends.push(state);
    }
    let frontends = frontends(&config, &lasting, &log, before);
    let process = &config.process;
    set_variables(process, before, &lasting.variables);
    let same_variables =
        before.filter(|before| before.config.process.variables == process.variables);
    let zone = |(index, zone): (usize, &proxy::LimitZone)| {
        let known =
            before.filter(|before| before.config.process.limit_zones.get(index) == Some(zone));
        known.map_or_else(|| Arc::new(Zone::new(zone)), |known| Arc::clone(&known.limits[index]))
    };
    let known = before.map(|before| (&before.config, &before.transport));
    let transport = crate::transport::Transport::new(&config, known);
    Ok(Shared {
        transport,
        frontends,
        backends,
        log_route: log.route(&process.log, None),
        log,
        program: match same_variables {
            Some(before) => Arc::clone(&before.program),
            // The dialect has looked at every pattern.
            None => Arc::new(proxy::variable::Program::new(&process.variables).unwrap_or_default()),
        },
        limits: process.limit_zones.iter().enumerate().map(zone).collect(),
        tables: crate::rules::tables(process, before.map_or(&[], |before| &before.tables)),
        retired: AtomicBool::new(false),
        lasting,
        config,
    })
}

/// Gives variables the values the configuration says, unless it said the same before: those that
/// rules and operators gave them stay.
fn set_variables(
    process: &proxy::Process,
    before: Option<&Shared>,
    variables: &::rules::record::Process,
) {
    let known = before.map_or(&[][..], |before| &before.config.process.set_variables);
    for (variable, value) in process.set_variables.iter().filter(|one| !known.contains(one)) {
        variables.set(variable, Some(value.clone()));
    }
}

/// Positions by name; the second of a name is another one than the first.
struct Names<'a>(HashMap<(&'a str, usize), usize>);

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let numbered = names.enumerate().map(|(at, name)| {
            let count = counts.entry(name).or_default();
            *count += 1;
            ((name, *count), at)
        });
        Self(numbered.collect())
    }

    /// For each of these names where it stands here.
    fn find<'b>(&self, names: impl Iterator<Item = &'b str>) -> Vec<Option<usize>>
    where
        'a: 'b,
    {
        let wanted = Names::of(names);
        let mut found = vec![None; wanted.0.len()];
        for ((name, count), at) in &wanted.0 {
            found[*at] = self.0.get(&(*name, *count)).copied();
        }
        found
    }
}

/// For each of the new names where it stood among the old ones; the second of a name is another one
/// than the first.
pub(crate) fn positions<'a>(
    old: impl Iterator<Item = &'a str>,
    new: impl Iterator<Item = &'a str>,
) -> Vec<Option<usize>> {
    Names::of(old).find(new)
}

/// A backend before its pool is made.
struct Draft<'a> {
    /// The sum of the `maxconn` of the frontends that can reach it.
    reach: u32,
    /// What it was.
    old: Option<(&'a Arc<Backend>, &'a Arc<BackendState>)>,
    servers: Servers<'a>,
}

enum Servers<'a> {
    /// Those of another backend of the same configuration.
    Of(usize),
    /// As they are, pool included.
    Same(&'a BackendState),
    /// Each with the position it had.
    Changed(Vec<(Arc<ServerState>, Option<ServerId>)>),
}

fn drafts<'a>(
    config: &Running,
    lasting: &Lasting,
    before: Option<&'a Shared>,
) -> Result<Vec<Draft<'a>>, Vec<Unresolved>> {
    // As configured, whatever an operator made of it.
    let maxconn = lasting.process.highest();
    let known = before.map_or(&[][..], |before| &before.config.backends);
    let known = Names::of(known.iter().map(|backend| backend.name.as_str()));
    let positions = known.find(config.backends.iter().map(|backend| backend.name.as_str()));
    let mut unresolved = Vec::new();
    let mut drafts: Vec<Draft<'a>> = Vec::with_capacity(config.backends.len());
    let reaches = reaches(config, maxconn);
    for (index, (backend, was)) in config.backends.iter().zip(positions).enumerate() {
        let reach = reaches[index];
        let old = before
            .zip(was)
            .map(|(before, was)| (&before.config.backends[was], &before.backends[was]));
        let servers = match (backend.shares_servers_with, old) {
            (Some(BackendIndex(other)), _) if other < index => Servers::Of(other),
            (_, Some((config, state))) if has_same_pool(config, state, backend, reach) => {
                Servers::Same(state)
            }
            _ => Servers::Changed(servers(backend, lasting, old, &mut unresolved)),
        };
        drafts.push(Draft { reach, old, servers });
    }
    if unresolved.is_empty() { Ok(drafts) } else { Err(unresolved) }
}

fn has_same_pool(old: &Backend, state: &BackendState, new: &Backend, reach: u32) -> bool {
    old.shares_servers_with == new.shares_servers_with
        && old.servers.len() == new.servers.len()
        && old.servers.iter().zip(&new.servers).all(|(old, new)| {
            old.name == new.name
                && health::is_same(old, new)
                && old.pool_config() == new.pool_config()
        })
        && state.fullconn == new.pool_config(reach, 0).fullconn
        && manner(old) == manner(new)
}

/// How a backend balances, but for `fullconn`.
fn manner(backend: &Backend) -> PoolConfig {
    PoolConfig { fullconn: 0, ..backend.pool_config(0, 0) }
}

fn servers(
    backend: &Backend,
    lasting: &Lasting,
    old: Option<(&Arc<Backend>, &Arc<BackendState>)>,
    unresolved: &mut Vec<Unresolved>,
) -> Vec<(Arc<ServerState>, Option<ServerId>)> {
    let known = old.map_or(&[][..], |(config, _)| &config.servers);
    let known = Names::of(known.iter().map(|server| server.name.as_str()));
    let positions = known.find(backend.servers.iter().map(|server| server.name.as_str()));
    let mut states = Vec::with_capacity(positions.len());
    for (server, was) in backend.servers.iter().zip(positions) {
        let old = old.zip(was).and_then(|((config, state), was)| {
            Some((&config.servers[was], state.servers.get(was)?, ServerId(was)))
        });
        if let Some((config, state, was)) = old
            && health::is_same(config, server)
        {
            states.push((Arc::clone(state), Some(was)));
            continue;
        }
        let target = target(&server.address);
        if target.is_none() {
            unresolved.push(Unresolved {
                origin: server.origin.clone(),
                backend: backend.name.clone(),
                server: server.name.clone(),
                address: server.address.clone(),
            });
        }
        let nowhere = || Target::Inet(SocketAddr::from(([0, 0, 0, 0], 0)));
        let mut state = ServerState::new(lasting.next_id(), target.unwrap_or_else(nowhere));
        if let Some((_, old, _)) = old {
            state.traffic = Arc::clone(&old.traffic);
        }
        states.push((Arc::new(state), None));
    }
    states
}

impl Draft<'_> {
    fn into_state(
        self,
        backend: &Arc<Backend>,
        others: &[Arc<BackendState>],
        lasting: &Lasting,
        log: &Logger,
        same_log: bool,
    ) -> Arc<BackendState> {
        let config = backend.pool_config(self.reach, fastrand::u64(..));
        let fullconn = config.fullconn;
        let same = |other: &BackendState| {
            let (balancer, servers) = (&other.balancer, &other.servers);
            (Arc::clone(balancer), Arc::clone(servers), Arc::clone(&other.awaited))
        };
        let (balancer, servers, awaited) = match (self.servers, self.old) {
            (Servers::Of(other), _) => same(&others[other]),
            (Servers::Same(_), Some((old, state))) if same_log && Arc::ptr_eq(old, backend) => {
                return Arc::clone(state);
            }
            (Servers::Same(state), _) => same(state),
            (Servers::Changed(servers), old) => {
                let (servers, kept): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
                let mut configs: Vec<_> =
                    backend.servers.iter().map(proxy::Server::pool_config).collect();
                if let Some((_, state)) = old {
                    keep_filled(backend, state, &kept, &mut configs);
                }
                let balancer = match old {
                    Some((old, state)) if old.shares_servers_with.is_none() => {
                        state.balancer.followed(config, configs, &kept, lasting.clock.now())
                    }
                    _ => Arc::new(Balancer::new(Pool::new(config, configs))),
                };
                let awaited = Awaited::new(!backend.discoveries.is_empty());
                (balancer, servers.into(), Arc::new(awaited))
            }
        };
        let old = self.old.map(|(_, state)| state);
        Arc::new(BackendState {
            id: old.map_or_else(|| lasting.next_id(), |old| old.id),
            balancer,
            servers,
            awaited,
            traffic: old.map(|old| Arc::clone(&old.traffic)).unwrap_or_default(),
            log: log.route(&backend.log, None),
            fullconn,
        })
    }
}

/// The counters of each address, where they are counted; who listened before counts on.
fn sockets(frontend: &Frontend, before: Option<(&Shared, usize)>) -> Vec<Arc<Traffic>> {
    let known = before.map(|(before, was)| {
        let lines = &before.config.frontends[was].binds;
        lines.iter().map(|bind| &bind.address).zip(&before.frontends[was].sockets)
    });
    let mut known: Vec<_> = known.into_iter().flatten().collect();
    let counted = frontend.binds.iter().filter(|_| frontend.socket_stats);
    counted
        .map(|bind| {
            let at = known.iter().position(|(address, _)| **address == bind.address);
            at.map(|at| Arc::clone(known.swap_remove(at).1)).unwrap_or_default()
        })
        .collect()
}

/// Who is in a slot that a name server filled stays there.
fn keep_filled(
    backend: &Backend,
    before: &BackendState,
    kept: &[Option<ServerId>],
    configs: &mut [ServerConfig],
) {
    before.balancer.look(|pool| {
        for slot in backend.discoveries.iter().flat_map(|one| one.first..one.first + one.slots) {
            let was = kept.get(slot).copied().flatten().filter(|was| was.0 < pool.len());
            let Some((config, was)) = configs.get_mut(slot).zip(was) else { continue };
            let view = pool.server(was);
            if view.weight > 0 {
                (config.weight, config.backup) = (view.weight, view.backup);
            }
        }
    });
}

fn frontends(
    config: &Running,
    lasting: &Lasting,
    log: &Arc<Logger>,
    before: Option<&Shared>,
) -> Vec<Arc<FrontendState>> {
    // As configured, whatever an operator made of it.
    let maxconn = lasting.process.highest();
    let known = before.map_or(&[][..], |before| &before.config.frontends);
    let known = Names::of(known.iter().map(|frontend| frontend.name.as_str()));
    let positions = known.find(config.frontends.iter().map(|frontend| frontend.name.as_str()));
    let same_rest = before.filter(|before| {
        Arc::ptr_eq(&before.log, log)
            && before.config.process.error_log == config.process.error_log
            && before.config.backends.len() == config.backends.len()
            && before.config.backends.iter().zip(&config.backends).all(|(a, b)| Arc::ptr_eq(a, b))
    });
    let state = |(frontend, was): (&Arc<Frontend>, Option<usize>)| {
        if let Some((before, was)) = same_rest.zip(was)
            && Arc::ptr_eq(&before.config.frontends[was], frontend)
        {
            return Arc::clone(&before.frontends[was]);
        }
        let old = before.zip(was).map(|(before, was)| &before.frontends[was]);
        let limit = frontend.maxconn.unwrap_or(maxconn);
        if let Some((before, was)) = before.zip(was) {
            // What an operator said holds until the file says otherwise than it did.
            let (known, state) = (&before.config.frontends[was], &before.frontends[was]);
            if known.maxconn != frontend.maxconn {
                state.gate.set_limit(limit);
            }
            if known.session_rate != frontend.session_rate {
                state.pace.set_limit(frontend.session_rate.unwrap_or(0));
            }
        }
        Arc::new(FrontendState {
            id: old.map_or_else(|| lasting.next_id(), |old| old.id),
            gate: old.map_or_else(|| Arc::new(Gate::new(limit)), |old| Arc::clone(&old.gate)),
            pace: old.map_or_else(
                || Arc::new(Pace::new(frontend.session_rate)),
                |old| Arc::clone(&old.pace),
            ),
            traffic: old.map(|old| Arc::clone(&old.traffic)).unwrap_or_default(),
            limits: limits(frontend, config.backend_of(frontend)),
            other_limits: dynamic(frontend)
                .chain(switched(frontend, config.backends.len()))
                .filter_map(|index| {
                    let backend = config.backends.get(index)?;
                    Some((index, limits(frontend, Some(backend))))
                })
                .collect(),
            listeners: frontend.binds.iter().map(|_| AtomicU32::new(0)).collect(),
            sockets: sockets(frontend, before.zip(was)),
            log: log.route(&frontend.log.targets, frontend.log.tag.as_deref()),
            lines: old.map(|old| Arc::clone(&old.lines)).unwrap_or_default(),
            statuses: old.map(|old| Arc::clone(&old.statuses)).unwrap_or_default(),
            access: frontend
                .nginx
                .iter()
                .flat_map(|nginx| &nginx.access_logs)
                .map(|one| log.access_route(one))
                .collect(),
            errors: log.error_route(if frontend.error_log.is_empty() {
                &config.process.error_log
            } else {
                &frontend.error_log
            }),
        })
    };
    config.frontends.iter().zip(positions).map(state).collect()
}

/// About how many bytes `before` takes that `next` does not share with it.
fn cost(before: &Shared, next: &Shared) -> usize {
    /// Names, formats, rules and what else hangs on a line of a file.
    const LINE: usize = 512;
    let pointers = size_of::<Shared>()
        + (before.frontends.len() + before.backends.len()) * 4 * size_of::<usize>();
    let kept: HashSet<_> = next.config.frontends.iter().map(Arc::as_ptr).collect();
    let frontends = before.config.frontends.iter().filter(|old| !kept.contains(&Arc::as_ptr(old)));
    let kept: HashSet<_> = next.config.backends.iter().map(Arc::as_ptr).collect();
    let backends = before.config.backends.iter().filter(|old| !kept.contains(&Arc::as_ptr(old)));
    let server = size_of::<proxy::Server>() + size_of::<ServerState>() + 2 * LINE;
    pointers
        + frontends.count() * (size_of::<Frontend>() + size_of::<FrontendState>() + 4 * LINE)
        + backends
            .map(|old| {
                size_of::<Backend>() + size_of::<BackendState>() + LINE + old.servers.len() * server
            })
            .sum::<usize>()
}

fn target(address: &ServerAddress) -> Option<Target> {
    match address {
        ServerAddress::Unix(path) => Some(Target::Unix(path.clone())),
        ServerAddress::Host { name, port, resolved: None } => {
            let mut found =
                std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), *port)).ok()?;
            found.next().map(Target::Inet)
        }
        known => known.socket().map(Target::Inet),
    }
}

/// For each backend the sum of the `maxconn` of the frontends that name it. A rule whose format makes
/// the name does not count.
fn reaches(config: &Running, maxconn: u32) -> Vec<u32> {
    let mut sums = vec![0_u32; config.backends.len()];
    for frontend in &config.frontends {
        let rules = frontend.rules.as_deref().map_or(&[][..], |rules| &rules.switching);
        let switched = rules.iter().filter_map(|rule| match rule.target {
            SwitchTarget::Backend(backend) => Some(backend),
            SwitchTarget::Named(_) => None,
        });
        let named: HashSet<_> = switched.chain(frontend.default_backend).map(|at| at.0).collect();
        for at in named {
            let Some(sum) = sums.get_mut(at) else { continue };
            *sum = sum.saturating_add(frontend.maxconn.unwrap_or(maxconn));
        }
    }
    sums
}

/// The backends `use_backend` rules may send sessions to.
fn switched(frontend: &Frontend, all: usize) -> impl Iterator<Item = usize> {
    let rules = frontend.rules.as_deref().map_or(&[][..], |rules| &rules.switching);
    let any = rules.iter().any(|rule| matches!(rule.target, SwitchTarget::Named(_)));
    let fixed = rules.iter().filter_map(|rule| match rule.target {
        SwitchTarget::Backend(BackendIndex(index)) => Some(index),
        SwitchTarget::Named(_) => None,
    });
    (0..if any { all } else { 0 }).chain(fixed)
}

/// The backends a frontend may send sessions to besides its default one.
fn dynamic(frontend: &Frontend) -> impl Iterator<Item = usize> {
    let content = frontend.nginx.as_deref().map(|nginx| &nginx.content);
    let (upstreams, other) = match content {
        Some(proxy::Content::Dynamic { upstreams, other, .. }) => {
            (upstreams.as_slice(), Some(other.0))
        }
        _ => (&[][..], None),
    };
    upstreams.iter().map(|(_, BackendIndex(index))| *index).chain(other)
}

fn limits(frontend: &Frontend, backend: Option<&Backend>) -> Limits {
    let Some(backend) = backend else { return Limits::default() };
    Limits {
        client: frontend.client_timeout,
        server: backend.server_timeout,
        client_fin: frontend.client_fin_timeout,
        server_fin: backend.server_fin_timeout,
        tunnel: backend.tunnel_timeout,
        idle: backend.idle_timeout,
        close_both: backend.half_close == proxy::HalfClose::CloseBoth,
    }
}

#[cfg(test)]
mod tests;
