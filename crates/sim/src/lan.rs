//! The link, its routers, and the time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fastrand::Rng;
use machine::Instant;
use vrrp::config::{InstanceConfig, ScriptConfig};
use vrrp::{Action, Event, LogLine, State};

use crate::node::{Happening, Node, Process};
use crate::overlap::{Cause, Overlaps, Watch};

/// The link, its routers, and the time.
#[derive(Debug)]
pub struct Lan {
    rng: Rng,
    now: Instant,
    nodes: Vec<Node>,
    scripts: Vec<ScriptConfig>,
    in_flight: Vec<Flight>,
    delay: (Duration, Duration),
    loss: u8,
    copies: u8,
    trace: Vec<(Instant, usize, Traced)>,
    violations: Vec<String>,
    watch: Watch,
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
    /// Of which virtual router.
    at: usize,
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
            scripts: vec![],
            in_flight: vec![],
            delay: (Duration::from_micros(50), Duration::from_millis(2)),
            loss: 0,
            copies: 0,
            trace: vec![],
            violations: vec![],
            watch: Watch::default(),
            steps: 0,
        }
    }

    /// What scripts there are to be tracked, before any process is started.
    pub fn declare(&mut self, scripts: Vec<ScriptConfig>) {
        self.scripts = scripts;
    }

    /// Connects a host, whose process is not running yet: `192.0.2.1` and up. Its index.
    pub fn add(&mut self, config: InstanceConfig) -> usize {
        self.add_group(vec![config])
    }

    /// Connects a host with a sync group, each of whose members has an interface and a cable of its
    /// own; the members at one place of all hosts are on one link. Its index.
    pub fn add_group(&mut self, configs: Vec<InstanceConfig>) -> usize {
        let number = u8::try_from(self.nodes.len() + 1).unwrap_or(u8::MAX);
        self.nodes.push(Node::new(configs, Ipv4Addr::new(192, 0, 2, number).into()));
        self.nodes.len() - 1
    }

    /// Chance, in percent, that a packet does not arrive.
    pub fn set_loss(&mut self, percent: u8) {
        self.loss = percent;
    }

    /// Chance, in percent, that a packet arrives twice.
    pub fn set_copies(&mut self, percent: u8) {
        self.copies = percent;
    }

    /// How long packets take.
    pub fn set_delay(&mut self, shortest: Duration, longest: Duration) {
        self.delay = (shortest, longest.max(shortest));
    }

    /// How many parts in a million the clock of a host is fast, or slow; before it is started.
    pub fn set_drift(&mut self, i: usize, parts: i32) {
        self.nodes[i].drift = parts;
    }

    /// Starts a process, also again after it ended.
    pub fn start(&mut self, i: usize) {
        self.fault(i, "started");
        self.begin(i, false);
        for at in 0..self.nodes[i].configs.len() {
            self.feed_event(i, at, Event::Start);
        }
    }

    /// Starts a process that follows one that was [killed](Self::kill), or is now.
    pub fn respawn(&mut self, i: usize) {
        self.fault(i, "followed by another process");
        let ledger = self.nodes[i].ledger.clone();
        let count = self.nodes[i].configs.len();
        let masters = ledger.iter().filter(|(state, _)| *state == State::Master).count();
        self.begin(i, masters == count);
        for at in 0..count {
            let event = match ledger.get(at) {
                Some((State::Master, advert)) => {
                    Event::Resume { silent: self.nodes[i].local(self.now) - *advert }
                }
                Some(_) | None => Event::Start,
            };
            self.feed_event(i, at, event);
        }
    }

    fn begin(&mut self, i: usize, resumed: bool) {
        let node = &mut self.nodes[i];
        let address = node.address;
        node.frozen = false;
        node.inbox.clear();
        node.process = Some(Process::new(&node.configs, &self.scripts, resumed));
        let verdicts: Vec<_> = node.verdicts.clone().into_iter().collect();
        for at in 0..self.nodes[i].configs.len() {
            self.feed(i, &Happening::Link(at, self.nodes[i].cables[at]));
            self.feed_event(i, at, Event::Source(Some(address)));
            for (name, good) in &verdicts {
                self.feed_event(i, at, Event::Script { name, good: *good });
            }
        }
    }

    /// SIGTERM: it resigns and ends.
    pub fn terminate(&mut self, i: usize) {
        if !self.nodes[i].is_awake() {
            return;
        }
        self.fault(i, "terminated");
        for at in 0..self.nodes[i].configs.len() {
            self.feed_event(i, at, Event::Shutdown);
        }
        self.nodes[i].process = None;
        self.nodes[i].ledger.clear();
    }

    /// SIGKILL: it ends, and its kernel goes on with what it was last told.
    pub fn kill(&mut self, i: usize) {
        self.fault(i, "killed");
        self.nodes[i].process = None;
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
            self.feed_ticks(i);
        }
        while let Some(happening) = self.nodes[i].inbox.pop_front() {
            self.feed(i, &happening);
        }
        self.feed_ticks(i);
    }

    fn feed_ticks(&mut self, i: usize) {
        for at in 0..self.nodes[i].configs.len() {
            self.feed_event(i, at, Event::Tick);
        }
    }

    /// Takes the carrier away from the first interface, or gives it back.
    pub fn set_cable(&mut self, i: usize, plugged: bool) {
        self.set_cable_at(i, 0, plugged);
    }

    /// The same of the interface of the virtual router at this place.
    pub fn set_cable_at(&mut self, i: usize, at: usize, plugged: bool) {
        if std::mem::replace(&mut self.nodes[i].cables[at], plugged) == plugged {
            return;
        }
        self.fault(i, if plugged { "plugged in" } else { "unplugged" });
        self.happen(i, Happening::Link(at, plugged));
    }

    /// A script of the host gives its verdict.
    pub fn set_script(&mut self, i: usize, name: &str, good: bool) {
        if self.nodes[i].verdicts.insert(name.to_owned(), good) == Some(good) {
            return;
        }
        self.fault(i, if good { "script succeeds" } else { "script fails" });
        self.happen(i, Happening::Script(name.to_owned(), good));
    }

    /// Packets pass only between hosts of one side; [`violations`](Self::violations) are still noted.
    pub fn set_side(&mut self, i: usize, side: u8) {
        self.nodes[i].side = side;
    }

    /// A new configuration of the first virtual router, as by SIGHUP.
    pub fn reload(&mut self, i: usize, config: InstanceConfig) {
        self.fault(i, "reloaded");
        let node = &mut self.nodes[i];
        node.configs[0] = config.clone();
        let now = node.local(self.now);
        let mut actions = vec![];
        if let Some(process) = &mut node.process {
            process.instances[0].reconfigure(config, &self.scripts, now, &mut actions);
        }
        self.carry_out(i, 0, actions);
    }

    /// Tells a process something of its own host.
    pub fn tell(&mut self, i: usize, event: Event<'_>) {
        if self.nodes[i].is_awake() {
            self.feed_event(i, 0, event);
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

    /// How long an address was on two hosts, at most.
    #[must_use]
    pub fn overlaps(&self) -> Overlaps {
        self.watch.worst
    }

    /// What happened, in order.
    #[must_use]
    pub fn trace(&self) -> &[(Instant, usize, Traced)] {
        &self.trace
    }

    /// The last hundred and fifty things that happened, a line each.
    #[must_use]
    pub fn story(&self) -> String {
        let last = &self.trace[self.trace.len().saturating_sub(150)..];
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
            self.pass(end);
            return false;
        };
        self.pass(self.now.max(next));
        self.steps += 1;
        if let Some(at) = self.in_flight.iter().position(|flight| flight.due <= self.now) {
            let Flight { to, at, bytes, .. } = self.in_flight.swap_remove(at);
            if self.nodes[to].cables[at] {
                self.happen(to, Happening::Packet(at, bytes));
            }
            return true;
        }
        for i in 0..self.nodes.len() {
            for address in self.nodes[i].expire(self.now) {
                self.trace.push((self.now, i, Traced::Expired(address)));
                self.happen(i, Happening::Lost(address));
            }
            if self.nodes[i].is_due(self.now) {
                for at in self.nodes[i].due(self.now) {
                    self.feed_event(i, at, Event::Tick);
                }
            }
        }
        true
    }

    /// Lets the clock run, and notes who shares addresses meanwhile.
    fn pass(&mut self, to: Instant) {
        let time = to - self.now;
        self.now = to;
        let mut pairs = vec![];
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                for address in self.nodes[a].addresses() {
                    if self.nodes[b].has(address) {
                        pairs.push((address, a, b, self.cause(a, b)));
                    }
                }
            }
        }
        if !(pairs.is_empty() && self.watch.is_empty()) {
            self.watch.pass(time, &pairs);
        }
    }

    fn cause(&self, a: usize, b: usize) -> Cause {
        let (a, b) = (&self.nodes[a], &self.nodes[b]);
        if !a.is_awake() || !b.is_awake() {
            Cause::Leased(!a.is_awake(), !b.is_awake())
        } else if a.side == b.side && a.is_plugged() && b.is_plugged() && self.loss == 0 {
            Cause::Talking
        } else {
            Cause::Parted
        }
    }

    fn fault(&mut self, i: usize, what: &'static str) {
        self.trace.push((self.now, i, Traced::Fault(what)));
    }

    /// Something reaches a host: its process at once if it is awake.
    fn happen(&mut self, i: usize, happening: Happening) {
        let node = &mut self.nodes[i];
        if node.is_awake() {
            self.feed(i, &happening);
        } else if node.process.is_some() && node.inbox.len() < 200 {
            node.inbox.push_back(happening);
        }
    }

    fn feed(&mut self, i: usize, happening: &Happening) {
        match happening {
            Happening::Link(at, up) => {
                let interface = self.nodes[i].configs[*at].interface.clone();
                self.feed_event(i, *at, Event::Link { interface: &interface, up: *up });
            }
            Happening::Lost(address) => {
                for at in 0..self.nodes[i].configs.len() {
                    self.feed_event(i, at, Event::AddressLost(*address));
                }
            }
            Happening::Script(name, good) => {
                for at in 0..self.nodes[i].configs.len() {
                    self.feed_event(i, at, Event::Script { name, good: *good });
                }
            }
            Happening::Packet(at, bytes) => {
                if let Ok(datagram) = vrrp::Datagram::from_ipv4(bytes) {
                    self.feed_event(i, *at, Event::Received(datagram));
                }
            }
        }
    }

    fn feed_event(&mut self, i: usize, at: usize, event: Event<'_>) {
        for (at, actions) in self.nodes[i].handle(self.now, at, event) {
            self.carry_out(i, at, actions);
        }
    }

    fn carry_out(&mut self, i: usize, at: usize, actions: Vec<Action>) {
        for action in actions {
            match &action {
                Action::SendAdvert { priority } => self.send(i, at, *priority),
                Action::AddAddresses { .. }
                | Action::RenewLease { .. }
                | Action::RemoveAddresses { .. } => {
                    self.nodes[i].change_addresses(at, &action, self.now, &mut self.rng);
                    self.note_violation(i);
                }
                Action::Entered(_) => self.nodes[i].note(self.now, at),
                Action::Announce { .. }
                | Action::AddRoutes { .. }
                | Action::RemoveRoutes { .. }
                | Action::Block { .. }
                | Action::HeardLowerPriority
                | Action::PriorityChanged { .. }
                | Action::Log(_) => {}
            }
            self.trace.push((self.now, i, Traced::Action(action)));
        }
    }

    fn note_violation(&mut self, i: usize) {
        let shares = |other: usize| {
            other != i && self.nodes[i].addresses().any(|held| self.nodes[other].has(held))
        };
        if (0..self.nodes.len()).any(shares) {
            let violation = format!("{}: {:?} hold the addresses", self.now, self.holders());
            self.violations.push(violation);
        }
    }

    fn send(&mut self, from: usize, at: usize, priority: u8) {
        self.nodes[from].adverts += 1;
        self.nodes[from].note(self.now, at);
        let (side, cable) = (self.nodes[from].side, self.nodes[from].cables[at]);
        for (destination, bytes) in self.nodes[from].packets(at, priority) {
            for to in (0..self.nodes.len()).filter(|&to| to != from) {
                let node = &self.nodes[to];
                let meant = destination.is_multicast() || destination == node.address;
                let heard = meant && cable && node.side == side && at < node.configs.len();
                let lost = self.rng.u8(0..100) < self.loss;
                if !heard || lost {
                    continue;
                }
                let copies = 1 + u8::from(self.rng.u8(0..100) < self.copies);
                for _ in 0..copies {
                    let (shortest, longest) = self.delay;
                    let spread = u64::try_from((longest - shortest).as_micros()).unwrap_or(0);
                    let due = self.now + shortest + Duration::from_micros(self.rng.u64(0..=spread));
                    self.in_flight.push(Flight { due, to, at, bytes: bytes.clone() });
                }
            }
        }
    }
}
