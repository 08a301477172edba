//! `cargo xtask bench datagrams`: what a datagram and its answer cost, here and in nginx's stream.
//!
//! ```text
//!   core 1: clients ──► core 0: balancerd as nginx, or nginx ──► core 1: a server that repeats
//! ```
//!
//! Both read the same file. The rounds of the two alternate; of each measure the median counts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, ensure};

use super::{Place, Running, cpu_time, free_address, nginx, pin_to, section, version_of};
use crate::generate::root;

/// What is sent, and comes back.
const MESSAGE: [u8; 64] = [7; 64];
/// Clients of the second measure, and how many questions each has under way.
const CLIENTS: (usize, usize) = (16, 8);
/// Clients of the third measure, each with one question under way, and so one session.
const ASKERS: usize = 64;
/// The most a measure may be of nginx's.
const MOST: f64 = 0.9;

/// What is measured, in the order of the numbers.
const MEASURES: [&str; 3] = [
    "a question and its answer, one at a time in one session",
    "the same, 16 sessions with 8 under way in each",
    "the same, a session for each question (`proxy_responses 1`), 64 under way",
];

/// Microseconds of CPU for each of [`MEASURES`].
type Used = [f64; 3];

/// Runs the benchmark; `quick` does a tenth of everything, `write` keeps the section of the page.
pub(super) fn run(quick: bool, write: bool) -> anyhow::Result<ExitCode> {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--quiet", "-p", "balancerd"])
        .current_dir(root())
        .status()
        .context("cargo build")?;
    ensure!(built.success(), "balancerd does not build");
    let theirs = nginx();
    let version = version_of(&theirs, "-v").context("nginx is not installed")?;
    let place = Place::new()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let ours = place.directory.join("nginx");
    symlink(target.join("release/balancerd"), &ours)?;
    pin_to(thread::available_parallelism()?.get().min(2) - 1)?;
    let server = repeat()?;
    let (rounds, count) = if quick { (3, 10_000) } else { (7, 100_000) };
    let programs = [ours.as_path(), theirs.as_path()];
    let mut used: [Vec<Used>; 2] = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        for (program, used) in programs.into_iter().zip(&mut used) {
            eprintln!("round {round} of {rounds}: {}", program.display());
            used.push(measure(program, &place.directory, server, count)?);
        }
    }
    let [ours, theirs] = used.map(|rounds| median(&rounds));
    let table = table(ours, theirs, &version);
    println!("{table}");
    if write {
        let text = format!(
            "# What datagrams cost\n\nCPU time in microseconds; messages of 64 bytes; the median of {rounds} \
             rounds in turn, {count} questions each.\n\n{table}\n{}\n",
            super::page::machine()
        );
        section::write("docs/BENCHMARKS.md", "datagrams", &text)?;
    }
    let met = ours.iter().zip(theirs).all(|(ours, theirs)| *ours <= MOST * theirs);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(ours: Used, theirs: Used, version: &str) -> String {
    let mut table = format!(
        "| measure | balancerd | nginx stream {version} | ratio | at most |\n|---|---|---|---|---|\n"
    );
    for ((what, ours), theirs) in MEASURES.iter().zip(ours).zip(theirs) {
        let ratio = ours / theirs;
        table += &format!("| {what} | {ours:.2} | {theirs:.2} | {ratio:.2} | {MOST:.2} |\n");
    }
    table
}

fn median(rounds: &[Used]) -> Used {
    std::array::from_fn(|measure| {
        let mut values: Vec<f64> = rounds.iter().map(|used| used[measure]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    })
}

/// Starts the server, which sends back what it is sent.
fn repeat() -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = socket.local_addr()?;
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // One that is lost is asked for again.
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    Ok(address)
}

fn measure(
    program: &Path,
    directory: &Path,
    server: SocketAddr,
    count: usize,
) -> anyhow::Result<Used> {
    // It has to be known when it is there: a connection is refused until then.
    let ready = free_address()?;
    let (long, short) = (free_datagrams()?, free_datagrams()?);
    let conf = directory.join("datagrams.conf");
    let (load, pid) = (super::subjects::load_stream(program), directory.join("nginx.pid"));
    let text = format!(
        "{load}pid {};\nerror_log stderr;\ndaemon off;\nmaster_process off;\n\
         events {{ worker_connections 4000; }}\nstream {{\n\
         server {{ listen {long} udp; proxy_pass {server}; }}\n\
         server {{ listen {short} udp; proxy_pass {server}; proxy_responses 1; }}\n\
         server {{ listen {ready}; return ready; }}\n}}\n",
        pid.display()
    );
    fs::write(&conf, text)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).arg("-c").arg(&conf);
    let running = Running::begin(command, ready)?;
    let pid = running.child.id();
    let cost = |to: SocketAddr, clients: usize, each: usize| {
        let clients = clients_of(to, clients)?;
        ask(&clients, each, count / 10)?;
        let before = cpu_time(pid)?;
        let asked = ask(&clients, each, count)?;
        anyhow::Ok((cpu_time(pid)? - before) / asked as f64)
    };
    Ok([cost(long, 1, 1)?, cost(long, CLIENTS.0, CLIENTS.1)?, cost(short, ASKERS, 1)?])
}

/// A port for datagrams that was free a moment ago; a file has to name one.
fn free_datagrams() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn clients_of(to: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let client = |_| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(socket)
    };
    (0..count).map(client).collect()
}

/// Every client sends `each` questions and takes the answers, until there were `count`; how many
/// there were.
fn ask(clients: &[UdpSocket], each: usize, count: usize) -> anyhow::Result<usize> {
    let mut buffer = [0; 128];
    let mut asked = 0;
    while asked < count {
        for client in clients {
            for _ in 0..each {
                client.send(&MESSAGE)?;
            }
        }
        for client in clients {
            for _ in 0..each {
                let length = client.recv(&mut buffer).context("an answer was lost")?;
                ensure!(buffer[..length] == MESSAGE, "another answer came back");
            }
        }
        asked += clients.len() * each;
    }
    Ok(asked)
}
