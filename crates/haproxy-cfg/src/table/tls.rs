//! TLS on `bind` and `server` lines: what both sides have in common is one table.

use std::marker::PhantomData;
use std::path::PathBuf;

use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Span, Word};
use proxy::TlsVerify;

use super::text;
use crate::say::Complain;

/// What a line says of TLS, before it is known whether it has `ssl`.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsDraft {
    /// `ssl`: where it stands, if it does.
    pub(crate) on: Option<Span>,
    /// `ssl-min-ver`, `ssl-max-ver`: 1.x.
    pub(crate) least: Option<u8>,
    pub(crate) most: Option<u8>,
    /// `no-tlsv12`, `no-tlsv13`.
    pub(crate) without: [bool; 2],
    pub(crate) ciphers: Option<String>,
    pub(crate) suites: Option<String>,
    pub(crate) curves: Option<String>,
    pub(crate) alpn: Option<Vec<String>>,
    pub(crate) no_tickets: Option<bool>,
    pub(crate) crl_file: Option<PathBuf>,
    /// `bind` lines.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) verify: Option<TlsVerify>,
    pub(crate) strict: Option<bool>,
    /// `crt`, `crt-list` and `default-crt`, in their order.
    pub(crate) shown: Vec<Shown>,
    /// `ca-ignore-err`, `crt-ignore-err`; an empty list is all of them.
    pub(crate) overlooked: Option<Vec<u32>>,
    /// `server` lines: `crt`, `sni`, `no-ssl-reuse`.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) sni: Option<Word>,
    pub(crate) no_reuse: bool,
}

/// Where a `bind` line's certificates are.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) list: bool,
    /// `default-crt`.
    pub(crate) first: bool,
    pub(crate) path: PathBuf,
    pub(crate) at: Span,
}

/// A line that may say something of TLS.
pub(crate) trait SaysTls: Sized + 'static {
    /// What ends complaints about it.
    const STOP: &'static str;

    fn tls(&mut self) -> &mut TlsDraft;
}

const OLD: &str = "TLS before 1.2 is not spoken";
const SIGNATURES: &str = "the peer chooses among all signatures that are known";
const KERNEL: &str = "encryption stays in the process";

/// The rows of a kind of line.
pub(crate) struct Rows<T>(PhantomData<T>);

impl<T: SaysTls> Rows<T> {
    /// What both kinds have.
    pub(crate) const TABLE: &'static [Keyword<T>] = &[
        Keyword::new(
            "ssl",
            Words("", 0..=0, |l: &mut T, _, _| {
                l.tls().on = Some(Span::default());
            }),
        )
        .doc("TLS is spoken: 1.2 and 1.3, with forward secrecy."),
        Keyword::new(
            "alpn",
            Words("<protocols>", 0..=1, |l: &mut T, w, b| {
                if w.is_empty() {
                    return refuse::<T>(
                        b,
                        w,
                        "'alpn' : missing the comma-delimited ALPN protocol suite",
                    );
                }
                let names = text(w, 0).split(',').filter(|name| !name.is_empty());
                l.tls().alpn = Some(names.map(str::to_owned).collect());
            }),
        )
        .doc("Protocols that are offered or known (RFC 7301), the best one first."),
        Keyword::new("no-alpn", Flag(|l: &mut T| l.tls().alpn = Some(vec![])))
            .doc("No protocol is offered or known."),
        Keyword::accepted("npn", "<value>", "ALPN has taken its place (RFC 7301)"),
        Keyword::new(
            "ciphers",
            Words("<ciphers>", 0..=1, |l: &mut T, w, b| {
                if w.is_empty() {
                    return refuse::<T>(b, w, "'ciphers' : missing cipher suite");
                }
                l.tls().ciphers = Some(text(w, 0).to_owned());
            }),
        )
        .doc(
            "Ciphers of TLS 1.2, in OpenSSL's words. Those without forward secrecy or without \
              authenticated encryption are not spoken; a list that leaves none is refused.",
        ),
        Keyword::new(
            "ciphersuites",
            Words("<suites>", 0..=1, |l: &mut T, w, b| {
                if w.is_empty() {
                    return refuse::<T>(b, w, "'ciphersuites' : missing cipher suite");
                }
                l.tls().suites = Some(text(w, 0).to_owned());
            }),
        )
        .doc("Cipher suites of TLS 1.3 (RFC 8446), with colons between."),
        Keyword::new(
            "curves",
            Words("<curves>", 0..=1, |l: &mut T, w, b| {
                if w.is_empty() {
                    return refuse::<T>(b, w, "'curves' : missing curve suite");
                }
                l.tls().curves = Some(text(w, 0).to_owned());
            }),
        )
        .doc("Groups for the exchange of keys: X25519, P-256, P-384; others are passed over."),
        Keyword::new(
            "crl-file",
            Words("<file>", 0..=1, |l: &mut T, w, b| {
                if w.is_empty() {
                    return refuse::<T>(b, w, "'crl-file' : missing CRLfile path");
                }
                l.tls().crl_file = Some(text(w, 0).into());
            }),
        )
        .doc(
            "What was revoked, in PEM: with it every certificate of a chain has to be on its \
              issuer's list, and not revoked.",
        ),
        Keyword::new(
            "ssl-min-ver",
            Words("<version>", 0..=1, |l: &mut T, w, b| {
                if let Some(version) = version::<T>("ssl-min-ver", w, b) {
                    old(version, w, b);
                    l.tls().least = Some(version);
                }
            }),
        )
        .doc("The least version: TLSv1.2 or TLSv1.3; an older one is read as TLSv1.2, and said."),
        Keyword::new(
            "ssl-max-ver",
            Words("<version>", 0..=1, |l: &mut T, w, b| {
                if let Some(version) = version::<T>("ssl-max-ver", w, b) {
                    l.tls().most = Some(version);
                    never::<T>(version, w, b);
                }
            }),
        )
        .doc("The greatest version; one before TLSv1.2 is refused."),
        Keyword::new("force-tlsv12", Flag(|l: &mut T| force(l.tls(), 2)))
            .doc("Nothing but TLS 1.2."),
        Keyword::new("force-tlsv13", Flag(|l: &mut T| force(l.tls(), 3)))
            .doc("Nothing but TLS 1.3."),
        Keyword::new("force-sslv3", Words("", 0..=0, |_: &mut T, w, b| never::<T>(0, w, b)))
            .doc("Refused: SSLv3 is not spoken (RFC 7568)."),
        Keyword::new("force-tlsv10", Words("", 0..=0, |_: &mut T, w, b| never::<T>(0, w, b)))
            .doc("Refused: TLS 1.0 is not spoken (RFC 8996)."),
        Keyword::new("force-tlsv11", Words("", 0..=0, |_: &mut T, w, b| never::<T>(1, w, b)))
            .doc("Refused: TLS 1.1 is not spoken (RFC 8996)."),
        Keyword::new("no-tlsv12", Flag(|l: &mut T| l.tls().without[0] = true))
            .doc("TLS 1.2 is not spoken, unless the versions are said otherwise."),
        Keyword::new("no-tlsv13", Flag(|l: &mut T| l.tls().without[1] = true))
            .doc("TLS 1.3 is not spoken, unless the versions are said otherwise."),
        Keyword::accepted("no-sslv3", "", OLD),
        Keyword::accepted("no-tlsv10", "", OLD),
        Keyword::accepted("no-tlsv11", "", OLD),
        Keyword::new("no-tls-tickets", Flag(|l: &mut T| l.tls().no_tickets = Some(true)))
            .doc("No session is resumed by a ticket (RFC 5077)."),
        Keyword::new("tls-tickets", Flag(|l: &mut T| l.tls().no_tickets = Some(false)))
            .doc("Takes `no-tls-tickets` back."),
        Keyword::accepted("sigalgs", "<value>", SIGNATURES),
        Keyword::accepted("client-sigalgs", "<value>", SIGNATURES),
        Keyword::accepted("ktls", "<value>", KERNEL),
        Keyword::accepted("allow-0rtt", "", "nothing is taken before the handshake is over"),
    ];
}

fn refuse<T: SaysTls>(b: &mut Binder, words: &[Word], text: &str) {
    let span = words.first().map_or_else(Span::default, |word| word.span);
    b.refuse(span, format!("{text}{}", T::STOP));
}

fn force(tls: &mut TlsDraft, version: u8) {
    (tls.least, tls.most) = (Some(version), Some(version));
}

/// A version as HAProxy writes it; TLS 1.x is x, and SSLv3 older than all.
pub(crate) fn named(word: &str) -> Option<u8> {
    match word {
        "SSLv3" | "TLSv1.0" => Some(0),
        "TLSv1.1" => Some(1),
        "TLSv1.2" => Some(2),
        "TLSv1.3" => Some(3),
        _ => None,
    }
}

fn version<T: SaysTls>(keyword: &str, words: &[Word], b: &mut Binder) -> Option<u8> {
    let Some(word) = words.first() else {
        refuse::<T>(b, words, &format!("'{keyword}' : missing the ssl/tls version"));
        return None;
    };
    let version = named(&word.text);
    if version.is_none() {
        refuse::<T>(b, words, &format!("'{}' : unknown ssl/tls version", word.text));
    }
    version
}

/// Says that a version is not spoken any more where others are.
pub(crate) fn old(version: u8, words: &[Word], b: &mut Binder) {
    if version < 2 {
        let span = words.first().map_or_else(Span::default, |word| word.span);
        b.warn(span, "TLS 1.0 and 1.1 are not spoken (RFC 8996): the least version is TLSv1.2.");
    }
}

fn never<T: SaysTls>(version: u8, words: &[Word], b: &mut Binder) {
    if version < 2 {
        refuse::<T>(b, words, "no version before TLSv1.2 is spoken (RFC 8996)");
    }
}

/// What `ssl-default-bind-options` and `ssl-default-server-options` say, where a line does not.
pub(crate) fn default_option(tls: &mut TlsDraft, word: &str, argument: &str) {
    match word {
        "ssl-min-ver" => tls.least = named(argument),
        "ssl-max-ver" => tls.most = named(argument),
        "force-tlsv12" => force(tls, 2),
        "force-tlsv13" => force(tls, 3),
        "no-tlsv12" => tls.without[0] = true,
        "no-tlsv13" => tls.without[1] = true,
        "no-tls-tickets" => tls.no_tickets = Some(true),
        "strict-sni" => tls.strict = Some(true),
        _ => {}
    }
}

impl TlsDraft {
    /// What is said here, and of the rest what `defaults` say.
    pub(crate) fn or(&self, defaults: &Self) -> Self {
        let versions = self.least.is_some() || self.most.is_some() || self.without != [false; 2];
        let from = if versions { self } else { defaults };
        let or = |own: &Option<String>, other: &Option<String>| own.clone().or(other.clone());
        Self {
            least: from.least,
            most: from.most,
            without: from.without,
            ciphers: or(&self.ciphers, &defaults.ciphers),
            suites: or(&self.suites, &defaults.suites),
            curves: or(&self.curves, &defaults.curves),
            no_tickets: self.no_tickets.or(defaults.no_tickets),
            strict: self.strict.or(defaults.strict),
            ..self.clone()
        }
    }

    /// The least and the greatest version; `None` if nothing is left.
    pub(crate) fn versions(&self) -> Option<(u8, u8)> {
        let (mut least, mut most) = (self.least.unwrap_or(2).max(2), self.most.unwrap_or(3));
        if self.least.is_none() && self.most.is_none() {
            if self.without[0] {
                least = 3;
            }
            if self.without[1] {
                most = 2;
            }
        }
        (least <= most).then_some((least, most))
    }

    /// The same for the model.
    pub(crate) fn spoken(&self) -> Option<proxy::TlsSpoken> {
        let (least, most) = self.versions()?;
        Some(proxy::TlsSpoken {
            least,
            most,
            ciphers: self.ciphers.clone(),
            suites: self.suites.clone(),
            curves: self.curves.clone(),
        })
    }
}
