//! The beginning and the end: RFC 9568 §6.4.1, and what keeps an instance out of the race.

use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::master::HANDOVER;
use super::{Instance, Role};
use crate::action::{Action, State};
use crate::log::Message;

impl Instance {
    /// RFC 9568 §6.4.1, "If a Startup event is received".
    pub(super) fn start(&mut self, now: Instant, actions: &mut Vec<Action>) {
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
        self.let_go(actions);
        self.log_missing_lease(actions);
        if self.tracked.fault().is_some() {
            self.enter(Role::Fault, actions);
        } else if !self.tracked.is_pending() {
            if self.is_owner() {
                self.take_over(now, HANDOVER, actions);
            } else {
                self.log(Message::EnteringBackupAtInit, actions);
                self.become_backup(now + self.master_down_interval(), actions);
            }
        }
    }

    /// Takes up where another process left off.
    pub(super) fn resume(&mut self, now: Instant, silent: Duration, actions: &mut Vec<Action>) {
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
    pub(super) fn shut_down(&mut self, actions: &mut Vec<Action>) {
        if !self.started {
            return;
        }
        self.started = false;
        self.resign(actions);
        self.enter(Role::Init, actions);
    }

    /// Follows what is tracked: into a fault, out of it, out of waiting, to another priority.
    pub(super) fn reconsider(&mut self, now: Instant, actions: &mut Vec<Action>) {
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
                self.resign(actions);
                self.enter(Role::Fault, actions);
            }
            Role::Init | Role::Fault if !fault && !self.tracked.is_pending() => {
                self.master_interval = self.config.advert_interval;
                self.announce_ourselves(actions);
                // RFC 9568 §6.4.1; keepalived waits for an advert first.
                if self.is_owner() {
                    return self.take_over(now, HANDOVER, actions);
                }
                self.log(Message::Entering(State::Backup), actions);
                self.become_backup(now + self.master_down_interval(), actions);
            }
            Role::Init | Role::Fault | Role::Backup(_) | Role::Master(_) => {}
        }
    }

    /// After a fault, tells peers where we are: nobody but they is told by our adverts.
    fn announce_ourselves(&self, actions: &mut Vec<Action>) {
        if matches!(self.role, Role::Fault)
            && !self.config.unicast_peers.is_empty()
            && let Some(address) = self.tracked.source()
        {
            let interface = self.config.interface.clone();
            actions.push(Action::Announce { address, interface });
        }
    }

    /// Takes in the number of a tracked file.
    pub(super) fn file_changed(&mut self, name: &str, value: i64, actions: &mut Vec<Action>) {
        if let Some(fault) = self.tracked.set_file(name, value)
            && self.started
        {
            self.log(Message::TrackedFile { name: name.into(), fault }, actions);
        }
    }
}
