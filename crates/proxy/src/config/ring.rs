//! Buffers of log lines in memory: `ring` of haproxy.cfg.

use std::net::SocketAddr;
use std::time::Duration;

use super::LogFraming;

/// A `ring` section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ring {
    /// Its name: `log ring@NAME`.
    pub name: String,
    /// What `show events` says of it; its name if nothing was said.
    pub description: String,
    /// How much it holds, in bytes. Default 16 KiB.
    pub size: usize,
    /// The longest line, in bytes. Default 1024.
    pub maxlen: usize,
    /// How lines are framed whose `log` line does not say. Default `raw`.
    pub framing: LogFraming,
    /// Who is sent every line.
    pub servers: Vec<RingServer>,
    /// `timeout connect`: how long connecting to a server may take.
    pub connect: Option<Duration>,
}

impl Ring {
    /// A ring nobody is sent, with HAProxy's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            description: name.clone(),
            name,
            size: 16_384,
            maxlen: 1_024,
            framing: LogFraming::Raw,
            servers: Vec::new(),
            connect: None,
        }
    }
}

/// Where the lines of a [`Ring`] are sent, over TCP (RFC 6587).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RingServer {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// `log-proto octet-count`: the length before each line, instead of a line feed behind it.
    pub octet_count: bool,
}

/// `sample RANGES:SIZE` of a `log` line: of each `size` lines those whose numbers are in a range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sample {
    /// From 1, both ends included; in order, apart from each other.
    pub ranges: Vec<(u32, u32)>,
    /// After so many lines counting begins anew.
    pub size: u32,
}

impl Sample {
    /// Whether the line of this number, from 0 since the start, is sent.
    pub fn takes(&self, number: u64) -> bool {
        let at = (number % u64::from(self.size.max(1))) as u32 + 1;
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&at))
    }
}
