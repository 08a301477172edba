//! A guide set up in a lab, with its client asking: what faults are tried on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::account::{self, Hold};
use crate::guide::{Balancer, Daemon, Guide};
use crate::host::{Lab, Node, NodePlan, Proc};
use crate::order::Moment;
use crate::probe::Request;
use crate::subject::Subject;
use crate::switch::Subnet;

/// How often the client asks.
pub const EVERY: Duration = Duration::from_millis(10);

/// After how long the client gives a request up.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// A guide that runs.
pub struct Stage {
    /// What it is the stage of.
    pub guide: Guide,
    /// The switch and all that happens on it.
    pub lab: Lab,
    /// The balancers' nodes, in the guide's order.
    pub balancers: Vec<Node>,
    /// The API servers' nodes, in the guide's order.
    pub servers: Vec<Node>,
    /// When the first node stood.
    pub start: Moment,
    client: Node,
    probe: Option<Proc>,
}

impl Stage {
    /// Lays the nodes out and starts the servers; no balancer runs yet.
    ///
    /// # Errors
    ///
    /// When a node cannot be made or a server does not listen.
    pub fn new(guide: Guide, subject: &Subject) -> Result<Self> {
        let lab = Lab::new(guide.name)?;
        let start = Moment::now();
        let mut servers = Vec::new();
        for (name, address) in &guide.servers {
            let own = Subnet { address: address.ip(), prefix: guide.prefix };
            servers.push(lab.node(NodePlan::new(name).link("eth0", own))?);
        }
        let mut balancers = Vec::new();
        for balancer in &guide.balancers {
            balancers.push(lab.node(subject.install(balancer.plan(guide.prefix)))?);
        }
        let own = Subnet::new(guide.client, guide.prefix);
        let client = lab.node(NodePlan::new("client").link("eth0", own))?;
        let stage = Self { guide, lab, balancers, servers, start, client, probe: None };
        for place in 0..stage.servers.len() {
            stage.start_server(place)?;
        }
        if stage.guide.floating.is_some() {
            for node in &stage.balancers {
                node.watch(stage.guide.target.ip())?;
            }
        }
        Ok(stage)
    }

    /// Starts the API server at `place` and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it does not within five seconds.
    pub fn start_server(&self, place: usize) -> Result<Proc> {
        let (name, address) = self.guide.servers[place];
        let server = self.servers[place].start(&["apiserver", name, &address.to_string()])?;
        server.wait_line("listening", Duration::from_secs(5))?;
        Ok(server)
    }

    /// Starts a daemon of the balancer at `place`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_daemon(&self, place: usize, daemon: &Daemon) -> Result<Proc> {
        self.balancers[place].start_with(daemon.argv, daemon.env)
    }

    /// Starts every daemon of every balancer, the first balancer's first.
    ///
    /// # Errors
    ///
    /// When one cannot be started or ends at once.
    pub fn start_balancers(&self) -> Result<()> {
        let mut started = Vec::new();
        for (place, balancer) in self.guide.balancers.iter().enumerate() {
            for daemon in &balancer.daemons {
                started.push((balancer, daemon, self.start_daemon(place, daemon)?));
            }
        }
        for (Balancer { name, .. }, daemon, process) in started {
            if let Some(code) = process.wait(Duration::from_millis(300)) {
                let lines = process.lines().join("\n");
                bail!("{} on {name} ended with code {code}:\n{lines}", daemon.argv.join(" "));
            }
        }
        Ok(())
    }

    /// Lets the client ask from now on.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_client(&mut self) -> Result<()> {
        let target = self.guide.target.to_string();
        let (every, patience) = (EVERY.as_millis().to_string(), PATIENCE.as_millis().to_string());
        self.probe = Some(self.client.start(&["probe", &target, &every, &patience])?);
        Ok(())
    }

    /// Ends the client; every request has then been reported.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn stop_client(&mut self) -> Result<()> {
        let Some(probe) = self.probe.take() else { return Ok(()) };
        probe.signal(Signal::SIGTERM)?;
        let code = probe.wait(Duration::from_secs(10)).context("the client does not end")?;
        probe.wait_line("\"started\"", Duration::from_secs(5))?;
        if code != 0 { bail!("the client ended with code {code}") } else { Ok(()) }
    }

    /// Who holds the floating address now, by the last samples.
    pub fn holders(&self) -> Vec<Arc<str>> {
        let open = self.holds().into_iter().filter(|hold| !hold.ended);
        open.map(|hold| hold.node).collect()
    }

    /// Every stretch in which a node held the floating address.
    pub fn holds(&self) -> Vec<Hold> {
        self.lab.journal().read(|entries| account::holds(entries, self.guide.target.ip()))
    }

    /// Every request whose end is known.
    pub fn requests(&self) -> Vec<Request> {
        self.lab.journal().read(account::requests)
    }

    /// Waits until `true`, looking every 25 ms.
    pub fn until(&self, limit: Duration, mut is: impl FnMut(&Self) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if is(self) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until `node` alone holds the floating address and answers have come through since.
    pub fn until_master(&self, node: &str, limit: Duration) -> bool {
        self.until(limit, |stage| {
            let holds = stage.holds();
            let open: Vec<&Hold> = holds.iter().filter(|hold| !hold.ended).collect();
            let [only] = open.as_slice() else { return false };
            let answered = stage.probe.is_none() || stage.answered_after(only.first).is_some();
            &*only.node == node && answered
        })
    }

    /// Lets time pass while the client asks.
    pub fn watch(&self, time: Duration) {
        self.until(time, |_| false);
    }

    /// When the first answer of a request begun at or after `from` came.
    pub fn answered_after(&self, from: Moment) -> Option<Moment> {
        self.lab.journal().read(|entries| {
            let mine = entries.iter().filter_map(account::request);
            mine.filter(|one| one.start >= from && one.answer.is_ok()).map(|one| one.end).min()
        })
    }

    /// How many requests begun at or after `from` each server answered, and how many failed.
    pub fn tally(&self, from: Moment) -> (BTreeMap<String, u64>, u64) {
        let (mut answered, mut failed) = (BTreeMap::new(), 0);
        self.lab.journal().read(|entries| {
            let mine = entries.iter().filter_map(account::request);
            for one in mine.filter(|one| one.start >= from) {
                match &one.answer {
                    Ok(server) => *answered.entry(server.clone()).or_default() += 1,
                    Err(_) => failed += 1,
                }
            }
        });
        (answered, failed)
    }
}

const LOOK: Duration = Duration::from_millis(25);
