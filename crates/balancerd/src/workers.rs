//! Other processes of this program: started anew, given sockets, watched until they end.
//!
//! ```text
//!   this process                         the new one: /proc/self/exe, called as the role wants it
//!   ────────────                         ─────────────────────────────────────────────
//!   start ── line, listening sockets ──►
//!     ◄────────────── a byte: it serves  say_ready
//!     line::send ── orders, answers ───  line::listen
//!     ◄──────────────────── it has ended
//! ```
//!
//! tokio cannot be forked, so each process is a new run. The line is a pair of sockets: what the
//! new process holds of it (its standard input or output) is the caller's choice.

pub(crate) mod line;

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;

use crate::bind::Listeners;

/// What happens to a process that was [started](start).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// It serves.
    Ready(u32),
    /// What it made of an [order](line::send).
    Answered(u32, line::Answer),
    /// It has ended.
    Exited(u32, ExitStatus),
}

/// This program again under the name `called`, even if its file was replaced or deleted since.
pub(crate) fn again(called: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(called);
    command
}

/// A line: the end that stays here, and the other one for the new process.
///
/// # Errors
///
/// When no file descriptor is left.
pub(crate) fn line() -> std::io::Result<(UnixStream, Stdio)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, Stdio::from(OwnedFd::from(theirs))))
}

/// Starts `command`, which holds the other end of `line`, lets it inherit `listeners`, and has
/// `tell` called for what becomes of it. Returns its number, and the line to tell it things by.
/// Needs a runtime.
///
/// # Errors
///
/// When the process cannot be started; nothing is told then.
pub(crate) fn start(
    command: Command,
    line: UnixStream,
    listeners: &Listeners,
    mut tell: impl FnMut(Event) + Send + 'static,
) -> std::io::Result<(u32, UnixStream)> {
    line.set_nonblocking(true)?;
    let ours = line.try_clone()?;
    let mut line = tokio::net::UnixStream::from_std(line)?;
    listeners.set_inheritable(true)?;
    // Once the command is gone only the child holds the other end.
    let child = tokio::process::Command::from(command).spawn();
    let closed_again = listeners.set_inheritable(false);
    let mut child = child?;
    closed_again?;
    let pid = child.id().unwrap_or(0);
    tokio::spawn(async move {
        // One that ends without a word ends the line, too.
        if line.read_u8().await.is_ok() {
            tell(Event::Ready(pid));
        }
        while let Ok(answer) = line::answer(&mut line).await {
            tell(Event::Answered(pid, answer));
        }
        if let Ok(status) = child.wait().await {
            tell(Event::Exited(pid, status));
        }
        // Only now: its end would tell the child that this process is gone.
        drop(line);
    });
    Ok((pid, ours))
}

/// Tells whoever started this process that it serves, through its end of the line.
pub(crate) fn say_ready(line: impl AsFd) {
    // Whoever has gone away does not wait for it.
    if let Ok(line) = line.as_fd().try_clone_to_owned() {
        let _ = UnixStream::from(line).write_all(b"1");
    }
}

/// Waits, without a runtime, until `child` serves (`None`) or has ended: its exit code, never 0.
pub(crate) fn wait(child: &mut Child, mut line: UnixStream) -> Option<u8> {
    let mut byte = [0; 1];
    if matches!(line.read(&mut byte), Ok(1)) {
        return None;
    }
    let code = child.wait().ok().and_then(|status| status.code()).unwrap_or(1);
    Some(u8::try_from(code).ok().filter(|code| *code != 0).unwrap_or(1))
}

/// Signals a process that has not been waited for yet, so that its number is still its own.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 1) {
        // One that has just ended needs no telling.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Lets go of the terminal: standard input and output become `/dev/null`, and errors the file
/// `errors`, or `/dev/null` too.
pub(crate) fn leave_terminal(errors: Option<&std::path::Path>) {
    use std::fs::File;
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else { return };
    // Failing to redirect is no reason to stop serving.
    let _ = nix::unistd::dup2_stdin(&null);
    let _ = nix::unistd::dup2_stdout(&null);
    let file = errors.and_then(|path| File::options().append(true).create(true).open(path).ok());
    let _ = nix::unistd::dup2_stderr(file.as_ref().unwrap_or(&null));
}

#[cfg(test)]
mod tests;
