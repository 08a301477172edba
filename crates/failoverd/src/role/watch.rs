//! What is remembered of each instance beyond its own state: for those who look at it, and for the
//! role that follows if this one dies.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vrrp::config::{InstanceConfig, RESIGN};
use vrrp::{Counters, Datagram, Event, State};

use super::{Member, Role};
use crate::ledger::{Account, Subject};

/// Of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Since when it is in its state; if that was another role's time, since boot too.
    pub(crate) since: Duration,
    /// The same by the calendar, since 1970; zero before the first state.
    pub(crate) transition: Duration,
    /// When the last advert was sent, since boot.
    pub(crate) last_advert: Duration,
    /// Who was last heard, and with which priority.
    pub(crate) heard: Option<(IpAddr, u8)>,
    /// How often it has entered each state: init, backup, master, fault.
    pub(crate) entered: [u64; 4],
    /// How often the lease of its addresses was renewed.
    pub(crate) renewals: u64,
    /// How often a role before this one died while it was master, and it stayed master.
    pub(crate) resumed: u64,
    /// The counters as they were when a signal last cleared those of the dumps.
    pub(crate) cleared: Counters,
}

impl Watch {
    pub(crate) fn new(since: Duration) -> Self {
        Self {
            since,
            transition: Duration::ZERO,
            last_advert: Duration::ZERO,
            heard: None,
            entered: [0; 4],
            renewals: 0,
            resumed: 0,
            cleared: Counters::default(),
        }
    }
}

/// The calendar, since 1970.
pub(crate) fn calendar() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A place for each state, in the order of keepalived's numbers.
pub(crate) const fn place(state: State) -> usize {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    }
}

fn subject(config: &InstanceConfig) -> Subject {
    Subject::Instance(config.interface.clone(), config.vrid.0, config.is_ipv4())
}

impl Role {
    /// An instance entered a state.
    pub(super) fn note_entered(&mut self, index: usize, state: State) {
        let boot = self.clock.since_boot(self.clock.now());
        let watch = &mut self.members[index].watch;
        watch.since = boot;
        watch.transition = calendar();
        watch.entered[place(state)] += 1;
        self.write_down(index, state);
    }

    /// An instance sent an advert.
    pub(super) fn note_advert(&mut self, index: usize, priority: u8) {
        let boot = self.clock.since_boot(self.clock.now());
        let member = &mut self.members[index];
        member.watch.last_advert = boot;
        if priority != RESIGN {
            // One that has yet to take its addresses is not to be gone on with.
            let state = match member.instance.state() {
                State::Master if !member.instance.holds() => State::Backup,
                state => state,
            };
            self.write_down(index, state);
        }
    }

    /// An instance was handed an advert.
    pub(super) fn note_heard(&mut self, index: usize, datagram: &Datagram<'_>, received: u64) {
        let member = &mut self.members[index];
        // The third byte of either version (RFC 9568 §5.2.4).
        if member.instance.counters().adverts_received != received
            && let Some(&priority) = datagram.payload.get(2)
        {
            member.watch.heard = Some((datagram.source, priority));
        }
    }

    fn write_down(&mut self, index: usize, state: State) {
        let Member { instance, watch, .. } = &self.members[index];
        let account = Account {
            state,
            last_advert: watch.last_advert,
            since: watch.since,
            transition: watch.transition,
            counters: *instance.counters(),
        };
        self.ledger.write_instance(&subject(instance.config()), &account);
    }

    /// A script or a process counts as good or bad from now on.
    pub(super) fn note_verdict(&mut self, subject: Subject, good: bool) {
        self.ledger.write_verdict(&subject, good);
    }

    /// Whether an instance was master in the role before this one.
    pub(super) fn inherits_master(&self, index: usize) -> bool {
        let account = self.ledger.instance(&subject(self.members[index].config()));
        account.is_some_and(|account| account.state == State::Master)
    }

    /// An instance is no more.
    pub(super) fn forget(&mut self, index: usize) {
        let subject = subject(self.members[index].config());
        self.ledger.forget(&subject);
    }

    /// Starts an instance; or goes on with it, if a role before this one died while it was master
    /// and nobody can have noticed.
    pub(super) fn start_member(&mut self, index: usize) {
        let Some(account) = self.ledger.instance(&subject(self.members[index].config())) else {
            return self.feed(index, Event::Start);
        };
        self.members[index].instance.set_counters(account.counters);
        if account.state != State::Master {
            return self.feed(index, Event::Start);
        }
        // What it follows counts as it did: nobody is to see another priority in between.
        for (name, good) in self.inherited_scripts(index) {
            self.feed(index, Event::Script { name: &name, good });
        }
        for (name, good) in self.inherited_processes(index) {
            self.feed(index, Event::Process { name: &name, good });
        }
        let now = self.clock.since_boot(self.clock.now());
        let silent = now.saturating_sub(account.last_advert);
        let watch = &mut self.members[index].watch;
        watch.since = account.since;
        watch.transition = account.transition;
        self.feed(index, Event::Resume { silent });
        let member = &mut self.members[index];
        member.watch.resumed += u64::from(member.instance.state() == State::Master);
    }

    fn inherited_scripts(&self, index: usize) -> Vec<(String, bool)> {
        let tracked = self.members[index].config().track_scripts.iter();
        let names = tracked.map(|tracked| tracked.script.clone());
        names
            .filter_map(|name| Some((name.clone(), self.ledger.verdict(&Subject::Script(name))?)))
            .collect()
    }

    fn inherited_processes(&self, index: usize) -> Vec<(String, bool)> {
        let tracked = self.members[index].config().track_processes.iter();
        let names = tracked.map(|tracked| tracked.process.clone());
        names
            .filter_map(|name| Some((name.clone(), self.ledger.verdict(&Subject::Process(name))?)))
            .collect()
    }
}
