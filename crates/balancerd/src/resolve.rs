//! nginx's `resolver`: names that are looked up when a client comes, and remembered.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use proxy::Resolver;
use relay::timer::{self, Millis};
use tokio::net::UdpSocket;
use wire::dns::{self, Answer, Kind};

use crate::facts::millis;
use crate::state::{Shared, lock};

/// When a name server that says nothing is followed by the next.
const RESEND: Duration = Duration::from_secs(5);
/// Aliases of aliases are followed so far.
const MAX_ALIASES: usize = 8;
/// Names that are remembered.
const MAX_NAMES: usize = 10_000;

/// What is known about names.
#[derive(Debug, Default)]
pub(crate) struct Known {
    names: Mutex<HashMap<String, (Vec<IpAddr>, Millis)>>,
}

/// The addresses of a name, from memory while they hold.
///
/// # Errors
///
/// nginx's words: `NAME could not be resolved (3: Host not found)`.
pub(crate) async fn lookup(
    shared: &Shared,
    resolver: &Resolver,
    name: &str,
) -> Result<Vec<IpAddr>, String> {
    let key = name.to_ascii_lowercase();
    let known = lock(&shared.known.names).get(&key).cloned();
    if let Some((ips, until)) = known
        && timer::now() < until
    {
        return Ok(ips);
    }
    let failed = |(code, why)| format!("{name} could not be resolved ({code}: {why})");
    let question = ask(resolver, &key);
    let found = match tokio::time::timeout(resolver.timeout, question).await {
        Ok(found) => found.map_err(failed)?,
        Err(_) => return Err(failed((110, "Operation timed out"))),
    };
    let good = resolver.valid.unwrap_or(Duration::from_secs(found.ttl.into()));
    let mut names = lock(&shared.known.names);
    if names.len() >= MAX_NAMES {
        let now = timer::now();
        names.retain(|_, (_, until)| now < *until);
    }
    if names.len() < MAX_NAMES {
        names.insert(key, (found.addresses.clone(), timer::now() + millis(good)));
    }
    Ok(found.addresses)
}

type Failure = (u32, &'static str);

/// Asks for every family that is wanted; one of them is enough.
async fn ask(resolver: &Resolver, name: &str) -> Result<Answer, Failure> {
    let kinds = [(resolver.v4, Kind::A), (resolver.v6, Kind::Aaaa)];
    let mut found = Answer { ttl: u32::MAX, ..Answer::default() };
    let mut failure = (3, "Host not found");
    for (_, kind) in kinds.into_iter().filter(|(wanted, _)| *wanted) {
        match follow(resolver, name, kind).await {
            Ok(answer) => {
                if !answer.addresses.is_empty() {
                    found.ttl = found.ttl.min(answer.ttl);
                }
                found.addresses.extend(answer.addresses);
            }
            Err(why) => failure = why,
        }
    }
    if found.addresses.is_empty() { Err(failure) } else { Ok(found) }
}

/// Follows aliases to addresses.
async fn follow(resolver: &Resolver, name: &str, kind: Kind) -> Result<Answer, Failure> {
    let mut name = name.to_owned();
    let mut ttl = u32::MAX;
    for _ in 0..MAX_ALIASES {
        let mut answer = exchange(resolver, &name, kind).await?;
        ttl = ttl.min(answer.ttl);
        match answer.alias.take() {
            Some(alias) => name = alias,
            None => return Ok(Answer { ttl, ..answer }),
        }
    }
    Err((3, "Host not found"))
}

/// One question, to one server after the other until one answers.
async fn exchange(resolver: &Resolver, name: &str, kind: Kind) -> Result<Answer, Failure> {
    let first = fastrand::usize(..resolver.servers.len().max(1));
    for turn in 0.. {
        let at = (first + turn) % resolver.servers.len().max(1);
        let Some(server) = resolver.servers.get(at) else { break };
        let attempt = tokio::time::timeout(RESEND, one(*server, name, kind)).await;
        match attempt {
            Ok(Ok(result)) => return result,
            // A server that cannot be reached: the next, not at once.
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(_) => {}
        }
    }
    Err((110, "Operation timed out"))
}

/// Asks one server. The outer error is the network's.
async fn one(
    server: SocketAddr,
    name: &str,
    kind: Kind,
) -> std::io::Result<Result<Answer, Failure>> {
    let id = fastrand::u16(..);
    let Some(question) = dns::query(id, name, kind) else {
        return Ok(Err((3, "Host not found")));
    };
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question: an answer has to be meant for it.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut bytes = [0; 4096];
    loop {
        let length = socket.recv(&mut bytes).await?;
        return Ok(match dns::answer(&bytes[..length], id) {
            Ok(answer) => Ok(answer),
            Err(dns::Error::Code(code)) => Err((code.into(), words(code))),
            // Noise, or somebody who guesses: the answer may still come.
            Err(_) => continue,
        });
    }
}

const fn words(code: u8) -> &'static str {
    match code {
        1 => "Format error",
        2 => "Server failure",
        3 => "Host not found",
        4 => "Unimplemented",
        5 => "Operation refused",
        _ => "Unknown error",
    }
}
