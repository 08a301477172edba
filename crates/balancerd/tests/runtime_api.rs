//! The runtime API as an operator uses it: limits that hold, servers that come and go.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// A program in a directory of its own, ended with the test.
struct Running {
    child: Child,
    directory: tempfile::TempDir,
    /// Where `fe` listens.
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// With `global` lines and what else is in the file besides the frontend `fe`.
    fn start(global: &str, rest: &str) -> Self {
        let directory = tempfile::tempdir().expect("made");
        let port = free_port();
        let text = format!(
            "global\n stats socket DIR/admin.sock level admin\n{global}\ndefaults\n \
             timeout client 9s\n timeout server 9s\n timeout connect 9s\nfrontend fe\n \
             bind 127.0.0.1:{port}\n default_backend be\n{rest}\n"
        );
        let path = directory.path().display().to_string();
        let file = directory.path().join("h.cfg");
        std::fs::write(&file, text.replace("DIR", &path)).expect("written");
        let child = Command::new(env!("CARGO_BIN_EXE_balancerd"))
            .arg0("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let running = Self { child, directory, port };
        running.ask("show version");
        running
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// The answer to one line, without the empty line behind it.
    fn ask(&self, line: &str) -> String {
        let mut socket = connect(&self.socket());
        writeln!(socket, "{line}").expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("text");
        answer.trim_end().to_owned()
    }

    /// What answers a client of `fe` first; empty if nobody does.
    fn greeting(&self) -> String {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a time");
        let mut bytes = [0; 1];
        match client.read(&mut bytes) {
            Ok(count) => String::from_utf8_lossy(&bytes[..count]).into_owned(),
            Err(_) => String::new(),
        }
    }
}

/// Waits until somebody answers there.
fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + LIMIT;
    let socket = loop {
        match UnixStream::connect(path) {
            Ok(socket) => break socket,
            Err(error) if Instant::now() > deadline => panic!("{}: {error}", path.display()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    socket.set_read_timeout(Some(LIMIT)).expect("a time");
    socket
}

/// A port nobody has right now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A server that says one letter to everybody, and keeps the connection.
fn server(letter: u8) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().flatten() {
            if client.write_all(&[letter]).is_ok() {
                kept.push(client);
            }
        }
    });
    port
}

/// How long fifteen clients take, one after the other.
fn fifteen(running: &Running) -> Duration {
    let begin = Instant::now();
    (0..15).for_each(|_| assert_eq!(running.greeting(), "a"));
    begin.elapsed()
}

/// Ten a second: fifteen need at least so long, whenever they begin.
const LEAST: Duration = Duration::from_millis(300);

fn limited_by(global: &str, backend: &str) {
    let running = Running::start(global, backend);
    assert!(fifteen(&running) >= LEAST, "{global}");
    running.ask("set rate-limit connections global 0;set rate-limit sessions global 0");
    let info = running.ask("show info");
    assert!(info.contains("\nConnRateLimit: 0\n") && info.contains("\nSessRateLimit: 0\n"));
    let freed = Instant::now();
    (0..60).for_each(|_| assert_eq!(running.greeting(), "a"));
    // At the former pace these would have taken 6 seconds.
    assert!(freed.elapsed() < Duration::from_secs(5), "{global}: {:?}", freed.elapsed());
}

#[test]
fn limits_of_connections_and_sessions_a_second_hold_and_can_be_taken_away() {
    let backend = format!("backend be\n server a 127.0.0.1:{}", server(b'a'));
    std::thread::scope(|scope| {
        scope.spawn(|| limited_by(" maxconnrate 10", &backend));
        scope.spawn(|| limited_by(" maxsessrate 10", &backend));
        scope.spawn(|| {
            let running = Running::start("", &backend);
            running.ask("set rate-limit sessions global 10");
            assert!(running.ask("show info").contains("\nSessRateLimit: 10\n"));
            assert!(fifteen(&running) >= LEAST, "by hand");
        });
        let running = Running::start("", &format!(" rate-limit sessions 10\n{backend}"));
        assert!(fifteen(&running) >= LEAST, "of one frontend");
        let stat = running.ask("show stat fe 1 -1");
        let cells = |line: usize| stat.lines().nth(line).unwrap_or_default().split(',');
        let at = cells(0).position(|name| name == "rate_lim").expect("a column");
        assert_eq!(cells(1).nth(at), Some("10"), "{stat}");
    });
}
