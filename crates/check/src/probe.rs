//! The conversation of one check, without a socket.

mod http;
mod search;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{Action, Config, Connect, Expect, Match, Probe, Request, Step};
use crate::status::{Status, Verdict};
use search::Search;

/// The most that is kept of an answer, as HAProxy's buffer.
pub const MAX_ANSWER: usize = 16_384;

/// What the driver is to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Close what is open and connect, then [`connected`](Conversation::connected) or
    /// [`refused`](Conversation::refused).
    Connect(Endpoint),
    /// Send all of this, then [`sent`](Conversation::sent).
    Send(Vec<u8>),
    /// Receive, then [`on_bytes`](Conversation::on_bytes), [`on_end`](Conversation::on_end)
    /// or [`on_error`](Conversation::on_error).
    Expect,
    /// Close; this is the result.
    Verdict(Verdict),
}

/// How a connection is made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoint {
    /// Over TLS.
    pub tls: bool,
    /// With this server name.
    pub sni: Option<String>,
    /// Offering these protocols.
    pub alpn: Vec<String>,
    /// To this port and not the server's.
    pub port: Option<u16>,
    /// To this address and not the server's.
    pub addr: Option<core::net::IpAddr>,
    /// Nothing will be sent or received: hang up so that the application does not notice.
    pub unnoticed: bool,
    /// Close in the usual way and not with a reset.
    pub linger: bool,
}

/// Why TLS was not agreed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Handshake {
    /// The certificate is not for the name `verifyhost` gives.
    NotConfiguredName,
    /// The certificate is not for the name that was sent (`sni`).
    NotSentName,
    /// For any other reason.
    Failed,
}

/// What is being waited for: decides what a timeout means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Connecting,
    Handshaking,
    Talking,
}

/// One check from the first connect to its [`Verdict`].
///
/// ```
/// use check::{Config, Conversation, Probe, Status, Turn};
///
/// let config = Config { probe: Probe::Http { steps: vec![] }, ..Config::default() };
/// let mut check = Conversation::new(&config);
/// assert!(matches!(check.start(), Turn::Connect(_)));
/// assert_eq!(check.connected(), Turn::Send(b"OPTIONS / HTTP/1.0\r\n\r\n".to_vec()));
/// assert_eq!(check.sent(), Turn::Expect);
/// let Turn::Verdict(verdict) = check.on_bytes(b"HTTP/1.1 503 Busy\r\n\r\n") else { panic!() };
/// assert_eq!((verdict.status, verdict.code), (Status::L7Status, 503));
/// ```
#[derive(Debug)]
pub struct Conversation<'a> {
    config: &'a Config,
    lines: Vec<Cow<'a, Step>>,
    /// The line being carried out; none during the connect that nobody wrote.
    at: Option<usize>,
    phase: Phase,
    tls: bool,
    answer: Vec<u8>,
    /// As much of it as has been read as HTTP.
    reader: http::Reader,
    /// What the current line looks for, once it does.
    search: Option<Search>,
    /// The last HTTP status seen.
    code: u16,
    /// An `expect` after another one judges the same answer; after anything else, a new one.
    fresh: bool,
}

impl<'a> Conversation<'a> {
    /// A check as configured.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        let lines = match &config.probe {
            Probe::Connect => Vec::new(),
            Probe::Tcp { steps } => steps.iter().map(Cow::Borrowed).collect(),
            Probe::Http { steps } => complete_http(steps),
        };
        Self {
            config,
            lines,
            at: None,
            phase: Phase::Connecting,
            tls: false,
            answer: Vec::new(),
            reader: http::Reader::default(),
            search: None,
            code: 0,
            fresh: true,
        }
    }

    /// The first step: always a connect.
    pub fn start(&mut self) -> Turn {
        if let Some(Action::Connect(_)) = self.action(0) {
            return self.enter(0);
        }
        let config = self.config;
        self.tls = config.tls;
        self.phase = Phase::Connecting;
        Turn::Connect(Endpoint {
            tls: config.tls,
            sni: config.sni.clone(),
            alpn: config.alpn.clone(),
            port: config.port,
            addr: config.addr,
            unnoticed: self.lines.is_empty() && !config.tls,
            linger: false,
        })
    }

    /// TCP is connected, TLS is being agreed on.
    pub fn handshaking(&mut self) {
        self.phase = Phase::Handshaking;
    }

    /// The connection stands, TLS included.
    pub fn connected(&mut self) -> Turn {
        self.phase = Phase::Talking;
        self.next()
    }

    /// The connect failed; `error` is the system's text for it: `Connection refused`.
    #[must_use]
    pub fn refused(&self, error: &str) -> Verdict {
        Verdict::new(Status::L4Connection).because(format!("{error}{}", self.place()))
    }

    /// The TLS handshake failed.
    #[must_use]
    pub fn handshake_failed(&self, why: Handshake) -> Verdict {
        let why = match why {
            Handshake::Failed => "SSL handshake failure",
            Handshake::NotConfiguredName => {
                "Server presented an SSL certificate different from the configured one"
            }
            Handshake::NotSentName => {
                "Server presented an SSL certificate different from the expected one"
            }
        };
        Verdict::new(Status::L6Response).because(format!("{why}{}", self.place()))
    }

    /// The time is over.
    #[must_use]
    pub fn timed_out(&self) -> Verdict {
        let status = match self.phase {
            Phase::Connecting => Status::L4Timeout,
            Phase::Handshaking => Status::L6Timeout,
            Phase::Talking => Status::L7Timeout,
        };
        Verdict::new(status).because(self.place())
    }

    /// Everything of [`Turn::Send`] is on its way.
    pub fn sent(&mut self) -> Turn {
        self.next()
    }

    /// The server said this.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Turn {
        let room = MAX_ANSWER - self.answer.len();
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let full = self.answer.len() == MAX_ANSWER;
        self.judge(full)
    }

    /// The server closed: there will be no more of the answer.
    pub fn on_end(&mut self) -> Turn {
        self.judge(true)
    }

    /// The connection broke; `error` is the system's text for it: `Connection reset by peer`. What
    /// arrived before is judged.
    pub fn on_error(&mut self, error: &str) -> Turn {
        if self.answer.is_empty() {
            let info = format!("{error}{}", self.place());
            return Turn::Verdict(Verdict::new(Status::SocketError).because(info));
        }
        self.judge(true)
    }

    fn action(&self, index: usize) -> Option<&Action> {
        self.lines.get(index).map(|line| &line.action)
    }

    fn next(&mut self) -> Turn {
        self.enter(self.at.map_or(0, |at| at + 1))
    }

    fn enter(&mut self, index: usize) -> Turn {
        let Some(line) = self.lines.get(index) else { return self.passed() };
        self.at = Some(index);
        self.search = None;
        match &line.action {
            Action::Connect(connect) => {
                let last = index + 1 == self.lines.len();
                let endpoint = self.endpoint(connect, last);
                self.tls = endpoint.tls;
                self.phase = Phase::Connecting;
                self.fresh = true;
                Turn::Connect(endpoint)
            }
            Action::Send(bytes) => {
                let bytes = bytes.clone();
                self.fresh = true;
                Turn::Send(bytes)
            }
            Action::SendHttp(request) => {
                let bytes = http::request(request);
                self.fresh = true;
                Turn::Send(bytes)
            }
            Action::Expect(_) => {
                if self.fresh {
                    self.answer.clear();
                    self.reader = http::Reader::default();
                    self.fresh = false;
                    return Turn::Expect;
                }
                self.judge(false)
            }
        }
    }

    fn endpoint(&self, connect: &Connect, last: bool) -> Endpoint {
        let config = self.config;
        let tls = connect.tls || (connect.default && config.tls);
        let alpn = if connect.alpn.is_empty() && connect.default {
            config.alpn.clone()
        } else {
            connect.alpn.clone()
        };
        let sni = connect.sni.clone();
        Endpoint {
            tls,
            sni: if connect.default { sni.or_else(|| config.sni.clone()) } else { sni },
            alpn,
            port: connect.port.or(config.port),
            addr: connect.addr.or(config.addr),
            unnoticed: last && !tls && !connect.linger,
            linger: connect.linger,
        }
    }

    /// Every line went as wished.
    fn passed(&self) -> Turn {
        let connected = if self.tls { Status::L6Ok } else { Status::L4Ok };
        let verdict = match &self.config.probe {
            Probe::Connect => Verdict::new(connected),
            Probe::Tcp { steps } if steps.is_empty() => Verdict::new(connected),
            Probe::Tcp { .. } => {
                let last = self.lines.last().map(|line| &line.action);
                let status = match last {
                    Some(Action::Connect(_)) => connected,
                    _ => Status::L7Ok,
                };
                Verdict::new(status).because("(tcp-check)")
            }
            Probe::Http { .. } => Verdict { code: self.code, ..Verdict::new(Status::L7Ok) },
        };
        Turn::Verdict(verdict)
    }

    fn judge(&mut self, ended: bool) -> Turn {
        let Some(at) = self.at else { return Turn::Expect };
        let line = self.lines[at].clone();
        let Action::Expect(expect) = &line.action else { return Turn::Expect };
        let judged = match self.config.probe {
            Probe::Http { .. } => self.judge_http(expect, ended),
            _ => self.judge_tcp(expect, ended),
        };
        match judged {
            Judged::Wait => Turn::Expect,
            Judged::AsExpected => self.next(),
            Judged::Otherwise(mut verdict) => {
                if let Some(comment) = &line.comment
                    && !verdict.info.is_empty()
                {
                    verdict.info.push_str(&format!(" comment: {comment}"));
                }
                Turn::Verdict(verdict)
            }
        }
    }

    fn judge_tcp(&mut self, expect: &Expect, ended: bool) -> Judged {
        let step = self.at.map_or(0, |at| at + 1);
        let wrong = |what: String| {
            let info = format!("TCPCHK {what} at step {step}");
            Judged::Otherwise(Verdict::new(Status::L7Response).because(info))
        };
        let (pattern, shown) = match &expect.matching {
            Match::String(text) => (text, format!("'{}'", String::from_utf8_lossy(text))),
            Match::Binary(bytes) => (bytes, "(binary)".into()),
            // A status of something that is not HTTP is never right.
            Match::Status(_) | Match::Http2xx3xx => {
                return Judged::Otherwise(Verdict::new(Status::L7Response));
            }
        };
        if ended && self.answer.is_empty() {
            return wrong("got an empty response".into());
        }
        if !ended && expect.min_recv.is_some_and(|least| self.answer.len() < least) {
            return Judged::Wait;
        }
        let search = self.search.get_or_insert_with(|| Search::new(pattern));
        let found = search.finds(pattern, &self.answer);
        // More may come, unless it was said how much is enough.
        if !found && !ended && expect.min_recv.is_none() {
            return Judged::Wait;
        }
        match (found, expect.negated) {
            (true, false) | (false, true) => Judged::AsExpected,
            (false, false) => wrong(format!("did not match content {shown}")),
            (true, true) => wrong(format!("matched unwanted content {shown}")),
        }
    }

    fn judge_http(&mut self, expect: &Expect, ended: bool) -> Judged {
        let invalid = Verdict::new(Status::L7Response);
        let answer = match self.reader.read(&self.answer) {
            Ok(Some(answer)) => answer,
            Ok(None) if !ended => return Judged::Wait,
            Ok(None) | Err(http::NotHttp) => return Judged::Otherwise(invalid),
        };
        self.code = answer.status;
        let status = |matches: bool| {
            if matches != expect.negated {
                return Judged::AsExpected;
            }
            Judged::Otherwise(Verdict {
                status: Status::L7Status,
                code: answer.status,
                info: String::from_utf8_lossy(answer.reason).into_owned(),
            })
        };
        let pattern = match &expect.matching {
            Match::Http2xx3xx => return status((200..400).contains(&answer.status)),
            Match::Status(ranges) => {
                return status(ranges.iter().any(|range| range.contains(&answer.status)));
            }
            Match::String(text) => text,
            Match::Binary(bytes) => bytes,
        };
        let search = self.search.get_or_insert_with(|| Search::new(pattern));
        if search.finds(pattern, answer.body) {
            return if expect.negated {
                Judged::Otherwise(invalid.because("HTTP check matched unwanted content"))
            } else {
                Judged::AsExpected
            };
        }
        if !answer.complete && !ended {
            return Judged::Wait;
        }
        if expect.negated {
            return Judged::AsExpected;
        }
        let info = if answer.body.is_empty() {
            "HTTP content check could not find a response body"
        } else {
            "HTTP content check did not match"
        };
        Judged::Otherwise(invalid.because(info))
    }

    /// ` at step 3 of tcp-check (expect string '+PONG') comment: 'pong'`; nothing for other checks.
    fn place(&self) -> String {
        let at = match (&self.config.probe, self.at) {
            (Probe::Tcp { .. }, Some(at)) => at,
            (Probe::Tcp { .. }, None) => return " at initial connection step of tcp-check".into(),
            _ => return String::new(),
        };
        let Some(line) = self.lines.get(at) else { return String::new() };
        let what = match &line.action {
            Action::Connect(Connect { port: Some(port), .. }) => format!("connect port {port}"),
            Action::Connect(_) => "connect".into(),
            Action::Send(_) | Action::SendHttp(_) => "send".into(),
            Action::Expect(Expect { matching: Match::String(text), .. }) => {
                format!("expect string '{}'", String::from_utf8_lossy(text))
            }
            Action::Expect(Expect { matching: Match::Binary(bytes), .. }) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                format!("expect binary '{hex}'")
            }
            Action::Expect(_) => "expect".into(),
        };
        let comment = match &line.comment {
            Some(comment) => format!(" comment: '{comment}'"),
            None => String::new(),
        };
        format!(" at step {} of tcp-check ({what}){comment}", at + 1)
    }
}

#[cfg(test)]
impl Conversation<'_> {
    /// How many bytes were looked at for the current line.
    pub(crate) fn work(&self) -> usize {
        self.reader.work + self.search.as_ref().map_or(0, |search| search.work)
    }
}

enum Judged {
    Wait,
    AsExpected,
    Otherwise(Verdict),
}

/// Adds what `option httpchk` implies: a request after the connects, and an expectation.
fn complete_http(steps: &[Step]) -> Vec<Cow<'_, Step>> {
    let mut lines: Vec<Cow<'_, Step>> = steps.iter().map(Cow::Borrowed).collect();
    let sends = |line: &Cow<'_, Step>| matches!(line.action, Action::SendHttp(_) | Action::Send(_));
    if !lines.iter().any(sends) {
        let connects = |line: &&Cow<'_, Step>| matches!(line.action, Action::Connect(_));
        let after = lines.iter().take_while(connects).count();
        lines.insert(after, Cow::Owned(Action::SendHttp(Request::default()).into()));
    }
    if !lines.iter().any(|line| matches!(line.action, Action::Expect(_))) {
        lines.push(Cow::Owned(Action::Expect(Match::Http2xx3xx.into()).into()));
    }
    lines
}
