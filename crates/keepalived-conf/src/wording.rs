//! keepalived's sentences.

use conf::{Diagnostic, Problem, Severity, Sources, Wording};

/// Found by the process that reads first: `(Line 3) …`, with the file's name if it is an included one.
pub(crate) const PARENT: &str = "parent";
/// Found at the end of the files, about no line.
pub(crate) const END: &str = "end";
/// A file that is not there or cannot be read; said, and no mistake to keepalived's `-t`.
pub(crate) const FILE: &str = "file";
/// Found by the process that runs VRRP: `(keepalived.conf: Line 3) …`.
pub(crate) const CHILD: &str = "child";
/// Found by the process that reads first, about no line.
pub(crate) const LIFE: &str = "life";
/// Found when everything has been read, about no line.
pub(crate) const AFTER: &str = "after";

/// About virtual servers, which are left alone while VRRP runs.
pub(crate) const LVS: &str = "lvs";

/// Whether a block of virtual servers is refused.
pub(crate) fn is_lvs(diagnostic: &Diagnostic) -> bool {
    matches!(&diagnostic.problem, Problem::Planned { keyword }
        if keyword == "virtual_server" || keyword == "virtual_server_group")
}

/// When keepalived says it: processes read one after the other, and check at the end.
pub(crate) fn rank(diagnostic: &Diagnostic) -> u8 {
    match diagnostic.context.as_str() {
        PARENT | FILE => 0,
        END | LIFE => 1,
        AFTER => 3,
        _ => 2,
    }
}

/// Whether keepalived ends there and then: a keyword lacks a word it cannot do without.
pub(crate) fn cuts_short(diagnostic: &Diagnostic) -> bool {
    match &diagnostic.problem {
        Problem::MissingArgument { .. } => true,
        Problem::Other(said) => said.starts_with("*** Configuration line starting"),
        _ => false,
    }
}

/// Whether keepalived's `-t` counts it.
pub(crate) fn counts(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity > Severity::Notice && ![FILE, LVS].contains(&diagnostic.context.as_str())
}

/// The words of keepalived 2.2.7.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keepalived;

impl Wording for Keepalived {
    fn say(&self, diagnostic: &Diagnostic) -> String {
        match &diagnostic.problem {
            Problem::UnknownKeyword { word, .. } => format!("Unknown keyword '{word}'"),
            Problem::Misplaced { keyword, .. } => format!("Unknown keyword '{keyword}'"),
            Problem::MissingArgument { keyword, position, .. } => format!(
                "*** Configuration line starting `{keyword}` is missing a parameter after keyword \
                 `{keyword}` at word position {}",
                position + 1
            ),
            Problem::NotANumber { word, .. } | Problem::NotATime { word, .. } => {
                format!("invalid number '{word}'")
            }
            Problem::OutOfRange { word, range, .. } => {
                format!("number '{word}' outside range [{}, {}]", range.start(), range.end())
            }
            Problem::NotOneOf { keyword, word, .. } => {
                format!("Invalid value '{word}' for {keyword} specified")
            }
            Problem::Planned { keyword } => format!("not supported yet: {keyword}"),
            Problem::NoEffect { keyword, why } => format!("{keyword} has no effect: {why}"),
            Problem::Deprecated { keyword, instead } => {
                format!("{keyword} is deprecated - please use {instead}")
            }
            Problem::Surplus { word, .. } if word == "{" => "Unexpected '{' - ignoring".to_owned(),
            Problem::Surplus { keyword, word } => format!("{keyword}: surplus word '{word}'"),
            Problem::UnmatchedQuote { text } => {
                format!("Unterminated quote '{text}'\nUnmatched quote: '{text}'")
            }
            Problem::Usage { usage, .. } if usage.starts_with('{') => {
                "Missing '{' at beginning of configuration block".to_owned()
            }
            Problem::Usage { keyword, usage } => format!("{keyword}: expected {usage}"),
            Problem::Other(said) => said.clone(),
        }
    }

    /// One line per sentence: keepalived says some mistakes in two.
    fn line(&self, sources: &Sources, diagnostic: &Diagnostic) -> String {
        let said = self.say(diagnostic);
        let name = sources.name(diagnostic.span.file);
        let line = sources.line(diagnostic.span);
        let prefix = match diagnostic.context.as_str() {
            END | LIFE | AFTER => String::new(),
            // Before the first file is open there is no line to name.
            FILE if sources.is_empty() => String::new(),
            PARENT | FILE if name == sources.name(0) => format!("(Line {line}) "),
            _ => format!("({name}: Line {line}) "),
        };
        said.split('\n').map(|s| format!("{prefix}{s}")).collect::<Vec<_>>().join("\n")
    }
}
