use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use super::Pipe;

#[test]
fn bytes_cross_from_socket_to_socket_and_the_end_is_zero() {
    let (mut client, from) = UnixStream::pair().expect("a pair");
    let (to, mut server) = UnixStream::pair().expect("a pair");
    from.set_nonblocking(true).expect("a mode");
    let mut pipe = Pipe::new(1 << 16).expect("a pipe");

    assert_eq!(pipe.fill(&from, 100).expect_err("nothing came").kind(), ErrorKind::WouldBlock);
    client.write_all(b"hello").expect("room");
    assert_eq!(pipe.fill(&from, 100).expect("five bytes"), 5);
    assert_eq!(pipe.len(), 5);
    assert_eq!(pipe.drain(&to).expect("room"), 5);
    assert!(pipe.is_empty());
    let mut seen = [0; 5];
    server.read_exact(&mut seen).expect("five bytes");
    assert_eq!(&seen, b"hello");

    client.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(pipe.fill(&from, 100).expect("the end"), 0);
}

#[test]
fn a_closed_receiver_is_an_error_and_keeps_the_bytes() {
    let (mut client, from) = UnixStream::pair().expect("a pair");
    let (to, server) = UnixStream::pair().expect("a pair");
    drop(server);
    let mut pipe = Pipe::new(0).expect("a pipe");
    client.write_all(b"lost").expect("room");
    pipe.fill(&from, 100).expect("four bytes");
    assert_eq!(pipe.drain(&to).expect_err("nobody reads").kind(), ErrorKind::BrokenPipe);
    assert_eq!(pipe.len(), 4);
}
