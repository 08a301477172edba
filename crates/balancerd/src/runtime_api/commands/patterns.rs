//! Commands about maps and ACLs: their patterns, changed while rules use them.

use std::fmt::Write as _;
use std::sync::Arc;

use rules::list::{Answer, Entry, Hit, List, Refused, Use, Which};
use rules::pattern::Match;

use super::{Call, Command, Outcome, Reply};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("add acl", |call| add(call, Use::Acl)),
    Command::new("add map", |call| add(call, Use::Map)),
    Command::new("clear acl", |call| clear(call, Use::Acl)),
    Command::new("clear map", |call| clear(call, Use::Map)),
    Command::new("commit acl", |call| commit(call, Use::Acl)),
    Command::new("commit map", |call| commit(call, Use::Map)),
    Command::new("del acl", |call| delete(call, Use::Acl)),
    Command::new("del map", |call| delete(call, Use::Map)),
    Command::new("get acl", |call| get(call, Use::Acl)),
    Command::new("get map", |call| get(call, Use::Map)),
    Command::new("prepare acl", |call| prepare(call, Use::Acl)),
    Command::new("prepare map", |call| prepare(call, Use::Map)),
    Command::new("set map", set),
    Command::new("show acl", |call| show(call, Use::Acl)),
    Command::new("show map", |call| show(call, Use::Map)),
];

const fn name(kind: Use) -> &'static str {
    match kind {
        Use::Acl => "ACL",
        Use::Map => "map",
    }
}

const fn word(kind: Use) -> &'static str {
    match kind {
        Use::Acl => "acl",
        Use::Map => "map",
    }
}

/// `@<ver>`, if it is there, and what follows. What is no number is 0, as in HAProxy.
fn versioned<'w>(words: &'w [&'w str]) -> (Option<u32>, &'w [&'w str]) {
    let Some((digits, rest)) =
        words.split_first().and_then(|(first, rest)| Some((first.strip_prefix('@')?, rest)))
    else {
        return (None, words);
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    (Some(digits[..end].parse().unwrap_or(0)), rest)
}

/// The list of this number or file.
fn named<'c>(call: &Call<'c>, kind: Use, name: &str) -> Result<&'c Arc<List>, Reply> {
    let lists = &call.shared.config.patterns;
    let found = match name.strip_prefix('#') {
        Some(number) => number.parse::<usize>().ok().and_then(|at| lists.get(at)),
        None => lists.iter().find(|list| list.file() == Some(name) && list.is_for(kind)),
    };
    found.filter(|list| list.is_for(kind)).ok_or_else(|| {
        let name = self::name(kind);
        Reply::error_line(format_args!("Unknown {name} identifier. Please use #<id> or <file>."))
    })
}

/// What stands before an entry, and names it behind a `#`.
fn reference(entry: &Entry) -> u64 {
    entry.number << 6
}

/// `#0x…` of an entry, or the text of some.
fn which(word: &str) -> Which<'_> {
    let Some(number) = word.strip_prefix('#') else { return Which::Key(word) };
    let parsed = match number.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => number.parse(),
    };
    // Numbers are multiples of 64; no entry has the number 0.
    parsed.map_or(Which::Key(word), |number| {
        Which::Number(if number.trailing_zeros() < 6 { 0 } else { number >> 6 })
    })
}

fn refused(kind: Use, why: &Refused) -> Reply {
    match why {
        Refused::Invalid(text) => Reply::error_line(format_args!("{text}.")),
        Refused::Future => Reply::error_line(format_args!(
            "Version number in the future, please use 'prepare {}' before.",
            word(kind)
        )),
        Refused::OutOfRange => Reply::error_line("Version number out of range."),
        Refused::NotFound => Reply::error_line("Key not found."),
    }
}

fn show(call: &mut Call<'_>, kind: Use) -> Outcome {
    if call.arguments.is_empty() {
        let mut out = "# id (file) description\n".to_owned();
        for (number, list) in call.shared.config.patterns.iter().enumerate() {
            if list.is_for(kind) {
                let file = list.file().unwrap_or_default();
                // Writing to a string does not fail.
                let _ = writeln!(out, "{number} ({file}) {}", list.described());
            }
        }
        return Ok(Reply::Text(out));
    }
    let (version, rest) = versioned(call.arguments);
    let list = named(call, kind, rest.first().copied().unwrap_or_default())?;
    let mut out = String::new();
    for entry in list.entries(version) {
        let _ = write!(out, "{:#x} {}", reference(&entry), entry.key);
        if let Some(value) = &entry.value {
            let _ = write!(out, " {value}");
        }
        out.push('\n');
    }
    Ok(Reply::Text(out))
}

fn get(call: &mut Call<'_>, kind: Use) -> Outcome {
    let &[list, value, ..] = call.arguments else {
        let name = name(kind);
        return Err(Reply::error_line(format_args!("Missing {name} identifier and/or key.")));
    };
    let mut out = String::new();
    for answer in named(call, kind, list)?.find(kind, value) {
        answered(kind, &answer, &mut out);
    }
    Ok(Reply::Text(out))
}

/// `type=ip, case=sensitive, found=yes, idx=tree, key="10.0.0.0/8", value="a", type="str"`.
fn answered(kind: Use, answer: &Answer, out: &mut String) {
    let method = Match::NAMES.iter().find(|(_, method)| *method == answer.method);
    let method = method.map_or("int", |(name, _)| *name);
    let method = if answer.expands { "regm" } else { method };
    let case = if answer.ignores_case { "insensitive" } else { "sensitive" };
    let (verb, noun) = match kind {
        Use::Acl => ("match", "pattern"),
        Use::Map => ("found", "key"),
    };
    let _ = write!(out, "type={method}, case={case}, {verb}=");
    let Some(Hit { key, value }) = &answer.found else {
        out.push_str("no\n");
        return;
    };
    let index = if answer.is_indexed { "tree" } else { "list" };
    let _ = write!(out, "yes, idx={index}, {noun}=\"{key}\"");
    if let Some((value, kind)) = value {
        let _ = write!(out, ", value=\"{value}\", type=\"{}\"", kind.name());
    }
    out.push('\n');
}

fn add(call: &mut Call<'_>, kind: Use) -> Outcome {
    let (version, rest) = versioned(call.arguments);
    let wrong = || {
        Reply::error_line(match kind {
            Use::Acl => "'add acl' expects two parameters: ACL identifier and pattern.",
            Use::Map => {
                "'add map' expects three parameters (map identifier, key and value) or one \
                 parameter (map identifier) and a payload"
            }
        })
    };
    let word = |at: usize| rest.get(at).copied().filter(|word| !word.is_empty()).ok_or_else(wrong);
    let name = word(0)?;
    let refused = |why: Refused| refused(kind, &why);
    match (kind, call.payload) {
        (Use::Acl, _) => {
            let pattern = word(1)?;
            named(call, kind, name)?.add(version, pattern, None).map_err(refused)?;
        }
        (Use::Map, Some(payload)) => {
            let list = named(call, kind, name)?;
            // No line at all is a line without a key.
            let lines = if payload.is_empty() { "\n" } else { payload };
            for line in lines.split_inclusive('\n') {
                let line = if payload.is_empty() { line } else { line.trim_end_matches('\n') };
                let Some((key, value)) = line.split_once([' ', '\t']) else {
                    let text = format!("Missing value for key '{line}'.");
                    return Err(Reply::error_line(text));
                };
                let value = value.trim_start_matches([' ', '\t']);
                list.add(version, key, Some(value)).map_err(refused)?;
            }
        }
        (Use::Map, _) => {
            let (key, value) = (word(1)?, word(2)?);
            named(call, kind, name)?.add(version, key, Some(value)).map_err(refused)?;
        }
    }
    Ok(Reply::DONE)
}

fn set(call: &mut Call<'_>) -> Outcome {
    let &[list, key, value, ..] = call.arguments else {
        let text = "'set map' expects three parameters: map identifier, key and value.";
        return Err(Reply::error_line(text));
    };
    let meant = which(key);
    let done = named(call, Use::Map, list)?.set_value(meant, value);
    done.map_err(|why| match (why, meant) {
        (Refused::NotFound, Which::Number(_)) => Reply::error_line("key or pattern not found."),
        (Refused::NotFound, Which::Key(_)) => Reply::error_line("entry not found."),
        (why, _) => refused(Use::Map, &why),
    })?;
    Ok(Reply::DONE)
}

fn delete(call: &mut Call<'_>, kind: Use) -> Outcome {
    let &[list, key, ..] = call.arguments else {
        let name = name(kind);
        return Err(Reply::error_line(format_args!(
            "This command expects two parameters: {name} identifier and key."
        )));
    };
    named(call, kind, list)?.remove(which(key)).map_err(|why| refused(kind, &why))?;
    Ok(Reply::DONE)
}

fn clear(call: &mut Call<'_>, kind: Use) -> Outcome {
    let (version, rest) = versioned(call.arguments);
    let Some(list) = rest.first() else {
        return Err(Reply::error_line(format_args!("Missing {} identifier.", name(kind))));
    };
    named(call, kind, list)?.clear(version);
    Ok(Reply::DONE)
}

fn prepare(call: &mut Call<'_>, kind: Use) -> Outcome {
    let version = named(call, kind, call.word(0))?.prepare();
    Ok(Reply::info_line(format_args!("New version created: {version}")))
}

fn commit(call: &mut Call<'_>, kind: Use) -> Outcome {
    let (Some(version), rest) = versioned(call.arguments) else {
        return Err(Reply::error_line("Missing version number."));
    };
    let list = named(call, kind, rest.first().copied().unwrap_or_default())?;
    list.commit(version).map_err(|why| refused(kind, &why))?;
    Ok(Reply::DONE)
}
