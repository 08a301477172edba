//! An API server as far as a balancer can tell: TLS, `/healthz`, and its name for an answer.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Serves for ever: `GET /healthz` is answered `ok`, anything else with `name`.
///
/// Writes `accept` for each connection that `accept()` returned and the path of each request,
/// a line each: the ledger that a client's requests are checked against.
pub(crate) async fn serve(name: &str, address: SocketAddr) -> Result<()> {
    let tls = crate::tls::acceptor(name)?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("bind {address}"))?;
    println!("listening");
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        println!("accept");
        let (tls, name) = (tls.clone(), name.to_owned());
        tokio::spawn(async move {
            // A check that hangs up in the middle is not worth a word.
            answer(socket, tls, &name).await.ok();
        });
    }
}

async fn answer(socket: TcpStream, tls: TlsAcceptor, name: &str) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut stream = tls.accept(socket).await?;
    let mut text = Vec::new();
    loop {
        let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else {
            if text.len() > LONGEST_HEAD || stream.read_buf(&mut text).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head: Vec<u8> = text.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head);
        let path = head.split(' ').nth(1).unwrap_or("/");
        println!("GET {path}");
        let body = if path == "/healthz" { "ok".to_owned() } else { format!("{name}\n") };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        // HTTP/1.0 (HAProxy's checks) and "Connection: close" end with the answer.
        if head.contains(" HTTP/1.0\r\n") || head.to_lowercase().contains("connection: close") {
            stream.shutdown().await?;
            return Ok(());
        }
    }
}

const LONGEST_HEAD: usize = 16 * 1024;
