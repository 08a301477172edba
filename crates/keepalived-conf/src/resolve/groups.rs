//! `vrrp_sync_group`, and trackers that weigh where nothing may.

use conf::Span;
use vrrp::config::{Config, InstanceConfig, OWNER, SyncGroupConfig, TrackedFile, TrackedInterface};

use super::Resolver;
use crate::draft::GroupDraft;

/// Why weights count for nothing.
#[derive(Clone, Copy)]
enum Because {
    Group,
    Owner,
}

impl Because {
    fn interface(self) -> &'static str {
        match self {
            Self::Group => "weight due to SYNC group",
            Self::Owner => "due to address owner",
        }
    }

    fn other(self) -> &'static str {
        match self {
            Self::Group => "SYNC group",
            Self::Owner => "address_owner",
        }
    }
}

impl Resolver<'_> {
    pub(super) fn sync_groups(&mut self, known: &Config) -> Vec<SyncGroupConfig> {
        let mut groups: Vec<SyncGroupConfig> = Vec::new();
        for draft in &self.draft.groups {
            let name = &draft.name;
            if draft.members.is_empty() {
                self.after(format!("Sync group {name} has no virtual router(s). removing"));
                continue;
            }
            let mut group = self.group(draft, known);
            for member in &draft.members {
                let text = &member.text;
                let taken = groups.iter().chain([&group]).any(|g| g.instances.contains(text));
                if !self.draft.instances.iter().any(|i| i.name == *text) {
                    self.after(format!(
                        "Virtual router {text} specified in sync group {name} doesn't exist - ignoring"
                    ));
                } else if taken {
                    self.after(format!(
                        "Virtual router {text} cannot exist in more than one sync group; ignoring {name}"
                    ));
                } else {
                    group.instances.push(text.clone());
                }
            }
            match group.instances.len() {
                0 => {
                    self.after(format!(
                        "Sync group {name}, no matching virtual router found in group declaration - removing"
                    ));
                    continue;
                }
                1 => self.after(format!(
                    "Sync group {name} has only 1 virtual router(s) - this probably isn't what you want"
                )),
                _ => {}
            }
            let owners = group.instances.iter().filter(|member| {
                known.instances.iter().any(|i| i.name == **member && i.priority == OWNER)
            });
            let owners = owners.count();
            if owners > 0 && owners < group.instances.len() {
                let said = format!(
                    "Sync group {name} has some member(s) as address owner and some not as address owner. This won't work."
                );
                self.note(draft.members[0].span, said);
            }
            groups.push(group);
        }
        groups
    }

    fn group(&mut self, draft: &GroupDraft, known: &Config) -> SyncGroupConfig {
        let mut group = SyncGroupConfig {
            name: draft.name.clone(),
            instances: Vec::new(),
            tracking_weight: draft.tracking_weight,
            track_scripts: draft.track_scripts.iter().map(|(t, _)| t.clone()).collect(),
            track_interfaces: draft.track_interfaces.iter().map(|(t, _)| t.clone()).collect(),
            track_files: draft.track_files.iter().map(|(t, _)| t.clone()).collect(),
            track_processes: draft.track_processes.iter().map(|(t, _)| t.clone()).collect(),
            notify: self.notify(&draft.notify),
        };
        group.track_scripts.retain(|t| known.scripts.iter().any(|s| s.name == t.script));
        group.track_files.retain(|t| known.track_files.iter().any(|f| f.name == t.file));
        group.track_processes.retain(|t| known.track_processes.iter().any(|p| p.name == t.process));
        group
    }

    /// Members of a group move together, so that weights of one would tear them apart.
    pub(super) fn weights_in_groups(&mut self, config: &mut Config) {
        let (mut said, shared) = (Vec::new(), config.clone());
        for group in config.sync_groups.iter().filter(|group| !group.tracking_weight) {
            let members = config.instances.iter_mut().filter(|i| group.instances.contains(&i.name));
            for instance in members {
                weightless(instance, &shared, Because::Group, &mut said);
            }
        }
        for line in said {
            self.after(line);
        }
    }

    /// The owner's priority never changes.
    pub(super) fn weights_of_owners(&mut self, config: &mut Config) {
        let (mut said, shared) = (Vec::new(), config.clone());
        for instance in config.instances.iter_mut().filter(|i| i.priority == OWNER) {
            weightless(instance, &shared, Because::Owner, &mut said);
        }
        for line in said {
            self.after(line);
        }
    }

    /// Interfaces an instance follows by itself and through its group.
    pub(super) fn interfaces_both_ways(&mut self, config: &Config) {
        let mut said = Vec::new();
        for group in &config.sync_groups {
            for instance in config.instances.iter().filter(|i| group.instances.contains(&i.name)) {
                let name = &instance.name;
                for tracked in &group.track_interfaces {
                    let interface = &tracked.interface;
                    let own = !instance.dont_track_primary && instance.interface == *interface;
                    let same = |t: &TrackedInterface| t.interface == *interface;
                    if own || instance.track_interfaces.iter().any(same) {
                        said.push(format!(
                            "({name}) track_interface {interface} is configured on VRRP instance and sync group. Remove vrrp instance or sync group config"
                        ));
                    }
                }
            }
        }
        for line in said {
            self.after(line);
        }
    }

    /// What an instance follows by itself and through its group: the group's counts.
    pub(super) fn both_ways(&mut self, config: &mut Config) {
        let mut noted = Vec::new();
        for group in &config.sync_groups {
            let members = config.instances.iter_mut().filter(|i| group.instances.contains(&i.name));
            for instance in members {
                let name = instance.name.clone();
                let mut keep = |what: &str, one: &str, twice: bool| {
                    if twice {
                        noted.push(format!(
                            "({name}) track_{what} {one} is configured on VRRP instance and sync group. Remove vrrp instance config"
                        ));
                    }
                    !twice
                };
                instance.track_scripts.retain(|t| {
                    let twice = group.track_scripts.iter().any(|g| g.script == t.script);
                    keep("script", &t.script, twice)
                });
                instance.track_files.retain(|t| {
                    let twice = group.track_files.iter().any(|g| g.file == t.file);
                    keep("file", &t.file, twice)
                });
                instance.track_processes.retain(|t| {
                    let twice = group.track_processes.iter().any(|g| g.process == t.process);
                    keep("process", &t.process, twice)
                });
            }
        }
        for line in noted {
            self.note(Span::default(), line);
        }
    }
}

/// Takes the weights away from what an instance follows.
fn weightless(
    instance: &mut InstanceConfig,
    shared: &Config,
    because: Because,
    said: &mut Vec<String>,
) {
    let name = &instance.name;
    let why = because.other();
    instance.track_interfaces.retain(|t| {
        let keep = t.weight == 0;
        if !keep {
            let (interface, why) = (&t.interface, because.interface());
            said.push(format!("({name}) ignoring {interface} tracked interface {why}"));
        }
        keep
    });
    instance.track_scripts.retain(|t| {
        let own = shared.scripts.iter().find(|s| s.name == t.script).map_or(0, |s| s.weight);
        let keep = t.weight.unwrap_or(own) == 0;
        if !keep {
            let script = &t.script;
            said.push(format!(
                "({name}) ignoring tracked script {script} with weights due to {why}"
            ));
        }
        keep
    });
    let own = |t: &TrackedFile| {
        shared.track_files.iter().find(|f| f.name == t.file).map_or(1, |f| f.weight)
    };
    instance.track_files.retain_mut(|t| {
        let file = t.file.clone();
        match t.weight.unwrap_or_else(|| own(t)) {
            0 => true,
            // What nobody asked for: the default.
            1 => {
                said.push(format!(
                    "({name}) ignoring weight from tracked file {file} due to {why}. specify weight 0"
                ));
                t.weight = Some(0);
                true
            }
            weight => {
                said.push(format!(
                    "({name}) ignoring tracked file {file} with weight {weight} due to {why}"
                ));
                false
            }
        }
    });
}
