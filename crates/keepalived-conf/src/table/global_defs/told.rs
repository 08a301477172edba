//! Who is told: by mail and through FIFOs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use conf::{Binder, Stmt, Word};

use super::super::{closing, complain, notify, switch};
use crate::draft::{FifoDraft, GlobalDraft};
use crate::number::unsigned;

/// `notification_email { <addr> … }`
pub(super) fn recipients(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let all = stmt.body().iter().flat_map(|line| line.words.iter().map(Word::owned));
    global.globals.mail.recipients.extend(all);
    if stmt.body().is_empty() {
        complain(b, closing(stmt), "Warning - empty notification_email block");
    }
}

/// `notification_email_from <addr>`
pub(super) fn sender(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    match stmt.words.get(1) {
        // A name before the address may stand in no quotes.
        Some(_) => {
            let all: Vec<&str> = stmt.words[1..].iter().map(|w| w.text.as_str()).collect();
            global.globals.mail.from = Some(all.join(" "));
        }
        None => complain(b, stmt.at(), "emailfrom missing - ignoring"),
    }
}

/// `smtp_server <host> [<port>]`
///
/// Names are not resolved: a relay that does not answer would delay the start.
pub(super) fn server(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let (host, port) = (&words[0].text, words.get(1).map_or("25", |w| &w.text));
    let number = match unsigned(port, 1..=65_535) {
        Ok(number) => u16::try_from(number).unwrap_or(25),
        Err(said) => {
            return complain(
                b,
                words[0].span,
                format!("{said}\nInvalid smtp server {host} {port}"),
            );
        }
    };
    let numeric = host.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if numeric && host.parse::<IpAddr>().is_err() {
        return complain(b, words[0].span, format!("Invalid smtp server {host} {port}"));
    }
    global.globals.mail.server = Some(host.clone());
    global.globals.mail.port = number;
}

/// `smtp_connect_timeout <seconds>`
pub(super) fn timeout(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=4294) {
        Ok(0) => {
            complain(b, words[0].span, "smtp_conect_timeout must be greater than 0, setting to 1");
            global.globals.mail.timeout = Duration::from_secs(1);
        }
        Ok(seconds) => global.globals.mail.timeout = Duration::from_secs(seconds.into()),
        Err(said) => {
            let text = &words[0].text;
            let said =
                format!("{said}\nsmtp_connect_timeout '{text}' must be in [0, 4294] - ignoring");
            complain(b, words[0].span, said);
        }
    }
}

/// `smtp_helo_name <name>`
pub(super) fn helo_name(global: &mut GlobalDraft, stmt: &Stmt, _: &mut Binder) {
    global.globals.mail.helo_name = stmt.words.get(1).map(Word::owned);
}

/// `smtp_alert`, `smtp_alert_vrrp`, `vrrp_notify_priority_changes`, and those of checkers
pub(super) fn global_switch(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let words = stmt.words.get(1..).unwrap_or_default();
    let keyword = stmt.word(0);
    let Some(on) = switch(words) else {
        // So it is spelt.
        let keyword = if keyword == "data_use_instance" { "date_use_instance" } else { keyword };
        let said = format!("Invalid value '{}' for global {keyword} specified", stmt.word(1));
        return complain(b, stmt.at(), said);
    };
    match keyword {
        "smtp_alert" => global.smtp_alert = Some(on),
        "smtp_alert_vrrp" => global.smtp_alert_vrrp = Some(on),
        "vrrp_notify_priority_changes" => global.priority_changes = on,
        _ => {}
    }
}

fn fifo<'a>(global: &'a mut GlobalDraft, keyword: &str) -> Option<&'a mut FifoDraft> {
    match keyword.split("notify_fifo").next() {
        Some("") => Some(&mut global.fifo),
        Some("vrrp_") => Some(&mut global.vrrp_fifo),
        // What checkers have to tell.
        _ => None,
    }
}

/// `notify_fifo <path> [<user> [<group>]]` and its like
pub(super) fn fifo_path(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let keyword = stmt.word(0);
    let Some(path) = stmt.words.get(1) else {
        return complain(b, stmt.at(), format!("No {keyword} name specified"));
    };
    let Some(fifo) = fifo(global, keyword) else { return };
    if fifo.path.is_some() {
        let said = format!("{keyword} already specified - ignoring {}", path.text);
        return complain(b, stmt.at(), said);
    }
    fifo.path = Some(path.clone());
    fifo.user = stmt.words.get(2).cloned();
    fifo.group = stmt.words.get(3).cloned();
}

/// `notify_fifo_script <command> [<user> [<group>]]` and its like
pub(super) fn fifo_script(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let keyword = stmt.word(0);
    let Some(command) = notify::command(stmt) else {
        return complain(b, stmt.at(), format!("No {keyword} specified"));
    };
    let Some(fifo) = fifo(global, keyword) else { return };
    if fifo.reader.is_some() {
        let text = &command.command.text;
        let said = format!("{keyword} already specified - ignoring {text}");
        return complain(b, stmt.at(), said);
    }
    fifo.reader = Some(command);
}

/// `status_socket <path>`, ours
pub(super) fn status_socket(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    // The longest the kernel takes.
    if !word.text.starts_with('/') || word.text.len() > 107 {
        let said = format!("status_socket {} is no absolute path of up to 107 bytes", word.text);
        return complain(b, word.span, said);
    }
    global.globals.status_socket = Some(word.owned());
}

/// `metrics_listen <addr>:<port>`, ours
pub(super) fn metrics_listen(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    match word.text.parse::<SocketAddr>() {
        Ok(address) => global.globals.metrics_listen = Some(address),
        Err(_) => {
            let said = format!("metrics_listen {} is no address and port", word.text);
            complain(b, word.span, said);
        }
    }
}
