//! Files → lines → tree: includes, `$DEFINITIONS`, `${_BUILTINS}` and `@id` conditions.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use conf::{Diagnostic, FileId, Problem, ReadError, Severity, Sources, Span, Stmt};
use nom::bytes::complete::take_while1;
use nom::character::complete::char;
use nom::combinator::{rest, verify};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

use crate::lex::{self, Token};
use crate::system::System;
use crate::tree::Tree;
use crate::wording::{FILE, PARENT};

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
}

/// Reads the files a pattern names, and what they include.
pub(crate) fn read_files(pattern: &str, config_id: &str, system: &dyn System) -> Read {
    let mut reader = Reader::new(config_id, system);
    reader.include(pattern, Path::new(""), Span::default(), 0);
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
        }
    }

    fn finish(self) -> Read {
        let (stmts, tree_problems) = self.tree.finish();
        let mut problems = self.problems;
        problems.extend(tree_problems);
        let Self { sources, found, placeholders, .. } = self;
        Read { sources, stmts, problems, found, placeholders }
    }

    fn complain(&mut self, context: &str, span: Span, said: impl Into<String>) -> &mut Diagnostic {
        let problem = Problem::Other(said.into());
        self.problems.push(Diagnostic::new(Severity::Error, span, problem).context(context));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Reads what matches `pattern`, relative to `directory`.
    fn include(&mut self, pattern: &str, directory: &Path, at: Span, depth: usize) {
        if depth > MAX_NESTING {
            self.complain(
                PARENT,
                at,
                format!("include of '{pattern}' is nested too deep - skipping"),
            );
            return;
        }
        let wild = pattern.contains(['*', '?', '[']);
        for pattern in braces(pattern) {
            let full = directory.join(&pattern);
            let matches: Vec<PathBuf> = glob::glob(&full.to_string_lossy())
                .map(|p| p.flatten().collect())
                .unwrap_or_default();
            if matches.is_empty() && !wild {
                self.complain(FILE, at, format!("Config files missing '{pattern}'."));
            }
            for path in matches {
                // Names are shown as they were written.
                let relative = Path::new(&pattern).is_relative();
                let shown = path.strip_prefix(directory).ok().filter(|_| relative);
                let shown = shown.unwrap_or(&path).to_path_buf();
                self.read(&path, &shown, at, depth);
            }
        }
    }

    fn read(&mut self, path: &Path, shown: &Path, at: Span, depth: usize) {
        let name = shown.display();
        let metadata = std::fs::metadata(path);
        if metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            self.complain(
                FILE,
                at,
                format!("Configuration file '{name}/' is a directory - skipping"),
            );
            return;
        }
        let plain = |m: &std::fs::Metadata| m.is_file() && m.permissions().mode() & 0o111 == 0;
        if metadata.as_ref().is_ok_and(|m| !plain(m)) {
            let said = format!(
                "Configuration file '{name}' is not a regular non-executable file - skipping"
            );
            self.complain(FILE, at, said);
            return;
        }
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if self.stack.contains(&real) {
            self.complain(
                PARENT,
                at,
                format!("Configuration file '{name}' includes itself - skipping"),
            );
            return;
        }
        if self.sources.len() >= MAX_SOURCES {
            self.too_much(at);
            return;
        }
        match self.sources.read_as(path, shown) {
            Ok(file) => {
                self.found = true;
                let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
                self.stack.push(real);
                self.file(file, &Context { directory, depth });
                self.stack.pop();
            }
            Err(error) => {
                let why = match error {
                    ReadError::Io(error) => match error.kind() {
                        std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
                        std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
                        _ => error.to_string(),
                    },
                    other => other.to_string(),
                };
                let said = format!("Configuration file '{name}' open problem ({why}) - skipping");
                self.complain(FILE, at, said);
            }
        }
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
        if trimmed.is_empty() || trimmed.starts_with(['#', '!']) && self.open.is_none() {
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
                self.line(file, text, at + 1 + id.len(), end, context);
            }
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
        if self.repeats(trimmed, span) {
            return;
        }
        let expanded = self.expand(trimmed, &context.directory);
        match expanded {
            Some(expanded) => self.again(&expanded, span, context),
            None => self.statement(file, text, at, end, context),
        }
    }

    /// `~SEQ` and `~LST` repeat a line; they are not built yet.
    fn repeats(&mut self, line: &str, span: Span) -> bool {
        for keyword in ["~SEQx", "~SEQ", "~LST"] {
            let Some(at) =
                line.find(keyword).filter(|at| line[at + keyword.len()..].starts_with('('))
            else {
                continue;
            };
            let start = span.start + at as u32;
            let span = Span { start, end: start + keyword.len() as u32, ..span };
            let problem = Problem::Planned { keyword: keyword.to_owned() };
            self.problems.push(Diagnostic::new(Severity::Error, span, problem).context(PARENT));
            return true;
        }
        false
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
    fn expand(&self, line: &str, directory: &Path) -> Option<String> {
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
    fn reference(&self, text: &str, directory: &Path) -> Option<(usize, String)> {
        if let Ok((rest, whole)) = lex::reference(text) {
            let inner = &whole[2..whole.len() - 1];
            let (name, argument) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
            let value = match name {
                "_HASH" => Some("\\#".to_owned()),
                "_BANG" => Some("\\!".to_owned()),
                "_PWD" => {
                    let here =
                        if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
                    let real = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_path_buf());
                    Some(real.display().to_string())
                }
                "_INSTANCE" => Some(self.config_id.to_owned()),
                "_ENV" => self.system.variable(argument.trim()),
                _ => self.definitions.get(name).cloned(),
            };
            return value.map(|value| (text.len() - rest.len(), value));
        }
        let (rest, name) = preceded(char('$'), identifier).parse(text).ok()?;
        let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
        let value = self.definitions.get(name).filter(|_| ends)?;
        Some((text.len() - rest.len(), value.clone()))
    }

    fn statement(&mut self, file: FileId, text: &str, start: usize, end: usize, context: &Context) {
        let line = lex::line(file, text, start, end);
        let span = Span { file, start: start as u32, end: end as u32 };
        if line.open_quote {
            let text = text[start..end].chars().take(80).collect();
            let problem = Problem::UnmatchedQuote { text };
            self.problems.push(Diagnostic::new(Severity::Error, span, problem).context(PARENT));
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
            let unquoted = pattern.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
            let (pattern, at) = (unquoted.unwrap_or(pattern).to_owned(), span);
            if !self.alone {
                self.include(&pattern, &context.directory, at, context.depth + 1);
            }
            return;
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

/// `include` and its stricter siblings.
pub(crate) const INCLUDES: [&str; 6] =
    ["include", "includer", "includem", "includew", "includeb", "includea"];

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

/// A pattern for every alternative of its `{a,b}`; at most 256.
fn braces(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(next) = todo.pop() {
        // The innermost pair first.
        let pair = next.find('}').and_then(|close| Some((next[..close].rfind('{')?, close)));
        match pair {
            Some((open, close)) if done.len() + todo.len() < 256 => {
                for part in next[open + 1..close].split(',').rev() {
                    todo.push(format!("{}{part}{}", &next[..open], &next[close + 1..]));
                }
            }
            _ => done.push(next),
        }
    }
    done
}
