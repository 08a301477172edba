//! What the lab and a node's agent say to each other: JSON, a line each.

use std::fmt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::probe::Request;
use crate::switch::Subnet;

/// A point on `CLOCK_MONOTONIC`, in nanoseconds; the same clock in every node.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Moment(pub u64);

impl Moment {
    /// The clock's reading.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
        Self(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
    }

    /// Time since `earlier`, zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment, `by` later.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0 + by.as_nanos() as u64)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0 as f64 / 1e9)
    }
}

/// A file that a node sees.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeFile {
    /// Absolute path in the node.
    pub path: String,
    /// The contents; bytes, for a file may be noise on purpose.
    pub contents: Vec<u8>,
    /// Permission bits, `0o644` for a configuration, `0o755` for a script.
    pub mode: u32,
}

impl NodeFile {
    /// A file that all may read.
    pub fn new(path: &str, contents: impl AsRef<[u8]>) -> Self {
        Self { path: path.into(), contents: contents.as_ref().into(), mode: 0o644 }
    }

    /// A file that all may run.
    pub fn script(path: &str, contents: impl AsRef<[u8]>) -> Self {
        Self { mode: 0o755, ..Self::new(path, contents) }
    }
}

/// A program of the host shown in the node's `/usr/sbin`, under one name or several.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Program {
    /// Absolute path on the host.
    pub host: String,
    /// What it is called in the node; the first is the file, the others are links to it.
    pub names: Vec<String>,
}

/// What a node is made of, sent to its agent first.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Setup {
    pub(crate) name: String,
    /// A directory of the host to mount the node's root over.
    pub(crate) root: String,
    pub(crate) programs: Vec<Program>,
    pub(crate) files: Vec<NodeFile>,
    /// Names below `/proc/sys` and what to write there.
    pub(crate) sysctls: Vec<(String, String)>,
}

/// What the lab asks of an agent; each is answered by [`Event::Done`] or [`Event::Refused`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    Configure {
        interface: String,
        addresses: Vec<Subnet>,
    },
    Start {
        id: u64,
        argv: Vec<String>,
        env: Vec<(String, String)>,
    },
    Signal {
        target: Target,
        signal: i32,
    },
    Write(NodeFile),
    Read {
        path: String,
    },
    Remove {
        path: String,
    },
    Watch {
        address: std::net::IpAddr,
    },
    /// Switches an interface of the node on or off.
    Link {
        interface: String,
        up: bool,
    },
    /// The children of a process that are called `name`.
    Children {
        of: i32,
        name: String,
    },
    /// What the processes called `name` use.
    Usage {
        name: String,
    },
}

/// What the processes of one name have used up to now.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Usage {
    /// CPU time in nanoseconds, as the scheduler counted it; not that of children that ended.
    pub cpu: u64,
    /// CPU time in nanoseconds of children that ended and were waited for, to a hundredth second.
    pub children: u64,
    /// Proportional memory (PSS) in kB.
    pub pss: u64,
    /// How many processes.
    pub processes: u64,
}

impl Usage {
    /// Its CPU time.
    pub fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.cpu)
    }
}

/// Whom a signal is for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Target {
    Pid(i32),
    /// Every process of the node whose command name this is.
    Name(String),
}

/// Which of a process's outputs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What an agent tells the lab.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Event {
    /// The node's namespaces and files stand.
    Ready,
    /// An order was carried out; what it returned, as JSON.
    Done {
        /// Which order, counted from zero.
        order: u64,
        /// The pid of a started process, the number of signalled ones, the bytes of a file.
        value: serde_json::Value,
    },
    /// An order failed.
    Refused {
        /// Which order, counted from zero.
        order: u64,
        /// Why.
        why: String,
    },
    /// A process wrote a line.
    Line {
        /// The process, by the number its start was given.
        id: u64,
        /// Where it wrote.
        stream: Stream,
        /// The line without its end.
        text: String,
    },
    /// An output of a process is closed: no more lines.
    Closed {
        /// The process.
        id: u64,
        /// Which output.
        stream: Stream,
    },
    /// A process that was started by an order ended.
    Exited {
        /// The process.
        id: u64,
        /// Its exit code, or 128 and the signal.
        code: i32,
    },
    /// Someone in the node wrote to `/dev/log`.
    Syslog {
        /// The datagram as it came.
        text: String,
    },
    /// The client reports the end of a request.
    Asked(Request),
    /// The watched address came or went.
    Held {
        /// The address.
        address: std::net::IpAddr,
        /// Whether the node has it now.
        held: bool,
        /// When the last sample that still said otherwise was taken.
        before: Moment,
        /// How many samples were taken up to now.
        samples: u64,
    },
}

/// An [`Event`] as it travels.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Stamped {
    pub(crate) at: Moment,
    pub(crate) event: Event,
}
