//! From a session to a connection with one of the backend's servers: pick, wait, connect, again.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use balance::{Again, Candidates, Choice, Measure, Retries, ServerId, Ticket, Wake};
use proxy::{Backend, Cause, HeaderOptions, Phase, ProxyHeader, Severity, Termination};
use relay::timer::{self, Millis, Timer};
use relay::{Dial, Ready, Stream, Target};

use crate::outbound::Ways;
use crate::session::Session;
use crate::state::{BackendState, Shared};

/// A session that looks for a server, and its client.
pub(crate) struct Connecting {
    pub(crate) session: Session,
    pub(crate) client: Stream,
    /// The thread it is served on.
    pub(crate) thread: u16,
    /// A connection to a server for the client's next request of HTTP.
    pub(crate) kept: Option<Box<crate::http::Kept>>,
    /// The connection begins with a PROXY header.
    pub(crate) has_header: bool,
    /// The client speaks TLS, and nobody has shaken hands yet.
    pub(crate) front: Option<&'static tls::Front>,
}

/// A slot of a server, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    shared: &'static Shared,
    pub(crate) backend: u32,
    /// [`ELSEWHERE`] for an address that is no server.
    pub(crate) server: u32,
}

/// The position of what is no server of a backend: an address nginx was told to go to.
const ELSEWHERE: u32 = u32::MAX;

impl Slot {
    pub(crate) fn new(shared: &'static Shared, backend: u32, server: ServerId) -> Self {
        let server = u32::try_from(server.0).unwrap_or(u32::MAX);
        shared.backends[backend as usize].servers[server as usize]
            .traffic
            .begin(crate::state::unix_seconds());
        Self { shared, backend, server }
    }

    /// Of an address that is no server.
    pub(crate) fn elsewhere(shared: &'static Shared, backend: u32) -> Self {
        Self { shared, backend, server: ELSEWHERE }
    }

    /// What those who end sessions from outside know its backend and its server by.
    pub(crate) fn ids(&self) -> (u32, u32) {
        let state = self.state();
        let server = state.servers.get(self.server as usize);
        (state.id, server.map_or(ELSEWHERE, |server| server.id))
    }

    fn state(&self) -> &'static BackendState {
        &self.shared.backends[self.backend as usize]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.server == ELSEWHERE {
            return;
        }
        let state = self.state();
        state.servers[self.server as usize].traffic.end();
        let (now, server) = (self.shared.clock.now(), ServerId(self.server as usize));
        state.balancer.release(now, server);
    }
}

/// A place in a queue, given up when it is dropped.
struct Place {
    shared: &'static Shared,
    state: &'static BackendState,
    ticket: Option<Ticket>,
}

/// Waits in nginx's `queue` for a reason to pick again, but not longer than `until`.
pub(crate) async fn wait_to_pick(
    shared: &'static Shared,
    state: &'static BackendState,
    ticket: Ticket,
    until: Millis,
) {
    let mut place = Place { shared, state, ticket: Some(ticket) };
    let until = until.min(timer::now() + LOOK_AGAIN);
    let mut timer = Timer::new();
    let woken = poll_fn(|cx| {
        if state.balancer.poll_wake(shared.clock.now(), ticket, cx).is_ready() {
            return Poll::Ready(true);
        }
        if timer::now() >= until {
            return Poll::Ready(false);
        }
        timer.arm(until, cx);
        Poll::Pending
    })
    .await;
    if woken {
        place.ticket = None;
    }
}

impl Place {
    fn give_up(&mut self) -> (u32, u32) {
        let Some(ticket) = self.ticket.take() else { return (0, 0) };
        self.state.balancer.abandon(self.shared.clock.now(), ticket)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// What a wait ended with.
pub(crate) enum Waited<T> {
    Done(T),
    /// The deadline of this step passed.
    TimedOut,
    /// The client's did.
    ClientTimedOut,
    /// The client broke off.
    ClientReset,
    /// The client ended without having said anything.
    ClientEnded,
}

/// HAProxy's words for a client that broke off before it had a server, whatever was going on.
const RESET: Termination = Termination::new(Cause::Client, Phase::Data);

impl Connecting {
    /// Finds a server and connects to it.
    ///
    /// Comes back with the session in any case: what was tried is noted in it.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice")]
    pub(crate) fn run(
        mut self,
    ) -> impl Future<Output = (Self, Result<(Stream, Slot), Termination>)> {
        async move {
            let result = match self.prepare().await {
                Ok(()) if self.session.speaks_http() => {
                    self.serve_http().await;
                    self.session.forget_backend();
                    self.session.say_nothing();
                    Err(Termination::NORMAL)
                }
                Ok(()) => self.find().await,
                Err(ended) => Err(ended),
            };
            (self, result)
        }
    }

    pub(crate) async fn find(&mut self) -> Result<(Stream, Slot), Termination> {
        const NO_SERVER: Termination = Termination::new(Cause::Server, Phase::Connect);
        let shared = self.session.shared;
        let Some(index) = self.session.backend() else { return Err(NO_SERVER) };
        let backend: &'static Backend = &shared.config.backends[index];
        let state = &shared.backends[index];
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some(target) = self.session.extra.as_mut().and_then(|extra| extra.target.take()) {
            return self.elsewhere(backend, target, index).await;
        }
        let mut candidates = Candidates::new(self.session.peer.map(|peer| peer.ip()));
        if let Some(key) = &backend.hash_key {
            candidates.set_key(self.session.text(key));
        }
        if let Some(expr) = &backend.hash_expr {
            candidates.set_key(self.hash_key(expr));
        }
        let wanted = self.wanted_server().or_else(|| self.rdp_server(backend, state));
        if wanted.is_none()
            && let Some(elsewhere) = &backend.elsewhere
        {
            return self.dispatch(backend, elsewhere, index).await;
        }
        match (wanted, self.stuck_to(wanted.is_some())) {
            (Some(server), _) => candidates.demand(server),
            (None, Some(stuck)) if stuck.forced => candidates.force(stuck.server),
            (None, Some(stuck)) => candidates.demand(stuck.server),
            (None, None) => {}
        }
        // `force-persist`: this server or none.
        let redispatch = backend.redispatch.filter(|_| !self.insists());
        let tries_more = self.session.retries_set().unwrap_or(backend.retries);
        let mut retries = Retries::new(tries_more, redispatch, backend.connect_timeout);
        if let Some((class, offset)) = self.session.priority() {
            candidates.set_priority(class, offset);
        }
        let started = timer::now();
        let mut tries = 0_usize;
        state.awaited.wait(state, backend.connect_timeout).await;
        let local = self.session.local_address(backend);
        loop {
            let Some(slot) = self.slot(backend, state, index, &mut candidates).await? else {
                if shared.is_nginx() {
                    self.session.error_line(Severity::Error, Some(&backend.name), |f| {
                        f.write_str("no live upstreams while connecting to upstream")
                    });
                    self.session.tries(&backend.name);
                    self.session.refuse(502);
                }
                state.traffic.connect_errors.fetch_add(1, Relaxed);
                return Err(NO_SERVER);
            };
            let server = ServerId(slot.server as usize);
            self.session.set_server(Some(slot.server));
            if let Some(stream) = self.kept(&slot) {
                self.session.connect_time = 0;
                return Ok((stream, slot));
            }
            loop {
                tries += 1;
                let config = &backend.servers[server.0];
                let target = state.servers[server.0].target();
                let how = Towards {
                    target: &target,
                    source: config.source.or(local),
                    ways: Ways::of(config, backend),
                    header: config.send_proxy,
                    server: server.0,
                };
                let tried = self.attempt(backend, how).await;
                if let Some(observer) = state.servers[server.0].observer.get() {
                    match &tried {
                        Ok(_) => observer.note(true),
                        Err(Attempt::Failed { .. }) => observer.note(false),
                        Err(Attempt::Over(_)) => {}
                    }
                }
                let timed_out = match tried {
                    Ok(stream) => {
                        if shared.is_nginx() {
                            let now = shared.clock.now();
                            state.balancer.with(|pool| pool.succeeded(now, server));
                            self.session.measure(Some(Measure::Connect));
                        }
                        self.session.remember(slot.backend, slot.server);
                        return Ok((stream, slot));
                    }
                    Err(Attempt::Over(termination)) => {
                        let own = termination.cause == Cause::Resource;
                        self.session.refuse(if own { 500 } else { 502 });
                        if !matches!(termination.cause, Cause::Client | Cause::ClientTimeout) {
                            count_failure(state, server);
                        }
                        return Err(termination);
                    }
                    Err(Attempt::Failed { timed_out }) => timed_out,
                };
                if let Some(next) = backend.next_upstream {
                    self.session.measure(None);
                    self.passive_failure(backend, state, server);
                    count_failure(state, server);
                    let out = |server: &&proxy::Server| server.disabled || server.draining;
                    let down = backend.servers.iter().filter(out).count();
                    let servers = state.balancer.look(balance::Pool::present) - down;
                    let spent = tries >= servers
                        || next.tries > 0 && tries >= next.tries as usize
                        || !next.timeout.is_zero() && elapsed(started) >= next.timeout;
                    if !next.enabled || spent {
                        self.session.refuse(502);
                        let cause = if timed_out { Cause::ServerTimeout } else { Cause::Server };
                        return Err(Termination::new(cause, Phase::Connect));
                    }
                    break;
                }
                let others = state.balancer.look(balance::Pool::has_others);
                match retries.failed(timed_out, others) {
                    Again::GiveUp => {
                        count_failure(state, server);
                        let cause = if timed_out { Cause::ServerTimeout } else { Cause::Server };
                        return Err(self.or_client_timeout(cause));
                    }
                    Again::Same(pause) => {
                        self.count_retry(state, server);
                        // Each try is a session of the server.
                        state.servers[server.0].traffic.total.fetch_add(1, Relaxed);
                        self.pause(pause).await?;
                        // A server found down meanwhile is not worth another try if there are
                        // others and they may be asked.
                        let usable = state.balancer.look(|pool| pool.server(server).usable);
                        if usable || redispatch.is_none() {
                            continue;
                        }
                        candidates.avoid(server);
                    }
                    Again::Other(pause) => {
                        self.session.redispatched = true;
                        self.session.retries = self.session.retries.saturating_add(1);
                        let traffic = &state.servers[server.0].traffic;
                        traffic.redispatches.fetch_add(1, Relaxed);
                        state.traffic.redispatches.fetch_add(1, Relaxed);
                        candidates.avoid(server);
                        self.pause(pause).await?;
                    }
                }
                break;
            }
            drop(slot);
            self.session.set_server(None);
        }
    }

    /// Connects to an address that is no server.
    async fn elsewhere(
        &mut self,
        backend: &'static Backend,
        target: Target,
        index: u32,
    ) -> Result<(Stream, Slot), Termination> {
        let how = Towards {
            target: &target,
            source: self.session.local_address(backend),
            ways: Ways::of_backend(backend),
            header: self.dynamic_header(),
            server: usize::MAX,
        };
        match self.attempt(backend, how).await {
            Ok(stream) => {
                let shared = self.session.shared;
                Ok((stream, Slot::elsewhere(shared, index)))
            }
            Err(why) => {
                self.session.refuse(502);
                self.session.shared.backends[index as usize]
                    .traffic
                    .connect_errors
                    .fetch_add(1, Relaxed);
                Err(match why {
                    Attempt::Over(termination) => termination,
                    Attempt::Failed { timed_out: true } => {
                        Termination::new(Cause::ServerTimeout, Phase::Connect)
                    }
                    Attempt::Failed { timed_out: false } => {
                        Termination::new(Cause::Server, Phase::Connect)
                    }
                })
            }
        }
    }

    fn count_retry(&mut self, state: &BackendState, server: ServerId) {
        self.session.retries = self.session.retries.saturating_add(1);
        state.traffic.retries.fetch_add(1, Relaxed);
        state.servers[server.0].traffic.retries.fetch_add(1, Relaxed);
    }

    /// A client that was silent for too long while its server was looked for is the one to blame.
    fn or_client_timeout(&self, cause: Cause) -> Termination {
        let late = self.session.client_deadline().is_some_and(|at| timer::now() >= at);
        let blamed = if late && !self.has_spoken() { Cause::ClientTimeout } else { cause };
        Termination::new(blamed, Phase::Connect)
    }

    /// Whether bytes of the client wait to be read: then it is not the silent one.
    fn has_spoken(&self) -> bool {
        let heard = |extra: &crate::facts::Extra| !extra.first.is_empty() || extra.rules.ended;
        if self.session.extra.as_deref().is_some_and(heard) {
            return true;
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(socket2::SockRef::from(&self.client).peek(&mut byte), Ok(1..))
    }

    /// A slot of some server; `None` when no server can be used.
    async fn slot(
        &mut self,
        backend: &'static Backend,
        state: &'static BackendState,
        index: u32,
        candidates: &mut Candidates,
    ) -> Result<Option<Slot>, Termination> {
        let shared = self.session.shared;
        let queued = timer::now();
        loop {
            let now = shared.clock.now();
            let wanted = candidates.wanted();
            match state.balancer.pick(now, candidates) {
                Choice::Server(server) => {
                    self.session.begin_measuring(backend, now);
                    self.queued_for();
                    // Not what a stick table or a rule says: `lbtot` counts what was balanced.
                    if wanted != Some(server) {
                        state.traffic.picked.fetch_add(1, Relaxed);
                        state.servers[server.0].traffic.picked.fetch_add(1, Relaxed);
                    }
                    return Ok(Some(Slot::new(shared, index, server)));
                }
                Choice::Nothing => return Ok(None),
                Choice::Full(_) => {
                    state.traffic.connect_errors.fetch_add(1, Relaxed);
                    self.session.queue_time = self.session.age();
                    return Err(Termination::new(Cause::Server, Phase::Queue));
                }
                Choice::Wait(ticket) => {
                    let mut place = Place { shared, state, ticket: Some(ticket) };
                    let set = self.session.timeout_set(|set| set.queue);
                    let limit = set.or(backend.queue_timeout).or(backend.connect_timeout);
                    let patience = limit.map(|limit| queued + millis(limit));
                    let until = match shared.is_nginx() {
                        // That a server may be asked again after it failed wakes nobody.
                        true => patience.map(|until| until.min(timer::now() + LOOK_AGAIN)),
                        false => patience,
                    };
                    let woken =
                        poll_fn(|cx| state.balancer.poll_wake(shared.clock.now(), ticket, cx));
                    let waited = self.wait(woken, until, true).await;
                    let is_reset = matches!(waited, Waited::ClientReset);
                    let cause = match waited {
                        Waited::Done(wake) => {
                            place.ticket = None;
                            if let Wake::Served { server, server_queue, pool_queue, .. } = wake {
                                self.session.queues = (server_queue, pool_queue);
                                // It was the server that looked for somebody.
                                self.queued_for();
                                return Ok(Some(Slot::new(shared, index, server)));
                            }
                            continue;
                        }
                        Waited::TimedOut if shared.is_nginx() => {
                            if patience.is_some_and(|until| timer::now() >= until) {
                                return Ok(None);
                            }
                            continue;
                        }
                        Waited::TimedOut => {
                            state.traffic.connect_errors.fetch_add(1, Relaxed);
                            Cause::ServerTimeout
                        }
                        Waited::ClientTimedOut => Cause::ClientTimeout,
                        Waited::ClientEnded | Waited::ClientReset => Cause::Client,
                    };
                    let (server_queue, pool_queue) = place.give_up();
                    // Its own place counts as well.
                    self.session.queues = match (server_queue, pool_queue) {
                        (0, places) => (0, places + 1),
                        (places, _) => (places + 1, 0),
                    };
                    self.session.queue_time = self.session.age();
                    let ended = Termination::new(cause, Phase::Queue);
                    return Err(if is_reset { RESET } else { ended });
                }
            }
        }
    }

    /// It waits for no server any more.
    fn queued_for(&mut self) {
        if self.session.queue_time < 0 {
            self.session.queue_time = self.session.age();
        }
    }

    /// One connect.
    pub(crate) async fn attempt(
        &mut self,
        backend: &'static Backend,
        how: Towards<'_>,
    ) -> Result<Stream, Attempt> {
        let started = timer::now();
        let to = self.destination(how.target, how.ways.offset());
        self.session.tries(&upstream(&to));
        let limit = self.session.timeout_set(|set| set.connect).or(backend.connect_timeout);
        let until = limit.map(|limit| started + millis(limit));
        let mut starving = None;
        let stream = loop {
            match self.dial(backend, &to, how.source, how.ways) {
                // Who was accepted with the last descriptor waits for the next that is given back.
                Err(Attempt::Over(Termination { cause: Cause::Resource, .. }))
                    if !self.session.shared.is_nginx()
                        && until.is_none_or(|until| timer::now() < until) =>
                {
                    starving.get_or_insert_with(|| Starving::new(self.session.shared));
                    self.pause(EXHAUSTED).await.map_err(Attempt::Over)?;
                }
                dialled => break dialled?,
            }
        };
        drop(starving);
        let established = async {
            match (how.ways.socks4(), &to) {
                (Some(_), Target::Inet(to)) => crate::socks::through(&stream, *to).await,
                _ => relay::established(&stream).await,
            }
        };
        match self.wait(established, until, false).await {
            Waited::Done(Ok(())) => {
                if let Some(version) = how.header {
                    self.send_header(&stream, version, how.ways.header());
                }
                if let Some(tls) = how.ways.tls() {
                    Box::pin(self.shake(&stream, &to, tls, how.server, until)).await?;
                }
                let took = timer::now() - started;
                self.session.connect_time = i32::try_from(took).unwrap_or(i32::MAX);
                if let Some(tried) = self.session.last_try() {
                    tried.connect = Some(took);
                }
                Ok(stream)
            }
            Waited::Done(Err(error)) => {
                self.refused(&to, &error, false);
                Err(Attempt::Failed { timed_out: false })
            }
            waited => Err(self.not_in_time(&waited, &to, "connecting")),
        }
    }

    /// What a wait for a server came to that did not end well.
    pub(crate) fn not_in_time<T>(&self, waited: &Waited<T>, to: &Target, doing: &str) -> Attempt {
        match waited {
            Waited::Done(_) | Waited::TimedOut => {
                self.session.error_line(Severity::Error, Some(&upstream(to)), |f| {
                    write!(
                        f,
                        "upstream timed out (110: Connection timed out) while {doing} to upstream"
                    )
                });
                Attempt::Failed { timed_out: true }
            }
            Waited::ClientReset => Attempt::Over(RESET),
            Waited::ClientEnded => Attempt::Over(Termination::new(Cause::Client, Phase::Connect)),
            Waited::ClientTimedOut => {
                Attempt::Over(Termination::new(Cause::ClientTimeout, Phase::Connect))
            }
        }
    }

    /// Starts a connect.
    fn dial(
        &self,
        backend: &Backend,
        to: &Target,
        source: Option<SocketAddr>,
        ways: Ways,
    ) -> Result<Stream, Attempt> {
        let dial = Dial {
            to: to.clone(),
            source,
            nodelay: backend.nodelay,
            keepalive: backend.keepalive.map(keepalive),
        };
        // nginx numbers connections to servers as well.
        self.session.shared.connection_number.fetch_add(1, Relaxed);
        ways.start(dial, self.session.peer, self.session.marks()).map_err(|error| {
            if matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM)) {
                self.no_socket(to, &error);
            } else {
                self.refused(to, &error, true);
            }
            let over = |cause| Attempt::Over(Termination::new(cause, Phase::Connect));
            match error.raw_os_error() {
                Some(EMFILE | ENFILE | ENOBUFS | ENOMEM) => over(Cause::Resource),
                Some(EADDRNOTAVAIL | EADDRINUSE) => over(Cause::Proxy),
                _ => Attempt::Failed { timed_out: false },
            }
        })
    }

    /// nginx's line, and its status, for a connect that had no descriptor.
    fn no_socket(&self, to: &Target, error: &io::Error) {
        self.session.error_line(Severity::Alert, Some(&upstream(to)), |f| {
            let (number, why) = (error.raw_os_error().unwrap_or(0), crate::bind::reason(error));
            write!(f, "socket() failed ({number}: {why}) while connecting to upstream")
        });
    }

    /// nginx's line for a connect that failed, `at_once` or later.
    fn refused(&self, to: &Target, error: &io::Error, at_once: bool) {
        let usual = error.raw_os_error().is_none_or(|errno| USUAL.contains(&errno));
        let severity = match (usual, at_once) {
            (true, _) => Severity::Error,
            (false, true) => Severity::Crit,
            (false, false) => Severity::Alert,
        };
        let name = upstream(to);
        self.session.error_line(severity, Some(&name), |f| {
            let (number, why) = (error.raw_os_error().unwrap_or(0), crate::bind::reason(error));
            f.write_str("connect() ")?;
            if at_once {
                write!(f, "to {name} ")?;
            }
            write!(f, "failed ({number}: {why}) while connecting to upstream")
        });
    }

    fn passive_failure(&self, backend: &Backend, state: &BackendState, server: ServerId) {
        let now = self.session.shared.clock.now();
        if state.balancer.with(|pool| pool.failed(now, server)) {
            let name = match backend.servers[server.0].address {
                proxy::ServerAddress::Unix(_) => backend.servers[server.0].name.clone(),
                _ => upstream(&state.servers[server.0].target()),
            };
            self.session.error_line(Severity::Warning, Some(&name), |f| {
                f.write_str("upstream server temporarily disabled while connecting to upstream")
            });
        }
    }

    /// A server without a port is asked at the port the client came to, or so far from it; one
    /// without an address at the address the client came to.
    fn destination(&self, target: &Target, offset: i32) -> Target {
        let Target::Inet(to) = target else { return target.clone() };
        if to.port() != 0 && !to.ip().is_unspecified() {
            return target.clone();
        }
        let known =
            self.session.extra.as_deref().and_then(|extra| extra.rules.seen.or(extra.local));
        let Some(local) = known.or_else(|| self.client.local_addr().ok()) else {
            return target.clone();
        };
        let ip = if to.ip().is_unspecified() { local.ip().to_canonical() } else { to.ip() };
        // As HAProxy reckons: in sixteen bits.
        let relative = i32::from(local.port()).wrapping_add(offset) as u16;
        Target::Inet(SocketAddr::new(ip, if to.port() == 0 { relative } else { to.port() }))
    }

    /// Waits before the next try; the client's patience may end meanwhile.
    pub(crate) async fn pause(&mut self, pause: Duration) -> Result<(), Termination> {
        if pause.is_zero() {
            return Ok(());
        }
        let until = timer::now() + millis(pause);
        let cause = match self.wait(std::future::pending::<()>(), Some(until), true).await {
            Waited::Done(()) | Waited::TimedOut => return Ok(()),
            Waited::ClientTimedOut => Cause::ClientTimeout,
            Waited::ClientEnded => Cause::Client,
            Waited::ClientReset => return Err(RESET),
        };
        Err(Termination::new(cause, Phase::Connect))
    }

    /// Waits for `what` until a deadline, watching the client. `hurried` says whether the client's
    /// timeout counts here: while a connect is under way it does not.
    pub(crate) async fn wait<T>(
        &self,
        what: impl Future<Output = T>,
        until: Option<Millis>,
        hurried: bool,
    ) -> Waited<T> {
        let mut what = pin!(what);
        let mut left = pin!(self.client.ready(Ready::READABLE | Ready::ERROR));
        let mut timer = Timer::new();
        let backend = self.session.backend().map(|at| &self.session.shared.config.backends[at]);
        let hasty = backend.is_some_and(|backend| backend.abortonclose);
        // nginx looks at its client again once it has a server.
        let queues = hurried && backend.is_some_and(|backend| backend.queue > 0);
        let watching = queues || !self.session.shared.is_nginx();
        let mut client_until = self.session.client_deadline().filter(|_| hurried);
        poll_fn(move |cx| {
            if let Poll::Ready(done) = what.as_mut().poll(cx) {
                return Poll::Ready(Waited::Done(done));
            }
            while watching && let Poll::Ready(ready) = left.as_mut().poll(cx) {
                let Ok(ready) = ready else { return Poll::Ready(Waited::ClientReset) };
                if ready.is_error() {
                    return Poll::Ready(Waited::ClientReset);
                }
                if ready.is_read_closed() && (hasty || !self.has_spoken()) {
                    return Poll::Ready(Waited::ClientEnded);
                }
                if hasty {
                    // What it says stays unread: only its end is waited for.
                    left.set(self.client.ready(Ready::CLOSED | Ready::ERROR));
                    continue;
                }
                // It has spoken: now only a reset tells that it does not wait for an answer.
                left.set(self.client.ready(Ready::ERROR));
            }
            let now = timer::now();
            if until.is_some_and(|at| now >= at) {
                return Poll::Ready(Waited::TimedOut);
            }
            if client_until.is_some_and(|at| now >= at) {
                if !self.has_spoken() {
                    return Poll::Ready(Waited::ClientTimedOut);
                }
                client_until = None;
            }
            if let Some(next) = until.into_iter().chain(client_until).min() {
                timer.arm(next, cx);
            }
            Poll::Pending
        })
        .await
    }
}

/// Where an attempt goes, and how.
#[derive(Clone, Copy)]
pub(crate) struct Towards<'a> {
    pub(crate) target: &'a Target,
    pub(crate) source: Option<SocketAddr>,
    pub(crate) ways: Ways,
    pub(crate) header: Option<ProxyHeader>,
    /// Its position, if it is one of the backend's.
    pub(crate) server: usize,
}

impl Connecting {
    /// The header for addresses that are no servers of a backend: nginx's `proxy_protocol`.
    fn dynamic_header(&self) -> Option<ProxyHeader> {
        let backend = self.session.backend()?;
        self.session.shared.config.backends[backend].send_proxy
    }

    /// Tells a server who its client is. A new connection always has room for it.
    fn send_header(
        &mut self,
        server: &Stream,
        version: ProxyHeader,
        options: Option<&'static HeaderOptions>,
    ) {
        let header = self.header_for(version, options);
        let sent = server.try_write(&header).unwrap_or(0);
        if let Some(extra) = &mut self.session.extra {
            extra.announced = sent as u64;
        }
    }
}

/// Why an attempt did not succeed.
pub(crate) enum Attempt {
    /// The server did not answer, or said no.
    Failed { timed_out: bool },
    /// There is no point in another one.
    Over(Termination),
}

/// While it is there, nobody new is accepted.
struct Starving(&'static Shared);

impl Starving {
    fn new(shared: &'static Shared) -> Self {
        shared.starving.fetch_add(1, Relaxed);
        Self(shared)
    }
}

impl Drop for Starving {
    fn drop(&mut self) {
        self.0.starving.fetch_sub(1, Relaxed);
    }
}

/// How often a session that nginx's `queue` holds looks again by itself.
pub(crate) const LOOK_AGAIN: Millis = 1_000;

/// How long a session waits for a descriptor before it tries again.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// EAGAIN, EPIPE, ENETDOWN, ENETUNREACH, ECONNRESET, ENOTCONN, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN and
/// EHOSTUNREACH: what becomes of connections on a network. nginx takes the rest more seriously.
const USUAL: [i32; 10] = [11, 32, 100, 101, 104, 107, 110, 111, 112, 113];

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOMEM: i32 = 12;
const ENOBUFS: i32 = 105;
const EADDRINUSE: i32 = 98;
const EADDRNOTAVAIL: i32 = 99;

fn count_failure(state: &BackendState, server: ServerId) {
    state.traffic.connect_errors.fetch_add(1, Relaxed);
    state.servers[server.0].traffic.connect_errors.fetch_add(1, Relaxed);
}

/// A server as nginx's lines name it.
pub(crate) fn upstream(to: &Target) -> String {
    match to {
        Target::Inet(address) => address.to_string(),
        Target::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn elapsed(since: Millis) -> Duration {
    Duration::from_millis(timer::now() - since)
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX / 2)
}

/// The socket option of a configured keepalive.
pub(crate) fn keepalive(configured: proxy::KeepAlive) -> relay::KeepAlive {
    let proxy::KeepAlive { idle, interval, count } = configured;
    relay::KeepAlive { idle, interval, count }
}
