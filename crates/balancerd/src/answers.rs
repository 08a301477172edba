//! Answers of `http {}` that need nobody else: `return` and `stub_status` of nginx, for liveness
//! probes and collectors of metrics.
//!
//! HTTP/1.0 and 1.1, one request after the other; a body is read and forgotten.

mod status;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy::{HttpAnswer, HttpServer};
use relay::timer;

use crate::backend::Connecting;
use crate::cli_nginx::VERSION;
use crate::facts::millis;
use crate::prepare::{Ahead, Holds as _};

/// The longest head of a request: nginx's four buffers of 8 KB.
const MAX_HEAD: usize = 32 * 1024;

/// How long a request may take; nginx's `client_header_timeout`.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, as far as answers depend on it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Request {
    head: bool,
    /// GET or HEAD.
    reads: bool,
    path: String,
    keep: bool,
    /// Bytes of its body; `None` if only its end tells.
    body: Option<usize>,
}

impl Request {
    /// Reads a head without its empty line; the error is a status.
    fn parse(head: &[u8]) -> Result<Self, u16> {
        let text = std::str::from_utf8(head).map_err(|_| 400_u16)?;
        let mut lines = text.split("\r\n").flat_map(|line| line.split('\n'));
        let mut words = lines.next().unwrap_or("").split(' ');
        let (Some(method), Some(uri), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        let token = |b: u8| b.is_ascii_uppercase() || b == b'_' || b == b'-';
        if method.is_empty() || !method.bytes().all(token) {
            return Err(400);
        }
        let newest = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            other if other.starts_with("HTTP/") => return Err(505),
            _ => return Err(400),
        };
        // A proxy's form names the host as well.
        let path = match uri.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => uri,
        };
        let path = path.split(['?', '#']).next().unwrap_or("");
        if !path.starts_with('/') {
            return Err(400);
        }
        let mut request = Self {
            head: method == "HEAD",
            reads: matches!(method, "GET" | "HEAD"),
            path: path.to_owned(),
            keep: newest,
            body: Some(0),
        };
        let mut hosts = 0;
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(400_u16)?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "connection" if value.eq_ignore_ascii_case("close") => request.keep = false,
                "connection" if value.eq_ignore_ascii_case("keep-alive") => request.keep = true,
                "content-length" => request.body = Some(value.parse().map_err(|_| 400_u16)?),
                "transfer-encoding" => request.body = None,
                "host" => hosts += 1,
                _ => {}
            }
        }
        if hosts > 1 || newest && hosts == 0 {
            return Err(400);
        }
        Ok(request)
    }
}

impl Connecting {
    /// Answers requests until the client or an answer ends it.
    pub(crate) async fn answer(&mut self, server: &HttpServer) {
        let mut bytes = match &mut self.session.extra {
            Some(extra) => std::mem::take(&mut extra.first),
            None => Vec::new(),
        };
        let mut until = timer::now() + millis(PATIENCE);
        loop {
            let end = loop {
                if let Some(end) = end_of_head(&bytes) {
                    break end;
                }
                if bytes.len() > MAX_HEAD {
                    let _ = self.send(&error(server, 400)).await;
                    return;
                }
                // Who says nothing between two requests is looked at now and then: a process that
                // drains does not wait for it.
                let idle = bytes.is_empty();
                let soon = timer::now() + 500;
                let at = if idle { until.min(soon) } else { until };
                match self.ahead(&mut bytes, 4096, at).await {
                    Ahead::Bytes if idle => until = timer::now() + millis(PATIENCE),
                    Ahead::Bytes => {}
                    Ahead::Late if idle && timer::now() < until => {
                        if self.session.shared.draining.load(Relaxed) {
                            return;
                        }
                    }
                    Ahead::Ended | Ahead::Broke | Ahead::Late => return,
                }
            };
            let request = Request::parse(&bytes[..end.0]);
            bytes.drain(..end.1);
            let request = match request {
                Ok(request) => request,
                Err(status) => {
                    let _ = self.send(&error(server, status)).await;
                    return;
                }
            };
            self.session.shared.requests.fetch_add(1, Relaxed);
            let body = request.body;
            let keep = request.keep && body.is_some() && !server.keepalive.is_zero();
            let answer = reply(server, &request, self.session.peer, keep, |answer, below| {
                let shared = self.session.shared;
                match answer {
                    HttpAnswer::Api => status::api(shared, below),
                    HttpAnswer::Prometheus => Some(status::prometheus(shared)),
                    HttpAnswer::StatusPage => Some(status::page(shared)),
                    _ => Some(("text/plain", self.status())),
                }
            });
            if self.send(&answer).await.is_err() || !keep {
                return;
            }
            let mut rest = body.unwrap_or(0);
            loop {
                let here = rest.min(bytes.len());
                bytes.drain(..here);
                rest -= here;
                if rest == 0 {
                    break;
                }
                let until = timer::now() + millis(PATIENCE);
                match self.ahead(&mut bytes, 4096, until).await {
                    Ahead::Bytes => {}
                    Ahead::Ended | Ahead::Broke | Ahead::Late => return,
                }
            }
            until = timer::now() + millis(server.keepalive);
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.client.writable().await.map_err(|_| ())?;
            match self.client.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(()),
            }
        }
        let (up, down) = self.session.reported;
        self.session.report(up, down + bytes.len() as u64);
        Ok(())
    }

    /// nginx's page of seven numbers.
    fn status(&self) -> String {
        let shared = self.session.shared;
        let (now, all) = (shared.process.current(), shared.sessions.load(Relaxed));
        let requests = shared.requests.load(Relaxed);
        format!(
            "Active connections: {now} \nserver accepts handled requests\n {all} {all} {requests} \n\
             Reading: 0 Writing: 1 Waiting: {} \n",
            now.saturating_sub(1)
        )
    }
}

/// Where a head ends, and where what follows begins.
fn end_of_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let crlf = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| (at, at + 4));
    let lf = bytes.windows(2).position(|two| two == b"\n\n").map(|at| (at, at + 2));
    crlf.into_iter().chain(lf).min()
}

fn reply(
    server: &HttpServer,
    request: &Request,
    peer: Option<SocketAddr>,
    keep: bool,
    status: impl Fn(&HttpAnswer, &str) -> Option<(&'static str, String)>,
) -> Vec<u8> {
    let fits = |location: &&proxy::HttpLocation| match location.exact {
        true => request.path == location.path,
        false => request.path.starts_with(&location.path),
    };
    let rank = |location: &&proxy::HttpLocation| (location.exact, location.path.len());
    let location = server.locations.iter().filter(fits).max_by_key(rank);
    let found = match (&server.answer, location) {
        // What a server says by itself comes before its locations.
        (Some(answer), _) => Some(answer),
        (None, Some(location)) => {
            let rule = location.access.iter().find(|(_, peers)| peers.holds(peer));
            // nginx's rewriting comes before its access, so `return` is for everybody.
            let refused = matches!(rule, Some((false, _)))
                && !matches!(location.answer, Some(HttpAnswer::Return { .. }));
            if refused {
                return page(server, 403, None, request.head, keep);
            }
            location.answer.as_ref()
        }
        (None, None) => None,
    };
    match found {
        None => page(server, 404, None, request.head, keep),
        Some(
            answer @ (HttpAnswer::Status
            | HttpAnswer::Api
            | HttpAnswer::Prometheus
            | HttpAnswer::StatusPage),
        ) => {
            if !request.reads {
                return page(server, 405, None, request.head, keep);
            }
            let begin = location.filter(|_| server.answer.is_none()).map_or(1, |l| l.path.len());
            match status(answer, request.path.get(begin..).unwrap_or("")) {
                Some((mime, text)) => whole(server, 200, mime, &text, "", request.head, keep),
                None => page(server, 404, None, request.head, keep),
            }
        }
        Some(HttpAnswer::Return { code, text, mime }) => match code {
            301 | 302 | 303 | 307 | 308 => page(server, *code, Some(text), request.head, keep),
            300.. if text.is_empty() => page(server, *code, None, request.head, keep),
            _ => whole(server, *code, mime, text, "", request.head, keep),
        },
    }
}

fn error(server: &HttpServer, status: u16) -> Vec<u8> {
    page(server, status, None, false, false)
}

/// nginx's page of a status.
fn page(server: &HttpServer, code: u16, to: Option<&str>, head: bool, keep: bool) -> Vec<u8> {
    let name = if server.tokens { VERSION } else { "nginx" };
    let title = match reason(code) {
        "" => code.to_string(),
        reason => format!("{code} {reason}"),
    };
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\
         \r\n<hr><center>{name}</center>\r\n</body>\r\n</html>\r\n"
    );
    let extra = to.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    whole(server, code, "text/html", &body, &extra, head, keep)
}

fn whole(
    server: &HttpServer,
    code: u16,
    mime: &str,
    body: &str,
    extra: &str,
    head: bool,
    keep: bool,
) -> Vec<u8> {
    let name = if server.tokens { VERSION } else { "nginx" };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let connection = if keep { "keep-alive" } else { "close" };
    let mut text = String::new();
    let length = body.len();
    // An answer that never has a body says nothing about one.
    let about = match code {
        204 | 304 => String::new(),
        _ => format!("Content-Type: {mime}\r\nContent-Length: {length}\r\n"),
    };
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "HTTP/1.1 {code} {}\r\nServer: {name}\r\nDate: {}\r\n{about}Connection: {connection}\r\n\
         {extra}\r\n",
        reason(code),
        date(now),
    );
    if !head && !about.is_empty() {
        text.push_str(body);
    }
    text.into_bytes()
}

/// `Sat, 21 Nov 2026 03:22:07 GMT`, RFC 9110 §5.6.7.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days from 1 March of the year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let name = |names: &[&'static str], at: u64| {
        names.get(usize::try_from(at).unwrap_or(0)).copied().unwrap_or("")
    };
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month - 1),
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

const fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_far_as_answers_need_it() {
        let parse = |text: &str| Request::parse(text.as_bytes());
        let plain = parse("GET /healthz?x=1 HTTP/1.1\r\nHost: a").expect("a request");
        assert_eq!((plain.path.as_str(), plain.keep, plain.body), ("/healthz", true, Some(0)));
        let old = parse("HEAD http://a/b HTTP/1.0\r\nContent-Length: 3").expect("a request");
        assert_eq!((old.path.as_str(), old.head, old.keep, old.body), ("/b", true, false, Some(3)));
        let close = parse("GET / HTTP/1.1\r\nhost: a\r\nConnection: close").expect("a request");
        assert!(!close.keep);
        for (text, status) in [
            ("GET /", 400),
            ("GET / HTTP/1.1", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", 400),
            ("get / HTTP/1.0", 400),
            ("GET x HTTP/1.0", 400),
            ("GET / HTTP/2.0", 505),
            ("GET / HTTP/1.0\r\nContent-Length: -1", 400),
            ("GET / HTTP/1.0\r\nno colon", 400),
        ] {
            assert_eq!(parse(text), Err(status), "{text}");
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(end_of_head(b"GET / HTTP/1.0\r\n"), None);
        assert_eq!(end_of_head(b"a\r\n\r\nbody"), Some((1, 5)));
        assert_eq!(end_of_head(b"a\n\nbody"), Some((1, 3)));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(1_795_231_327), "Sat, 21 Nov 2026 03:22:07 GMT");
    }
}
