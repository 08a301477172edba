//! The table, and the page it is kept on.

use std::fmt::Write as _;
use std::fs;

use super::rest::AtRest;
use super::subjects::{Flavour, Subject};
use super::{Amount, Used};

/// A row of the table, and what is promised of it.
struct Row {
    title: &'static str,
    value: fn(&Used) -> Option<f64>,
    write: fn(f64) -> String,
    /// At most so many times what HAProxy needs.
    of_haproxy: Option<f64>,
    /// Under nginx's name, at most so many times what nginx needs.
    of_nginx: Option<f64>,
    /// At most this.
    most: Option<f64>,
}

impl Row {
    fn of(&self, flavour: Flavour) -> Option<f64> {
        match flavour {
            Flavour::HaProxy => self.of_haproxy,
            Flavour::Nginx => self.of_nginx,
        }
    }
}

const ROWS: [Row; 11] = [
    Row {
        title: "CPU per short connection",
        value: |used| Some(used.connection),
        write: |us| format!("{us:.1} µs"),
        of_haproxy: Some(0.95),
        of_nginx: Some(0.95),
        most: None,
    },
    Row {
        title: "System calls per short connection",
        value: |used| used.connection_calls,
        write: |calls| format!("{calls:.1}"),
        of_haproxy: None,
        of_nginx: None,
        most: Some(13.0),
    },
    Row {
        title: "CPU per request of a kept connection",
        value: |used| Some(used.request),
        write: |us| format!("{us:.2} µs"),
        of_haproxy: Some(0.95),
        of_nginx: None,
        most: None,
    },
    Row {
        title: "System calls per request of a kept connection",
        value: |used| used.request_calls,
        write: |calls| format!("{calls:.2}"),
        of_haproxy: None,
        of_nginx: None,
        most: Some(5.0),
    },
    Row {
        title: "CPU per GB",
        value: |used| Some(used.gigabyte),
        write: |us| format!("{:.3} s", us / 1e6),
        of_haproxy: Some(0.75),
        of_nginx: Some(0.6),
        most: None,
    },
    Row {
        title: "Slowest of a hundred short connections at half the rate of saturation",
        value: |used| Some(used.late),
        write: |us| format!("{us:.0} µs"),
        of_haproxy: Some(1.0),
        of_nginx: None,
        most: None,
    },
    Row {
        title: "Memory at start (PSS)",
        value: |used| Some(used.start),
        write: |bytes| format!("{:.1} MB", bytes / 1e6),
        of_haproxy: Some(0.2),
        of_nginx: None,
        most: None,
    },
    Row {
        title: "Memory per idle connection",
        value: |used| Some(used.idle),
        write: |bytes| format!("{bytes:.0} B"),
        of_haproxy: Some(0.35),
        of_nginx: Some(0.15),
        most: None,
    },
    Row {
        title: "Start with 10,000 servers in 500 backends",
        value: |used| Some(used.many_start),
        write: |us| format!("{:.0} ms", us / 1e3),
        of_haproxy: Some(1.0),
        of_nginx: None,
        most: None,
    },
    Row {
        title: "Reload of the same",
        value: |used| used.many_reload,
        write: |us| format!("{:.0} ms", us / 1e3),
        of_haproxy: Some(1.0),
        of_nginx: None,
        most: None,
    },
    Row {
        title: "Reload of the same, with a new worker",
        value: |used| used.many_renewal,
        write: |us| format!("{:.0} ms", us / 1e3),
        of_haproxy: Some(1.0),
        of_nginx: None,
        most: None,
    },
];

/// balancerd under one of its names and the original of that name, as far as they were measured.
struct Pair {
    flavour: Flavour,
    /// What each is called, with its version.
    names: (String, Option<String>),
    ours: Used,
    theirs: Option<Used>,
}

fn pairs(subjects: &[Subject]) -> Vec<Pair> {
    let pair = |flavour| {
        let find = |ours| subjects.iter().find(|one| (one.flavour, one.ours) == (flavour, ours));
        let name = |one: &Subject| format!("{} {}", one.name, one.version);
        let (ours, theirs) = (find(true)?, find(false));
        let names = (name(ours), theirs.map(name));
        Some(Pair { flavour, names, ours: ours.used()?, theirs: theirs.and_then(Subject::used) })
    };
    [Flavour::HaProxy, Flavour::Nginx].into_iter().filter_map(pair).collect()
}

/// Whether what is promised holds; what does not is said.
pub(super) fn is_met(subjects: &[Subject]) -> bool {
    let missed: Vec<_> = pairs(subjects).iter().flat_map(missed).collect();
    for row in &missed {
        eprintln!("MISSED: {row}");
    }
    missed.is_empty()
}

/// What is promised and does not hold. Without an original to compare with only what can be counted
/// is promised.
fn missed(pair: &Pair) -> Vec<String> {
    let mut missed = Vec::new();
    for row in &ROWS {
        let theirs = pair.theirs.as_ref().and_then(row.value);
        let times = row.of(pair.flavour).zip(theirs).map(|(times, theirs)| times * theirs);
        let absolute = row.most.filter(|_| pair.flavour == Flavour::HaProxy);
        let Some(ours) = (row.value)(&pair.ours) else { continue };
        for most in times.into_iter().chain(absolute).filter(|most| ours > *most) {
            let (title, ours, most) = (row.title, (row.write)(ours), (row.write)(most));
            missed.push(format!("{title}: {}: {ours}, at most {most}", pair.names.0));
        }
    }
    missed
}

/// The table in Markdown.
pub(super) fn table(subjects: &[Subject]) -> String {
    let pairs = pairs(subjects);
    let mut out = String::from("| |");
    for pair in &pairs {
        let theirs = pair.names.1.as_deref().unwrap_or("—");
        let _ = write!(out, " {} | {theirs} | ratio | at most |", pair.names.0);
    }
    out.push_str("\n|---|");
    pairs.iter().for_each(|_| out.push_str("---:|---:|---:|---:|"));
    for row in &ROWS {
        let _ = write!(out, "\n| {} |", row.title);
        for pair in &pairs {
            let ours = (row.value)(&pair.ours);
            let theirs = pair.theirs.as_ref().and_then(row.value);
            let ratio = ours.zip(theirs).map(|(ours, theirs)| format!("{:.2}", ours / theirs));
            let absolute = row.most.filter(|_| pair.flavour == Flavour::HaProxy);
            let most = row.of(pair.flavour).map(|times| format!("{times:.2}"));
            let cells = [
                ours.map(row.write),
                theirs.map(row.write),
                ratio,
                most.or(absolute.map(row.write)),
            ];
            for cell in cells {
                let _ = write!(out, " {} |", cell.as_deref().unwrap_or("—"));
            }
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
balancerd runs twice, under each original's name and with its file. CPU time is what the scheduler
counted for all threads of the program, memory is its proportional share (PSS). The median of
{rounds} alternating rounds counts.

{table}

The ratio is ours to theirs. `cargo xtask bench` fails when one is above its limit, and says which.

- A short connection sends 64 bytes, receives 64, and ends: {connections} of them, one after the other.
- A request is 64 bytes there and back: {requests} of them over 50 connections.
- A GB is 2³⁰ bytes from server to client: {gigabytes} of them.
- An idle connection has been used once and waits: {idle} of them.
- System calls are counted from accept to close while 20 clients come and go, and over 50 kept connections.
- A short connection's latency is from the moment it was due to its answer, at {rate:.0} a second for {seconds} s.
- A start lasts until a connection is taken; a reload until the worker before it is gone. As nginx there is no worker here.

# What a VRRP daemon weighs

Guide 001's file on one node, master for ten seconds. At most {most} kB is the target.

| | failoverd {ours} | keepalived {keepalived} |
|---|---:|---:|
{rest}

{}
",
        machine(),
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

#[cfg(test)]
mod tests {
    use super::{Flavour, Pair, Used, missed};

    fn used(connection: f64, calls: f64) -> Used {
        Used { connection, connection_calls: Some(calls), ..Used::default() }
    }

    #[test]
    fn a_row_above_its_limit_is_named_and_others_are_not() {
        let names = ("balancerd 1".to_owned(), Some("HAProxy 3.2".to_owned()));
        let theirs = Some(used(100.0, 20.0));
        let mut pair = Pair { flavour: Flavour::HaProxy, names, ours: used(96.0, 13.0), theirs };
        assert_eq!(
            missed(&pair),
            ["CPU per short connection: balancerd 1: 96.0 µs, at most 95.0 µs"]
        );
        pair.ours = used(95.0, 14.0);
        assert_eq!(
            missed(&pair),
            ["System calls per short connection: balancerd 1: 14.0, at most 13.0"]
        );
        // Counted against nothing but itself, and only once.
        (pair.flavour, pair.theirs) = (Flavour::Nginx, None);
        assert!(missed(&pair).is_empty());
    }
}
