use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use balance::{ServerId, State};
use check::{
    Action, Config, Connect, Expect, Heard, Left, LogLine, Match, Moved, Named, Probe, Reason,
    Status, Why, Words,
};
use daemon::clock::Clock;
use proxy::{
    Backend, Facility, Flavour, LogAddress, LogFraming, LogTarget, Server, ServerAddress, Threads,
};
use relay::Target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::LocalSet;

use super::ward::on_terminal;
use super::*;

mod course;
mod faults;

/// Nothing: for checks that are made of bytes alone.
struct NoWords;

impl Words for NoWords {
    fn matches(&self, _: usize, _: &[u8]) -> bool {
        false
    }
    fn format(&mut self, _: usize, _: Heard<'_>) -> Vec<u8> {
        Vec::new()
    }
    fn number(&mut self, _: usize, _: Heard<'_>) -> Option<i64> {
        None
    }
    fn act(&mut self, _: usize, _: Heard<'_>) {}
    fn state(&mut self) -> String {
        String::new()
    }
}

/// Longer than anything here takes; a test that waits for so long has failed.
const LONG: Duration = Duration::from_secs(20);

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A listener whose queue is looked at without waiting.
fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(loopback()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn accepted(listener: &TcpListener) -> usize {
    let mut accepted = 0;
    loop {
        match listener.accept() {
            Ok(_) => accepted += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return accepted,
            Err(error) => panic!("{error}"),
        }
    }
}

fn quick(probe: Probe) -> Config {
    let timeout_check = Some(LONG);
    Config { inter: Duration::from_millis(20), probe, timeout_check, ..Config::default() }
}

/// One check of what listens at `address`.
async fn probe(config: &Config, address: SocketAddr) -> Reason {
    let board = Board::new(&proxy::Config::new(Flavour::HaProxy).into()).unwrap();
    let target = Target::Inet(address);
    probe::Probe::new(config, target, None, &board).run(&Clock::start(), &mut NoWords).await
}

#[tokio::test]
async fn a_plain_check_never_reaches_accept() {
    let (listener, address) = listener();
    for probed in [Probe::Connect, Probe::Tcp { steps: vec![] }] {
        let config = Config { inter: LONG, ..quick(probed) };
        for _ in 0..50 {
            assert_eq!(probe(&config, address).await.verdict.status, Status::L4Ok);
        }
    }
    assert_eq!(accepted(&listener), 0, "of 100 checks");
}

#[tokio::test]
async fn a_check_that_lingers_does() {
    let (listener, address) = listener();
    let connect = Connect { linger: true, ..Connect::default() };
    let config = Config {
        inter: LONG,
        ..quick(Probe::Tcp { steps: vec![Action::Connect(connect).into()] })
    };
    for _ in 0..10 {
        assert_eq!(probe(&config, address).await.verdict.status, Status::L4Ok);
    }
    assert_eq!(accepted(&listener), 10);
}

#[tokio::test]
async fn a_refused_check_says_what_the_system_says() {
    let (listener, address) = listener();
    drop(listener);
    let verdict = probe(&quick(Probe::Connect), address).await.verdict;
    let refused = check::Verdict::new(Status::L4Connection).because("Connection refused");
    assert_eq!(verdict, refused);
}

#[tokio::test]
async fn an_http_check_talks_to_the_server() {
    let listener = tokio::net::TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let steps = vec![Action::Expect(Expect::from(Match::Status(vec![204..=204]))).into()];
    let config = Config { inter: LONG, ..quick(Probe::http(steps)) };
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 64];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        request[..length].to_vec()
    };
    let (reason, request) = tokio::join!(probe(&config, address), served);
    assert_eq!((reason.verdict.status, reason.verdict.code), (Status::L7Ok, 204));
    assert_eq!(request, b"OPTIONS / HTTP/1.0\r\n\r\n");
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let (_listener, address) = listener();
    let config = Config {
        inter: Duration::from_millis(60),
        timeout_check: None,
        ..quick(Probe::http(vec![]))
    };
    let reason = probe(&config, address).await;
    assert_eq!(reason.verdict.status, Status::L7Timeout);
    assert!(reason.duration >= Duration::from_millis(60), "{:?}", reason.duration);
    let plain = Config { tls: true, ..config };
    assert_eq!(probe(&plain, address).await.verdict.status, Status::L6Timeout);
}

#[test]
fn a_ca_file_that_is_not_there_is_found_before_anything_starts() {
    let ca_file = "/nonexistent/ca.pem".to_owned();
    let verify = check::Verify::Required { ca_file, host: None };
    let check = Config { tls: true, verify, ..Config::default() };
    let mut config = proxy::Config::new(Flavour::HaProxy);
    config.backends.push(backend(vec![Server {
        check: Some(check),
        ..Server::new(1, "s", ServerAddress::Socket(loopback()))
    }]));
    let error = Board::new(&config.into()).unwrap_err().to_string();
    assert!(error.starts_with("unable to load the CA file '/nonexistent/ca.pem'"), "{error}");
}

fn backend(servers: Vec<Server>) -> Backend {
    Backend { servers, ..Backend::new(2, "be") }
}

/// Runs the checks of one backend and hands its log lines, without dates, to `watch`.
fn watching<F: Future<Output = ()>>(
    backend: Backend,
    watch: impl FnOnce(Lines, &'static Shared) -> F,
) {
    watching_with(backend, |_| {}, watch);
}

/// The same, of a configuration that is changed before.
fn watching_with<F: Future<Output = ()>>(
    mut backend: Backend,
    change: impl FnOnce(&mut proxy::Config),
    watch: impl FnOnce(Lines, &'static Shared) -> F,
) {
    let log = UdpSocket::bind(loopback()).unwrap();
    log.set_nonblocking(true).unwrap();
    backend.log.push(LogTarget {
        framing: LogFraming::Priority,
        ..LogTarget::new(LogAddress::Udp(log.local_addr().unwrap()), Facility(16))
    });
    let mut config = proxy::Config::new(Flavour::HaProxy);
    config.process.threads = Threads::Count(1);
    config.backends.push(backend);
    change(&mut config);
    let shared: &'static Shared = Box::leak(Box::new(Shared::new(config).unwrap()));
    let board: &'static Board = Box::leak(Box::new(Board::new(&shared.config).unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let lines = Lines(tokio::net::UdpSocket::from_std(log).unwrap());
        let checks = tokio::task::spawn_local(run(shared, board, false));
        tokio::time::timeout(LONG, watch(lines, shared)).await.expect("in time");
        checks.abort();
    });
}

struct Lines(tokio::net::UdpSocket);

impl Lines {
    /// The next line, without how long a check took.
    async fn next(&self) -> String {
        let mut line = [0; 2048];
        let length = self.0.recv(&mut line).await.unwrap();
        let line = String::from_utf8_lossy(&line[..length]);
        match line.trim_end().split_once("check duration: ") {
            Some((before, after)) => {
                let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
                format!("{before}check duration: N{after}")
            }
            None => line.trim_end().to_owned(),
        }
    }
}

fn checked(address: SocketAddr, config: Config) -> Server {
    Server { check: Some(config), ..Server::new(1, "s", ServerAddress::Socket(address)) }
}

#[test]
fn a_server_that_dies_is_taken_out_and_one_that_returns_is_used_again() {
    let (listener, address) = listener();
    let config = Config { rise: 2, fall: 3, ..quick(Probe::Connect) };
    let server = Server { slowstart: Duration::from_millis(30), ..checked(address, config) };
    watching(backend(vec![server]), |lines, shared| async move {
        let state = || shared.backends[0].balancer.look(|pool| pool.server(ServerId(0)).state);
        drop(listener);
        let refused = "Layer4 connection problem, info: \"Connection refused\"";
        let down = format!(
            "<129>Server be/s is DOWN, reason: {refused}, check duration: Nms. 0 active and 0 \
             backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        );
        assert_eq!(lines.next().await, down);
        assert_eq!(lines.next().await, "<128>backend be has no server available!");
        assert_eq!(state(), State::Down);
        let _listener = TcpListener::bind(address).unwrap();
        let online = "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.";
        let up = "reason: Layer4 check passed, check duration: Nms";
        assert_eq!(lines.next().await, format!("<133>Server be/s is UP, {up}. {online}"));
        // The end of the slow start.
        assert_eq!(lines.next().await, format!("<133>Server be/s is UP. {online}"));
        assert_eq!(state(), State::Up);
    });
}

#[test]
fn with_log_health_checks_each_step_has_a_line() {
    let (_listener, address) = listener();
    let config = Config { log: true, ..quick(Probe::Connect) };
    watching(backend(vec![checked(address, config)]), |lines, _| async move {
        let first = "<133>Health check for server be/s succeeded, reason: Layer4 check passed, \
                     check duration: Nms, status: 3/3 UP.";
        assert_eq!(lines.next().await, first);
    });
}

#[test]
fn a_disabled_server_is_not_checked() {
    let (listener, address) = listener();
    drop(listener);
    let disabled = Server {
        disabled: true,
        ..checked(address, Config { log: true, ..quick(Probe::Connect) })
    };
    let other = Server { id: 2, name: "t".into(), disabled: false, ..disabled.clone() };
    watching(backend(vec![disabled, other]), |lines, _| async move {
        let line = lines.next().await;
        assert!(line.contains("server be/t failed"), "{line}");
        let line = lines.next().await;
        assert!(line.contains("Server be/t is DOWN. 0 active and 0 backup"), "{line}");
    });
}

#[test]
fn in_the_foreground_lines_look_as_haproxys_do() {
    let pid = std::process::id();
    let nobody = LogLine::NoServer { backend: "be", listen: false };
    let text = format!("[ALERT]    ({pid}) : backend 'be' has no server available!");
    assert_eq!(on_terminal(nobody), text);
    let who = Named { backend: "be", server: "s", backup: false };
    let left = Left { active: 1, ..Left::default() };
    let (moved, why) = (Moved::Up, Why::Unsaid);
    let up = LogLine::Moved { who, moved, via: None, why, left, was_stopping: false };
    let head = format!("[WARNING]  ({pid}) : Server be/s is UP. 1 active");
    assert!(on_terminal(up).starts_with(&head));
}
