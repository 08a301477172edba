//! Formats: text with variables and expressions in it, as `log-format` has them.

use crate::expr::Expr;
use crate::record::Record;
use crate::scope::{Number, Scope};
use crate::value::{Type, Value, hex};

/// A variable of a log line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the table says what each is")]
pub enum Variable {
    ActiveConnections,
    BackendAddress,
    BackendConnections,
    BackendName,
    BackendPort,
    BackendQueue,
    BytesRead,
    BytesUploaded,
    Captured,
    CapturedList,
    ClientAddress,
    ClientPort,
    ConnectTime,
    Date,
    DateGmt,
    DateLocal,
    FrontendAddress,
    FrontendConnections,
    FrontendName,
    FrontendNameTransport,
    FrontendPort,
    HandshakeTime,
    Hostname,
    LogCounter,
    Milliseconds,
    Nothing,
    Pid,
    RequestCounter,
    Retries,
    ServerAddress,
    ServerConnections,
    ServerName,
    ServerPort,
    ServerQueue,
    Status,
    TerminationAndCookieState,
    TerminationState,
    Timestamp,
    TlsCipher,
    TlsVersion,
    TotalTime,
    UniqueId,
    UserTime,
    WaitTime,
    DataTime,
    ActiveTime,
    IdleTime,
    RequestTime,
    RequestAndIdleTime,
    AnswerTime,
    RequestDate,
    RequestDateGmt,
    RequestDateLocal,
    Method,
    Path,
    PathOnly,
    Query,
    Uri,
    HttpVersion,
    RequestLine,
    RequestCookie,
    ResponseCookie,
    ResponseCaptured,
    ResponseCapturedList,
}

/// What flags do to a variable.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    /// Text, which `+Q` puts between quotes.
    Text,
    /// An address: text, or with `+X` its bytes, which are never quoted.
    Address,
    /// A number that `+X` writes in hexadecimal.
    Number,
    /// Times, counters and states: no flag changes them.
    Plain,
}

impl Variable {
    const fn form(self) -> Form {
        match self {
            Self::ClientAddress
            | Self::FrontendAddress
            | Self::BackendAddress
            | Self::ServerAddress => Form::Address,
            Self::ClientPort
            | Self::FrontendPort
            | Self::BackendPort
            | Self::ServerPort
            | Self::LogCounter
            | Self::Pid
            | Self::RequestCounter
            | Self::Timestamp => Form::Number,
            Self::FrontendName
            | Self::FrontendNameTransport
            | Self::BackendName
            | Self::ServerName
            | Self::Hostname
            | Self::UniqueId
            | Self::TlsCipher
            | Self::TlsVersion
            | Self::Method
            | Self::Path
            | Self::PathOnly
            | Self::Query
            | Self::Uri
            | Self::HttpVersion
            | Self::RequestLine
            | Self::RequestCookie
            | Self::ResponseCookie => Form::Text,
            _ => Form::Plain,
        }
    }
}

/// The variables with their names; the second part is what each is.
pub const VARIABLES: &[(&str, Variable, &str)] = &[
    ("B", Variable::BytesRead, "bytes from the server"),
    ("H", Variable::Hostname, "the name of the machine"),
    ("ID", Variable::UniqueId, "the unique id"),
    ("T", Variable::DateGmt, "when it was accepted, in GMT"),
    ("Tc", Variable::ConnectTime, "milliseconds until the server was connected"),
    ("Td", Variable::DataTime, "milliseconds data flowed"),
    ("Th", Variable::HandshakeTime, "milliseconds of handshakes"),
    ("Tl", Variable::DateLocal, "when it was accepted, in local time"),
    ("Ts", Variable::Timestamp, "when it was accepted, in seconds since 1970"),
    ("Tt", Variable::TotalTime, "milliseconds in all"),
    ("Tu", Variable::UserTime, "milliseconds in all, as the user sees it"),
    ("Tw", Variable::WaitTime, "milliseconds in queues"),
    ("U", Variable::BytesUploaded, "bytes from the client"),
    ("ac", Variable::ActiveConnections, "connections of the process"),
    ("b", Variable::BackendName, "the backend"),
    ("bc", Variable::BackendConnections, "connections of the backend"),
    ("bi", Variable::BackendAddress, "our address towards the server"),
    ("bp", Variable::BackendPort, "our port towards the server"),
    ("bq", Variable::BackendQueue, "how many waited in the backend before it"),
    ("ci", Variable::ClientAddress, "the client's address"),
    ("cp", Variable::ClientPort, "the client's port"),
    ("f", Variable::FrontendName, "the frontend"),
    ("fc", Variable::FrontendConnections, "connections of the frontend"),
    ("fi", Variable::FrontendAddress, "the address the client connected to"),
    ("fp", Variable::FrontendPort, "the port the client connected to"),
    ("ft", Variable::FrontendNameTransport, "the frontend, with ~ if it speaks TLS"),
    ("lc", Variable::LogCounter, "lines the frontend logged"),
    ("ms", Variable::Milliseconds, "milliseconds of the second it was accepted in"),
    ("pid", Variable::Pid, "the id of the process"),
    ("rc", Variable::Retries, "connects that were repeated, with + if another server was tried"),
    ("rt", Variable::RequestCounter, "the number of the connection"),
    ("s", Variable::ServerName, "the server"),
    ("sc", Variable::ServerConnections, "connections of the server"),
    ("si", Variable::ServerAddress, "the server's address"),
    ("sp", Variable::ServerPort, "the server's port"),
    ("sq", Variable::ServerQueue, "how many waited for the server before it"),
    ("t", Variable::Date, "when it was accepted"),
    ("ts", Variable::TerminationState, "how it ended"),
    // Of HTTP and TLS, with a value in tcp mode all the same.
    ("ST", Variable::Status, "0, without HTTP"),
    ("hr", Variable::Captured, "what `capture` rules kept"),
    ("hrl", Variable::CapturedList, "what `capture` rules kept, with blanks between"),
    ("hs", Variable::ResponseCaptured, "what is kept of the answer"),
    ("hsl", Variable::ResponseCapturedList, "what is kept of the answer, with blanks between"),
    ("sslc", Variable::TlsCipher, "the cipher of the client's connection"),
    ("sslv", Variable::TlsVersion, "the version of TLS of the client's connection"),
    ("tsc", Variable::TerminationAndCookieState, "how it ended, and `--` without cookies"),
    // Names of the time before 1.5.
    ("Bi", Variable::BackendAddress, "as bi"),
    ("Bp", Variable::BackendPort, "as bp"),
    ("Ci", Variable::ClientAddress, "as ci"),
    ("Cp", Variable::ClientPort, "as cp"),
    ("Fi", Variable::FrontendAddress, "as fi"),
    ("Fp", Variable::FrontendPort, "as fp"),
    ("Si", Variable::ServerAddress, "as si"),
    ("Sp", Variable::ServerPort, "as sp"),
];

/// The variables a proxy has that speaks HTTP.
pub const HTTP_VARIABLES: &[(&str, Variable, &str)] = &[
    ("CC", Variable::RequestCookie, "the cookie that is captured from requests"),
    ("CS", Variable::ResponseCookie, "the cookie that is captured from answers"),
    ("HM", Variable::Method, "the method"),
    ("HP", Variable::Path, "the path, with the host of an absolute target"),
    ("HPO", Variable::PathOnly, "the path"),
    ("HQ", Variable::Query, "the query, with its `?`"),
    ("HU", Variable::Uri, "the target"),
    ("HV", Variable::HttpVersion, "the version"),
    ("TR", Variable::RequestTime, "milliseconds until the request was whole"),
    ("Ta", Variable::ActiveTime, "milliseconds from the request to the answer's end"),
    ("Ti", Variable::IdleTime, "milliseconds the connection was idle before"),
    ("Tq", Variable::RequestAndIdleTime, "Ti, Th and TR together"),
    ("Tr", Variable::AnswerTime, "milliseconds until the server answered"),
    ("r", Variable::RequestLine, "the request's line"),
    ("tr", Variable::RequestDate, "when the request came"),
    ("trg", Variable::RequestDateGmt, "when the request came, in GMT"),
    ("trl", Variable::RequestDateLocal, "when the request came, in local time"),
    ("Trg", Variable::RequestDateGmt, "as trg"),
    ("Trl", Variable::RequestDateLocal, "as trl"),
];

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags {
    /// `+Q`: between quotes.
    pub quote: bool,
    /// `+X`: addresses and numbers in hexadecimal.
    pub hex: bool,
    /// `+E`: `"`, `\` and `]` behind a backslash.
    pub escape: bool,
    /// `+M`, and log lines by themselves: `-` where there is nothing.
    pub mandatory: bool,
}

/// A piece of a format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(Box<str>),
    /// Blanks: several are one where the format says so.
    Blank,
    /// A variable.
    Variable(Variable, Flags),
    /// An expression.
    Expr(Expr, Flags),
}

/// A format.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Format {
    /// Its pieces.
    pub parts: Vec<Part>,
    /// Whether blanks at the beginning and behind others are left out: those of log lines are.
    pub merge_blanks: bool,
}

impl Format {
    /// The text, if there is nothing else in it.
    pub fn constant(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends what it stands for to `out`.
    pub fn write<'a>(&'a self, scope: &Scope<'a>, record: &mut Record, out: &mut Vec<u8>) {
        let mut after_blank = self.merge_blanks;
        for part in &self.parts {
            let (flags, value) = match part {
                Part::Variable(
                    kind @ (Variable::Captured
                    | Variable::CapturedList
                    | Variable::ResponseCaptured
                    | Variable::ResponseCapturedList),
                    _,
                ) => {
                    let before = out.len();
                    captured(scope, record, *kind, out);
                    // What is not there does not part two blanks.
                    after_blank &= out.len() == before;
                    continue;
                }
                Part::Variable(Variable::Nothing, _) => continue,
                Part::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    after_blank = false;
                    continue;
                }
                Part::Blank => {
                    if !(self.merge_blanks && after_blank) {
                        out.push(b' ');
                    }
                    after_blank = true;
                    continue;
                }
                Part::Variable(variable, flags) => {
                    let mut text = Vec::new();
                    let found = scope.environment.log_variable(*variable, &mut text);
                    let value = found.then(|| text.into());
                    match variable.form() {
                        Form::Text => (*flags, value),
                        Form::Address | Form::Number if flags.hex => {
                            (Flags { quote: false, ..*flags }, value.map(hexadecimal))
                        }
                        Form::Address => (*flags, value),
                        Form::Number | Form::Plain => (Flags { quote: false, ..*flags }, value),
                    }
                }
                Part::Expr(expr, flags) => {
                    let last = Scope { last: true, ..*scope };
                    let value = expr.eval(&last, record).value();
                    let value = value.and_then(|value| value.cast(Type::Str));
                    (*flags, value.map(Value::into_text))
                }
            };
            after_blank = false;
            let text = value.unwrap_or_default();
            if flags.quote {
                out.push(b'"');
            } else if text.is_empty() && flags.mandatory {
                out.push(b'-');
            }
            for &byte in &*text {
                if flags.escape && matches!(byte, b'"' | b'\\' | b']') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            if flags.quote {
                out.push(b'"');
            }
        }
    }

    /// The expressions in it.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expr(expr, _) => Some(expr),
            _ => None,
        })
    }

    /// The expressions in it.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let exprs = self.parts.iter_mut().filter_map(|part| match part {
            Part::Expr(expr, _) => Some(expr),
            _ => None,
        });
        exprs.collect()
    }

    /// Whether it looks at bytes of the client.
    pub fn reads_request(&self) -> bool {
        self.exprs().any(Expr::reads_request)
    }
}

/// `{one|two}`, or `one -` as a list: the slots of `capture` rules, if there are any.
fn captured(scope: &Scope<'_>, record: &Record, kind: Variable, out: &mut Vec<u8>) {
    let list = matches!(kind, Variable::CapturedList | Variable::ResponseCapturedList);
    let (number, kept) = match kind {
        Variable::Captured | Variable::CapturedList => (Number::CaptureSlots, &record.captures),
        _ => (Number::ResponseCaptureSlots, &record.response_captures),
    };
    let slots = scope.environment.number(number).unwrap_or(0);
    let slots = usize::try_from(slots).unwrap_or(0);
    let texts: Vec<&[u8]> = (0..slots)
        .map(|slot| match kept.get(slot) {
            Some(Some(text)) if !text.is_empty() => text,
            _ if list => &b"-"[..],
            _ => b"",
        })
        .collect();
    match list {
        _ if slots == 0 => {}
        true => out.extend_from_slice(&texts.join(&b' ')),
        false => {
            out.push(b'{');
            out.extend_from_slice(&texts.join(&b'|'));
            out.push(b'}');
        }
    }
}

/// An address as its bytes, a number as its digits, in upper-case hexadecimal.
fn hexadecimal(text: std::borrow::Cow<'_, [u8]>) -> std::borrow::Cow<'_, [u8]> {
    let Ok(read) = std::str::from_utf8(&text) else { return text };
    if let Ok(ip) = read.parse::<std::net::IpAddr>() {
        let bytes = match ip {
            std::net::IpAddr::V4(ip) => hex(&ip.octets()),
            std::net::IpAddr::V6(ip) => hex(&ip.octets()),
        };
        return bytes.into();
    }
    match read.parse::<u64>() {
        Ok(number) => format!("{number:04X}").into_bytes().into(),
        Err(_) => text,
    }
}
