//! Every field of an advert, as keepalived writes it: the bytes of its packets, in words.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use lab::{Advert, Moment, Sum};

use crate::group::{Auth, Group, PRIORITIES, VRID};

/// Checks what one start of a router sent, from its first advert on.
pub(crate) fn adverts(group: &Group, place: usize, adverts: &[(Moment, Advert)]) -> Result<()> {
    let last = adverts.len() - 1;
    // One that was backup goes on where the master was.
    let first = adverts.first().and_then(|(_, advert)| advert.ah).map_or(0, |(_, first, _)| first);
    for (number, (_, advert)) in adverts.iter().enumerate() {
        one(group, place, advert)?;
        let row = group.row;
        ensure!(
            advert.priority == PRIORITIES[place] || (advert.priority == 0 && number == last),
            "priority {} in advert {number} of {last}",
            advert.priority
        );
        if group.is_frr(place) {
            continue;
        }
        let counted = number as u32 + 1;
        if let Some((id, flags)) = advert.id_and_flags {
            ensure!(u32::from(id) == counted, "identification {id} in advert {counted}");
            ensure!(flags == 0, "flags and offset {flags:#06x}");
        }
        match (row.auth, advert.ah) {
            (Auth::Ah, Some((spi, sequence, check))) => {
                ensure!(group.source(place) == Some(IpAddr::V4(spi.into())), "SPI {spi:#010x}");
                ensure!(
                    sequence - first == number as u32,
                    "sequence {sequence}, {number} after {first}"
                );
                ensure!(check != [0; 12], "no check value");
            }
            (Auth::Ah, None) => anyhow::bail!("no authentication header"),
            (_, ah) => ensure!(ah.is_none(), "an authentication header"),
        }
    }
    Ok(())
}

fn one(group: &Group, place: usize, advert: &Advert) -> Result<()> {
    let row = group.row;
    let (to, hardware): (IpAddr, _) = match (row.unicast, row.ipv6) {
        (false, false) => ([224, 0, 0, 18].into(), Some([1, 0, 0x5e, 0, 0, 0x12])),
        (false, true) => ("ff02::12".parse()?, Some([0x33, 0x33, 0, 0, 0, 0x12])),
        (true, _) => {
            let peer = group.source(1 - place);
            (peer.unwrap_or(advert.to), None)
        }
    };
    ensure!(advert.to == to, "sent to {}, not {to}", advert.to);
    if let Some(hardware) = hardware {
        ensure!(advert.hardware.0 == hardware, "sent to {:x?}", advert.hardware.0);
    }
    match group.source(place) {
        Some(own) => ensure!(advert.source == own, "sent from {}, not {own}", advert.source),
        None => ensure!(is_link_local(advert.source), "sent from {}", advert.source),
    }
    // IPv6 unicast goes out with the kernel's hop limit.
    let ttl = if row.ipv6 && row.unicast { 64 } else { 255 };
    ensure!(advert.ttl == ttl, "TTL {}, not {ttl}", advert.ttl);
    if !(group.is_frr(place) && row.ipv6) {
        ensure!(advert.class == 0xc0, "class {:#04x}", advert.class);
    }
    ensure!(advert.header_sum, "the IPv4 header's checksum is wrong");
    ensure!(advert.version == row.version, "version {}", advert.version);
    ensure!(advert.kind == 1 && advert.vrid == VRID, "type {} of {}", advert.kind, advert.vrid);
    ensure!(advert.addresses == group.addresses, "addresses {:?}", advert.addresses);
    if row.version == 2 {
        let kind = [Auth::None, Auth::Pass, Auth::Ah].iter().position(|auth| *auth == row.auth);
        ensure!(Some(advert.auth_type.into()) == kind, "authentication {}", advert.auth_type);
        ensure!(u128::from(advert.interval) == row.interval().as_secs().into(), "interval");
        ensure!(advert.sum == Sum::Plain, "the checksum covers {:?}", advert.sum);
        ensure!(advert.rest == crate::trailer(row.auth), "trailer {:02x?}", advert.rest);
    } else {
        ensure!(advert.auth_type == 0, "reserved bits {}", advert.auth_type);
        let hundredths = row.interval().as_millis() / 10;
        ensure!(u128::from(advert.interval) == hundredths, "interval {}", advert.interval);
        ensure!(advert.sum == Sum::Pseudo, "the checksum covers {:?}", advert.sum);
        ensure!(advert.rest.is_empty(), "trailer {:02x?}", advert.rest);
    }
    Ok(())
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(six) if six.is_unicast_link_local())
}
