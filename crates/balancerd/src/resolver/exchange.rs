//! One question and its answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use proxy::Resolver;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use wire::dns::{Answer, Error, Kind, Question};

use super::{Cache, Failure, Missing};

/// The pause after a name server that cannot be reached at all.
const UNREACHABLE: Duration = Duration::from_millis(100);

/// Asks one name server after the other until one answers, or the tries are spent.
pub(super) async fn ask(
    cache: &Cache,
    resolver: &Resolver,
    name: &str,
    kind: Kind,
) -> Result<Answer, Missing> {
    let counter = match kind {
        Kind::A | Kind::Aaaa => &cache.counts.names,
        Kind::Srv => &cache.counts.services,
    };
    let servers = resolver.servers.len();
    let first = fastrand::usize(..servers.max(1));
    let mut said = (Failure::TimedOut, Duration::ZERO);
    for turn in 0..resolver.tries.unwrap_or(usize::MAX) {
        let Some(server) = resolver.servers.get((first + turn) % servers.max(1)) else { break };
        counter.fetch_add(1, Relaxed);
        let attempt = one(cache, *server, name, kind, resolver.payload);
        match tokio::time::timeout(resolver.resend, attempt).await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(missing))) => {
                // A server that has trouble is no authority if there are others.
                if missing.0.is_final() || turn + 1 >= servers {
                    return Err(missing);
                }
                said = missing;
            }
            Ok(Err(_)) => tokio::time::sleep(UNREACHABLE).await,
            Err(_) => {}
        }
    }
    Err(said)
}

/// Asks one server. The outer error is the network's.
pub(super) async fn one(
    cache: &Cache,
    server: SocketAddr,
    name: &str,
    kind: Kind,
    payload: Option<u16>,
) -> io::Result<Result<Answer, Missing>> {
    let question = Question { id: fastrand::u16(..), name, kind, payload };
    let Some(message) = question.encode() else {
        return Ok(Err((Failure::NoName, Duration::ZERO)));
    };
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question: an answer has to be meant for it.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&message).await?;
    let mut bytes = vec![0; usize::from(payload.unwrap_or(0)).max(4096)];
    loop {
        let length = socket.recv(&mut bytes).await?;
        match judge(cache, question, &bytes[..length]) {
            Judged::Is(result) => return Ok(result),
            Judged::Cut => return over_tcp(cache, server, question, &message).await,
            // Noise, or somebody who guesses: the answer may still come.
            Judged::Noise => {}
        }
    }
}

/// RFC 1035 §4.2.2: the same with its length in front.
async fn over_tcp(
    cache: &Cache,
    server: SocketAddr,
    question: Question<'_>,
    message: &[u8],
) -> io::Result<Result<Answer, Missing>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    match judge(cache, question, &bytes) {
        Judged::Is(result) => Ok(result),
        Judged::Cut | Judged::Noise => Err(io::ErrorKind::InvalidData.into()),
    }
}

enum Judged {
    Is(Result<Answer, Missing>),
    Cut,
    Noise,
}

fn judge(cache: &Cache, question: Question<'_>, bytes: &[u8]) -> Judged {
    let counts = &cache.counts;
    let count = |code: u8| counts.codes[usize::from(code).min(6)].fetch_add(1, Relaxed);
    match question.answer(bytes) {
        Ok(answer) => {
            count(0);
            Judged::Is(Ok(answer))
        }
        Err(Error::Code { code, ttl }) => {
            count(code);
            let holds = if code == 3 { ttl.unwrap_or(0) } else { 0 };
            Judged::Is(Err((Failure::Code(code), Duration::from_secs(holds.into()))))
        }
        Err(Error::Loop) => {
            count(0);
            Judged::Is(Err((Failure::Loop, Duration::ZERO)))
        }
        Err(Error::Truncated) => Judged::Cut,
        Err(Error::NotAnAnswer | Error::Malformed) => {
            counts.noise.fetch_add(1, Relaxed);
            Judged::Noise
        }
    }
}
