//! `splice(2)`: bytes from one socket to another without passing through this process.

#![allow(unsafe_code, reason = "splice(2) takes pointers to offsets, though only null is passed")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::ptr;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe used as a buffer inside the kernel.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

impl Pipe {
    /// A pipe for at least `capacity` bytes, or for what the system allows.
    ///
    /// # Errors
    ///
    /// When the process or the system has no file descriptor left.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        if let Ok(capacity) = libc::c_int::try_from(capacity) {
            // A user without privileges may own so many pages in pipes only (pipe(7)): then the
            // usual 64 KiB have to do.
            let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(capacity));
        }
        Ok(Self { read, write, held: 0 })
    }

    /// How many bytes it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.held
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes up to `most` bytes from a non-blocking socket; 0 at its end.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket has none or the pipe no room, and
    /// what `recv(2)` gives.
    pub fn fill(&mut self, from: impl AsFd, most: usize) -> io::Result<usize> {
        let moved = splice(from, &self.write, most)?;
        self.held += moved;
        Ok(moved)
    }

    /// Gives what it holds to a non-blocking socket; returns how much was taken.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket takes nothing now, and what
    /// `send(2)` gives.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let moved = splice(&self.read, to, self.held)?;
        self.held -= moved;
        Ok(moved)
    }
}

fn splice(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let (from, to) = (from.as_fd(), to.as_fd());
    // SAFETY: splice(2) reads no memory of ours when both offsets are null, and both descriptors
    // are borrowed for the length of the call.
    let moved = unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            most,
            libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK,
        )
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests;
