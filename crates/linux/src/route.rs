//! The bare netlink socket; what is said over it is the `netlink` crate's business.

#![allow(unsafe_code, reason = "a socket's filter has no safe wrapper")]

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, connect,
    getsockname, recv, socket,
};
use socket2::Socket;

/// A netlink socket that never blocks.
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
        Self::of(SockProtocol::NetlinkRoute, groups, receive_buffer)
    }

    /// Opens a socket to the packet filter (`NETLINK_NETFILTER`) instead.
    ///
    /// # Errors
    ///
    /// When the kernel has none, or there is no descriptor left.
    pub fn netfilter() -> io::Result<Self> {
        Self::of(SockProtocol::NetlinkNetFilter, 0, 0)
    }

    fn of(protocol: SockProtocol, groups: u32, receive_buffer: usize) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
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

    /// The number the kernel knows the socket by, which its notices of what was asked for carry
    /// (`nlmsg_pid`).
    ///
    /// # Errors
    ///
    /// What the kernel says, which has no reason to refuse.
    pub fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.as_raw_fd())?.pid())
    }

    /// From now on, only messages of these types (`nlmsg_type`) are queued.
    ///
    /// # Errors
    ///
    /// When there are more than 200 types.
    pub fn keep_types(&self, types: &[u16]) -> io::Result<()> {
        let Ok(count) = u8::try_from(types.len()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut filter = vec![LOAD_TYPE];
        for (left, kind) in (0..count).rev().zip(types) {
            // To the last statement if it is this one.
            filter.push(jump_if(u32::from(as_loaded(*kind)), left + 1, 0));
        }
        filter.extend([DROP, KEEP]);
        self.set_filter(&filter)
    }

    /// From now on, messages of this type that tell of requests made on the socket with this
    /// [`port`](Self::port) are not queued.
    ///
    /// # Errors
    ///
    /// What the kernel says, which has no reason to refuse.
    pub fn drop_echoes(&self, kind: u16, port: u32) -> io::Result<()> {
        let filter = [
            LOAD_TYPE,
            jump_if(u32::from(as_loaded(kind)), 0, 2),
            LOAD_PORT,
            jump_if(u32::from_be_bytes(port.to_ne_bytes()), 1, 0),
            KEEP,
            DROP,
        ];
        self.set_filter(&filter)
    }

    fn set_filter(&self, filter: &[libc::sock_filter]) -> io::Result<()> {
        let Ok(len) = u16::try_from(filter.len()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
        // SAFETY: socket(7), SO_ATTACH_FILTER: the kernel reads a `sock_fprog` and copies the `len`
        // statements it points to, which outlive the call; it writes to neither.
        let result = unsafe {
            libc::setsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

// Classic BPF over `struct nlmsghdr` (linux/netlink.h); loads convert from network byte order, which
// the header is not in.
const LOAD_TYPE: libc::sock_filter = statement(0x28, 4);
const LOAD_PORT: libc::sock_filter = statement(0x20, 12);
const KEEP: libc::sock_filter = statement(0x06, u32::MAX);
const DROP: libc::sock_filter = statement(0x06, 0);

const fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// Skips `yes` statements if what was loaded is `k`, else `no`.
const fn jump_if(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code: 0x15, jt: yes, jf: no, k }
}

const fn as_loaded(kind: u16) -> u16 {
    u16::from_be_bytes(kind.to_ne_bytes())
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
