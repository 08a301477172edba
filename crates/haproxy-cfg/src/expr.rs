//! Expressions: `src,ipmask(24)` → a fetch, converters and their arguments.

use conf::{Unit, Word};
use rules::convert::{self, Converter};
use rules::fetch::{self, Fetch};
use rules::list::Use;
use rules::pattern::{Flags, Match, mask4};
use rules::record::Variable;
use rules::{Arg, Args, Expr, Kind, Map};

use crate::context::Context;

/// Why something is no expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    /// HAProxy's words.
    Said(String),
    /// This is known and not built.
    Planned(String),
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

impl Wrong {
    /// The words with more around them.
    pub(crate) fn map(self, around: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Said(text) => Self::Said(around(text)),
            planned @ Self::Planned(_) => planned,
        }
    }
}

/// An expression that was read, and what is left.
#[derive(Debug)]
pub(crate) struct Read<'t> {
    pub(crate) expr: Expr,
    /// How the first word's name matches by default, if it is one of ACLs.
    pub(crate) matched: Option<Match>,
    /// What stands behind it in its last word.
    pub(crate) rest: &'t str,
    /// How many words it took.
    pub(crate) words: usize,
}

/// How expressions of a place are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// The first word of an ACL: its own names, one word.
    Acl,
    /// The words of a rule: converters may be words of their own.
    Rule,
    /// Inside `%[…]`: something may follow.
    Format,
}

/// Reads an expression from the beginning of some words.
pub(crate) fn read<'t>(
    context: &Context,
    words: &[&'t str],
    manner: Manner,
) -> Result<Read<'t>, Wrong> {
    let text = words.first().copied().unwrap_or("");
    let (name, mut rest) = identifier(text);
    if name.is_empty() {
        return Err("missing fetch method".to_owned().into());
    }
    let (fetch, matched) = find(name, manner)?;
    let args;
    (args, rest) = arguments(context, fetch.args, rest)
        .map_err(|flaw| flaw.wrong(&format!("fetch method '{name}'")))?;
    let mut args = args;
    finish(fetch, &mut args).map_err(|wrong| {
        wrong.map(|text| format!("invalid args in fetch method '{name}' : {text}"))
    })?;
    let mut expr = Expr::new(fetch, args);
    let (mut taken, mut last) = (1, None::<&str>);
    loop {
        if !rest.is_empty() && !rest.starts_with(',') {
            if manner == Manner::Format {
                break;
            }
            return Err(Wrong::Said(match last {
                None => "missing comma after fetch keyword".to_owned(),
                Some(last) => format!("missing comma after converter '{last}'"),
            }));
        }
        rest = rest.trim_start_matches(',');
        let fresh = rest.is_empty();
        if fresh {
            // Only the words of a rule go on.
            match words.get(taken) {
                Some(next) if manner == Manner::Rule => rest = next,
                _ => break,
            }
        }
        let (name, behind) = identifier(rest);
        let Some(converter) = convert::named(name) else {
            if convert::PLANNED.contains(&name) && !name.is_empty() {
                return Err(Wrong::Planned(format!("converter {name}")));
            }
            if fresh {
                // A word that is not ours.
                rest = "";
                break;
            }
            return Err(format!("unknown converter '{name}'").into());
        };
        taken += usize::from(fresh);
        let (mut args, behind) = match arguments(context, converter.args, behind) {
            Ok(read) => read,
            Err(flaw) => {
                let at = flaw.at;
                return Err(flaw.wrong(&format!("invalid arg {at} in converter '{name}'")));
            }
        };
        // A value it cannot take counts before words it cannot.
        if !expr.out().casts_to(converter.input) {
            return Err(Wrong::Said(format!("converter '{name}' cannot be applied")));
        }
        finish_converter(context, converter, &mut args).map_err(|wrong| {
            wrong.map(|text| format!("invalid args in converter '{name}' : {text}"))
        })?;
        expr.then(converter, args)
            .map_err(|_| Wrong::Said(format!("converter '{name}' cannot be applied")))?;
        (rest, last) = (behind, Some(name));
    }
    Ok(Read { expr, matched, rest, words: taken })
}

/// The texts of words.
pub(crate) fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

fn find(name: &str, manner: Manner) -> Result<(&'static Fetch, Option<Match>), Wrong> {
    let found = match manner {
        Manner::Acl => fetch::keyword(name),
        Manner::Rule | Manner::Format => fetch::named(name).map(|fetch| (fetch, None)),
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if fetch::PLANNED.contains(&name) {
        return Err(Wrong::Planned(format!("fetch {name}")));
    }
    Err(format!("unknown fetch method '{name}'").into())
}

fn identifier(text: &str) -> (&str, &str) {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    text.split_at(text.find(|c| !part(c)).unwrap_or(text.len()))
}

/// What is wrong with an argument, and which one it is.
struct Flaw {
    at: usize,
    text: String,
}

impl Flaw {
    fn wrong(self, whose: &str) -> Wrong {
        Wrong::Said(format!("{whose} : {}", self.text))
    }
}

/// The arguments in parentheses, and what follows them.
fn arguments<'t>(
    context: &Context,
    args: Args,
    text: &'t str,
) -> Result<(Vec<Arg>, &'t str), Flaw> {
    let flaw = |at, text: String| Err(Flaw { at, text });
    let Some(mut rest) = text.strip_prefix('(') else {
        let Some(kind) = args.kinds.first().filter(|_| args.least > 0) else {
            return Ok((vec![], text));
        };
        if kind.is_reference() {
            // The section it is in, or nothing: found out once all are read.
            return Ok((vec![Arg::Name(*kind, "".into())], text));
        }
        let text = format!("expected type '{}' at position 1, but got nothing", kind.name());
        return flaw(1, text);
    };
    let mut out = vec![];
    for (at, kind) in args.kinds.iter().enumerate() {
        let (word, behind) = argument(rest);
        if word.is_empty() && behind.starts_with(')') && at > 0 && at >= args.least {
            rest = behind;
            break;
        }
        match parse(context, *kind, &word) {
            Some(arg) => out.push(arg),
            None if word.is_empty() && at >= args.least => {}
            None => {
                let kind = kind.name();
                let text =
                    format!("failed to parse '{word}' as type '{kind}' at position {}", at + 1);
                return flaw(at + 1, text);
            }
        }
        rest = behind;
        match behind.strip_prefix(',') {
            Some(next) if at + 1 < args.kinds.len() => rest = next,
            _ => break,
        }
    }
    let got = out.len();
    if let Some(behind) = rest.strip_prefix(')') {
        if got >= args.least {
            return Ok((out, behind));
        }
        let kind = args.kinds[got].name();
        let text = format!("missing arguments (got {got}/{}), type '{kind}' expected", args.least);
        return flaw(got + 1, text);
    }
    if rest.is_empty() {
        return flaw(got + 1, "expected ')'".to_owned());
    }
    flaw(got.max(1), format!("expected ')' before '{rest}'"))
}

/// One argument: up to a comma or a parenthesis that is not between quotes.
fn argument(text: &str) -> (String, &str) {
    let (mut out, mut quote) = (String::new(), None);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some('\''), _) => out.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, ',' | ')') => return (out, &text[at..]),
            (_, '\\') => match chars.peek() {
                Some(&(_, next @ (' ' | '\\' | '"' | '\''))) => {
                    out.push(next);
                    chars.next();
                }
                _ => out.push(c),
            },
            _ => out.push(c),
        }
    }
    (out, "")
}

fn parse(context: &Context, kind: Kind, word: &str) -> Option<Arg> {
    Some(match kind {
        Kind::Int => Arg::Int(word.parse().ok()?),
        Kind::Str | Kind::Map | Kind::Variable | Kind::Regex => {
            Arg::Str(crate::lexer::bytes_of(word).into())
        }
        Kind::V4 => Arg::V4(word.parse().ok().or_else(|| {
            context.resolve(word).into_iter().find_map(|ip| match ip {
                std::net::IpAddr::V4(ip) => Some(ip),
                std::net::IpAddr::V6(_) => None,
            })
        })?),
        Kind::V6 => Arg::V6(word.parse().ok()?),
        Kind::Mask4 => Arg::Mask4(mask4(word)?),
        Kind::Mask6 => Arg::Mask6(match word.parse::<u32>() {
            Ok(length) if length <= 128 => u128::MAX.checked_shl(128 - length).unwrap_or(0),
            _ => word.parse::<std::net::Ipv6Addr>().ok()?.into(),
        }),
        Kind::Time => Arg::Time(crate::number::time(word, Unit::Millis).ok()?.0),
        Kind::Frontend | Kind::Backend | Kind::Server | Kind::Table | Kind::Users | Kind::Acl => {
            Arg::Name(kind, word.into())
        }
        Kind::Field => {
            let numbers: Result<Vec<u32>, _> = word.split('.').map(str::parse).collect();
            Arg::Field(numbers.ok()?.into())
        }
    })
}

fn text_of(arg: &Arg) -> String {
    String::from_utf8_lossy(arg.text().unwrap_or_default()).into_owned()
}

/// What the kinds do not say: names of variables, and the row's own rules.
fn finish(fetch: &Fetch, args: &mut Vec<Arg>) -> Result<(), Wrong> {
    for (arg, kind) in args.iter_mut().zip(fetch.args.kinds) {
        if *kind == Kind::Variable {
            *arg = Arg::Variable(Variable::parse(&text_of(arg))?);
        }
    }
    Ok((fetch.check)(args)?)
}

fn finish_converter(
    context: &Context,
    converter: &'static Converter,
    args: &mut Vec<Arg>,
) -> Result<(), Wrong> {
    if let Some(kind) = convert::map_named(converter.name) {
        let file = text_of(&args[0]);
        let text = if context.reach_out.get() { read_file(context, &file)? } else { String::new() };
        let mut map = Map::read(&file, "", kind.matched, kind.out, Flags::default())?;
        map.keyed = converter.name.ends_with("_key");
        map.expands = converter.name == "map_regm";
        let map = map.with_lines(&text)?;
        let list = context.file(&file, &text, Use::Map, Use::Map);
        args[0] = Arg::Map(list.map(map));
    }
    Ok((converter.check)(args)?)
}

/// The text of a file of patterns.
pub(crate) fn read_file(context: &Context, file: &str) -> Result<String, String> {
    match context.read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Err(format!("failed to open pattern file <{file}>")),
    }
}
