//! What the network is like, as instances want to know it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use daemon::log::{Log, Severity};
use linux::raw::Cast;
use machine::Instant;
use netlink::{Address, Link, NetEvent, NewAddress, Snapshot};
use vrrp::Event;
use vrrp::config::{Config, InstanceConfig, Vrid};

use super::{Member, Role};
use crate::links::Key;
use crate::worker::Work;

/// Between attempts to open a socket.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// What was said about packets nobody is meant by, so that it is said once.
#[derive(Debug, Default)]
pub(super) struct Facts {
    malformed: u64,
    unknown: u64,
    malformed_on: BTreeSet<Key>,
    unknown_on: BTreeSet<(Key, Option<Vrid>)>,
    /// The links an instance follows, as last logged.
    links: BTreeMap<String, bool>,
    /// Links that changed, and when and how that counts.
    waiting: BTreeMap<String, (Instant, bool)>,
    /// Which member an advert is for.
    members: HashMap<(Key, Vrid), usize>,
    /// The members that hold an address while they are master.
    holders: HashMap<IpAddr, Vec<usize>>,
    /// The addresses adverts have to be sent from.
    sources: HashSet<IpAddr>,
}

impl Facts {
    /// Takes in which members there are.
    pub(super) fn index(&mut self, members: &[Member], config: &Config) {
        self.members.clear();
        self.holders.clear();
        for (index, member) in members.iter().enumerate() {
            let vrid = member.config().vrid;
            self.members.extend(member.key.map(|key| ((key, vrid), index)));
            for held in member.config().held() {
                self.holders.entry(held.address).or_default().push(index);
            }
        }
        self.sources = config.instances.iter().filter_map(|instance| instance.source).collect();
    }

    /// The members that hold `address` while they are master.
    pub(super) fn holders(&self, address: IpAddr) -> &[usize] {
        self.holders.get(&address).map_or(&[], Vec::as_slice)
    }

    /// The member an advert of `vrid` on the socket of `key` is for.
    pub(super) fn member(&self, key: Key, vrid: Option<Vrid>) -> Option<usize> {
        self.members.get(&(key, vrid?)).copied()
    }

    /// How many packets had a wrong IP header, and how many were of a virtual router nobody
    /// configured.
    pub(super) fn dropped(&self) -> (u64, u64) {
        (self.malformed, self.unknown)
    }

    /// A packet whose IP header is wrong.
    pub(super) fn malformed(&mut self, key: Key, log: &Log) {
        self.malformed += 1;
        if self.malformed_on.insert(key) {
            let line = format_args!("malformed packets arrive, {} dropped so far", self.malformed);
            log.write(Severity::Warning, line);
        }
    }

    /// A packet of a virtual router nobody configured, for `log` if that was asked for.
    pub(super) fn unknown(&mut self, key: Key, vrid: Option<Vrid>, link: &str, log: Option<&Log>) {
        self.unknown += 1;
        let Some(log) = log else { return };
        if self.unknown_on.insert((key, vrid)) {
            match vrid {
                Some(vrid) => log.info(format_args!(
                    "Unknown VRID({vrid}) received on interface({link}). ignoring..."
                )),
                None => log.info(format_args!(
                    "a packet without VRID received on interface({link}). ignoring..."
                )),
            }
        }
    }
}

impl Role {
    /// Tells an instance everything it has to know before its start.
    pub(super) fn tell_facts(&mut self, index: usize) {
        let names: Vec<String> =
            self.members[index].instance.interfaces().map(str::to_owned).collect();
        for name in names {
            let up = self.monitor.known().link(&name).is_some_and(|link| link.up);
            self.facts.links.insert(name.clone(), up);
            self.feed(index, Event::Link { interface: &name, up });
        }
        let verdicts: Vec<(String, bool)> =
            self.trackers.verdicts().map(|(name, good)| (name.to_owned(), good)).collect();
        for (name, good) in verdicts {
            self.feed(index, Event::Script { name: &name, good });
        }
        for known in self.trackers.known() {
            self.tell_tracked(index, &known);
        }
        self.tell_source(index);
    }

    fn tell_source(&mut self, index: usize) {
        let member = &self.members[index];
        // Who cannot hear the master must not become another one.
        let source =
            member.key.and_then(|_| source(member.config(), &self.facts, self.monitor.known()));
        if source == self.members[index].source {
            return;
        }
        self.members[index].source = source;
        if let Some(source) = source {
            let interface = &self.members[index].config().interface;
            self.detail(format_args!("Assigned address {source} for interface {interface}"));
        }
        self.feed(index, Event::Source(source));
    }

    /// Takes in what the monitor has to say.
    pub(super) fn network_changed(&mut self, event: NetEvent) {
        match event {
            NetEvent::Link(link) => self.link_changed(&link.name, link.up),
            NetEvent::LinkGone(link) => {
                self.leave_renamed(&link);
                self.link_changed(&link.name, false);
            }
            NetEvent::Address(address) => {
                self.say_address(address, "added to");
                self.address_came(address);
            }
            NetEvent::AddressGone(address) => {
                self.say_address(address, "removed from");
                self.address_gone(address);
            }
            NetEvent::RouteGone(key) => self.route_gone(&key),
            NetEvent::RoutesOverrun => {
                let line = "Netlink: Receive buffer overrun on monitor socket - adding all routes and \
                            rules again";
                self.log.write(Severity::Warning, line);
                self.add_routes_again(None);
            }
            NetEvent::Overrun => {
                let line = "Netlink: Receive buffer overrun on monitor socket - reading all links and \
                            addresses again";
                self.log.write(Severity::Warning, line);
                self.totals.resyncs += 1;
                self.worker.queue(Work::Snapshot);
            }
        }
    }

    /// Takes our addresses off a link that is not gone but renamed: nobody would find them there,
    /// and another node is about to put them up.
    fn leave_renamed(&mut self, link: &Link) {
        let Some(renamed) = self.monitor.known().links.get(&link.index) else { return };
        self.vmac_renamed(&link.name, &renamed.name);
        let held =
            self.members.iter().map(Member::config).flat_map(|config| {
                config.held().filter(|held| config.interface_of(held) == link.name)
            });
        // Even if nobody has told of them yet: they may have been added just now.
        let addresses: Vec<_> = held
            .map(|held| Address {
                link: link.index,
                address: held.address,
                prefix_len: held.peer.map_or(held.prefix_len, |peer| peer.len),
            })
            .collect();
        for address in addresses {
            self.removing.insert(address);
            self.worker.queue(Work::Remove(NewAddress::plain(address)));
        }
    }

    fn link_changed(&mut self, name: &str, up: bool) {
        self.make_vmacs(Some(name));
        if self.vmacs.has(name) {
            self.filter();
        }
        let opened = self.find_sockets_on(name);
        self.say_opened(&opened);
        if up {
            // What the kernel took away with the link, or never had.
            self.add_statics_on(name);
            self.add_routes_again(Some(name));
        }
        for index in 0..self.members.len() {
            let config = self.members[index].config();
            if config.advert_interface() == name && config.interface != name {
                self.tell_source(index);
            }
        }
        let follows = |member: &Member| member.instance.interfaces().any(|known| known == name);
        let followers: Vec<usize> =
            (0..self.members.len()).filter(|&i| follows(&self.members[i])).collect();
        if followers.is_empty() {
            return;
        }
        for &index in &followers {
            self.tell_source(index);
        }
        if self.hold_back(name, up) {
            return;
        }
        self.tell_link(name, up);
    }

    /// Tells the instances that follow it that a link is up, or is not.
    pub(super) fn tell_link(&mut self, name: &str, up: bool) {
        if self.facts.links.insert(name.to_owned(), up) != Some(up) {
            self.log
                .info(format_args!("Netlink reports {name} {}", if up { "up" } else { "down" }));
        }
        for index in 0..self.members.len() {
            if self.members[index].instance.interfaces().any(|known| known == name) {
                self.feed(index, Event::Link { interface: name, up });
            }
        }
    }

    /// Whether what is told of a link counts only later (`interface_up_down_delays`).
    fn hold_back(&mut self, name: &str, up: bool) -> bool {
        // What befalls an interface befalls the one above it at the same moment.
        let below = self.vmacs.below(name).unwrap_or(name);
        let delays = self.config.interface_delays.iter().find(|delays| delays.interface == below);
        let Some(delays) = delays else { return false };
        if self.facts.links.get(name) == Some(&up) {
            // It is again what it was.
            self.facts.waiting.remove(name);
            return true;
        }
        let delay = if up { delays.up } else { delays.down };
        if delay.is_zero() {
            self.facts.waiting.remove(name);
            return false;
        }
        let until = self.clock.now() + delay;
        match self.facts.waiting.entry(name.to_owned()) {
            Entry::Occupied(waiting) if waiting.get().1 == up => {}
            entry => drop(entry.insert_entry((until, up))),
        }
        true
    }

    /// When a link that was held back counts.
    pub(super) fn links_due(&self) -> Option<Instant> {
        self.facts.waiting.values().map(|(due, _)| *due).min()
    }

    /// Tells of the links that were held back long enough.
    pub(super) fn tell_links(&mut self) {
        let now = self.clock.now();
        let due = |(name, (until, up)): (&String, &(Instant, bool))| {
            (*until <= now).then(|| (name.clone(), *up))
        };
        let due: Vec<_> = self.facts.waiting.iter().filter_map(due).collect();
        for (name, up) in due {
            self.facts.waiting.remove(&name);
            self.tell_link(&name, up);
        }
    }

    fn address_came(&mut self, address: Address) {
        self.tell_sources(address);
    }

    /// Tells the instances on its link that `address` came or went, if it can be anybody's source.
    fn tell_sources(&mut self, address: Address) {
        let ip = &address.address;
        if self.facts.holders.contains_key(ip) && !self.facts.sources.contains(ip) {
            return;
        }
        let name = self.link_name(address.link).to_owned();
        for index in 0..self.members.len() {
            if self.members[index].config().interface == name {
                self.tell_source(index);
            }
        }
    }

    fn address_gone(&mut self, address: Address) {
        if self.forget_removal(address) {
            return;
        }
        self.tell_sources(address);
        self.static_lost(address);
        let holders = self.facts.holders(address.address).to_vec();
        let name = self.link_name(address.link).to_owned();
        for index in holders {
            let Some(config) = self.members.get(index).map(Member::config) else { continue };
            let lost = config
                .held()
                .any(|held| held.address == address.address && config.interface_of(held) == name);
            if lost {
                self.feed(index, Event::AddressLost(address.address));
            }
        }
    }

    /// Opens the sockets the instances need, and closes those nobody needs any more. Returns those
    /// that were opened.
    pub(super) fn find_sockets(&mut self) -> Vec<Key> {
        let opened = (0..self.members.len()).filter_map(|index| self.find_socket(index)).collect();
        self.keep_sockets();
        opened
    }

    /// Closes the sockets nobody needs any more, and notes who has which.
    fn keep_sockets(&mut self) {
        self.close_sockets();
        self.renumber();
    }

    /// Closes the sockets nobody needs, not even for a last advert.
    pub(super) fn close_sockets(&mut self) {
        let last = self.partings.iter().map(|parting| parting.key);
        let keys = self.members.iter().filter_map(|member| member.key).chain(last);
        self.links.keep(&keys.collect());
    }

    /// Opens the socket the member at `index` needs. Returns its key if it was not open.
    pub(super) fn find_socket(&mut self, index: usize) -> Option<Key> {
        let member = &mut self.members[index];
        member.key = None;
        let name = member.config().advert_interface();
        let key = member.key_on(self.monitor.known().link(name)?.index);
        match self.links.open(key, name) {
            Ok(opened) => {
                member.key = Some(key);
                member.deaf = false;
                opened.then_some(key)
            }
            Err(error) => {
                self.open_again_at = Some(self.clock.now() + OPEN_AGAIN);
                if !std::mem::replace(&mut member.deaf, true) {
                    let name = &member.config().name;
                    let line = format_args!("({name}) cannot open a raw socket: {error}");
                    self.log.write(Severity::Error, line);
                }
                None
            }
        }
    }

    /// The same for all whose adverts go by the link called `name`.
    fn find_sockets_on(&mut self, name: &str) -> Vec<Key> {
        let (mut opened, mut changed) = (Vec::new(), false);
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if member.config().advert_interface() == name {
                let before = member.key;
                opened.extend(self.find_socket(index));
                changed |= self.members[index].key != before;
            }
        }
        if changed {
            self.keep_sockets();
        }
        opened
    }

    /// Tries once more to open the sockets that could not be.
    pub(super) fn open_again(&mut self) {
        self.open_again_at = None;
        let opened = self.find_sockets();
        self.say_opened(&opened);
        for index in 0..self.members.len() {
            self.tell_source(index);
        }
    }

    /// Says so of each.
    pub(super) fn say_opened(&self, keys: &[Key]) {
        for &key in keys {
            let mut members = self.members.iter().filter(|member| member.key == Some(key));
            let source = members.find_map(|member| member.source);
            self.detail(sockpool(key, self.links.number(key), source));
        }
    }
}

/// keepalived's line about a pair of sockets; ours are one.
fn sockpool(key: Key, fd: i32, source: Option<IpAddr>) -> String {
    let (link, protocol) = (key.link, key.protocol);
    let family = if key.cast.is_ipv6() { "IPv6" } else { "IPv4" };
    let cast = match (key.cast, source) {
        (Cast::Multicast(group), _) => format!("multicast, address({group})"),
        (Cast::Unicast4 | Cast::Unicast6, Some(source)) => format!(", unicast, address({source})"),
        (Cast::Unicast4 | Cast::Unicast6, None) => ", unicast".to_owned(),
    };
    format!(
        "VRRP sockpool: [ifindex({link:3}), family({family}), proto({protocol}), fd({fd},{fd}) \
         {cast}]"
    )
}

/// What to tell an instance as [`Event::Source`]: the configured address if it is there, else the
/// first of its interface that is no virtual or static one.
fn source(of: &InstanceConfig, facts: &Facts, known: &Snapshot) -> Option<IpAddr> {
    let link = known.link(&of.interface)?.index;
    let mut there = known.addresses.iter().filter(|a| a.link == link).map(|a| a.address);
    if let Some(configured) = of.source {
        return there.find(|&address| address == configured);
    }
    let held = |address: IpAddr| facts.holders.contains_key(&address);
    // RFC 9568 §5.1.2.1: over IPv6 a link-local address.
    let fits = |address: IpAddr| match address {
        IpAddr::V4(_) => of.is_ipv4(),
        IpAddr::V6(address) => !of.is_ipv4() && address.is_unicast_link_local(),
    };
    there.find(|&address| fits(address) && !held(address))
}

#[cfg(test)]
mod tests {
    use vrrp::config::VirtualAddress;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn known(addresses: &[(u32, u8)]) -> Snapshot {
        let link = |index| Link { index, name: format!("eth{index}"), up: true, ..Link::default() };
        Snapshot {
            links: [1, 2].into_iter().map(|index| (index, link(index))).collect(),
            addresses: addresses
                .iter()
                .map(|&(link, last)| Address { link, address: ip(last), prefix_len: 24 })
                .collect(),
        }
    }

    #[test]
    fn adverts_come_from_the_first_address_that_is_not_virtual() {
        let instance = InstanceConfig {
            interface: "eth2".into(),
            addresses: vec![VirtualAddress::host(ip(100))],
            ..InstanceConfig::default()
        };
        let mut config = Facts::default();
        config.holders.insert(ip(100), vec![0]);
        let there = known(&[(1, 1), (2, 100), (2, 7), (2, 8)]);
        assert_eq!(source(&instance, &config, &there), Some(ip(7)));
        assert_eq!(source(&instance, &config, &known(&[(1, 1), (2, 100)])), None);
        let elsewhere = InstanceConfig { interface: "eth9".into(), ..instance.clone() };
        assert_eq!(source(&elsewhere, &config, &there), None);
        let configured = InstanceConfig { source: Some(ip(8)), ..instance.clone() };
        assert_eq!(source(&configured, &config, &there), Some(ip(8)));
        let missing = InstanceConfig { source: Some(ip(9)), ..instance };
        assert_eq!(source(&missing, &config, &there), None);
    }
}
