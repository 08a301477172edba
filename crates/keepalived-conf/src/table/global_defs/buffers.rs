//! Buffers, whose sizes are checked and left to the daemon.

use conf::{Binder, Stmt};

use super::super::complain;
use crate::draft::GlobalDraft;
use crate::number::unsigned;

/// `vrrp_netlink_cmd_rcv_bufs <bytes>` and its like
pub(super) fn size(_: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let keyword = stmt.word(0);
    let Some(word) = stmt.words.get(1) else {
        return complain(b, stmt.at(), format!("{keyword} size missing"));
    };
    if let Err(said) = unsigned(&word.text, 0..=u32::MAX) {
        complain(b, word.span, format!("{said}\n{keyword} size ({}) invalid", word.text));
    }
}

/// `vrrp_rx_bufs_policy MTU|ADVERT|<bytes>`
pub(super) fn policy(_: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    if stmt.words.len() < 2 {
        return complain(b, stmt.at(), "vrrp_rx_bufs_policy missing");
    }
    let (mut mtu, mut advert, mut bytes) = (false, false, false);
    for word in &stmt.words[1..] {
        match word.text.as_str() {
            "MTU" => mtu = true,
            "ADVERT" => advert = true,
            text => match unsigned(text, 0..=u32::MAX) {
                Ok(_) => bytes = true,
                Err(said) => {
                    complain(b, word.span, format!("{said}\nInvalid vrrp_rx_bufs_policy {text}"));
                }
            },
        }
    }
    if bytes && (mtu || advert) {
        let said = "Cannot set vrrp_rx_bufs_policy size and policy, ignoring policy";
        complain(b, stmt.at(), said);
    } else if mtu && advert {
        let said = "Cannot set both vrrp_rx_bufs_policy MTU and ADVERT, ignoring ADVERT";
        complain(b, stmt.at(), said);
    }
}

/// `vrrp_rx_bufs_multiplier <number>`
pub(super) fn multiplier(_: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let [_, word] = &stmt.words[..] else {
        return complain(b, stmt.at(), "Invalid vrrp_rx_bufs_multiplier");
    };
    if let Err(said) = unsigned(&word.text, 1..=u32::MAX) {
        complain(b, word.span, format!("{said}\nInvalid vrrp_rx_bufs_multiplier {}", word.text));
    }
}
