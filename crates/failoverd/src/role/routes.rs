//! Routes and rules: a master's, and those that are there always.

use std::collections::HashMap;
use std::io;

use daemon::log::Severity;
use netlink::{RouteKey, Wish, route_key, rule_key};
use vrrp::config::{Config, InstanceConfig, RouteConfig, RuleConfig};
use vrrp::{Event, State};

use super::Role;
use crate::dump::route;
use crate::worker::Work;

/// Whose routes and rules are whose.
#[derive(Debug, Default)]
pub(super) struct Routes {
    holders: HashMap<RouteKey, Vec<Holder>>,
    /// How often something of ours is being removed by us, whose end is no loss.
    removing: HashMap<RouteKey, u32>,
}

/// Who has a route or a rule put up.
#[derive(Clone, Debug)]
enum Holder {
    /// A member, while it is master, and whether its loss is the member's fault.
    Member { index: usize, tracked: bool },
    /// Nobody, always; and the group of instances that depend on it.
    Static { group: Option<String> },
}

impl Routes {
    /// Takes in what there is to hold. Returns whether there is anything.
    fn index(&mut self, configs: &[&InstanceConfig], all: &Config) -> bool {
        self.holders.clear();
        let mut note = |key, holder| self.holders.entry(key).or_default().push(holder);
        for (index, config) in configs.iter().enumerate() {
            let holder = |no_track: bool| Holder::Member { index, tracked: !no_track };
            for route in &config.routes {
                note(route_key(route), holder(route.no_track));
            }
            for rule in &config.rules {
                note(rule_key(rule), holder(rule.no_track));
            }
        }
        for route in &all.static_routes {
            note(route_key(route), Holder::Static { group: route.track_group.clone() });
        }
        for rule in &all.static_rules {
            note(rule_key(rule), Holder::Static { group: rule.track_group.clone() });
        }
        !self.holders.is_empty()
    }

    /// Takes note that something is gone. Returns whether we are who removed it.
    fn forget_removal(&mut self, key: &RouteKey) -> bool {
        let Some(times) = self.removing.get_mut(key) else { return false };
        *times -= 1;
        if *times == 0 {
            self.removing.remove(key);
        }
        true
    }
}

impl Role {
    /// Follows the routes and rules of all members and the static ones, if there are any.
    pub(super) fn index_routes(&mut self) {
        let configs: Vec<_> = self.members.iter().map(|member| member.config()).collect();
        if self.routes.index(&configs, &self.config)
            && let Err(error) = self.monitor.follow_routes()
        {
            let line = format_args!("Netlink: lost routes will go unnoticed: {error}");
            self.log.write(Severity::Error, line);
        }
    }

    /// Puts up routes, then rules, of the member at `index`.
    pub(super) fn add_routes(&self, index: usize, routes: &[RouteConfig], rules: &[RuleConfig]) {
        let interface = self.members[index].config().interface.clone();
        for route in routes {
            self.add_route(route, &interface);
        }
        for rule in rules {
            self.add_rule(rule);
        }
    }

    /// Takes away rules, then routes, of the member at `index`.
    pub(super) fn remove_routes(
        &mut self,
        index: usize,
        rules: &[RuleConfig],
        routes: &[RouteConfig],
    ) {
        if self.stopping_with_addresses() {
            return;
        }
        let interface = self.members[index].config().interface.clone();
        for rule in rules.iter().rev() {
            self.remove_rule(rule);
        }
        for route in routes.iter().rev() {
            self.remove_route(route, &interface);
        }
    }

    fn add_route(&self, config: &RouteConfig, interface: &str) {
        let known = self.monitor.known();
        let index = |name: &str| known.link(name).map(|link| link.index);
        // What goes through an interface that is not there is added when it comes.
        if let Some(request) = netlink::route(config, Wish::There, Some(interface), &index) {
            let key = route_key(config);
            self.worker.queue(Work::Route { request, key, wish: Wish::There });
        }
    }

    fn add_rule(&self, config: &RuleConfig) {
        let (request, key) = (netlink::rule(config, Wish::There), rule_key(config));
        self.worker.queue(Work::Route { request, key, wish: Wish::There });
    }

    fn remove_route(&mut self, config: &RouteConfig, interface: &str) {
        let known = self.monitor.known();
        let index = |name: &str| known.link(name).map(|link| link.index);
        if let Some(request) = netlink::route(config, Wish::Gone, Some(interface), &index) {
            let key = route_key(config);
            *self.routes.removing.entry(key.clone()).or_default() += 1;
            self.worker.queue(Work::Route { request, key, wish: Wish::Gone });
        }
    }

    fn remove_rule(&mut self, config: &RuleConfig) {
        let (request, key) = (netlink::rule(config, Wish::Gone), rule_key(config));
        *self.routes.removing.entry(key.clone()).or_default() += 1;
        self.worker.queue(Work::Route { request, key, wish: Wish::Gone });
    }

    /// Takes in that the kernel would not do it.
    pub(super) fn route_refused(&mut self, key: RouteKey, wish: Wish, error: &io::Error) {
        let what = match wish {
            Wish::There => "add",
            Wish::Gone => {
                self.routes.forget_removal(&key);
                if netlink::is_absence(error) {
                    return;
                }
                "remove"
            }
        };
        let line = format_args!("Netlink: cannot {what} {key}: {error}");
        self.log.write(Severity::Error, line);
    }

    /// Takes in that a route or a rule is gone: one of ours that somebody else took away is put back,
    /// or its master tells others.
    pub(super) fn route_gone(&mut self, key: &RouteKey) {
        if self.routes.forget_removal(key) {
            return;
        }
        for holder in self.routes.holders.get(key).cloned().unwrap_or_default() {
            match holder {
                Holder::Member { index, tracked } => {
                    let Some(member) = self.members.get(index) else { continue };
                    if member.instance.state() != State::Master {
                        continue;
                    }
                    if tracked {
                        self.feed(index, Event::RouteLost);
                    } else {
                        self.put_back(index, key);
                    }
                }
                Holder::Static { group } => {
                    self.put_back_static(key);
                    self.lost_of_group(group.as_deref());
                }
            }
        }
    }

    fn put_back(&mut self, index: usize, key: &RouteKey) {
        let config = self.members[index].config();
        let route = config.routes.iter().find(|route| route_key(route) == *key).cloned();
        let rule = config.rules.iter().find(|rule| rule_key(rule) == *key).cloned();
        self.add_routes(index, route.as_slice(), rule.as_slice());
    }

    fn put_back_static(&self, key: &RouteKey) {
        let default = self.default_interface();
        if let Some(route) = self.config.static_routes.iter().find(|r| route_key(r) == *key) {
            self.log.info(format_args!("Restoring deleted static route {}", route::route(route)));
            self.add_route(route, default);
        }
        if let Some(rule) = self.config.static_rules.iter().find(|rule| rule_key(rule) == *key) {
            self.log.info(format_args!("Restoring deleted static rule {}", route::rule(rule)));
            self.add_rule(rule);
        }
    }

    /// Tells the instances of a `track_group` that something static of theirs was lost.
    pub(super) fn lost_of_group(&mut self, group: Option<&str>) {
        let Some(name) = group else { return };
        let Some(group) = self.config.track_groups.iter().find(|g| g.name == name).cloned() else {
            return;
        };
        for index in 0..self.members.len() {
            if group.instances.contains(&self.members[index].config().name) {
                self.feed(index, Event::RouteLost);
            }
        }
    }

    /// Puts up the static routes and rules; only the routes through `link` if there is one.
    pub(super) fn add_static_routes(&self, link: Option<&str>) {
        let default = self.default_interface();
        for route in &self.config.static_routes {
            if link.is_none_or(|link| goes_through(route, default, link)) {
                self.add_route(route, default);
            }
        }
        if link.is_none() {
            for rule in &self.config.static_rules {
                self.add_rule(rule);
            }
        }
    }

    /// Puts up again what the kernel took away without a word when `link` went down; everything if
    /// there is none.
    pub(super) fn add_routes_again(&self, link: Option<&str>) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if member.instance.state() != State::Master {
                continue;
            }
            let config = member.config();
            let through = |route: &&RouteConfig| {
                link.is_none_or(|link| goes_through(route, &config.interface, link))
            };
            let routes: Vec<_> = config.routes.iter().filter(through).cloned().collect();
            let rules = if link.is_none() { &config.rules[..] } else { &[] };
            self.add_routes(index, &routes, rules);
        }
        self.add_static_routes(link);
    }

    /// Takes away the static rules and routes that are not in `after`.
    pub(super) fn remove_static_routes(&mut self, after: &Config) {
        if self.stopping_with_addresses() {
            return;
        }
        let default = self.default_interface().to_owned();
        let (routes, rules) = (self.config.static_routes.clone(), self.config.static_rules.clone());
        for rule in rules.iter().rev().filter(|rule| !after.static_rules.contains(rule)) {
            self.remove_rule(rule);
        }
        for route in routes.iter().rev().filter(|route| !after.static_routes.contains(route)) {
            self.remove_route(route, &default);
        }
    }

    /// The interface of static things that name none.
    pub(super) fn default_interface(&self) -> &str {
        self.config.globals.default_interface.as_deref().unwrap_or("eth0")
    }
}

/// Whether a route needs the interface called `link`, or may.
fn goes_through(route: &RouteConfig, default: &str, link: &str) -> bool {
    let hops = || route.nexthops.iter().map(|hop| hop.interface.as_deref());
    match route.interface.as_deref() {
        Some(name) => name == link,
        None if route.nexthops.is_empty() => route.via.is_some() || default == link,
        None => hops().any(|name| name.is_none_or(|name| name == link)),
    }
}
