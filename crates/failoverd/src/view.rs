//! How a role stands, at one moment: what its dumps, its status and its metrics are written from.
//!
//! It is taken between two events and owns everything, so that writing it out can take its time in
//! another thread.

use std::net::IpAddr;
use std::time::Duration;

use netlink::Snapshot;
use vrrp::config::{Config, InstanceConfig};
use vrrp::{Counters, Lease, State, TrackerKind, TrackerView};

use crate::role::watch::{Watch, calendar};

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// When it was taken, since 1970.
    pub(crate) at: Duration,
    /// The same since boot.
    pub(crate) boot: Duration,
    /// The configuration, but for its instances.
    pub(crate) config: Config,
    pub(crate) routers: Vec<Router>,
    pub(crate) groups: Vec<Group>,
    pub(crate) scripts: Vec<ScriptView>,
    pub(crate) sockets: Vec<Socket>,
    /// Links and addresses.
    pub(crate) network: Snapshot,
    pub(crate) totals: Totals,
}

/// What is counted of no single instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// How often the kernel's notices were lost, and everything was read again.
    pub(crate) resyncs: u64,
    /// Packets whose IP header was wrong.
    pub(crate) malformed: u64,
    /// Adverts of virtual routers nobody configured.
    pub(crate) unknown: u64,
    /// Reloads: taken over, refused.
    pub(crate) reloads: [u64; 2],
    /// When the last one was, since 1970, and whether it was taken over.
    pub(crate) last_reload: Option<(Duration, bool)>,
}

impl Totals {
    /// A reload ended: by taking the configuration over, or by refusing it.
    pub(crate) fn reloaded(&mut self, taken: bool) {
        self.reloads[usize::from(!taken)] += 1;
        self.last_reload = Some((calendar(), taken));
    }
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) config: InstanceConfig,
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) master: Option<IpAddr>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) down_interval: Duration,
    /// Of the master it hears; its own as master.
    pub(crate) master_interval: Duration,
    pub(crate) lease: Option<Lease>,
    pub(crate) counters: Counters,
    pub(crate) watch: Watch,
    /// From now until it does something by itself.
    pub(crate) due_in: Option<Duration>,
    /// The number of its interface, while it is there.
    pub(crate) link: Option<u32>,
    /// The descriptor of its socket.
    pub(crate) socket: Option<i32>,
    pub(crate) trackers: Vec<Tracker>,
}

impl Router {
    /// How long it has been in its state.
    pub(crate) fn for_how_long(&self, boot: Duration) -> Duration {
        boot.saturating_sub(self.watch.since)
    }

    /// What keeps it out of the race.
    pub(crate) fn faults(&self) -> usize {
        let tracked = self.trackers.iter().filter(|tracker| tracker.fault).count();
        // A source address that is missing is none of the trackers.
        if self.state == State::Fault { tracked.max(1) } else { tracked }
    }
}

/// Something an instance follows.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    pub(crate) kind: TrackerKind,
    pub(crate) name: String,
    pub(crate) weight: i32,
    pub(crate) reverse: bool,
    pub(crate) good: Option<bool>,
    pub(crate) value: Option<i64>,
    pub(crate) contribution: i32,
    pub(crate) fault: bool,
}

impl From<TrackerView<'_>> for Tracker {
    fn from(view: TrackerView<'_>) -> Self {
        let TrackerView { kind, name, weight, reverse, good, value, contribution, fault } = view;
        let name = name.to_owned();
        Self { kind, name, weight, reverse, good, value, contribution, fault }
    }
}

/// A sync group, and what its members make of it.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) state: State,
}

/// A tracked script.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScriptView {
    pub(crate) name: String,
    pub(crate) good: Option<bool>,
    /// keepalived's count of results.
    pub(crate) result: Option<u32>,
    pub(crate) running: bool,
    pub(crate) counts: ScriptCounts,
}

/// How its runs went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScriptCounts {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// How long the last run took.
    pub(crate) last: Duration,
    /// How long all took together.
    pub(crate) total: Duration,
}

impl ScriptCounts {
    /// A run ended.
    pub(crate) fn count(&mut self, good: bool, took: Duration) {
        *(if good { &mut self.succeeded } else { &mut self.failed }) += 1;
        self.last = took;
        self.total += took;
    }
}

/// A socket and who shares it.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    pub(crate) number: i32,
    pub(crate) link: String,
    pub(crate) ipv4: bool,
    pub(crate) ah: bool,
    pub(crate) unicast: bool,
    /// Whence its adverts are sent.
    pub(crate) source: Option<IpAddr>,
    /// Names and numbers of its instances.
    pub(crate) users: Vec<(String, u8)>,
}
