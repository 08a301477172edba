//! Connections of clients.
//!
//! ```text
//!   ClientHello ─► the name it asks for ─► a certificate of that name, of a kind the client knows
//!                                          *.name, then the first one, unless names are strict
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::certificate::{Certificate, holds};
use crate::judge::{ClientJudge, Overlooked, Trust};
use crate::material::{Problem, shared};
use crate::session::Session;
use crate::suites::Spoken;

/// How TLS is spoken with clients.
#[derive(Clone, Debug, Default)]
pub struct FrontSettings<'a> {
    /// Versions, ciphers, groups.
    pub spoken: Spoken,
    /// Protocols that are known, the best one first.
    pub alpn: Vec<Vec<u8>>,
    /// Whether clients are asked for a certificate, and what it is judged by.
    pub ask: Option<Ask<'a>>,
    /// Whether sessions may be resumed by tickets.
    pub tickets: bool,
    /// How many sessions are remembered for clients without tickets.
    pub remembered: usize,
}

/// What clients are asked for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What their certificates are judged by.
    pub trust: Trust<'a>,
    /// Whether there is no connection without one.
    pub required: bool,
    /// What is looked over.
    pub overlooked: Overlooked,
}

/// A certificate that may be shown.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// It, and its chain, in PEM.
    pub chain: &'a [u8],
    /// Its key, if that stands elsewhere.
    pub key: Option<&'a [u8]>,
    /// The names it is for, `*.name` and `!name` among them; empty: as it says itself.
    pub names: &'a [String],
    /// How TLS is spoken where it is shown, if that differs.
    pub own: Option<FrontSettings<'a>>,
}

/// What is chosen for a client.
pub(crate) struct Chosen {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) certificate: Arc<[u8]>,
}

/// Chooses how a client is spoken with.
pub(crate) trait Choice: Send + Sync {
    /// `None` ends the connection.
    fn choose(&self, hello: &ClientHello<'_>) -> Option<Chosen>;
}

struct Entry {
    config: Arc<ServerConfig>,
    certified: Arc<CertifiedKey>,
    certificate: Arc<[u8]>,
    judge: Option<Arc<ClientJudge>>,
    /// Names of a `*` it is not for.
    not: Vec<String>,
}

/// The certificates of an address, by name.
struct Shelf {
    entries: Vec<Entry>,
    /// In lower case; those that begin with `*.` without the `*`.
    exact: HashMap<String, Vec<usize>>,
    wild: HashMap<String, Vec<usize>>,
    strict: bool,
}

/// Begins connections of clients. It is made once, and kept.
#[derive(Clone)]
pub struct Front {
    shelf: Arc<Shelf>,
}

/// How one kind of client is spoken with, before a certificate is chosen.
struct Base {
    config: ServerConfig,
    judge: Option<Arc<ClientJudge>>,
}

impl Base {
    fn new(settings: &FrontSettings<'_>, certified: &Arc<CertifiedKey>) -> Result<Self, Problem> {
        let (provider, versions) = settings.spoken.provider()?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?;
        let mut judge = None;
        let builder = match &settings.ask {
            None => builder.with_no_client_auth(),
            Some(ask) => {
                let made =
                    ClientJudge::new(&provider, &ask.trust, ask.required, ask.overlooked.clone())?;
                let made = judge.insert(Arc::new(made));
                builder.with_client_cert_verifier(Arc::clone(made) as _)
            }
        };
        let shown = Arc::new(SingleCertAndKey::from(Arc::clone(certified)));
        let mut config = builder.with_cert_resolver(shown);
        config.alpn_protocols.clone_from(&settings.alpn);
        config.session_storage = match settings.remembered {
            0 => Arc::new(NoServerSessionStorage {}),
            most => ServerSessionMemoryCache::new(most),
        };
        if settings.tickets {
            config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config, judge })
    }
}

impl Front {
    /// One that shows these certificates. With `strict`, a client that asks for another name, or
    /// for none, is refused; otherwise it is shown the first one.
    ///
    /// # Errors
    ///
    /// The position of the certificate that something is wrong with, and what. It is 0 for what is
    /// common to all.
    pub fn new(
        settings: &FrontSettings<'_>,
        shown: &[Shown<'_>],
        strict: bool,
    ) -> Result<Self, (usize, Problem)> {
        let (mut base, mut shelf) = (None, Shelf::new(strict));
        for (at, one) in shown.iter().enumerate() {
            let bad = |problem| (at, problem);
            let provider = rustls::crypto::ring::default_provider();
            let certified = shared(&provider, one.chain, one.key).map_err(bad)?;
            let made;
            let common = match &one.own {
                Some(own) => {
                    made = Base::new(own, &certified).map_err(bad)?;
                    &made
                }
                None => {
                    if base.is_none() {
                        base = Some(Base::new(settings, &certified).map_err(|why| (0, why))?);
                    }
                    let Some(base) = &base else { continue };
                    base
                }
            };
            let mut config = common.config.clone();
            config.cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&certified)));
            let judge = common.judge.clone();
            shelf.put(
                Entry {
                    config: Arc::new(config),
                    certificate: certified.cert.first().map_or(&[][..], |der| der.as_ref()).into(),
                    certified,
                    judge,
                    not: Vec::new(),
                },
                one.names,
            );
        }
        Ok(Self { shelf: Arc::new(shelf) })
    }

    /// A connection a client has begun.
    pub fn accept(&self) -> Session {
        Session::server(Arc::clone(&self.shelf) as _)
    }

    /// What is wrong with a client's certificate that was looked over, by OpenSSL's number; 0 is
    /// nothing. `own` is the certificate the client was shown.
    pub fn overlooked(&self, own: &Certificate, client: &Certificate) -> u32 {
        let entry = self.shelf.entries.iter().find(|entry| *entry.certificate == *own.der());
        let judge = entry.and_then(|entry| entry.judge.as_ref());
        judge.map_or(0, |judge| judge.code(client.der()))
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("certificates", &self.shelf.entries.len())
            .finish_non_exhaustive()
    }
}

impl Shelf {
    fn new(strict: bool) -> Self {
        Self { entries: Vec::new(), exact: HashMap::new(), wild: HashMap::new(), strict }
    }

    fn put(&mut self, mut entry: Entry, filters: &[String]) {
        let at = self.entries.len();
        let mut names: Vec<String> = filters.to_vec();
        if names.iter().all(|name| name.starts_with('!')) {
            let certificate = Certificate::new(entry.certificate.to_vec());
            names.extend(certificate.host_names());
            names.extend(certificate.common_name());
        }
        for name in names {
            let name = name.to_ascii_lowercase();
            if let Some(not) = name.strip_prefix('!') {
                entry.not.push(not.to_owned());
                continue;
            }
            let places = match name.strip_prefix('*') {
                Some(rest) => self.wild.entry(rest.to_owned()).or_default(),
                None => self.exact.entry(name).or_default(),
            };
            if !places.contains(&at) {
                places.push(at);
            }
        }
        self.entries.push(entry);
    }

    /// The best of some entries for a client: a key of elliptic curves, where it knows those.
    fn best(&self, places: &[usize], hello: &ClientHello<'_>) -> Option<&Entry> {
        let known = hello.signature_schemes();
        let entries = || places.iter().filter_map(|at| self.entries.get(*at));
        let fits = |entry: &&Entry| entry.certified.key.choose_scheme(known).is_some();
        let curve =
            |entry: &&Entry| entry.certified.key.algorithm() != rustls::SignatureAlgorithm::RSA;
        entries()
            .filter(fits)
            .find(curve)
            .or_else(|| entries().find(fits))
            .or_else(|| entries().next())
    }

    fn find(&self, hello: &ClientHello<'_>) -> Option<&Entry> {
        if let Some(name) = hello.server_name() {
            let name = name.to_ascii_lowercase();
            if let Some(places) = self.exact.get(&name) {
                return self.best(places, hello);
            }
            let rest = name.find('.').map(|dot| &name[dot..]);
            if let Some(places) = rest.and_then(|rest| self.wild.get(rest)) {
                let fits = |at: &usize| !self.entries[*at].not.iter().any(|not| holds(not, &name));
                let places: Vec<usize> = places.iter().copied().filter(fits).collect();
                if !places.is_empty() {
                    return self.best(&places, hello);
                }
            }
        }
        if self.strict {
            return None;
        }
        // The first one, or another of its names that the client can read.
        let first = self.entries.first()?;
        let same =
            |entry: &Entry| entry.certified.key.choose_scheme(hello.signature_schemes()).is_some();
        if same(first) {
            Some(first)
        } else {
            self.entries.iter().find(|e| same(e)).or(Some(first))
        }
    }
}

impl Choice for Shelf {
    fn choose(&self, hello: &ClientHello<'_>) -> Option<Chosen> {
        let entry = self.find(hello)?;
        Some(Chosen {
            config: Arc::clone(&entry.config),
            certificate: Arc::clone(&entry.certificate),
        })
    }
}
