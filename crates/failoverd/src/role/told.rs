//! Who is told what an instance or a group is now, and what the trackers tell it.

use vrrp::config::SyncGroupConfig;
use vrrp::{Event, State};

use super::Role;
use crate::notify::{Kind, Notice, Told};
use crate::trackers::News;

impl Role {
    /// Follows the files and processes of the configuration.
    pub(super) fn follow(&mut self, start: bool) {
        let mut news = Vec::new();
        if start && !self.ledger.is_inherited() {
            self.trackers.initialise(&self.config, &mut news);
        }
        self.trackers.follow(&self.config, start, &mut news);
        self.spread(news);
    }

    /// Tells an instance of a file or a process.
    pub(super) fn tell_tracked(&mut self, index: usize, news: &News) {
        match news {
            News::File { name, value } => self.feed(index, Event::File { name, value: *value }),
            News::Process { name, good } => {
                self.feed(index, Event::Process { name, good: *good });
            }
            News::Log(_) | News::Verdict { .. } | News::Line(_) | News::Detail(_) => {}
        }
    }

    /// Tells of a state an instance entered.
    pub(super) fn tell_entered(&mut self, index: usize, state: State) {
        let notify = &self.members[index].config().notify;
        let told = match Told::entered(state) {
            Some(told) => told,
            None if self.stopping => Told::Stop,
            None => Told::removed(notify),
        };
        self.tell_instance(index, told);
    }

    /// Tells that the priority of an instance changed.
    pub(super) fn tell_priority(&mut self, index: usize) {
        self.tell_instance(
            index,
            match self.members[index].instance.state() {
                State::Master => Told::MasterPriority,
                _ => Told::BackupPriority,
            },
        );
    }

    /// Tells whoever an instance wants told.
    pub(super) fn tell_instance(&mut self, index: usize, told: Told) {
        if let Some(untold) = &mut self.untold {
            return untold.push((index, told));
        }
        let instance = &self.members[index].instance;
        let config = instance.config();
        let notice = Notice {
            kind: Kind::Instance,
            name: &config.name,
            told,
            priority: instance.priority(),
            config: &config.notify,
        };
        self.notifier.tell(self.clock.now(), notice);
    }

    /// Tells what was put off while instances start.
    pub(super) fn tell_untold(&mut self) {
        let Some(untold) = self.untold.take() else { return };
        for (index, told) in untold {
            self.tell_instance(index, told);
        }
        self.untold = Some(Vec::new());
    }

    /// Tells whoever a group wants told: after its members, but as keepalived does, before them that
    /// it starts as backup.
    pub(super) fn tell_group(&mut self, group: &SyncGroupConfig, told: Told) {
        if told != Told::Backup {
            self.tell_untold();
        }
        let (name, config) = (&group.name, &group.notify);
        let notice = Notice { kind: Kind::Group, name, told, priority: 0, config };
        self.notifier.tell(self.clock.now(), notice);
    }

    /// Tells that all groups stop, behind their members.
    pub(super) fn tell_groups_stop(&mut self) {
        for group in self.config.sync_groups.clone() {
            self.tell_group(&group, Told::Stop);
        }
    }

    /// After a reload the pipes are told all states, where that is asked for.
    pub(super) fn tell_states_again(&mut self) {
        if !self.config.globals.fifo_states_on_reload {
            return;
        }
        for member in &self.members {
            let config = member.config();
            if let Some(told) = Told::entered(member.instance.state()) {
                self.notifier.repeat(
                    Kind::Instance,
                    &config.name,
                    told,
                    member.instance.priority(),
                );
            }
        }
    }
}
