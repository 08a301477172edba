//! What an SNMP master agent is told of a role.

use vrrp::State;

use super::Role;
use crate::snmp::{
    Agent, AgentEvent, GroupView, InstanceView, ScriptState, View, group_changed, instance_changed,
};

impl Role {
    /// Goes on with the conversation.
    pub(super) fn agent_did(&mut self, event: AgentEvent) {
        let now = self.clock.now();
        let said = match event {
            AgentEvent::Connected(connection) => self.agent.connected(now, connection),
            AgentEvent::Ready => {
                let mut agent = std::mem::replace(&mut self.agent, Agent::idle());
                let said = agent.serve(now, || self.view());
                self.agent = agent;
                said
            }
        };
        if let Some(line) = said {
            self.log.info(line);
        }
    }

    /// Tells of an instance that entered a state.
    pub(super) fn trap_instance(&mut self, index: usize, state: State) {
        if !self.agent.wants_traps() {
            return;
        }
        let config = self.members[index].config();
        let place = self.config.instances.iter().position(|known| known.name == config.name);
        let trap = instance_changed(place.unwrap_or(index), config, state, &self.router_id());
        self.trap(trap);
    }

    /// Tells of a sync group that entered a state.
    pub(super) fn trap_group(&mut self, name: &str, state: State) {
        if !self.agent.wants_traps() {
            return;
        }
        let place = self.config.sync_groups.iter().position(|group| group.name == name);
        let trap = group_changed(place.unwrap_or(0), name, state, &self.router_id());
        self.trap(trap);
    }

    fn trap(&mut self, trap: crate::snmp::Trap) {
        let now = self.clock.now();
        if let Some(line) = self.agent.notify(now, trap) {
            self.log.info(line);
        }
    }

    fn router_id(&self) -> String {
        let short = || {
            let host = crate::notify::host_name();
            host.split('.').next().unwrap_or_default().to_owned()
        };
        self.config.globals.router_id.clone().unwrap_or_else(short)
    }

    fn view(&self) -> View<'_> {
        let now = self.clock.since_boot(self.clock.now());
        let known = self.monitor.known();
        let verdicts: Vec<(&str, bool)> = self.trackers.verdicts().collect();
        let script = |name: &str| {
            let verdict = verdicts.iter().find(|(known, _)| *known == name);
            match verdict {
                None => ScriptState::Unknown,
                Some((_, true)) => ScriptState::Good,
                Some((_, false)) => ScriptState::Bad,
            }
        };
        // In the configuration's order, which a reload need not have kept.
        let ordered = self.config.instances.iter().filter_map(|config| {
            self.members.iter().find(|member| member.config().key() == config.key())
        });
        let instances = ordered.map(|member| {
            let link = known.link(&member.config().interface);
            InstanceView {
                instance: &member.instance,
                in_state: now.saturating_sub(member.watch.since),
                link: link.map_or(0, |link| link.index),
                hardware: link.and_then(|link| link.hardware),
            }
        });
        let groups = self.group_states();
        let from = || format!("keepalived@{}", crate::notify::host_name());
        View {
            config: &self.config,
            version: self.options.persona.version().to_string(),
            router_id: self.router_id(),
            mail_from: self.config.globals.mail.from.clone().unwrap_or_else(from),
            instances: instances.collect(),
            groups: groups.map(|(group, state)| GroupView { name: &group.name, state }).collect(),
            scripts: self.config.scripts.iter().map(|s| script(&s.name)).collect(),
            files: Vec::new(),
        }
    }
}
