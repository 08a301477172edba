//! Datagrams: many at a time from clients, and answers that leave from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::task::{Context, Poll, ready};

use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike as _,
    SockaddrStorage, recvmmsg, sendmsg, setsockopt,
};
use socket2::{Domain, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// How many datagrams one call takes.
const BATCH: usize = 16;

/// The longest datagram.
const MAX: usize = 65_536;

/// A socket that clients send datagrams to.
#[derive(Debug)]
pub struct Door {
    socket: UdpSocket,
    local: SocketAddr,
    /// It is bound to every address: which one was asked comes with each datagram.
    wildcard: bool,
}

/// Room for what one call takes; one for each thread is enough.
#[derive(Debug)]
pub struct Room {
    bytes: Vec<u8>,
}

impl Default for Room {
    /// Sixteen of the longest datagrams; what is never used is never real memory.
    fn default() -> Self {
        Self { bytes: vec![0; BATCH * MAX] }
    }
}

/// A datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Its content, perhaps nothing.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// Where to, with the socket's port.
    pub to: SocketAddr,
}

impl Door {
    /// Takes a bound socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it, or when it cannot tell which address was asked.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let socket = socket2::SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        let wildcard = local.ip().is_unspecified();
        if wildcard {
            if local.is_ipv4() {
                setsockopt(&fd, Ipv4PacketInfo, &true)?;
            } else {
                setsockopt(&fd, Ipv6RecvPacketInfo, &true)?;
            }
        }
        Ok(Self { socket: UdpSocket::from_std(fd.into())?, local, wildcard })
    }

    /// Waits for datagrams and hands over all that one call takes.
    ///
    /// # Errors
    ///
    /// What recvmmsg(2) lists; the next call may go well.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        room: &mut Room,
        mut take: impl FnMut(Datagram<'_>),
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            match self.socket.try_io(Interest::READABLE, || self.receive(room, &mut take)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn receive(&self, room: &mut Room, take: &mut impl FnMut(Datagram<'_>)) -> io::Result<()> {
        let space = cmsg_space!(nix::libc::in6_pktinfo);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(space));
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            room.bytes.chunks_mut(MAX).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let received = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None)?;
        for message in received {
            let Some(from) = message.address.as_ref().and_then(inet) else { continue };
            let mut to = self.local;
            if self.wildcard {
                for control in message.cmsgs()? {
                    match control {
                        ControlMessageOwned::Ipv4PacketInfo(info) => {
                            let bits = u32::from_be(info.ipi_addr.s_addr);
                            to.set_ip(IpAddr::V4(bits.into()));
                        }
                        ControlMessageOwned::Ipv6PacketInfo(info) => {
                            to.set_ip(IpAddr::V6(info.ipi6_addr.s6_addr.into()));
                        }
                        _ => {}
                    }
                }
            }
            let bytes = message.iovs().next().unwrap_or_default();
            take(Datagram { bytes, from, to });
        }
        Ok(())
    }

    /// Sends a datagram to a client from the address it had asked. Nobody waits for room: what the
    /// kernel does not take is lost, as datagrams are.
    ///
    /// # Errors
    ///
    /// What sendmsg(2) lists.
    pub fn send(&self, bytes: &[u8], to: SocketAddr, from: SocketAddr) -> io::Result<()> {
        let slices = [IoSlice::new(bytes)];
        let address = SockaddrStorage::from(to);
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = match (self.wildcard, from.ip()) {
            (true, IpAddr::V4(v4)) => {
                let info = nix::libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: nix::libc::in_addr { s_addr: v4.to_bits().to_be() },
                    ipi_addr: nix::libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &slices, &control, flags, Some(&address))
            }
            (true, IpAddr::V6(v6)) => {
                let info = nix::libc::in6_pktinfo {
                    ipi6_addr: nix::libc::in6_addr { s6_addr: v6.octets() },
                    ipi6_ifindex: 0,
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(fd, &slices, &control, flags, Some(&address))
            }
            (false, _) => sendmsg(fd, &slices, &[], flags, Some(&address)),
        };
        sent?;
        Ok(())
    }

    /// What it is bound to.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

fn inet(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
        .filter(|_| address.len() > 0)
}

/// A socket that sends datagrams to one server and takes only its answers.
///
/// # Errors
///
/// When no socket can be had, or the system knows at once that there is no way.
pub fn datagrams_to(to: SocketAddr, source: Option<SocketAddr>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM.nonblocking().cloexec(), None)?;
    if let Some(source) = source {
        socket.set_reuse_address(true)?;
        socket.bind(&source.into())?;
    }
    socket.connect(&to.into())?;
    UdpSocket::from_std(OwnedFd::from(socket).into())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as StdSocket;

    use super::*;

    fn door(address: &str) -> (Door, SocketAddr) {
        let socket = StdSocket::bind(address).expect("a port");
        let local = socket.local_addr().expect("bound");
        (Door::new(socket.into()).expect("a door"), local)
    }

    fn in_runtime<T>(what: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(what)
    }

    async fn take(door: &Door, least: usize) -> Vec<(Vec<u8>, SocketAddr, SocketAddr)> {
        let (mut room, mut taken) = (Room::default(), Vec::new());
        while taken.len() < least {
            let all = std::future::poll_fn(|cx| {
                door.poll_receive(cx, &mut room, |one| {
                    taken.push((one.bytes.to_vec(), one.from, one.to));
                })
            });
            all.await.expect("datagrams");
        }
        taken
    }

    #[test]
    fn many_datagrams_of_any_length_are_taken_and_answered() {
        in_runtime(async {
            let (door, local) = door("127.0.0.1:0");
            let client = StdSocket::bind("127.0.0.1:0").expect("a port");
            let sizes = [0, 1, 1_400, 65_507];
            for size in sizes {
                client.send_to(&vec![7; size], local).expect("sent");
            }
            let taken = take(&door, sizes.len()).await;
            let lengths: Vec<usize> = taken.iter().map(|(bytes, ..)| bytes.len()).collect();
            assert_eq!(lengths, sizes);
            let (_, from, to) = &taken[0];
            assert_eq!((*from, *to), (client.local_addr().expect("bound"), local));
            door.send(b"answer", *from, *to).expect("sent");
            let mut buffer = [0; 16];
            let (length, sender) = client.recv_from(&mut buffer).expect("an answer");
            assert_eq!((&buffer[..length], sender), (&b"answer"[..], local));
        });
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        in_runtime(async {
            let (door, local) = door("0.0.0.0:0");
            let asked = SocketAddr::from(([127, 0, 0, 9], local.port()));
            let client = StdSocket::bind("127.0.0.1:0").expect("a port");
            client.send_to(b"x", asked).expect("sent");
            let (_, from, to) = take(&door, 1).await.remove(0);
            assert_eq!(to, asked);
            door.send(b"y", from, to).expect("sent");
            let (_, sender) = client.recv_from(&mut [0; 4]).expect("an answer");
            assert_eq!(sender, asked);
        });
    }
}
