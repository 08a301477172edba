//! Adverts on their way out: RFC 9568 §7.2.

use alloc::vec::Vec;
use core::net::IpAddr;

use wire::ipv4;
use wire::vrrp::{Advert, AuthData, PseudoHeader};

use super::Instance;
use crate::config::Auth;

impl Instance {
    /// Appends the advert of an [`Action::SendAdvert`] for one of the
    /// [destinations](InstanceConfig::destinations): over IPv4 the whole packet for a raw socket with
    /// its own header (`IP_HDRINCL`), over IPv6 what follows the header. False, and nothing
    /// appended, while there is no source address of the destination's family.
    #[must_use]
    pub fn packet(&mut self, priority: u8, destination: IpAddr, out: &mut Vec<u8>) -> bool {
        let Some(source) = self.tracked.source() else { return false };
        let auth = match self.config.auth {
            Some(Auth::Pass(password)) => AuthData::Simple(password),
            Some(Auth::Ah(_)) | None => AuthData::None,
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
        let ends = pseudo.then_some(PseudoHeader { source, destination });
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
                header.encode(payload, out);
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
