//! One virtual router: RFC 9568 §6.4, as keepalived lives it.
//!
//! ```text
//!                    +---------------+        a fault
//!         +--------->|               |------------------------+
//!         |          |  Initialize   |                        v
//!         |   +------|               |----------+     +---------------+
//!         |   |      +---------------+          |     |     Fault     |
//!         |   | owner                           |     +---------------+
//!         |   V                                 V       ^  |      ^
//! +---------------+     timer, priority     +-------+---+  |      |
//! |    Master     |<------------------------|    Backup    |<+    |
//! |               |------------------------>|              |      |
//! +---------------+  higher, or overslept   +--------------+      |
//!         |                                                       |
//!         +-------------------------------------------------------+
//! ```

mod backup;
mod master;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::{Instant, Machine};
use wire::ipv4;
use wire::vrrp::{Advert, AuthData, Message as Packet, PseudoHeader};

use crate::accept::{Reject, accept};
use crate::action::{Action, State};
use crate::announce::To;
use crate::config::{
    Auth, Initial, InstanceConfig, LeasePolicy, OWNER, RESIGN, ScriptConfig, Version,
    VirtualAddress,
};
use crate::event::{Datagram, Event};
use crate::lease::{Lease, lease};
use crate::log::{LogLine, Message};
use crate::track::Tracked;

use self::backup::Backup;
use self::master::{HANDOVER, Master};

/// A virtual router on one link.
///
/// Tell it the facts, [`Start`](Event::Start) it, and from then on whatever happens; see
/// [`Event`]. It never fails: what it cannot use it drops, counts and logs.
#[derive(Clone, Debug)]
pub struct Instance {
    config: InstanceConfig,
    name: Arc<str>,
    role: Role,
    started: bool,
    tracked: Tracked,
    /// After tracking.
    priority: u8,
    /// Of the master we hear, which a version 3 backup adopts (RFC 9568 §6.1); else ours.
    master_interval: Duration,
    /// The master we last heard.
    master: Option<IpAddr>,
    lease: Option<Lease>,
    counters: Counters,
    /// Causes of [`Reject`] and mismatches logged since the last change of state or master, a bit
    /// each.
    logged: u32,
    /// The identification of the last packet.
    packet_id: u16,
}

#[derive(Clone, Debug)]
enum Role {
    Init,
    Fault,
    Backup(Backup),
    Master(Master),
}

/// How often what happened, since the instance was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Adverts that were accepted.
    pub adverts_received: u64,
    /// Adverts that were sent, once each however many peers.
    pub adverts_sent: u64,
    /// Transitions to master.
    pub became_master: u64,
    /// Transitions from master.
    pub released_master: u64,
    /// Adverts of priority 0 received.
    pub zero_received: u64,
    /// Adverts of priority 0 sent.
    pub zero_sent: u64,
    /// Accepted adverts with other addresses than ours.
    pub address_mismatches: u64,
    /// Packets dropped, by [`Reject::cause`].
    pub rejected: [u64; Reject::CAUSES],
}

impl Counters {
    /// Packets dropped for whatever cause.
    #[must_use]
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.iter().sum()
    }
}

impl Instance {
    /// An instance that waits for [`Event::Start`]. Of `scripts` it takes the weights of those it
    /// tracks.
    #[must_use]
    pub fn new(config: InstanceConfig, scripts: &[ScriptConfig]) -> Self {
        let tracked = Tracked::new(&config, scripts, &Tracked::default());
        Self {
            name: config.name.as_str().into(),
            role: Role::Init,
            started: false,
            priority: tracked.priority(config.priority),
            tracked,
            master_interval: config.advert_interval,
            master: None,
            lease: lease_of(&config),
            counters: Counters::default(),
            logged: 0,
            packet_id: 0,
            config,
        }
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &InstanceConfig {
        &self.config
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.role {
            Role::Init => State::Init,
            Role::Fault => State::Fault,
            Role::Backup(_) => State::Backup,
            Role::Master(_) => State::Master,
        }
    }

    /// Its priority after tracking.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The master it last heard.
    #[must_use]
    pub fn master(&self) -> Option<IpAddr> {
        self.master
    }

    /// The source of its adverts, once it has one.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.tracked.source()
    }

    /// The interfaces it wants to hear of by [`Event::Link`]: its own and the tracked ones.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.tracked.interfaces()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Goes on counting from what an earlier process counted.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// How long a master may be silent and still be sure that no backup has taken over.
    ///
    /// A backup's skew is not counted on, and an eighth of an interval is left for our own advert
    /// to arrive. Where backups let no advert be missed, being late is not yet oversleeping.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let interval = self.config.advert_interval;
        let down = interval * u32::from(self.config.down_timer_adverts);
        down.saturating_sub(interval / 8).max(interval * 3 / 2)
    }

    /// How long its addresses live without renewal, in whole seconds; none if they stay.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// RFC 9568 §6.1: `((256 - Priority) * Active_Adver_Interval) / 256`; in version 2, RFC 3768
    /// §6.1: `(256 - Priority) / 256` seconds.
    #[must_use]
    pub fn skew(&self) -> Duration {
        let base = match self.config.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.master_interval,
        };
        base * (256 - u32::from(self.priority)) / 256
    }

    /// RFC 9568 §6.1: `3 * Active_Adver_Interval + Skew_Time`, with keepalived's
    /// `down_timer_adverts` instead of three.
    #[must_use]
    pub fn master_down_interval(&self) -> Duration {
        self.master_interval * u32::from(self.config.down_timer_adverts) + self.skew()
    }

    /// Appends the advert of an [`Action::SendAdvert`] for one of the
    /// [destinations](InstanceConfig::destinations): over IPv4 the whole packet for a raw socket with
    /// its own header (`IP_HDRINCL`), over IPv6 what follows the header. False, and nothing
    /// appended, while there is no source address of the destination's family.
    #[must_use]
    pub fn packet(&mut self, priority: u8, destination: IpAddr, out: &mut Vec<u8>) -> bool {
        let Some(source) = self.tracked.source() else { return false };
        let addresses: Vec<IpAddr> = self.config.addresses.iter().map(|a| a.address).collect();
        let auth = match self.config.auth {
            Some(Auth::Pass(password)) => AuthData::Simple(password),
            Some(Auth::Ah(_)) | None => AuthData::None,
        };
        let advert = Advert {
            version: self.config.version,
            vrid: self.config.vrid.0,
            priority,
            interval: self.config.advert_interval,
            auth,
            addresses: &addresses,
        };
        let pseudo = !self.config.v3_checksum_as_v2 || source.is_ipv6();
        let payload = advert.to_bytes(pseudo.then_some(PseudoHeader { source, destination }));
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.packet_id = self.packet_id.wrapping_add(1);
                let mut header = ipv4::Header::control(source, destination, self.packet_id);
                if !destination.is_multicast() {
                    header.ttl = self.config.unicast_ttl.unwrap_or(255);
                }
                header.encode(&payload, out);
                true
            }
            (IpAddr::V6(_), IpAddr::V6(_)) => {
                out.extend(payload);
                true
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Goes on under another configuration of the same interface, virtual router and family: a
    /// master stays master, and only the addresses that differ are added or removed.
    ///
    /// What is tracked from now on decides once it is told: interfaces by [`Event::Link`], scripts
    /// by [`Event::Script`].
    pub fn reconfigure(
        &mut self,
        config: InstanceConfig,
        scripts: &[ScriptConfig],
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.wake(now, actions);
        self.tracked = Tracked::new(&config, scripts, &self.tracked);
        let before = core::mem::replace(&mut self.config, config);
        self.name = self.config.name.as_str().into();
        self.priority = self.tracked.priority(self.config.priority);
        self.lease = lease_of(&self.config);
        self.logged = 0;
        let same_interval = self.config.advert_interval == before.advert_interval
            && self.config.version == before.version;
        if !same_interval {
            self.master_interval = self.config.advert_interval;
        }
        if self.started {
            self.log_missing_lease(actions);
        }
        match self.role {
            Role::Master(_) => self.reconfigure_master(&before, now, actions),
            Role::Backup(_) => {
                let longest = now + self.master_down_interval();
                if let Role::Backup(backup) = &mut self.role {
                    backup.reconfigure(longest, self.config.preempt_delay);
                }
            }
            Role::Init | Role::Fault => {}
        }
        self.reconsider(now, actions);
    }
}

impl Machine for Instance {
    type Event<'a> = Event<'a>;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event<'_>, actions: &mut Vec<Action>) {
        self.wake(now, actions);
        match event {
            Event::Tick => {}
            Event::Start => self.start(now, actions),
            Event::Resume { silent } => self.resume(now, silent, actions),
            Event::Received(datagram) => self.received(now, &datagram, actions),
            Event::Link { interface, up } => self.tracked.set_link(interface, up),
            Event::Source(source) => self.tracked.set_source(source),
            Event::Script { name, good } => self.tracked.set_script(name, good),
            Event::File { .. } | Event::Process { .. } | Event::RouteLost => {}
            Event::AddressLost(address) => self.address_lost(now, address, actions),
            Event::Shutdown => self.shut_down(now, actions),
        }
        self.reconsider(now, actions);
        self.expire(now, actions);
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Init | Role::Fault => None,
            Role::Backup(backup) => Some(backup.deadline()),
            Role::Master(master) => Some(master.deadline()),
        }
    }
}

impl Instance {
    /// RFC 9568 §6.4.1, "If a Startup event is received".
    fn start(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.started {
            return;
        }
        self.started = true;
        self.tracked.settle();
        self.update_priority();
        if let Some(fault) = self.tracked.fault()
            && !matches!(fault, crate::log::Fault::Script(_))
        {
            self.log(Message::FaultAtStart(fault), actions);
            self.log(Message::EnteringFaultAtStart, actions);
        }
        // What an earlier process left behind.
        self.remove_addresses(actions);
        self.log_missing_lease(actions);
        if self.tracked.fault().is_some() {
            self.enter(Role::Fault, actions);
        } else if !self.tracked.is_pending() {
            if self.is_owner() {
                self.become_master(now, HANDOVER, actions);
            } else {
                self.log(Message::EnteringBackupAtInit, actions);
                self.become_backup(now + self.master_down_interval(), actions);
            }
        }
    }

    /// Takes up where another process left off.
    fn resume(&mut self, now: Instant, silent: Duration, actions: &mut Vec<Action>) {
        if self.started {
            return;
        }
        if silent > self.patience() {
            return self.start(now, actions);
        }
        self.started = true;
        self.tracked.settle();
        self.update_priority();
        self.log_missing_lease(actions);
        self.log(Message::Resumed { silent }, actions);
        self.resume_master(now, actions);
    }

    /// RFC 9568 §6.4.2 and §6.4.3, "If a Shutdown event is received".
    fn shut_down(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if !self.started {
            return;
        }
        self.started = false;
        self.resign(now, actions);
        self.enter(Role::Init, actions);
    }

    /// Follows what is tracked: into a fault, out of it, out of waiting, to another priority.
    fn reconsider(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if !self.started {
            return;
        }
        if let Some((from, to)) = self.update_priority() {
            self.log(Message::EffectivePriority { from, to }, actions);
            actions.push(Action::PriorityChanged { priority: to });
        }
        let fault = self.tracked.fault().is_some();
        match self.role {
            Role::Init if fault => self.enter(Role::Fault, actions),
            Role::Backup(_) | Role::Master(_) if fault => {
                self.log(Message::Entering(State::Fault), actions);
                self.resign(now, actions);
                self.enter(Role::Fault, actions);
            }
            Role::Init | Role::Fault if !fault && !self.tracked.is_pending() => {
                self.log(Message::Entering(State::Backup), actions);
                self.master_interval = self.config.advert_interval;
                // keepalived's `try_up_instance`: the owner of the addresses waits for one advert only.
                let wait = if self.is_owner() {
                    self.config.advert_interval + self.skew()
                } else {
                    self.master_down_interval()
                };
                self.become_backup(now + wait, actions);
            }
            Role::Init | Role::Fault | Role::Backup(_) | Role::Master(_) => {}
        }
    }

    /// Notices that this process slept too long to know what goes on.
    fn wake(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match &self.role {
            Role::Init | Role::Fault => {}
            Role::Backup(_) => self.wake_backup(now, actions),
            Role::Master(_) => self.wake_master(now, actions),
        }
    }

    /// Does what is due by `now`.
    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match &self.role {
            Role::Init | Role::Fault => {}
            Role::Backup(_) => self.expire_backup(now, actions),
            Role::Master(_) => self.expire_master(now, actions),
        }
    }

    fn received(&mut self, now: Instant, datagram: &Datagram<'_>, actions: &mut Vec<Action>) {
        match accept(&self.config, datagram) {
            // RFC 9568 §6.4.1 lets nothing but Startup move the Initialize state.
            Ok(_) if matches!(self.role, Role::Init | Role::Fault) => {}
            Ok(packet) => {
                self.counters.adverts_received += 1;
                self.counters.zero_received += u64::from(packet.priority == RESIGN);
                self.compare_addresses(datagram.source, &packet, actions);
                if matches!(self.role, Role::Master(_)) {
                    self.advert_while_master(now, datagram.source, &packet, actions);
                } else {
                    self.advert_while_backup(now, datagram.source, &packet, actions);
                }
            }
            Err(reject) => {
                self.counters.rejected[reject.cause()] += 1;
                let bit = u32::try_from(reject.cause()).unwrap_or(31);
                self.log_once(bit, Message::Rejected(reject), actions);
            }
        }
    }

    /// Other addresses than ours are counted and logged, but no reason to drop an advert.
    fn compare_addresses(&mut self, from: IpAddr, packet: &Packet<'_>, actions: &mut Vec<Action>) {
        if self.config.skip_check_adv_addr && self.master == Some(from) {
            return;
        }
        let (received, expected) = (packet.addresses().len(), self.config.addresses.len());
        let missing = self
            .config
            .addresses
            .iter()
            .map(|ours| ours.address)
            .find(|ours| !packet.addresses().any(|theirs| theirs == *ours));
        let message = if received != expected {
            Message::AddressCount { received, expected }
        } else if let Some(address) = missing {
            Message::AddressMissing { vrid: self.config.vrid, address }
        } else {
            return;
        };
        self.counters.address_mismatches += 1;
        self.log_once(ADDRESSES_LOGGED, message, actions);
    }

    fn become_backup(&mut self, master_down: Instant, actions: &mut Vec<Action>) {
        self.enter(Role::Backup(Backup::new(master_down)), actions);
    }

    /// Leaves the master's role, if it has it, with an advert of priority 0.
    fn resign(&mut self, _now: Instant, actions: &mut Vec<Action>) {
        let Role::Master(master) = &self.role else { return };
        let held = master.holds();
        self.log(Message::SentZeroPriority, actions);
        // Upstream sends first. A backup of high priority may take over within 4 ms of this advert,
        // so the addresses go before it.
        if held {
            self.remove_addresses(actions);
        }
        self.send_zero(actions);
    }

    fn send_zero(&mut self, actions: &mut Vec<Action>) {
        self.counters.adverts_sent += 1;
        self.counters.zero_sent += 1;
        actions.push(Action::SendAdvert { priority: RESIGN });
    }

    /// Changes the state; the log line, which has many forms, is the caller's.
    fn enter(&mut self, role: Role, actions: &mut Vec<Action>) {
        let was_master = matches!(self.role, Role::Master(_));
        if matches!(&self.role, Role::Master(master) if !master.holds()) {
            // It was master, if only until somebody better was heard.
            actions.push(Action::Entered(State::Master));
        }
        self.role = role;
        self.logged = 0;
        self.counters.released_master += u64::from(was_master);
        actions.push(Action::Entered(self.state()));
    }

    fn remove_addresses(&self, actions: &mut Vec<Action>) {
        self.log_addresses(false, actions);
        let addresses: Vec<VirtualAddress> = self.config.held().cloned().collect();
        if !addresses.is_empty() {
            actions.push(Action::RemoveAddresses { addresses });
        }
    }

    fn log_addresses(&self, adding: bool, actions: &mut Vec<Action>) {
        if !self.config.addresses.is_empty() {
            self.log(Message::Vips { adding, excluded: false }, actions);
        }
        if !self.config.excluded.is_empty() {
            self.log(Message::Vips { adding, excluded: true }, actions);
        }
    }

    fn log_missing_lease(&self, actions: &mut Vec<Action>) {
        if self.lease.is_none()
            && self.config.lease == LeasePolicy::Auto
            && self.config.held().next().is_some()
        {
            let interval = self.config.advert_interval;
            self.log(Message::NoLease { interval }, actions);
        }
    }

    /// The old and the new priority, if it changed.
    fn update_priority(&mut self) -> Option<(u8, u8)> {
        let priority = self.tracked.priority(self.config.priority);
        let before = core::mem::replace(&mut self.priority, priority);
        (before != priority).then_some((before, priority))
    }

    fn is_owner(&self) -> bool {
        self.config.priority == OWNER && self.config.initial == Initial::Master
    }

    fn log(&self, message: Message, actions: &mut Vec<Action>) {
        actions.push(Action::Log(LogLine::new(&self.name, message)));
    }

    fn log_once(&mut self, bit: u32, message: Message, actions: &mut Vec<Action>) {
        let mask = 1 << (bit % 32);
        if self.logged & mask == 0 {
            self.logged |= mask;
            self.log(message, actions);
        }
    }

    fn to<'a>(
        name: &'a Arc<str>,
        config: &'a InstanceConfig,
        actions: &'a mut Vec<Action>,
    ) -> To<'a> {
        To { name, config, actions }
    }
}

/// Bits of [`Instance::logged`] behind those of [`Reject`].
const ADDRESSES_LOGGED: u32 = 30;
const INTERVAL_LOGGED: u32 = 31;

fn lease_of(config: &InstanceConfig) -> Option<Lease> {
    match config.lease {
        LeasePolicy::Auto => lease(config.advert_interval, config.down_timer_adverts),
        LeasePolicy::Off => None,
    }
}
