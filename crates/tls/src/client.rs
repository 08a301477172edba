//! Connections to servers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::connect::AnyCertificate;
use crate::judge::{ServerJudge, Trust};
use crate::material::{Problem, shared};
use crate::session::Session;
use crate::suites::Spoken;

/// How many sessions are remembered, to be resumed.
const REMEMBERED: usize = 256;

/// How TLS is spoken with a server.
#[derive(Clone, Debug, Default)]
pub struct OriginSettings<'a> {
    /// Versions, ciphers, groups.
    pub spoken: Spoken,
    /// What its certificate is judged by; `None` takes any.
    pub trust: Option<Trust<'a>>,
    /// The name its certificate has to be for. Without one it is the name that is sent, if
    /// [`named`](Self::named), or any.
    pub host: Option<&'a str>,
    /// Whether the name that is sent counts.
    pub named: bool,
    /// Protocols that are offered, the best one first.
    pub alpn: Vec<Vec<u8>>,
    /// Our own certificate with its chain, and its key if that stands elsewhere, in PEM.
    pub certificate: Option<(&'a [u8], Option<&'a [u8]>)>,
    /// Whether sessions are resumed.
    pub reuse: bool,
}

/// Begins connections to one server. It is made once, from what was read before, and kept.
#[derive(Clone)]
pub struct Origin {
    config: Arc<ClientConfig>,
}

impl Origin {
    /// One that speaks as `settings` say.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn new(settings: &OriginSettings<'_>) -> Result<Self, Problem> {
        let (provider, versions) = settings.spoken.provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?
            .dangerous();
        let builder = match &settings.trust {
            None => builder.with_custom_certificate_verifier(Arc::new(AnyCertificate)),
            Some(trust) => {
                let judge = ServerJudge::new(&provider, trust, settings.host, settings.named)?;
                builder.with_custom_certificate_verifier(Arc::new(judge))
            }
        };
        let mut config = match settings.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let own = shared(&provider, chain, key)?;
                builder
                    .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)))
            }
        };
        config.resumption = match settings.reuse {
            true => Resumption::store(Arc::new(ClientSessionMemoryCache::new(REMEMBERED))),
            false => Resumption::disabled(),
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        Ok(Self { config: Arc::new(config) })
    }

    /// A connection that sends `name`, if there is one. `server` tells sessions of several servers
    /// apart.
    ///
    /// # Errors
    ///
    /// When the name can be none.
    pub fn open(&self, name: Option<&str>, server: IpAddr) -> Result<Session, Problem> {
        let wanted = match name {
            // An address is never sent as a name (RFC 6066 §3).
            Some(name) => {
                ServerName::try_from(name.to_owned()).map_err(|_| Problem::Name(name.to_owned()))?
            }
            None => ServerName::IpAddress(server.into()),
        };
        let connection = ClientConnection::new(Arc::clone(&self.config), wanted)?;
        Ok(Session::client(connection, name))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
