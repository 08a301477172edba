//! The rendering for people: source excerpt, caret, what to do.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::problem::{Diagnostic, Severity, Wording};
use crate::source::Sources;

/// The widest excerpt of a line that is shown, in bytes.
const MAX_EXCERPT: usize = 160;

/// One complaint with its source line, a caret and what to do about it.
pub fn pretty(wording: &dyn Wording, sources: &Sources, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Notice => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let said = printable(&wording.say(diagnostic));
    // HAProxy says "…; did you mean 'x' maybe ?" on one line.
    let (title, said_help) =
        said.split_once("; did you mean").map_or((said.as_str(), None), |(title, rest)| {
            (title, Some(format!("did you mean{rest}")))
        });
    let help = wording.help(diagnostic).or(said_help);
    let mut group = level
        .primary_title(title.to_owned())
        .elements(std::iter::empty::<annotate_snippets::Element<'_>>());
    let line = sources.line_range(diagnostic.span);
    let text = sources.text(diagnostic.span.file);
    if !text.is_empty() {
        // A window around the word, so that a line of ten megabytes stays readable.
        let start = (diagnostic.span.start as usize).clamp(line.start, line.end);
        let end = (diagnostic.span.end as usize).clamp(start, line.end);
        let from = boundary(text, line.start.max(start.saturating_sub(MAX_EXCERPT / 2)));
        let to = boundary(text, line.end.min(from + MAX_EXCERPT)).max(from);
        let excerpt = printable(&text[from..to]);
        let width = |a: usize, b: usize| {
            let (a, b) = (boundary(text, a.clamp(from, to)), boundary(text, b.clamp(from, to)));
            printable(&text[a..b.max(a)]).len()
        };
        let caret = width(from, start)..width(from, end.max(start));
        group = group.element(
            Snippet::source(excerpt)
                .line_start(sources.line(diagnostic.span).max(1))
                .path(sources.name(diagnostic.span.file).to_owned())
                .annotation(AnnotationKind::Primary.span(caret)),
        );
    }
    if let Some(help) = help {
        group = group.element(Level::HELP.message(printable(&help)));
    }
    Renderer::plain().render(&[group]).to_string()
}

/// The nearest character boundary at or before an offset.
fn boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Control characters other than tabs are shown as `·`, so that noise cannot steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' && c != '\n' { '·' } else { c }).collect()
}
