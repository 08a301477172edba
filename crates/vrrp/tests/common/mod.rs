//! An instance at `192.0.2.5`, and what it is told.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use machine::{Instant, Machine};
use vrrp::config::{Auth, InstanceConfig, Version, VirtualAddress, Vrid};
use vrrp::{Action, Datagram, Event, Instance, State};
use wire::vrrp::{Advert, AuthData, PseudoHeader};

pub(crate) const LOW: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5));
pub(crate) const HIGH: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
pub(crate) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));
pub(crate) const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

pub(crate) fn config() -> InstanceConfig {
    InstanceConfig {
        name: "VI_1".into(),
        interface: "eth0".into(),
        vrid: Vrid(51),
        addresses: vec![VirtualAddress::host(VIP)],
        ..InstanceConfig::default()
    }
}

/// An instance, the time, and what it asked for last.
pub(crate) struct Bench {
    pub(crate) instance: Instance,
    pub(crate) now: Instant,
    pub(crate) actions: Vec<Action>,
}

impl Bench {
    /// Not started, but with its interface up and its address there.
    pub(crate) fn new(config: InstanceConfig) -> Self {
        let instance = Instance::new(config, &[]);
        let mut bench = Self { instance, now: Instant::ZERO, actions: vec![] };
        bench.tell(Event::Link { interface: "eth0", up: true });
        bench.tell(Event::Source(Some(US)));
        bench
    }

    pub(crate) fn started(config: InstanceConfig) -> Self {
        let mut bench = Self::new(config);
        bench.tell(Event::Start);
        bench
    }

    /// Until it is master, for want of any other, and has just taken the addresses.
    pub(crate) fn master(config: InstanceConfig) -> Self {
        let mut bench = Self::started(config);
        if bench.instance.state() != State::Master {
            bench.expire();
        }
        bench.take_addresses();
        bench
    }

    /// Until it has just sent its second advert as a master.
    pub(crate) fn settled(config: InstanceConfig) -> Self {
        let mut bench = Self::master(config);
        let sent = bench.instance.counters().adverts_sent;
        while bench.instance.counters().adverts_sent == sent {
            bench.expire();
        }
        bench
    }

    /// From a new master's advert to the addresses: no more than a moment, in which it only waits.
    pub(crate) fn take_addresses(&mut self) {
        assert_eq!(self.instance.state(), State::Master);
        assert!(self.done().iter().all(|action| !matches!(action, Action::AddAddresses { .. })));
        assert!(self.wait() <= Duration::from_millis(20), "{:?}", self.wait());
        self.expire();
        assert_eq!(self.done().last(), Some(&Action::Entered(State::Master)));
    }

    pub(crate) fn in_state(state: State, config: InstanceConfig) -> Self {
        match state {
            State::Init => Self::new(config),
            State::Backup => Self::started(config),
            State::Master => Self::settled(config),
            State::Fault => {
                let mut bench = Self::started(config);
                bench.tell(Event::Link { interface: "eth0", up: false });
                bench
            }
        }
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        self.actions.clear();
        self.instance.handle(self.now, event, &mut self.actions);
    }

    /// Lets time pass to the deadline.
    pub(crate) fn expire(&mut self) {
        self.now = self.instance.deadline().expect("there is a deadline");
        self.tell(Event::Tick);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.tell(Event::Tick);
    }

    /// Hears a proper advert of a group we are in.
    pub(crate) fn hear(&mut self, from: IpAddr, priority: u8) {
        let interval = self.instance.config().advert_interval;
        self.hear_every(from, priority, interval);
    }

    pub(crate) fn hear_every(&mut self, from: IpAddr, priority: u8, interval: Duration) {
        let payload = advert(self.instance.config(), from, priority, interval);
        let datagram = Datagram::new(from, GROUP, 255, &payload);
        self.tell(Event::Received(datagram));
    }

    /// What it asked for, without what is only said.
    pub(crate) fn done(&self) -> Vec<Action> {
        self.actions.iter().filter(|a| !matches!(a, Action::Log(_))).cloned().collect()
    }

    /// What it said.
    pub(crate) fn said(&self) -> Vec<String> {
        let line = |action: &Action| match action {
            Action::Log(line) => Some(line.to_string()),
            _ => None,
        };
        self.actions.iter().filter_map(line).collect()
    }

    /// To the next deadline; zero if there is none.
    pub(crate) fn wait(&self) -> Duration {
        self.instance.deadline().map_or(Duration::ZERO, |due| due - self.now)
    }
}

pub(crate) fn advert(
    config: &InstanceConfig,
    source: IpAddr,
    priority: u8,
    interval: Duration,
) -> Vec<u8> {
    let addresses: Vec<IpAddr> = config.addresses.iter().map(|held| held.address).collect();
    let auth = match config.auth {
        Some(Auth::Pass(password)) => AuthData::Simple(password),
        Some(Auth::Ah(_)) | None => AuthData::None,
    };
    let advert = Advert {
        version: config.version,
        vrid: config.vrid.0,
        priority,
        interval,
        auth,
        addresses: &addresses,
    };
    let ends = PseudoHeader { source, destination: GROUP };
    advert.to_bytes((config.version == Version::V3).then_some(ends))
}

pub(crate) fn add() -> Action {
    let lifetime = Some(Duration::from_secs(2));
    Action::AddAddresses { addresses: vec![VirtualAddress::host(VIP)], lifetime }
}

pub(crate) fn remove() -> Action {
    Action::RemoveAddresses { addresses: vec![VirtualAddress::host(VIP)] }
}

pub(crate) fn announce() -> Action {
    Action::Announce { address: VIP, interface: "eth0".into() }
}

pub(crate) fn renew() -> Action {
    Action::RenewLease { lifetime: Duration::from_secs(2) }
}

pub(crate) fn send(priority: u8) -> Action {
    Action::SendAdvert { priority }
}

/// How many of these announce the address.
pub(crate) fn announcements(actions: &[Action]) -> usize {
    actions.iter().filter(|action| **action == announce()).count()
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
