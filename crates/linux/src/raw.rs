//! The socket adverts are sent and received on.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

/// IP protocol number of VRRP (RFC 9568 §5.1.1.4).
pub const IPPROTO_VRRP: u8 = 112;

/// What a [`VrrpSocket`] listens to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cast {
    /// Adverts to a multicast group, joined on the socket's interface.
    Multicast(Ipv4Addr),
    /// Adverts sent to one of our addresses.
    Unicast,
}

/// A raw IPv4 socket of protocol 112, bound to one interface.
///
/// The caller writes the whole packet, IP header included (`IP_HDRINCL`); the kernel fills in
/// only the total length, the header checksum, and the source address and identification when
/// they are zero. What is received starts with the IP header too, so source, destination and TTL
/// are read from there.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
}

impl VrrpSocket {
    /// Opens the socket on the interface `name` with the index `index`, which must be one.
    ///
    /// Never blocks afterwards. Our own multicast is not looped back, and the group is received
    /// only from this interface.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` if there is no such interface.
    pub fn open(name: &str, index: u32, cast: Cast) -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(IPPROTO_VRRP));
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        socket.set_header_included_v4(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        // Linux TC_PRIO_CONTROL: adverts pass queues before bulk traffic, as keepalived's do.
        socket.set_priority(7)?;
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(false)?;
        if let Cast::Multicast(group) = cast {
            let interface = InterfaceIndexOrAddress::Index(index);
            socket.join_multicast_v4_n(&group, &interface)?;
        }
        Ok(Self { socket })
    }

    /// Sends one packet, starting with its IP header, to `to`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the send buffer is full, `ENETDOWN`/`ENETUNREACH`/`ENODEV` when the
    /// interface is down or gone.
    pub fn send(&self, packet: &[u8], to: Ipv4Addr) -> io::Result<()> {
        let sent = self.socket.send_to(packet, &SocketAddrV4::new(to, 0).into())?;
        debug_assert_eq!(sent, packet.len(), "a raw datagram is sent whole or not at all");
        Ok(())
    }

    /// Takes one received packet into `buffer` and returns its length, IP header included.
    ///
    /// A packet longer than the buffer is cut off at its end.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }
}

impl AsRawFd for VrrpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
