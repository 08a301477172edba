//! `cargo xtask tidy`: the rules of the layers and of the house, as checks.
//!
//! A rule that is only written down is broken within a month. Each one here reads the sources and
//! says which file breaks it and what to do.

mod manifest;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A file that breaks a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Complaint {
    /// The file, from the top of the workspace.
    file: PathBuf,
    /// The line, from 1; 0 for the whole file.
    line: usize,
    /// What is wrong and what to do.
    what: String,
}

impl Complaint {
    fn new(file: impl Into<PathBuf>, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Broken rules.
    pub(crate) complaints: Vec<Complaint>,
    /// Files that are long, but not too long.
    pub(crate) long: Vec<(PathBuf, usize)>,
    /// How many files were read.
    pub(crate) files: usize,
}

/// Checks the workspace this program was built from.
pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = args.first() {
        anyhow::bail!("unknown argument {unknown:?}: tidy takes none");
    }
    let report = check(&super::generate::root())?;
    for (file, lines) in &report.long {
        println!("long: {} has {lines} lines", file.display());
    }
    for complaint in &report.complaints {
        eprintln!("{complaint}");
    }
    let broken = report.complaints.len();
    println!("tidy: {} files read, {broken} complaints", report.files);
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks a workspace.
pub(crate) fn check(root: &Path) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut files = Vec::new();
    collect(root, Path::new(""), &mut files)?;
    files.sort();
    for file in &files {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        report.files += 1;
        source::check(file, &text, &mut report);
        if file.file_name().is_some_and(|name| name == "Cargo.toml") {
            manifest::check(file, &text, &mut report.complaints);
        }
    }
    report.complaints.sort();
    Ok(report)
}

/// What is built or fetched, and not written.
const SKIPPED: [&str; 5] = [".git", "target", "corpus", "artifacts", "node_modules"];

fn collect(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        // In a further working tree of git's, `.git` is a file.
        if SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The crate a file belongs to: `crates/NAME/…`, or its first directory.
fn crate_of(file: &Path) -> Option<&str> {
    let mut parts = file.iter().filter_map(|part| part.to_str());
    match parts.next()? {
        "crates" => parts.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests;
