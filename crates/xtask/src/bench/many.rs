//! Very many servers: how long a start and a reload take.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Running, Subject, free_address};

/// How many groups of servers.
pub(super) const BACKENDS: usize = 500;
/// Servers of each.
pub(super) const SERVERS: usize = 20;

fn address(backend: usize, server: usize) -> String {
    format!("127.{}.{}.{}:6443", 1 + backend / 250, backend % 250, server + 1)
}

/// The file for balancerd and HAProxy, as it is at first.
pub(super) fn haproxy_cfg(directory: &Path, listen: SocketAddr) -> anyhow::Result<PathBuf> {
    write_haproxy_cfg(directory, listen, None)
}

/// The same; `to` is where clients are sent in place of the first backend.
fn write_haproxy_cfg(
    directory: &Path,
    listen: SocketAddr,
    to: Option<SocketAddr>,
) -> anyhow::Result<PathBuf> {
    let name = if to.is_some() { "answers" } else { "b0" };
    let mut text = format!(
        "global\n    nbthread 1\n    maxconn 1000\n\
         defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n\
         frontend f\n    bind {listen}\n    default_backend {name}\n"
    );
    if let Some(to) = to {
        let _ = writeln!(text, "backend answers\n    server s {to}");
    }
    for backend in 0..BACKENDS {
        let _ = writeln!(text, "backend b{backend}");
        for server in 0..SERVERS {
            let _ = writeln!(text, "    server s{server} {}", address(backend, server));
        }
    }
    let path = directory.join("many.cfg");
    fs::write(&path, text)?;
    Ok(path)
}

/// The file for nginx.
pub(super) fn nginx_conf(
    directory: &Path,
    listen: SocketAddr,
    load: &str,
) -> anyhow::Result<PathBuf> {
    let mut text = format!(
        "{load}pid {};\nerror_log stderr;\ndaemon off;\nmaster_process off;\nevents {{}}\nstream {{\n",
        directory.join("many.pid").display()
    );
    for backend in 0..BACKENDS {
        let _ = writeln!(text, "    upstream b{backend} {{");
        for server in 0..SERVERS {
            let _ = writeln!(text, "        server {};", address(backend, server));
        }
        text.push_str("    }\n");
    }
    let _ = writeln!(text, "    server {{ listen {listen}; proxy_pass b0; }}\n}}");
    let path = directory.join("many.conf");
    fs::write(&path, text)?;
    Ok(path)
}

/// Microseconds until it serves, and from a reload until clients go where the new file sends them:
/// in the way the program reloads by itself, and with a new worker.
pub(super) fn measure(
    subject: &Subject,
    directory: &Path,
) -> anyhow::Result<(f64, Option<f64>, Option<f64>)> {
    let (start, reload) = once(subject, directory, false)?;
    let (_, renewal) = once(subject, directory, true)?;
    Ok((start, reload, renewal))
}

fn once(
    subject: &Subject,
    directory: &Path,
    new_worker: bool,
) -> anyhow::Result<(f64, Option<f64>)> {
    let listen = free_address()?;
    let mut command = subject.many(directory, listen)?;
    if new_worker {
        command.env("EVERGATE_RELOAD", "new-worker");
    }
    let running = Running::begin(command, listen)?;
    let start = running.took.as_secs_f64() * 1e6;
    let master = running.child.id();
    if children(master)?.is_empty() {
        return Ok((start, None));
    }
    // A master may be told before it can listen to what it is told.
    thread::sleep(Duration::from_millis(300));
    let answers = TcpListener::bind("127.0.0.1:0")?;
    write_haproxy_cfg(directory, listen, Some(answers.local_addr()?))?;
    answers.set_nonblocking(true)?;
    let begun = Instant::now();
    kill(Pid::from_raw(master.try_into()?), Signal::SIGUSR2)?;
    while answers.accept().is_err() {
        ensure!(begun.elapsed() < Duration::from_secs(60), "nobody comes");
        // Those that are sent elsewhere are refused there.
        drop(TcpStream::connect(listen)?);
        thread::sleep(Duration::from_millis(2));
    }
    let reload = begun.elapsed().as_secs_f64() * 1e6;
    Ok((start, Some(reload)))
}

/// The processes a process has started and not yet waited for.
fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile is nobody's child.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(pid) {
            all.push(child);
        }
    }
    Ok(all)
}
