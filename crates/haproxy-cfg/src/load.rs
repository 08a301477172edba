//! Files → lines → statements → sections.

mod directive;
mod files;
mod mailers;
mod rare;
pub(crate) mod resolvers;
mod ring;
pub(crate) mod store;
mod userlist;

use std::path::Path;
use std::rc::Rc;

use conf::{
    Binder, Diagnostic, FileId, Form, Manners, Place, Problem, Severity, Sources, Span, Stmt, Word,
};
use proxy::Origin;

use crate::context::{Shared, is_planned};
use crate::draft::{Draft, Global, Kind};
use crate::lexer::{self, MAX_WORDS};
use crate::say::{BARE, CAPITAL, Complain, NOWHERE, SUMMARY, TIGHT};
use crate::table::peers::{self, PeersDraft};
use crate::table::proxy::misplaced;
use crate::table::section::{Nothing, SECTIONS, Section};
use crate::table::{GLOBAL, PROXIES, bit};

pub use files::files;
pub(crate) use files::strip_os;

use directive::Condition;

/// After this many lines that are wrong a file is not read further.
const MAX_REFUSED: usize = 50;

/// Where a line goes.
#[derive(Clone, Copy)]
enum Current {
    /// Before the first section.
    Outside,
    Global,
    Defaults(usize),
    Proxy(usize),
    Other(&'static Section),
    Peers(usize),
    /// In a section whose first line was refused; the section's keyword.
    Broken(&'static str),
}

/// What is known once all lines are read.
pub(crate) struct Loader {
    pub(crate) sources: Sources,
    pub(crate) binder: Binder,
    pub(crate) context: Shared,
    pub(crate) global: Global,
    /// What is read into stands elsewhere as long, and nothing in its place.
    pub(crate) proxies: Vec<Rc<Draft>>,
    nothing: Rc<Draft>,
    pub(crate) peers: Vec<PeersDraft>,
    pub(crate) mailers: Vec<mailers::Mailers>,
    pub(crate) resolvers: Vec<resolvers::ResolversDraft>,
    pub(crate) rings: Vec<proxy::Ring>,
    /// Whether a mistake stopped the reading of a file.
    pub(crate) aborted: bool,
    defaults: Vec<Draft>,
    current: Current,
    conditions: Vec<Condition>,
    /// The users of each `userlist`, and its groups with their members.
    userlists: Vec<(rules::Users, userlist::Groups)>,
    /// The certificates of each `crt-store`.
    pub(crate) stored: Vec<store::Stored>,
    store: store::Store,
}

impl Loader {
    /// What is read from now on belongs to the line of `at`.
    pub(crate) fn returns_to(&self, at: Span) {
        *self.context.here.borrow_mut() = self.origin_of(at);
    }

    /// The line of a place.
    pub(crate) fn origin_of(&self, at: Span) -> Origin {
        let file = self.sources.name(at.file).to_owned();
        Origin { file, line: u32::try_from(self.sources.line(at)).unwrap_or(0) }
    }

    /// Where a rule stands.
    pub(crate) fn written(&self, at: Span) -> rules::record::Written {
        let line = u32::try_from(self.sources.line(at)).unwrap_or(0);
        rules::record::Written { file: self.sources.name(at.file).into(), line }
    }

    pub(crate) fn new(context: Shared, tell_accepted: bool) -> Self {
        Self {
            sources: Sources::default(),
            binder: Binder::new(Manners { negation: true, tell_accepted, ..Manners::default() }),
            global: Global { context: Rc::clone(&context), ..Global::default() },
            context,
            proxies: vec![],
            nothing: Rc::default(),
            peers: vec![],
            mailers: vec![],
            resolvers: vec![],
            rings: vec![],
            aborted: false,
            defaults: vec![],
            current: Current::Outside,
            conditions: vec![],
            userlists: vec![],
            stored: vec![],
            store: store::Store::default(),
        }
    }

    /// Reads a file by its path. Whether reading may go on.
    pub(crate) fn read(&mut self, path: &Path) -> bool {
        match self.sources.read(path) {
            Ok(file) => self.file(file),
            Err(error) => {
                let reason = match &error {
                    conf::ReadError::Io(error) => strip_os(error),
                    other => other.to_string(),
                };
                let text =
                    format!("Could not open configuration file {} : {reason}", path.display());
                self.binder.complain(Severity::Error, NOWHERE, Span::default(), text);
                self.aborted = true;
                false
            }
        }
    }

    /// Reads a file that is in the sources. Whether reading may go on.
    pub(crate) fn file(&mut self, file: FileId) -> bool {
        let errors = self.binder.problems.len();
        self.current = Current::Outside;
        self.conditions.clear();
        let text = self.sources.text(file).to_owned();
        let mut offset = 0;
        let (mut refused, mut stopped) = (0, false);
        for line in text.split_inclusive('\n') {
            let at = Span { file, start: offset as u32, end: (offset + line.len()) as u32 };
            offset += line.len();
            if refused >= MAX_REFUSED {
                let text = format!("too many fatal errors ({refused}), stopping now.");
                self.tight(at, text);
                stopped = true;
                break;
            }
            let before = self.binder.problems.len();
            let nul = line.find('\0');
            self.line(&line[..nul.unwrap_or(line.len())], at);
            if let Some(position) = nul {
                let text = format!("Stray NUL character at position {}.", position + 1);
                self.tight(at, text).help = Some("is this a text file?".into());
                stopped = true;
                break;
            }
            let mut said = self.binder.problems[before..].iter();
            refused += usize::from(said.any(|d| d.severity == Severity::Error && !is_planned(d)));
            if self.aborted {
                break;
            }
        }
        let last = text.len().saturating_sub(1) as u32;
        let end = Span { file, start: last, end: text.len() as u32 };
        if !self.aborted && !stopped && !text.is_empty() && !text.ends_with('\n') {
            let column = text.lines().last().map_or(0, str::len) + 1;
            let text = format!(
                "Missing LF on last line, file might have been truncated at position {column}."
            );
            self.tight(end, text).help = Some("end the last line with a line feed".into());
        }
        if !self.aborted && !stopped && !self.conditions.is_empty() {
            self.tight(end, "non-terminated '.if' block.");
            self.aborted = true;
        }
        let fatal = |d: &Diagnostic| d.severity == Severity::Error;
        if self.binder.problems[errors..].iter().any(fatal) {
            self.file_is_wrong(end);
        }
        !self.aborted
    }

    /// Says, once and last, that the file of `at` has mistakes.
    pub(crate) fn file_is_wrong(&mut self, at: Span) {
        let name = self.sources.name(at.file);
        let text = format!("Error(s) found in configuration file : {name}");
        let problem = Problem::Other(text.clone());
        self.binder.problems.retain(|d| d.context != SUMMARY || d.problem != problem);
        self.binder.complain(Severity::Error, SUMMARY, at, text);
    }

    fn tight(&mut self, span: Span, text: impl Into<String>) -> &mut Diagnostic {
        self.binder.complain(Severity::Error, TIGHT, span, text)
    }

    fn abort(&mut self, manner: &str, span: Span, text: impl Into<String>) {
        self.binder.complain(Severity::Error, manner, span, text);
        self.aborted = true;
    }

    fn line(&mut self, raw: &str, at: Span) {
        let line = raw.trim_end_matches(['\n', '\r']);
        let number = self.sources.line(at);
        let file = self.sources.name(at.file);
        {
            let mut here = self.context.here.borrow_mut();
            here.line = number as u32;
            if here.file != file {
                file.clone_into(&mut here.file);
            }
        }
        let section = || match self.current {
            Current::Outside => String::new(),
            Current::Global => "global".into(),
            Current::Defaults(i) => format!("defaults {}", self.defaults[i].name),
            Current::Proxy(i) => {
                format!("{} {}", self.proxies[i].kind.keyword(), self.proxies[i].name)
            }
            Current::Other(section) => section.name.into(),
            Current::Peers(i) => format!("peers {}", self.peers[i].name),
            Current::Broken(keyword) => keyword.into(),
        };
        let pseudo = |name: &str| match name {
            ".FILE" => Some(file.to_owned()),
            ".LINE" => Some(number.to_string()),
            ".SECTION" => Some(section()),
            _ => None,
        };
        let words = lexer::words(line, at, &self.context.env.borrow(), &pseudo);
        let words = match words {
            Ok(words) => words,
            Err(flaw) => {
                if self.skipping() {
                    return;
                }
                let (what, offset) = flaw.say();
                let indent = line.len() - line.trim_start().len();
                let caret = " ".repeat(2 + offset.saturating_sub(indent));
                let shown = line.trim_start();
                let text = format!("{what} at position {}:\n  {shown}\n{caret}^", offset + 1);
                let start = at.start + offset as u32;
                self.tight(Span { start, end: start + 1, ..at }, text);
                return;
            }
        };
        let Some(first) = words.first() else { return };
        if first.text.starts_with('.') {
            self.directive(&words, line, at);
            return;
        }
        if self.skipping() {
            return;
        }
        if words.len() > MAX_WORDS {
            let word = words[MAX_WORDS - 1].clone();
            // Counted in what HAProxy keeps of the line: words with one byte between them.
            let before = words[..MAX_WORDS - 1].iter();
            let position = 1 + before.map(|word| word.text.len() + 1).sum::<usize>();
            self.tight(
                word.span,
                format!(
                    "too many words, truncating after word {MAX_WORDS}, position {position}: <{}>.",
                    word.text
                ),
            );
            return;
        }
        let stmt = Stmt { span: span_of(&words, at), words, block: None };
        let (before, at) = (self.binder.problems.len(), stmt.at());
        self.statement(stmt);
        self.settle(before, at);
    }

    /// Gives complaints without a word of their own the statement's place, and drops "not supported
    /// yet" where something is wrong besides.
    fn settle(&mut self, from: usize, at: Span) {
        for problem in &mut self.binder.problems[from..] {
            if problem.span == Span::default() {
                problem.span = at;
            }
        }
        let wrong = |d: &Diagnostic| d.severity == Severity::Error && !is_planned(d);
        if self.binder.problems[from..].iter().any(wrong) {
            let mut index = 0;
            self.binder.problems.retain(|problem| {
                index += 1;
                index <= from || !is_planned(problem)
            });
        }
    }

    fn statement(&mut self, stmt: Stmt) {
        match stmt.word(0) {
            "global" => {
                if let Some(extra) = stmt.words.get(1) {
                    crate::number::unexpected(&mut self.binder, "global", &extra.text, extra.span);
                }
                self.current = Current::Global;
            }
            "defaults" => self.defaults_section(&stmt),
            "frontend" => self.proxy_section(Kind::Frontend, &stmt),
            "listen" => self.proxy_section(Kind::Listen, &stmt),
            "backend" => self.proxy_section(Kind::Backend, &stmt),
            // A word that is a keyword of the present section is that.
            word => match SECTIONS.iter().find(|section| section.name == word) {
                Some(section) => self.other_section(section, &stmt),
                None => self.keyword(stmt),
            },
        }
    }

    fn keyword(&mut self, stmt: Stmt) {
        let (word, at) = (stmt.word(0).to_owned(), stmt.at());
        match self.current {
            Current::Outside => {
                self.tight(at, format!("unknown keyword '{word}' out of section."));
            }
            Current::Broken(section) => {
                let text = format!("'{section}' or 'defaults' expected.");
                self.binder.refuse(at, text);
            }
            Current::Global => self.global_keyword(stmt),
            Current::Defaults(index) => {
                let mut draft = std::mem::take(&mut self.defaults[index]);
                self.proxy_keyword(stmt, &mut draft);
                self.defaults[index] = draft;
            }
            Current::Proxy(index) => {
                let nothing = Rc::clone(&self.nothing);
                let mut draft = std::mem::replace(&mut self.proxies[index], nothing);
                self.proxy_keyword(stmt, Rc::make_mut(&mut draft));
                self.proxies[index] = draft;
            }
            Current::Peers(index) => {
                if !peers::TABLE.iter().any(|row| row.matches(&stmt.words) > 0) {
                    self.unknown(&stmt, "peers", &[]);
                    return;
                }
                let place = Place::new(conf::ANYWHERE, "peers");
                self.binder.bind_one(peers::TABLE, place, &stmt, &mut self.peers[index]);
            }
            Current::Other(section) => {
                let place = Place::new(conf::ANYWHERE, section.said);
                let known = section.table.iter().any(|row| row.matches(&stmt.words) > 0);
                let manner =
                    if matches!(section.said, "userlist" | "fcgi-app") { TIGHT } else { "" };
                // A section that is refused as a whole has been complained about.
                if section.planned || rare::is_refused(section.name) {
                } else if known {
                    match section.name {
                        "userlist" => self.userlist_keyword(&stmt),
                        "mailers" => self.mailers_keyword(&stmt),
                        "resolvers" => self.resolvers_keyword(&stmt),
                        "ring" => self.ring_keyword(&stmt),
                        "crt-store" => self.store_keyword(&stmt),
                        "namespace_list" => self.namespace_keyword(&stmt),
                        _ => {}
                    }
                    self.binder.bind_one(section.table, place, &stmt, &mut Nothing);
                } else if section.name == "ring" {
                    self.binder.refuse(at, format!("unknown statement '{word}'."));
                } else {
                    let text = format!("unknown keyword '{word}' in '{}' section", section.said);
                    self.binder.complain(Severity::Error, manner, at, text);
                }
            }
        }
    }

    fn other_section(&mut self, section: &'static Section, stmt: &Stmt) {
        if section.named && stmt.words.len() < 2 {
            let text = format!("missing name for {} section.", section.name);
            return self.abort("", stmt.at(), text);
        }
        if section.planned {
            let keyword = format!("section '{}'", section.name);
            self.binder.error(stmt.at(), Problem::Planned { keyword });
        }
        if section.name == "peers" {
            return self.peers_section(stmt);
        }
        self.rare_section(stmt);
        if section.name == "userlist" {
            self.userlist_section(stmt.word(1));
        }
        if section.name == "mailers" {
            self.mailers_section(stmt.word(1), stmt.at());
        }
        if section.name == "resolvers" {
            self.resolvers_section(stmt);
        }
        if section.name == "ring" {
            self.ring_section(stmt);
        }
        if section.name == "crt-store" {
            self.store_section(stmt);
        }
        self.current = Current::Other(section);
    }

    fn peers_section(&mut self, stmt: &Stmt) {
        let name = stmt.word(1);
        if let Some(extra) = stmt.words.get(2) {
            crate::number::unexpected(&mut self.binder, "peers", &extra.text, extra.span);
            return;
        }
        if let Some(known) = self.peers.iter().find(|section| section.name == name) {
            let text = format!(
                "peers section '{name}' has the same name as another peers section declared at {}.",
                known.origin
            );
            self.binder.complain(Severity::Error, CAPITAL, stmt.at(), text);
        }
        let proxy = Draft { context: Rc::clone(&self.context), at: stmt.at(), ..Draft::default() };
        self.peers.push(PeersDraft::new(name, &self.context.local_peer(), proxy));
        self.current = Current::Peers(self.peers.len() - 1);
    }

    /// The last word pair `from NAME` of a section line, and the defaults it names.
    fn from(&mut self, stmt: &Stmt, kind: Kind, name: &str) -> Option<Draft> {
        let builtin = || Draft { context: Rc::clone(&self.context), ..Draft::default() };
        let from = stmt.words.iter().position(|word| word.text == "from");
        let wanted = from.and_then(|at| stmt.words.get(at + 1));
        let Some(wanted) = wanted else {
            return Some(match kind {
                Kind::Defaults => builtin(),
                _ => self.defaults.last().cloned().unwrap_or_else(builtin),
            });
        };
        let all: Vec<_> = self.defaults.iter().filter(|d| d.name == wanted.text).collect();
        match all[..] {
            [found] => Some(found.clone()),
            [] => {
                let noun = if kind == Kind::Defaults { "defaults" } else { kind.noun() };
                let text =
                    format!("defaults section '{}' not found for {noun} '{name}'.", wanted.text);
                self.abort("", stmt.at(), text);
                None
            }
            [first, second, ..] => {
                let text = format!(
                    "ambiguous defaults section name '{}' referenced by {} '{name}' exists at least at {} and {}.",
                    wanted.text,
                    kind.noun(),
                    first.origin,
                    second.origin
                );
                self.binder.refuse(stmt.at(), text);
                None
            }
        }
    }

    fn defaults_section(&mut self, stmt: &Stmt) {
        let name = match stmt.word(1) {
            "from" => "",
            name => name,
        };
        let Some(base) = self.from(stmt, Kind::Defaults, name) else {
            self.current = Current::Broken("listen");
            return;
        };
        let mut draft = base.inherit(Kind::Defaults, name);
        draft.at = stmt.at();
        draft.origin = self.context.origin();
        self.defaults.push(draft);
        self.current = Current::Defaults(self.defaults.len() - 1);
    }

    fn proxy_section(&mut self, kind: Kind, stmt: &Stmt) {
        let keyword = kind.keyword();
        let Some(name) = stmt.words.get(1) else {
            return self.abort("", stmt.at(), format!("'{keyword}' expects an <id> argument"));
        };
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if let Some(bad) = name.text.chars().find(|c| !valid(*c)) {
            let text =
                format!("character '{bad}' is not permitted in '{keyword}' name '{}'.", name.text);
            self.binder.refuse(name.span, text);
        }
        if let Some(extra) = stmt.words.get(2)
            && (extra.text != "from" || stmt.words.len() < 4)
        {
            let text = "please use the 'bind' keyword for listening addresses.";
            self.binder.refuse(extra.span, text).help =
                Some(format!("write 'bind {}' on a line of its own", extra.text));
            self.current = Current::Broken("listen");
            return;
        }
        self.same_name(kind, name);
        let Some(base) = self.from(stmt, kind, &name.text) else {
            self.current = Current::Broken("listen");
            return;
        };
        let early = !base.rules.connection.is_empty() || !base.rules.session.is_empty();
        if early && kind == Kind::Backend {
            let text = format!(
                "a backend section cannot inherit from a defaults section defining 'tcp-request connection' or 'tcp-request session' rules (defaults section at {}).",
                base.origin
            );
            self.tight(stmt.at(), text);
        }
        let mut draft = base.inherit(kind, &name.text);
        draft.at = stmt.at();
        draft.origin = self.context.origin();
        self.proxies.push(Rc::new(draft));
        self.current = Current::Proxy(self.proxies.len() - 1);
    }

    /// Two proxies of one name: refused if they serve the same side, else worth a warning.
    fn same_name(&mut self, kind: Kind, name: &Word) {
        let twins = || self.proxies.iter().filter(|other| other.name == name.text);
        let clash = twins().find(|other| {
            kind.is_client_side() && other.kind.is_client_side()
                || kind.is_server_side() && other.kind.is_server_side()
        });
        let (noun, name_text) = (kind.noun(), &name.text);
        if let Some(other) = clash {
            let text = format!(
                "{noun} '{name_text}' has the same name as {} '{name_text}' declared at {}.",
                other.kind.noun(),
                other.origin
            );
            self.binder.complain(Severity::Error, CAPITAL, name.span, text);
        }
        if let Some(other) = twins().next() {
            let text = format!(
                "{noun} '{name_text}' has the same name as {} '{name_text}' declared at {}. This is dangerous and will not be supported anymore in version 3.3.",
                other.kind.noun(),
                other.origin
            );
            self.binder.complain(Severity::Warning, CAPITAL, name.span, text).help =
                Some("give one of them another name".into());
        }
    }

    /// Two proxies with one forced id.
    fn same_id(&mut self, draft: &Draft, span: Span) {
        let twin =
            |other: &&Rc<Draft>| draft.forced_id.is_some() && other.forced_id == draft.forced_id;
        let Some(other) = self.proxies.iter().find(twin) else { return };
        let text = format!(
            "{} {} reuses same custom id as {} {} (declared at {}).",
            draft.kind.noun(),
            draft.name,
            other.kind.noun(),
            other.name,
            other.origin
        );
        self.tight(span, text);
    }

    /// Takes `no` or `default` off the front of a statement: whether it was there; `None` where it may
    /// not be.
    fn prefix(&mut self, stmt: &mut Stmt) -> Option<bool> {
        let word = stmt.word(0).to_owned();
        if word != "no" && word != "default" {
            return Some(false);
        }
        let prefix = stmt.words.remove(0);
        let allowed = match stmt.word(0) {
            "option" | "log" => word == "no" || stmt.word(0) == "option",
            "busy-polling"
            | "set-dumpable"
            | "strict-limits"
            | "insecure-fork-wanted"
            | "numa-cpu-mapping" => true,
            _ => false,
        };
        if !allowed {
            self.tight(prefix.span, "negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping.");
            return None;
        }
        Some(true)
    }

    fn unknown(&mut self, stmt: &Stmt, section: &str, known: &[&'static str]) {
        let mut word = stmt.word(0).to_owned();
        let span = stmt.at();
        // "stats foo" is about "foo".
        let family = format!("{word} ");
        if stmt.words.len() > 1 && known.iter().any(|name| name.starts_with(&family)) {
            word = format!("{family}{}", stmt.word(1));
        }
        let nearest = conf::nearest(&word, known.iter().copied()).map(str::to_owned);
        let section = section.to_owned();
        self.binder.error(span, Problem::UnknownKeyword { word, section, nearest });
    }

    fn global_keyword(&mut self, mut stmt: Stmt) {
        let Some(negated) = self.prefix(&mut stmt) else { return };
        let Some(row) = GLOBAL.find(conf::ANYWHERE, &stmt.words) else {
            let known = GLOBAL.names(conf::ANYWHERE);
            self.unknown(&stmt, "global", &known);
            return;
        };
        if negated {
            match stmt.word(0) {
                "log" => self.global.process.log.clear(),
                "strict-limits" => self.global.lax_limits = true,
                _ => {}
            }
            return;
        }
        if let (Form::Flag(_), Some(extra)) = (&row.form, stmt.words.get(row.matches(&stmt.words)))
        {
            crate::number::unexpected(&mut self.binder, row.name, &extra.text, extra.span);
            return;
        }
        let place = Place::new(conf::ANYWHERE, "global");
        self.binder.bind_row(row, place, &stmt, &mut self.global);
    }

    fn proxy_keyword(&mut self, mut stmt: Stmt, draft: &mut Draft) {
        let Some(negated) = self.prefix(&mut stmt) else { return };
        let (here, kind) = (bit(draft.kind), draft.kind);
        let Some(row) = PROXIES.find(here, &stmt.words) else {
            let whose = match kind {
                Kind::Defaults => "'defaults' section".to_owned(),
                _ => format!("proxy '{}'", draft.name),
            };
            let (keyword, got) = (stmt.word(0), stmt.word(1));
            let expected = match keyword {
                "tcp-request" => "'inspect-delay', 'connection', or 'content'",
                "tcp-response" => "'inspect-delay' or 'content'",
                "stick" if here.includes(bit(Kind::Backend)) || kind == Kind::Listen => {
                    let text = "'stick' expects 'on', 'match', or 'store'.";
                    self.binder.refuse(stmt.at(), text);
                    return;
                }
                _ => {
                    let known = PROXIES.names(here);
                    self.unknown(&stmt, kind.keyword(), &known);
                    return;
                }
            };
            let text = if got.is_empty() {
                format!("missing argument for '{keyword}' in {whose}")
            } else {
                format!("'{keyword}' expects {expected} in {whose} (got '{got}')")
            };
            self.binder.refuse(stmt.at(), text);
            return;
        };
        let span = stmt.at();
        if kind == Kind::Backend
            && matches!(
                row.name,
                "option tcplog" | "option httplog" | "option httpslog" | "log-format"
            )
        {
            let text = format!(
                "backend '{}' : '{}' directive is ignored in backends.",
                draft.name, row.name
            );
            self.binder.warn(span, text);
            return;
        }
        let anonymous = kind == Kind::Defaults && draft.name.is_empty();
        if !row.within.includes(here) || anonymous && is_rule(row.name) {
            let (severity, manner, mut text) = misplaced(row.name, kind, &draft.name);
            let manner = if manner == "@@" {
                text = format!("parsing [{}] : {text}", self.context.origin());
                BARE
            } else {
                manner
            };
            self.binder.complain(severity, manner, span, text);
            // HAProxy looks for the backend all the same.
            if row.name == "default_backend" {
                draft.default_backend = stmt.words.get(1).map(Word::owned);
            }
            draft.bind_ignored |= row.name == "bind";
            return;
        }
        let switch = matches!(row.form, Form::Switch(_));
        if negated {
            match row.name {
                "log" => return draft.logs.clear(),
                "option redispatch" => {
                    draft.back.redispatch = None;
                    return;
                }
                _ if !switch => {
                    let option = stmt.word(1).to_owned();
                    let text = format!("negation/default is not supported for option '{option}'.");
                    self.tight(span, text);
                    return;
                }
                _ => {}
            }
        }
        let words_of_name = row.matches(&stmt.words);
        if let (true, Some(extra)) = (switch, stmt.words.get(words_of_name)) {
            crate::number::unexpected(&mut self.binder, row.name, &extra.text, extra.span);
            return;
        }
        if negated {
            stmt.words.insert(0, Word { text: "no".into(), span });
        }
        let place = Place::new(here, kind.keyword());
        let before = self.binder.problems.len();
        self.binder.bind_row(row, place, &stmt, draft);
        let rules = ["http-request", "http-response", "http-after-response", "stats http-request"];
        let rule_of_http = rules.contains(&row.name);
        let wrong = |d: &Diagnostic| d.severity == Severity::Error && !is_planned(d);
        // HAProxy reads no further than a rule of HTTP that is none.
        if rule_of_http && self.binder.problems[before..].iter().any(wrong) {
            self.aborted = true;
        }
        if crate::table::http::is_unserved(row) {
            draft.http.unserved.push((span, row.name));
        }
        if row.name == "id" {
            self.same_id(draft, span);
        }
        if row.name == "option httplog" && draft.http.httplog.is_some() {
            draft.http.httplog = Some(span);
        }
        if matches!(row.name, "option tcplog" | "option httplog" | "log-format") {
            draft.log_at = Some(span);
        }
    }
}

/// Rules, which only `defaults` with a name may have.
fn is_rule(keyword: &str) -> bool {
    let rules = [
        "acl",
        "http-after-response",
        "http-request",
        "http-response",
        "tcp-request",
        "tcp-response",
    ];
    rules.contains(&keyword.split(' ').next().unwrap_or(keyword))
}

fn span_of(words: &[Word], at: Span) -> Span {
    match (words.first(), words.last()) {
        (Some(first), Some(last)) => first.span.to(last.span),
        _ => at,
    }
}
