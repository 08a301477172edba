//! Lines of the runtime API, taken apart: bytes in, commands out.
//!
//! ```text
//!   bytes ─► Decoder ─► Input::Command   words, and the payload of a command that ended in `<<`
//!                       Input::LineEnd   the last command of a line was before
//!                       Input::More      a line of a payload was taken; a prompt says `+ `
//!                       Input::TooLong   more than MAX_LENGTH without an end
//! ```
//!
//! ```
//! use haproxy_cfg::cli::{Decoder, Input};
//!
//! let mut decoder = Decoder::default();
//! decoder.feed(b"show version; get weight be/a\n");
//! let Some(Input::Command(first)) = decoder.next() else { panic!() };
//! assert_eq!(first.words, ["show", "version"]);
//! ```

pub mod commands;

use std::collections::VecDeque;
use std::time::Duration;

use conf::Unit;

/// The longest command with its payload, in bytes: HAProxy's `tune.bufsize`.
pub const MAX_LENGTH: usize = 16_384;

/// The most words of a command; HAProxy drops what follows.
const MAX_WORDS: usize = 64;

/// The longest word that may end a payload.
const MAX_PATTERN: usize = 7;

/// One command.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Command {
    /// Its words, without the backslashes that protected blanks.
    pub words: Vec<String>,
    /// What followed a `<<`, with the ends of its lines except the last.
    pub payload: Option<String>,
    /// As it was written, to be passed on.
    pub text: String,
}

/// What was found in the bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// A command is complete.
    Command(Command),
    /// So is the line it was on.
    LineEnd,
    /// Part of a payload was taken.
    More,
    /// Nothing after this is read: the line does not end.
    TooLong,
}

/// Takes bytes as they come.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    found: VecDeque<Input>,
    payload: Option<Payload>,
    /// Bytes of the command whose payload is being read, up to the line that is not complete.
    held: usize,
    broken: bool,
}

#[derive(Debug)]
struct Payload {
    command: Command,
    /// The line that ends it; empty where none was given.
    end: String,
    text: String,
}

impl Decoder {
    /// Takes more bytes. What they complete is given by [`next`](Self::next).
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.pending.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(length) = self.pending[start..].iter().position(|&byte| byte == b'\n') {
            if self.held + length >= MAX_LENGTH {
                break;
            }
            let line = String::from_utf8_lossy(&self.pending[start..start + length]).into_owned();
            start += length + 1;
            self.line(line.strip_suffix('\r').unwrap_or(&line));
            self.held = if self.payload.is_some() { self.held + length + 1 } else { 0 };
        }
        self.pending.drain(..start);
        // Counted in bytes as they came, so that it does not matter how they were cut.
        if self.pending.len() + self.held >= MAX_LENGTH {
            self.broken = true;
            self.pending = Vec::new();
            self.payload = None;
            self.found.push_back(Input::TooLong);
        }
    }

    /// What was found first and not given yet.
    #[expect(clippy::should_implement_trait, reason = "feeding makes it go on after it ended")]
    pub fn next(&mut self) -> Option<Input> {
        self.found.pop_front()
    }

    /// Whether a payload has begun and not ended.
    pub fn wants_payload(&self) -> bool {
        self.payload.is_some()
    }

    fn line(&mut self, line: &str) {
        if let Some(mut payload) = self.payload.take() {
            if line == payload.end {
                payload.command.payload = Some(payload.text);
                self.found.push_back(Input::Command(payload.command));
                self.found.push_back(Input::LineEnd);
            } else {
                if !payload.text.is_empty() {
                    payload.text.push('\n');
                }
                payload.text.push_str(line);
                self.payload = Some(payload);
                self.found.push_back(Input::More);
            }
            return;
        }
        let mut commands = split(line);
        let last = commands.pop().unwrap_or_default();
        for text in commands {
            self.found.push_back(Input::Command(command(text)));
        }
        match marked(&last) {
            Some((before, end)) => {
                let command = command(before.to_owned());
                let end = end.to_owned();
                self.payload = Some(Payload { command, end, text: String::new() });
                self.found.push_back(Input::More);
            }
            None => {
                self.found.push_back(Input::Command(command(last)));
                self.found.push_back(Input::LineEnd);
            }
        }
    }
}

/// A time as HAProxy reads it; `unit` is that of a number alone.
pub fn time(text: &str, unit: Unit) -> Option<Duration> {
    match crate::number::time(text, unit) {
        Ok((time, None)) if !text.is_empty() => Some(time),
        _ => None,
    }
}

/// The commands of a line: `;` separates them, `\;` does not.
fn split(line: &str) -> Vec<String> {
    let (mut commands, mut current) = (Vec::new(), String::new());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ';' => commands.push(std::mem::take(&mut current)),
            '\\' => {
                current.push('\\');
                current.extend(letters.next());
            }
            letter => current.push(letter),
        }
    }
    commands.push(current);
    commands
}

/// What stands before a `<<` at the end, and the word behind it.
fn marked(text: &str) -> Option<(&str, &str)> {
    let trimmed = text.trim_end_matches([' ', '\t']);
    let (before, end) = trimmed.rsplit_once("<<")?;
    let fits = end.len() <= MAX_PATTERN && !end.contains([' ', '\t']);
    let alone = before.is_empty() || before.ends_with([' ', '\t']);
    (fits && alone).then_some((before, end))
}

fn command(text: String) -> Command {
    let mut words = Vec::new();
    let (mut word, mut begun) = (String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            '\\' => word.extend(letters.next()),
            letter => word.push(letter),
        }
        begun = true;
    }
    if begun {
        words.push(word);
    }
    words.truncate(MAX_WORDS);
    Command { words, payload: None, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pieces: &[&str]) -> Vec<Input> {
        let mut decoder = Decoder::default();
        for piece in pieces {
            decoder.feed(piece.as_bytes());
        }
        std::iter::from_fn(|| decoder.next()).collect()
    }

    /// The words of each command, with its payload behind a `|`.
    fn words(text: &str) -> Vec<String> {
        inputs(&[text])
            .into_iter()
            .filter_map(|input| match input {
                Input::Command(Command { words, payload: None, .. }) => Some(words.join("_")),
                Input::Command(Command { words, payload: Some(payload), .. }) => {
                    Some(format!("{}|{payload}", words.join("_")))
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn lines_are_taken_apart_as_haproxy_does() {
        for (line, expected) in [
            ("show version\n", vec!["show_version"]),
            ("  show \t version \r\n", vec!["show_version"]),
            ("a;b ; c\n", vec!["a", "b", "c"]),
            (";a;\n", vec!["", "a", ""]),
            ("\n", vec![""]),
            ("a\\;b\n", vec!["a;b"]),
            ("a\\ b c\\\\d\n", vec!["a b_c\\d"]),
            ("a\nb\n", vec!["a", "b"]),
            ("a", vec![]),
            ("a\\", vec![]),
            ("a\\\n", vec!["a"]),
        ] {
            assert_eq!(words(line), expected, "{line:?}");
        }
    }

    #[test]
    fn how_bytes_are_cut_does_not_matter_to_what_is_too_long() {
        // Bytes that are no text are longer as text.
        let mut text = b"add map m <<\n".to_vec();
        for _ in 0..7_000 {
            text.extend_from_slice(b"\xff\n");
        }
        text.extend_from_slice(b"\nshow version\n");
        for more in [0, 3_000] {
            text.splice(13..13, std::iter::repeat_n(*b"\xfe", more).flatten());
            let inputs = |size: usize| -> Vec<Input> {
                let mut decoder = Decoder::default();
                text.chunks(size).for_each(|piece| decoder.feed(piece));
                std::iter::from_fn(|| decoder.next()).collect()
            };
            let whole = inputs(text.len());
            assert_eq!(whole.contains(&Input::TooLong), more > 0);
            assert!(inputs(1) == whole && inputs(1_000) == whole, "{more}");
        }
    }

    #[test]
    fn a_payload_ends_with_an_empty_line_or_with_its_word() {
        for (text, expected) in [
            ("add map m <<\nk v\nl w\n\nshow\n", vec!["add_map_m|k v\nl w", "show"]),
            ("add map m <<\n\n", vec!["add_map_m|"]),
            ("x;add map m <<EOF\nk v\n\nEOF\n", vec!["x", "add_map_m|k v\n"]),
            ("add map m <<\nk v", vec![]),
            ("add map m <<too-long\n", vec!["add_map_m_<<too-long"]),
            ("add map m<<\n", vec!["add_map_m<<"]),
            ("a << b\n", vec!["a_<<_b"]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_come() {
        let text = "prompt; show stat\r\nadd map #1 <<\na b\n\nquit\n";
        let pieces: Vec<&str> =
            text.split_inclusive("").filter(|piece| !piece.is_empty()).collect();
        assert_eq!(inputs(&pieces), inputs(&[text]));
    }

    #[test]
    fn what_does_not_end_is_not_kept() {
        let mut decoder = Decoder::default();
        for _ in 0..200 {
            decoder.feed(&[b'x'; 1000]);
        }
        assert_eq!(decoder.next(), Some(Input::TooLong));
        assert_eq!(decoder.next(), None);
        assert!(decoder.pending.is_empty());
        let mut decoder = Decoder::default();
        decoder.feed(b"a <<\n");
        for _ in 0..2000 {
            decoder.feed(b"0123456789\n");
        }
        assert!(std::iter::from_fn(|| decoder.next()).any(|input| input == Input::TooLong));
    }
}
