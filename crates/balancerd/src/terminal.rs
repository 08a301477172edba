//! Standard output and error, which may be gone: a log daemon that restarts, a pipe nobody reads.
//!
//! Who serves connections does not end for that, so these never fail, unlike `println!`. Each text
//! is one write, so that lines of several processes do not mix.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

/// What was written to the standard error since [`begin_log`], for as long as it is kept.
static LOG: Mutex<Kept> = Mutex::new(Kept { text: String::new(), open: true });

/// The most that is kept.
const MOST: usize = 64 * 1024;

struct Kept {
    text: String,
    open: bool,
}

fn kept() -> std::sync::MutexGuard<'static, Kept> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets what was kept; what is said from now on is kept until [`end_log`].
pub(crate) fn begin_log() {
    *kept() = Kept { text: String::new(), open: true };
}

/// The start is over: what is said from now on is not kept.
pub(crate) fn end_log() {
    kept().open = false;
}

/// What was said at the start, or at the last reload: `show startup-logs`.
pub(crate) fn startup_log() -> String {
    kept().text.clone()
}

/// Writes to the standard output.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes to the standard error.
pub(crate) fn err(text: &str) {
    let mut kept = kept();
    if kept.open && kept.text.len() + text.len() <= MOST {
        kept.text.push_str(text);
    }
    drop(kept);
    let _ = std::io::stderr().write_all(text.as_bytes());
}
