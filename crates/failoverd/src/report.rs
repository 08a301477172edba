//! What a role tells its supervisor, over the socket that is its standard input.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

/// Something a role has done. One byte each on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Report {
    /// It takes part from now on.
    Started = b'S' as isize,
    /// It runs by the new configuration.
    Reloaded = b'R' as isize,
    /// It found the new configuration unusable, and goes on with the old one.
    Kept = b'K' as isize,
}

impl Report {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Started, Self::Reloaded, Self::Kept].into_iter().find(|&r| r as u8 == byte)
    }
}

/// The one byte a role is told: begin.
pub(crate) const GO: u8 = b'G';

/// The role's end of the socket.
#[derive(Debug)]
pub(crate) struct Reporter(Option<UnixStream>);

impl Reporter {
    /// The socket on standard input, once the supervisor has said [`GO`]. If it is something else,
    /// nobody is told.
    pub(crate) fn from_stdin() -> Self {
        Self(Self::open().ok())
    }

    fn open() -> io::Result<UnixStream> {
        let fd: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
        let mut stream = UnixStream::from(fd);
        // Only a socket has a peer.
        stream.peer_addr()?;
        stream.read_exact(&mut [0])?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    pub(crate) fn tell(&self, report: Report) {
        if let Some(mut stream) = self.0.as_ref() {
            // A supervisor that is gone has sent us SIGTERM.
            let _ = stream.write_all(&[report as u8]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        for report in [Report::Started, Report::Reloaded, Report::Kept] {
            assert_eq!(Report::from_byte(report as u8), Some(report));
        }
        assert_eq!(Report::from_byte(b'x'), None);
    }
}
