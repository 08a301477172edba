//! Locked files and files without a name.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Locks all of `file` for writing, for as long as it stays open (`F_OFD_SETLK`).
///
/// Returns `false` if another process, or another open of the file in this one, holds the lock.
///
/// # Errors
///
/// Any other reason fcntl(2) gives, `EBADF` for a file not open for writing among them.
pub fn try_lock(file: &File) -> io::Result<bool> {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A file in memory holding `content`, read from its start, which a child process inherits.
///
/// # Errors
///
/// When there is no memory or no descriptor left.
pub fn memory_file(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MFdFlags::empty())?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
