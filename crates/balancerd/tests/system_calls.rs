//! How many system calls a short connection takes, counted by strace(1) where there is one.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);
/// Clients at the same time, and connections of each.
const CLIENTS: usize = 20;
const EACH: usize = 10;
const MESSAGE: [u8; 64] = [7; 64];

/// The calls of one kind that a connection may take; of all others together there is one for ten.
const MOST: [(&[&str], f64); 9] = [
    (&["accept4"], 1.0),
    (&["socket"], 1.0),
    (&["connect"], 1.0),
    // Each socket once; closing takes it out.
    (&["epoll_ctl"], 2.0),
    (&["sendto"], 2.0),
    // A message and an end from each side.
    (&["recvfrom"], 4.0),
    // The server is told that its client has ended; the client is not told, but closed.
    (&["shutdown"], 1.0),
    (&["close", "close_range"], 2.0),
    // One for each of what a connection that comes alone has to wait for, and one to spare: the end of
    // what was sent may be told apart.
    (&["epoll_wait"], 7.0),
];

/// A program that is ended with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that repeats what it is told.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut message = MESSAGE;
                while client.read_exact(&mut message).is_ok() {
                    if client.write_all(&message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn ask(address: SocketAddr) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(&MESSAGE)?;
    socket.read_exact(&mut [0; MESSAGE.len()])
}

/// Whether another process traces all threads of this one.
fn is_traced(pid: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().all(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.lines().any(|line| line == "TracerPid:\t0")
    })
}

/// Calls and those that failed, by name, from the table of `strace -c`.
fn counts(table: &str) -> BTreeMap<String, (u32, u32)> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse().ok();
        let name = (*words.last()?).to_owned();
        words[0].parse::<f64>().ok()?;
        let errors = if words.len() == 6 { number(4)? } else { 0 };
        (name != "total").then_some((name, (number(3)?, errors)))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn a_short_connection_takes_at_most_fourteen_calls_and_its_waits() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = address.expect("a port");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    let text = format!(
        "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n timeout server 20s\nlisten l\n bind {address}\n server s {}\n",
        server()
    );
    std::fs::write(&file, text).expect("writable");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    daemon.arg0("haproxy").arg("-db").arg("-f").arg(&file);
    let daemon =
        Running(daemon.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs"));
    let begun = Instant::now();
    while ask(address).is_err() {
        assert!(begun.elapsed() < LIMIT, "it does not serve");
        thread::yield_now();
    }

    let table = directory.path().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-qq", "-p", &daemon.0.id().to_string(), "-o"]).arg(&table);
    let Ok(strace) = strace.stderr(Stdio::null()).spawn() else {
        println!("SKIPPED: strace is not installed");
        return;
    };
    let mut strace = Running(strace);
    while !is_traced(daemon.0.id()) {
        if strace.0.try_wait().expect("it was started").is_some() {
            println!("SKIPPED: strace may not look at another process here");
            return;
        }
        assert!(begun.elapsed() < LIMIT, "strace does not begin");
        thread::yield_now();
    }
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| thread::spawn(move || (0..EACH).try_for_each(|_| ask(address))))
        .collect();
    for client in clients {
        client.join().expect("no panic").expect("answers");
    }
    // The last of them are over when their descriptors are gone.
    let open =
        || std::fs::read_dir(format!("/proc/{}/fd", daemon.0.id())).expect("it lives").count();
    let mut before = open();
    let mut same = 0;
    while same < 20 {
        thread::sleep(Duration::from_millis(10));
        let now = open();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        assert!(begun.elapsed() < LIMIT, "connections stay");
    }
    let pid = Pid::from_raw(i32::try_from(strace.0.id()).expect("a process id"));
    kill(pid, Signal::SIGINT).expect("it runs");
    strace.0.wait().expect("it ends");

    let text = std::fs::read_to_string(&table).expect("a table");
    let mut counts = counts(&text);
    let connections = (CLIENTS * EACH) as f64;
    for (names, most) in MOST {
        let mut calls = 0;
        for name in names {
            let (all, errors) = counts.remove(*name).unwrap_or_default();
            // In a storm the last accept of a row finds nobody.
            calls += if *name == "accept4" { all - errors } else { all };
        }
        let each = f64::from(calls) / connections;
        assert!(each > 0.0 && each <= most + 0.02, "{names:?}: {each} for a connection\n{text}");
    }
    let others: u32 = counts.values().map(|(calls, _)| calls).sum();
    assert!(f64::from(others) <= connections / 10.0, "{counts:?}\n{text}");
}
