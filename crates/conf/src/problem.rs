//! Complaints, as data.

use std::ops::RangeInclusive;

use crate::source::{Sources, Span};

/// How bad a complaint is. What it does to the exit code is the dialect's business.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing; nothing is changed by it.
    Notice,
    /// The configuration runs, perhaps not as meant.
    Warning,
    /// The configuration is refused, or the statement is.
    Error,
}

/// A complaint about the configuration. Collected, never thrown: one run reports everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The word or statement it is about.
    pub span: Span,
    /// What is wrong.
    pub problem: Problem,
    /// The line's own context, as upstream names it ("server k8s/cp1"); empty where it has none.
    pub context: String,
    /// What to write instead, or what will happen; shown under our own name only.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A complaint without context or help.
    pub fn new(severity: Severity, span: Span, problem: Problem) -> Self {
        Self { severity, span, problem, context: String::new(), help: None }
    }

    /// Adds what to write instead.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds the context upstream names.
    pub fn context(self, context: impl Into<String>) -> Self {
        Self { context: context.into(), ..self }
    }
}

/// What is wrong, as data; how it is said is up to the [`Wording`] of a dialect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// The keyword has a successor.
    Deprecated {
        /// The keyword.
        keyword: &'static str,
        /// What to use.
        instead: &'static str,
    },
    /// The keyword has an argument too few.
    MissingArgument {
        /// The keyword.
        keyword: String,
        /// Which word of the statement is missing, from 0 (the keyword itself).
        position: usize,
        /// How the keyword is used.
        usage: String,
    },
    /// The keyword exists, but not in this section.
    Misplaced {
        /// The keyword.
        keyword: String,
        /// The section it was found in.
        section: String,
    },
    /// The word is not a time.
    NotATime {
        /// The keyword.
        keyword: &'static str,
        /// The word.
        word: String,
    },
    /// The word is not a number.
    NotANumber {
        /// The keyword.
        keyword: &'static str,
        /// The word.
        word: String,
    },
    /// The word is none of the choices.
    NotOneOf {
        /// The keyword.
        keyword: &'static str,
        /// The choices.
        of: &'static [&'static str],
        /// The word.
        word: String,
    },
    /// The number is outside its range.
    OutOfRange {
        /// The keyword.
        keyword: &'static str,
        /// The number as written.
        word: String,
        /// What is allowed.
        range: RangeInclusive<u64>,
    },
    /// The keyword is known, and not built yet.
    Planned {
        /// The keyword with as many of its words as matter.
        keyword: String,
    },
    /// The keyword is taken and does nothing.
    NoEffect {
        /// The keyword.
        keyword: &'static str,
        /// Why that is right.
        why: &'static str,
    },
    /// There are words after the last one the keyword takes.
    Surplus {
        /// The keyword.
        keyword: &'static str,
        /// The first word too many.
        word: String,
    },
    /// Nothing has this name.
    UnknownKeyword {
        /// The word.
        word: String,
        /// The section it was found in.
        section: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A quote is opened and not closed.
    UnmatchedQuote {
        /// The text from the quote on, at most 80 characters.
        text: String,
    },
    /// The arguments have the wrong shape.
    Usage {
        /// The keyword.
        keyword: &'static str,
        /// How it is used.
        usage: String,
    },
    /// Anything only one dialect can say, already in its words.
    Other(String),
}

/// The words one upstream uses. Operators, scripts and log parsers know them by heart.
pub trait Wording {
    /// The complaint itself, without its place.
    fn say(&self, diagnostic: &Diagnostic) -> String;

    /// The complaint with its place, as upstream prints it.
    fn line(&self, sources: &Sources, diagnostic: &Diagnostic) -> String;

    /// What to do about it: the diagnostic's own help, or one that follows from the problem.
    fn help(&self, diagnostic: &Diagnostic) -> Option<String> {
        if diagnostic.help.is_some() {
            return diagnostic.help.clone();
        }
        match &diagnostic.problem {
            Problem::Deprecated { instead, .. } => Some(format!("use '{instead}'")),
            Problem::MissingArgument { keyword, usage, .. } => {
                Some(format!("write '{}'", format!("{keyword} {usage}").trim_end()))
            }
            Problem::Usage { keyword, usage } => {
                Some(format!("write '{}'", format!("{keyword} {usage}").trim_end()))
            }
            Problem::NotOneOf { of, .. } => Some(format!("write one of: {}", of.join(", "))),
            Problem::OutOfRange { range, .. } => {
                Some(format!("write a number from {} to {}", range.start(), range.end()))
            }
            Problem::NotANumber { keyword, .. } => Some(format!("'{keyword}' takes a number")),
            Problem::NotATime { keyword, .. } => Some(format!("'{keyword}' takes a time")),
            Problem::UnknownKeyword { nearest: Some(nearest), .. } => {
                Some(format!("did you mean '{nearest}'?"))
            }
            Problem::Surplus { word, .. } => Some(format!("remove '{word}'")),
            Problem::UnmatchedQuote { .. } => Some("close the quote on the same line".into()),
            Problem::UnknownKeyword { .. }
            | Problem::Misplaced { .. }
            | Problem::Planned { .. }
            | Problem::NoEffect { .. }
            | Problem::Other(_) => None,
        }
    }
}
