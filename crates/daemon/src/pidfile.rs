//! Pid files, held locked while the daemon runs.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A pid file of ours. It is removed when this is dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    _locked: File,
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
    /// Locks `path` and writes `pid` into it. A file left behind by a process that is gone is
    /// taken over.
    ///
    /// # Errors
    ///
    /// [`PidFileError::Locked`] if a process holds it, [`PidFileError::Io`] for all else.
    pub fn create(path: &Path, pid: u32) -> Result<Self, PidFileError> {
        let failed = |reason| PidFileError::Io { path: path.to_owned(), reason };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(failed)?;
        if !linux::file::try_lock(&file).map_err(failed)? {
            return Err(PidFileError::Locked(path.to_owned()));
        }
        file.set_len(0).map_err(failed)?;
        writeln!(&file, "{pid}").map_err(failed)?;
        Ok(Self { path: path.to_owned(), _locked: file })
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
    fn a_pid_file_holds_the_number_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("x.pid");
        std::fs::write(&path, "123456789 left behind").expect("writable");
        let file = PidFile::create(&path, 42).expect("nobody holds it");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "42\n");
        let second = PidFile::create(&path, 43).expect_err("it is held");
        assert!(matches!(&second, PidFileError::Locked(_)));
        assert!(second.to_string().ends_with("x.pid locked"));
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "42\n");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_is_no_pid_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let error = PidFile::create(directory.path(), 1).expect_err("a directory");
        assert!(matches!(error, PidFileError::Io { .. }));
    }
}
