//! Servers behind a SOCKS4 proxy (`socks4`, `check-via-socks4`): what is asked of it, and its answer.
//!
//! ```text
//!   04 01 port address "HAProxy" 00  ──►
//!                                    ◄──  00 5a … …            granted, the server's bytes follow
//! ```
//!
//! Source: SOCKS: A protocol for TCP proxy across firewalls, by Ying-Da Lee; what is sent is what
//! HAProxy sends. Only IPv4 has a form in it.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};

use relay::Stream;

/// Bytes of an answer.
pub(crate) const ANSWER: usize = 8;

/// What asks a proxy to connect to an address; `None` where that is not one of IPv4.
pub(crate) fn request(to: SocketAddr) -> Option<Vec<u8>> {
    let IpAddr::V4(ip) = to.ip().to_canonical() else { return None };
    let mut bytes = vec![4, 1];
    bytes.extend_from_slice(&to.port().to_be_bytes());
    bytes.extend_from_slice(&ip.octets());
    bytes.extend_from_slice(b"HAProxy\0");
    Some(bytes)
}

/// Whether an answer lets the connection through; HAProxy's words where it does not.
pub(crate) fn judge(answer: [u8; ANSWER]) -> Result<(), &'static str> {
    match answer {
        [0, 90, ..] => Ok(()),
        _ => Err("SOCKS4 Proxy deny the request"),
    }
}

/// Waits for the connection with a proxy, and for the one it makes from there.
pub(crate) async fn through(stream: &Stream, to: SocketAddr) -> io::Result<()> {
    relay::established(stream).await?;
    let request = request(to).ok_or(io::ErrorKind::Unsupported)?;
    // A new connection always has room for it.
    if stream.try_write(&request)? < request.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut answer = [0; ANSWER];
    let mut known = 0;
    while known < ANSWER {
        // No more than the answer: what follows is the server's.
        let read = poll_fn(|cx| stream.poll_recv(cx, &mut answer[known..]));
        match read.await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => known += more,
        }
    }
    judge(answer).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_port_and_the_address_and_only_one_answer_is_good() {
        let to = "192.0.2.7:2525".parse().expect("an address");
        assert_eq!(request(to).as_deref(), Some(&b"\x04\x01\x09\xdd\xc0\0\x02\x07HAProxy\0"[..]));
        assert_eq!(request("[2001:db8::1]:1".parse().expect("an address")), None);
        assert_eq!(judge([0, 90, 1, 2, 3, 4, 5, 6]), Ok(()));
        for (version, code) in [(0, 91), (0, 92), (0, 93), (4, 90), (0, 0), (90, 0)] {
            assert!(judge([version, code, 0, 0, 0, 0, 0, 0]).is_err());
        }
    }
}
