//! Frames sent as they are: gratuitous ARP.

#![allow(unsafe_code, reason = "sendto(2) with a sockaddr_ll has no safe wrapper")]

use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

/// A packet socket that only sends whole Ethernet frames.
#[derive(Debug)]
pub struct FrameSocket {
    socket: Socket,
}

impl FrameSocket {
    /// Opens the socket. It serves all interfaces, receives nothing and never blocks.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        // packet(7): with protocol 0 no packets are received.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Sends `frame`, which starts with its Ethernet header, from the interface `index`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a frame shorter than an Ethernet header, `ENXIO` if there is no such
    /// interface, `ENETDOWN` if it is down, `WouldBlock` when the send buffer is full.
    pub fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        let (Some(destination), Some(kind)) = (frame.first_chunk::<6>(), frame.get(12..14)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut hardware = [0; 8];
        hardware[..6].copy_from_slice(destination);
        let to = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: u16::from_ne_bytes([kind[0], kind[1]]),
            sll_ifindex: i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: hardware,
        };
        // SAFETY: sendto(2) reads `frame.len()` bytes at `frame` and `addrlen` bytes at `to`;
        // both outlive the call, and `addrlen` is the size of the structure behind `to`.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                (&raw const to).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
