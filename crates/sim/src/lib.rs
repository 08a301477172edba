//! A link with virtual routers on it, on a clock of its own: every run is decided by its seed.
//!
//! ```text
//!   n0                 n1                 n2          a Node: a process with a vrrp::Instance,
//!  ┌────────┐         ┌────────┐         ┌────────┐   a kernel with addresses that expire,
//!  │process │         │process │         │process │   a cable
//!  │kernel  │         │kernel  │         │kernel  │
//!  └───┬────┘         └───┬────┘         └───┬────┘
//!  ────┴──────────────────┴──────────────────┴─────  the Lan: delay, loss, partition
//! ```
//!
//! Processes can be killed, frozen, resumed, terminated and restarted, cables pulled, packets lost.
//! What crosses the link are the real packets. [`Lan::violations`] lists every moment at which two
//! kernels held an address.
//!
//! ```
//! use std::time::Duration;
//!
//! let mut lan = sim::Lan::new(7);
//! let (low, high) = (lan.add(sim::router(100)), lan.add(sim::router(150)));
//! lan.start(low);
//! lan.start(high);
//! lan.run(Duration::from_secs(5));
//! assert_eq!(lan.holders(), [high]);
//! lan.kill(high);
//! lan.run(Duration::from_secs(4));
//! assert_eq!(lan.holders(), [low]);
//! assert!(lan.violations().is_empty());
//! ```
#![forbid(unsafe_code)]

mod node;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fastrand::Rng;
use machine::Instant;
use vrrp::config::{InstanceConfig, Version, VirtualAddress, Vrid};
use vrrp::{Action, Event, Instance, LogLine, State};

pub use node::Node;

use node::Happening;

/// The address all routers made by [`router`] share.
pub const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

/// A router of this priority, on `eth0`, with [`VIRTUAL`] as its address.
#[must_use]
pub fn router(priority: u8) -> InstanceConfig {
    InstanceConfig {
        name: "VI_1".into(),
        interface: "eth0".into(),
        vrid: Vrid(51),
        priority,
        version: Version::V3,
        addresses: vec![VirtualAddress::host(VIRTUAL.into())],
        ..InstanceConfig::default()
    }
}

/// The link, its routers, and the time.
#[derive(Debug)]
pub struct Lan {
    rng: Rng,
    now: Instant,
    nodes: Vec<Node>,
    in_flight: Vec<Flight>,
    delay: (Duration, Duration),
    loss: u8,
    trace: Vec<(Instant, usize, Traced)>,
    violations: Vec<String>,
    steps: u64,
}

/// What a process did or said.
#[derive(Clone, Debug)]
pub enum Traced {
    /// Done to it.
    Fault(&'static str),
    /// Done by it.
    Action(Action),
    /// The kernel took an address away.
    Expired(IpAddr),
}

#[derive(Debug)]
struct Flight {
    due: Instant,
    to: usize,
    bytes: Vec<u8>,
}

impl Lan {
    /// A link without routers, losses, or much delay.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: Instant::ZERO,
            nodes: vec![],
            in_flight: vec![],
            delay: (Duration::from_micros(50), Duration::from_millis(2)),
            loss: 0,
            trace: vec![],
            violations: vec![],
            steps: 0,
        }
    }

    /// Connects a host, whose process is not running yet: `192.0.2.1` and up. Its index.
    pub fn add(&mut self, config: InstanceConfig) -> usize {
        let number = u8::try_from(self.nodes.len() + 1).unwrap_or(u8::MAX);
        self.nodes.push(Node::new(config, Ipv4Addr::new(192, 0, 2, number).into()));
        self.nodes.len() - 1
    }

    /// Chance, in percent, that a packet does not arrive.
    pub fn set_loss(&mut self, percent: u8) {
        self.loss = percent;
    }

    /// How long packets take.
    pub fn set_delay(&mut self, shortest: Duration, longest: Duration) {
        self.delay = (shortest, longest.max(shortest));
    }

    /// Starts a process, also again after it ended.
    pub fn start(&mut self, i: usize) {
        self.fault(i, "started");
        let node = &mut self.nodes[i];
        let (address, up) = (node.address, node.cable);
        node.frozen = false;
        node.inbox.clear();
        node.instance = Some(Instance::new(node.config.clone(), &[]));
        self.feed(i, &Happening::Link(up));
        self.feed_event(i, Event::Source(Some(address)));
        self.feed_event(i, Event::Start);
    }

    /// SIGTERM: it resigns and ends.
    pub fn terminate(&mut self, i: usize) {
        if !self.nodes[i].is_awake() {
            return;
        }
        self.fault(i, "terminated");
        self.feed_event(i, Event::Shutdown);
        self.nodes[i].instance = None;
    }

    /// SIGKILL: it ends, and its kernel goes on with what it was last told.
    pub fn kill(&mut self, i: usize) {
        self.fault(i, "killed");
        self.nodes[i].instance = None;
        self.nodes[i].inbox.clear();
    }

    /// SIGSTOP: what arrives waits for it.
    pub fn freeze(&mut self, i: usize) {
        self.fault(i, "frozen");
        self.nodes[i].frozen = true;
    }

    /// SIGCONT: it finds the time gone by, and what arrived meanwhile; which first, is chance.
    pub fn resume(&mut self, i: usize) {
        if !std::mem::take(&mut self.nodes[i].frozen) {
            return;
        }
        self.fault(i, "resumed");
        if self.rng.bool() {
            self.feed_event(i, Event::Tick);
        }
        while let Some(happening) = self.nodes[i].inbox.pop_front() {
            self.feed(i, &happening);
        }
        self.feed_event(i, Event::Tick);
    }

    /// Takes the carrier away, or gives it back.
    pub fn set_cable(&mut self, i: usize, plugged: bool) {
        if std::mem::replace(&mut self.nodes[i].cable, plugged) == plugged {
            return;
        }
        self.fault(i, if plugged { "plugged in" } else { "unplugged" });
        self.happen(i, Happening::Link(plugged));
    }

    /// Packets pass only between hosts of one side; [`violations`](Self::violations) are still noted.
    pub fn set_side(&mut self, i: usize, side: u8) {
        self.nodes[i].side = side;
    }

    /// A new configuration, as by SIGHUP.
    pub fn reload(&mut self, i: usize, config: InstanceConfig) {
        self.fault(i, "reloaded");
        self.nodes[i].config = config.clone();
        let mut actions = vec![];
        if let Some(instance) = &mut self.nodes[i].instance {
            instance.reconfigure(config, &[], self.now, &mut actions);
        }
        self.carry_out(i, actions);
    }

    /// Tells a process something of its own host.
    pub fn tell(&mut self, i: usize, event: Event<'_>) {
        if self.nodes[i].is_awake() {
            self.feed_event(i, event);
        }
    }

    /// Lets this much time pass.
    ///
    /// # Panics
    /// When more than 10,000 things happen in one simulated second: an advert storm.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_while(end, |_| true);
    }

    /// Lets time pass until `end` or until `go_on` says no, whichever comes first. Whether it came to
    /// the end.
    ///
    /// # Panics
    /// See [`run`](Self::run).
    pub fn run_while(&mut self, end: Instant, go_on: impl Fn(&Self) -> bool) -> bool {
        let limit = self.steps + 10_000 * ((end - self.now).as_secs() + 1);
        while go_on(self) {
            if !self.step(end) {
                return true;
            }
            assert!(self.steps < limit, "an advert storm\n{}", self.story());
        }
        false
    }

    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A host.
    #[must_use]
    pub fn node(&self, i: usize) -> &Node {
        &self.nodes[i]
    }

    /// The hosts whose kernel has a virtual address.
    #[must_use]
    pub fn holders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&i| self.nodes[i].holds()).collect()
    }

    /// The hosts whose process, awake or not, is master.
    #[must_use]
    pub fn masters(&self) -> Vec<usize> {
        let master = |&i: &usize| self.nodes[i].state() == Some(State::Master);
        (0..self.nodes.len()).filter(master).collect()
    }

    /// Every moment at which an address came to a second host.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// What happened, in order.
    #[must_use]
    pub fn trace(&self) -> &[(Instant, usize, Traced)] {
        &self.trace
    }

    /// The last hundred things that happened, a line each.
    #[must_use]
    pub fn story(&self) -> String {
        let last = &self.trace[self.trace.len().saturating_sub(100)..];
        let line = |(at, i, what): &(Instant, usize, Traced)| match what {
            Traced::Fault(fault) => format!("{at} n{i} *** {fault}\n"),
            Traced::Action(Action::Log(line)) => format!("{at} n{i} {line}\n"),
            Traced::Action(action) => format!("{at} n{i} {action:?}\n"),
            Traced::Expired(address) => format!("{at} n{i} *** {address} expired\n"),
        };
        last.iter().map(line).collect()
    }

    /// What the processes logged, with when and who.
    pub fn logged(&self) -> impl Iterator<Item = (Instant, usize, &LogLine)> {
        self.trace.iter().filter_map(|(at, i, what)| match what {
            Traced::Action(Action::Log(line)) => Some((*at, *i, line)),
            Traced::Action(_) | Traced::Fault(_) | Traced::Expired(_) => None,
        })
    }

    /// Runs the clock to the next thing that happens, as long as that is not after `end`.
    fn step(&mut self, end: Instant) -> bool {
        for node in &mut self.nodes {
            node.schedule(self.now, &mut self.rng);
        }
        let arrival = self.in_flight.iter().map(|flight| flight.due);
        let own = self.nodes.iter().filter_map(Node::next);
        let Some(next) = arrival.chain(own).min().filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        self.steps += 1;
        if let Some(at) = self.in_flight.iter().position(|flight| flight.due <= self.now) {
            let Flight { to, bytes, .. } = self.in_flight.swap_remove(at);
            if self.nodes[to].cable {
                self.happen(to, Happening::Packet(bytes));
            }
            return true;
        }
        for i in 0..self.nodes.len() {
            for address in self.nodes[i].expire(self.now) {
                self.trace.push((self.now, i, Traced::Expired(address)));
                self.happen(i, Happening::Lost(address));
            }
            if self.nodes[i].is_due(self.now) {
                self.feed_event(i, Event::Tick);
            }
        }
        true
    }

    fn fault(&mut self, i: usize, what: &'static str) {
        self.trace.push((self.now, i, Traced::Fault(what)));
    }

    /// Something reaches a host: its process at once if it is awake.
    fn happen(&mut self, i: usize, happening: Happening) {
        let node = &mut self.nodes[i];
        if node.is_awake() {
            self.feed(i, &happening);
        } else if node.instance.is_some() && node.inbox.len() < 200 {
            node.inbox.push_back(happening);
        }
    }

    fn feed(&mut self, i: usize, happening: &Happening) {
        match happening {
            Happening::Link(up) => {
                self.feed_event(i, Event::Link { interface: "eth0", up: *up });
            }
            Happening::Lost(address) => self.feed_event(i, Event::AddressLost(*address)),
            Happening::Packet(bytes) => {
                if let Ok(datagram) = vrrp::Datagram::from_ipv4(bytes) {
                    self.feed_event(i, Event::Received(datagram));
                }
            }
        }
    }

    fn feed_event(&mut self, i: usize, event: Event<'_>) {
        let mut actions = vec![];
        self.nodes[i].handle(self.now, event, &mut actions);
        self.carry_out(i, actions);
    }

    fn carry_out(&mut self, i: usize, actions: Vec<Action>) {
        for action in actions {
            match &action {
                Action::SendAdvert { priority } => self.send(i, *priority),
                Action::AddAddresses { .. }
                | Action::RenewLease { .. }
                | Action::RemoveAddresses { .. } => {
                    self.nodes[i].change_addresses(&action, self.now, &mut self.rng);
                }
                Action::Announce { .. }
                | Action::AddRoutes { .. }
                | Action::RemoveRoutes { .. }
                | Action::Block { .. }
                | Action::HeardLowerPriority
                | Action::PriorityChanged { .. }
                | Action::Entered(_)
                | Action::Log(_) => {}
            }
            self.trace.push((self.now, i, Traced::Action(action)));
            let holders = self.holders();
            if holders.len() > 1 && self.nodes[i].holds() {
                let violation = format!("{}: {holders:?} hold the addresses", self.now);
                self.violations.push(violation);
            }
        }
    }

    fn send(&mut self, from: usize, priority: u8) {
        let (side, cable) = (self.nodes[from].side, self.nodes[from].cable);
        for (destination, bytes) in self.nodes[from].packets(priority) {
            for to in (0..self.nodes.len()).filter(|&to| to != from) {
                let node = &self.nodes[to];
                let meant = destination.is_multicast() || destination == node.address;
                let lost = self.rng.u8(0..100) < self.loss;
                if meant && cable && node.side == side && !lost {
                    let (shortest, longest) = self.delay;
                    let spread = u64::try_from((longest - shortest).as_micros()).unwrap_or(0);
                    let due = self.now + shortest + Duration::from_micros(self.rng.u64(0..=spread));
                    self.in_flight.push(Flight { due, to, bytes: bytes.clone() });
                }
            }
        }
    }
}
