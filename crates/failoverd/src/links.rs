//! The sockets adverts are sent and received on: one per interface, protocol and kind of
//! destination, shared by all instances there.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::task::Poll;

use linux::raw::{Cast, Received, VrrpSocket};
use linux::ready::watch;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Which socket an instance uses. The index is part of it: an interface that is removed and comes
/// back needs a new one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// The interface's index.
    pub(crate) link: u32,
    pub(crate) cast: Cast,
    /// [`linux::raw::IPPROTO_VRRP`] or [`linux::raw::IPPROTO_AH`].
    pub(crate) protocol: u8,
}

/// Who sends an advert to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) source: IpAddr,
    pub(crate) to: IpAddr,
    /// Over IPv6: hops it may take, if it is unicast and not the kernel's default. Over IPv4 the
    /// packet says so itself.
    pub(crate) hop_limit: Option<u8>,
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
        let socket = watch(VrrpSocket::open(name, key.link, key.cast, key.protocol)?)?;
        self.sockets.insert(key, socket);
        Ok(true)
    }

    /// Closes all sockets but those of `keys`.
    pub(crate) fn keep(&mut self, keys: &BTreeSet<Key>) {
        self.sockets.retain(|key, _| keys.contains(key));
    }

    /// Sends a packet; `NotConnected` if the socket is not open.
    pub(crate) fn send(&self, key: Key, packet: &[u8], route: Route) -> io::Result<()> {
        let socket = self.sockets.get(&key).ok_or(io::ErrorKind::NotConnected)?.get_ref();
        match (route.source, route.to) {
            (_, IpAddr::V4(to)) => socket.send(packet, to),
            (IpAddr::V6(source), IpAddr::V6(to)) => {
                socket.send_v6(packet, source, to, route.hop_limit)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The descriptor of a socket, for the log.
    pub(crate) fn number(&self, key: Key) -> i32 {
        self.sockets.get(&key).map_or(-1, |socket| socket.as_raw_fd())
    }

    /// Waits until sockets have something, and returns all that do: whoever takes a little from each
    /// before it asks again lets no link be drowned out by another. Cancelling loses nothing.
    pub(crate) async fn readable(&self) -> Vec<Key> {
        poll_fn(|context| {
            let mut ready = Vec::new();
            for (key, socket) in &self.sockets {
                if let Poll::Ready(Ok(mut guard)) = socket.poll_read_ready(context) {
                    guard.retain_ready();
                    ready.push(*key);
                }
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(ready) }
        })
        .await
    }

    /// Takes one packet off the socket of `key`, whether or not the event loop has noticed it yet.
    pub(crate) fn receive_now(&self, key: Key, buffer: &mut [u8]) -> Option<Received> {
        self.sockets.get(&key)?.get_ref().receive(buffer).ok()
    }

    /// Takes one packet off the socket of `key`, `None` if there is none left.
    pub(crate) fn receive(&self, key: Key, buffer: &mut [u8]) -> Option<Received> {
        let socket = self.sockets.get(&key)?;
        // An error of the network (ENETDOWN once, when the interface goes down) is as good as
        // nothing: netlink tells of it too.
        socket.try_io(Interest::READABLE, |socket| socket.receive(buffer)).ok()
    }
}
