use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::unix::net::{UnixListener, UnixStream};

use super::{
    Listener, accept, bind_without_port, defer_accept, fast_open, fast_open_connect,
    inherited_datagrams, inherited_listener, inherited_stream,
};

#[test]
fn an_accepted_connection_does_not_block_and_names_its_client() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        listener.set_nonblocking(true).expect("a mode");
        assert_eq!(accept(&listener).expect_err("nobody").kind(), ErrorKind::WouldBlock);

        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("room");
        let (socket, peer) = accept(&listener).expect("a client");
        assert_eq!(peer, Some(client.local_addr().expect("connected")));
        let mut socket = TcpStream::from(socket);
        assert_eq!(
            socket.read(&mut [0]).expect_err("nothing was sent").kind(),
            ErrorKind::WouldBlock
        );
        socket.write_all(b"x").expect("room");
        client.read_exact(&mut [0]).expect("a byte");
    }
}

#[test]
fn nodelay_of_the_listener_is_inherited() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    socket2::SockRef::from(&listener).set_tcp_nodelay(true).expect("a socket");
    let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("room");
    let (socket, _) = accept(&listener).expect("a client");
    assert!(TcpStream::from(socket).nodelay().expect("a socket"));
}

#[test]
fn a_unix_client_has_no_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).expect("a path");
    let _client = UnixStream::connect(&path).expect("room");
    let (_socket, peer) = accept(&listener).expect("a client");
    assert_eq!(peer, None);
}

#[test]
fn an_inherited_listener_moves_to_another_number_and_keeps_listening() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let number = listener.into_raw_fd();
    let taken = inherited_listener(number).expect("it listens");
    assert_ne!(taken.as_raw_fd(), number);
    let _client = TcpStream::connect(address).expect("it still listens");
    accept(&taken).expect("a client");
    drop(taken);
    // A child that another test is just starting may hold it open for a moment.
    let refused = || TcpStream::connect(address).is_err();
    let start = std::time::Instant::now();
    while !refused() {
        assert!(start.elapsed().as_secs() < 10, "something else holds it open");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn what_does_not_listen_is_refused() {
    let (one, _other) = UnixStream::pair().expect("a pair");
    inherited_listener(one.as_raw_fd()).expect_err("a connection");
    inherited_listener(1 << 20).expect_err("not open");
}

#[test]
fn a_watched_listener_waits_for_the_next_connection() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    runtime.block_on(async {
        let listener = Listener::new(listener.into()).expect("it listens");
        let accepting = std::future::poll_fn(|cx| listener.poll_accept(cx));
        let connecting = tokio::task::spawn_blocking(move || TcpStream::connect(address));
        let (accepted, connected) = tokio::join!(accepting, connecting);
        let client = connected.expect("no panic").expect("room");
        assert_eq!(accepted.expect("a client").1, Some(client.local_addr().expect("connected")));
    });
}

#[test]
fn a_deferred_listener_waits_for_the_first_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    defer_accept(&listener).expect("a TCP socket");
    fast_open(&listener, 16).expect("a TCP socket");
    listener.set_nonblocking(true).expect("a mode");
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("room");
    assert_eq!(accept(&listener).expect_err("silent").kind(), ErrorKind::WouldBlock);
    client.write_all(b"x").expect("room");
    listener.set_nonblocking(false).expect("a mode");
    accept(&listener).expect("a client that spoke");
    let (unix, _) = UnixStream::pair().expect("a pair");
    defer_accept(&unix).expect_err("not TCP");
}

#[test]
fn an_inherited_socket_of_datagrams_moves_to_another_number_and_stays_bound() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("bound");
    let taken = inherited_datagrams(socket.into_raw_fd()).expect("it is one");
    std::net::UdpSocket::bind(address).expect_err("it is still bound");
    drop(taken);
    std::net::UdpSocket::bind(address).expect("nothing else holds it open");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    inherited_datagrams(listener.as_raw_fd()).expect_err("a listener");
    inherited_datagrams(1 << 20).expect_err("not open");
}

#[test]
fn a_stream_that_was_inherited_is_taken_over() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let taken = inherited_stream(theirs.into_raw_fd()).expect("it is one");
    drop(taken);
    assert_eq!(std::io::Read::read(&mut &ours, &mut [0]).expect("its end"), 0);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    inherited_stream(socket.as_raw_fd()).expect_err("datagrams");
    inherited_stream(1 << 20).expect_err("not open");
}

#[test]
fn an_address_is_bound_before_its_port_is_known() {
    let server = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = server.local_addr().expect("bound");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    bind_without_port(&socket).expect("Linux 4.2");
    let any: std::net::SocketAddr = "127.0.0.3:0".parse().expect("an address");
    socket.bind(&any.into()).expect("loopback");
    let port = || socket.local_addr().expect("bound").as_socket().expect("an address").port();
    assert_eq!(port(), 0);
    socket.connect(&to.into()).expect("it listens");
    assert_ne!(port(), 0);
}

#[test]
fn a_connect_that_is_open_to_fast_open_still_connects() {
    let server = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    fast_open_connect(&socket).expect("Linux 4.11");
    socket.connect(&server.local_addr().expect("bound").into()).expect("it listens");
    let mut client = TcpStream::from(socket);
    client.write_all(b"x").expect("room");
    let (mut accepted, _) = server.accept().expect("a client");
    accepted.read_exact(&mut [0]).expect("a byte");
}
