//! As much of HTTP/1 as a check needs: one request out, one answer in.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{Request, Text};
use crate::words::Heard;

/// The bytes of a request. Names of headers are sent in lower case, as HAProxy does; a
/// `Content-Length` of its own is left out, as it is said anyway.
pub(super) fn request(
    request: &Request,
    state: Option<String>,
    mut text: impl FnMut(&Text) -> Vec<u8>,
) -> Vec<u8> {
    let Request { method, uri, version, headers, body } = request;
    let mut bytes = method.clone().into_bytes();
    bytes.push(b' ');
    bytes.extend_from_slice(&text(uri));
    bytes.extend_from_slice(format!(" {version}\r\n").as_bytes());
    let mut closes = false;
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            continue;
        }
        closes |= name == "connection";
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(&text(value));
        bytes.extend_from_slice(b"\r\n");
    }
    if let Some(state) = state {
        bytes.extend_from_slice(format!("x-haproxy-server-state: {state}\r\n").as_bytes());
    }
    let body = text(body);
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    if version == "HTTP/1.1" && !closes {
        bytes.extend_from_slice(b"connection: close\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

/// What is known of an answer, read as it arrives: no byte is looked at twice.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    /// How much of the answer has been taken in.
    read: usize,
    /// Up to where the end of a line was looked for.
    looked: usize,
    status: u16,
    reason: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    length: Length,
    body: Vec<u8>,
    /// How many bytes were looked at.
    #[cfg(test)]
    pub(super) work: usize,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    StatusLine,
    Headers,
    /// A body of that many more bytes.
    Body(usize),
    ChunkSize,
    /// A chunk of that many more bytes.
    Chunk(usize),
    /// The end of the line after a chunk.
    ChunkEnd,
    Complete,
    NotHttp,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Length {
    #[default]
    ToTheEnd,
    Bytes(usize),
    Chunked,
}

/// An answer whose headers are complete.
#[derive(Debug, PartialEq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
    pub(super) headers: &'a [(Vec<u8>, Vec<u8>)],
    /// As much of the body as there is.
    pub(super) body: &'a [u8],
    /// Whether that is all of it.
    pub(super) complete: bool,
}

/// The bytes are no answer.
#[derive(Debug, PartialEq)]
pub(super) struct NotHttp;

impl Reader {
    /// The answer in `bytes`, which are those of the last time and more; `None` if its headers are
    /// not complete yet.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<Answer<'_>>, NotHttp> {
        while let Some(next) = self.advance(bytes) {
            self.state = next;
        }
        match self.state {
            State::NotHttp => Err(NotHttp),
            State::StatusLine | State::Headers => Ok(None),
            state => Ok(Some(Answer {
                status: self.status,
                reason: &self.reason,
                headers: &self.headers,
                body: &self.body,
                complete: state == State::Complete,
            })),
        }
    }

    /// The next state; `None` if it takes more bytes, or there is none.
    fn advance(&mut self, bytes: &[u8]) -> Option<State> {
        match self.state {
            State::StatusLine => {
                let Some(line) = self.line(bytes) else {
                    // Not complete: but is it still possible?
                    let expected = b"HTTP/";
                    let known = bytes.len().min(expected.len());
                    return (bytes[..known] != expected[..known]).then_some(State::NotHttp);
                };
                let Some((status, reason)) = status_line(line) else { return Some(State::NotHttp) };
                self.status = status;
                self.reason = reason.to_vec();
                Some(State::Headers)
            }
            State::Headers => {
                let line = self.line(bytes)?;
                if !line.is_empty() {
                    let known = self.header(line).is_some();
                    return Some(if known { State::Headers } else { State::NotHttp });
                }
                Some(match self.length {
                    Length::ToTheEnd => State::Body(usize::MAX),
                    Length::Bytes(length) => State::Body(length),
                    Length::Chunked => State::ChunkSize,
                })
            }
            State::Body(left) => self.take(bytes, left).map(|left| match left {
                0 => State::Complete,
                left => State::Body(left),
            }),
            // RFC 9112 §7.1. What is no size ends the body.
            State::ChunkSize => {
                let line = self.line(bytes)?;
                let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
                let digits: String = digits.map(|&byte| byte as char).collect();
                Some(match usize::from_str_radix(&digits, 16) {
                    Ok(0) | Err(_) => State::Complete,
                    Ok(size) => State::Chunk(size),
                })
            }
            State::Chunk(left) => self.take(bytes, left).map(|left| match left {
                0 => State::ChunkEnd,
                left => State::Chunk(left),
            }),
            State::ChunkEnd => self.line(bytes).map(|_| State::ChunkSize),
            State::Complete | State::NotHttp => None,
        }
    }

    /// The next line without its end; `None` if it has no end yet.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let new = &bytes[self.looked..];
        let end = new.iter().position(|&byte| byte == b'\n');
        let looked = end.map_or(new.len(), |end| end + 1);
        #[cfg(test)]
        {
            self.work += looked;
        }
        self.looked += looked;
        end?;
        let line = &bytes[self.read..self.looked - 1];
        self.read = self.looked;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// A line of the headers; `None` if it is none.
    fn header(&mut self, line: &[u8]) -> Option<()> {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") && self.length != Length::Chunked {
            let value = core::str::from_utf8(value).ok()?;
            self.length = Length::Bytes(value.parse().ok()?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            && value.to_ascii_lowercase().ends_with(b"chunked")
        {
            self.length = Length::Chunked;
        }
        self.headers.push((name.to_ascii_lowercase(), value.to_vec()));
        Some(())
    }

    /// As much of the body as there is.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// What there is of the answer for words to be made of.
    pub(super) fn heard<'a>(&'a self, bytes: &'a [u8]) -> Heard<'a> {
        Heard { bytes, status: self.status, headers: &self.headers, body: &self.body }
    }

    /// Adds up to `left` bytes to the body: how many are still to come. `None` if that takes more
    /// bytes.
    fn take(&mut self, bytes: &[u8], left: usize) -> Option<usize> {
        let new = &bytes[self.read..];
        let here = left.min(new.len());
        if here == 0 && left > 0 {
            return None;
        }
        self.body.extend_from_slice(&new[..here]);
        #[cfg(test)]
        {
            self.work += here;
        }
        self.read += here;
        self.looked = self.read;
        Some(left - here)
    }
}

/// `HTTP/1.1 200 OK`: the status and the reason, which may be missing.
fn status_line(line: &[u8]) -> Option<(u16, &[u8])> {
    let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b' ', rest @ ..] = line else {
        return None;
    };
    if !major.is_ascii_digit() || !minor.is_ascii_digit() {
        return None;
    }
    let (digits, reason) = rest.split_first_chunk::<3>()?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(reason, [] | [b' ', ..]) {
        return None;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    Some((status, reason.trim_ascii()))
}
