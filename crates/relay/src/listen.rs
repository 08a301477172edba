//! Connections from clients.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::executor::{self, Key};
use crate::ready::Ready;
use crate::stream::Stream;

/// The most that is accepted in a row.
const MOST: u16 = 64;

/// A listening socket, of TCP or UNIX, on the thread it was made on.
///
/// It takes one connection each time it is told of some, and is told again as long as more wait.
/// Told in two turns that follow each other it takes two, then four: in a storm the last call of a
/// row finds nothing, and otherwise none does.
#[derive(Debug)]
pub struct Listener {
    fd: Rc<OwnedFd>,
    key: Key,
    /// What may be accepted in a row, and what is left of it.
    row: Cell<(u16, u16)>,
    /// The turn in which the last row began.
    turn: Cell<u32>,
}

impl Listener {
    /// Takes a listening socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When the epoll set has no room for it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        socket2::SockRef::from(&fd).set_nonblocking(true)?;
        let fd = Rc::new(fd);
        let key = executor::register_listener(Rc::clone(&fd))?;
        Ok(Self { fd, key, row: Cell::new((1, 0)), turn: Cell::new(0) })
    }

    /// The next connection and the address of its client, which UNIX clients do not have.
    ///
    /// # Errors
    ///
    /// What accept(2) lists. Only `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` mean that the next
    /// call will probably fail too.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        loop {
            let (mut most, mut left) = self.row.get();
            if left == 0 {
                executor::resume(self.key)?;
                ready!(executor::poll_ready(self.key, cx, Ready::READABLE));
                executor::clear(self.key, Ready::READABLE);
                let turn = executor::turn();
                let storm = turn.wrapping_sub(self.turn.replace(turn)) == 1;
                most = if storm { (most * 2).min(MOST) } else { 1 };
                left = most;
            }
            match executor::with_descriptor(|| linux::tcp::accept(&self.fd)) {
                Ok((socket, peer)) => {
                    self.row.set((most, left - 1));
                    // Also for a UNIX socket: recv, send and shutdown are the same calls.
                    return Poll::Ready(Stream::new(socket).map(|stream| (stream, peer)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.row.set((1, 0)),
                Err(error) => {
                    self.row.set((1, 0));
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// [`poll_accept`](Self::poll_accept) for one to await.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        executor::forget_listener(self.key);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
