//! The client's side.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// An established connection.
pub type Stream<S> = tokio_rustls::client::TlsStream<S>;

/// Where distributions keep the certificates of their trust store, `@system-ca`.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How the server's certificate is judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verify {
    /// Not at all: `verify none`.
    None,
    /// `verify required`: its chain must end at one of these roots.
    Required {
        /// A PEM file; `@system-ca` stands for the system's.
        roots: PathBuf,
        /// The name it must be for. Without one, the name sent in the handshake; without that
        /// either, any.
        host: Option<String>,
    },
}

impl Verify {
    /// `verify required` with these roots.
    pub fn roots(roots: impl Into<PathBuf>, host: Option<String>) -> Self {
        Self::Required { roots: roots.into(), host }
    }
}

/// Why there is no [`Connector`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the roots cannot be read, or is no PEM.
    #[error("unable to load the CA file '{}': {why}", path.display())]
    Roots {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The cryptography cannot do what is asked of it.
    #[error(transparent)]
    Setup(#[from] rustls::Error),
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The certificate is good, but for another name than `verifyhost` says.
    #[error("the certificate is not for the configured name")]
    NotConfiguredName,
    /// The certificate is good, but for another name than was sent.
    #[error("the certificate is not for the name that was sent")]
    NotSentName,
    /// Anything else: no TLS, no version or cipher in common, no trust, a connection that broke.
    #[error(transparent)]
    Handshake(#[from] io::Error),
}

/// Opens TLS connections of one kind. Making one reads files: keep it.
#[derive(Clone)]
pub struct Connector {
    inner: tokio_rustls::TlsConnector,
    /// Whether there is a `verifyhost`.
    configured_name: bool,
}

impl Connector {
    /// Connections whose server is judged by `verify` and offered the protocols `alpn`, the best
    /// one first.
    ///
    /// Everything there is to read is read here, so that a process may give up its rights after.
    ///
    /// # Errors
    ///
    /// [`Error::Roots`] when there are no certificates to verify with.
    pub fn new(verify: &Verify, alpn: &[String]) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match verify {
            Verify::None => Arc::new(AnyCertificate),
            Verify::Required { roots, host } => Arc::new(Chain::new(&provider, roots, host)?),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = alpn.iter().map(|name| name.clone().into_bytes()).collect();
        let configured_name = matches!(verify, Verify::Required { host: Some(_), .. });
        Ok(Self { inner: Arc::new(config).into(), configured_name })
    }

    /// The same with other protocols on offer; reads nothing.
    #[must_use]
    pub fn offering(&self, alpn: &[String]) -> Self {
        let mut config = ClientConfig::clone(self.inner.config());
        config.alpn_protocols = alpn.iter().map(|name| name.clone().into_bytes()).collect();
        Self { inner: Arc::new(config).into(), ..*self }
    }

    /// Makes `stream` a TLS connection, naming the server `sni` if that is a host name.
    ///
    /// # Errors
    ///
    /// When the handshake fails, or the stream.
    pub async fn connect<S>(&self, sni: Option<&str>, stream: S) -> Result<Stream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match sni {
            Some(name) => ServerName::try_from(name.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
            None => nameless(),
        };
        self.inner.connect(name, stream).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            match inner {
                Some(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) if self.configured_name => Failure::NotConfiguredName,
                Some(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => Failure::NotSentName,
                _ => Failure::Handshake(error),
            }
        })
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Stands for "no name": an address is never sent as a name (RFC 6066 §3).
pub(crate) fn nameless() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into())
}

/// `verify none`.
#[derive(Debug)]
pub(crate) struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Whoever's certificate is not looked at proves nothing by signing with it.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// All there are: a server that has only an old or a rare kind of key is checked as well.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]
    }
}

/// `verify required`.
#[derive(Debug)]
struct Chain {
    roots: RootCertStore,
    host: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Chain {
    fn new(provider: &CryptoProvider, path: &Path, host: &Option<String>) -> Result<Self, Error> {
        let bad = |why: String| Error::Roots { path: path.to_owned(), why };
        let file = if path == Path::new("@system-ca") {
            let known = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
            known.ok_or_else(|| bad("this system has none".into()))?
        } else {
            path
        };
        let mut roots = RootCertStore::empty();
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| bad(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            // One that cannot be a root (as some of the system's) does no harm.
            let _ = roots.add(certificate);
        }
        if roots.is_empty() {
            return Err(bad("no certificate in it".into()));
        }
        let host = match host {
            Some(host) => Some(
                ServerName::try_from(host.clone())
                    .map_err(|_| bad(format!("'{host}' is not a host name")))?,
            ),
            None => None,
        };
        Ok(Self { roots, host, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Chain {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let name = self.host.as_ref().unwrap_or(name);
        if *name != nameless() {
            rustls::client::verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
