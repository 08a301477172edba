//! The same configuration given to nginx and to ours: what came of it is compared.
//!
//! The peer is the installed nginx, or the program that the environment variable `NGINX_PROGRAM` names; its
//! stream module is the one `NGINX_STREAM_MODULE` names, or is part of it when that is empty.

#![allow(dead_code, unused_imports, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// The peer's program, and the module it has to load.
pub(crate) fn peer() -> (PathBuf, PathBuf) {
    let named =
        |name, usual: &str| std::env::var_os(name).map_or_else(|| usual.into(), PathBuf::from);
    (named("NGINX_PROGRAM", "/usr/sbin/nginx"), named("NGINX_STREAM_MODULE", MODULE))
}

/// The longest anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The peer's first directive.
pub(crate) fn load_module() -> String {
    match peer().1 {
        module if module.as_os_str().is_empty() => String::new(),
        module => format!("load_module {};", module.display()),
    }
}

/// Whether there is an nginx to compare with.
pub(crate) fn installed() -> bool {
    let (program, module) = peer();
    let there = program.exists() && (module.as_os_str().is_empty() || module.exists());
    if !there {
        eprintln!("SKIPPED: nginx with its stream module is not installed");
    }
    there
}

pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ports by the names a configuration has for them: `@A@`.
#[derive(Default)]
pub(crate) struct Ports(pub(crate) BTreeMap<char, u16>);

impl Ports {
    /// A port of each name that was free for both protocols a moment ago.
    pub(crate) fn free(names: &str) -> Self {
        let mut ports = BTreeMap::new();
        let mut held = Vec::new();
        for name in names.chars() {
            let (listener, socket) = until("a free port", || {
                let listener = TcpListener::bind("127.0.0.1:0").ok()?;
                let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
                Some((listener, socket))
            });
            ports.insert(name, listener.local_addr().expect("bound").port());
            held.push((listener, socket));
        }
        Self(ports)
    }

    pub(crate) fn put_into(&self, text: &str) -> String {
        let put = |text: String, (name, port): (&char, &u16)| {
            text.replace(&format!("@{name}@"), &port.to_string())
        };
        self.0.iter().fold(text.to_owned(), put)
    }

    /// The names in place of the ports.
    pub(crate) fn hide(&self, text: &str) -> String {
        let hide = |text: String, (name, port): (&char, &u16)| {
            let text = text.replace(&format!(":{port}"), &format!(":@{name}@"));
            text.replace(&format!(" {port}\n"), &format!(" @{name}@\n"))
        };
        self.0.iter().fold(text.to_owned(), hide)
    }
}

/// A server that says its name, then `ok` to what it hears; what it heard first is kept.
pub(crate) fn speaker(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = client.write_all(format!("{name}\n").as_bytes());
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    let heard = String::from_utf8_lossy(&bytes[..length.min(60)]).into_owned();
                    let heard = heard.lines().next().unwrap_or("").to_owned();
                    if client.write_all(format!("heard {heard}\n").as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// A server that answers datagrams with its name and their beginning, except `mute`.
pub(crate) fn echo(name: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            if &bytes[..length] != b"mute" {
                let beginning = String::from_utf8_lossy(&bytes[..length.min(20)]).into_owned();
                let _ = socket.send_to(format!("{name}:{beginning}").as_bytes(), from);
            }
        }
    });
    port
}

/// One of the two, serving.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) ports: Ports,
}

impl Running {
    /// Serves `stream`, and says so, before it is handed over.
    pub(crate) fn start(
        original: bool,
        stream: &str,
        http: &str,
        names: &str,
        servers: &[(char, u16)],
    ) -> Self {
        Self::with(original, "", "", stream, http, names, servers)
    }

    /// The same with directives of the main context and of `events`.
    pub(crate) fn with(
        original: bool,
        main: &str,
        events: &str,
        stream: &str,
        http: &str,
        names: &str,
        servers: &[(char, u16)],
    ) -> Self {
        let mut ports = Ports::free(names);
        ports.0.extend(servers.iter().copied());
        let directory = tempfile::tempdir().expect("a directory");
        // Workers have fewer rights, and make files there.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).expect("ours");
        let program = peer().0;
        let load = if original { load_module() } else { String::new() };
        let log = if main.contains("error_log ") { "" } else { "error_log error.log info;" };
        let text = format!(
            "{load} daemon off; pid n.pid; {log} {main} events {{ {events} }}\n\
             stream {{ {} }}\n{}\n",
            ports.put_into(stream),
            ports.put_into(http)
        );
        std::fs::write(directory.path().join("n.conf"), text).expect("written");
        let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
        let mut command = Command::new(if original { &program } else { ours });
        command.arg0("nginx").args(["-c", "n.conf", "-e", "error.log", "-p"]).arg(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // What a worker serves before its master knows of it is not drained.
        let notices = directory.path().join("notices");
        let told = std::os::unix::net::UnixDatagram::bind(&notices).expect("a socket");
        told.set_nonblocking(true).expect("a mode");
        let mut is_known = original;
        if !original {
            command.env("NOTIFY_SOCKET", &notices);
        }
        let mut child = command.spawn().expect("it runs");
        let log = directory.path().join("error.log");
        until("a start", || {
            if let Some(status) = child.try_wait().expect("ours") {
                panic!("{status}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let mut notice = [0; 512];
            while let Ok(length) = told.recv(&mut notice) {
                is_known |= String::from_utf8_lossy(&notice[..length]).contains("READY=1");
            }
            (is_known
                && directory.path().join("n.pid").exists()
                && said.contains("start worker process "))
            .then_some(())
        });
        Self { child, directory, ports }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn at(&self, name: char) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.0[&name]).into()
    }

    /// Connects from an address, sends, and takes what comes until lines have come or it ends.
    pub(crate) fn ask(&self, name: char, from: u8, bytes: &[u8], lines: usize) -> String {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let source = SocketAddr::from(([127, 0, 0, from], 0));
        socket.bind(&source.into()).expect("loopback");
        if socket.connect(&self.at(name).into()).is_err() {
            return "refused".into();
        }
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = client.write_all(bytes);
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while text.iter().filter(|byte| **byte == b'\n').count() < lines {
            match client.read(&mut buffer) {
                Ok(length @ 1..) => text.extend_from_slice(&buffer[..length]),
                Ok(0) => break,
                Err(_) => {
                    text.extend_from_slice(b"reset");
                    break;
                }
            }
        }
        self.ports.hide(&String::from_utf8_lossy(&text))
    }

    /// Sends datagrams from one socket and takes as many answers.
    pub(crate) fn datagrams(&self, name: char, to: u8, all: &[&[u8]]) -> Vec<String> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, to)), self.at(name).port());
        let mut answers = Vec::new();
        let mut bytes = [0; 256];
        for one in all {
            socket.send_to(one, to).expect("sent");
            let (length, from) = socket.recv_from(&mut bytes).expect("an answer");
            answers.push(format!("{} {}", from.ip(), String::from_utf8_lossy(&bytes[..length])));
        }
        answers
    }

    /// The lines of a log once there are as many as that.
    pub(crate) fn lines(&self, name: &str, count: usize) -> Vec<String> {
        let path = self.path(name);
        let text = until("the lines of a log", || {
            let text = std::fs::read_to_string(&path).ok()?;
            (text.lines().count() >= count).then_some(text)
        });
        text.lines().map(|line| self.ports.hide(line)).collect()
    }

    /// What the error log says of sessions at a level, without times and ports of clients.
    pub(crate) fn said(&self, level: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("error.log")).unwrap_or_default();
        let mark = format!("[{level}] ");
        let of_session = text.lines().filter_map(|line| {
            let (_, rest) = line.split_once(&mark)?;
            let (_, said) = rest.split_once(": *")?;
            Some(self.ports.hide(said.split_once(' ')?.1))
        });
        of_session.collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

/// Does the same with both and compares what came of it.
pub(crate) fn same(
    stream: &str,
    names: &str,
    servers: &[(char, u16)],
    act: impl Fn(&Running) -> Vec<String>,
) {
    same_with(stream, "", names, servers, act);
}

pub(crate) fn same_with(
    stream: &str,
    http: &str,
    names: &str,
    servers: &[(char, u16)],
    act: impl Fn(&Running) -> Vec<String>,
) {
    if !installed() {
        return;
    }
    let [theirs, ours] = [true, false].map(|original| {
        let running = Running::start(original, stream, http, names, servers);
        act(&running)
    });
    assert!(!theirs.is_empty(), "nothing was compared");
    assert_eq!(ours.len(), theirs.len(), "ours: {ours:?}, nginx's: {theirs:?}");
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty(), "ours, and nginx's: {differ:#?}");
}
