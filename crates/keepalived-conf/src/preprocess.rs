//! Files → lines → tree: includes, `$DEFINITIONS`, `${_BUILTINS}` and `@id` conditions.

mod include;
mod random;
mod repeat;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use conf::{Diagnostic, FileId, Problem, Severity, Sources, Span, Stmt, Word};
use nom::bytes::complete::take_while1;
use nom::character::complete::char;
use nom::combinator::{rest, verify};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

use self::include::{Checks, INCLUDES};
use self::random::Random;
use crate::lex::{self, Token};
use crate::system::System;
use crate::tree::Tree;
use crate::wording::{CHILD, PARENT};

/// The longest line, in bytes, as keepalived's own buffer has it.
const MAX_LINE: usize = 1023;
/// How deep includes and definitions may nest.
const MAX_NESTING: usize = 16;
/// How many bytes definitions may expand to in all.
const MAX_EXPANDED: usize = 4 << 20;
/// How many lines with definitions are expanded, and how many files are read.
const MAX_SOURCES: usize = 60_000;

/// Everything the files say, before any keyword is looked up.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) sources: Sources,
    pub(crate) stmts: Vec<Stmt>,
    pub(crate) problems: Vec<Diagnostic>,
    /// Whether a file was read at all.
    pub(crate) found: bool,
    /// Whether a placeholder was left in the text.
    pub(crate) placeholders: bool,
    /// Whether a file is missing that was asked for in earnest.
    pub(crate) incomplete: bool,
}

/// Reads the files a pattern names, and what they include.
pub(crate) fn read_files(
    pattern: &str,
    config_id: &str,
    system: &dyn System,
    all_there: bool,
) -> Read {
    let mut reader = Reader::new(config_id, system);
    if all_there {
        reader.checks = Checks::ALL;
    }
    reader.include(pattern, Checks::default(), Path::new(""), Span::default(), 0);
    reader.finish()
}

/// Reads a text that stands in no file; `alone`, it includes no other.
pub(crate) fn read_text(
    name: &str,
    text: &str,
    alone: bool,
    config_id: &str,
    system: &dyn System,
) -> Read {
    let mut reader = Reader::new(config_id, system);
    reader.alone = alone;
    let file = reader.sources.add(name, text);
    reader.found = true;
    reader.file(file, &Context { directory: PathBuf::new(), depth: 0 });
    reader.finish()
}

struct Reader<'a> {
    system: &'a dyn System,
    config_id: &'a str,
    sources: Sources,
    tree: Tree,
    problems: Vec<Diagnostic>,
    definitions: HashMap<String, String>,
    /// A definition of several lines that is being read.
    open: Option<(String, Vec<String>)>,
    /// The files being read, outermost first.
    stack: Vec<PathBuf>,
    expanded: usize,
    full: bool,
    alone: bool,
    found: bool,
    placeholders: bool,
    incomplete: bool,
    /// What is a mistake about an `include`.
    checks: Checks,
    random: Random,
}

/// Where a line comes from.
struct Context {
    /// What relative names are relative to.
    directory: PathBuf,
    /// How many includes and definitions lead here.
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(config_id: &'a str, system: &'a dyn System) -> Self {
        Self {
            system,
            config_id,
            sources: Sources::default(),
            tree: Tree::default(),
            problems: vec![],
            definitions: HashMap::new(),
            open: None,
            stack: vec![],
            expanded: 0,
            full: false,
            alone: false,
            found: false,
            placeholders: false,
            incomplete: false,
            checks: Checks::default(),
            random: Random::default(),
        }
    }

    fn finish(self) -> Read {
        let (stmts, tree_problems) = self.tree.finish();
        let mut problems = self.problems;
        problems.extend(tree_problems);
        let Self { sources, found, placeholders, incomplete, .. } = self;
        Read { sources, stmts, problems, found, placeholders, incomplete }
    }

    fn complain(&mut self, context: &str, span: Span, said: impl Into<String>) -> &mut Diagnostic {
        let problem = Problem::Other(said.into());
        self.problems.push(Diagnostic::new(Severity::Error, span, problem).context(context));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Takes every line of a source.
    fn file(&mut self, file: FileId, context: &Context) {
        // Lines are looked at one by one, while expanding them adds sources.
        let text = self.sources.text(file).to_owned();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if self.tree.is_full() {
                return;
            }
            let end = start + line.trim_end_matches(['\n', '\r']).len();
            self.line(file, &text, start, end, context);
            start += line.len();
        }
        if context.depth == 0
            && let Some((name, lines)) = self.open.take()
        {
            self.definitions.insert(name, lines.join("\n"));
        }
    }

    fn line(&mut self, file: FileId, text: &str, start: usize, end: usize, context: &Context) {
        let raw = &text[start..end];
        let trimmed = raw.trim_start();
        let at = start + raw.len() - trimmed.len();
        let span = Span { file, start: at as u32, end: end as u32 };
        if (trimmed.is_empty() || trimmed.starts_with(['#', '!'])) && self.open.is_none() {
            return;
        }
        if raw.len() > MAX_LINE && context.depth < MAX_NESTING {
            let short = Span { end: span.start + 1, ..span };
            self.complain(PARENT, short, "line too long - ignoring");
            return;
        }
        if raw.contains('\0') {
            self.complain(PARENT, span, "line has a NUL byte - ignoring");
            return;
        }
        if let Some((name, mut lines)) = self.open.take() {
            let body = lex::before_comment(trimmed).trim_end();
            match body.strip_suffix('\\') {
                Some(line) => {
                    lines.push(line.trim_end().to_owned());
                    self.open = Some((name, lines));
                }
                None => {
                    lines.push(body.to_owned());
                    self.definitions.insert(name, lines.join("\n"));
                }
            }
            return;
        }
        if let Some(condition) = trimmed.strip_prefix('@') {
            let id = condition.split(char::is_whitespace).next().unwrap_or_default();
            let (wanted, other) = id.strip_prefix('^').map_or((id, false), |id| (id, true));
            if (wanted == self.config_id) != other {
                self.kept(file, text, at + 1 + id.len(), end, context);
            }
            return;
        }
        self.kept(file, text, at, end, context);
    }

    /// A line that is for this node.
    fn kept(&mut self, file: FileId, text: &str, start: usize, end: usize, context: &Context) {
        let raw = &text[start..end];
        let trimmed = raw.trim_start();
        let at = start + raw.len() - trimmed.len();
        let span = Span { file, start: at as u32, end: end as u32 };
        if trimmed.is_empty() || trimmed.starts_with(['#', '!']) {
            return;
        }
        if let Ok((_, (name, body))) = definition(trimmed) {
            let body = lex::before_comment(body).trim();
            match body.strip_suffix('\\') {
                Some("") => self.open = Some((name.to_owned(), vec![])),
                Some(first) => {
                    self.open = Some((name.to_owned(), vec![first.trim_end().to_owned()]));
                }
                None => {
                    self.definitions.insert(name.to_owned(), body.to_owned());
                }
            }
            return;
        }
        if self.repeats(trimmed, span, context) {
            return;
        }
        let expanded = self.expand(trimmed, &context.directory);
        match expanded {
            Some(expanded) => self.again(&expanded, span, context),
            None => self.statement(file, text, at, end, context),
        }
    }

    /// The lines a definition expanded to, taken as if they stood in the file.
    fn again(&mut self, expanded: &str, span: Span, context: &Context) {
        self.expanded += expanded.len();
        if context.depth >= MAX_NESTING
            || self.expanded > MAX_EXPANDED
            || self.sources.len() >= MAX_SOURCES
        {
            return self.too_much(span);
        }
        let name = self.sources.name(span.file).to_owned();
        let line = self.sources.line(span);
        let inner = Context { directory: context.directory.clone(), depth: context.depth + 1 };
        // Each line counts as the one it is used on.
        for text in expanded.lines() {
            if self.sources.len() >= MAX_SOURCES {
                return self.too_much(span);
            }
            let file = self.sources.add_from(name.clone(), text, line);
            self.file(file, &inner);
        }
    }

    fn too_much(&mut self, span: Span) {
        if !self.full {
            self.full = true;
            self.complain(PARENT, span, "definitions or includes expand to too much - ignoring");
        }
    }

    /// The text with every definition put in once, if it uses any.
    fn expand(&mut self, line: &str, directory: &Path) -> Option<String> {
        let mut out = String::new();
        let mut rest = line;
        let mut changed = false;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let found = self.reference(rest, directory);
            match found {
                Some((len, value)) => {
                    out.push_str(&value);
                    rest = &rest[len..];
                    changed = true;
                }
                None => {
                    out.push('$');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        changed.then_some(out)
    }

    /// What `$NAME` or `${NAME}` at the start of `text` stands for, and its length.
    fn reference(&mut self, text: &str, directory: &Path) -> Option<(usize, String)> {
        if let Ok((rest, whole)) = lex::reference(text) {
            let inner = &whole[2..whole.len() - 1];
            let (name, argument) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
            let value = match name {
                "_HASH" => Some("\\#".to_owned()),
                "_BANG" => Some("\\!".to_owned()),
                "_RANDOM" => self.random.number(argument),
                "_ENV" => self.system.variable(argument.trim()),
                _ => self.value(name, directory),
            };
            return value.map(|value| (text.len() - rest.len(), value));
        }
        let (rest, name) = preceded(char('$'), identifier).parse(text).ok()?;
        // What keepalived takes for the end of a name.
        let ends = |c: char| c.is_whitespace() || ",)#!".contains(c);
        let value =
            self.value(name, directory).filter(|_| rest.is_empty() || rest.starts_with(ends))?;
        Some((text.len() - rest.len(), value))
    }

    /// What a name stands for, in braces or not.
    fn value(&self, name: &str, directory: &Path) -> Option<String> {
        match name {
            "_PWD" => {
                let here =
                    if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
                let real = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_path_buf());
                Some(real.display().to_string())
            }
            "_INSTANCE" => Some(self.config_id.to_owned()),
            _ => self.definitions.get(name).cloned(),
        }
    }

    fn statement(&mut self, file: FileId, text: &str, start: usize, end: usize, context: &Context) {
        let line = lex::line(file, text, start, end);
        let span = Span { file, start: start as u32, end: end as u32 };
        let said = lex::before_comment(&text[start..end]).trim_end();
        let said: String = said.chars().take(MAX_LINE).collect();
        let (odd, open) = lex::odd_quotes(&said);
        if odd && open {
            let problem = Problem::UnmatchedQuote { text: said.clone() };
            self.problems.push(Diagnostic::new(Severity::Error, span, problem).context(PARENT));
        } else if odd {
            self.complain(PARENT, span, format!("Unmatched quote: '{said}'"));
        }
        if let Some(quote) = line.open_command {
            self.complain(CHILD, span, format!("String '{said}': missing terminating {quote}"));
            return;
        }
        let word = |index: usize| match line.tokens.get(index) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        };
        if let Some(first) = word(0).filter(|w| INCLUDES.contains(&w.text.as_str()))
            && line.tokens.len() > 1
        {
            // Braces are alternatives here.
            let rest = &text[first.span.end as usize..end];
            let pattern = lex::before_comment(rest).trim();
            let (pattern, at) = (pattern.to_owned(), span);
            let checks = Checks::of(&first.text, self.checks);
            if !self.alone {
                self.include(&pattern, checks, &context.directory, at, context.depth + 1);
            }
            return;
        }
        if let (Some(first), 1) = (word(0), line.tokens.len())
            && INCLUDES.contains(&first.text.as_str())
        {
            self.complain(PARENT, span, format!("Unknown keyword '{}'", first.text));
            return;
        }
        if word(0).is_some_and(|w| w.text == "include_check") {
            let words: Vec<Word> = (1..).map_while(word).cloned().collect();
            self.include_check(&words);
        }
        if let (Some(first), Some(seed)) = (word(0), word(1))
            && first.text == "random_seed"
            && let Ok(seed) = seed.text.parse()
        {
            self.random = Random::new(seed);
        }
        let tokens = self.without_placeholders(line.tokens, text);
        self.tree.line(tokens);
    }

    /// Complains about `${NAMES}` nobody defined, and leaves their statements out.
    fn without_placeholders(&mut self, tokens: Vec<Token>, text: &str) -> Vec<Token> {
        let is_command = matches!(tokens.first(), Some(Token::Word(w)) if lex::is_command(&w.text));
        let mut found = false;
        for token in &tokens {
            let Token::Word(word) = token else { continue };
            let raw = text.get(word.span.range()).unwrap_or_default();
            if raw.starts_with('"') || is_command {
                continue;
            }
            let references = raw.match_indices("${").filter_map(|(at, _)| {
                lex::reference(&raw[at..]).ok().map(|(_, whole)| whole.to_owned())
            });
            let references: Vec<String> = references.collect();
            for name in references {
                let said = format!("{name} is a placeholder that is not filled in");
                let help = format!("put {} in its place", what_to_put(&name));
                let diagnostic = self.complain(PARENT, word.span, said);
                diagnostic.help = Some(help);
                found = true;
            }
            if raw.len() > 2 && raw.starts_with('<') && raw.ends_with('>') && !raw.contains('/') {
                let said = format!("'{raw}' looks like a placeholder and is taken as it stands");
                let help = format!("put {} in its place", what_to_put(raw));
                let diagnostic = self.complain(PARENT, word.span, said);
                diagnostic.severity = Severity::Notice;
                diagnostic.help = Some(help);
            }
        }
        self.placeholders |= found;
        if found && !tokens.iter().any(|t| matches!(t, Token::Open(_))) {
            return tokens.into_iter().filter(|t| !matches!(t, Token::Word(_))).collect();
        }
        tokens
    }
}

/// What belongs where a placeholder stands, by its name.
fn what_to_put(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let known = [
        ("state", "MASTER on the preferred node and BACKUP on the others"),
        ("interface", "the name of this node's network interface ('ip -br link' shows it)"),
        ("router_id", "the number of the virtual router, 1 to 255, the same on all its nodes"),
        ("priority", "this node's priority, 1 to 254, a different one on every node"),
        ("pass", "the password, up to 8 characters, the same on all nodes"),
        ("vip", "the virtual address that moves between the nodes"),
        ("address", "an address"),
        ("port", "a port number"),
    ];
    let found = known.iter().find(|(part, _)| lower.contains(part));
    found.map_or_else(|| "a value".to_owned(), |(_, what)| (*what).to_owned())
}

fn identifier(i: &str) -> IResult<&str, &str> {
    let name = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_');
    verify(name, |n: &str| !n.starts_with(|c: char| c.is_ascii_digit())).parse(i)
}

/// `$NAME=value`
fn definition(i: &str) -> IResult<&str, (&str, &str)> {
    separated_pair(preceded(char('$'), identifier), char('='), rest).parse(i)
}
