//! Instances of a sync group, each on a link of its own, and the group that moves them.

use crate::common::*;
use machine::Machine as _;
use std::net::IpAddr;
use vrrp::State::{Backup, Fault, Init, Master};
use vrrp::config::{Initial, InstanceConfig, ScriptConfig, TrackedScript};
use vrrp::{Action, Datagram, Event, Group, Instance, Order, State};

/// The members, the time, and everything that was done since last asked.
struct Crew {
    group: Group,
    members: Vec<Instance>,
    now: machine::Instant,
    done: Vec<(usize, Action)>,
    entered: Vec<State>,
    said: Vec<String>,
}

impl Crew {
    fn new(configs: Vec<InstanceConfig>) -> Self {
        let member = |config: InstanceConfig| {
            let script = ScriptConfig { name: "chk".into(), ..ScriptConfig::default() };
            let mut instance = Instance::new(config, &[script]);
            instance.set_grouped(true);
            instance
        };
        let mut crew = Self {
            group: Group::new("G"),
            members: configs.into_iter().map(member).collect(),
            now: machine::Instant::ZERO,
            done: vec![],
            entered: vec![],
            said: vec![],
        };
        for i in 0..crew.members.len() {
            crew.tell(i, Event::Link { interface: "eth0", up: true });
            crew.tell(i, Event::Source(Some(US)));
        }
        crew
    }

    fn started(configs: Vec<InstanceConfig>) -> Self {
        let mut crew = Self::new(configs);
        for i in 0..crew.members.len() {
            crew.tell(i, Event::Start);
        }
        crew
    }

    /// Two of them, as masters for want of others.
    fn masters() -> Self {
        let mut crew = Self::started(two());
        crew.pass(secs(5));
        assert_eq!(crew.states(), [Master, Master]);
        crew.forget();
        crew
    }

    fn tell(&mut self, i: usize, event: Event<'_>) {
        let mut actions = vec![];
        self.members[i].handle(self.now, event, &mut actions);
        self.note(i, actions);
        loop {
            let standings: Vec<_> = self.members.iter().map(Instance::standing).collect();
            let orders = self.group.look(i, &standings);
            if orders.is_empty() {
                return;
            }
            for order in orders {
                match order {
                    Order::Tell(member, sync) => {
                        let mut actions = vec![];
                        self.members[member].handle(self.now, Event::Group(sync), &mut actions);
                        self.note(member, actions);
                    }
                    Order::Entered(state) => self.entered.push(state),
                    Order::Log(line) => self.said.push(line.to_string()),
                }
            }
        }
    }

    fn note(&mut self, i: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Log(line) => self.said.push(line.to_string()),
                action => self.done.push((i, action)),
            }
        }
    }

    fn pass(&mut self, time: std::time::Duration) {
        let end = self.now + time;
        loop {
            let due =
                (0..self.members.len()).filter_map(|i| Some((self.members[i].deadline()?, i)));
            let Some((due, i)) = due.min().filter(|(due, _)| *due <= end) else { break };
            self.now = due;
            self.tell(i, Event::Tick);
        }
        self.now = end;
    }

    fn hear(&mut self, i: usize, from: IpAddr, priority: u8) {
        let config = self.members[i].config().clone();
        let payload = advert(&config, from, priority, config.advert_interval);
        let datagram = Datagram::new(from, GROUP, 255, &payload);
        self.tell(i, Event::Received(datagram));
    }

    fn states(&self) -> Vec<State> {
        self.members.iter().map(Instance::state).collect()
    }

    fn forget(&mut self) {
        self.done.clear();
        self.entered.clear();
        self.said.clear();
    }

    /// Who entered what, and who sent which priority.
    fn moves(&self) -> Vec<(usize, Action)> {
        let moves = |(_, action): &&(usize, Action)| {
            matches!(action, Action::Entered(_) | Action::SendAdvert { .. })
        };
        self.done.iter().filter(moves).cloned().collect()
    }
}

fn two() -> Vec<InstanceConfig> {
    let member = |name: &str, priority| InstanceConfig { name: name.into(), priority, ..config() };
    vec![member("VI_1", 100), member("VI_2", 90)]
}

#[test]
fn all_become_master_when_the_last_of_them_could() {
    let mut crew = Crew::started(two());
    assert_eq!((crew.states(), &*crew.entered), (vec![Backup, Backup], &[Backup][..]));
    crew.forget();
    crew.pass(micros(3_609_375));
    assert_eq!(crew.states(), [Backup, Backup], "the first waits for the second");
    assert_eq!(crew.said, ["(VI_1) Receive advertisement timeout"]);
    crew.pass(micros(3_648_438) - micros(3_609_375));
    assert_eq!(crew.states(), [Master, Master]);
    let said = [
        "(VI_2) Receive advertisement timeout",
        "(VI_2) Entering MASTER STATE",
        "VRRP_Group(G) Syncing instances to MASTER state",
        "(VI_1) Entering MASTER STATE",
    ];
    assert_eq!(crew.said[1..], said);
    assert_eq!(crew.entered, [], "not before all have their addresses");
    crew.pass(ms(20));
    assert_eq!(crew.entered, [Master]);
    assert_eq!(crew.group.state(), Master);
}

#[test]
fn nobody_becomes_master_while_one_hears_a_better_one() {
    let mut crew = Crew::started(two());
    for _ in 0..10 {
        crew.hear(1, HIGH, 200);
        crew.pass(secs(1));
    }
    assert_eq!(crew.states(), [Backup, Backup]);
    crew.pass(secs(4));
    assert_eq!(crew.states(), [Master, Master]);
}

#[test]
fn a_member_that_gives_way_takes_the_others_along_without_priority_0() {
    let mut crew = Crew::masters();
    crew.hear(1, HIGH, 200);
    assert_eq!(crew.states(), [Backup, Backup]);
    assert_eq!(crew.moves(), [(1, Action::Entered(Backup)), (0, Action::Entered(Backup))]);
    assert_eq!(crew.entered, [Backup]);
    let said = [
        "(VI_2) Master received advert from 192.0.2.9 with higher priority 200, ours 90",
        "(VI_2) Entering BACKUP STATE",
        "(VI_2) removing VIPs.",
        "(VI_2) master set to 192.0.2.9",
        "VRRP_Group(G) Syncing instances to BACKUP state",
        "(VI_1) Entering BACKUP STATE",
        "(VI_1) removing VIPs.",
    ];
    assert_eq!(crew.said, said);
}

#[test]
fn a_fault_of_one_is_a_fault_of_all_until_it_ends() {
    let mut crew = Crew::masters();
    crew.tell(1, Event::Link { interface: "eth0", up: false });
    let both =
        [(1, send(0)), (1, Action::Entered(Fault)), (0, send(0)), (0, Action::Entered(Fault))];
    assert_eq!(crew.moves(), both);
    let said = [
        "(VI_2) Entering FAULT STATE",
        "(VI_2) sent 0 priority",
        "(VI_2) removing VIPs.",
        "VRRP_Group(G) Syncing instances to FAULT state",
        "(VI_1) Entering FAULT STATE",
        "(VI_1) removing VIPs.",
    ];
    assert_eq!(crew.said, said);
    assert_eq!(crew.entered, [Fault]);
    crew.forget();
    crew.tell(0, Event::Link { interface: "eth0", up: false });
    crew.tell(1, Event::Link { interface: "eth0", up: true });
    assert_eq!((crew.states(), &*crew.said), (vec![Fault, Fault], &[][..] as &[String]));
    crew.tell(0, Event::Link { interface: "eth0", up: true });
    let said = [
        "(VI_1) Entering BACKUP STATE",
        "VRRP_Group(G) Syncing instances to BACKUP state",
        "(VI_2) Entering BACKUP STATE",
    ];
    assert_eq!(crew.said, said);
    assert_eq!(crew.entered, [Backup]);
    crew.pass(secs(4));
    assert_eq!(crew.states(), [Master, Master]);
}

#[test]
fn a_lost_address_costs_all_their_role_with_priority_0_and_all_come_back_after_a_skew() {
    let mut crew = Crew::masters();
    crew.tell(0, Event::AddressLost(VIP));
    let all =
        [(0, send(0)), (0, Action::Entered(Backup)), (1, send(0)), (1, Action::Entered(Backup))];
    assert_eq!(crew.moves(), all);
    assert_eq!(crew.entered, [Backup]);
    crew.pass(ms(700));
    assert_eq!(crew.states(), [Master, Master]);
}

#[test]
fn owners_are_masters_at_once_and_together() {
    let owner = |name: &str, initial| InstanceConfig {
        name: name.into(),
        priority: 255,
        initial,
        ..config()
    };
    let crew = Crew::started(vec![owner("A", Initial::Master), owner("B", Initial::Master)]);
    assert_eq!(crew.states(), [Master, Master]);
    let crew = Crew::started(vec![owner("A", Initial::Master), owner("B", Initial::Backup)]);
    assert_eq!(crew.states(), [Backup, Backup]);
}

#[test]
fn a_script_one_has_to_wait_for_is_waited_for_by_all() {
    let mut configs = two();
    let tracked = TrackedScript { script: "chk".into(), ..TrackedScript::default() };
    configs[1].track_scripts = vec![tracked];
    let mut crew = Crew::new(configs);
    crew.tell(1, Event::Start);
    crew.tell(0, Event::Start);
    assert_eq!(crew.members[1].state(), Init);
    crew.pass(secs(10));
    assert!(!crew.states().contains(&Master), "{:?}", crew.states());
    crew.tell(1, Event::Script { name: "chk", good: true });
    assert_eq!(crew.states(), [Backup, Backup]);
    crew.pass(secs(4));
    assert_eq!(crew.states(), [Master, Master]);
    crew.tell(1, Event::Script { name: "chk", good: false });
    assert_eq!(crew.states(), [Fault, Fault]);
}

#[test]
fn at_the_end_the_group_is_told_once_all_are_stopped() {
    let mut crew = Crew::masters();
    crew.tell(0, Event::Shutdown);
    assert_eq!((crew.states(), &*crew.entered), (vec![Init, Master], &[][..]));
    crew.tell(1, Event::Shutdown);
    assert_eq!((crew.states(), &*crew.entered), (vec![Init, Init], &[Init][..]));
    assert_eq!(crew.moves().iter().filter(|(_, action)| *action == send(0)).count(), 2);
}

#[test]
fn a_group_that_goes_on_in_another_process_enters_nothing() {
    let mut crew = Crew::new(two());
    crew.group = Group::resumed("G");
    for i in 0..2 {
        crew.tell(i, Event::Resume { silent: ms(10) });
    }
    assert_eq!((crew.states(), &*crew.entered), (vec![Master, Master], &[][..]));
    let mut crew = Crew::new(two());
    crew.group = Group::resumed("G");
    crew.tell(0, Event::Resume { silent: ms(10) });
    crew.tell(1, Event::Start);
    assert_eq!(crew.states(), [Backup, Backup], "one that cannot go on takes the others along");
    assert_eq!(crew.entered, [Backup]);
}

/// Found by the simulator: each of them began its delay anew, and none was ready when the other was.
#[test]
fn a_delay_of_preemption_that_is_over_is_over_for_the_whole_group() {
    let mut configs = two();
    for config in &mut configs {
        config.preempt_delay = secs(2);
    }
    let mut crew = Crew::started(configs);
    for _ in 0..20 {
        crew.hear(0, LOW, 50);
        crew.pass(ms(300));
        crew.hear(1, LOW, 50);
        crew.pass(ms(700));
    }
    assert_eq!(crew.states(), [Master, Master]);
}
