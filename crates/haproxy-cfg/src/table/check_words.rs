//! What steps of checks are made of: formats, expressions, regular expressions, variables.

use conf::{Binder, Problem, Span, Word};
use proxy::CheckAct;
use rules::record::Variable;
use rules::{Place, Regex};

use super::text;
use crate::context::Context;
use crate::draft::Draft;
use crate::expr::{Manner, Wrong, read};
use crate::format::{Purpose, parse};
use crate::say::Complain;

/// Where expressions of checks are read as if they stood: HAProxy lets every fetch be written there,
/// and those that find nothing have no value.
const PLACES: &[Place] =
    &[Place::Check, Place::Log, Place::BackendRequest, Place::BackendContent, Place::Response];

const FORMAT: Purpose = Purpose { places: PLACES, http: false, log: false };

/// What a section says of checks besides its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChecksDraft {
    pub(crate) words: proxy::CheckWords,
    /// `http-check disable-on-404`.
    pub(crate) disable_on_404: bool,
    /// `http-check send-state`.
    pub(crate) send_state: bool,
    /// The steps are this section's own, and not what the defaults say.
    pub(crate) own_tcp: bool,
    pub(crate) own_http: bool,
    /// `external-check command`.
    pub(crate) command: Option<String>,
    /// `external-check path`.
    pub(crate) path: Option<String>,
    pub(crate) email: EmailDraft,
    /// `retry-on` without `conn-failure`.
    pub(crate) no_retries: bool,
}

/// `email-alert`.
#[derive(Clone, Debug, Default)]
pub(crate) struct EmailDraft {
    /// Whether there is any such line.
    pub(crate) wanted: bool,
    pub(crate) mailers: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) level: Option<proxy::Severity>,
    pub(crate) host: Option<String>,
}

/// Complains in the words of a step; nothing if it is known and not built.
fn wrong(b: &mut Binder, at: Span, why: Wrong, words: impl FnOnce(String) -> String) {
    match why {
        Wrong::Said(text) => {
            b.refuse(at, words(text));
        }
        Wrong::Planned(keyword) => {
            b.error(at, Problem::Planned { keyword });
        }
    }
}

/// A format's number; `None` is a complaint.
pub(super) fn format(p: &mut Draft, name: &str, word: &Word, b: &mut Binder) -> Option<usize> {
    named_format(p, name, &word.text, word, b)
}

/// The same, where HAProxy names another word in its complaint.
pub(super) fn named_format(
    p: &mut Draft,
    name: &str,
    said: &str,
    word: &Word,
    b: &mut Binder,
) -> Option<usize> {
    match parse(&p.context, &word.text, FORMAT) {
        Ok(format) => {
            p.checks.words.formats.push(format);
            Some(p.checks.words.formats.len() - 1)
        }
        Err(why) => {
            let words = |why| format!("{name} : '{said}' invalid log-format string ({why}).\n.");
            wrong(b, word.span, why, words);
            None
        }
    }
}

/// The same, of a header: HAProxy's complaint is shorter.
pub(super) fn header_format(
    p: &mut Draft,
    name: &str,
    word: &Word,
    b: &mut Binder,
) -> Option<check::Text> {
    match parse(&p.context, &word.text, FORMAT) {
        Ok(format) => Some(match format.constant() {
            Some(text) => text.into(),
            None => {
                p.checks.words.formats.push(format);
                check::Text::Format(p.checks.words.formats.len() - 1)
            }
        }),
        Err(why) => {
            wrong(b, word.span, why, |why| format!("{name} : {why}."));
            None
        }
    }
}

/// A regular expression's number.
pub(super) fn regex(p: &mut Draft, name: &str, word: &Word, b: &mut Binder) -> Option<usize> {
    match Regex::new(&word.text, false) {
        Ok(regex) => {
            p.checks.words.regexes.push(regex);
            Some(p.checks.words.regexes.len() - 1)
        }
        Err(why) => {
            b.refuse(word.span, format!("{name} : {why}."));
            None
        }
    }
}

/// The number of an expression, one word of it.
pub(super) fn number(
    p: &mut Draft,
    name: &str,
    what: &str,
    word: &Word,
    b: &mut Binder,
) -> Option<usize> {
    match read(&p.context, &[&word.text], Manner::Rule) {
        Ok(found) => {
            p.checks.words.numbers.push(found.expr);
            Some(p.checks.words.numbers.len() - 1)
        }
        Err(why) => {
            let words =
                |why| format!("{name} : error detected while parsing {what} expression : {why}.");
            wrong(b, word.span, why, words);
            None
        }
    }
}

/// `set-var(<name>) <expr>`, `set-var-fmt(<name>) <format>`, `unset-var(<name>)`: its number.
pub(super) fn act(p: &mut Draft, kind: &str, words: &[Word], b: &mut Binder) -> Option<usize> {
    let word = text(words, 0);
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let bare = word.split('(').next().unwrap_or_default();
    let label = format!("'{kind} {word}' : '{bare}'");
    match read_act(&p.context, bare, word, &words[1..]) {
        Ok(act) => {
            p.checks.words.acts.push(act);
            Some(p.checks.words.acts.len() - 1)
        }
        Err(why) => {
            wrong(b, at, why, |why| format!("{label} : {why}."));
            None
        }
    }
}

fn read_act(context: &Context, bare: &str, word: &str, rest: &[Word]) -> Result<CheckAct, Wrong> {
    let inside = word.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let Some((name, _)) = inside else {
        return Err(format!(
            "invalid or incomplete action '{bare}'. Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'"
        )
        .into());
    };
    let variable = Variable::parse(name)?;
    match bare {
        "unset-var" => Ok(CheckAct::Unset(variable)),
        "set-var-fmt" => {
            let format = match rest.first() {
                Some(word) => parse(context, &word.text, FORMAT)?,
                None => rules::Format::default(),
            };
            Ok(CheckAct::Format(variable, format))
        }
        _ => {
            let texts: Vec<&str> = rest.iter().map(|word| word.text.as_str()).collect();
            let found = read(context, &texts, Manner::Rule)?;
            Ok(CheckAct::Set(variable, found.expr))
        }
    }
}
