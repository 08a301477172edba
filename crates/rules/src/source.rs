//! Where a fetch finds its value, and where rules stand: together they say what can be used.

use std::ops::BitOr;

/// A set of places a fetch finds its value in.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Source(u32);

impl Source {
    /// Nowhere: a constant.
    pub const CONST: Self = Self(0);
    /// The state of the process.
    pub const INTERNAL: Self = Self(1);
    /// The listening socket.
    pub const LISTENER: Self = Self(1 << 1);
    /// The frontend.
    pub const FRONTEND: Self = Self(1 << 2);
    /// The addresses of the client's connection.
    pub const CLIENT: Self = Self(1 << 3);
    /// What the client's connection was found to be once its layers were accepted.
    pub const CLIENT_SESSION: Self = Self(1 << 4);
    /// Tracked counters.
    pub const TRACK: Self = Self(1 << 5);
    /// Bytes of the client that are not yet forwarded.
    pub const REQUEST: Self = Self(1 << 6);
    /// The backend.
    pub const BACKEND: Self = Self(1 << 7);
    /// The server that was picked.
    pub const SERVER: Self = Self(1 << 8);
    /// The addresses of the connection to it.
    pub const SERVER_CONNECTION: Self = Self(1 << 9);
    /// Bytes of the server that are not yet forwarded.
    pub const RESPONSE: Self = Self(1 << 10);
    /// What is known once all is over.
    pub const END: Self = Self(1 << 11);
    /// The request's head, while the request is looked at.
    pub const HTTP_REQUEST: Self = Self(1 << 12);
    /// What is kept of the request until the log line.
    pub const HTTP_REQUEST_KEPT: Self = Self(1 << 13);
    /// The answer's head, while the answer is looked at.
    pub const HTTP_RESPONSE: Self = Self(1 << 14);
    /// What is kept of the answer until the log line.
    pub const HTTP_RESPONSE_KEPT: Self = Self(1 << 15);
    /// What a client's bytes have to be read for.
    pub const BYTES: Self = Self::REQUEST.or(Self::HTTP_REQUEST).or(Self::HTTP_REQUEST_KEPT);

    const NAMES: [&'static str; 16] = [
        "internal state",
        "listener",
        "frontend",
        "client address",
        "client-side connection",
        "track counters",
        "request buffer",
        "backend",
        "server",
        "server address",
        "response buffer",
        "session statistics",
        "HTTP request headers",
        "HTTP request",
        "HTTP response headers",
        "HTTP response",
    ];

    /// HAProxy's names of them, separated by commas.
    pub fn names(self) -> String {
        let bits = (0..Self::NAMES.len()).filter(|bit| self.0 & (1 << bit) != 0);
        bits.map(|bit| Self::NAMES[bit]).collect::<Vec<_>>().join(", ")
    }

    /// Whether one of them is also in `other`.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Source {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

/// Where a rule stands, in the order a connection passes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content` of a frontend.
    FrontendContent,
    /// `use_backend`.
    UseBackend,
    /// `tcp-request content` of a backend.
    BackendContent,
    /// `use-server`, `balance`, `stick`.
    UseServer,
    /// `tcp-response content`.
    Response,
    /// `http-request` of a frontend.
    FrontendRequest,
    /// `http-request` of a backend.
    BackendRequest,
    /// `http-response` of a backend.
    BackendAnswer,
    /// `http-response` of a frontend.
    FrontendAnswer,
    /// `stick store-response`.
    StickStore,
    /// `log-format`.
    Log,
    /// `tcp-check`, `http-check`.
    Check,
    /// `global`, while the file is read.
    Start,
}

impl Place {
    /// What it is called in HAProxy's complaints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "frontend tcp-request connection rule",
            Self::Session => "frontend tcp-request session rule",
            Self::FrontendContent => "frontend tcp-request content rule",
            Self::UseBackend => "frontend use-backend rule",
            Self::BackendContent => "backend tcp-request content rule",
            Self::UseServer => "backend use-server, balance or stick-match rule",
            Self::Response => "backend tcp-response content rule",
            Self::FrontendRequest => "frontend http-request header rule",
            Self::BackendRequest => "backend http-request header rule",
            Self::BackendAnswer => "backend http-response header rule",
            Self::FrontendAnswer => "frontend http-response header rule",
            Self::StickStore => "backend stick-store rule",
            Self::Log => "logs",
            Self::Check => "backend tcp-check rule",
            Self::Start => "configuration parser",
        }
    }

    /// The sources that are there.
    pub const fn sources(self) -> Source {
        let always = Source::INTERNAL
            .or(Source::LISTENER)
            .or(Source::FRONTEND)
            .or(Source::CLIENT)
            .or(Source::TRACK);
        let session = always.or(Source::CLIENT_SESSION);
        let request = session.or(Source::BYTES);
        let response = session
            .or(Source::BACKEND)
            .or(Source::SERVER)
            .or(Source::SERVER_CONNECTION)
            .or(Source::RESPONSE)
            .or(Source::HTTP_REQUEST_KEPT)
            .or(Source::HTTP_RESPONSE)
            .or(Source::HTTP_RESPONSE_KEPT);
        match self {
            Self::Check => Source::INTERNAL
                .or(Source::BACKEND)
                .or(Source::SERVER)
                .or(Source::SERVER_CONNECTION)
                .or(Source::RESPONSE)
                .or(Source::HTTP_RESPONSE),
            Self::Start => Source::INTERNAL,
            Self::Connection => always,
            Self::Session => session,
            Self::FrontendContent | Self::UseBackend | Self::FrontendRequest => request,
            Self::BackendContent | Self::UseServer | Self::BackendRequest => {
                request.or(Source::BACKEND)
            }
            Self::Response | Self::StickStore | Self::BackendAnswer | Self::FrontendAnswer => {
                response
            }
            Self::Log => session
                .or(Source::BACKEND)
                .or(Source::SERVER)
                .or(Source::SERVER_CONNECTION)
                .or(Source::HTTP_REQUEST_KEPT)
                .or(Source::HTTP_RESPONSE_KEPT)
                .or(Source::END),
        }
    }

    /// Whether something from `needed` can be there: a constant always is.
    pub fn offers(self, needed: Source) -> bool {
        needed == Source::CONST || self.sources().meets(needed)
    }
}
