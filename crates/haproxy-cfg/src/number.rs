//! Numbers as HAProxy reads them: forgiving, and here with a warning where it forgives.

use std::time::Duration;

use conf::{Binder, Span, Unit, Word};

use crate::say::Complain;

/// The longest time, in milliseconds.
const MAX_MILLIS: u128 = 2_147_483_647;

/// Why a word is not a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotTime {
    /// This character does not belong there.
    Unexpected(char),
    /// Longer than 2,147,483,647 ms.
    Overflow,
}

/// A time, and the character after its unit if there is one (which HAProxy only warns about).
///
/// Fractions of a millisecond are rounded up.
pub(crate) fn time(text: &str, unit: Unit) -> Result<(Duration, Option<char>), NotTime> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let mut after = suffix.chars();
    let first = after.next();
    if number.is_empty() && first.is_some() {
        return Err(NotTime::Unexpected(first.unwrap_or(' ')));
    }
    // More digits than a u64 holds is more than the longest time, too.
    let number: u128 = if number.is_empty() { 0 } else { number.parse().unwrap_or(u128::MAX) };
    let micros: u128 = match first {
        None => match unit {
            Unit::Millis => 1_000,
            Unit::Seconds | Unit::Decimal => 1_000_000,
        },
        Some('u') if after.as_str().starts_with('s') => {
            after.next();
            1
        }
        Some('m') if after.as_str().starts_with('s') => {
            after.next();
            1_000
        }
        Some('s') => 1_000_000,
        Some('m') => 60_000_000,
        Some('h') => 3_600_000_000,
        Some('d') => 86_400_000_000,
        Some(c) => return Err(NotTime::Unexpected(c)),
    };
    let millis = number.saturating_mul(micros).div_ceil(1_000);
    if millis > MAX_MILLIS {
        return Err(NotTime::Overflow);
    }
    Ok((Duration::from_millis(millis as u64), after.next()))
}

/// A time or a complaint; `say` words the complaint about a character that does not belong there.
pub(crate) fn bind_time(
    b: &mut Binder,
    word: &Word,
    unit: Unit,
    name: &str,
    say: impl FnOnce(char) -> String,
) -> Option<Duration> {
    match time(&word.text, unit) {
        Ok((time, trailing)) => {
            if let Some(c) = trailing {
                b.warn(
                    word.span,
                    format!(
                        "unexpected character '{c}' after the timer value '{}', only (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be reported as an error in next versions.",
                        word.text
                    ),
                );
            }
            Some(time)
        }
        Err(NotTime::Unexpected(c)) => {
            let text = say(c);
            b.refuse(word.span, text).help =
                Some("write a whole number and one of the units us, ms, s, m, h, d".to_owned());
            None
        }
        Err(NotTime::Overflow) => {
            b.refuse(word.span, format!("timer overflow in argument '{}' to '{name}' (maximum value is 2147483647 ms or ~24.8 days)", word.text));
            None
        }
    }
}

/// The number a word begins with, as C's `atol` reads it: 0 where there is none.
pub(crate) fn leading(text: &str) -> (i64, bool) {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let len = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: i64 = if len == 0 { 0 } else { digits[..len].parse().unwrap_or(i64::MAX) };
    (sign * number, len > 0 && len == digits.len())
}

/// A number; HAProxy 2.6 takes what a word begins with, later versions refuse. Here: a warning.
pub(crate) fn integer(b: &mut Binder, keyword: &str, word: &Word) -> i64 {
    let (number, whole) = leading(&word.text);
    if !whole {
        b.warn(
            word.span,
            format!(
                "cannot parse '{keyword}' value '{}', an integer is expected. Taken as {number}.",
                word.text
            ),
        );
    }
    number
}

/// A limit: 0 and below is none.
pub(crate) fn limit(b: &mut Binder, keyword: &str, word: &Word) -> Option<u32> {
    let number = integer(b, keyword, word);
    u32::try_from(number).ok().filter(|n| *n > 0)
}

/// Complains about the word after the last one a keyword takes.
pub(crate) fn surplus(b: &mut Binder, keyword: &str, words: &[Word], most: usize) -> bool {
    let Some(word) = words.get(most) else { return false };
    unexpected(b, keyword, &word.text, word.span);
    true
}

/// `'x' cannot handle unexpected argument 'y'.`
pub(crate) fn unexpected(b: &mut Binder, keyword: &str, text: &str, span: Span) {
    b.refuse(span, format!("'{keyword}' cannot handle unexpected argument '{text}'.")).help =
        Some(format!("remove '{text}'"));
}
