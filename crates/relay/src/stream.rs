//! Connections that are watched by the thread they belong to.

use std::cell::Cell;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::executor::{self, Key};
use crate::ready::Ready;

/// A first message of so many bytes is one segment on any path, which nothing holds back.
const ONE_SEGMENT: usize = 512;

/// A connection, of TCP or UNIX, on the thread it was made on. One task at a time waits for it.
#[derive(Debug)]
pub struct Stream {
    /// `None` once it is closed.
    fd: Option<OwnedFd>,
    key: Key,
    nagle: Cell<Nagle>,
    /// A [`Layer`](crate::Layer) is between the socket and those who use it.
    layered: Cell<bool>,
    /// The key means something on one thread only.
    here: PhantomData<Rc<()>>,
}

/// Whether TCP_NODELAY is still to be set. It is one call less for a connection that sends one
/// short message: only what follows unacknowledged bytes is ever held back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Nagle {
    /// It is as it should be.
    Settled,
    /// It is to be set before anything is held back.
    Off,
    /// So it is, and something was sent.
    OffNext,
}

impl Stream {
    /// Watches a socket, which has to be non-blocking.
    ///
    /// # Errors
    ///
    /// When the epoll set has no room for it.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        Self::with(fd.into(), Nagle::Settled)
    }

    pub(crate) fn with(fd: OwnedFd, nagle: Nagle) -> io::Result<Self> {
        let key = executor::register(&fd)?;
        let (nagle, layered) = (Cell::new(nagle), Cell::new(false));
        Ok(Self { fd: Some(fd), key, nagle, layered, here: PhantomData })
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// When it is closed, or a UNIX socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(self).local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// When it is closed, or a UNIX socket.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(self).peer_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// What went wrong with it, once.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) gives.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
    }

    /// Waits until it is ready for something of `what`, and says for what.
    pub fn poll_ready(&self, cx: &Context<'_>, what: Ready) -> Poll<Ready> {
        if self.layered.get() && what.is_readable() && self.layer_holds() {
            return Poll::Ready(Ready::READ);
        }
        executor::poll_ready(self.key, cx, what)
    }

    /// The same for the socket below a layer.
    pub(crate) fn poll_bare(&self, cx: &Context<'_>, what: Ready) -> Poll<Ready> {
        executor::poll_ready(self.key, cx, what)
    }

    /// Whether something stands between the socket and those who use it.
    pub fn is_layered(&self) -> bool {
        self.layered.get()
    }

    pub(crate) fn set_layered(&self, layered: bool) {
        self.layered.set(layered);
    }

    pub(crate) const fn number(&self) -> u32 {
        self.key.number()
    }

    /// [`poll_ready`](Self::poll_ready) for one to await.
    ///
    /// # Errors
    ///
    /// None; a runtime's sockets have some.
    pub async fn ready(&self, what: Ready) -> io::Result<Ready> {
        Ok(std::future::poll_fn(|cx| self.poll_ready(cx, what)).await)
    }

    /// Waits until it can be read.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Ready::READABLE).await.map(drop)
    }

    /// Waits until it can be written to.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Ready::WRITABLE).await.map(drop)
    }

    /// Reads what is there; 0 at the end. A read that is shorter than the buffer is the last until
    /// more is told; after one that was told of together with the end, the end is not asked for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is, without asking the system if that
    /// is known, and what recv(2) gives.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.layered.get() {
            return self.layer_read(buffer);
        }
        self.read_bare(buffer)
    }

    pub(crate) fn read_bare(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = executor::ready(self.key);
        if !before.is_readable() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if before.has(Ready::AT_END) {
            return Ok(0);
        }
        let read = loop {
            match (&*SockRef::from(self)).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match &read {
            // All there was, up to the end if that was told before.
            Ok(read) if *read > 0 && *read < buffer.len() && !before.has(Ready::URGENT) => {
                match (before.is_read_closed(), before.is_error()) {
                    (false, _) => executor::clear(self.key, Ready::READABLE),
                    (true, false) => executor::note(self.key, Ready::AT_END),
                    (true, true) => {}
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                executor::clear(self.key, Ready::READABLE | Ready::URGENT);
            }
            _ => {}
        }
        read
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is none, and what send(2) gives.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.layered.get() {
            return self.layer_write(bytes);
        }
        self.write_bare(bytes)
    }

    pub(crate) fn write_bare(&self, bytes: &[u8]) -> io::Result<usize> {
        if executor::ready(self.key) & Ready::WRITABLE == Ready::NOTHING {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.before_send(bytes.len());
        let written = loop {
            match send(self.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EINTR) => {}
                written => break written.map_err(io::Error::from),
            }
        };
        let full = match &written {
            Ok(written) => *written < bytes.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if full {
            executor::clear(self.key, Ready::WRITABLE);
        }
        written
    }

    /// Does something else that reads or writes, if it is ready for `what`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when it is not ready, and what `io` gives.
    pub fn try_io<T>(&self, what: Ready, io: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if executor::ready(self.key) & what == Ready::NOTHING {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let done = io();
        if matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            executor::clear(self.key, what);
        }
        done
    }

    /// Reads what is there; 0 at the end.
    ///
    /// # Errors
    ///
    /// What recv(2) gives.
    pub fn poll_recv(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_bare(cx, Ready::READABLE));
                }
                read => return Poll::Ready(read),
            }
        }
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    ///
    /// What send(2) gives.
    pub fn poll_send(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_bare(cx, Ready::WRITABLE));
                }
                written => return Poll::Ready(written),
            }
        }
    }

    /// Whoever sends by other means says so before.
    pub(crate) fn before_send(&self, length: usize) {
        match self.nagle.get() {
            Nagle::Settled => {}
            Nagle::Off if length <= ONE_SEGMENT => self.nagle.set(Nagle::OffNext),
            Nagle::Off | Nagle::OffNext => {
                self.nagle.set(Nagle::Settled);
                // One that broke is found out by sending.
                let _ = SockRef::from(self).set_tcp_nodelay(true);
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.layered.get() {
            self.take_off();
        }
        if let Some(fd) = self.fd.take() {
            executor::close(self.key, fd);
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("it is closed when it is dropped").as_fd()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.poll_recv(cx, buffer.initialize_unfilled()))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self).shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests;
