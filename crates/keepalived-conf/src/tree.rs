//! Tokens → statements.

use conf::{Diagnostic, Problem, Severity, Span, Stmt};

use crate::lex::Token;
use crate::wording::{END, PARENT};

/// The deepest nesting that is kept; keepalived's own language needs six.
const MAX_DEPTH: usize = 32;

/// The most statements that are kept: ten times what a very large configuration has.
const MAX_STMTS: usize = 100_000;

/// Builds the tree of statements while lines come in.
#[derive(Debug)]
pub(crate) struct Tree {
    /// One list of statements per open block; the first is the file's own level.
    levels: Vec<Vec<Stmt>>,
    /// Blocks opened beyond [`MAX_DEPTH`].
    skipped: usize,
    too_deep: bool,
    stmts: usize,
    /// Blocks of no statement: opened, complained about, skipped.
    orphans: Vec<usize>,
    pub(crate) problems: Vec<Diagnostic>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            levels: vec![vec![]],
            skipped: 0,
            too_deep: false,
            stmts: 0,
            orphans: vec![],
            problems: vec![],
        }
    }
}

impl Tree {
    /// Takes the tokens of one line. A statement ends with its line, at a brace, or at the end.
    pub(crate) fn line(&mut self, tokens: Vec<Token>) {
        let mut stmt = Stmt::default();
        for (index, token) in tokens.into_iter().enumerate() {
            match token {
                Token::Word(word) if self.skipped == 0 => {
                    stmt.span =
                        if stmt.words.is_empty() { word.span } else { stmt.span.to(word.span) };
                    stmt.words.push(word);
                }
                Token::Word(_) => {}
                Token::Open(span) => self.open(std::mem::take(&mut stmt), span, index == 0),
                Token::Close(span) => {
                    self.end(std::mem::take(&mut stmt));
                    self.close(span);
                }
            }
        }
        self.end(stmt);
    }

    fn end(&mut self, stmt: Stmt) {
        if stmt.words.is_empty() {
            return;
        }
        if !self.full(stmt.span) {
            self.level().push(stmt);
        }
    }

    /// Whether no more lines are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.stmts >= MAX_STMTS
    }

    /// Counts a statement; whether it is one too many.
    fn full(&mut self, span: Span) -> bool {
        self.stmts += 1;
        if self.stmts == MAX_STMTS {
            self.complain(span, "too many lines - ignoring the rest");
        }
        self.is_full()
    }

    fn level(&mut self) -> &mut Vec<Stmt> {
        self.levels.last_mut().expect("the outermost level is never popped")
    }

    fn open(&mut self, stmt: Stmt, span: Span, starts_line: bool) {
        if self.skipped > 0 || self.levels.len() > MAX_DEPTH {
            if !self.too_deep {
                self.too_deep = true;
                self.complain(span, "blocks are nested too deep - ignoring");
            }
            self.skipped += 1;
            return;
        }
        if self.full(span) {
            self.skipped += 1;
            return;
        }
        if stmt.words.is_empty() {
            // The brace of the statement before it may stand on a line of its own.
            let takes = |last: &Stmt| last.block.is_none() && !last.words.is_empty();
            if !(starts_line && self.level().last().is_some_and(takes)) {
                self.complain(span, "Unexpected '{' - ignoring");
                self.orphans.push(self.levels.len());
                self.level().push(Stmt { span, ..Stmt::default() });
            }
        } else {
            self.level().push(stmt);
        }
        self.levels.push(vec![]);
    }

    fn close(&mut self, span: Span) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        if self.levels.len() == 1 {
            self.complain(span, "Extra '}' found\nUnknown keyword '}'");
            return;
        }
        let block = self.levels.pop().expect("there are two levels at least");
        let depth = self.levels.len();
        if self.orphans.last() == Some(&depth) {
            self.orphans.pop();
            self.level().pop();
        } else if let Some(owner) = self.level().last_mut() {
            owner.span = owner.span.to(span);
            owner.block = Some(block);
        }
    }

    fn complain(&mut self, span: Span, said: &str) {
        let problem = Problem::Other(said.to_owned());
        self.problems.push(Diagnostic::new(Severity::Error, span, problem).context(PARENT));
    }

    /// Ends the last line. Blocks left open end with the file.
    pub(crate) fn finish(mut self) -> (Vec<Stmt>, Vec<Diagnostic>) {
        let missing = self.levels.len() - 1 + self.skipped;
        if missing > 0 && !self.is_full() {
            let owner = self.levels.iter().rev().nth(1).and_then(|level| level.last());
            let span = owner.map_or(Span::default(), Stmt::at);
            let said = format!("There are {missing} missing '}}'s or extra '{{'s");
            let diagnostic = Diagnostic::new(Severity::Error, span, Problem::Other(said))
                .context(END)
                .help("this block is not closed");
            self.problems.push(diagnostic);
        }
        self.skipped = 0;
        while self.levels.len() > 1 {
            self.close(Span { file: u16::MAX, ..Span::default() });
        }
        (self.levels.pop().unwrap_or_default(), self.problems)
    }
}
