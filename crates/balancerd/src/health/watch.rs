//! The tasks: one for each check and each agent, one for each backend with slow starts.

use std::time::Duration;

use balance::{Pool, ServerId};
use check::{Event, OnError, Reason, Status, Verdict};
use proxy::ProxyHeader;
use relay::Target;

use super::board::Board;
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

    fn target(&self) -> Target {
        self.shared.backends[self.backend].servers[self.server].target()
    }

    /// Checks, again and again.
    pub(super) async fn check(self) {
        let ward = self.ward();
        let (configured, record) = (ward.config(), ward.record());
        let Some(config) = &configured.check else { return };
        let header: Option<ProxyHeader> = configured.check_header;
        let mut probe = probe::Probe::new(config, self.target(), header, self.board);
        loop {
            self.wait_until_wanted(false).await;
            record.begin_check(false, true);
            probe.target = self.target();
            probe.elsewhere = self.shared.backends[self.backend].servers[self.server].checked_at();
            let reason = match &config.probe {
                check::Probe::External { command, path } => {
                    let start = self.shared.clock.now();
                    let verdict = external::run(&ward, config, command, path.as_deref()).await;
                    Reason { verdict, duration: self.shared.clock.now() - start }
                }
                _ => {
                    let mut words = words::CheckWords::new(ward, probe.target.clone());
                    probe.run(&self.shared.clock, &mut words).await
                }
            };
            record.begin_check(false, false);
            if self.is_wanted(false) {
                ward.checked(&reason);
            }
            self.pause(config).await;
        }
    }

    /// Waits for the next check; sessions that go wrong make it come sooner.
    async fn pause(&self, config: &check::Config) {
        let ward = self.ward();
        let record = ward.record();
        let clock = &self.shared.clock;
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
                    ward.analysed(how, &Reason { verdict, duration: Duration::ZERO });
                    let _: OnError = how;
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

    async fn wait_until_wanted(&self, by_agent: bool) {
        while !self.is_wanted(by_agent) {
            let sooner = self.ward().record().sooner.notified();
            // Whoever enables a check rings; looking now and then costs next to nothing.
            let _ = tokio::time::timeout(Duration::from_secs(1), sooner).await;
        }
    }

    /// Asks the agent, again and again.
    pub(super) async fn ask(self) {
        let ward = self.ward();
        let Some(config) = &ward.config().agent else { return };
        let spread = self.shared.config.process.spread_checks;
        let timing = config.timing();
        loop {
            self.wait_until_wanted(true).await;
            let start = self.shared.clock.now();
            ward.record().begin_check(true, true);
            let answer = agent::ask(config, &timing, &self.target(), &self.shared.clock).await;
            ward.record().begin_check(true, false);
            let verdict = match answer {
                Ok(bytes) => self.advised(&check::agent::read(&bytes)),
                Err(verdict) => verdict,
            };
            let duration = self.shared.clock.now() - start;
            if self.is_wanted(true) {
                ward.heard(&Reason { verdict, duration });
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
            match text.parse() {
                Ok(maxconn) => {
                    balancer.change(|pool, wakes| pool.set_maxconn(now, server, maxconn, wakes));
                }
                Err(_) => refused = Some("set maxconn server <b>/<s> requires a valid number"),
            }
        }
        advice.verdict(refused)
    }
}

/// Raises the weights of a backend's servers that came up, step by step, and says when it is done.
pub(super) async fn warm_up(shared: &'static Shared, board: &'static Board, backend: usize) {
    let balancer = &shared.backends[backend].balancer;
    loop {
        let Some(step) = balancer.look(Pool::deadline) else {
            board.warming[backend].notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep(step - shared.clock.now()) => {}
            // Another one may be due earlier.
            () = board.warming[backend].notified() => continue,
        }
        let now = shared.clock.now();
        let mut finished = Vec::new();
        let requeued = balancer.change(|pool, wakes| finished = pool.tick(now, wakes));
        for ServerId(server) in finished {
            Ward::new(shared, board, backend, server).warm(requeued);
        }
    }
}
