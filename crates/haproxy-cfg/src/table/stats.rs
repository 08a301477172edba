//! `stats …` of a proxy: the statistics page, which is HTTP.

use conf::Form::Words;
use conf::{Keyword, Status, Within};

use super::PROXY;
use crate::draft::Draft;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;

/// A setting of the statistics page.
const fn stats(name: &'static str, usage: &'static str) -> P {
    P::new(name, Words(usage, 0..=ALL, |p, _, _| p.http.stats = true))
        .within(PROXY)
        .status(Status::Accepted("the statistics page needs `mode http`, which is refused"))
}

/// A setting that named sections only may have.
const fn named(name: &'static str, usage: &'static str) -> P {
    let within = Within(PROXY.0 & !1);
    P { within, ..stats(name, usage) }
}

/// The statistics page.
pub(crate) const TABLE: &[P] = &[
    named("stats admin", "if|unless <condition>"),
    stats("stats auth", "<user>:<password>"),
    stats("stats enable", ""),
    stats("stats hide-version", ""),
    named("stats http-request", "<action> [param…]"),
    stats("stats realm", "<realm>"),
    stats("stats refresh", "<time>"),
    stats("stats scope", "<proxy>"),
    stats("stats show-desc", "[<text>]"),
    stats("stats show-legends", ""),
    stats("stats show-modules", ""),
    stats("stats show-node", "[<name>]"),
    stats("stats show-version", ""),
    stats("stats uri", "<prefix>"),
];
