//! What the kernel knows of a TCP connection.

#![allow(unsafe_code, reason = "getsockopt(2) with TCP_INFO")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _};

/// A part of `struct tcp_info`, tcp(7).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpInfo {
    /// The smoothed round trip, in microseconds.
    pub rtt: u32,
    /// How much it varies, in microseconds.
    pub rtt_variance: u32,
    /// Segments that are not acknowledged.
    pub unacked: u32,
    /// Segments that were acknowledged selectively.
    pub sacked: u32,
    /// Segments that are taken for lost.
    pub lost: u32,
    /// Segments that were sent again and are not acknowledged.
    pub retransmitted: u32,
    /// The most forward acknowledgement; 0 since Linux 4.15.
    pub fackets: u32,
    /// By how many segments packets come out of order.
    pub reordering: u32,
}

impl TcpInfo {
    /// Asks for that of a socket.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` or `ENOPROTOOPT` for sockets that are not TCP, as getsockopt(2) lists them.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        // SAFETY: `tcp_info` is plain integers, for which all zeroes is a value.
        let mut info: libc::tcp_info = unsafe { mem::zeroed() };
        let mut length = mem::size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: getsockopt(2) writes at most `length` bytes to `info`, which has that many, and
        // the length it wrote to `length`; both live longer than the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut length,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            rtt: info.tcpi_rtt,
            rtt_variance: info.tcpi_rttvar,
            unacked: info.tcpi_unacked,
            sacked: info.tcpi_sacked,
            lost: info.tcpi_lost,
            retransmitted: info.tcpi_retrans,
            fackets: info.tcpi_fackets,
            reordering: info.tcpi_reordering,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::TcpInfo;

    #[test]
    fn an_open_connection_has_a_round_trip_and_other_sockets_have_none() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let info = TcpInfo::of(&client).expect("it is TCP");
        assert!(info.rtt > 0 && info.rtt < 1_000_000, "{info:?}");
        assert!(info.reordering > 0, "{info:?}");
        assert!(TcpInfo::of(UdpSocket::bind("127.0.0.1:0").expect("a port")).is_err());
    }
}
