//! `~SEQ`, `~SEQx` and `~LST`: a line for every value.

use super::{Context, Reader};
use crate::wording::PARENT;
use conf::Span;

/// How many lines one of them may make.
const MOST: usize = 10_000;

/// What is repeated: the variables, and their values time after time.
type Values = (Vec<String>, Vec<Vec<String>>);

impl Reader<'_> {
    /// Repeats a line that begins with one of them; whether it did.
    ///
    /// The last values stay defined, as in keepalived.
    pub(super) fn repeats(&mut self, line: &str, span: Span, context: &Context) -> bool {
        let found = ["~SEQx", "~SEQ", "~LST"].into_iter().find_map(|keyword| {
            let rest = line.strip_prefix(keyword)?.trim_start().strip_prefix('(')?;
            Some((keyword, rest))
        });
        let Some((keyword, rest)) = found else { return false };
        let Some((inside, rest)) = rest.split_once(')') else {
            let said = if keyword == "~LST" {
                format!("Invalid ~LST specification '{line}'")
            } else {
                format!(
                    "~SEQ parameter strings too long '{line}'\nInvalid ~SEQ specification '{line}'"
                )
            };
            self.complain(PARENT, span, said);
            return true;
        };
        let inside = self.expand(inside, &context.directory).unwrap_or_else(|| inside.to_owned());
        let values = match keyword {
            "~LST" => list(&inside, line),
            _ => sequence(&inside, line, keyword == "~SEQx"),
        };
        let (names, all) = match values {
            Ok(values) => values,
            Err(said) => {
                self.complain(PARENT, span, said);
                return true;
            }
        };
        if all.len() > MOST {
            self.too_much(span);
            return true;
        }
        for values in all {
            for (name, value) in names.iter().zip(values) {
                self.definitions.insert(name.clone(), value);
            }
            self.again(rest.trim_start(), span, context);
        }
        true
    }
}

/// `<var>, [<start>, [<step>,]] <end>`
fn sequence(inside: &str, line: &str, hex: bool) -> Result<Values, String> {
    let invalid =
        || format!("Invalid ~SEQ definition '{line}'\nInvalid ~SEQ specification '{line}'");
    let mut parts = inside.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default().trim_start_matches('$').to_owned();
    let numbers: Option<Vec<i64>> = parts.map(integer).collect();
    let numbers = numbers.ok_or_else(invalid)?;
    let (start, step, end) = match numbers[..] {
        [only] => (only, 1, only),
        [start, end] => (start, if end < start { -1 } else { 1 }, end),
        [start, step, end] => (start, step, end),
        _ => return Err(invalid()),
    };
    if step == 0 || (end - start).signum() * step.signum() < 0 {
        return Err(format!("Invalid ~SEQ values '{line}'\nInvalid ~SEQ specification '{line}'"));
    }
    if hex && (start < 0 || end < 0) {
        return Err(format!(
            "~SEQx is only valid for positive numbers '{line}'\nInvalid ~SEQ specification '{line}'"
        ));
    }
    let many = usize::try_from((end - start) / step).unwrap_or(usize::MAX).min(MOST);
    let numbers = (0..=many as i64).map(|n| start + n * step);
    let shown = |n: i64| if hex { format!("{n:x}") } else { n.to_string() };
    Ok((vec![name], numbers.map(|n| vec![shown(n)]).collect()))
}

/// A number in any of C's notations, within what cannot overflow here.
fn integer(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    crate::names::number(digits).map(|n| sign * i64::from(n))
}

/// `<var>, <value>…` or `{<var>, …}, {<value>, …}…`
fn list(inside: &str, line: &str) -> Result<Values, String> {
    let invalid = || format!("Invalid ~LST specification '{line}'");
    let items = items(inside).ok_or_else(invalid)?;
    let Some((names, all)) = items.split_first().filter(|(_, all)| !all.is_empty()) else {
        return Err(invalid());
    };
    if items.iter().flatten().any(|word| word.contains(char::is_whitespace)) {
        return Err(invalid());
    }
    if all.iter().any(|values| values.len() > names.len()) {
        return Err(format!(
            "~LST specification has too many values '{line}'\nInvalid ~LST specification '{line}'"
        ));
    }
    let padded = |values: &Vec<String>| {
        let mut values = values.clone();
        values.resize(names.len(), String::new());
        values
    };
    Ok((names.clone(), all.iter().map(padded).collect()))
}

/// The parts between commas, those in braces taken apart.
fn items(inside: &str) -> Option<Vec<Vec<String>>> {
    let mut items = Vec::new();
    let mut rest = inside.trim();
    loop {
        let words = |text: &str| text.split(',').map(|w| w.trim().to_owned()).collect();
        if let Some(inner) = rest.strip_prefix('{') {
            let (tuple, after) = inner.split_once('}')?;
            items.push(words(tuple));
            rest = after.trim_start();
        } else {
            let len = rest.find(',').unwrap_or(rest.len());
            items.push(vec![rest[..len].trim().to_owned()]);
            rest = &rest[len..];
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Some(items),
            None => return None,
        }
    }
}
