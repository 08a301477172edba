//! Connections from clients.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

/// A listening socket, of TCP or UNIX, in the runtime of the current thread.
#[derive(Debug)]
pub struct Listener {
    fd: AsyncFd<OwnedFd>,
}

impl Listener {
    /// Takes a listening socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        socket2::SockRef::from(&fd).set_nonblocking(true)?;
        Ok(Self { fd: AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE)? })
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
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            if let Ok(accepted) = guard.try_io(|fd| linux::tcp::accept(fd.get_ref())) {
                let (socket, peer) = accepted?;
                return Poll::Ready(Ok((TcpStream::from_std(socket.into())?, peer)));
            }
        }
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
        self.fd.get_ref().as_fd()
    }
}
