//! `KEEPALIVED-MIB`, as far as it is about VRRP.

use std::net::{IpAddr, Ipv4Addr};

use agentx::{Oid, Tree, Value};
use vrrp::config::{
    Auth, Command, Initial, InstanceConfig, NotifyConfig, RouteConfig, RuleConfig, ScriptConfig,
    TrackedFile, TrackedScript, Version, VirtualAddress,
};
use vrrp::{State, TrackerKind};

use super::Names;
use crate::view::{Router, View};

const BASE: [u32; 9] = [1, 3, 6, 1, 4, 1, 9586, 100, 5];

/// The daemon's own settings.
pub(super) fn global() -> Oid {
    Oid::from(BASE).child([1])
}

/// Everything about VRRP.
pub(super) fn vrrp() -> Oid {
    Oid::from(BASE).child([2])
}

/// `VrrpState`.
fn state(state: State) -> Value {
    Value::Integer(match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    })
}

/// The same of a notification: who enters the first state again was shut down.
fn entered(now: State) -> Value {
    if now == State::Init { Value::Integer(5) } else { state(now) }
}

/// `true(1), false(2)`, and every other such pair.
fn yes(is: bool) -> Value {
    Value::Integer(if is { 1 } else { 2 })
}

fn gauge(number: impl TryInto<u32>) -> Value {
    Value::Gauge(number.try_into().unwrap_or(u32::MAX))
}

/// A row's place among its like, from 1.
fn place(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// One table: column and index under its entry.
struct Table<'t> {
    tree: &'t mut Tree,
    entry: Oid,
}

impl Table<'_> {
    fn set(&mut self, column: u32, index: &[u32], value: Value) {
        let row = self.entry.child([column]).child(index.iter().copied());
        self.tree.set(row, value);
    }
}

fn table(tree: &mut Tree, number: u32) -> Table<'_> {
    Table { tree, entry: vrrp().child([number, 1]) }
}

/// Puts everything into `tree`.
pub(super) fn fill(tree: &mut Tree, view: &View, names: &Names) {
    globals(tree, view, names);
    for (at, group) in view.config.sync_groups.iter().enumerate() {
        let row = [place(at)];
        let known = view.groups.iter().find(|known| known.name == group.name);
        let mut groups = table(tree, 1);
        groups.set(2, &row, group.name.as_str().into());
        groups.set(3, &row, state(known.map_or(State::Init, |known| known.state)));
        groups.set(4, &row, yes(group.notify.smtp_alert));
        groups.set(5, &row, yes(runs_scripts(&group.notify)));
        scripts_of(&mut groups, &row, &group.notify, [6, 7, 8, 9, 11]);
        groups.set(10, &row, yes(group.tracking_weight));
        for (member, name) in group.instances.iter().enumerate() {
            table(tree, 2).set(2, &[place(at), place(member)], name.as_str().into());
        }
        let weight = |script: &TrackedScript| declared_weight(view, script);
        tracked_scripts(&mut table(tree, 15), &row, &group.track_scripts, weight);
        tracked_files(&mut table(tree, 16), &row, &group.track_files, view);
        for tracked in &group.track_interfaces {
            interface(
                &mut table(tree, 14),
                &row,
                &tracked.interface,
                tracked.weight,
                tracked.reverse,
            );
        }
    }
    for (at, router) in view.routers.iter().enumerate() {
        instance(tree, view, router, place(at));
    }
    for (at, script) in view.config.scripts.iter().enumerate() {
        let known = view.scripts.iter().find(|known| known.name == script.name);
        declared_script(&mut table(tree, 9), place(at), script, known.and_then(|known| known.good));
    }
    for (at, file) in view.config.track_files.iter().enumerate() {
        let row = [place(at)];
        let number = number_in(view, &file.name);
        let number = number.clamp(i32::MIN.into(), i32::MAX.into());
        let mut files = table(tree, 13);
        files.set(2, &row, file.name.as_str().into());
        files.set(3, &row, file.path.as_str().into());
        files.set(4, &row, Value::Integer(i32::try_from(number).unwrap_or(0)));
        files.set(5, &row, Value::Integer(file.weight.into()));
        files.set(6, &row, yes(file.reverse));
    }
}

/// The number in a tracked file, as those who follow it know it.
fn number_in(view: &View, file: &str) -> i64 {
    let mut all = view.routers.iter().flat_map(|router| &router.trackers);
    let known = all.find(|tracker| tracker.kind == TrackerKind::File && tracker.name == file);
    known.and_then(|tracker| tracker.value).unwrap_or(0)
}

fn globals(tree: &mut Tree, view: &View, names: &Names) {
    let globals = &view.config.globals;
    let mail = &globals.mail;
    let mut set = |path: &[u32], value: Value| {
        tree.set(global().child(path.iter().copied()), value);
    };
    set(&[1, 0], names.version.into());
    set(&[2, 0], names.router_id.as_str().into());
    if let Some(address) = mail.server.as_deref().and_then(|s| s.parse::<IpAddr>().ok()) {
        set(&[3, 1, 0], Value::Integer(if address.is_ipv4() { 1 } else { 2 }));
        set(&[3, 2, 0], address.into());
    }
    set(&[3, 3, 0], gauge(mail.timeout.as_secs()));
    set(&[3, 4, 0], names.mail_from.as_str().into());
    for (at, address) in mail.recipients.iter().enumerate() {
        set(&[3, 5, 1, 2, place(at)], address.as_str().into());
    }
    set(&[3, 6, 0], gauge(mail.port));
    set(&[3, 7, 0], yes(!mail.no_faults));
    let alert = |is: Option<bool>| is.map_or(Value::Integer(3), yes);
    set(&[3, 8, 0], alert(globals.inherited.smtp_alert));
    set(&[3, 9, 0], alert(globals.inherited.smtp_alert_vrrp));
    set(&[4, 0], yes(globals.snmp.traps));
    // Links are followed by netlink; there is no IPVS to flush.
    set(&[5, 0], Value::Integer(1));
    set(&[6, 0], yes(false));
    set(&[7, 0], yes(true));
    set(&[8, 0], globals.process.net_namespace.as_deref().unwrap_or("").into());
    set(&[9, 0], yes(false));
    set(&[10, 0], yes(globals.dynamic_interfaces));
    set(&[11, 0], yes(false));
}

/// As keepalived shows a command: each word in quotes.
fn shown(command: &Command) -> Value {
    let words: Vec<String> = command.words.iter().map(|word| format!("'{word}'")).collect();
    words.join(" ").into()
}

fn runs_scripts(notify: &NotifyConfig) -> bool {
    let all = [&notify.master, &notify.backup, &notify.fault, &notify.stop, &notify.any];
    all.into_iter().any(Option::is_some)
}

/// The commands of master, backup, fault, any and stop, in these columns.
fn scripts_of(table: &mut Table<'_>, row: &[u32], notify: &NotifyConfig, columns: [u32; 5]) {
    let all = [&notify.master, &notify.backup, &notify.fault, &notify.any, &notify.stop];
    for (column, command) in columns.into_iter().zip(all) {
        if let Some(command) = command {
            table.set(column, row, shown(command));
        }
    }
}

fn declared_weight(view: &View, tracked: &TrackedScript) -> (i16, bool) {
    let declared = view.config.scripts.iter().find(|script| script.name == tracked.script);
    let weight = tracked.weight.or(declared.map(|script| script.weight));
    let reverse = tracked.reverse.or(declared.map(|script| script.reverse));
    (weight.unwrap_or(0), reverse.unwrap_or(false))
}

fn tracked_scripts(
    table: &mut Table<'_>,
    owner: &[u32],
    tracked: &[TrackedScript],
    weight: impl Fn(&TrackedScript) -> (i16, bool),
) {
    for (at, script) in tracked.iter().enumerate() {
        let row = [owner, &[place(at)]].concat();
        let (weight, reverse) = weight(script);
        table.set(2, &row, script.script.as_str().into());
        table.set(3, &row, Value::Integer(weight.into()));
        table.set(4, &row, yes(reverse));
    }
}

fn tracked_files(table: &mut Table<'_>, owner: &[u32], tracked: &[TrackedFile], view: &View) {
    for (at, file) in tracked.iter().enumerate() {
        let row = [owner, &[place(at)]].concat();
        let declared = view.config.track_files.iter().find(|known| known.name == file.file);
        let weight = file.weight.or(declared.map(|known| known.weight)).unwrap_or(0);
        let reverse = file.reverse.or(declared.map(|known| known.reverse)).unwrap_or(false);
        table.set(2, &row, file.file.as_str().into());
        table.set(3, &row, Value::Integer(weight.into()));
        table.set(4, &row, yes(reverse));
    }
}

/// A tracked interface, which has its name as its index.
fn interface(table: &mut Table<'_>, owner: &[u32], name: &str, weight: i16, reverse: bool) {
    let name_index = std::iter::once(place(name.len()) - 1).chain(name.bytes().map(u32::from));
    let row: Vec<u32> = owner.iter().copied().chain(name_index).collect();
    table.set(1, &row, name.into());
    table.set(2, &row, Value::Integer(weight.into()));
    table.set(3, &row, yes(reverse));
}

fn declared_script(table: &mut Table<'_>, at: u32, script: &ScriptConfig, known: Option<bool>) {
    let row = [at];
    let command = Command { words: script.command.clone(), ..Command::default() };
    let result = match known {
        None if script.init_fail => 5,
        None => 1,
        Some(false) => 2,
        Some(true) => 3,
    };
    table.set(2, &row, script.name.as_str().into());
    table.set(3, &row, shown(&command));
    let seconds = i32::try_from(script.interval.as_secs()).unwrap_or(i32::MAX);
    table.set(4, &row, Value::Integer(seconds));
    table.set(5, &row, Value::Integer(script.weight.into()));
    table.set(6, &row, Value::Integer(result));
    table.set(7, &row, gauge(script.rise));
    table.set(8, &row, gauge(script.fall));
    table.set(9, &row, yes(script.reverse));
}

fn instance(tree: &mut Tree, view: &View, router: &Router, at: u32) {
    let config = &router.config;
    let row = [at];
    let is_master = router.state == State::Master;
    // Seconds of version 2, hundredths of version 3.
    let interval = match config.version {
        Version::V2 => config.advert_interval.as_secs(),
        Version::V3 => u64::try_from(config.advert_interval.as_millis() / 10).unwrap_or(0),
    };
    let initial = if config.initial == Initial::Master { State::Master } else { State::Backup };
    let auth = match config.auth {
        None => 0,
        Some(Auth::Pass(_)) => 1,
        Some(Auth::Ah(_)) => 2,
    };
    let group = Value::from(config.multicast_group);
    let notify = &config.notify;
    let columns = [
        (2, config.name.as_str().into()),
        (3, gauge(config.vrid.0)),
        (4, state(router.state)),
        (5, state(initial)),
        // Upstream shows the state it is in.
        (6, state(router.state)),
        (7, Value::Integer(config.priority.into())),
        (8, Value::Integer(router.priority.into())),
        (9, yes(is_master)),
        (10, config.interface.as_str().into()),
        (11, yes(!config.dont_track_primary)),
        (12, gauge(interval)),
        (13, yes(config.preempt)),
        (14, gauge(config.preempt_delay.as_secs())),
        (15, Value::Integer(auth)),
        (16, yes(false)),
        (19, gauge(config.garp.master_delay.as_secs())),
        (20, yes(notify.smtp_alert)),
        (21, yes(runs_scripts(notify))),
        (27, yes(config.accept)),
        (28, yes(config.promote_secondaries)),
        (29, yes(false)),
        (30, Value::Integer(if config.version == Version::V2 { 2 } else { 3 })),
        (33, yes(notify.deleted_is_told)),
        (34, Value::Integer(if config.multicast_group.is_ipv4() { 1 } else { 2 })),
        (35, group),
    ];
    let mut instances = table(tree, 3);
    for (column, value) in columns {
        instances.set(column, &row, value);
    }
    scripts_of(&mut instances, &row, notify, [22, 23, 24, 26, 25]);
    for (column, command) in [(31, &notify.master_rx_lower_pri), (32, &notify.deleted)] {
        if let Some(command) = command {
            instances.set(column, &row, shown(command));
        }
    }
    let mut groups = view.config.sync_groups.iter();
    if let Some(group) = groups.find(|group| group.has(&config.name)) {
        instances.set(18, &row, group.name.as_str().into());
    }
    for tracked in &config.track_interfaces {
        interface(&mut table(tree, 4), &row, &tracked.interface, tracked.weight, tracked.reverse);
    }
    let weight = |script: &TrackedScript| declared_weight(view, script);
    tracked_scripts(&mut table(tree, 5), &row, &config.track_scripts, weight);
    tracked_files(&mut table(tree, 12), &row, &config.track_files, view);
    for (number, address) in config.held().enumerate() {
        let listed = number < config.addresses.len();
        let row = [at, place(number)];
        held(&mut table(tree, 6), &row, address, config, router, is_master, listed);
    }
    for (number, route) in config.routes.iter().enumerate() {
        self::route(&mut table(tree, 7), &[at, place(number)], route, is_master);
    }
    for (number, rule) in config.rules.iter().enumerate() {
        self::rule(&mut table(tree, 8), &[at, place(number)], rule, is_master);
    }
}

/// `InetScopeType`, of the kernel's number.
fn scope(number: u8) -> Value {
    Value::Integer(match number {
        253 => 2,
        200 => 5,
        254 | 255 => 1,
        _ => 14,
    })
}

fn held(
    table: &mut Table<'_>,
    row: &[u32],
    address: &VirtualAddress,
    config: &InstanceConfig,
    router: &Router,
    is_set: bool,
    listed: bool,
) {
    table.set(2, row, Value::Integer(if address.address.is_ipv4() { 1 } else { 2 }));
    table.set(3, row, address.address.into());
    if address.address.is_ipv4() {
        let broadcast = match address.broadcast {
            Some(vrrp::config::Broadcast::Address(broadcast)) => broadcast,
            Some(_) | None => Ipv4Addr::UNSPECIFIED,
        };
        table.set(4, row, IpAddr::V4(broadcast).into());
    }
    table.set(5, row, gauge(address.prefix_len));
    table.set(6, row, scope(address.scope.unwrap_or(0)));
    if address.interface.as_ref().is_none_or(|interface| *interface == config.interface) {
        table.set(7, row, Value::Integer(i32::try_from(router.link.unwrap_or(0)).unwrap_or(0)));
    }
    table.set(8, row, config.interface_of(address).into());
    if let Some(label) = &address.label {
        table.set(9, row, label.as_str().into());
    }
    table.set(10, row, yes(is_set));
    table.set(11, row, yes(listed));
    if let Some(peer) = address.peer {
        table.set(12, row, peer.address.into());
    }
}

fn route(table: &mut Table<'_>, row: &[u32], route: &RouteConfig, is_set: bool) {
    let nowhere = || -> IpAddr {
        if route.ipv6 {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    };
    let to = route.to.map_or_else(nowhere, |to| to.address);
    table.set(2, row, Value::Integer(if to.is_ipv4() { 1 } else { 2 }));
    table.set(3, row, to.into());
    table.set(4, row, gauge(route.to.map_or(0, |to| to.len)));
    for (column, address) in [(5, route.via), (7, route.source)] {
        if let Some(address) = address {
            table.set(column, row, address.into());
        }
    }
    table.set(8, row, gauge(route.metric.unwrap_or(0)));
    table.set(9, row, scope(route.scope.unwrap_or(0)));
    table.set(10, row, Value::Integer(route.kind.unwrap_or(1).into()));
    if let Some(interface) = &route.interface {
        table.set(12, row, interface.as_str().into());
    }
    table.set(13, row, gauge(route.table.unwrap_or(254)));
    table.set(14, row, yes(is_set));
    if let Some(from) = route.from {
        table.set(15, row, from.address.into());
        table.set(16, row, gauge(from.len));
    }
    if let Some(tos) = route.tos {
        table.set(17, row, gauge(tos));
    }
    // Upstream counts from 1 here.
    table.set(18, row, Value::Integer(i32::from(route.protocol.unwrap_or(18)) + 1));
    // RTAX_FEATURES with its ECN bit, RTAX_QUICKACK.
    let metric = |number| route.metrics.iter().find(|(known, _)| *known == number);
    table.set(19, row, yes(metric(12).is_some_and(|(_, bits)| bits & 1 != 0)));
    table.set(20, row, yes(metric(15).is_some_and(|(_, on)| *on != 0)));
}

fn rule(table: &mut Table<'_>, row: &[u32], rule: &RuleConfig, is_set: bool) {
    table.set(6, row, gauge(rule.table.unwrap_or(254)));
    table.set(7, row, yes(is_set));
    table.set(8, row, yes(rule.not));
    for (first, prefix) in [(9, rule.to), (12, rule.from)] {
        if let Some(prefix) = prefix {
            let family = if prefix.address.is_ipv4() { 1 } else { 2 };
            table.set(first, row, Value::Integer(family));
            table.set(first + 1, row, prefix.address.into());
            table.set(first + 2, row, gauge(prefix.len));
        }
    }
    let numbers = [
        (15, rule.tos.map(u32::from)),
        (16, rule.mark.map(|(mark, _)| mark)),
        (17, rule.mark.and_then(|(_, mask)| mask)),
        (22, rule.goto),
        (24, rule.table),
        (25, rule.preference),
        (26, rule.suppress_prefix_len),
        (34, rule.ip_protocol.map(u32::from)),
    ];
    for (column, number) in numbers {
        if let Some(number) = number {
            table.set(column, row, gauge(number));
        }
    }
    for (column, name) in [(20, &rule.input), (21, &rule.output)] {
        if let Some(name) = name {
            table.set(column, row, name.as_str().into());
        }
    }
    table.set(32, row, yes(rule.l3mdev));
}

/// `vrrpInstanceStateChange`: the instance at this place, from 0, changed its state.
pub(crate) fn instance_changed(
    at: usize,
    config: &InstanceConfig,
    now: State,
    router_id: &str,
) -> (Oid, Vec<(Oid, Value)>) {
    let initial = if config.initial == Initial::Master { State::Master } else { State::Backup };
    let column = |number| vrrp().child([3, 1, number, place(at)]);
    let values = vec![
        (column(2), config.name.as_str().into()),
        (column(4), entered(now)),
        (column(5), state(initial)),
        (global().child([2, 0]), router_id.into()),
    ];
    (vrrp().child([10, 0, 2]), values)
}

/// `vrrpSyncGroupStateChange`: the same of a group.
pub(crate) fn group_changed(
    at: usize,
    name: &str,
    now: State,
    router_id: &str,
) -> (Oid, Vec<(Oid, Value)>) {
    let column = |number| vrrp().child([1, 1, number, place(at)]);
    let values = vec![
        (column(2), name.into()),
        (column(3), entered(now)),
        (global().child([2, 0]), router_id.into()),
    ];
    (vrrp().child([10, 0, 1]), values)
}
