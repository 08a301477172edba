//! What a health check is told to do: the typed form of `server … check …`, `option httpchk`,
//! `http-check …`, `option tcp-check` and `tcp-check …`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::health::InitState;
use crate::status::Status;

/// The health check of one server.
///
/// [`Default`] is what haproxy.cfg means by a bare `check`: a TCP connect every 2 s, `rise 2`,
/// `fall 3`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Time between two checks of a server whose state is settled (`inter`, 2 s).
    pub inter: Duration,
    /// The same while its state is changing (`fastinter`; `inter` when not given).
    pub fastinter: Option<Duration>,
    /// The same while it is fully down (`downinter`; `inter` when not given).
    pub downinter: Option<Duration>,
    /// Consecutive successes until a server that is down is up (`rise`, 2; at least 1).
    pub rise: u32,
    /// Consecutive failures until a server that is up is down (`fall`, 3; at least 1).
    pub fall: u32,
    /// `timeout connect` of the backend.
    pub timeout_connect: Option<Duration>,
    /// `timeout check`: time for everything after the connect.
    pub timeout_check: Option<Duration>,
    /// What is said to the server.
    pub probe: Probe,
    /// `check-ssl` (or `ssl` on the server line, when neither `port` nor `addr` is given): TLS for
    /// connections that no `connect` step describes.
    pub tls: bool,
    /// `check-sni`: the server name sent by such connections.
    pub sni: Option<String>,
    /// `check-alpn` or `alpn` of the step-less connection, in order of preference.
    pub alpn: Vec<String>,
    /// How the certificate is judged, for every TLS connection of this check.
    pub verify: Verify,
    /// `addr`: where to connect instead of the server's own address.
    pub addr: Option<IpAddr>,
    /// `port`: where to connect instead of the server's own port.
    pub port: Option<u16>,
    /// `option log-health-checks`: a line for each check that changed something.
    pub log: bool,
    /// `init-state`.
    pub init_state: InitState,
}

/// `agent-check`: a program beside the server that says how it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agent {
    /// `agent-inter`: time between two questions.
    pub inter: Duration,
    /// `agent-addr`; the server's own address when not given.
    pub addr: Option<IpAddr>,
    /// `agent-port`.
    pub port: u16,
    /// `agent-send`: what is said first.
    pub send: Vec<u8>,
    /// `timeout connect` of the backend.
    pub timeout_connect: Option<Duration>,
    /// `timeout check`.
    pub timeout_check: Option<Duration>,
}

impl Agent {
    /// How long a question may take, as a check's.
    #[must_use]
    pub fn timing(&self) -> Config {
        Config {
            inter: self.inter,
            timeout_connect: self.timeout_connect,
            timeout_check: self.timeout_check,
            ..Config::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inter: Duration::from_secs(2),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            timeout_connect: None,
            timeout_check: None,
            probe: Probe::Connect,
            tls: false,
            sni: None,
            alpn: Vec::new(),
            verify: Verify::None,
            addr: None,
            port: None,
            log: false,
            init_state: InitState::default(),
        }
    }
}

/// `verify none` or `verify required`, with what it needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    /// Any certificate will do.
    #[default]
    None,
    /// The chain must end at a certificate of this file, and name `verifyhost` if there is one.
    Required {
        /// `ca-file`: PEM, already joined with `ca-base`; `@system-ca` stands for the system's.
        ca_file: String,
        /// `verifyhost`; without it and without SNI any name is accepted, as HAProxy does.
        host: Option<String>,
    },
}

/// The conversation of one check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Probe {
    /// Connect, and nothing else: invisible to the application behind a plain TCP port.
    #[default]
    Connect,
    /// `option httpchk`; the expectation is [`Match::Http2xx3xx`] when no step gives one.
    Http {
        /// `http-check …` in order; [`Action::SendHttp`] may be left out: `OPTIONS / HTTP/1.0`.
        steps: Vec<Step>,
        /// `http-check disable-on-404`: 404 means that the server wants no new sessions.
        disable_on_404: bool,
        /// `http-check send-state`: a header tells the server how it is seen.
        send_state: bool,
    },
    /// `option tcp-check`; without steps it is [`Probe::Connect`], in slightly other words.
    Tcp {
        /// `tcp-check …` in order.
        steps: Vec<Step>,
    },
    /// A protocol whose steps are known.
    Known(Known),
    /// `option external-check`: a program decides.
    External {
        /// `external-check command`.
        command: String,
        /// `external-check path`: `PATH` of the program.
        path: Option<String>,
    },
}

impl Probe {
    /// `option httpchk` with these steps and nothing else.
    #[must_use]
    pub const fn http(steps: Vec<Step>) -> Self {
        Self::Http { steps, disable_on_404: false, send_state: false }
    }
}

/// A protocol that needs no steps in the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known {
    /// `option redis-check`: `PING` is answered by `+PONG`.
    Redis,
    /// `option ssl-hello-chk`: an SSL 3.0 hello is answered by a handshake or an alert.
    SslHello,
    /// `option smtpchk`.
    Smtp {
        /// The whole command: `HELO localhost`.
        hello: String,
    },
    /// `option pgsql-check user <name>`: the server answers the start of a session.
    Postgres {
        /// Whose session.
        user: String,
    },
    /// `option mysql-check`.
    Mysql(Option<MysqlUser>),
    /// `option ldap-check`: an anonymous bind succeeds.
    Ldap,
}

/// `option mysql-check user <name>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MysqlUser {
    /// Who logs in, without a password.
    pub name: String,
    /// `pre-41`: in the way of servers before 4.1.
    pub pre_41: bool,
}

/// One `tcp-check` or `http-check` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// `comment`: repeated in the message when the step fails.
    pub comment: Option<String>,
}

impl From<Action> for Step {
    fn from(action: Action) -> Self {
        Self { action, comment: None }
    }
}

/// What one step does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// `connect`: opens a new connection, closing the one before.
    Connect(Connect),
    /// `tcp-check send`, `send-binary`: these bytes, escapes already resolved.
    Send(Vec<u8>),
    /// `tcp-check send-lf`: what the [format](crate::Words::format) of this number says.
    SendFormat(usize),
    /// `tcp-check send-binary-lf`: the same, written as hexadecimal digits.
    SendHexFormat(usize),
    /// `http-check send`, or the request of `option httpchk`.
    SendHttp(Request),
    /// `expect`: waits for an answer.
    Expect(Expect),
    /// `set-var`, `set-var-fmt`, `unset-var`: the [rule](crate::Words::act) of this number.
    Act(usize),
    /// `comment`: nothing, but it is counted.
    Comment,
}

/// `tcp-check connect` and `http-check connect`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Connect {
    /// `default`: what the server line says (`check-ssl`, `check-sni`, `port`, …); the other fields
    /// add to it.
    pub default: bool,
    /// `ssl`.
    pub tls: bool,
    /// `sni`.
    pub sni: Option<String>,
    /// `alpn`, in order of preference.
    pub alpn: Vec<String>,
    /// `port`.
    pub port: Option<u16>,
    /// `port` with an expression: the [number](crate::Words::number) of this number.
    pub port_expr: Option<usize>,
    /// `addr`.
    pub addr: Option<IpAddr>,
    /// `send-proxy`: a PROXY header goes first.
    pub send_proxy: bool,
    /// `linger`: close in the usual way rather than with a reset.
    pub linger: bool,
}

/// The request of an HTTP check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// `meth`; `OPTIONS` when not given.
    pub method: String,
    /// `uri`, `uri-lf`; `/` when not given.
    pub uri: Text,
    /// `ver`, as written: `HTTP/1.0`, `HTTP/1.1`.
    pub version: String,
    /// `hdr <name> <value>`, in order. `Connection: close` and `Content-Length` are ours.
    pub headers: Vec<(String, Text)>,
    /// `body`, `body-lf`.
    pub body: Text,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "OPTIONS".into(),
            uri: "/".into(),
            version: "HTTP/1.0".into(),
            headers: Vec::new(),
            body: Text::default(),
        }
    }
}

/// Bytes that are known, or made when they are needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Text {
    /// These.
    Plain(Vec<u8>),
    /// What the [format](crate::Words::format) of this number says.
    Format(usize),
}

impl Text {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Plain(bytes) if bytes.is_empty())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.as_bytes().to_vec())
    }
}

/// `tcp-check expect` and `http-check expect`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expect {
    /// What the answer is compared with.
    pub matching: Match,
    /// `!`: the check fails when it matches.
    pub negated: bool,
    /// `min-recv`: do not judge before this many bytes (or the end).
    pub min_recv: Option<usize>,
    /// `ok-status`; [`Status::L7Ok`] when not given.
    pub ok_status: Option<Status>,
    /// `error-status`; what fits when not given.
    pub error_status: Option<Status>,
    /// `tout-status`; [`Status::L7Timeout`] when not given.
    pub timeout_status: Option<Status>,
    /// `on-success`.
    pub on_success: Option<Saying>,
    /// `on-error`.
    pub on_error: Option<Saying>,
    /// `status-code`: the check's code; of an HTTP check the status when not given.
    pub code: Option<Code>,
}

impl Expect {
    /// Waits for this.
    #[must_use]
    pub const fn new(matching: Match) -> Self {
        Self {
            matching,
            negated: false,
            min_recv: None,
            ok_status: None,
            error_status: None,
            timeout_status: None,
            on_success: None,
            on_error: None,
            code: None,
        }
    }
}

impl From<Match> for Expect {
    fn from(matching: Match) -> Self {
        Self::new(matching)
    }
}

/// What a step says of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Saying {
    /// What the [format](crate::Words::format) of this number says.
    Format(usize),
    /// These words.
    Words(&'static str),
    /// The answer's first line from this byte on, without blanks before it.
    Line(usize),
}

/// The code of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// The [number](crate::Words::number) of this number.
    Number(usize),
    /// The first three digits of the answer.
    FirstDigits,
}

/// The pattern of an [`Expect`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Match {
    /// HTTP status 200 to 399: `option httpchk` without an expectation.
    Http2xx3xx,
    /// `status 200,300-310`: the HTTP status is in one of the ranges.
    Status(Vec<RangeInclusive<u16>>),
    /// `rstatus`: the [regular expression](crate::Words::matches) of this number finds the status.
    StatusRegex(usize),
    /// `string`: found anywhere in the answer (`tcp-check`) or its body (`http-check`).
    String(Vec<u8>),
    /// `binary`: the same, written as hexadecimal digits.
    Binary(Vec<u8>),
    /// `string-lf`: the same, made by the [format](crate::Words::format) of this number.
    StringFormat(usize),
    /// `binary-lf`: the same as hexadecimal digits.
    BinaryFormat(usize),
    /// `rstring`: the [regular expression](crate::Words::matches) of this number finds something.
    Regex(usize),
    /// `rbinary`: the same in the answer's hexadecimal digits.
    BinaryRegex(usize),
    /// `hdr`, `fhdr`: a header of the answer.
    Header(Header),
    /// What a known protocol waits for.
    Known(Awaited),
}

/// `hdr name … [value …]`, `fhdr name … [value …]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// `name`, in lower case where it is no regular expression.
    pub name: Pattern,
    /// `value`; any if there is none.
    pub value: Option<Pattern>,
    /// `fhdr`: a value is the whole line and not what stands between commas.
    pub full: bool,
}

/// A part of [`Header`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// `-m`; [`Compare::Exact`] when not given.
    pub compare: Compare,
    /// What is compared; empty for [`Compare::Regex`].
    pub text: Text,
}

/// How a [`Pattern`] is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compare {
    /// `-m str`.
    Exact,
    /// `-m beg`.
    Begins,
    /// `-m end`.
    Ends,
    /// `-m sub`.
    Contains,
    /// `-m reg`: the [regular expression](crate::Words::matches) of this number.
    Regex(usize),
}

/// What [`Known`] protocols wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Awaited {
    /// A record of a TLS handshake or an alert.
    TlsRecord,
    /// `ddd` and a blank or the end of the line.
    SmtpReply,
    /// `2dd` and a blank or the end of the line.
    SmtpSuccess,
    /// The same after any number of lines `2dd-…`.
    SmtpSuccesses,
    /// `2dd` and a blank, a dash, or the end of the line.
    SmtpFarewell,
    /// No error message of PostgreSQL.
    PostgresNoError,
    /// A request for authentication of PostgreSQL.
    PostgresAuthentication,
    /// MySQL's greeting.
    MysqlGreeting,
    /// What comes after it.
    MysqlResult,
    /// Something BER begins with.
    LdapMessage,
    /// The answer to a bind.
    LdapBind,
}
