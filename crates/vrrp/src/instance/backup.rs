//! The backup's part: RFC 9568 §6.4.2.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::Instant;
use wire::vrrp::Message as Packet;

use super::master::{HANDOVER, SHORTEST_TIE, TIE};
use super::{Instance, Role};
use crate::action::Action;
use crate::config::{RESIGN, Version};
use crate::log::Message;

/// What a backup remembers.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// Until when the master may stay silent.
    master_down: Instant,
    /// Until when a master of lower priority is let be, since when one was first heard.
    preempt_at: Option<Instant>,
    /// Until when a master of lower priority, whose adverts were discarded, may stay silent.
    lower_down: Option<Instant>,
    /// The next advert of lower priority is answered by taking over.
    eager: bool,
    /// The master said that it goes.
    resigned: bool,
    /// The timer ran late once already, and what waited in the socket has been read.
    graced: bool,
    /// It would be master but for its sync group, and would wait so long for the addresses.
    pub(super) ready: Option<Duration>,
}

impl Backup {
    pub(super) fn new(master_down: Instant) -> Self {
        Self {
            master_down,
            preempt_at: None,
            lower_down: None,
            eager: false,
            resigned: false,
            graced: false,
            ready: None,
        }
    }

    /// It would be master but for its sync group. A delay of preemption that is over stays so.
    pub(super) fn set_ready(&mut self, master_down: Instant, wait: Duration) {
        let preempt_at = self.preempt_at;
        *self = Self { ready: Some(wait), preempt_at, ..Self::new(master_down) };
    }

    pub(super) fn deadline(&self) -> Instant {
        self.master_down
    }

    /// Waits no longer than it would if an advert had just come.
    pub(super) fn reconfigure(&mut self, longest: Instant, preempt_delay: Duration) {
        self.master_down = self.master_down.min(longest);
        if preempt_delay.is_zero() {
            self.preempt_at = None;
        }
    }
}

/// A timer later than this says that adverts may be waiting to be read.
const LATE: Duration = Duration::from_millis(5);
/// How long they are given.
pub(super) const GRACE: Duration = Duration::from_millis(10);

/// A timer later than this, and than half an interval, says that nothing is known any more.
const OVERSLEPT: Duration = Duration::from_millis(500);

impl Instance {
    /// RFC 9568 §6.4.2, "If an ADVERTISEMENT is received".
    pub(super) fn advert_while_backup(
        &mut self,
        now: Instant,
        from: IpAddr,
        packet: &Packet<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Role::Backup(backup) = &self.role else { return };
        let mut backup = backup.clone();
        if packet.priority == RESIGN {
            self.log(Message::BackupReceivedZero, actions);
            backup.master_down = now + self.skew();
            backup.resigned = true;
            self.role = Role::Backup(backup);
            return;
        }
        self.heard_master(now, from, actions);
        let lower = packet.priority < self.priority;
        if lower && self.config.preempt {
            let delay = self.config.preempt_delay;
            if backup.preempt_at.is_none() && !delay.is_zero() {
                self.log(Message::PreemptDelayStarted { delay }, actions);
                backup.preempt_at = Some(now + delay);
            }
            if backup.preempt_at.is_none_or(|at| at <= now) {
                self.discard_lower(now, from, packet, backup, actions);
                return;
            }
        } else if backup.preempt_at.take().is_some() {
            self.log(Message::PreemptDelayStopped, actions);
        }
        self.adopt_interval(packet, actions);
        let preempt_at = backup.preempt_at;
        self.role =
            Role::Backup(Backup { preempt_at, ..Backup::new(now + self.master_down_interval()) });
    }

    /// A master of lower priority does not restart the timer, and is taken over from when that has
    /// run out. Not at that moment, though, but right after its last advert before: then it is known
    /// to be alive, hears us, and lets go of the addresses at once. At any other moment it might have
    /// died since, with the addresses up until its lease ends.
    fn discard_lower(
        &mut self,
        now: Instant,
        from: IpAddr,
        packet: &Packet<'_>,
        mut backup: Backup,
        actions: &mut Vec<Action>,
    ) {
        let priority = packet.priority;
        if self.chatter.allows(now, self.master_interval) {
            self.log(Message::LowerPriorityDiscarded { priority, from }, actions);
        }
        let next = now + packet.interval + packet.interval / 8;
        if backup.eager || next >= backup.master_down {
            self.role = Role::Backup(backup);
            self.silent = None;
            self.take_over(now, HANDOVER, actions);
            return;
        }
        let patience = packet.interval * u32::from(self.config.down_timer_adverts);
        backup.lower_down = Some(now + patience + self.skew());
        self.role = Role::Backup(backup);
    }

    /// RFC 9568 §6.4.2, "If the Active_Down_Timer fires".
    pub(super) fn expire_backup(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Role::Backup(backup) = &mut self.role else { return };
        if backup.master_down > now {
            return;
        }
        if now - backup.master_down > LATE && !backup.graced {
            backup.graced = true;
            backup.master_down = now + GRACE;
            return;
        }
        if let Some(lower_down) = backup.lower_down.filter(|until| *until > now) {
            backup.eager = true;
            backup.master_down = lower_down;
            return;
        }
        let resigned = backup.resigned;
        self.silent = self.master.filter(|_| !resigned);
        let wait = (self.config.advert_interval / 50).clamp(SHORTEST_TIE, TIE);
        self.take_over(now, wait, actions);
    }

    /// Listens anew if this process slept past its timer: what it knows of the master is old, and so
    /// is what waits in its socket.
    pub(super) fn wake_backup(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Role::Backup(backup) = &self.role else { return };
        let late = now - backup.master_down;
        if late > OVERSLEPT.max(self.master_interval / 2) {
            self.log(Message::TimerExpired { late }, actions);
            self.role = Role::Backup(Backup::new(now + self.master_down_interval()));
        }
    }

    /// RFC 9568 §6.4.2: "Set the Active_Adver_Interval to the Adver Interval contained in the
    /// advertisement".
    pub(super) fn adopt_interval(&mut self, packet: &Packet<'_>, actions: &mut Vec<Action>) {
        let (from, to) = (self.master_interval, packet.interval);
        // An interval of nothing would make every moment too late.
        if self.config.version == Version::V3 && from != to && !to.is_zero() {
            self.log(Message::IntervalUpdated { from, to }, actions);
            self.master_interval = to;
        }
    }

    pub(super) fn heard_master(&mut self, now: Instant, from: IpAddr, actions: &mut Vec<Action>) {
        match self.master.replace(from) {
            None => self.log(Message::MasterSet { to: from }, actions),
            Some(before) if before != from && self.chatter.allows(now, self.master_interval) => {
                self.log(Message::MasterChanged { from: before, to: from }, actions);
                self.logged = 0;
            }
            Some(_) => {}
        }
    }
}
