//! Routes, rules and the packet filter, which come and go with the addresses.

use crate::common::*;
use vrrp::State::{Backup, Master};
use vrrp::config::{InstanceConfig, RouteConfig, RuleConfig, VirtualAddress};
use vrrp::{Action, Event};

fn route(metric: u32) -> RouteConfig {
    RouteConfig { metric: Some(metric), ..RouteConfig::default() }
}

fn rule(preference: u32) -> RuleConfig {
    RuleConfig { preference: Some(preference), ..RuleConfig::default() }
}

fn routed() -> InstanceConfig {
    InstanceConfig { routes: vec![route(1)], rules: vec![rule(1)], accept: false, ..config() }
}

fn block() -> Action {
    Action::Block { addresses: vec![VirtualAddress::host(VIP)] }
}

fn unblock() -> Action {
    Action::Block { addresses: vec![] }
}

fn put() -> Action {
    Action::AddRoutes { routes: vec![route(1)], rules: vec![rule(1)] }
}

fn take() -> Action {
    Action::RemoveRoutes { rules: vec![rule(1)], routes: vec![route(1)] }
}

#[test]
fn everything_is_put_up_in_keepalived_s_order_and_taken_down_in_the_other() {
    let mut bench = Bench::started(routed());
    assert_eq!(bench.done(), [take(), remove(), unblock(), Action::Entered(Backup)]);
    let said = [
        "(VI_1) removing Virtual Rules",
        "(VI_1) removing Virtual Routes",
        "(VI_1) removing VIPs.",
        "(VI_1) removing firewall drop rule",
        "(VI_1) Entering BACKUP STATE (init)",
    ];
    assert_eq!(bench.said(), said);
    bench.expire();
    bench.take_addresses();
    assert_eq!(bench.done()[..3], [block(), add(), put()]);
    let said = [
        "(VI_1) setting firewall drop rule",
        "(VI_1) setting VIPs.",
        "(VI_1) setting Virtual Routes",
        "(VI_1) setting Virtual Rules",
    ];
    assert_eq!(bench.said()[..4], said);
    bench.tell(Event::Shutdown);
    assert_eq!(bench.done()[..4], [take(), remove(), unblock(), send(0)]);
    let mut bench = Bench::new(routed());
    bench.tell(Event::Resume { silent: ms(1) });
    assert_eq!(bench.done(), [send(100), block(), add(), put()]);
}

#[test]
fn the_owner_of_the_addresses_accepts_whatever_is_configured() {
    let bench = Bench::started(InstanceConfig { priority: 255, ..routed() });
    assert!(!bench.done().contains(&unblock()));
}

#[test]
fn a_lost_route_costs_the_role_as_a_lost_address_does() {
    let mut bench = Bench::master(routed());
    bench.tell(Event::RouteLost);
    assert_eq!(bench.done()[3..], [send(0), Action::Entered(Backup)]);
    assert_eq!(bench.wait(), micros(609_375));
    bench.tell(Event::RouteLost);
    assert_eq!(bench.actions, [], "a backup has none to lose");
}

#[test]
fn a_reload_moves_only_the_routes_that_differ() {
    let mut bench = Bench::master(routed());
    let wanted = InstanceConfig {
        routes: vec![route(1), route(2)],
        rules: vec![rule(2)],
        accept: true,
        ..routed()
    };
    bench.actions.clear();
    bench.instance.reconfigure(wanted.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.instance.state(), Master);
    let expected = [
        Action::RemoveRoutes { rules: vec![rule(1)], routes: vec![] },
        unblock(),
        send(100),
        renew(),
        Action::AddRoutes { routes: vec![route(2)], rules: vec![rule(2)] },
    ];
    assert_eq!(bench.done(), expected);
    bench.actions.clear();
    bench.instance.reconfigure(wanted.clone(), &[], bench.now, &mut bench.actions);
    assert_eq!(bench.done(), [send(100), renew()]);
    bench.actions.clear();
    bench.instance.reconfigure(
        InstanceConfig { accept: false, ..wanted },
        &[],
        bench.now,
        &mut bench.actions,
    );
    assert_eq!(bench.done(), [block(), send(100), renew()]);
}
