//! How `upstream {}` picks servers where nginx's free version does not: `least_time`, `slow_start`,
//! `drain` and `queue`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn free() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("bound").port()
}

struct Running {
    child: Child,
    directory: tempfile::TempDir,
}

impl Running {
    fn start(stream: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let text = format!(
            "daemon off; pid n.pid; error_log error.log notice; events {{}} stream {{ {stream} }}"
        );
        std::fs::write(directory.path().join("n.conf"), text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("nginx").args(["-c", "n.conf", "-p"]).arg(directory.path());
        let stderr = std::fs::File::create(directory.path().join("stderr")).expect("created");
        let child = command.stdin(Stdio::null()).stderr(stderr).spawn().expect("it starts");
        until("the pid file", || directory.path().join("n.pid").exists());
        Self { child, directory }
    }

    /// Waits until the log, or standard error, says this.
    fn says(&self, text: &str) {
        let file = |name| std::fs::read_to_string(self.directory.path().join(name));
        let says = |name| file(name).unwrap_or_default().contains(text);
        until(text, || says("error.log") || says("stderr"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A server that waits, says its name, and closes when its client does.
fn server(name: &'static str, wait: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                thread::sleep(wait);
                let _ = client.write_all(name.as_bytes());
                let _ = client.read(&mut [0; 16]);
            });
        }
    });
    port
}

fn connect(port: u16) -> TcpStream {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    client
}

/// One byte, or nothing where the connection is closed.
fn byte(client: &mut TcpStream) -> String {
    let mut byte = [0];
    match client.read(&mut byte) {
        Ok(1) => char::from(byte[0]).to_string(),
        _ => String::new(),
    }
}

fn asks(port: u16) -> String {
    byte(&mut connect(port))
}

#[test]
fn least_time_prefers_whoever_answers_sooner_and_what_is_weighed_is_checked() {
    let (slow, fast) = (server("s", Duration::from_millis(200)), server("f", Duration::ZERO));
    let [first, last, datagrams] = [free(), free(), free()];
    let echo = |name: &'static [u8], wait: Duration| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut bytes) {
                thread::sleep(wait);
                let _ = socket.send_to(name, from);
            }
        });
        port
    };
    let (sleepy, quick) = (echo(b"s", Duration::from_millis(200)), echo(b"f", Duration::ZERO));
    let _nginx = Running::start(&format!(
        "upstream a {{ least_time first_byte; server 127.0.0.1:{slow}; server 127.0.0.1:{fast}; }}
         upstream b {{ least_time last_byte inflight; server 127.0.0.1:{slow}; server 127.0.0.1:{fast}; }}
         upstream c {{ least_time first_byte; server 127.0.0.1:{sleepy}; server 127.0.0.1:{quick}; }}
         server {{ listen 127.0.0.1:{first}; proxy_pass a; }}
         server {{ listen 127.0.0.1:{last}; proxy_pass b; }}
         server {{ listen 127.0.0.1:{datagrams} udp; proxy_pass c; proxy_responses 1; }}"
    ));
    for port in [first, last] {
        let turns: String = (0..12).map(|_| asks(port)).collect();
        assert!(turns.matches('s').count() <= 2, "{turns}");
        assert!(turns.ends_with("ffffffff"), "{turns}");
    }
    let turns: String = (0..8)
        .map(|_| {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
            client.set_read_timeout(Some(PATIENCE)).expect("set");
            client.send_to(b"?", (Ipv4Addr::LOCALHOST, datagrams)).expect("sent");
            let mut bytes = [0; 8];
            let length = client.recv(&mut bytes).expect("an answer");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        })
        .collect();
    assert!(turns.matches('s').count() <= 2 && turns.ends_with("ffff"), "{turns}");
}

#[test]
fn who_finds_no_server_waits_in_the_queue_for_so_long_and_in_such_numbers() {
    let (only, none) = (server("x", Duration::ZERO), free());
    let [port, hopeless, datagrams] = [free(), free(), free()];
    let echo = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let answers = echo.local_addr().expect("bound").port();
    let nginx = Running::start(&format!(
        "upstream a {{ queue 2 timeout=15s; server 127.0.0.1:{only} max_conns=1; }}
         upstream b {{ queue 1 timeout=100ms; server 127.0.0.1:{none} down; }}
         upstream c {{ queue 4; server 127.0.0.1:{answers} max_conns=1; }}
         server {{ listen 127.0.0.1:{port}; proxy_pass a; }}
         server {{ listen 127.0.0.1:{hopeless}; proxy_pass b; }}
         server {{ listen 127.0.0.1:{datagrams} udp; proxy_pass c; proxy_responses 1; }}"
    ));
    nginx.says("\"queue\" has an effect here");
    let mut holder = connect(port);
    assert_eq!(byte(&mut holder), "x");
    // Two wait, and a third is closed: whichever of them it is.
    let (told, hears) = mpsc::channel();
    for number in 0..3 {
        let told = told.clone();
        let mut client = connect(port);
        thread::spawn(move || {
            let said = byte(&mut client);
            let _ = told.send((number, said));
            // Its slot is given back here.
        });
    }
    let (_, said) = hears.recv_timeout(PATIENCE).expect("the third");
    assert_eq!(said, "", "closed at once");
    nginx.says("no live upstreams while connecting to upstream");
    drop(holder);
    for _ in 0..2 {
        let (_, said) = hears.recv_timeout(PATIENCE).expect("one that waited");
        assert_eq!(said, "x");
    }
    let begun = Instant::now();
    assert_eq!(asks(hopeless), "");
    assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
    // One who leaves leaves the queue as well.
    let mut holder = connect(port);
    assert_eq!(byte(&mut holder), "x");
    let gone = connect(port);
    drop(gone);
    drop(holder);
    assert_eq!(asks(port), "x");
    // Datagrams wait as connections do.
    let clients: Vec<UdpSocket> = (0..3)
        .map(|_| {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
            client.set_read_timeout(Some(PATIENCE)).expect("set");
            client.send_to(b"?", (Ipv4Addr::LOCALHOST, datagrams)).expect("sent");
            client
        })
        .collect();
    echo.set_read_timeout(Some(PATIENCE)).expect("set");
    for _ in &clients {
        let mut bytes = [0; 8];
        let (length, from) = echo.recv_from(&mut bytes).expect("one after another");
        echo.send_to(&bytes[..length], from).expect("sent");
    }
    for client in clients {
        assert_eq!(client.recv(&mut [0; 8]).expect("an answer"), 1);
    }
}

#[test]
fn a_server_that_drains_from_the_start_is_given_nobody_and_one_that_comes_back_little() {
    let (a, b) = (server("a", Duration::ZERO), server("b", Duration::ZERO));
    let [drained, slow] = [free(), free()];
    // It refuses at first, and answers later.
    let late = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = late.local_addr().expect("bound");
    drop(late);
    let nginx = Running::start(&format!(
        "upstream d {{ server 127.0.0.1:{a} drain; server 127.0.0.1:{b}; }}
         upstream s {{ server {address} fail_timeout=1s slow_start=1h; server 127.0.0.1:{b}; }}
         server {{ listen 127.0.0.1:{drained}; proxy_pass d; }}
         server {{ listen 127.0.0.1:{slow}; proxy_pass s; }}"
    ));
    nginx.says("\"drain\" has an effect here");
    nginx.says("\"slow_start\" has an effect here");
    let turns: String = (0..6).map(|_| asks(drained)).collect();
    assert_eq!(turns, "bbbbbb");
    let turns: String = (0..4).map(|_| asks(slow)).collect();
    assert_eq!(turns, "bbbb");
    let late = TcpListener::bind(address).expect("it was free a moment ago");
    thread::spawn(move || {
        for mut client in late.incoming().flatten() {
            let _ = client.write_all(b"l");
        }
    });
    // The first that is let through shows that it answers; after that it has its share of an hour.
    until("a trial", || asks(slow) == "l");
    let turns: String = (0..60).map(|_| asks(slow)).collect();
    assert!(turns.matches('l').count() <= 2, "{turns}");
}
