//! The lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`.

use std::net::{IpAddr, Ipv4Addr};

use conf::{Binder, Form, Keyword, Problem, Stmt, Word};
use vrrp::config::{Broadcast, Prefix, VirtualAddress};

use super::complain;
use crate::draft::AddressDraft;
use crate::number::unsigned;

type Option_ = Keyword<VirtualAddress>;

/// The longest label the kernel takes.
const MAX_LABEL: usize = 15;

/// `IFA_F_…` of linux/if_addr.h.
const HOME: u32 = 0x10;
const MANAGE_TEMPORARY: u32 = 0x100;
const NO_PREFIX_ROUTE: u32 = 0x200;
const AUTO_JOIN: u32 = 0x400;

/// The words behind an address.
pub(crate) const OPTIONS: &[Option_] = &[
    Option_::new("dev", Form::Text("<ifname>", |a, w| a.interface = Some(w.owned())))
        .doc("Where the address goes; the instance's interface unless set."),
    Option_::new("label", Form::Words("<label>", 1..=1, label))
        .doc("The label `ip address` shows, up to 15 characters."),
    Option_::new("scope", Form::Words("site|link|host|nowhere|global|<0..255>", 1..=1, scope))
        .default("global")
        .doc("How far the address is valid."),
    Option_::new("brd", Form::Words("<addr>|+|-", 1..=1, broadcast)).doc("The broadcast address."),
    Option_::new("broadcast", Form::Words("<addr>|+|-", 1..=1, broadcast))
        .doc("The same as `brd`."),
    Option_::new("no_track", Form::Flag(|a| a.no_track = true))
        .doc("Its interface is not tracked."),
    Option_::new("peer", Form::Words("<addr>[/<len>]", 1..=1, peer))
        .doc("The other end of a point-to-point link."),
    Option_::new("use_vmac", Form::Flag(|a| a.vmac = true))
        .doc("Puts the address on a virtual MAC interface."),
    Option_::new("home", Form::Flag(|a| a.flags |= HOME)).doc("IPv6: a home address."),
    Option_::new("-nodad", Form::Flag(|a| a.detect_duplicates = true))
        .doc("IPv6: duplicate address detection is done."),
    Option_::new("mngtmpaddr", Form::Flag(|a| a.flags |= MANAGE_TEMPORARY))
        .doc("IPv6: temporary addresses are made."),
    Option_::new("noprefixroute", Form::Flag(|a| a.flags |= NO_PREFIX_ROUTE))
        .doc("No route to the prefix is added."),
    Option_::new("autojoin", Form::Flag(|a| a.flags |= AUTO_JOIN))
        .doc("Joins the multicast group it is."),
    Option_::new("preferred_lft", Form::Words("<seconds>|forever", 1..=1, preferred))
        .doc("How long the address is preferred as a source; for ever, but for an IPv6 address alone on its prefix."),
    Option_::new("track_group", Form::Text("<name>", |a, w| a.track_group = Some(w.owned())))
        .doc("Instances that leave the race when a static address vanishes."),
];

/// Reads one line.
///
/// `groups` are those a static address may name behind `track_group`; a virtual one may not.
pub(crate) fn read(stmt: &Stmt, groups: Option<&[String]>, b: &mut Binder) -> Option<AddressDraft> {
    let (first, options) = stmt.words.split_first()?;
    let (text, len) = match first.text.split_once('/') {
        Some((text, len)) => (text, Some(len)),
        None => (first.text.as_str(), None),
    };
    let address: Result<IpAddr, _> = text.parse();
    let full = address.as_ref().map_or(32, |a| if a.is_ipv4() { 32 } else { 128 });
    let prefix_len = len.map_or(full, |len| {
        unsigned(len, 0..=full).unwrap_or_else(|said| {
            let text = &first.text;
            let said = format!(
                "{said}\nInvalid address prefix len {len} for address {text} - using {full}"
            );
            complain(b, first.span, said);
            full
        })
    });
    let Ok(address) = address else {
        complain(b, first.span, format!("VRRP parsed invalid IP {}. skipping IP...", first.text));
        return None;
    };
    let prefix_len = u8::try_from(prefix_len).unwrap_or(128);
    let mut config = VirtualAddress { prefix_len, ..VirtualAddress::host(address) };
    if address.is_ipv6() && prefix_len < 128 {
        config.preferred = None;
    }
    let errors_before = b.problems.len();
    let mut rest = options;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let known = |row: &&Option_| {
            row.name == word.text && (row.name != "track_group" || groups.is_some())
        };
        let Some(row) = OPTIONS.iter().find(known) else {
            let said =
                format!("Unknown configuration entry '{}' for ip address - ignoring", word.text);
            complain(b, word.span, said);
            continue;
        };
        if address.is_ipv6() && ["brd", "broadcast"].contains(&row.name) {
            let said = format!(
                "VRRP is trying to assign a broadcast {} to the IPv6 address {} !!?? WTF... skipping VIP...",
                row.name, first.text
            );
            complain(b, word.span, said);
            return None;
        }
        if row.name == "dev" && config.interface.is_some() {
            let said = format!("Cannot specify ipaddress device more than once for {}", first.text);
            complain(b, word.span, said);
            return None;
        }
        let takes = match &row.form {
            Form::Flag(set) => {
                set(&mut config);
                continue;
            }
            form => form,
        };
        let Some((argument, after)) = rest.split_first() else {
            let said = format!("No {} parameter specified for {}", row.name, first.text);
            complain(b, word.span, said);
            break;
        };
        if row.name == "peer" && config.peer.is_some() {
            let said = format!("Peer {} - another peer has already been specified", argument.text);
            complain(b, argument.span, said);
            continue;
        }
        rest = after;
        match takes {
            Form::Text(_, set) => set(&mut config, argument),
            Form::Words(_, _, set) => set(&mut config, std::slice::from_ref(argument), b),
            _ => {}
        }
    }
    let dropped = |problem: &Problem| {
        matches!(problem, Problem::Other(said)
            if said.ends_with("removing address") || said.ends_with("skipping VIP..."))
    };
    if b.problems[errors_before..].iter().any(|d| dropped(&d.problem)) {
        return None;
    }
    fix(&mut config, first, len.is_some(), b);
    if let (Some(groups), Some(group)) = (groups, &config.track_group)
        && !groups.contains(group)
    {
        complain(b, first.span, format!("track_group {group} not found"));
        config.track_group = None;
    }
    Some(AddressDraft { span: stmt.span, has_len: len.is_some(), config })
}

/// What does not go together.
fn fix(config: &mut VirtualAddress, first: &Word, has_len: bool, b: &mut Binder) {
    let (text, prefix_len) = (&first.text, config.prefix_len);
    if config.peer.is_some() {
        if has_len {
            let said = "Cannot specify address prefix when specifying peer address - ignoring";
            complain(b, first.span, said);
            config.prefix_len = VirtualAddress::host(config.address).prefix_len;
        }
        if config.broadcast.take().is_some() {
            let said = "Cannot specify broadcast and peer addresses - ignoring broadcast address";
            complain(b, first.span, said);
        }
    }
    if config.address.is_ipv6() {
        if config.scope.take().is_some() {
            let said = format!("Cannot specify scope for IPv6 addresses ({text}) - ignoring scope");
            complain(b, first.span, said);
        }
        if config.label.take().is_some() {
            let said = format!("Cannot specify label for IPv6 addresses ({text}) - ignoring label");
            complain(b, first.span, said);
        }
    }
    if prefix_len > 30
        && matches!(config.broadcast, Some(Broadcast::HostBitsSet | Broadcast::HostBitsClear))
    {
        let said = format!("Address prefix length {prefix_len} too long for broadcast");
        complain(b, first.span, said);
        config.broadcast = None;
    }
}

/// keepalived takes no length behind it; iproute2 does, and so does this.
fn peer(address: &mut VirtualAddress, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    let Some(peer) = parse(&word.text) else {
        let text = &word.text;
        let said =
            format!("VRRP parsed invalid IP {text}. skipping IP...\nInvalid peer address {text}");
        complain(b, word.span, said);
        return;
    };
    if peer.address.is_ipv4() != address.address.is_ipv4() {
        let said = format!("Peer address {} does not match address family", word.text);
        complain(b, word.span, said);
        return;
    }
    address.peer = Some(peer);
}

/// `<addr>[/<len>]`
fn parse(text: &str) -> Option<Prefix> {
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
    Some(Prefix { address, len })
}

fn preferred(address: &mut VirtualAddress, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    if word.text == "forever" {
        address.preferred = None;
        return;
    }
    match unsigned(&word.text, 0..=u32::MAX) {
        Ok(seconds) => address.preferred = Some(seconds),
        Err(said) => {
            complain(b, word.span, format!("{said}\npreferred_lft {} is invalid", word.text));
        }
    }
}

fn label(address: &mut VirtualAddress, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    if word.text.len() > MAX_LABEL {
        let said = format!(
            "Address label {} is longer than maximum length {MAX_LABEL} - removing address",
            word.text
        );
        complain(b, word.span, said);
        return;
    }
    address.label = Some(word.owned());
}

fn scope(address: &mut VirtualAddress, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    let named = [("global", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)];
    let number = named.iter().find(|(name, _)| *name == word.text).map(|(_, number)| *number);
    match number.or_else(|| word.text.parse().ok()) {
        Some(number) => address.scope = (number != 0).then_some(number),
        None => {
            let (text, address) = (&word.text, address.address);
            complain(
                b,
                word.span,
                format!("Invalid scope '{text}' specified for {address} - ignoring"),
            );
        }
    }
}

fn broadcast(address: &mut VirtualAddress, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    address.broadcast = match word.text.as_str() {
        "+" => Some(Broadcast::HostBitsSet),
        "-" => Some(Broadcast::HostBitsClear),
        text => match text.parse::<Ipv4Addr>() {
            Ok(broadcast) => Some(Broadcast::Address(broadcast)),
            Err(_) => {
                let said =
                    format!("VRRP is trying to assign invalid broadcast {text}. skipping VIP...");
                complain(b, word.span, said);
                None
            }
        },
    };
}
