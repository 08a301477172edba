//! What an SNMP agent is told.

use conf::{Binder, Stmt};

use super::super::complain;
use crate::draft::GlobalDraft;

/// The longest address of a socket keepalived takes.
const MAX_SOCKET: usize = 108;

/// `snmp_socket <address>`
pub(super) fn socket(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let there = &mut global.globals.snmp.socket;
    let said = match (stmt.words.get(1), &there) {
        (None, _) => "SNMP error : snmp socket name missing".to_owned(),
        (Some(_), _) if stmt.words.len() > 2 => {
            "Too many parameters specified for snmp_socket - ignoring".to_owned()
        }
        (Some(word), _) if word.text.len() >= MAX_SOCKET => {
            "SNMP error : snmp socket name too long - ignored".to_owned()
        }
        (Some(_), Some(socket)) => format!("SNMP socket already set to {socket} - ignoring"),
        (Some(word), None) => {
            *there = Some(word.owned());
            return;
        }
    };
    complain(b, stmt.at(), said);
}
