//! Interfaces of virtual routers' own: which there are to be, and how one is made.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use netlink::{Address, Kernel, Link, NewAddress, NewLink, NewLinkKind, Request, Snapshot};
use vrrp::config::{Config, InstanceConfig, IpvlanMode, VmacConfig, VmacKind, Vrid};

use crate::sysctl::{self, Changed};

/// The longest name the kernel takes.
const LONGEST_NAME: usize = 15;

/// An interface there is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wish {
    /// Whose it is, for the log.
    pub(crate) instance: String,
    pub(crate) name: String,
    /// The interface below.
    pub(crate) parent: String,
    pub(crate) kind: NewLinkKind,
    pub(crate) group: Option<u32>,
    pub(crate) ipv6: bool,
    /// An ipvlan's own address.
    pub(crate) address: Option<(IpAddr, u8)>,
}

/// Names all interfaces the instances of `config` need, in it too: addresses that live on one name
/// it as their interface.
pub(crate) fn assign(config: &mut Config) -> Vec<Wish> {
    let prefix = config.globals.vmac_prefix.clone().unwrap_or_else(|| "vrrp".to_owned());
    let named = config.instances.iter().filter_map(|i| i.vmac.as_ref()?.name.clone());
    let mut taken: BTreeSet<String> = named.collect();
    let mut wishes = Vec::new();
    for instance in &mut config.instances {
        let (ipv6, vrid) = (!instance.is_ipv4(), instance.vrid);
        if let Some(vmac) = &mut instance.vmac {
            let name = vmac.name.get_or_insert_with(|| free_name(&prefix, ipv6, vrid, &mut taken));
            wishes.push(Wish {
                instance: instance.name.clone(),
                name: name.clone(),
                parent: instance.interface.clone(),
                kind: kind_of(vmac, ipv6, vrid),
                group: vmac.group,
                ipv6,
                address: address_of(vmac),
            });
        }
        wishes.append(&mut elsewhere(instance, &prefix, &mut taken));
    }
    wishes
}

/// The virtual MAC interfaces of an instance's addresses on other interfaces than its own.
fn elsewhere(
    instance: &mut InstanceConfig,
    prefix: &str,
    taken: &mut BTreeSet<String>,
) -> Vec<Wish> {
    let (ipv6, vrid) = (!instance.is_ipv4(), instance.vrid);
    let mut wishes: Vec<Wish> = Vec::new();
    let all = instance.vmac_addresses;
    for address in instance.addresses.iter_mut().chain(&mut instance.excluded) {
        let Some(parent) = address.interface.clone() else { continue };
        if !(all || address.vmac) {
            continue;
        }
        let known = wishes.iter().find(|wish| wish.parent == parent).map(|wish| wish.name.clone());
        let name = known.unwrap_or_else(|| {
            let name = free_name(prefix, ipv6, vrid, taken);
            wishes.push(Wish {
                instance: instance.name.clone(),
                name: name.clone(),
                parent,
                kind: NewLinkKind::Macvlan(virtual_mac(ipv6, vrid)),
                group: None,
                ipv6,
                address: None,
            });
            name
        });
        address.interface = Some(name);
    }
    wishes
}

/// `vrrp.51`; `vrrp4.51` or `vrrp6.51` if that is taken, or with a number.
fn free_name(prefix: &str, ipv6: bool, vrid: Vrid, taken: &mut BTreeSet<String>) -> String {
    let family = if ipv6 { "6" } else { "4" };
    let plain = [format!("{prefix}.{vrid}"), format!("{prefix}{family}.{vrid}")].into_iter();
    let numbered = (1_u32..).map(|number| format!("{prefix}{family}.{vrid}.{number}"));
    let mut names = plain.chain(numbered).map(|mut name| {
        name.truncate(LONGEST_NAME);
        name
    });
    let name = names.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn kind_of(vmac: &VmacConfig, ipv6: bool, vrid: Vrid) -> NewLinkKind {
    match vmac.kind {
        VmacKind::Macvlan(address) => {
            NewLinkKind::Macvlan(address.unwrap_or_else(|| virtual_mac(ipv6, vrid)))
        }
        VmacKind::Ipvlan { mode, .. } => NewLinkKind::Ipvlan(match mode {
            IpvlanMode::Bridge => 0,
            IpvlanMode::Private => 1,
            IpvlanMode::Vepa => 2,
        }),
    }
}

fn address_of(vmac: &VmacConfig) -> Option<(IpAddr, u8)> {
    match vmac.kind {
        VmacKind::Ipvlan { address, .. } => address,
        VmacKind::Macvlan(_) => None,
    }
}

/// RFC 9568 §7.3.
fn virtual_mac(ipv6: bool, vrid: Vrid) -> [u8; 6] {
    [0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, vrid.0]
}

/// What came of making one.
#[derive(Debug)]
pub(crate) struct Made {
    /// It was not there before.
    pub(crate) created: bool,
    /// Settings of other interfaces that were changed.
    pub(crate) changed: Vec<Changed>,
}

/// Makes the interface of `wish`, or takes the one an earlier process left, and sets it up.
///
/// # Errors
///
/// `ENODEV` while the interface below does not exist, `EEXIST` if there is one of the name that is
/// something else, and what the kernel says.
pub(crate) fn make(kernel: &mut Kernel, wish: &Wish) -> io::Result<Made> {
    let mut snapshot = kernel.snapshot()?;
    let parent = snapshot.link(&wish.parent).ok_or(io::ErrorKind::NotFound)?.clone();
    let mut created = false;
    let there = snapshot.link(&wish.name);
    if there.is_none_or(|link| !is_it(link, wish, parent.index)) {
        if let Some(other) = there {
            // Made for another configuration.
            if !matches!(other.kind.as_deref(), Some("macvlan" | "ipvlan")) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            ask(kernel, &NewLink::remove(other.index))?;
        }
        let new = NewLink {
            name: wish.name.clone(),
            parent: parent.index,
            kind: wish.kind,
            group: wish.group,
        };
        ask(kernel, &new.add())?;
        created = true;
        snapshot = kernel.snapshot()?;
    }
    let link = snapshot.link(&wish.name).ok_or(io::ErrorKind::NotFound)?.index;
    let changed = settings(wish)?;
    for address in own_addresses(wish, link, parent.index, &snapshot) {
        ask(kernel, &address.add())?;
    }
    ask(kernel, &NewLink::up(link))?;
    Ok(Made { created, changed })
}

/// Whether `link` is what `wish` asks for.
fn is_it(link: &Link, wish: &Wish, parent: u32) -> bool {
    let hardware = match wish.kind {
        NewLinkKind::Macvlan(address) => link.hardware == Some(address),
        NewLinkKind::Ipvlan(_) => true,
    };
    link.kind.as_deref() == Some(wish.kind.name()) && link.parent == Some(parent) && hardware
}

/// As keepalived has them: the interfaces of one link answer for their own addresses only, and what
/// comes back from a sibling is not taken for a forgery.
fn settings(wish: &Wish) -> io::Result<Vec<Changed>> {
    let mut changed = Vec::new();
    // No link-local address of the kernel's.
    sysctl::set("ipv6", &wish.name, "addr_gen_mode", "1")?;
    if wish.ipv6 {
        return Ok(changed);
    }
    sysctl::set("ipv6", &wish.name, "disable_ipv6", "1")?;
    changed.append(&mut loosen()?);
    let own = [
        ("arp_ignore", "1"),
        ("accept_local", "1"),
        ("promote_secondaries", "1"),
        ("rp_filter", "0"),
    ];
    for (name, value) in own {
        sysctl::set("ipv4", &wish.name, name, value)?;
    }
    for name in ["arp_ignore", "arp_filter"] {
        changed.extend(sysctl::set("ipv4", &wish.parent, name, "1")?);
    }
    Ok(changed)
}

/// Packets for a virtual address may come by another way than answers take, and of `rp_filter` the
/// greater of an interface's own and that of `all` counts. So `all` is cleared, and every other
/// interface gets what it had by it.
fn loosen() -> io::Result<Vec<Changed>> {
    let all = sysctl::get("ipv4", "all", "rp_filter").unwrap_or_default();
    let mut changed = Vec::new();
    if matches!(all.as_str(), "" | "0") {
        return Ok(changed);
    }
    for name in sysctl::interfaces("ipv4")? {
        let is_less = sysctl::get("ipv4", &name, "rp_filter").is_some_and(|own| own < all);
        if is_less && name != "lo" {
            changed.extend(sysctl::set("ipv4", &name, "rp_filter", &all)?);
        }
    }
    changed.extend(sysctl::set("ipv4", "all", "rp_filter", "0")?);
    Ok(changed)
}

/// What it has besides virtual addresses: an ipvlan its own; with IPv6 the link-local address of
/// the interface below, which adverts come from.
fn own_addresses(wish: &Wish, link: u32, parent: u32, known: &Snapshot) -> Vec<NewAddress> {
    let plain = |address, prefix_len| NewAddress::plain(Address { link, address, prefix_len });
    let own = wish.address.map(|(address, prefix_len)| plain(address, prefix_len));
    let local = known.addresses.iter().find(|there| {
        let is_local = matches!(there.address, IpAddr::V6(ip) if ip.is_unicast_link_local());
        there.link == parent && is_local
    });
    let local = local
        .filter(|_| wish.ipv6)
        .map(|local| NewAddress { preferred: Some(0), ..plain(local.address, local.prefix_len) });
    own.into_iter().chain(local).collect()
}

/// Takes it away. Returns whether it was there.
///
/// # Errors
///
/// What the kernel says.
pub(crate) fn remove(kernel: &mut Kernel, name: &str) -> io::Result<bool> {
    let snapshot = kernel.snapshot()?;
    let Some(link) = snapshot.link(name) else { return Ok(false) };
    ask(kernel, &NewLink::remove(link.index))?;
    Ok(true)
}

fn ask(kernel: &mut Kernel, request: &Request) -> io::Result<()> {
    match kernel.apply(std::slice::from_ref(request))?.pop() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
