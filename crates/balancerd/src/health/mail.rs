//! Mail about servers: `email-alert`.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use check::{LogLine, Moved};
use proxy::{EmailAlert, Severity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use wire::smtp::{Delivery, Letter, Step};

use crate::state::lock;

/// How much mail may wait: a relay that is gone keeps nobody's memory.
const MOST: usize = 256;

/// Mail that waits to be handed over.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Mutex<VecDeque<Waiting>>,
    rung: Notify,
    dropped: AtomicU64,
    claimed: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    letter: Letter,
    relays: Vec<SocketAddr>,
    timeout: Duration,
}

/// How severe HAProxy takes a line to be when it thinks of sending it; `None` is never sent.
fn severity(line: LogLine<'_>) -> Option<Severity> {
    match line {
        LogLine::Checked { .. } => Some(Severity::Info),
        LogLine::Moved { moved: Moved::Down, was_stopping, .. } => {
            Some(if was_stopping { Severity::Notice } else { Severity::Alert })
        }
        LogLine::Moved { moved: Moved::Up | Moved::IntoDrain { .. }, .. } => Some(Severity::Notice),
        LogLine::Moved { .. } | LogLine::NoServer { .. } => None,
    }
}

impl Outbox {
    /// Whether nobody delivers from it yet; from now on somebody does.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Relaxed)
    }

    /// Writes about a line to whom it concerns.
    pub(super) fn tell(&self, alert: &EmailAlert, line: LogLine<'_>) {
        if severity(line).is_none_or(|severity| severity > alert.level) {
            return;
        }
        let text = line.to_string();
        let text = one_line(text.strip_suffix('.').unwrap_or(&text));
        let helo = alert.host.clone().unwrap_or_else(host);
        let (from, to) = (one_line(&alert.from), one_line(&alert.to));
        let letter = Letter {
            helo: one_line(&helo),
            text: format!(
                "From: {from}\r\nTo: {to}\r\nDate: {}\r\nSubject: [HAProxy Alert] {text}\r\n\r\n\
                 {text}\r\n\r\n",
                date(SystemTime::now()),
            ),
            from,
            to: vec![to],
        };
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= MOST {
            let dropped = self.dropped.fetch_add(1, Relaxed) + 1;
            tracing::warn!(dropped, "mail about servers is dropped: too much of it waits");
            return;
        }
        let (relays, timeout) = (alert.mailers.clone(), alert.timeout);
        waiting.push_back(Waiting { letter, relays, timeout });
        drop(waiting);
        self.rung.notify_one();
    }

    /// Hands over what there is, in order, until it is dropped.
    pub(super) async fn deliver(&self) {
        loop {
            let next = lock(&self.waiting).pop_front();
            let Some(Waiting { letter, relays, timeout }) = next else {
                self.rung.notified().await;
                continue;
            };
            for relay in relays {
                let result = match tokio::time::timeout(timeout, hand_over(&letter, relay)).await {
                    Ok(result) => result,
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                };
                if let Err(error) = result {
                    tracing::warn!(%relay, %error, "mail about a server was not handed over");
                }
            }
        }
    }
}

async fn hand_over(letter: &Letter, relay: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(relay).await?;
    let mut delivery = Delivery::new(letter);
    let mut piece = [0; 1024];
    let mut handed = false;
    loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            // Once it has the mail, how it takes its leave is its own business.
            return if handed { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        match delivery.hear(&piece[..length]) {
            Step::Wait => {}
            Step::Say(line) => stream.write_all(line.as_bytes()).await?,
            Step::Farewell(line) => {
                handed = true;
                stream.write_all(line.as_bytes()).await?;
            }
            Step::Done => return Ok(()),
            Step::Refused { command, code } => {
                let _ = stream.write_all(b"QUIT\r\n").await;
                return Err(io::Error::other(format!("{command} was answered by {code}")));
            }
            Step::Nonsense => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn host() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Without what would begin another line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `Sat, 21 Nov 2026 17:26:16 +0000 (UTC)`.
fn date(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days from 1 March of the year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} +0000 (UTC)",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize - 1],
        second / 3_600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_a_mail() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 +0000 (UTC)");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 +0000 (UTC)");
        assert_eq!(at(1_795_281_976), "Sat, 21 Nov 2026 17:26:16 +0000 (UTC)");
    }
}
