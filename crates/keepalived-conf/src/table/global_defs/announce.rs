//! When addresses are announced, and how often.

use std::time::Duration;

use conf::{Binder, Stmt, Word};

use super::{complain, on_off};
use crate::draft::GlobalDraft;
use crate::number::{decimal, unsigned};

/// `[all] <seconds>`, under its old name too.
pub(super) fn garp_extra_if(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    if stmt.word(0) == "vrrp_vmac_garp_intvl" {
        complain(
            b,
            stmt.at(),
            "Keyword \"vrrp_vmac_garp_intvl\" is deprecated - please use \"vrrp_garp_extra_if\"",
        );
    }
    let at = if stmt.word(1) == "all" { 2 } else { 1 };
    let Some(word) = stmt.words.get(at) else {
        let said = format!("{} specified without time - ignoring", stmt.word(0));
        return complain(b, stmt.at(), said);
    };
    if let Some(time) = seconds("vrrp_garp_extra_if", word, b) {
        global.common.garp_extra_if = Some(time);
    }
}

/// A whole number of seconds, or `<said>\n<keyword> '<word>' invalid - ignoring`.
fn seconds(keyword: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    whole(keyword, word, b).map(|n| Duration::from_secs(n.into()))
}

fn whole(keyword: &str, word: &Word, b: &mut Binder) -> Option<u32> {
    unsigned(&word.text, 0..=u32::MAX)
        .map_err(|said| {
            let said = format!("{said}\n{keyword} '{}' invalid - ignoring", word.text);
            complain(b, word.span, said);
        })
        .ok()
}

fn at_least_one(keyword: &str, word: &Word, b: &mut Binder) -> Option<u32> {
    let number = whole(keyword, word, b)?;
    if number == 0 {
        complain(b, word.span, format!("{keyword} must be greater than 0, setting to 1"));
    }
    Some(number.max(1))
}

pub(super) fn garp_master_delay(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = seconds("vrrp_garp_master_delay", &words[0], b) {
        global.common.garp_master_delay = Some(time);
    }
}

pub(super) fn garp_master_repeat(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(number) = at_least_one("vrrp_garp_master_repeat", &words[0], b) {
        global.common.garp_master_repeat = Some(number);
    }
}

pub(super) fn garp_master_refresh(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(number) => global.common.garp_refresh = Some(Duration::from_secs(number.into())),
        Err(said) => {
            let text = &words[0].text;
            let said = format!("{said}\nInvalid vrrp_garp_master_refresh '{text}' - ignoring");
            complain(b, words[0].span, said);
        }
    }
}

pub(super) fn garp_refresh_repeat(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(number) = at_least_one("vrrp_garp_master_refresh_repeat", &words[0], b) {
        global.common.garp_refresh_repeat = Some(number);
    }
}

pub(super) fn lower_prio_delay(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = seconds("vrrp_garp_lower_prio_delay", &words[0], b) {
        global.common.garp_lower_prio_delay = Some(time);
    }
}

pub(super) fn lower_prio_repeat(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(number) => global.common.garp_lower_prio_repeat = Some(number),
        Err(said) => {
            let said = format!("{said}\nInvalid vrrp_garp_lower_prio_repeat '{}'", words[0].text);
            complain(b, words[0].span, said);
        }
    }
}

fn interval(keyword: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    match decimal(&word.text, 1..=4_294_967_295) {
        (Some(time), said) => {
            if let Some(said) = said {
                complain(b, word.span, said);
            }
            Some(time)
        }
        (None, said) => {
            let said = said.unwrap_or_default();
            complain(b, word.span, format!("{said}\n{keyword} '{}' is invalid", word.text));
            None
        }
    }
}

pub(super) fn garp_interval(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = interval("vrrp_garp_interval", &words[0], b) {
        global.garp_interval = Some(time);
    }
}

pub(super) fn gna_interval(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = interval("vrrp_gna_interval", &words[0], b) {
        global.gna_interval = Some(time);
    }
}

pub(super) fn vrrp_min_garp(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("vrrp_min_garp", words, b) {
        global.min_garp = on;
    }
}
