//! Bytes that wait to be forwarded.

#![expect(clippy::ptr_arg, reason = "the type of a row's check")]

use super::{Call, Fetch};
use crate::arg::{Arg, Args, Kind};
use crate::scope::{Found, Waiting};
use crate::source::Source;
use crate::value::{Type, Value};

const REQUEST: Source = Source::REQUEST;
const RESPONSE: Source = Source::RESPONSE;
/// `payload` and `payload_lv` look at the answer where there is one.
const EITHER: Source = Source::REQUEST;
const RANGE: Args = Args::all(&[Kind::Int, Kind::Int]);
const PREFIXED: Args = Args::some(2, &[Kind::Int, Kind::Int, Kind::Str]);
const NAME: Args = Args::some(0, &[Kind::Str]);

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("req.len", Args::NONE, Type::Int, REQUEST, |c| length(c, c.scope.request))
        .doc("How many bytes of the client wait."),
    Fetch::new("req_len", Args::NONE, Type::Int, REQUEST, |c| length(c, c.scope.request))
        .doc("As `req.len`."),
    Fetch::new("res.len", Args::NONE, Type::Int, RESPONSE, |c| length(c, c.scope.response))
        .doc("How many bytes of the server wait."),
    Fetch::new("req.payload", RANGE, Type::Bin, REQUEST, |c| payload(c, c.scope.request))
        .check(range)
        .doc("So many bytes of the client from an offset; of length 0, all there are."),
    Fetch::new("res.payload", RANGE, Type::Bin, RESPONSE, |c| payload(c, c.scope.response))
        .check(range)
        .doc("So many bytes of the server from an offset; of length 0, all there are."),
    Fetch::new("payload", RANGE, Type::Bin, EITHER, |c| {
        payload(c, c.scope.response.or(c.scope.request))
    })
    .check(range)
    .doc("As `req.payload`; in the rules of an answer, as `res.payload`."),
    Fetch::new("req.payload_lv", PREFIXED, Type::Bin, REQUEST, |c| prefixed(c, c.scope.request))
        .check(prefix)
        .doc("As many bytes of the client as a number before them says."),
    Fetch::new("res.payload_lv", PREFIXED, Type::Bin, RESPONSE, |c| prefixed(c, c.scope.response))
        .check(prefix)
        .doc("As many bytes of the server as a number before them says."),
    Fetch::new("payload_lv", PREFIXED, Type::Bin, EITHER, |c| {
        prefixed(c, c.scope.response.or(c.scope.request))
    })
    .check(prefix)
    .doc("As `req.payload_lv`; in the rules of an answer, as `res.payload_lv`."),
    Fetch::new("req.proto_http", Args::NONE, Type::Bool, REQUEST, |c| proto_http(c))
        .doc("Whether the client speaks HTTP."),
    Fetch::new("req_proto_http", Args::NONE, Type::Bool, REQUEST, |c| proto_http(c))
        .doc("As `req.proto_http`."),
    Fetch::new("req.rdp_cookie", NAME, Type::Str, REQUEST, |c| rdp_cookie(c))
        .doc("The cookie at the beginning of a remote desktop session."),
    Fetch::new("rdp_cookie", NAME, Type::Str, REQUEST, |c| rdp_cookie(c))
        .doc("As `req.rdp_cookie`."),
    Fetch::new("req.rdp_cookie_cnt", NAME, Type::Int, REQUEST, |c| rdp_cookie_count(c))
        .doc("1 if there is such a cookie, else 0."),
    Fetch::new("rdp_cookie_cnt", NAME, Type::Int, REQUEST, |c| rdp_cookie_count(c))
        .doc("As `req.rdp_cookie_cnt`."),
];

/// What is said of bytes that may still grow.
pub(super) fn tentative<'a>(value: Value<'a>, waiting: Waiting<'_>) -> Found<'a> {
    if waiting.complete { Found::Value(value) } else { Found::Tentative(value) }
}

/// What is said where bytes are missing.
pub(super) fn missing<'a>(waiting: Waiting<'_>) -> Found<'a> {
    if waiting.complete { Found::Nothing } else { Found::NotYet }
}

fn length<'a>(_: &Call<'a, '_>, waiting: Option<Waiting<'a>>) -> Found<'a> {
    let Some(waiting) = waiting else { return Found::Nothing };
    let length = i64::try_from(waiting.bytes.len()).unwrap_or(i64::MAX);
    tentative(Value::Int(length), waiting)
}

fn number(c: &Call<'_, '_>, at: usize) -> usize {
    c.int(at).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

fn payload<'a>(c: &Call<'a, '_>, waiting: Option<Waiting<'a>>) -> Found<'a> {
    let Some(waiting) = waiting else { return Found::Nothing };
    let (offset, length) = (number(c, 0), number(c, 1));
    let end = if length == 0 { waiting.bytes.len() } else { offset.saturating_add(length) };
    match waiting.bytes.get(offset..end) {
        Some([]) | None => missing(waiting),
        Some(bytes) if length == 0 => tentative(Value::Bin(bytes.into()), waiting),
        Some(bytes) => Found::Value(Value::Bin(bytes.into())),
    }
}

fn prefixed<'a>(c: &Call<'a, '_>, waiting: Option<Waiting<'a>>) -> Found<'a> {
    let Some(waiting) = waiting else { return Found::Nothing };
    let (at, size) = (number(c, 0), number(c, 1));
    let Some(prefix) = waiting.bytes.get(at..at.saturating_add(size)) else {
        return missing(waiting);
    };
    let length = prefix.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let behind = at + size;
    let start = match c.word(2) {
        "" => Some(behind),
        relative if relative.starts_with(['+', '-']) => {
            relative.parse().ok().and_then(|by: isize| behind.checked_add_signed(by))
        }
        absolute => absolute.parse().ok(),
    };
    let Some(start) = start else { return Found::Nothing };
    if length == 0 {
        return Found::Nothing;
    }
    match waiting.bytes.get(start..start.saturating_add(length)) {
        Some(bytes) => Found::Value(Value::Bin(bytes.into())),
        None => missing(waiting),
    }
}

fn range(args: &mut Vec<Arg>) -> Result<(), String> {
    if args.iter().filter_map(Arg::int).any(i64::is_negative) {
        return Err("payload offset and length must not be negative".to_owned());
    }
    Ok(())
}

fn prefix(args: &mut Vec<Arg>) -> Result<(), String> {
    if args.iter().filter_map(Arg::int).any(i64::is_negative) {
        return Err("payload length offset1 must not be negative".to_owned());
    }
    if args.get(1).and_then(Arg::int) == Some(0) {
        return Err("payload length must be > 0".to_owned());
    }
    match args.get(2).and_then(Arg::text).map(String::from_utf8_lossy) {
        Some(text) if text.parse::<isize>().is_err() => {
            Err("payload offset2 is not a number".to_owned())
        }
        _ => Ok(()),
    }
}

/// A method, a target and a version: enough of a request line to know it for one.
fn proto_http<'a>(c: &Call<'a, '_>) -> Found<'a> {
    let Some(waiting) = c.scope.request else { return Found::Nothing };
    let bytes = waiting.bytes;
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    let rest = &bytes[start..];
    let Some(end) = rest.iter().position(|b| *b == b'\n') else {
        let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let method = rest.iter().take_while(|b| token(b)).count();
        let is_wrong = method < rest.len() && (method == 0 || rest[method] != b' ');
        return if is_wrong || waiting.complete {
            Found::Value(Value::Bool(false))
        } else {
            Found::NotYet
        };
    };
    let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
    let mut words = line.split(|b| *b == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let is_request = method.is_some_and(|m| !m.is_empty() && m.iter().all(u8::is_ascii_graphic))
        && target.is_some_and(|t| !t.is_empty())
        && version.is_some_and(|v| v.starts_with(b"HTTP/"))
        && words.next().is_none();
    Found::Value(Value::Bool(is_request))
}

/// `\x03\x00`, a length, X.224 and `Cookie: name=value\r\n`: MS-RDPBCGR 2.2.1.1.
fn cookie<'a>(c: &Call<'a, '_>, waiting: Waiting<'a>) -> Result<&'a [u8], Found<'a>> {
    let bytes = waiting.bytes;
    if bytes.len() <= 11 {
        return Err(missing(waiting));
    }
    let length = usize::from(bytes[4]);
    let is_rdp = bytes[0] == 3
        && bytes[1] == 0
        && usize::from(bytes[2]) << 8 | usize::from(bytes[3]) == length + 5
        && bytes[5] == 0xe0
        && bytes[6..10] == [0; 4];
    if !is_rdp || length < 7 {
        return Err(Found::Nothing);
    }
    if bytes.len() < length + 5 {
        return Err(missing(waiting));
    }
    let rest = &bytes[11..length + 5];
    let Some(rest) = rest
        .get(..8)
        .filter(|word| word.eq_ignore_ascii_case(b"Cookie: "))
        .and_then(|_| rest.get(8..))
    else {
        return Err(Found::Nothing);
    };
    let Some(at) = rest.iter().position(|b| *b == b'=') else { return Err(Found::Nothing) };
    let (name, value) = (&rest[..at], &rest[at + 1..]);
    if c.text(0).is_some_and(|wanted| !name.eq_ignore_ascii_case(wanted)) {
        return Err(Found::Nothing);
    }
    let end = value.iter().position(|b| matches!(b, b'\r' | b'\n')).ok_or(Found::Nothing)?;
    Ok(&value[..end])
}

fn rdp_cookie<'a>(c: &Call<'a, '_>) -> Found<'a> {
    let Some(waiting) = c.scope.request else { return Found::Nothing };
    match cookie(c, waiting) {
        Ok(value) => Found::Value(Value::Str(value.into())),
        Err(found) => found,
    }
}

fn rdp_cookie_count<'a>(c: &Call<'a, '_>) -> Found<'a> {
    let Some(waiting) = c.scope.request else { return Found::Nothing };
    match cookie(c, waiting) {
        Ok(_) => Found::Value(Value::Int(1)),
        Err(Found::NotYet) => Found::NotYet,
        Err(_) => Found::Value(Value::Int(0)),
    }
}
