//! What a master holds: addresses, routes and rules, and the packet filter's say about them.

use alloc::vec::Vec;

use super::Instance;
use crate::action::Action;
use crate::config::{InstanceConfig, OWNER, VirtualAddress};
use crate::log::Message;

impl Instance {
    /// Puts everything up, in keepalived's order.
    pub(super) fn hold(&self, actions: &mut Vec<Action>) {
        self.log_addresses(true, actions);
        self.hold_quietly(actions);
    }

    /// The same without a word.
    pub(super) fn hold_quietly(&self, actions: &mut Vec<Action>) {
        let addresses: Vec<VirtualAddress> = self.config.held().cloned().collect();
        if self.config.is_blocked() {
            actions.push(Action::Block { addresses: addresses.clone() });
        }
        if !addresses.is_empty() {
            let lifetime = self.lease.map(|lease| lease.lifetime);
            actions.push(Action::AddAddresses { addresses, lifetime });
        }
        let (routes, rules) = (self.config.routes.clone(), self.config.rules.clone());
        if !routes.is_empty() || !rules.is_empty() {
            actions.push(Action::AddRoutes { routes, rules });
        }
    }

    /// Takes everything away, in keepalived's order.
    pub(super) fn let_go(&self, actions: &mut Vec<Action>) {
        self.log_addresses(false, actions);
        let (routes, rules) = (self.config.routes.clone(), self.config.rules.clone());
        if !routes.is_empty() || !rules.is_empty() {
            actions.push(Action::RemoveRoutes { rules, routes });
        }
        let addresses: Vec<VirtualAddress> = self.config.held().cloned().collect();
        if !addresses.is_empty() {
            actions.push(Action::RemoveAddresses { addresses });
        }
        if self.config.is_blocked() {
            actions.push(Action::Block { addresses: Vec::new() });
        }
    }

    pub(super) fn log_addresses(&self, adding: bool, actions: &mut Vec<Action>) {
        let config = &self.config;
        let lines = [
            (!config.addresses.is_empty(), Message::Vips { adding, excluded: false }),
            (!config.excluded.is_empty(), Message::Vips { adding, excluded: true }),
        ];
        let others = [
            (!config.routes.is_empty(), Message::Routes { adding }),
            (!config.rules.is_empty(), Message::Rules { adding }),
        ];
        let firewall = (config.is_blocked(), Message::Firewall { adding });
        let mut say = |(there, message): (bool, Message)| {
            if there {
                self.log(message, actions);
            }
        };
        if adding {
            say(firewall);
            lines.into_iter().chain(others).for_each(say);
        } else {
            others.into_iter().rev().chain(lines).for_each(&mut say);
            say(firewall);
        }
    }
}

impl InstanceConfig {
    /// Whether packets for its addresses are dropped, but neighbour discovery (RFC 9568 §6.1,
    /// Accept_Mode): never those of the owner.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        !self.accept && self.priority != OWNER && self.held().next().is_some()
    }
}
