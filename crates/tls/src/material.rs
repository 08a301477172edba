//! Certificates, keys and lists of what was revoked, out of PEM.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::suites::NoSuite;

/// What is wrong with what TLS is to be spoken with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// A file of roots, or of what was revoked.
    #[error("{0}")]
    Roots(String),
    /// No certificate is in the file.
    #[error("no certificate in it")]
    NoCertificate,
    /// No key is in the file.
    #[error("no private key in it")]
    NoKey,
    /// The key needs a password, which nobody is asked for.
    #[error("its private key is encrypted")]
    Encrypted,
    /// The key is none that is known: RSA from 2048 to 4096 bits, P-256, P-384 or Ed25519.
    #[error("its private key is of no kind that is spoken: {0}")]
    Key(String),
    /// The key is of another certificate.
    #[error("its private key is not its certificate's")]
    Mismatch,
    /// The certificate is none.
    #[error("its certificate cannot be read: {0}")]
    Certificate(String),
    /// Nothing is left to speak.
    #[error(transparent)]
    Suites(#[from] NoSuite),
    /// A name that can be none.
    #[error("'{0}' is no host name")]
    Name(String),
    /// The library does not take it.
    #[error("{0}")]
    Library(String),
}

impl From<rustls::Error> for Problem {
    fn from(error: rustls::Error) -> Self {
        Self::Library(error.to_string())
    }
}

/// All certificates of a text.
pub(crate) fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| Problem::Roots(error.to_string()))?;
    if all.is_empty() {
        return Err(Problem::NoCertificate);
    }
    Ok(all)
}

/// The roots of a text.
pub(crate) fn store(pem: &[u8]) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(pem)? {
        // One that cannot be a root (as some of the system's) does no harm.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(Problem::NoCertificate);
    }
    Ok(roots)
}

/// The lists of a text.
pub(crate) fn revocations(
    pem: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    let all: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| Problem::Roots(error.to_string()))?;
    if all.is_empty() {
        return Err(Problem::Roots("no list of revoked certificates in it".into()));
    }
    Ok(all)
}

/// A certificate with its chain and its key; the key may stand in a text of its own.
pub(crate) fn certified(
    provider: &CryptoProvider,
    chain: &[u8],
    key: Option<&[u8]>,
) -> Result<CertifiedKey, Problem> {
    let own = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let own = own.map_err(|error| Problem::Certificate(error.to_string()))?;
    if own.is_empty() {
        return Err(Problem::NoCertificate);
    }
    let text = key.unwrap_or(chain);
    let encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| text.windows(mark.len()).any(|part| part == *mark)) {
        return Err(Problem::Encrypted);
    }
    let key = PrivateKeyDer::from_pem_slice(text).map_err(|_| Problem::NoKey)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| Problem::Key(error.to_string()))?;
    let certified = CertifiedKey::new(own, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(Problem::Mismatch),
        // A certificate the library does not read is shown all the same.
        Err(rustls::Error::InvalidCertificate(_)) => {}
        Err(error) => return Err(Problem::Certificate(error.to_string())),
    }
    Ok(certified)
}

/// The same, to be shared.
pub(crate) fn shared(
    provider: &CryptoProvider,
    chain: &[u8],
    key: Option<&[u8]>,
) -> Result<Arc<CertifiedKey>, Problem> {
    certified(provider, chain, key).map(Arc::new)
}
