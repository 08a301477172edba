//! What stands in front of a session of HAProxy: a PROXY header, a NetScaler's word of its client,
//! and what is said when one of them does not come.

use std::time::Duration;

use proxy::{Cause, Phase, Termination};
use relay::timer::Millis;
use wire::netscaler::{Error, Header};

use crate::backend::Connecting;
use crate::prepare::Ahead;

/// The most bytes that are waited for: the longest headers of IP and TCP fit.
const MOST: usize = 512;

/// Why there is no session: HAProxy's number, its name, and what is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Failed {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

const fn failed(number: u8, name: &'static str, text: &'static str) -> Failed {
    Failed { number, name, text }
}

pub(crate) const PROXY_EMPTY: Failed =
    failed(11, "PRX_EMPTY", "Connection closed while waiting for PROXY protocol header");
pub(crate) const PROXY_ABORT: Failed =
    failed(12, "PRX_ABORT", "Error while waiting for PROXY protocol header");
pub(crate) const PROXY_TIMEOUT: Failed =
    failed(13, "PRX_TIMEOUT", "Timeout while waiting for PROXY protocol header");
pub(crate) const PROXY_TRUNCATED: Failed =
    failed(14, "PRX_TRUNCATED", "Truncated PROXY protocol header received");
pub(crate) const PROXY_NO_HEADER: Failed = failed(
    15,
    "PRX_NOT_HDR",
    "Received something which does not look like a PROXY protocol header",
);
pub(crate) const PROXY_BAD: Failed =
    failed(16, "PRX_BAD_HDR", "Received an invalid PROXY protocol header");
pub(crate) const PROXY_PROTOCOL: Failed =
    failed(17, "PRX_BAD_PROTO", "Received an unhandled protocol in the PROXY protocol header");
const NETSCALER_EMPTY: Failed =
    failed(18, "CIP_EMPTY", "Connection closed while waiting for NetScaler Client IP header");
const NETSCALER_ABORT: Failed =
    failed(19, "CIP_ABORT", "Error while waiting for NetScaler Client IP header");
const NETSCALER_TIMEOUT: Failed =
    failed(20, "CIP_TIMEOUT", "Timeout while waiting for a NetScaler Client IP header");
const NETSCALER_TRUNCATED: Failed =
    failed(21, "CIP_TRUNCATED", "Truncated NetScaler Client IP header received");
const NETSCALER_MAGIC: Failed =
    failed(22, "CIP_BAD_MAGIC", "Received an invalid NetScaler Client IP magic number");
const NETSCALER_PROTOCOL: Failed =
    failed(23, "CIP_BAD_PROTO", "Received an unhandled protocol in the NetScaler Client IP header");
pub(crate) const TLS_EMPTY: Failed =
    failed(24, "SSL_EMPTY", "Connection closed during SSL handshake");
pub(crate) const TLS_ABORT: Failed =
    failed(25, "SSL_ABORT", "Connection error during SSL handshake");
pub(crate) const TLS_TIMEOUT: Failed = failed(26, "SSL_TIMEOUT", "Timeout during SSL handshake");
pub(crate) const TLS_FAILED: Failed = failed(34, "SSL_HANDSHAKE", "SSL handshake failure");

impl Connecting {
    /// Reads what a NetScaler says, if the listener or a rule expects it.
    pub(crate) async fn netscaler(&mut self) -> Result<(), Termination> {
        let inbound = self.session.listener().and_then(|bind| bind.inbound.as_deref());
        let magic = inbound.and_then(|inbound| inbound.netscaler);
        if magic.is_none() && !self.session.expects_netscaler() {
            return Ok(());
        }
        let until = self.session.client_deadline().unwrap_or(Millis::MAX / 2);
        // Without a number of its own, a listener's is 0.
        let why = match self.told_by_netscaler(magic.unwrap_or(0), until).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        Err(self.no_session(why))
    }

    /// There will be no session: says why, and ends with a reset.
    pub(crate) fn no_session(&mut self, why: Failed) -> Termination {
        self.session.embryonic(why);
        let _ = socket2::SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
        Termination::new(Cause::Proxy, Phase::Request)
    }

    async fn told_by_netscaler(&mut self, magic: u32, until: Millis) -> Result<(), Failed> {
        let extra = self.session.extra.get_or_insert_default();
        let mut bytes = std::mem::take(&mut extra.first);
        loop {
            match Header::parse(&bytes, magic) {
                Ok(header) => {
                    let extra = self.session.extra.get_or_insert_default();
                    extra.first = bytes[header.length..].to_vec();
                    extra.connected = self.session.peer;
                    extra.local = Some(header.addresses.destination);
                    self.session.peer = Some(header.addresses.source);
                    return Ok(());
                }
                Err(Error::BadMagic) => return Err(NETSCALER_MAGIC),
                Err(Error::BadProtocol) => return Err(NETSCALER_PROTOCOL),
                Err(Error::Incomplete) if bytes.len() >= MOST => return Err(NETSCALER_TRUNCATED),
                Err(Error::Incomplete) => {}
            }
            let room = MOST - bytes.len();
            match self.ahead(&mut bytes, room, until).await {
                Ahead::Bytes => {}
                Ahead::Ended if bytes.is_empty() => return Err(NETSCALER_EMPTY),
                Ahead::Ended => return Err(NETSCALER_TRUNCATED),
                Ahead::Broke => return Err(NETSCALER_ABORT),
                Ahead::Late => return Err(NETSCALER_TIMEOUT),
            }
        }
    }
}
