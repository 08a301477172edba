//! Formats: `%ci:%cp %[req.ssl_sni]` → pieces.

use rules::Place;
use rules::format::{Flags, Format, HTTP_VARIABLES, Part, VARIABLES};

use crate::context::Context;
use crate::expr::{Manner, Wrong, read};

/// Variables of later versions: known, and not built.
const PLANNED: &[&str] = &["OG"];

/// The variables that are known and have no value here.
pub(crate) fn unbuilt() -> impl Iterator<Item = &'static str> {
    PLANNED.iter().copied()
}

/// What a format is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// Where expressions in it are evaluated.
    pub(crate) places: &'static [Place],
    /// Of a proxy that speaks HTTP: its variables are known.
    pub(crate) http: bool,
    /// A line of a log: blanks are merged, and what is not there is `-`.
    pub(crate) log: bool,
}

/// Reads a format.
pub(crate) fn parse(context: &Context, text: &str, purpose: Purpose) -> Result<Format, Wrong> {
    let mut format = Format { parts: vec![], merge_blanks: purpose.log };
    let mut standing = Flags { mandatory: purpose.log, ..Flags::default() };
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c != '%' {
            if matches!(c, ' ' | '\t') && purpose.log {
                flush(&mut plain, &mut format);
                format.parts.push(Part::Blank);
            } else {
                plain.push(c);
            }
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let start = rest;
        rest = &rest[1..];
        if rest.is_empty() {
            return Err("truncated line after '%'".to_owned().into());
        }
        if let Some(after) = rest.strip_prefix('%') {
            plain.push('%');
            rest = after;
            continue;
        }
        // A name in parentheses is for encodings that are not built either in HAProxy 2.6.
        if let Some(after) = rest.strip_prefix('(') {
            let Some((_, after)) = after.split_once(')') else {
                return Err(format!("truncated line after '{after}'").into());
            };
            rest = after;
        }
        let mut flags = standing;
        if let Some(after) = rest.strip_prefix('{') {
            let Some((letters, after)) = after.split_once('}') else {
                return Err(format!("truncated line after '{after}'").into());
            };
            set(&mut flags, letters);
            rest = after;
            if rest.is_empty() {
                return Err(format!(
                    "parse argument modifier without alias name near '%{{{letters}}}'"
                )
                .into());
            }
        }
        if let Some(expression) = rest.strip_prefix('[') {
            flush(&mut plain, &mut format);
            let said = |wrong: Wrong| {
                wrong.map(|why| format!("failed to parse sample expression <{expression}> : {why}"))
            };
            let read = read(context, &[expression], Manner::Format).map_err(said)?;
            let written = &expression[..expression.len() - read.rest.len()];
            rest = match read.rest.strip_prefix(']') {
                Some(rest) => rest,
                None if read.rest.is_empty() => {
                    return Err(format!("missing ']' after '{written}'").into());
                }
                None => {
                    let found = &read.rest;
                    return Err(format!(
                        "expected ']' after '{written}', but found '{}'",
                        found.chars().next().unwrap_or(' ')
                    )
                    .into());
                }
            };
            let source = read.expr.source();
            if !purpose.places.iter().any(|place| place.offers(source)) {
                let fetch = expression.split(['(', ',', ']']).next().unwrap_or_default();
                return Err(format!(
                    "sample fetch <{fetch}> may not be reliably used here because it needs '{}' which is not available here",
                    source.names()
                )
                .into());
            }
            format.parts.push(Part::Expr(read.expr, flags));
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            if rest.starts_with(' ') || rest.starts_with('\t') {
                let position = text.len() - start.len() + 1;
                return Err(format!(
                    "unexpected alias name near '{}' at position {position} line : '{text}'. Maybe you want to write a single '%', use the syntax '%%'",
                    &rest[..1]
                )
                .into());
            }
            // Nothing HAProxy knows: it is left out.
            rest = rest.char_indices().nth(1).map_or("", |(at, _)| &rest[at..]);
            continue;
        }
        rest = after;
        // `%o` applies its flags to all that follows.
        if name == "o" {
            standing = flags;
            continue;
        }
        flush(&mut plain, &mut format);
        if let Some((_, variable, _)) = VARIABLES.iter().find(|(known, ..)| *known == name) {
            format.parts.push(Part::Variable(*variable, flags));
        } else if let Some((_, variable, _)) = HTTP_VARIABLES.iter().find(|(n, ..)| *n == name) {
            if !purpose.http {
                return Err(format!("format variable '{name}' is reserved for HTTP mode").into());
            }
            format.parts.push(Part::Variable(*variable, flags));
        } else if PLANNED.contains(&name) {
            return Err(Wrong::Planned(format!("log-format %{name}")));
        } else {
            return Err(format!(
                "no such format alias '{name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'"
            )
            .into());
        }
    }
    flush(&mut plain, &mut format);
    Ok(format)
}

fn flush(plain: &mut String, format: &mut Format) {
    if !plain.is_empty() {
        format.parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

fn set(flags: &mut Flags, letters: &str) {
    for word in letters.split(',') {
        let (on, letter) = match word.split_at_checked(1) {
            Some(("+", letter)) => (true, letter),
            Some(("-", letter)) => (false, letter),
            _ => continue,
        };
        match letter {
            "Q" => flags.quote = on,
            "X" => flags.hex = on,
            "E" => flags.escape = on,
            "M" => flags.mandatory = on,
            _ => {}
        }
    }
}
