//! Directives, block after block, in the order nginx takes them.
//!
//! nginx stops at its first complaint. The walk goes on, so its first complaint is nginx's and the
//! rest of the mistakes follow.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use conf::{
    Binder, Manners, Place, Problem, ReadError, Row, Sources, Span, Stmt, Table, Within, Word,
    nearest,
};

use proxy::variable::Pattern;

use crate::draft::{Events, Main, Server, Stream, Upstream};
use crate::lex::{self, Body, Kind, Node};
use crate::table::{
    EVENTS, IN_EVENTS, IN_MAIN, IN_SERVER, IN_STREAM, IN_UPSTREAM, MAIN, SCOPE, SERVER, STREAM,
    TLS, UPSTREAM, active, names, repeats, shapes,
};
use crate::{Lookups, Options, blocks, http, http_names, variable};

/// The deepest nesting of `include`.
const MAX_INCLUDES: usize = 32;

/// The most files one configuration is made of.
const MAX_FILES: usize = 4096;

/// The most complaints that are kept: whoever made more mistakes reads these first.
const MAX_PROBLEMS: usize = 1000;

/// Reads files and fills the drafts.
pub(crate) struct Walk<'o> {
    pub(crate) options: &'o Options,
    pub(crate) sources: Sources,
    pub(crate) binder: Binder,
    pub(crate) main: Main,
    pub(crate) events: Option<Events>,
    pub(crate) stream: Option<Stream>,
    /// The variables that are used, in lower case, in the order of the text.
    pub(crate) used: Vec<String>,
    /// The named groups of patterns, in lower case: variables, too.
    pub(crate) groups: Vec<String>,
    /// The servers of `http {}` that only answer by themselves.
    pub(crate) sites: Vec<http::Site>,
    /// The names of the log formats so far.
    formats: Vec<String>,
    lookups: Lookups,
    /// Relative includes start here.
    pub(crate) directory: PathBuf,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    /// The directives of the main context, those of `-g` among them.
    seen: BTreeSet<String>,
}

/// One block.
struct Frame {
    level: Level,
    seen: BTreeSet<String>,
}

#[expect(clippy::large_enum_variant, reason = "one of each nesting is alive at a time")]
enum Level {
    Main,
    Events(Events),
    Stream(Stream),
    Server(Server),
    Upstream(Upstream),
}

impl Level {
    fn within(&self) -> Within {
        match self {
            Self::Main => IN_MAIN,
            Self::Events(_) => IN_EVENTS,
            Self::Stream(_) => IN_STREAM,
            Self::Server(_) => IN_SERVER,
            Self::Upstream(_) => IN_UPSTREAM,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Events(_) => "events",
            Self::Stream(_) => "stream",
            Self::Server(_) => "server",
            Self::Upstream(_) => "upstream",
        }
    }
}

impl<'o> Walk<'o> {
    pub(crate) fn new(options: &'o Options) -> Self {
        let lookups = options.lookups.clone();
        Self {
            options,
            sources: Sources::default(),
            binder: Binder::new(Manners::default()),
            main: Main {
                prefix: options.prefix.clone(),
                lookups: lookups.clone(),
                ..Main::default()
            },
            events: None,
            stream: None,
            used: Vec::new(),
            groups: Vec::new(),
            sites: Vec::new(),
            formats: Vec::new(),
            lookups,
            directory: PathBuf::new(),
            open: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Takes the directives of `-g`.
    pub(crate) fn globals(&mut self, text: &str) {
        let file = self.sources.add(crate::wording::COMMAND_LINE, text);
        let nodes = lex::lex(&self.sources, file, Kind::CommandLine);
        self.top(&nodes);
    }

    /// Takes a text as if it were the configuration file.
    pub(crate) fn text(&mut self, name: &str, text: String) {
        let file = self.sources.add(name, text);
        let nodes = lex::lex(&self.sources, file, Kind::File);
        self.top(&nodes);
    }

    /// Takes the configuration file.
    pub(crate) fn file(&mut self, path: &Path) {
        self.directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        if let Some(nodes) = self.read(path, crate::wording::NOWHERE) {
            self.open.push(path.to_path_buf());
            self.top(&nodes);
            self.open.pop();
        }
    }

    fn top(&mut self, nodes: &[Node]) {
        let seen = std::mem::take(&mut self.seen);
        let mut frame = Frame { level: Level::Main, seen };
        self.nodes(&mut frame, nodes);
        self.seen = frame.seen;
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.binder.error(span, Problem::Other(message.into()));
    }

    fn full(&self) -> bool {
        self.binder.problems.len() >= MAX_PROBLEMS
    }

    fn nodes(&mut self, frame: &mut Frame, nodes: &[Node]) {
        for node in nodes {
            if self.full() {
                return;
            }
            match node {
                Node::Fault(span, message) => self.error(*span, message.as_str()),
                Node::Directive(stmt, body) => self.directive(frame, stmt, body.as_ref()),
            }
        }
    }

    fn directive(&mut self, frame: &mut Frame, stmt: &Stmt, body: Option<&Body>) {
        let Some(first) = stmt.words.first() else { return };
        let within = frame.level.within();
        let known = shapes(&first.text);
        if known.is_empty() {
            return self.unknown(frame, first);
        }
        let here = known.iter().filter(|(shape, name)| {
            let words = name.split(' ').zip(&stmt.words);
            shape.within.includes(within)
                && stmt.words.len() >= shape.named
                && words.into_iter().all(|(n, w)| n.eq_ignore_ascii_case(&w.text))
        });
        let Some((shape, _)) = here.max_by_key(|(shape, _)| shape.named) else {
            let (keyword, section) = (first.owned(), frame.level.name().to_owned());
            self.binder.error(first.span, Problem::Misplaced { keyword, section });
            return;
        };
        let name = first.text.as_str();
        if shape.block && body.is_none() {
            return self.error(first.span, format!("directive \"{name}\" has no opening \"{{\""));
        }
        if !shape.block && body.is_some() {
            let message = format!("directive \"{name}\" is not terminated by \";\"");
            return self.error(first.span, message);
        }
        let arguments = stmt.words.len() - shape.named;
        let block_arguments = usize::from(name == "upstream");
        let (least, most) = match shape.arity {
            Some(arity) => arity,
            None if ["events", "stream", "server", "upstream", "http"].contains(&name) => {
                (block_arguments, block_arguments)
            }
            None if ["map", "split_clients"].contains(&name) => (2, 2),
            None if name == "geo" => (1, 2),
            None if name == "match" => (1, 1),
            None => (0, usize::MAX),
        };
        // A name of two words ("access_log off") that takes no more is told what is too much.
        if shape.named > 1 && arguments > most {
            let word = &stmt.words[shape.named + most];
            return self.error(word.span, format!("invalid parameter \"{}\"", word.text));
        }
        if !(least..=most).contains(&arguments) {
            let (keyword, usage) = (name.to_owned(), String::new());
            let problem = Problem::MissingArgument { keyword, position: arguments, usage };
            self.binder.error(first.span, problem);
            return;
        }
        if name == "include" {
            return self.include(frame, &stmt.words[1]);
        }
        // An allowed duplicate of "access_log off" is a duplicate for nginx, too.
        if !repeats(name) && !frame.seen.insert(name.to_owned()) {
            return self.error(first.span, format!("\"{name}\" directive is duplicate"));
        }
        self.bind(frame, stmt);
        self.variables(name, &stmt.words[1..]);
        let Some(body) = body else { return };
        match (&mut frame.level, name) {
            (Level::Main, "events") => {
                self.main.blocks = true;
                let frame = self.block(Level::Events(Events::default()), &body.nodes);
                if let Level::Events(events) = frame.level {
                    self.events = Some(events);
                }
            }
            (Level::Main, "stream") => {
                self.main.blocks = true;
                let frame = self.block(Level::Stream(Stream::default()), &body.nodes);
                if let Level::Stream(stream) = frame.level {
                    self.stream = Some(stream);
                }
            }
            (Level::Main, "http") => {
                self.main.blocks = true;
                http::judge(self, stmt, &body.nodes);
            }
            (Level::Stream(stream), "server") => {
                let server = Server { lookups: self.lookups.clone(), ..Server::default() };
                let inner = self.block(Level::Server(server), &body.nodes);
                if let Level::Server(server) = inner.level {
                    if server.listens.is_empty() {
                        self.error(body.close, "no \"listen\" is defined for server");
                    }
                    stream.servers.push(server);
                }
            }
            (Level::Stream(stream), "upstream") => {
                let name = &stmt.words[1];
                if stream.upstreams.iter().any(|u| u.name.eq_ignore_ascii_case(&name.text)) {
                    self.error(name.span, format!("duplicate upstream \"{}\"", name.text));
                }
                let upstream = Upstream {
                    lookups: self.lookups.clone(),
                    name: name.owned(),
                    span: stmt.at(),
                    ..Upstream::default()
                };
                let inner = self.block(Level::Upstream(upstream), &body.nodes);
                if let Level::Upstream(upstream) = inner.level {
                    if upstream.peers.is_empty() {
                        self.error(body.close, "no servers are inside upstream");
                    }
                    stream.upstreams.push(upstream);
                }
            }
            (Level::Stream(stream), "match") => {
                let found = active::matching(self, stmt, &body.nodes);
                if let Some(found) = found {
                    if stream.matches.iter().any(|known| known.name == found.name) {
                        self.error(stmt.at(), format!("duplicate match \"{}\"", found.name));
                    }
                    stream.matches.push(found);
                }
            }
            (Level::Stream(stream), "geo" | "map" | "split_clients") => {
                stream.definitions.extend(blocks::define(self, stmt, &body.nodes));
            }
            // Blocks of directives that are not built yet hold no directives.
            _ => {}
        }
    }

    /// Notes the variables a word uses.
    pub(crate) fn uses(&mut self, word: &Word) {
        // What is misspelt has been complained about.
        self.used.extend(variable::names(&word.text).unwrap_or_default());
    }

    /// Notes the variables a directive uses, and complains of formats there are not.
    fn variables(&mut self, name: &str, arguments: &[Word]) {
        let from = match name {
            "access_log"
            | "hash"
            | "limit_conn_zone"
            | "pass"
            | "proxy_bind"
            | "proxy_pass"
            | "proxy_ssl_name"
            | "proxy_download_rate"
            | "proxy_upload_rate"
            | "return" => 0,
            "server_name" => return self.named_groups(arguments),
            "log_format" | "set" => 1,
            _ => return,
        };
        for word in arguments.iter().skip(from) {
            self.uses(word);
        }
        match (name, arguments) {
            ("log_format", [name, ..]) => self.formats.push(name.owned()),
            ("access_log", [_, format, ..]) if !self.formats.contains(&format.text) => {
                let message = format!("unknown log format \"{}\"", format.text);
                self.error(format.span, message);
            }
            _ => {}
        }
    }

    /// Patterns among names define variables.
    fn named_groups(&mut self, names: &[Word]) {
        for name in names {
            let Some(text) = name.text.strip_prefix('~') else { continue };
            let pattern = Pattern { text: text.to_owned(), caseless: true };
            match pattern.groups() {
                Ok(groups) => self.groups.extend(groups),
                Err(error) => self.error(name.span, blocks::bad_pattern(text, &error)),
            }
        }
    }

    fn block(&mut self, level: Level, nodes: &[Node]) -> Frame {
        let mut frame = Frame { level, seen: BTreeSet::new() };
        self.nodes(&mut frame, nodes);
        frame
    }

    fn unknown(&mut self, frame: &Frame, first: &Word) {
        let (word, section) = (first.owned(), frame.level.name().to_owned());
        if http_names::is_http(&word) {
            self.binder.error(first.span, Problem::Misplaced { keyword: word, section });
            return;
        }
        let nearest = nearest(&word, names(frame.level.within()).into_iter()).map(str::to_owned);
        self.binder.error(first.span, Problem::UnknownKeyword { word, section, nearest });
    }

    fn bind(&mut self, frame: &mut Frame, stmt: &Stmt) {
        let within = frame.level.within();
        // The directive's name, which complaints about a value need.
        let name = stmt.word(0);
        let place = Place::new(within, "").context(name);
        // "OFF" is "off" where it is part of a row's name.
        let mut stmt = std::borrow::Cow::Borrowed(stmt);
        if stmt.words.get(1).is_some_and(|w| w.text != "off" && w.text.eq_ignore_ascii_case("off"))
        {
            stmt.to_mut().words[1].text = "off".into();
        }
        let table = [SCOPE, TLS]
            .into_iter()
            .find(|table| table.iter().any(|k| k.name.split(' ').next() == Some(name)));
        let binder = &mut self.binder;
        match &mut frame.level {
            Level::Main => binder.bind_one(MAIN, place, &stmt, &mut self.main),
            Level::Events(events) => binder.bind_one(EVENTS, place, &stmt, events),
            Level::Upstream(upstream) => binder.bind_one(UPSTREAM, place, &stmt, upstream),
            Level::Stream(Stream { scope, .. }) | Level::Server(Server { scope, .. })
                if table.is_some() =>
            {
                binder.bind_one(table.unwrap_or(SCOPE), place, &stmt, scope)
            }
            Level::Stream(stream) => binder.bind_one(STREAM, place, &stmt, stream),
            Level::Server(server) => binder.bind_one(SERVER, place, &stmt, server),
        };
    }

    fn include(&mut self, frame: &mut Frame, mask: &Word) {
        if self.full() {
            return;
        }
        for path in self.included(mask) {
            self.inside(path, mask, |walk, nodes| walk.nodes(frame, nodes));
        }
    }

    /// The files an `include` names: for a mask those there are, sorted, else the one it names.
    pub(crate) fn included(&self, mask: &Word) -> Vec<PathBuf> {
        if !self.options.includes {
            return vec![];
        }
        let path = self.directory.join(&mask.text);
        if !mask.text.contains(['*', '?', '[']) {
            return vec![path];
        }
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            ..glob::MatchOptions::default()
        };
        if let Some(files) = &self.options.files {
            let Ok(pattern) = glob::Pattern::new(&path.to_string_lossy()) else { return vec![] };
            let options = glob::MatchOptions { require_literal_separator: true, ..options };
            let hit = |file: &&PathBuf| pattern.matches_path_with(file, options);
            return files.keys().filter(hit).cloned().collect();
        }
        // glob(3) takes a broken pattern literally and finds nothing.
        glob::glob_with(&path.to_string_lossy(), options)
            .map(|found| found.flatten().take(MAX_FILES).collect())
            .unwrap_or_default()
    }

    /// Reads an included file and has `walk` look at it, unless that would never end.
    pub(crate) fn inside(
        &mut self,
        path: PathBuf,
        mask: &Word,
        walk: impl FnOnce(&mut Self, &[Node]),
    ) {
        if self.full() {
            return;
        }
        if self.open.contains(&path) {
            return self.error(mask.span, format!("\"{}\" includes itself", path.display()));
        }
        if self.open.len() >= MAX_INCLUDES {
            let message = format!("files are included more than {MAX_INCLUDES} levels deep");
            return self.error(mask.span, message);
        }
        if self.sources.len() >= MAX_FILES {
            return self.error(mask.span, format!("more than {MAX_FILES} files are included"));
        }
        if let Some(nodes) = self.read(&path, mask.span) {
            self.open.push(path);
            walk(self, &nodes);
            self.open.pop();
        }
    }

    fn read(&mut self, path: &Path, span: Span) -> Option<Vec<Node>> {
        if let Some(files) = &self.options.files {
            // What is not among them was not there, either, when they were read.
            let text = files.get(path)?;
            let file = self.sources.add(path.display().to_string(), text.as_str());
            return Some(lex::lex(&self.sources, file, Kind::File));
        }
        match self.sources.read(path) {
            Ok(file) => Some(lex::lex(&self.sources, file, Kind::File)),
            Err(error) => {
                let shown = path.display();
                let message = match &error {
                    ReadError::Directory => {
                        format!("pread() \"{shown}\" failed (21: Is a directory)")
                    }
                    ReadError::Io(error) => {
                        format!("open() \"{shown}\" failed ({})", crate::errno(error))
                    }
                    other => format!("\"{shown}\" {other}"),
                };
                self.error(span, message);
                None
            }
        }
    }
}

/// The rows of every context, for the matrix and the reference.
pub(crate) fn tables() -> Vec<(&'static str, Vec<Row>)> {
    // The blocks have sections of their own.
    let flat = |rows: Vec<Row>| -> Vec<Row> {
        rows.into_iter().map(|row| Row { nested: vec![], ..row }).collect()
    };
    vec![
        ("main", flat(MAIN.rows())),
        ("events", flat(EVENTS.rows())),
        ("stream", flat(STREAM.rows())),
        ("stream, server", flat([SCOPE.rows(), TLS.rows()].concat())),
        ("server", flat(SERVER.rows())),
        ("upstream", flat(UPSTREAM.rows())),
    ]
}
