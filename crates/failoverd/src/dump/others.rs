//! The sections besides the instances.

use linux::clock::LocalTime;
use vrrp::config::{ParamMatch, SyncGroupConfig, VirtualAddress};
use vrrp::{State, TrackerKind};

use super::route::{route, rule};
use super::text::{Shown, general, identity, line, state, words, yes};
use super::topology::scripts as state_scripts;
use crate::view::View;

/// What stands before the instances: announcements' pace, and everything static.
pub(super) fn before(out: &mut String, view: &View) {
    let config = &view.config;
    if !config.garp_groups.is_empty() {
        line!(out, "------< Gratuitous ARP delays >------");
        for (at, group) in config.garp_groups.iter().enumerate() {
            line!(out, "------< GARP delay group {} >------", at + 1);
            // Since nobody waits when this is written, the next one may go at any time.
            let never = LocalTime::from(std::time::UNIX_EPOCH).c_locale().to_string();
            let never = never.rsplit_once(' ').map_or(never.as_str(), |(time, _)| time);
            let paces = [("GARP", group.garp_interval), ("GNA", group.gna_interval)];
            for (name, pace) in paces {
                if let Some(pace) = pace.filter(|pace| !pace.is_zero()) {
                    line!(out, " {name} interval = {}", general(pace.as_secs_f64()));
                    line!(out, " {name} next time 0.000000 ({never}.000000)");
                }
            }
            line!(out, " Interfaces");
            group.interfaces.iter().for_each(|name| line!(out, "  {name}"));
        }
    }
    if !config.static_addresses.is_empty() {
        line!(out, "------< Static Addresses >------");
        for address in &config.static_addresses {
            line!(out, "     {}", static_address(address, view));
        }
    }
    if !config.static_routes.is_empty() {
        line!(out, "------< Static Routes >------");
        config.static_routes.iter().for_each(|r| line!(out, "     {}", route(r)));
    }
    if !config.static_rules.is_empty() {
        line!(out, "------< Static Rules >------");
        config.static_rules.iter().for_each(|r| line!(out, "     {}", rule(r)));
    }
    if !config.track_groups.is_empty() {
        line!(out, "------< Static Track groups >------");
        for group in &config.track_groups {
            line!(out, " Static Track Group = {}", group.name);
            line!(out, "   VRRP member instances :");
            group.instances.iter().for_each(|name| line!(out, "     {name}"));
        }
    }
}

fn static_address(address: &VirtualAddress, view: &View) -> String {
    let default = view.config.globals.default_interface.as_deref().unwrap_or("eth0");
    let interface = address.interface.as_deref().unwrap_or(default);
    let link = view.network.link(interface).map(|link| link.index);
    let mut there = view.network.addresses.iter();
    let set = there.any(|a| Some(a.link) == link && a.address == address.address);
    Shown { address, interface: interface.to_owned(), set }.to_string()
}

/// What stands between the instances and the interfaces.
pub(super) fn after(out: &mut String, view: &View) {
    sockets(out, view);
    groups(out, view);
    scripts(out, view);
    files(out, view);
    processes(out, view);
}

fn sockets(out: &mut String, view: &View) {
    if view.sockets.is_empty() {
        return;
    }
    line!(out, "------< VRRP Sockpool >------");
    for socket in &view.sockets {
        line!(out, " fd_in {} fd_out = {}", socket.number, socket.number);
        line!(out, "   Interface = {}", socket.link);
        line!(out, "   Family = {}", if socket.ipv4 { "IPv4" } else { "IPv6" });
        line!(out, "   Protocol = {}", if socket.ah { "AH" } else { "VRRP" });
        line!(out, "   Type = {}icast", if socket.unicast { "Un" } else { "Mult" });
        if let Some(source) = socket.source.filter(|_| socket.unicast) {
            line!(out, "   Address = {source}");
        }
        line!(out, "   Rx buf size = 0");
        line!(out, "   VRRP instances");
        for (name, vrid) in &socket.users {
            line!(out, "     {name} vrid {vrid}");
        }
    }
}

fn groups(out: &mut String, view: &View) {
    if view.config.sync_groups.is_empty() {
        return;
    }
    line!(out, "------< VRRP Sync groups >------");
    for group in &view.config.sync_groups {
        let standing = view.groups.iter().find(|known| known.name == group.name);
        let standing = standing.map_or(State::Init, |group| group.state);
        line!(out, " VRRP Sync Group = {}, {}", group.name, state(standing));
        let members = view.routers.iter().filter(|r| group.instances.contains(&r.config.name));
        let count = |state| members.clone().filter(|router| router.state == state).count();
        let (fault, init) = (count(State::Fault), count(State::Init));
        line!(out, "   Num member fault {fault}, num member init {init}");
        line!(out, "   VRRP member instances :");
        group.instances.iter().for_each(|name| line!(out, "     {name}"));
        line!(out, "   Using smtp notification = {}", yes(group.notify.smtp_alert));
        if group.tracking_weight {
            line!(out, "   sync group tracking weight set");
        }
        group_trackers(out, group, view);
        let notify = &group.notify;
        let all = [
            ("Backup", &notify.backup),
            ("Master", &notify.master),
            ("Fault", &notify.fault),
            ("Stop", &notify.stop),
            ("Generic", &notify.any),
        ];
        state_scripts(out, &all, &view.config.globals);
    }
}

fn group_trackers(out: &mut String, group: &SyncGroupConfig, view: &View) {
    let reversed = |reverse: bool| if reverse { " reverse" } else { "" };
    if !group.track_interfaces.is_empty() {
        line!(out, "   Tracked interfaces :");
        for tracked in &group.track_interfaces {
            let reverse = reversed(tracked.reverse);
            line!(out, "     {} weight {}{reverse}", tracked.interface, tracked.weight);
        }
    }
    if !group.track_scripts.is_empty() {
        line!(out, "   Tracked scripts :");
        for tracked in &group.track_scripts {
            let declared = view.config.scripts.iter().find(|s| s.name == tracked.script);
            let weight = tracked.weight.or(declared.map(|s| s.weight)).unwrap_or(0);
            let reverse = tracked.reverse.or(declared.map(|s| s.reverse)).unwrap_or(false);
            line!(out, "     {} weight {weight}{}", tracked.script, reversed(reverse));
        }
    }
    if !group.track_files.is_empty() {
        line!(out, "   Tracked files :");
        for tracked in &group.track_files {
            let declared = view.config.track_files.iter().find(|f| f.name == tracked.file);
            let weight = tracked.weight.or(declared.map(|f| f.weight)).unwrap_or(1);
            line!(out, "     {}, weight {weight}", tracked.file);
        }
    }
    if !group.track_processes.is_empty() {
        line!(out, "   Tracked process :");
        for tracked in &group.track_processes {
            let declared = view.config.track_processes.iter().find(|p| p.name == tracked.process);
            let weight = tracked.weight.or(declared.map(|p| p.weight)).unwrap_or(0);
            line!(out, "     {}, weight {weight}", tracked.process);
        }
    }
}

/// Who follows it, with which weight.
fn followers(out: &mut String, kind: TrackerKind, name: &str, view: &View) {
    line!(out, "   Tracking instances :");
    for router in &view.routers {
        for tracker in router.trackers.iter().filter(|t| t.kind == kind && t.name == name) {
            let reverse = if tracker.reverse { " reverse" } else { "" };
            line!(out, "     {}, weight {}{reverse}", router.config.name, tracker.weight);
        }
    }
}

fn scripts(out: &mut String, view: &View) {
    if view.config.scripts.is_empty() {
        return;
    }
    line!(out, "------< VRRP Scripts >------");
    for script in &view.config.scripts {
        let standing = view.scripts.iter().find(|known| known.name == script.name);
        let standing = standing.cloned().unwrap_or_default();
        line!(out, " VRRP Script = {}", script.name);
        line!(out, "   Command = {}", words(&script.command));
        line!(out, "   Interval = {} sec", script.interval.as_secs());
        // keepalived's is 0 where none is configured.
        let timeout = Some(script.timeout).filter(|&timeout| timeout != script.interval);
        line!(out, "   Timeout = {} sec", timeout.unwrap_or_default().as_secs());
        let reverse = if script.reverse { " reverse" } else { "" };
        line!(out, "   Weight = {}{reverse}", script.weight);
        line!(out, "   Rise = {}", script.rise);
        line!(out, "   Fall = {}", script.fall);
        line!(out, "   Result = {}", standing.result.unwrap_or(0));
        line!(out, "   Insecure = no");
        line!(out, "   Init state = unknown");
        let status = match standing.good {
            None => "INIT",
            Some(true) => "GOOD",
            Some(false) => "BAD",
        };
        line!(out, "   Status = {status}");
        let globals = &view.config.globals;
        let (uid, gid) = identity(script.user.as_deref(), script.group.as_deref(), globals);
        line!(out, "   Script uid:gid = {uid}:{gid}");
        line!(out, "   VRRP instances :");
        followers(out, TrackerKind::Script, &script.name, view);
        line!(out, "   State = {}", if standing.running { "running" } else { "idle" });
    }
}

fn files(out: &mut String, view: &View) {
    if view.config.track_files.is_empty() {
        return;
    }
    line!(out, "------< VRRP Track files >------");
    for file in &view.config.track_files {
        let mut all = view.routers.iter().flat_map(|router| &router.trackers);
        let value = all.find(|t| t.kind == TrackerKind::File && t.name == file.name);
        line!(out, " Track file = {}", file.name);
        line!(out, "   File = {}", file.path);
        line!(out, "   Status = {}", value.and_then(|tracker| tracker.value).unwrap_or(0));
        let reverse = if file.reverse { " reverse" } else { "" };
        line!(out, "   Weight = {}{reverse}", file.weight);
        followers(out, TrackerKind::File, &file.name, view);
    }
}

fn processes(out: &mut String, view: &View) {
    if view.config.track_processes.is_empty() {
        return;
    }
    line!(out, "------< VRRP Track processes >------");
    for process in &view.config.track_processes {
        let mut all = view.routers.iter().flat_map(|router| &router.trackers);
        let found = all.find(|t| t.kind == TrackerKind::Process && t.name == process.name);
        line!(out, " VRRP Track process = {}", process.name);
        line!(out, "   Process = {}", process.process);
        if !process.arguments.is_empty() {
            line!(out, "   Parameters = {}", words(&process.arguments));
            match process.param_match {
                ParamMatch::Exact => {}
                ParamMatch::Partial => line!(out, "   Param match = partial"),
                ParamMatch::Initial => line!(out, "   Param match = initial"),
            }
        }
        line!(out, "   Min processes = {}", process.quorum);
        if let Some(most) = process.quorum_max {
            line!(out, "   Max processes = {most}");
        }
        let quorum = found.and_then(|tracker| tracker.good).unwrap_or(false);
        line!(out, "   Have quorum = {quorum}");
        let reverse = if process.reverse { " reverse" } else { "" };
        line!(out, "   Weight = {}{reverse}", process.weight);
        line!(out, "   Terminate delay = {:.6}s", process.terminate_delay.as_secs_f64());
        line!(out, "   Fork delay = {:.6}s", process.fork_delay.as_secs_f64());
        line!(out, "   Full command = {}", process.full_command);
        followers(out, TrackerKind::Process, &process.name, view);
    }
}
