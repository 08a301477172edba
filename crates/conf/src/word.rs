//! Words and statements: what every dialect's lexer produces.

use crate::source::{FileId, Sources, Span};

/// One word of a statement: what it means after unquoting, and where it was written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Word {
    /// The word as the daemon understands it.
    pub text: String,
    /// The word as the operator wrote it, quotes included.
    pub span: Span,
}

impl Word {
    /// The word's text, owned.
    pub fn owned(&self) -> String {
        self.text.clone()
    }
}

impl AsRef<str> for Word {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// One statement; `block` is `Some` where the dialect has braces and the operator opened one.
#[derive(Clone, Debug, Default)]
pub struct Stmt {
    /// The words up to the end of the statement or its opening brace.
    pub words: Vec<Word>,
    /// The statements between the braces.
    pub block: Option<Vec<Self>>,
    /// The whole statement as written, for keywords that read the raw line.
    pub span: Span,
}

impl Stmt {
    /// The statements between the braces; none where there are no braces.
    pub fn body(&self) -> &[Self] {
        self.block.as_deref().unwrap_or(&[])
    }

    /// Where the statement's first word stands.
    pub fn at(&self) -> Span {
        self.words.first().map_or(self.span, |w| w.span)
    }

    /// The text of word `index`, or the empty string.
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |w| &w.text)
    }
}

/// The simplest lexer there is: a statement a line, words between blanks, no quotes.
///
/// For examples and tests; real dialects bring their own.
pub fn split_lines(sources: &Sources, file: FileId) -> Vec<Stmt> {
    let mut stmts = Vec::new();
    let mut offset = 0;
    for line in sources.text(file).split_inclusive('\n') {
        let mut words = Vec::new();
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
            let len = rest[start..].find(char::is_whitespace).unwrap_or(rest.len() - start);
            let begin = offset + (line.len() - rest.len()) + start;
            let span = Span { file, start: begin as u32, end: (begin + len) as u32 };
            words.push(Word { text: rest[start..start + len].to_owned(), span });
            rest = &rest[start + len..];
        }
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            let span = first.span.to(last.span);
            stmts.push(Stmt { words, block: None, span });
        }
        offset += line.len();
    }
    stmts
}
