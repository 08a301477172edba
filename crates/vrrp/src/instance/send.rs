//! Adverts on their way out: RFC 9568 §7.2.

use alloc::vec::Vec;
use core::net::IpAddr;

use wire::vrrp::{Advert, AuthData, PseudoHeader};
use wire::{ah, ipv4};

use super::Instance;
use crate::config::{Auth, MULTICAST_GROUP_V4};

impl Instance {
    /// Appends the advert of an [`Action::SendAdvert`](crate::Action::SendAdvert) for one of the
    /// [destinations](crate::config::InstanceConfig::destinations): over IPv4 the whole packet for a
    /// raw socket with its own header (`IP_HDRINCL`), over IPv6 what follows the header. False, and
    /// nothing appended, while there is no source address of the destination's family.
    #[must_use]
    pub fn packet(&mut self, priority: u8, destination: IpAddr, out: &mut Vec<u8>) -> bool {
        let Some(source) = self.tracked.source() else { return false };
        let auth = match self.config.auth {
            Some(Auth::Pass(password)) => AuthData::Simple(password),
            Some(Auth::Ah(_)) => AuthData::Header,
            None => AuthData::None,
        };
        let advert = Advert {
            version: self.config.version,
            vrid: self.config.vrid.0,
            priority,
            interval: self.config.advert_interval,
            auth,
            addresses: &self.listed,
        };
        let pseudo = !self.config.v3_checksum_as_v2 || source.is_ipv6();
        let old = self.old_checksum && !destination.is_multicast() && destination.is_ipv4();
        let counted = if old { MULTICAST_GROUP_V4.into() } else { destination };
        let ends = pseudo.then_some(PseudoHeader { source, destination: counted });
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.packet_id = self.packet_id.wrapping_add(1);
                let mut header = ipv4::Header::control(source, destination, self.packet_id);
                if !destination.is_multicast() {
                    header.ttl = self.config.unicast_ttl.unwrap_or(255);
                }
                let payload = &mut self.scratch;
                payload.clear();
                advert.encode(ends, payload);
                match self.config.auth {
                    Some(Auth::Ah(key)) => {
                        let sequence = self.counters.ah_sequence.wrapping_add(1).max(1);
                        self.counters.ah_sequence = sequence;
                        ah::encode(&header, sequence, &key, payload, out);
                    }
                    Some(Auth::Pass(_)) | None => header.encode(payload, out),
                }
                true
            }
            (IpAddr::V6(_), IpAddr::V6(_)) => {
                advert.encode(ends, out);
                true
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}
