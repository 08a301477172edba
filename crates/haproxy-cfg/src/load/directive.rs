//! `.if` and its kin: lines for the reader, not for the configuration.

use conf::{Severity, Span, Word};

use super::Loader;
use crate::condition::evaluate;
use crate::say::{Complain, TIGHT};
use crate::table::global;

/// How deep `.if` may nest.
const MAX_NESTING: usize = 100;

/// One `.if`.
#[derive(Debug)]
pub(super) struct Condition {
    /// Whether the lines of the present branch count.
    taken: bool,
    /// Whether a branch was taken before, so that no other is.
    settled: bool,
    /// Whether `.else` was seen.
    last: bool,
}

impl Loader {
    /// Whether lines do not count, because of an `.if` around them.
    pub(super) fn skipping(&self) -> bool {
        self.conditions.iter().any(|condition| !condition.taken)
    }

    /// `.if`, `.elif`, `.else`, `.endif`, `.notice` and their kin.
    pub(super) fn directive(&mut self, words: &[Word], line: &str, at: Span) {
        let name = words[0].text.clone();
        let span = words[0].span;
        match name.as_str() {
            ".if" | ".elif" => {
                if name == ".elif" {
                    let Some(condition) = self.conditions.last_mut() else {
                        return self.abort(TIGHT, span, "lone '.elif' with no matching '.if'.");
                    };
                    if condition.last {
                        return self.abort(TIGHT, span, "'.elif' after '.else' is not permitted.");
                    }
                    condition.taken = false;
                    if condition.settled {
                        return;
                    }
                } else {
                    if self.conditions.len() + 1 >= MAX_NESTING {
                        let text = format!("too many nested '.if', max is {MAX_NESTING}.");
                        return self.abort(TIGHT, span, text);
                    }
                    let outer = self.skipping();
                    // Inside lines that do not count no branch counts, whatever it says.
                    self.conditions.push(Condition { taken: false, settled: outer, last: false });
                    if outer {
                        return;
                    }
                }
                let expression = global::join(&words[1..]);
                let value = evaluate(&expression, &self.context.env.borrow());
                match value {
                    Ok(value) => {
                        if let Some(condition) = self.conditions.last_mut() {
                            condition.taken = value;
                            condition.settled = value;
                        }
                    }
                    Err(part) => {
                        let position = expression.len().saturating_sub(part.len());
                        let at_word =
                            words.get(1).map_or(0, |w| (w.span.start - at.start) as usize);
                        let indent = line.len() - line.trim_start().len();
                        let caret = " ".repeat(2 + at_word.saturating_sub(indent) + position);
                        let text = format!(
                            "unparsable conditional expression '{part}' in '{name}' at position {}:\n  {}\n{caret}^",
                            position + 1,
                            line.trim_start()
                        );
                        self.abort(TIGHT, words.get(1).map_or(span, |w| w.span), text);
                    }
                }
            }
            ".else" => match self.conditions.last_mut() {
                None => self.abort(TIGHT, span, "lone '.else' with no matching '.if'."),
                Some(condition) if condition.last => {
                    self.abort(TIGHT, span, "'.else' after '.else' is not permitted.");
                }
                Some(condition) => {
                    condition.taken = !condition.settled;
                    (condition.settled, condition.last) = (true, true);
                }
            },
            ".endif" => {
                if self.conditions.pop().is_none() {
                    self.abort(TIGHT, span, "lone '.endif' with no matching '.if'.");
                }
            }
            _ if self.skipping() => {}
            ".notice" | ".warning" | ".alert" | ".diag" => {
                let text = format!("'{}'.", global::join(&words[1..]));
                match name.as_str() {
                    ".notice" => {
                        self.binder.complain(Severity::Notice, TIGHT, span, text);
                    }
                    ".warning" => {
                        self.binder.complain(Severity::Warning, TIGHT, span, text);
                    }
                    ".alert" => self.abort(TIGHT, span, text),
                    // Shown with -dD only.
                    _ => {}
                }
            }
            _ => {
                self.tight(span, format!("unknown directive '{name}'."));
            }
        }
    }
}
