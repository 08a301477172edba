//! A question to an agent.

use std::net::SocketAddr;

use check::{Agent, Config, Deadline, Status, Verdict};
use daemon::clock::Clock;
use relay::Target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bind::reason;

/// The most that is kept of an answer.
const LONGEST: usize = 16_384;

/// What the agent answers: a line, or all of it. `Err` is why nothing was heard.
pub(super) async fn ask(
    agent: &Agent,
    timing: &Config,
    target: &Target,
    clock: &Clock,
) -> Result<Vec<u8>, Verdict> {
    let deadline = Deadline::new(timing, clock.now());
    let ip = match (agent.addr, target) {
        (Some(ip), _) => ip,
        (None, Target::Inet(address)) => address.ip(),
        (None, Target::Unix(_)) => {
            return Err(Verdict::new(Status::SocketError).because("the server has no address"));
        }
    };
    let connect = TcpStream::connect(SocketAddr::new(ip, agent.port));
    let left = deadline.connect() - clock.now();
    let mut stream = match tokio::time::timeout(left, connect).await {
        Err(_) => return Err(Verdict::new(Status::L4Timeout)),
        Ok(Err(error)) => return Err(Verdict::new(Status::L4Connection).because(reason(&error))),
        Ok(Ok(stream)) => stream,
    };
    let until = deadline.answer(clock.now());
    let exchange = async {
        if !agent.send.is_empty() {
            stream.write_all(&agent.send).await?;
        }
        let mut heard = Vec::new();
        let mut piece = [0; 1024];
        while !check::agent::is_line(&heard) && heard.len() < LONGEST {
            match stream.read(&mut piece).await? {
                0 => break,
                length => heard.extend_from_slice(&piece[..length]),
            }
        }
        Ok::<_, std::io::Error>(heard)
    };
    match tokio::time::timeout(until - clock.now(), exchange).await {
        Err(_) => Err(Verdict::new(Status::L7Timeout)),
        Ok(Err(error)) => Err(Verdict::new(Status::SocketError).because(reason(&error))),
        Ok(Ok(heard)) if heard.is_empty() => Err(Verdict::new(Status::L7Response)),
        Ok(Ok(heard)) => Ok(heard),
    }
}

/// The weight `50%` of a configured weight, 256 at most.
pub(super) fn weight(text: &str, configured: u32, is_static: bool) -> Result<u32, &'static str> {
    let share: u32 =
        text.trim_end_matches('%').parse().map_err(|_| "Trailing garbage in weight string")?;
    if is_static && share != 0 && share != 100 {
        return Err(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n",
        );
    }
    Ok((configured * share.min(25_600) / 100).min(256))
}

/// What follows `maxconn:`.
pub(super) fn maxconn(text: &str) -> Result<u32, &'static str> {
    if text.is_empty() {
        return Err("Require <maxconn>.\n");
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("maxconn string empty or preceded by garbage");
    }
    text.parse().map_err(|_| "Trailing garbage in maxconn string")
}

#[cfg(test)]
mod tests {
    use super::{maxconn, weight};

    #[test]
    fn what_is_no_number_of_connections_is_told_as_by_haproxy() {
        assert_eq!(maxconn("7"), Ok(7));
        assert_eq!(maxconn(""), Err("Require <maxconn>.\n"));
        assert_eq!(maxconn("abc"), Err("maxconn string empty or preceded by garbage"));
        assert_eq!(maxconn("5x"), Err("Trailing garbage in maxconn string"));
    }

    #[test]
    fn a_share_is_of_the_configured_weight() {
        assert_eq!(weight("50%", 100, false), Ok(50));
        assert_eq!(weight("33%", 10, false), Ok(3));
        assert_eq!(weight("0%", 10, true), Ok(0));
        assert_eq!(weight("25600%", 200, false), Ok(256));
        assert!(weight("50%", 10, true).is_err());
        assert!(weight("5x%", 10, false).is_err());
    }
}
