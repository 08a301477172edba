use alloc::format;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::config::{
    TrackFileConfig, TrackProcessConfig, TrackedFile, TrackedProcess, TrackedScript,
};

/// What a driver does with the steps, on the model alone.
fn apply(mut config: Config, steps: Vec<Step>) -> Config {
    for step in steps {
        match step {
            Step::SetGlobals(globals) => config.globals = globals,
            Step::SetSyncGroups(groups) => config.sync_groups = groups,
            Step::RemoveInstance(key) => {
                let before = config.instances.len();
                config.instances.retain(|known| known.key() != key);
                assert_eq!(config.instances.len() + 1, before, "there was one");
            }
            Step::RemoveScript(name) => {
                let before = config.scripts.len();
                config.scripts.retain(|known| known.name != name);
                assert_eq!(config.scripts.len() + 1, before, "there was one");
            }
            Step::RemoveStatic(address) => {
                let before = config.static_addresses.len();
                config.static_addresses.retain(|known| *known != address);
                assert_eq!(config.static_addresses.len() + 1, before, "there was one");
            }
            Step::ChangeScript(script) => {
                let known = config.scripts.iter_mut().find(|known| known.name == script.name);
                *known.expect("there is one") = script;
            }
            Step::ChangeInstance(instance) => {
                let known = config.instances.iter_mut().find(|known| known.key() == instance.key());
                *known.expect("there is one") = instance;
            }
            Step::AddScript(script) => {
                assert!(config.scripts.iter().all(|known| known.name != script.name));
                config.scripts.push(script);
            }
            Step::AddStatic(address) => config.static_addresses.push(address),
            Step::AddInstance(instance) => {
                assert!(config.instances.iter().all(|known| known.key() != instance.key()));
                config.instances.push(instance);
            }
        }
    }
    config
}

/// The order of the lists says nothing.
fn sorted(mut config: Config) -> Config {
    config.instances.sort_by_key(InstanceConfig::key);
    config.scripts.sort_by(|a, b| a.name.cmp(&b.name));
    config.static_addresses.sort_by_key(|held| (held.address, held.interface.clone()));
    config
}

fn instances() -> impl Strategy<Value = Vec<InstanceConfig>> {
    let one = (0..3_u8, 1..4_u8, any::<bool>(), 1..4_u8, 0..3_u8);
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let mut instances: Vec<InstanceConfig> = vec![];
        for (interface, vrid, v6, priority, script) in all {
            let address: core::net::IpAddr = if v6 {
                core::net::Ipv6Addr::LOCALHOST.into()
            } else {
                core::net::Ipv4Addr::LOCALHOST.into()
            };
            let instance = InstanceConfig {
                name: format!("VI_{priority}"),
                interface: format!("eth{interface}"),
                vrid: Vrid(vrid),
                priority,
                addresses: vec![VirtualAddress::host(address)],
                track_scripts: vec![TrackedScript {
                    script: format!("s{script}"),
                    ..TrackedScript::default()
                }],
                ..InstanceConfig::default()
            };
            if instances.iter().all(|known| known.key() != instance.key()) {
                instances.push(instance);
            }
        }
        instances
    })
}

fn configs() -> impl Strategy<Value = Config> {
    let scripts = prop::collection::btree_map(0..4_u8, 0..3_i16, 0..4).prop_map(|all| {
        let script = |(name, weight)| ScriptConfig {
            name: format!("s{name}"),
            weight,
            ..ScriptConfig::default()
        };
        all.into_iter().map(script).collect::<Vec<_>>()
    });
    let statics = prop::collection::btree_map(0..4_u8, 30..33_u8, 0..4).prop_map(|all| {
        let address = |(last, prefix_len)| VirtualAddress {
            prefix_len,
            ..VirtualAddress::host(core::net::Ipv4Addr::new(192, 0, 2, last).into())
        };
        all.into_iter().map(address).collect::<Vec<_>>()
    });
    (scripts, statics, instances(), any::<bool>(), 0..2_u8).prop_map(
        |(scripts, static_addresses, instances, script_security, groups)| Config {
            globals: Globals { script_security, ..Globals::default() },
            scripts,
            static_addresses,
            instances,
            sync_groups: (0..groups).map(|_| SyncGroupConfig::default()).collect(),
            ..Config::default()
        },
    )
}

proptest! {
    #[test]
    fn the_steps_lead_from_the_old_to_the_new(old in configs(), new in configs()) {
        let steps = Plan::between(&old, &new);
        prop_assert_eq!(sorted(apply(old, steps)), sorted(new));
    }

    #[test]
    fn nothing_is_done_between_equals(config in configs()) {
        prop_assert_eq!(Plan::between(&config, &config), []);
    }

    #[test]
    fn what_goes_goes_before_anything_comes(old in configs(), new in configs()) {
        let steps = Plan::between(&old, &new);
        let goes = |step: &Step| {
            matches!(step, Step::RemoveInstance(_) | Step::RemoveScript(_) | Step::RemoveStatic(_))
        };
        let comes = |step: &Step| {
            matches!(step, Step::AddInstance(_) | Step::AddScript(_) | Step::AddStatic(_))
        };
        let last_gone = steps.iter().rposition(goes).unwrap_or(0);
        let first_come = steps.iter().position(comes).unwrap_or(steps.len());
        prop_assert!(last_gone <= first_come);
    }
}

#[test]
fn a_script_that_changes_changes_the_instances_that_track_it() {
    let tracked = TrackedScript { script: "chk".into(), ..TrackedScript::default() };
    let instance = InstanceConfig { track_scripts: vec![tracked], ..InstanceConfig::default() };
    let script = ScriptConfig { name: "chk".into(), ..ScriptConfig::default() };
    let old = Config { scripts: vec![script], instances: vec![instance], ..Config::default() };
    let mut new = old.clone();
    new.scripts[0].weight = 10;
    let steps = [
        Step::ChangeScript(new.scripts[0].clone()),
        Step::ChangeInstance(new.instances[0].clone()),
    ];
    assert_eq!(Plan::between(&old, &new), steps);
}

#[test]
fn a_new_name_is_a_change_and_a_new_interface_is_another_instance() {
    let old = Config { instances: vec![InstanceConfig::default()], ..Config::default() };
    let mut new = old.clone();
    new.instances[0].name = "VI_2".into();
    assert_eq!(Plan::between(&old, &new), [Step::ChangeInstance(new.instances[0].clone())]);
    new.instances[0].interface = "eth1".into();
    let steps =
        [Step::RemoveInstance(old.instances[0].key()), Step::AddInstance(new.instances[0].clone())];
    assert_eq!(Plan::between(&old, &new), steps);
}

#[test]
fn an_instance_changes_with_the_files_and_processes_it_tracks() {
    let mut old = Config { instances: vec![InstanceConfig::default()], ..Config::default() };
    let tracked = TrackedFile { file: "f".into(), ..TrackedFile::default() };
    old.instances[0].track_files.push(tracked);
    let tracked = TrackedProcess { process: "p".into(), ..TrackedProcess::default() };
    old.instances[0].track_processes.push(tracked);
    old.track_files.push(TrackFileConfig { name: "f".into(), ..TrackFileConfig::default() });
    let process = TrackProcessConfig { name: "p".into(), ..TrackProcessConfig::default() };
    old.track_processes.push(process);
    let mut new = old.clone();
    new.track_files[0].weight = 7;
    let change = [Step::ChangeInstance(new.instances[0].clone())];
    assert_eq!(Plan::between(&old, &new), change);
    let mut new = old.clone();
    new.track_processes[0].weight = 7;
    assert_eq!(Plan::between(&old, &new), change);
}

#[test]
fn members_follow_what_their_group_follows() {
    let member = |name: &str| InstanceConfig { name: name.into(), ..InstanceConfig::default() };
    let own = TrackedScript { script: "chk".into(), weight: Some(5), reverse: None };
    let mut config = Config {
        instances: vec![member("a"), member("b"), member("c")],
        sync_groups: vec![SyncGroupConfig {
            name: "G".into(),
            instances: vec!["a".into(), "b".into()],
            track_scripts: vec![TrackedScript { weight: None, ..own.clone() }],
            ..SyncGroupConfig::default()
        }],
        ..Config::default()
    };
    config.instances[0].track_scripts.push(own.clone());
    config.share_group_trackers();
    assert_eq!(config.instances[0].track_scripts, [own], "its own words count");
    assert_eq!(config.instances[1].track_scripts, config.sync_groups[0].track_scripts);
    assert_eq!(config.instances[2].track_scripts, []);
}
