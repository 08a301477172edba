//! Scripts and interfaces that move the priority or make a fault, also after a reload.

use std::time::Duration;

use crate::common::*;
use machine::Machine;
use vrrp::State::{Backup, Fault, Init, Master};
use vrrp::config::{
    Config, InstanceConfig, ScriptConfig, TrackFileConfig, TrackProcessConfig, TrackedFile,
    TrackedInterface, TrackedProcess, TrackedScript, VirtualAddress, VmacConfig, VmacKind,
};
use vrrp::{Action, Event, Instance};

fn script(name: &str, weight: i16) -> ScriptConfig {
    ScriptConfig { name: name.into(), weight, ..ScriptConfig::default() }
}

fn track(script: &str) -> TrackedScript {
    TrackedScript { script: script.into(), ..TrackedScript::default() }
}

fn tracking(scripts: &[ScriptConfig], tracked: Vec<TrackedScript>) -> Bench {
    let config = InstanceConfig { track_scripts: tracked, ..config() };
    let mut bench = Bench::new(config.clone());
    bench.instance = Instance::new(config, scripts);
    bench.tell(Event::Link { interface: "eth0", up: true });
    bench.tell(Event::Source(Some(US)));
    bench.tell(Event::Start);
    bench
}

#[test]
fn a_script_without_weight_is_waited_for_and_then_decides() {
    let mut bench = tracking(&[script("chk", 0)], vec![track("chk")]);
    assert_eq!(bench.said(), ["(VI_1) removing VIPs."]);
    assert_eq!((bench.instance.state(), bench.wait()), (Init, Duration::ZERO));
    bench.tell(Event::Script { name: "another", good: true });
    assert_eq!(bench.instance.state(), Init);
    bench.tell(Event::Script { name: "chk", good: true });
    assert_eq!(bench.said(), ["(VI_1) Entering BACKUP STATE"]);
    bench.tell(Event::Script { name: "chk", good: false });
    assert_eq!(bench.said(), ["(VI_1) Entering FAULT STATE"]);

    let mut bench = tracking(&[script("chk", 0)], vec![track("chk")]);
    bench.tell(Event::Script { name: "chk", good: false });
    assert_eq!(bench.said(), [""; 0], "as upstream: from the start into a fault without a word");
    assert_eq!(bench.done(), [Action::Entered(Fault)]);

    let assumed = ScriptConfig { init_fail: true, ..script("chk", 0) };
    let bench = tracking(&[assumed], vec![track("chk")]);
    assert_eq!(bench.instance.state(), Fault);
}

#[test]
fn weights_move_the_priority_between_1_and_254() {
    let rows = [
        (20, false, true, 120),
        (20, false, false, 100),
        (-20, false, true, 100),
        (-20, false, false, 80),
        (20, true, true, 80),
        (20, true, false, 100),
        (-20, true, false, 120),
        (-20, true, true, 100),
        (253, false, true, 254),
        (-253, false, false, 1),
    ];
    for (weight, reverse, good, expected) in rows {
        let declared = ScriptConfig { reverse, ..script("chk", weight) };
        let mut bench = tracking(&[declared], vec![track("chk")]);
        assert_eq!(bench.instance.state(), Backup, "a weight is not waited for");
        assert_eq!(bench.instance.priority(), 100);
        bench.tell(Event::Script { name: "chk", good });
        assert_eq!(bench.instance.priority(), expected, "{weight} {reverse} {good}");
        if expected != 100 {
            let line = format!("(VI_1) Changing effective priority from 100 to {expected}");
            assert_eq!(bench.said(), [line]);
        }
    }
}

#[test]
fn an_instances_own_weight_overrules_the_scripts() {
    let tracked = TrackedScript { script: "chk".into(), weight: Some(-30), reverse: Some(false) };
    let declared = ScriptConfig { reverse: true, ..script("chk", 0) };
    let mut bench = tracking(&[declared], vec![tracked]);
    bench.tell(Event::Script { name: "chk", good: false });
    assert_eq!(bench.instance.priority(), 70);
}

#[test]
fn a_reversed_script_without_weight_faults_on_success() {
    let declared = ScriptConfig { reverse: true, ..script("chk", 0) };
    let mut bench = tracking(&[declared], vec![track("chk")]);
    bench.tell(Event::Script { name: "chk", good: false });
    assert_eq!(bench.instance.state(), Backup);
    bench.tell(Event::Script { name: "chk", good: true });
    assert_eq!(bench.instance.state(), Fault);
}

#[test]
fn an_owners_priority_never_moves() {
    let mut config = InstanceConfig { priority: 255, ..config() };
    config.track_scripts = vec![track("chk")];
    let mut instance = Instance::new(config, &[script("chk", -20)]);
    let mut actions = vec![];
    instance.handle(machine::Instant::ZERO, Event::Start, &mut actions);
    let failed = Event::Script { name: "chk", good: false };
    instance.handle(machine::Instant::ZERO, failed, &mut actions);
    assert_eq!(instance.priority(), 255);
}

#[test]
fn interfaces_are_tracked_with_and_without_weight() {
    let interface =
        |weight, reverse| vec![TrackedInterface { interface: "eth1".into(), weight, reverse }];
    let down = |track_interfaces| {
        let bench = Bench::started(InstanceConfig { track_interfaces, ..config() });
        (bench.instance.state(), bench.instance.priority())
    };
    assert_eq!(down(interface(0, false)), (Fault, 100));
    assert_eq!(down(interface(0, true)), (Backup, 100));
    assert_eq!(down(interface(-10, false)), (Backup, 90));
    assert_eq!(down(interface(10, false)), (Backup, 100));
    let mut bench =
        Bench::started(InstanceConfig { track_interfaces: interface(10, false), ..config() });
    assert_eq!(bench.instance.interfaces().collect::<Vec<_>>(), ["eth1", "eth0"]);
    bench.tell(Event::Link { interface: "eth1", up: true });
    assert_eq!(bench.instance.priority(), 110);
    let mut bench =
        Bench::started(InstanceConfig { track_interfaces: interface(0, true), ..config() });
    bench.tell(Event::Link { interface: "eth1", up: true });
    assert_eq!(bench.instance.state(), Fault);
}

#[test]
fn our_own_interface_can_be_left_untracked_and_an_addresss_is_tracked() {
    let mut bench = Bench::started(InstanceConfig { dont_track_primary: true, ..config() });
    bench.tell(Event::Link { interface: "eth0", up: false });
    assert_eq!(bench.instance.state(), Backup);
    let elsewhere = |no_track| VirtualAddress {
        interface: Some("eth1".into()),
        no_track,
        ..VirtualAddress::host(VIP)
    };
    for (no_track, state) in [(false, Fault), (true, Backup)] {
        let addresses = vec![elsewhere(no_track)];
        let bench = Bench::started(InstanceConfig { addresses, ..config() });
        assert_eq!(bench.instance.state(), state);
    }
}

#[test]
fn a_reload_keeps_what_is_known_of_scripts_and_links() {
    let mut bench = tracking(&[script("chk", 0)], vec![track("chk")]);
    bench.tell(Event::Script { name: "chk", good: true });
    let config = bench.instance.config().clone();
    bench.instance.reconfigure(config, &[script("chk", 0)], bench.now, &mut bench.actions);
    assert_eq!(bench.instance.state(), Backup);
}

#[test]
fn what_a_reload_tracks_anew_decides_once_it_is_told() {
    let interface = |weight, reverse| TrackedInterface {
        interface: format!("eth{weight}{reverse}"),
        weight,
        reverse,
    };
    let mut bench = Bench::master(config());
    let mut wanted = config();
    wanted.track_interfaces = vec![interface(0, false), interface(0, true), interface(-5, false)];
    wanted.track_scripts = vec![track("chk")];
    bench.instance.reconfigure(wanted, &[script("chk", 0)], bench.now, &mut bench.actions);
    assert_eq!((bench.instance.state(), bench.instance.priority()), (Master, 100));
    bench.tell(Event::Link { interface: "eth-5false", up: false });
    assert_eq!((bench.instance.state(), bench.instance.priority()), (Master, 95));
    bench.tell(Event::Link { interface: "eth0false", up: true });
    bench.tell(Event::Link { interface: "eth0true", up: false });
    bench.tell(Event::Script { name: "chk", good: true });
    assert_eq!(bench.instance.state(), Master);
    bench.tell(Event::Link { interface: "eth0false", up: false });
    assert_eq!(bench.instance.state(), Fault);
}

fn tracking_files_and_processes(files: &[(i16, bool)], processes: &[(i16, bool)]) -> Bench {
    let (mut config, mut declared) = (config(), Config::default());
    for (n, (weight, reverse)) in files.iter().enumerate() {
        let name = format!("f{n}");
        let file = TrackFileConfig { weight: *weight, reverse: *reverse, ..Default::default() };
        declared.track_files.push(TrackFileConfig { name: name.clone(), ..file });
        config.track_files.push(TrackedFile { file: name, ..TrackedFile::default() });
    }
    for (n, (weight, reverse)) in processes.iter().enumerate() {
        let name = format!("p{n}");
        let process =
            TrackProcessConfig { weight: *weight, reverse: *reverse, ..Default::default() };
        declared.track_processes.push(TrackProcessConfig { name: name.clone(), ..process });
        config.track_processes.push(TrackedProcess { process: name, ..TrackedProcess::default() });
    }
    let mut bench = Bench::new(config.clone());
    bench.instance = Instance::new(config, &declared);
    bench.tell(Event::Link { interface: "eth0", up: true });
    bench.tell(Event::Source(Some(US)));
    bench.tell(Event::Start);
    bench
}

#[test]
fn the_number_in_a_file_times_its_weight_moves_the_priority_or_makes_a_fault() {
    let rows = [
        (1, false, 5, 105, Backup),
        (2, false, -10, 80, Backup),
        (2, true, -10, 120, Backup),
        (-1, false, 30, 70, Backup),
        (1, false, 1_000_000_000_000, 254, Backup),
        (1, false, -253, 1, Backup),
        (1, false, -254, 100, Fault),
        (127, false, -2, 100, Fault),
        (254, false, i64::MIN, 100, Fault),
        (254, true, i64::MIN, 254, Backup),
        (0, false, 0, 100, Backup),
        (0, false, 1, 100, Fault),
        (0, false, -1, 100, Fault),
        (0, true, 0, 100, Fault),
        (0, true, 7, 100, Backup),
    ];
    for (weight, reverse, value, priority, state) in rows {
        let mut bench = tracking_files_and_processes(&[(weight, reverse)], &[]);
        assert_eq!(bench.instance.state(), Backup, "what nobody told of decides nothing");
        bench.tell(Event::File { name: "f0", value });
        let is = (bench.instance.priority(), bench.instance.state());
        assert_eq!(is, (priority, state), "{weight} {reverse} {value}");
    }
    let mut bench = tracking_files_and_processes(&[(0, false)], &[]);
    bench.tell(Event::File { name: "f0", value: 1 });
    let said = ["(VI_1): tracked file f0 now FAULT state", "(VI_1) Entering FAULT STATE"];
    assert_eq!(bench.said(), said);
    bench.tell(Event::File { name: "f0", value: 2 });
    assert_eq!(bench.actions, []);
    bench.tell(Event::File { name: "f0", value: 0 });
    let said = ["(VI_1): tracked file f0 leaving FAULT state", "(VI_1) Entering BACKUP STATE"];
    assert_eq!(bench.said(), said);
}

#[test]
fn processes_count_as_scripts_do() {
    for (weight, reverse, good, priority, state) in [
        (0, false, true, 100, Backup),
        (0, false, false, 100, Fault),
        (0, true, true, 100, Fault),
        (0, true, false, 100, Backup),
        (20, false, true, 120, Backup),
        (-20, false, false, 80, Backup),
        (-20, true, false, 120, Backup),
    ] {
        let mut bench = tracking_files_and_processes(&[], &[(weight, reverse)]);
        bench.tell(Event::Process { name: "p0", good });
        let is = (bench.instance.priority(), bench.instance.state());
        assert_eq!(is, (priority, state), "{weight} {reverse} {good}");
    }
}

#[test]
fn what_is_tracked_tells_what_it_does_to_the_priority() {
    let mut bench = tracking_files_and_processes(&[(2, false)], &[(-20, false), (0, false)]);
    bench.tell(Event::File { name: "f0", value: -10 });
    bench.tell(Event::Process { name: "p0", good: false });
    bench.tell(Event::Process { name: "p1", good: false });
    let views: Vec<_> = (bench.instance.trackers())
        .map(|view| (view.kind.name(), view.name, view.good, view.contribution, view.fault))
        .collect();
    assert_eq!(
        views,
        [
            ("interface", "eth0", Some(true), 0, false),
            ("process", "p0", Some(false), -20, false),
            ("process", "p1", Some(false), 0, true),
            ("file", "f0", Some(true), -20, false),
        ]
    );
    assert_eq!(bench.instance.trackers().last().and_then(|view| view.value), Some(-10));
    assert_eq!(bench.instance.priority(), 60);
}

#[test]
fn a_changed_priority_is_told() {
    let mut bench = tracking_files_and_processes(&[(1, false)], &[]);
    bench.tell(Event::File { name: "f0", value: 5 });
    assert_eq!(bench.done(), [Action::PriorityChanged { priority: 105 }]);
    bench.tell(Event::File { name: "f0", value: 5 });
    assert_eq!(bench.done(), []);
}

#[test]
fn without_peers_it_is_out_of_the_race_if_it_may_not_speak_to_a_group() {
    let bench = Bench::started(InstanceConfig { unicast_fault_no_peer: true, ..config() });
    assert_eq!(bench.instance.state(), Fault);
    let line = "(VI_1) Cannot use unicast without any peers - going to fault state";
    assert_eq!(bench.said()[0], line);
}

#[test]
fn an_interface_with_a_virtual_mac_that_is_down_is_a_fault() {
    let vmac = |dont_track_primary| {
        let vmac = VmacConfig {
            kind: VmacKind::Macvlan(None),
            name: Some("vrrp.51".into()),
            xmit_base: true,
            group: None,
            netlink_notify: false,
        };
        let mut bench =
            Bench::started(InstanceConfig { vmac: Some(vmac), dont_track_primary, ..config() });
        bench.tell(Event::Link { interface: "vrrp.51", up: true });
        bench.tell(Event::Link { interface: "vrrp.51", up: false });
        bench.instance.state()
    };
    assert_eq!(vmac(false), Fault);
    assert_eq!(vmac(true), Backup);
}
