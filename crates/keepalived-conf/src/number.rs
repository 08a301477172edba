//! Numbers as keepalived reads them, with its complaints.

use std::ops::RangeInclusive;
use std::time::Duration;

use nom::Parser;
use nom::character::complete::{char, digit0, digit1};
use nom::combinator::{all_consuming, opt};
use nom::sequence::{pair, preceded};

type Error<'a> = nom::error::Error<&'a str>;

/// A number without a sign, or the complaint.
pub(crate) fn unsigned(word: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    if word.starts_with('-') {
        return Err(format!("negative number '{word}'"));
    }
    let number = signed_digits(word).ok_or_else(|| format!("invalid number '{word}'"))?;
    u32::try_from(number).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        format!("number '{word}' outside range [{}, {}]", range.start(), range.end())
    })
}

/// A number with or without a sign, or the complaint.
pub(crate) fn signed(word: &str, range: RangeInclusive<i16>) -> Result<i16, String> {
    let number = signed_digits(word).ok_or_else(|| format!("invalid number '{word}'"))?;
    i16::try_from(number).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        format!("number '{word}' outside range [{}, {}]", range.start(), range.end())
    })
}

/// Digits behind at most one sign; beyond 64 bits the largest number there is.
fn signed_digits(word: &str) -> Option<i64> {
    let sign = opt(nom::character::complete::one_of::<_, _, Error<'_>>("+-"));
    let (_, (sign, digits)) = all_consuming(pair(sign, digit1)).parse(word).ok()?;
    let number = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if sign == Some('-') { -number } else { number })
}

/// Seconds with a fraction, to the microsecond; the range is in microseconds. More than six
/// decimals are rounded, which is the complaint beside a value.
pub(crate) fn decimal(
    word: &str,
    range: RangeInclusive<u64>,
) -> (Option<Duration>, Option<String>) {
    if word.starts_with('-') {
        return (None, Some(format!("negative number '{word}'")));
    }
    let fraction = opt(preceded(char::<_, Error<'_>>('.'), digit0));
    let parsed =
        all_consuming(pair(digit0, fraction)).parse(word.strip_prefix('+').unwrap_or(word));
    let Some((whole, fraction)) = parsed.ok().map(|(_, parts)| parts) else {
        return (None, Some(format!("invalid number '{word}'")));
    };
    let fraction: &str = fraction.unwrap_or("");
    if whole.is_empty() && fraction.is_empty() {
        return (None, Some(format!("invalid number '{word}'")));
    }
    let digit = |index: usize| u64::from(fraction.as_bytes().get(index).map_or(0, |d| d - b'0'));
    let micros = (0..6).fold(0, |sum, index| sum * 10 + digit(index)) + u64::from(digit(6) >= 5);
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().unwrap_or(u64::MAX) };
    let micros = whole.saturating_mul(1_000_000).saturating_add(micros);
    if !range.contains(&micros) {
        let shown = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let (low, high) = (shown(*range.start()), shown(*range.end()));
        return (None, Some(format!("number '{word}' outside range [{low}, {high}]")));
    }
    let rounded = fraction.len() > 6;
    let said = rounded.then(|| format!("number '{word}' has too many decimal places"));
    (Some(Duration::from_micros(micros)), said)
}

/// `on`, `true`, `yes` and their opposites, in any case.
pub(crate) fn boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}
