//! How servers are checked.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The `check` part of a `server` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// `inter`: between checks while the server is fully up. Default 2 s.
    pub inter: Duration,
    /// `fastinter`: while it changes; `None` is `inter`.
    pub fastinter: Option<Duration>,
    /// `downinter`: while it is fully down; `None` is `inter`.
    pub downinter: Option<Duration>,
    /// `rise`: good checks that bring it up. Default 2, at least 1.
    pub rise: u32,
    /// `fall`: bad ones that take it down. Default 3, at least 1.
    pub fall: u32,
    /// `port`: checked instead of the server's.
    pub port: Option<u16>,
    /// `addr`: checked instead of the server's.
    pub address: Option<IpAddr>,
    /// `check-ssl`, or `ssl` on the server: the check speaks TLS.
    pub tls: Option<TlsCheck>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            inter: Duration::from_secs(2),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            port: None,
            address: None,
            tls: None,
        }
    }
}

/// TLS of a check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsCheck {
    /// `verify required`; false is `verify none`.
    pub verify: bool,
    /// `ca-file`, with `ca-base` applied; `@system-ca` is kept as it is.
    pub ca_file: Option<PathBuf>,
    /// `check-sni`, `sni` of an `http-check connect`.
    pub sni: Option<String>,
    /// `verifyhost`.
    pub verify_host: Option<String>,
    /// `check-alpn`, `alpn`: in the order written.
    pub alpn: Vec<String>,
}

/// What a check of a backend's servers does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CheckKind {
    /// Connects, and hangs up so that the server's `accept` never sees it.
    #[default]
    Connect,
    /// `option tcp-check` with its steps; none is as [`CheckKind::Connect`].
    Tcp(Vec<TcpStep>),
    /// `option httpchk` with its `http-check` steps, complete: when the file has no `send` or
    /// `expect`, the ones `option httpchk` implies are here.
    Http(Vec<HttpStep>),
    /// `option ssl-hello-chk`: a TLS hello is answered by one.
    TlsHello,
}

/// One `tcp-check` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TcpStep {
    /// `connect`.
    Connect {
        /// `port`.
        port: Option<u16>,
        /// `addr`.
        address: Option<IpAddr>,
        /// `ssl`.
        tls: bool,
        /// `sni`.
        sni: Option<String>,
        /// `alpn`.
        alpn: Vec<String>,
        /// `linger`: close in order and not with a reset.
        linger: bool,
        /// `comment`.
        comment: Option<String>,
    },
    /// `send` and `send-binary`.
    Send {
        /// The bytes.
        bytes: Vec<u8>,
        /// `comment`.
        comment: Option<String>,
    },
    /// `expect`.
    Expect {
        /// What.
        expectation: Expectation,
        /// `comment`.
        comment: Option<String>,
    },
    /// `comment` alone.
    Comment(String),
}

/// One `http-check` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HttpStep {
    /// `connect`: as for TCP.
    Connect {
        /// `port`.
        port: Option<u16>,
        /// `addr`.
        address: Option<IpAddr>,
        /// `ssl`.
        tls: bool,
        /// `sni`.
        sni: Option<String>,
        /// `alpn`.
        alpn: Vec<String>,
        /// `linger`.
        linger: bool,
        /// `comment`.
        comment: Option<String>,
    },
    /// `send`.
    Send {
        /// `meth`. Default `OPTIONS`.
        method: String,
        /// `uri`. Default `/`.
        uri: String,
        /// `ver`. Default `HTTP/1.0`.
        version: String,
        /// `hdr`, in order.
        headers: Vec<Header>,
        /// `body`.
        body: Vec<u8>,
        /// `comment`.
        comment: Option<String>,
    },
    /// `expect`.
    Expect {
        /// What.
        expectation: Expectation,
        /// `comment`.
        comment: Option<String>,
    },
    /// `comment` alone.
    Comment(String),
}

/// A header of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What an `expect` wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expectation {
    /// `!`: it must not be so.
    pub negated: bool,
    /// What.
    pub expected: Expected,
    /// `min-recv`: decide only with so many bytes.
    pub min_recv: Option<usize>,
    /// `status-code`, `ok-status`, `error-status`, `tout-status`: as written, name first.
    pub options: Vec<(String, String)>,
}

/// What is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    /// `status 200-399,404`: ranges, both ends included.
    Status(Vec<(u16, u16)>),
    /// `rstatus REGEX`.
    StatusRegex(String),
    /// `string` and `binary`: in the answer's body (HTTP) or in what arrived (TCP).
    Bytes(Vec<u8>),
    /// `rstring REGEX`, `rbinary`.
    Regex(String),
    /// `hdr`/`fhdr`.
    Header {
        /// Its name, and how it is compared.
        name: (Matching, String),
        /// Its value, and how it is compared.
        value: Option<(Matching, String)>,
        /// The whole header and not one of its comma-separated values.
        full: bool,
    },
}

/// How a header is compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Matching {
    /// Equal.
    #[default]
    Exact,
    /// Begins so.
    Begins,
    /// Ends so.
    Ends,
    /// Holds.
    Contains,
    /// Matches a regular expression.
    Regex,
}
