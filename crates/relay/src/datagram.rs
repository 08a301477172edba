//! Datagrams: many at a time from clients, and answers that leave from the address that was asked.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike as _,
    SockaddrStorage, recvmmsg, sendmmsg, setsockopt,
};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How many datagrams one call takes.
const BATCH: usize = 16;

/// The longest datagram.
const MAX: usize = 65_536;

/// So many bytes wait at most for the call that sends them.
const WAITING: usize = 256 * 1024;

/// Nobody's address.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

type Heads = MultiHeaders<SockaddrStorage>;

thread_local! {
    static ROOM: Cell<Option<Box<Room>>> = const { Cell::new(None) };
    /// What describes datagrams to the kernel that sends them, by what is told of each.
    static SENDING: Cell<[Option<Heads>; 3]> = const { Cell::new([const { None }; 3]) };
}

/// Where one call puts what it takes; each thread has one.
struct Room {
    /// Room for as many of the longest; what is never used is never real memory.
    bytes: Vec<u8>,
    /// What the kernel tells of each. It leaves lengths there that it reads the next time, so that
    /// sockets of another kind have others.
    heads: [Option<Heads>; 5],
    /// How many the next call looks for: twice as many as the last one found. Looking for more than
    /// there are costs, above all where questions come one at a time.
    wanted: [usize; 5],
}

impl Room {
    fn here() -> Box<Self> {
        ROOM.take().unwrap_or_else(|| {
            Box::new(Self {
                bytes: vec![0; BATCH * MAX],
                heads: [const { None }; 5],
                wanted: [2; 5],
            })
        })
    }

    /// Takes what there is and hands it over; whether there may be more. A socket of a server has
    /// no `local`.
    fn receive(
        &mut self,
        fd: &impl AsRawFd,
        local: Option<SocketAddr>,
        wildcard: bool,
        take: impl FnOnce(&[Datagram<'_>]),
    ) -> io::Result<bool> {
        let kind = local.map_or(4, |to| usize::from(to.is_ipv6()) * 2 + usize::from(wildcard));
        let heads = &mut self.heads[kind];
        let to = local.unwrap_or(UNKNOWN);
        let heads = heads.get_or_insert_with(|| {
            let space = wildcard.then(|| cmsg_space!(nix::libc::in6_pktinfo));
            Heads::preallocate(BATCH, space)
        });
        let mut chunks = self.bytes.chunks_mut(MAX);
        let wanted = self.wanted[kind];
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = std::array::from_fn(|at| {
            let chunk = if at < wanted { chunks.next() } else { None };
            [IoSliceMut::new(chunk.unwrap_or_default())]
        });
        let flags = MsgFlags::MSG_DONTWAIT;
        let slices = slices[..wanted].iter_mut();
        let received = recvmmsg(fd.as_raw_fd(), heads, slices, flags, None)?;
        let mut datagrams = [Datagram { bytes: &[], from: UNKNOWN, to }; BATCH];
        let mut count = 0;
        for (datagram, message) in datagrams.iter_mut().zip(received) {
            count += 1;
            datagram.bytes = message.iovs().next().unwrap_or_default();
            if local.is_some() {
                datagram.from = message.address.as_ref().and_then(inet).unwrap_or(UNKNOWN);
            }
            if !wildcard {
                continue;
            }
            for control in message.cmsgs()? {
                match control {
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        let bits = u32::from_be(info.ipi_addr.s_addr);
                        datagram.to.set_ip(IpAddr::V4(bits.into()));
                    }
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        datagram.to.set_ip(IpAddr::V6(info.ipi6_addr.s6_addr.into()));
                    }
                    _ => {}
                }
            }
        }
        self.wanted[kind] = (count * 2).clamp(2, BATCH);
        take(&datagrams[..count]);
        Ok(count == wanted)
    }
}

/// Datagrams that wait for the call that sends them.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Where each ends in `bytes`, whom it is for, and the address it leaves from.
    each: Vec<(usize, SocketAddr, SocketAddr)>,
}

/// A socket that clients send datagrams to.
#[derive(Debug)]
pub struct Door {
    socket: AsyncFd<UdpSocket>,
    local: SocketAddr,
    /// It is bound to every address: which one was asked comes with each datagram.
    wildcard: bool,
    waiting: Mutex<Waiting>,
}

/// A datagram.
#[derive(Clone, Copy, Debug)]
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
        let socket = watched(fd)?;
        Ok(Self { socket, local, wildcard, waiting: Mutex::default() })
    }

    /// Waits for datagrams and hands over all that one call takes.
    ///
    /// # Errors
    ///
    /// What recvmmsg(2) lists; the next call may go well.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[Datagram<'_>]),
    ) -> Poll<io::Result<()>> {
        let mut take = Some(take);
        loop {
            let _ = ready!(self.socket.poll_read_ready(cx))?;
            let result = try_receive(&self.socket, Some(self.local), self.wildcard, |batch| {
                if let Some(take) = take.take() {
                    take(batch);
                }
            });
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result.map(|_| ())),
            }
        }
    }

    /// Sends a datagram to a client from the address it had asked, and what waited before it.
    pub fn send(&self, bytes: &[u8], to: SocketAddr, from: SocketAddr) {
        let _ = self.put(bytes, to, from);
        self.flush();
    }

    /// Puts a datagram where [`Door::flush`] finds it; whether it is the first there, so that
    /// somebody has to see to that. When very many wait they go at once.
    #[must_use]
    pub fn put(&self, bytes: &[u8], to: SocketAddr, from: SocketAddr) -> bool {
        let mut waiting = self.waiting();
        waiting.bytes.extend_from_slice(bytes);
        let end = waiting.bytes.len();
        waiting.each.push((end, to, from));
        if waiting.each.len() == BATCH || end > WAITING {
            self.send_all(&mut waiting);
            return false;
        }
        waiting.each.len() == 1
    }

    /// Sends what waits. Nobody waits for room: what the kernel does not take is lost, as datagrams
    /// are.
    pub fn flush(&self) {
        self.send_all(&mut self.waiting());
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_all(&self, waiting: &mut Waiting) {
        let same = |(.., one): &(_, _, SocketAddr), (.., other): &(_, _, SocketAddr)| {
            !self.wildcard || one == other
        };
        if let ([(_, to, _)], false) = (waiting.each.as_slice(), self.wildcard) {
            // A client that is gone, or has no room: its loss.
            let _ = SockRef::from(&self.socket).send_to(&waiting.bytes, &(*to).into());
            waiting.bytes.clear();
            waiting.each.clear();
            return;
        }
        let mut begin = 0;
        for group in waiting.each.chunk_by(same) {
            let mut slices = [[IoSlice::new(&[])]; BATCH];
            let mut addresses = [None; BATCH];
            for ((slice, address), (end, to, _)) in slices.iter_mut().zip(&mut addresses).zip(group)
            {
                *slice = [IoSlice::new(&waiting.bytes[begin..*end])];
                *address = Some(SockaddrStorage::from(*to));
                begin = *end;
            }
            let from = group[0].2.ip();
            let from = self.wildcard.then_some(from);
            let count = group.len().min(BATCH);
            send_batch(&self.socket, &slices[..count], &addresses[..count], from);
        }
        waiting.bytes.clear();
        waiting.each.clear();
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

/// Takes what there is at a socket that may be readable, as its runtime knows. Whether there may be
/// more; where there is not, the runtime knows that too, without asking the kernel once more.
fn try_receive(
    socket: &AsyncFd<UdpSocket>,
    local: Option<SocketAddr>,
    wildcard: bool,
    take: impl FnOnce(&[Datagram<'_>]),
) -> io::Result<bool> {
    let mut room = Room::here();
    let mut all = false;
    let result = socket.try_io(Interest::READABLE, |socket| {
        if room.receive(socket, local, wildcard, take)? {
            return Ok(true);
        }
        // Whatever comes from now on is an event of its own.
        all = true;
        Err(io::ErrorKind::WouldBlock.into())
    });
    ROOM.set(Some(room));
    if all { Ok(false) } else { result }
}

/// A descriptor that the runtime watches for datagrams alone: were it to tell of room for more, it
/// would wake its thread for what was sent, too: three epoll_wait(2) for a question and its answer
/// one at a time, and not two.
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<UdpSocket>> {
    linux::ready::watch(fd.into())
}

/// A socket that sends datagrams to one server and takes only its answers.
#[derive(Debug)]
pub struct Server(AsyncFd<UdpSocket>);

impl Server {
    /// Opens one; `prepare` may change it before it is bound.
    ///
    /// # Errors
    ///
    /// When no socket can be had, or the system knows at once that there is no way; and those of
    /// `prepare`.
    pub fn open(
        to: SocketAddr,
        source: Option<SocketAddr>,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(to), kind, None)?;
        prepare(&socket)?;
        if let Some(source) = source {
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())?;
        }
        socket.connect(&to.into())?;
        Ok(Self(watched(socket.into())?))
    }

    /// Its own address and the server's.
    ///
    /// # Errors
    ///
    /// What getsockname(2) and getpeername(2) list.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.0.get_ref().local_addr()?, self.0.get_ref().peer_addr()?))
    }

    /// Waits for answers, or for the news that nobody listens there, which comes as an error alone.
    ///
    /// # Errors
    ///
    /// When the runtime ends.
    pub async fn ready(&self) -> io::Result<()> {
        self.0.ready(Interest::READABLE | Interest::ERROR).await.map(|_| ())
    }

    /// Takes the answers, as many as one call takes; whether there may be more. They say nothing of
    /// who sent them: nobody else's come here.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there are none, what recvmmsg(2) lists, and what became of a datagram that
    /// was sent.
    pub fn answers(&self, take: impl FnOnce(&[Datagram<'_>])) -> io::Result<bool> {
        match try_receive(&self.0, None, false, take) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.0.try_io(Interest::ERROR, |socket| {
                    Err(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
                })
            }
            received => received,
        }
    }

    /// Sends datagrams. For those there is no room for nobody waits: they are lost, as datagrams
    /// are.
    ///
    /// # Errors
    ///
    /// What sendmmsg(2) lists; those that follow the datagram it was about are not sent.
    pub fn send(&self, datagrams: &[&[u8]]) -> io::Result<()> {
        if let [one] = datagrams {
            return match self.0.get_ref().send(one) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            };
        }
        for batch in datagrams.chunks(BATCH) {
            let mut slices = [[IoSlice::new(&[])]; BATCH];
            for (slice, bytes) in slices.iter_mut().zip(batch) {
                *slice = [IoSlice::new(bytes)];
            }
            let mut left = &slices[..batch.len()];
            while !left.is_empty() {
                // When one fails behind others the kernel says only how many went before it.
                match send_some(&self.0, left, &[None; BATCH][..left.len()], None) {
                    Ok(sent) => left = &left[sent.max(1)..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Sends datagrams to whom they are for; one that cannot be sent keeps no other back.
fn send_batch(
    fd: &impl AsRawFd,
    mut slices: &[[IoSlice<'_>; 1]],
    mut addresses: &[Option<SockaddrStorage>],
    from: Option<IpAddr>,
) {
    while !slices.is_empty() {
        // A client that is gone, or has no room: its loss.
        let sent = send_some(fd, slices, addresses, from).unwrap_or(0).max(1).min(slices.len());
        (slices, addresses) = (&slices[sent..], &addresses[sent..]);
    }
}

/// Sends the first datagrams, as many as the kernel takes; how many.
fn send_some(
    fd: &impl AsRawFd,
    slices: &[[IoSlice<'_>; 1]],
    addresses: &[Option<SockaddrStorage>],
    from: Option<IpAddr>,
) -> io::Result<usize> {
    let mut heads = SENDING.take();
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let fd = fd.as_raw_fd();
    let sent = match from {
        None => {
            let heads = heads[0].get_or_insert_with(|| Heads::preallocate(BATCH, None));
            sendmmsg(fd, heads, slices, addresses, [], flags).map(Iterator::count)
        }
        Some(IpAddr::V4(v4)) => {
            let info = nix::libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: nix::libc::in_addr { s_addr: v4.to_bits().to_be() },
                ipi_addr: nix::libc::in_addr { s_addr: 0 },
            };
            let heads = heads[1].get_or_insert_with(|| {
                Heads::preallocate(BATCH, Some(cmsg_space!(nix::libc::in_pktinfo)))
            });
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmmsg(fd, heads, slices, addresses, control, flags).map(Iterator::count)
        }
        Some(IpAddr::V6(v6)) => {
            let info = nix::libc::in6_pktinfo {
                ipi6_addr: nix::libc::in6_addr { s6_addr: v6.octets() },
                ipi6_ifindex: 0,
            };
            let heads = heads[2].get_or_insert_with(|| {
                Heads::preallocate(BATCH, Some(cmsg_space!(nix::libc::in6_pktinfo)))
            });
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmmsg(fd, heads, slices, addresses, control, flags).map(Iterator::count)
        }
    };
    SENDING.set(heads);
    Ok(sent?)
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
        let mut taken = Vec::new();
        while taken.len() < least {
            let all = std::future::poll_fn(|cx| {
                door.poll_receive(cx, |batch| {
                    taken.extend(batch.iter().map(|one| (one.bytes.to_vec(), one.from, one.to)));
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
            door.send(b"answer", *from, *to);
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
            door.send(b"y", from, to);
            let (_, sender) = client.recv_from(&mut [0; 4]).expect("an answer");
            assert_eq!(sender, asked);
        });
    }
}
