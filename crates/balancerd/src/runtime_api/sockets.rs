//! Listening sockets that go from one process to another: `_getsocks` and `-x`.
//!
//! ```text
//!   the new one                       the old one, `expose-fd listeners`
//!   ──────────                        ──────────────────────────────────
//!   "_getsocks\n"            ──►
//!                            ◄──      how many: 4 bytes
//!                            ◄──      sockets (SCM_RIGHTS), at most 252 in a message, and of each:
//!   how many have come       ──►        length and name of its namespace, length and name of its
//!   …                                   interface, 4 bytes of options
//! ```
//!
//! HAProxy's own form, numbers in the machine's order, so that either program may be on either side.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use linux::rights;

/// The most in one message.
const MOST: usize = 252;

/// The most that are taken.
const LIMIT: usize = 65_536;

/// For how long the other side may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is said of one socket: no namespace, no interface, no options.
const PLAIN: [u8; 6] = [0; 6];

/// What is said of an IPv6 socket that takes no IPv4.
const ONLY_V6: [u8; 6] = {
    let [a, b, c, d] = 2_i32.to_ne_bytes();
    [0, 0, a, b, c, d]
};

/// Sends sockets to a process that asked for them.
///
/// # Errors
///
/// When it goes away, or takes too long.
pub(super) fn send(mut stream: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let count = i32::try_from(sockets.len()).unwrap_or(i32::MAX);
    stream.write_all(&count.to_ne_bytes())?;
    let mut parts = sockets.chunks(MOST).peekable();
    while let Some(part) = parts.next() {
        let about: Vec<u8> = part.iter().flat_map(about).collect();
        let files: Vec<BorrowedFd<'_>> = part.iter().map(|socket| socket.as_fd()).collect();
        rights::send(stream, &about, &files)?;
        // Once it has them all, it need not say so.
        match stream.read_exact(&mut [0; 4]) {
            Err(error) if parts.peek().is_some() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn about(socket: &OwnedFd) -> [u8; 6] {
    let socket = socket2::SockRef::from(socket);
    let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
    if is_v6 && socket.only_v6().unwrap_or(false) { ONLY_V6 } else { PLAIN }
}

/// Fetches the listening sockets of the process that answers on a UNIX socket.
///
/// # Errors
///
/// When nobody answers there, or what answers does not give any.
pub(crate) fn fetch(path: &Path) -> io::Result<Vec<OwnedFd>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"_getsocks\n")?;
    let mut count = [0; 4];
    stream.read_exact(&mut count)?;
    let count = usize::try_from(i32::from_ne_bytes(count)).unwrap_or(0);
    if count == 0 || count > LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut sockets = Vec::new();
    // Where a socket is, it tells itself.
    let mut about = vec![0; MOST * (2 * 256 + 4)];
    while sockets.len() < count {
        let (length, files) = rights::receive(&stream, &mut about)?;
        if length == 0 || files.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let got = i32::try_from(files.len()).unwrap_or(0);
        sockets.extend(files);
        // HAProxy does not stay for the last of these.
        match stream.write_all(&got.to_ne_bytes()) {
            Err(error) if sockets.len() < count => return Err(error),
            _ => {}
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_arrive_however_many_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let server = UnixListener::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets: Vec<OwnedFd> =
            (0..300).map(|_| listener.try_clone().unwrap().into()).collect();
        let old = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            let mut line = [0; 10];
            client.read_exact(&mut line).unwrap();
            assert_eq!(&line, b"_getsocks\n");
            send(&client, &sockets).unwrap();
        });
        let fetched = fetch(&path).unwrap();
        old.join().unwrap();
        assert_eq!(fetched.len(), 300);
        let one = TcpListener::from(fetched.into_iter().next_back().unwrap());
        assert_eq!(one.local_addr().unwrap(), address);
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        for answer in [&b""[..], b"abc", &[0; 4], &[255; 4], &[1, 0, 0, 0], &[1, 0, 0, 0, 9]] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("s");
            let server = UnixListener::bind(&path).unwrap();
            let old = std::thread::spawn(move || {
                let (mut client, _) = server.accept().unwrap();
                client.read_exact(&mut [0; 10]).unwrap();
                client.write_all(answer).unwrap();
            });
            fetch(&path).unwrap_err();
            old.join().unwrap();
        }
    }
}
