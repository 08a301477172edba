//! A process that follows one that died.

use crate::common::*;
use vrrp::State::{Backup, Fault, Init, Master};
use vrrp::config::{InstanceConfig, LeasePolicy, ScriptConfig, TrackedScript, VirtualAddress};
use vrrp::{Action, Event, Instance};

fn resumed(config: InstanceConfig, silent: std::time::Duration) -> Bench {
    let mut bench = Bench::new(config);
    bench.tell(Event::Resume { silent });
    bench
}

#[test]
fn a_master_goes_on_where_another_process_left_off() {
    let mut bench = resumed(config(), ms(2_875));
    assert_eq!(bench.instance.state(), Master);
    assert_eq!(bench.done(), [send(100), add()], "nothing is removed, and no state is entered");
    assert_eq!(
        bench.said(),
        ["(VI_1) still MASTER after this process was restarted, silent for 2.875 sec at most"]
    );
    assert_eq!(bench.wait(), secs(1));
    bench.tell(Event::Resume { silent: ms(0) });
    assert_eq!(bench.actions, [], "once is enough");
    bench.expire();
    assert_eq!(bench.done(), [send(100), renew()]);
    assert_eq!(bench.instance.counters().became_master, 0, "that is counted already");
    let lasting = InstanceConfig { lease: LeasePolicy::Off, ..config() };
    let bench = resumed(lasting, ms(0));
    let addresses = vec![VirtualAddress::host(VIP)];
    assert_eq!(bench.done()[1], Action::AddAddresses { addresses, lifetime: None });
}

#[test]
fn a_resumed_master_yields_to_a_better_one_as_any_does() {
    let mut bench = resumed(config(), ms(10));
    bench.hear(LOW, 200);
    assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
}

#[test]
fn after_too_long_a_silence_it_listens_first() {
    for (config, silent) in
        [(config(), ms(2_876)), (InstanceConfig { down_timer_adverts: 1, ..config() }, ms(1_501))]
    {
        let bench = resumed(config, silent);
        assert_eq!(bench.instance.state(), Backup);
        assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
        assert_eq!(bench.said().last().unwrap(), "(VI_1) Entering BACKUP STATE (init)");
    }
}

#[test]
fn a_master_that_cannot_go_on_resigns_at_once() {
    let mut bench = Bench::new(config());
    bench.tell(Event::Link { interface: "eth0", up: false });
    bench.tell(Event::Resume { silent: ms(10) });
    assert_eq!(bench.instance.state(), Fault);
    assert_eq!(bench.done()[2..], [remove(), send(0), Action::Entered(Fault)]);
}

#[test]
fn a_script_that_has_yet_to_be_run_again_keeps_no_master_from_going_on() {
    let tracked = TrackedScript { script: "chk".into(), ..TrackedScript::default() };
    let config = InstanceConfig { track_scripts: vec![tracked], ..config() };
    let script = ScriptConfig { name: "chk".into(), ..ScriptConfig::default() };
    let mut bench = Bench::new(config.clone());
    bench.instance = Instance::new(config, &[script]);
    bench.tell(Event::Link { interface: "eth0", up: true });
    bench.tell(Event::Source(Some(US)));
    bench.tell(Event::Resume { silent: ms(10) });
    assert_eq!(bench.instance.state(), Master);
    bench.tell(Event::Script { name: "chk", good: false });
    assert_eq!(bench.instance.state(), Fault);
}

#[test]
fn who_yields_before_it_has_the_addresses_was_master_all_the_same() {
    let mut bench = Bench::started(config());
    bench.expire();
    assert_eq!(bench.done(), [send(100)]);
    bench.hear(HIGH, 100);
    assert_eq!(bench.done(), [Action::Entered(Master), Action::Entered(Backup)]);
    let mut bench = Bench::started(config());
    bench.expire();
    bench.tell(Event::Shutdown);
    assert_eq!(bench.done(), [send(0), Action::Entered(Master), Action::Entered(Init)]);
}
