//! Where in its steps a check failed, in HAProxy's words.

use alloc::format;
use alloc::string::String;

use super::Conversation;
use crate::config::{Action, Connect, Expect, Match, Probe};

impl Conversation<'_> {
    /// ` at step 2 of tcp-check (expect string 'x') comment: 'y'`; nothing for other checks.
    pub(super) fn place(&self) -> String {
        let at = match (&self.config.probe, self.at) {
            (Probe::Tcp { .. }, Some(at)) => at,
            (Probe::Tcp { .. }, None) => return " at initial connection step of tcp-check".into(),
            _ => return String::new(),
        };
        let Some(line) = self.lines.get(at) else { return String::new() };
        let what = match &line.action {
            Action::Connect(Connect { port: Some(port), .. }) => format!("connect port {port}"),
            Action::Connect(_) => "connect".into(),
            Action::Expect(expect) => expectation(expect),
            _ => "send".into(),
        };
        let comment = match &line.comment {
            Some(comment) => format!(" comment: '{comment}'"),
            None => String::new(),
        };
        format!(" at step {} of tcp-check ({what}){comment}", at + 1)
    }
}

fn expectation(expect: &Expect) -> String {
    match &expect.matching {
        Match::String(text) => format!("expect string '{}'", shown(text)),
        Match::Binary(bytes) => format!("expect binary '{}'", shown(bytes)),
        Match::Regex(_) => "expect regex".into(),
        Match::BinaryRegex(_) => "expect binary regex".into(),
        Match::StringFormat(_) => "expect log-format string".into(),
        Match::BinaryFormat(_) => "expect log-format binary".into(),
        _ => "expect".into(),
    }
}

/// Bytes in a line of a log: those that are no text as `<01>`.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b' '..=b'~' => text.push(byte.into()),
            _ => text.push_str(&format!("<{byte:02X}>")),
        }
    }
    text
}
