//! Accepting connections in one call, and listening sockets that come from a parent process.

#![allow(unsafe_code, reason = "accept4(2) with an address, and file descriptors by number")]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A listening socket, of TCP or UNIX, watched by the runtime it was made in.
#[derive(Debug)]
pub struct Listener {
    fd: AsyncFd<OwnedFd>,
}

impl Listener {
    /// Takes a listening socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When epoll(7) has no room for it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        socket2::SockRef::from(&fd).set_nonblocking(true)?;
        // SAFETY: the descriptor is open until it is dropped, and nothing here gives it away or
        // lets it be replaced.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
        Ok(Self { fd })
    }

    /// The next connection, as [`accept`] returns it.
    ///
    /// # Errors
    ///
    /// As [`accept`], but never `WouldBlock`.
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            if let Ok(accepted) = guard.try_io(|fd| accept(fd.get_ref())) {
                return Poll::Ready(accepted);
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

/// Takes the next connection of a listening socket: non-blocking, closed on exec, with the address
/// of its client, all in one system call. The address of a UNIX client is `None`.
///
/// What the listening socket has set (`TCP_NODELAY`, `SO_KEEPALIVE` and its timers) Linux copies to
/// the connection.
///
/// # Errors
///
/// [`WouldBlock`](io::ErrorKind::WouldBlock) when none waits, and what accept(2) lists: of these
/// `ECONNABORTED` and the network errors concern one connection, `EMFILE` and `ENFILE` all.
pub fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    // SAFETY: `sockaddr_storage` is plain integers, for which all zeroes is a value.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut length = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: accept4(2) writes at most `length` bytes to `storage`, which has that many, and the
    // length it wrote to `length`; both live longer than the call.
    let fd = unsafe {
        libc::accept4(
            listener.as_fd().as_raw_fd(),
            (&raw mut storage).cast(),
            &raw mut length,
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: accept4(2) has just returned this descriptor, so nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((socket, internet_address(&storage)))
}

fn internet_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and aligned for any
            // address, holds a `sockaddr_in`.
            let v4: &libc::sockaddr_in = unsafe { &*(&raw const *storage).cast() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some((ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, with `sockaddr_in6`.
            let v6: &libc::sockaddr_in6 = unsafe { &*(&raw const *storage).cast() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Takes over a listening socket that the parent process left open under this number: a copy that
/// is closed on exec replaces it.
///
/// Meant for the first moments of a process, for numbers named by the environment or by the
/// configuration (`fd@N`); each number once.
///
/// # Errors
///
/// `EBADF` when nothing is open there, `EINVAL` or `ENOTSOCK` when it does not listen.
pub fn inherited_listener(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC touches no memory; a number that is not open is EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl(2) has just returned this descriptor, so nothing else owns it.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    let listens = nix::sys::socket::getsockopt(&copy, nix::sys::socket::sockopt::AcceptConn)?;
    if !listens {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the contract above: the number was left open by the parent and belongs to nothing in
    // this process, so closing it takes nothing away from anybody.
    unsafe { libc::close(fd) };
    Ok(copy)
}

/// Takes over a connected stream socket in the same way.
///
/// # Errors
///
/// `EBADF` when nothing is open there, `EINVAL` or `ENOTSOCK` when it is no such socket.
pub fn inherited_stream(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC touches no memory; a number that is not open is EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl(2) has just returned this descriptor, so nothing else owns it.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    let kind = nix::sys::socket::getsockopt(&copy, nix::sys::socket::sockopt::SockType)?;
    if kind != nix::sys::socket::SockType::Stream {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the contract of `inherited_listener`: the number was left open by the parent and
    // belongs to nothing in this process, so closing it takes nothing away from anybody.
    unsafe { libc::close(fd) };
    Ok(copy)
}

/// Takes over a bound UDP socket in the same way.
///
/// # Errors
///
/// `EBADF` when nothing is open there, `EINVAL` or `ENOTSOCK` when it is no such socket.
pub fn inherited_datagrams(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC touches no memory; a number that is not open is EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl(2) has just returned this descriptor, so nothing else owns it.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    let kind = nix::sys::socket::getsockopt(&copy, nix::sys::socket::sockopt::SockType)?;
    let inet = socket2::SockRef::from(&copy).local_addr()?.as_socket();
    if kind != nix::sys::socket::SockType::Datagram || inet.is_none_or(|at| at.port() == 0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: as above: the number belongs to nothing in this process.
    unsafe { libc::close(fd) };
    Ok(copy)
}

/// Wakes the listener only when the client has sent something (TCP_DEFER_ACCEPT), for up to a
/// minute.
///
/// # Errors
///
/// What setsockopt(2) gives.
pub fn defer_accept(listener: impl AsFd) -> io::Result<()> {
    set_tcp_option(listener, libc::TCP_DEFER_ACCEPT, 60)
}

/// Takes data with the first packet of known clients (TCP_FASTOPEN, RFC 7413), for at most `queue`
/// connections that are not established yet.
///
/// # Errors
///
/// What setsockopt(2) gives.
pub fn fast_open(listener: impl AsFd, queue: u32) -> io::Result<()> {
    set_tcp_option(listener, libc::TCP_FASTOPEN, queue.try_into().unwrap_or(libc::c_int::MAX))
}

/// Sends the first bytes of a connection with its SYN, where the server has allowed it before: then
/// connect(2) waits for them (TCP_FASTOPEN_CONNECT).
///
/// # Errors
///
/// What setsockopt(2) gives.
pub fn fast_open_connect(socket: impl AsFd) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_FASTOPEN_CONNECT, 1)
}

/// Lets bind(2) take an address without a port, which connect(2) chooses: as many connections of
/// one address fit as there are ports for each server (IP_BIND_ADDRESS_NO_PORT).
///
/// # Errors
///
/// What setsockopt(2) gives.
pub fn bind_without_port(socket: impl AsFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

fn set_tcp_option(socket: impl AsFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, name, value)
}

fn set_option(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: setsockopt(2) reads as many bytes as it is told, the size of the integer it gets.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
