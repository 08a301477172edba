//! What is done with a packet before the state decides: RFC 9568 §7.1.

use alloc::vec::Vec;
use core::net::IpAddr;

use machine::Instant;
use wire::vrrp::{Message as Packet, PseudoHeader};

use super::{ADDRESSES_LOGGED, Instance, Role};
use crate::accept::{Reject, accept, has_old_checksum};
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
        let accepted = accept(&self.config, datagram);
        let accepted = accepted.and_then(|packet| self.note_sequence(datagram).map(|()| packet));
        match accepted {
            // RFC 9568 §6.4.1 lets nothing but Startup move the Initialize state.
            Ok(_) if matches!(self.role, Role::Init | Role::Fault) => {}
            Ok(packet) => {
                self.counters.adverts_received += 1;
                self.counters.zero_received += u64::from(packet.priority == RESIGN);
                self.note_checksum(datagram, &packet, actions);
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

    /// RFC 2402 §3.4.3: no number is believed twice. The numbers of all routers are one row, as
    /// keepalived has it: who takes over goes on where the master before it stopped.
    fn note_sequence(&mut self, datagram: &Datagram<'_>) -> Result<(), Reject> {
        let Some(ah) = datagram.ah else { return Ok(()) };
        let (sequence, last) = (ah.sequence, self.counters.ah_sequence);
        if last != 0 && sequence.wrapping_sub(last).wrapping_sub(1) >= u32::MAX / 2 {
            return Err(Reject::AhReplay { sequence, last });
        }
        self.counters.ah_sequence = sequence;
        Ok(())
    }

    /// A peer may be a keepalived of before 1.3.6: it is answered in kind.
    fn note_checksum(
        &mut self,
        datagram: &Datagram<'_>,
        packet: &Packet<'_>,
        actions: &mut Vec<Action>,
    ) {
        let ends = PseudoHeader { source: datagram.source, destination: datagram.destination };
        if !self.old_checksum
            && has_old_checksum(&self.config, datagram, packet)
            && !packet.checksum_is_valid(Some(ends))
        {
            self.old_checksum = true;
            self.log(Message::OldChecksum, actions);
        }
    }

    /// Other addresses than ours are counted and logged, but no reason to drop an advert.
    fn compare_addresses(&mut self, from: IpAddr, packet: &Packet<'_>, actions: &mut Vec<Action>) {
        if self.config.skip_check_adv_addr && self.master == Some(from) {
            return;
        }
        // As it nearly always is; in another order they are the same, too, but dearer to compare.
        if packet.addresses().eq(self.listed.iter().copied()) {
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
