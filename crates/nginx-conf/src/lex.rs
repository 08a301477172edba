//! Text → directives, with nginx's quoting, escapes and comments.
//!
//! Words end at a blank, `;` or `{`; `}` and `#` are special only where a word could begin.
//! `{` right after `$` belongs to the word. Quotes count only at the beginning of a word, may hold
//! line ends, and only a blank, `;`, `{` or `)` may follow them.

use conf::{FileId, Sources, Span, Stmt, Word};
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while};
use nom::character::complete::{anychar, char, none_of};
use nom::combinator::{opt, recognize};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{pair, preceded};
use nom::{IResult, Offset, Parser};

/// The longest word, in bytes: nginx's buffer.
const MAX_WORD: usize = 4096;

/// The deepest nesting of blocks. nginx has no limit of its own; its contexts nest four deep.
const MAX_DEPTH: usize = 64;

/// One thing of a block, in the order of the text.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A directive and, where it opens one, its block.
    Directive(Stmt, Option<Body>),
    /// What is wrong with the text, and where.
    Fault(Span, String),
}

/// What stands between two braces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// In the order of the text.
    pub(crate) nodes: Vec<Node>,
    /// The closing brace.
    pub(crate) close: Span,
}

/// Where a text ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A file.
    File,
    /// The value of `-g`.
    CommandLine,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Word { raw: &'a str, quoted: bool },
    End,
    Open,
    Close,
}

/// The directives of a text.
pub(crate) fn lex(sources: &Sources, file: FileId, kind: Kind) -> Vec<Node> {
    let text = sources.text(file);
    let at = |rest: &str| text.offset(rest) as u32;
    let mut levels: Vec<(Stmt, Vec<Node>)> = vec![(Stmt::default(), Vec::new())];
    let mut words: Vec<Word> = Vec::new();
    let mut rest = text;
    loop {
        rest = blank(rest);
        let start = at(rest);
        let point = |from: u32| Span { file, start: from, end: from };
        let level = levels.last_mut().expect("the outermost level is never popped");
        if rest.is_empty() {
            let message = match (words.is_empty(), kind) {
                (false, Kind::File) => "unexpected end of file, expecting \";\" or \"}\"",
                (false, Kind::CommandLine) => "unexpected end of parameter, expecting \";\"",
                (true, _) if levels.len() > 1 => "unexpected end of file, expecting \"}\"",
                (true, _) => break,
            };
            fault(&mut levels, point(start), message);
            break;
        }
        // Only a quote that is never closed and a backslash at the very end are no token.
        let Ok((after, token)) = token(rest) else {
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            if let (Some(quote), true) = (quote, rest.len() > MAX_WORD) {
                let line_of = boundary(rest, MAX_WORD);
                fault(&mut levels, point(start + line_of as u32), &too_long(rest, Some(quote)));
            } else {
                let message = match kind {
                    Kind::File => "unexpected end of file, expecting \";\" or \"}\"",
                    Kind::CommandLine => "unexpected end of parameter, expecting \";\"",
                };
                fault(&mut levels, point(text.len() as u32), message);
            }
            break;
        };
        let span = Span { file, start, end: at(after) };
        match token {
            Token::Word { raw, quoted } => {
                if raw.len() >= MAX_WORD {
                    let quote = raw.chars().next().filter(|_| quoted);
                    let line_of = boundary(raw, MAX_WORD);
                    fault(&mut levels, point(start + line_of as u32), &too_long(raw, quote));
                    break;
                }
                let inner = if quoted { &raw[1..raw.len() - 1] } else { raw };
                words.push(Word { text: unescape(inner), span });
                let next = after.chars().next();
                if quoted && !next.is_none_or(|c| is_blank(c) || matches!(c, ';' | '{' | ')')) {
                    let message = format!("unexpected \"{}\"", next.unwrap_or('"'));
                    fault(&mut levels, point(at(after)), &message);
                    // To the end of the directive, which cannot be trusted.
                    words.clear();
                    rest = after.trim_start_matches(|c| !matches!(c, ';' | '{' | '}'));
                    rest = rest.strip_prefix(';').unwrap_or(rest);
                    continue;
                }
            }
            Token::End | Token::Open if words.is_empty() => {
                let which = if token == Token::End { ";" } else { "{" };
                level.1.push(Node::Fault(span, format!("unexpected \"{which}\"")));
                if token == Token::Open {
                    // Balances the brace that will close it.
                    let stmt = Stmt { words: vec![], block: None, span };
                    if !open(&mut levels, stmt) {
                        break;
                    }
                }
            }
            Token::End => {
                let stmt = statement(&mut words, None, span);
                level.1.push(Node::Directive(stmt, None));
            }
            Token::Open => {
                let stmt = statement(&mut words, Some(vec![]), span);
                if !open(&mut levels, stmt) {
                    break;
                }
            }
            Token::Close => {
                if !words.is_empty() {
                    words.clear();
                    level.1.push(Node::Fault(span, "unexpected \"}\"".into()));
                }
                if levels.len() == 1 {
                    levels[0].1.push(Node::Fault(span, "unexpected \"}\"".into()));
                } else {
                    close(&mut levels, span);
                }
            }
        }
        rest = after;
    }
    let end = Span { file, start: text.len() as u32, end: text.len() as u32 };
    while levels.len() > 1 {
        close(&mut levels, end);
    }
    levels.pop().map(|(_, nodes)| nodes).unwrap_or_default()
}

/// The line nginx names for a complaint at `span`: the one on which its directive is terminated.
///
/// A span without width is that place itself.
pub(crate) fn line_of_terminator(sources: &Sources, span: Span) -> usize {
    let text = sources.text(span.file);
    let mut rest = text.get(span.start as usize..).unwrap_or("");
    if span.start == span.end {
        return sources.line(span);
    }
    loop {
        rest = blank(rest);
        match token(rest) {
            Ok((after, Token::Word { .. })) => rest = after,
            Ok(_) => break,
            Err(_) => {
                rest = "";
                break;
            }
        }
    }
    let start = (text.len() - rest.len()) as u32;
    sources.line(Span { file: span.file, start, end: start })
}

fn statement(words: &mut Vec<Word>, block: Option<Vec<Stmt>>, terminator: Span) -> Stmt {
    let words = std::mem::take(words);
    let span = words.first().map_or(terminator, |first| first.span.to(terminator));
    Stmt { words, block, span }
}

/// Begins a block. `false` where that would be one level too many; says so.
fn open(levels: &mut Vec<(Stmt, Vec<Node>)>, stmt: Stmt) -> bool {
    if levels.len() > MAX_DEPTH {
        let span = Span { end: stmt.span.end, start: stmt.span.end, ..stmt.span };
        fault(levels, span, &format!("blocks are nested more than {MAX_DEPTH} levels deep"));
        return false;
    }
    levels.push((stmt, Vec::new()));
    true
}

fn close(levels: &mut Vec<(Stmt, Vec<Node>)>, close: Span) {
    let Some((stmt, nodes)) = levels.pop() else { return };
    let Some((_, outer)) = levels.last_mut() else { return };
    // A block without a name has been complained about.
    if !stmt.words.is_empty() {
        outer.push(Node::Directive(stmt, Some(Body { nodes, close })));
    }
}

fn fault(levels: &mut [(Stmt, Vec<Node>)], span: Span, message: &str) {
    if let Some((_, nodes)) = levels.last_mut() {
        nodes.push(Node::Fault(span, message.to_owned()));
    }
}

fn too_long(word: &str, quote: Option<char>) -> String {
    match quote {
        Some(quote) => {
            format!("too long parameter, probably missing terminating \"{quote}\" character")
        }
        None => format!("too long parameter \"{}...\" started", &word[..boundary(word, 10)]),
    }
}

/// The nearest character boundary at or before an offset.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Skips blanks and comments.
fn blank(mut rest: &str) -> &str {
    loop {
        rest = rest.trim_start_matches(is_blank);
        let Some(comment) = rest.strip_prefix('#') else { return rest };
        rest = &comment[comment.find('\n').unwrap_or(comment.len())..];
    }
}

fn token(i: &str) -> IResult<&str, Token<'_>> {
    let quoted = alt((quoted('"', "\\\""), quoted('\'', "\\'")));
    alt((
        char(';').map(|_| Token::End),
        char('{').map(|_| Token::Open),
        char('}').map(|_| Token::Close),
        quoted.map(|raw| Token::Word { raw, quoted: true }),
        bare.map(|raw| Token::Word { raw, quoted: false }),
    ))
    .parse(i)
}

fn quoted<'a>(
    quote: char,
    special: &'static str,
) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
    let part = alt((is_not(special), recognize(preceded(char('\\'), anychar))));
    recognize((char(quote), many0_count(part), char(quote)))
}

fn bare(i: &str) -> IResult<&str, &str> {
    if i.starts_with(['"', '\'']) {
        // A quote that is never closed.
        return Err(nom::Err::Error(nom::error::Error::new(i, nom::error::ErrorKind::Char)));
    }
    let part = alt((
        is_not(" \t\r\n;{\\$"),
        recognize(preceded(char('\\'), anychar)),
        // A brace after any number of dollars belongs to the word.
        recognize(pair(take_dollars, opt(char('{')))),
    ));
    recognize(many1_count(part)).parse(i)
}

fn take_dollars(i: &str) -> IResult<&str, &str> {
    recognize((tag("$"), take_while(|c| c == '$'))).parse(i)
}

/// `\" \' \\ \t \r \n`; before anything else the backslash stays.
fn unescape(raw: &str) -> String {
    let escape = preceded(char::<_, nom::error::Error<&str>>('\\'), none_of(""));
    let mut escape = escape;
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        match escape.parse(&rest[at..]) {
            Ok((after, escaped)) => {
                match escaped {
                    '"' | '\'' | '\\' => out.push(escaped),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'n' => out.push('\n'),
                    other => out.extend(['\\', other]),
                }
                rest = after;
            }
            Err(_) => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
