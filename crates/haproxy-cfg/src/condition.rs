//! `.if` and `-cc`: predicates joined by `!`, `&&`, `||` and parentheses.

use std::cmp::Ordering;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while1};
use nom::character::complete::{char, digit1, space0};
use nom::combinator::{map, opt};
use nom::multi::{fold_many0, many0_count, separated_list0};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use crate::VERSION;
use crate::context::Env;

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 32;

/// What `feature(NAME)` says yes to.
pub const FEATURES: &[&str] = &[
    "ACCEPT4",
    "EPOLL",
    "GETADDRINFO",
    "LINUX_SPLICE",
    "PRCTL",
    "PROMEX",
    "SYSTEMD",
    "TFO",
    "THREAD",
    "TPROXY",
];

/// Evaluates a condition.
///
/// # Errors
/// The part that cannot be read; or, for a predicate that is known and not built, its name.
pub(crate) fn evaluate(text: &str, env: &Env) -> Result<bool, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(false);
    }
    match any(text, env, 0) {
        Ok((rest, value)) if rest.trim().is_empty() => Ok(value),
        Ok((rest, _)) => Err(rest.to_owned()),
        Err(_) => Err(text.to_owned()),
    }
}

fn blank<'a, O>(
    inner: impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>> {
    delimited(space0, inner, space0)
}

/// `a || b`: binds least.
fn any<'a>(i: &'a str, env: &Env, depth: usize) -> IResult<&'a str, bool> {
    let (i, first) = all(i, env, depth)?;
    fold_many0(preceded(blank(tag("||")), |i| all(i, env, depth)), || first, |sum, next| sum | next)
        .parse(i)
}

/// `a && b`.
fn all<'a>(i: &'a str, env: &Env, depth: usize) -> IResult<&'a str, bool> {
    let (i, first) = term(i, env, depth)?;
    fold_many0(
        preceded(blank(tag("&&")), |i| term(i, env, depth)),
        || first,
        |product, next| product & next,
    )
    .parse(i)
}

/// `!term`, `(…)`, a number or a predicate.
fn term<'a>(i: &'a str, env: &Env, depth: usize) -> IResult<&'a str, bool> {
    let (i, negations) = many0_count(blank(char('!'))).parse(i)?;
    let group = |i| {
        if depth >= MAX_DEPTH {
            return nom::combinator::fail().parse(i);
        }
        delimited(char('('), blank(|i| any(i, env, depth + 1)), char(')')).parse(i)
    };
    let number =
        map((opt(char('-')), digit1), |(_, digits): (_, &str)| digits.bytes().any(|b| b != b'0'));
    let (i, value) = preceded(space0, alt((group, number, |i| predicate(i, env)))).parse(i)?;
    Ok((i, value ^ (negations % 2 == 1)))
}

/// `name(argument,argument)`.
fn predicate<'a>(i: &'a str, env: &Env) -> IResult<&'a str, bool> {
    let argument = take_till(|c| matches!(c, ',' | ')'));
    let arguments = delimited(char('('), separated_list0(char(','), argument), char(')'));
    let name = take_while1(|c: char| c.is_ascii_lowercase() || c == '_');
    let (rest, (name, arguments)) = (name, arguments).parse(i)?;
    let one = |test: &dyn Fn(&str) -> bool| (arguments.len() == 1).then(|| test(arguments[0]));
    let two = |test: &dyn Fn(&str, &str) -> bool| {
        (arguments.len() == 2).then(|| test(arguments[0], arguments[1]))
    };
    let value = match name {
        "defined" => one(&|a| env.contains_key(a)),
        "feature" => one(&|a| FEATURES.contains(&a)),
        "enabled" => one(&|a| matches!(a, "EPOLL" | "GETADDRINFO" | "REUSEPORT" | "SPLICE")),
        "streq" => two(&|a, b| a == b),
        "strneq" => two(&|a, b| a != b),
        "strstr" => two(&|a, b| a.contains(b)),
        "version_atleast" => one(&|a| compare(VERSION, a) != Ordering::Less),
        "version_before" => one(&|a| compare(VERSION, a) == Ordering::Less),
        // There is no OpenSSL here: no version of it is new enough, and none is old.
        "openssl_version_atleast"
        | "openssl_version_before"
        | "ssllib_name_startswith"
        | "awslc_api_atleast"
        | "awslc_api_before" => one(&|_| false),
        "fips_mode" => Some(false),
        _ => None,
    };
    match value {
        Some(value) => Ok((rest, value)),
        None => nom::combinator::fail().parse(i),
    }
}

/// Compares versions number by number; `-dev4` is before its release.
fn compare(ours: &str, theirs: &str) -> Ordering {
    let key = |version: &str| {
        let version = version.trim().trim_start_matches('v');
        let (numbers, suffix) = version.split_once('-').unwrap_or((version, ""));
        let mut parts: Vec<u32> = numbers.split('.').map(|p| p.parse().unwrap_or(0)).collect();
        parts.resize(3, 0);
        let dev: Option<u32> = suffix.strip_prefix("dev").and_then(|d| d.parse().ok());
        (parts, dev.is_none(), dev)
    };
    key(ours).cmp(&key(theirs))
}
