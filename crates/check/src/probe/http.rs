//! As much of HTTP/1 as a check needs: one request out, one answer in.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::Request;

/// The bytes of a request. Names of headers are sent in lower case, as HAProxy does.
pub(super) fn request(request: &Request) -> Vec<u8> {
    let Request { method, uri, version, headers, body } = request;
    let mut head = format!("{method} {uri} {version}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{}: {value}\r\n", name.to_ascii_lowercase()));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    if version == "HTTP/1.1" {
        head.push_str("connection: close\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The bytes are no answer.
#[derive(Debug, PartialEq)]
pub(super) struct NotHttp;

/// An answer whose headers are complete.
#[derive(Debug, PartialEq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
    length: Length,
    rest: &'a [u8],
}

#[derive(Debug, PartialEq)]
enum Length {
    ToTheEnd,
    Bytes(usize),
    Chunked,
}

/// The answer in `bytes`; `None` if its headers are not complete yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Answer<'_>>, NotHttp> {
    let mut rest = bytes;
    let Some(line) = take_line(&mut rest) else {
        // Not complete: but is it still possible?
        let expected = b"HTTP/";
        let known = bytes.len().min(expected.len());
        return if bytes[..known] == expected[..known] { Ok(None) } else { Err(NotHttp) };
    };
    let (status, reason) = status_line(line).ok_or(NotHttp)?;
    let mut length = Length::ToTheEnd;
    loop {
        let Some(line) = take_line(&mut rest) else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(NotHttp)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") && length != Length::Chunked {
            let value = core::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            length = Length::Bytes(value.ok_or(NotHttp)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            && value.to_ascii_lowercase().ends_with(b"chunked")
        {
            length = Length::Chunked;
        }
    }
    Ok(Some(Answer { status, reason, length, rest }))
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

/// The next line without its end; `None` if it has no end yet.
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

impl Answer<'_> {
    /// As much of the body as there is, and whether that is all of it.
    pub(super) fn body(&self) -> (Cow<'_, [u8]>, bool) {
        match self.length {
            Length::ToTheEnd => (Cow::Borrowed(self.rest), false),
            Length::Bytes(length) if self.rest.len() >= length => {
                (Cow::Borrowed(&self.rest[..length]), true)
            }
            Length::Bytes(_) => (Cow::Borrowed(self.rest), false),
            Length::Chunked => {
                let (body, complete) = unchunk(self.rest);
                (Cow::Owned(body), complete)
            }
        }
    }
}

/// RFC 9112 §7.1, as far as it has arrived.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = take_line(&mut rest) else { return (body, false) };
        let digits: String =
            line.iter().take_while(|byte| byte.is_ascii_hexdigit()).map(|&b| b as char).collect();
        let Ok(size) = usize::from_str_radix(&digits, 16) else { return (body, true) };
        if size == 0 {
            return (body, true);
        }
        let here = size.min(rest.len());
        body.extend_from_slice(&rest[..here]);
        if here < size {
            return (body, false);
        }
        rest = &rest[here..];
        if take_line(&mut rest).is_none() {
            return (body, false);
        }
    }
}
