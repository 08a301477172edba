//! A program with a runtime API, ours or HAProxy's, and what tests of it need.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::original;

/// Nothing here takes longer; a test that waits so long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const DEFAULTS: &str = "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n \
                        timeout connect 9s\n";

/// A program in a directory of its own, ended with the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) socket: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    command.arg0("haproxy");
    command
}

/// HAProxy, if there is one.
pub(crate) fn theirs() -> Option<Command> {
    original::original().map(original::Original::command)
}

/// Whether it is of the versions whose answers ours are; an older one leaves out the end of some
/// lines, and has fewer columns.
pub(crate) fn is_newer() -> bool {
    original::original().is_some_and(|original| original.since(3, 2))
}

pub(crate) fn start(
    mut command: Command,
    directory: &Path,
    text: &str,
    arguments: &[&str],
) -> Running {
    let (file, socket) = (directory.join("h.cfg"), directory.join("admin.sock"));
    std::fs::write(&file, text.replace("DIR", &directory.display().to_string())).expect("written");
    let child = command
        .arg("-db")
        .arg("-f")
        .arg(file)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let running = Running { child, socket };
    running.ask("show version");
    running
}

impl Running {
    /// The answer to one line; waits until somebody answers.
    pub(crate) fn ask(&self, line: &str) -> String {
        ask(&self.socket, line)
    }
}

pub(crate) fn ask(path: &Path, line: &str) -> String {
    let deadline = Instant::now() + LIMIT;
    let mut socket = loop {
        match UnixStream::connect(path) {
            Ok(socket) => break socket,
            Err(error) if Instant::now() > deadline => panic!("{}: {error}", path.display()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    socket.set_read_timeout(Some(LIMIT)).expect("a time");
    writeln!(socket, "{line}").expect("it reads");
    socket.shutdown(std::net::Shutdown::Write).expect("connected");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    answer
}

pub(crate) fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0; 1];
                while matches!(client.read(&mut byte), Ok(1)) && client.write_all(&byte).is_ok() {}
            });
        }
    });
    port
}

/// A port nobody has right now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
