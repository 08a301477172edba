//! Both directions of a connection, with its timeouts.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::flow::{Fault, Flow, Moved, Stage};
use crate::stream::Stream;
use crate::timer::{Millis, Timer, now};

/// How long a relay may be silent, and what the end of one side means.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// HAProxy's `timeout client`.
    pub client: Option<Duration>,
    /// HAProxy's `timeout server`.
    pub server: Option<Duration>,
    /// HAProxy's `timeout client-fin`: for the client once a direction has ended.
    pub client_fin: Option<Duration>,
    /// HAProxy's `timeout server-fin`.
    pub server_fin: Option<Duration>,
    /// HAProxy's `timeout tunnel`: for both once bytes went both ways.
    pub tunnel: Option<Duration>,
    /// nginx's `proxy_timeout`: no byte in either direction.
    pub idle: Option<Duration>,
    /// nginx without `proxy_half_close`: the end of one side is the end of both.
    pub close_both: bool,
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Both sides said all they had to say, or one did and that was enough.
    Finished,
    /// The client broke off.
    ClientError,
    /// The server broke off.
    ServerError,
    /// The client was silent for too long.
    ClientTimeout,
    /// The server was silent for too long.
    ServerTimeout,
    /// Both were ([`Limits::idle`]).
    IdleTimeout,
}

/// A client and a server that talk to each other.
#[derive(Debug)]
pub struct Relay {
    client: Stream,
    server: Stream,
    up: Flow,
    down: Flow,
    client_active: Millis,
    server_active: Millis,
    pace: Option<Box<Pace>>,
    timer: Timer,
}

/// How fast bytes may be read, in bytes a second; 0 is no limit.
#[derive(Clone, Copy, Debug)]
struct Pace {
    up: u64,
    down: u64,
    since: Millis,
}

impl Pace {
    /// What may be read now: so much for every second that has begun, as nginx reckons.
    fn left(&self, rate: u64, read: u64, now: Millis) -> u64 {
        if rate == 0 {
            return u64::MAX;
        }
        let seconds = (now - self.since) / 1_000 + 1;
        rate.saturating_mul(seconds).saturating_sub(read)
    }

    /// When the next second begins.
    fn next(&self, now: Millis) -> Millis {
        now + 1_000 - (now - self.since) % 1_000
    }
}

impl Relay {
    /// Joins two established connections.
    pub fn new(client: Stream, server: Stream) -> Self {
        let now = now();
        Self {
            client,
            server,
            up: Flow::new(),
            down: Flow::new(),
            client_active: now,
            server_active: now,
            pace: None,
            timer: Timer::new(),
        }
    }

    /// Reads at most so many bytes a second from the client and from the server; 0 is no limit.
    pub fn limit(&mut self, up: u64, down: u64) {
        self.pace = (up > 0 || down > 0).then(|| Box::new(Pace { up, down, since: now() }));
    }

    /// Bytes of the client that were read before: the server gets them first. They are counted as
    /// all others. Call it before the first [`poll`](Self::poll).
    pub fn begin_with(&mut self, bytes: Vec<u8>) {
        self.up.begin_with(bytes);
    }

    /// The client was last heard of then: its patience is not renewed by finding a server.
    pub fn client_spoke(&mut self, at: Millis) {
        self.client_active = at;
    }

    /// From here on nothing is read from the server: somebody else does.
    pub fn hold_answer(&mut self) {
        self.down.hold(true);
    }

    /// From here on the relay reads from the server again, after `bytes` that were read meanwhile.
    pub fn answer_with(&mut self, bytes: Vec<u8>) {
        self.down.hold(false);
        self.down.begin_with(bytes);
    }

    /// Bytes read from the client so far.
    pub const fn from_client(&self) -> u64 {
        self.up.bytes
    }

    /// Bytes read from the server so far.
    pub const fn from_server(&self) -> u64 {
        self.down.bytes
    }

    /// The client's socket.
    pub const fn client(&self) -> &Stream {
        &self.client
    }

    /// The server's socket.
    pub const fn server(&self) -> &Stream {
        &self.server
    }

    /// Why the direction from the client broke, if it did.
    pub fn error_from_client(&self) -> Option<io::Error> {
        self.up.error()
    }

    /// Why the direction from the server broke, if it did.
    pub fn error_from_server(&self) -> Option<io::Error> {
        self.down.error()
    }

    /// When a byte last moved, in either direction.
    pub fn last_active(&self) -> Millis {
        self.client_active.max(self.server_active)
    }

    /// Whether the client has ended and the server has not.
    pub fn client_ended_first(&self) -> bool {
        self.up.stage() != Stage::Open && self.down.stage() == Stage::Open
    }

    /// Whether the server has ended both ways, and its last bytes are still to be delivered.
    pub fn is_delivering(&self) -> bool {
        self.up.stage() == Stage::Ended && self.down.stage() == Stage::Ending
    }

    /// Moves bytes until both sides are silent or it is over.
    pub fn poll(&mut self, cx: &mut Context<'_>, limits: &Limits) -> Poll<Ended> {
        let begun = if self.pace.is_some() { now() } else { 0 };
        let left = |rate: fn(&Pace) -> u64, flow: &Flow| {
            self.pace.as_ref().map_or(u64::MAX, |pace| pace.left(rate(pace), flow.bytes, begun))
        };
        let (up_left, down_left) = (left(|p| p.up, &self.up), left(|p| p.down, &self.down));
        let Self { client, server, up, down, .. } = self;
        let (mut upward, mut downward) = (Moved::default(), Moved::default());

        // Closing does what telling would, so the second to end tells nobody.
        let pass_end = !limits.close_both;
        let down_open = down.stage() != Stage::Ended;
        match up.poll(cx, client, server, pass_end && down_open, up_left, &mut upward) {
            Ok(()) => {}
            Err(Fault::Read) => return Poll::Ready(Ended::ClientError),
            Err(Fault::Write) => return Poll::Ready(Ended::ServerError),
        }
        let up_open = up.stage() != Stage::Ended;
        match down.poll(cx, server, client, pass_end && up_open, down_left, &mut downward) {
            Ok(()) => {}
            Err(Fault::Read) => return Poll::Ready(Ended::ServerError),
            Err(Fault::Write) => return Poll::Ready(Ended::ClientError),
        }
        let ended = (up.stage() == Stage::Ended, down.stage() == Stage::Ended);
        if ended == (true, true) || limits.close_both && (ended.0 || ended.1) {
            return Poll::Ready(Ended::Finished);
        }

        let now = now();
        if upward.read || downward.written {
            self.client_active = now;
        }
        if downward.read || upward.written {
            self.server_active = now;
        }
        self.slow_down(cx, now);
        self.watch(cx, limits, now)
    }

    /// Comes back when the next second begins if there is a limit that was reached; nobody is blamed
    /// for the silence until then.
    fn slow_down(&mut self, cx: &Context<'_>, now: Millis) {
        let Some(pace) = &self.pace else { return };
        let spent = |rate, flow: &Flow| {
            flow.stage() == Stage::Open && pace.left(rate, flow.bytes, now) == 0
        };
        if spent(pace.up, &self.up) || spent(pace.down, &self.down) {
            (self.client_active, self.server_active) = (now, now);
            self.timer.arm_by(pace.next(now), now, cx);
        }
    }

    /// Ends what was silent for too long and arms the timer for the rest.
    fn watch(&mut self, cx: &Context<'_>, limits: &Limits, now: Millis) -> Poll<Ended> {
        let client = self.client_deadline(limits).unwrap_or(Millis::MAX);
        let server = self.server_deadline(limits).unwrap_or(Millis::MAX);
        let idle = limits
            .idle
            .map_or(Millis::MAX, |idle| after(self.client_active.max(self.server_active), idle));
        let next = client.min(server).min(idle);
        if next > now {
            if next != Millis::MAX {
                self.timer.arm_by(next, now, cx);
            }
            return Poll::Pending;
        }
        Poll::Ready(if client <= now {
            Ended::ClientTimeout
        } else if server <= now {
            Ended::ServerTimeout
        } else {
            Ended::IdleTimeout
        })
    }

    /// A client is waited for when it may send, or has to take what came for it.
    fn client_deadline(&self, limits: &Limits) -> Option<Millis> {
        let may_send = self.up.stage() == Stage::Open && !self.up.is_blocked();
        let wait = self.wait(limits.client, limits.client_fin, limits.tunnel)?;
        (may_send || self.down.is_blocked()).then(|| after(self.client_active, wait))
    }

    /// So is a server.
    fn server_deadline(&self, limits: &Limits) -> Option<Millis> {
        let may_send =
            matches!(self.down.stage(), Stage::Open | Stage::Held) && !self.down.is_blocked();
        let wait = self.wait(limits.server, limits.server_fin, limits.tunnel)?;
        (may_send || self.up.is_blocked()).then(|| after(self.server_active, wait))
    }

    fn wait(
        &self,
        plain: Option<Duration>,
        fin: Option<Duration>,
        tunnel: Option<Duration>,
    ) -> Option<Duration> {
        let half_closed = self.up.stage() == Stage::Ended || self.down.stage() == Stage::Ended;
        let talked = self.up.bytes > 0 && self.down.bytes > 0;
        let plain = tunnel.filter(|_| talked).or(plain);
        fin.filter(|_| half_closed).or(plain)
    }
}

fn after(moment: Millis, wait: Duration) -> Millis {
    moment.saturating_add(Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX))
}

#[cfg(test)]
mod tests;
