//! `------< Interfaces >------`

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use netlink::Link;
use vrrp::TrackerKind;

use super::text::line;
use crate::view::View;

/// linux/if.h
const IFF_UP: u32 = 1;
const IFF_BROADCAST: u32 = 1 << 1;
const IFF_LOOPBACK: u32 = 1 << 3;
const IFF_POINTOPOINT: u32 = 1 << 4;
const IFF_RUNNING: u32 = 1 << 6;
const IFF_NOARP: u32 = 1 << 7;
const IFF_MULTICAST: u32 = 1 << 12;

/// linux/if_arp.h
const ARPHRD_ETHER: u32 = 1;
const ARPHRD_INFINIBAND: u32 = 32;
const ARPHRD_LOOPBACK: u32 = 772;

/// What `/sys` says of a link; nothing if that is of another network namespace than ours.
struct Details {
    flags: u32,
    mtu: u32,
    kind: u32,
    broadcast: Option<String>,
}

fn details(link: &Link) -> Option<Details> {
    let directory = Path::new("/sys/class/net").join(&link.name);
    let text = |file: &str| fs::read_to_string(directory.join(file)).ok();
    let number = |file: &str| text(file)?.trim().parse().ok();
    if number("ifindex") != Some(link.index) {
        return None;
    }
    let flags = text("flags")?;
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
    // There it lacks what depends on the carrier.
    let running = if link.up { IFF_RUNNING } else { 0 };
    let broadcast = text("broadcast").map(|text| text.trim().to_owned());
    Some(Details { flags: flags | running, mtu: number("mtu")?, kind: number("type")?, broadcast })
}

/// All interfaces there are.
pub(super) fn write(out: &mut String, view: &View) {
    line!(out, "------< Interfaces >------");
    for link in view.network.links.values() {
        interface(out, link, view);
    }
}

fn interface(out: &mut String, link: &Link, view: &View) {
    line!(out, " Name = {}", link.name);
    line!(out, "   index = {}", link.index);
    let is_virtual = |address: IpAddr| {
        let mut held = view.routers.iter().flat_map(|router| router.config.held());
        held.any(|held| held.address == address)
    };
    let own = view.network.addresses.iter().filter(|a| a.link == link.index);
    let own = own.map(|a| a.address).filter(|&address| !is_virtual(address));
    let first = |found: Option<IpAddr>| found.map_or("(none)".to_owned(), |ip| ip.to_string());
    line!(out, "   IPv4 address = {}", first(own.clone().find(IpAddr::is_ipv4)));
    // keepalived takes the link-local one.
    let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    line!(out, "   IPv6 address = {}", first(own.clone().find(link_local)));
    let details = details(link);
    let loopback = details.as_ref().is_some_and(|d| d.kind == ARPHRD_LOOPBACK);
    if let Some(mac) = link.hardware.filter(|_| !loopback) {
        let [a, b, c, d, e, f] = mac;
        line!(out, "   MAC = {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        if let Some(broadcast) = details.as_ref().and_then(|d| d.broadcast.as_ref()) {
            line!(out, "   MAC broadcast = {broadcast}");
        }
    }
    line!(out, "   State = {}", flags(details.as_ref(), link.up));
    line!(out, "   Seen up = {}", u8::from(link.up));
    line!(out, "   Delayed state change running = false");
    let delays = view.config.interface_delays.iter().find(|d| d.interface == link.name);
    let (up, down) = delays.map_or((0, 0), |d| (d.up.as_micros(), d.down.as_micros()));
    line!(out, "   Up debounce timer = {up}us");
    line!(out, "   Down debounce timer = {down}us");
    if let Some(details) = &details {
        line!(out, "   MTU = {}", details.mtu);
        match details.kind {
            ARPHRD_LOOPBACK => line!(out, "   HW Type = LOOPBACK"),
            ARPHRD_ETHER => line!(out, "   HW Type = ETHERNET"),
            ARPHRD_INFINIBAND => line!(out, " HW Type = INFINIBAND"),
            other => line!(out, "   HW Type = UNKNOWN ({other})"),
        }
    }
    line!(out, "   NIC netlink status update");
    let groups = view.config.garp_groups.iter().enumerate();
    let mut groups = groups.filter(|(_, group)| group.interfaces.contains(&link.name));
    if let Some((at, group)) = groups.next() {
        let paces = [("ARP", group.garp_interval), ("NA", group.gna_interval)];
        for (name, pace) in paces {
            if let Some(pace) = pace.filter(|pace| !pace.is_zero()) {
                line!(out, "   Gratuitous {name} interval {}ms", pace.as_millis());
            }
        }
        line!(out, "   Gratuitous ARP aggregation group {}", at + 1);
    }
    // What keepalived remembers to put back. Ours changes none of these on an interface it did not make.
    line!(out, "   Reset ARP config counter 0");
    line!(out, "   Original arp_ignore 0");
    line!(out, "   Original arp_filter 0");
    line!(out, "   Original promote_secondaries 0");
    line!(out, "   Reset promote_secondaries counter 0");
    let follows = |router: &&crate::view::Router| {
        router.config.interface == link.name || tracker(router, &link.name).is_some()
    };
    let followers: Vec<_> = view.routers.iter().filter(follows).collect();
    if !followers.is_empty() {
        line!(out, "   Tracking VRRP instances :");
        for router in followers {
            let weight = tracker(router, &link.name).map_or(0, |tracker| tracker.weight);
            line!(out, "     {}, weight {weight}", router.config.name);
        }
    }
}

fn tracker<'a>(router: &'a crate::view::Router, name: &str) -> Option<&'a crate::view::Tracker> {
    let mut interfaces = router.trackers.iter().filter(|t| t.kind == TrackerKind::Interface);
    interfaces.find(|tracker| tracker.name == name)
}

fn flags(details: Option<&Details>, up: bool) -> String {
    let known = IFF_UP | IFF_RUNNING | IFF_BROADCAST | IFF_MULTICAST;
    let flags = details.map_or(if up { known } else { IFF_BROADCAST | IFF_MULTICAST }, |d| d.flags);
    let has = |flag| flags & flag != 0;
    let mut text = format!(
        "{}UP, {}RUNNING",
        if has(IFF_UP) { "" } else { "not " },
        if has(IFF_RUNNING) { "" } else { "not " },
    );
    for (shown, name) in [
        (!has(IFF_BROADCAST), ", no broadcast"),
        (has(IFF_LOOPBACK), ", loopback"),
        (has(IFF_POINTOPOINT), ", point to point"),
        (has(IFF_NOARP), ", no arp"),
        (!has(IFF_MULTICAST), ", no multicast"),
    ] {
        if shown {
            text.push_str(name);
        }
    }
    text
}
