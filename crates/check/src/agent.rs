//! What an agent says of its server: one line of words.

use alloc::format;
use alloc::string::{String, ToString};

use crate::standing::Order;
use crate::status::{Status, Verdict};

/// What one answer asks for, in the order it is done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Advice {
    /// `ready`, `drain`, `maint`.
    pub order: Option<Order>,
    /// `50%`: the weight, as a share of the configured one; `75`: a weight. As written.
    pub weight: Option<String>,
    /// `maxconn:10`. As written behind the colon.
    pub maxconn: Option<String>,
    /// `up`, `down`, `fail`, `stopped`, and what follows a word that begins with `#`.
    pub health: Option<(Said, String)>,
    /// The word of [`health`](Self::health) as written.
    pub word: String,
    /// What was not understood.
    pub unknown: Option<String>,
}

/// What an agent says of its server's health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    /// `up`.
    Up,
    /// `down`.
    Down,
    /// `fail`.
    Fail,
    /// `stopped`.
    Stopped,
}

impl Said {
    const NAMES: [(&'static str, Self); 4] =
        [("up", Self::Up), ("down", Self::Down), ("fail", Self::Fail), ("stopped", Self::Stopped)];
}

/// Whether a whole line has arrived.
#[must_use]
pub fn is_line(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Reads an answer; what follows the first line is not looked at.
///
/// ```
/// use check::agent::{Said, read};
/// use check::Order;
///
/// let advice = read(b"ready 75% up #all is well\n");
/// assert_eq!(advice.order, Some(Order::Ready));
/// assert_eq!(advice.weight.as_deref(), Some("75%"));
/// assert_eq!(advice.health, Some((Said::Up, "all is well".into())));
/// ```
#[must_use]
pub fn read(bytes: &[u8]) -> Advice {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r' | 0));
    let line = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
    let between = |c: char| matches!(c, ' ' | '\t' | ',');
    // A comment begins with a word of its own.
    let hash = line
        .match_indices('#')
        .find(|(at, _)| line[..*at].is_empty() || line[..*at].ends_with(between));
    let (words, comment) = match hash {
        Some((at, _)) => (&line[..at], &line[at + 1..]),
        None => (&*line, ""),
    };
    let mut advice = Advice::default();
    for word in words.split(between).filter(|word| !word.is_empty()) {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if let Some((_, said)) = Said::NAMES.iter().find(|(name, _)| is(name)) {
            advice.health = Some((*said, comment.trim_start().to_string()));
            advice.word = word.into();
        } else if is("ready") {
            advice.order = Some(Order::Ready);
        } else if is("drain") {
            advice.order = Some(Order::Drain);
        } else if is("maint") {
            advice.order = Some(Order::Maint);
        } else if let Some(number) = word.strip_prefix("maxconn:") {
            advice.maxconn = Some(number.into());
        } else if word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('%') {
            advice.weight = Some(word.into());
        } else {
            advice.unknown = Some(word.into());
        }
    }
    advice
}

impl Advice {
    /// What the check that brought it found; `refused` is why a weight or a `maxconn` could not be
    /// set.
    #[must_use]
    pub fn verdict(&self, refused: Option<&str>) -> Verdict {
        if let Some((said, comment)) = &self.health {
            let status = if *said == Said::Up { Status::L7Ok } else { Status::L7Status };
            let comment = match comment.as_str() {
                "" => String::new(),
                comment => format!(" ({comment})"),
            };
            return Verdict::new(status).because(format!("via agent : {}{comment}", self.word));
        }
        let verdict = Verdict::new(Status::Checked);
        match (&self.unknown, refused) {
            (Some(word), _) => verdict.because(format!("agent reports an error : {word}")),
            (None, Some(why)) => verdict.because(format!("agent warns : {why}")),
            (None, None) => verdict,
        }
    }
}
