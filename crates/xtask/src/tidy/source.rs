//! What a file of the project may hold.

use std::path::Path;

use super::manifest::{UNSAFE, WITHOUT_STD};
use super::{Complaint, Report, crate_of};

/// Lines from which on a file is listed, and from which on it is refused.
const LONG: usize = 600;
const TOO_LONG: usize = 900;

/// Places on the machine of whoever wrote something; nobody else has them.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/tmp", "/t/"), concat!("/ro", "ot/")];

/// Checks one file.
pub(super) fn check(file: &Path, text: &str, report: &mut Report) {
    let rust = file.extension().is_some_and(|extension| extension == "rs");
    let complain = |line: usize, what: String| Complaint::new(file, line, what);
    for (at, line) in text.lines().enumerate() {
        for path in MACHINE_PATHS {
            if line.contains(path) && file.file_name().is_none_or(|name| name != "Cargo.lock") {
                let what = format!("`{path}` is a place on one machine: nobody else has it");
                report.complaints.push(complain(at + 1, what));
            }
        }
    }
    if !rust {
        return;
    }
    let lines = text.lines().count();
    if lines > TOO_LONG {
        let what = format!("{lines} lines: split it (more than {TOO_LONG} are too many)");
        report.complaints.push(complain(0, what));
    } else if lines > LONG {
        report.long.push((file.to_path_buf(), lines));
    }
    let code = without_text(text);
    let in_tests = file.iter().any(|part| part == "tests" || part == "tests.rs");
    let name = crate_of(file).unwrap_or_default();
    let original: Vec<&str> = text.lines().collect();
    for (at, line) in code.lines().enumerate() {
        if has_word(line, "unsafe") {
            if name != UNSAFE {
                let what = format!("`unsafe` outside of `{UNSAFE}`: add a safe wrapper there");
                report.complaints.push(complain(at + 1, what));
            } else if !is_explained(&original, at) {
                let what = "`unsafe` without a `// SAFETY:` comment above it".to_owned();
                report.complaints.push(complain(at + 1, what));
            }
        }
        if name != UNSAFE && line.contains("allow(unsafe_code") {
            let what = format!("`unsafe_code` may be allowed in `{UNSAFE}` only");
            report.complaints.push(complain(at + 1, what));
        }
        if line.contains("#[ignore]") {
            let what = "`#[ignore]` without a reason: write `#[ignore = \"why\"]`".to_owned();
            report.complaints.push(complain(at + 1, what));
        }
        if WITHOUT_STD.contains(&name) && line.contains("extern crate std") && !in_tests {
            let before = at.checked_sub(1).map_or("", |before| original[before]);
            if !before.contains("cfg(test)") {
                let what = format!("`{name}` does without the standard library");
                report.complaints.push(complain(at + 1, what));
            }
        }
    }
    let root = file.ends_with("src/lib.rs");
    if root && WITHOUT_STD.contains(&name) && !code.contains("no_std") {
        let what =
            format!("`{name}` must say `#![no_std]`: it may not read a clock or open a socket");
        report.complaints.push(complain(0, what));
    }
    if root && file.starts_with("crates") && !text.starts_with("//!") {
        report.complaints.push(complain(1, "a crate begins with what it is for (`//!`)".into()));
    }
}

/// Whether a `SAFETY:` stands in the comment above a line, past its attributes and the beginning
/// of its statement.
fn is_explained(lines: &[&str], at: usize) -> bool {
    if lines[at].contains("SAFETY:") {
        return true;
    }
    for line in lines[..at].iter().rev().take(12) {
        let line = line.trim();
        if line.contains("SAFETY:") {
            return true;
        }
        let part_of_it = line.starts_with("//")
            || line.starts_with("#[")
            || line.ends_with('=')
            || line.ends_with('(')
            || line.ends_with("unsafe {");
        if !part_of_it {
            return false;
        }
    }
    false
}

/// Whether a line has a word that is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

/// The source with comments and literals blanked out, line by line as long as before.
pub(super) fn without_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = literal(rest, out.chars().next_back());
        match skipped {
            0 => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
            length => {
                out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = &rest[length..];
            }
        }
    }
    out
}

/// How many bytes a comment or literal at the beginning of `rest` takes; 0 if there is none.
fn literal(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return end_of(rest, '"');
    }
    let in_a_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    if let (Some(raw), false) = (raw, in_a_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let from = rest.len() - raw.len() + hashes + 1;
            return rest[from..].find(&end).map_or(rest.len(), |at| from + at + end.len());
        }
    }
    if let Some(inner) = rest.strip_prefix('\'') {
        // A character, unless it is a lifetime.
        let mut chars = inner.chars();
        let first = chars.next();
        if first == Some('\\') || chars.next() == Some('\'') {
            return end_of(rest, '\'');
        }
    }
    0
}

fn end_of(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
