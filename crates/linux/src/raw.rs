//! The sockets adverts are sent and received on.

#![allow(unsafe_code, reason = "ancillary data and IPv6 options have no safe wrapper here")]

use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

/// IP protocol number of VRRP (RFC 9568 §5.1.1.4).
pub const IPPROTO_VRRP: u8 = 112;
/// IP protocol number of the authentication header (RFC 2402 §1).
pub const IPPROTO_AH: u8 = 51;

/// Internetwork control, as keepalived marks its adverts.
const CONTROL: i32 = 0xc0;
// linux/in6.h
const IPV6_MULTICAST_ALL: i32 = 29;
const IPV6_FREEBIND: i32 = 78;

/// What a [`VrrpSocket`] listens to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cast {
    /// Adverts to a multicast group, joined on the socket's interface.
    Multicast(IpAddr),
    /// Adverts sent to one of our IPv4 addresses.
    Unicast4,
    /// Adverts sent to one of our IPv6 addresses.
    Unicast6,
}

impl Cast {
    /// Whether it is of IPv6.
    #[must_use]
    pub const fn is_ipv6(self) -> bool {
        match self {
            Self::Multicast(group) => group.is_ipv6(),
            Self::Unicast4 => false,
            Self::Unicast6 => true,
        }
    }
}

/// A packet taken off a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received {
    /// Bytes of it.
    pub length: usize,
    /// What its IPv6 header said; none over IPv4, whose header is the beginning of the packet.
    pub header: Option<Ipv6Header>,
}

/// What the kernel tells of an IPv6 header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv6Header {
    /// Who sent it.
    pub source: Ipv6Addr,
    /// Whom it was sent to.
    pub destination: Ipv6Addr,
    /// Hops it had left.
    pub hop_limit: u8,
}

/// A raw socket bound to one interface.
///
/// Over IPv4 the caller writes the whole packet, IP header included (`IP_HDRINCL`); the kernel
/// fills in only the total length, the header checksum, and the source address and identification
/// when they are zero. What is received starts with the IP header too. Over IPv6 there are payloads
/// only, and the header goes beside them.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    index: u32,
    ipv6: bool,
}

impl VrrpSocket {
    /// Opens the socket for [`IPPROTO_VRRP`] or [`IPPROTO_AH`] on the interface `name` with the
    /// index `index`, which must be one.
    ///
    /// Never blocks afterwards. Our own multicast is not looped back, and the group is received
    /// only from this interface.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` if there is no such interface.
    pub fn open(name: &str, index: u32, cast: Cast, protocol: u8) -> io::Result<Self> {
        let ipv6 = cast.is_ipv6();
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        // Linux TC_PRIO_CONTROL: adverts pass queues before bulk traffic, as keepalived's do.
        socket.set_priority(7)?;
        let socket = Self { socket, index, ipv6 };
        if ipv6 {
            socket.prepare_ipv6(cast)?
        } else {
            socket.prepare_ipv4(cast)?
        }
        Ok(socket)
    }

    fn prepare_ipv4(&self, cast: Cast) -> io::Result<()> {
        let socket = &self.socket;
        socket.set_header_included_v4(true)?;
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(false)?;
        if let Cast::Multicast(IpAddr::V4(group)) = cast {
            let interface = InterfaceIndexOrAddress::Index(self.index);
            socket.join_multicast_v4_n(&group, &interface)?;
        }
        Ok(())
    }

    fn prepare_ipv6(&self, cast: Cast) -> io::Result<()> {
        let socket = &self.socket;
        self.set_ipv6(libc::IPV6_RECVPKTINFO, 1)?;
        self.set_ipv6(libc::IPV6_RECVHOPLIMIT, 1)?;
        self.set_ipv6(libc::IPV6_TCLASS, CONTROL)?;
        self.set_ipv6(IPV6_MULTICAST_ALL, 0)?;
        // The source may be an address of the interface below ours (`use_vmac`).
        self.set_ipv6(IPV6_FREEBIND, 1)?;
        // RFC 9568 §5.1.2.3.
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_if_v6(self.index)?;
        if let Cast::Multicast(IpAddr::V6(group)) = cast {
            socket.join_multicast_v6(&group, self.index)?;
        }
        Ok(())
    }

    fn set_ipv6(&self, option: i32, value: i32) -> io::Result<()> {
        // SAFETY: setsockopt(2) reads `optlen` bytes at `optval`; the integer outlives the call, and
        // its size is given.
        let result = unsafe {
            libc::setsockopt(
                self.as_raw_fd(),
                libc::IPPROTO_IPV6,
                option,
                (&raw const value).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

    /// Sends the payload of an IPv6 packet from `source` to `to`, with `hop_limit` if it is unicast;
    /// the kernel's default if none.
    ///
    /// # Errors
    ///
    /// Like [`send`](Self::send).
    pub fn send_v6(
        &self,
        payload: &[u8],
        source: Ipv6Addr,
        to: Ipv6Addr,
        hop_limit: Option<u8>,
    ) -> io::Result<()> {
        let scope = if is_link_local(to) { self.index } else { 0 };
        let to = socket2::SockAddr::from(SocketAddrV6::new(to, 0, 0, scope));
        let from = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
            ipi6_ifindex: self.index,
        };
        let mut control = Control::default();
        let mut buffer =
            libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
        // SAFETY: `msghdr` is plain data, for which zeros are valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_namelen = to.len();
        message.msg_iov = &raw mut buffer;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        // Of another type in musl.
        message.msg_controllen = control.0.len() as _;
        // SAFETY: cmsg(3): `control` is aligned for `cmsghdr` and longer than the two messages
        // need; `CMSG_FIRSTHDR` and `CMSG_NXTHDR` return pointers into it, and `CMSG_DATA` ones
        // with room for what is written, without regard to alignment. sendmsg(2) reads the name,
        // the payload and the control data, all of which outlive the call.
        let sent = unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const message);
            (*first).cmsg_level = libc::IPPROTO_IPV6;
            (*first).cmsg_type = libc::IPV6_PKTINFO;
            (*first).cmsg_len = libc::CMSG_LEN(size_of_val(&from) as u32) as _;
            libc::CMSG_DATA(first).cast::<libc::in6_pktinfo>().write_unaligned(from);
            let mut length = libc::CMSG_SPACE(size_of_val(&from) as u32);
            if let Some(hop_limit) = hop_limit {
                let second = libc::CMSG_NXTHDR(&raw const message, first);
                (*second).cmsg_level = libc::IPPROTO_IPV6;
                (*second).cmsg_type = libc::IPV6_HOPLIMIT;
                (*second).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as _;
                libc::CMSG_DATA(second).cast::<i32>().write_unaligned(hop_limit.into());
                length += libc::CMSG_SPACE(size_of::<i32>() as u32);
            }
            message.msg_controllen = length as _;
            libc::sendmsg(self.as_raw_fd(), &raw const message, 0)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes one received packet into `buffer`.
    ///
    /// A packet longer than the buffer is cut off at its end.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.ipv6 {
            return self.receive_v6(buffer);
        }
        let length = (&self.socket).read(buffer)?;
        Ok(Received { length, header: None })
    }

    fn receive_v6(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut source = MaybeUninit::<libc::sockaddr_in6>::zeroed();
        let mut control = Control::default();
        let mut place = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: `msghdr` is plain data, for which zeros are valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = source.as_mut_ptr().cast();
        message.msg_namelen = size_of_val(&source) as libc::socklen_t;
        message.msg_iov = &raw mut place;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        // Of another type in musl.
        message.msg_controllen = control.0.len() as _;
        // SAFETY: recvmsg(2) writes to the name, the buffer and the control data, all of which
        // outlive the call, no more than the lengths given.
        let length = unsafe { libc::recvmsg(self.as_raw_fd(), &raw mut message, 0) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: it was zeros at first, which are valid, and the kernel wrote an address over them.
        let source = unsafe { source.assume_init() };
        let mut header = Ipv6Header {
            source: Ipv6Addr::from(source.sin6_addr.s6_addr),
            destination: Ipv6Addr::UNSPECIFIED,
            hop_limit: 0,
        };
        // SAFETY: cmsg(3): the kernel set `msg_controllen` to what it wrote, and `CMSG_FIRSTHDR` and
        // `CMSG_NXTHDR` return null or a pointer to a whole message within it. The kernel's messages
        // of these types have the length that is read.
        unsafe {
            let mut at = libc::CMSG_FIRSTHDR(&raw const message);
            while !at.is_null() {
                match ((*at).cmsg_level, (*at).cmsg_type) {
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info = libc::CMSG_DATA(at).cast::<libc::in6_pktinfo>().read_unaligned();
                        header.destination = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                        let hops = libc::CMSG_DATA(at).cast::<i32>().read_unaligned();
                        header.hop_limit = u8::try_from(hops).unwrap_or(0);
                    }
                    _ => {}
                }
                at = libc::CMSG_NXTHDR(&raw const message, at);
            }
        }
        Ok(Received { length, header: Some(header) })
    }
}

/// Room for the ancillary data of one packet, aligned as `cmsghdr` is.
#[repr(C, align(8))]
struct Control([u8; 96]);

impl Default for Control {
    fn default() -> Self {
        Self([0; 96])
    }
}

/// Whether `address` means nothing without its link: fe80::/10 and ff02::/16.
fn is_link_local(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    first & 0xffc0 == 0xfe80 || first & 0xff0f == 0xff02
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
