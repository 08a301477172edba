use std::future::poll_fn;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream as Std};
use std::thread;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

/// The far ends of a relay, as blocking sockets, and what came of it.
struct Ends {
    client: Std,
    server: Std,
    relay: thread::JoinHandle<(Ended, u64, u64)>,
}

fn pair() -> (Std, Std) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let far = Std::connect(listener.local_addr().expect("bound")).expect("room");
    let (near, _) = listener.accept().expect("a client");
    far.set_read_timeout(Some(LONG)).expect("a timeout");
    near.set_nonblocking(true).expect("a mode");
    (far, near)
}

fn relay(limits: Limits) -> Ends {
    paced(limits, 0, 0)
}

fn paced(limits: Limits, up: u64, down: u64) -> Ends {
    let ((client, near_client), (server, near_server)) = (pair(), pair());
    let relay = thread::spawn(move || {
        crate::block_on(async {
            let client = Stream::new(near_client).expect("an epoll set");
            let server = Stream::new(near_server).expect("an epoll set");
            let mut relay = Relay::new(client, server);
            relay.limit(up, down);
            let ended = poll_fn(|cx| relay.poll(cx, &limits)).await;
            (ended, relay.from_client(), relay.from_server())
        })
        .expect("an epoll set")
    });
    Ends { client, server, relay }
}

impl Ends {
    fn ended(self) -> (Ended, u64, u64) {
        self.relay.join().expect("no panic")
    }
}

fn read_exactly(socket: &mut Std, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes).expect("bytes in time");
    bytes
}

fn at_end(socket: &mut Std) -> bool {
    matches!(socket.read(&mut [0]), Ok(0))
}

#[test]
fn both_directions_flow_and_each_end_is_passed_on() {
    let mut ends = relay(Limits::default());
    ends.client.write_all(b"question").expect("room");
    assert_eq!(read_exactly(&mut ends.server, 8), b"question");
    ends.client.shutdown(Shutdown::Write).expect("connected");
    assert!(at_end(&mut ends.server));
    ends.server.write_all(b"answer").expect("room");
    assert_eq!(read_exactly(&mut ends.client, 6), b"answer");
    ends.server.shutdown(Shutdown::Write).expect("connected");
    assert!(at_end(&mut ends.client));
    assert_eq!(ends.ended(), (Ended::Finished, 8, 6));
}

#[test]
fn one_end_is_both_where_nginx_would_close() {
    let mut ends = relay(Limits { close_both: true, ..Limits::default() });
    ends.server.write_all(b"greeting").expect("room");
    ends.server.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(read_exactly(&mut ends.client, 8), b"greeting", "what was said is delivered");
    assert!(at_end(&mut ends.client));
    assert_eq!(ends.ended(), (Ended::Finished, 0, 8));
}

#[test]
fn a_receiver_that_is_slow_gets_every_byte_in_order() {
    const SIZE: usize = 8 << 20;
    let mut ends = relay(Limits { client: Some(LONG), server: Some(LONG), ..Limits::default() });
    let mut client = ends.client.try_clone().expect("a descriptor");
    let sent: Vec<u8> = (0..SIZE).map(|at| (at * 7 % 253) as u8).collect();
    let sending = sent.clone();
    let sender = thread::spawn(move || {
        client.write_all(&sending).expect("room");
        client.shutdown(Shutdown::Write).expect("connected");
    });
    let mut received = Vec::with_capacity(SIZE);
    let mut chunk = [0; 3_333];
    loop {
        match ends.server.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&chunk[..length]),
            Err(error) => panic!("{error}"),
        }
        thread::yield_now();
    }
    assert!(received == sent);
    sender.join().expect("no panic");
    drop(ends.server.shutdown(Shutdown::Write));
    assert_eq!(ends.ended(), (Ended::Finished, SIZE as u64, 0));
}

#[test]
fn a_receiver_that_takes_nothing_is_the_one_that_timed_out() {
    // The server sends more than fits anywhere; the client does not read.
    let limits = Limits {
        client: Some(Duration::from_millis(300)),
        server: Some(SHORT),
        ..Limits::default()
    };
    let ends = relay(limits);
    let mut server = ends.server.try_clone().expect("a descriptor");
    let sender = thread::spawn(move || while server.write_all(&[1; 1 << 16]).is_ok() {});
    let client = ends.client.try_clone().expect("a descriptor");
    assert_eq!(ends.ended().0, Ended::ClientTimeout);
    drop(client);
    sender.join().expect("no panic");
}

#[test]
fn silence_ends_in_the_order_of_the_limits() {
    let wait = |client, server| Limits { client, server, ..Limits::default() };
    assert_eq!(relay(wait(Some(SHORT), Some(LONG))).ended().0, Ended::ClientTimeout);
    assert_eq!(relay(wait(Some(LONG), Some(SHORT))).ended().0, Ended::ServerTimeout);
    assert_eq!(relay(wait(Some(SHORT), Some(SHORT))).ended().0, Ended::ClientTimeout);
    let idle = Limits { idle: Some(SHORT), ..Limits::default() };
    assert_eq!(relay(idle).ended().0, Ended::IdleTimeout);
}

#[test]
fn bytes_put_the_end_off() {
    let limit = Duration::from_millis(400);
    let mut ends = relay(Limits { idle: Some(limit), ..Limits::default() });
    let start = std::time::Instant::now();
    while start.elapsed() < limit * 2 {
        ends.client.write_all(b"x").expect("room");
        read_exactly(&mut ends.server, 1);
        thread::sleep(SHORT);
    }
    let (ended, up, _) = ends.ended();
    assert_eq!(ended, Ended::IdleTimeout);
    assert!(up > 1);
    assert!(start.elapsed() >= limit * 3 - SHORT);
}

#[test]
fn who_breaks_off_is_named() {
    let reset = |socket: Std| {
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket");
    };
    let Ends { client, server, relay: running } = relay(Limits::default());
    reset(client);
    assert_eq!(running.join().expect("no panic").0, Ended::ClientError);
    drop(server);

    let Ends { mut client, server, relay: running } = relay(Limits::default());
    reset(server);
    assert_eq!(running.join().expect("no panic").0, Ended::ServerError);
    let seen = client.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(seen, Ok(0) | Err(ErrorKind::ConnectionReset)));
}

#[test]
fn bytes_beyond_the_rate_wait_for_the_next_second_and_nobody_is_blamed() {
    let idle = Limits { idle: Some(Duration::from_millis(600)), ..Limits::default() };
    let mut ends = paced(idle, 1_000, 100_000);
    let begun = std::time::Instant::now();
    ends.client.write_all(&[7; 2_500]).expect("room");
    ends.server.write_all(&[8; 50_000]).expect("room");
    read_exactly(&mut ends.client, 50_000);
    assert!(begun.elapsed() < Duration::from_millis(900), "the other direction is faster");
    read_exactly(&mut ends.server, 1_000);
    read_exactly(&mut ends.server, 1_000);
    let second = begun.elapsed();
    assert!(second >= Duration::from_millis(950), "the second thousand after {second:?}");
    read_exactly(&mut ends.server, 500);
    let third = begun.elapsed();
    assert!(third >= Duration::from_millis(1_950), "the rest after {third:?}");
    let (ended, up, down) = ends.ended();
    assert_eq!((ended, up, down), (Ended::IdleTimeout, 2_500, 50_000));
}
