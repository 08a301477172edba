//! One host: a process, a kernel, a cable.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use fastrand::Rng;
use machine::{Instant, Machine};
use vrrp::config::InstanceConfig;
use vrrp::{Action, Event, Instance, State};

/// One host on a [`Lan`](crate::Lan).
#[derive(Debug)]
pub struct Node {
    pub(crate) config: InstanceConfig,
    pub(crate) address: IpAddr,
    /// None while no process runs.
    pub(crate) instance: Option<Instance>,
    pub(crate) frozen: bool,
    pub(crate) cable: bool,
    pub(crate) side: u8,
    /// What waits for a frozen process.
    pub(crate) inbox: VecDeque<Happening>,
    /// The virtual addresses on its interfaces, and when they expire.
    kernel: BTreeMap<IpAddr, Option<Instant>>,
    /// The deadline the process waits for, and when it will really wake up.
    timer: Option<(Instant, Instant)>,
}

/// What reaches a process from outside.
#[derive(Debug)]
pub(crate) enum Happening {
    Packet(Vec<u8>),
    Link(bool),
    Lost(IpAddr),
}

impl Node {
    pub(crate) fn new(config: InstanceConfig, address: IpAddr) -> Self {
        Self {
            config,
            address,
            instance: None,
            frozen: false,
            cable: true,
            side: 0,
            inbox: VecDeque::new(),
            kernel: BTreeMap::new(),
            timer: None,
        }
    }

    /// The state its process is in, if there is one.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.instance.as_ref().map(Instance::state)
    }

    /// Its process, if there is one.
    #[must_use]
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
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

    /// Whether a process runs and is not frozen.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.instance.is_some() && !self.frozen
    }

    pub(crate) fn handle(&mut self, now: Instant, event: Event<'_>, actions: &mut Vec<Action>) {
        if let Some(instance) = &mut self.instance {
            instance.handle(now, event, actions);
        }
    }

    /// Sets the timer for the process's deadline; it wakes up to a millisecond late.
    pub(crate) fn schedule(&mut self, now: Instant, rng: &mut Rng) {
        let deadline = self.instance.as_ref().filter(|_| !self.frozen).and_then(Machine::deadline);
        if self.timer.map(|(wanted, _)| wanted) != deadline {
            let late = Duration::from_micros(rng.u64(0..1_000));
            self.timer = deadline.map(|wanted| (wanted, wanted.max(now) + late));
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
        self.kernel.retain(|address, _| !expired.contains(address));
        expired
    }

    pub(crate) fn change_addresses(&mut self, action: &Action, now: Instant, rng: &mut Rng) {
        // As measured on Linux.
        let late = Duration::from_millis(rng.u64(10..=180));
        match action {
            Action::AddAddresses { addresses, lifetime } => {
                let until = lifetime.map(|lifetime| now + lifetime + late);
                self.kernel.extend(addresses.iter().map(|held| (held.address, until)));
            }
            Action::RenewLease { lifetime } => {
                let until = Some(now + *lifetime + late);
                self.kernel.extend(self.config.held().map(|held| (held.address, until)));
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
    pub(crate) fn packets(&mut self, priority: u8) -> Vec<(IpAddr, Vec<u8>)> {
        let Some(instance) = &mut self.instance else { return vec![] };
        let mut packets = vec![];
        for destination in self.config.destinations() {
            let mut bytes = vec![];
            if instance.packet(priority, destination, &mut bytes) {
                packets.push((destination, bytes));
            }
        }
        packets
    }
}
