//! The client: asks the virtual address all the time and says what became of each request.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;

use crate::order::{Event, Moment};

/// What became of one request of the client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Request {
    /// Counted from zero; the path it asked for is `/` and this number.
    pub number: u64,
    /// When its connection was begun.
    pub start: Moment,
    /// When its answer was complete, or it was given up.
    pub end: Moment,
    /// The server's name as the answer says it, or what failed.
    pub answer: Result<String, String>,
    /// Whose hardware address the client had for the virtual address, when it was over.
    pub via: Option<String>,
}

/// The event itself, or what it says if it is a line of the client's about a request.
pub(crate) fn understood(event: Event) -> Event {
    if let Event::Line { text, .. } = &event
        && text.starts_with("{\"number\":")
        && let Ok(request) = serde_json::from_str(text)
    {
        return Event::Asked(request);
    }
    event
}

/// What the client says last.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Sum {
    pub(crate) started: u64,
}

/// Starts a request every `every`, whatever became of the earlier ones, until SIGTERM.
///
/// A request is given up after `limit`. Each ends in a line, the client in its [`Sum`].
pub(crate) async fn ask(target: SocketAddr, every: Duration, limit: Duration) -> Result<()> {
    let tls = crate::tls::connector()?;
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stop = signal(SignalKind::terminate())?;
    let mut open = tokio::task::JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = tick.tick() => {
                open.spawn(request(number, target, limit, tls.clone()));
                number += 1;
            }
            Some(done) = open.join_next() => say(&done?)?,
        }
    }
    while let Some(done) = open.join_next().await {
        say(&done?)?;
    }
    println!("{}", serde_json::to_string(&Sum { started: number })?);
    Ok(())
}

async fn request(number: u64, target: SocketAddr, limit: Duration, tls: TlsConnector) -> Request {
    let start = Moment::now();
    let url = format!("/{number}");
    let answer = match timeout(limit, get(target, &url, Some(tls))).await {
        Ok(Ok((200, body))) => Ok(body.trim().to_owned()),
        Ok(Ok((status, _))) => Err(format!("HTTP status {status}")),
        Ok(Err(why)) => Err(format!("{why:#}")),
        Err(_) => Err("no answer in time".to_owned()),
    };
    Request { number, start, end: Moment::now(), answer, via: neighbour(target) }
}

/// One `GET`, over TLS if a connector is given: the status and the body.
pub(crate) async fn get(
    target: SocketAddr,
    path: &str,
    tls: Option<TlsConnector>,
) -> Result<(u16, String)> {
    let socket = TcpStream::connect(target).await?;
    socket.set_nodelay(true)?;
    let text = format!("GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    if let Some(tls) = tls {
        let mut stream = tls.connect(ServerName::IpAddress(target.ip().into()), socket).await?;
        stream.write_all(text.as_bytes()).await?;
        read(&mut stream, &mut answer).await?;
    } else {
        let mut stream = socket;
        stream.write_all(text.as_bytes()).await?;
        read(&mut stream, &mut answer).await?;
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// Reads to the end; a peer that ends without TLS's goodbye has ended all the same.
async fn read(stream: &mut (impl AsyncReadExt + Unpin), into: &mut Vec<u8>) -> Result<()> {
    match stream.read_to_end(into).await {
        Err(why) if into.is_empty() => Err(why.into()),
        _ if into.is_empty() => anyhow::bail!("closed without an answer"),
        _ => Ok(()),
    }
}

/// The hardware address this host uses for `target`, from `/proc/net/arp`.
fn neighbour(target: SocketAddr) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/arp").ok()?;
    let ip = target.ip().to_string();
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(&ip))?;
    line.split_whitespace().nth(3).map(str::to_owned)
}

fn say(request: &Request) -> Result<()> {
    println!("{}", serde_json::to_string(request)?);
    Ok(())
}
