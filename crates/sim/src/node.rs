//! One host: a process, a kernel, cables.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use fastrand::Rng;
use machine::{Instant, Machine};
use vrrp::config::{InstanceConfig, ScriptConfig};
use vrrp::{Action, Event, Group, Instance, Order, State};

/// One host on a [`Lan`](crate::Lan).
#[derive(Debug)]
pub struct Node {
    /// One virtual router, or the members of a sync group, each on an interface of its own.
    pub(crate) configs: Vec<InstanceConfig>,
    pub(crate) address: IpAddr,
    /// None while none runs.
    pub(crate) process: Option<Process>,
    pub(crate) frozen: bool,
    /// One for each virtual router.
    pub(crate) cables: Vec<bool>,
    pub(crate) side: u8,
    /// What waits for a frozen process.
    pub(crate) inbox: VecDeque<Happening>,
    /// How many parts in a million its clock is fast, or slow.
    pub(crate) drift: i32,
    /// What its scripts say.
    pub(crate) verdicts: BTreeMap<String, bool>,
    /// What a process leaves to the one that follows it.
    pub(crate) ledger: Vec<(State, Instant)>,
    /// Adverts it sent.
    pub(crate) adverts: u64,
    /// The virtual addresses on its interfaces, and when they expire.
    kernel: BTreeMap<IpAddr, Option<Instant>>,
    /// The deadline the process waits for, and when it will really wake up.
    timer: Option<(Instant, Instant)>,
}

/// What runs on a host.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) instances: Vec<Instance>,
    group: Option<Group>,
}

impl Process {
    pub(crate) fn new(configs: &[InstanceConfig], scripts: &[ScriptConfig], resumed: bool) -> Self {
        let grouped = configs.len() > 1;
        let mut instances: Vec<Instance> =
            configs.iter().map(|config| Instance::new(config.clone(), scripts)).collect();
        for instance in &mut instances {
            instance.set_grouped(grouped);
        }
        let group = if resumed { Group::resumed("G") } else { Group::new("G") };
        Self { instances, group: grouped.then_some(group) }
    }

    /// Hands an event to a virtual router, and whatever follows from it to its group: what each of
    /// them asks for.
    fn handle(&mut self, now: Instant, at: usize, event: Event<'_>) -> Vec<(usize, Vec<Action>)> {
        let mut done = vec![(at, vec![])];
        self.instances[at].handle(now, event, &mut done[0].1);
        while let Some(group) = &mut self.group {
            let standings: Vec<_> = self.instances.iter().map(Instance::standing).collect();
            let orders = group.look(at, &standings);
            if orders.is_empty() {
                break;
            }
            for order in orders {
                match order {
                    Order::Tell(member, sync) => {
                        let mut actions = vec![];
                        self.instances[member].handle(now, Event::Group(sync), &mut actions);
                        done.push((member, actions));
                    }
                    Order::Log(line) => done.push((at, vec![Action::Log(line)])),
                    Order::Entered(_) => {}
                }
            }
        }
        done
    }
}

/// What reaches a process from outside; numbers are of its virtual routers.
#[derive(Debug)]
pub(crate) enum Happening {
    Packet(usize, Vec<u8>),
    Link(usize, bool),
    Lost(IpAddr),
    Script(String, bool),
}

impl Node {
    pub(crate) fn new(configs: Vec<InstanceConfig>, address: IpAddr) -> Self {
        Self {
            address,
            process: None,
            frozen: false,
            cables: vec![true; configs.len()],
            side: 0,
            inbox: VecDeque::new(),
            drift: 0,
            verdicts: BTreeMap::new(),
            ledger: vec![],
            adverts: 0,
            kernel: BTreeMap::new(),
            timer: None,
            configs,
        }
    }

    /// The state its process is in, if there is one; of a sync group, that of its first member.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.instance().map(Instance::state)
    }

    /// Its process's virtual router, if there is a process; of a sync group, the first.
    #[must_use]
    pub fn instance(&self) -> Option<&Instance> {
        self.instances().first()
    }

    /// All of them.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        self.process.as_ref().map_or(&[], |process| &process.instances)
    }

    /// Its own address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether its kernel has a virtual address, reachable or not.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.kernel.is_empty()
    }

    /// The virtual addresses its kernel has.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.kernel.keys().copied()
    }

    /// How many adverts it has sent.
    #[must_use]
    pub fn adverts(&self) -> u64 {
        self.adverts
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.kernel.contains_key(&address)
    }

    /// Whether a process runs and is not frozen.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.process.is_some() && !self.frozen
    }

    /// Whether it can send and hear on all its cables.
    pub(crate) fn is_plugged(&self) -> bool {
        self.cables.iter().all(|plugged| *plugged)
    }

    /// What its clock shows.
    pub(crate) fn local(&self, now: Instant) -> Instant {
        let nanos = now.since_zero().as_nanos() * rate(self.drift) / MILLION;
        Instant::from_zero(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// When its clock shows `local`.
    fn real(&self, local: Instant) -> Instant {
        let nanos = (local.since_zero().as_nanos() * MILLION).div_ceil(rate(self.drift));
        Instant::from_zero(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Hands an event to one of its virtual routers: who asks for what.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        at: usize,
        event: Event<'_>,
    ) -> Vec<(usize, Vec<Action>)> {
        let local = self.local(now);
        self.process.as_mut().map(|p| p.handle(local, at, event)).unwrap_or_default()
    }

    /// Those of its virtual routers that are due.
    pub(crate) fn due(&self, now: Instant) -> Vec<usize> {
        let local = self.local(now);
        let due =
            |at: &usize| self.instances()[*at].deadline().is_some_and(|deadline| deadline <= local);
        (0..self.instances().len()).filter(due).collect()
    }

    /// Sets the timer for the process's deadline; it wakes up to a millisecond late.
    pub(crate) fn schedule(&mut self, now: Instant, rng: &mut Rng) {
        let awake = self.process.as_ref().filter(|_| !self.frozen);
        let deadline = awake.and_then(|p| p.instances.iter().filter_map(Machine::deadline).min());
        if self.timer.map(|(wanted, _)| wanted) != deadline {
            let late = Duration::from_micros(rng.u64(0..1_000));
            self.timer = deadline.map(|wanted| (wanted, self.real(wanted).max(now) + late));
        }
    }

    /// When something of its own happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let expiry = self.kernel.values().flatten().copied();
        self.timer.map(|(_, wakes)| wakes).into_iter().chain(expiry).min()
    }

    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        self.timer.take_if(|(_, wakes)| *wakes <= now).is_some()
    }

    /// The addresses whose lifetime is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<IpAddr> {
        let over = |(address, until): (&IpAddr, &Option<Instant>)| {
            until.is_some_and(|until| until <= now).then_some(*address)
        };
        let expired: Vec<IpAddr> = self.kernel.iter().filter_map(over).collect();
        if !expired.is_empty() {
            self.kernel.retain(|address, _| !expired.contains(address));
        }
        expired
    }

    pub(crate) fn change_addresses(
        &mut self,
        at: usize,
        action: &Action,
        now: Instant,
        rng: &mut Rng,
    ) {
        // As measured on Linux.
        let late = Duration::from_millis(rng.u64(10..=180));
        let end = |lifetime: Duration| self.real(self.local(now) + lifetime) + late;
        match action {
            Action::AddAddresses { addresses, lifetime } => {
                let until = lifetime.map(end);
                self.kernel.extend(addresses.iter().map(|held| (held.address, until)));
            }
            Action::RenewLease { lifetime } => {
                let until = Some(end(*lifetime));
                self.kernel.extend(self.configs[at].held().map(|held| (held.address, until)));
            }
            Action::RemoveAddresses { addresses } => {
                self.kernel.retain(|held, _| !addresses.iter().any(|gone| gone.address == *held));
            }
            Action::SendAdvert { .. }
            | Action::Announce { .. }
            | Action::AddRoutes { .. }
            | Action::RemoveRoutes { .. }
            | Action::Block { .. }
            | Action::HeardLowerPriority
            | Action::PriorityChanged { .. }
            | Action::Entered(_)
            | Action::Log(_) => {}
        }
    }

    /// The packets of one advert, and where they go.
    pub(crate) fn packets(&mut self, at: usize, priority: u8) -> Vec<(IpAddr, Vec<u8>)> {
        let Some(process) = &mut self.process else { return vec![] };
        let mut packets = vec![];
        for destination in self.configs[at].destinations() {
            let mut bytes = vec![];
            if process.instances[at].packet(priority, destination, &mut bytes) {
                packets.push((destination, bytes));
            }
        }
        packets
    }

    /// Notes what the process that follows should know if this one dies.
    pub(crate) fn note(&mut self, now: Instant, at: usize) {
        let instance = &self.instances()[at];
        let state = if instance.holds() { State::Master } else { State::Init };
        let entry = (state, self.local(now));
        self.ledger.resize(self.configs.len(), (State::Init, Instant::ZERO));
        self.ledger[at] = entry;
    }
}

const MILLION: u128 = 1_000_000;

fn rate(drift: i32) -> u128 {
    u128::try_from(1_000_000 + drift.max(-999_999)).unwrap_or(1)
}
