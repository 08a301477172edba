//! How a complaint names its place. HAProxy has five manners, and scripts match on them.

use conf::{Binder, Diagnostic, Problem, Severity, Span};

/// `parsing [file:line]: …`, without the blank: the lexer, `.if`, `id` and a few more.
pub(crate) const TIGHT: &str = ":";
/// `[file:line] : …`: server lines before they have a name.
pub(crate) const BARE: &str = "@";
/// `Parsing [file:line]: …`: two sections of one name.
pub(crate) const CAPITAL: &str = "P";
/// No place at all: cross references.
pub(crate) const NOWHERE: &str = "-";
/// As the usual manner, and printed as an alert although it does not keep the file from running.
pub(crate) const LOUD: &str = "!";
/// Not about one place: "Error(s) found in configuration file".
pub(crate) const SUMMARY: &str = "=";

/// Complaints in HAProxy's own words.
pub(crate) trait Complain {
    /// Refuses: `parsing [file:line] : …`.
    fn refuse(&mut self, span: Span, text: impl Into<String>) -> &mut Diagnostic;
    /// Warns: `parsing [file:line] : …`.
    fn warn(&mut self, span: Span, text: impl Into<String>) -> &mut Diagnostic;
    /// Either, in the given manner.
    fn complain(
        &mut self,
        severity: Severity,
        manner: &str,
        span: Span,
        text: impl Into<String>,
    ) -> &mut Diagnostic;
}

impl Complain for Binder {
    fn refuse(&mut self, span: Span, text: impl Into<String>) -> &mut Diagnostic {
        self.error(span, Problem::Other(text.into()))
    }

    fn warn(&mut self, span: Span, text: impl Into<String>) -> &mut Diagnostic {
        self.warning(span, Problem::Other(text.into()))
    }

    fn complain(
        &mut self,
        severity: Severity,
        manner: &str,
        span: Span,
        text: impl Into<String>,
    ) -> &mut Diagnostic {
        let problem = Problem::Other(text.into());
        let diagnostic = match severity {
            Severity::Error => self.error(span, problem),
            Severity::Warning => self.warning(span, problem),
            Severity::Notice => self.notice(span, problem),
        };
        manner.clone_into(&mut diagnostic.context);
        diagnostic
    }
}
