//! keepalived.conf → [`vrrp::config::Config`].
//!
//! ```text
//!  files ─► preprocess ─► lex ─► tree ─► Binder + table/* ─► draft ─► resolve ─► vrrp::Config
//!            includes      nom    Vec<Stmt>  one row a keyword     names, defaults,
//!            $DEF, @id                                             keepalived's own fix-ups
//!               │            │       │             │                      │        advice
//!               └────────────┴───────┴─────────────┴──────────────────────┴──────────┘
//!                                     Vec<Diagnostic> ─► keepalived's sentences │ excerpt and caret
//! ```
//!
//! Every stage is total: any bytes give a [`Loaded`] with everything that is wrong with them, in
//! keepalived 2.2.7's words. A mistake keepalived says once per process is said once.
//!
//! ```
//! use keepalived_conf::{Elsewhere, Options, load_text};
//!
//! let text = "vrrp_instance VI_1 {
//!     interface eth0
//!     virtual_router_id 51
//!     priority 300
//!     virtual_ipaddress { 192.0.2.1/24 }
//! }";
//! let loaded = load_text("keepalived.conf", text, &Options::new(&Elsewhere));
//! assert_eq!(loaded.config.as_ref().unwrap().instances[0].priority, 100);
//! assert_eq!(loaded.exit_code_test(), 5);
//! assert_eq!(
//!     loaded.upstream_lines(),
//!     [
//!         "(keepalived.conf: Line 4) number '300' outside range [1, 255]",
//!         "(keepalived.conf: Line 4) (VI_1) Priority not valid! must be between 1 & 255. Using default 100",
//!     ]
//! );
//! ```

#![forbid(unsafe_code)]

mod advice;
mod differences;
mod draft;
mod lex;
mod names;
mod number;
mod preprocess;
mod resolve;
mod route;
mod rule;
mod system;
mod table;
mod tree;
mod wording;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use conf::{
    ANYWHERE, Binder, Diagnostic, Manners, Place, Problem, Severity, Sources, Stmt, Wording,
};
use vrrp::config::Config;

pub use system::{Elsewhere, Host, Program, System, Weakness};
pub use table::tables;
pub use wording::Keepalived;

use draft::Draft;
use preprocess::Read;

/// How a configuration is read.
#[derive(Clone)]
pub struct Options<'a> {
    /// What `@id` lines are compared with (`-i`); the short host name if none.
    pub config_id: Option<String>,
    /// The machine it is checked against.
    pub system: &'a dyn System,
    /// Every file that is included must be there (`-e`), as with `includea`.
    pub all_included: bool,
}

impl<'a> Options<'a> {
    /// For this machine, without a `-i`.
    pub fn new(system: &'a dyn System) -> Self {
        Self { config_id: None, system, all_included: false }
    }

    fn config_id(&self) -> String {
        self.config_id.clone().unwrap_or_else(|| self.system.host_name())
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("config_id", &self.config_id).finish_non_exhaustive()
    }
}

/// A configuration and everything said about it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The text that was read; spans of [`diagnostics`](Self::diagnostics) lead into it.
    pub sources: Sources,
    /// What is wrong or worth knowing, in keepalived's order: what its first process finds, what its
    /// VRRP process finds, what the whole lacks. Advice ([`Severity::Notice`]) comes last.
    pub diagnostics: Vec<Diagnostic>,
    /// What is to be run; `None` where nothing may be started with it.
    pub config: Option<Config>,
    /// Whether there was no file to read at all: the daemon ends with code 6.
    pub missing: bool,
    /// Whether a file is missing that was included in earnest (`includem`, `include_check`): the
    /// daemon ends with code 6, and so does `-t`.
    pub incomplete: bool,
    /// Whether a script would run that could be somebody else's (`-t` ends with 6).
    pub insecure: bool,
    /// What was read, block by block, for those who look for the line of a keyword.
    pub stmts: Vec<Stmt>,
    /// The network namespace it is meant for, even where [`config`](Self::config) is none: perhaps
    /// because its interfaces are there.
    pub net_namespace: Option<String>,
}

impl Loaded {
    /// What `keepalived -t` exits with: 0, 5 for any mistake, 6 for unsafe scripts, 2 for a keyword
    /// without its argument. keepalived exits with 0 where there is no file; so does this.
    pub fn exit_code_test(&self) -> u8 {
        if self.diagnostics.iter().any(wording::cuts_short) {
            2
        } else if self.insecure || self.incomplete {
            6
        } else if self.diagnostics.iter().any(wording::counts) {
            5
        } else {
            0
        }
    }

    /// What the daemon exits with instead of starting: 6 without a file, 2 for a configuration
    /// nothing may be started with; `None` if it starts.
    pub fn exit_code_run(&self) -> Option<u8> {
        if self.missing || self.incomplete { Some(6) } else { self.config.is_none().then_some(2) }
    }

    /// Whether the daemon refuses to start with it.
    pub fn fatal(&self) -> bool {
        self.exit_code_run().is_some()
    }

    /// The lines keepalived's `-t` prints, each with its place; advice is left out.
    pub fn upstream_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for diagnostic in self.diagnostics.iter().filter(|d| d.severity > Severity::Notice) {
            for line in Keepalived.line(&self.sources, diagnostic).split('\n') {
                if known.insert(line.to_owned()) {
                    lines.push(line.to_owned());
                }
            }
            // There keepalived ends, and says no more.
            if wording::cuts_short(diagnostic) {
                break;
            }
        }
        lines
    }

    /// Everything, advice included, each with its source line, a caret and what to do.
    pub fn explain(&self) -> String {
        let shown = self.diagnostics.iter().map(|d| conf::pretty(&Keepalived, &self.sources, d));
        shown.collect::<Vec<_>>().join("\n\n")
    }

    /// What is worth a warning in the log at the start: keywords without an effect, and advice.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        self.diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Notice)
            .map(|d| Keepalived.line(&self.sources, d))
    }
}

/// Reads a configuration, as `-f` names it: a file or a pattern.
pub fn load(path: &Path, options: &Options<'_>) -> Loaded {
    let (pattern, id) = (path.to_string_lossy(), options.config_id());
    let read = preprocess::read_files(&pattern, &id, options.system, options.all_included);
    understand(read, options)
}

/// Reads a configuration from memory; relative includes start at the working directory.
pub fn load_text(name: &str, text: &str, options: &Options<'_>) -> Loaded {
    let read = preprocess::read_text(name, text, false, &options.config_id(), options.system);
    understand(read, options)
}

/// For fuzzing: any bytes must give an answer, soon and without a panic.
///
/// Includes are left out, so that no input makes it read other files.
pub fn fuzz(data: &[u8]) -> Loaded {
    let options = Options::new(&Elsewhere);
    let text = String::from_utf8_lossy(data);
    let read = preprocess::read_text("fuzz.conf", &text, true, "", options.system);
    let loaded = understand(read, &options);
    for diagnostic in loaded.diagnostics.iter().take(50) {
        conf::pretty(&Keepalived, &loaded.sources, diagnostic);
    }
    loaded
}

/// Where we say or do something else than keepalived 2.2.7 on purpose, and why.
pub fn differences() -> Vec<(&'static str, &'static str)> {
    [differences::DIFFERENCES, differences::BESIDES].concat()
}

fn understand(read: Read, options: &Options<'_>) -> Loaded {
    let mut binder = Binder::new(Manners { tell_accepted: true, ..Manners::default() });
    binder.problems = read.problems;
    let mut draft = Draft::default();
    let place = Place::new(ANYWHERE, "configuration").context(wording::PARENT);
    binder.bind(table::ROOT, place, &read.stmts, &mut draft);
    let (mut config, mut insecure) = (None, false);
    if !read.placeholders {
        let resolved = resolve::resolve(&draft, options.system, &mut binder);
        insecure = resolved.insecure;
        config = resolved.config;
    }
    for diagnostic in &mut binder.problems {
        if wording::is_lvs(diagnostic) {
            wording::LVS.clone_into(&mut diagnostic.context);
        }
    }
    let refuses = |d: &Diagnostic| {
        wording::cuts_short(d)
            || matches!(d.problem, Problem::Planned { .. }) && d.context != wording::LVS
    };
    if !read.found || read.placeholders || binder.problems.iter().any(refuses) {
        config = None;
    }
    advice::advise(&draft, options.system, &mut binder);
    let mut diagnostics = binder.problems;
    for diagnostic in &mut diagnostics {
        belongs_elsewhere(diagnostic);
        // The process that runs VRRP looks into the blocks.
        if matches!(diagnostic.problem, Problem::Usage { keyword, .. } if keyword != "global_defs")
            && diagnostic.context == wording::PARENT
        {
            wording::CHILD.clone_into(&mut diagnostic.context);
        }
    }
    let key = |d: &Diagnostic| {
        let about_no_line = wording::rank(d) % 2 == 1;
        let at = if about_no_line { (0, 0) } else { (d.span.file, d.span.start) };
        (d.severity == Severity::Notice, wording::rank(d), at)
    };
    diagnostics.sort_by_key(key);
    if read.incomplete {
        // keepalived's other processes never look at it.
        config = None;
        diagnostics.retain(|d| d.severity == Severity::Notice || wording::rank(d) < 2);
    }
    let (missing, incomplete) = (!read.found, read.incomplete);
    let net_namespace = draft.globals.globals.process.net_namespace.take();
    let Read { sources, stmts, .. } = read;
    Loaded { sources, diagnostics, config, missing, incomplete, insecure, stmts, net_namespace }
}

/// The first block that knows a keyword.
static HOMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let all = tables().into_iter().rev();
    all.flat_map(|(block, rows)| rows.into_iter().map(move |row| (row.name, block))).collect()
});

/// A keyword of another block: says which.
fn belongs_elsewhere(diagnostic: &mut Diagnostic) {
    let Problem::UnknownKeyword { word, nearest: None, .. } = &diagnostic.problem else { return };
    if diagnostic.help.is_none()
        && let Some(block) = HOMES.get(word.as_str())
    {
        diagnostic.help = Some(format!("'{word}' is a keyword of {block}"));
    }
}

#[cfg(test)]
mod tests;
