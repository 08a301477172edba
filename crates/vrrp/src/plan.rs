//! From one configuration to the next.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{
    Config, Globals, InstanceConfig, ScriptConfig, SyncGroupConfig, VirtualAddress, Vrid,
};

/// The steps of a reload, in the order they are taken: what goes, what stays but changes, what comes.
///
/// Instances are the same if their interface, virtual router and address family are, as upstream
/// has it, whatever their names; scripts if their names are; static addresses if nothing about them
/// differs. The order of a configuration's lists says nothing.
///
/// ```
/// use vrrp::config::{Config, InstanceConfig};
/// use vrrp::{Plan, Step};
///
/// let old = Config { instances: vec![InstanceConfig::default()], ..Config::default() };
/// let mut new = old.clone();
/// new.instances[0].priority = 150;
/// assert_eq!(Plan::between(&old, &old), []);
/// assert_eq!(Plan::between(&old, &new), [Step::ChangeInstance(new.instances[0].clone())]);
/// ```
#[derive(Debug)]
pub enum Plan {}

/// What makes an instance the same as before.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct InstanceKey {
    /// Where it is.
    pub interface: String,
    /// Its number there.
    pub vrid: Vrid,
    /// Its family.
    pub ipv4: bool,
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Take the new settings of no single block.
    SetGlobals(Globals),
    /// Take the new groups.
    SetSyncGroups(Vec<SyncGroupConfig>),
    /// Shut an instance down.
    RemoveInstance(InstanceKey),
    /// Stop running a script.
    RemoveScript(String),
    /// Take an address away.
    RemoveStatic(VirtualAddress),
    /// [Reconfigure](crate::Script::reconfigure) the script of this name.
    ChangeScript(ScriptConfig),
    /// Begin running a script.
    AddScript(ScriptConfig),
    /// [Reconfigure](crate::Instance::reconfigure) the instance of this key.
    ChangeInstance(InstanceConfig),
    /// Put an address up.
    AddStatic(VirtualAddress),
    /// Start an instance.
    AddInstance(InstanceConfig),
}

impl InstanceConfig {
    /// What makes it the same as before a reload.
    #[must_use]
    pub fn key(&self) -> InstanceKey {
        InstanceKey { interface: self.interface.clone(), vrid: self.vrid, ipv4: self.is_ipv4() }
    }
}

impl Plan {
    /// What to do to get from `old` to `new`; nothing if they are the same.
    ///
    /// An instance is changed too if a script, file or process it tracks is: they have weights.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Vec<Step> {
        let mut steps = Vec::new();
        if old.globals != new.globals {
            steps.push(Step::SetGlobals(new.globals.clone()));
        }
        if old.sync_groups != new.sync_groups {
            steps.push(Step::SetSyncGroups(new.sync_groups.clone()));
        }
        let (before, after) = (by_key(old), by_key(new));
        let script = |config: &Config, name: &str| {
            config.scripts.iter().find(|script| script.name == name).cloned()
        };

        let gone = old.instances.iter().map(InstanceConfig::key);
        let gone = gone.filter(|key| !after.contains_key(key));
        steps.extend(gone.map(Step::RemoveInstance));
        let gone = old.scripts.iter().filter(|known| script(new, &known.name).is_none());
        steps.extend(gone.map(|known| Step::RemoveScript(known.name.clone())));
        let gone =
            old.static_addresses.iter().filter(|known| !new.static_addresses.contains(known));
        steps.extend(gone.cloned().map(Step::RemoveStatic));

        for wanted in &new.scripts {
            match script(old, &wanted.name) {
                None => steps.push(Step::AddScript(wanted.clone())),
                Some(known) if known != *wanted => steps.push(Step::ChangeScript(wanted.clone())),
                Some(_) => {}
            }
        }
        let came =
            new.static_addresses.iter().filter(|known| !old.static_addresses.contains(known));
        steps.extend(came.cloned().map(Step::AddStatic));
        for wanted in &new.instances {
            let differ = trackers_differ(old, new, wanted);
            match before.get(&wanted.key()) {
                None => steps.push(Step::AddInstance(wanted.clone())),
                Some(&known) if known != wanted || differ => {
                    steps.push(Step::ChangeInstance(wanted.clone()));
                }
                Some(_) => {}
            }
        }
        steps
    }
}

/// The instances of a configuration; of two with one key, which there should not be, the first.
fn by_key(config: &Config) -> BTreeMap<InstanceKey, &InstanceConfig> {
    config.instances.iter().rev().map(|instance| (instance.key(), instance)).collect()
}

/// Whether what an instance tracks is declared otherwise.
fn trackers_differ(old: &Config, new: &Config, instance: &InstanceConfig) -> bool {
    let script = |config: &'_ Config, name: &String| {
        config.scripts.iter().find(|script| script.name == *name).cloned()
    };
    let file = |config: &'_ Config, name: &String| {
        config.track_files.iter().find(|file| file.name == *name).cloned()
    };
    let process = |config: &'_ Config, name: &String| {
        config.track_processes.iter().find(|process| process.name == *name).cloned()
    };
    let mut scripts = instance.track_scripts.iter().map(|tracked| &tracked.script);
    let mut files = instance.track_files.iter().map(|tracked| &tracked.file);
    let mut processes = instance.track_processes.iter().map(|tracked| &tracked.process);
    scripts.any(|name| script(old, name) != script(new, name))
        || files.any(|name| file(old, name) != file(new, name))
        || processes.any(|name| process(old, name) != process(new, name))
}

#[cfg(test)]
mod tests;
