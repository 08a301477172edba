//! Name servers that are asked while the process runs: `resolvers` of haproxy.cfg.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A `resolvers` section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolvers {
    /// Its name.
    pub name: String,
    /// Who is asked, all at once; the first good answer counts.
    pub nameservers: Vec<NameServer>,
    /// `accepted_payload_size`: the largest answer over UDP, in bytes; 512 to 65535. Default 512.
    pub payload: u16,
    /// `resolve_retries`: questions without an answer before the name counts as silent. Default 3.
    pub retries: u32,
    /// `timeout resolve`: from one good answer to the next question. Default 1 s.
    pub resolve: Duration,
    /// `timeout retry`: how long an answer is waited for. Default 1 s.
    pub retry: Duration,
    /// `hold`: for how long after the last good answer one of another kind changes nothing.
    pub hold: Hold,
}

impl Resolvers {
    /// A section without name servers, with HAProxy's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nameservers: Vec::new(),
            payload: 512,
            retries: 3,
            resolve: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            hold: Hold::default(),
        }
    }
}

/// One name server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameServer {
    /// Its name in log lines and counters.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
}

/// `hold`, by kind of answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hold {
    /// Good answers are believed for this long: shown, not acted upon, as in HAProxy. Default 10 s.
    pub valid: Duration,
    /// There is no such name. Default 30 s.
    pub nx: Duration,
    /// The name server refuses to answer. Default 30 s.
    pub refused: Duration,
    /// No answer. Default 30 s.
    pub timeout: Duration,
    /// Any other failure. Default 30 s.
    pub other: Duration,
    /// For how long an address that is missing from an answer is kept. Default 0.
    pub obsolete: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        let usual = Duration::from_secs(30);
        Self {
            valid: Duration::from_secs(10),
            nx: usual,
            refused: usual,
            timeout: usual,
            other: usual,
            obsolete: Duration::ZERO,
        }
    }
}

/// What is asked on behalf of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolve {
    /// The position in [`Process::resolvers`](super::Process::resolvers).
    pub resolvers: usize,
    /// The name: of a host, or of a service (`_http._tcp.example.com`).
    pub name: String,
    /// Whether it is that of a service: port and weight come from its SRV records (RFC 2782).
    pub service: bool,
    /// The port of a host; that of a service's records otherwise.
    pub port: u16,
    /// `resolve-prefer ipv4`; IPv6 otherwise.
    pub prefer_v4: bool,
    /// `resolve-net`: addresses in these networks are taken before others.
    pub networks: Vec<(IpAddr, u8)>,
    /// `resolve-opts allow-dup-ip`: two servers of a backend may have one address.
    pub allow_duplicates: bool,
    /// `resolve-opts ignore-weight`: the weight of SRV records is not taken.
    pub ignore_weight: bool,
    /// Whether it starts without an address (`init-addr none`).
    pub unresolved: bool,
}
