//! Waiting for a child without SIGCHLD, signalling its whole group, and copying descriptors.

#![allow(unsafe_code, reason = "pidfd_open(2) and pidfd_getfd(2) have no safe wrapper")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::process::{Child, ExitStatus};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::socket::{
    AddressFamily, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt,
};
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

/// Copies of the sockets on which another process listens for TCP connections. Both then have the
/// same sockets: what arrives goes to whoever accepts first, and neither notices when the other
/// closes its own.
///
/// # Errors
///
/// `ESRCH` when there is no such process; `EPERM` without the right to trace it (pidfd_getfd(2),
/// ptrace(2)); on a kernel before 5.6.
pub fn listeners_of(pid: i32) -> io::Result<Vec<OwnedFd>> {
    let process = of(pid)?;
    let mut listeners = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // What was closed meanwhile was not meant to be kept.
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        if !target.as_os_str().as_encoded_bytes().starts_with(b"socket:") {
            continue;
        }
        let socket = match copy(&process, number) {
            Ok(socket) => socket,
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => continue,
            Err(error) => return Err(error),
        };
        let listens = getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false);
        let name = getsockname::<SockaddrStorage>(socket.as_raw_fd());
        let is_inet = name.is_ok_and(|name| {
            matches!(name.family(), Some(AddressFamily::Inet | AddressFamily::Inet6))
        });
        if listens && is_inet {
            listeners.push(socket);
        }
    }
    Ok(listeners)
}

/// A copy of the descriptor `number` of another process.
fn copy(process: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_getfd(2) takes three integers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just opened this descriptor for us, with close-on-exec, and nobody else
    // knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor of the process `child`.
fn open(child: &Child) -> io::Result<OwnedFd> {
    of(nix::libc::pid_t::try_from(child.id()).map_err(io::Error::other)?)
}

/// A descriptor of a process.
fn of(pid: nix::libc::pid_t) -> io::Result<OwnedFd> {
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
