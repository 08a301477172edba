//! Numbers with units, shared by the dialects.

use std::time::Duration;

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char, digit0, u64};
use nom::combinator::{all_consuming, opt, value};
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

use crate::keyword::Unit;

/// `250`, `250ms`, `10s`, `3m`: an integer whose bare form has the keyword's own unit.
///
/// HAProxy's times (configuration manual, section 2.5). `None` for anything else, and beyond
/// what 64 bits of nanoseconds hold.
pub fn time(text: &str, unit: Unit) -> Option<Duration> {
    let (_, (whole, suffix)) =
        all_consuming(pair(u64::<_, Error<'_>>, opt(suffix))).parse(text).ok()?;
    Some(Duration::from_nanos(whole.checked_mul(suffix.unwrap_or(unit.nanos()))?))
}

/// `1`, `0.5`, `.25`: seconds with a fraction, to the microsecond (keepalived's timers).
pub fn decimal_seconds(text: &str) -> Option<Duration> {
    let point = preceded(char::<_, Error<'_>>('.'), digit0);
    let (_, (whole, fraction)) = all_consuming(pair(digit0, opt(point))).parse(text).ok()?;
    let digits = fraction.unwrap_or("");
    if whole.is_empty() && digits.is_empty() {
        return None;
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let micros = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    seconds.checked_mul(1_000_000)?.checked_add(micros).map(Duration::from_micros)
}

/// `16k`, `1M`, `2g`: bytes, with binary multiples in either case.
pub fn size(text: &str) -> Option<u64> {
    let scale = alt((
        value(10, alt((char::<_, Error<'_>>('k'), char('K')))),
        value(20, alt((char('m'), char('M')))),
        value(30, alt((char('g'), char('G')))),
    ));
    let (_, (number, shift)) = all_consuming(pair(u64, opt(scale))).parse(text).ok()?;
    number.checked_mul(1 << shift.unwrap_or(0))
}

type Error<'a> = nom::error::Error<&'a str>;

fn suffix(i: &str) -> IResult<&str, u64> {
    alt((
        value(1_000, tag("us")),
        value(1_000_000, tag("ms")),
        value(1_000_000_000, tag("s")),
        value(60 * 1_000_000_000, tag("m")),
        value(3_600 * 1_000_000_000, tag("h")),
        value(86_400 * 1_000_000_000, tag("d")),
    ))
    .parse(i)
}
