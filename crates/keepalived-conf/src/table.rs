//! The keyword tables, one file per block.

pub(crate) mod address;
mod bfd_instance;
mod checkers;
mod garp_group;
mod global_defs;
mod hmac;
mod notify;
mod real_server;
mod root;
mod static_blocks;
mod sync_group;
mod track;
mod track_file;
mod track_process;
mod unicast;
mod virtual_server;
mod vmac;
mod vrrp_instance;
mod vrrp_script;

use conf::{Binder, Row, Span, Stmt, Table, Word};

pub(crate) use checkers::URL;
pub(crate) use real_server::REAL_SERVER;
pub(crate) use root::ROOT;
pub(crate) use virtual_server::VIRTUAL_SERVER;

/// Why keywords of iptables do nothing.
const NO_IPTABLES: &str = "packets are filtered by nftables";
/// Why keywords about the processes of checkers and BFD do nothing.
const NO_ROLE: &str = "there is no such process yet";
/// Why keywords about polling do nothing.
const NO_POLLING: &str = "the kernel tells about links";
/// Why SNMP and D-Bus keywords do nothing.
const NO_AGENT: &str = "there is no D-Bus service yet";
/// Why keywords about IPVS do nothing without virtual servers, which are refused.
const NO_IPVS: &str = "there is no IPVS yet, and virtual servers are refused";
/// Why keywords about netlink and receive buffers do nothing.
const NO_BUFFERS: &str = "buffers are sized by the daemon";

/// Every table with the name of its block, for the reference and the matrix.
pub fn tables() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("root", flat(root::ROOT)),
        ("global_defs", global_defs::GLOBAL_DEFS.rows()),
        ("vrrp_instance", instances()),
        ("authentication", vrrp_instance::AUTHENTICATION.rows()),
        ("auth_hmac", refused(hmac::AUTH_HMAC.rows())),
        ("address options", address::OPTIONS.rows()),
        ("vrrp_script", vrrp_script::VRRP_SCRIPT.rows()),
        ("vrrp_sync_group", sync_group::VRRP_SYNC_GROUP.rows()),
        ("track_file", track_file::TRACK_FILE.rows()),
        ("vrrp_track_process", track_process::VRRP_TRACK_PROCESS.rows()),
        ("garp_group", garp_group::GARP_GROUP.rows()),
        ("bfd_instance", bfd_instance::BFD_INSTANCE.rows()),
        ("static_routes and virtual_routes", static_blocks::ROUTES.rows()),
        ("static_rules and virtual_rules", static_blocks::RULES.rows()),
        ("virtual_server", flat(virtual_server::VIRTUAL_SERVER)),
        ("real_server", flat(real_server::REAL_SERVER)),
        ("checkers", flat(checkers::CHECKERS)),
        ("url", checkers::URL.rows()),
        ("SSL", checkers::SSL.rows()),
    ]
}

/// `vrrp_instance`, of which one block is read, checked, and then refused by the daemon.
fn instances() -> Vec<Row> {
    let refuse = |row: Row| match row.name {
        "auth_hmac" => Row { status: conf::Status::Planned, ..row },
        _ => row,
    };
    flat(vrrp_instance::VRRP_INSTANCE).into_iter().map(refuse).collect()
}

/// Rows that are read, and checked, of a block the daemon refuses by name.
fn refused(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { status: conf::Status::Planned, ..row }).collect()
}

/// The rows of a table without those of its blocks, which are listed by themselves.
fn flat<T: 'static>(table: &[conf::Keyword<T>]) -> Vec<Row> {
    table.rows().into_iter().map(|row| Row { nested: vec![], ..row }).collect()
}

/// An optional switch: nothing is on. `None` for a word that is neither on nor off.
fn switch(words: &[Word]) -> Option<bool> {
    words.first().map_or(Some(true), |word| crate::number::boolean(&word.text))
}

/// Where the closing brace of a block stands.
fn closing(stmt: &Stmt) -> Span {
    Span { start: stmt.span.end.saturating_sub(1), ..stmt.span }
}

/// Complains in keepalived's words.
fn complain(b: &mut Binder, span: Span, said: impl Into<String>) {
    b.error(span, conf::Problem::Other(said.into()));
}
