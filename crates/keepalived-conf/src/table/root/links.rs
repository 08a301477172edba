//! Interfaces, namespaces, and names among several daemons.

use std::time::Duration;

use conf::{Binder, Problem, Stmt, Word};
use vrrp::config::InterfaceDelays;

use crate::draft::Draft;
use crate::number::{decimal, unsigned};
use crate::wording::{CHILD, PARENT};

fn say(b: &mut Binder, word: &Word, context: &str, said: impl Into<String>) {
    b.error(word.span, Problem::Other(said.into())).context.push_str(context);
}

/// `interface_up_down_delays { <ifname> <down> [<up>] }`
pub(super) fn delays(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    for line in stmt.body() {
        let Some(name) = line.words.first() else { continue };
        let mut times = Vec::new();
        for word in line.words.iter().skip(1).take(2) {
            match decimal(&word.text, 0..=255_000_000) {
                (Some(time), said) => {
                    times.push(time);
                    if let Some(said) = said {
                        say(b, word, CHILD, said);
                    }
                }
                (None, said) => say(b, word, CHILD, said.unwrap_or_default()),
            }
        }
        let Some(&down) = times.first() else {
            if line.words.len() == 1 {
                let said = format!("No timeouts specified for {} up/down delays", name.text);
                b.notice(name.span, Problem::Other(said)).context.push_str(CHILD);
            }
            continue;
        };
        let up: Duration = times.get(1).copied().unwrap_or(down);
        draft.interface_delays.retain(|(there, _)| there.interface != name.text);
        let delays = InterfaceDelays { interface: name.owned(), down, up };
        draft.interface_delays.push((delays, name.span));
    }
}

/// `linkbeat_interfaces { <ifname> [MII|ETHTOOL|IOCTL] }`
pub(super) fn linkbeat(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    for line in stmt.body() {
        draft.polled.extend(line.words.first().cloned());
        if let Some(word) = line.words.get(1)
            && !["MII", "ETHTOOL", "IOCTL"].contains(&word.text.as_str())
        {
            say(b, word, CHILD, format!("extra characters {} in linkbeat interface", word.text));
        }
    }
}

/// `net_namespace <name>`
pub(super) fn net_namespace(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    named(stmt, "net_namespace", &mut draft.globals.globals.process.net_namespace, b);
}

/// `instance <name>`
pub(super) fn instance(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    named(stmt, "instance", &mut draft.globals.globals.process.instance_name, b);
}

fn named(stmt: &Stmt, keyword: &str, field: &mut Option<String>, b: &mut Binder) {
    match (stmt.words.get(1), &field) {
        (None, _) => {
            let said = format!("{keyword} name missing - ignoring");
            b.error(stmt.at(), Problem::Other(said)).context.push_str(PARENT);
        }
        (Some(word), Some(_)) => {
            let said = format!("Duplicate {keyword} definition {} - ignoring", word.text);
            say(b, word, PARENT, said);
        }
        (Some(word), None) => *field = Some(word.owned()),
    }
}

/// `child_wait_time <seconds>`
pub(super) fn child_wait_time(draft: &mut Draft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(seconds) => {
            draft.globals.globals.process.child_wait = Duration::from_secs(seconds.into());
        }
        Err(said) => {
            let said = format!("{said}\nInvalid child_wait_time {}", words[0].text);
            say(b, &words[0], PARENT, said);
        }
    }
}
