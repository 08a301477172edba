//! Handing a mail to a relay (RFC 5321), without ever keeping anybody waiting.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use wire::smtp::{Delivery, Letter, Step};

use super::mail::Mail;

/// A whole conversation takes no longer than this many times what a reply may take.
const REPLIES: u32 = 10;
/// How long the relay's farewell is waited for: the mail is handed over.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a mail was not handed over, in keepalived's words.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The name of the relay is known to nobody.
    Unknown { server: String, error: io::Error },
    /// There is no connection.
    Connect { to: SocketAddr, error: io::Error },
    /// There was no connection in time.
    ConnectTimeout { to: SocketAddr },
    /// It says nothing, or too slowly.
    Silent { to: SocketAddr },
    /// It closed the connection.
    Closed { to: SocketAddr },
    /// The connection broke.
    Broken { to: SocketAddr, error: io::Error },
    /// It says too much at once, or what is no reply.
    Nonsense { to: SocketAddr },
    /// It refused.
    Refused { to: SocketAddr, command: &'static str, code: u16 },
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |to: &SocketAddr| format!("[{}]:{}", to.ip(), to.port());
        match self {
            Self::Unknown { server, error } => write!(f, "Invalid smtp server {server}: {error}"),
            Self::Connect { to, error } => {
                write!(f, "SMTP connection ERROR to {}: {error}", shown(to))
            }
            Self::ConnectTimeout { to } => {
                write!(f, "Timeout opening connection to remote SMTP server {}.", shown(to))
            }
            Self::Silent { to } => {
                write!(f, "Timeout reading data to remote SMTP server {}.", shown(to))
            }
            Self::Closed { to } => {
                write!(f, "Remote SMTP server {} has closed the connection.", shown(to))
            }
            Self::Broken { to, error } => {
                write!(f, "Error reading data from remote SMTP server {}: {error}", shown(to))
            }
            Self::Nonsense { to } => write!(
                f,
                "Received buffer from remote SMTP server {} overflow our get read buffer length.",
                shown(to)
            ),
            Self::Refused { to, command, code } => write!(
                f,
                "Error processing {command} cmd on SMTP server {}. SMTP status code = {code}",
                shown(to)
            ),
        }
    }
}

/// Hands `mail` to its relay. Returns whom it was.
pub(super) async fn deliver(mail: &Mail) -> Result<SocketAddr, Failure> {
    let unknown = |error| Failure::Unknown { server: mail.server.clone(), error };
    // In a thread of its own: a name server may take its time.
    let looked_up = timeout(mail.timeout, lookup_host((mail.server.as_str(), mail.port))).await;
    let mut known =
        looked_up.map_err(|_| unknown(io::ErrorKind::TimedOut.into()))?.map_err(unknown)?;
    let to = known.next().ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))?;
    let stream = match timeout(mail.timeout, TcpStream::connect(to)).await {
        Err(_) => return Err(Failure::ConnectTimeout { to }),
        Ok(Err(error)) => return Err(Failure::Connect { to, error }),
        Ok(Ok(stream)) => stream,
    };
    let end = Instant::now() + mail.timeout * REPLIES;
    let letter = Letter {
        helo: mail.helo.clone(),
        from: mail.from.clone(),
        to: mail.to.clone(),
        text: mail.text.clone(),
    };
    let mut talk = Talk { stream, to, patience: mail.timeout, end };
    talk.hand_over(&letter).await?;
    Ok(to)
}

/// A conversation.
struct Talk {
    stream: TcpStream,
    to: SocketAddr,
    /// For one reply, however many pieces it comes in.
    patience: Duration,
    /// For all of them.
    end: Instant,
}

impl Talk {
    async fn hand_over(&mut self, letter: &Letter) -> Result<(), Failure> {
        let to = self.to;
        let mut delivery = Delivery::new(letter);
        let mut line = None;
        loop {
            let deadline = (Instant::now() + self.patience).min(self.end);
            let exchange = self.exchange(&mut delivery, line.take());
            match timeout_at(deadline, exchange).await.map_err(|_| Failure::Silent { to })?? {
                Step::Say(next) => line = Some(next),
                Step::Farewell(next) => {
                    // It has the mail; how it takes its leave is its own business.
                    let _ = timeout(FAREWELL, self.exchange(&mut delivery, Some(next))).await;
                    return Ok(());
                }
                Step::Refused { command, code } => {
                    let _ = self.stream.try_write(b"QUIT\r\n");
                    return Err(Failure::Refused { to, command, code });
                }
                Step::Nonsense => return Err(Failure::Nonsense { to }),
                Step::Wait | Step::Done => return Ok(()),
            }
        }
    }

    /// Says something, and hears a reply.
    async fn exchange(
        &mut self,
        delivery: &mut Delivery<'_>,
        line: Option<String>,
    ) -> Result<Step, Failure> {
        let to = self.to;
        if let Some(line) = line {
            let sent = self.stream.write_all(line.as_bytes()).await;
            sent.map_err(|error| Failure::Broken { to, error })?;
        }
        // A reply may have come together with the one before.
        let mut step = delivery.hear(b"");
        while step == Step::Wait {
            let mut piece = [0; 512];
            step = match self.stream.read(&mut piece).await {
                Ok(0) => return Err(Failure::Closed { to }),
                Ok(length) => delivery.hear(&piece[..length]),
                Err(error) => return Err(Failure::Broken { to, error }),
            };
        }
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn mail(port: u16) -> Mail {
        Mail {
            server: "127.0.0.1".into(),
            port,
            timeout: Duration::from_millis(300),
            helo: "me".into(),
            from: "from@x".into(),
            to: vec!["a@x".into(), "b@x".into()],
            text: "Subject: s\r\n\r\n.dot\r\n".into(),
        }
    }

    /// A relay that says each of `says` when it has heard a line (the mail's text is one), the first
    /// at once.
    async fn relay(says: &[&str], mend: fn(&mut Mail)) -> (Result<SocketAddr, Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut mail = mail(listener.local_addr().expect("bound").port());
        mend(&mut mail);
        let says: Vec<String> = says.iter().map(|&text| text.to_owned()).collect();
        let serve = async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let (mut heard, mut piece) = (String::new(), [0; 4096]);
            for text in says {
                // Whoever hangs up early is not told the rest.
                if stream.write_all(text.as_bytes()).await.is_err() {
                    break;
                }
                match stream.read(&mut piece).await {
                    Ok(length) if length > 0 => {
                        heard.push_str(&String::from_utf8_lossy(&piece[..length]));
                    }
                    _ => break,
                }
            }
            heard
        };
        tokio::join!(deliver(&mail), serve)
    }

    #[tokio::test]
    async fn a_mail_is_handed_over_in_the_order_of_rfc_5321() {
        let says = [
            "220-long\r\n220 greeting\r\n",
            "250 hello\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "251-will\r\n251 forward\r\n",
            "354 go ahead\r\n",
            "250 queued\r\n",
            "221 bye\r\n",
        ];
        let (result, heard) = relay(&says, |_| {}).await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(
            heard,
            "HELO me\r\nMAIL FROM:<from@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n\
             Subject: s\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
        );
    }

    #[tokio::test]
    async fn a_relay_that_refuses_is_told_goodbye_once() {
        let (result, heard) =
            relay(&["220 x\r\n", "250 x\r\n", "451 later\r\n", "250 x\r\n"], |_| {}).await;
        let error = result.expect_err("refused").to_string();
        assert!(
            error.starts_with("Error processing MAIL cmd on SMTP server [127.0.0.1]:"),
            "{error}"
        );
        assert!(error.ends_with(". SMTP status code = 451"), "{error}");
        assert_eq!(heard, "HELO me\r\nMAIL FROM:<from@x>\r\nQUIT\r\n");
    }

    #[tokio::test]
    async fn a_relay_that_talks_nonsense_or_goes_away_is_left() {
        for says in
            [["\r\n\r\n220 x\r\n"].as_slice(), &["hello\r\n"], &["250-x\r\n".repeat(4000).as_str()]]
        {
            let (result, heard) = relay(says, |_| {}).await;
            assert!(matches!(result, Err(Failure::Nonsense { .. })), "{result:?}");
            assert_eq!(heard, "");
        }
        let (result, _) = relay(&["220 x\r\n"], |_| {}).await;
        assert!(
            matches!(result, Err(Failure::Closed { .. } | Failure::Broken { .. })),
            "{result:?}"
        );
    }

    #[tokio::test]
    async fn a_relay_that_drips_is_left_after_one_reply_s_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mail = mail(listener.local_addr().expect("bound").port());
        let drip = async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            while stream.write_all(b"2").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let start = Instant::now();
        let result = tokio::select! {
            result = deliver(&mail) => result,
            () = drip => panic!("it hears no end before the other does"),
        };
        assert!(matches!(result, Err(Failure::Silent { .. })), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn nobody_listening_is_an_error_that_names_whom() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let error = deliver(&mail(port)).await.expect_err("nobody is there").to_string();
        assert!(
            error.starts_with(&format!("SMTP connection ERROR to [127.0.0.1]:{port}: ")),
            "{error}"
        );
    }
}
