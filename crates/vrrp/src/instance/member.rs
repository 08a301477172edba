//! An instance as a member of a sync group.

use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::master::HANDOVER;
use super::{Instance, Role};
use crate::action::{Action, State};
use crate::group::{Fitness, Standing, Sync};
use crate::log::Message;

impl Instance {
    /// Makes it a member of a sync group, which from then on has to [look](crate::Group::look) after
    /// it, or not.
    pub fn set_grouped(&mut self, grouped: bool) {
        self.grouped = grouped;
    }

    /// Whether it is a member of a sync group.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        self.grouped
    }

    /// How it stands, for its sync group.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let fitness = if self.tracked.own_fault().is_some() {
            Fitness::Faulty
        } else if self.tracked.own_pending() {
            Fitness::Pending
        } else {
            Fitness::Fit
        };
        Standing {
            state: self.state(),
            started: self.started,
            ready: matches!(&self.role, Role::Backup(backup) if backup.ready.is_some()),
            holds: self.holds(),
            resigned: self.resigned,
            fitness,
            peers: self.tracked.peers(),
        }
    }

    /// Could be master, and waits until the other members could, too; its timer starts anew.
    pub(super) fn get_ready(&mut self, now: Instant, wait: Duration, actions: &mut Vec<Action>) {
        let longest = now + self.master_down_interval();
        if !matches!(self.role, Role::Backup(_)) {
            self.become_backup(longest, actions);
        }
        if let Role::Backup(backup) = &mut self.role {
            backup.set_ready(longest, wait);
        }
    }

    /// Does as its group says.
    pub(super) fn sync(&mut self, now: Instant, sync: Sync, actions: &mut Vec<Action>) {
        match sync {
            Sync::Peers(fitness) => self.tracked.set_peers(fitness),
            Sync::Master => {
                if let Role::Backup(backup) = &self.role {
                    let wait = backup.ready.unwrap_or(HANDOVER);
                    self.become_master(now, wait, actions);
                }
            }
            Sync::Backup { resign: true } if matches!(self.role, Role::Master(_)) => {
                self.step_down(now, actions);
            }
            Sync::Backup { resign: false } if matches!(self.role, Role::Master(_)) => {
                self.log(Message::Entering(State::Backup), actions);
                self.drop_addresses(actions);
                self.become_backup(now + self.master_down_interval(), actions);
            }
            Sync::Backup { .. } => {}
        }
    }
}
