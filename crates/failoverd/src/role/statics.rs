//! Static addresses: put up at the start, and again whenever they are lost.

use netlink::Address;
use vrrp::State;
use vrrp::config::{InstanceConfig, VirtualAddress};

use super::Role;
use crate::dump::text::Shown;
use crate::worker::Work;

impl Role {
    /// The static addresses that are put up: all but those an instance holds while it is master.
    pub(super) fn wanted_statics(&self) -> Vec<VirtualAddress> {
        let is_virtual = |address: &&VirtualAddress| !self.is_virtual(address);
        self.config.static_addresses.iter().filter(is_virtual).cloned().collect()
    }

    /// The static addresses that are not put up, being virtual ones.
    pub(super) fn unwanted_statics(&self) -> Vec<VirtualAddress> {
        let is_virtual = |address: &&VirtualAddress| self.is_virtual(address);
        self.config.static_addresses.iter().filter(is_virtual).cloned().collect()
    }

    /// Whether an instance holds `address` while it is master, on whichever interface.
    fn is_virtual(&self, address: &VirtualAddress) -> bool {
        let mut held = self.config.instances.iter().flat_map(InstanceConfig::held);
        held.any(|held| held.address == address.address)
    }

    /// Whether an instance is master of `address`.
    fn is_held(&self, address: &VirtualAddress) -> bool {
        let masters = self.members.iter().filter(|m| m.instance.state() == State::Master);
        let mut held = masters.flat_map(|member| member.config().held());
        held.any(|held| held.address == address.address)
    }

    /// Puts up an address that is nobody's virtual one.
    pub(super) fn add_static(&self, address: &VirtualAddress) {
        let default = self.default_interface();
        match self.new_address(address, default, None) {
            Some(new) => self.worker.queue(Work::Add(new)),
            None => self.complain(format_args!(
                "interface {} for ip address {} doesn't exist",
                address.interface.as_deref().unwrap_or(default),
                address.address
            )),
        }
    }

    /// Takes it away.
    pub(super) fn remove_static(&mut self, address: &VirtualAddress) {
        let default = self.default_interface();
        if let Some(new) = self.new_address(address, default, None) {
            self.removing.insert(new.address);
            self.worker.queue(Work::Remove(new));
        }
    }

    /// From the static addresses `before` to those wanted now.
    pub(super) fn change_statics(&mut self, before: &[VirtualAddress]) {
        let after = self.wanted_statics();
        for address in before.iter().filter(|address| !after.contains(address)) {
            // It may be a virtual address now, and one of a master.
            if !self.is_held(address) {
                self.remove_static(address);
            }
        }
        for address in after.iter().filter(|address| !before.contains(address)) {
            self.add_static(address);
        }
    }

    /// Puts up the static addresses of an interface that came up.
    pub(super) fn add_statics_on(&self, interface: &str) {
        let default = self.default_interface();
        let on = |address: &&VirtualAddress| {
            address.interface.as_deref().unwrap_or(default) == interface
        };
        for address in self.wanted_statics().iter().filter(on) {
            self.add_static(address);
        }
    }

    /// Puts a static address that somebody else took away back, and lets the instances that depend
    /// on it know.
    pub(super) fn static_lost(&mut self, lost: Address) {
        if self.config.static_addresses.is_empty() {
            return;
        }
        let default = self.default_interface();
        let of = |address: &&VirtualAddress| {
            let is_it = |new: netlink::NewAddress| new.address == lost;
            self.new_address(address, default, None).is_some_and(is_it)
        };
        let Some(address) = self.wanted_statics().iter().find(of).cloned() else { return };
        let interface = self.link_name(lost.link).to_owned();
        let shown = Shown { address: &address, interface, set: true };
        self.log.info(format_args!("Restoring deleted static address {shown}"));
        self.add_static(&address);
        self.lost_of_group(address.track_group.as_deref());
    }
}
