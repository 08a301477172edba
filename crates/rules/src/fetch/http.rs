//! HTTP: the parts of requests and answers. In a tcp proxy a request is looked for in the client's
//! first bytes.

use http::{Headers, Request, Response};

use super::{Call, Fetch, Keyword};
use crate::arg::{Arg, Args, Kind};
use crate::pattern::Match;
use crate::scope::Found;
use crate::source::Source;
use crate::value::{Type, Value};

/// What is there while the request is.
const REQUEST: Source = Source::HTTP_REQUEST;
/// What is kept of it until the log line is written.
const KEPT_REQUEST: Source = Source::HTTP_REQUEST_KEPT;
const RESPONSE: Source = Source::HTTP_RESPONSE;
/// `hdr` and its like mean the answer where there is one.
const EITHER: Source = Source::HTTP_REQUEST.or(Source::HTTP_RESPONSE);
const KEPT_RESPONSE: Source = Source::HTTP_RESPONSE_KEPT;

const NONE: Args = Args::NONE;
/// A name and which of its fields.
const FIELD: Args = Args::some(0, &[Kind::Str, Kind::Int]);
const NAME: Args = Args::some(0, &[Kind::Str]);
const DELIMITED: Args = Args::some(0, &[Kind::Str, Kind::Str]);
const SLOT: Args = Args::all(&[Kind::Int]);

type Out = Option<Value<'static>>;

fn text(bytes: impl Into<Vec<u8>>) -> Out {
    Some(Value::Str(bytes.into().into()))
}

fn int(number: usize) -> Out {
    i64::try_from(number).ok().map(Value::Int)
}

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("method", NONE, Type::Str, KEPT_REQUEST, |c| {
        of(c, |r, _| text(r.method.as_bytes()))
    })
    .doc("The request's method."),
    Fetch::new("path", NONE, Type::Str, REQUEST, |c| of(c, |r, _| text(r.path()?)))
        .doc("The request's path, without its query."),
    Fetch::new("pathq", NONE, Type::Str, REQUEST, |c| of(c, |r, _| text(r.path_and_query()?)))
        .doc("The request's path with its query."),
    Fetch::new("query", NONE, Type::Str, REQUEST, |c| of(c, |r, _| text(r.query())))
        .doc("What stands behind `?` in the request's target."),
    Fetch::new("url", NONE, Type::Str, REQUEST, |c| of(c, |r, _| text(&r.target[..])))
        .doc("The request's target."),
    Fetch::new("base", NONE, Type::Str, REQUEST, |c| of(c, |r, _| text(base(r, false)?)))
        .doc("The request's host and path."),
    Fetch::new("baseq", NONE, Type::Str, REQUEST, |c| of(c, |r, _| text(base(r, true)?)))
        .doc("The request's host and path, with its query."),
    Fetch::new("base32", NONE, Type::Int, REQUEST, |c| {
        of(c, |r, _| hash(&base(r, false).or_else(|| r.path().map(<[u8]>::to_vec))?))
    })
    .doc("A hash of the request's host and path."),
    Fetch::new("url32", NONE, Type::Int, REQUEST, |c| {
        of(c, |r, _| {
            let host = r.headers.get("host").unwrap_or_default();
            hash(&[host, r.path_and_query().unwrap_or_default()].concat())
        })
    })
    .doc("A hash of the request's host, path and query."),
    Fetch::new("req.ver", NONE, Type::Str, KEPT_REQUEST, |c| {
        of(c, |r, _| text(r.version.number()))
    })
    .doc("The request's version: `1.0` or `1.1`."),
    Fetch::new("req_ver", NONE, Type::Str, KEPT_REQUEST, |c| {
        of(c, |r, _| text(r.version.number()))
    })
    .doc("As `req.ver`."),
    Fetch::new("req.hdr", FIELD, Type::Str, REQUEST, |c| of(c, |r, c| element(&r.headers, c)))
        .each()
        .doc("An element of a request header: the last one, or the one a number says."),
    Fetch::new("hdr", FIELD, Type::Str, EITHER, |c| either(c, element)).each().doc("As `req.hdr`."),
    Fetch::new("req.fhdr", FIELD, Type::Str, REQUEST, |c| of(c, |r, c| line(&r.headers, c)))
        .each()
        .doc("A whole request header: the last one, or the one a number says."),
    Fetch::new("req.hdr_cnt", NAME, Type::Int, REQUEST, |c| of(c, |r, c| elements(&r.headers, c)))
        .doc("How many elements request headers of a name have."),
    Fetch::new("hdr_cnt", NAME, Type::Int, EITHER, |c| either(c, elements))
        .doc("As `req.hdr_cnt`."),
    Fetch::new("req.fhdr_cnt", NAME, Type::Int, REQUEST, |c| of(c, |r, c| lines(&r.headers, c)))
        .doc("How many request headers of a name there are."),
    Fetch::new("req.hdr_val", FIELD, Type::Int, REQUEST, |c| of(c, |r, c| number(&r.headers, c)))
        .each()
        .doc("An element of a request header as a number."),
    Fetch::new("hdr_val", FIELD, Type::Int, EITHER, |c| either(c, number))
        .each()
        .doc("As `req.hdr_val`."),
    Fetch::new("req.hdr_ip", FIELD, Type::Addr, REQUEST, |c| of(c, |r, c| address(&r.headers, c)))
        .each()
        .doc("An element of a request header as an address."),
    Fetch::new("hdr_ip", FIELD, Type::Addr, EITHER, |c| either(c, address))
        .each()
        .doc("As `req.hdr_ip`."),
    Fetch::new("req.hdr_names", NAME, Type::Str, REQUEST, |c| of(c, |r, c| names(&r.headers, c)))
        .doc("The names of all request headers."),
    Fetch::new("req.hdrs", NONE, Type::Str, REQUEST, |c| of(c, |r, _| all(&r.headers)))
        .doc("All request headers as they are sent."),
    Fetch::new("req.cook", NAME, Type::Str, REQUEST, |c| of(c, |r, c| cookie(r, c)))
        .each()
        .doc("A cookie of the request."),
    Fetch::new("cook", NAME, Type::Str, REQUEST, |c| of(c, |r, c| cookie(r, c)))
        .each()
        .doc("As `req.cook`."),
    Fetch::new("req.cook_cnt", NAME, Type::Int, REQUEST, |c| {
        of(c, |r, c| int(cookies(&r.headers, "cookie", c.text(0)).len()))
    })
    .doc("How many cookies of a name the request has."),
    Fetch::new("cook_cnt", NAME, Type::Int, REQUEST, |c| {
        of(c, |r, c| int(cookies(&r.headers, "cookie", c.text(0)).len()))
    })
    .doc("As `req.cook_cnt`."),
    Fetch::new("req.cook_val", NAME, Type::Int, REQUEST, |c| {
        of(c, |r, c| cookie(r, c)?.cast(Type::Int))
    })
    .doc("A cookie of the request as a number."),
    Fetch::new("cook_val", NAME, Type::Int, REQUEST, |c| {
        of(c, |r, c| cookie(r, c)?.cast(Type::Int))
    })
    .doc("As `req.cook_val`."),
    Fetch::new("urlp", DELIMITED, Type::Str, REQUEST, |c| of(c, parameter))
        .each()
        .doc("A parameter of the request's query."),
    Fetch::new("url_param", DELIMITED, Type::Str, REQUEST, |c| of(c, parameter))
        .each()
        .doc("As `urlp`."),
    Fetch::new("urlp_val", DELIMITED, Type::Int, REQUEST, |c| {
        of(c, |r, c| parameter(r, c)?.cast(Type::Int))
    })
    .doc("A parameter of the request's query as a number."),
    Fetch::new("http_auth", Args::all(&[Kind::Users]), Type::Bool, REQUEST, |c| {
        of(c, |r, c| {
            let groups = credentials(r).and_then(|(user, password)| {
                let Some(Arg::Users(users)) = c.args.first() else { return None };
                users.groups(&user, &password)
            });
            Some(Value::Bool(groups.is_some()))
        })
    })
    .doc("Whether the request says the password of a user of a `userlist`."),
    Fetch::new("http_auth_group", Args::all(&[Kind::Users]), Type::Str, REQUEST, |c| {
        of(c, |r, c| {
            let (user, password) = credentials(r)?;
            let Some(Arg::Users(users)) = c.args.first() else { return None };
            let groups = users.groups(&user, &password)?;
            groups.get(c.scope.nth.unwrap_or(0)).and_then(|group| text(group.as_bytes()))
        })
    })
    .each()
    .doc("A group of the user whose password the request says."),
    Fetch::new("http_auth_user", NONE, Type::Str, REQUEST, |c| {
        of(c, |r, _| text(credentials(r)?.0))
    })
    .doc("The user of the request's credentials."),
    Fetch::new("http_auth_pass", NONE, Type::Str, REQUEST, |c| {
        of(c, |r, _| text(credentials(r)?.1))
    })
    .doc("The password of the request's credentials."),
    Fetch::new("http_auth_type", NONE, Type::Str, REQUEST, |c| {
        of(c, |r, _| text(r.headers.get("authorization")?.split(|b| *b == b' ').next()?))
    })
    .doc("The scheme of the request's credentials."),
    Fetch::new("http_auth_bearer", NAME, Type::Str, REQUEST, |c| {
        of(c, |r, c| {
            let field = if c.word(0).is_empty() { "authorization" } else { c.word(0) };
            let (scheme, token) = r.headers.get(field)?.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| text(token.trim_ascii()))?
        })
    })
    .doc("The token of the request's credentials."),
    Fetch::new("capture.req.method", NONE, Type::Str, KEPT_REQUEST, |c| {
        of(c, |r, _| text(r.method.as_bytes()))
    })
    .doc("As `method`."),
    Fetch::new("capture.req.uri", NONE, Type::Str, KEPT_REQUEST, |c| {
        of(c, |r, _| text(&r.target[..]))
    })
    .doc("The request's target, for log lines."),
    Fetch::new("capture.req.ver", NONE, Type::Str, KEPT_REQUEST, |c| {
        of(c, |r, _| text(r.version.name()))
    })
    .doc("The request's version: `HTTP/1.1`."),
    Fetch::new("status", NONE, Type::Int, KEPT_RESPONSE, |c| {
        answer(c, |r, _| int(r.status.into()))
    })
    .doc("The answer's status."),
    Fetch::new("txn.status", NONE, Type::Int, KEPT_RESPONSE, |c| {
        answer(c, |r, _| int(r.status.into()))
    })
    .doc("The status the client gets."),
    Fetch::new("res.ver", NONE, Type::Str, KEPT_RESPONSE, |c| {
        answer(c, |r, _| text(r.version.number()))
    })
    .doc("The answer's version: `1.0` or `1.1`."),
    Fetch::new("resp_ver", NONE, Type::Str, KEPT_RESPONSE, |c| {
        answer(c, |r, _| text(r.version.number()))
    })
    .doc("As `res.ver`."),
    Fetch::new("capture.res.ver", NONE, Type::Str, KEPT_RESPONSE, |c| {
        answer(c, |r, _| text(r.version.name()))
    })
    .doc("The answer's version: `HTTP/1.1`."),
    Fetch::new("res.hdr", FIELD, Type::Str, RESPONSE, |c| answer(c, |r, c| element(&r.headers, c)))
        .each()
        .doc("An element of an answer's header: the last one, or the one a number says."),
    Fetch::new("shdr", FIELD, Type::Str, RESPONSE, |c| answer(c, |r, c| element(&r.headers, c)))
        .each()
        .doc("As `res.hdr`."),
    Fetch::new("res.fhdr", FIELD, Type::Str, RESPONSE, |c| answer(c, |r, c| line(&r.headers, c)))
        .each()
        .doc("A whole header of the answer: the last one, or the one a number says."),
    Fetch::new("res.hdr_cnt", NAME, Type::Int, RESPONSE, |c| {
        answer(c, |r, c| elements(&r.headers, c))
    })
    .doc("How many elements headers of the answer of a name have."),
    Fetch::new("shdr_cnt", NAME, Type::Int, RESPONSE, |c| {
        answer(c, |r, c| elements(&r.headers, c))
    })
    .doc("As `res.hdr_cnt`."),
    Fetch::new("res.fhdr_cnt", NAME, Type::Int, RESPONSE, |c| {
        answer(c, |r, c| lines(&r.headers, c))
    })
    .doc("How many headers of a name the answer has."),
    Fetch::new("res.hdr_val", FIELD, Type::Int, RESPONSE, |c| {
        answer(c, |r, c| number(&r.headers, c))
    })
    .each()
    .doc("An element of an answer's header as a number."),
    Fetch::new("shdr_val", FIELD, Type::Int, RESPONSE, |c| answer(c, |r, c| number(&r.headers, c)))
        .each()
        .doc("As `res.hdr_val`."),
    Fetch::new("res.hdr_ip", FIELD, Type::Addr, RESPONSE, |c| {
        answer(c, |r, c| address(&r.headers, c))
    })
    .each()
    .doc("An element of an answer's header as an address."),
    Fetch::new("shdr_ip", FIELD, Type::Addr, RESPONSE, |c| {
        answer(c, |r, c| address(&r.headers, c))
    })
    .each()
    .doc("As `res.hdr_ip`."),
    Fetch::new("res.hdr_names", NAME, Type::Str, RESPONSE, |c| {
        answer(c, |r, c| names(&r.headers, c))
    })
    .doc("The names of all headers of the answer."),
    Fetch::new("res.hdrs", NONE, Type::Str, RESPONSE, |c| answer(c, |r, _| all(&r.headers)))
        .doc("All headers of the answer as they are sent."),
    Fetch::new("res.cook", NAME, Type::Str, RESPONSE, |c| answer(c, set_cookie))
        .doc("A cookie the answer sets."),
    Fetch::new("scook", NAME, Type::Str, RESPONSE, |c| answer(c, set_cookie)).doc("As `res.cook`."),
    Fetch::new("res.cook_cnt", NAME, Type::Int, RESPONSE, |c| {
        answer(c, |r, c| int(cookies(&r.headers, "set-cookie", c.text(0)).len()))
    })
    .doc("How many cookies of a name the answer sets."),
    Fetch::new("capture.res.hdr", SLOT, Type::Str, KEPT_RESPONSE, |c| {
        let slot = c.int(0).and_then(|slot| usize::try_from(slot).ok());
        let kept = slot.and_then(|slot| c.record.response_captures.get(slot)?.clone());
        Found::of(kept.map(|kept| Value::Str(kept.into_vec().into())))
    })
    .doc("What a `capture response` slot keeps."),
];

/// Names only ACLs have: a fetch and a method.
pub(super) const KEYWORDS: &[Keyword] = &{
    use Match::{Begin, Dir, Domain, End, Int, Ip, Len, Regex, Str, Sub};
    const fn row(name: &'static str, fetch: &'static str, matched: Match) -> Keyword {
        Keyword { name, fetch, matched }
    }
    [
        row("base_beg", "base", Begin),
        row("base_dir", "base", Dir),
        row("base_dom", "base", Domain),
        row("base_end", "base", End),
        row("base_len", "base", Len),
        row("base_reg", "base", Regex),
        row("base_sub", "base", Sub),
        row("cook_beg", "req.cook", Begin),
        row("cook_dir", "req.cook", Dir),
        row("cook_dom", "req.cook", Domain),
        row("cook_end", "req.cook", End),
        row("cook_len", "req.cook", Len),
        row("cook_reg", "req.cook", Regex),
        row("cook_sub", "req.cook", Sub),
        row("hdr_beg", "hdr", Begin),
        row("hdr_dir", "hdr", Dir),
        row("hdr_dom", "hdr", Domain),
        row("hdr_end", "hdr", End),
        row("hdr_len", "hdr", Len),
        row("hdr_reg", "hdr", Regex),
        row("hdr_sub", "hdr", Sub),
        row("hdr_ip", "hdr_ip", Ip),
        row("hdr_val", "hdr_val", Int),
        row("path_beg", "path", Begin),
        row("path_dir", "path", Dir),
        row("path_dom", "path", Domain),
        row("path_end", "path", End),
        row("path_len", "path", Len),
        row("path_reg", "path", Regex),
        row("path_sub", "path", Sub),
        row("resp_ver", "res.ver", Str),
        row("shdr_beg", "shdr", Begin),
        row("shdr_dir", "shdr", Dir),
        row("shdr_dom", "shdr", Domain),
        row("shdr_end", "shdr", End),
        row("shdr_len", "shdr", Len),
        row("shdr_reg", "shdr", Regex),
        row("shdr_sub", "shdr", Sub),
        row("scook_beg", "scook", Begin),
        row("scook_dir", "scook", Dir),
        row("scook_dom", "scook", Domain),
        row("scook_end", "scook", End),
        row("scook_len", "scook", Len),
        row("scook_reg", "scook", Regex),
        row("scook_sub", "scook", Sub),
        row("url_beg", "url", Begin),
        row("url_dir", "url", Dir),
        row("url_dom", "url", Domain),
        row("url_end", "url", End),
        row("url_len", "url", Len),
        row("url_reg", "url", Regex),
        row("url_sub", "url", Sub),
        row("urlp_beg", "urlp", Begin),
        row("urlp_dir", "urlp", Dir),
        row("urlp_dom", "urlp", Domain),
        row("urlp_end", "urlp", End),
        row("urlp_len", "urlp", Len),
        row("urlp_reg", "urlp", Regex),
        row("urlp_sub", "urlp", Sub),
    ]
};

/// Looks at the request: that of the exchange, or the one the client's first bytes are.
fn of<'a>(c: &Call<'a, '_>, find: impl Fn(&Request, &Call<'a, '_>) -> Out) -> Found<'a> {
    if let Some(request) = c.scope.http.and_then(|exchange| exchange.request) {
        return Found::of(find(request, c));
    }
    let Some(waiting) = c.scope.request else { return Found::Nothing };
    match Request::parse(waiting.bytes) {
        Ok(Some((request, _))) => Found::of(find(&request, c)),
        Ok(None) if !waiting.complete => Found::NotYet,
        Ok(None) | Err(_) => Found::Nothing,
    }
}

fn either<'a>(c: &Call<'a, '_>, find: impl Fn(&Headers, &Call<'a, '_>) -> Out) -> Found<'a> {
    if c.scope.http.is_some_and(|exchange| exchange.response.is_some()) {
        return answer(c, |response, c| find(&response.headers, c));
    }
    of(c, |request, c| find(&request.headers, c))
}

fn answer<'a>(c: &Call<'a, '_>, find: impl Fn(&Response, &Call<'a, '_>) -> Out) -> Found<'a> {
    let response = c.scope.http.and_then(|exchange| exchange.response);
    Found::of(response.and_then(|response| find(response, c)))
}

/// Which of several is meant: the one a number says, from the end if it is negative; the one an ACL
/// asks for; else the last.
fn pick<'h>(mut values: Vec<&'h [u8]>, c: &Call<'_, '_>) -> Option<&'h [u8]> {
    let at = match (c.int(1), c.scope.nth) {
        (Some(which @ 1..), None) => usize::try_from(which - 1).ok()?,
        (Some(which @ ..0), None) => values.len().checked_sub(usize::try_from(-which).ok()?)?,
        (Some(_), Some(1..)) => return None,
        (Some(which), Some(0)) => match which {
            1.. => usize::try_from(which - 1).ok()?,
            0 => 0,
            _ => values.len().checked_sub(usize::try_from(-which).ok()?)?,
        },
        (None, Some(nth)) => nth,
        (Some(0) | None, None) => values.len().checked_sub(1)?,
    };
    (at < values.len()).then(|| values.swap_remove(at))
}

/// The fields that are meant: of a name, or all.
fn fields<'h>(headers: &'h Headers, c: &Call<'_, '_>) -> impl Iterator<Item = &'h [u8]> {
    let name = c.word(0).to_owned();
    let meant = move |known: &str| name.is_empty() || known.eq_ignore_ascii_case(&name);
    headers.iter().filter(move |(known, _)| meant(known)).map(|(_, value)| value)
}

fn split<'h>(headers: &'h Headers, c: &Call<'_, '_>) -> Vec<&'h [u8]> {
    fields(headers, c).flat_map(http::elements).collect()
}

fn element(headers: &Headers, c: &Call<'_, '_>) -> Out {
    text(pick(split(headers, c), c)?)
}

fn line(headers: &Headers, c: &Call<'_, '_>) -> Out {
    text(pick(fields(headers, c).collect(), c)?)
}

fn elements(headers: &Headers, c: &Call<'_, '_>) -> Out {
    int(split(headers, c).len())
}

fn lines(headers: &Headers, c: &Call<'_, '_>) -> Out {
    int(fields(headers, c).count())
}

fn number(headers: &Headers, c: &Call<'_, '_>) -> Out {
    element(headers, c)?.cast(Type::Int)
}

/// An address, with or without a port behind it.
fn address(headers: &Headers, c: &Call<'_, '_>) -> Out {
    let found = pick(split(headers, c), c)?;
    let text = std::str::from_utf8(found).ok()?;
    let ip = text.parse().ok().or_else(|| {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.ip())
            .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
    })?;
    Some(Value::Ip(ip))
}

fn names(headers: &Headers, c: &Call<'_, '_>) -> Out {
    let between = c.text(0).filter(|text| !text.is_empty()).unwrap_or(b",");
    let names: Vec<&[u8]> = headers.iter().map(|(name, _)| name.as_bytes()).collect();
    text(names.join(between))
}

fn all(headers: &Headers) -> Out {
    let mut out = Vec::new();
    headers.write(&mut out);
    out.extend_from_slice(b"\r\n");
    text(out)
}

/// Host and path, if there is a host.
fn base(request: &Request, query: bool) -> Option<Vec<u8>> {
    let host = request.headers.get("host").or_else(|| request.authority())?;
    let path = if query { request.path_and_query() } else { request.path() };
    Some([host, path.filter(|path| path.starts_with(b"/")).unwrap_or_default()].concat())
}

fn hash(bytes: &[u8]) -> Out {
    let hash = balance::HashFunction::Sdbm.of(bytes);
    Some(Value::Int(balance::hash::avalanche(hash).into()))
}

fn credentials(request: &Request) -> Option<(Vec<u8>, Vec<u8>)> {
    crate::users::basic(request.headers.get("authorization")?)
}

/// The values of cookies of a name, or of all.
fn cookies<'h>(headers: &'h Headers, field: &'h str, name: Option<&[u8]>) -> Vec<&'h [u8]> {
    let mut found = Vec::new();
    for value in headers.all(field) {
        // What the answer sets is one cookie; what stands behind it says how long it lives.
        let most = if field == "set-cookie" { 1 } else { usize::MAX };
        for pair in value.split(|byte| *byte == b';').take(most) {
            let Some(at) = pair.iter().position(|byte| *byte == b'=') else { continue };
            let (known, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
            if name.is_none_or(|name| name.is_empty() || name == known) {
                found.push(value);
            }
        }
    }
    found
}

fn cookie(request: &Request, c: &Call<'_, '_>) -> Out {
    let found = cookies(&request.headers, "cookie", c.text(0));
    text(*found.get(c.scope.nth.unwrap_or(0))?)
}

fn set_cookie(response: &Response, c: &Call<'_, '_>) -> Out {
    text(*cookies(&response.headers, "set-cookie", c.text(0)).first()?)
}

/// A parameter behind `?`, or another delimiter.
fn parameter(request: &Request, c: &Call<'_, '_>) -> Out {
    let delimiter = c.text(1).and_then(|text| text.first().copied()).unwrap_or(b'?');
    let all = request.path_and_query()?;
    let start = all.iter().position(|byte| *byte == delimiter)? + 1;
    let mut found = Vec::new();
    for pair in all[start..].split(|byte| matches!(byte, b'&' | b';')) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = pair.get(at + 1..).unwrap_or_default();
        if c.text(0).is_none_or(|name| name.is_empty() || name == &pair[..at]) {
            found.push(value);
        }
    }
    text(*found.get(c.scope.nth.unwrap_or(0))?)
}
