//! The lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`.

use std::net::{IpAddr, Ipv4Addr};

use conf::{Binder, Form, Keyword, Problem, Status, Stmt, Word};
use vrrp::config::{Broadcast, VirtualAddress};

use super::complain;
use crate::draft::AddressDraft;
use crate::number::unsigned;

type Option_ = Keyword<VirtualAddress>;

/// The longest label the kernel takes.
const MAX_LABEL: usize = 15;

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
    Option_::planned("peer", "<addr>[/<len>]").doc("The other end of a point-to-point link."),
    Option_::planned("use_vmac", "").doc("Puts the address on a virtual MAC interface."),
    Option_::accepted("home", "", "IPv6 only").doc("IPv6: a home address."),
    Option_::accepted("-nodad", "", "IPv6 only").doc("IPv6: duplicate address detection is done."),
    Option_::accepted("mngtmpaddr", "", "IPv6 only").doc("IPv6: temporary addresses are made."),
    Option_::planned("noprefixroute", "").doc("No route to the prefix is added."),
    Option_::planned("autojoin", "").doc("Joins the multicast group it is."),
    Option_::accepted(
        "preferred_lft",
        "<seconds>|forever",
        "the address is used as a source as usual",
    )
    .doc("How long the address is preferred as a source."),
    Option_::planned("track_group", "<name>").doc("Instances that follow a static address."),
];

/// Reads one line.
pub(crate) fn read(stmt: &Stmt, b: &mut Binder) -> Option<AddressDraft> {
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
    let errors_before = b.problems.len();
    let mut rest = options;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let Some(row) = OPTIONS.iter().find(|row| row.name == word.text) else {
            let said =
                format!("Unknown configuration entry '{}' for ip address - ignoring", word.text);
            complain(b, word.span, said);
            continue;
        };
        match row.status {
            Status::Planned => {
                b.error(word.span, Problem::Planned { keyword: row.name.to_owned() });
            }
            Status::Accepted(why) => {
                b.notice(word.span, Problem::NoEffect { keyword: row.name, why });
            }
            Status::Done | Status::Deprecated { .. } => {}
        }
        let takes = match &row.form {
            Form::Flag(set) => {
                set(&mut config);
                continue;
            }
            Form::Known("") => continue,
            form => form,
        };
        let Some((argument, after)) = rest.split_first() else {
            let said = format!("No {} parameter specified for {}", row.name, first.text);
            complain(b, word.span, said);
            break;
        };
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
    if prefix_len > 30
        && matches!(config.broadcast, Some(Broadcast::HostBitsSet | Broadcast::HostBitsClear))
    {
        let said = format!("Address prefix length {prefix_len} too long for broadcast");
        complain(b, first.span, said);
        config.broadcast = None;
    }
    Some(AddressDraft { span: stmt.span, config })
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
