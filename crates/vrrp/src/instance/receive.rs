//! What is done with a packet before the state decides: RFC 9568 §7.1.

use alloc::vec::Vec;
use core::net::IpAddr;

use machine::Instant;
use wire::vrrp::Message as Packet;

use super::{ADDRESSES_LOGGED, Instance, Role};
use crate::accept::accept;
use crate::action::Action;
use crate::config::RESIGN;
use crate::event::Datagram;
use crate::log::Message;

impl Instance {
    pub(super) fn received(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        actions: &mut Vec<Action>,
    ) {
        match accept(&self.config, datagram) {
            // RFC 9568 §6.4.1 lets nothing but Startup move the Initialize state.
            Ok(_) if matches!(self.role, Role::Init | Role::Fault) => {}
            Ok(packet) => {
                self.counters.adverts_received += 1;
                self.counters.zero_received += u64::from(packet.priority == RESIGN);
                self.compare_addresses(datagram.source, &packet, actions);
                if matches!(self.role, Role::Master(_)) {
                    self.advert_while_master(now, datagram.source, &packet, actions);
                } else {
                    self.advert_while_backup(now, datagram.source, &packet, actions);
                }
            }
            Err(reject) => {
                self.counters.rejected[reject.cause()] += 1;
                let bit = u32::try_from(reject.cause()).unwrap_or(31);
                self.log_once(bit, Message::Rejected(reject), actions);
            }
        }
    }

    /// Other addresses than ours are counted and logged, but no reason to drop an advert.
    fn compare_addresses(&mut self, from: IpAddr, packet: &Packet<'_>, actions: &mut Vec<Action>) {
        if self.config.skip_check_adv_addr && self.master == Some(from) {
            return;
        }
        let (received, expected) = (packet.addresses().len(), self.config.addresses.len());
        let missing = self
            .config
            .addresses
            .iter()
            .map(|ours| ours.address)
            .find(|ours| !packet.addresses().any(|theirs| theirs == *ours));
        let message = if received != expected {
            Message::AddressCount { received, expected }
        } else if let Some(address) = missing {
            Message::AddressMissing { vrid: self.config.vrid, address }
        } else {
            return;
        };
        self.counters.address_mismatches += 1;
        self.log_once(ADDRESSES_LOGGED, message, actions);
    }
}
