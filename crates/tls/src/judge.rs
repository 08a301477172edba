//! Whether a certificate is trusted.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::certificate::Certificate;
use crate::connect::nameless;
use crate::failure::Distrust;
use crate::material::{Problem, authorities, revocations, store};

/// What certificates of peers are judged by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trust<'a> {
    /// The roots, in PEM.
    pub roots: &'a [u8],
    /// Lists of what was revoked, in PEM; with one, every certificate has to be on some issuer's.
    pub revoked: Option<&'a [u8]>,
    /// How many certificates may stand between the peer's and the root.
    pub depth: Option<u32>,
}

/// Judges servers.
pub(crate) struct ServerJudge {
    inner: Arc<WebPkiServerVerifier>,
    own: Own,
    /// The name it has to be for, whatever was asked for.
    host: Option<String>,
    /// Without that, the name that was asked for counts.
    named: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What OpenSSL does and the library does not: a root may show itself, and chains have a length.
struct Own {
    roots: Vec<CertificateDer<'static>>,
    depth: Option<u32>,
}

impl Own {
    fn new(trust: &Trust<'_>) -> Result<Self, Problem> {
        Ok(Self { roots: authorities(trust.roots)?, depth: trust.depth })
    }

    /// What is to be said of it before the library is asked; `None` leaves it to that.
    fn judge(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<Result<(), Distrust>> {
        if self.roots.iter().any(|root| root == shown) {
            let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
            return Some(match Certificate::new(shown.to_vec()).times() {
                Some((from, _)) if now < from => Err(Distrust::EARLY),
                Some((_, to)) if now > to => Err(Distrust::EXPIRED),
                _ => Ok(()),
            });
        }
        let known = between.iter().filter(|one| self.roots.iter().any(|root| root == *one)).count();
        let length = between.len() - known;
        self.depth
            .is_some_and(|most| length > usize::try_from(most).unwrap_or(usize::MAX))
            .then_some(Err(Distrust::TOO_LONG))
    }
}

impl ServerJudge {
    pub(crate) fn new(
        provider: &Arc<CryptoProvider>,
        trust: &Trust<'_>,
        host: Option<&str>,
        named: bool,
    ) -> Result<Self, Problem> {
        let roots = Arc::new(store(trust.roots)?);
        let mut builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
        if let Some(pem) = trust.revoked {
            builder = builder.with_crls(revocations(pem)?);
        }
        let inner = builder.build().map_err(|error| Problem::Roots(error.to_string()))?;
        let algorithms = provider.signature_verification_algorithms;
        let host = host.map(str::to_owned);
        Ok(Self { inner, own: Own::new(trust)?, host, named, algorithms })
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.own.judge(shown, between, now) {
            Some(Err(why)) => return Err(Error::InvalidCertificate(why.to_error())),
            Some(Ok(())) => {}
            None => {
                let chain = self.inner.verify_server_cert(shown, between, &nameless(), ocsp, now);
                match chain {
                    Ok(_) => {}
                    // That name is nobody's, and looked at last.
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName
                        | CertificateError::NotValidForNameContext { .. },
                    )) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let asked = match name {
            ServerName::DnsName(name) if self.named => Some(name.as_ref()),
            _ => None,
        };
        if let Some(host) = self.host.as_deref().or(asked)
            && !Certificate::new(shown.to_vec()).is_for(host)
        {
            return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for ServerJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerJudge").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Judges clients.
pub(crate) struct ClientJudge {
    inner: Arc<dyn ClientCertVerifier>,
    own: Own,
    pub(crate) required: bool,
    /// Numbers of what is wrong that is looked over: of the client's own certificate, of others.
    overlooked: Overlooked,
}

/// `crt-ignore-err`, `ca-ignore-err`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Overlooked {
    /// Everything.
    pub all: bool,
    /// These.
    pub codes: Vec<u32>,
}

impl ClientJudge {
    pub(crate) fn new(
        provider: &Arc<CryptoProvider>,
        trust: &Trust<'_>,
        required: bool,
        overlooked: Overlooked,
    ) -> Result<Self, Problem> {
        let roots = Arc::new(store(trust.roots)?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        if let Some(pem) = trust.revoked {
            builder = builder.with_crls(revocations(pem)?);
        }
        let inner = builder.build().map_err(|error| Problem::Roots(error.to_string()))?;
        Ok(Self { inner, own: Own::new(trust)?, required, overlooked })
    }

    fn judge(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.own.judge(shown, between, now) {
            Some(judged) => judged.map_err(|why| Error::InvalidCertificate(why.to_error())),
            None => self.inner.verify_client_cert(shown, between, now).map(|_| ()),
        }
    }

    /// What is wrong with a certificate, by OpenSSL's number; 0 is nothing.
    pub(crate) fn code(&self, shown: &[u8]) -> u32 {
        match self.judge(&CertificateDer::from(shown.to_vec()), &[], UnixTime::now()) {
            Ok(()) => 0,
            Err(Error::InvalidCertificate(error)) => Distrust::from(&error).code,
            Err(_) => 1,
        }
    }
}

impl ClientCertVerifier for ClientJudge {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.judge(shown, between, now) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(Error::InvalidCertificate(error)) => {
                let code = Distrust::from(&error).code;
                if self.overlooked.all || self.overlooked.codes.contains(&code) {
                    return Ok(ClientCertVerified::assertion());
                }
                Err(Error::InvalidCertificate(error))
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl fmt::Debug for ClientJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientJudge").field("required", &self.required).finish_non_exhaustive()
    }
}
