//! Standard output and error, which may be gone: a log daemon that restarts, a pipe nobody reads.
//!
//! Who serves connections does not end for that, so these never fail, unlike `println!`. Each text
//! is one write, so that lines of several processes do not mix.

use std::io::Write as _;

/// Writes to the standard output.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes to the standard error.
pub(crate) fn err(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
