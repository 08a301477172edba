//! Connections from clients.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

/// A listening socket, of TCP or UNIX, in the runtime of the current thread.
#[derive(Debug)]
pub struct Listener {
    socket: linux::tcp::Listener,
}

impl Listener {
    /// Takes a listening socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: linux::tcp::Listener::new(fd)? })
    }

    /// The next connection and the address of its client, which UNIX clients do not have.
    ///
    /// # Errors
    ///
    /// What accept(2) lists. Only `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` mean that the next
    /// call will probably fail too.
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, Option<SocketAddr>)>> {
        let (socket, peer) = ready!(self.socket.poll_accept(cx))?;
        // Also for a UNIX socket: recv, send and shutdown are the same calls.
        Poll::Ready(Ok((TcpStream::from_std(socket.into())?, peer)))
    }

    /// [`poll_accept`](Self::poll_accept) for one to await.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
