//! Cipher suites under OpenSSL's names, and the strings that choose among them.
//!
//! ```text
//!   "ECDHE+AESGCM:HIGH:!CHACHA20:@SECLEVEL=2" ─► choose ─► the six suites of TLS 1.2 that are left
//! ```
//!
//! Only suites with forward secrecy and authenticated encryption are spoken. A string that leaves
//! none of them is an error; names of others are passed over, as OpenSSL passes over those it was
//! built without.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

/// One suite, and all words of a cipher string that mean it.
struct Suite {
    suite: CipherSuite,
    name: &'static str,
    words: &'static [&'static str],
}

/// In OpenSSL's own order.
const SUITES: [Suite; 6] = [
    Suite {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        words: &["ECDSA", "aECDSA", "AES", "AES256", "AESGCM", "SHA384"],
    },
    Suite {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        words: &["aRSA", "AES", "AES256", "AESGCM", "SHA384"],
    },
    Suite {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        words: &["ECDSA", "aECDSA", "CHACHA20", "SHA256"],
    },
    Suite {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        words: &["aRSA", "CHACHA20", "SHA256"],
    },
    Suite {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        words: &["ECDSA", "aECDSA", "AES", "AES128", "AESGCM", "SHA256"],
    },
    Suite {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        words: &["aRSA", "AES", "AES128", "AESGCM", "SHA256"],
    },
];

/// Words that mean all of them.
const ALL: [&str; 11] = [
    "ALL",
    "DEFAULT",
    "HIGH",
    "ECDHE",
    "EECDH",
    "kECDHE",
    "kEECDH",
    "ECDH",
    "TLSv1.2",
    "FIPS",
    "SUITEB128",
];

/// The suites of TLS 1.3, which no cipher string changes.
const NEW: [(CipherSuite, &str); 3] = [
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
    (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
];

/// What is chosen among, or why nothing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoSuite {
    /// A cipher string leaves none.
    #[error("no cipher of it is spoken")]
    Ciphers,
    /// A list of suites of TLS 1.3 has none.
    #[error("no cipher suite of it is spoken")]
    Suites,
    /// A list of groups has none.
    #[error("no group of it is spoken")]
    Curves,
    /// The least version is above the greatest.
    #[error("no version of the protocol is left")]
    Versions,
}

/// OpenSSL's name of a suite.
pub(crate) fn name_of(suite: CipherSuite) -> &'static str {
    let old = SUITES.iter().find(|known| known.suite == suite).map(|known| known.name);
    let new = NEW.iter().find(|known| known.0 == suite).map(|known| known.1);
    old.or(new).unwrap_or("UNKNOWN")
}

/// How long the symmetric key of a suite is, in bits.
pub(crate) fn bits_of(suite: CipherSuite) -> u16 {
    if name_of(suite).contains("128_GCM") || name_of(suite).contains("AES128") { 128 } else { 256 }
}

/// The suites of TLS 1.2 that an OpenSSL cipher string leaves, the best one first.
///
/// # Errors
///
/// When none is left.
pub(crate) fn choose(string: &str) -> Result<Vec<CipherSuite>, NoSuite> {
    let (mut chosen, mut killed) = (Vec::<usize>::new(), Vec::<usize>::new());
    for word in string.split([':', ',', ' ', ';']).filter(|word| !word.is_empty()) {
        // `@SECLEVEL`, `@STRENGTH`: what is spoken is strong, and in that order.
        if word.starts_with('@') {
            continue;
        }
        let (act, word) = match word.as_bytes()[0] {
            sign @ (b'!' | b'-' | b'+') => (sign, &word[1..]),
            _ => (b' ', word),
        };
        let means = |suite: &Suite| {
            word.split('+').all(|part| {
                ALL.contains(&part) || suite.name == part || suite.words.contains(&part)
            })
        };
        let hit: Vec<usize> = (0..SUITES.len()).filter(|at| means(&SUITES[*at])).collect();
        match act {
            b'!' => {
                chosen.retain(|at| !hit.contains(at));
                killed.extend(hit);
            }
            b'-' => chosen.retain(|at| !hit.contains(at)),
            b'+' => {
                let moved: Vec<usize> =
                    chosen.iter().copied().filter(|at| hit.contains(at)).collect();
                chosen.retain(|at| !hit.contains(at));
                chosen.extend(moved);
            }
            _ => {
                let new = |at: &usize| !chosen.contains(at) && !killed.contains(at);
                let new: Vec<usize> = hit.into_iter().filter(new).collect();
                chosen.extend(new);
            }
        }
    }
    if chosen.is_empty() {
        return Err(NoSuite::Ciphers);
    }
    Ok(chosen.into_iter().map(|at| SUITES[at].suite).collect())
}

/// The names of a list that no suite of TLS 1.3 has.
fn choose_new(list: &str) -> Result<Vec<CipherSuite>, NoSuite> {
    let names = list.split(':').filter(|name| !name.is_empty());
    let found = names.filter_map(|name| NEW.iter().find(|known| known.1 == name));
    let found: Vec<CipherSuite> = found.map(|known| known.0).collect();
    if found.is_empty() && !list.is_empty() { Err(NoSuite::Suites) } else { Ok(found) }
}

/// Which versions, suites and groups are spoken; empty strings leave the usual ones.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Spoken {
    /// The least version.
    pub least: u8,
    /// The greatest.
    pub most: u8,
    /// An OpenSSL cipher string, for TLS 1.2.
    pub ciphers: Option<String>,
    /// Suites of TLS 1.3, with colons between.
    pub suites: Option<String>,
    /// Groups for the exchange of keys, by OpenSSL's names, with colons between.
    pub curves: Option<String>,
}

impl Default for Spoken {
    fn default() -> Self {
        Self { least: 2, most: 3, ciphers: None, suites: None, curves: None }
    }
}

impl Spoken {
    /// The cryptography that speaks so.
    ///
    /// # Errors
    ///
    /// When nothing is left to speak.
    pub(crate) fn provider(
        &self,
    ) -> Result<(Arc<CryptoProvider>, Vec<&'static SupportedProtocolVersion>), NoSuite> {
        let mut provider = ring::default_provider();
        let mut wanted = Vec::new();
        let versions = [(2, &rustls::version::TLS12), (3, &rustls::version::TLS13)];
        let spoken = |minor: u8| (self.least..=self.most).contains(&minor);
        // What is not spoken may say what it wants.
        if spoken(3) {
            match &self.suites {
                Some(list) => wanted.extend(choose_new(list)?),
                None => wanted.extend(NEW.map(|known| known.0)),
            }
        }
        if spoken(2) {
            match &self.ciphers {
                Some(string) => match choose(string) {
                    Ok(chosen) => wanted.extend(chosen),
                    // Suites of 1.3 are left.
                    Err(_) if !wanted.is_empty() && string.is_empty() => {}
                    Err(none) => return Err(none),
                },
                None => wanted.extend(SUITES.iter().map(|known| known.suite)),
            }
        }
        let all = provider.cipher_suites.clone();
        provider.cipher_suites = wanted
            .iter()
            .filter_map(|suite| all.iter().find(|known| known.suite() == *suite).copied())
            .collect();
        if let Some(curves) = &self.curves {
            let known = provider.kx_groups.clone();
            let names = curves.split(':').filter_map(|name| {
                let group = match name {
                    "X25519" | "x25519" => rustls::NamedGroup::X25519,
                    "P-256" | "prime256v1" | "secp256r1" => rustls::NamedGroup::secp256r1,
                    "P-384" | "secp384r1" => rustls::NamedGroup::secp384r1,
                    _ => return None,
                };
                known.iter().find(|one| one.name() == group).copied()
            });
            provider.kx_groups = names.collect();
            if provider.kx_groups.is_empty() {
                return Err(NoSuite::Curves);
            }
        }
        let is_new = |suite: &SupportedCipherSuite| suite.tls13().is_some();
        let left = versions.into_iter().filter(|(minor, _)| {
            spoken(*minor)
                && provider.cipher_suites.iter().any(|suite| is_new(suite) == (*minor == 3))
        });
        let left: Vec<_> = left.map(|(_, version)| version).collect();
        if left.is_empty() {
            return Err(NoSuite::Versions);
        }
        Ok((Arc::new(provider), left))
    }
}

#[cfg(test)]
mod tests;
