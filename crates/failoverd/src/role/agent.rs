//! What an SNMP master agent is told of a role.

use vrrp::State;

use super::Role;
use crate::snmp::{Agent, AgentEvent, Names, Trap, group_changed, instance_changed};

impl Role {
    /// Goes on with the conversation.
    pub(super) fn agent_did(&mut self, event: AgentEvent) {
        let now = self.clock.now();
        let said = match event {
            AgentEvent::Connected(connection) => self.agent.connected(now, connection),
            AgentEvent::Ready => {
                let mut agent = std::mem::replace(&mut self.agent, Agent::idle());
                let said = agent.serve(now, || (self.look(), self.names()));
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
        self.trap(instance_changed(index, config, state, &self.names().router_id));
    }

    /// Tells of a sync group that entered a state.
    pub(super) fn trap_group(&mut self, name: &str, state: State) {
        if !self.agent.wants_traps() {
            return;
        }
        let place = self.config.sync_groups.iter().position(|group| group.name == name);
        self.trap(group_changed(place.unwrap_or(0), name, state, &self.names().router_id));
    }

    fn trap(&mut self, trap: Trap) {
        let now = self.clock.now();
        if let Some(line) = self.agent.notify(now, trap) {
            self.log.info(line);
        }
    }

    fn names(&self) -> Names {
        let host = crate::notify::host_name();
        let short = || host.split('.').next().unwrap_or_default().to_owned();
        let globals = &self.config.globals;
        Names {
            version: self.options.persona.version(),
            router_id: globals.router_id.clone().unwrap_or_else(short),
            mail_from: globals.mail.from.clone().unwrap_or_else(|| format!("root@{host}")),
        }
    }
}
