//! One request to a server and its answer back: bytes, ends and timeouts.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Body, Decoder, Response, chunk, last_chunk};
use relay::Stream;
use relay::timer::{self, Millis, Timer};

use crate::facts::millis;

/// Bytes that are read at a time.
const READ: usize = 16 * 1_024;
/// So many bytes may wait for whoever is slow.
const MOST: usize = 32 * 1_024;

/// How an answer's body is sent on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Coding {
    /// As it is.
    Plain,
    /// In chunks.
    Chunked,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The head of the answer.
    Head(Response),
    /// The answer is with the client.
    Done,
    /// The client broke off or ended too early.
    ClientGone,
    /// Its request's body is none.
    BadRequest,
    /// The server ended, before its head or in the middle of its body.
    ServerGone,
    /// What it says is no answer.
    BadAnswer,
    /// The client was silent, or did not take what it was sent, for too long.
    ClientTimeout,
    /// The server was silent for too long.
    ServerTimeout,
}

/// A request that is under way.
pub(super) struct Transfer<'t> {
    client: &'t Stream,
    server: &'t Stream,
    /// What the client sent and nobody has used yet.
    inbox: &'t mut Vec<u8>,
    request: Decoder,
    request_chunked: bool,
    to_server: Vec<u8>,
    server_takes: bool,
    outbox: Vec<u8>,
    answer: Option<(Decoder, Coding)>,
    /// Bytes both ways that belong to no head: a protocol they agreed on.
    tunnel: bool,
    to_client: Vec<u8>,
    /// The server ended in the middle: what there is goes to the client first.
    cut: bool,
    ended: (bool, bool),
    active: (Millis, Millis),
    limits: (Option<Duration>, Option<Duration>),
    timer: Timer,
    buffer: Vec<u8>,
    /// Bytes from the client, to it, and from the server.
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) received: u64,
}

impl<'t> Transfer<'t> {
    /// A request whose head is `head`, and whose body is what the client sends next.
    pub(super) fn new(
        (client, server): (&'t Stream, &'t Stream),
        inbox: &'t mut Vec<u8>,
        head: Vec<u8>,
        body: Body,
        limits: (Option<Duration>, Option<Duration>),
    ) -> Self {
        let now = timer::now();
        Self {
            client,
            server,
            inbox,
            request: Decoder::new(body),
            request_chunked: body == Body::Chunked,
            to_server: head,
            server_takes: true,
            outbox: Vec::new(),
            answer: None,
            tunnel: false,
            to_client: Vec::new(),
            cut: false,
            ended: (false, false),
            active: (now, now),
            limits,
            timer: Timer::new(),
            buffer: vec![0; READ],
            up: 0,
            down: 0,
            received: 0,
        }
    }

    /// Whether the request's whole body was there.
    pub(super) const fn is_request_done(&self) -> bool {
        self.request.is_done()
    }

    /// Sends the client a head, and the body behind it.
    pub(super) fn answer(&mut self, head: &[u8], body: Body, coding: Coding) {
        self.to_client.extend_from_slice(head);
        self.answer = Some((Decoder::new(body), coding));
    }

    /// Sends the client a head that is not the last one.
    pub(super) fn interim(&mut self, head: &[u8]) {
        self.to_client.extend_from_slice(head);
    }

    /// Sends the client a head, and from then on everything both ways.
    pub(super) fn switch(&mut self, head: &[u8], limit: Option<Duration>) {
        self.to_client.extend_from_slice(head);
        self.tunnel = true;
        if limit.is_some() {
            self.limits = (limit, limit);
        }
    }

    /// Goes on until something happens.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let mut moved = self.send_server(cx);
            if self.tunnel {
                match self.poll_tunnel(cx) {
                    Ok(more) => moved |= more,
                    Err(event) => return Poll::Ready(event),
                }
            } else {
                match self.poll_request(cx) {
                    Ok(more) => moved |= more,
                    Err(event) => return Poll::Ready(event),
                }
                match self.poll_answer(cx) {
                    Ok(more) => moved |= more,
                    Err(event) => return Poll::Ready(event),
                }
            }
            match self.send_client(cx) {
                Ok(more) => moved |= more,
                Err(event) => return Poll::Ready(event),
            }
            if self.cut && self.to_client.is_empty() {
                return Poll::Ready(Event::ServerGone);
            }
            if self.is_over() {
                return Poll::Ready(Event::Done);
            }
            if !moved {
                return self.poll_timers(cx);
            }
        }
    }

    fn is_over(&self) -> bool {
        let delivered = self.to_client.is_empty();
        if self.tunnel {
            let sent = self.to_server.is_empty() || !self.server_takes;
            return delivered && sent && self.ended.1;
        }
        delivered && self.answer.as_ref().is_some_and(|(answer, _)| answer.is_done())
    }

    fn send_server(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !self.to_server.is_empty() && self.server_takes {
            match self.server.poll_send(cx, &self.to_server) {
                Poll::Ready(Ok(sent)) => {
                    self.to_server.drain(..sent);
                    self.active.1 = timer::now();
                    moved = true;
                }
                // It may have answered all the same.
                Poll::Ready(Err(_)) => self.server_takes = false,
                Poll::Pending => break,
            }
        }
        moved
    }

    fn send_client(&mut self, cx: &mut Context<'_>) -> Result<bool, Event> {
        let mut moved = false;
        while !self.to_client.is_empty() {
            match self.client.poll_send(cx, &self.to_client) {
                Poll::Ready(Ok(sent)) => {
                    self.to_client.drain(..sent);
                    self.down += sent as u64;
                    self.active.0 = timer::now();
                    moved = true;
                }
                Poll::Ready(Err(_)) => return Err(Event::ClientGone),
                Poll::Pending => break,
            }
        }
        Ok(moved)
    }

    /// Passes the request's body on.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Result<bool, Event> {
        if self.request.is_done() || self.to_server.len() >= MOST || !self.server_takes {
            return Ok(false);
        }
        if !self.inbox.is_empty() {
            let mut data = Vec::new();
            let used = self.request.decode(self.inbox, &mut data).map_err(|_| Event::BadRequest)?;
            if used > 0 {
                self.inbox.drain(..used);
                self.up += used as u64;
                if self.request_chunked {
                    chunk(&data, &mut self.to_server);
                    if self.request.is_done() {
                        last_chunk(self.request.trailers(), &mut self.to_server);
                    }
                } else {
                    self.to_server.extend_from_slice(&data);
                }
                return Ok(true);
            }
        }
        match self.client.poll_recv(cx, &mut self.buffer) {
            Poll::Ready(Ok(0) | Err(_)) => Err(Event::ClientGone),
            Poll::Ready(Ok(read)) => {
                self.inbox.extend_from_slice(&self.buffer[..read]);
                self.active.0 = timer::now();
                Ok(true)
            }
            Poll::Pending => Ok(false),
        }
    }

    /// Takes the answer in.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Result<bool, Event> {
        if self.to_client.len() >= MOST || self.cut {
            return Ok(false);
        }
        let mut moved = false;
        if !self.outbox.is_empty() {
            match &mut self.answer {
                None => match Response::parse(&self.outbox) {
                    Err(_) => return Err(Event::BadAnswer),
                    Ok(None) => {}
                    Ok(Some((head, length))) => {
                        self.outbox.drain(..length);
                        return Err(Event::Head(head));
                    }
                },
                Some((answer, coding)) => {
                    let mut data = Vec::new();
                    let Ok(used) = answer.decode(&self.outbox, &mut data) else {
                        self.cut = true;
                        return Ok(true);
                    };
                    self.outbox.drain(..used);
                    moved = used > 0;
                    match coding {
                        Coding::Plain => self.to_client.extend_from_slice(&data),
                        Coding::Chunked => {
                            chunk(&data, &mut self.to_client);
                            if answer.is_done() {
                                last_chunk(answer.trailers(), &mut self.to_client);
                            }
                        }
                    }
                    if answer.is_done() {
                        return Ok(true);
                    }
                }
            }
        }
        if self.answer.as_ref().is_some_and(|(answer, _)| answer.is_done()) {
            return Ok(moved);
        }
        match self.server.poll_recv(cx, &mut self.buffer) {
            Poll::Ready(Ok(read @ 1..)) => {
                self.outbox.extend_from_slice(&self.buffer[..read]);
                self.received += read as u64;
                self.active.1 = timer::now();
                Ok(true)
            }
            Poll::Ready(ended) => match &mut self.answer {
                Some((answer, coding)) if answer.ends_with_connection() && ended.is_ok() => {
                    *answer = Decoder::new(Body::Empty);
                    if *coding == Coding::Chunked {
                        last_chunk(answer.trailers(), &mut self.to_client);
                    }
                    Ok(true)
                }
                Some(_) => {
                    self.cut = true;
                    Ok(true)
                }
                None => Err(Event::ServerGone),
            },
            Poll::Pending => Ok(moved),
        }
    }

    /// Everything both ways, each end passed on.
    fn poll_tunnel(&mut self, cx: &mut Context<'_>) -> Result<bool, Event> {
        let mut moved = !self.inbox.is_empty() || !self.outbox.is_empty();
        self.up += self.inbox.len() as u64;
        self.to_server.append(self.inbox);
        self.to_client.append(&mut self.outbox);
        if !self.ended.0 && self.to_server.len() < MOST {
            match self.client.poll_recv(cx, &mut self.buffer) {
                Poll::Ready(Ok(0)) => {
                    self.ended.0 = true;
                    shut(self.server);
                    moved = true;
                }
                Poll::Ready(Ok(read)) => {
                    self.to_server.extend_from_slice(&self.buffer[..read]);
                    self.up += read as u64;
                    self.active.0 = timer::now();
                    moved = true;
                }
                Poll::Ready(Err(_)) => return Err(Event::ClientGone),
                Poll::Pending => {}
            }
        }
        if !self.ended.1 && self.to_client.len() < MOST {
            match self.server.poll_recv(cx, &mut self.buffer) {
                Poll::Ready(Ok(0)) => {
                    self.ended.1 = true;
                    moved = true;
                }
                Poll::Ready(Ok(read)) => {
                    self.to_client.extend_from_slice(&self.buffer[..read]);
                    self.received += read as u64;
                    self.active.1 = timer::now();
                    moved = true;
                }
                Poll::Ready(Err(_)) => return Err(Event::ServerGone),
                Poll::Pending => {}
            }
        }
        Ok(moved)
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let now = timer::now();
        let (client, server) = self.limits;
        let waits_for_client = self.tunnel || !self.request.is_done() || !self.to_client.is_empty();
        let both = self.active.0.max(self.active.1);
        let since = |own| if self.tunnel { both } else { own };
        let client =
            client.filter(|_| waits_for_client).map(|limit| since(self.active.0) + millis(limit));
        // While the client is awaited, the server may be silent.
        let waits_for_server = self.tunnel || !waits_for_client;
        let server = server.filter(|_| waits_for_server).map(|limit| since(both) + millis(limit));
        if client.is_some_and(|at| now >= at) {
            return Poll::Ready(Event::ClientTimeout);
        }
        if server.is_some_and(|at| now >= at) {
            return Poll::Ready(Event::ServerTimeout);
        }
        if let Some(next) = client.into_iter().chain(server).min() {
            self.timer.arm(next, cx);
        }
        Poll::Pending
    }
}

fn shut(stream: &Stream) {
    // One that is closed already is as good.
    let _: io::Result<()> = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}
