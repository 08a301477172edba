//! Text: cases, parts, replacements.

#![expect(clippy::ptr_arg, reason = "the type of a row's check")]

use super::{Converter, Step, bytes, part};
use crate::arg::{Arg, Args, Kind};
use crate::record::Variable;
use crate::regex::Regex;
use crate::value::Type::{self, Bin, Int, Str};
use crate::value::Value;

const NONE: Args = Args::NONE;
const CHARS: Args = Args::all(&[Kind::Str]);
const WORD: Args = Args::some(2, &[Kind::Int, Kind::Str, Kind::Int]);

pub(super) const TABLE: &[Converter] = &[
    Converter::new("lower", NONE, Str, Str, |v, _| {
        Some(Value::Str(bytes(v).to_ascii_lowercase().into()))
    })
    .doc("Lower case."),
    Converter::new("upper", NONE, Str, Str, |v, _| {
        Some(Value::Str(bytes(v).to_ascii_uppercase().into()))
    })
    .doc("Upper case."),
    Converter::new("length", NONE, Str, Int, |v, _| {
        Some(Value::Int(i64::try_from(bytes(v).len()).ok()?))
    })
    .doc("The length."),
    Converter::new("ltrim", CHARS, Str, Str, |v, step| {
        let text = bytes(v);
        let set = step.text(0);
        let from = text.iter().position(|b| !set.contains(b)).unwrap_or(text.len());
        let end = text.len();
        Some(part(Value::Str(text), from, end))
    })
    .doc("Without the given characters at the beginning."),
    Converter::new("rtrim", CHARS, Str, Str, |v, step| {
        let text = bytes(v);
        let set = step.text(0);
        let end = text.iter().rposition(|b| !set.contains(b)).map_or(0, |at| at + 1);
        Some(part(Value::Str(text), 0, end))
    })
    .doc("Without the given characters at the end."),
    Converter::new("cut_crlf", NONE, Str, Str, |v, _| {
        let text = bytes(v);
        let end = text.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(text.len());
        Some(part(Value::Str(text), 0, end))
    })
    .doc("What stands before the first end of a line."),
    Converter::new("bytes", Args::some(1, &[Kind::Int, Kind::Int]), Bin, Bin, |v, step| {
        let all = bytes(v);
        let from = usize::try_from(step.int(0)?).ok().filter(|from| *from < all.len());
        // An offset behind the end leaves nothing.
        let from = from.unwrap_or(all.len());
        let length = step.int(1).map_or(all.len(), |n| usize::try_from(n).unwrap_or(0));
        let end = from.saturating_add(length).min(all.len());
        Some(part(Value::Bin(all), from, end))
    })
    .doc("Bytes from an offset, so many or all."),
    Converter::new("field", WORD, Str, Str, |v, step| split(v, step, false))
        .doc("A part between separators, counted from 1, or from the end if negative."),
    Converter::new("word", WORD, Str, Str, |v, step| split(v, step, true))
        .doc("As `field`, several separators in a row being one."),
    Converter::new(
        "concat",
        Args::some(0, &[Kind::Str, Kind::Str, Kind::Str]),
        Str,
        Str,
        |v, step| {
            let mut out = bytes(v).into_owned();
            out.extend_from_slice(step.text(0));
            if let Some(Arg::Variable(variable)) = step.args.get(1)
                && let Some(value) = step.get(variable)
            {
                out.extend_from_slice(&value.into_text());
            }
            out.extend_from_slice(step.text(2));
            Some(Value::Str(out.into()))
        },
    )
    .check(|args| {
        let name = args.get(1).and_then(Arg::text).unwrap_or_default();
        if !name.is_empty() {
            args[1] = Arg::Variable(registered(name)?);
        }
        Ok(())
    })
    .doc("A text, a variable and another text behind it."),
    Converter::new(
        "add_item",
        Args::some(2, &[Kind::Str, Kind::Str, Kind::Str]),
        Str,
        Str,
        |v, step| {
            let mut out = bytes(v).into_owned();
            let variable = match step.args.get(1) {
                Some(Arg::Variable(variable)) => step.get(variable),
                _ => None,
            };
            let suffix = step.text(2);
            if variable.is_some() || !suffix.is_empty() {
                if !out.is_empty() {
                    out.extend_from_slice(step.text(0));
                }
                out.extend_from_slice(&variable.map(Value::into_text).unwrap_or_default());
                out.extend_from_slice(suffix);
            }
            Some(Value::Str(out.into()))
        },
    )
    .check(|args| {
        let name = args.get(1).and_then(Arg::text).unwrap_or_default();
        if !name.is_empty() {
            args[1] = Arg::Variable(registered(name)?);
        }
        Ok(())
    })
    .doc("A separator unless it is empty, and behind it a variable and a text."),
    Converter::new("param", Args::some(1, &[Kind::Str, Kind::Str]), Str, Str, |v, step| {
        let text = bytes(v).into_owned();
        let separator = step.text(1).first().copied().unwrap_or(b'&');
        let wanted = step.text(0);
        text.split(|byte| *byte == separator).find_map(|part| {
            let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            (&part[..end] == wanted)
                .then(|| Value::Str(part.get(end + 1..).unwrap_or_default().to_vec().into()))
        })
    })
    .doc("The value of a name in `a=1&b=2`, or with another separator."),
    Converter::new("reverse_dom", NONE, Str, Str, |v, _| {
        let text = bytes(v);
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').rev().collect();
        Some(Value::Str(parts.join(&b"."[..]).into()))
    })
    .doc("The labels of a name in the opposite order."),
    Converter::new("strcmp", CHARS, Str, Int, |v, step| {
        let Some(Arg::Variable(variable)) = step.args.first() else { return None };
        let other = step.get(variable)?.into_text();
        Some(Value::Int(match (*bytes(v)).cmp(&*other) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        }))
    })
    .check(variable)
    .doc("0 if it is as the text in a variable, else which one comes first."),
    Converter::new(
        "regsub",
        Args::some(2, &[Kind::Str, Kind::Str, Kind::Str]),
        Str,
        Str,
        |v, step| {
            let Some(Arg::Regex(regex)) = step.args.first() else { return None };
            let all = step.text(2).contains(&b'g');
            let mut text = regex.replace(&bytes(v), step.text(1), all);
            // A buffer of HAProxy's: several in a row would make gigabytes of one byte.
            text.truncate(16 * 1024);
            Some(Value::Str(text.into()))
        },
    )
    .check(|args| {
        let flags = args.get(2).and_then(Arg::text).unwrap_or_default();
        if let Some(flag) = flags.iter().find(|flag| !matches!(flag, b'i' | b'g')) {
            let flag = char::from(*flag);
            return Err(format!("invalid regex flag '{flag}', only 'i' and 'g' are supported"));
        }
        let ignore_case = flags.contains(&b'i');
        let source = args.first().and_then(Arg::text).map(String::from_utf8_lossy);
        args[0] = Arg::Regex(Regex::new(&source.unwrap_or_default(), ignore_case)?);
        Ok(())
    })
    .doc("With what a regular expression matches replaced."),
    Converter::new("host_only", NONE, Str, Str, |v, _| {
        let text = bytes(v);
        let end = port_colon(&text).unwrap_or(text.len());
        Some(part(Value::Str(text), 0, end))
    })
    .doc("A host without its port."),
    Converter::new("port_only", NONE, Str, Int, |v, _| {
        let text = bytes(v);
        let port = port_colon(&text).map(|at| &text[at + 1..]).unwrap_or_default();
        Some(Value::Int(crate::value::leading_number(port)))
    })
    .doc("The port behind a host, 0 without one."),
    Converter::new("reverse", NONE, Str, Str, |v, _| {
        Some(Value::Str(bytes(v).iter().rev().copied().collect::<Vec<_>>().into()))
    })
    .doc("Backwards."),
    Converter::new(
        "debug",
        Args::some(0, &[Kind::Str, Kind::Str]),
        Type::Any,
        Type::Any,
        |v, _| Some(v),
    )
    .check(|args| match args.get(1).and_then(Arg::text) {
        // Without a place it goes to a ring that only `show events buf0` reads.
        None => Ok(()),
        Some(place) => {
            let place = String::from_utf8_lossy(place);
            Err(format!("No such sink '{place}'"))
        }
    })
    .doc("The value as it is."),
];

/// A variable that exists, in the words of the converters that only use one.
pub(super) fn registered(name: &[u8]) -> Result<Variable, String> {
    let name = String::from_utf8_lossy(name);
    Variable::parse(&name).map_err(|_| format!("failed to register variable name '{name}'"))
}

fn variable(args: &mut Vec<Arg>) -> Result<(), String> {
    let name = args.first().and_then(Arg::text).unwrap_or_default();
    args[0] = Arg::Variable(registered(name)?);
    Ok(())
}

/// Where the colon before a port is; colons inside brackets are not meant.
fn port_colon(text: &[u8]) -> Option<usize> {
    let from = text.iter().position(|b| *b == b']').unwrap_or(0);
    text[from..].iter().position(|b| *b == b':').map(|at| from + at)
}

/// The parts from an index on: as many as the third argument says, 0 being all that follow.
fn split<'a>(value: Value<'a>, step: &Step<'a, '_>, words: bool) -> Option<Value<'a>> {
    let text = bytes(value);
    let (index, separators) = (step.int(0)?, step.text(1));
    let count = usize::try_from(step.int(2).unwrap_or(1)).ok()?;
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    for at in 0..=text.len() {
        if at == text.len() || separators.contains(&text[at]) {
            if !words || at > from {
                parts.push((from, at));
            }
            from = at + 1;
        }
    }
    let nth = usize::try_from(index.unsigned_abs()).ok()?.checked_sub(1)?;
    let (first, last) = if index > 0 {
        let last = if count == 0 { parts.len() } else { nth.checked_add(count)? };
        (nth, last.min(parts.len()))
    } else {
        let end = parts.len().checked_sub(nth)?;
        let first = if count == 0 { 0 } else { end.saturating_sub(count) };
        (first, end)
    };
    let Some(range) = parts.get(first..last).filter(|range| !range.is_empty()) else {
        // There is no such field; a field that is there may be empty.
        return words.then(|| Value::Str(b"".into()));
    };
    let (from, to) = (range[0].0, range[range.len() - 1].1);
    Some(part(Value::Str(text), from, to))
}
