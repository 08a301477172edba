//! How a runner of HAProxy's own tests (VTest) drives a program: the options it is started with,
//! sockets it inherits, its command line over TCP, its log lines, its end.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LONG: Duration = Duration::from_secs(20);

/// A listening socket that a child inherits under its number.
fn inherited() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty())).expect("a flag");
    listener
}

/// The program under HAProxy's name.
fn program(directory: &Path) -> String {
    let link = directory.join("haproxy");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_balancerd"), &link).expect("a link");
    }
    link.display().to_string()
}

fn run(directory: &Path, arguments: &str) -> (ExitStatus, String) {
    let line = format!("exec \"{}\" {arguments}", program(directory));
    let out = Command::new("/bin/sh").args(["-c", &line]).current_dir(directory).output();
    let out = out.expect("a shell");
    let text = [out.stdout, out.stderr].concat();
    (out.status, String::from_utf8_lossy(&text).into_owned())
}

fn ended(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < within {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("it is there");
}

/// One command as the runner sends it: a line, the end of its side, everything until the end.
fn command(listener: &TcpListener, line: &str) -> String {
    let mut socket = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    socket.set_read_timeout(Some(LONG)).expect("a timeout");
    socket.write_all(format!("{line}\n").as_bytes()).expect("sent");
    socket.shutdown(Shutdown::Write).expect("an end");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer and an end");
    answer
}

fn get(listener: &TcpListener, path: &str) -> String {
    let mut socket = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    socket.set_read_timeout(Some(LONG)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer and an end");
    answer
}

const DEFAULTS: &str = "global
 .if feature(THREAD)
 thread-groups 1
 .endif
defaults
 mode http
 timeout connect \"${TEST_TIMEOUT-5s}\"
 timeout client \"${TEST_TIMEOUT-5s}\"
 timeout server \"${TEST_TIMEOUT-5s}\"
 option httplog
 log global
";

#[test]
fn a_program_that_is_driven_by_vtest_serves_answers_logs_and_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cli, front) = (inherited(), inherited());
    let log = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    log.set_read_timeout(Some(LONG)).expect("a timeout");
    let text = format!(
        "global
 stats socket \"{}/stats.sock\" level admin mode 600
 stats socket \"fd@${{cli}}\" level admin
 log {} local0
{DEFAULTS}
frontend fe
 bind \"fd@${{fe}}\"
 http-request return status 200 content-type text/plain string hello if {{ path /hello }}
 http-request deny
",
        directory.path().display(),
        log.local_addr().expect("bound")
    );
    std::fs::write(directory.path().join("cfg"), text).expect("written");
    // A test that runs in the background has the signal ignored, and so would what it starts.
    let program = program(directory.path());
    let line = format!("exec env --default-signal=INT \"{program}\" -d -dM -dI -dW -L A -f cfg");
    let mut child = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir(directory.path())
        .env("cli", cli.as_raw_fd().to_string())
        .env("fe", front.as_raw_fd().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let answer = get(&front, "/hello");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    let mut buffer = [0; 2048];
    let head = format!(" haproxy[{}]: ", child.id());
    let line = loop {
        let length = log.recv(&mut buffer).expect("a line in time");
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if line.contains("GET") {
            break line;
        }
    };
    assert!(line.contains(&head) && line.contains(" fe fe/<NOSRV> 0/-1/-1/-1/"), "{line}");
    let info = command(&cli, "show info");
    assert!(info.starts_with("Name: HAProxy\n") && info.ends_with('\n'), "{info}");
    assert!(command(&cli, "show stat").starts_with("# pxname,svname,"));
    signal(&child, Signal::SIGINT);
    let status = ended(&mut child, Duration::from_secs(2)).expect("it ends within two seconds");
    assert!(status.code() == Some(0) || status.signal() == Some(2), "{status}");
    let mut rest = String::new();
    let mut out = child.stdout.take().expect("a pipe");
    out.read_to_string(&mut rest).expect("nobody holds it any longer");
}

#[test]
fn a_master_tells_systemd_first_that_it_is_ready_and_ends_with_130() {
    let directory = tempfile::tempdir().expect("a directory");
    let front = inherited();
    let notify = directory.path().join("notify");
    let told = UnixDatagram::bind(&notify).expect("a socket");
    told.set_read_timeout(Some(LONG)).expect("a timeout");
    let text =
        format!("{DEFAULTS}frontend fe\n bind \"fd@${{fe}}\"\n http-request return status 200\n");
    std::fs::write(
        directory.path().join("cfg"),
        text.replace(" option httplog\n log global\n", ""),
    )
    .expect("written");
    let line = format!("exec \"{}\" -d -Ws -dM -dI -dW -f cfg -p pid", program(directory.path()));
    let mut child = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir(directory.path())
        .env("fe", front.as_raw_fd().to_string())
        .env("NOTIFY_SOCKET", &notify)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut buffer = [0; 512];
    let length = told.recv(&mut buffer).expect("a word in time");
    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(said.contains("READY=1"), "{said}");
    let pid = std::fs::read_to_string(directory.path().join("pid")).expect("a pid file");
    assert_eq!(pid.trim(), child.id().to_string());
    assert!(get(&front, "/").starts_with("HTTP/1.1 200 OK\r\n"));
    signal(&child, Signal::SIGINT);
    let status = ended(&mut child, LONG).expect("it ends");
    assert!(status.code() == Some(130) || status.signal() == Some(2), "{status}");
}

#[test]
fn what_a_runner_asks_before_a_test_is_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, build) = run(directory.path(), "-vv");
    let first = build.lines().next().expect("a line");
    assert!(first.starts_with("HAProxy version 3."), "{first}");
    assert!(build.lines().any(|line| line == "  TARGET  = linux-glibc"), "{build}");
    assert!(build.contains(" +PROMEX ") && build.contains(" -LUA "), "{build}");
    for (condition, code) in [
        ("version_atleast(2.0-dev0)", 0),
        ("version_atleast(3.2)", 0),
        ("version_atleast(99)", 1),
        ("feature(THREAD) && feature(PROMEX)", 0),
        ("feature(LUA) || feature(QUIC)", 1),
        ("!feature(OPENSSL)", 0),
        ("enabled(SPLICE)", 0),
        ("openssl_version_atleast(1.1.1)", 1),
        ("ssllib_name_startswith(OpenSSL)", 1),
        ("fips_mode()", 1),
        ("nonsense(", 2),
    ] {
        let (status, said) = run(directory.path(), &format!("-cc '{condition}'"));
        assert_eq!(status.code(), Some(code), "{condition}: {said}");
    }
    let good = format!("{DEFAULTS}listen l\n bind 127.0.0.1:9\n");
    std::fs::write(
        directory.path().join("good"),
        good.replace(" log global\n", " log 127.0.0.1 local0\n"),
    )
    .expect("written");
    let (status, said) = run(directory.path(), "-c -dM -dI -dW -f good");
    assert_eq!(status.code(), Some(0), "{said}");
    std::fs::write(directory.path().join("bad"), format!("{DEFAULTS}listen l\n bnd :1\n"))
        .expect("written");
    let (status, said) = run(directory.path(), "-c -dM -dI -dW -f bad");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("unknown keyword 'bnd' in 'listen' section"), "{said}");
}
