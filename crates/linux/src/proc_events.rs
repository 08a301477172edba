//! Being told of each process that starts, changes its program or ends, by the kernel's proc
//! connector (`CONFIG_PROC_EVENTS`).

#![allow(unsafe_code, reason = "nix knows no NETLINK_CONNECTOR")]

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{NetlinkAddr, bind, connect, setsockopt, sockopt};
use socket2::Socket;

/// `CN_IDX_PROC` of linux/connector.h, and its only value.
const CONNECTOR: [u32; 2] = [1, 1];
/// `PROC_CN_MCAST_LISTEN` of linux/cn_proc.h.
const LISTEN: u32 = 1;
/// Of netlink(7) and of the connector, in bytes.
const HEADERS: usize = 16 + 20;
/// How much the kernel may queue: some 20,000 events.
const BUFFER: usize = 4 << 20;

/// What happened to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProcEvent {
    /// It is new, or has another name or program.
    Changed(u32),
    /// It has ended.
    Ended(u32),
}

/// The kernel's news of processes.
#[derive(Debug)]
pub struct ProcEvents {
    socket: Socket,
}

impl ProcEvents {
    /// Asks to be told, and waits for the kernel's word that it will.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED` outside the first network namespace; `TimedOut` where nobody answers, as in
    /// another process namespace; `EPERM` without `CAP_NET_ADMIN`; `EPROTONOSUPPORT` where the
    /// kernel was built without it.
    pub fn open(patience: Duration) -> io::Result<Self> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket(2) takes three integers and touches no memory.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
        let fd = Errno::result(fd)?;
        // SAFETY: the kernel just opened this descriptor for us, and nobody else knows its number.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, CONNECTOR[0]))?;
        // The peer is the kernel: nobody else can send to a connected netlink socket.
        connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        if setsockopt(&fd, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&fd, sockopt::RcvBuf, &BUFFER)?;
        }
        let events = Self { socket: fd.into() };
        (&events.socket).write_all(&request())?;
        events.confirmed(patience)?;
        Ok(events)
    }

    fn confirmed(&self, patience: Duration) -> io::Result<()> {
        let end = Instant::now() + patience;
        let mut buffer = [0; 512];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, timeout)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let length = (&self.socket).read(&mut buffer)?;
            if let Some(Message::Confirmed(error)) = message(&buffer[..length]) {
                let refused = |number| Err(io::Error::from_raw_os_error(number));
                return if error == 0 { Ok(()) } else { refused(error) };
            }
        }
    }

    /// The next event of a process, not of one of its threads; none if there is none now.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` when events were lost since the last call.
    pub fn next(&self) -> io::Result<Option<ProcEvent>> {
        let mut buffer = [0; 512];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(length) => {
                    if let Some(Message::Event(event)) = message(&buffer[..length]) {
                        return Ok(Some(event));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// `nlmsghdr`, `cn_msg`, `enum proc_cn_mcast_op`.
fn request() -> Vec<u8> {
    const DONE: u16 = 3;
    let length = (HEADERS + 4) as u32;
    let mut bytes = Vec::with_capacity(HEADERS + 4);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&DONE.to_ne_bytes());
    // Flags, sequence, port; the connector's identity, its sequence and acknowledgement.
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend(CONNECTOR.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&4u16.to_ne_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&LISTEN.to_ne_bytes());
    bytes
}

enum Message {
    /// The answer to our request: zero, or an error's number.
    Confirmed(i32),
    Event(ProcEvent),
}

/// Takes apart one `struct proc_event` behind its headers.
fn message(bytes: &[u8]) -> Option<Message> {
    let event = bytes.get(HEADERS..)?;
    let word = |at: usize| {
        let bytes = event.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    // what, cpu, a timestamp of eight bytes; then what it is about.
    let of_process = |pid: usize, group: usize| {
        let (pid, group) = (word(pid)?, word(group)?);
        (pid == group).then_some(pid)
    };
    let event = match word(0)? {
        0 => return Some(Message::Confirmed(word(16)?.cast_signed())),
        // A fork tells of the parent first.
        0x1 => ProcEvent::Changed(of_process(24, 28)?),
        // An exec, a name.
        0x2 | 0x200 => ProcEvent::Changed(of_process(16, 20)?),
        0x8000_0000 => ProcEvent::Ended(of_process(16, 20)?),
        _ => return None,
    };
    Some(Message::Event(event))
}

impl AsFd for ProcEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A descriptor of any process, readable once it has ended (pidfd_open(2)).
///
/// # Errors
///
/// `ESRCH` when there is no such process.
pub fn watch_process(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(io::Error::other)?;
    // SAFETY: the kernel just opened this descriptor for us, with close-on-exec, and nobody else
    // knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_told_of_from_its_start_to_its_end() {
        let events = match ProcEvents::open(Duration::from_secs(2)) {
            Ok(events) => events,
            Err(error) => return eprintln!("SKIPPED: no proc connector here: {error}"),
        };
        let mut child = Command::new("true").spawn().expect("started");
        let pid = child.id();
        child.wait().expect("ours");
        let (mut seen, end) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        while seen.last() != Some(&ProcEvent::Ended(pid)) {
            assert!(Instant::now() < end, "{seen:?}");
            let event = events.next().expect("room enough");
            let of_child = |event: &ProcEvent| matches!(event, ProcEvent::Changed(p) | ProcEvent::Ended(p) if *p == pid);
            seen.extend(event.filter(of_child));
        }
        assert_eq!(seen.first(), Some(&ProcEvent::Changed(pid)));
    }

    #[test]
    fn an_event_cut_anywhere_is_none() {
        let mut bytes = vec![0; HEADERS];
        for word in [1u32, 0, 0, 0, 7, 7, 9, 9] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        assert!(matches!(message(&bytes), Some(Message::Event(ProcEvent::Changed(9)))));
        for length in 0..bytes.len() {
            assert!(message(&bytes[..length]).is_none(), "{length}");
        }
        bytes[HEADERS + 28] = 8;
        assert!(message(&bytes).is_none(), "a thread");
    }

    #[test]
    fn the_end_of_a_process_makes_its_descriptor_readable() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("started");
        let fd = watch_process(child.id()).expect("it runs");
        let ready = |timeout: u16| {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, timeout).expect("valid")
        };
        assert_eq!(ready(0), 0);
        child.kill().expect("ours");
        assert_eq!(ready(20_000), 1);
        child.wait().expect("ours");
        assert!(watch_process(0).is_err());
    }
}
