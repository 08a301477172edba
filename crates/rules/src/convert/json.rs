//! JSON: text made fit for it, and values found in it.

use super::{Converter, bytes};
use crate::arg::{Arg, Args, Kind};
use crate::value::Type::{Any, Str};
use crate::value::Value;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("json", Args::some(0, &[Kind::Str]), Str, Str, |v, step| {
        escape(&bytes(v), Coding::named(step.text(0))?).map(Value::text)
    })
    .check(|args| {
        let name = args.first().and_then(Arg::text).unwrap_or_default();
        let known = Coding::named(name).map(|_| ());
        known.ok_or_else(|| {
            "Unexpected input code type. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps'".into()
        })
    })
    .doc("Text as it stands between the quotes of JSON; the argument says how it is encoded."),
    Converter::new("json_query", Args::some(1, &[Kind::Str, Kind::Str]), Str, Any, |v, step| {
        let whole: serde_json::Value = serde_json::from_slice(&bytes(v)).ok()?;
        match find(&whole, step.text(0))? {
            serde_json::Value::String(text) => Some(Value::text(text.clone())),
            serde_json::Value::Bool(on) => Some(Value::Bool(*on)),
            serde_json::Value::Number(number) if step.text(1) == b"int" => {
                Some(Value::Int(number.as_i64().or(number.as_f64().map(|n| n as i64))?))
            }
            serde_json::Value::Number(number) => Some(Value::text(number.to_string())),
            _ => None,
        }
    })
    .check(|args| {
        if args.first().and_then(Arg::text).is_none_or(<[u8]>::is_empty) {
            return Err("json_path must not be empty".into());
        }
        match args.get(1).and_then(Arg::text) {
            None | Some(b"int") => Ok(()),
            Some(_) => Err("output_type only supports \"int\" as argument".into()),
        }
    })
    .doc("What stands at a path (`$.a.b[2]`) of a JSON text: text, a boolean, or a number; nothing for the rest."),
];

/// How text is encoded, and what is done about what is not.
#[derive(Clone, Copy, Debug)]
struct Coding {
    utf8: bool,
    /// A byte that does not belong there: left out, or the end of everything.
    skip: bool,
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"" | b"ascii" => Self { utf8: false, skip: false },
            b"utf8" | b"utf8p" => Self { utf8: true, skip: false },
            b"utf8s" | b"utf8ps" => Self { utf8: true, skip: true },
            _ => return None,
        })
    }
}

fn escape(text: &[u8], coding: Coding) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    if !coding.utf8 {
        text.iter().for_each(|byte| put(char::from(*byte), &mut out));
        return Some(out);
    }
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| put(c, &mut out));
        if !chunk.invalid().is_empty() && !coding.skip {
            return None;
        }
    }
    Some(out)
}

fn put(c: char, out: &mut String) {
    match c {
        '"' | '\\' | '/' => out.extend(['\\', c]),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        ' '..='\u{7e}' => out.push(c),
        other => {
            let mut units = [0; 2];
            for unit in other.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

/// The value at a path: names behind dots, positions in brackets.
fn find<'j>(whole: &'j serde_json::Value, path: &[u8]) -> Option<&'j serde_json::Value> {
    let path = std::str::from_utf8(path).ok()?;
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut at = whole;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            at = at.get(index.parse::<usize>().ok()?)?;
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            at = at.get(&name[..end])?;
            rest = &name[end..];
        }
    }
    Some(at)
}
