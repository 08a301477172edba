//! What is shown of a role to whoever asks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use daemon::log::Severity;
use linux::raw::{Cast, IPPROTO_AH};
use machine::Machine as _;
use vrrp::config::Config;

use super::watch::calendar;
use super::{Member, Role};
use crate::asked::Asked;
use crate::dump;
use crate::status::{self, Places};
use crate::view::{Group, Router, Socket, Totals, View};

impl Role {
    /// How everything stands.
    pub(super) fn look(&self) -> View {
        let now = self.clock.now();
        let routers = self.members.iter().map(|member| self.router(member)).collect();
        let groups = self.group_states();
        let groups = groups.map(|(group, state)| Group { name: group.name.clone(), state });
        let (malformed, unknown) = self.facts.dropped();
        let of_all = &self.config;
        View {
            at: calendar(),
            boot: self.clock.since_boot(now),
            groups: groups.collect(),
            config: Config {
                globals: of_all.globals.clone(),
                scripts: of_all.scripts.clone(),
                track_files: of_all.track_files.clone(),
                track_processes: of_all.track_processes.clone(),
                static_addresses: of_all.static_addresses.clone(),
                static_routes: of_all.static_routes.clone(),
                static_rules: of_all.static_rules.clone(),
                track_groups: of_all.track_groups.clone(),
                interface_delays: of_all.interface_delays.clone(),
                garp_groups: of_all.garp_groups.clone(),
                instances: Vec::new(),
                sync_groups: of_all.sync_groups.clone(),
            },
            routers,
            scripts: self.trackers.views().collect(),
            sockets: self.sockets(),
            network: self.monitor.known().clone(),
            totals: Totals { malformed, unknown, ..self.totals },
        }
    }

    fn router(&self, member: &Member) -> Router {
        let instance = &member.instance;
        let deadline = instance.deadline();
        Router {
            config: instance.config().clone(),
            state: instance.state(),
            priority: instance.priority(),
            master: instance.master(),
            source: member.source,
            down_interval: instance.master_down_interval(),
            master_interval: instance.master_interval(),
            lease: instance.lease(),
            counters: *instance.counters(),
            watch: member.watch.clone(),
            due_in: deadline.map(|deadline| deadline - self.clock.now()),
            link: member.key.map(|key| key.link),
            socket: member.key.map(|key| self.links.number(key)),
            trackers: instance.trackers().map(Into::into).collect(),
        }
    }

    fn sockets(&self) -> Vec<Socket> {
        let socket = |key: crate::links::Key| {
            let users = self.members.iter().filter(|member| member.key == Some(key));
            let user = |member: &Member| (member.config().name.clone(), member.config().vrid.0);
            let (ipv4, unicast) = match key.cast {
                Cast::Multicast(group) => (group.is_ipv4(), false),
                Cast::Unicast4 => (true, true),
                Cast::Unicast6 => (false, true),
            };
            let source = users.clone().find_map(|member| member.source);
            Socket {
                source,
                number: self.links.number(key),
                link: self.link_name(key.link).to_owned(),
                ipv4,
                ah: key.protocol == IPPROTO_AH,
                unicast,
                users: users.map(user).collect(),
            }
        };
        // In the order of the configuration.
        let mut known = BTreeSet::new();
        let keys = self.members.iter().filter_map(|member| member.key);
        keys.filter(|key| known.insert(*key)).map(socket).collect()
    }

    /// With `--dump-conf`, as `keepalived.data` has it.
    pub(super) fn log_everything(&self) {
        if self.options.dump {
            for line in dump::data(&self.look()).lines() {
                self.log.info(line);
            }
        }
    }

    /// With `--address-monitoring`, of any address.
    pub(super) fn say_address(&self, address: netlink::Address, what: &str) {
        if self.options.all_addresses {
            let (ip, link) = (address.address, self.link_name(address.link));
            self.log.info(format_args!("Netlink reflector reports IP {ip} {what} {link}"));
        }
    }

    /// Shows it where the configuration says.
    pub(super) fn serve_status(&mut self) {
        let globals = &self.config.globals;
        let socket = globals.status_socket.as_ref().map(PathBuf::from);
        let socket = socket.unwrap_or_else(|| status::socket_beside(&self.options.pid_file));
        let places = Places { socket: Some(socket), metrics: globals.metrics_listen };
        self.status.serve(places, &self.log);
    }

    /// What a signal asks for. It is written by a thread of its own: a file system may be slow.
    pub(super) fn dump(&mut self, asked: Asked) {
        let (kind, clear) = match asked {
            Asked::Data => (dump::Kind::Data, false),
            Asked::Stats => (dump::Kind::Stats, false),
            Asked::StatsClear => (dump::Kind::Stats, true),
            Asked::Json => (dump::Kind::Json, false),
            Asked::Stop | Asked::Reload => return,
        };
        let pid = std::process::id();
        let said = if clear { "Printing and clearing VRRP stats" } else { kind.announcement() };
        self.log.info(format_args!("{said} for process({pid}) on signal"));
        let view = self.look();
        if clear {
            for member in &mut self.members {
                member.watch.cleared = *member.instance.counters();
            }
        }
        if let Err(error) = self.dumps.write(kind, view, &self.options) {
            let line = format_args!("no thread to write a dump: {error}");
            self.log.write(Severity::Error, line);
        }
    }
}
