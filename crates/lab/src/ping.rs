//! The plainest client: one ICMP echo request after the other; who answers is seen by a capture.

use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    socket,
};

use crate::frame::internet_checksum;
use crate::order::Moment;

/// Asks an address all the time, from the ground, until it is dropped.
pub struct Ping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ping {
    pub(crate) fn start(target: IpAddr, every: Duration) -> Result<Self> {
        let (family, protocol) = match target {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .context("raw socket of the client")?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || ask(&socket, target, every, &told));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn ask(socket: &OwnedFd, target: IpAddr, every: Duration, stop: &AtomicBool) {
    let mut next = Moment::now();
    for number in (0..=u16::MAX).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // An answer that does not come is what is measured; an error here is one more of those.
        send(socket, target, number).ok();
        next = next.after(every).max(Moment::now());
        thread::sleep(next.since(Moment::now()));
    }
}

fn send(socket: &OwnedFd, target: IpAddr, number: u16) -> nix::Result<usize> {
    let [high, low] = number.to_be_bytes();
    let kind = if target.is_ipv4() { 8 } else { 128 };
    let mut request = [kind, 0, 0, 0, 0x1a, 0xb0, high, low];
    let flags = MsgFlags::MSG_DONTWAIT;
    match target {
        IpAddr::V4(address) => {
            let sum = internet_checksum(&[&request]);
            request[2..4].copy_from_slice(&sum.to_be_bytes());
            let to = SockaddrIn::from(SocketAddrV4::new(address, 0));
            sendto(socket.as_raw_fd(), &request, &to, flags)
        }
        // The kernel adds the checksum.
        IpAddr::V6(address) => {
            let to = SockaddrIn6::from(SocketAddrV6::new(address, 0, 0, 0));
            sendto(socket.as_raw_fd(), &request, &to, flags)
        }
    }
}
