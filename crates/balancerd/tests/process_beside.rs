//! What `global` and a section say besides servers, beside HAProxy where that is installed: `grace`,
//! limits of rates, `dispatch`, transparent proxying, RDP cookies, UNIX sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

const DEFAULTS: &str =
    "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n";

/// A program that serves a file, until it is dropped.
struct Running {
    child: Child,
    directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// What it printed so far.
    fn printed(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("out")).unwrap_or_default()
    }

    fn says(&self, what: &str) -> String {
        let since = Instant::now();
        loop {
            let printed = self.printed();
            if printed.contains(what) {
                return printed;
            }
            assert!(since.elapsed() < LIMIT, "{what} in {printed}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ours, and the original: what `HAPROXY` names, or what Debian installs.
fn programs() -> Vec<(&'static str, Command)> {
    let mut ours = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    ours.arg0("haproxy");
    let path = std::env::var("HAPROXY").unwrap_or_else(|_| "/usr/sbin/haproxy".to_owned());
    if Path::new(&path).exists() {
        return vec![("ours", ours), ("HAProxy", Command::new(path))];
    }
    println!("SKIPPED: beside HAProxy: it is not installed");
    vec![("ours", ours)]
}

/// Starts a program on a socket it inherits, which the file calls `FD`; `DIR` is its directory.
fn start(mut command: Command, text: &str, front: &TcpListener) -> Running {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("h.cfg");
    let text = text.replace("DIR", &directory.path().display().to_string());
    std::fs::write(&path, text.replace("FD", "fd@${f0}")).expect("writable");
    fcntl(front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
    command.env("f0", front.as_raw_fd().to_string());
    let out = std::fs::File::create(directory.path().join("out")).expect("writable");
    let child = command
        .args(["-db", "-f"])
        .arg(path)
        .stdout(out.try_clone().expect("open"))
        .stderr(out)
        .stdin(Stdio::null())
        .spawn();
    fcntl(front, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("open");
    Running { child: child.expect("it runs"), directory }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

fn address(of: &TcpListener) -> SocketAddr {
    of.local_addr().expect("bound")
}

/// A server that says its name to each client.
fn server(name: &'static str) -> SocketAddr {
    let listener = listen();
    let at = address(&listener);
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let _ = client.write_all(name.as_bytes());
        }
    });
    at
}

/// What a client of `at` is told until the end, once it has said something.
fn ask(at: SocketAddr, first: &[u8]) -> String {
    let mut client = TcpStream::connect(at).expect("it listens");
    client.set_read_timeout(Some(LIMIT)).expect("settable");
    client.write_all(first).expect("it reads");
    let mut told = String::new();
    let _ = client.read_to_string(&mut told);
    told
}

fn rdp(cookie: &str) -> Vec<u8> {
    let line = format!("Cookie: {cookie}\r\n");
    let length = u8::try_from(line.len() + 6).expect("short");
    let mut bytes = vec![3, 0, 0, length + 5, length, 0xe0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(line.as_bytes());
    bytes
}

/// Where a connection goes, and what its log line calls the place.
#[test]
fn connections_go_past_the_servers_where_no_balance_is_said() {
    let (a, b, c) = (server("a"), server("b"), server("c"));
    let cookie = |to: SocketAddr| {
        let std::net::IpAddr::V4(ip) = to.ip() else { panic!("of IPv4") };
        rdp(&format!("msts={}.{}.0000", u32::from(ip).swap_bytes(), to.port().swap_bytes()))
    };
    let inspect = "tcp-request inspect-delay 9s\n tcp-request content accept if { req.rdp_cookie_cnt gt 0 }\n tcp-request content reject\n persist rdp-cookie\n balance first\n";
    let hashed = "tcp-request inspect-delay 9s\n tcp-request content accept if { req.rdp_cookie(mstshash) -m found }\n balance rdp-cookie\n";
    let cases: Vec<(String, &[u8])> = vec![
        (format!("dispatch {a}"), b"x"),
        (format!("dispatch {a}\n server b {b}"), b"x"),
        (format!("server b {b}\n dispatch {a}\n use-server b if TRUE"), b"x"),
        (format!("balance first\n dispatch {a}\n server b {b}"), b"x"),
        (format!("dispatch {a}\n server b {b} disabled"), b"x"),
        (format!("dispatch {a}\n option transparent"), b"x"),
    ];
    let mut cases: Vec<(String, Vec<u8>)> =
        cases.into_iter().map(|(text, first)| (text, first.to_vec())).collect();
    let servers = format!(" server a {a}\n server b {b}\n server c {c}");
    for to in [a, b, c] {
        cases.push((format!("{inspect}{servers}"), cookie(to)));
    }
    cases.push((format!("{inspect}{servers}"), rdp("msts=1.2.0000")));
    for user in ["anna", "bert", "carl", "dora", "emil", "fritz"] {
        cases.push((format!("{hashed}{servers}"), rdp(&format!("mstshash={user}"))));
    }
    for (case, first) in cases {
        let mut seen: Vec<(&str, String, String)> = Vec::new();
        for (who, command) in programs() {
            let front = listen();
            let text = format!(
                "global\n log stdout format raw local0\n{DEFAULTS} log global\n option tcplog\nlisten l\n bind FD\n {case}\n"
            );
            let running = start(command, &text, &front);
            let told = ask(address(&front), &first);
            let printed = running.says(" l l/");
            let line = printed.lines().find(|line| line.contains(" l l/")).unwrap_or_default();
            let server = line.split(" l l/").nth(1).and_then(|rest| rest.split(' ').next());
            seen.push((who, told, server.unwrap_or_default().to_owned()));
        }
        let (_, told, name) = &seen[0];
        assert!(!told.is_empty(), "{case}: {seen:?}");
        assert!(seen.iter().all(|(_, t, n)| (t, n) == (told, name)), "{case}: {seen:?}");
    }
}

#[test]
fn a_dispatch_address_that_nobody_listens_on_is_tried_again_and_logged() {
    for (who, command) in programs() {
        let (front, closed) = (listen(), address(&listen()));
        let text = format!(
            "global\n log stdout format raw local0\n{DEFAULTS} log global\n option tcplog\n retries 1\nlisten l\n bind FD\n dispatch {closed}\n"
        );
        let running = start(command, &text, &front);
        assert_eq!(ask(address(&front), b""), "", "{who}");
        let printed = running.says(" l l/<NOSRV> ");
        let line = printed.lines().find(|line| line.contains(" l l/")).unwrap_or_default();
        let fields: Vec<&str> = line.split(' ').collect();
        let [.., times, bytes, ended, counts, queues] = fields[..] else { panic!("{who}: {line}") };
        assert_eq!((bytes, ended, queues), ("0", "SC", "0/0"), "{who}: {line}");
        assert!(times.contains("/-1/1") && counts.ends_with("/1"), "{who}: {line}");
    }
}

#[test]
fn after_usr1_clients_are_accepted_until_the_grace_is_over() {
    let at = server("a");
    for (who, command) in programs() {
        let front = listen();
        let text = format!(
            "global\n grace 600\n log stdout format raw local0\n{DEFAULTS} log global\nlisten l\n bind FD\n server a {at}\n"
        );
        let mut running = start(command, &text, &front);
        assert_eq!(ask(address(&front), b""), "a", "{who}");
        let since = Instant::now();
        let id = nix::unistd::Pid::from_raw(i32::try_from(running.child.id()).expect("a pid"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGUSR1).expect("it runs");
        running.says("Scheduling a soft-stop in 600 ms.");
        assert_eq!(ask(address(&front), b""), "a", "{who}");
        let status = running.child.wait().expect("it ends");
        assert!(status.success() && since.elapsed() >= Duration::from_millis(600), "{who}");
        let printed = running.printed();
        for line in [
            "Scheduling a soft-stop in 600 ms.\n",
            "Grace period expired, proceeding with soft-stop now.\n",
            "Proxy l stopped (cumulated conns: FE: 2, BE: 2).\n",
        ] {
            assert!(printed.contains(line), "{who}: {line} in {printed}");
        }
    }
}

#[test]
fn no_more_clients_are_accepted_in_a_second_than_the_limit_says() {
    const CLIENTS: usize = 9;
    let at = server("a");
    for limit in ["", " maxconnrate 4\n", " maxsessrate 4\n", "rate-limit sessions 4"] {
        for (who, command) in programs() {
            let front = listen();
            let (global, own) = if limit.starts_with(' ') { (limit, "") } else { ("", limit) };
            let text =
                format!("global\n{global}{DEFAULTS}listen l\n bind FD\n {own}\n server a {at}\n");
            let _running = start(command, &text, &front);
            let to = address(&front);
            assert_eq!(ask(to, b""), "a");
            let since = Instant::now();
            let clients: Vec<_> =
                (0..CLIENTS).map(|_| thread::spawn(move || ask(to, b""))).collect();
            for client in clients {
                assert_eq!(client.join().expect("it asks"), "a", "{who} {limit}");
            }
            // At most four at once, and then no more than four in a second.
            if !limit.is_empty() {
                assert!(since.elapsed() >= Duration::from_millis(900), "{who} {limit}");
            }
            assert!(since.elapsed() < LIMIT, "{who} {limit}");
        }
    }
}

#[test]
fn unix_sockets_have_what_unix_bind_says_and_stats_sockets_have_not() {
    let at = server("a");
    for (who, command) in programs() {
        let text = format!(
            "global\n unix-bind prefix DIR/pre- mode 622\n stats socket DIR/cli\n{DEFAULTS}listen l\n bind FD\n bind unix@a.sock\n bind unix@b.sock mode 600\n server a {at}\n"
        );
        let front = listen();
        let running = start(command, &text, &front);
        assert_eq!(ask(address(&front), b""), "a", "{who}");
        let mode = |name: &str| {
            let path = running.directory.path().join(name);
            let found = std::fs::metadata(&path).expect("it is there").permissions().mode();
            (UnixStream::connect(&path).is_ok(), found & 0o777)
        };
        assert_eq!(mode("pre-a.sock"), (true, 0o622), "{who}");
        assert_eq!(mode("pre-b.sock"), (true, 0o600), "{who}");
        assert_ne!(mode("cli"), (true, 0o622), "{who}");
    }
}

/// A SOCKS4 proxy that answers each client with these bytes, and what it was asked.
fn socks(answer: &'static [&'static [u8]]) -> (SocketAddr, std::sync::mpsc::Receiver<Vec<u8>>) {
    let (tell, asked) = std::sync::mpsc::channel();
    let listener = listen();
    let at = address(&listener);
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut first = [0; 16];
            if client.read_exact(&mut first).is_err() {
                continue;
            }
            for part in answer {
                let _ = client.write_all(part);
                // In pieces of their own.
                thread::sleep(Duration::from_millis(20));
            }
            let mut rest = vec![0; 128];
            let _ = client.set_read_timeout(Some(Duration::from_millis(200)));
            let more = client.read(&mut rest).unwrap_or(0);
            let _ = tell.send([&first[..], &rest[..more]].concat());
        }
    });
    (at, asked)
}

#[test]
fn a_server_behind_a_socks_proxy_is_asked_for_and_hears_what_comes_after() {
    const CASES: [(&[&[u8]], &str, &str); 4] = [
        (&[b"\0\x5a\0\0\0\0\0\0", b"served"], "served", ""),
        (&[b"\0", b"\x5a\0\0\0\0\0\0", b"served"], "served", ""),
        (&[b"\0\x5a\0\0\0\0\0\0served"], "served", ""),
        (&[b"\0\x5b\0\0\0\0\0\0"], "", "SC"),
    ];
    for (answer, told, ended) in CASES {
        for (who, command) in programs() {
            let (proxy, asked) = socks(answer);
            let front = listen();
            let text = format!(
                "global\n log stdout format raw local0\n{DEFAULTS} log global\n option tcplog\n retries 0\nlisten l\n bind FD\n server s 192.0.2.7:2525 socks4 {proxy} send-proxy\n"
            );
            let running = start(command, &text, &front);
            assert_eq!(ask(address(&front), b"hi"), told, "{who}");
            let said = asked.recv_timeout(LIMIT).expect("it is asked");
            let (request, rest) = said.split_at(16);
            assert_eq!(request, b"\x04\x01\x09\xdd\xc0\0\x02\x07HAProxy\0", "{who}");
            if ended.is_empty() {
                let rest = String::from_utf8_lossy(rest);
                assert!(rest.starts_with("PROXY TCP4 127.0.0.1 "), "{who}: {rest}");
                continue;
            }
            let printed = running.says(" l l/s ");
            assert!(printed.contains(&format!(" {ended} ")), "{who}: {printed}");
        }
    }
}

#[test]
fn a_check_goes_through_the_socks_proxy_and_fails_with_its_refusal() {
    const CASES: [(&[&[u8]], &str); 2] = [
        (&[b"\0\x5a\0\0\0\0\0\0"], "succeeded"),
        (&[b"\0\x5b\0\0\0\0\0\0"], "SOCKS4 Proxy deny the request"),
    ];
    for (answer, state) in CASES {
        for (who, command) in programs() {
            let (proxy, asked) = socks(answer);
            let front = listen();
            let text = format!(
                "global\n log stdout format raw local0\n{DEFAULTS} log global\n option log-health-checks\nlisten l\n bind FD\n server s 192.0.2.7:2525 socks4 {proxy} check-via-socks4 check inter 100 fall 1 rise 1\n"
            );
            let running = start(command, &text, &front);
            let said = asked.recv_timeout(LIMIT).expect("it is asked");
            assert!(said.starts_with(b"\x04\x01\x09\xdd\xc0\0\x02\x07HAProxy\0"), "{who}");
            running.says(state);
        }
    }
}
