//! Datagrams through `stream {}`, as `nginx`: what comes together, and what comes late.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_read_timeout(Some(LIMIT)).expect("settable");
    socket
}

/// A port that was free a moment ago.
fn free() -> u16 {
    socket().local_addr().expect("bound").port()
}

struct Nginx {
    child: Child,
    directory: tempfile::TempDir,
}

impl Nginx {
    fn start(stream: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let own = directory.path();
        let text = format!(
            "daemon off; pid n.pid; error_log log info;\nevents {{}}\nstream {{ {stream} }}\n"
        );
        std::fs::write(own.join("file"), text).expect("writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("nginx").args(["-c", "file", "-p"]).arg(own).stdin(Stdio::null());
        command.env("EVERGATE_RELOAD", "new-worker");
        let nginx = Self { child: command.spawn().expect("it runs"), directory };
        nginx.until("start worker process ", 1);
        nginx
    }

    /// Waits until its log has said `text` so often.
    fn until(&self, text: &str, times: usize) {
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            let log = log.unwrap_or_default();
            if log.matches(text).count() >= times {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "it did not say '{text}' {times} times:\n{log}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Sends back what it is sent.
fn repeat() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..length], from).expect("it asked");
        }
    });
    address
}

#[test]
fn what_many_clients_send_at_once_comes_back_to_each_in_order_from_where_it_was_sent() {
    let (all, one, server) = (free(), free(), repeat());
    let _nginx = Nginx::start(&format!(
        "server {{ listen {all} udp; proxy_pass {server}; }}\n\
         server {{ listen 127.0.0.1:{one} udp; proxy_pass {server}; }}"
    ));
    for (to, port) in [(Ipv4Addr::new(127, 0, 0, 9), all), (Ipv4Addr::LOCALHOST, one)] {
        let to = SocketAddr::new(IpAddr::V4(to), port);
        let clients: Vec<UdpSocket> = (0..8).map(|_| socket()).collect();
        for turn in 0..20_u8 {
            for (number, client) in (0_u8..).zip(&clients) {
                // Of several lengths, none among them.
                let text = vec![number; usize::from(turn) * 7];
                client.send_to(&text, to).expect("it listens");
            }
        }
        for (number, client) in (0_u8..).zip(&clients) {
            for turn in 0..20_u8 {
                let mut buffer = [0; 256];
                let (length, from) = client.recv_from(&mut buffer).expect("an answer");
                assert_eq!(buffer[..length], vec![number; usize::from(turn) * 7]);
                assert_eq!(from, to);
            }
        }
    }
}

#[test]
fn sessions_of_so_many_requests_take_that_many_even_when_all_come_at_once() {
    let port = free();
    let server = socket();
    let _nginx = Nginx::start(&format!(
        "server {{ listen 127.0.0.1:{port} udp; proxy_requests 2; proxy_pass {}; }}",
        server.local_addr().expect("bound")
    ));
    let client = socket();
    for number in 0..6_u8 {
        client.send_to(&[number], (Ipv4Addr::LOCALHOST, port)).expect("it listens");
    }
    let mut sessions = std::collections::BTreeMap::<SocketAddr, Vec<u8>>::new();
    for _ in 0..6 {
        let mut buffer = [0; 8];
        let (_, from) = server.recv_from(&mut buffer).expect("a datagram");
        sessions.entry(from).or_default().push(buffer[0]);
    }
    let mut sessions: Vec<Vec<u8>> = sessions.into_values().collect();
    sessions.sort();
    assert_eq!(sessions, [[0, 1], [2, 3], [4, 5]]);
}

#[test]
fn an_answer_that_comes_after_a_reload_still_finds_its_client() {
    let port = free();
    let server = socket();
    let nginx = Nginx::start(&format!(
        "server {{ listen 127.0.0.1:{port} udp; proxy_pass {}; }}",
        server.local_addr().expect("bound")
    ));
    let client = socket();
    client.send_to(b"early", (Ipv4Addr::LOCALHOST, port)).expect("it listens");
    let mut buffer = [0; 8];
    let (_, session) = server.recv_from(&mut buffer).expect("a datagram");
    kill(Pid::from_raw(nginx.child.id() as i32), Signal::SIGHUP).expect("it runs");
    nginx.until("start worker process ", 2);
    for word in [b"one", b"two"] {
        server.send_to(word, session).expect("it is there");
        let (length, _) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..length], word);
    }
}

#[test]
fn a_server_that_refuses_ends_no_other_session() {
    let (good, bad, nobody) = (free(), free(), free());
    let server = repeat();
    let nginx = Nginx::start(&format!(
        "server {{ listen 127.0.0.1:{good} udp; proxy_pass {server}; }}\n\
         server {{ listen 127.0.0.1:{bad} udp; proxy_pass 127.0.0.1:{nobody}; }}"
    ));
    let (client, other) = (socket(), socket());
    for turn in 0..40_u8 {
        client.send_to(&[turn], (Ipv4Addr::LOCALHOST, bad)).expect("it listens");
        other.send_to(&[turn], (Ipv4Addr::LOCALHOST, good)).expect("it listens");
    }
    for turn in 0..40 {
        let mut buffer = [0; 8];
        other.recv_from(&mut buffer).expect("an answer");
        assert_eq!(buffer[0], turn);
    }
    nginx.until("failed (111: Connection refused)", 1);
}
