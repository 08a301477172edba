//! Waiting for a child without SIGCHLD, and signalling its whole group.

#![allow(unsafe_code, reason = "pidfd_open(2) has no safe wrapper")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::process::{Child, ExitStatus};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A child process, with a descriptor that is readable once it has ended.
#[derive(Debug)]
pub struct ChildFd {
    child: Child,
    fd: OwnedFd,
}

impl ChildFd {
    /// Takes charge of `child`, which must not have been waited for.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left, or on a kernel before 5.3. The child, of whose end nobody
    /// would hear, is then killed.
    pub fn new(mut child: Child) -> io::Result<Self> {
        match open(&child) {
            Ok(fd) => Ok(Self { child, fd }),
            Err(error) => {
                // One that has ended by itself cannot be killed, but is waited for too.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, `None` while it runs.
    ///
    /// # Errors
    ///
    /// When somebody else waited for it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end, blocking.
    ///
    /// # Errors
    ///
    /// When somebody else waited for it.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Signals the child alone. One that has ended is left in peace.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // Fails only once the child is gone; as we have not waited for it, its number is not
            // given to anybody else.
            let _ = kill(pid, signal);
        }
    }

    /// Signals the process group the child leads.
    pub fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = killpg(pid, signal);
        }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().filter(|&pid| pid > 1).map(Pid::from_raw)
    }
}

/// A descriptor of the process `child`.
fn open(child: &Child) -> io::Result<OwnedFd> {
    let pid = nix::libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    // SAFETY: pidfd_open(2) takes two integers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just opened this descriptor for us, with close-on-exec, and nobody else
    // knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl AsRawFd for ChildFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for ChildFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
