//! The conversation of one check, without a socket.

mod http;
mod judge;
mod known;
mod place;
mod search;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::config::{Action, Config, Connect, Match, Probe, Request, Step, Text};
use crate::status::{Status, Verdict};
use crate::words::{Heard, Words};
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
    /// Whether a PROXY header goes first.
    pub header: ProxyUse,
    /// Nothing will be sent or received: hang up so that the application does not notice.
    pub unnoticed: bool,
    /// Close in the usual way and not with a reset.
    pub linger: bool,
}

/// Whether a connection of a check begins with a PROXY header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ProxyUse {
    /// As the server line says.
    #[default]
    AsServer,
    /// It does, by the server line's version, or by the first.
    Always,
    /// It does not.
    Never,
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
/// let config = Config { probe: Probe::http(vec![]), ..Config::default() };
/// let mut check = Conversation::new(&config);
/// assert!(matches!(check.start(), Turn::Connect(_)));
/// assert_eq!(check.connected(), Turn::Send(b"OPTIONS / HTTP/1.0\r\n\r\n".to_vec()));
/// assert_eq!(check.sent(), Turn::Expect);
/// let Turn::Verdict(verdict) = check.on_bytes(b"HTTP/1.1 503 Busy\r\n\r\n") else { panic!() };
/// assert_eq!((verdict.status, verdict.code), (Status::L7Status, 503));
/// ```
pub struct Conversation<'a> {
    config: &'a Config,
    words: Option<&'a mut dyn Words>,
    lines: Vec<Cow<'a, Step>>,
    /// The line being carried out; none during the connect that nobody wrote.
    at: Option<usize>,
    phase: Phase,
    tls: bool,
    answer: Vec<u8>,
    /// As much of it as has been read as HTTP.
    reader: http::Reader,
    /// What the current line looks for, once it does.
    search: Option<(Vec<u8>, Search)>,
    /// What the last expectation that was met says of the check.
    good: Verdict,
    /// The server has closed: there will be no more of the answer.
    ended: bool,
    /// An `expect` after another one judges the same answer; after anything else, a new one.
    fresh: bool,
}

impl fmt::Debug for Conversation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Conversation");
        shown.field("at", &self.at).field("phase", &self.phase).field("answer", &self.answer);
        shown.finish_non_exhaustive()
    }
}

impl<'a> Conversation<'a> {
    /// A check as configured, without formats, regular expressions and variables.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        let lines = match &config.probe {
            Probe::Connect | Probe::External { .. } => Vec::new(),
            Probe::Tcp { steps } => steps.iter().map(Cow::Borrowed).collect(),
            Probe::Http { steps, .. } => complete_http(steps),
            Probe::Known(known) => known::steps(known).into_iter().map(Cow::Owned).collect(),
        };
        Self {
            config,
            words: None,
            lines,
            at: None,
            phase: Phase::Connecting,
            tls: false,
            answer: Vec::new(),
            reader: http::Reader::default(),
            search: None,
            good: Verdict::new(Status::L7Ok),
            ended: false,
            fresh: true,
        }
    }

    /// A check that can ask for what needs more than bytes.
    #[must_use]
    pub fn with_words(config: &'a Config, words: &'a mut dyn Words) -> Self {
        Self { words: Some(words), ..Self::new(config) }
    }

    /// The first step: a connect, after setting variables.
    pub fn start(&mut self) -> Turn {
        let before =
            |line: &&Cow<'_, Step>| matches!(line.action, Action::Act(_) | Action::Comment);
        let first = self.lines.iter().take_while(before).count();
        if let Some(Action::Connect(_)) = self.action(first) {
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
            header: ProxyUse::AsServer,
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
        let awaited = match self.at.and_then(|at| self.action(at)) {
            Some(Action::Expect(expect)) => expect.timeout_status,
            _ => None,
        };
        let status = match self.phase {
            Phase::Connecting => Status::L4Timeout,
            Phase::Handshaking => Status::L6Timeout,
            Phase::Talking => awaited.unwrap_or(Status::L7Timeout),
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
        self.ended = true;
        self.judge(true)
    }

    /// The connection broke; `error` is the system's text for it: `Connection reset by peer`. What
    /// arrived before is judged.
    pub fn on_error(&mut self, error: &str) -> Turn {
        if self.answer.is_empty() {
            let info = format!("{error}{}", self.place());
            return Turn::Verdict(Verdict::new(Status::SocketError).because(info));
        }
        self.ended = true;
        self.judge(true)
    }

    fn action(&self, index: usize) -> Option<&Action> {
        self.lines.get(index).map(|line| &line.action)
    }

    /// The answer, as formats see it.
    fn heard(&self) -> Heard<'_> {
        match self.config.probe {
            Probe::Http { .. } => self.reader.heard(&self.answer),
            _ => Heard { bytes: &self.answer, ..Heard::default() },
        }
    }

    /// What a format says; nothing where nobody knows.
    fn format(&mut self, format: usize) -> Vec<u8> {
        let Some(words) = self.words.take() else { return Vec::new() };
        let said = words.format(format, self.heard());
        self.words = Some(words);
        said
    }

    fn number(&mut self, expression: usize) -> Option<i64> {
        let words = self.words.take()?;
        let number = words.number(expression, self.heard());
        self.words = Some(words);
        number
    }

    fn text(&mut self, text: &Text) -> Vec<u8> {
        match text {
            Text::Plain(bytes) => bytes.clone(),
            Text::Format(format) => self.format(*format),
        }
    }

    fn finds(&self, regex: usize, bytes: &[u8]) -> bool {
        self.words.as_ref().is_some_and(|words| words.matches(regex, bytes))
    }

    fn next(&mut self) -> Turn {
        self.enter(self.at.map_or(0, |at| at + 1))
    }

    fn enter(&mut self, first: usize) -> Turn {
        let mut index = first;
        loop {
            let Some(line) = self.lines.get(index).cloned() else { return self.passed() };
            self.at = Some(index);
            self.search = None;
            match &line.action {
                Action::Connect(connect) => {
                    let last = index + 1 == self.lines.len();
                    let endpoint = self.endpoint(connect, last);
                    self.tls = endpoint.tls;
                    self.phase = Phase::Connecting;
                    (self.fresh, self.ended) = (true, false);
                    return Turn::Connect(endpoint);
                }
                Action::Send(bytes) => return self.say(bytes.clone()),
                Action::SendFormat(format) => {
                    let bytes = self.format(*format);
                    if !bytes.is_empty() {
                        return self.say(bytes);
                    }
                }
                Action::SendHexFormat(format) => {
                    let digits = self.format(*format);
                    let Some(bytes) = from_hex(&digits) else {
                        let step = index + 1;
                        let why = "tcp-check send : failed to build log-format string at step";
                        let verdict = Verdict::new(Status::L7Response);
                        return Turn::Verdict(verdict.because(format!("{why} {step}")));
                    };
                    if !bytes.is_empty() {
                        return self.say(bytes);
                    }
                }
                Action::SendHttp(request) => {
                    let state = match (&self.config.probe, self.words.as_mut()) {
                        (Probe::Http { send_state: true, .. }, Some(words)) => Some(words.state()),
                        _ => None,
                    };
                    let bytes = http::request(request, state, |text| self.text(text));
                    return self.say(bytes);
                }
                Action::Expect(_) => {
                    if self.fresh {
                        self.answer.clear();
                        self.reader = http::Reader::default();
                        self.fresh = false;
                        return Turn::Expect;
                    }
                    return self.judge(self.ended);
                }
                Action::Act(rule) => {
                    if let Some(words) = self.words.take() {
                        words.act(*rule, self.heard());
                        self.words = Some(words);
                    }
                }
                Action::Comment => {}
            }
            index += 1;
        }
    }

    fn say(&mut self, bytes: Vec<u8>) -> Turn {
        self.fresh = true;
        Turn::Send(bytes)
    }

    fn endpoint(&mut self, connect: &Connect, last: bool) -> Endpoint {
        let config = self.config;
        let tls = connect.tls || (connect.default && config.tls);
        let alpn = if connect.alpn.is_empty() && connect.default {
            config.alpn.clone()
        } else {
            connect.alpn.clone()
        };
        let sni = connect.sni.clone();
        let computed = connect.port_expr.and_then(|number| self.number(number));
        let computed = computed.and_then(|port| u16::try_from(port).ok());
        Endpoint {
            tls,
            sni: if connect.default { sni.or_else(|| config.sni.clone()) } else { sni },
            alpn,
            port: connect.port.or(computed).or(config.port),
            addr: connect.addr.or(config.addr),
            header: match connect {
                Connect { send_proxy: true, .. } => ProxyUse::Always,
                Connect { default: true, .. } => ProxyUse::AsServer,
                _ => ProxyUse::Never,
            },
            unnoticed: last && !tls && !connect.linger && !connect.send_proxy,
            linger: connect.linger,
        }
    }

    /// Every line went as wished.
    fn passed(&self) -> Turn {
        let connected = if self.tls { Status::L6Ok } else { Status::L4Ok };
        let last = self.lines.iter().map(|line| &line.action).rev();
        let last = last.into_iter().find(|action| !matches!(action, Action::Comment));
        Turn::Verdict(match (&self.config.probe, last) {
            (_, None) => Verdict::new(connected),
            (_, Some(Action::Expect(_))) => self.good.clone(),
            (Probe::Tcp { .. }, Some(Action::Connect(_))) => {
                Verdict::new(connected).because("(tcp-check)")
            }
            (Probe::Tcp { .. }, _) => Verdict::new(Status::L7Ok).because("(tcp-check)"),
            _ => Verdict::new(Status::L7Ok),
        })
    }
}

#[cfg(test)]
impl Conversation<'_> {
    /// How many bytes were looked at for the current line.
    pub(crate) fn work(&self) -> usize {
        self.reader.work + self.search.as_ref().map_or(0, |(_, search)| search.work)
    }
}

/// Bytes of an even number of hexadecimal digits.
fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Adds what `option httpchk` implies: a request after the connects, and an expectation.
fn complete_http(steps: &[Step]) -> Vec<Cow<'_, Step>> {
    let mut lines: Vec<Cow<'_, Step>> = steps.iter().map(Cow::Borrowed).collect();
    let sends = |line: &Cow<'_, Step>| matches!(line.action, Action::SendHttp(_) | Action::Send(_));
    if !lines.iter().any(sends) {
        let opens = |line: &Cow<'_, Step>| matches!(line.action, Action::Connect(_));
        let after = lines.iter().position(opens).map_or(0, |at| at + 1);
        lines.insert(after, Cow::Owned(Action::SendHttp(Request::default()).into()));
    }
    if !lines.iter().any(|line| matches!(line.action, Action::Expect(_))) {
        lines.push(Cow::Owned(Action::Expect(Match::Http2xx3xx.into()).into()));
    }
    lines
}
