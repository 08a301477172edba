//! A client's connection: one request after the other.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Body, Request, Response, Version};
use proxy::{Cause, Forwarded, Http, Phase, Termination};
use relay::Stream;
use relay::timer::{self, Millis, Timer};
use rules::http::{HttpVerdict, Why};
use rules::record;

use super::own::Own;
use super::transfer::{Coding, Event, Transfer};
use super::{Notes, pages};
use crate::backend::{Connecting, Slot};
use crate::facts::millis;
use crate::state::IDLE;

/// Bytes that are read at a time.
const READ: usize = 16 * 1_024;

/// What follows an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Another,
    Close,
}

/// Why there is no request.
enum NoRequest {
    /// The client ended, or was told to.
    Quiet,
    /// It is answered so, if it still can be, and logged.
    Refused(u16, Termination),
}

/// A connection to a server that is kept for the client's next request.
#[derive(Debug)]
pub(crate) struct Kept {
    stream: Stream,
    server: (u32, u32),
}

/// Numbers of an exchange that is over.
struct Over {
    ended: Termination,
    up: u64,
    down: u64,
    next: Next,
}

/// A client that speaks HTTP.
struct Client<'c> {
    c: &'c mut Connecting,
    /// What its frontend does.
    front: &'static Http,
    inbox: Vec<u8>,
    served: u32,
    /// When the connection became idle.
    idle_since: Millis,
}

impl Connecting {
    /// Serves a client that speaks HTTP until its connection is over. Its session is over then as
    /// well, but for the connection itself.
    pub(crate) async fn serve_http(&mut self) {
        static NOTHING: OnceLock<Http> = OnceLock::new();
        let front = self.session.config().http.as_deref();
        let front = front.unwrap_or_else(|| NOTHING.get_or_init(Http::default));
        let extra = self.session.extra.get_or_insert_default();
        let inbox = std::mem::take(&mut extra.first);
        // Who speaks HTTP has spoken: waits for servers watch for its end only.
        extra.rules.ended = true;
        extra.local = extra.local.or_else(|| self.client.local_addr().ok());
        let chosen = self.session.backend();
        let idle_since = self.session.accepted;
        let mut client = Client { c: self, front, inbox, served: 0, idle_since };
        while client.exchange(chosen).await == Next::Another {}
        self.session.say_nothing();
    }

    /// A connection that was kept to this server, if it is still good.
    pub(crate) fn kept(&mut self, slot: &Slot) -> Option<Stream> {
        let kept = self.kept.take()?;
        let mut byte = [0; 1];
        let is_quiet = matches!(
            kept.stream.try_read(&mut byte),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock
        );
        let good = is_quiet && kept.server == (slot.backend, slot.server);
        self.session.notes().reused = good;
        good.then_some(kept.stream)
    }
}

fn now_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(0)
}

fn since(start: Millis) -> i32 {
    i32::try_from(timer::now() - start).unwrap_or(i32::MAX)
}

impl Client<'_> {
    async fn exchange(&mut self, chosen: Option<usize>) -> Next {
        let session = &mut self.c.session;
        session.again();
        let notes = Notes::new(timer::now(), now_millis(), 0);
        let extra = session.extra.get_or_insert_default();
        extra.http = Some(Box::new(notes));
        if let Some(chosen) = chosen {
            session.set_backend(proxy::BackendIndex(chosen));
        }
        let over = match self.request().await {
            Ok(head) => self.answer(head).await,
            Err(NoRequest::Quiet) => return Next::Close,
            Err(NoRequest::Refused(status, ended)) => {
                let message = match self.front.errors.iter().find(|(s, _)| *s == status) {
                    Some((_, message)) => message.to_vec(),
                    None => pages::message(status),
                };
                let up = self.inbox.len() as u64;
                let down = self.send(&message, Vec::new()).await.unwrap_or(0);
                self.c.session.notes().status = status.into();
                let count = &self.c.session.traffic().http;
                count.bad_requests.add();
                Over { ended, up, down, next: Next::Close }
            }
        };
        self.served += 1;
        self.idle_since = timer::now();
        let notes = self.c.session.notes();
        notes.active = since(notes.begun);
        let status = notes.status;
        self.c.session.count_answer(status);
        self.c.session.conclude(over.ended, over.up, over.down);
        over.next
    }

    /// Reads the next request's head.
    async fn request(&mut self) -> Result<Request, NoRequest> {
        let config = self.c.session.config();
        let front = self.front;
        let head_limit = front.request_timeout.or(config.client_timeout);
        let idle_limit = match self.served {
            0 => head_limit,
            _ => front.keep_alive_timeout.or(head_limit),
        };
        let mut begun = false;
        let mut buffer = vec![0; READ];
        let mut timer = Timer::new();
        loop {
            if !self.inbox.is_empty() && !begun {
                begun = true;
                let idle = since(self.idle_since);
                let notes = self.c.session.notes();
                (notes.begun, notes.date, notes.idle) = (timer::now(), now_millis(), idle);
            }
            match Request::parse(&self.inbox) {
                Ok(Some((request, length))) => {
                    self.inbox.drain(..length);
                    let session = &mut self.c.session;
                    session.accepted = timer::now();
                    let uri = request.target.clone();
                    let line = (request.method.clone(), uri, request.version.name());
                    let notes = session.notes();
                    notes.request_time = since(notes.begun);
                    notes.line = Some(line);
                    notes.head_length = length as u64;
                    notes.request = Some(request.clone());
                    session.count_request();
                    return Ok(request);
                }
                Ok(None) => {}
                Err(_) => {
                    let ended = Termination::new(Cause::Proxy, Phase::Request);
                    return Err(NoRequest::Refused(400, ended));
                }
            }
            let start = self.c.session.notes().begun;
            let limit = if begun { head_limit } else { idle_limit };
            let from = if begun { start } else { self.idle_since };
            let until = limit.map(|limit| from + millis(limit));
            let shared = self.c.session.shared;
            if !begun && self.served > 0 && shared.is_draining() {
                return Err(NoRequest::Quiet);
            }
            let thread = usize::from(self.c.thread);
            let mut key = None;
            let client = &self.c.client;
            let about = self.c.session.about((IDLE, IDLE));
            let read = poll_fn(|cx| {
                if !begun && key.is_none() {
                    key = Some(shared.threads[thread].enter_as(about, cx.waker().clone()));
                }
                if let Poll::Ready(read) = client.poll_recv(cx, &mut buffer) {
                    return Poll::Ready(Some(read));
                }
                let told = key.is_some_and(|key| shared.threads[thread].killed(key).is_some());
                if told || until.is_some_and(|until| timer::now() >= until) {
                    return Poll::Ready(None);
                }
                if let Some(until) = until {
                    timer.arm(until, cx);
                }
                Poll::Pending
            })
            .await;
            if let Some(key) = key {
                shared.threads[thread].leave(key);
            }
            let quiet = !begun && (self.served > 0 || front.ignore_probes);
            match read {
                Some(Ok(read @ 1..)) => self.inbox.extend_from_slice(&buffer[..read]),
                _ if quiet => return Err(NoRequest::Quiet),
                Some(_) => {
                    let ended = Termination::new(Cause::Client, Phase::Request);
                    return Err(NoRequest::Refused(400, ended));
                }
                None => {
                    let ended = Termination::new(Cause::ClientTimeout, Phase::Request);
                    return Err(NoRequest::Refused(408, ended));
                }
            }
        }
    }

    /// Answers a request, or has it answered.
    async fn answer(&mut self, head: Request) -> Over {
        let front = self.front;
        let monitored = |uri: &String| head.target == uri.as_bytes();
        if front.monitor_uri.as_ref().is_some_and(monitored) {
            let fails = self.c.session.any_holds(&self.c.client, &front.monitor_fail);
            self.c.session.say_nothing();
            let own = Own::page(if fails { 503 } else { 200 }, &front.errors);
            return self.own(own, Termination::new(Cause::Local, Phase::Request)).await;
        }
        if let Some(over) = self.judge(front).await {
            return over;
        }
        if self.c.session.config().http.is_some() {
            self.c.choose().await;
        }
        let backend = self.backend();
        if let Some((_, back)) = backend
            && !std::ptr::eq(back, front)
            && !self.is_listen()
            && let Some(over) = self.judge(back).await
        {
            return over;
        }
        self.forward().await
    }

    /// The backend's configuration and what it does with messages.
    fn backend(&self) -> Option<(&'static proxy::Backend, &'static Http)> {
        let at = self.c.session.backend()?;
        let backend: &'static proxy::Backend = &self.c.session.shared.config.backends[at];
        Some((backend, backend.http.as_deref()?))
    }

    /// Whether both sides are those of one `listen`, whose rules are the same.
    fn is_listen(&self) -> bool {
        let own = self.c.session.config().id;
        self.backend().is_some_and(|(backend, _)| backend.listen && backend.id == own)
    }

    /// Runs the rules of one side; what comes of it if that is the end.
    async fn judge(&mut self, side: &'static Http) -> Option<Over> {
        let verdict = self.c.session.http_rules(&self.c.client, &side.request, None);
        let local = Termination::new(Cause::Local, Phase::Request);
        let denied = Termination::new(Cause::Proxy, Phase::Request);
        match verdict {
            HttpVerdict::Go | HttpVerdict::Allow => {}
            HttpVerdict::Answer(why, answer) => {
                let unauthorized = answer.status == 401 && why == Why::Served;
                let own = Own::of(answer, &side.errors);
                let ended = match why {
                    Why::Denied | Why::Tarpit => {
                        self.c.session.traffic().http.denied_requests.add();
                        denied
                    }
                    Why::Served if unauthorized => denied,
                    Why::Served => local,
                };
                if why != Why::Tarpit {
                    return Some(self.own(own, ended).await);
                }
                self.tarpit(side).await;
                let mut over = self.own(own, Termination::new(Cause::Proxy, Phase::Tarpit)).await;
                over.next = Next::Close;
                return Some(over);
            }
            HttpVerdict::Metrics => {
                let query = self.c.session.notes().request.as_ref();
                let query = query.map(|request| request.query().to_vec()).unwrap_or_default();
                let own = super::prometheus::answer(self.c.session.shared, &query);
                self.c.session.notes().server = Some("<PROMEX>");
                return Some(self.own(own, local).await);
            }
            HttpVerdict::Reject => return Some(self.gone(denied)),
            HttpVerdict::SilentDrop => {
                self.c.session.silence(&self.c.client);
                return Some(self.gone(denied));
            }
        }
        let stats = side.stats.as_deref()?;
        let asked = {
            let request = self.c.session.notes().request.as_ref()?;
            request.path_and_query()?.starts_with(stats.uri.as_bytes())
        };
        if !asked {
            return None;
        }
        self.c.session.notes().server = Some("<STATS>");
        let verdict = self.c.session.http_rules(&self.c.client, &stats.rules, None);
        if let HttpVerdict::Answer(_, answer) = verdict {
            return Some(self.own(Own::of(answer, &side.errors), denied).await);
        }
        let posted = self.form().await;
        let admin = self.c.session.any_holds(&self.c.client, &stats.admin);
        let shared = self.c.session.shared;
        let request = self.c.session.notes().request.clone()?;
        let own = super::page::answer(shared, stats, &request, posted.as_deref(), admin);
        Some(self.own(own, local).await)
    }

    /// The body of a form that was posted, if it is not too long.
    async fn form(&mut self) -> Option<Vec<u8>> {
        let request = self.c.session.notes().request.as_ref()?;
        let Ok(Body::Length(length)) = request.framing() else { return None };
        let length = usize::try_from(length).ok().filter(|length| *length <= READ)?;
        let limit = self.front.request_timeout.or(self.c.session.config().client_timeout);
        let until = limit.map_or(Millis::MAX / 2, |limit| timer::now() + millis(limit));
        while self.inbox.len() < length {
            let room = length - self.inbox.len();
            match self.c.ahead(&mut self.inbox, room, until).await {
                crate::prepare::Ahead::Bytes => {}
                _ => return None,
            }
        }
        let notes = self.c.session.notes();
        notes.consumed = true;
        Some(self.inbox.drain(..length).collect())
    }

    async fn tarpit(&mut self, side: &Http) {
        let connect = self.backend().and_then(|(backend, _)| backend.connect_timeout);
        let limit = self.c.session.timeout_set(|set| set.tarpit);
        let limit = limit.or(side.tarpit_timeout).or(self.front.tarpit_timeout).or(connect);
        if let Some(limit) = limit {
            timer::until(timer::now() + millis(limit)).await;
        }
    }

    /// The connection is closed without an answer.
    fn gone(&mut self, ended: Termination) -> Over {
        let up = self.c.session.notes().head_length;
        Over { ended, up, down: 0, next: Next::Close }
    }

    /// Whether the client's connection may go on after an answer, as far as its request goes.
    fn may_go_on(&mut self) -> bool {
        let close = self.front.close || self.c.session.shared.is_draining();
        let close = close || self.backend().is_some_and(|(_, back)| back.close);
        let notes = self.c.session.notes();
        let Some(request) = &notes.request else { return false };
        let whole = notes.consumed || request.framing() == Ok(Body::Empty);
        let kept = notes.keeps_alive;
        !close && kept.unwrap_or_else(|| request.keeps_alive()) && whole
    }

    /// Sends an answer of our own.
    async fn own(&mut self, own: Own, ended: Termination) -> Over {
        let Own { mut head, body } = own;
        self.after(&mut head);
        let goes_on = self.may_go_on();
        let notes = self.c.session.notes();
        notes.status = head.status.into();
        let (version, is_head) =
            notes.request.as_ref().map_or((Version::Http11, false), |request| {
                (request.version, request.method == "HEAD")
            });
        connection(&mut head, version, goes_on);
        let mut bytes = Vec::with_capacity(256 + body.len());
        head.write(&mut bytes);
        notes.response = Some(head);
        let up = notes.head_length;
        let body = if is_head { Vec::new() } else { body };
        match self.send(&bytes, body).await {
            Ok(down) => {
                let next = if goes_on { Next::Another } else { Next::Close };
                Over { ended, up, down, next }
            }
            Err(down) => {
                let ended = Termination::new(Cause::Client, Phase::Data);
                Over { ended, up, down, next: Next::Close }
            }
        }
    }

    /// `http-after-response` of both sides.
    fn after(&mut self, head: &mut Response) {
        let front = self.front;
        if let Some((_, back)) = self.backend().filter(|_| !self.is_listen()) {
            self.c.session.http_rules(&self.c.client, &back.after_response, Some(head));
        }
        self.c.session.http_rules(&self.c.client, &front.after_response, Some(head));
    }

    /// Sends bytes within `timeout client`; how many, in both cases.
    async fn send(&mut self, head: &[u8], body: Vec<u8>) -> Result<u64, u64> {
        let limit = self.c.session.config().client_timeout;
        let bytes = [head, &body].concat();
        let (mut sent, mut timer, mut active) = (0, Timer::new(), timer::now());
        let client = &self.c.client;
        let done = poll_fn(|cx| {
            while sent < bytes.len() {
                match client.poll_send(cx, &bytes[sent..]) {
                    Poll::Ready(Ok(more)) => (sent, active) = (sent + more, timer::now()),
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => {
                        let until = limit.map(|limit| active + millis(limit));
                        if until.is_some_and(|until| timer::now() >= until) {
                            return Poll::Ready(false);
                        }
                        if let Some(until) = until {
                            timer.arm(until, cx);
                        }
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(true)
        })
        .await;
        if done { Ok(sent as u64) } else { Err(sent as u64) }
    }

    /// Answers an error of a server's side.
    async fn failed(&mut self, status: u16, ended: Termination) -> Over {
        let errors = self.backend().map_or(&self.front.errors, |(_, back)| {
            if back.errors.is_empty() { &self.front.errors } else { &back.errors }
        });
        let mut over = self.own(Own::page(status, errors), ended).await;
        over.ended = ended;
        over
    }

    /// Adds what servers are told of the client.
    fn announce(&mut self) {
        let (front, back) = (self.front, self.backend().map(|(_, back)| back));
        let session = &mut self.c.session;
        let peer = session.peer.map(|peer| peer.ip().to_canonical());
        let local = session.extra.as_ref().and_then(|extra| extra.local);
        let local = local.map(|local| local.ip().to_canonical());
        let Some(request) = &mut session.notes().request else { return };
        let back_for = back.and_then(|back| back.forwarded_for.as_ref());
        if let Some(forwarded) = back_for.or(front.forwarded_for.as_ref()) {
            name(request, forwarded, peer);
        }
        let back_to = back.and_then(|back| back.original_to.as_ref());
        if let Some(forwarded) = back_to.or(front.original_to.as_ref()) {
            name(request, forwarded, local);
        }
    }

    /// Keeps what `capture request header` names.
    fn capture(&mut self) {
        for (name, most, slot) in &self.front.request_captures {
            let extra = self.c.session.extra.get_or_insert_default();
            let request = extra.http.as_ref().and_then(|notes| notes.request.as_ref());
            let value = request.and_then(|request| request.headers.all(name).next_back());
            keep(&mut extra.rules.record.captures, *slot, *most, value);
        }
    }

    async fn forward(&mut self) -> Over {
        self.announce();
        self.capture();
        let Some((backend, back)) = self.backend() else {
            let ended = Termination::new(Cause::Server, Phase::Connect);
            return self.failed(503, ended).await;
        };
        let mut again = true;
        loop {
            let (server, slot) = match self.c.find().await {
                Ok(found) => found,
                Err(ended) => {
                    if ended.cause == Cause::Client {
                        let mut over = self.gone(ended);
                        self.c.session.notes().status = 400;
                        over.next = Next::Close;
                        return over;
                    }
                    return self.failed(503, ended).await;
                }
            };
            let reused = std::mem::take(&mut self.c.session.notes().reused);
            let over = self.through(backend, back, server, slot, reused && again).await;
            match over {
                Some(over) => return over,
                // A kept connection was closed before it was used: that is nobody's fault.
                None => again = false,
            }
        }
    }

    /// Sends the request through a connection; `None` if that was a kept one and of no use.
    async fn through(
        &mut self,
        backend: &'static proxy::Backend,
        back: &'static Http,
        server: Stream,
        slot: Slot,
        may_fail: bool,
    ) -> Option<Over> {
        let shared = self.c.session.shared;
        let connected = timer::now();
        let mut request = self.c.session.notes().request.clone()?;
        let body = request.framing().unwrap_or(Body::Empty);
        let upgrade = request.upgrades();
        let tunnels = request.method == "CONNECT";
        let keeps =
            !(back.close || self.front.close || back.server_close || self.front.server_close);
        let keeps = keeps && request.version == Version::Http11;
        for name in ["connection", "keep-alive", "proxy-connection"] {
            request.headers.remove(name);
        }
        if upgrade {
            request.headers.add("connection", b"upgrade");
        } else if !keeps {
            request.headers.add("connection", b"close");
        }
        let is_head_only = body == Body::Empty;
        let client_keeps = self.c.session.notes().request.as_ref()?.keeps_alive();
        let version = request.version;
        let mut head = Vec::with_capacity(512);
        request.write(&mut head);
        let session = &self.c.session;
        let limits = (
            session.timeout_set(|set| set.client).or(session.config().client_timeout),
            session.timeout_set(|set| set.server).or(backend.server_timeout),
        );
        let tunnel = session.timeout_set(|set| set.tunnel).or(backend.tunnel_timeout);
        let mut inbox = std::mem::take(&mut self.inbox);
        let client_key = shared.threads[usize::from(self.c.thread)].enter_as(
            self.c.session.about(slot.ids()),
            poll_fn(|cx| Poll::Ready(cx.waker().clone())).await,
        );
        let kills = shared.kills();
        // The client's half is lent; the session is needed for rules in between.
        let thread = usize::from(self.c.thread);
        let Connecting { session, client, .. } = &mut *self.c;
        let mut transfer = Transfer::new((client, &server), &mut inbox, head, body, limits);
        let head_up = session.notes().head_length;
        let data = |cause| Termination::new(cause, Phase::Data);
        let headers = |cause| Termination::new(cause, Phase::Headers);
        let mut answer_keeps = false;
        let mut refuse = None;
        let mut ended = loop {
            let event = poll_fn(|cx| {
                if shared.kills() != kills
                    && let Some(cause) = shared.threads[thread].killed(client_key)
                {
                    return Poll::Ready(Err(Termination::new(cause, Phase::None)));
                }
                transfer.poll(cx).map(Ok)
            })
            .await;
            let answered = session.notes().answer_time >= 0;
            session.report(head_up + transfer.up, transfer.down);
            let event = match event {
                Ok(event) => event,
                Err(ended) => break ended,
            };
            match event {
                Event::Head(mut answer) => {
                    if answer.status < 200 && answer.status != 101 {
                        if version == Version::Http11 {
                            let mut bytes = Vec::new();
                            answer.write(&mut bytes);
                            transfer.interim(&bytes);
                        }
                        continue;
                    }
                    session.notes().answer_time = since(connected);
                    answer_keeps = answer.keeps_alive();
                    let framing = answer.framing(&request.method).unwrap_or(Body::Empty);
                    let switched = answer.status == 101 && upgrade
                        || tunnels && (200..300).contains(&answer.status);
                    let own_upgrade = answer.headers.get("upgrade").is_some();
                    for name in ["connection", "keep-alive", "proxy-connection"] {
                        answer.headers.remove(name);
                    }
                    match judge_answer(session, client, self.front, back, backend, &mut answer) {
                        HttpVerdict::Go | HttpVerdict::Allow => {}
                        HttpVerdict::Answer(why, own) => {
                            session.traffic().http.denied_answers.add();
                            refuse = Some((why, own));
                            break Termination::new(Cause::Proxy, Phase::Headers);
                        }
                        _ => {
                            refuse = None;
                            break Termination::new(Cause::Proxy, Phase::Headers);
                        }
                    }
                    for (name, most, slot) in &self.front.response_captures {
                        let value = answer.headers.all(name).next_back();
                        let extra = session.extra.get_or_insert_default();
                        keep(&mut extra.rules.record.response_captures, *slot, *most, value);
                    }
                    if switched {
                        let mut bytes = Vec::new();
                        if own_upgrade {
                            answer.headers.add("connection", b"upgrade");
                        }
                        let notes = session.notes();
                        notes.status = answer.status.into();
                        answer.write(&mut bytes);
                        notes.response = Some(answer);
                        notes.keeps_alive = Some(false);
                        transfer.switch(&bytes, tunnel);
                        continue;
                    }
                    let chunked = framing == Body::Chunked;
                    let dechunk = chunked && version == Version::Http10;
                    let endless = framing == Body::UntilClose || dechunk;
                    if dechunk {
                        answer.headers.remove("transfer-encoding");
                    }
                    let close = self.front.close || back.close || shared.is_draining();
                    let goes_on = client_keeps && !endless && !close;
                    let goes_on = goes_on && (is_head_only || transfer.is_request_done());
                    let notes = session.notes();
                    notes.keeps_alive = Some(goes_on);
                    answer.version = Version::Http11;
                    connection(&mut answer, version, goes_on);
                    notes.status = answer.status.into();
                    let mut bytes = Vec::new();
                    answer.write(&mut bytes);
                    notes.response = Some(answer);
                    let coding = if chunked && !dechunk { Coding::Chunked } else { Coding::Plain };
                    transfer.answer(&bytes, framing, coding);
                }
                Event::Done => break Termination::NORMAL,
                Event::ClientGone if answered => break data(Cause::Client),
                Event::ClientGone => break headers(Cause::Client),
                Event::BadRequest => break headers(Cause::Proxy),
                Event::ServerGone if answered => break data(Cause::Server),
                Event::ServerGone => break headers(Cause::Server),
                Event::BadAnswer => break headers(Cause::Proxy),
                Event::ClientTimeout if answered => break data(Cause::ClientTimeout),
                Event::ClientTimeout => break headers(Cause::ClientTimeout),
                Event::ServerTimeout if answered => break data(Cause::ServerTimeout),
                Event::ServerTimeout => break headers(Cause::ServerTimeout),
            }
        };
        let (up, down) = (head_up + transfer.up, transfer.down);
        let (received, request_done) = (transfer.received, transfer.is_request_done());
        let bad_request = ended == headers(Cause::Proxy) && received == 0;
        drop(transfer);
        shared.threads[usize::from(self.c.thread)].leave(client_key);
        self.inbox = inbox;
        let notes = self.c.session.notes();
        if let Some((why, answer)) = refuse {
            let own = Own::of(answer, &back.errors);
            if why == Why::Served {
                ended = Termination::new(Cause::Proxy, Phase::Headers);
            }
            drop(slot);
            return Some(self.own(own, ended).await);
        }
        if ended.is_normal() {
            let goes_on = notes.keeps_alive == Some(true) && request_done;
            if answer_keeps && keeps && request_done && notes.status != 101 {
                let server = (server, (slot.backend, slot.server));
                self.c.kept = Some(Box::new(Kept { stream: server.0, server: server.1 }));
            }
            drop(slot);
            let next = if goes_on { Next::Another } else { Next::Close };
            return Some(Over { ended, up, down, next });
        }
        drop(server);
        if notes.answer_time >= 0 {
            // It is too late to say so.
            if notes.status < 0 {
                notes.status = 502;
            }
            drop(slot);
            return Some(Over { ended, up, down, next: Next::Close });
        }
        if may_fail && ended == headers(Cause::Server) && received == 0 && is_head_only {
            drop(slot);
            self.c.session.retry();
            return None;
        }
        let status = match ended.cause {
            Cause::Client => 400,
            Cause::ClientTimeout => 408,
            Cause::ServerTimeout => 504,
            Cause::Proxy if bad_request => 400,
            Cause::Killed | Cause::ServerDown => 503,
            _ => 502,
        };
        if status >= 502 {
            count_failure(&self.c.session, &slot);
        }
        drop(slot);
        notes_close(&mut self.c.session);
        if ended.cause == Cause::Client {
            self.c.session.notes().status = 400;
            return Some(Over { ended, up, down, next: Next::Close });
        }
        let mut over = self.failed(status, ended).await;
        over.next = if request_done { over.next } else { Next::Close };
        over.up = up;
        Some(over)
    }
}

/// `http-response` of both sides, and `http-after-response`.
fn judge_answer(
    session: &mut crate::session::Session,
    client: &Stream,
    front: &'static Http,
    back: &'static Http,
    backend: &proxy::Backend,
    answer: &mut Response,
) -> HttpVerdict {
    let listen = backend.listen && backend.id == session.config().id;
    let verdict = session.http_rules(client, &back.response, Some(answer));
    if !matches!(verdict, HttpVerdict::Go | HttpVerdict::Allow) {
        return verdict;
    }
    if !listen {
        let verdict = session.http_rules(client, &front.response, Some(answer));
        if !matches!(verdict, HttpVerdict::Go | HttpVerdict::Allow) {
            return verdict;
        }
        session.http_rules(client, &back.after_response, Some(answer));
    }
    session.http_rules(client, &front.after_response, Some(answer));
    HttpVerdict::Go
}

/// The client's connection does not go on.
fn notes_close(session: &mut crate::session::Session) {
    let notes = session.notes();
    notes.keeps_alive = notes.keeps_alive.filter(|keeps| !keeps);
}

fn count_failure(session: &crate::session::Session, slot: &Slot) {
    use std::sync::atomic::Ordering::Relaxed;
    let state = &session.shared.backends[slot.backend as usize];
    state.traffic.server_aborts.fetch_add(1, Relaxed);
    if let Some(server) = state.servers.get(slot.server as usize) {
        server.traffic.server_aborts.fetch_add(1, Relaxed);
    }
}

/// Says whether the connection goes on, where that is not what the version means anyway.
fn connection(head: &mut Response, version: Version, goes_on: bool) {
    head.headers.remove("connection");
    match (goes_on, version) {
        (true, Version::Http10) => head.headers.add("connection", b"keep-alive"),
        (true, Version::Http11) => {}
        (false, _) => head.headers.add("connection", b"close"),
    }
}

/// `option forwardfor`, `option originalto`.
fn name(request: &mut Request, how: &Forwarded, address: Option<IpAddr>) {
    let Some(address) = address else { return };
    if how.except.as_ref().is_some_and(|network| network.contains(address)) {
        return;
    }
    if how.if_none && request.headers.get(&how.header).is_some() {
        return;
    }
    request.headers.add(&how.header, address.to_string().as_bytes());
}

fn keep(slots: &mut Vec<Option<Box<[u8]>>>, slot: usize, most: usize, value: Option<&[u8]>) {
    if slots.len() <= slot {
        slots.resize(slot + 1, None);
    }
    slots[slot] = value.map(|value| value[..value.len().min(most)].into());
}

impl crate::session::Session {
    /// Forgets the exchange before.
    fn again(&mut self) {
        self.forget_backend();
        let extra = self.extra.get_or_insert_default();
        for scope in [record::Scope::Transaction, record::Scope::Request, record::Scope::Response] {
            extra.rules.record.forget(scope);
        }
        extra.rules.record.captures.clear();
        extra.rules.record.response_captures.clear();
        extra.rules.record.log_level = None;
    }

    /// Another connection is tried for the same request.
    fn retry(&mut self) {
        self.set_server(None);
        self.queue_time = -1;
        self.connect_time = -1;
    }
}
