//! The head of a message: a line and fields.

use crate::body::Body;
use crate::headers::{Headers, elements};

/// The longest head that is read: HAProxy's `tune.bufsize` without `tune.maxrewrite`.
pub const MAX_HEAD: usize = 15 * 1_024;
/// The most fields a head may have: HAProxy's `tune.http.maxhdr`.
pub const MAX_HEADERS: usize = 101;

/// The version of a message.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// `HTTP/1.1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }

    /// `1.1`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
        }
    }
}

/// Why bytes are no head. The answer to a client is 400, to a server's bytes 502.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadHead {
    /// RFC 9112 §2 and §5: no grammar of it.
    #[error("not a head of HTTP/1")]
    Syntax,
    /// More than [`MAX_HEAD`] bytes or [`MAX_HEADERS`] fields.
    #[error("too large")]
    TooLarge,
    /// RFC 9112 §3.2: no `host`, several, or one that is not the target's.
    #[error("no host, or more than one")]
    Host,
    /// RFC 9112 §6.3: lengths that differ, or are no numbers.
    #[error("a content-length that is none")]
    Length,
    /// RFC 9112 §6.1: a coding that is not `chunked` alone, or where there can be none.
    #[error("a transfer-encoding that cannot be understood")]
    Coding,
}

/// A request's head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target as it stands in the line.
    pub target: Vec<u8>,
    /// The version.
    pub version: Version,
    /// The fields.
    pub headers: Headers,
}

/// An answer's head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The version.
    pub version: Version,
    /// The status, 100 to 599 where it is read.
    pub status: u16,
    /// The words behind it.
    pub reason: String,
    /// The fields.
    pub headers: Headers,
}

/// Where a head ends: behind its first empty line. `Err` if what there is is too long for one.
fn end(bytes: &[u8]) -> Result<bool, BadHead> {
    let mut line = 0;
    for (at, byte) in bytes.iter().enumerate().take(MAX_HEAD) {
        if *byte == b'\n' {
            let text = &bytes[line..at];
            line = at + 1;
            // Empty lines before the first one are no end.
            let begun = bytes[..at].iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
            if begun && (text.is_empty() || text == b"\r") {
                return Ok(true);
            }
        }
    }
    if bytes.len() >= MAX_HEAD { Err(BadHead::TooLarge) } else { Ok(false) }
}

fn fields(parsed: &[httparse::Header<'_>]) -> Result<Headers, BadHead> {
    let mut headers = Headers::new();
    for header in parsed {
        // A field without a name, or folded over lines, does not get here; a NUL does not either.
        if header.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(BadHead::Syntax);
        }
        headers.add(header.name, header.value.trim_ascii());
    }
    Ok(headers)
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

fn refused(error: httparse::Error) -> BadHead {
    match error {
        httparse::Error::TooManyHeaders => BadHead::TooLarge,
        _ => BadHead::Syntax,
    }
}

impl Request {
    /// Reads a head from the beginning of `bytes`: it, and how long it was. `None`: more bytes are
    /// needed.
    ///
    /// # Errors
    ///
    /// When this is no request, or one that another reader could understand otherwise.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHead> {
        let whole = end(bytes)?;
        let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut parsed);
        let length = match request.parse(bytes).map_err(refused)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if whole => return Err(BadHead::Syntax),
            httparse::Status::Partial => return Ok(None),
        };
        let read = Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().as_bytes().to_vec(),
            version: version(request.version),
            headers: fields(request.headers)?,
        };
        read.check_target()?;
        read.framing()?;
        Ok(Some((read, length)))
    }

    fn check_target(&self) -> Result<(), BadHead> {
        let is_connect = self.method == "CONNECT";
        let absolute = self.authority().is_some();
        let asterisk = self.target == b"*" && self.method == "OPTIONS";
        // RFC 9112 §3.2: the four forms, and no fragment in any.
        let good = self.target.starts_with(b"/") || absolute || asterisk || is_connect;
        if !good || self.target.contains(&b'#') {
            return Err(BadHead::Syntax);
        }
        // RFC 9112 §3.2: "A server MUST respond with a 400 status code to any HTTP/1.1 request
        // message that lacks a Host header field and to any request message that contains more than
        // one Host header field line". HAProxy lets HTTP/1.1 without one pass.
        let mut hosts = self.headers.all("host");
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(BadHead::Host);
        }
        let bad = |byte: &u8| matches!(byte, b',' | b' ' | b'\t' | b'/' | b'?' | b'#' | b'@');
        if host.is_some_and(|host| host.iter().any(bad)) {
            return Err(BadHead::Host);
        }
        if let (Some(authority), Some(host)) = (self.authority(), host)
            && !same_host(authority, host, &self.target, is_connect)
        {
            return Err(BadHead::Host);
        }
        Ok(())
    }

    /// What the end of its body is told by.
    ///
    /// # Errors
    ///
    /// When its fields do not agree.
    pub fn framing(&self) -> Result<Body, BadHead> {
        let length = length(&self.headers)?;
        match coding(&self.headers)? {
            // RFC 9112 §6.1: "A server MAY reject a request that contains both Content-Length and
            // Transfer-Encoding"; one of HTTP/1.0 with the latter "MUST be treated as faulty".
            true if length.is_some() || self.version == Version::Http10 => Err(BadHead::Coding),
            true => Ok(Body::Chunked),
            false => Ok(length.filter(|length| *length > 0).map_or(Body::Empty, Body::Length)),
        }
    }

    /// Whether the client wants to go on on this connection.
    pub fn keeps_alive(&self) -> bool {
        keeps_alive(&self.headers, self.version)
    }

    /// `Upgrade`, asked for as RFC 9110 §7.8 has it.
    pub fn upgrades(&self) -> bool {
        self.headers.has_token("connection", "upgrade") && self.headers.get("upgrade").is_some()
    }

    /// Appends the head as it is sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.target);
        out.push(b' ');
        out.extend_from_slice(self.version.name().as_bytes());
        out.extend_from_slice(b"\r\n");
        self.headers.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Whether a target's authority and a `host` mean the same, a usual port aside.
fn same_host(authority: &[u8], host: &[u8], target: &[u8], connect: bool) -> bool {
    let port: &[u8] = if target.starts_with(b"https:") || connect { b":443" } else { b":80" };
    let bare =
        |text: &[u8]| -> Vec<u8> { text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase() };
    let authority = authority.rsplit(|byte| *byte == b'@').next().unwrap_or(authority);
    bare(authority) == bare(host)
}

impl Response {
    /// An answer without fields.
    pub fn new(status: u16) -> Self {
        Self {
            version: Version::Http11,
            status,
            reason: reason(status).to_owned(),
            headers: Headers::new(),
        }
    }

    /// Reads a head from the beginning of `bytes`: it, and how long it was. `None`: more bytes are
    /// needed.
    ///
    /// # Errors
    ///
    /// When this is no answer, or one that another reader could understand otherwise.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHead> {
        let whole = end(bytes)?;
        let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut parsed);
        let length = match response.parse(bytes).map_err(refused)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if whole => return Err(BadHead::Syntax),
            httparse::Status::Partial => return Ok(None),
        };
        let status = response.code.unwrap_or(0);
        if !(100..600).contains(&status) {
            return Err(BadHead::Syntax);
        }
        let read = Self {
            version: version(response.version),
            status,
            reason: response.reason.unwrap_or_default().to_owned(),
            headers: fields(response.headers)?,
        };
        read.framing("GET")?;
        Ok(Some((read, length)))
    }

    /// What the end of its body is told by, where it answers a request of this method.
    ///
    /// # Errors
    ///
    /// When its fields do not agree.
    pub fn framing(&self, method: &str) -> Result<Body, BadHead> {
        let length = length(&self.headers)?;
        let chunked = coding(&self.headers)?;
        // RFC 9112 §6.3, in its order.
        let none = method == "HEAD" || self.status < 200 || matches!(self.status, 204 | 304);
        Ok(match (none, chunked, length) {
            (true, ..) => Body::Empty,
            (_, true, Some(_)) => return Err(BadHead::Coding),
            (_, true, None) if self.version == Version::Http10 => return Err(BadHead::Coding),
            (_, true, None) => Body::Chunked,
            (_, false, Some(0)) => Body::Empty,
            (_, false, Some(length)) => Body::Length(length),
            (_, false, None) => Body::UntilClose,
        })
    }

    /// Whether the server wants to go on on this connection.
    pub fn keeps_alive(&self) -> bool {
        keeps_alive(&self.headers, self.version)
    }

    /// Appends the head as it is sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        let line = format!("{} {} {}\r\n", self.version.name(), self.status, self.reason);
        out.extend_from_slice(line.as_bytes());
        self.headers.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

fn keeps_alive(headers: &Headers, version: Version) -> bool {
    match version {
        Version::Http11 => !headers.has_token("connection", "close"),
        Version::Http10 => {
            headers.has_token("connection", "keep-alive")
                && !headers.has_token("connection", "close")
        }
    }
}

/// RFC 9110 §8.6: digits; several have to be the same.
fn length(headers: &Headers) -> Result<Option<u64>, BadHead> {
    let mut found = None;
    for value in headers.all("content-length") {
        let mut any = false;
        for element in elements(value) {
            let text = std::str::from_utf8(element).map_err(|_| BadHead::Length)?;
            if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(BadHead::Length);
            }
            let length: u64 = text.parse().map_err(|_| BadHead::Length)?;
            if found.is_some_and(|known| known != length) {
                return Err(BadHead::Length);
            }
            (found, any) = (Some(length), true);
        }
        if !any {
            return Err(BadHead::Length);
        }
    }
    Ok(found)
}

/// Whether the message is chunked. Any other coding, or more than one, is not understood here.
fn coding(headers: &Headers) -> Result<bool, BadHead> {
    let mut fields = headers.all("transfer-encoding");
    let Some(value) = fields.next() else { return Ok(false) };
    let mut codings = elements(value);
    let chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.next().is_some() || fields.next().is_some() {
        return Err(BadHead::Coding);
    }
    Ok(true)
}

/// The words HAProxy puts behind a status.
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "<unknown>",
    }
}
