//! Why a handshake came to nothing, in OpenSSL's words.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// What is wrong with a connection. Its [`Display`](fmt::Display) is the line OpenSSL has for it,
/// which users look for in logs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The peer ended before the handshake was over.
    Closed,
    /// What came is no TLS.
    NotTls,
    /// No version of the protocol is spoken by both.
    Version,
    /// No cipher, group or signature is known to both.
    Cipher,
    /// No protocol of ALPN is known to both.
    Protocol,
    /// `strict-sni`: nobody here has that name.
    UnknownName,
    /// The client showed no certificate.
    NoCertificate,
    /// The peer's certificate is not trusted.
    Certificate(Distrust),
    /// The peer said so.
    Alert(&'static str),
    /// Something else.
    Other(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => {
                f.write_str("error:0A000126:SSL routines::unexpected eof while reading")
            }
            Self::NotTls => f.write_str("error:0A00010B:SSL routines::wrong version number"),
            Self::Version => f.write_str("error:0A000102:SSL routines::unsupported protocol"),
            Self::Cipher => f.write_str("error:0A0000C1:SSL routines::no shared cipher"),
            Self::Protocol => f.write_str("error:0A0000EB:SSL routines::no application protocol"),
            Self::UnknownName => f.write_str("error:0A0000E2:SSL routines::callback failed"),
            Self::NoCertificate => {
                f.write_str("error:0A0000C7:SSL routines::peer did not return a certificate")
            }
            Self::Certificate(_) => {
                f.write_str("error:0A000086:SSL routines::certificate verify failed")
            }
            Self::Alert(what) => write!(f, "error:0A000000:SSL routines::{what}"),
            Self::Other(what) => write!(f, "error:0A000000:SSL routines::{what}"),
        }
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::Certificate(Distrust::from(error)),
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::NoApplicationProtocol => Self::Protocol,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::Tls13RequiredForQuic,
            ) => Self::Version,
            Error::PeerIncompatible(_) => Self::Cipher,
            Error::AlertReceived(alert) => Self::Alert(named(*alert)),
            other => Self::Other(other.to_string()),
        }
    }
}

/// OpenSSL's name of an alert that was received.
fn named(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure => "sslv3 alert handshake failure",
        AlertDescription::BadCertificate => "sslv3 alert bad certificate",
        AlertDescription::UnsupportedCertificate => "sslv3 alert unsupported certificate",
        AlertDescription::CertificateRevoked => "sslv3 alert certificate revoked",
        AlertDescription::CertificateExpired => "sslv3 alert certificate expired",
        AlertDescription::CertificateUnknown => "sslv3 alert certificate unknown",
        AlertDescription::UnknownCA => "tlsv1 alert unknown ca",
        AlertDescription::ProtocolVersion => "tlsv1 alert protocol version",
        AlertDescription::InternalError => "tlsv1 alert internal error",
        AlertDescription::DecryptError => "tlsv1 alert decrypt error",
        AlertDescription::UnrecognisedName => "tlsv1 unrecognized name",
        AlertDescription::CertificateRequired => "tlsv13 alert certificate required",
        AlertDescription::NoApplicationProtocol => "tlsv1 alert no application protocol",
        _ => "tlsv1 alert",
    }
}

/// Why a certificate is not trusted, by OpenSSL's number and words (`man openssl-verify`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Distrust {
    /// As `ssl_c_verify` has it.
    pub code: u32,
    /// As `X509_verify_cert_error_string` has it.
    pub text: &'static str,
}

impl Distrust {
    /// The chain ends at no root that is known.
    pub const UNKNOWN_ISSUER: Self =
        Self { code: 20, text: "unable to get local issuer certificate" };
    /// The certificate is its own issuer, and no root.
    pub const SELF_SIGNED: Self = Self { code: 18, text: "self-signed certificate" };
    /// It is for another name.
    pub const NAME: Self = Self { code: 62, text: "hostname mismatch" };
    /// Its time is over.
    pub const EXPIRED: Self = Self { code: 10, text: "certificate has expired" };
    /// Its time has not begun.
    pub const EARLY: Self = Self { code: 9, text: "certificate is not yet valid" };
    /// More certificates than may be.
    pub const TOO_LONG: Self = Self { code: 22, text: "certificate chain too long" };

    /// What a client's library made of it.
    pub(crate) fn to_error(self) -> CertificateError {
        match self.code {
            10 => CertificateError::Expired,
            9 => CertificateError::NotValidYet,
            62 => CertificateError::NotValidForName,
            18 | 20 => CertificateError::UnknownIssuer,
            _ => CertificateError::ApplicationVerificationFailure,
        }
    }
}

impl From<&CertificateError> for Distrust {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as E;
        let (code, text) = match error {
            E::Expired | E::ExpiredContext { .. } => return Self::EXPIRED,
            E::NotValidYet | E::NotValidYetContext { .. } => return Self::EARLY,
            E::NotValidForName | E::NotValidForNameContext { .. } => return Self::NAME,
            E::UnknownIssuer => return Self::UNKNOWN_ISSUER,
            E::ApplicationVerificationFailure => return Self::TOO_LONG,
            E::Revoked => (23, "certificate revoked"),
            E::UnknownRevocationStatus => (3, "unable to get certificate CRL"),
            E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
                (12, "CRL has expired")
            }
            E::BadSignature => (7, "certificate signature failure"),
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
                (26, "unsuitable certificate purpose")
            }
            E::UnhandledCriticalExtension => (34, "unhandled critical extension"),
            _ => (1, "unspecified certificate verification error"),
        };
        Self { code, text }
    }
}
