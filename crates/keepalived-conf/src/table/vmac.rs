//! `use_vmac` and `use_ipvlan`: interfaces of the virtual router's own.

use std::net::IpAddr;

use conf::{Binder, Stmt, Word};
use vrrp::config::{IpvlanMode, VmacConfig, VmacKind};

use super::complain;
use crate::draft::InstanceDraft;
use crate::number::unsigned;

/// The longest name of an interface the kernel takes.
const MAX_NAME: usize = 15;

fn made(kind: VmacKind) -> VmacConfig {
    VmacConfig { kind, name: None, xmit_base: false, group: None, netlink_notify: false }
}

/// `[[name] <ifname>] [<mac>] [netlink_notify_msg] [group <number>]`
pub(super) fn use_vmac(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    if instance.vmac.as_ref().is_some_and(|v| matches!(v.kind, VmacKind::Ipvlan { .. })) {
        // As in keepalived, an ipvlan it is.
        return;
    }
    let mut vmac = instance.vmac.take().unwrap_or_else(|| made(VmacKind::Macvlan(None)));
    let mut words = stmt.words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "netlink_notify_msg" => vmac.netlink_notify = true,
            "group" => group(&mut vmac, words.next(), b),
            "name" => {
                if let Some(word) = words.next() {
                    name(&mut vmac, word, b);
                }
            }
            text if text.contains(':') => mac(&mut vmac, word, b),
            _ => name(&mut vmac, word, b),
        }
    }
    instance.vmac = Some(vmac);
}

fn group(vmac: &mut VmacConfig, word: Option<&Word>, b: &mut Binder) {
    let Some(word) = word else { return };
    match unsigned(&word.text, 0..=u32::MAX) {
        Ok(number) => vmac.group = Some(number),
        Err(said) => complain(b, word.span, said),
    }
}

fn name(vmac: &mut VmacConfig, word: &Word, b: &mut Binder) {
    let text = &word.text;
    if vmac.name.is_some() {
        complain(b, word.span, "VMAC interface name already specified");
    } else if text.len() > MAX_NAME || text.contains('/') {
        let said =
            format!("VMAC interface name '{text}' too long or invalid characters - ignoring");
        complain(b, word.span, said);
    } else {
        vmac.name = Some(word.owned());
    }
}

fn mac(vmac: &mut VmacConfig, word: &Word, b: &mut Binder) {
    let text = &word.text;
    let parts: Vec<Option<u8>> =
        text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    let bytes: Option<Vec<u8>> = parts.into_iter().collect();
    let Some(bytes) = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) else {
        complain(b, word.span, format!("VMAC invalid MAC address {text} - ignored"));
        return;
    };
    if matches!(vmac.kind, VmacKind::Macvlan(Some(_))) {
        complain(b, word.span, "VMAC interface address already specified");
    } else if bytes[0] & 1 != 0 {
        complain(b, word.span, format!("VMAC MAC address is multicast {text} - ignoring"));
    } else if bytes[..4] == [0, 0, 0x5e, 0] && (1..=2).contains(&bytes[4]) {
        let said =
            format!("VMAC MAC address not allowed to be RFC5798 address ({text}) - ignoring");
        complain(b, word.span, said);
    } else {
        vmac.kind = VmacKind::Macvlan(Some(bytes));
    }
}

/// `[[name] <ifname>] [<addr>] [bridge|private|vepa] [group <number>]`
pub(super) fn use_ipvlan(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    let owner = instance.name.clone();
    let ipv6 = instance.ipv6();
    if instance.vmac.as_ref().is_some_and(|v| matches!(v.kind, VmacKind::Ipvlan { .. })) {
        complain(b, stmt.at(), format!("({owner}) use_ipvlan already specified"));
        return;
    }
    let mut vlan = made(VmacKind::Macvlan(None));
    let (mut address, mut mode): (Option<(IpAddr, u8)>, Option<IpvlanMode>) = (None, None);
    let mut words = stmt.words.iter().skip(1);
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        let wanted = match text {
            "bridge" => Some(IpvlanMode::Bridge),
            "private" => Some(IpvlanMode::Private),
            "vepa" => Some(IpvlanMode::Vepa),
            _ => None,
        };
        if let Some(wanted) = wanted {
            if mode.is_some() {
                let said = format!("({owner}) ipvlan type already specified - ignoring '{text}'");
                complain(b, word.span, said);
            }
            mode = mode.or(Some(wanted));
        } else if text == "group" {
            group(&mut vlan, words.next(), b);
        } else if let Some(parsed) = parse(text) {
            if address.is_some() {
                let said =
                    format!("({owner}) ipvlan address already specified - ignoring '{text}'");
                complain(b, word.span, said);
            } else if ipv6.is_some_and(|ipv6| ipv6 != parsed.0.is_ipv6()) {
                let said = format!(
                    "({owner}) ipvlan address[{text}] MUST match vrrp instance family !!! Skipping..."
                );
                complain(b, word.span, said);
            } else {
                address = Some(parsed);
            }
        } else {
            let text = if text == "name" { words.next() } else { Some(word) };
            let Some(word) = text else { break };
            let text = &word.text;
            if vlan.name.is_some() {
                let said =
                    format!("({owner}) IPVLAN interface already specified - ignoring '{text}'");
                complain(b, word.span, said);
            } else if text.len() > MAX_NAME {
                let said = format!("({owner}) IPVLAN interface name '{text}' too long - ignoring");
                complain(b, word.span, said);
            } else {
                vlan.name = Some(word.owned());
            }
        }
    }
    vlan.kind = VmacKind::Ipvlan { address, mode: mode.unwrap_or_default() };
    instance.vmac = Some(vlan);
}

/// An address, with or without the length of its prefix.
fn parse(text: &str) -> Option<(IpAddr, u8)> {
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let len = match len {
        Some(len) => len.parse().ok().filter(|len| *len <= full)?,
        None => full,
    };
    Some((address, len))
}
