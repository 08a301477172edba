//! The bare netlink socket; what is said over it is the `netlink` crate's business.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, connect, recv,
    socket,
};
use socket2::Socket;

/// A `NETLINK_ROUTE` socket that never blocks.
#[derive(Debug)]
pub struct RouteSocket {
    socket: Socket,
}

impl RouteSocket {
    /// Opens a socket that is told of changes to the multicast `groups` (a bit set of `RTMGRP_*`
    /// values), 0 for one that only asks.
    ///
    /// `receive_buffer` is how many bytes the kernel may queue; beyond `net.core.rmem_max` only
    /// with `CAP_NET_ADMIN`.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn open(groups: u32, receive_buffer: usize) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkRoute;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        // The peer is the kernel: nobody else can send to a connected netlink socket.
        connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        if receive_buffer > 0 {
            use nix::sys::socket::{setsockopt, sockopt};
            if setsockopt(&fd, sockopt::RcvBufForce, &receive_buffer).is_err() {
                setsockopt(&fd, sockopt::RcvBuf, &receive_buffer)?;
            }
        }
        Ok(Self { socket: fd.into() })
    }

    /// Sends one or more requests. The kernel carries them out before this returns; its answers
    /// wait to be [received](Self::receive).
    ///
    /// # Errors
    ///
    /// `ENOBUFS` when the kernel has no memory for the answer.
    pub fn send(&self, requests: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(requests)
    }

    /// Takes one datagram of messages into `buffer`, which grows to what it needs.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none; `ENOBUFS` when messages were lost since the last call.
    pub fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
        let size = recv(self.as_raw_fd(), &mut [], peek)?;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        (&self.socket).read(buffer)
    }
}

impl AsRawFd for RouteSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
