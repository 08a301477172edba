//! Where adverts come from and go to.

use std::net::IpAddr;

use conf::{Binder, Stmt, Word};
use vrrp::config::{OldChecksum, UnicastPeer};

use super::complain;
use crate::draft::InstanceDraft;
use crate::number::unsigned;

/// An address; a prefix behind it is not looked at.
fn bare(text: &str) -> Result<IpAddr, std::net::AddrParseError> {
    text.split('/').next().unwrap_or_default().parse()
}

pub(super) fn unicast_src_ip(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    instance.unicast = true;
    source(instance, words, b);
}

pub(super) fn source(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let (name, word) = (&instance.name, &words[0]);
    match bare(&word.text) {
        Ok(address) if instance.ipv6().is_some_and(|ipv6| ipv6 != address.is_ipv6()) => {
            let said = format!(
                "Configuration error: VRRP instance[{name}] and src address[{}] MUST be of the same family !!! Skipping...",
                word.text
            );
            complain(b, word.span, said);
        }
        Ok(address) => instance.source = Some(address),
        Err(_) => {
            let said = format!(
                "Configuration error: VRRP instance[{name}] malformed src address[{}]. Skipping...",
                word.text
            );
            complain(b, word.span, said);
        }
    }
}

pub(super) fn unicast_peer(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    instance.unicast = true;
    for line in stmt.body() {
        let (name, text) = (&instance.name, line.word(0));
        let Ok(peer) = bare(text) else {
            let said = format!(
                "Configuration error: VRRP instance[{name}] malformed unicast peer address[{text}]. Skipping..."
            );
            complain(b, line.at(), said);
            continue;
        };
        if instance.ipv6().is_some_and(|ipv6| ipv6 != peer.is_ipv6()) {
            let said = format!(
                "Configuration error: VRRP instance[{name}] and unicast peer address[{text}] MUST be of the same family !!! Skipping..."
            );
            complain(b, line.at(), said);
            continue;
        }
        let mut peer = UnicastPeer::from(peer);
        let mut options = &line.words[1..];
        while let Some((word, after)) = options.split_first() {
            match (word.text.as_str(), after.first()) {
                (_, None) => {
                    complain(b, word.span, format!("({name}) {} is missing a value", word.text))
                }
                ("min_ttl" | "max_ttl", Some(value)) => match unsigned(&value.text, 0..=255) {
                    Ok(hops) => {
                        let hops = u8::try_from(hops).ok();
                        if word.text == "min_ttl" {
                            peer.min_ttl = hops;
                        } else {
                            peer.max_ttl = hops;
                        }
                        // As keepalived: only known peers have a range.
                        instance.common.check_unicast_source = Some(true);
                    }
                    Err(said) => complain(b, value.span, said),
                },
                _ => complain(
                    b,
                    word.span,
                    format!("({name}) unknown unicast_peer option {}", word.text),
                ),
            }
            options = after.get(1..).unwrap_or_default();
        }
        if !instance.peers.iter().any(|there| there.address == peer.address) {
            instance.peers.push(peer);
        }
    }
}

pub(super) fn unicast_ttl(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=255) {
        Ok(number) => {
            instance.unicast_ttl = u8::try_from(number).ok();
        }
        Err(said) => {
            let (name, text) = (&instance.name, &words[0].text);
            let said =
                format!("{said}\n({name}): TTL '{text}' not valid - must be between 0 & 255");
            complain(b, words[0].span, said);
        }
    }
}

pub(super) fn mcast_dst_ip(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let (name, word) = (&instance.name, &words[0]);
    match word.text.parse::<IpAddr>() {
        Ok(group) if instance.ipv6().is_some_and(|ipv6| ipv6 != group.is_ipv6()) => {
            let said = format!(
                "({name}) mcast dest address {} MUST match VRRP instance family. Skipping...",
                word.text
            );
            complain(b, word.span, said);
        }
        Ok(group) if group.is_multicast() => instance.multicast_group = Some(group),
        Ok(_) => {
            let said = format!("({name}) mcast_dst_ip {} not multicast. Skipping...", word.text);
            complain(b, word.span, said);
        }
        Err(_) => {
            let said = format!("({name}) malformed mcast dest address {}. Skipping...", word.text);
            complain(b, word.span, said);
        }
    }
}

/// `[never]`
pub(super) fn old_unicast_checksum(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    instance.unicast = true;
    instance.old_checksum = match words.first().map(|w| (w, w.text.as_str())) {
        None => OldChecksum::Always,
        Some((_, "never")) => OldChecksum::Never,
        Some((word, text)) => {
            let name = &instance.name;
            let said = format!("({name}) Unknown old_unicast_chksum mode {text} - ignoring");
            return complain(b, word.span, said);
        }
    };
}
