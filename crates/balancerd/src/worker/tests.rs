//! Whole sessions over loopback: each of HAProxy's termination codes, and what the line says.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use balance::State;
use proxy::{
    Backend, BackendIndex, Bind, BindAddress, Cause, Config, Facility, Flavour, Frontend,
    FrontendKind, LogAddress, LogFormat, LogFraming, LogTarget, OnMarkedDown, Server,
    ServerAddress, Threads,
};

use super::*;

/// Longer than anything here takes; a test that waits for so long has failed.
const LONG: Duration = Duration::from_secs(20);
/// A timeout that is meant to pass.
const SHORT: Duration = Duration::from_millis(300);

/// A proxy of one `listen` section in this process.
struct Running {
    shared: &'static Shared,
    address: SocketAddr,
    log: UdpSocket,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Ended>>,
}

fn listen() -> (Frontend, Backend) {
    let mut frontend = Frontend::new(2, "l");
    frontend.kind = FrontendKind::Listen;
    frontend.binds.push(Bind::new(BindAddress::Inet(loopback())));
    frontend.default_backend = Some(BackendIndex(0));
    frontend.client_timeout = Some(LONG);
    frontend.log.format = LogFormat::Tcp;
    let mut backend = Backend::new(2, "l");
    backend.listen = true;
    backend.server_timeout = Some(LONG);
    backend.connect_timeout = Some(LONG);
    (frontend, backend)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn server(name: &str, address: SocketAddr) -> Server {
    Server::new(1, name, ServerAddress::Socket(address))
}

/// An address where nobody listens.
fn refused() -> SocketAddr {
    let listener = TcpListener::bind(loopback()).expect("loopback");
    listener.local_addr().expect("bound")
}

/// An address where connections are never answered: its queue is full.
struct Mute {
    address: SocketAddr,
    _listener: socket2::Socket,
    _filling: Vec<socket2::Socket>,
}

impl Mute {
    fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&loopback().into()).expect("loopback");
        listener.listen(0).expect("a socket");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        let filling = (0..4)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.set_nonblocking(true).expect("a mode");
                // EINPROGRESS, for ever in most of them.
                let _ = socket.connect(&address.into());
                socket
            })
            .collect();
        Self { address, _listener: listener, _filling: filling }
    }
}

/// A server that does the same with each of its connections.
fn server_that(does: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let does = does.clone();
            thread::spawn(move || does(socket));
        }
    });
    address
}

/// Answers `ok:` and what it was sent, until the client ends.
fn echo() -> SocketAddr {
    server_that(|mut socket| {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            let answer = [b"ok:", &buffer[..length]].concat();
            if socket.write_all(&answer).is_err() {
                return;
            }
        }
    })
}

/// Keeps its connections without a word.
fn silent() -> SocketAddr {
    server_that(|_socket| thread::sleep(LONG))
}

fn start(flavour: Flavour, (mut frontend, backend): (Frontend, Backend)) -> Running {
    let log = UdpSocket::bind(loopback()).expect("loopback");
    log.set_read_timeout(Some(LONG)).expect("a timeout");
    let to = LogAddress::Udp(log.local_addr().expect("bound"));
    let target = LogTarget { framing: LogFraming::Raw, ..LogTarget::new(to.clone(), Facility(16)) };
    if flavour == Flavour::HaProxy {
        frontend.log.targets.push(target);
    }
    let mut config = Config::new(flavour);
    if flavour == Flavour::Nginx {
        config.process.error_log.push(proxy::ErrorLog {
            target: proxy::ErrorLogTarget::Syslog {
                server: to,
                facility: Facility(23),
                tag: "nginx".into(),
                hostname: false,
            },
            level: Severity::Info,
        });
    }
    config.process.threads = Threads::Count(2);
    config.process.maxconn = Some(100);
    config.frontends.push(frontend);
    config.backends.push(backend);
    let (listeners, problems) = Listeners::bind(&config, Vec::new()).expect("an ephemeral port");
    assert!(problems.is_empty());
    // Two threads bound port 0 twice: one of the sockets is enough.
    let mut sockets = listeners.sockets;
    sockets.truncate(1);
    let address = socket2::SockRef::from(&sockets[0].fd).local_addr().expect("bound");
    let address = address.as_socket().expect("an address");
    let shared: &'static Shared =
        Box::leak(Box::new(Shared::new(config).expect("addresses and no names")));
    let board: &'static Board = Box::leak(Box::new(Board::new(&shared.config).expect("no files")));
    let (stop, mut stopped) = watch::channel(false);
    let thread = thread::spawn(move || {
        runtime().expect("a runtime").block_on(async {
            let mut worker = Worker::start(shared, board, sockets).expect("threads");
            let _ = stopped.wait_for(|stop| *stop).await;
            worker.drain(false).await
        })
    });
    Running { shared, address, log, stop, thread: Some(thread) }
}

fn haproxy(section: (Frontend, Backend)) -> Running {
    start(Flavour::HaProxy, section)
}

impl Running {
    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("it listens");
        socket.set_read_timeout(Some(LONG)).expect("a timeout");
        socket
    }

    /// The next log line.
    fn line(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.log.recv(&mut buffer).expect("a line in time");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    /// From the name of the backend on, with times replaced by what they are at least known to be.
    fn end_of_line(&self) -> End {
        End::of(&self.line())
    }

    /// Waits until the last session is counted out: that comes after its line.
    fn settle(&self) {
        let start = Instant::now();
        while self.shared.process.current() > 0 {
            assert!(start.elapsed() < LONG, "a session does not end");
            thread::yield_now();
        }
    }

    fn drain(mut self) -> Ended {
        self.stop.send_replace(true);
        self.thread.take().expect("drained once").join().expect("no panic")
    }
}

/// The fields of a tcplog line that a test looks at.
#[derive(Debug)]
struct End {
    server: String,
    times: [i64; 3],
    bytes: u64,
    code: String,
    counts: String,
    queues: String,
}

impl End {
    fn of(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [client, date, frontend, server, times, bytes, code, counts, queues] = words[..] else {
            panic!("not a tcplog line: {line}");
        };
        assert!(client.starts_with("127.0.0.1:"), "{line}");
        assert!(date.starts_with('[') && date.ends_with(']') && date.len() == 26, "{line}");
        assert_eq!(frontend, "l");
        let times: Vec<i64> =
            times.split('/').map(|time| time.parse().expect("a number")).collect();
        Self {
            server: server.to_owned(),
            times: times.try_into().expect("three times"),
            bytes: bytes.parse().expect("a number"),
            code: code.to_owned(),
            counts: counts.to_owned(),
            queues: queues.to_owned(),
        }
    }

    /// Server, bytes, code, counts, queues.
    fn what(&self) -> (&str, u64, &str, &str, &str) {
        (&self.server, self.bytes, &self.code, &self.counts, &self.queues)
    }
}

fn ask(socket: &mut TcpStream, question: &str) -> String {
    socket.write_all(question.as_bytes()).expect("room");
    let mut answer = vec![0; question.len() + 3];
    socket.read_exact(&mut answer).expect("an answer");
    String::from_utf8(answer).expect("text")
}

fn reset(socket: TcpStream) {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// Reads to the end; how long it took.
fn wait_for_end(socket: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let _ = socket.read_to_end(&mut Vec::new());
    start.elapsed()
}

#[test]
fn a_session_that_ends_well_is_logged_with_two_dashes() {
    let (frontend, mut backend) = listen();
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "hi"), "ok:hi");
    drop(client);
    let end = proxy.end_of_line();
    assert_eq!(end.what(), ("l/s", 5, "--", "1/1/0/0/0", "0/0"));
    assert!(end.times.iter().all(|&time| (0..5_000).contains(&time)), "{end:?}");
    assert_eq!(proxy.drain(), Ended::Drained);
}

#[test]
fn the_end_of_a_client_is_passed_on_and_the_answer_still_comes() {
    let (frontend, mut backend) = listen();
    backend.servers.push(server(
        "s",
        server_that(|mut socket| {
            let mut text = String::new();
            socket.read_to_string(&mut text).expect("text and its end");
            socket.write_all(text.to_uppercase().as_bytes()).expect("room");
        }),
    ));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    client.write_all(b"all of it").expect("room");
    client.shutdown(Shutdown::Write).expect("connected");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer and its end");
    assert_eq!(answer, "ALL OF IT");
    assert_eq!(proxy.end_of_line().what(), ("l/s", 9, "--", "1/1/0/0/0", "0/0"));
}

#[test]
fn megabytes_cross_both_ways_unchanged() {
    const SIZE: usize = 20_000_000;
    let (frontend, mut backend) = listen();
    backend.servers.push(server(
        "s",
        server_that(|socket| {
            let mut from = socket.try_clone().expect("a descriptor");
            let mut to = socket;
            std::io::copy(&mut from, &mut to).expect("both are open");
        }),
    ));
    let proxy = haproxy((frontend, backend));
    let client = proxy.connect();
    let mut sending = client.try_clone().expect("a descriptor");
    let sent: Vec<u8> = (0..SIZE).map(|at| (at * 31 % 251) as u8).collect();
    let expected = sent.clone();
    let sender = thread::spawn(move || {
        sending.write_all(&sent).expect("room");
        sending.shutdown(Shutdown::Write).expect("connected");
    });
    let mut client = client;
    let mut received = Vec::with_capacity(SIZE);
    client.read_to_end(&mut received).expect("an answer and its end");
    sender.join().expect("no panic");
    assert!(received == expected, "{} bytes came back changed", received.len());
    assert_eq!(proxy.end_of_line().bytes, SIZE as u64);
}

#[test]
fn a_client_that_breaks_off_is_cd_and_a_server_that_does_is_sd() {
    let (frontend, mut backend) = listen();
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "x");
    reset(client);
    assert_eq!(proxy.end_of_line().what(), ("l/s", 4, "CD", "1/1/0/0/0", "0/0"));

    let (frontend, mut backend) = listen();
    backend.servers.push(server(
        "s",
        server_that(|mut socket| {
            // Not before it is established from both ends.
            let _ = socket.read(&mut [0]);
            reset(socket);
        }),
    ));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    client.write_all(b"x").expect("room");
    wait_for_end(&mut client);
    assert_eq!(proxy.end_of_line().what(), ("l/s", 0, "SD", "1/1/0/0/0", "0/0"));
}

#[test]
fn silence_is_cd_of_the_client_first_and_sd_of_the_server() {
    let (mut frontend, mut backend) = listen();
    frontend.client_timeout = Some(SHORT);
    backend.server_timeout = Some(SHORT);
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "hi");
    assert!(wait_for_end(&mut client) >= SHORT - Duration::from_millis(20));
    let end = proxy.end_of_line();
    assert_eq!(end.what(), ("l/s", 5, "cD", "1/1/0/0/0", "0/0"));
    assert!(end.times[2] >= 300, "{end:?}");

    let (frontend, mut backend) = listen();
    backend.server_timeout = Some(SHORT);
    backend.servers.push(server("s", silent()));
    let proxy = haproxy((frontend, backend));
    wait_for_end(&mut proxy.connect());
    assert_eq!(proxy.end_of_line().what(), ("l/s", 0, "sD", "1/1/0/0/0", "0/0"));
}

#[test]
fn a_half_closed_session_has_timeouts_of_its_own() {
    let (mut frontend, mut backend) = listen();
    frontend.client_fin_timeout = Some(SHORT);
    backend.server_fin_timeout = Some(SHORT);
    backend.servers.push(server("s", silent()));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    client.shutdown(Shutdown::Write).expect("connected");
    wait_for_end(&mut client);
    assert_eq!(proxy.end_of_line().what(), ("l/s", 0, "sD", "1/1/0/0/0", "0/0"));
}

#[test]
fn a_tunnel_timeout_counts_once_both_have_talked() {
    let (mut frontend, mut backend) = listen();
    frontend.client_timeout = Some(LONG);
    backend.tunnel_timeout = Some(SHORT);
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "hi");
    wait_for_end(&mut client);
    assert_eq!(proxy.end_of_line().what(), ("l/s", 5, "cD", "1/1/0/0/0", "0/0"));
}

#[test]
fn a_refused_connect_is_repeated_and_then_sc() {
    let (frontend, mut backend) = listen();
    backend.retries = 2;
    backend.connect_timeout = Some(Duration::from_millis(100));
    backend.servers.push(server("s", refused()));
    let proxy = haproxy((frontend, backend));
    wait_for_end(&mut proxy.connect());
    let end = proxy.end_of_line();
    assert_eq!(end.what(), ("l/s", 0, "SC", "1/1/0/0/2", "0/0"));
    assert_eq!(end.times[1], -1);
    assert!(end.times[2] >= 200, "two pauses of 100 ms: {end:?}");
}

#[test]
fn a_connect_that_is_not_answered_is_sc_in_small() {
    let mute = Mute::new();
    let (frontend, mut backend) = listen();
    backend.retries = 1;
    backend.connect_timeout = Some(Duration::from_millis(200));
    backend.servers.push(server("s", mute.address));
    let proxy = haproxy((frontend, backend));
    wait_for_end(&mut proxy.connect());
    let end = proxy.end_of_line();
    assert_eq!(end.what(), ("l/s", 0, "sC", "1/1/0/0/1", "0/0"));
    assert!(end.times[2] >= 400, "two timeouts: {end:?}");
}

#[test]
fn a_silent_client_is_blamed_when_its_time_is_over_first() {
    let mute = Mute::new();
    let (mut frontend, mut backend) = listen();
    frontend.client_timeout = Some(Duration::from_millis(100));
    backend.retries = 1;
    backend.connect_timeout = Some(Duration::from_millis(200));
    backend.servers.push(server("s", mute.address));
    let proxy = haproxy((frontend, backend));
    wait_for_end(&mut proxy.connect());
    assert_eq!(proxy.end_of_line().what(), ("l/s", 0, "cC", "1/1/0/0/1", "0/0"));
}

#[test]
fn a_client_that_leaves_while_a_server_is_looked_for_is_cc_or_cd() {
    let mute = Mute::new();
    let (frontend, mut backend) = listen();
    backend.retries = 0;
    backend.connect_timeout = Some(Duration::from_millis(500));
    backend.servers.push(server("s", mute.address));
    let proxy = haproxy((frontend, backend));
    drop(proxy.connect());
    assert_eq!(proxy.end_of_line().code, "CC");
    reset(proxy.connect());
    assert_eq!(proxy.end_of_line().code, "CD");
    // Who has asked is answered, though it has nothing to add.
    let mut client = proxy.connect();
    client.write_all(b"question").expect("room");
    client.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(client.read(&mut [0]).expect("an end and no reset"), 0);
    assert_eq!(proxy.end_of_line().code, "sC");
}

#[test]
fn a_redispatch_finds_another_server_at_once() {
    let (frontend, mut backend) = listen();
    backend.redispatch = Some(-1);
    backend.servers.push(server("bad", refused()));
    backend.servers.push(Server { id: 2, ..server("s", echo()) });
    let proxy = haproxy((frontend, backend));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut client = proxy.connect();
        assert_eq!(ask(&mut client, "hi"), "ok:hi");
        drop(client);
        let end = proxy.end_of_line();
        proxy.settle();
        assert_eq!((&*end.server, &*end.code), ("l/s", "--"));
        seen.push(end.counts);
    }
    seen.sort_unstable();
    assert!(seen.contains(&"1/1/0/0/+1".to_owned()), "{seen:?}");
}

#[test]
fn a_backup_serves_only_while_no_other_is_left() {
    let (frontend, mut backend) = listen();
    backend.servers.push(server("a", echo()));
    backend.servers.push(Server { id: 2, backup: true, ..server("b", echo()) });
    let proxy = haproxy((frontend, backend));
    let used = || {
        ask(&mut proxy.connect(), "hi");
        let server = proxy.end_of_line().server;
        proxy.settle();
        server
    };
    assert_eq!([used(), used()], ["l/a", "l/a"]);
    proxy.shared.set_server_state(0, 0, State::Down);
    assert_eq!([used(), used()], ["l/b", "l/b"]);
    proxy.shared.set_server_state(0, 1, State::Down);
    wait_for_end(&mut proxy.connect());
    let end = proxy.end_of_line();
    assert_eq!(end.what(), ("l/<NOSRV>", 0, "SC", "1/1/0/0/0", "0/0"));
    assert_eq!(end.times[..2], [-1, -1]);
    proxy.shared.set_server_state(0, 0, State::Up);
    assert_eq!(used(), "l/a");
}

#[test]
fn who_waits_for_a_slot_is_served_or_gives_up() {
    let (frontend, mut backend) = listen();
    backend.queue_timeout = Some(SHORT);
    backend.servers.push(Server { maxconn: Some(1), ..server("s", echo()) });
    let proxy = haproxy((frontend, backend));
    let queued = || {
        let start = Instant::now();
        while proxy.shared.backends[0].balancer.look(|pool| pool.view().waiting) == 0 {
            assert!(start.elapsed() < LONG, "nobody waits");
            thread::yield_now();
        }
    };

    let all_but_one = || {
        let start = Instant::now();
        while proxy.shared.process.current() > 1 {
            assert!(start.elapsed() < LONG, "a session does not end");
            thread::yield_now();
        }
    };
    let mut first = proxy.connect();
    ask(&mut first, "1");
    wait_for_end(&mut proxy.connect());
    let end = proxy.end_of_line();
    all_but_one();
    assert_eq!(end.what(), ("l/<NOSRV>", 0, "sQ", "2/2/1/0/0", "0/1"));
    assert!(end.times[0] >= 300 && end.times[1] == -1, "{end:?}");

    for (leave, code) in [(drop as fn(TcpStream), "CQ"), (reset, "CD")] {
        let leaving = proxy.connect();
        queued();
        leave(leaving);
        assert_eq!(proxy.end_of_line().what(), ("l/<NOSRV>", 0, code, "2/2/1/0/0", "0/1"));
        all_but_one();
    }

    let mut patient = proxy.connect();
    queued();
    drop(first);
    assert_eq!(proxy.end_of_line().code, "--");
    assert_eq!(ask(&mut patient, "2"), "ok:2");
    drop(patient);
    assert_eq!(proxy.end_of_line().what(), ("l/s", 4, "--", "1/1/0/0/0", "0/1"));
}

#[test]
fn a_full_frontend_leaves_clients_in_the_kernel() {
    let (mut frontend, mut backend) = listen();
    frontend.maxconn = Some(1);
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let mut first = proxy.connect();
    ask(&mut first, "1");
    let mut second = proxy.connect();
    second.write_all(b"2").expect("room");
    second.set_read_timeout(Some(SHORT)).expect("a timeout");
    let early = second.read(&mut [0; 8]).expect_err("it is not accepted yet");
    assert!(matches!(early.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    drop(first);
    second.set_read_timeout(Some(LONG)).expect("a timeout");
    let mut answer = [0; 4];
    second.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"ok:2");
}

#[test]
fn sessions_end_when_an_operator_or_a_check_says_so() {
    let (frontend, mut backend) = listen();
    backend
        .servers
        .push(Server { on_marked_down: OnMarkedDown::ShutdownSessions, ..server("s", echo()) });
    let proxy = haproxy((frontend, backend));
    for (cause, code) in [(Cause::Killed, "KC"), (Cause::ServerDown, "DC")] {
        let mut client = proxy.connect();
        ask(&mut client, "hi");
        assert_eq!(proxy.shared.shutdown_sessions(0, Some(1), cause), 0, "another server");
        assert_eq!(proxy.shared.shutdown_sessions(0, Some(0), cause), 1);
        wait_for_end(&mut client);
        assert_eq!(proxy.end_of_line().what(), ("l/s", 5, code, "1/1/0/0/0", "0/0"));
        proxy.settle();
    }
}

#[test]
fn a_drained_proxy_refuses_new_clients_and_waits_for_the_old() {
    let (frontend, mut backend) = listen();
    backend.servers.push(server("s", echo()));
    let mut proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "1");
    proxy.stop.send_replace(true);
    let start = Instant::now();
    while TcpStream::connect(proxy.address).is_ok() {
        assert!(start.elapsed() < LONG, "it still listens");
    }
    assert_eq!(ask(&mut client, "2"), "ok:2");
    drop(client);
    let thread = proxy.thread.take().expect("it runs");
    assert_eq!(thread.join().expect("no panic"), Ended::Drained);
}

#[test]
fn a_null_connection_is_logged_unless_it_is_not_to_be() {
    let (mut frontend, mut backend) = listen();
    frontend.log.dontlognull = true;
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    drop(proxy.connect());
    ask(&mut proxy.connect(), "hi");
    assert_eq!(proxy.end_of_line().bytes, 5, "the first line is of the second connection");
}

#[test]
fn logasap_writes_early_and_marks_what_is_not_final() {
    let (mut frontend, mut backend) = listen();
    frontend.log.logasap = true;
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "hi");
    let line = proxy.line();
    assert!(line.contains("/+") && line.contains(" +0 -- 1/1/1/1/0 0/0"), "{line}");
}

#[test]
fn without_a_format_the_beginning_is_logged() {
    let (mut frontend, mut backend) = listen();
    frontend.log.format = LogFormat::Connect;
    backend.servers.push(server("s", echo()));
    let proxy = haproxy((frontend, backend));
    let client = proxy.connect();
    let (from, to) = (client.local_addr().expect("connected"), proxy.address);
    assert_eq!(proxy.line(), format!("Connect from {from} to {to} (l/TCP)"));
}

fn nginx() -> (Frontend, Backend) {
    let (mut frontend, mut backend) = listen();
    frontend.kind = FrontendKind::NginxServer;
    frontend.client_timeout = None;
    backend.server_timeout = None;
    backend.half_close = proxy::HalfClose::CloseBoth;
    backend.algorithm = proxy::Algorithm::SmoothRoundRobin;
    backend.next_upstream = Some(proxy::NextUpstream { enabled: true, ..Default::default() });
    (frontend, backend)
}

fn peer(name: &str, address: SocketAddr) -> Server {
    Server { passive: Some(proxy::Passive::default()), ..server(name, address) }
}

/// What follows the connection number.
fn text(line: &str) -> &str {
    line.split_once("nginx: *").and_then(|(_, rest)| rest.split_once(' ')).expect("a number").1
}

#[test]
fn nginx_closes_both_sides_when_one_ends() {
    let (frontend, mut backend) = nginx();
    backend.servers.push(peer("s", silent()));
    let proxy = start(Flavour::Nginx, (frontend, backend));
    let mut client = proxy.connect();
    client.shutdown(Shutdown::Write).expect("connected");
    wait_for_end(&mut client);
    let from = client.local_addr().expect("connected");
    assert_eq!(text(&proxy.line()), format!("client {from} connected to l"));
    assert!(text(&proxy.line()).starts_with("proxy 127.0.0.1:"));
    assert_eq!(
        text(&proxy.line()),
        "client disconnected, bytes from/to client:0/0, bytes from/to upstream:0/0"
    );
}

#[test]
fn nginx_asks_the_next_server_and_leaves_the_failed_one_out() {
    let bad = refused();
    let (frontend, mut backend) = nginx();
    backend.servers.push(peer("bad", bad));
    backend.servers.push(peer("s", echo()));
    let proxy = start(Flavour::Nginx, (frontend, backend));
    let lines = |count: usize| -> Vec<String> {
        (0..count).map(|_| text(&proxy.line()).to_owned()).collect()
    };
    assert_eq!(ask(&mut proxy.connect(), "hi"), "ok:hi");
    let seen = lines(5);
    assert_eq!(
        seen[1],
        format!(
            "connect() failed (111: Connection refused) while connecting to upstream, client: \
             127.0.0.1, server: l, upstream: \"{bad}\", bytes from/to client:0/0, bytes from/to \
             upstream:0/0"
        )
    );
    assert!(seen[2].starts_with(
        "upstream server temporarily disabled while connecting to upstream, client: 127.0.0.1"
    ));
    assert_eq!(ask(&mut proxy.connect(), "hi"), "ok:hi");
    assert_eq!(lines(3).iter().filter(|line| line.contains("failed")).count(), 0);
}

#[test]
fn nginx_tries_each_server_once_and_then_has_no_live_one() {
    let (frontend, mut backend) = nginx();
    backend.name = "masters".into();
    backend.servers.push(peer("a", refused()));
    backend.servers.push(peer("b", refused()));
    let proxy = start(Flavour::Nginx, (frontend, backend));
    let mut client = proxy.connect();
    wait_for_end(&mut client);
    proxy.settle();
    wait_for_end(&mut proxy.connect());
    let lines = [(); 7].map(|()| proxy.line());
    let kinds = lines.each_ref().map(|line| text(line).split(" while").next().expect("a start"));
    let from = client.local_addr().expect("connected");
    let first = format!("client {from} connected to l");
    assert_eq!(
        kinds[..5],
        [
            first.as_str(),
            "connect() failed (111: Connection refused)",
            "upstream server temporarily disabled",
            "connect() failed (111: Connection refused)",
            "upstream server temporarily disabled",
        ]
    );
    assert_eq!(
        text(&lines[6]),
        "no live upstreams while connecting to upstream, client: 127.0.0.1, server: l, upstream: \
         \"masters\", bytes from/to client:0/0, bytes from/to upstream:0/0"
    );
    // Two connections to servers were numbered as well.
    assert!(lines[0].contains("nginx: *1 ") && lines[6].contains("nginx: *4 "), "{lines:?}");
}

#[test]
fn nginx_names_the_side_that_broke_off() {
    let (frontend, mut backend) = nginx();
    let address = server_that(|mut socket| {
        let _ = socket.read(&mut [0]);
        reset(socket);
    });
    backend.servers.push(peer("s", address));
    let proxy = start(Flavour::Nginx, (frontend, backend));
    let mut client = proxy.connect();
    client.write_all(b"x").expect("room");
    wait_for_end(&mut client);
    let [_, _, reason, end] = [(); 4].map(|()| proxy.line());
    assert_eq!(
        text(&reason),
        format!(
            "recv() failed (104: Connection reset by peer) while proxying and reading from \
             upstream, client: 127.0.0.1, server: l, upstream: \"{address}\", bytes from/to \
             client:1/0, bytes from/to upstream:0/1"
        )
    );
    assert!(text(&end).starts_with("upstream disconnected, bytes from/to client:1/0"), "{end}");

    let (frontend, mut backend) = nginx();
    backend.servers.push(peer("s", echo()));
    let proxy = start(Flavour::Nginx, (frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "hi");
    reset(client);
    let [_, _, reason, end] = [(); 4].map(|()| proxy.line());
    assert!(
        text(&reason).starts_with(
            "recv() failed (104: Connection reset by peer) while proxying and reading from client, \
             client: 127.0.0.1, server: l, upstream: \""
        ),
        "{reason}"
    );
    assert!(text(&end).starts_with("client disconnected, bytes from/to client:2/5"), "{end}");
}

#[test]
fn nginx_ends_what_is_idle_in_both_directions() {
    let (frontend, mut backend) = nginx();
    backend.idle_timeout = Some(SHORT);
    backend.servers.push(peer("s", echo()));
    let proxy = start(Flavour::Nginx, (frontend, backend));
    let mut client = proxy.connect();
    ask(&mut client, "hi");
    assert!(wait_for_end(&mut client) >= SHORT - Duration::from_millis(20));
    let [_, _, line] = [(); 3].map(|()| proxy.line());
    assert!(
        text(&line).starts_with(
            "connection timed out (110: Connection timed out) while proxying connection, client: \
             127.0.0.1, server: l, upstream: \""
        ) && line.ends_with("bytes from/to client:2/5, bytes from/to upstream:5/2"),
        "{line}"
    );
}

#[test]
fn an_idle_session_is_small() {
    // Beside it live two registrations of tokio, 256 bytes each, and half as much again is lost to
    // their alignment. Half of HAProxy's memory per idle connection is 1,670 bytes.
    assert!(
        size_of::<crate::session::Serve>() <= 312,
        "{} bytes",
        size_of::<crate::session::Serve>()
    );
}
