//! Active checks of nginx: `health_check` and `match`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::variable::Pattern;

/// `health_check`: every server of a backend is asked again and again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveCheck {
    /// `interval=`: the pause between two checks of a server; 5 s.
    pub interval: Duration,
    /// `jitter=`: at most this much longer, at random.
    pub jitter: Duration,
    /// `fails=`: failures in a row until a server is unhealthy, at least 1.
    pub fails: u32,
    /// `passes=`: successes in a row until it is healthy again, at least 1.
    pub passes: u32,
    /// `health_check_timeout`: how long one check may take; 5 s.
    pub timeout: Duration,
    /// `mandatory`: a server is not used before it was found healthy.
    pub mandatory: bool,
    /// `persistent`: after a reload it is, whatever `mandatory` says.
    pub persistent: bool,
    /// `port=`: asked at this port and not at the server's own.
    pub port: Option<u16>,
    /// What is spoken.
    pub kind: CheckKind,
    /// `match=`: what is said and what is waited for.
    pub matching: Option<Matching>,
}

/// What a check speaks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CheckKind {
    /// A connection is enough, unless there is a [`Matching`].
    #[default]
    Tcp,
    /// `udp`: a datagram nobody rejects.
    Udp,
    /// `type=http`: a request of HTTP/1.0; a status from 200 to 399 passes.
    Http {
        /// `uri=`.
        uri: String,
    },
}

/// `match NAME { … }`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Matching {
    /// Its name.
    pub name: String,
    /// `send`; for HTTP it takes the place of the request.
    pub send: Vec<u8>,
    /// `expect`.
    pub expect: Option<Expected>,
    /// `status` of HTTP: any of these.
    pub status: Vec<RangeInclusive<u16>>,
}

/// What an answer has to hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    /// These bytes, anywhere.
    Bytes(Vec<u8>),
    /// `~`, `~*`: something this pattern finds.
    Pattern(Pattern),
}
