//! `keepalived.stats`, and the numbers of `keepalived.json`.

use vrrp::{Counters, Reject};

use super::text::line;
use crate::view::{Router, View};

/// keepalived's counters, of what happened since they were cleared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Stats {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) became_master: u64,
    pub(super) released_master: u64,
    pub(super) length: u64,
    pub(super) ttl: u64,
    pub(super) kind: u64,
    pub(super) interval: u64,
    pub(super) addresses: u64,
    pub(super) auth_invalid: u64,
    pub(super) auth_mismatch: u64,
    pub(super) auth_failure: u64,
    pub(super) zero_received: u64,
    pub(super) zero_sent: u64,
}

impl Stats {
    pub(super) fn of(router: &Router) -> Self {
        let (now, then) = (&router.counters, &router.watch.cleared);
        let since = |field: fn(&Counters) -> u64| field(now).saturating_sub(field(then));
        let cause = |reject: Reject| {
            let at = reject.cause();
            now.rejected[at].saturating_sub(then.rejected[at])
        };
        let length = Reject::Length { received: 0, expected: 0 };
        let total = Reject::TotalLength { received: 0, expected: 0 };
        let second = std::time::Duration::ZERO;
        Self {
            received: since(|c| c.adverts_received),
            sent: since(|c| c.adverts_sent),
            became_master: since(|c| c.became_master),
            released_master: since(|c| c.released_master),
            length: cause(length) + cause(total),
            ttl: cause(Reject::Ttl(0)),
            kind: cause(Reject::PacketType(0)),
            // keepalived has a place for it, and never counts.
            interval: cause(Reject::Interval { mine: second, theirs: second }),
            addresses: since(|c| c.address_mismatches),
            auth_invalid: 0,
            auth_mismatch: cause(Reject::AuthType { received: 0, expected: 0 }),
            auth_failure: cause(Reject::Password),
            zero_received: since(|c| c.zero_received),
            zero_sent: since(|c| c.zero_sent),
        }
    }
}

/// The whole file.
pub(super) fn write(view: &View) -> String {
    let mut text = String::new();
    let out = &mut text;
    for router in &view.routers {
        let stats = Stats::of(router);
        line!(out, "VRRP Instance: {}", router.config.name);
        line!(out, "  Advertisements:");
        line!(out, "    Received: {}", stats.received);
        line!(out, "    Sent: {}", stats.sent);
        line!(out, "  Became master: {}", stats.became_master);
        line!(out, "  Released master: {}", stats.released_master);
        line!(out, "  Packet Errors:");
        line!(out, "    Length: {}", stats.length);
        line!(out, "    TTL: {}", stats.ttl);
        line!(out, "    Invalid Type: {}", stats.kind);
        line!(out, "    Advertisement Interval: {}", stats.interval);
        line!(out, "    Address List: {}", stats.addresses);
        line!(out, "  Authentication Errors:");
        line!(out, "    Invalid Type: {}", stats.auth_invalid);
        line!(out, "    Type Mismatch: {}", stats.auth_mismatch);
        line!(out, "    Failure: {}", stats.auth_failure);
        line!(out, "  Priority Zero:");
        line!(out, "    Received: {}", stats.zero_received);
        line!(out, "    Sent: {}", stats.zero_sent);
    }
    text
}
