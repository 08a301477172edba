//! From one configuration to another.

use alloc::vec::Vec;

use machine::Instant;

use super::master::Master;
use super::{Instance, Role, lease_of, listed};
use crate::action::Action;
use crate::config::{InstanceConfig, OldChecksum, VirtualAddress};
use crate::log::Message;
use crate::track::{Trackables, Tracked};

impl Instance {
    /// Goes on under another configuration of the same interface, virtual router and family: a
    /// master stays master, and only the addresses that differ are added or removed.
    ///
    /// What is tracked from now on decides once it is told: interfaces by [`Event::Link`](crate::Event::Link), scripts
    /// by [`Event::Script`](crate::Event::Script).
    pub fn reconfigure<'a>(
        &mut self,
        config: InstanceConfig,
        declared: impl Into<Trackables<'a>>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.wake(now, actions);
        self.tracked = Tracked::new(&config, declared.into(), &self.tracked);
        let before = core::mem::replace(&mut self.config, config);
        self.name = self.config.name.as_str().into();
        self.ceiling = None;
        self.update_priority();
        self.lease = lease_of(&self.config);
        self.listed = listed(&self.config);
        self.old_checksum = match self.config.old_unicast_checksum {
            OldChecksum::Detect => self.old_checksum && !self.config.unicast_peers.is_empty(),
            OldChecksum::Always => true,
            OldChecksum::Never => false,
        };
        self.logged = 0;
        let same_interval = self.config.advert_interval == before.advert_interval
            && self.config.version == before.version;
        if !same_interval {
            self.master_interval = self.config.advert_interval;
        }
        if self.started {
            self.log_missing_lease(actions);
        }
        match self.role {
            Role::Master(_) => self.reconfigure_master(&before, now, actions),
            Role::Backup(_) => {
                let longest = now + self.master_down_interval();
                if let Role::Backup(backup) = &mut self.role {
                    backup.reconfigure(longest, self.config.preempt_delay);
                }
            }
            Role::Init | Role::Fault => {}
        }
        self.reconsider(now, actions);
    }

    /// A master's part of [`Instance::reconfigure`].
    pub(super) fn reconfigure_master(
        &mut self,
        before: &InstanceConfig,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Role::Master(master) = &self.role else { return };
        if !master.holds() {
            return self.send_advert(now, actions);
        }
        let config = &self.config;
        let is_held = |gone: &VirtualAddress| config.held().any(|held| held == gone);
        let removed: Vec<VirtualAddress> =
            before.held().filter(|held| !is_held(held)).cloned().collect();
        for address in &removed {
            let (address, interface) = (address.clone(), before.interface_of(address).into());
            self.log(Message::AddressGone { address, interface }, actions);
        }
        let rules = missing(&before.rules, &config.rules);
        let routes = missing(&before.routes, &config.routes);
        if !rules.is_empty() || !routes.is_empty() {
            actions.push(Action::RemoveRoutes { rules, routes });
        }
        let is_new = |held: &VirtualAddress| before.held().all(|known| known != held);
        let addresses_change = !removed.is_empty() || config.held().any(is_new);
        if !removed.is_empty() {
            actions.push(Action::RemoveAddresses { addresses: removed });
        }
        let (blocked, was_blocked) = (config.is_blocked(), before.is_blocked());
        if blocked != was_blocked || (blocked && addresses_change) {
            let blocked = config.held().filter(|_| blocked);
            actions.push(Action::Block { addresses: blocked.cloned().collect() });
        }
        let was_held = |new: &VirtualAddress| before.held().any(|held| held == new);
        let lifetime = self.lease.map(|lease| lease.lifetime);
        let lifetime_changed = lifetime.is_none() && master.renewable(before);
        let added: Vec<VirtualAddress> = (self.config.held())
            .filter(|held| lifetime_changed || !was_held(held))
            .cloned()
            .collect();
        let any_new = added.iter().any(|address| !was_held(address));
        // An advert first: it also renews what stays.
        self.send_advert(now, actions);
        if any_new {
            self.log_addresses(true, actions);
        }
        if !added.is_empty() {
            actions.push(Action::AddAddresses { addresses: added, lifetime });
        }
        let routes = missing(&self.config.routes, &before.routes);
        let rules = missing(&self.config.rules, &before.rules);
        if !routes.is_empty() || !rules.is_empty() {
            actions.push(Action::AddRoutes { routes, rules });
        }
        if let Role::Master(master) = &mut self.role
            && any_new
        {
            let to = &mut Self::to(&self.name, &self.config, actions);
            master.announcer.addresses_changed(now, to);
        }
    }
}

/// Those of `all` that are not among `others`.
fn missing<T: Clone + PartialEq>(all: &[T], others: &[T]) -> Vec<T> {
    all.iter().filter(|one| !others.contains(one)).cloned().collect()
}

impl Master {
    /// Whether its addresses had a lifetime under `before`.
    fn renewable(&self, before: &InstanceConfig) -> bool {
        super::lease_of(before).is_some()
    }
}
