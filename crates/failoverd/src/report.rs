//! What a supervisor and its role tell each other, over the socket that is the role's standard
//! input.
//!
//! ```text
//!   supervisor ── orders: kind, length, JSON ──► role
//!   supervisor ◄── reports, a byte each ──────── role
//! ```
//!
//! The configuration is read once, by the supervisor: what somebody edits between its reading and
//! the role's start, or before a role that died is started again, changes nothing.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::asked::Asked;
use crate::configuration::Loaded;

/// Something a role has done, or wants. One byte each on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Report {
    /// It takes part from now on.
    Started = b'S' as isize,
    /// It runs by the new configuration.
    Reloaded = b'R' as isize,
    /// It found the new configuration unusable, and goes on with the old one.
    Kept = b'K' as isize,
    /// It got SIGHUP itself, and wants the configuration read again.
    Wanted = b'W' as isize,
}

impl Report {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        let all = [Self::Started, Self::Reloaded, Self::Kept, Self::Wanted];
        all.into_iter().find(|&report| report as u8 == byte)
    }
}

/// What a role is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Run by this configuration, in JSON.
    Configuration(Vec<u8>),
    /// What a signal asked the supervisor for.
    Asked(Asked),
}

/// No configuration is longer than this in JSON: a role told of more has lost its place.
const LONGEST: usize = 256 << 20;
/// Before a configuration: its kind and length.
const HEAD: usize = 9;
const CONFIGURATION: u8 = b'C';

/// An order on its way to a role.
pub(crate) type Packed = Arc<[u8]>;

/// Writes a configuration down for a role.
pub(crate) fn pack(loaded: &Loaded) -> io::Result<Packed> {
    let mut bytes = vec![0; HEAD];
    serde_json::to_writer(&mut bytes, loaded)?;
    let length = (bytes.len() - HEAD) as u64;
    bytes[0] = CONFIGURATION;
    bytes[1..HEAD].copy_from_slice(&length.to_le_bytes());
    Ok(bytes.into())
}

/// Reads it back.
pub(crate) fn unpack(json: &[u8]) -> io::Result<Loaded> {
    Ok(serde_json::from_slice(json)?)
}

/// Writes down what was asked for; nothing if it is none of a role's business.
fn pack_asked(asked: Asked) -> Option<Packed> {
    let mut bytes = [0; HEAD];
    bytes[0] = asked.to_byte()?;
    Some(bytes.into())
}

fn length(head: [u8; HEAD]) -> io::Result<usize> {
    let mut length = [0; HEAD - 1];
    length.copy_from_slice(&head[1..]);
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no configuration is that long"));
    }
    Ok(length)
}

/// The supervisor's end: what it hands over is written as fast as the role reads, and the supervisor
/// never waits for a role that does not.
#[derive(Debug)]
pub(crate) struct Sender(UnboundedSender<Packed>);

impl Sender {
    /// Must be called within a runtime.
    pub(crate) fn new(mut to: tokio::net::unix::OwnedWriteHalf) -> Self {
        use tokio::io::AsyncWriteExt as _;

        let (sender, mut queue) = unbounded_channel::<Packed>();
        tokio::spawn(async move {
            while let Some(packed) = queue.recv().await {
                // A role that is gone is noticed by its end.
                if to.write_all(&packed).await.is_err() {
                    return;
                }
            }
        });
        Self(sender)
    }

    pub(crate) fn hand_over(&self, packed: &Packed) {
        // The task ends only with the role.
        let _ = self.0.send(Arc::clone(packed));
    }

    pub(crate) fn ask(&self, asked: Asked) {
        if let Some(packed) = pack_asked(asked) {
            let _ = self.0.send(packed);
        }
    }
}

/// The role's end of the socket.
#[derive(Debug)]
pub(crate) struct Reporter {
    stream: tokio::net::UnixStream,
    /// The same. What is said leaves at once, whether or not the event loop runs yet.
    to: UnixStream,
    /// An order, as much of it as has come.
    partial: Vec<u8>,
}

impl Reporter {
    /// The socket on standard input, and the configuration that comes over it first. Waits for it.
    ///
    /// # Errors
    ///
    /// When it is no such socket, or its other end is gone.
    pub(crate) fn from_stdin() -> io::Result<(UnixStream, Vec<u8>)> {
        let fd: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
        let mut stream = UnixStream::from(fd);
        // Only a socket has a peer.
        stream.peer_addr()?;
        let mut head = [0; HEAD];
        stream.read_exact(&mut head)?;
        let mut json = vec![0; length(head)?];
        stream.read_exact(&mut json)?;
        stream.set_nonblocking(true)?;
        Ok((stream, json))
    }

    /// For a role that begins. Must be called within a runtime.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        let to = stream.try_clone()?;
        let stream = tokio::net::UnixStream::from_std(stream)?;
        Ok(Self { stream, to, partial: Vec::new() })
    }

    pub(crate) fn tell(&self, report: Report) {
        // A supervisor that is gone has sent us SIGTERM; one that is frozen has room for thousands
        // of bytes.
        let _ = (&self.to).write_all(&[report as u8]);
    }

    /// The next order. Cancelling loses nothing. Never comes once the supervisor is gone, of which
    /// SIGTERM tells us.
    pub(crate) async fn order(&mut self) -> Order {
        loop {
            if let Some(order) = self.complete() {
                return order;
            }
            if self.stream.readable().await.is_err() {
                std::future::pending::<()>().await;
            }
            match self.stream.try_read_buf(&mut self.partial) {
                Ok(0) => std::future::pending().await,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => std::future::pending().await,
            }
        }
    }

    fn complete(&mut self) -> Option<Order> {
        loop {
            let head = *self.partial.first_chunk()?;
            let end = HEAD + length(head).ok()?;
            if self.partial.len() < end {
                return None;
            }
            let rest = self.partial.split_off(end);
            let mut json = std::mem::replace(&mut self.partial, rest);
            if head[0] == CONFIGURATION {
                json.drain(..HEAD);
                return Some(Order::Configuration(json));
            }
            if let Some(asked) = Asked::from_byte(head[0]) {
                return Some(Order::Asked(asked));
            }
        }
    }
}

/// The supervisor's end of a pair for a role, and the role's.
pub(crate) fn pair() -> io::Result<(tokio::net::UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((tokio::net::UnixStream::from_std(ours)?, theirs.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        for report in [Report::Started, Report::Reloaded, Report::Kept, Report::Wanted] {
            assert_eq!(Report::from_byte(report as u8), Some(report));
        }
        assert_eq!(Report::from_byte(b'x'), None);
    }

    #[tokio::test]
    async fn configurations_arrive_whole_however_they_are_cut() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        theirs.set_nonblocking(true).expect("possible");
        let mut reporter = Reporter::new(theirs).expect("within a runtime");
        let loaded = Loaded::default();
        let packed = pack(&loaded).expect("it can be written down");
        let asked = pack_asked(Asked::Json).expect("it is a role's business");
        let all: Vec<u8> =
            [&packed, &asked, &packed].into_iter().flat_map(|p| p.to_vec()).collect();
        let writer = std::thread::spawn(move || {
            for byte in all {
                (&ours).write_all(&[byte]).expect("it is read");
            }
            ours
        });
        for expected in [None, Some(Asked::Json), None] {
            match reporter.order().await {
                Order::Configuration(json) => {
                    assert_eq!(expected, None);
                    assert_eq!(unpack(&json).expect("whole").config, loaded.config);
                }
                Order::Asked(asked) => assert_eq!(Some(asked), expected),
            }
        }
        drop(writer.join());
    }

    #[test]
    fn a_length_beyond_reason_is_refused() {
        assert!(length([0xff; HEAD]).is_err());
        assert_eq!(length([b'C', 7, 0, 0, 0, 0, 0, 0, 0]).expect("short"), 7);
    }
}
