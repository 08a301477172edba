//! Asking whether a write would block, without changing the descriptor.

use std::os::fd::BorrowedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether a write of at most `PIPE_BUF` (4096) bytes to `fd` returns at once.
///
/// `O_NONBLOCK` would be shared with whoever else holds the terminal or pipe, so it is asked.
#[must_use]
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
