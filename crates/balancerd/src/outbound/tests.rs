use std::net::TcpListener;

use proxy::{Backend, Server, ServerAddress};
use socket2::{Domain, Type};

use super::*;

fn lines(server: Option<Outbound>, backend: Option<Outbound>) -> (Server, Backend) {
    let nowhere = ServerAddress::Socket(SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut one = Server::new(1, "s", nowhere);
    one.outbound = server.map(Box::new);
    let mut all = Backend::new(2, "b");
    all.outbound = backend.map(Box::new);
    (one, all)
}

fn ways((server, backend): (Server, Backend)) -> Ways {
    Ways::of(Box::leak(Box::new(server)), Box::leak(Box::new(backend)))
}

#[test]
fn a_line_with_a_source_takes_nothing_of_its_backends() {
    let of =
        |interface: &str| Outbound { interface: Some(interface.to_owned()), ..Outbound::default() };
    let named = |ways: Ways| ways.source.and_then(|source| source.interface.clone());
    let (mut server, backend) = lines(Some(of("own")), Some(of("all")));
    assert_eq!(named(ways((server.clone(), backend.clone()))).as_deref(), Some("all"));
    server.source = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    assert_eq!(named(ways((server.clone(), backend.clone()))).as_deref(), Some("own"));
    server.outbound = None;
    assert_eq!(named(ways((server, backend))), None);
}

#[test]
fn ports_of_a_range_are_used_up_and_not_exceeded() {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from(([127, 0, 0, 1], 0));
    // Three ports in a row that are free now.
    let held = TcpListener::bind(from).expect("loopback");
    let port = held.local_addr().expect("bound").port();
    let (low, high) = (port - 1, port);
    let first = socket();
    let Ok(()) = bind_within(&first, from, low..=high) else {
        // Somebody else has the port below: nothing is left, and that is said.
        return;
    };
    assert_eq!(
        first.local_addr().expect("bound").as_socket().map(|at| at.port()),
        Some(low),
        "the other one is listened on"
    );
    first.listen(1).expect("bound");
    let error = bind_within(&socket(), from, low..=high).expect_err("both are taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_connection_is_made_with_what_its_line_says() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = listener.local_addr().expect("bound");
    let line = Outbound {
        user_timeout: Some(std::time::Duration::from_millis(4_500)),
        fast_open: true,
        ..Outbound::default()
    };
    let (mut server, backend) = lines(Some(line), None);
    server.source = Some(SocketAddr::from(([127, 0, 0, 7], 0)));
    let ways = ways((server, backend));
    relay::block_on(async {
        let mut dial = Dial::new(to);
        dial.source = Some(SocketAddr::from(([127, 0, 0, 7], 0)));
        let marks = Marks { mark: None, tos: Some(0x10) };
        let stream = ways.start(dial, None, marks).expect("loopback");
        relay::established(&stream).await.expect("it listens");
        assert_eq!(socket2::SockRef::from(&stream).tos_v4().expect("an option"), 0x10);
        let local = stream.local_addr().expect("connected");
        assert_eq!(local.ip().to_string(), "127.0.0.7");
        assert_ne!(local.port(), 0);
        let wait = socket2::SockRef::from(&stream).tcp_user_timeout().expect("an option");
        assert_eq!(wait, Some(std::time::Duration::from_millis(4_500)));
    })
    .expect("an epoll set");
}

#[test]
fn a_socket_has_the_buffers_its_backend_wants() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = listener.local_addr().expect("bound");
    let sizes = Outbound {
        receive_buffer: Some(20_000),
        send_buffer: Some(10_000),
        unsent: Some(16_384),
        ..Outbound::default()
    };
    let ways = ways(lines(None, Some(sizes)));
    let has = |socket: socket2::SockRef<'_>| {
        // The kernel doubles what it is asked for.
        assert_eq!(socket.recv_buffer_size().expect("an option"), 40_000);
        assert_eq!(socket.send_buffer_size().expect("an option"), 20_000);
    };
    relay::block_on(async {
        let stream = ways.start(Dial::new(to), None, Marks::default()).expect("loopback");
        has(socket2::SockRef::from(&stream));
        let unsent = socket2::SockRef::from(&stream).tcp_notsent_lowat();
        assert_eq!(unsent.expect("an option"), 16_384);
    })
    .expect("an epoll set");
    let datagrams = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    ways.buffers(&datagrams).expect("a socket's options");
    has(socket2::SockRef::from(&datagrams));
}
