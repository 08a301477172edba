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
mod change;
mod hold;
mod master;
mod member;
mod receive;
mod send;
mod start;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::{Instant, Machine};

use crate::accept::Reject;
use crate::action::{Action, State};
use crate::announce::To;
use crate::config::{Initial, InstanceConfig, LeasePolicy, OWNER, OldChecksum, RESIGN, Version};
use crate::event::Event;
use crate::lease::{Lease, lease};
use crate::log::{Fault, LogLine, Message};
use crate::track::{Trackables, Tracked, TrackerKind, TrackerView};

use self::backup::Backup;
use self::master::Master;

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
    /// The master that fell silent without a word, and that we took over from.
    silent: Option<IpAddr>,
    lease: Option<Lease>,
    counters: Counters,
    /// Causes of [`Reject`] and mismatches logged since the last change of state or master, a bit
    /// each.
    logged: u32,
    /// The identification of the last packet.
    packet_id: u16,
    /// Those of the adverts, in order.
    listed: Vec<IpAddr>,
    /// A payload being written.
    scratch: Vec<u8>,
    /// It moves with its sync group only.
    grouped: bool,
    /// It was master last, and sent an advert of priority 0 at the end.
    resigned: bool,
    /// A peer was heard that computes checksums as keepalived did before 1.3.6.
    old_checksum: bool,
    /// Lower than configured, until it is master again: another claims to be the owner too, or it
    /// overslept.
    ceiling: Option<u8>,
    chatter: Chatter,
}

/// How much is said and answered, however often others speak.
#[derive(Clone, Copy, Debug, Default)]
struct Chatter {
    since: Instant,
    count: u32,
}

impl Chatter {
    /// More in an interval than any virtual router has routers that speak.
    const MOST: u32 = 20;

    /// Whether there is still something to be said in this interval.
    fn allows(&mut self, now: Instant, interval: Duration) -> bool {
        if now - self.since >= interval {
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= Self::MOST
    }
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
    /// Another master was heard, of lower priority, that must have heard us all the time: the network
    /// was split.
    pub splits: u64,
    /// Accepted adverts with other addresses than ours.
    pub address_mismatches: u64,
    /// Packets dropped, by [`Reject::cause`].
    pub rejected: [u64; Reject::CAUSES],
    /// The number of the last authentication header, sent or heard: none is sent twice, nor believed
    /// twice.
    pub ah_sequence: u32,
}

impl Counters {
    /// Packets dropped for whatever cause.
    #[must_use]
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.iter().sum()
    }
}

impl Instance {
    /// An instance that waits for [`Event::Start`]. Of what is declared it takes the weights of what
    /// it tracks.
    #[must_use]
    pub fn new<'a>(config: InstanceConfig, declared: impl Into<Trackables<'a>>) -> Self {
        let tracked = Tracked::new(&config, declared.into(), &Tracked::default());
        Self {
            name: config.name.as_str().into(),
            role: Role::Init,
            started: false,
            priority: tracked.priority(config.priority),
            tracked,
            master_interval: config.advert_interval,
            master: None,
            silent: None,
            lease: lease_of(&config),
            counters: Counters::default(),
            logged: 0,
            packet_id: 0,
            listed: listed(&config),
            scratch: Vec::new(),
            grouped: false,
            resigned: false,
            old_checksum: config.old_unicast_checksum == OldChecksum::Always,
            ceiling: None,
            chatter: Chatter::default(),
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

    /// Whether it has its addresses, as a master does but for a moment at the beginning.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(&self.role, Role::Master(master) if master.holds())
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

    /// Everything it follows: the state of each, and what each does to the priority.
    pub fn trackers(&self) -> impl Iterator<Item = TrackerView<'_>> {
        self.tracked.views()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Goes on counting from what an earlier process counted.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
        // It may have sent some more.
        self.counters.ah_sequence = counters.ah_sequence.wrapping_add(16);
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

    /// The interval of the master it hears; its own as master.
    #[must_use]
    pub fn master_interval(&self) -> Duration {
        self.master_interval
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
            Event::Link { interface, up } => {
                self.tracked.set(TrackerKind::Interface, interface, up);
            }
            Event::Source(source) => self.tracked.set_source(source),
            Event::Script { name, good } => self.tracked.set(TrackerKind::Script, name, good),
            Event::Process { name, good } => self.tracked.set(TrackerKind::Process, name, good),
            Event::File { name, value } => self.file_changed(name, value, actions),
            Event::Group(sync) => self.sync(now, sync, actions),
            Event::AddressLost(address) => self.address_lost(now, address, actions),
            Event::RouteLost => self.route_lost(now, actions),
            Event::Shutdown => self.shut_down(actions),
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

    fn become_backup(&mut self, master_down: Instant, actions: &mut Vec<Action>) {
        self.enter(Role::Backup(Backup::new(master_down)), actions);
    }

    /// Leaves the master's role, if it has it, with an advert of priority 0.
    fn resign(&mut self, actions: &mut Vec<Action>) {
        let Role::Master(master) = &self.role else { return };
        let held = master.holds();
        self.resigned = true;
        // As upstream, which does not say so when another member of the group is at fault.
        if !matches!(self.tracked.fault(), Some(Fault::Group)) {
            self.log(Message::SentZeroPriority, actions);
        }
        // Upstream sends first. A backup of high priority may take over within 4 ms of this advert,
        // so the addresses go before it.
        if held {
            self.let_go(actions);
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

    fn log_missing_lease(&self, actions: &mut Vec<Action>) {
        let interval = self.config.advert_interval;
        if self.config.lease == LeasePolicy::Auto
            && lease(interval, self.config.down_timer_adverts).is_none()
            && self.config.held().next().is_some()
        {
            self.log(Message::ShortLease { interval }, actions);
        }
    }

    /// The old and the new priority, if it changed.
    fn update_priority(&mut self) -> Option<(u8, u8)> {
        let priority = self.tracked.priority(self.config.priority);
        let priority = priority.min(self.ceiling.unwrap_or(OWNER));
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

fn listed(config: &InstanceConfig) -> Vec<IpAddr> {
    config.addresses.iter().map(|listed| listed.address).collect()
}

fn lease_of(config: &InstanceConfig) -> Option<Lease> {
    match config.lease {
        LeasePolicy::Auto => {
            let (interval, adverts) = (config.advert_interval, config.down_timer_adverts);
            Some(lease(interval, adverts).unwrap_or_else(|| crate::lease::shortest(interval)))
        }
        LeasePolicy::Off => None,
    }
}
