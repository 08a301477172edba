//! The sockets adverts are sent and received on: one per interface and kind of destination, shared
//! by all instances there.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::task::Poll;

use linux::raw::{Cast, VrrpSocket};
use linux::ready::watch;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Which socket an instance uses. The index is part of it: an interface that is removed and comes
/// back needs a new one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// The interface's index.
    pub(crate) link: u32,
    pub(crate) cast: Cast,
}

/// All open sockets.
#[derive(Debug, Default)]
pub(crate) struct Links {
    sockets: BTreeMap<Key, AsyncFd<VrrpSocket>>,
}

impl Links {
    /// Opens the socket of `key` on the interface called `name`, unless it is open.
    ///
    /// Returns whether it was opened.
    pub(crate) fn open(&mut self, key: Key, name: &str) -> io::Result<bool> {
        if self.sockets.contains_key(&key) {
            return Ok(false);
        }
        let socket = watch(VrrpSocket::open(name, key.link, key.cast)?)?;
        self.sockets.insert(key, socket);
        Ok(true)
    }

    /// Closes all sockets but those of `keys`.
    pub(crate) fn keep(&mut self, keys: &[Key]) {
        self.sockets.retain(|key, _| keys.contains(key));
    }

    /// Sends a packet; `NotConnected` if the socket is not open.
    pub(crate) fn send(&self, key: Key, packet: &[u8], to: Ipv4Addr) -> io::Result<()> {
        let socket = self.sockets.get(&key).ok_or(io::ErrorKind::NotConnected)?;
        socket.get_ref().send(packet, to)
    }

    /// The descriptor of a socket, for the log.
    pub(crate) fn number(&self, key: Key) -> i32 {
        self.sockets.get(&key).map_or(-1, |socket| socket.as_raw_fd())
    }

    /// Waits until a socket has something. Cancelling loses nothing.
    pub(crate) async fn readable(&self) -> Key {
        poll_fn(|context| {
            for (key, socket) in &self.sockets {
                if let Poll::Ready(Ok(mut guard)) = socket.poll_read_ready(context) {
                    guard.retain_ready();
                    return Poll::Ready(*key);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// All sockets there are.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.sockets.keys().copied().collect()
    }

    /// Takes one packet off the socket of `key`, whether or not the event loop has noticed it yet.
    pub(crate) fn receive_now(&self, key: Key, buffer: &mut [u8]) -> Option<usize> {
        self.sockets.get(&key)?.get_ref().receive(buffer).ok()
    }

    /// Takes one packet off the socket of `key`, `None` if there is none left.
    pub(crate) fn receive(&self, key: Key, buffer: &mut [u8]) -> Option<usize> {
        let socket = self.sockets.get(&key)?;
        // An error of the network (ENETDOWN once, when the interface goes down) is as good as
        // nothing: netlink tells of it too.
        socket.try_io(Interest::READABLE, |socket| socket.receive(buffer)).ok()
    }
}
