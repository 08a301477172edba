//! The packet filter's table for virtual routers, by nf_tables messages of our own.
//!
//! ```text
//!  table ip keepalived                             table ip6 keepalived
//!    map vmac_map     virtual MAC → its interface    map vmac_map, set vmac_set
//!    set vips         addresses nobody may use       set vips, vips_link_local
//!    chain out        IGMP by the real interface,    chain out, in, out_link_local, in_link_local
//!                     nothing from or
//!    chain in         to those addresses             (neighbour discovery passes)
//! ```
//!
//! It is keepalived's, so that what operators know of it stays true. As long as its chains stay the
//! same, only elements of its sets are added and removed; else it is replaced as a whole, in one
//! transaction of the kernel.

mod expression;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use linux::route::RouteSocket;

use self::expression::{
    Rule, both, cmp, counter, dup, jump, load_meta, load_payload, lookup, mask, verdict,
};
use crate::request::{NLM_F_APPEND, NLM_F_CREATE, Request, answers};

// linux/netfilter/nfnetlink.h
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
/// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
// linux/netfilter/nf_tables.h: messages
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_DELSETELEM: u16 = 14;
// linux/netfilter/nf_tables.h: attributes
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;
const NFT_SET_CONSTANT: u32 = 2;
const NFT_SET_MAP: u32 = 8;
// What nft(8) takes the keys of sets for when it lists them.
const TYPE_IPADDR: u32 = 7;
const TYPE_IP6ADDR: u32 = 8;
const TYPE_IFINDEX: u32 = 20;
const TYPE_ICMP6: u32 = 29;
// linux/netfilter.h
const NF_INET_LOCAL_IN: u32 = 1;
const NF_INET_LOCAL_OUT: u32 = 3;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const ROUTER_SOLICIT: u8 = 133;
const NEIGHBOUR_SOLICIT: u8 = 135;
const NEIGHBOUR_ADVERT: u8 = 136;
const MLD2_REPORT: u8 = 143;
/// Elements in one message, which may have 64 KiB.
const ELEMENTS: usize = 500;

/// What the packet filter is to do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ruleset {
    /// The name of the tables.
    pub table: String,
    /// Of the chains.
    pub priority: i32,
    /// The rules count packets.
    pub counters: bool,
    /// Indices of interfaces with virtual MAC addresses and of those below: membership reports are
    /// sent by the latter. The flag tells those of IPv6.
    pub vmacs: BTreeSet<(u32, u32, bool)>,
    /// Nothing but neighbour discovery comes from or goes to these. The index of its interface
    /// tells which link-local address is meant, and says nothing about others.
    pub blocked: BTreeSet<(IpAddr, u32)>,
}

/// The kernel's packet filter, as far as it is ours.
#[derive(Debug)]
pub struct Filter {
    socket: RouteSocket,
    sequence: u32,
    /// As last set.
    there: Option<Ruleset>,
}

impl Filter {
    /// Opens the socket; `CAP_NET_ADMIN` is needed to change anything.
    ///
    /// # Errors
    ///
    /// When the kernel has no packet filter, or there is no descriptor left.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: RouteSocket::netfilter()?, sequence: 0, there: None })
    }

    /// Has the kernel do as `wanted` says, all of it or nothing. What an earlier process left in
    /// tables of the same name is gone.
    ///
    /// # Errors
    ///
    /// What the kernel says: `EPERM`, `EOPNOTSUPP`, …
    pub fn set(&mut self, wanted: &Ruleset) -> io::Result<()> {
        let mut messages = Vec::new();
        for family in [NFPROTO_IPV4, NFPROTO_IPV6] {
            let mut batch = Batch { family, table: &wanted.table, messages: Vec::new() };
            let after = Sets::of(wanted, family);
            match self.there.as_ref().filter(|there| same_tables(there, wanted)) {
                Some(there) => {
                    let before = Sets::of(there, family);
                    if before.layout() == after.layout() {
                        batch.change(&before, &after);
                    } else {
                        batch.replace(wanted, &after);
                    }
                }
                None => batch.replace(wanted, &after),
            }
            messages.append(&mut batch.messages);
        }
        // On failure the next attempt starts over.
        let there = self.there.take();
        if !messages.is_empty() {
            // A table of another name.
            if let Some(there) = there.filter(|there| there.table != wanted.table) {
                for family in [NFPROTO_IPV4, NFPROTO_IPV6] {
                    let mut old = Batch { family, table: &there.table, messages: Vec::new() };
                    old.remove();
                    messages.append(&mut old.messages);
                }
            }
            self.send(&messages)?;
        }
        self.there = Some(wanted.clone());
        Ok(())
    }

    /// Takes it all away.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn clear(&mut self) -> io::Result<()> {
        let Some(there) = &self.there else { return Ok(()) };
        let empty = Ruleset { table: there.table.clone(), ..Ruleset::default() };
        self.set(&empty)
    }

    fn send(&mut self, messages: &[Request]) -> io::Result<()> {
        let subsystem = NFNL_SUBSYS_NFTABLES.to_be_bytes();
        let fixed = [0, 0, subsystem[0], subsystem[1]];
        let begin = Request::new(NFNL_MSG_BATCH_BEGIN, 0, &fixed);
        let end = Request::new(NFNL_MSG_BATCH_END, 0, &fixed);
        let mut bytes = Vec::new();
        for message in std::iter::once(&begin).chain(messages).chain([&end]) {
            self.sequence = self.sequence.wrapping_add(1);
            message.write(self.sequence, &mut bytes);
        }
        self.socket.send(&bytes)?;
        let mut refused = None;
        loop {
            let length = match self.socket.receive(&mut bytes) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for answer in answers(&bytes[..length]) {
                let code = answer.payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
                if answer.kind == NLMSG_ERROR && code != 0 && refused.is_none() {
                    refused = Some(io::Error::from_raw_os_error(code.saturating_neg()));
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

/// Whether the rules of both differ by elements of sets at most.
fn same_tables(a: &Ruleset, b: &Ruleset) -> bool {
    (&a.table, a.priority, a.counters) == (&b.table, b.priority, b.counters)
}

/// Keys, and what a map has for them.
type Elements = BTreeSet<(Vec<u8>, Option<Vec<u8>>)>;

/// The elements of one family's sets, as the kernel compares them.
#[derive(Debug, Eq, PartialEq)]
struct Sets {
    vmac_map: Elements,
    vmac_set: Elements,
    vips: Elements,
    link_local: Elements,
}

impl Sets {
    fn of(ruleset: &Ruleset, family: u8) -> Self {
        let ipv6 = family == NFPROTO_IPV6;
        let index = |index: u32| index.to_ne_bytes().to_vec();
        let vmacs = || ruleset.vmacs.iter().filter(|(_, _, six)| *six == ipv6);
        let mut sets = Self {
            vmac_map: vmacs().map(|(vmac, base, _)| (index(*vmac), Some(index(*base)))).collect(),
            vmac_set: if ipv6 {
                vmacs().map(|(vmac, ..)| (index(*vmac), None)).collect()
            } else {
                BTreeSet::new()
            },
            vips: BTreeSet::new(),
            link_local: BTreeSet::new(),
        };
        for (address, link) in &ruleset.blocked {
            match address {
                IpAddr::V4(address) if !ipv6 => {
                    sets.vips.insert((address.octets().to_vec(), None));
                }
                IpAddr::V6(address) if ipv6 && address.is_unicast_link_local() => {
                    let key = [&address.octets()[..], &link.to_ne_bytes()].concat();
                    sets.link_local.insert((key, None));
                }
                IpAddr::V6(address) if ipv6 => {
                    sets.vips.insert((address.octets().to_vec(), None));
                }
                IpAddr::V4(_) | IpAddr::V6(_) => {}
            }
        }
        sets
    }

    /// Which chains and rules there are.
    fn layout(&self) -> (bool, bool, bool) {
        (!self.vmac_map.is_empty(), !self.vips.is_empty(), !self.link_local.is_empty())
    }
}

/// Messages about the table of one family.
struct Batch<'a> {
    family: u8,
    table: &'a str,
    messages: Vec<Request>,
}

impl Batch<'_> {
    fn message(&self, kind: u16, flags: u16) -> Request {
        Request::new((NFNL_SUBSYS_NFTABLES << 8) | kind, flags, &[self.family, 0, 0, 0])
            .with_name(NFTA_TABLE_NAME, self.table)
    }

    /// Takes the table away, also if it is not there.
    fn remove(&mut self) {
        self.messages.push(self.message(NFT_MSG_NEWTABLE, NLM_F_CREATE));
        self.messages.push(self.message(NFT_MSG_DELTABLE, 0));
    }

    fn change(&mut self, before: &Sets, after: &Sets) {
        let pairs = [
            ("vmac_map", &before.vmac_map, &after.vmac_map),
            ("vmac_set", &before.vmac_set, &after.vmac_set),
            ("vips", &before.vips, &after.vips),
            ("vips_link_local", &before.link_local, &after.link_local),
        ];
        for (name, before, after) in pairs {
            self.elements(NFT_MSG_DELSETELEM, name, before.difference(after));
            self.elements(NFT_MSG_NEWSETELEM, name, after.difference(before));
        }
    }

    fn replace(&mut self, ruleset: &Ruleset, sets: &Sets) {
        self.remove();
        let (vmacs, vips, link_local) = sets.layout();
        if !(vmacs || vips || link_local) {
            return;
        }
        self.messages.push(self.message(NFT_MSG_NEWTABLE, NLM_F_CREATE));
        let blocks = vips || link_local;
        self.add_sets(sets, blocks);
        self.chain("out", Some((NF_INET_LOCAL_OUT, ruleset.priority)));
        if blocks {
            self.chain("in", Some((NF_INET_LOCAL_IN, ruleset.priority)));
        }
        let counters = ruleset.counters;
        if self.family == NFPROTO_IPV4 {
            self.rules_ipv4(vmacs, vips, counters);
        } else {
            if blocks {
                self.chain("in_link_local", None);
                self.chain("out_link_local", None);
            }
            self.rules_ipv6(vmacs, blocks, link_local, counters);
        }
    }

    fn add_sets(&mut self, sets: &Sets, blocks: bool) {
        let (kind, length) = match self.family {
            NFPROTO_IPV4 => (TYPE_IPADDR, 4),
            _ => (TYPE_IP6ADDR, 16),
        };
        if !sets.vmac_map.is_empty() {
            let map = Set { flags: NFT_SET_MAP, ..Set::new("vmac_map", TYPE_IFINDEX, 4) };
            self.add_set(1, &map, &sets.vmac_map);
        }
        if !sets.vmac_set.is_empty() {
            self.add_set(2, &Set::new("vmac_set", TYPE_IFINDEX, 4), &sets.vmac_set);
        }
        if !blocks {
            return;
        }
        self.add_set(3, &Set::new("vips", kind, length), &sets.vips);
        if self.family == NFPROTO_IPV6 {
            let discovery = [NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT];
            let discovery = discovery.into_iter().map(|kind| (vec![kind], None)).collect();
            let constant = Set::new("neighbor-discovery", TYPE_ICMP6, 1);
            self.add_set(4, &Set { flags: NFT_SET_CONSTANT, ..constant }, &discovery);
        }
        if !sets.link_local.is_empty() {
            let both = (TYPE_IP6ADDR << 6) | TYPE_IFINDEX;
            self.add_set(5, &Set::new("vips_link_local", both, 20), &sets.link_local);
        }
    }

    fn add_set(&mut self, id: u32, set: &Set<'_>, elements: &Elements) {
        let mut request = Request::new(
            (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWSET,
            NLM_F_CREATE,
            &[self.family, 0, 0, 0],
        )
        .with_name(NFTA_SET_TABLE, self.table)
        .with_name(NFTA_SET_NAME, set.name)
        .with(NFTA_SET_FLAGS, &set.flags.to_be_bytes())
        .with(NFTA_SET_KEY_TYPE, &set.kind.to_be_bytes())
        .with(NFTA_SET_KEY_LEN, &set.length.to_be_bytes())
        .with(NFTA_SET_ID, &id.to_be_bytes());
        if set.flags & NFT_SET_MAP != 0 {
            request = request
                .with(NFTA_SET_DATA_TYPE, &set.kind.to_be_bytes())
                .with(NFTA_SET_DATA_LEN, &set.length.to_be_bytes());
        }
        if set.kind == TYPE_IFINDEX {
            // For nft(8): keys, and data, are in the machine's byte order.
            let host = 1_u32.to_ne_bytes();
            let (key, data) = ([&[0, 4], &host[..]].concat(), [&[1, 4], &host[..]].concat());
            let is_map = set.flags & NFT_SET_MAP != 0;
            let data: &[u8] = if is_map { &data } else { &[] };
            request = request.with_all(NFTA_SET_USERDATA, &[&key, data]);
        }
        self.messages.push(request);
        self.elements(NFT_MSG_NEWSETELEM, set.name, elements.iter());
    }

    fn elements<'e>(
        &mut self,
        kind: u16,
        set: &str,
        elements: impl Iterator<Item = &'e (Vec<u8>, Option<Vec<u8>>)>,
    ) {
        let elements: Vec<_> = elements.collect();
        let flags = if kind == NFT_MSG_NEWSETELEM { NLM_F_CREATE } else { 0 };
        for some in elements.chunks(ELEMENTS) {
            let request =
                Request::new((NFNL_SUBSYS_NFTABLES << 8) | kind, flags, &[self.family, 0, 0, 0])
                    .with_name(NFTA_SET_ELEM_LIST_TABLE, self.table)
                    .with_name(NFTA_SET_ELEM_LIST_SET, set)
                    .nested(NFTA_SET_ELEM_LIST_ELEMENTS, |all| {
                        some.iter().fold(all, |all, (key, data)| {
                            all.nested(NFTA_LIST_ELEM, |element| {
                                let value = |request: Request, kind, bytes: &[u8]| {
                                    request.nested(kind, |value| value.with(NFTA_DATA_VALUE, bytes))
                                };
                                let element = value(element, NFTA_SET_ELEM_KEY, key);
                                match data {
                                    Some(data) => value(element, NFTA_SET_ELEM_DATA, data),
                                    None => element,
                                }
                            })
                        })
                    });
            self.messages.push(request);
        }
    }

    fn chain(&mut self, name: &str, hook: Option<(u32, i32)>) {
        let mut request = Request::new(
            (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWCHAIN,
            NLM_F_CREATE,
            &[self.family, 0, 0, 0],
        )
        .with_name(NFTA_CHAIN_TABLE, self.table)
        .with_name(NFTA_CHAIN_NAME, name);
        if let Some((hook, priority)) = hook {
            request = request
                .nested(NFTA_CHAIN_HOOK, |all| {
                    all.with(NFTA_HOOK_HOOKNUM, &hook.to_be_bytes())
                        .with(NFTA_HOOK_PRIORITY, &priority.to_be_bytes())
                })
                .with(NFTA_CHAIN_POLICY, &NF_ACCEPT.to_be_bytes())
                .with_name(NFTA_CHAIN_TYPE, "filter");
        }
        self.messages.push(request);
    }

    fn rule(
        &mut self,
        chain: &str,
        counters: bool,
        mut expressions: Rule,
        end: expression::Expression,
    ) {
        if counters {
            expressions.push(counter());
        }
        expressions.push(end);
        let request = Request::new(
            (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE,
            NLM_F_CREATE | NLM_F_APPEND,
            &[self.family, 0, 0, 0],
        )
        .with_name(NFTA_RULE_TABLE, self.table)
        .with_name(NFTA_RULE_CHAIN, chain)
        .nested(NFTA_RULE_EXPRESSIONS, |all| {
            expressions
                .into_iter()
                .fold(all, |all, expression| all.nested(NFTA_LIST_ELEM, expression))
        });
        self.messages.push(request);
    }

    fn rules_ipv4(&mut self, vmacs: bool, vips: bool, counters: bool) {
        const PROTOCOL: u32 = 9;
        const SOURCE: u32 = 12;
        const DESTINATION: u32 = 16;

        if vmacs {
            let mut rule = both(load_payload(1, expression::NETWORK, PROTOCOL, 1), cmp(1, &[IGMP]));
            rule.push(load_payload(1, expression::NETWORK, DESTINATION, 4));
            self.by_the_interface_below(rule, counters);
        }
        if vips {
            for (chain, field) in [("out", SOURCE), ("in", DESTINATION)] {
                let load = load_payload(1, expression::NETWORK, field, 4);
                self.rule(chain, counters, both(load, lookup("vips", 1, None)), verdict(NF_DROP));
            }
        }
    }

    fn rules_ipv6(&mut self, vmacs: bool, blocks: bool, link_local: bool, counters: bool) {
        const NEXT_HEADER: u32 = 6;
        const SOURCE: u32 = 8;
        const DESTINATION: u32 = 24;

        let icmp = |kind: u8| -> Rule {
            let mut rule = both(load_meta(1, expression::L4PROTO), cmp(1, &[ICMPV6]));
            rule.push(load_payload(1, expression::TRANSPORT, 0, 1));
            rule.push(cmp(1, &[kind]));
            rule
        };
        if vmacs {
            let mut rule = icmp(MLD2_REPORT);
            rule.push(load_payload(1, expression::NETWORK, DESTINATION, 16));
            self.by_the_interface_below(rule, counters);
            let mut rule = icmp(ROUTER_SOLICIT);
            rule.extend(is_macvlan());
            rule.push(load_meta(2, expression::OIF));
            rule.push(lookup("vmac_set", 2, None));
            self.rule("out", counters, rule, verdict(NF_DROP));
        }
        if !blocks {
            return;
        }
        let ends = [("out", SOURCE, "out_link_local"), ("in", DESTINATION, "in_link_local")];
        for (chain, field, local_chain) in ends {
            let next = load_payload(1, expression::NETWORK, NEXT_HEADER, 1);
            let mut discovery = both(next, cmp(1, &[ICMPV6]));
            discovery.push(load_payload(1, expression::TRANSPORT, 0, 1));
            discovery.push(lookup("neighbor-discovery", 1, None));
            self.rule(chain, counters, discovery, verdict(NF_ACCEPT));
            // fe80::/10
            let load = || load_payload(1, expression::NETWORK, field, 16);
            let prefix = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).octets();
            let bits = Ipv6Addr::new(0xffc0, 0, 0, 0, 0, 0, 0, 0).octets();
            let mut local = both(load(), mask(1, &bits));
            local.push(cmp(1, &prefix));
            self.rule(chain, counters, local, jump(local_chain));
            self.rule(chain, counters, both(load(), lookup("vips", 1, None)), verdict(NF_DROP));
        }
        if !link_local {
            return;
        }
        for (chain, field, interface) in [
            ("in_link_local", DESTINATION, expression::IIF),
            ("out_link_local", SOURCE, expression::OIF),
        ] {
            let load = load_payload(1, expression::NETWORK, field, 16);
            let mut rule = both(load, load_meta(2, interface));
            rule.push(lookup("vips_link_local", 1, None));
            self.rule(chain, counters, rule, verdict(NF_DROP));
        }
    }

    /// Sends what `rule` matched, whose destination is in register 1, by the interface below the
    /// macvlan instead.
    fn by_the_interface_below(&mut self, mut rule: Rule, counters: bool) {
        rule.extend(is_macvlan());
        rule.push(load_meta(2, expression::OIF));
        rule.push(lookup("vmac_map", 2, Some(2)));
        rule.push(dup(1, 2));
        self.rule("out", counters, rule, verdict(NF_DROP));
    }
}

fn is_macvlan() -> Rule {
    both(load_meta(2, expression::OIFKIND), cmp(2, b"macvlan\0\0\0\0\0\0\0\0\0"))
}

struct Set<'a> {
    name: &'a str,
    kind: u32,
    length: u32,
    flags: u32,
}

impl<'a> Set<'a> {
    const fn new(name: &'a str, kind: u32, length: u32) -> Self {
        Self { name, kind, length, flags: 0 }
    }
}

#[cfg(test)]
mod tests;
