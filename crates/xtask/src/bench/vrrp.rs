//! Nodes that run a VRRP daemon, as the benchmarks of failoverd need them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::{Capture, Lab, Moment, Node, NodeFile, NodePlan, Proc, Subject, Subnet, Usage};

/// Where the daemons look for their file.
pub(super) const FILE: &str = "/etc/keepalived/keepalived.conf";
/// The daemon in the foreground.
pub(super) const DAEMON: &[&str] = &["keepalived", "-n", "-l"];
/// The comm name of the daemon's processes.
pub(super) const NAME: &str = "keepalived";

/// Builds ours, finds the original and enters the ground: the first thing a benchmark does.
///
/// # Errors
///
/// When ours do not build or the machine permits no namespaces.
pub(super) fn subjects() -> Result<Vec<Subject>> {
    let subjects = [Some(Subject::ours()?), Subject::upstream()];
    lab::ground::enter()?;
    if subjects[1].is_none() {
        eprintln!("SKIPPED: the original, not installed here; there is nothing to compare with");
    }
    Ok(subjects.into_iter().flatten().collect())
}

/// What a table calls a subject.
pub(super) fn title(subject: &Subject) -> String {
    match subject {
        Subject::Ours { .. } => format!("failoverd {}", env!("CARGO_PKG_VERSION")),
        Subject::Upstream => {
            format!("keepalived {}", super::version_of("keepalived", "-v").unwrap_or_default())
        }
    }
}

/// Many virtual routers, `each` on every one of `interfaces` interfaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Many {
    pub(super) interfaces: u8,
    pub(super) each: u8,
}

impl Many {
    pub(super) fn total(self) -> usize {
        usize::from(self.interfaces) * usize::from(self.each)
    }

    /// The file of a node: every router has an address of its own.
    fn config(self, lab: u8, priority: u8) -> String {
        let mut text = String::new();
        for interface in 0..self.interfaces {
            for vrid in 1..=self.each {
                let _ = write!(
                    text,
                    "vrrp_instance V{interface}_{vrid} {{\n    state BACKUP\n    interface \
                     eth{interface}\n    virtual_router_id {vrid}\n    priority {priority}\n    \
                     advert_int 1\n    virtual_ipaddress {{\n        {}\n    }}\n}}\n",
                    Ipv4Addr::new(10, lab, 16 * (interface + 1), vrid)
                );
            }
        }
        text
    }
}

/// A master of many routers and their backup.
pub(super) struct Crowd {
    pub(super) master: Node,
    pub(super) backup: Node,
    pub(super) daemons: [Proc; 2],
    pub(super) capture: Capture,
    many: Many,
    _lab: Lab,
}

impl Crowd {
    /// Starts both, and returns when the first is master of everything and both are at rest.
    pub(super) fn start(subject: &Subject, many: Many) -> Result<Self> {
        let lab = Lab::new("crowd")?;
        let number = lab.number() as u8;
        let make = |name: &str, host: u8, priority: u8| -> Result<Node> {
            let mut plan = NodePlan::new(name);
            for interface in 0..many.interfaces {
                let own = Ipv4Addr::new(10, number, 16 * (interface + 1) + 15, host);
                plan = plan.link_to(interface, &format!("eth{interface}"), Subnet::new(own, 20));
            }
            let file = NodeFile::new(FILE, many.config(number, priority));
            lab.node(subject.install(plan.file(file)))
        };
        let (master, backup) = (make("master", 1, 150)?, make("backup", 2, 100)?);
        let capture = lab.capture()?;
        let begun = Moment::now();
        let daemon = master.start(DAEMON)?;
        let mut heard = std::collections::HashSet::new();
        let all = capture.wait(begun, Duration::from_secs(60), |frame| {
            if let lab::Sent::Advert(advert) = frame.sent() {
                heard.insert(advert.addresses);
            }
            (heard.len() == many.total()).then_some(())
        });
        all.with_context(|| {
            let lines = daemon.lines();
            let last = lines[lines.len().saturating_sub(20)..].join("\n");
            format!("{} of {} routers have a master:\n{last}", heard.len(), many.total())
        })?;
        let second = backup.start(DAEMON)?;
        // The second announcements come five seconds after the first.
        let ended = second.wait(Duration::from_secs(8));
        ensure!(ended.is_none(), "the backup ended: {:?}", second.lines());
        Ok(Self { master, backup, daemons: [daemon, second], capture, many, _lab: lab })
    }

    /// How late adverts of the master were between both moments: the worst, and the worst but one
    /// in a thousand. Fails if a router has none.
    pub(super) fn lateness(&self, from: Begun, to: Moment) -> Result<Lateness> {
        let Begun { at: from, lost } = from;
        let mut last: std::collections::HashMap<Vec<IpAddr>, Moment> = Default::default();
        let mut late = Vec::new();
        let mut strays = 0;
        self.capture.read(|frames| {
            for frame in frames.iter().filter(|frame| frame.at >= from && frame.at <= to) {
                let lab::Sent::Advert(advert) = frame.sent() else { continue };
                if *frame.node != *"master" {
                    strays += 1;
                    continue;
                }
                if let Some(before) = last.insert(advert.addresses, frame.at) {
                    late.push(frame.at.since(before).saturating_sub(Duration::from_secs(1)));
                }
            }
        });
        ensure!(last.len() == self.many.total(), "only {} routers sent adverts", last.len());
        ensure!(Capture::lost() == lost, "the capture lost {} frames", Capture::lost() - lost);
        late.sort_unstable();
        let worst = late.last().copied().unwrap_or_default();
        let most = late.get(late.len() * 999 / 1000).copied().unwrap_or_default();
        Ok(Lateness { worst, most, strays })
    }

    /// What both nodes' daemons have used.
    pub(super) fn usage(&self) -> Result<[Usage; 2]> {
        Ok([self.master.usage(NAME)?, self.backup.usage(NAME)?])
    }
}

/// Where a measurement begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: Moment,
    /// Frames the capture had lost before.
    lost: u32,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self { at: Moment::now(), lost: Capture::lost() }
    }
}

/// By how much adverts came later than `advert_int` after the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    pub(super) worst: Duration,
    /// 99.9 of 100 were no later.
    pub(super) most: Duration,
    /// Adverts of the backup: it did not hear the master, or not in time.
    pub(super) strays: usize,
}

/// CPU time between two readings as seconds per minute.
pub(super) fn per_minute(before: Usage, after: Usage, window: Duration) -> f64 {
    let used = after.cpu.saturating_sub(before.cpu) as f64 / 1e9;
    used * 60.0 / window.as_secs_f64()
}

/// Lets time pass while something is measured.
pub(super) fn pass(daemon: &Proc, time: Duration) -> Result<()> {
    let ended = daemon.wait(time);
    ensure!(ended.is_none(), "the daemon ended with {ended:?}: {:?}", daemon.lines().last());
    Ok(())
}
