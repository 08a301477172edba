//! What keepalived does beyond the RFC, and what only we do.

mod common;

use std::time::Duration;

use common::*;
use machine::Machine;
use vrrp::State::{Backup, Fault, Init, Master};
use vrrp::config::{
    Auth, GarpConfig, InstanceConfig, LeasePolicy, ScriptConfig, TrackedInterface, TrackedScript,
    Version, VirtualAddress,
};
use vrrp::{Action, Event, Instance};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn announcements(actions: &[Action]) -> usize {
    actions.iter().filter(|action| **action == announce()).count()
}

#[test]
fn addresses_are_announced_five_times_at_once_and_again_after_five_seconds() {
    let mut bench = Bench::master(config());
    assert_eq!(announcements(&bench.actions), 5);
    let mut at = vec![];
    let start = bench.now;
    while bench.now < start + secs(20) {
        bench.expire();
        if announcements(&bench.actions) > 0 {
            at.push((bench.now - start, announcements(&bench.actions)));
        }
    }
    assert_eq!(at, [(secs(5), 5)]);
}

#[test]
fn announcements_of_several_addresses_are_interleaved() {
    let other = VirtualAddress {
        interface: Some("eth1".into()),
        ..VirtualAddress::host("192.0.2.101".parse().unwrap())
    };
    let garp = GarpConfig { master_repeat: 2, ..GarpConfig::default() };
    let mut bench = Bench::new(InstanceConfig { excluded: vec![other], garp, ..config() });
    bench.tell(Event::Link { interface: "eth1", up: true });
    bench.tell(Event::Start);
    bench.expire();
    bench.take_addresses();
    let lines: Vec<String> = bench.said().into_iter().filter(|l| l.contains("Sending")).collect();
    assert_eq!(
        lines,
        [
            "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100",
            "Sending gratuitous ARP on eth0 for 192.0.2.100",
            "(VI_1) Sending/queueing gratuitous ARPs on eth1 for 192.0.2.101",
            "Sending gratuitous ARP on eth1 for 192.0.2.101",
            "Sending gratuitous ARP on eth0 for 192.0.2.100",
            "Sending gratuitous ARP on eth1 for 192.0.2.101",
        ]
    );
}

#[test]
fn announcements_are_repeated_and_spaced_as_configured() {
    let garp = GarpConfig {
        master_delay: Duration::ZERO,
        master_repeat: 3,
        refresh: secs(10),
        refresh_repeat: 2,
        interval: ms(100),
        ..GarpConfig::default()
    };
    let mut bench = Bench::master(InstanceConfig { garp, ..config() });
    let start = bench.now;
    let mut at = vec![(Duration::ZERO, announcements(&bench.actions))];
    while bench.now < start + secs(21) {
        bench.expire();
        if announcements(&bench.actions) > 0 {
            at.push((bench.now - start, announcements(&bench.actions)));
        }
    }
    let moments: Vec<u64> =
        at.iter().map(|(at, _)| u64::try_from(at.as_millis()).unwrap()).collect();
    assert_eq!(moments, [0, 100, 200, 10_000, 10_100, 20_000, 20_100]);
    assert!(at.iter().all(|(_, count)| *count == 1));
}

#[test]
fn a_lower_advert_is_answered_by_announcements_now_and_five_seconds_later() {
    let mut bench = Bench::master(config());
    bench.pass(secs(1));
    for _ in 0..6 {
        bench.expire();
    }
    bench.hear(LOW, 50);
    let line = "(VI_1) Received advert from 192.0.2.1 with lower priority 50, ours 100, forcing new \
                election";
    assert_eq!(bench.said()[0], line);
    assert_eq!(announcements(&bench.actions), 5);
    let heard = bench.now;
    let mut again = vec![];
    while bench.now < heard + secs(12) {
        bench.expire();
        if announcements(&bench.actions) > 0 {
            again.push((bench.now - heard, announcements(&bench.actions)));
        }
    }
    assert_eq!(again, [(secs(5), 5)]);

    let master_delay = Duration::ZERO;
    let garp = GarpConfig { lower_prio_repeat: 0, master_delay, ..GarpConfig::default() };
    let quiet = InstanceConfig { lower_prio_no_advert: true, garp, ..config() };
    let mut bench = Bench::master(quiet);
    bench.hear(LOW, 50);
    assert_eq!(bench.done(), []);
    assert_eq!(
        bench.said(),
        ["(VI_1) Received advert from 192.0.2.1 with lower priority 50, ours 100"]
    );
    for _ in 0..12 {
        bench.expire();
        assert_eq!(bench.done(), [send(100), renew()], "nothing else is ever due");
    }
}

#[test]
fn one_last_advert_precedes_giving_way_where_configured() {
    let mut bench = Bench::master(InstanceConfig { higher_prio_send_advert: true, ..config() });
    bench.hear(LOW, 200);
    assert_eq!(bench.done(), [send(100), remove(), Action::Entered(Backup)]);
    assert_eq!(bench.instance.master(), Some(LOW));
}

#[test]
fn the_addresses_are_gone_before_priority_0_is_sent() {
    let mut bench = Bench::master(config());
    bench.tell(Event::Link { interface: "eth0", up: false });
    assert_eq!(bench.done(), [remove(), send(0), Action::Entered(Fault)]);
    let said = ["(VI_1) Entering FAULT STATE", "(VI_1) sent 0 priority", "(VI_1) removing VIPs."];
    assert_eq!(bench.said(), said);
    assert_eq!(bench.wait(), Duration::ZERO);
    bench.tell(Event::Link { interface: "eth0", up: true });
    assert_eq!(bench.done(), [Action::Entered(Backup)]);
    assert_eq!(bench.said(), ["(VI_1) Entering BACKUP STATE"]);
    assert_eq!(bench.wait(), micros(3_609_375));
}

#[test]
fn an_owner_leaves_a_fault_after_one_advert_and_its_skew() {
    let owner =
        InstanceConfig { priority: 255, initial: vrrp::config::Initial::Master, ..config() };
    let mut bench = Bench::master(owner);
    bench.tell(Event::Link { interface: "eth0", up: false });
    bench.tell(Event::Link { interface: "eth0", up: true });
    assert_eq!(bench.instance.state(), Backup);
    assert_eq!(bench.wait(), secs(1) + secs(1) / 256);
}

#[test]
fn losing_the_source_address_is_a_fault_whose_last_advert_still_has_it() {
    let mut bench = Bench::master(config());
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Fault);
    let mut packet = vec![];
    assert!(bench.instance.packet(0, GROUP, &mut packet));
    assert_eq!(packet[12..16], [192, 0, 2, 5]);

    let source = Some(HIGH);
    let mut bench = Bench::started(InstanceConfig { source, ..config() });
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Backup, "a configured source is not tracked");
    let mut bench = Bench::started(InstanceConfig { source, track_source: true, ..config() });
    bench.tell(Event::Source(None));
    assert_eq!(bench.instance.state(), Fault, "but on demand");
}

#[test]
fn what_is_wrong_at_the_start_is_said_there() {
    let mut bench = Bench::new(config());
    bench.tell(Event::Link { interface: "eth0", up: false });
    bench.tell(Event::Start);
    let said = [
        "(VI_1): entering FAULT state (interface eth0 down)",
        "(VI_1) entering FAULT state",
        "(VI_1) removing VIPs.",
    ];
    assert_eq!(bench.said(), said);
    assert_eq!(bench.done(), [remove(), Action::Entered(Fault)]);
    let mut bench = Bench::new(config());
    bench.tell(Event::Source(None));
    bench.tell(Event::Start);
    assert_eq!(bench.said()[0], "(VI_1) entering FAULT state (no IPv4 address for interface)");
    bench.tell(Event::Start);
    assert_eq!(bench.actions, [], "a second start is none");
}

#[test]
fn a_priority_of_0_that_is_heard_is_counted_and_said() {
    let mut bench = Bench::started(config());
    bench.hear(LOW, 0);
    assert_eq!(bench.said(), ["(VI_1) Backup received priority 0 advertisement"]);
    let mut bench = Bench::master(config());
    bench.hear(LOW, 0);
    assert_eq!(bench.said(), ["(VI_1) Master received priority 0 message"]);
    let counters = bench.instance.counters();
    assert_eq!((counters.zero_received, counters.adverts_received), (1, 1));
    assert_eq!((counters.adverts_sent, counters.became_master), (2, 1));
    bench.tell(Event::Shutdown);
    let counters = bench.instance.counters();
    assert_eq!((counters.zero_sent, counters.adverts_sent, counters.released_master), (1, 3, 1));
}

#[test]
fn a_lower_master_is_let_be_for_the_preempt_delay() {
    let mut bench = Bench::started(InstanceConfig { preempt_delay: secs(3), ..config() });
    bench.pass(ms(500));
    let first = bench.now;
    bench.hear(LOW, 50);
    assert_eq!(
        bench.said(),
        ["(VI_1) master set to 192.0.2.1", "(VI_1) start preempt delay (3.000000)"]
    );
    let mut taken = None;
    for _ in 0..10 {
        bench.pass(secs(1));
        bench.hear(LOW, 50);
        if bench.instance.state() == Master && taken.is_none() {
            taken = Some(bench.now - first);
        }
    }
    assert_eq!(taken, Some(secs(5)), "keepalived takes 6");
    let mut bench = Bench::started(InstanceConfig { preempt_delay: secs(3), ..config() });
    bench.hear(LOW, 50);
    bench.hear(HIGH, 200);
    assert_eq!(
        bench.said(),
        ["(VI_1) master changed from 192.0.2.1 to 192.0.2.9", "(VI_1) stop preempt delay"]
    );
}

/// The lower master is alive when it is taken over from, and has let go when the addresses come.
#[test]
fn a_live_master_is_taken_over_from_right_after_its_advert() {
    let mut bench = Bench::started(config());
    bench.pass(ms(300));
    for _ in 0..2 {
        bench.hear(LOW, 50);
        let line = "(VI_1) received lower priority (50) advert from 192.0.2.1 - discarding";
        assert_eq!(bench.said().last().unwrap(), line);
        bench.pass(secs(1));
    }
    assert_eq!(bench.instance.state(), Backup);
    bench.hear(LOW, 50);
    assert_eq!(bench.instance.state(), Backup, "the next is due at 3.3 s, before the timer");
    bench.pass(secs(1));
    bench.hear(LOW, 50);
    assert_eq!(bench.done(), [send(100)]);
    assert_eq!(bench.instance.state(), Master);
    assert_eq!(bench.wait(), ms(20));
    bench.hear(LOW, 50);
    assert_eq!(bench.done(), [send(100)], "still without addresses: nothing to announce");
    bench.expire();
    assert_eq!(bench.done()[0], add());
    assert_eq!(bench.done().last(), Some(&Action::Entered(Master)));
}

#[test]
fn a_better_master_that_speaks_up_during_the_handover_wins() {
    let mut bench = Bench::started(config());
    bench.pass(ms(3_000));
    bench.hear(LOW, 50);
    assert_eq!(bench.instance.state(), Master);
    bench.hear(HIGH, 200);
    assert_eq!(bench.done(), [Action::Entered(Backup)], "there was nothing to remove");
}

/// Their timers ran out together: each has sent its advert before it hears the other's.
#[test]
fn of_two_equals_the_lower_address_yields_before_it_has_taken_anything() {
    let mut bench = Bench::started(config());
    bench.expire();
    assert_eq!(bench.done(), [send(100)]);
    bench.pass(ms(4));
    bench.hear(HIGH, 100);
    assert_eq!(bench.done(), [Action::Entered(Backup)]);
    assert_eq!(bench.wait(), micros(3_609_375));

    let mut bench = Bench::started(config());
    bench.expire();
    bench.pass(ms(4));
    bench.hear(LOW, 100);
    assert_eq!(bench.done(), [send(100)]);
    bench.expire();
    assert_eq!(bench.done()[0], add(), "the other has let go");
}

#[test]
fn a_quarter_of_a_short_interval_is_the_longest_wait_for_addresses() {
    let short = InstanceConfig { version: Version::V3, advert_interval: ms(10), ..config() };
    let mut bench = Bench::started(short);
    bench.expire();
    assert_eq!((bench.instance.state(), bench.wait()), (Master, micros(2_500)));
}

#[test]
fn a_new_master_woken_late_reads_what_waits_before_it_takes_the_addresses() {
    let mut bench = Bench::started(config());
    bench.expire();
    bench.pass(ms(5) + ms(3));
    assert_eq!(bench.done(), [send(100)], "those who listen know again");
    assert_eq!(bench.wait(), ms(10));
    let mut outdone = Bench { instance: bench.instance.clone(), now: bench.now, actions: vec![] };
    outdone.hear(HIGH, 100);
    assert_eq!(outdone.done(), [Action::Entered(Backup)]);
    bench.pass(ms(100));
    assert_eq!(bench.done()[0], add(), "it is not put off again and again");
    let mut bench = Bench::started(config());
    bench.expire();
    bench.pass(ms(5) + ms(2));
    assert_eq!(bench.done()[0], add(), "a little late is not late");
}

#[test]
fn a_lower_master_that_fell_silent_is_given_its_whole_down_time() {
    let mut bench = Bench::started(config());
    bench.pass(ms(2_400));
    bench.hear(LOW, 50);
    let heard = bench.now;
    // Its next advert would come before our timer, but does not.
    bench.expire();
    assert_eq!(bench.instance.state(), Backup);
    let mut eager = Bench { instance: bench.instance.clone(), now: bench.now, actions: vec![] };
    eager.pass(ms(100));
    eager.hear(LOW, 50);
    assert_eq!(eager.instance.state(), Master, "late, but alive");
    assert_eq!(eager.wait(), ms(20));
    bench.expire();
    assert_eq!(bench.now - heard, micros(3_609_375));
    assert_eq!(bench.done(), [send(100)], "dead, and its lease is over");
    assert_eq!(bench.wait(), ms(5));
    bench.take_addresses();
    assert_eq!(bench.done()[0], add());
}

#[test]
fn a_backup_woken_late_reads_what_waits_before_it_takes_over() {
    let mut bench = Bench::started(config());
    bench.pass(micros(3_609_375) + ms(6));
    assert_eq!(bench.done(), []);
    assert_eq!(bench.wait(), ms(10));
    bench.hear(LOW, 200);
    assert_eq!(bench.wait(), micros(3_609_375), "the master was there all the time");
    let mut bench = Bench::started(config());
    bench.pass(micros(3_609_375) + ms(6));
    bench.pass(ms(100));
    assert_eq!(bench.instance.state(), Master, "it is not put off again and again");
    let mut bench = Bench::started(config());
    bench.pass(micros(3_609_375) + ms(5));
    assert_eq!(bench.instance.state(), Master, "a little late is not late");
}

#[test]
fn a_backup_that_overslept_listens_anew() {
    let mut bench = Bench::started(config());
    bench.pass(secs(10));
    assert_eq!(bench.said(), ["A thread timer expired 6.390625 seconds ago"]);
    assert_eq!(bench.done(), []);
    assert_eq!(bench.wait(), micros(3_609_375));
}

#[test]
fn a_master_that_overslept_neither_advertises_nor_renews_nor_resigns() {
    type Told = fn(&mut Bench);
    let told: [Told; 4] = [
        |bench| bench.tell(Event::Tick),
        |bench| bench.hear(LOW, 50),
        |bench| bench.tell(Event::AddressLost(VIP)),
        |bench| bench.tell(Event::Link { interface: "eth1", up: true }),
    ];
    for tell in told {
        let mut bench = Bench::settled(config());
        bench.now += ms(2_876);
        tell(&mut bench);
        assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
        assert_eq!(bench.wait(), micros(3_609_375));
        let said = bench.said();
        assert_eq!(said[0], "A thread timer expired 1.876000 seconds ago");
        assert!(said[1].starts_with("(VI_1) silent for 2.876 sec - leaving MASTER"), "{}", said[1]);
        assert_eq!(said[2..4], ["(VI_1) Entering BACKUP STATE", "(VI_1) removing VIPs."]);
    }
    let mut bench = Bench::settled(config());
    bench.now += secs(10);
    bench.tell(Event::Shutdown);
    assert!(!bench.done().contains(&send(0)), "it is another's turn already");
    let mut bench = Bench::settled(config());
    bench.pass(ms(2_875));
    assert_eq!(bench.done()[..2], [send(100), renew()], "late, but nobody took over yet");
}

#[test]
fn a_master_that_misses_no_advert_is_never_taken_to_oversleep() {
    let mut bench = Bench::master(InstanceConfig { down_timer_adverts: 1, ..config() });
    for _ in 0..20 {
        bench.expire();
        assert_eq!(bench.instance.state(), Master);
    }
}

#[test]
fn the_lease_is_renewed_with_every_advert() {
    let mut bench = Bench::master(config());
    for _ in 0..3 {
        bench.expire();
        assert_eq!(bench.done(), [send(100), renew()]);
    }
    let off = InstanceConfig { lease: LeasePolicy::Off, ..config() };
    let mut bench = Bench::master(off);
    let addresses = vec![VirtualAddress::host(VIP)];
    assert!(bench.done().contains(&Action::AddAddresses { addresses, lifetime: None }));
    bench.expire();
    assert_eq!(bench.done(), [send(100)]);
}

#[test]
fn a_short_lease_is_renewed_between_adverts_but_never_too_late() {
    let mut bench = Bench::settled(InstanceConfig { down_timer_adverts: 2, ..config() });
    let start = bench.now;
    let renewed = Action::RenewLease { lifetime: secs(1) };
    let mut at = vec![];
    while bench.now < start + secs(2) {
        bench.expire();
        if bench.done().contains(&renewed) {
            at.push((bench.now - start).as_millis());
        }
    }
    assert_eq!(at, [275, 550, 1_000, 1_275, 1_550, 2_000]);
    // The renewal at 275 ms comes at 701 ms: it would outlast a backup's patience.
    bench.pass(ms(701));
    assert_eq!(bench.done(), []);
    assert_eq!(bench.wait(), ms(299));
    bench.expire();
    assert_eq!(bench.done(), [send(100), renewed]);
}

#[test]
fn an_interval_without_room_for_a_lease_is_said_once_at_the_start() {
    let short = InstanceConfig { version: Version::V3, advert_interval: ms(100), ..config() };
    let mut bench = Bench::started(short.clone());
    let line = "(VI_1) advert_int 0.1 sec is too short for an address lease - the addresses will \
                stay if this process dies";
    assert_eq!(bench.said().iter().filter(|said| *said == line).count(), 1);
    bench.expire();
    assert!(!bench.said().contains(&line.to_owned()));
    bench.take_addresses();
    let addresses = vec![VirtualAddress::host(VIP)];
    assert!(bench.done().contains(&Action::AddAddresses { addresses, lifetime: None }));
    assert!(!bench.said().contains(&line.to_owned()));
    let off = InstanceConfig { lease: LeasePolicy::Off, ..short };
    assert!(!Bench::started(off).said().contains(&line.to_owned()));
}

#[test]
fn an_address_somebody_removes_costs_the_role() {
    let mut bench = Bench::master(config());
    bench.pass(ms(500));
    bench.tell(Event::AddressLost(HIGH));
    assert_eq!(bench.actions, [], "not one of ours");
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(
        bench.said(),
        [
            "Netlink reflector reports IP 192.0.2.100 removed from eth0",
            "(VI_1) Entering BACKUP STATE",
            "(VI_1) sent 0 priority",
            "(VI_1) removing VIPs.",
        ]
    );
    assert_eq!(bench.done(), [remove(), send(0), Action::Entered(Backup)]);
    assert_eq!(bench.wait(), micros(609_375));
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.actions, [], "a backup has none to lose");
}

#[test]
fn an_address_whose_lease_ran_out_while_we_were_late_is_put_back() {
    let mut bench = Bench::master(config());
    bench.now += ms(2_100);
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.done()[..2], [send(100), renew()]);
    assert_eq!(bench.instance.state(), Master);
    bench.pass(ms(100));
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.done(), [renew()], "the kernel's word of it came after the renewal");
    bench.pass(ms(500));
    bench.tell(Event::AddressLost(VIP));
    assert_eq!(bench.instance.state(), Backup, "that was somebody else");
}

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
fn other_addresses_in_an_advert_are_said_once_and_accepted() {
    let mut theirs = config();
    theirs.addresses = vec![VirtualAddress::host(HIGH)];
    let payload = common::advert(&theirs, LOW, 200, secs(1));
    let datagram = vrrp::Datagram { source: LOW, destination: GROUP, ttl: 255, payload: &payload };
    let mut bench = Bench::started(config());
    bench.tell(Event::Received(datagram));
    let line =
        "(VI_1) ip address associated with VRID 51 not present in MASTER advert: 192.0.2.100";
    assert_eq!(bench.said(), [line, "(VI_1) master set to 192.0.2.1"]);
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [""; 0]);
    assert_eq!(bench.instance.counters().address_mismatches, 2);

    theirs.addresses.push(VirtualAddress::host(VIP));
    let payload = common::advert(&theirs, LOW, 200, secs(1));
    let datagram = vrrp::Datagram { payload: &payload, ..datagram };
    let skip = InstanceConfig { skip_check_adv_addr: true, ..config() };
    let mut bench = Bench::started(skip);
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said()[0], "(VI_1) received an unexpected ip number count 2, expected 1!");
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.instance.counters().address_mismatches, 1, "the same master is trusted");
}

#[test]
fn a_rejected_packet_is_counted_always_and_said_once_per_state() {
    let mut bench = Bench::started(config());
    let payload = common::advert(&config(), LOW, 200, secs(1));
    let datagram = vrrp::Datagram { source: LOW, destination: GROUP, ttl: 64, payload: &payload };
    let line = "(VI_1) invalid TTL/HL. Received 64 and expect 255";
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [line]);
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [""; 0]);
    bench.expire();
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [line], "the state changed");
    assert_eq!(bench.instance.counters().rejected_in_all(), 3);
    assert_eq!(bench.instance.counters().adverts_received, 0);
}

#[test]
fn another_interval_in_version_3_is_said_by_a_master() {
    let mut bench = Bench::master(InstanceConfig { version: Version::V3, ..config() });
    for expected in [2, 1] {
        bench.hear_every(LOW, 50, secs(2));
        assert_eq!(bench.said().iter().filter(|l| !l.contains("Sending")).count(), expected);
    }
}

#[test]
fn a_reload_keeps_a_master_and_touches_only_what_differs() {
    let mut bench = Bench::master(config());
    let mut wanted = config();
    let new = VirtualAddress::host(HIGH);
    wanted.addresses = vec![new.clone()];
    wanted.priority = 120;
    bench.actions.clear();
    bench.instance.reconfigure(wanted.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(
        bench.done()[..4],
        [
            remove(),
            send(120),
            renew(),
            Action::AddAddresses { addresses: vec![new], lifetime: Some(secs(2)) },
        ]
    );
    let announced = Action::Announce { address: HIGH, interface: "eth0".into() };
    assert_eq!(bench.done()[4..], vec![announced; 5]);
    assert_eq!(bench.said()[0], "(VI_1) ip address 192.0.2.100/32 dev eth0, no longer exist");
    assert_eq!(bench.said()[1], "(VI_1) setting VIPs.");
    assert_eq!(bench.instance.state(), Master);
    bench.actions.clear();
    bench.instance.reconfigure(wanted.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.done(), [send(120), renew()]);

    // Without a lease any more, the addresses must not run out.
    let off = InstanceConfig { lease: LeasePolicy::Off, ..wanted.clone() };
    bench.actions.clear();
    bench.instance.reconfigure(off.clone(), &[], bench.now, &mut bench.actions);
    let addresses = off.addresses.clone();
    assert_eq!(bench.done(), [send(120), Action::AddAddresses { addresses, lifetime: None }]);
    // And with one again, they are given it.
    bench.actions.clear();
    bench.instance.reconfigure(wanted, &[], bench.now, &mut bench.actions);
    assert_eq!(bench.done(), [send(120), renew()]);
}

#[test]
fn a_reload_lets_a_backup_wait_no_longer_than_anew() {
    let mut bench = Bench::started(InstanceConfig { advert_interval: secs(10), ..config() });
    bench.instance.reconfigure(config(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.wait(), micros(3_609_375));
    bench.pass(secs(1));
    bench.instance.reconfigure(config(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.wait(), micros(2_609_375), "what was waited counts");
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

#[test]
fn packets_are_written_as_configured() {
    let config = InstanceConfig {
        auth: Some(Auth::pass("1234567890")),
        unicast_peers: vec![LOW],
        unicast_ttl: Some(7),
        ..config()
    };
    let mut bench = Bench::started(config);
    let mut out = vec![];
    assert!(bench.instance.packet(100, LOW, &mut out));
    let packet = wire::ipv4::Packet::parse(&out).unwrap();
    assert_eq!((packet.header.ttl, packet.header.id), (7, 1));
    let message = wire::vrrp::Message::parse(packet.payload).unwrap();
    assert_eq!((message.auth_kind, &message.auth), (1, b"12345678"));
    let mut out = vec![];
    assert!(bench.instance.packet(100, GROUP, &mut out));
    let packet = wire::ipv4::Packet::parse(&out).unwrap();
    assert_eq!((packet.header.ttl, packet.header.id), (255, 2));
    let v6 = std::net::Ipv6Addr::LOCALHOST.into();
    assert!(!bench.instance.packet(100, v6, &mut out), "another family");
    let mut unsourced = Instance::new(common::config(), &[]);
    assert!(!unsourced.packet(100, GROUP, &mut out));
}

/// What keepalived logged in two runs with `-D`: master until its link went down; backup until
/// the master was gone, and taken over from later.
#[test]
fn whole_runs_are_logged_as_keepalived_logs_them() {
    let mut said = vec![];
    let mut bench = Bench::new(InstanceConfig { priority: 150, ..config() });
    bench.tell(Event::Start);
    said.extend(bench.said());
    while bench.now < machine::Instant::ZERO + secs(9) {
        bench.expire();
        said.extend(bench.said());
    }
    bench.tell(Event::Link { interface: "eth0", up: false });
    said.extend(bench.said());
    let block = [
        "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
    ];
    let mut expected = vec![
        "(VI_1) removing VIPs.",
        "(VI_1) Entering BACKUP STATE (init)",
        "(VI_1) Receive advertisement timeout",
        "(VI_1) Entering MASTER STATE",
        "(VI_1) setting VIPs.",
    ];
    expected.extend(block);
    expected.extend(block);
    expected.extend([
        "(VI_1) Entering FAULT STATE",
        "(VI_1) sent 0 priority",
        "(VI_1) removing VIPs.",
    ]);
    assert_eq!(said, expected);

    let mut bench = Bench::started(config());
    bench.hear(LOW, 150);
    let mut said = bench.said();
    bench.expire();
    said.extend(bench.said());
    bench.take_addresses();
    said.extend(bench.said().into_iter().filter(|line| !line.contains("gratuitous")));
    bench.hear(LOW, 150);
    said.extend(bench.said());
    assert_eq!(
        said,
        [
            "(VI_1) master set to 192.0.2.1",
            "(VI_1) Receive advertisement timeout",
            "(VI_1) Entering MASTER STATE",
            "(VI_1) setting VIPs.",
            "(VI_1) Master received advert from 192.0.2.1 with higher priority 150, ours 100",
            "(VI_1) Entering BACKUP STATE",
            "(VI_1) removing VIPs.",
            "(VI_1) master set to 192.0.2.1",
        ]
    );
}
