//! HAProxy and ours with the same file at the same time, and the same done to both.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use socket2::{Domain, Socket, Type};

use crate::original;

/// Nothing here takes longer; a test that waits so long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const DEFAULTS: &str = "defaults\n mode tcp\n log global\n option tcplog\n retries 2\n \
                        timeout client 9s\n timeout server 9s\n timeout connect 9s\n \
                        timeout queue 9s\n";

/// A program that serves, with an admin socket; its log is a file.
pub(crate) struct Running {
    pub(crate) original: bool,
    child: Child,
    fronts: Vec<SocketAddr>,
    directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts ours or the original; `FRONTn` in the text is a listening socket that it inherits.
    pub(crate) fn start(original: bool, text: &str) -> Self {
        // A program inherits what is open when it is started: not the sockets of another.
        static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let one = ONE.lock().expect("nobody failed");
        let directory = tempfile::tempdir().expect("a directory");
        let mut text = format!(
            "global\n stats socket {}/s level admin\n nbthread 1\n log stdout format raw local0\n\
             {DEFAULTS}{text}",
            directory.path().display()
        );
        let mut fronts = Vec::new();
        while text.contains(&format!("FRONT{} ", fronts.len())) {
            let front = listen();
            fcntl(&front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
            let name = format!("FRONT{} ", fronts.len());
            text = text.replace(&name, &format!("fd@{} ", front.as_raw_fd()));
            fronts.push(front);
        }
        let file = directory.path().join("h.cfg");
        std::fs::write(&file, text).expect("written");
        let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
        let program = if original { original::path().expect("there is one") } else { ours };
        let out = std::fs::File::create(directory.path().join("log")).expect("written");
        let mut command = Command::new(program);
        command.arg0("haproxy").args(["-db", "-f"]).arg(file);
        command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
        let child = command.spawn().expect("it runs");
        let fronts = fronts.iter().map(|front| front.local_addr().expect("bound")).collect();
        drop(one);
        let running = Self { original, child, fronts, directory };
        until("it answers", || UnixStream::connect(running.path("s")).is_ok());
        running.ask("show version");
        running
    }

    /// Whether it says what is said since 3.2: ours does.
    pub(crate) fn is_newer(&self) -> bool {
        !self.original || original::original().is_some_and(|one| one.since(3, 2))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn ask(&self, line: &str) -> String {
        let mut socket = UnixStream::connect(self.path("s")).expect("it listens");
        socket.set_read_timeout(Some(LIMIT)).expect("a time");
        socket.write_all(format!("{line}\n").as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("text");
        answer
    }

    /// Columns of a line of `show stat`.
    pub(crate) fn figures(&self, proxy: &str, server: &str, columns: &[&str]) -> Vec<String> {
        let answer = self.ask("show stat");
        let mut lines = answer.lines();
        let names: Vec<_> =
            lines.next().expect("a header").trim_start_matches("# ").split(',').collect();
        let start = format!("{proxy},{server},");
        let line = lines.find(|line| line.starts_with(&start)).expect("it is there");
        let values: Vec<_> = line.split(',').collect();
        let value = |column: &&str| {
            let at = names.iter().position(|name| name == column).expect("a column");
            values[at].to_owned()
        };
        columns.iter().map(value).collect()
    }

    pub(crate) fn figure(&self, proxy: &str, server: &str, column: &str) -> String {
        self.figures(proxy, server, &[column]).remove(0)
    }

    /// Waits for a value of `show stat`.
    pub(crate) fn await_figure(&self, proxy: &str, server: &str, column: &str, value: &str) {
        let who = if self.original { "the original's" } else { "our" };
        until(&format!("{who} {proxy}/{server} {column} = {value}"), || {
            self.figure(proxy, server, column) == value
        });
    }

    /// Connects from an address of its own.
    pub(crate) fn client_from(&self, front: usize, from: [u8; 4]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((from, 0)).into()).expect("loopback");
        socket.connect(&self.fronts[front].into()).expect("it listens");
        socket.set_tcp_nodelay(true).expect("a socket");
        let client = TcpStream::from(socket);
        client.set_read_timeout(Some(LIMIT)).expect("a time");
        client
    }

    pub(crate) fn client(&self, front: usize) -> TcpStream {
        self.client_from(front, [127, 0, 0, 1])
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

pub(crate) fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "waited for ever: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a client hears first, if anything.
pub(crate) fn letter(client: &mut TcpStream) -> Option<char> {
    let mut byte = [0];
    client.read_exact(&mut byte).ok().map(|()| char::from(byte[0]))
}

/// A client ends: without a word, or with a reset.
pub(crate) fn reset(client: &TcpStream) {
    socket2::SockRef::from(client).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// A server that says one letter and goes when its client does.
pub(crate) fn server(letter: u8) -> u16 {
    let listener = listen();
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = client.write_all(&[letter]);
                let _ = client.read(&mut [0; 64]);
            });
        }
    });
    port
}

/// Does the same with both at the same time: the original's and ours. `None` without an original.
pub(crate) fn both<T: Send>(text: &str, act: impl Fn(&Running) -> T + Sync) -> Option<[T; 2]> {
    original::original()?;
    Some(std::thread::scope(|scope| {
        let act = &act;
        let both = [true, false].map(|original| {
            scope.spawn(move || {
                let running = Running::start(original, text);
                act(&running)
            })
        });
        both.map(|one| one.join().expect("it did not fail"))
    }))
}
