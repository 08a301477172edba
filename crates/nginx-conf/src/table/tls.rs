//! `proxy_ssl` and what goes with it: TLS towards servers.

use conf::Form::Words;
use conf::Status::Accepted;
use conf::{Binder, Keyword, Problem, Within, Word};

use super::{IN_SERVER, IN_STREAM};
use crate::draft::{Protocols, Scope};
use crate::value::{flag, millis, number};

type Row = Keyword<Scope>;

const BOTH: Within = IN_STREAM.or(IN_SERVER);

/// The directives.
pub(crate) const TLS: &[Row] = &[
    Row::new("proxy_ssl", Words("on|off", 1..=1, |s, w, b| flag(&mut s.tls.on, w, b)))
        .default("off")
        .within(BOTH)
        .doc("TLS towards servers: 1.2 and 1.3, with forward secrecy. Not for datagrams."),
    Row::new(
        "proxy_ssl_alpn",
        Words("<protocol> …", 1..=usize::MAX, |s: &mut Scope, w, _| {
            s.tls.alpn = w.iter().map(Word::owned).collect();
        }),
    )
    .within(BOTH)
    .doc("The protocols offered (RFC 7301), the best one first."),
    Row::new(
        "proxy_ssl_certificate",
        Words("<file>", 1..=1, |s: &mut Scope, w, _| s.tls.certificate = w.first().cloned()),
    )
    .within(BOTH)
    .doc(
        "The certificate with its chain, in PEM, that is shown to a server that asks for one; \
         `data:` and the text itself; an empty word is none. Variables in it are refused.",
    ),
    Row::new("proxy_ssl_certificate_cache", Words("off|max=<n> …", 1..=3, cache))
        .within(BOTH)
        .status(Accepted("certificates are read once, with the configuration"))
        .doc("Kept certificates."),
    Row::new(
        "proxy_ssl_certificate_key",
        Words("<file>", 1..=1, |s: &mut Scope, w, _| s.tls.key = w.first().cloned()),
    )
    .within(BOTH)
    .doc(
        "Its key: RSA from 2048 to 4096 bits, P-256, P-384 or Ed25519. One that is encrypted, \
         `engine:` and `store:` are refused.",
    ),
    Row::new(
        "proxy_ssl_ciphers",
        Words("<ciphers>", 1..=1, |s: &mut Scope, w, _| {
            s.tls.ciphers = w.first().map(Word::owned);
        }),
    )
    .default("DEFAULT")
    .within(BOTH)
    .doc(
        "Ciphers of TLS 1.2, in OpenSSL's words. Those without forward secrecy or without \
         authenticated encryption are not spoken; a list that leaves none is refused.",
    ),
    Row::new(
        "proxy_ssl_conf_command",
        Words("<name> <value>", 2..=2, |s: &mut Scope, w, _| {
            s.tls.commands.push((w[0].owned(), w[1].owned(), w[0].span));
        }),
    )
    .within(BOTH)
    .doc(
        "A setting of OpenSSL: `Ciphersuites`, `CipherString`, `MinProtocol`, `MaxProtocol`, \
         `Groups` and `Curves`; others are refused.",
    ),
    Row::new(
        "proxy_ssl_crl",
        Words("<file>", 1..=1, |s: &mut Scope, w, _| s.tls.crl = w.first().map(Word::owned)),
    )
    .within(BOTH)
    .doc(
        "What was revoked, in PEM: with it every certificate of a chain has to be on its issuer's \
         list, and not revoked.",
    ),
    Row::new(
        "proxy_ssl_name",
        Words("<name>", 1..=1, |s: &mut Scope, w, b| {
            if crate::variable::check(&w[0], b) {
                s.tls.name = Some(w[0].owned());
            }
        }),
    )
    .within(BOTH)
    .doc(
        "The name a server's certificate has to be for, whether it is sent or not; with variables, \
         too. Without it, the host of `proxy_pass`.",
    ),
    Row::new(
        "proxy_ssl_password_file",
        Words("<file>", 1..=1, |s: &mut Scope, w, _| s.tls.passwords = w.first().cloned()),
    )
    .within(BOTH)
    .status(Accepted("an encrypted key is refused, and others need no password"))
    .doc("Passwords of keys. The file has to be there."),
    Row::new("proxy_ssl_protocols", Words("<protocol> …", 1..=usize::MAX, protocols))
        .default("TLSv1.2 TLSv1.3")
        .within(BOTH)
        .doc(
            "The versions of TLS offered: `TLSv1.2`, `TLSv1.3`. Older ones beside them are warned \
             of and passed over, and refused alone (RFC 8996).",
        ),
    Row::new(
        "proxy_ssl_server_name",
        Words("on|off", 1..=1, |s, w, b| flag(&mut s.tls.sends_name, w, b)),
    )
    .default("off")
    .within(BOTH)
    .doc("Whether the name is sent (RFC 6066 §3); an address never is."),
    Row::new(
        "proxy_ssl_session_reuse",
        Words("on|off", 1..=1, |s, w, b| flag(&mut s.tls.reuse, w, b)),
    )
    .default("on")
    .within(BOTH)
    .doc("Whether sessions are resumed."),
    Row::new(
        "proxy_ssl_trusted_certificate",
        Words("<file>", 1..=1, |s: &mut Scope, w, _| s.tls.trusted = w.first().map(Word::owned)),
    )
    .within(BOTH)
    .doc("Who may sign servers' certificates, in PEM."),
    Row::new("proxy_ssl_verify", Words("on|off", 1..=1, |s, w, b| flag(&mut s.tls.verify, w, b)))
        .default("off")
        .within(BOTH)
        .doc("Whether servers' certificates are verified: chain, time, name and revocation."),
    Row::new(
        "proxy_ssl_verify_depth",
        Words("<number>", 1..=1, |s, w, b| number(&mut s.tls.depth, w, b)),
    )
    .default("1")
    .within(BOTH)
    .doc("How many certificates may stand between a server's and a root."),
];

fn protocols(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let at = words.first().map(|word| word.span).unwrap_or_default();
    let mut said = Protocols { old: vec![], new: [false; 2], at };
    let mut seen: Vec<String> = Vec::new();
    for word in words {
        let name = word.text.to_ascii_lowercase();
        match name.as_str() {
            "sslv2" | "sslv3" | "tlsv1" | "tlsv1.1" => said.old.push(word.owned()),
            "tlsv1.2" => said.new[0] = true,
            "tlsv1.3" => said.new[1] = true,
            _ => {
                b.error(word.span, Problem::Other(format!("invalid value \"{}\"", word.text)));
                return;
            }
        }
        if seen.contains(&name) {
            b.warning(word.span, Problem::Other(format!("duplicate value \"{}\"", word.text)));
        }
        seen.push(name);
    }
    scope.tls.protocols = Some(said);
}

fn cache(_: &mut Scope, words: &[Word], b: &mut Binder) {
    let mut most = None;
    for word in words {
        let text = word.text.as_str();
        let part = |value: &str| Word { text: value.to_owned(), ..word.clone() };
        let sound = match text.split_once('=') {
            Some(("max", value)) => {
                most = crate::value::digits(value).filter(|n| *n > 0);
                most.is_some()
            }
            Some(("inactive" | "valid", value)) => {
                let mut time = None;
                millis(&mut time, &[part(value)], b);
                true
            }
            _ => {
                most = most.or(Some(0));
                text == "off"
            }
        };
        if !sound {
            b.error(word.span, Problem::Other(format!("invalid parameter \"{text}\"")));
            return;
        }
    }
    if let (None, Some(word)) = (most, words.first()) {
        let said = "\"proxy_ssl_certificate_cache\" must have the \"max\" parameter";
        b.error(word.span, Problem::Other(said.into()));
    }
}
