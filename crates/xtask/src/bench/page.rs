//! The table, and the page it is kept on.

use std::fmt::Write as _;
use std::fs;

use super::rest::AtRest;
use super::{Amount, Subject, Used};

/// A row: what it says, its value, how that is written.
type Row = (&'static str, fn(&Used) -> f64, fn(f64) -> String);

const ROWS: [Row; 5] = [
    ("CPU per short connection", |used| used.connection, |us| format!("{us:.1} µs")),
    ("CPU per request of a kept connection", |used| used.request, |us| format!("{us:.2} µs")),
    ("CPU per GB", |used| used.gigabyte, |us| format!("{:.3} s", us / 1e6)),
    ("Memory at start (PSS)", |used| used.start, |bytes| format!("{:.1} MB", bytes / 1e6)),
    ("Memory per idle connection", |used| used.idle, |bytes| format!("{bytes:.0} B")),
];

/// Whether what is promised holds: no more CPU than HAProxy for anything, half its memory per idle
/// connection. True without a HAProxy to compare with.
pub(super) fn is_met(subjects: &[Subject]) -> bool {
    let find = |name| subjects.iter().find(|one| one.name == name).and_then(|one| one.used);
    let (Some(ours), Some(theirs)) = (find("balancerd"), find("HAProxy")) else { return true };
    ours.connection <= theirs.connection
        && ours.request <= theirs.request
        && ours.gigabyte <= theirs.gigabyte
        && ours.idle <= theirs.idle / 2.0
}

/// The table in Markdown; what others need is in brackets as a multiple of ours.
pub(super) fn table(subjects: &[Subject]) -> String {
    let mut out = String::from("| |");
    for subject in subjects {
        let _ = write!(out, " {} {} |", subject.name, subject.version);
    }
    out.push_str("\n|---|");
    subjects.iter().for_each(|_| out.push_str("---:|"));
    let ours = subjects.first().and_then(|first| first.used);
    for (title, value, write) in ROWS {
        let _ = write!(out, "\n| {title} |");
        for (at, subject) in subjects.iter().enumerate() {
            let Some(used) = &subject.used else { continue };
            let _ = write!(out, " {}", write(value(used)));
            if let (Some(ours), 1..) = (&ours, at) {
                let _ = write!(out, " ({:.2}×)", value(used) / value(ours));
            }
            out.push_str(" |");
        }
    }
    out
}

/// The whole page.
pub(super) fn page(subjects: &[Subject], amount: Amount, rest: AtRest) -> String {
    let Amount { rounds, idle, connections, requests, gigabytes } = amount;
    let (table, most) = (table(subjects), AtRest::MOST);
    let rest = rest.row();
    let keepalived = super::version_of("keepalived", "-v").unwrap_or_default();
    format!(
        "# What a connection costs

Each program has one thread and a core of its own; clients and the server they ask are on another.
CPU time is what the scheduler counted for all threads of the program, memory is its proportional
share (PSS). The best of {rounds} alternating rounds counts: whatever else runs only adds.

{table}

In brackets: how many times what balancerd needs.

- A short connection sends 64 bytes, receives 64, and ends: {connections} of them, one after the other.
- A request is 64 bytes there and back: {requests} of them over 50 connections.
- A GB is 2³⁰ bytes from server to client: {gigabytes} of them.
- An idle connection has been used once and waits: {idle} of them.

The targets: no more CPU than HAProxy for anything, and at most half its memory per idle connection.
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
