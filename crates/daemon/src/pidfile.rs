//! Pid files, held locked while the daemon runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// A pid file of ours. It is removed when this is dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    locked: File,
}

/// Why a pid file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// A running process holds it.
    #[error("Another process has pid file {} locked", .0.display())]
    Locked(PathBuf),
    /// It cannot be opened or written.
    #[error("Unable to open pid file {}: {reason}", path.display())]
    Io {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

impl PidFile {
    /// Locks `path`, creating it if need be. A file left behind by a process that is gone is taken
    /// over; a link is not followed, and what is no file is left alone. The lock survives a fork, so
    /// that a daemon can hold it before it detaches.
    ///
    /// # Errors
    ///
    /// [`PidFileError::Locked`] if a process holds it, [`PidFileError::Io`] for all else.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let failed = |reason| PidFileError::Io { path: path.to_owned(), reason };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is there, and no file")));
        }
        if !linux::file::try_lock(&file).map_err(failed)? {
            return Err(PidFileError::Locked(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), locked: file })
    }

    /// Writes `pid` into it.
    ///
    /// # Errors
    ///
    /// [`PidFileError::Io`], when the file system is full or read-only.
    pub fn write(&mut self, pid: u32) -> Result<(), PidFileError> {
        let text = format!("{pid}\n");
        let written =
            self.locked.set_len(0).and_then(|()| self.locked.write_all_at(text.as_bytes(), 0));
        written.map_err(|reason| PidFileError::Io { path: self.path.clone(), reason })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it already; there is nothing to do about any other reason.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_not_followed_and_what_it_names_stays_as_it_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("precious"), "keep me").expect("writable");
        std::os::unix::fs::symlink(path("precious"), path("x.pid")).expect("a link");
        let error = PidFile::create(&path("x.pid")).expect_err("a link");
        assert!(matches!(error, PidFileError::Io { .. }), "{error}");
        assert_eq!(std::fs::read(path("precious")).expect("there"), b"keep me");
        assert!(path("x.pid").is_symlink(), "it was not ours");
        nix::unistd::mkfifo(&path("y.pid"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert!(PidFile::create(&path("y.pid")).is_err());
    }

    #[test]
    fn a_pid_file_holds_the_number_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("x.pid");
        std::fs::write(&path, "123456789 left behind").expect("writable");
        let mut file = PidFile::create(&path).expect("nobody holds it");
        file.write(42).expect("there is room");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "42\n");
        let second = PidFile::create(&path).expect_err("it is held");
        assert!(matches!(&second, PidFileError::Locked(_)));
        assert!(second.to_string().ends_with("x.pid locked"));
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "42\n");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_is_no_pid_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let error = PidFile::create(directory.path()).expect_err("a directory");
        assert!(matches!(error, PidFileError::Io { .. }));
    }
}
