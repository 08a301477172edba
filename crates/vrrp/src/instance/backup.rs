//! The backup's part: RFC 9568 §6.4.2.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::Instant;
use wire::vrrp::Message as Packet;

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
    /// When an advert of lower priority was last discarded.
    heard_lower: Option<Instant>,
}

impl Backup {
    pub(super) fn new(master_down: Instant) -> Self {
        Self { master_down, preempt_at: None, heard_lower: None }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.master_down
    }

    /// Whether a master of lower priority was heard at `moment` or later.
    pub(super) fn heard_lower_since(&self, moment: Instant) -> bool {
        self.heard_lower.is_some_and(|heard| heard >= moment)
    }

    /// Waits no longer than it would if an advert had just come.
    pub(super) fn reconfigure(&mut self, longest: Instant, preempt_delay: Duration) {
        self.master_down = self.master_down.min(longest);
        if preempt_delay.is_zero() {
            self.preempt_at = None;
        }
    }
}

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
            self.role = Role::Backup(backup);
            return;
        }
        self.heard_master(from, actions);
        let lower = packet.priority < self.priority;
        if lower && self.config.preempt {
            let delay = self.config.preempt_delay;
            if backup.preempt_at.is_none() && !delay.is_zero() {
                self.log(Message::PreemptDelayStarted { delay }, actions);
                backup.preempt_at = Some(now + delay);
            }
            if backup.preempt_at.is_none_or(|at| at <= now) {
                let priority = packet.priority;
                self.log(Message::LowerPriorityDiscarded { priority, from }, actions);
                backup.heard_lower = Some(now);
                self.role = Role::Backup(backup);
                return;
            }
        } else if backup.preempt_at.take().is_some() {
            self.log(Message::PreemptDelayStopped, actions);
        }
        self.adopt_interval(packet, actions);
        backup.master_down = now + self.master_down_interval();
        backup.heard_lower = None;
        self.role = Role::Backup(backup);
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

    pub(super) fn heard_master(&mut self, from: IpAddr, actions: &mut Vec<Action>) {
        match self.master.replace(from) {
            None => self.log(Message::MasterSet { to: from }, actions),
            Some(before) if before != from => {
                self.log(Message::MasterChanged { from: before, to: from }, actions);
                self.logged = 0;
            }
            Some(_) => {}
        }
    }
}
