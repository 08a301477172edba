//! One fault in a lab of its own.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::account;
use lab::{Capture, Lab, Moment, Node, NodeFile, NodePlan, Proc, Sent, Subject, Subnet};
use nix::sys::signal::Signal;

use super::{Cell, Fault};
use crate::bench::vrrp::{DAEMON, FILE, NAME};

/// How often the client asks.
pub(super) const PROBE: Duration = Duration::from_millis(2);

/// What one fault did.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The longest time between two answers the client got, from the fault to the end.
    pub(super) gap: Duration,
    /// From the fault to the second node's first advert; `None` if it sent none.
    pub(super) taken: Option<Duration>,
    /// How long both nodes had the address, until the fault was healed.
    pub(super) both: Duration,
    /// How long both had it after that.
    pub(super) both_after: Duration,
    /// The longest time between two answers after that.
    pub(super) gap_after: Duration,
    /// From the healing to the first announcement of the address by its holder.
    pub(super) announced: Option<Duration>,
    /// What ours says of two holders that met, if it says so.
    pub(super) said: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_millis();
        let taken = self.taken.map(ms);
        write!(f, "gap {} taken {taken:?} both {}", ms(self.gap), ms(self.both))?;
        let announced = self.announced.map(ms);
        let (both, gap) = (ms(self.both_after), ms(self.gap_after));
        write!(f, " after it: both {both} gap {gap} announced {announced:?}")
    }
}

struct Pair {
    lab: Lab,
    nodes: [Node; 2],
    daemons: [Proc; 2],
    address: IpAddr,
    capture: Capture,
}

impl Pair {
    fn start(subject: &Subject, cell: Cell) -> Result<Self> {
        let lab = Lab::new("failover")?;
        let net = [10, 64, lab.number() as u8];
        let at = |host: u8| IpAddr::from([net[0], net[1], net[2], host]);
        let address = at(100);
        lab.join(Subnet { address: at(200), prefix: 24 })?;
        let make = |name: &str, host: u8, priority: u8| -> Result<Node> {
            let text = config(cell, priority, at(host), at(3 - host), address);
            let plan = NodePlan::new(name)
                .link("eth0", Subnet { address: at(host), prefix: 24 })
                .file(NodeFile::new(FILE, text));
            let node = lab.node(subject.install(plan))?;
            node.watch(address)?;
            Ok(node)
        };
        let nodes = [make("first", 1, 150)?, make("second", 2, 100)?];
        let capture = lab.capture()?;
        let begun = Moment::now();
        let first = nodes[0].start(DAEMON)?;
        advert(&capture, "first", begun, Duration::from_secs(10))
            .with_context(|| format!("no master:\n{}", first.lines().join("\n")))?;
        let second = nodes[1].start(DAEMON)?;
        second.wait_line("Entering BACKUP STATE", Duration::from_secs(5))?;
        let pair = Self { lab, nodes, daemons: [first, second], address, capture };
        // The backup has to have heard the master.
        pair.pass(cell.timing.interval() * 2 + Duration::from_millis(300));
        Ok(pair)
    }

    fn pass(&self, time: Duration) {
        self.lab.journal().wait(usize::MAX, time, |_| None::<()>);
    }

    fn strike(&self, fault: Fault) -> Result<()> {
        let (node, daemon) = (&self.nodes[0], &self.daemons[0]);
        match fault {
            Fault::KillAll => node.signal(NAME, Signal::SIGKILL).map(drop),
            Fault::Term => daemon.signal(Signal::SIGTERM),
            Fault::LinkDown => node.link("eth0", false),
            Fault::PortDown => node.cable("eth0", false),
            Fault::PortBlocks => node.forward("eth0", false),
            Fault::KillParent => daemon.signal(Signal::SIGKILL),
            Fault::KillRole => {
                let children = daemon.children(NAME)?;
                let child = *children.first().context("the daemon has no child")?;
                daemon.signal_child(child, Signal::SIGKILL)
            }
            Fault::Freeze => node.signal(NAME, Signal::SIGSTOP).map(drop),
        }
    }

    fn heal(&self, fault: Fault) -> Result<()> {
        let node = &self.nodes[0];
        match fault {
            Fault::LinkDown => node.link("eth0", true),
            Fault::PortDown => node.cable("eth0", true),
            Fault::PortBlocks => node.forward("eth0", true),
            Fault::Freeze => node.signal(NAME, Signal::SIGCONT).map(drop),
            _ => Ok(()),
        }
    }

    /// How long both had the address between two moments.
    fn both(&self, from: Moment, to: Moment) -> Duration {
        let holds = self.lab.journal().read(|entries| account::holds(entries, self.address));
        let overlaps = account::overlaps(&holds);
        let part = |one: &account::Both| {
            let end = one.from.after(one.lasted).min(to);
            end.since(one.from.max(from))
        };
        overlaps.iter().map(part).sum()
    }
}

/// Waits for an advert of a node.
fn advert(capture: &Capture, node: &str, from: Moment, limit: Duration) -> Option<Moment> {
    capture.wait(from, limit, |frame| {
        (*frame.node == *node && matches!(frame.sent(), Sent::Advert(_))).then_some(frame.at)
    })
}

/// Lets it happen at `phase` of the advertisement interval, and watches.
pub(super) fn once(subject: &Subject, cell: Cell, phase: f64) -> Result<Outcome> {
    let interval = cell.timing.interval();
    let pair = Pair::start(subject, cell)?;
    let ping = pair.lab.ping(pair.address, PROBE)?;
    pair.pass(Duration::from_millis(300));
    // An interval longer than that is no master any more.
    let beat = advert(&pair.capture, "first", Moment::now(), interval * 3).context("no advert")?;
    let due = beat.after(interval.mul_f64(phase));
    pair.pass(due.since(Moment::now()));
    let struck = Moment::now();
    pair.strike(cell.fault)?;
    // A lease of the smallest kind, a second, is over by then too.
    let more = Duration::from_millis(if interval < Duration::from_secs(1) { 1_600 } else { 700 });
    pair.pass(cell.timing.master_down() + interval + more);
    let end = Moment::now();
    let said_before = pair.daemons.each_ref().map(|daemon| daemon.lines().len());
    let (mut announced, mut healed_end) = (None, end);
    if cell.fault.heals() {
        let healed = Moment::now();
        pair.heal(cell.fault)?;
        // The first takes the address back after its own master-down time, if it lost it.
        let limit = cell.timing.master_down() + interval + Duration::from_millis(700);
        let found = pair.capture.wait(healed, limit, |frame| match frame.sent() {
            Sent::Gratuitous(address) if IpAddr::V4(address) == pair.address => Some(frame.at),
            _ => None,
        });
        announced = found.map(|at| at.since(healed));
        pair.pass(interval * 2);
        healed_end = Moment::now();
    }
    drop(ping);
    let lines = pair.daemons.iter().zip(said_before).flat_map(|(daemon, from)| {
        let mut lines = daemon.lines();
        lines.split_off(from.min(lines.len()))
    });
    let said = lines.into_iter().find(|line| line.contains("split: "));
    Ok(Outcome {
        gap: gap(&pair, struck, end),
        taken: pair.capture.adverts("second", struck).first().map(|(at, _)| at.since(struck)),
        both: pair.both(struck, end),
        both_after: pair.both(end, healed_end),
        gap_after: gap(&pair, end, healed_end),
        announced,
        said,
    })
}

/// The longest time between two answers that follow each other, from the last before `from` on.
fn gap(pair: &Pair, from: Moment, to: Moment) -> Duration {
    pair.capture.read(|frames| {
        let answers = frames
            .iter()
            .filter(|frame| frame.at <= to && frame.sent() == Sent::Echo(pair.address));
        let mut last = from;
        let mut longest = Duration::ZERO;
        for frame in answers {
            if frame.at > from {
                longest = longest.max(frame.at.since(last));
            }
            last = frame.at;
        }
        longest.max(to.since(last.max(from)))
    })
}

fn config(cell: Cell, priority: u8, own: IpAddr, peer: IpAddr, address: IpAddr) -> String {
    let version = cell.timing.version;
    let interval = f64::from(cell.timing.interval) / 100.0;
    let unicast = if cell.unicast {
        format!("    unicast_src_ip {own}\n    unicast_peer {{\n        {peer}\n    }}\n")
    } else {
        String::new()
    };
    format!(
        "vrrp_instance VI_1 {{\n    state BACKUP\n    interface eth0\n    virtual_router_id 51\n    \
         priority {priority}\n    version {version}\n    advert_int {interval}\n{unicast}    \
         virtual_ipaddress {{\n        {address}/24\n    }}\n}}\n"
    )
}
