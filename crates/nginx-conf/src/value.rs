//! Values as nginx writes them: flags, numbers, sizes, times.

use std::time::Duration;

use conf::{Binder, Problem, Word};

/// `on` or `off`, in any case.
pub(crate) fn flag(slot: &mut Option<bool>, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    match word.text.to_ascii_lowercase().as_str() {
        "on" => *slot = Some(true),
        "off" => *slot = Some(false),
        _ => {
            let (keyword, word_text) = ("", word.text.clone());
            let of = &["on", "off"];
            b.error(word.span, Problem::NotOneOf { keyword, of, word: word_text });
        }
    }
}

/// A number without sign.
pub(crate) fn number(slot: &mut Option<u32>, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    match digits(&word.text) {
        Some(number) => *slot = Some(number),
        None => {
            let problem = Problem::NotANumber { keyword: "", word: word.text.clone() };
            b.error(word.span, problem);
        }
    }
}

/// A time in milliseconds; without a unit, seconds.
pub(crate) fn millis(slot: &mut Option<Duration>, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    match time(&word.text, Resolution::Millis) {
        Some(time) => *slot = Some(time),
        None => {
            let problem = Problem::NotATime { keyword: "", word: word.text.clone() };
            b.error(word.span, problem);
        }
    }
}

/// A time in whole seconds, whose value nothing needs.
pub(crate) fn check_seconds(words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if time(&word.text, Resolution::Seconds).is_none() {
        b.error(word.span, Problem::NotATime { keyword: "", word: word.text.clone() });
    }
}

/// A flag whose value nothing needs.
pub(crate) fn check_flag(words: &[Word], b: &mut Binder) {
    flag(&mut None, words, b);
}

/// A number whose value nothing needs.
pub(crate) fn check_number(words: &[Word], b: &mut Binder) {
    number(&mut None, words, b);
}

/// A time whose value nothing needs.
pub(crate) fn check_millis(words: &[Word], b: &mut Binder) {
    millis(&mut None, words, b);
}

/// A size whose value nothing needs.
pub(crate) fn check_size(words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if size(&word.text).is_none() {
        b.error(word.span, Problem::NotATime { keyword: "", word: word.text.clone() });
    }
}

/// Digits only, up to 2³¹−1.
pub(crate) fn digits(text: &str) -> Option<u32> {
    let only_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| only_digits && *n <= i32::MAX as u32)
}

/// `16k`, `1M`, `7`: bytes. There is no `g` in a size.
pub(crate) fn size(text: &str) -> Option<u64> {
    if text.ends_with(['g', 'G']) || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    conf::size(text).filter(|n| *n <= i64::MAX as u64)
}

/// How fine a time is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resolution {
    /// `ms` is a unit; `y` and `M` are none.
    Millis,
    /// `y` and `M` are units; `ms` is none.
    Seconds,
}

/// `1m30s`, `"1h 30m"`, `10`: units in falling order, blanks between them, and what has no unit is
/// seconds.
pub(crate) fn time(text: &str, resolution: Resolution) -> Option<Duration> {
    const UNITS: [(&str, u64); 8] = [
        ("y", 31_536_000_000),
        ("M", 2_592_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut total = 0u64;
    // The index of the first unit that may still follow.
    let mut next = 0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let value: u64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit = if rest.starts_with("ms") {
            7
        } else {
            match rest.chars().next() {
                // Seconds without a unit end the value; a blank may follow them.
                None | Some(' ') => 6,
                Some(c) => UNITS.iter().position(|(name, _)| name.starts_with(c))?,
            }
        };
        let allowed = match resolution {
            Resolution::Millis => unit > 1,
            Resolution::Seconds => unit < 7,
        };
        // The last number without a unit is seconds, whatever stands before it.
        let in_order = unit >= next || rest.is_empty();
        if !in_order || !allowed {
            return None;
        }
        let suffix = if rest.is_empty() || rest.starts_with(' ') { 0 } else { UNITS[unit].0.len() };
        rest = rest[suffix..].trim_start_matches(' ');
        total = total.checked_add(value.checked_mul(UNITS[unit].1)?)?;
        next = unit + 1;
        if rest.is_empty() {
            return (total <= i64::MAX as u64).then(|| Duration::from_millis(total));
        }
    }
}
