//! TLS, towards servers and towards clients.
//!
//! The texts of certificates and keys are part of a configuration: they are read with it, so that a
//! process may give up its rights afterwards, and another text in the same file is another
//! configuration.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rules::Expr;

use crate::variable::Template;

/// The text of a file, in PEM.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Pem {
    /// Where it was read, or what stands for it, as `@system-ca`.
    pub path: PathBuf,
    /// What stood there.
    pub text: Arc<[u8]>,
}

impl fmt::Debug for Pem {
    /// Without the text, which may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A certificate, with its chain, and its key.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct KeyPair {
    /// The chain, and perhaps the key.
    pub chain: Pem,
    /// The key, where it stands in a file of its own.
    pub key: Option<Pem>,
}

/// Which versions, ciphers and groups are spoken.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TlsSpoken {
    /// The least minor version, 2 or 3: TLS 1.2 or 1.3.
    pub least: u8,
    /// The greatest minor version.
    pub most: u8,
    /// An OpenSSL cipher string.
    pub ciphers: Option<String>,
    /// Suites of TLS 1.3, by name.
    pub suites: Option<String>,
    /// Groups, by OpenSSL's names.
    pub curves: Option<String>,
}

impl Default for TlsSpoken {
    fn default() -> Self {
        Self { least: 2, most: 3, ciphers: None, suites: None, curves: None }
    }
}

/// What certificates of peers are judged by.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct TlsTrust {
    /// Roots: `ca-file`, `proxy_ssl_trusted_certificate`.
    pub roots: Pem,
    /// What was revoked: `crl-file`, `proxy_ssl_crl`.
    pub revoked: Option<Pem>,
    /// `proxy_ssl_verify_depth`: certificates between a server's and the root.
    pub depth: Option<u32>,
}

/// The name a server is asked by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsName {
    /// HAProxy's `sni`.
    Expr(Expr),
    /// nginx's `proxy_ssl_name`.
    Template(Template),
    /// This one.
    Fixed(String),
}

/// TLS towards a server: `server … ssl`, `proxy_ssl on`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientTls {
    /// Versions, ciphers, groups.
    pub spoken: TlsSpoken,
    /// `verify required`, `proxy_ssl_verify on`: what its certificate is judged by.
    pub trust: Option<TlsTrust>,
    /// The name it is known by.
    pub name: Option<TlsName>,
    /// Whether that name is sent.
    pub sends_name: bool,
    /// Whether its certificate has to be for that name, sent or not: nginx's `proxy_ssl_verify`.
    pub checks_name: bool,
    /// `verifyhost`: the name its certificate has to be for, whatever was sent.
    pub host: Option<String>,
    /// `alpn`, the best one first.
    pub alpn: Vec<String>,
    /// `crt`, `proxy_ssl_certificate`: what is shown if it asks.
    pub certificate: Option<KeyPair>,
    /// Whether sessions are resumed.
    pub reuse: bool,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TlsVerify {
    /// It is not asked.
    #[default]
    None,
    /// It is asked, and may have none.
    Optional,
    /// It has to.
    Required,
}

/// TLS with clients, as one certificate is shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsManner {
    /// Versions, ciphers, groups.
    pub spoken: TlsSpoken,
    /// `alpn`, the best one first.
    pub alpn: Vec<String>,
    /// `verify`.
    pub verify: TlsVerify,
    /// `ca-file`, `crl-file`.
    pub trust: Option<TlsTrust>,
    /// `ca-ignore-err`, `crt-ignore-err`: OpenSSL's numbers; `None` is all of them.
    pub overlooked: Option<Vec<u32>>,
    /// `no-tls-tickets` is not said.
    pub tickets: bool,
    /// `tune.ssl.cachesize`: sessions that are remembered without tickets.
    pub remembered: usize,
}

/// A certificate of a `bind` line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsCertificate {
    /// What is shown.
    pub pair: KeyPair,
    /// For which names, `*.name` and `!name` among them; empty: those it says itself.
    pub names: Vec<String>,
    /// How, where its line of a `crt-list` says so.
    pub manner: Option<TlsManner>,
}

/// TLS with clients: `bind … ssl`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerTls {
    /// How it is spoken.
    pub manner: TlsManner,
    /// What is shown, the first one to who asks for nothing else.
    pub certificates: Vec<TlsCertificate>,
    /// `strict-sni`: who asks for another name is refused.
    pub strict: bool,
}
