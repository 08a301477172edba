//! The status as JSON. Its shape is documented in `docs/observing.md`: keys are added, never changed.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use vrrp::Reject;
use vrrp::config::OWNER;

use crate::role::watch::place;
use crate::view::{Router, ScriptView, Tracker, View};

/// Raised when a key changes its meaning or goes; not when one is added.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Status<'a> {
    schema: u32,
    version: &'static str,
    pid: u32,
    time: f64,
    instances: Vec<Instance<'a>>,
    groups: Vec<Group<'a>>,
    scripts: Vec<Script<'a>>,
    dropped: Dropped,
    netlink_resyncs: u64,
    reloads: Reloads,
}

#[derive(Debug, Serialize)]
struct Instance<'a> {
    name: &'a str,
    interface: &'a str,
    vrid: u8,
    family: &'static str,
    version: u8,
    state: &'static str,
    since: f64,
    seconds: f64,
    base_priority: u8,
    priority: u8,
    trackers: Vec<Track<'a>>,
    source: Option<IpAddr>,
    master: Option<IpAddr>,
    master_priority: Option<u8>,
    advert_interval: f64,
    master_down_interval: f64,
    addresses: Vec<String>,
    entered: Entered,
    splits: u64,
    adverts: Adverts,
    lease: Option<Lease>,
    resumed: u64,
}

#[derive(Debug, Serialize)]
struct Track<'a> {
    kind: &'static str,
    name: &'a str,
    weight: i32,
    reverse: bool,
    good: Option<bool>,
    value: Option<i64>,
    contribution: i32,
    fault: bool,
}

#[derive(Debug, Serialize)]
struct Entered {
    init: u64,
    backup: u64,
    master: u64,
    fault: u64,
}

#[derive(Debug, Serialize)]
struct Adverts {
    received: u64,
    sent: u64,
    zero_received: u64,
    zero_sent: u64,
    address_mismatches: u64,
    dropped: std::collections::BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct Lease {
    seconds: u64,
    renewals: u64,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    name: &'a str,
    state: &'static str,
    instances: &'a [String],
}

#[derive(Debug, Serialize)]
struct Script<'a> {
    name: &'a str,
    good: Option<bool>,
    running: bool,
    succeeded: u64,
    failed: u64,
    last_seconds: f64,
    total_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Dropped {
    malformed: u64,
    unknown_vrid: u64,
}

#[derive(Debug, Serialize)]
struct Reloads {
    taken: u64,
    refused: u64,
    last: Option<Reload>,
}

#[derive(Debug, Serialize)]
struct Reload {
    time: f64,
    taken: bool,
}

/// In microseconds: more digits are noise.
fn seconds(duration: Duration) -> f64 {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// All of it, on one line.
pub(crate) fn write(view: &View) -> String {
    let [taken, refused] = view.totals.reloads;
    let last = view.totals.last_reload;
    let last = last.map(|(at, taken)| Reload { time: seconds(at), taken });
    let status = Status {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        time: seconds(view.at),
        instances: view.routers.iter().map(|router| instance(router, view)).collect(),
        groups: groups(view),
        scripts: view.scripts.iter().map(script).collect(),
        dropped: Dropped { malformed: view.totals.malformed, unknown_vrid: view.totals.unknown },
        netlink_resyncs: view.totals.resyncs,
        reloads: Reloads { taken, refused, last },
    };
    // Numbers, texts and lists of them can always be written.
    let mut text = serde_json::to_string(&status).unwrap_or_default();
    text.push('\n');
    text
}

fn instance<'a>(of: &'a Router, view: &View) -> Instance<'a> {
    let config = &of.config;
    let heard = of.watch.heard.filter(|(from, _)| of.master == Some(*from));
    let entered = |state| of.watch.entered[place(state)];
    let counters = &of.counters;
    Instance {
        name: &config.name,
        interface: &config.interface,
        vrid: config.vrid.0,
        family: if config.is_ipv4() { "IPv4" } else { "IPv6" },
        version: config.version.number(),
        state: of.state.name(),
        since: seconds(of.watch.transition),
        seconds: seconds(of.for_how_long(view.boot)),
        base_priority: config.priority,
        priority: of.priority,
        trackers: of.trackers.iter().map(|tracker| track(tracker, config.priority)).collect(),
        source: of.source,
        master: of.master,
        master_priority: heard.map(|(_, priority)| priority),
        advert_interval: seconds(config.advert_interval),
        master_down_interval: seconds(of.down_interval),
        addresses: config.held().map(ToString::to_string).collect(),
        entered: Entered {
            init: entered(vrrp::State::Init),
            backup: entered(vrrp::State::Backup),
            master: entered(vrrp::State::Master),
            fault: entered(vrrp::State::Fault),
        },
        splits: counters.splits,
        adverts: Adverts {
            received: counters.adverts_received,
            sent: counters.adverts_sent,
            zero_received: counters.zero_received,
            zero_sent: counters.zero_sent,
            address_mismatches: counters.address_mismatches,
            dropped: Reject::NAMES.into_iter().zip(counters.rejected).collect(),
        },
        lease: of
            .lease
            .map(|lease| Lease { seconds: lease.lifetime.as_secs(), renewals: of.watch.renewals }),
        resumed: of.watch.resumed,
    }
}

fn track(of: &Tracker, base: u8) -> Track<'_> {
    Track {
        kind: of.kind.name(),
        name: &of.name,
        weight: of.weight,
        reverse: of.reverse,
        good: of.good,
        value: of.value,
        // The owner's priority never moves.
        contribution: if base == OWNER { 0 } else { of.contribution },
        fault: of.fault,
    }
}

fn groups(view: &View) -> Vec<Group<'_>> {
    let members = |name: &str| {
        let found = view.config.sync_groups.iter().find(|group| group.name == name);
        found.map_or(&[][..], |group| &group.instances)
    };
    let group = |group: &'_ crate::view::Group| (group.state.name(), members(&group.name));
    let all = view.groups.iter();
    all.map(|of| (of, group(of)))
        .map(|(of, (state, instances))| Group { name: &of.name, state, instances })
        .collect()
}

fn script(of: &ScriptView) -> Script<'_> {
    Script {
        name: &of.name,
        good: of.good,
        running: of.running,
        succeeded: of.counts.succeeded,
        failed: of.counts.failed,
        last_seconds: seconds(of.counts.last),
        total_seconds: seconds(of.counts.total),
    }
}
