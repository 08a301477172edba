//! How the daemon runs.

use std::time::Duration;

use conf::{Binder, Stmt};

use super::super::complain;
use crate::draft::GlobalDraft;
use crate::number::{signed, unsigned};

/// The highest `SCHED_RR` priority.
const HIGHEST: u32 = 99;

/// `vrrp_priority` and its like. Those of checkers and BFD are checked only.
pub(super) fn niceness(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let which = which(stmt);
    let Some(word) = stmt.words.get(1) else {
        return complain(b, stmt.at(), format!("No {which} process priority specified"));
    };
    match signed(&word.text, -20..=19) {
        Ok(number) if which == "vrrp" => {
            global.globals.process.niceness = i8::try_from(number).ok()
        }
        Ok(_) => {}
        Err(said) => {
            complain(b, word.span, format!("{said}\nInvalid {which} process priority specified"));
        }
    }
}

/// `vrrp_rt_priority` and its like.
pub(super) fn realtime(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let which = which(stmt);
    let Some(word) = stmt.words.get(1) else {
        return complain(b, stmt.at(), format!("No {which} process real-time priority specified"));
    };
    let number = match signed(&word.text, i16::MIN..=i16::MAX) {
        Err(said) => {
            let text = &word.text;
            let said = format!("{said}\n{which} process real-time priority '{text}' invalid");
            return complain(b, word.span, said);
        }
        Ok(number) => number,
    };
    if number < 1 {
        let said = format!(
            "{which} process real-time priority {number} less than minimum 1 - setting to minimum"
        );
        complain(b, word.span, said);
    } else if number > 99 {
        let said = format!(
            "{which} process real-time priority {number} greater than maximum 99 - setting to maximum"
        );
        complain(b, word.span, said);
    }
    if which == "vrrp" {
        global.globals.process.realtime = u8::try_from(number.clamp(1, 99)).ok();
    }
}

/// `vrrp_cpu_affinity` and its like.
pub(super) fn affinity(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let which = which(stmt);
    if stmt.words.len() < 2 {
        return complain(b, stmt.at(), format!("No {which} cpu_id set specified"));
    }
    let mut set = Vec::new();
    for word in &stmt.words[1..] {
        match unsigned(&word.text, 0..=1023) {
            Ok(number) => set.push(number),
            Err(said) => {
                let said = format!("{said}\nInvalid cpu_id:0 specified for {which} process");
                complain(b, word.span, said);
                break;
            }
        }
    }
    if which == "vrrp" {
        global.globals.process.cpu_affinity = set;
    }
}

/// `vrrp_rlimit_rttime` and its like, and their old names.
pub(super) fn realtime_limit(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let (which, keyword) = (which(stmt), stmt.word(0));
    if let Some(stem) = keyword.strip_suffix("rtime").filter(|stem| !stem.ends_with('t')) {
        let said = format!("Keyword '{keyword}' is deprecated - please use '{stem}rttime'");
        note(b, stmt.at(), said);
    }
    let Some(word) = stmt.words.get(1) else {
        return super::super::notify::missing(stmt, "<microseconds>", b);
    };
    match unsigned(&word.text, 1..=u32::MAX) {
        Ok(micros) if which == "vrrp" => {
            global.globals.process.realtime_limit = Some(Duration::from_micros(micros.into()));
        }
        Ok(_) => {}
        Err(said) => {
            let said = format!("{said}\nInvalid {which} real-time limit - {}", word.text);
            complain(b, word.span, said);
        }
    }
}

/// Which process a keyword is about.
fn which(stmt: &Stmt) -> &'static str {
    match stmt.word(0).split('_').next() {
        Some("checker") => "checker",
        Some("bfd") => "bfd",
        _ => "vrrp",
    }
}

/// `max_auto_priority [<-1..99>]`
pub(super) fn max_auto_priority(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let Some(word) = stmt.words.get(1) else {
        global.globals.process.max_auto_priority = u8::try_from(HIGHEST).ok();
        return;
    };
    match signed(&word.text, -1..=99) {
        Ok(number) => {
            global.globals.process.max_auto_priority = u8::try_from(number).ok().filter(|n| *n > 0);
        }
        Err(said) => {
            let text = &word.text;
            let said = format!(
                "{said}\nmax_auto_priority '{text}' must be in [0, {HIGHEST}] (or -1 to disable) - ignoring"
            );
            complain(b, word.span, said);
        }
    }
}

/// `min_auto_priority_delay <1..10000000>`
pub(super) fn min_auto_priority_delay(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let Some(word) = stmt.words.get(1) else {
        return complain(b, stmt.at(), "min_auto_priority_delay requires delay time");
    };
    match unsigned(&word.text, 1..=10_000_000) {
        Ok(micros) => {
            global.globals.process.min_auto_priority_delay = Duration::from_micros(micros.into());
        }
        Err(said) => {
            let text = &word.text;
            let said = format!(
                "{said}\nmin_auto_priority_delay '{text}' must be in [1, 10000000] - ignoring"
            );
            complain(b, word.span, said);
        }
    }
}

/// `process_names`, and each process's own.
pub(super) fn process_names(global: &mut GlobalDraft) {
    let process = &mut global.globals.process;
    process.process_name.get_or_insert_with(|| "keepalived".to_owned());
    process.vrrp_process_name.get_or_insert_with(|| "keepalived_vrrp".to_owned());
}

/// Something keepalived only logs.
fn note(b: &mut Binder, span: conf::Span, said: impl Into<String>) {
    b.notice(span, conf::Problem::Other(said.into()));
}

/// Bits of a mask, by their names in sys/stat.h without `S_`.
const BITS: &[(&str, u32)] = &[
    ("IXOTH", 0o1),
    ("IWOTH", 0o2),
    ("IROTH", 0o4),
    ("IXGRP", 0o10),
    ("IWGRP", 0o20),
    ("IRGRP", 0o40),
    ("IXUSR", 0o100),
    ("IWUSR", 0o200),
    ("IRUSR", 0o400),
];

/// `umask <number>|<bit>[|<bit>…]`
pub(super) fn umask(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let Some(first) = stmt.words.get(1) else {
        return super::super::notify::missing(stmt, "<mask>", b);
    };
    if first.text.starts_with(|c: char| c.is_ascii_digit()) {
        match u32::from_str_radix(&first.text, 8).ok().filter(|mask| *mask <= 0o777) {
            Some(mask) => global.globals.process.umask = Some(mask),
            None => note(b, first.span, format!("invalid umask value {}", first.text)),
        }
        return;
    }
    let all: Vec<&str> = stmt.words[1..].iter().map(|w| w.text.as_str()).collect();
    let mut mask = 0;
    for name in all.join(" ").split('|').map(str::trim) {
        match BITS.iter().find(|(known, _)| *known == name) {
            Some((_, bit)) => mask |= bit,
            None if name.is_empty() => return note(b, first.span, "umask missing bit value"),
            None => return note(b, first.span, format!("Unknown umask bit {name}")),
        }
    }
    global.globals.process.umask = Some(mask);
}

/// `startup_script`, `shutdown_script`
pub(super) fn life_script(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let which = life(stmt);
    let draft = if which == "startup" { &mut global.startup } else { &mut global.shutdown };
    if draft.command.is_some() {
        return complain(b, stmt.at(), format!("{which} script already specified"));
    }
    match super::super::notify::command(stmt) {
        Some(command) => draft.command = Some(command),
        None => complain(b, stmt.at(), format!("{which} script missing")),
    }
}

/// `startup_script_timeout`, `shutdown_script_timeout`
pub(super) fn life_timeout(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let which = life(stmt);
    let draft = if which == "startup" { &mut global.startup } else { &mut global.shutdown };
    let Some(word) = stmt.words.get(1) else {
        return complain(b, stmt.at(), format!("{which}_script_timeout requires value"));
    };
    match unsigned(&word.text, 1..=1000) {
        Ok(seconds) => draft.timeout = Some(Duration::from_secs(seconds.into())),
        Err(said) => {
            let text = &word.text;
            let said =
                format!("{said}\n{which}_script_timeout '{text}' must be in [1, 1000] - ignoring");
            complain(b, word.span, said);
        }
    }
}

fn life(stmt: &Stmt) -> &'static str {
    if stmt.word(0).starts_with("startup") { "startup" } else { "shutdown" }
}
