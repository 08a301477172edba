//! `server` and `default-server`: parameters known by name.

use balance::HashKey;
use conf::Form::Words;
use conf::{Keyword, Status};

use crate::draft::ServerDraft;

type S = Keyword<ServerDraft>;

const HTTP: &str = "a part of HTTP that is not served";
const TUNING: &str = "tunes HAProxy's own engine";
const OWN: &str = "every check has a connection of its own";
const SHARD: &str = "has an effect in `peers` sections with `shards` only";
const STRICT: &str = "a session of a tcp proxy has one connection, and `maxconn` counts it";
const RING: &str = "has an effect in `ring` sections only";

/// Rows that are accepted without an effect, or refused as not built.
pub(crate) const TABLE: &[S] = &[
    S::accepted("log-proto", "<value>", RING),
    S::new("non-stick", conf::Form::Flag(|s| s.server.non_stick = true))
        .doc("Connections to it are not remembered in stick tables."),
    S::accepted("pool-low-conn", "<value>", HTTP),
    S::accepted("pool-max-conn", "<value>", HTTP),
    S::accepted("pool-purge-delay", "<value>", HTTP),
    S::new(
        "proto",
        Words("none|h1|h2|fcgi", 0..=1, |s, w, b| {
            if let Some(proto) = super::bind::multiplexer(b, w, ".") {
                s.multiplexer = proto;
            }
        }),
    )
    .doc("What a connection carries beside bytes: `none` for a tcp proxy."),
    S::accepted("redir", "<value>", HTTP),
    S::new("stick", conf::Form::Flag(|s| s.server.non_stick = false))
        .doc("Takes `non-stick` back."),
    S::new(
        "check-pool-conn-name",
        Words("<name>", 0..=1, |_, w, b| {
            if w.is_empty() {
                super::server::refuse(b, w, "'check-pool-conn-name' : missing value.");
            }
        }),
    )
    .status(Status::Accepted(OWN)),
    S::accepted("check-reuse-pool", "", OWN),
    S::accepted("guid", "<value>", TUNING),
    S::new(
        "hash-key",
        Words("id|addr|addr-port", 0..=1, |s, w, b| match super::text(w, 0) {
            "id" => s.server.hash_key = HashKey::Id,
            "addr" => s.server.hash_key = HashKey::Addr,
            "addr-port" => s.server.hash_key = HashKey::AddrPort,
            _ => super::server::refuse(
                b,
                w,
                "'hash-key' has to be 'id', 'addr', or 'addr-port'.",
            ),
        }),
    )
    .default("id")
    .doc("With `hash-type consistent`: what gives the server its places, its number, its address or that and its port."),
    S::planned("healthcheck", "<value>"),
    S::accepted("idle-ping", "<value>", HTTP),
    S::accepted("log-bufsize", "<value>", RING),
    S::accepted("max-reuse", "<value>", HTTP),
    S::accepted("pool-conn-name", "<value>", HTTP),
    S::accepted("shard", "<value>", SHARD),
    S::accepted("strict-maxconn", "", STRICT),
    S::accepted("ws", "<value>", HTTP),
    S::accepted("no-check-reuse-pool", "", OWN),
    S::accepted("quic-cc-algo", "<value>", "QUIC is not spoken"),
];
