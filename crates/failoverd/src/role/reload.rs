//! From one configuration to the next, without letting go of anything that stays.

use std::fmt;
use std::io;

use daemon::log::Severity;
use tokio::sync::oneshot;
use vrrp::config::{Globals, InstanceConfig, ScriptConfig};
use vrrp::{Event, Plan, Step};

use super::{Member, Role};
use crate::configuration::{self, Loaded};
use crate::report::Report;
use crate::vmac;

/// Waits for the configuration being read, or for ever if none is. `None` if reading it failed
/// beyond words.
pub(super) async fn read(
    reading: &mut Option<oneshot::Receiver<io::Result<Loaded>>>,
) -> Option<Loaded> {
    let Some(receiver) = reading else { return std::future::pending().await };
    let loaded = receiver.await.ok();
    *reading = None;
    loaded?.ok()
}

impl Role {
    /// Runs by the configuration that was read, if it is of any use.
    pub(super) fn reload(&mut self, loaded: Option<Loaded>) {
        let Some(mut loaded) = loaded else {
            return self.keep("the configuration could not be read");
        };
        loaded.log_to(&self.log);
        if loaded.exit.is_some() {
            return self.keep("the configuration changed while it was read");
        }
        if let Some(why) = self.looks_broken(&loaded) {
            return self.keep(why);
        }
        self.mistakes = loaded.mistakes();
        let wishes = vmac::assign(&mut loaded.config);
        self.keep_namespace(&mut loaded.config.globals);
        let statics = self.wanted_statics();
        self.remove_static_routes(&loaded.config);
        let before = std::mem::replace(&mut self.config, loaded.config);
        self.groups.suspend();
        self.notifier.configure(&self.config);
        self.follow(false);
        self.place.change(&self.config.globals.process);
        self.agent.reconfigure(&self.config.globals.snmp);
        let plan = Plan::between(&before, &self.config);
        let new = plan.iter().filter(|step| matches!(step, Step::AddInstance(_))).count();
        for step in plan {
            self.step(step);
        }
        self.regroup();
        self.change_vmacs(wishes);
        self.promote_secondaries();
        self.filter();
        let opened = self.find_sockets();
        self.say_opened(&opened);
        self.change_statics(&statics);
        self.add_static_routes(None);
        for index in 0..self.members.len() {
            self.tell_facts(index);
        }
        if self.start_at.is_none() {
            // They were added behind all others.
            for index in self.members.len() - new..self.members.len() {
                self.feed(index, Event::Start);
            }
        }
        self.tell_states_again();
        self.totals.reloaded(true);
        self.serve_status();
        self.reporter.tell(Report::Reloaded);
    }

    /// The process is where it is, whatever the new configuration says.
    fn keep_namespace(&self, new: &mut Globals) {
        let here = &self.config.globals.process.net_namespace;
        if new.process.net_namespace != *here {
            self.log
                .info("Cannot change network namespace at a reload - please restart keepalived");
            new.process.net_namespace.clone_from(here);
        }
    }

    /// Why a configuration keepalived would run is nevertheless not what was meant: half a file, or
    /// one with a mistake that makes an instance vanish.
    fn looks_broken(&self, loaded: &Loaded) -> Option<String> {
        if loaded.is_empty() && !self.members.is_empty() {
            return Some("there is nothing to run in it".to_owned());
        }
        let stays = |config: &InstanceConfig| {
            let key = config.key();
            loaded.config.instances.iter().any(|new| new.key() == key)
        };
        let gone = self.members.iter().map(Member::config).find(|config| !stays(config))?;
        let mistakes = loaded.mistakes();
        let mistake = mistakes.difference(&self.mistakes).next()?;
        Some(format!("({}) is no longer in it, and there is a new mistake: {mistake}", gone.name))
    }

    /// Goes on as before.
    pub(super) fn keep(&mut self, why: impl fmt::Display) {
        self.log.write(Severity::Error, format_args!("{why}"));
        self.log.write(Severity::Error, configuration::KEPT);
        self.totals.reloaded(false);
        self.reporter.tell(Report::Kept);
    }

    /// One step; what it takes to have all members' places, sockets and facts right is done once,
    /// after the last.
    fn step(&mut self, step: Step) {
        match step {
            // Read from the configuration where they are used; for groups see `regroup`.
            Step::SetGlobals(_) | Step::SetSyncGroups(_) => {}
            // See `change_statics`: what is an instance's address is not static.
            Step::AddStatic(_) | Step::RemoveStatic(_) => {}
            Step::RemoveInstance(key) => {
                if let Some(index) = self.members.iter().position(|m| m.config().key() == key) {
                    self.feed(index, Event::Shutdown);
                    self.forget(index);
                    self.members.remove(index);
                }
            }
            Step::AddInstance(config) => self.members.push(self.member(config)),
            Step::ChangeInstance(config) => self.change_instance(config),
            Step::RemoveScript(name) => self.trackers.remove(&name),
            Step::AddScript(config) => self.add_script(config),
            Step::ChangeScript(config) => {
                let name = config.name.clone();
                if let Err(error) = self.trackers.change(config, &self.config.globals) {
                    self.complain(format_args!("vrrp_script {name} goes on as before: {error}"));
                }
            }
        }
    }

    fn change_instance(&mut self, config: InstanceConfig) {
        let key = config.key();
        let Some(index) = self.members.iter().position(|m| m.config().key() == key) else { return };
        let mut actions = std::mem::take(&mut self.actions);
        let now = self.clock.now();
        self.members[index].instance.reconfigure(config, &self.config, now, &mut actions);
        let opened = self.find_socket(index);
        self.say_opened(opened.as_slice());
        self.perform(index, &mut actions);
        self.actions = actions;
    }

    pub(super) fn add_script(&mut self, config: ScriptConfig) {
        let name = config.name.clone();
        if let Err(error) = self.trackers.add(config, &self.config.globals) {
            self.complain(format_args!("vrrp_script {name} is not run: {error}"));
        }
    }
}
