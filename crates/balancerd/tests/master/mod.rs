//! A master, a file for it, and servers and clients around it.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes longer; a test that waits so long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A server that says its name, one letter, and then what it hears.
pub(crate) fn server(name: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = client.write_all(&[name]);
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    if client.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A port that was free a moment ago.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port")
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flavour {
    HaProxy,
    Nginx,
}

pub(crate) const BOTH: [Flavour; 2] = [Flavour::HaProxy, Flavour::Nginx];

/// A master, what it says, and its file.
pub(crate) struct Master {
    pub(crate) child: Child,
    pub(crate) directory: tempfile::TempDir,
    /// How far [`until`](Self::until) has read.
    read: usize,
}

impl Master {
    pub(crate) fn start(flavour: Flavour, text: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_with(flavour, text, environment, |_| ())
    }

    /// As [`start`](Self::start), with other files in its directory.
    pub(crate) fn start_with(
        flavour: Flavour,
        text: &str,
        environment: &[(&str, &str)],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let own = directory.path();
        std::fs::write(own.join("file"), text).expect("writable");
        prepare(own);
        let log = std::fs::File::create(own.join("log")).expect("writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        match flavour {
            Flavour::HaProxy => command.arg0("haproxy").args(["-W", "-f", "file"]).stderr(log),
            Flavour::Nginx => command.arg0("nginx").args(["-c", "file", "-p"]).arg(own),
        };
        command.envs(environment.iter().copied()).current_dir(own).stdin(Stdio::null());
        let child = command.spawn().expect("it runs");
        let mut master = Self { child, directory, read: 0 };
        match flavour {
            Flavour::HaProxy => master.until("Loading success."),
            Flavour::Nginx => master.until("start worker process "),
        };
        master
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits for the next line that holds `text`.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            let mut at = self.read;
            for line in log[self.read..].split_inclusive('\n') {
                at += line.len();
                if line.ends_with('\n') && line.contains(text) {
                    self.read = at;
                    return line.trim_end().to_owned();
                }
            }
            assert!(begun.elapsed() < LIMIT, "it did not say '{text}':\n{log}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn write(&self, text: &str) {
        // At once: a reload that is under way may read it.
        let new = self.path("file.new");
        std::fs::write(&new, text).expect("writable");
        std::fs::rename(new, self.path("file")).expect("writable");
    }

    pub(crate) fn hup(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGHUP).expect("it runs");
    }

    /// Reloads `text` and waits until that is done; what it said of it.
    pub(crate) fn reload(&mut self, text: &str) -> String {
        self.write(text);
        self.hup();
        self.until("hanged in place")
    }

    /// The processes it has started and that run.
    pub(crate) fn workers(&self) -> Vec<i32> {
        let pid = self.child.id();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A file that listens on these addresses and sends to these servers. `change` is a number that
/// makes one differ from another where it does not matter.
pub(crate) fn file(
    flavour: Flavour,
    listen: &[SocketAddr],
    servers: &[SocketAddr],
    change: usize,
) -> String {
    match flavour {
        Flavour::HaProxy => {
            let binds: String = listen.iter().map(|at| format!(" bind {at}\n")).collect();
            let servers: String =
                servers.iter().map(|at| format!(" server s{} {at}\n", at.port())).collect();
            format!(
                "global\n nbthread 2\ndefaults\n mode tcp\n timeout client 60s\n \
                 timeout server 60s\n timeout connect 9s\n\
                 frontend f\n{binds} default_backend b\nbackend b\n retries {}\n{servers}",
                change % 7
            )
        }
        Flavour::Nginx => {
            let listens: String =
                listen.iter().map(|at| format!("listen {at} reuseport; ")).collect();
            let servers: String = servers.iter().map(|at| format!("server {at}; ")).collect();
            format!(
                "daemon off; pid n.pid; error_log log notice; worker_processes 2;\nevents {{}}\n\
                 stream {{ upstream u {{ {servers} }}\n\
                 server {{ {listens} proxy_pass u; proxy_timeout {}s; }} }}\n",
                60 + change % 7
            )
        }
    }
}

pub(crate) fn connect(to: SocketAddr) -> (TcpStream, u8) {
    let begun = Instant::now();
    let mut client = loop {
        match TcpStream::connect(to) {
            Ok(client) => break client,
            Err(error) => assert!(begun.elapsed() < LIMIT, "{error}"),
        }
    };
    client.set_read_timeout(Some(LIMIT)).expect("settable");
    let mut name = [0];
    client.read_exact(&mut name).expect("a name");
    (client, name[0])
}

/// A connection and a word each way; fails where anything does.
pub(crate) fn try_once(to: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(to)?;
    client.set_read_timeout(Some(LIMIT))?;
    client.read_exact(&mut [0])?;
    echo(&mut client)
}

pub(crate) fn echo(client: &mut TcpStream) -> std::io::Result<()> {
    client.write_all(b"ping")?;
    let mut answer = [0; 4];
    client.read_exact(&mut answer)?;
    assert_eq!(&answer, b"ping");
    Ok(())
}
