//! As much of HTTP/1.1 as a scraper needs (RFC 9112): one GET, one answer, and the end.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest head of a request.
const LONGEST: usize = 4096;
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers one request on `stream`; `body` is asked for only if it is the right one.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    body: impl Future<Output = Option<String>>,
) {
    let answer = match head(&mut stream).await {
        Head::Gone => return,
        Head::TooLong => answer(431, "Request Header Fields Too Large", "too long\n", true),
        Head::Complete(bytes) => match request(&bytes) {
            Err((status, reason)) => answer(status, reason, &format!("{reason}\n"), true),
            Ok(with_body) => match body.await {
                Some(body) => answer(200, "OK", &body, with_body),
                None => answer(503, "Service Unavailable", "the daemon is busy\n", true),
            },
        },
    };
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

enum Head {
    Complete(Vec<u8>),
    TooLong,
    Gone,
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Head {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return Head::Gone,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
        let ends = |end: &[u8]| bytes.windows(end.len()).any(|window| window == end);
        if ends(b"\r\n\r\n") || ends(b"\n\n") {
            return Head::Complete(bytes);
        }
        if bytes.len() > LONGEST {
            return Head::TooLong;
        }
    }
}

/// Whether the answer has a body, or why there is another one.
fn request(head: &[u8]) -> Result<bool, (u16, &'static str)> {
    let bad = (400, "Bad Request");
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| bad)?.trim_end_matches('\r');
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad);
    };
    if !version.starts_with("HTTP/1.") {
        return Err((505, "HTTP Version Not Supported"));
    }
    let with_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Err((405, "Method Not Allowed")),
    };
    match target.split('?').next() {
        Some("/metrics") => Ok(with_body),
        _ => Err((404, "Not Found")),
    }
}

fn answer(status: u16, reason: &str, body: &str, with_body: bool) -> String {
    let length = body.len();
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\n\
         {allow}Connection: close\r\n\r\n"
    );
    if with_body { head + body } else { head }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(request: &[u8]) -> String {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        client.write_all(request).await.expect("room");
        let serving = serve(server, async { Some("up 1\n".to_owned()) });
        let mut said = String::new();
        let read = async {
            let _ = client.read_to_string(&mut said).await;
        };
        tokio::join!(serving, read);
        said
    }

    #[tokio::test]
    async fn a_scraper_gets_what_it_asks_for() {
        let said = asked(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(said.contains("\r\nContent-Length: 5\r\n") && said.ends_with("\r\n\r\nup 1\n"));
        let said = asked(b"HEAD /metrics HTTP/1.0\n\n").await;
        assert!(said.contains("Content-Length: 5\r\n") && said.ends_with("\r\n\r\n"), "{said}");
    }

    #[tokio::test]
    async fn anything_else_is_told_so() {
        let cases: [(&[u8], &str); 7] = [
            (b"GET / HTTP/1.1\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"GET /metrics HTTP/2.0\r\n\r\n", "505"),
            (b"\xff\xfe\n\n", "400"),
            (b"\r\n\r\n", "400"),
            (&[b'a'; 6000], "431"),
        ];
        for (request, status) in cases {
            let said = asked(request).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {said}");
        }
    }
}
