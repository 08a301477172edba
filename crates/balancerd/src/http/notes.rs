//! What is known of the exchange that is under way: for rules and for its log line.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use http::{Request, Response};
use relay::timer::Millis;
use rules::Exchange;
use rules::format::Variable;

use crate::log::accept_date;
use crate::session::Session;

/// A request and its answer.
#[derive(Debug)]
pub(crate) struct Notes {
    /// The request's head as rules have it by now.
    pub(crate) request: Option<Request>,
    /// The answer's.
    pub(crate) response: Option<Response>,
    /// The request's line as the client sent it: method, target, version.
    pub(crate) line: Option<(String, Vec<u8>, &'static str)>,
    /// What the client gets; -1 as long as it is not known.
    pub(crate) status: i32,
    /// When the first byte of it came, by the clock of timers and by the calendar.
    pub(crate) begun: Millis,
    pub(crate) date: u64,
    /// Milliseconds the connection was idle before.
    pub(crate) idle: i32,
    /// Milliseconds until the request's head was whole, until a server was picked and until it
    /// answered, each from the one before; -1 if that did not happen.
    pub(crate) request_time: i32,
    pub(crate) answer_time: i32,
    /// Milliseconds from the first byte of the request to the last of the answer.
    pub(crate) active: i32,
    /// Bytes of the request's head.
    pub(crate) head_length: u64,
    /// Whether the client's connection goes on, once that is settled.
    pub(crate) keeps_alive: Option<bool>,
    /// The request's body was read here.
    pub(crate) consumed: bool,
    /// The connection to the server was a kept one.
    pub(crate) reused: bool,
    /// Who answered instead of a server, for its log line.
    pub(crate) server: Option<&'static str>,
}

impl Notes {
    /// Of an exchange that begins now.
    pub(crate) const fn new(begun: Millis, date: u64, idle: i32) -> Self {
        Self {
            request: None,
            response: None,
            line: None,
            status: -1,
            begun,
            date,
            idle,
            request_time: -1,
            answer_time: -1,
            active: 0,
            head_length: 0,
            keeps_alive: None,
            consumed: false,
            reused: false,
            server: None,
        }
    }

    /// What rules look at.
    pub(crate) fn exchange(&self) -> Exchange<'_> {
        Exchange { request: self.request.as_ref(), response: self.response.as_ref() }
    }

    /// Writes a variable of a log line; `None` where it has no value.
    pub(crate) fn write(
        &self,
        session: &Session,
        variable: Variable,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let line = self.line.as_ref();
        let uri = line.map(|(_, uri, _)| &uri[..]);
        let mark = |byte: u8| uri.and_then(|uri| uri.iter().position(|b| *b == byte));
        let at = UNIX_EPOCH + Duration::from_millis(self.date);
        let queries = uri.map_or(0, |uri| mark(b'?').unwrap_or(uri.len()));
        macro_rules! put {
            ($($arg:tt)*) => {{
                // Writing to a vector does not fail.
                let _ = write!(out, $($arg)*);
            }};
        }
        match variable {
            Variable::Method => put!("{}", line.map_or("<BADREQ>", |(method, ..)| method)),
            Variable::HttpVersion => put!("{}", line.map_or("<BADREQ>", |(.., version)| version)),
            Variable::Uri => out.extend_from_slice(uri.unwrap_or(b"<BADREQ>")),
            Variable::Path | Variable::PathOnly => {
                out.extend_from_slice(uri.map_or(b"<BADREQ>", |uri| &uri[..queries]));
            }
            Variable::Query => {
                out.extend_from_slice(uri.map_or(b"", |uri| &uri[queries..]));
            }
            Variable::RequestLine => match line {
                Some((method, uri, version)) => {
                    put!("{method} ");
                    escape(uri, out);
                    put!(" {version}");
                }
                None => put!("<BADREQ>"),
            },
            Variable::RequestTime => put!("{}", self.request_time),
            Variable::AnswerTime => put!("{}", self.answer_time),
            Variable::IdleTime => put!("{}", self.idle),
            Variable::RequestAndIdleTime => {
                put!("{}", if self.request_time < 0 { -1 } else { self.idle + self.request_time });
            }
            Variable::ActiveTime => put!("{}", self.active),
            Variable::RequestDate => {
                let mut text = String::new();
                let _ = accept_date(Duration::from_millis(self.date), &mut text);
                put!("{text}");
            }
            Variable::RequestDateGmt => put!("{}", crate::rules::clf(at, false)),
            Variable::RequestDateLocal => put!("{}", crate::rules::clf(at, true)),
            Variable::Status => put!("{}", self.status),
            // No cookie is captured here.
            Variable::RequestCookie | Variable::ResponseCookie => return None,
            _ => {
                debug_assert!(session.config().http.is_some(), "{variable:?} is not one of HTTP");
                return None;
            }
        }
        Some(())
    }
}

/// What is not printable, as HAProxy writes it into log lines.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        if byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'#' | b'{' | b'|' | b'}' | b'^' | b'`')
        {
            out.push(*byte);
        } else {
            // Writing to a vector does not fail.
            let _ = write!(out, "#{byte:02X}");
        }
    }
}
