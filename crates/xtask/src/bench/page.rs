//! The table, and the page it is kept on.

use std::fmt::Write as _;
use std::fs;

use super::rest::AtRest;
use super::{Amount, Subject, Used};

/// What is promised of a measure.
#[derive(Clone, Copy)]
enum Promise {
    /// At most so many times what HAProxy needs.
    Times(f64),
    /// At most this.
    Most(f64),
}

/// A row of the table.
struct Row {
    title: &'static str,
    value: fn(&Used) -> Option<f64>,
    write: fn(f64) -> String,
    promise: Promise,
}

const fn row(
    title: &'static str,
    value: fn(&Used) -> Option<f64>,
    write: fn(f64) -> String,
    promise: Promise,
) -> Row {
    Row { title, value, write, promise }
}

const ROWS: [Row; 10] = [
    row(
        "CPU per short connection",
        |used| Some(used.connection),
        |us| format!("{us:.1} µs"),
        Promise::Times(0.95),
    ),
    row(
        "System calls per short connection",
        |used| used.connection_calls,
        |calls| format!("{calls:.1}"),
        Promise::Most(15.0),
    ),
    row(
        "CPU per request of a kept connection",
        |used| Some(used.request),
        |us| format!("{us:.2} µs"),
        Promise::Times(0.95),
    ),
    row(
        "System calls per request of a kept connection",
        |used| used.request_calls,
        |calls| format!("{calls:.2}"),
        Promise::Most(5.0),
    ),
    row(
        "CPU per GB",
        |used| Some(used.gigabyte),
        |us| format!("{:.3} s", us / 1e6),
        Promise::Times(0.75),
    ),
    row(
        "Slowest of a hundred short connections at half the rate of saturation",
        |used| Some(used.late),
        |us| format!("{us:.0} µs"),
        Promise::Times(1.0),
    ),
    row(
        "Memory at start (PSS)",
        |used| Some(used.start),
        |bytes| format!("{:.1} MB", bytes / 1e6),
        Promise::Times(0.5),
    ),
    row(
        "Memory per idle connection",
        |used| Some(used.idle),
        |bytes| format!("{bytes:.0} B"),
        Promise::Times(0.35),
    ),
    row(
        "Start with 10,000 servers in 500 backends",
        |used| Some(used.many_start),
        |us| format!("{:.0} ms", us / 1e3),
        Promise::Times(1.0),
    ),
    row(
        "Reload of the same",
        |used| used.many_reload,
        |us| format!("{:.0} ms", us / 1e3),
        Promise::Times(1.0),
    ),
];

/// Whether what is promised holds; what does not is said. Without a HAProxy to compare with only
/// what can be counted is promised.
pub(super) fn is_met(subjects: &[Subject]) -> bool {
    let find = |name| subjects.iter().find(|one| one.name == name).and_then(Subject::used);
    let Some(ours) = find("balancerd") else { return true };
    let theirs = find("HAProxy");
    let mut met = true;
    for Row { title, value, write, promise } in &ROWS {
        let most = match promise {
            Promise::Most(most) => Some(*most),
            Promise::Times(times) => theirs.as_ref().and_then(value).map(|theirs| theirs * times),
        };
        if let (Some(ours), Some(most)) = (value(&ours), most)
            && ours > most
        {
            eprintln!("MISSED: {title}: {}, at most {}", write(ours), write(most));
            met = false;
        }
    }
    met
}

/// The table in Markdown; what others need is in brackets as a multiple of ours.
pub(super) fn table(subjects: &[Subject]) -> String {
    let mut out = String::from("| |");
    for subject in subjects {
        let _ = write!(out, " {} {} |", subject.name, subject.version);
    }
    out.push_str("\n|---|");
    subjects.iter().for_each(|_| out.push_str("---:|"));
    let ours = subjects.first().and_then(Subject::used);
    for Row { title, value, write, .. } in &ROWS {
        let _ = write!(out, "\n| {title} |");
        for (at, subject) in subjects.iter().enumerate() {
            let Some(used) = subject.used() else { continue };
            let Some(number) = value(&used) else {
                out.push_str(" — |");
                continue;
            };
            let _ = write!(out, " {}", write(number));
            if let (Some(ours), 1..) = (ours.as_ref().and_then(value), at) {
                let _ = write!(out, " ({:.2}×)", number / ours);
            }
            out.push_str(" |");
        }
    }
    out
}

/// The whole page.
pub(super) fn page(subjects: &[Subject], amount: Amount, rest: AtRest) -> String {
    let Amount { rounds, idle, connections, requests, gigabytes, rate, seconds } = amount;
    let (table, most) = (table(subjects), AtRest::MOST);
    let rest = rest.row();
    let keepalived = super::version_of("keepalived", "-v").unwrap_or_default();
    format!(
        "# What a connection costs

Each program has one thread and a core of its own; clients and the server they ask are on another.
CPU time is what the scheduler counted for all threads of the program, memory is its proportional
share (PSS). The median of {rounds} alternating rounds counts.

{table}

In brackets: how many times what balancerd needs.

- A short connection sends 64 bytes, receives 64, and ends: {connections} of them, one after the other.
- A request is 64 bytes there and back: {requests} of them over 50 connections.
- A GB is 2³⁰ bytes from server to client: {gigabytes} of them.
- An idle connection has been used once and waits: {idle} of them.

- System calls are counted from accept to close while 20 clients come and go, and over 50 kept connections.
- A short connection's latency is from the moment it was due to its answer, at {rate:.0} a second for {seconds} s.
- A start lasts until a connection is taken; a reload until the worker before it is gone. nginx has no worker here.

The targets, against HAProxy: CPU per short connection and per request at most 0.95, per GB 0.75, latency, start and
reload 1.0, memory at start 0.5, per idle connection 0.35; at most 15 system calls per short connection, 5 per request.
`cargo xtask bench` fails when one is missed.

# What a VRRP daemon weighs

Guide 001's file on one node, master for ten seconds. At most {most} kB is the target.

| | failoverd {ours} | keepalived {keepalived} |
|---|---:|---:|
{rest}

Measured on {}, Linux {}.
",
        processor(),
        kernel(),
        ours = env!("CARGO_PKG_VERSION"),
    )
}

/// What the figures were measured on.
pub(super) fn machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("Measured on {}, Linux {}, with a load of {load}.", processor(), kernel())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{cores} cores of {}", name.map_or("an unnamed processor", |(_, name)| name))
}

fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.split('-').next().unwrap_or_default().trim().to_owned()
}
