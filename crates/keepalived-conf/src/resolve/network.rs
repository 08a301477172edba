//! What belongs to no instance alone: static objects, interfaces, files and processes.

use std::cell::Cell;

use conf::Span;
use vrrp::config::{Config, RouteConfig, RuleConfig, TrackGroup};

use super::instance::Network;
use super::{Resolver, shown};
use crate::draft::AddressDraft;
use crate::route::{self, Around};
use crate::rule;
use crate::wording::CHILD;

impl Resolver<'_> {
    /// Static addresses, routes and rules, and the instances that depend on them.
    pub(super) fn static_network(&mut self, config: &mut Config) {
        let draft = self.draft;
        // Who holds an address that moves is decided by the election alone.
        let moves = |a: &&AddressDraft| {
            let same = |v: &AddressDraft| v.config.address == a.config.address;
            draft.instances.iter().any(|i| i.addresses.iter().chain(&i.excluded).any(same))
        };
        let fixed = draft.static_addresses.iter().filter(|a| !moves(a));
        config.static_addresses = fixed.map(|a| a.config.clone()).collect();
        let default_interface = draft.globals.globals.default_interface.clone();
        for address in &mut config.static_addresses {
            let interface = address.interface.take().or_else(|| default_interface.clone());
            address.interface = interface.or_else(|| Some("eth0".to_owned()));
        }
        let before = |at: Span| -> Vec<String> {
            let earlier =
                |(_, span): &&(TrackGroup, Span)| span.file != at.file || span.start < at.start;
            draft.track_groups.iter().filter(earlier).map(|(g, _)| g.name.clone()).collect()
        };
        for line in &draft.static_routes {
            let groups = before(line.at());
            if let Some(route) = self.route(line, Some(&groups)) {
                config.static_routes.push(route);
            }
        }
        for line in &draft.static_rules {
            let groups = before(line.at());
            if let Some(rule) = self.rule(line, Some(&groups)) {
                config.static_rules.push(rule);
            }
        }
        for (group, span) in &draft.track_groups {
            let mut group = group.clone();
            let name = &group.name;
            let mut lost = Vec::new();
            group.instances.retain(|wanted| {
                let there = draft.instances.iter().any(|i| i.name == *wanted);
                if !there {
                    lost.push(format!(
                        "vrrp instance {wanted} specified in track group {name} doesn't exist - ignoring"
                    ));
                }
                there
            });
            if group.instances.is_empty() {
                lost.push(format!("Static track group {name} has no virtual router(s)"));
            }
            for said in lost {
                self.note(*span, said);
            }
            config.track_groups.push(group);
        }
    }

    /// The routes and rules of each instance.
    pub(super) fn virtual_networks(&mut self) -> Vec<Network> {
        let draft = self.draft;
        let each = draft.instances.iter().map(|instance| {
            let routes = instance.routes.iter().filter_map(|line| self.route(line, None)).collect();
            let rules = instance.rules.iter().filter_map(|line| self.rule(line, None)).collect();
            (routes, rules)
        });
        each.collect()
    }

    fn route(&mut self, line: &conf::Stmt, groups: Option<&[String]>) -> Option<RouteConfig> {
        let (system, dynamic) = (self.system, self.draft.globals.globals.dynamic_interfaces);
        let missing = Cell::new(false);
        let has = |name: &str| {
            let has = dynamic || system.has_interface(name);
            missing.set(missing.get() || !has);
            has
        };
        let around = Around { names: &self.names, has_interface: &has, groups };
        let route = route::read(line, &around, self.b);
        self.missing_in_lines |= missing.get();
        route
    }

    fn rule(&mut self, line: &conf::Stmt, groups: Option<&[String]>) -> Option<RuleConfig> {
        let (system, dynamic) = (self.system, self.draft.globals.globals.dynamic_interfaces);
        let missing = Cell::new(false);
        let has = |name: &str| {
            let has = dynamic || system.has_interface(name);
            missing.set(missing.get() || !has);
            has
        };
        let around = Around { names: &self.names, has_interface: &has, groups };
        let rule = rule::read(line, &around, &mut self.next_rule, self.b);
        self.missing_in_lines |= missing.get();
        rule
    }

    pub(super) fn interface_delays(&mut self, config: &mut Config) {
        for polled in &self.draft.polled {
            if !self.may_have(&polled.text) {
                let name = &polled.text;
                let said = format!("unknown interface {name} specified for linkbeat interface");
                self.say(CHILD, polled.span, said);
            }
        }
        for (delays, span) in &self.draft.interface_delays {
            if self.may_have(&delays.interface) {
                config.interface_delays.push(delays.clone());
            } else {
                let name = &delays.interface;
                let said = format!("unknown interface {name} specified for up/down delay");
                self.say(CHILD, *span, said);
            }
        }
    }

    /// Whether an interface of a `garp_group` is missing.
    pub(super) fn garp_groups(&mut self, config: &mut Config) -> bool {
        let mut missing = false;
        for draft in &self.draft.garp_groups {
            let mut group = draft.config.clone();
            group.interfaces.clear();
            for (name, at) in draft.config.interfaces.iter().zip(&draft.at) {
                let taken = config.garp_groups.iter().any(|g| g.interfaces.contains(name));
                if !self.may_have(name) {
                    missing = true;
                    let said = format!(
                        "WARNING - interface {name} specified for garp_group doesn't exist"
                    );
                    self.say(CHILD, *at, said);
                } else if taken || group.interfaces.contains(name) {
                    let said = format!("garp_group already specified for {name} - ignoring");
                    self.say(CHILD, *at, said);
                } else {
                    group.interfaces.push(name.clone());
                }
            }
            if group.garp_interval.is_none() && group.gna_interval.is_none() {
                let at = config.garp_groups.len();
                let said = format!("garp group {at} does not have any delay set - removing");
                self.say(CHILD, draft.end, said);
                continue;
            }
            config.garp_groups.push(group);
        }
        missing
    }

    pub(super) fn track_files(&mut self, config: &mut Config) {
        for draft in &self.draft.track_files {
            let mut file = draft.config.clone();
            let name = &file.name;
            if file.path.is_empty() {
                self.say(CHILD, draft.end, format!("No file set for track_file {name} - ignoring"));
                continue;
            }
            if config.track_files.iter().any(|f| f.name == *name) {
                self.note(draft.span, format!("track_file {name} already defined - ignoring"));
                continue;
            }
            file.weight = draft.weight.unwrap_or(1);
            config.track_files.push(file);
        }
    }

    pub(super) fn track_processes(&mut self, config: &mut Config) {
        for draft in &self.draft.track_processes {
            let mut process = draft.config.clone();
            let name = &process.name;
            if process.process.is_empty() {
                let said = format!("track process '{name}' process name not specified");
                self.say(CHILD, draft.end, said);
                continue;
            }
            if config.track_processes.iter().any(|p| p.name == *name) {
                let said = format!("vrrp_track_process {name} already defined - ignoring");
                self.note(draft.span, said);
                continue;
            }
            process.weight = draft.weight.unwrap_or(0);
            config.track_processes.push(process);
        }
    }

    /// Files and processes that are followed and were not declared before.
    pub(super) fn undefined_trackers(&mut self, config: &Config) {
        let mut lost: Vec<(Span, String)> = Vec::new();
        let draft = self.draft;
        let file = |name: &str| config.track_files.iter().any(|f| f.name == name);
        let process = |name: &str| config.track_processes.iter().any(|p| p.name == name);
        let followers = draft
            .instances
            .iter()
            .map(|i| (&i.name, &i.track_files, &i.track_processes, &i.track_bfd))
            .chain(
                draft
                    .groups
                    .iter()
                    .map(|g| (&g.name, &g.track_files, &g.track_processes, &g.track_bfd)),
            );
        for (name, files, processes, sessions) in followers {
            for (tracked, span) in files.iter().filter(|(t, _)| !file(&t.file)) {
                let said = format!("({name}) track file {} not found, ignoring...", tracked.file);
                lost.push((*span, said));
            }
            for (tracked, span) in processes.iter().filter(|(t, _)| !process(&t.process)) {
                let said =
                    format!("({name}) track process {} not found, ignoring...", tracked.process);
                lost.push((*span, said));
            }
            for (session, span) in sessions.iter().filter(|(t, _)| !draft.bfd.contains(t)) {
                lost.push((*span, format!("({name}) track bfd {session} not found, ignoring...")));
            }
        }
        for (span, said) in lost {
            self.say(CHILD, span, said);
        }
    }

    pub(super) fn missing_interfaces(&mut self) -> bool {
        let mut found: Vec<(Span, String)> = Vec::new();
        let default = self.draft.globals.globals.default_interface.as_deref().unwrap_or("eth0");
        let named = |a: &AddressDraft| a.config.interface.clone();
        let missing = |name: &str| !self.system.has_interface(name);
        let of_address = |a: &AddressDraft, interface: String| {
            let written = if a.has_len { a.config.to_string() } else { shown(&a.config) };
            (
                a.span,
                format!("WARNING - interface {interface} for ip address {written} doesn't exist"),
            )
        };
        for address in &self.draft.static_addresses {
            let interface = named(address).unwrap_or_else(|| default.to_owned());
            if missing(&interface) {
                found.push(of_address(address, interface));
            }
        }
        for instance in &self.draft.instances {
            let name = &instance.name;
            if let Some(interface) = instance.interface.as_ref().filter(|i| missing(&i.text)) {
                let interface_name = &interface.text;
                let said = format!(
                    "WARNING - interface {interface_name} for vrrp_instance {name} doesn't exist"
                );
                found.push((interface.span, said));
            }
            for address in instance.addresses.iter().chain(&instance.excluded) {
                if let Some(interface) = named(address).filter(|i| missing(i)) {
                    found.push(of_address(address, interface));
                }
            }
            for (tracked, span) in &instance.track_interfaces {
                if missing(&tracked.interface) {
                    let interface = &tracked.interface;
                    found.push((
                        *span,
                        format!("({name}) tracked interface {interface} doesn't exist"),
                    ));
                }
            }
        }
        for group in &self.draft.groups {
            for (tracked, span) in &group.track_interfaces {
                if missing(&tracked.interface) {
                    let (name, interface) = (&group.name, &tracked.interface);
                    let said = format!("({name}) tracked interface {interface} doesn't exist");
                    found.push((*span, said));
                }
            }
        }
        // With dynamic_interfaces they may come later, and nothing is said.
        let any = !found.is_empty();
        if !self.draft.globals.globals.dynamic_interfaces {
            for (span, said) in found {
                self.say(CHILD, span, said);
            }
        }
        any
    }
}
