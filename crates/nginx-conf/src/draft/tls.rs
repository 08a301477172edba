//! TLS towards servers, as the directives say it.

use conf::{Span, Word};

/// `proxy_ssl` and what goes with it, of one level.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProxyTls {
    pub(crate) on: Option<bool>,
    pub(crate) alpn: Vec<String>,
    pub(crate) certificate: Option<Word>,
    pub(crate) key: Option<Word>,
    pub(crate) ciphers: Option<String>,
    /// `proxy_ssl_conf_command`: names and values.
    pub(crate) commands: Vec<(String, String, Span)>,
    pub(crate) crl: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) passwords: Option<Word>,
    pub(crate) protocols: Option<Protocols>,
    pub(crate) sends_name: Option<bool>,
    pub(crate) reuse: Option<bool>,
    pub(crate) trusted: Option<String>,
    pub(crate) verify: Option<bool>,
    pub(crate) depth: Option<u32>,
}

/// `proxy_ssl_protocols`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Protocols {
    /// Those before TLS 1.2, as written.
    pub(crate) old: Vec<String>,
    /// TLS 1.2 and 1.3.
    pub(crate) new: [bool; 2],
    pub(crate) at: Span,
}

impl ProxyTls {
    /// This level's values, and the outer level's where there are none.
    pub(crate) fn or(&self, outer: &Self) -> Self {
        let own = self.clone();
        let out = outer.clone();
        Self {
            on: own.on.or(out.on),
            alpn: if own.alpn.is_empty() { out.alpn } else { own.alpn },
            certificate: own.certificate.or(out.certificate),
            key: own.key.or(out.key),
            ciphers: own.ciphers.or(out.ciphers),
            commands: if own.commands.is_empty() { out.commands } else { own.commands },
            crl: own.crl.or(out.crl),
            name: own.name.or(out.name),
            passwords: own.passwords.or(out.passwords),
            protocols: own.protocols.or(out.protocols),
            sends_name: own.sends_name.or(out.sends_name),
            reuse: own.reuse.or(out.reuse),
            trusted: own.trusted.or(out.trusted),
            verify: own.verify.or(out.verify),
            depth: own.depth.or(out.depth),
        }
    }
}
