//! One client: lines in, answers out.

use std::io;
use std::time::Duration;

use proxy::Level;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::commands::{self, Reply};
use crate::health::Board;
use crate::state::Shared;

/// The longest line that is read, as HAProxy's buffer.
const MAX_LINE: usize = 16_384;

/// What one client may do, and whether it is asked for more.
pub(crate) struct Client {
    shared: &'static Shared,
    board: &'static Board,
    level: Level,
    prompt: bool,
}

impl Client {
    pub(super) const fn new(shared: &'static Shared, board: &'static Board, level: Level) -> Self {
        Self { shared, board, level, prompt: false }
    }

    /// Talks until it is done: after one line, or after `quit` in prompt mode, or when nothing is
    /// said for `timeout`.
    pub(super) async fn talk<S>(mut self, mut stream: S, timeout: Duration) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut pending: Vec<u8> = Vec::new();
        let mut bytes = [0; 1024];
        loop {
            let read = tokio::time::timeout(timeout, stream.read(&mut bytes));
            let Ok(received) = read.await else { return Ok(()) };
            let received = received?;
            if received == 0 {
                return Ok(());
            }
            pending.extend_from_slice(&bytes[..received]);
            let mut answered = false;
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let (text, more) = self.line(&String::from_utf8_lossy(&line));
                let write = tokio::time::timeout(timeout, stream.write_all(text.as_bytes()));
                let Ok(written) = write.await else { return Ok(()) };
                written?;
                if !more {
                    return stream.shutdown().await;
                }
                answered = true;
            }
            if (answered && !self.prompt) || pending.len() >= MAX_LINE {
                return stream.shutdown().await;
            }
        }
    }

    /// The answer to one line, and whether the connection goes on.
    pub(super) fn line(&mut self, line: &str) -> (String, bool) {
        let mut out = String::new();
        for command in split(line) {
            let words: Vec<&str> = command.split_ascii_whitespace().collect();
            match commands::run(self.shared, self.board, self.level, &words) {
                Reply::Text(text) => out.push_str(&text),
                Reply::Lower(level) => self.level = self.level.min(level),
                Reply::TogglePrompt => self.prompt = !self.prompt,
                Reply::Quit => return (out, false),
            }
            out.push_str(if self.prompt { "\n> " } else { "\n" });
        }
        (out, true)
    }
}

/// The commands of a line: `;` separates them, `\;` does not.
fn split(line: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let mut escaped = false;
    for letter in line.trim_end_matches(['\r', '\n']).chars() {
        let current = commands.last_mut().expect("there is always one");
        match letter {
            ';' if !escaped => commands.push(String::new()),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            letter => {
                if escaped && letter != ';' {
                    current.push('\\');
                }
                current.push(letter);
            }
        }
        escaped = false;
    }
    commands
}
