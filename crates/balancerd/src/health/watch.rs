//! The tasks: one for each check and each agent, one for each backend with slow starts.

use std::sync::Arc;
use std::time::Duration;

use balance::{Pool, ServerId};
use check::{Event, Reason, Status, Verdict};
use daemon::clock::Clock;
use proxy::ProxyHeader;
use relay::Target;

use super::board::{Board, ServerRecord};
use super::ward::Ward;
use super::{agent, external, probe, words};
use crate::state::Shared;

/// Who looks after one server.
#[derive(Clone, Copy)]
pub(super) struct Watcher {
    shared: &'static Shared,
    board: &'static Board,
    backend: usize,
    server: usize,
}

impl Watcher {
    pub(super) const fn new(
        shared: &'static Shared,
        board: &'static Board,
        backend: usize,
        server: usize,
    ) -> Self {
        Self { shared, board, backend, server }
    }

    fn ward(&self) -> Ward<'static> {
        Ward::new(self.shared, self.board, self.backend, self.server)
    }

    fn own(&self) -> Arc<ServerRecord> {
        Arc::clone(&self.board.backends[self.backend].servers[self.server])
    }

    /// Finds its server in what is served now. False if it is gone, or is another one by now.
    fn find(&mut self, own: &Arc<ServerRecord>) -> bool {
        let (shared, board) = self.shared.newest(self.board);
        if std::ptr::eq(shared, self.shared) {
            return true;
        }
        let is_own = |backend: usize, server: usize| {
            let records = board.backends.get(backend).map_or(&[][..], |one| &one.servers);
            records.get(server).is_some_and(|record| Arc::ptr_eq(record, own))
        };
        let old = &self.shared.config.backends[self.backend];
        let (name, server_name) = (&old.name, &old.servers[self.server].name);
        // Most often where it was.
        let near = is_own(self.backend, self.server).then_some((self.backend, self.server));
        let place = near.or_else(|| {
            let backends = shared.config.backends.iter().enumerate();
            backends.filter(|(_, backend)| backend.name == *name).find_map(|(at, backend)| {
                let named = |(_, server): &(usize, &proxy::Server)| server.name == *server_name;
                let mut servers = backend.servers.iter().enumerate().filter(named);
                servers.find(|(server, _)| is_own(at, *server)).map(|(server, _)| (at, server))
            })
        });
        let Some((backend, server)) = place else { return false };
        *self = Self { shared, board, backend, server };
        true
    }

    fn target(&self) -> Target {
        self.shared.backends[self.backend].servers[self.server].target()
    }

    /// Checks, again and again, until the server is gone.
    pub(super) async fn check(mut self) {
        let record = self.own();
        while self.wait_until_wanted(&record, false).await {
            let ward = self.ward();
            let Some(config) = &ward.config().check else { return };
            record.begin_check(false, true);
            let header: Option<ProxyHeader> = ward.config().check_header;
            let target = self.target();
            let reason = match &config.probe {
                check::Probe::External { command, path } => {
                    let start = self.shared.clock.now();
                    let verdict = external::run(&ward, config, command, path.as_deref()).await;
                    Reason { verdict, duration: self.shared.clock.now() - start }
                }
                _ => {
                    let mut probe = probe::Probe::new(config, target.clone(), header, self.board);
                    let state = &self.shared.backends[self.backend].servers[self.server];
                    probe.elsewhere = state.checked_at();
                    let line = &self.shared.config.backends[self.backend].servers[self.server];
                    let ways = line.outbound.as_deref().filter(|line| line.checks_via_socks4);
                    probe.through = ways.and_then(|ways| ways.socks4);
                    let mut words = words::CheckWords::new(ward, target);
                    probe.run(&self.shared.clock, &mut words).await
                }
            };
            record.begin_check(false, false);
            // What is served may have changed meanwhile.
            if !self.find(&record) {
                return;
            }
            if self.is_wanted(false) {
                self.ward().checked(&reason);
            }
            let Some(config) = &self.ward().config().check else { return };
            self.pause(config, &record).await;
        }
    }

    /// Waits for the next check; sessions that go wrong make it come sooner.
    async fn pause(&mut self, config: &check::Config, record: &Arc<ServerRecord>) {
        let clock: &'static Clock = &self.shared.clock;
        let spread = self.shared.config.process.spread_checks;
        let Some(watch) = record.standing().check() else { return };
        let interval =
            check::schedule::interval_spread(config, &watch.health, spread, fastrand::u32(..));
        let mut until = clock.now() + interval;
        loop {
            let observed = async {
                match &record.observer {
                    Some(observer) => observer.tripped().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(until - clock.now()) => return,
                () = record.sooner.notified() => return,
                (how, words) = observed => {
                    let verdict = Verdict::new(Status::Analysed).because(words);
                    if !self.find(record) {
                        return;
                    }
                    self.ward().analysed(how, &Reason { verdict, duration: Duration::ZERO });
                    if let Some(fast) = config.fastinter {
                        until = until.min(clock.now() + fast);
                    }
                }
            }
        }
    }

    fn is_wanted(&self, by_agent: bool) -> bool {
        let standing = self.ward().record().standing();
        let watch = if by_agent { standing.agent() } else { standing.check() };
        let paused = standing.admin().is_maint() && !by_agent;
        watch.is_some_and(|watch| watch.enabled) && !paused
    }

    /// False when the server is gone.
    async fn wait_until_wanted(&mut self, record: &Arc<ServerRecord>, by_agent: bool) -> bool {
        while self.find(record) {
            if self.is_wanted(by_agent) {
                return true;
            }
            let sooner = record.sooner.notified();
            // Whoever enables a check rings; looking now and then costs next to nothing.
            let _ = tokio::time::timeout(Duration::from_secs(1), sooner).await;
        }
        false
    }

    /// Asks the agent, again and again, until the server is gone.
    pub(super) async fn ask(mut self) {
        let record = self.own();
        while self.wait_until_wanted(&record, true).await {
            let Some(config) = &self.ward().config().agent else { return };
            let spread = self.shared.config.process.spread_checks;
            let timing = config.timing();
            let start = self.shared.clock.now();
            record.begin_check(true, true);
            let state = &self.shared.backends[self.backend].servers[self.server];
            let agent = state.agent_of(config);
            let answer = agent::ask(&agent, &timing, &self.target(), &self.shared.clock).await;
            record.begin_check(true, false);
            // What is served may have changed meanwhile.
            if !self.find(&record) {
                return;
            }
            let verdict = match answer {
                Ok(bytes) => self.advised(&check::agent::read(&bytes)),
                Err(verdict) => verdict,
            };
            let duration = self.shared.clock.now() - start;
            if self.is_wanted(true) {
                self.ward().heard(&Reason { verdict, duration });
            }
            let settled = check::Health::new(1, 1);
            let pause =
                check::schedule::interval_spread(&timing, &settled, spread, fastrand::u32(..));
            tokio::time::sleep(pause).await;
        }
    }

    /// Does what an agent wants, but for health.
    fn advised(&self, advice: &check::agent::Advice) -> Verdict {
        let ward = self.ward();
        if let Some(order) = advice.order {
            ward.happen(Event::Order(order));
        }
        let now = self.shared.clock.now();
        let balancer = &self.shared.backends[self.backend].balancer;
        let server = ServerId(self.server);
        let mut refused = None;
        if let Some(text) = &advice.weight {
            let is_static = ward.backend_config().pool_config(0, 0).is_static();
            match agent::weight(text, ward.config().weight, is_static) {
                Ok(weight) => {
                    balancer.change(|pool, wakes| pool.set_weight(now, server, weight, wakes));
                }
                Err(why) => refused = Some(why),
            }
        }
        if let Some(text) = &advice.maxconn {
            match agent::maxconn(text) {
                Ok(maxconn) => {
                    balancer.change(|pool, wakes| pool.set_maxconn(now, server, maxconn, wakes));
                }
                Err(why) => refused = Some(why),
            }
        }
        advice.verdict(refused)
    }
}

/// Raises the weights of a backend's servers that came up, step by step, and says when it is done;
/// for as long as this configuration is served.
pub(super) async fn warm_up(shared: &'static Shared, board: &'static Board, backend: usize) {
    let balancer = &shared.backends[backend].balancer;
    while std::ptr::eq(shared.newest(board).0, shared) {
        let Some(step) = balancer.look(Pool::deadline) else {
            board.warming[backend].notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep(step - shared.clock.now()) => {}
            // Another one may be due earlier.
            () = board.warming[backend].notified() => continue,
        }
        if !std::ptr::eq(shared.newest(board).0, shared) {
            return;
        }
        let now = shared.clock.now();
        let mut finished = Vec::new();
        let requeued = balancer.change(|pool, wakes| finished = pool.tick(now, wakes));
        for ServerId(server) in finished {
            Ward::new(shared, board, backend, server).warm(requeued);
        }
    }
}
