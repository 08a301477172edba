//! `server` and `default-server`: TLS.

use conf::Form::{Flag, Words};
use conf::Keyword;

use super::server::refuse;
use super::text;
use super::tls::{SaysTls, TlsDraft};
use crate::draft::ServerDraft;

type S = Keyword<ServerDraft>;

const AUTO: &str = "a name is sent where `sni` says which";

impl SaysTls for ServerDraft {
    const STOP: &'static str = ".";

    fn tls(&mut self) -> &mut TlsDraft {
        &mut self.tls
    }
}

/// What only servers have.
pub(crate) const TABLE: &[S] = &[
    S::new("no-ssl", Flag(|s| s.tls.on = None)).doc("Takes the `ssl` of a `default-server` back."),
    S::new(
        "sni",
        Words("<expr>", 0..=1, |s, w, b| match w.first() {
            None => refuse(b, w, "'sni' : missing sni expression."),
            Some(word) => s.tls.sni = Some(word.clone()),
        }),
    )
    .doc(
        "The name the server is asked by (RFC 6066 §3), as a fetch with converters; with `verify \
          required` its certificate has to be for it.",
    ),
    S::new(
        "crt",
        Words("<file>", 0..=1, |s, w, b| match text(w, 0) {
            "" => refuse(b, w, "'crt' : missing certificate file path."),
            path => s.tls.certificate = Some(path.into()),
        }),
    )
    .doc("Our own certificate with its key, in PEM, for a server that asks."),
    S::new("no-ssl-reuse", Flag(|s| s.tls.no_reuse = true))
        .doc("Every connection has a whole handshake."),
    S::new("ssl-reuse", Flag(|s| s.tls.no_reuse = false)).doc("Takes `no-ssl-reuse` back."),
    S::accepted("check-sni-auto", "", AUTO),
    S::accepted("no-check-sni-auto", "", AUTO),
    S::accepted("sni-auto", "", AUTO),
    S::accepted("no-sni-auto", "", AUTO),
    S::accepted("renegotiate", "", "nobody renegotiates: a peer that wants to is refused"),
    S::accepted("no-renegotiate", "", "nobody renegotiates"),
];
