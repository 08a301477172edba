//! `------< VRRP Topology >------`

use vrrp::config::{
    Auth, Command, OldChecksum, SyncGroupConfig, TrackedFile, TrackedInterface, TrackedProcess,
    TrackedScript, Version, VmacConfig, VmacKind,
};
use vrrp::{State, TrackerKind};

use super::route::{route, rule};
use super::text::{Shown, enabled, general, line, moment, owner, state, unspecified, words, yes};
use crate::view::{Router, View};

/// All instances.
pub(super) fn write(out: &mut String, view: &View) {
    line!(out, "------< VRRP Topology >------");
    for router in &view.routers {
        instance(out, router, view);
    }
}

fn instance(out: &mut String, of: &Router, view: &View) {
    let config = &of.config;
    let ipv4 = config.is_ipv4();
    line!(out, " VRRP Instance = {}", config.name);
    line!(out, "   VRRP Version = {}", config.version.number());
    let group = view.config.sync_groups.iter().find(|g| g.instances.contains(&config.name));
    if let Some(group) = group {
        line!(out, "   Sync group = {}", group.name);
    }
    if !ipv4 {
        line!(out, "   Using Native IPv6");
    }
    line!(out, "   State = {}", state(of.state));
    if of.state == State::Backup {
        let (master, priority) =
            of.watch.heard.filter(|_| of.master.is_some()).unwrap_or((unspecified(ipv4), 0));
        line!(out, "   Master router = {master}");
        line!(out, "   Master priority = {priority}");
        if config.version == Version::V3 {
            let interval = of.master_interval.as_secs_f64();
            line!(out, "   Master advert int = {interval:.2} sec");
        }
    }
    flags(out, of);
    line!(out, "   Wantstate = {}", state(of.state));
    line!(out, "   Number of config faults = 0");
    line!(out, "   Number of interface and track script faults = {}", of.faults());
    let pending = of.trackers.iter().filter(|t| t.kind == TrackerKind::Script && t.good.is_none());
    line!(out, "   Number of track scripts init = {}", pending.count());
    line!(out, "   Last transition = {}", moment(of.watch.transition));
    match of.due_in {
        Some(due) => line!(out, "   Read timeout = {}", moment(view.at + due)),
        None => line!(out, "   Read timeout = DISABLED"),
    }
    line!(out, "   Master down timer = {} usecs", of.down_interval.as_micros());
    interface(out, of);
    announcing(out, of);
    line!(out, "   Virtual Router ID = {}", config.vrid);
    line!(out, "   Priority = {}", config.priority);
    line!(out, "   Effective priority = {}", of.priority);
    line!(out, "   Total priority = {}", of.priority);
    let interval = config.advert_interval;
    match config.version {
        Version::V2 => line!(out, "   Advert interval = {} sec", interval.as_secs()),
        Version::V3 => line!(out, "   Advert interval = {} milli-sec", interval.as_millis()),
    }
    if of.state == State::Backup && config.version == Version::V3 {
        let interval = of.master_interval.as_millis();
        line!(out, "   Master advert interval = {interval} milli-sec");
    }
    line!(out, "   Accept = {}", enabled(config.accept));
    line!(out, "   Preempt = {}", enabled(config.preempt));
    if !config.preempt_delay.is_zero() {
        line!(out, "   Preempt delay = {} secs", general(config.preempt_delay.as_secs_f64()));
    }
    line!(out, "   Promote_secondaries = {}", enabled(config.promote_secondaries));
    if config.version == Version::V2 {
        match &config.auth {
            None => line!(out, "   Authentication type = none"),
            Some(Auth::Ah(_)) => line!(out, "   Authentication type = IPSEC_AH"),
            Some(Auth::Pass(_)) => {
                line!(out, "   Authentication type = SIMPLE_PASSWORD");
                // As keepalived 2.4: who may read a dump need not know it.
                line!(out, "   Password = ********");
            }
        }
    }
    addresses(out, of);
    unicast(out, of);
    match of.socket {
        Some(number) => line!(out, "   fd_in {number}, fd_out {number}"),
        None => line!(out, "   fd_in -1, fd_out -1"),
    }
    if !config.routes.is_empty() {
        line!(out, "   Virtual Routes :");
        config.routes.iter().for_each(|r| line!(out, "     {}", route(r)));
    }
    if !config.rules.is_empty() {
        line!(out, "   Virtual Rules :");
        config.rules.iter().for_each(|r| line!(out, "     {}", rule(r)));
    }
    tracked(out, of, group);
    notifications(out, of, view);
}

fn flags(out: &mut String, of: &Router) {
    let config = &of.config;
    let unicast = !config.unicast_peers.is_empty();
    let asked = config.unicast_ttl.is_some() || config.source.is_some();
    let pretended = !unicast && asked && config.unicast_fault_no_peer;
    // Whatever else keepalived has a flag for, without a line of its own.
    let other = config.vmac.is_some()
        || !config.preempt
        || (!config.accept && !config.strict)
        || config.promote_secondaries;
    if !(unicast || pretended || other) {
        return line!(out, "   Flags: none");
    }
    line!(out, "   Flags:");
    if unicast {
        line!(out, "     Using unicast");
    }
    if config.unicast_fault_no_peer {
        line!(out, "     If unicast go to fault state if no peers");
    }
}

/// The name of a virtual router's own interface.
pub(super) fn own_interface(of: &Router, vmac: &VmacConfig, prefix: &str) -> String {
    let default = || format!("{prefix}.{}", of.config.vrid);
    vmac.name.clone().unwrap_or_else(default)
}

fn interface(out: &mut String, of: &Router) {
    let config = &of.config;
    let below = &config.interface;
    match &config.vmac {
        None => line!(out, "   Interface = {below}"),
        Some(vmac) => {
            let name = own_interface(of, vmac, "vrrp");
            let up = of.state != State::Fault;
            match vmac.kind {
                VmacKind::Macvlan(_) => {
                    let base = vmac.xmit_base;
                    line!(out, "   Use VMAC, i/f name {name}, is_up = {up}, xmit_base = {base}");
                    let base = if base { ", xmit base i/f" } else { "" };
                    line!(out, "   Interface = {name}, vmac on {below}{base}");
                }
                VmacKind::Ipvlan { .. } => {
                    line!(out, "   Use IPVLAN, i/f {name}, is_up = {up}, type bridge");
                    line!(out, "   Interface = {name}, ipvlan on {below}");
                }
            }
        }
    }
    if config.dont_track_primary {
        line!(out, "   VRRP interface tracking disabled");
    }
    if config.skip_check_adv_addr {
        line!(out, "   Skip checking advert IP addresses");
    }
    if config.strict {
        line!(out, "   Enforcing strict VRRP compliance");
    }
    let configured = if config.source.is_some() { " (from configuration)" } else { "" };
    match of.source {
        Some(source) => line!(out, "   Using src_ip = {source}{configured}"),
        None => line!(out, "   Using src_ip = (none)"),
    }
    if config.unicast_peers.is_empty() {
        let group = config.multicast_group;
        match of.link.filter(|_| group.is_ipv6()) {
            Some(link) => line!(out, "   Multicast address {group}, ifindex {link}"),
            None => line!(out, "   Multicast address {group}"),
        }
    }
}

fn announcing(out: &mut String, of: &Router) {
    let config = &of.config;
    let garp = &config.garp;
    line!(out, "   Gratuitous ARP delay = {}", garp.master_delay.as_secs());
    line!(out, "   Gratuitous ARP repeat = {}", garp.master_repeat);
    line!(out, "   Gratuitous ARP refresh = {}", garp.refresh.as_secs());
    line!(out, "   Gratuitous ARP refresh repeat = {}", garp.refresh_repeat);
    let delay = garp.lower_prio_delay.as_secs();
    line!(out, "   Gratuitous ARP lower priority delay = {delay}");
    line!(out, "   Gratuitous ARP lower priority repeat = {}", garp.lower_prio_repeat);
    line!(out, "   Down timer adverts = {}", config.down_timer_adverts);
    let answers = !config.lower_prio_no_advert;
    line!(out, "   Send advert after receive lower priority advert = {answers}");
    let sends = config.higher_prio_send_advert;
    line!(out, "   Send advert after receive higher priority advert = {sends}");
}

/// The addresses of an instance as they are shown: those in adverts, or the others.
pub(super) fn shown(of: &Router, excluded: bool) -> Vec<String> {
    let config = &of.config;
    let list = if excluded { &config.excluded } else { &config.addresses };
    let set = of.state == State::Master;
    let shown = list.iter().map(|address| {
        let interface = match (&address.interface, &config.vmac) {
            (Some(interface), _) => interface.clone(),
            (None, Some(vmac)) => {
                format!("{}@{}", own_interface(of, vmac, "vrrp"), config.interface)
            }
            (None, None) => config.interface.clone(),
        };
        Shown { address, interface, set }.to_string()
    });
    shown.collect()
}

fn addresses(out: &mut String, of: &Router) {
    if !of.config.addresses.is_empty() {
        line!(out, "   Virtual IP ({}):", of.config.addresses.len());
        shown(of, false).iter().for_each(|address| line!(out, "     {address}"));
    }
    if !of.config.excluded.is_empty() {
        line!(out, "   Virtual IP Excluded :");
        shown(of, true).iter().for_each(|address| line!(out, "     {address}"));
    }
}

fn unicast(out: &mut String, of: &Router) {
    let config = &of.config;
    if config.unicast_peers.is_empty() {
        return;
    }
    line!(out, "   Unicast TTL = {}", config.unicast_ttl.unwrap_or(255));
    let ranged = config.unicast_peers.iter().any(|p| p.min_ttl.is_some() || p.max_ttl.is_some());
    line!(out, "   Check unicast src : {}", yes(config.check_unicast_source || ranged));
    line!(out, "   Unicast Peer :");
    for peer in &config.unicast_peers {
        let (min, max) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255));
        line!(out, "     {} min_ttl {min} max_ttl {max}", peer.address);
    }
    let compatible = match config.old_unicast_checksum {
        OldChecksum::Detect => "no",
        OldChecksum::Always => "config",
        OldChecksum::Never => "never",
    };
    line!(out, "   Unicast checksum compatibility = {compatible}");
}

fn reversed(reverse: bool) -> &'static str {
    if reverse { " reverse" } else { "" }
}

/// What it tracks itself: its group's is shown with the group.
fn tracked(out: &mut String, of: &Router, group: Option<&SyncGroupConfig>) {
    let config = &of.config;
    let shared = |name: fn(&SyncGroupConfig, &str) -> bool, of: &str| {
        group.is_some_and(|group| name(group, of))
    };
    let own = |tracked: &&TrackedInterface| {
        !shared(
            |g, name| g.track_interfaces.iter().any(|t| t.interface == name),
            &tracked.interface,
        )
    };
    if config.track_interfaces.iter().any(|tracked| own(&tracked)) {
        line!(out, "   Tracked interfaces :");
        for tracked in config.track_interfaces.iter().filter(own) {
            let reverse = reversed(tracked.reverse);
            line!(out, "     {} weight {}{reverse}", tracked.interface, tracked.weight);
        }
    }
    let effective = |kind, name: &str| {
        let found = of.trackers.iter().find(|t| t.kind == kind && t.name == name);
        found.map_or((0, false), |tracker| (tracker.weight, tracker.reverse))
    };
    let own = |tracked: &&TrackedScript| {
        !shared(|g, name| g.track_scripts.iter().any(|t| t.script == name), &tracked.script)
    };
    if config.track_scripts.iter().any(|tracked| own(&tracked)) {
        line!(out, "   Tracked scripts :");
        for tracked in config.track_scripts.iter().filter(own) {
            let (weight, reverse) = effective(TrackerKind::Script, &tracked.script);
            line!(out, "     {} weight {weight}{}", tracked.script, reversed(reverse));
        }
    }
    let own = |tracked: &&TrackedFile| {
        !shared(|g, name| g.track_files.iter().any(|t| t.file == name), &tracked.file)
    };
    if config.track_files.iter().any(|tracked| own(&tracked)) {
        line!(out, "   Tracked files :");
        for tracked in config.track_files.iter().filter(own) {
            let (weight, reverse) = effective(TrackerKind::File, &tracked.file);
            line!(out, "     {}, weight {weight}{}", tracked.file, reversed(reverse));
        }
    }
    let own = |tracked: &&TrackedProcess| {
        !shared(|g, name| g.track_processes.iter().any(|t| t.process == name), &tracked.process)
    };
    if config.track_processes.iter().any(|tracked| own(&tracked)) {
        line!(out, "   Tracked processes :");
        for tracked in config.track_processes.iter().filter(own) {
            let (weight, reverse) = effective(TrackerKind::Process, &tracked.process);
            line!(out, "     {}, weight {weight}{}", tracked.process, reversed(reverse));
        }
    }
}

/// The scripts of an instance or a group.
pub(super) fn scripts(
    out: &mut String,
    scripts: &[(&str, &Option<Command>)],
    globals: &vrrp::config::Globals,
) {
    for (which, command) in scripts {
        if let Some(command) = command {
            let (uid, gid) = owner(command, globals);
            let words = words(&command.words);
            line!(out, "   {which} state transition script = {words}, uid:gid {uid}:{gid}");
        }
    }
}

fn notifications(out: &mut String, of: &Router, view: &View) {
    let notify = &of.config.notify;
    line!(out, "   Using smtp notification = {}", yes(notify.smtp_alert));
    let deleted = if notify.deleted_is_told { "Deleted" } else { "Fault" };
    line!(out, "   Notify deleted = {deleted}");
    let all = [
        ("Backup", &notify.backup),
        ("Master", &notify.master),
        ("Fault", &notify.fault),
        ("Stop", &notify.stop),
        ("Deleted", &notify.deleted),
        ("Generic", &notify.any),
        ("Master rx lower pri", &notify.master_rx_lower_pri),
    ];
    scripts(out, &all, &view.config.globals);
    line!(out, "   Notify priority changes = {}", notify.priority_changes);
}
