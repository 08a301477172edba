//! Protocols between a socket and those who use it.
//!
//! ```text
//!   Relay, rules, HTTP ─► Stream ─► socket                  nearly always
//!   Relay, rules, HTTP ─► Stream ─► Layer ─► Wire ─► socket  where TLS is spoken
//! ```
//!
//! Layers are kept beside the streams and not in them: a stream without one is not a byte larger for
//! it, and pays one look at a byte it has in hand anyway.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use crate::ready::Ready;
use crate::stream::Stream;

/// The socket below a layer: non-blocking.
pub trait Wire: io::Read + io::Write {}

impl<T: io::Read + io::Write> Wire for T {}

/// A protocol that turns what a socket carries into what is meant.
///
/// All of its methods give [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket does.
pub trait Layer: fmt::Debug {
    /// Goes on with its handshake: what the socket has to be ready for first, or
    /// [`NOTHING`](Ready::NOTHING) once it is over.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn shake_hands(&mut self, wire: &mut dyn Wire) -> io::Result<Ready>;

    /// Reads what is meant; 0 at an end the peer has said.
    ///
    /// # Errors
    ///
    /// An end that was not said, or what is no part of the protocol.
    fn read(&mut self, wire: &mut dyn Wire, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes`. After [`WouldBlock`](io::ErrorKind::WouldBlock) it is called again
    /// with the same bytes, or more that begin with them.
    ///
    /// # Errors
    ///
    /// What the socket gives.
    fn write(&mut self, wire: &mut dyn Wire, bytes: &[u8]) -> io::Result<usize>;

    /// Says that nothing more will be written. May be called again.
    ///
    /// # Errors
    ///
    /// What the socket gives.
    fn end(&mut self, wire: &mut dyn Wire) -> io::Result<()>;

    /// Whether something can be read without the socket.
    fn holds(&self) -> bool;

    /// For whoever knows what it is.
    fn as_any(&self) -> &dyn Any;
}

thread_local! {
    /// By the number of their stream on this thread.
    static LAYERS: RefCell<BTreeMap<u32, Box<dyn Layer>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The socket of a stream, below its layer.
struct Bare<'s>(&'s Stream);

impl io::Read for Bare<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_bare(buffer)
    }
}

impl io::Write for Bare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_bare(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with<T>(stream: &Stream, act: impl FnOnce(&mut dyn Layer, &mut dyn Wire) -> T) -> Option<T> {
    LAYERS.with_borrow_mut(|layers| {
        let layer = layers.get_mut(&stream.number())?;
        Some(act(&mut **layer, &mut Bare(stream)))
    })
}

fn gone<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotConnected.into())
}

impl Stream {
    /// Puts a protocol between the socket and those who use it from here on. What was read before
    /// stays as it was.
    pub fn put_on(&self, layer: Box<dyn Layer>) {
        LAYERS.with_borrow_mut(|layers| layers.insert(self.number(), layer));
        self.set_layered(true);
    }

    /// Waits until the handshake of its layer is over; one without a layer has none.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub fn poll_hands(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let step =
                with(self, |layer, wire| layer.shake_hands(wire)).unwrap_or(Ok(Ready::NOTHING));
            match step {
                Ok(Ready::NOTHING) => return Poll::Ready(Ok(())),
                Ok(what) => {
                    ready!(self.poll_bare(cx, what));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Looks at its layer, if that is an `L`.
    pub fn layer<L: Any, T>(&self, look: impl FnOnce(&L) -> T) -> Option<T> {
        if !self.is_layered() {
            return None;
        }
        with(self, |layer, _| layer.as_any().downcast_ref().map(look))?
    }

    pub(crate) fn layer_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        with(self, |layer, wire| layer.read(wire, buffer)).unwrap_or_else(gone)
    }

    pub(crate) fn layer_write(&self, bytes: &[u8]) -> io::Result<usize> {
        with(self, |layer, wire| layer.write(wire, bytes)).unwrap_or_else(gone)
    }

    pub(crate) fn layer_holds(&self) -> bool {
        with(self, |layer, _| layer.holds()).unwrap_or(false)
    }

    /// Tells the peer that nothing more comes, in the layer's words where there is one.
    pub fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_layered() {
            loop {
                match with(self, |layer, wire| layer.end(wire)) {
                    Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready!(self.poll_bare(cx, Ready::WRITABLE));
                    }
                    _ => break,
                }
            }
        }
        // A peer that is gone already is found out by reading from it.
        let _ = socket2::SockRef::from(self).shutdown(std::net::Shutdown::Write);
        Poll::Ready(())
    }

    /// The stream is about to be closed: its layer says so if there is room for that.
    pub(crate) fn take_off(&self) {
        let layer = LAYERS.try_with(|layers| layers.borrow_mut().remove(&self.number()));
        if let Ok(Some(mut layer)) = layer {
            // Nobody waits for it.
            let _ = layer.end(&mut Bare(self));
        }
    }
}

#[cfg(test)]
mod tests;
