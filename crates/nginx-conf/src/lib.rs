//! nginx.conf, as far as its `stream {}` goes: text → directives → the proxy model.
//!
//! ```text
//!  nginx.conf, -g ─► lex ─► directives ─► walk + tables ─► drafts ─► lower ─► proxy::Config
//!       ▲             words, quotes,      contexts, arity,           levels merged,
//!       └─ include ◄─ braces, ${…}        duplicates, values         names resolved
//!                                             │                          │
//!                                             └──────► Diagnostics ◄─────┘
//! ```
//!
//! nginx stops at its first mistake. Here all of them are reported, in the order in which nginx
//! would have met them, so the first line is the one nginx prints. The words are nginx's
//! ([`Wording`]); `http {}` is looked at, and skipped where nothing is lost by that.
//!
//! ```
//! let text = "events {} stream { upstream k { server 192.0.2.1:6443 weight=0; } }";
//! let loaded = nginx_conf::load_text("n.conf", text, &nginx_conf::Options::offline());
//! let said = nginx_conf::Wording.message(&loaded.sources, &loaded.diagnostics[0]);
//! assert_eq!(said, "invalid parameter \"weight=0\" in n.conf:1");
//! assert!(!loaded.is_ok());
//! ```

#![forbid(unsafe_code)]

mod address;
mod blocks;
mod draft;
mod http;
mod http_names;
mod lex;
mod lookup;
mod lower;
mod table;
mod value;
mod variable;
mod walk;
mod wording;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conf::{Diagnostic, Problem, Row, Severity, Sources};
use proxy::{Config, Flavour};

pub use lookup::Lookups;
use walk::Walk;
pub use wording::Wording;

/// What `-p`, `-g` and `-e` say, and what the machine knows.
#[derive(Clone, Debug)]
pub struct Options {
    /// `-p`: what relative names of files are relative to, except those of `include`.
    pub prefix: PathBuf,
    /// `-g`: directives of the main context, taken before the file.
    pub globals: Option<String>,
    /// `-e`: the error log until the configuration names one; `stderr` is the terminal.
    pub error_log: Option<String>,
    /// Whether other files may be read.
    pub includes: bool,
    /// The only files there are, where a process is to see those another one has read.
    pub files: Option<Files>,
    /// Names of hosts, users and groups.
    pub lookups: Lookups,
}

impl Options {
    /// Without other files and with nothing the machine knows: for tests and fuzzing.
    pub fn offline() -> Self {
        Self {
            prefix: PathBuf::from("/"),
            globals: None,
            error_log: None,
            includes: false,
            files: None,
            lookups: Lookups::offline(),
        }
    }
}

impl Default for Options {
    /// Debian's prefix, and the machine's own names.
    fn default() -> Self {
        Self {
            prefix: PathBuf::from("/usr/share/nginx/"),
            globals: None,
            error_log: None,
            includes: true,
            files: None,
            lookups: Lookups::default(),
        }
    }
}

/// Files by name.
pub type Files = BTreeMap<PathBuf, String>;

/// A configuration that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The text of every file, in the order in which they were opened.
    pub sources: Sources,
    /// Every complaint, in nginx's order.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the text itself was right: nginx says "syntax is ok" before its last checks.
    pub syntax_ok: bool,
    /// What it means; only complete without errors.
    pub config: Config,
}

impl Loaded {
    /// Every file that was read, in the order in which they were opened.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let ids = 0..u16::try_from(self.sources.len()).unwrap_or(u16::MAX);
        ids.map(|id| (self.sources.name(id), self.sources.text(id)))
            .filter(|(name, _)| *name != wording::COMMAND_LINE)
    }

    /// Whether a process may start with it.
    pub fn is_ok(&self) -> bool {
        self.diagnostics.iter().all(|d| d.severity < Severity::Error)
    }

    /// Refuses it for what only whoever serves it can find out, as nginx does while it reads.
    pub fn refuse(&mut self, message: String) {
        let mut binder = conf::Binder::new(conf::Manners::default());
        binder.error(wording::NOWHERE, Problem::Other(message));
        self.diagnostics.append(&mut binder.problems);
        self.syntax_ok = false;
    }
}

/// Reads a configuration file and everything it includes.
pub fn load(path: &Path, options: &Options) -> Loaded {
    let mut walk = Walk::new(options);
    if let Some(globals) = &options.globals {
        walk.globals(globals);
    }
    walk.file(path);
    finish(walk)
}

/// Takes a text as the configuration file of that name.
pub fn load_text(name: &str, text: &str, options: &Options) -> Loaded {
    let mut walk = Walk::new(options);
    if let Some(globals) = &options.globals {
        walk.globals(globals);
    }
    walk.text(name, text.to_owned());
    finish(walk)
}

fn finish(walk: Walk<'_>) -> Loaded {
    let Walk {
        options,
        sources,
        mut binder,
        main,
        events,
        stream,
        used,
        groups,
        sites,
        directory,
        ..
    } = walk;
    let mut config = match &stream {
        Some(stream) => {
            let names = lower::Names { used: &used, groups: &groups };
            lower::stream(stream, &names, &sources, options, &directory, &mut binder)
        }
        None => Config::new(Flavour::Nginx),
    };
    lower::sites(sites, &mut config);
    lower::process(&main, events.as_ref(), options, &mut config);
    let syntax_ok = binder.problems.iter().all(|d| d.severity < Severity::Error);
    // nginx gets here only with a text it could read to its end.
    if events.is_none() && syntax_ok {
        let message = "no \"events\" section in configuration".to_owned();
        binder.error(wording::NOWHERE, Problem::Other(message));
    }
    if let Some(connections) = events.and_then(|events| events.connections) {
        let listening = config.frontends.iter().map(|f| f.binds.len()).sum::<usize>();
        if (connections as usize) < listening + 1 {
            let message = format!(
                "{connections} worker_connections are not enough for {listening} listening sockets"
            );
            binder.error(wording::NOWHERE, Problem::Other(message));
        }
    }
    Loaded { sources, diagnostics: binder.problems, syntax_ok, config }
}

/// The directives of each context, for the compatibility matrix and the reference.
pub fn tables() -> Vec<(&'static str, Vec<Row>)> {
    walk::tables()
}

/// Takes any bytes as a configuration, renders every complaint, and forgets it all.
///
/// What fuzzing calls: it may neither panic nor take long.
pub fn fuzz(bytes: &[u8]) {
    use conf::Wording as _;
    let loaded = load_text("fuzz.conf", &String::from_utf8_lossy(bytes), &Options::offline());
    for diagnostic in loaded.diagnostics.iter().take(20) {
        Wording.line(&loaded.sources, diagnostic);
        conf::pretty(&Wording, &loaded.sources, diagnostic);
    }
}

/// An error of the system as nginx prints it: `2: No such file or directory`.
pub fn errno(error: &std::io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let suffix = format!(" (os error {number})");
            format!("{number}: {}", text.strip_suffix(&suffix).unwrap_or(&text))
        }
        None => text,
    }
}
