//! `stick-table`, `stick`, `track-sc` and the actions on tracked counters.

use conf::{Binder, Problem, Severity, Span, Unit, Word};
use proxy::Origin;
use rules::{Action, Arg, Expr, Kind as ArgKind, Operand, Place};
use stick::{Data, KeyType, Kind as DataKind, ServerKey, Stored};

use super::text;
use crate::acl::{ConditionDraft, condition, conflicts};
use crate::context::Context;
use crate::draft::{Draft, Kind};
use crate::expr::{Manner, Wrong, read, texts};
use crate::number::{NotTime, time};
use crate::say::{Complain, TIGHT};

/// A stick table as it was read.
#[derive(Clone, Debug)]
pub(crate) struct TableDraft {
    pub(crate) at: Span,
    pub(crate) origin: Origin,
    pub(crate) config: stick::Config,
    /// The `peers` section.
    pub(crate) peers: Option<String>,
}

/// What makes connections stick, as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct StickDraft {
    pub(crate) table: Option<TableDraft>,
    pub(crate) rules: Vec<StickRuleDraft>,
    pub(crate) persist: bool,
    /// `force-persist` (true) and `ignore-persist` (false).
    pub(crate) exceptions: Vec<(bool, ConditionDraft)>,
}

/// A `stick` rule.
#[derive(Clone, Debug)]
pub(crate) struct StickRuleDraft {
    pub(crate) at: Span,
    pub(crate) matches: bool,
    pub(crate) stores: bool,
    pub(crate) answer: bool,
    pub(crate) expr: Expr,
    /// `None`: that of the section.
    pub(crate) table: Option<String>,
    pub(crate) condition: Option<ConditionDraft>,
}

/// `stick-table` of a proxy.
pub(crate) fn stick_table(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    if let Some(known) = &p.stick.table {
        let (noun, name, origin) = (p.kind.noun(), &p.name, &known.origin);
        let text = format!(
            "stick-table name '{name}' conflicts with table declared in {noun} '{name}' at {origin}."
        );
        b.refuse(at, text);
        return;
    }
    let origin = p.context.origin();
    p.stick.table = table("stick-table", at, origin, words, b);
}

/// The words behind `stick-table`, or behind the name of a `table` of peers.
pub(crate) fn table(
    keyword: &str,
    at: Span,
    origin: Origin,
    words: &[Word],
    b: &mut Binder,
) -> Option<TableDraft> {
    match read_table(keyword, words, b) {
        Ok((config, peers)) => Some(TableDraft { at, origin, config, peers }),
        Err(Refusal::Said(text)) => {
            b.refuse(at, text);
            None
        }
        Err(Refusal::Tight(text)) => {
            b.complain(Severity::Error, TIGHT, at, text);
            None
        }
        Err(Refusal::Planned(keyword)) => {
            b.error(at, Problem::Planned { keyword });
            None
        }
    }
}

enum Refusal {
    Said(String),
    Tight(String),
    Planned(String),
}

type TableWords = (stick::Config, Option<String>);

fn read_table(keyword: &str, words: &[Word], b: &mut Binder) -> Result<TableWords, Refusal> {
    let said = |what: String| Refusal::Said(format!("{keyword}: {what}"));
    let (mut key, mut size) = (None, 0_usize);
    let mut config = stick::Config::new(KeyType::Ip, 0);
    let mut peers = None;
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        let argument = behind.first();
        let needed =
            || argument.ok_or_else(|| said(format!("missing argument after '{}'", word.text)));
        rest = behind.get(1..).unwrap_or_default();
        match word.text.as_str() {
            "type" => {
                let (read, taken) =
                    key_type(behind).map_err(|what| said(format!("unknown type '{what}'.")))?;
                key = Some(read);
                rest = &behind[taken..];
            }
            "size" => {
                size = read_size(&needed().map_err(dot)?.text).map_err(|c| {
                    said(format!("unexpected character '{c}' in argument of 'size'."))
                })?;
            }
            "expire" => {
                let word = needed().map_err(dot)?;
                let (read, _) = time(&word.text, Unit::Millis).map_err(|wrong| match wrong {
                    NotTime::Unexpected(c) => {
                        said(format!("unexpected character '{c}' in argument of 'expire'."))
                    }
                    NotTime::Overflow => Refusal::Tight(format!(
                        "{keyword}: timer overflow in argument <{}> to <expire>, maximum value is 2147483647 ms (~24.8 days).",
                        word.text
                    )),
                })?;
                let millis = u64::try_from(read.as_millis()).unwrap_or(u64::MAX);
                config.expire = Some(millis).filter(|millis| *millis > 0);
            }
            "peers" => peers = Some(needed().map_err(dot)?.text.clone()),
            "nopurge" => {
                config.nopurge = true;
                rest = behind;
            }
            "store" => {
                if let Some(list) = argument {
                    read_store(keyword, list, &mut config, b)?;
                }
            }
            "srvkey" => {
                config.server_key = match argument.map_or("", |word| word.text.as_str()) {
                    "name" => ServerKey::Name,
                    "addr" => ServerKey::Address,
                    other => {
                        let text = format!("{keyword} : unknown server key type '{other}'.");
                        return Err(Refusal::Said(text));
                    }
                };
            }
            later @ ("write-to" | "recv-only" | "brates-factor") => {
                return Err(Refusal::Planned(format!("{keyword} {later}")));
            }
            other => return Err(said(format!("unknown argument '{other}'."))),
        }
    }
    if size == 0 {
        return Err(said("missing size.".to_owned()));
    }
    let Some(key) = key else { return Err(said("missing type.".to_owned())) };
    (config.key, config.size) = (key, size);
    Ok((config, peers))
}

fn dot(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Said(text) => Refusal::Said(format!("{text}.")),
        other => other,
    }
}

/// A type and how many words it took, or the word that is none.
fn key_type(words: &[Word]) -> Result<(KeyType, usize), String> {
    let length = |default: usize| {
        if text(words, 1) != "len" {
            return Ok((default, 1));
        }
        let word = text(words, 2);
        let number = word.parse().ok().filter(|number| *number > 0);
        number.map(|number| (number, 3)).ok_or_else(|| word.to_owned())
    };
    Ok(match text(words, 0) {
        "ip" | "ipv4" => (KeyType::Ip, 1),
        "ipv6" => (KeyType::Ipv6, 1),
        "integer" => (KeyType::Integer, 1),
        "string" => length(32).map(|(most, taken)| (KeyType::String(most), taken))?,
        "binary" => length(32).map(|(length, taken)| (KeyType::Binary(length), taken))?,
        other => return Err(other.to_owned()),
    })
}

/// `200k`; the character that does not belong there.
fn read_size(text: &str) -> Result<usize, char> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let mut behind = unit.chars();
    let shift = match behind.next() {
        None => 0,
        Some('k' | 'K') if digits > 0 => 10,
        Some('m' | 'M') if digits > 0 => 20,
        Some('g' | 'G') if digits > 0 => 30,
        Some(c) => return Err(c),
    };
    if let Some(c) = behind.next() {
        return Err(c);
    }
    let number: usize = number.parse().unwrap_or(usize::MAX);
    // More entries than 32 bits can count cannot be numbered.
    Ok(number.saturating_mul(1 << shift).min(u32::MAX as usize - 1))
}

fn read_store(
    keyword: &str,
    list: &Word,
    config: &mut stick::Config,
    b: &mut Binder,
) -> Result<(), Refusal> {
    let said = |what: String| Refusal::Said(format!("{keyword}: {what}"));
    let mut rest = list.text.as_str();
    loop {
        let end = rest.find([',', '(']).unwrap_or(rest.len());
        let name = &rest[..end];
        let mut arguments = None;
        rest = &rest[end..];
        if let Some(inside) = rest.strip_prefix('(') {
            let Some((inside, after)) = inside.split_once(')') else {
                let text = format!("missing closing parenthesis after store option '{name}'.");
                return Err(said(text));
            };
            (arguments, rest) = (Some(inside), after);
        }
        let Some(data) = Data::named(name) else {
            return Err(said(format!("unknown store option '{name}'.")));
        };
        let stored = read_stored(data, arguments)
            .map_err(|what| said(format!("{what} store option '{name}'.")))?;
        if config.stored(data).is_some() {
            let text = format!("{keyword}: store option '{name}' already enabled, ignored.");
            b.complain(Severity::Warning, TIGHT, list.span, text);
        }
        config.store(stored);
        for (array, singles, said_singles) in ARRAYS {
            if config.stored(*array).is_some()
                && singles.iter().any(|single| config.stored(*single).is_some())
            {
                let array = array.name();
                let text = format!(
                    "simultaneous usage of '{array}' and '{said_singles}' in a same table is not permitted as '{array}' overrides '{said_singles}'."
                );
                return Err(said(text));
            }
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(()),
        }
    }
}

/// Arrays, what they replace, and what HAProxy calls that.
const ARRAYS: &[(Data, &[Data], &str)] = &[
    (Data::Gpt, &[Data::Gpt0], "gpt0"),
    (Data::Gpc, &[Data::Gpc0, Data::Gpc1], "gpc[0/1]"),
    (Data::GpcRate, &[Data::Gpc0Rate, Data::Gpc1Rate], "gpc[0/1]_rate"),
];

fn read_stored(data: Data, arguments: Option<&str>) -> Result<Stored, &'static str> {
    const MISSING: &str = "missing argument to";
    const WRONG: &str = "error when processing";
    let is_rate = data.kind() == DataKind::Rate;
    let mut stored = Stored::plain(data);
    let Some(text) = arguments else {
        let none = !is_rate && !data.is_array();
        return if none { Ok(stored) } else { Err(MISSING) };
    };
    let mut words = text.split(',');
    if data.is_array() {
        let count = words.next().unwrap_or_default().parse().unwrap_or(0);
        if !(1..=100).contains(&count) {
            return Err("array size is out of allowed range (1-100) for");
        }
        stored.count = count;
    } else if !is_rate {
        return Err("unexpected argument to");
    }
    if is_rate {
        let word = words.next().ok_or(MISSING)?;
        if word.is_empty() {
            return Err(WRONG);
        }
        let (period, _) = time(word, Unit::Millis).map_err(|_| WRONG)?;
        stored.period = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    }
    Ok(stored)
}

/// `stick on`, `stick match`, `stick store-request`, `stick store-response`.
pub(crate) fn stick(p: &mut Draft, how: &str, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    if p.kind == Kind::Frontend {
        let text =
            format!("'stick' ignored because frontend '{}' has no backend capability.", p.name);
        b.warn(at, text);
        return;
    }
    let answer = how == "store-response";
    let (matches, stores) = (matches!(how, "on" | "match"), how != "match");
    if words.is_empty() {
        b.refuse(at, "'stick' expects a fetch method.");
        return;
    }
    let all = texts(words);
    let read = match read(&p.context, &all, Manner::Rule) {
        Ok(read) => read,
        Err(Wrong::Said(why)) => {
            b.refuse(at, format!("'stick': {why}"));
            return;
        }
        Err(Wrong::Planned(keyword)) => {
            b.error(at, Problem::Planned { keyword });
            return;
        }
    };
    let place = if answer { Place::StickStore } else { Place::UseServer };
    if !place.offers(read.expr.source()) {
        let (name, names) = (read.expr.fetch_name(), read.expr.source().names());
        let what = if answer { "store-response" } else { "request" };
        let text = format!(
            "'stick': fetch method '{name}' extracts information from '{names}', none of which is available for '{what}'."
        );
        b.refuse(at, text);
        return;
    }
    let mut rest = &words[read.words..];
    let mut table = None;
    if text(rest, 0) == "table" {
        table = Some(text(rest, 1).to_owned());
        rest = rest.get(2..).unwrap_or_default();
    }
    let condition = match text(rest, 0) {
        "" => None,
        word @ ("if" | "unless") => {
            let mut planned = vec![];
            match condition(&p.context, b, &p.acls, word == "unless", &rest[1..], &mut planned) {
                Ok(condition) => {
                    super::tcp_rules::refuse_planned(b, at, planned);
                    for text in conflicts(&p.acls, &condition, &[place], "") {
                        b.warn(at, text);
                    }
                    Some(condition)
                }
                Err(why) => {
                    let why = why.trim_end_matches('.');
                    let text = format!(
                        "'stick': error detected while parsing sticking condition : {why}."
                    );
                    b.refuse(at, text);
                    return;
                }
            }
        }
        other => {
            b.refuse(at, format!("'stick': unknown keyword '{other}'."));
            return;
        }
    };
    let expr = read.expr;
    p.stick.rules.push(StickRuleDraft { at, matches, stores, answer, expr, table, condition });
}

/// `force-persist` and `ignore-persist`.
pub(crate) fn persistence(p: &mut Draft, force: bool, words: &[Word], b: &mut Binder) {
    let keyword = if force { "force-persist" } else { "ignore-persist" };
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let unless = match text(words, 0) {
        "if" => false,
        "unless" => true,
        _ => {
            let text =
                format!("'{keyword}' requires either 'if' or 'unless' followed by a condition.");
            b.refuse(at, text);
            return;
        }
    };
    let mut planned = vec![];
    match condition(&p.context, b, &p.acls, unless, &words[1..], &mut planned) {
        Ok(condition) => {
            super::tcp_rules::refuse_planned(b, at, planned);
            for text in conflicts(&p.acls, &condition, &[Place::UseServer], "") {
                b.warn(at, text);
            }
            p.stick.exceptions.push((force, condition));
        }
        Err(why) => {
            let text = format!("error detected while parsing a '{keyword}' rule : {why}");
            b.refuse(at, text);
        }
    }
}

type Read<'w> = (Action, &'w [Word]);

/// Reads an expression whose fetch finds something where the rule stands.
pub(crate) type Expression<'r, 'w> = &'r dyn Fn(&'w [Word]) -> Result<(Expr, &'w [Word]), Wrong>;

/// `track-sc<n> expr [table name]`; `label` is the rule's family and action.
pub(crate) fn track<'w>(
    context: &Context,
    own: &str,
    content: bool,
    label: &str,
    words: &'w [Word],
    expression: Expression<'_, 'w>,
) -> Result<Read<'w>, Wrong> {
    let number = text(words, 0).trim_start_matches("track-sc");
    let around = |what: String| Wrong::Said(format!("'{label}' : {what}"));
    let counter: usize = match number {
        "" => 0,
        digits => {
            digits.parse().map_err(|_| around(format!("Wrong track-sc number '{number}'")))?
        }
    };
    let most = context.stick_counters();
    if counter >= most {
        let last = most.saturating_sub(1);
        return Err(around(format!(
            "{counter} track-sc number exceeding {last} (MAX_SESS_STKCTR-1) value"
        )));
    }
    if words.len() < 2 {
        return Err(around("missing fetch method".to_owned()));
    }
    let (expr, mut rest) =
        expression(&words[1..]).map_err(|wrong| wrong.map(|text| format!("'{label}' : {text}")))?;
    let mut table = own;
    if text(rest, 0) == "table" {
        table = text(rest, 1);
        rest = rest.get(2..).unwrap_or_default();
    }
    let table = Arg::Name(ArgKind::Table, table.into());
    Ok((Action::Track { counter, expr, table, content }, rest))
}

/// The actions on tracked counters: `sc-inc-gpc0(1)`, `sc-set-gpt(0,1) expr`. `None`: another one.
pub(crate) fn act<'w>(
    context: &Context,
    name: &str,
    argument: Option<&str>,
    words: &'w [Word],
    expression: Expression<'_, 'w>,
) -> Option<Result<Read<'w>, Wrong>> {
    let (data, indexed, sets, adds) = match name {
        "sc-inc-gpc" => (Data::Gpc, true, false, false),
        "sc-inc-gpc0" => (Data::Gpc0, false, false, false),
        "sc-inc-gpc1" => (Data::Gpc1, false, false, false),
        "sc-add-gpc" => (Data::Gpc, true, false, true),
        "sc-set-gpt" => (Data::Gpt, true, true, false),
        "sc-set-gpt0" => (Data::Gpt0, false, true, false),
        _ => return None,
    };
    let word = text(words, 0);
    let parse = || -> Result<Read<'w>, Wrong> {
        let what = if sets { "gpt" } else { "gpc" };
        let (mut index, mut counter) = (0, argument.unwrap_or_default());
        if indexed {
            let usage = || {
                let upper = what.to_uppercase();
                Wrong::Said(format!(
                    "Missing {what} ID '{word}'. Expects {name}(<{upper} ID>,<Track ID>)"
                ))
            };
            let (first, second) = counter.split_once(',').ok_or_else(usage)?;
            index = first.parse().map_err(|_| usage())?;
            counter = second;
        }
        let counter: usize = if counter.is_empty() {
            0
        } else {
            counter.parse().map_err(|_| {
                Wrong::Said(format!("invalid stick table track ID. Expects {word}(<Track ID>)"))
            })?
        };
        let most = context.stick_counters();
        if counter >= most {
            let shown = if indexed || sets { format!(" '{word}'") } else { String::new() };
            let last = most.saturating_sub(1);
            return Err(Wrong::Said(format!(
                "invalid stick table track ID{shown}. The max allowed ID is {last}"
            )));
        }
        let mut rest = &words[1..];
        let mut operand = Operand::Number(if sets { 0 } else { 1 });
        if sets || adds {
            match rest.first().map(|word| word.text.as_str()) {
                None | Some("if" | "unless") => {}
                Some(number) if number.parse::<u32>().is_ok() => {
                    operand = Operand::Number(number.parse().unwrap_or(0));
                    rest = &rest[1..];
                }
                Some(_) => {
                    let (expr, behind) = expression(rest)?;
                    (operand, rest) = (Operand::Expr(expr), behind);
                }
            }
        }
        let action = if sets {
            Action::SetGpt { data, index, counter, to: operand }
        } else {
            Action::AddGpc { data, index, counter, by: operand }
        };
        Ok((action, rest))
    };
    Some(parse())
}
