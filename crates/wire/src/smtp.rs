//! Handing a mail to a relay (RFC 5321): what is said, and what the answers mean.
//!
//! ```text
//!   relay:  220 …   250 …   250 …   250 …    354 …          250 …    221 …
//!   we:        HELO    MAIL    RCPT (each)  DATA    text, .     QUIT
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest reply, all its lines together. RFC 5321 §4.5.3.1.5 has 512 bytes a line.
pub const LONGEST_REPLY: usize = 8 << 10;

/// A mail and who it is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Letter {
    /// What we call ourselves.
    pub helo: String,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// Header and body, lines ended by CRLF, without the dot at the end.
    pub text: String,
}

/// What is to be done next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// More of the reply is to come.
    Wait,
    /// Say this, and hear the reply.
    Say(String),
    /// The relay has the mail: say this, and hear the reply if it comes.
    Farewell(String),
    /// All is said.
    Done,
    /// The relay refused this command: say goodbye.
    Refused {
        /// Which: `MAIL`, `RCPT`, `(E)SMTP` for the greeting.
        command: &'static str,
        /// Its answer.
        code: u16,
    },
    /// It says too much at once, or what is no reply.
    Nonsense,
}

/// What the relay's next reply is to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    Greeting,
    Hello,
    Mail,
    /// The recipient of this position.
    Recipient(usize),
    Data,
    Body,
    Quit,
}

/// A mail on its way.
///
/// ```
/// use wire::smtp::{Delivery, Letter, Step};
///
/// let letter = Letter { helo: "me".into(), ..Letter::default() };
/// let mut delivery = Delivery::new(&letter);
/// assert_eq!(delivery.hear(b"220 rel"), Step::Wait);
/// assert_eq!(delivery.hear(b"ay\r\n"), Step::Say("HELO me\r\n".into()));
/// assert_eq!(delivery.hear(b"421 busy\r\n"), Step::Refused { command: "HELO", code: 421 });
/// ```
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    letter: &'a Letter,
    at: At,
    heard: Vec<u8>,
}

impl<'a> Delivery<'a> {
    /// The relay is about to speak.
    #[must_use]
    pub const fn new(letter: &'a Letter) -> Self {
        Self { letter, at: At::Greeting, heard: Vec::new() }
    }

    /// The relay said this.
    pub fn hear(&mut self, bytes: &[u8]) -> Step {
        self.heard.extend_from_slice(bytes);
        match reply(&self.heard) {
            Heard::More => Step::Wait,
            Heard::Nonsense => Step::Nonsense,
            Heard::Reply { code, length } => {
                self.heard.drain(..length);
                self.next(code)
            }
        }
    }

    fn next(&mut self, code: u16) -> Step {
        let wanted = if self.at == At::Data { 3 } else { 2 };
        if code / 100 != wanted {
            let command = match self.at {
                At::Greeting => "(E)SMTP",
                At::Hello => "HELO",
                At::Mail => "MAIL",
                At::Recipient(_) => "RCPT",
                At::Data => "DATA",
                At::Body => "BODY",
                At::Quit => return Step::Done,
            };
            return Step::Refused { command, code };
        }
        let letter = self.letter;
        let (at, line) = match self.at {
            At::Greeting => (At::Hello, format!("HELO {}\r\n", letter.helo)),
            At::Hello => (At::Mail, format!("MAIL FROM:<{}>\r\n", letter.from)),
            At::Mail => self.recipient(0),
            At::Recipient(index) => self.recipient(index + 1),
            At::Data => (At::Body, format!("{}.\r\n", stuffed(&letter.text))),
            At::Body => {
                self.at = At::Quit;
                return Step::Farewell("QUIT\r\n".to_string());
            }
            At::Quit => return Step::Done,
        };
        self.at = at;
        Step::Say(line)
    }

    fn recipient(&self, index: usize) -> (At, String) {
        match self.letter.to.get(index) {
            Some(to) => (At::Recipient(index), format!("RCPT TO:<{to}>\r\n")),
            None => (At::Data, "DATA\r\n".to_string()),
        }
    }
}

/// A dot at the start of a line is doubled (RFC 5321 §4.5.2).
fn stuffed(text: &str) -> String {
    let text = text.replace("\r\n.", "\r\n..");
    if text.starts_with('.') { format!(".{text}") } else { text }
}

/// What is in the bytes heard so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    /// A reply of so many bytes.
    Reply { code: u16, length: usize },
    /// The beginning of one.
    More,
    /// No reply, and never going to be one.
    Nonsense,
}

/// Reads a reply of one or more lines (RFC 5321 §4.2.1). A line may end by LF alone.
fn reply(bytes: &[u8]) -> Heard {
    let mut at = 0;
    while let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        let line = bytes[at..at + end].strip_suffix(b"\r").unwrap_or(&bytes[at..at + end]);
        at += end + 1;
        let Some((code, rest)) = line.split_at_checked(3) else { return Heard::Nonsense };
        if !code.iter().all(u8::is_ascii_digit) {
            return Heard::Nonsense;
        }
        let code = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        match rest.first() {
            Some(b'-') => {}
            None | Some(b' ') => return Heard::Reply { code, length: at },
            Some(_) => return Heard::Nonsense,
        }
        if at > LONGEST_REPLY {
            return Heard::Nonsense;
        }
    }
    if bytes.len() > LONGEST_REPLY { Heard::Nonsense } else { Heard::More }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_reply_ends_with_the_line_that_has_no_dash() {
        let cases: [(&[u8], Heard); 11] = [
            (b"250 ok\r\n", Heard::Reply { code: 250, length: 8 }),
            (b"250\r\n", Heard::Reply { code: 250, length: 5 }),
            (b"250 ok\n", Heard::Reply { code: 250, length: 7 }),
            (b"250-a\r\n250-b\r\n250 c\r\n", Heard::Reply { code: 250, length: 21 }),
            (b"220 a\r\n250 b\r\n", Heard::Reply { code: 220, length: 7 }),
            (b"250-a\r\n", Heard::More),
            (b"25", Heard::More),
            (b"", Heard::More),
            (b"\r\n", Heard::Nonsense),
            (b"hello there\r\n", Heard::Nonsense),
            (b"250ok\r\n", Heard::Nonsense),
        ];
        for (bytes, expected) in cases {
            assert_eq!(reply(bytes), expected, "{}", bytes.escape_ascii());
        }
        assert_eq!(reply(&b"250-x\r\n".repeat(2000)), Heard::Nonsense);
        assert_eq!(reply(&[b'2'; LONGEST_REPLY + 1]), Heard::Nonsense);
    }

    #[test]
    fn a_dot_at_the_start_of_a_line_is_doubled() {
        assert_eq!(stuffed(".a\r\n.\r\nb.\r\n"), "..a\r\n..\r\nb.\r\n");
        assert_eq!(stuffed("plain\r\n"), "plain\r\n");
    }

    #[test]
    fn every_recipient_is_named_before_the_mail_is_said() {
        let letter = Letter {
            helo: "me".into(),
            from: "a@x".into(),
            to: vec!["b@x".into(), "c@x".into()],
            text: "Subject: s\r\n\r\n.\r\n".into(),
        };
        let mut delivery = Delivery::new(&letter);
        let mut said = String::new();
        for reply in ["220 x", "250 x", "250 x", "250 x", "251 x", "354 x", "250 x"] {
            match delivery.hear(format!("{reply}\r\n").as_bytes()) {
                Step::Say(line) | Step::Farewell(line) => said.push_str(&line),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(delivery.hear(b"221 bye\r\n"), Step::Done);
        assert_eq!(
            said,
            "HELO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n\
             Subject: s\r\n\r\n..\r\n.\r\nQUIT\r\n"
        );
    }

    #[test]
    fn whatever_a_relay_says_something_comes_of_it() {
        let letter = Letter { to: vec!["b@x".into()], ..Letter::default() };
        for byte in 0..=255_u8 {
            let mut delivery = Delivery::new(&letter);
            for _ in 0..40 {
                let _ = delivery.hear(&[byte, b'2', b'\n']);
            }
        }
    }
}
