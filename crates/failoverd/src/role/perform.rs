//! Carrying out what an instance asks for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use daemon::log::Severity;
use netlink::{Address, NewAddress};
use vrrp::config::{Broadcast, RESIGN, VirtualAddress};
use vrrp::{Action, LogLine};
use wire::arp::Frame;
use wire::ndisc;

use super::{Parting, Role};
use crate::notify::Told;
use crate::sysctl;
use crate::worker::Work;

impl Role {
    /// Carries out `actions` of one instance, in order, and notes when it is due again.
    pub(super) fn perform(&mut self, index: usize, actions: &mut Vec<Action>) {
        self.schedule(index);
        for action in actions.drain(..) {
            match action {
                Action::SendAdvert { priority } => {
                    self.send_advert(index, priority);
                    self.note_advert(index, priority);
                }
                Action::AddAddresses { addresses, lifetime } => {
                    self.add_addresses(index, &addresses, lifetime, Work::Add);
                }
                Action::RemoveAddresses { addresses } => self.remove_addresses(index, &addresses),
                Action::RenewLease { lifetime } => {
                    let held: Vec<_> = self.members[index].config().held().cloned().collect();
                    self.add_addresses(index, &held, Some(lifetime), Work::Renew);
                    self.members[index].watch.renewals += 1;
                }
                Action::Announce { address, interface } => {
                    self.pace(index, address, &interface);
                }
                Action::Entered(state) => {
                    self.note_entered(index, state);
                    self.trap_instance(index, state);
                    self.tell_entered(index, state);
                }
                Action::HeardLowerPriority => {
                    self.tell_instance(index, Told::HeardLowerPriority);
                }
                Action::PriorityChanged { .. } => self.tell_priority(index),
                Action::AddRoutes { routes, rules } => self.add_routes(index, &routes, &rules),
                Action::RemoveRoutes { rules, routes } => {
                    self.remove_routes(index, &rules, &routes);
                }
                Action::Block { addresses } => self.block(index, addresses),
                Action::Log(line) => self.say(&line),
            }
        }
    }

    pub(super) fn say(&self, line: &LogLine) {
        if self.options.detail || !line.is_detail() {
            self.log.info(line);
        }
    }

    fn send_advert(&mut self, index: usize, priority: u8) {
        if priority == RESIGN {
            return self.send_parting(index);
        }
        let member = &mut self.members[index];
        let Some(key) = member.key else { return };
        let mut result = Ok(());
        for at in 0.. {
            let Some(to) = member.instance.config().destinations().nth(at) else { break };
            let Some(route) = member.route(to) else { break };
            self.packet.clear();
            if !member.instance.packet(priority, to, &mut self.packet) {
                continue;
            }
            if let Err(error) = self.links.send(key, &self.packet, route) {
                result = Err((to, error));
            }
        }
        self.note_sending(index, result);
    }

    /// Sends priority 0 as soon as the instance's addresses are gone, at once if they are.
    fn send_parting(&mut self, index: usize) {
        let config = self.members[index].config();
        let held =
            config.held().filter_map(|a| self.new_address(a, config.address_interface(), None));
        let addresses: Vec<_> = held.map(|new| new.address).collect();
        let member = &mut self.members[index];
        let Some(key) = member.key else { return };
        let destinations: Vec<_> = member.instance.config().destinations().collect();
        for to in destinations {
            let Some(route) = member.route(to) else { continue };
            let mut packet = Vec::new();
            if member.instance.packet(RESIGN, to, &mut packet) {
                self.partings.push(Parting { key, packet, route, addresses: addresses.clone() });
            }
        }
        self.part();
    }

    /// Logs when sending begins to fail, once until it succeeds again.
    fn note_sending(&mut self, index: usize, result: Result<(), (IpAddr, io::Error)>) {
        let member = &mut self.members[index];
        match result {
            Ok(()) => member.send_failing = false,
            Err(_) if member.send_failing => {}
            Err((to, error)) => {
                member.send_failing = true;
                let name = &member.instance.config().name;
                let line = format_args!("({name}) cannot send an advert to {to}: {error}");
                self.log.write(Severity::Error, line);
            }
        }
    }

    fn add_addresses(
        &self,
        index: usize,
        addresses: &[VirtualAddress],
        lifetime: Option<Duration>,
        work: fn(NewAddress) -> Work,
    ) {
        let interface = self.members[index].config().address_interface();
        for address in addresses {
            // An interface that is gone takes its addresses with it, and the instance knows.
            if let Some(new) = self.new_address(address, interface, lifetime) {
                self.worker.queue(work(new));
            }
        }
    }

    fn remove_addresses(&mut self, index: usize, addresses: &[VirtualAddress]) {
        if self.stopping_with_addresses() {
            // Without lifetime, they outlive us.
            return self.add_addresses(index, addresses, None, Work::Add);
        }
        let interface = self.members[index].config().address_interface().to_owned();
        for address in addresses {
            if let Some(new) = self.new_address(address, &interface, None) {
                self.removing.insert(new.address);
                self.worker.queue(Work::Remove(new));
            }
        }
    }

    /// `--dont-release-vrrp`, and an instance that was told to stop.
    pub(super) fn stopping_with_addresses(&self) -> bool {
        self.options.keep_addresses && self.stopping
    }

    pub(super) fn announce(&self, address: IpAddr, interface: &str) {
        let Some(link) = self.monitor.known().link(interface) else { return };
        let Some(mac) = link.hardware else { return };
        let link = link.index;
        let frame = match address {
            IpAddr::V4(address) => Frame::gratuitous(mac, address).to_bytes().to_vec(),
            IpAddr::V6(address) => {
                let forwards = sysctl::get("ipv6", interface, "forwarding");
                let router = forwards.is_some_and(|value| value != "0");
                ndisc::unsolicited(mac, address, router).to_vec()
            }
        };
        self.worker.queue(Work::Announce { link, frame });
    }

    pub(super) fn complain(&self, line: impl fmt::Display) {
        self.log.write(Severity::Warning, format_args!("WARNING - {line}"));
    }

    /// What to ask netlink for; nothing while the interface does not exist.
    pub(super) fn new_address(
        &self,
        address: &VirtualAddress,
        default: &str,
        lifetime: Option<Duration>,
    ) -> Option<NewAddress> {
        let interface = address.interface.as_deref().unwrap_or(default);
        let link = self.monitor.known().link(interface)?;
        let broadcast = match (address.address, address.broadcast) {
            (IpAddr::V4(_), Some(Broadcast::Address(broadcast))) => Some(broadcast),
            (IpAddr::V4(ip), Some(kind)) => Some(broadcast_of(ip, address.prefix_len, kind)),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
        };
        let prefix_len = address.peer.map_or(address.prefix_len, |peer| peer.len);
        Some(NewAddress {
            address: Address { link: link.index, address: address.address, prefix_len },
            label: address.label.clone(),
            scope: address.scope.unwrap_or(0),
            broadcast,
            peer: address.peer.map(|peer| peer.address),
            flags: address.flags,
            detect_duplicates: address.detect_duplicates,
            preferred: address.preferred,
            lifetime: lifetime.and_then(|lifetime| u32::try_from(lifetime.as_secs()).ok()),
        })
    }
}

/// The broadcast address `+` and `-` stand for (ip-address(8)).
fn broadcast_of(address: Ipv4Addr, prefix_len: u8, kind: Broadcast) -> Ipv4Addr {
    let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    match kind {
        Broadcast::Address(address) => address,
        Broadcast::HostBitsSet => Ipv4Addr::from_bits(address.to_bits() | host_bits),
        Broadcast::HostBitsClear => Ipv4Addr::from_bits(address.to_bits() & !host_bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_and_minus_set_and_clear_the_host_bits() {
        let address = Ipv4Addr::new(192, 0, 2, 77);
        let cases = [
            (24, Broadcast::HostBitsSet, [192, 0, 2, 255]),
            (24, Broadcast::HostBitsClear, [192, 0, 2, 0]),
            (32, Broadcast::HostBitsSet, [192, 0, 2, 77]),
            (0, Broadcast::HostBitsSet, [255, 255, 255, 255]),
            (0, Broadcast::HostBitsClear, [0, 0, 0, 0]),
        ];
        for (prefix_len, kind, expected) in cases {
            assert_eq!(broadcast_of(address, prefix_len, kind), Ipv4Addr::from(expected));
        }
    }
}
