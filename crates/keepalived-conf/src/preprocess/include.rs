//! `include` and its stricter siblings.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use conf::{ReadError, Span, Word};

use super::{Context, MAX_NESTING, MAX_SOURCES, Reader};
use crate::wording::{FILE, PARENT};

/// `include` and its stricter siblings.
pub(crate) const INCLUDES: [&str; 6] =
    ["include", "includer", "includem", "includew", "includeb", "includea"];

/// What is a mistake about an include (`include_check`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checks {
    /// A file that cannot be read.
    pub(super) readable: bool,
    /// A plain name of no file.
    pub(super) matched: bool,
    /// A pattern of no file.
    pub(super) wildcard: bool,
    /// An alternative in braces of no file.
    pub(super) brace: bool,
}

impl Checks {
    pub(super) const ALL: Self =
        Self { readable: true, matched: true, wildcard: true, brace: true };

    /// Those of a keyword: its own, or what `include_check` asks for.
    pub(super) fn of(keyword: &str, usual: Self) -> Self {
        match keyword {
            "includer" => Self { readable: true, ..Self::default() },
            "includem" => Self { matched: true, ..Self::default() },
            "includew" => Self { wildcard: true, ..Self::default() },
            "includeb" => Self { brace: true, ..Self::default() },
            "includea" => Self::ALL,
            _ => usual,
        }
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            // keepalived's manual and its program disagree about the first.
            "readable" | "read" => Some(&mut self.readable),
            "match" => Some(&mut self.matched),
            "wildcard_match" => Some(&mut self.wildcard),
            "brace_match" => Some(&mut self.brace),
            _ => None,
        }
    }
}

impl Reader<'_> {
    /// `include_check [[+|-]<check>…]`
    pub(super) fn include_check(&mut self, words: &[Word]) {
        if words.is_empty() {
            self.checks = Checks::ALL;
            return;
        }
        if !words[0].text.starts_with(['+', '-']) {
            self.checks = Checks::default();
        }
        for word in words {
            let (on, name) = match word.text.strip_prefix('-') {
                Some(name) => (false, name),
                None => (true, word.text.strip_prefix('+').unwrap_or(&word.text)),
            };
            match self.checks.flag(name) {
                Some(flag) => *flag = on,
                None => {
                    let said = format!("Unknown include_check type '{name}' - ignoring");
                    self.complain(PARENT, word.span, said);
                }
            }
        }
    }

    /// Reads what matches `pattern`, relative to `directory`.
    ///
    /// Names in quotes are those within; keepalived 2.2.7 takes the quotes for a part of them.
    pub(super) fn include(
        &mut self,
        pattern: &str,
        checks: Checks,
        directory: &Path,
        at: Span,
        depth: usize,
    ) {
        if depth > MAX_NESTING {
            self.complain(
                PARENT,
                at,
                format!("include of '{pattern}' is nested too deep - skipping"),
            );
            return;
        }
        let written = pattern;
        let unquoted = pattern.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
        let pattern = unquoted.unwrap_or(pattern);
        let wild = pattern.contains(['*', '?', '[']);
        let parts: Vec<(String, Vec<PathBuf>)> = braces(pattern)
            .into_iter()
            .map(|part| {
                let full = directory.join(&part);
                let found = glob::glob(&full.to_string_lossy());
                (part, found.map(|p| p.flatten().collect()).unwrap_or_default())
            })
            .collect();
        if parts.iter().all(|(_, found)| found.is_empty()) {
            if wild && checks.wildcard {
                self.not_found(true, at, format!("No config files matched '{written}'."));
            } else if !wild {
                let wrong = checks.matched || checks.wildcard || checks.brace && parts.len() > 1;
                self.not_found(wrong, at, format!("Config files missing '{written}'."));
            }
        } else if checks.brace && parts.iter().any(|(_, found)| found.is_empty()) {
            self.not_found(true, at, format!("Some config files missing: \"{written}\"."));
        }
        for (pattern, matches) in parts {
            for path in matches {
                // Names are shown as they were written.
                let relative = Path::new(&pattern).is_relative();
                let stripped = path.strip_prefix(directory).ok().filter(|_| relative);
                let shown = match stripped {
                    Some(rest) if rest.as_os_str().is_empty() => PathBuf::from(&pattern),
                    Some(rest) => rest.to_path_buf(),
                    None => path.clone(),
                };
                self.read(&path, &shown, checks, at, depth);
            }
        }
    }

    fn read(&mut self, path: &Path, shown: &Path, checks: Checks, at: Span, depth: usize) {
        let name = shown.display();
        let metadata = std::fs::metadata(path);
        if metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            let said = format!("Configuration file '{name}/' is a directory - skipping");
            self.not_found(checks.readable, at, said);
            return;
        }
        let plain = |m: &std::fs::Metadata| m.is_file() && m.permissions().mode() & 0o111 == 0;
        if metadata.as_ref().is_ok_and(|m| !plain(m)) {
            let said = format!(
                "Configuration file '{name}' is not a regular non-executable file - skipping"
            );
            self.not_found(checks.readable, at, said);
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
                let checks = self.checks;
                self.file(file, &Context { directory, depth });
                // What a file asks for ends with it.
                self.checks = checks;
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
                self.not_found(checks.readable, at, said);
            }
        }
    }

    /// A file that is not there or cannot be read: a mistake if it is looked for in earnest.
    fn not_found(&mut self, wrong: bool, at: Span, said: String) {
        self.complain(FILE, at, said);
        self.incomplete |= wrong;
    }
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
