//! How the last reload ended: the master writes it down where its workers can read it, so that those
//! who scrape a worker learn of a file the master has refused.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::state::unix_seconds;

/// The environment variable that says where it is written.
const PLACE: &str = "EVERGATE_RELOADS";

/// What a worker reads.
static NOTES: OnceLock<Option<File>> = OnceLock::new();

/// The master's side.
#[derive(Debug)]
pub(crate) struct Notes(File);

impl Notes {
    /// Begins with the start, which has succeeded; `None` where the kernel has no such file.
    pub(crate) fn new() -> Option<Self> {
        let file = memfd_create("reloads", MFdFlags::MFD_CLOEXEC).ok()?;
        let notes = Self(file.into());
        notes.ended(true);
        Some(notes)
    }

    /// A reload has ended.
    pub(crate) fn ended(&self, success: bool) {
        let mut bytes = [0; 16];
        // The last one that succeeded keeps its time.
        if !success && self.0.read_exact_at(&mut bytes, 0).is_err() {
            return;
        }
        if success {
            bytes[8..].copy_from_slice(&unix_seconds().to_le_bytes());
        }
        bytes[..8].copy_from_slice(&u64::from(success).to_le_bytes());
        // Only what is shown of it is lost.
        let _ = self.0.write_all_at(&bytes, 0);
    }

    /// Tells a worker that is about to start where it is.
    pub(crate) fn tell(&self, command: &mut Command) {
        let place = format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd());
        command.env(PLACE, place);
    }
}

/// How the last reload ended, as a worker knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Last {
    /// Whether it succeeded.
    pub(crate) success: bool,
    /// When one succeeded last, in seconds since 1970.
    pub(crate) succeeded: u64,
}

/// Finds out where it is written, while that can be reached.
pub(crate) fn open() {
    NOTES.get_or_init(|| File::open(std::env::var_os(PLACE)?).ok());
}

/// How the last reload ended; `None` without a master that reloads.
pub(crate) fn last() -> Option<Last> {
    read(NOTES.get()?.as_ref()?)
}

fn read(file: &File) -> Option<Last> {
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let number = |at: usize| {
        let eight = bytes[at..at + 8].try_into().unwrap_or_default();
        u64::from_le_bytes(eight)
    };
    Some(Last { success: number(0) == 1, succeeded: number(8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_failure_keeps_the_time_of_the_last_success() {
        let notes = Notes::new().expect("the kernel has it");
        let mut command = Command::new("true");
        notes.tell(&mut command);
        let place = command.get_envs().next().and_then(|(_, place)| place).expect("told");
        let file = File::open(place).expect("it is our own");
        let begun = read(&file).expect("written");
        assert!(begun.success && begun.succeeded > 0);
        notes.ended(false);
        assert_eq!(read(&file), Some(Last { success: false, ..begun }));
        notes.ended(true);
        assert!(read(&file).is_some_and(|last| last.success));
    }
}
