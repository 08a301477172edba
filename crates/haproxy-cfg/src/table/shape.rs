//! The shapes of `global` lines that take a number, a size, a choice or nothing: what is wrong with
//! their words, in HAProxy's words.

use conf::{Binder, Span, Word};

use crate::number::{integer, leading, surplus};
use crate::say::Complain;

/// Where a complaint about a line without words points: nowhere of its own.
fn here(words: &[Word]) -> Span {
    words.first().map_or_else(Span::default, |word| word.span)
}

/// No word at all.
pub(crate) fn flag(b: &mut Binder, keyword: &str, words: &[Word]) -> bool {
    !surplus(b, keyword, words, 0)
}

/// At most one word; `missing` is said when there is none.
fn one<'w>(b: &mut Binder, keyword: &str, words: &'w [Word], missing: &str) -> Option<&'w Word> {
    if surplus(b, keyword, words, 1) {
        return None;
    }
    let word = words.first();
    if word.is_none() {
        b.refuse(here(words), format!("'{keyword}' {missing}"));
    }
    word
}

/// A number of any sign.
pub(crate) fn number(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<i64> {
    let word = one(b, keyword, words, "expects an integer argument.")?;
    Some(integer(b, keyword, word))
}

/// A number that is not below zero; `wants` is said of one that is.
pub(crate) fn natural(b: &mut Binder, keyword: &str, words: &[Word], wants: &str) -> Option<u32> {
    let number = number(b, keyword, words)?;
    if number < 0 {
        b.refuse(here(words), format!("'{keyword}' {wants}"));
        return None;
    }
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A number within bounds; `wants` is said of all else.
pub(crate) fn within(
    b: &mut Binder,
    keyword: &str,
    words: &[Word],
    (low, high): (i64, i64),
    wants: &str,
) -> Option<i64> {
    if surplus(b, keyword, words, 1) {
        return None;
    }
    let (number, _) = leading(words.first().map_or("", |word| &word.text));
    if words.is_empty() || !(low..=high).contains(&number) {
        b.refuse(here(words), format!("'{keyword}' {wants}"));
        return None;
    }
    Some(number)
}

/// A number of threads or groups, at least 1 and at most `most`.
pub(crate) fn threads(b: &mut Binder, keyword: &str, words: &[Word], most: i64) -> Option<u16> {
    if surplus(b, keyword, words, 1) {
        return None;
    }
    let text = words.first().map_or("", |word| word.text.as_str());
    let (number, whole) = leading(text);
    let complaint = if !whole {
        format!("passed a missing or unparsable integer value in '{text}'")
    } else if number < 1 && most == i64::MAX {
        format!("value must be at least 1 (was {number})")
    } else if number < 1 || number > most {
        format!("value must be between 1 and {most} (was {number})")
    } else {
        return Some(u16::try_from(number).unwrap_or(u16::MAX));
    };
    b.refuse(here(words), format!("'{keyword}' {complaint}"));
    None
}

/// A size in bytes with `k`, `m` or `g`, at most 2³² − 1. `before` begins the complaint.
pub(crate) fn size(b: &mut Binder, keyword: &str, words: &[Word], missing: &str) -> Option<u32> {
    let word = one(b, keyword, words, missing)?;
    bytes(b, keyword, word)
}

/// One word as a size.
fn bytes(b: &mut Binder, keyword: &str, word: &Word) -> Option<u32> {
    let text = word.text.as_str();
    let mut number: u64 = 0;
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        let scaled = match c {
            '0'..='9' => {
                number.checked_mul(10).and_then(|n| n.checked_add(u64::from(c) - u64::from('0')))
            }
            'k' | 'K' if at > 0 && rest.len() == 1 => number.checked_shl(10),
            'm' | 'M' if at > 0 && rest.len() == 1 => number.checked_shl(20),
            'g' | 'G' if at > 0 && rest.len() == 1 => number.checked_shl(30),
            _ => None,
        };
        match scaled.filter(|n| u32::try_from(*n).is_ok()) {
            Some(n) => number = n,
            None => {
                b.refuse(
                    word.span,
                    format!("unexpected '{rest}' after size passed to '{keyword}'"),
                )
                .help = Some("write a number of bytes, or of k, m or g, below 4g".into());
                return None;
            }
        }
    }
    u32::try_from(number).ok()
}

/// How many bytes variables may take; HAProxy takes the first word and looks at no other.
pub(crate) fn room(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<u64> {
    let text = words.first().map_or("0", |word| word.text.as_str());
    let (number, _) = leading(text);
    let digits = text.trim_start_matches('-').trim_start_matches(|c: char| c.is_ascii_digit());
    let shift = match digits {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => {
            b.refuse(here(words), format!("{keyword}: '{text}' is an invalid size"));
            return None;
        }
    };
    Some(u64::try_from(number).unwrap_or(u64::MAX).saturating_mul(1 << shift))
}

/// One of some words; `wants` is said of all else, with `{}` for the word.
pub(crate) fn choice(
    b: &mut Binder,
    keyword: &str,
    words: &[Word],
    known: &[&str],
    wants: &str,
) -> Option<usize> {
    if surplus(b, keyword, words, 1) {
        return None;
    }
    let text = words.first().map_or("", |word| word.text.as_str());
    let found = known.iter().position(|word| *word == text);
    if found.is_none() {
        b.refuse(here(words), format!("'{keyword}' {}", wants.replace("{}", text))).help =
            Some(format!("write one of: {}", known.join(", ")));
    }
    found
}

/// A number that is not below zero, or nothing.
pub(crate) fn optional(b: &mut Binder, keyword: &str, words: &[Word]) {
    if let (false, Some(word)) = (surplus(b, keyword, words, 1), words.first())
        && integer(b, keyword, word) < 0
    {
        b.refuse(word.span, format!("'{keyword}' expects a positive numeric value."));
    }
}
