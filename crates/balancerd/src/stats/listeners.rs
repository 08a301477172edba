//! Rows of single addresses: `option socket-stats`.

use std::sync::atomic::Ordering::Relaxed;

use proxy::BindAddress;

use super::columns::{Kind, Row};
use super::rows::{Filter, mode};
use crate::state::Shared;

/// What is 0 of every address.
const ZEROS: &[&str] = &["dreq", "dresp", "ereq", "dcon", "dses", "wrew", "eint", "slim"];

/// What is 0 in the columns after the separator.
const TLS_ZEROS: &[&str] = &[
    "ssl_sess",
    "ssl_reused_sess",
    "ssl_failed_handshake",
    "ssl_ocsp_staple",
    "ssl_failed_ocsp_staple",
];

/// A row for each address of a frontend that counts them, in the order of the file.
pub(super) fn rows(
    shared: &Shared,
    frontend: usize,
    filter: Filter,
) -> impl Iterator<Item = Row> + '_ {
    let (config, state) = (&shared.config.frontends[frontend], &shared.frontends[frontend]);
    let binds = config.binds.iter().zip(&state.sockets);
    let wanted = binds.filter(move |(bind, _)| filter.server.is_none_or(|id| id == bind.id));
    wanted.map(move |(bind, traffic)| {
        let mut row = Row::new(Kind::Listener, config.id, bind.id);
        row.zeros(ZEROS);
        row.zeros(TLS_ZEROS);
        row.set("pxname", &config.name);
        row.set("svname", bind.name.clone().unwrap_or_else(|| format!("sock-{}", bind.id)));
        row.set("scur", traffic.current.load(Relaxed));
        row.set("smax", traffic.peak.load(Relaxed));
        row.set("stot", traffic.total.load(Relaxed));
        row.set("conn_tot", traffic.total.load(Relaxed));
        row.set("bin", traffic.bytes_in.load(Relaxed));
        row.set("bout", traffic.bytes_out.load(Relaxed));
        if let Some(most) = bind.maxconn {
            row.set("slim", most);
        }
        let full = bind.maxconn.is_some_and(|most| traffic.current.load(Relaxed) >= most);
        // Also of a frontend that is paused or stopped: the program says so of that alone.
        row.set("status", if full { "FULL" } else { "OPEN" });
        row.set("mode", mode(config.mode));
        let (address, protocol) = match &bind.address {
            BindAddress::Inet(address) if address.is_ipv4() => (address.to_string(), "tcpv4"),
            BindAddress::Inet(address) => (address.to_string(), "tcpv6"),
            _ => ("unix".to_owned(), "unix_stream"),
        };
        row.set("addr", address);
        row.set("proto", protocol);
        row
    })
}
