//! What an evaluation can see: the connection's facts, and the bytes that wait to be forwarded.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use crate::format::Variable as LogVariable;
use crate::record::Process;
use crate::value::Value;

/// What the process knows of a connection and of itself. Everything is optional: what a caller does
/// not know, a fetch does not find.
pub trait Environment {
    /// An address of one of the two connections.
    fn address(&self, which: End) -> Option<SocketAddr>;
    /// Whether an address is this machine's.
    fn is_local(&self, ip: IpAddr) -> Option<bool>;
    /// A fact of this connection as a number.
    fn number(&self, what: Number) -> Option<i64>;
    /// A name that belongs to this connection.
    fn name(&self, what: Name) -> Option<Cow<'_, str>>;
    /// A counter of a frontend, by its position.
    fn frontend(&self, frontend: usize, what: FrontendNumber) -> Option<i64>;
    /// A counter of a backend, by its position.
    fn backend(&self, backend: usize, what: BackendNumber) -> Option<i64>;
    /// A fact of a server, by the positions of its backend and its own.
    fn server(&self, backend: usize, server: usize, what: ServerNumber) -> Option<i64>;
    /// The position of a backend.
    fn backend_named(&self, name: &str) -> Option<usize>;
    /// The position of a frontend.
    fn frontend_named(&self, _name: &str) -> Option<usize> {
        None
    }
    /// The position of a server in its backend.
    fn server_named(&self, backend: usize, name: &str) -> Option<usize>;
    /// The calendar's time.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
    /// The local time zone at a moment, in seconds since 1970.
    fn zone(&self, _seconds: i64) -> Zone {
        Zone::GMT
    }
    /// A stick table, by its position.
    fn table(&self, _table: usize) -> Option<&std::sync::Arc<crate::tables::SharedTable>> {
        None
    }
    /// The lists of patterns that are in force.
    fn patterns(&self) -> &[std::sync::Arc<crate::list::List>] {
        &[]
    }
    /// A random number from 0 up to, not including, `below`.
    fn random(&self, below: u64) -> u64;
    /// What is shared by all connections of the process.
    fn process(&self) -> &Process;
    /// A TLV of the PROXY header the client's connection began with.
    fn proxy_tlv(&self, _kind: u8) -> Option<&[u8]> {
        None
    }
    /// What identifies the connection, if its frontend says how.
    fn unique_id(&self) -> Option<&[u8]> {
        None
    }
    /// What was agreed on by those who speak TLS.
    fn tls(&self, _what: Tls) -> Option<crate::value::Value<'_>> {
        None
    }
    /// Writes a variable of a log line (`%ci`); whether it has a value.
    fn log_variable(&self, variable: LogVariable, out: &mut Vec<u8>) -> bool;
}

/// Where there is no connection: only the variables of the process are known.
#[derive(Debug, Default)]
pub struct Nowhere(Process);

impl Nowhere {
    /// Those variables.
    pub const fn variables(&self) -> &Process {
        &self.0
    }
}

impl Environment for Nowhere {
    fn address(&self, _: End) -> Option<SocketAddr> {
        None
    }

    fn is_local(&self, _: IpAddr) -> Option<bool> {
        None
    }

    fn number(&self, what: Number) -> Option<i64> {
        (what == Number::Pid).then(|| std::process::id().into())
    }

    fn name(&self, _: Name) -> Option<Cow<'_, str>> {
        None
    }

    fn frontend(&self, _: usize, _: FrontendNumber) -> Option<i64> {
        None
    }

    fn backend(&self, _: usize, _: BackendNumber) -> Option<i64> {
        None
    }

    fn server(&self, _: usize, _: usize, _: ServerNumber) -> Option<i64> {
        None
    }

    fn backend_named(&self, _: &str) -> Option<usize> {
        None
    }

    fn server_named(&self, _: usize, _: &str) -> Option<usize> {
        None
    }

    fn random(&self, below: u64) -> u64 {
        // Hashers are seeded by the system.
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), below);
        seed % below.max(1)
    }

    fn process(&self) -> &Process {
        &self.0
    }

    fn log_variable(&self, _: LogVariable, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// A time zone at a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    /// Seconds east of Greenwich.
    pub offset: i32,
    /// `GMT`, `CET`.
    pub name: Cow<'static, str>,
}

impl Zone {
    /// UTC, as strftime(3) calls it.
    pub const GMT: Self = Self { offset: 0, name: Cow::Borrowed("GMT") };
}

/// An end of one of the two connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The client as the client's connection has it.
    ClientSource,
    /// Where the client connected to.
    ClientDestination,
    /// The client as it is to be seen: what rules said of it counts.
    SeenSource,
    /// Where it connected to, likewise.
    SeenDestination,
    /// Our side of the connection to the server.
    ServerSource,
    /// The server.
    ServerDestination,
}

/// A fact of this connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Number {
    /// The id of the frontend.
    FrontendId,
    /// The id of the backend.
    BackendId,
    /// The id of the server.
    ServerId,
    /// The client's round trip, in microseconds.
    ClientRtt,
    /// Its variance, in microseconds.
    ClientRttVariance,
    /// Segments of the client's connection that are not acknowledged.
    ClientUnacked,
    /// … that were acknowledged selectively.
    ClientSacked,
    /// … that were lost.
    ClientLost,
    /// … that were sent again.
    ClientRetransmitted,
    /// … that were acknowledged out of order.
    ClientFackets,
    /// … by how many they came out of order.
    ClientReordering,
    /// Whether the client's connection began with a PROXY header.
    ClientProxied,
    /// Whether the client's connection is TLS that ends here.
    ClientTls,
    /// Slots that `capture` rules of the frontend have.
    CaptureSlots,
    /// Slots that are kept of answers.
    ResponseCaptureSlots,
    /// `timeout client`, in milliseconds.
    ClientTimeout,
    /// `timeout server`, in milliseconds.
    ServerTimeout,
    /// `timeout tunnel`, in milliseconds.
    TunnelTimeout,
    /// `timeout connect`, in milliseconds.
    ConnectTimeout,
    /// Milliseconds since 1970 at which the connection was accepted.
    AcceptDate,
    /// The process's id.
    Pid,
    /// Seconds since the process started.
    Uptime,
    /// Connections of the process.
    Connections,
    /// Connects to servers that were repeated.
    Retries,
    /// Whether another server was tried.
    Redispatched,
    /// Bytes from the client.
    BytesIn,
    /// The version of HTTP that is spoken: 1, or nothing.
    HttpMajor,
    /// Bytes from the server.
    BytesOut,
    /// The id of the listening socket it came in by.
    ListenerId,
    /// Connections of that.
    ListenerConnections,
    /// Why it becomes no session, as HAProxy numbers it; 0 if it does.
    ClientError,
    /// Whether the process is about to stop.
    Stopping,
    /// The number of the thread, from 0.
    Thread,
    /// The number of the session in this process.
    Serial,
    /// Milliseconds since 1970 at which the request came; without HTTP, the session.
    RequestDate,
    /// Whether something went wrong: an error, a connect that was repeated, an answer of 500 or more.
    WentWrong,
    /// Whether it has a server, connected or not.
    Forwarded,
    /// Whether it is connected to a server.
    Connected,
    /// Whether it is answered by the proxy itself.
    AnsweredHere,
    /// Whether the connection to the server served another request before.
    ServerReused,
    /// The server's round trip, in microseconds.
    ServerRtt,
    /// Its variance, in microseconds.
    ServerRttVariance,
    /// `retries`.
    MaxRetries,
    /// `timeout queue`, in milliseconds.
    QueueTimeout,
    /// `timeout tarpit` of the frontend, in milliseconds.
    TarpitTimeout,
    /// `timeout tarpit` of the backend, in milliseconds.
    BackendTarpitTimeout,
}

/// A name that belongs to this connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Name {
    /// Of the frontend.
    Frontend,
    /// Of the frontend's default backend.
    DefaultBackend,
    /// Of the backend.
    Backend,
    /// Of the server.
    Server,
    /// Of the machine.
    Host,
    /// Of the listening socket.
    Listener,
    /// Of what makes that it becomes no session.
    ClientError,
    /// The same in words.
    ClientErrorText,
}

/// What was agreed on over TLS, with the client and, last, with the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// The name the client asked for.
    Name,
    /// Whether it asked for one.
    HasName,
    /// `TLSv1.2`, `TLSv1.3`.
    Version,
    /// The cipher suite.
    Cipher,
    /// The length of its key, in bits.
    KeySize,
    /// The protocol.
    Alpn,
    /// Whether an earlier session goes on.
    IsResumed,
    /// Whether the client showed a certificate.
    HasCertificate,
    /// What is wrong with that; 0 is nothing.
    Verified,
    /// Whether TLS is spoken with the server.
    Server,
    /// The version.
    ServerVersion,
    /// The cipher suite.
    ServerCipher,
    /// The protocol.
    ServerAlpn,
    /// Whether an earlier session goes on.
    ServerIsResumed,
}

/// A counter of a frontend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrontendNumber {
    /// Connections now.
    Connections,
    /// Sessions per second.
    SessionRate,
    /// HTTP requests per second.
    RequestRate,
}

/// A counter of a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BackendNumber {
    /// Connections now.
    Connections,
    /// Sessions per second.
    SessionRate,
    /// Servers that can be used.
    UsableServers,
    /// Sessions that wait.
    Queue,
    /// Sessions that wait, per usable server, rounded up.
    AverageQueue,
    /// Connections and places in queues that are left; -1 if there is no limit.
    Slots,
    /// Connections that are left; -1 if there is no limit.
    FreeConnections,
}

/// A fact of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerNumber {
    /// Connections now.
    Connections,
    /// Connections that are left; -1 if there is no limit.
    FreeConnections,
    /// Whether it is up.
    IsUp,
    /// Sessions that wait for it.
    Queue,
    /// Sessions per second.
    SessionRate,
    /// The weight as configured and changed by operators.
    Weight,
    /// The weight as configured.
    InitialWeight,
}

/// Bytes that were received and not forwarded yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting<'a> {
    /// What there is.
    pub bytes: &'a [u8],
    /// Nothing can come after it: the sender has ended, or there is no room for more.
    pub complete: bool,
}

/// All an evaluation can see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The facts.
    pub environment: &'a dyn Environment,
    /// The client's bytes; `None` where rules do not look at them.
    pub request: Option<Waiting<'a>>,
    /// The server's bytes; `None` where rules do not look at them.
    pub response: Option<Waiting<'a>>,
    /// The exchange of a proxy that speaks HTTP.
    pub http: Option<Exchange<'a>>,
    /// Which of several values is meant, from 0; `None`: the one a fetch finds by itself.
    pub nth: Option<usize>,
    /// There is no later evaluation: what is not there now will not be there.
    pub last: bool,
}

/// A request of HTTP and its answer, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exchange<'a> {
    /// The request's head.
    pub request: Option<&'a http::Request>,
    /// The answer's head.
    pub response: Option<&'a http::Response>,
}

impl<'a> Scope<'a> {
    /// Only facts, and no later evaluation.
    pub fn new(environment: &'a dyn Environment) -> Self {
        Self { environment, request: None, response: None, http: None, nth: None, last: true }
    }
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("request", &self.request)
            .field("response", &self.response)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// What a fetch found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<'a> {
    /// This, and it stays so.
    Value(Value<'a>),
    /// This for now: more bytes may change it.
    Tentative(Value<'a>),
    /// Nothing, and it stays so.
    Nothing,
    /// Nothing for now: more bytes may change it.
    NotYet,
}

impl<'a> Found<'a> {
    /// A value that may be missing.
    pub fn of(value: Option<Value<'a>>) -> Self {
        value.map_or(Self::Nothing, Self::Value)
    }

    /// A number that may be missing.
    pub fn int(number: Option<i64>) -> Self {
        Self::of(number.map(Value::Int))
    }

    /// A truth that may be missing, kept as a number.
    pub fn truth(number: Option<i64>) -> Self {
        Self::of(number.map(|number| Value::Bool(number != 0)))
    }

    /// The value there is, whether or not it will change.
    pub fn value(self) -> Option<Value<'a>> {
        match self {
            Self::Value(value) | Self::Tentative(value) => Some(value),
            Self::Nothing | Self::NotYet => None,
        }
    }
}

/// Seconds, milliseconds or microseconds since 1970.
pub(crate) fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
