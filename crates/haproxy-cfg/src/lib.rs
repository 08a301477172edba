//! haproxy.cfg → the proxy model, every mistake in HAProxy's own words.
//!
//! ```text
//!  files ─► lexer ─► statements ─► sections ─► tables ─► drafts ─► lower ─► proxy::Config
//!            │ quotes, $ENV,        defaults,   a row a             references,
//!            │ .if/.endif           from, no …  keyword             modes, ids, names
//!            └───────────────┬──────────┴─────────┴────────────────────┘
//!                            ▼
//!              Vec<Diagnostic> ─► Loaded::report ─► HAProxy's lines, or excerpts with carets
//! ```
//!
//! HAProxy 2.6's wording and verdicts are followed; what later versions accept besides is accepted,
//! and what some refuse is accepted with a warning where it has a meaning. A keyword that is known
//! and not built is refused with "not supported yet: …"; none is passed over in silence.
//!
//! ```
//! use haproxy_cfg::{Options, load_texts};
//!
//! let text = "
//! defaults
//!     timeout connect 5s
//!     timeout client 1m
//!     timeout server 1m
//! listen kube
//!     bind 127.0.0.1:6443
//!     server cp1 192.0.2.11:6443 check
//! ";
//! let loaded = load_texts(&[("demo.cfg", text)], &Options::sealed());
//! let config = loaded.config.expect("nothing is wrong with it");
//! assert_eq!(config.backends[0].servers[0].name, "cp1");
//! ```

#![forbid(unsafe_code)]

mod acl;
mod address;
pub mod cli;
mod condition;
mod context;
mod draft;
pub mod dynamic;
mod expr;
mod format;
mod lexer;
mod load;
mod lower;
mod number;
mod report;
mod say;
mod table;
mod wording;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use conf::{Diagnostic, Problem, Severity, Sources, Span};
use proxy::Config;

pub use condition::FEATURES;
pub use load::files;
pub use report::{Manner, Report, preamble, prefix};
pub use table::tables;
pub use wording::HaProxy;

use context::{Context, is_planned};
use load::Loader;

/// The HAProxy version whose behaviour is claimed: what `version_atleast` compares with, and
/// field 3 of the first line of `-v`.
pub const VERSION: &str = "3.2.0";
/// The version as messages have it, with our name behind it.
pub const VERSION_LINE: &str = "3.2.0-balancerd";

/// What a load may look at beside the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The environment for `"$NAME"`.
    pub env: BTreeMap<String, String>,
    /// Whether host names are resolved, users looked up and `ca-file`s opened.
    pub reach_out: bool,
    /// Whether keywords that are taken without an effect are named, in notices.
    pub tell_accepted: bool,
}

impl Options {
    /// This process's environment, and everything is looked up.
    pub fn system() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            env: std::env::vars_os().filter_map(text).collect(),
            reach_out: true,
            tell_accepted: false,
        }
    }

    /// No environment, and nothing is looked up: the outcome depends on the text alone.
    pub fn sealed() -> Self {
        Self::default()
    }
}

/// What became of a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The texts, for rendering.
    pub sources: Sources,
    /// Everything there is to say, in HAProxy's order.
    pub diagnostics: Vec<Diagnostic>,
    /// The model; `None` if anything was refused.
    pub config: Option<Config>,
    /// `zero-warning` of the global section.
    pub zero_warning: bool,
    /// `quiet` of the global section.
    pub quiet: bool,
    /// Whether to start only where all files that may be needed can be opened: not with
    /// `no strict-limits`.
    pub strict_limits: bool,
    /// Whether anything listens: a configuration without is valid, and not started (exit code 2).
    pub listens: bool,
}

/// What an expression or a format is worth where there is no connection, as `set-var` and
/// `set-var-fmt` of `global` have it; `None` is no value.
///
/// # Errors
///
/// What HAProxy says of one that is none, or that it is not built.
pub fn value(
    name: &str,
    words: &[&str],
    as_format: bool,
) -> Result<Option<rules::Value<'static>>, String> {
    table::global_var::value(name, words, as_format)
}

impl Loaded {
    /// Refuses what was read, in words that name their place by themselves.
    pub fn refuse(&mut self, text: String) {
        let problem = Problem::Other(text);
        let diagnostic = Diagnostic::new(Severity::Error, Span::default(), problem);
        self.diagnostics.push(diagnostic.context(say::NOWHERE));
        self.config = None;
    }
}

/// Reads files, in order. Directories are replaced by their `*.cfg` ([`files`]).
pub fn load(paths: &[PathBuf], options: &Options) -> Loaded {
    let mut loader = loader(options);
    match files(paths) {
        Err(text) => {
            let problem = Problem::Other(text);
            let diagnostic = Diagnostic::new(Severity::Error, Span::default(), problem);
            loader.binder.problems.push(diagnostic.context(say::NOWHERE));
            loader.aborted = true;
        }
        Ok(paths) => {
            for path in paths {
                if !loader.read(&path) {
                    break;
                }
            }
        }
    }
    finish(loader)
}

/// Reads texts with names, in order, as if they were files.
pub fn load_texts(texts: &[(&str, &str)], options: &Options) -> Loaded {
    let mut loader = loader(options);
    for (name, text) in texts {
        let file = loader.sources.add(*name, *text);
        if !loader.file(file) {
            break;
        }
    }
    finish(loader)
}

/// Reads any bytes as a file and renders every complaint in both ways: for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let loaded = load_texts(&[("fuzz.cfg", &text)], &Options::sealed());
    for explain in [false, true] {
        let manner = Manner {
            pid: 1,
            executable: "/usr/sbin/haproxy",
            quiet: false,
            check: true,
            zero_warning: false,
            explain,
        };
        loaded.report(&manner);
    }
}

/// Evaluates a condition of `.if` or `-cc`.
///
/// # Errors
/// What HAProxy says of a condition that cannot be read.
pub fn condition(text: &str, options: &Options) -> Result<bool, String> {
    condition::evaluate(text, &options.env)
        .map_err(|part| format!("unparsable conditional expression '{part}'"))
}

fn loader(options: &Options) -> Loader {
    let context = Context::default();
    *context.env.borrow_mut() = options.env.clone();
    context.reach_out.set(options.reach_out);
    Loader::new(Rc::new(context), options.tell_accepted)
}

fn finish(mut loader: Loader) -> Loaded {
    let wrong = |loader: &Loader, planned_too: bool| {
        let error = |d: &&Diagnostic| d.severity == Severity::Error;
        let summary = |d: &&Diagnostic| d.context != say::SUMMARY;
        loader
            .binder
            .problems
            .iter()
            .filter(error)
            .filter(summary)
            .any(|d| planned_too || !is_planned(d))
    };
    let mut config = None;
    let mut fatal = wrong(&loader, true);
    // What is only not built does not hide what else is wrong.
    if !loader.aborted && !wrong(&loader, false) {
        let mut lowered = lower::lower(&mut loader);
        fatal = wrong(&loader, true);
        if !wrong(&loader, false) {
            lower::resolve(&mut loader, &mut lowered);
        }
        if !wrong(&loader, true) {
            lowered.patterns = loader.context.lists.take();
            config = Some(lowered);
        }
    }
    if fatal && !loader.aborted {
        use say::Complain;
        let text = "Fatal errors found in configuration.";
        loader.binder.complain(Severity::Error, say::SUMMARY, Span::default(), text);
    }
    let bound = |proxy: &Rc<draft::Draft>| {
        !proxy.front.disabled && !proxy.binds.is_empty() || proxy.bind_ignored
    };
    // In HAProxy, where operators are answered counts too.
    let answers = |config: &proxy::Config| !config.process.stats_sockets.is_empty();
    let listens = config.as_ref().is_some_and(answers)
        || config.is_some() && loader.proxies.iter().any(bound);
    Loaded {
        sources: loader.sources,
        diagnostics: loader.binder.problems,
        config,
        zero_warning: loader.global.zero_warning,
        quiet: loader.global.process.quiet,
        strict_limits: !loader.global.lax_limits,
        listens,
    }
}

#[cfg(test)]
mod tests;
