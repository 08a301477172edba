//! One check on real sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use check::{
    Config, Conversation, Deadline, Endpoint, Handshake, ProxyUse, Reason, Status, Turn, Verdict,
    Words,
};
use daemon::clock::Clock;
use machine::Instant;
use proxy::ProxyHeader;
use relay::Target;
use socket2::SockRef;
use tls::{Connector, Failure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use wire::proxy_protocol::{self, Addresses};

use super::Board;
use crate::bind::reason;
use crate::socks;

/// Checks one server again and again; keeps what TLS needs between checks.
pub(super) struct Probe<'a> {
    config: &'a Config,
    /// Where the server is.
    pub(super) target: Target,
    /// Where an operator wants it to look instead: an address, a port.
    pub(super) elsewhere: (Option<IpAddr>, Option<u16>),
    /// The SOCKS4 proxy it goes through.
    pub(super) through: Option<SocketAddr>,
    /// What is sent before anything else.
    header: Option<ProxyHeader>,
    board: &'a Board,
    /// By what they offer; made when first needed.
    connectors: Vec<(Vec<String>, Connector)>,
}

/// An open connection to the server.
enum Link {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<tls::Stream<TcpStream>>),
}

/// Why there is no [`Link`].
pub(super) enum Broken {
    Connect(io::Error),
    Handshake(Handshake),
    Setup(String),
    /// We have not what it takes: that says nothing of the server.
    Exhausted(String),
}

/// Out of descriptors, memory or local ports.
fn is_exhausted(error: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ENOMEM: i32 = 12;
    const ENOBUFS: i32 = 105;
    const EADDRNOTAVAIL: i32 = 99;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM | ENOBUFS | EADDRNOTAVAIL))
}

impl From<io::Error> for Broken {
    /// A connect that failed.
    fn from(error: io::Error) -> Self {
        if is_exhausted(&error) { Self::Exhausted(reason(&error)) } else { Self::Connect(error) }
    }
}

impl<'a> Probe<'a> {
    pub(super) const fn new(
        config: &'a Config,
        target: Target,
        header: Option<ProxyHeader>,
        board: &'a Board,
    ) -> Self {
        let elsewhere = (None, None);
        Self { config, target, elsewhere, through: None, header, board, connectors: Vec::new() }
    }

    /// One check, never longer than configured.
    pub(super) async fn run(&mut self, clock: &Clock, words: &mut dyn Words) -> Reason {
        let start = clock.now();
        let verdict = self.converse(clock, start, words).await;
        Reason { verdict, duration: clock.now() - start }
    }

    async fn converse(&mut self, clock: &Clock, start: Instant, words: &mut dyn Words) -> Verdict {
        let deadline = Deadline::new(self.config, start);
        let mut until = deadline.connect();
        let mut talk = Conversation::with_words(self.config, words);
        let mut turn = talk.start();
        let mut link: Option<Link> = None;
        loop {
            let left = until - clock.now();
            turn = match turn {
                Turn::Verdict(verdict) => return verdict,
                Turn::Connect(endpoint) => {
                    drop(link.take());
                    let connect = self.connect(&endpoint, &mut talk);
                    match tokio::time::timeout(left, connect).await {
                        Err(_) => return talk.timed_out(),
                        Ok(Err(Broken::Connect(error))) => return talk.refused(&reason(&error)),
                        Ok(Err(Broken::Handshake(why))) => return talk.handshake_failed(why),
                        Ok(Err(Broken::Exhausted(why))) => {
                            tracing::warn!(%why, "a check could not be made; it tells nothing");
                            return Verdict::new(Status::Unknown).because(why);
                        }
                        Ok(Err(Broken::Setup(why))) => {
                            return Verdict::new(Status::SocketError).because(why);
                        }
                        Ok(Ok(connected)) => link = Some(connected),
                    }
                    until = deadline.answer(clock.now());
                    talk.connected()
                }
                Turn::Send(bytes) => match within(left, link.as_mut(), |l| l.send(&bytes)).await {
                    Some(Ok(())) => talk.sent(),
                    // Whatever it said before it hung up is still to be judged.
                    Some(Err(_)) => talk.sent(),
                    None => return talk.timed_out(),
                },
                Turn::Expect => {
                    let mut bytes = [0; 4096];
                    match within(left, link.as_mut(), |l| l.receive(&mut bytes)).await {
                        Some(Err(error)) => talk.on_error(&reason(&error)),
                        Some(Ok(0)) => match talk.on_end() {
                            // Nothing more will come.
                            Turn::Expect => return talk.timed_out(),
                            next => next,
                        },
                        Some(Ok(received)) => talk.on_bytes(&bytes[..received]),
                        None => return talk.timed_out(),
                    }
                }
            };
        }
    }

    async fn connect(
        &mut self,
        endpoint: &Endpoint,
        talk: &mut Conversation<'_>,
    ) -> Result<Link, Broken> {
        let header = match endpoint.header {
            ProxyUse::AsServer => self.header,
            ProxyUse::Always => Some(self.header.unwrap_or(ProxyHeader::V1)),
            ProxyUse::Never => None,
        };
        let port = self.elsewhere.1.or(endpoint.port);
        let address = match (&self.target, self.elsewhere.0.or(endpoint.addr)) {
            (Target::Unix(path), None) => {
                let mut stream = UnixStream::connect(path).await.map_err(Broken::from)?;
                if let Some(version) = header {
                    stream.write_all(&encoded(version, None)).await.map_err(Broken::from)?;
                }
                return Ok(Link::Unix(stream));
            }
            (Target::Unix(_), Some(ip)) => SocketAddr::new(ip, port.unwrap_or(0)),
            (Target::Inet(server), addr) => {
                let ip = addr.unwrap_or(server.ip());
                SocketAddr::new(ip, port.unwrap_or(server.port()))
            }
        };
        let spoken_to = header.is_some() || self.through.is_some();
        let first = self.through.unwrap_or(address);
        let mut stream = connect_tcp(first, endpoint, spoken_to).await?;
        if self.through.is_some() {
            pass_through(&mut stream, address).await?;
        }
        if let Some(version) = header {
            let ends = stream.local_addr().ok().zip(stream.peer_addr().ok());
            stream.write_all(&encoded(version, ends)).await.map_err(Broken::from)?;
        }
        if !endpoint.tls {
            return Ok(Link::Tcp(stream));
        }
        talk.handshaking();
        let connector = self.connector(&endpoint.alpn)?;
        let connected = connector.connect(endpoint.sni.as_deref(), stream).await;
        let stream = connected.map_err(|error| {
            tracing::debug!(%address, %error, "the TLS handshake of a check failed");
            Broken::Handshake(match error {
                Failure::NotConfiguredName => Handshake::NotConfiguredName,
                Failure::NotSentName => Handshake::NotSentName,
                Failure::Handshake(_) => Handshake::Failed,
            })
        })?;
        Ok(Link::Tls(Box::new(stream)))
    }

    fn connector(&mut self, alpn: &[String]) -> Result<Connector, Broken> {
        if let Some((_, known)) = self.connectors.iter().find(|(offered, _)| offered == alpn) {
            return Ok(known.clone());
        }
        let made = self.board.connector(&self.config.verify);
        let made = made.map_err(|error| Broken::Setup(error.to_string()))?.offering(alpn);
        self.connectors.push((alpn.to_vec(), made.clone()));
        Ok(made)
    }
}

/// Connects as HAProxy's checks do.
///
/// Without TCP_QUICKACK the kernel holds back the last ACK of the handshake; closing right after
/// with SO_LINGER 0 sends a reset in its place. The server's kernel never completes the connection,
/// so its application never sees one. Other checks just end with a reset.
async fn connect_tcp(
    address: SocketAddr,
    endpoint: &Endpoint,
    spoken_to: bool,
) -> Result<TcpStream, Broken> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let setup = |error: io::Error| match is_exhausted(&error) {
        true => Broken::Exhausted(reason(&error)),
        false => Broken::Setup(reason(&error)),
    };
    let socket = socket.map_err(setup)?;
    socket.set_nodelay(true).map_err(setup)?;
    if endpoint.unnoticed && !spoken_to {
        SockRef::from(&socket).set_tcp_quickack(false).map_err(setup)?;
    }
    let stream = socket.connect(address).await.map_err(Broken::from)?;
    if !endpoint.linger {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).map_err(setup)?;
    }
    Ok(stream)
}

/// Asks a SOCKS4 proxy for a connection with the server.
async fn pass_through(stream: &mut TcpStream, to: SocketAddr) -> Result<(), Broken> {
    let said = |text: &str| Broken::Setup(text.to_owned());
    let Some(request) = socks::request(to) else {
        return Err(said("SOCKS4 Proxy unsupported request"));
    };
    let sent = stream.write_all(&request).await;
    sent.map_err(|_| said("SOCKS4 Proxy write error during handshake"))?;
    let mut answer = [0; socks::ANSWER];
    let read = stream.read_exact(&mut answer).await;
    read.map_err(|_| said("SOCKS4 Proxy read error during handshake"))?;
    socks::judge(answer).map_err(said)
}

/// The header of a check, as HAProxy's: of our own address, or saying that there is no client.
fn encoded(version: ProxyHeader, ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    match version {
        ProxyHeader::V1 => proxy_protocol::encode_v1(
            ends.map(|(source, destination)| Addresses { source, destination }),
        ),
        ProxyHeader::V2 => proxy_protocol::encode_v2(None, &[]),
    }
}

impl Link {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn receive(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes).await,
            Self::Unix(stream) => stream.read(bytes).await,
            Self::Tls(stream) => stream.read(bytes).await,
        }
    }
}

/// `None` when the time is over, or there is no connection (which a conversation rules out).
async fn within<'l, T, F>(
    left: Duration,
    link: Option<&'l mut Link>,
    act: impl FnOnce(&'l mut Link) -> F,
) -> Option<io::Result<T>>
where
    F: Future<Output = io::Result<T>>,
{
    tokio::time::timeout(left, act(link?)).await.ok()
}
