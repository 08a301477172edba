//! `bind` lines: TLS.

use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Span, Word};
use proxy::TlsVerify;

use super::bind::Line;
use super::text;
use super::tls::{SaysTls, Shown, TlsDraft};
use crate::say::Complain;

type K = Keyword<Line>;

const DYNAMIC: &str = "certificates are read with the file, and made by nobody";

impl SaysTls for Line {
    const STOP: &'static str = "";

    fn tls(&mut self) -> &mut TlsDraft {
        &mut self.tls
    }
}

/// What only `bind` lines have.
pub(crate) const TABLE: &[K] = &[
    K::new("crt", Words("<file or directory>", 0..=1, |l, w, b| {
        shown(l, w, b, "crt", false, false);
    }))
    .doc("A certificate with its chain and its key, in PEM, or a directory of such files in the \
          order of their names; the key may stand in `<file>.key`. The first one is shown to who \
          asks for no other."),
    K::new("default-crt", Words("<file>", 0..=1, |l, w, b| {
        shown(l, w, b, "default-crt", false, true);
    }))
    .doc("The certificate that is shown to who asks for no other."),
    K::new("crt-list", Words("<file>", 0..=1, |l, w, b| {
        shown(l, w, b, "crt-list", true, false);
    }))
    .doc("A file with a certificate on each line, perhaps `[<parameters>]` and the names it is \
          shown to."),
    K::new("ca-file", Words("<file>", 0..=1, |l, w, b| match text(w, 0) {
        "" => refuse(b, w, "'ca-file' : missing CAfile path"),
        path => l.tls.ca_file = Some(path.into()),
    }))
    .doc("The roots clients' certificates have to lead to, in PEM; `@system-ca` is the system's."),
    K::new("verify", Words("none|optional|required", 0..=1, |l, w, b| {
        l.tls.verify = match text(w, 0) {
            "none" => Some(TlsVerify::None),
            "optional" => Some(TlsVerify::Optional),
            "required" => Some(TlsVerify::Required),
            "" => return refuse(b, w, "'verify' : missing verify method"),
            got => {
                let text = format!(
                    "'verify' : unknown verify method '{got}', only 'none', 'optional', and 'required' are supported"
                );
                return refuse(b, w, &text);
            }
        };
    }))
    .doc("Whether clients are asked for a certificate, and whether they have to have one."),
    K::new("ca-ignore-err", Words("all|<number>,…", 0..=1, |l, w, b| overlook(l, w, b, "ca-ignore-err")))
        .doc("What may be wrong with a client's chain, by OpenSSL's numbers; `ssl_c_verify` says it."),
    K::new("crt-ignore-err", Words("all|<number>,…", 0..=1, |l, w, b| overlook(l, w, b, "crt-ignore-err")))
        .doc("What may be wrong with a client's certificate, by OpenSSL's numbers."),
    K::new("strict-sni", Flag(|l| l.tls.strict = Some(true)))
        .doc("Who asks for a name that no certificate has is refused, and so is who asks for none."),
    K::new("no-strict-sni", Flag(|l| l.tls.strict = Some(false))).doc("Takes `strict-sni` back."),
    K::new("ecdhe", Words("<curve>", 0..=1, |l, w, b| match text(w, 0) {
        "" => refuse(b, w, "'ecdhe' : missing named curve"),
        curve => l.tls.curves = Some(curve.to_owned()),
    }))
    .doc("The one group for the exchange of keys: X25519, P-256 or P-384."),
    K::accepted("ca-sign-file", "<value>", DYNAMIC),
    K::accepted("ca-sign-pass", "<value>", DYNAMIC),
    K::planned("ca-verify-file", "<file>"),
    K::planned("generate-certificates", ""),
    K::accepted("ech", "<value>", "clients that want it are answered without it"),
    K::accepted("tls-ticket-keys", "<value>", "keys of tickets are made by each process, and changed every six hours"),
    K::accepted("no-ca-names", "", "clients are told which roots are known"),
    K::accepted("prefer-client-ciphers", "", "the client's order counts among equals"),
];

fn refuse(b: &mut Binder, words: &[Word], text: &str) {
    b.refuse(words.first().map_or_else(Span::default, |word| word.span), text);
}

fn shown(line: &mut Line, words: &[Word], b: &mut Binder, keyword: &str, list: bool, first: bool) {
    let Some(word) = words.first() else {
        return refuse(b, words, &format!("'{keyword}' : missing certificate location"));
    };
    let path = (&word.text).into();
    line.tls.shown.push(Shown { list, first, path, at: word.span });
}

fn overlook(line: &mut Line, words: &[Word], b: &mut Binder, keyword: &str) {
    let list = text(words, 0);
    if list.is_empty() {
        return refuse(b, words, &format!("'{keyword}' : missing error IDs list"));
    }
    if list == "all" {
        line.tls.overlooked = Some(vec![]);
        return;
    }
    let known = line.tls.overlooked.get_or_insert_default();
    for id in list.split(',') {
        match id.parse::<u32>() {
            Ok(id @ 1..=94) => known.push(id),
            other => {
                let id = other.unwrap_or(0);
                let text = format!(
                    "'{keyword}' : ID '{id}' out of range (1..94) in error IDs list '{list}'"
                );
                return refuse(b, words, &text);
            }
        }
    }
}
