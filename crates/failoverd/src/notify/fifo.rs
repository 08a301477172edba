//! Named pipes that are told of every transition, one line each.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use linux::user::Identity;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// A named pipe that never keeps us waiting.
///
/// It is held open for reading too, so that it is there before its reader and outlives it: what is
/// written meanwhile waits in it.
#[derive(Debug)]
pub(super) struct Fifo {
    path: PathBuf,
    file: File,
    /// Made by us, and to be taken away by us.
    ours: bool,
    /// Lines that found it full, since it last had room.
    lost: u64,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Written {
    /// It is in the pipe.
    Whole,
    /// It is in the pipe; so many before it are not.
    AfterLoss(u64),
    /// The pipe is full, since this line.
    NowFull,
    /// The pipe is full, and was.
    StillFull,
}

impl Fifo {
    /// Opens the pipe at `path`, made for `owner` if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be made or opened, when there is something else, or when it belongs to
    /// somebody other than us, root or `owner`.
    pub(super) fn open(path: &Path, owner: Option<Identity>) -> io::Result<Self> {
        let ours = match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(nix::errno::Errno::EEXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let opened = File::options().read(true).write(true).custom_flags(flags.bits()).open(path);
        let fifo = opened.and_then(|file| {
            let metadata = file.metadata()?;
            if !metadata.file_type().is_fifo() {
                return Err(io::Error::other("it is there, and no FIFO"));
            }
            let uid = metadata.uid();
            let known = [Some(0), Some(Identity::current().uid), owner.map(|owner| owner.uid)];
            if !known.contains(&Some(uid)) {
                return Err(io::Error::other(format!("it is there, and belongs to user {uid}")));
            }
            if ours && let Some(owner) = owner.filter(|&owner| owner != Identity::current()) {
                // By the descriptor: by its path it may be something else by now.
                fchown(&file, Some(owner.uid), Some(owner.gid))?;
            }
            Ok(Self { path: path.to_owned(), file, ours, lost: 0 })
        });
        if fifo.is_err() && ours {
            let _ = fs::remove_file(path);
        }
        fifo
    }

    /// Writes a line, which is lost if the pipe is full.
    ///
    /// # Errors
    ///
    /// Any other that write(2) gives.
    pub(super) fn write(&mut self, line: &str) -> io::Result<Written> {
        // Shorter than PIPE_BUF, it is written whole or not at all (pipe(7)).
        match (&self.file).write(line.as_bytes()) {
            Ok(_) => match std::mem::take(&mut self.lost) {
                0 => Ok(Written::Whole),
                lost => Ok(Written::AfterLoss(lost)),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.lost += 1;
                Ok(if self.lost == 1 { Written::NowFull } else { Written::StillFull })
            }
            Err(error) => Err(error),
        }
    }

    /// Where it is, for its reader.
    pub(super) fn path(&self) -> OsString {
        self.path.clone().into()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // What somebody put in its place is theirs.
        let ours = self.file.metadata().is_ok_and(|ours| {
            let there = fs::symlink_metadata(&self.path);
            there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        });
        if self.ours && ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    #[test]
    fn a_line_is_read_as_it_was_written_and_waits_for_its_reader() {
        let directory = directory();
        let path = directory.path().join("fifo");
        let mut fifo = Fifo::open(&path, None).expect("made");
        let mode = fs::symlink_metadata(&path).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fifo.write("one\n").expect("room"), Written::Whole);
        let mut reader = BufReader::new(File::open(&path).expect("readable"));
        fifo.write("two\n").expect("room");
        let mut text = String::new();
        reader.read_line(&mut text).expect("a line");
        reader.read_line(&mut text).expect("a line");
        assert_eq!(text, "one\ntwo\n");
        drop(fifo);
        assert!(!path.exists(), "it was ours");
    }

    #[test]
    fn what_finds_the_pipe_full_is_counted_and_keeps_nobody_waiting() {
        let directory = directory();
        let path = directory.path().join("fifo");
        let mut fifo = Fifo::open(&path, None).expect("made");
        let line = format!("{}\n", "x".repeat(1000));
        let mut whole = 0;
        while fifo.write(&line).expect("no other error") == Written::Whole {
            whole += 1;
        }
        assert!(whole > 10);
        assert_eq!(fifo.write(&line).expect("no other error"), Written::StillFull);
        let mut reader = BufReader::new(File::open(&path).expect("readable"));
        for _ in 0..whole {
            reader.read_line(&mut String::new()).expect("a line");
        }
        assert_eq!(fifo.write(&line).expect("room"), Written::AfterLoss(2));
        assert_eq!(fifo.write(&line).expect("room"), Written::Whole);
    }

    #[test]
    fn what_is_there_and_no_fifo_is_left_as_it_is() {
        let directory = directory();
        let path = directory.path().join("file");
        fs::write(&path, "precious").expect("writable");
        let error = Fifo::open(&path, None).expect_err("no FIFO");
        assert_eq!(error.to_string(), "it is there, and no FIFO");
        assert_eq!(fs::read(&path).expect("readable"), b"precious");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(Fifo::open(&link, None).is_err(), "links are not followed");
    }

    #[test]
    fn what_took_the_place_of_ours_stays() {
        let directory = directory();
        let path = directory.path().join("fifo");
        let fifo = Fifo::open(&path, None).expect("made");
        fs::remove_file(&path).expect("there");
        fs::write(&path, "precious").expect("writable");
        drop(fifo);
        assert_eq!(fs::read(&path).expect("still there"), b"precious");
    }

    #[test]
    fn a_fifo_somebody_else_made_is_used_and_stays() {
        let directory = directory();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("made");
        let mut fifo = Fifo::open(&path, None).expect("usable");
        assert_eq!(fifo.write("x\n").expect("room"), Written::Whole);
        drop(fifo);
        assert!(path.exists());
    }
}
