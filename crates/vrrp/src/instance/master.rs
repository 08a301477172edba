//! The master's part: RFC 9568 §6.4.3, the lease of its addresses, and oversleeping.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::Instant;
use wire::vrrp::Message as Packet;

use super::backup::GRACE;
use super::{INTERVAL_LOGGED, Instance, Role};
use crate::action::{Action, State};
use crate::announce::Announcer;
use crate::config::{OWNER, RESIGN, Version};
use crate::log::Message;

/// What a master remembers.
#[derive(Clone, Debug)]
pub(super) struct Master {
    since: Instant,
    advert_due: Instant,
    last_advert: Instant,
    /// When the addresses are to be taken, once whoever else may have or want them had time to hear
    /// of us.
    addresses_due: Option<Instant>,
    /// The addresses were late once already, and what waited in the socket has been read.
    graced: bool,
    /// When the addresses are renewed next; none if the next advert does it.
    renew_due: Option<Instant>,
    last_renewal: Instant,
    /// Since when another claims to own the addresses, until when it is given time to stop.
    rival_until: Option<Instant>,
    /// When a renewal came so late that the kernel had taken the addresses already.
    lapsed: Option<Instant>,
    pub(super) announcer: Announcer,
}

impl Master {
    pub(super) fn deadline(&self) -> Instant {
        let others = [self.addresses_due, self.renew_due, self.announcer.deadline()];
        others.into_iter().flatten().fold(self.advert_due, Instant::min)
    }

    /// Whether it has the addresses, or still waits for others to hear of it.
    pub(super) fn holds(&self) -> bool {
        self.addresses_due.is_none()
    }
}

/// How long a new master gives a predecessor that is alive to hear it and to let go of the addresses.
pub(super) const HANDOVER: Duration = Duration::from_millis(20);

/// How long a new master gives an equal, whose timer ran out at the same moment, to hear it and to
/// be heard: longer than a packet takes there and back.
///
/// The advert is not sent earlier by as much: it would come before that of a keepalived of a priority
/// one higher, 3.9 ms, which with `nopreempt` then would not become master. Where adverts are sent more
/// often than every quarter of a second it is a fiftieth of their interval, [`SHORTEST_TIE`] at least:
/// who asks for such a pace has a link that keeps it.
pub(super) const TIE: Duration = Duration::from_millis(5);

/// The least of it.
pub(super) const SHORTEST_TIE: Duration = Duration::from_millis(2);

/// Addresses later than this say that adverts may be waiting to be read. A timer is late by less.
const LATE: Duration = Duration::from_millis(2);

/// How long after a lapse the kernel's word of it may still arrive.
const LAPSE_ECHO: Duration = Duration::from_millis(500);

impl Instance {
    /// RFC 9568 §6.4.1 for the owner, and §6.4.2, "If the Active_Down_Timer fires". A member of a
    /// sync group waits for the others.
    pub(super) fn take_over(&mut self, now: Instant, wait: Duration, actions: &mut Vec<Action>) {
        self.log(Message::ReceiveTimeout, actions);
        if self.grouped {
            self.get_ready(now, wait, actions);
        } else {
            self.become_master(now, wait, actions);
        }
    }

    /// Is master from now on.
    ///
    /// The addresses follow the advert after `wait`, or a quarter of an interval if that is shorter:
    /// [`HANDOVER`] where somebody alive may hold them, [`TIE`] where only an equal may want them.
    pub(super) fn become_master(
        &mut self,
        now: Instant,
        wait: Duration,
        actions: &mut Vec<Action>,
    ) {
        self.log(Message::Entering(State::Master), actions);
        self.lift_ceiling(actions);
        let (from, to) = (self.master_interval, self.config.advert_interval);
        if from != to {
            self.log(Message::IntervalRestored { from, to }, actions);
            self.master_interval = to;
        }
        let wait = wait.min(to / 4);
        self.logged = 0;
        self.master = None;
        self.counters.became_master += 1;
        self.resigned = false;
        self.role = Role::Master(Master {
            since: now,
            advert_due: now + to,
            last_advert: now,
            addresses_due: Some(now + wait),
            graced: false,
            renew_due: None,
            last_renewal: now,
            rival_until: None,
            lapsed: None,
            announcer: Announcer::default(),
        });
        // As upstream: the advert goes first, then the addresses come.
        self.send_advert(now, actions);
    }

    /// Is master as it was in another process, which left the addresses up.
    ///
    /// If something is wrong it resigns in the same moment: see `Instance::reconsider`.
    pub(super) fn resume_master(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.role = Role::Master(Master {
            since: now,
            advert_due: now + self.config.advert_interval,
            last_advert: now,
            addresses_due: None,
            graced: false,
            renew_due: None,
            last_renewal: now,
            rival_until: None,
            lapsed: None,
            announcer: Announcer::default(),
        });
        self.counters.adverts_sent += 1;
        actions.push(Action::SendAdvert { priority: self.priority });
        self.hold_quietly(actions);
        self.renewed(now);
    }

    /// Puts the addresses up, if it is time.
    fn take_addresses(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Role::Master(master) = &mut self.role else { return };
        let Some(due) = master.addresses_due.take_if(|due| *due <= now) else { return };
        if now - due > LATE && !master.graced {
            // The word of a better one may wait in the socket.
            master.graced = true;
            master.addresses_due = Some(now + GRACE);
            return self.send_advert(now, actions);
        }
        self.hold(actions);
        self.renewed(now);
        if let Role::Master(master) = &mut self.role {
            let to = &mut Self::to(&self.name, &self.config, actions);
            master.announcer.became_master(now, to);
        }
        actions.push(Action::Entered(State::Master));
    }

    /// Sends an advert, and with it starts the lifetime of the addresses afresh.
    pub(super) fn send_advert(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.counters.adverts_sent += 1;
        actions.push(Action::SendAdvert { priority: self.priority });
        if let Role::Master(master) = &mut self.role {
            master.last_advert = now;
            master.advert_due = now + self.config.advert_interval;
        }
        self.renew(now, actions);
    }

    /// Starts the lifetime of the addresses afresh, unless that could outlast a backup's patience.
    fn renew(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let (Some(lease), Role::Master(master)) = (self.lease, &mut self.role) else { return };
        if !master.holds() || self.config.held().next().is_none() {
            return;
        }
        if now - master.last_advert > lease.latest {
            master.renew_due = None;
            return;
        }
        // The next advert's renewal will do.
        if lease.every > self.config.advert_interval && now - master.last_renewal < lease.every {
            return;
        }
        if now - master.last_renewal >= lease.lifetime {
            master.lapsed = Some(now);
        }
        actions.push(Action::RenewLease { lifetime: lease.lifetime });
        self.renewed(now);
    }

    /// Plans the next renewal before the next advert, if there is to be one.
    fn renewed(&mut self, now: Instant) {
        let Role::Master(master) = &mut self.role else { return };
        master.last_renewal = now;
        master.renew_due = self.lease.filter(|lease| lease.between > 0).and_then(|lease| {
            let next = now + lease.every;
            let last = master.last_advert + lease.latest;
            (next <= last && next < master.advert_due).then_some(next)
        });
    }

    /// Does what is due by `now`.
    pub(super) fn expire_master(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Role::Master(master) = &self.role else { return };
        let renew = master.renew_due.is_some_and(|due| due <= now);
        // RFC 9568 §6.4.3, "If the Adver_Timer fires".
        if master.advert_due <= now {
            self.send_advert(now, actions);
        } else if renew {
            self.renew(now, actions);
        }
        self.take_addresses(now, actions);
        if let Role::Master(master) = &mut self.role
            && master.holds()
        {
            let to = &mut Self::to(&self.name, &self.config, actions);
            master.announcer.tick(now, to);
        }
    }

    /// RFC 9568 §6.4.3, "If an ADVERTISEMENT is received".
    pub(super) fn advert_while_master(
        &mut self,
        now: Instant,
        from: IpAddr,
        packet: &Packet<'_>,
        actions: &mut Vec<Action>,
    ) {
        let (theirs, ours) = (packet.priority, self.priority);
        if theirs == RESIGN {
            self.log(Message::MasterReceivedZero, actions);
            self.send_advert(now, actions);
            return;
        }
        let own = self.tracked.source();
        if theirs == ours && own == Some(from) {
            self.log(Message::OurAddressElsewhere, actions);
            return;
        }
        if self.config.version == Version::V3 && packet.interval != self.config.advert_interval {
            let (mine, theirs) = (self.config.advert_interval, packet.interval);
            self.log_once(INTERVAL_LOGGED, Message::IntervalDiffers { mine, theirs }, actions);
        }
        if theirs == OWNER && self.config.priority == OWNER {
            self.heard_rival(now, from, packet.interval, actions);
        }
        let ours = self.priority;
        if (theirs, Some(from)) > (ours, own) {
            self.log(
                if theirs > ours {
                    Message::HigherPriority { from, theirs, ours }
                } else {
                    Message::SamePriorityHigherAddress { from, priority: theirs }
                },
                actions,
            );
            // If it was only cut off from us, it was master all along: it does not know that others
            // learnt where we are, and announces the addresses again only if it hears us once.
            let returned = self.silent.take() == Some(from);
            if returned {
                self.log(Message::Returned { from }, actions);
            }
            if self.config.higher_prio_send_advert || returned {
                self.counters.adverts_sent += 1;
                actions.push(Action::SendAdvert { priority: ours });
            }
            self.yield_to(now, from, packet, actions);
            return;
        }
        if !self.chatter.allows(now, self.config.advert_interval) {
            return;
        }
        let electing = !self.config.lower_prio_no_advert;
        self.log(Message::LowerPriority { from, theirs, ours, electing }, actions);
        // Who may take over does so within a master-down time, and lets go when it hears us: one that
        // did not hear us for so long had no way to.
        let split = |master: &Master| now - master.since > self.config.advert_interval * 2;
        if matches!(&self.role, Role::Master(master) if split(master)) {
            self.counters.splits += 1;
            self.log(Message::Split { from, theirs }, actions);
        }
        if electing {
            self.send_advert(now, actions);
        }
        if let Role::Master(master) = &mut self.role
            && master.holds()
        {
            let to = &mut Self::to(&self.name, &self.config, actions);
            master.announcer.heard_lower(now, to);
            actions.push(Action::HeardLowerPriority);
        }
    }

    /// Two say they own the addresses: the lower address gives way. If the other does not, though it
    /// had time for it, ours are no longer the owner's adverts.
    fn heard_rival(
        &mut self,
        now: Instant,
        from: IpAddr,
        theirs: Duration,
        actions: &mut Vec<Action>,
    ) {
        let ours = self.config.advert_interval;
        let Role::Master(master) = &mut self.role else { return };
        match master.rival_until {
            Some(until) if now - until <= ours * 4 && until > now => {}
            Some(until) if now - until <= ours * 4 && self.ceiling.is_none() => {
                self.log(Message::OtherOwnerStays { from }, actions);
                self.ceiling = Some(OWNER - 1);
                self.update_priority();
                actions.push(Action::PriorityChanged { priority: self.priority });
            }
            Some(_) | None => {
                master.rival_until = Some(now + ours * 2 + ours.max(theirs) * 6 / 5);
                self.log(Message::OtherOwner { from }, actions);
            }
        }
    }

    /// Its priority is its own again.
    fn lift_ceiling(&mut self, actions: &mut Vec<Action>) {
        if self.ceiling.take().is_some() {
            self.update_priority();
            if self.config.priority == OWNER {
                self.log(Message::OwnerAgain { priority: self.priority }, actions);
            }
            actions.push(Action::PriorityChanged { priority: self.priority });
        }
    }

    /// Lets a better master have the addresses.
    fn yield_to(
        &mut self,
        now: Instant,
        from: IpAddr,
        packet: &Packet<'_>,
        actions: &mut Vec<Action>,
    ) {
        self.log(Message::Entering(State::Backup), actions);
        self.drop_addresses(actions);
        self.adopt_interval(packet, actions);
        self.become_backup(now + self.master_down_interval(), actions);
        self.heard_master(now, from, actions);
    }

    pub(super) fn drop_addresses(&self, actions: &mut Vec<Action>) {
        if matches!(&self.role, Role::Master(master) if master.holds()) {
            self.let_go(actions);
        }
    }

    /// A virtual address was taken away by somebody else: give the others a chance, as upstream does.
    pub(super) fn address_lost(&mut self, now: Instant, lost: IpAddr, actions: &mut Vec<Action>) {
        let Role::Master(master) = &mut self.role else { return };
        let Some(held) = self.config.held().find(|held| held.address == lost) else { return };
        if !master.holds() {
            return;
        }
        // The lease ran out because we were late, not so late that a backup took over. It is renewed
        // with the next advert, or just was.
        let expired = self.lease.is_some_and(|lease| now - master.last_renewal >= lease.lifetime);
        let echo = master.lapsed.is_some_and(|lapsed| now - lapsed <= LAPSE_ECHO);
        if echo {
            let lifetime = self.lease.map_or(Duration::ZERO, |lease| lease.lifetime);
            actions.push(Action::RenewLease { lifetime });
        }
        if expired || echo {
            return;
        }
        let interface = self.config.interface_of(held).into();
        self.log(Message::AddressLost { address: lost, interface }, actions);
        self.step_down(now, actions);
    }

    /// The same of a route or a rule.
    pub(super) fn route_lost(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if matches!(&self.role, Role::Master(master) if master.holds()) {
            self.step_down(now, actions);
        }
    }

    /// Resigns, to be elected again if nobody else is.
    pub(super) fn step_down(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.log(Message::Entering(State::Backup), actions);
        self.resign(actions);
        self.become_backup(now + self.skew(), actions);
    }

    /// Leaves the master's role if this process slept so long that a backup may have taken it over
    /// (stopped, starved, or on a machine that was paused). The addresses go, and nobody is told
    /// priority 0: it is the other's turn already.
    pub(super) fn wake_master(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Role::Master(master) = &self.role else { return };
        let silence = now - master.last_advert;
        if silence <= self.patience() {
            return;
        }
        let late = now - master.advert_due;
        self.log(Message::TimerExpired { late }, actions);
        self.log(Message::Overslept { silence }, actions);
        if !self.config.preempt {
            self.ceiling = self.config.timer_expired_backup;
        }
        self.log(Message::Entering(State::Backup), actions);
        self.drop_addresses(actions);
        self.become_backup(now + self.master_down_interval(), actions);
    }
}
