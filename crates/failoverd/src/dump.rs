//! The files people and exporters read: `keepalived.data`, `.stats` and `.json`, as keepalived 2.2.7
//! writes them.
//!
//! ```text
//!   USR1 ──► keepalived_parent.data   the supervisor
//!        ──► keepalived.data          the role
//!   USR2 ──► keepalived.stats         the role; RTMAX - 1 clears it too
//!   RTMIN + 2 ──► keepalived.json     the role
//! ```
//!
//! They go to `$TMPDIR`, or `/tmp`, under a name nobody else can have put something at: each is
//! written beside it, readable by its owner alone, and renamed.

mod globals;
mod interfaces;
mod json;
mod others;
pub(crate) mod route;
mod stats;
pub(crate) mod text;
mod topology;

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use daemon::log::{Log, Severity};
use vrrp::config::Globals;

use self::globals::Who;
use crate::cli::Options;
use crate::configuration;
use crate::view::View;

/// The three of a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Data,
    Stats,
    Json,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Data => "keepalived.data",
            Self::Stats => "keepalived.stats",
            Self::Json => "keepalived.json",
        }
    }

    /// What is logged when it is asked for.
    pub(crate) fn announcement(self) -> &'static str {
        match self {
            Self::Data => "Printing VRRP data",
            Self::Stats => "Printing VRRP stats",
            Self::Json => "Printing VRRP as json",
        }
    }
}

/// `keepalived.data` as text.
pub(crate) fn data(view: &View) -> String {
    let mut out = String::new();
    let filters = view.routers.iter().any(|r| r.config.vmac.is_some() || !r.config.accept);
    globals::write(&mut out, &view.config.globals, Who::Vrrp, filters);
    others::before(&mut out, view);
    if !view.routers.is_empty() {
        topology::write(&mut out, view);
    }
    others::after(&mut out, view);
    interfaces::write(&mut out, view);
    out
}

/// Writes one of a role's files. It may take as long as the file system takes.
///
/// # Errors
///
/// What the file system says, and about which file.
fn write(kind: Kind, view: &View) -> Result<(), (PathBuf, io::Error)> {
    let text = match kind {
        Kind::Data => data(view),
        Kind::Stats => stats::write(view),
        Kind::Json => json::write(view),
    };
    put(&directory(), kind.name(), &text)
}

/// The thread that writes a role's files, once there is one to write.
#[derive(Debug, Default)]
pub(crate) struct Dumps {
    jobs: Option<mpsc::Sender<(Kind, View)>>,
    /// By kind: one waits to be written.
    waiting: [Arc<AtomicBool>; 3],
}

impl Dumps {
    /// Has `view` written, unless an earlier one of its kind still waits for a slow file system.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn write(&mut self, kind: Kind, view: View, options: &Options) -> io::Result<()> {
        let jobs = match &self.jobs {
            Some(jobs) => jobs,
            None => self.jobs.insert(self.start(options.clone())?),
        };
        if !self.waiting[kind as usize].swap(true, Ordering::AcqRel) {
            // It ends only with this; a panic in it has been printed.
            let _ = jobs.send((kind, view));
        }
        Ok(())
    }

    fn start(&self, options: Options) -> io::Result<mpsc::Sender<(Kind, View)>> {
        let (jobs, queue) = mpsc::channel::<(Kind, View)>();
        let waiting = self.waiting.clone();
        let work = move || {
            // It has no election to win.
            let _ = linux::process::set_niceness(0);
            for (kind, view) in queue {
                waiting[kind as usize].store(false, Ordering::Release);
                if let Err(error) = write(kind, &view) {
                    complain(&configuration::log(&options, Some("vrrp")), &error);
                }
                drop(view);
                linux::process::trim_heap();
            }
        };
        std::thread::Builder::new().name("dump".into()).stack_size(128 << 10).spawn(work)?;
        Ok(jobs)
    }
}

/// Writes the supervisor's part of `keepalived.data`.
pub(crate) fn write_parent(globals: &Globals, log: &Log) {
    let pid = std::process::id();
    log.info(format_args!("Printing parent data for process({pid}) on signal"));
    let mut text = String::new();
    globals::write(&mut text, globals, Who::Parent, false);
    if let Err(error) = put(&directory(), "keepalived_parent.data", &text) {
        complain(log, &error);
    }
}

/// Says in keepalived's words that a file could not be written.
pub(crate) fn complain(log: &Log, (path, error): &(PathBuf, io::Error)) {
    let number = error.raw_os_error().unwrap_or(0);
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let line = format_args!("Can't open dump file {} ({number}: {text})", path.display());
    log.write(Severity::Error, line);
}

fn directory() -> PathBuf {
    let named = std::env::var_os("TMPDIR").map(PathBuf::from);
    named.filter(|path| path.is_absolute()).unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Puts `text` at `name` in `directory`, whatever is there: a link or a pipe is replaced, not followed.
fn put(directory: &Path, name: &str, text: &str) -> Result<(), (PathBuf, io::Error)> {
    let target = directory.join(name);
    let failed = |error| (target.clone(), error);
    let (temporary, mut file) = create(directory, name).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&temporary, &target));
    if let Err(error) = written {
        // It is no use to anybody.
        let _ = fs::remove_file(&temporary);
        return Err((target, error));
    }
    Ok(())
}

/// A new file with a name nobody can have guessed in time.
fn create(directory: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    const ATTEMPTS: u32 = 100;

    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..ATTEMPTS {
        // Each is made with a key of its own, by the kernel's random numbers.
        let random = RandomState::new().hash_one(());
        let unique = format!("{name}.{random:016x}");
        let path = directory.join(unique);
        match File::options().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
