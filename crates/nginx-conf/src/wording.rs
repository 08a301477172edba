//! nginx's sentences.

use conf::{Diagnostic, FileId, Problem, Severity, Sources, Span};

use crate::lex;

/// The name of the text of `-g`.
pub(crate) const COMMAND_LINE: &str = "command line";

/// The span of complaints without a place.
pub(crate) const NOWHERE: Span = Span { file: FileId::MAX, start: 0, end: 0 };

/// Says complaints as nginx does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wording;

impl Wording {
    /// The complaint with its place and without its level: `… in FILE:LINE`.
    pub fn message(self, sources: &Sources, diagnostic: &Diagnostic) -> String {
        use conf::Wording as _;
        // Noise in a file is not to steer a terminal.
        let said: String =
            self.say(diagnostic).chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let span = diagnostic.span;
        if usize::from(span.file) >= sources.len() {
            return said;
        }
        let name = sources.name(span.file);
        if name == COMMAND_LINE {
            return format!("{said} in {name}");
        }
        format!("{said} in {name}:{}", lex::line_of_terminator(sources, span))
    }

    /// The level nginx gives a complaint: `emerg`, `crit`, `warn` or `notice`.
    pub fn level(self, diagnostic: &Diagnostic) -> proxy::Severity {
        match (diagnostic.severity, &diagnostic.problem) {
            (Severity::Error, Problem::Other(said)) if said.starts_with("pread() ") => {
                proxy::Severity::Crit
            }
            (Severity::Error, _) => proxy::Severity::Emerg,
            (Severity::Warning, _) => proxy::Severity::Warning,
            (Severity::Notice, _) => proxy::Severity::Notice,
        }
    }
}

impl conf::Wording for Wording {
    fn say(&self, diagnostic: &Diagnostic) -> String {
        let directive = &diagnostic.context;
        match &diagnostic.problem {
            Problem::UnknownKeyword { word, .. } => format!("unknown directive \"{word}\""),
            Problem::Misplaced { keyword, .. } => {
                format!("\"{keyword}\" directive is not allowed here")
            }
            Problem::MissingArgument { keyword, .. } => {
                format!("invalid number of arguments in \"{keyword}\" directive")
            }
            Problem::Surplus { keyword, .. } | Problem::Usage { keyword, .. } => {
                format!("invalid number of arguments in \"{keyword}\" directive")
            }
            Problem::NotATime { .. } => format!("\"{directive}\" directive invalid value"),
            Problem::NotANumber { .. } | Problem::OutOfRange { .. } => {
                format!("\"{directive}\" directive invalid number")
            }
            Problem::NotOneOf { of: ["on", "off"], word, .. } => format!(
                "invalid value \"{word}\" in \"{directive}\" directive, it must be \"on\" or \"off\""
            ),
            Problem::NotOneOf { word, .. } => format!("invalid value \"{word}\""),
            Problem::Planned { keyword } => format!("not supported yet: \"{keyword}\""),
            Problem::Deprecated { keyword, instead } => format!(
                "the \"{keyword}\" directive is deprecated, use the \"{instead}\" directive instead"
            ),
            Problem::Other(said) => said.clone(),
            // What only other dialects complain about.
            _ => format!("\"{directive}\" directive invalid value"),
        }
    }

    fn line(&self, sources: &Sources, diagnostic: &Diagnostic) -> String {
        let level = proxy::Severity::NGINX_NAMES[self.level(diagnostic) as usize];
        format!("nginx: [{level}] {}", self.message(sources, diagnostic))
    }
}
