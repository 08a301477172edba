//! `server` and `default-server`: parameters known by name.

use conf::Form::Words;
use conf::{Keyword, Status};

use crate::draft::ServerDraft;

type S = Keyword<ServerDraft>;

const PLAIN: &str = "takes back what is refused anyway";
const TLS: &str = "TLS to servers is refused; checks speak TLS 1.2 and 1.3";
const HTTP: &str = "a part of HTTP that is not served";
const TUNING: &str = "tunes HAProxy's own engine";
const OWN: &str = "every check has a connection of its own";
const RING: &str = "has an effect in `ring` sections only";

/// Rows that are accepted without an effect, or refused as not built.
pub(crate) const TABLE: &[S] = &[
    S::accepted("sni", "<value>", TLS),
    S::planned("ssl", ""),
    S::accepted("alpn", "<value>", TLS),
    S::accepted("ciphers", "<value>", TLS),
    S::accepted("ciphersuites", "<value>", TLS),
    S::planned("crl-file", "<value>"),
    S::planned("crt", "<value>"),
    S::accepted("log-proto", "<value>", RING),
    S::accepted("no-ssl", "", PLAIN),
    S::accepted("no-ssl-reuse", "", TLS),
    S::accepted("no-sslv3", "", TLS),
    S::accepted("no-tls-tickets", "", TLS),
    S::accepted("no-tlsv10", "", TLS),
    S::accepted("no-tlsv11", "", TLS),
    S::accepted("no-tlsv12", "", TLS),
    S::accepted("no-tlsv13", "", TLS),
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
    S::accepted("ssl-max-ver", "<value>", TLS),
    S::accepted("ssl-min-ver", "<value>", TLS),
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
    S::accepted("check-sni-auto", "", TLS),
    S::accepted("curves", "<value>", TLS),
    S::accepted("force-tlsv12", "", TLS),
    S::accepted("force-tlsv13", "", TLS),
    S::accepted("guid", "<value>", TUNING),
    S::planned("hash-key", "id|addr|addr-port"),
    S::planned("healthcheck", "<value>"),
    S::accepted("idle-ping", "<value>", HTTP),
    S::accepted("log-bufsize", "<value>", RING),
    S::accepted("max-reuse", "<value>", HTTP),
    S::accepted("no-check-sni-auto", "", TLS),
    S::accepted("no-sni-auto", "", TLS),
    S::accepted("npn", "<value>", TLS),
    S::accepted("pool-conn-name", "<value>", HTTP),
    S::planned("shard", "<value>"),
    S::accepted("sni-auto", "", TLS),
    S::accepted("ssl-reuse", "", TLS),
    S::accepted("strict-maxconn", "", TUNING),
    S::accepted("tls-tickets", "", TLS),
    S::accepted("ws", "<value>", HTTP),
    S::accepted("allow-0rtt", "", TLS),
    S::accepted("client-sigalgs", "<value>", TLS),
    S::accepted("force-sslv3", "", TLS),
    S::accepted("force-tlsv10", "", TLS),
    S::accepted("force-tlsv11", "", TLS),
    S::accepted("ktls", "<value>", TLS),
    S::accepted("no-check-reuse-pool", "", OWN),
    S::accepted("no-renegotiate", "", TLS),
    S::accepted("quic-cc-algo", "<value>", "QUIC is not spoken"),
    S::accepted("renegotiate", "", TLS),
    S::accepted("sigalgs", "<value>", TLS),
];
