//! One client: lines in, answers out.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use haproxy_cfg::cli::{Command, Decoder, Input};
use proxy::{Level, Severity};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::commands::{self, Reply};
use crate::health::Board;
use crate::state::Shared;

/// What one client may do, and how it wants to be answered.
#[derive(Debug)]
pub(crate) struct Session {
    /// What it may do.
    pub(super) level: Level,
    /// Whether it is asked for more.
    pub(super) prompt: Prompt,
    /// What stands before messages.
    pub(super) labels: Labels,
    /// `expert-mode on`.
    pub(super) expert: bool,
    /// `experimental-mode on`.
    pub(super) experimental: bool,
    /// For how long it may say nothing.
    pub(super) timeout: Duration,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Prompt {
    /// The end of the connection.
    #[default]
    Never,
    /// Nothing; the next line is read.
    Silent,
    /// `> `.
    Shown,
}

/// `set severity-output`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Labels {
    #[default]
    None,
    /// `[3]: `.
    Numbers,
    /// `[err]: `.
    Names,
}

/// One client and the process it asks.
pub(crate) struct Client {
    shared: &'static Shared,
    board: &'static Board,
    pub(super) session: Session,
    /// Its socket, if it may have the listening sockets over it.
    exposed: Option<OwnedFd>,
}

impl Client {
    pub(super) const fn new(
        shared: &'static Shared,
        board: &'static Board,
        level: Level,
        timeout: Duration,
    ) -> Self {
        let session = Session {
            level,
            prompt: Prompt::Never,
            labels: Labels::None,
            expert: false,
            experimental: false,
            timeout,
        };
        Self { shared, board, session, exposed: None }
    }

    /// The client may have the listening sockets, over this copy of its own.
    pub(super) fn expose(&mut self, socket: Option<OwnedFd>) {
        self.exposed = socket;
    }

    /// `_getsocks`: all listening sockets of this process, to who may have them.
    async fn give_sockets(&mut self) {
        let Some(socket) = self.exposed.take() else { return };
        let given = tokio::task::spawn_blocking(move || {
            let sockets = linux::pidfd::listeners_of(std::process::id().cast_signed())?;
            super::sockets::send(&socket.into(), &sockets)
        });
        if let Ok(Err(error)) = given.await {
            tracing::warn!(%error, "listening sockets were not given away");
        }
    }

    /// Talks until it is done: after one line, or after `quit` where it asked for a prompt, or when
    /// nothing is said, or read, for as long as it may.
    pub(super) async fn talk<S>(mut self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut decoder = Decoder::default();
        let mut bytes = [0; 4096];
        loop {
            let mut answered = false;
            while let Some(input) = decoder.next() {
                let (text, more) = match input {
                    Input::Command(command) => self.command(&command).await,
                    Input::LineEnd => {
                        answered = true;
                        continue;
                    }
                    Input::More => (self.wants_more().to_owned(), true),
                    Input::TooLong => return stream.shutdown().await,
                };
                let limit = self.session.timeout;
                let write = tokio::time::timeout(limit, stream.write_all(text.as_bytes()));
                let Ok(written) = write.await else { return Ok(()) };
                written?;
                if !more {
                    return stream.shutdown().await;
                }
            }
            if answered && self.session.prompt == Prompt::Never && !decoder.wants_payload() {
                return stream.shutdown().await;
            }
            let read = tokio::time::timeout(self.session.timeout, stream.read(&mut bytes));
            let Ok(received) = read.await else { return Ok(()) };
            match received? {
                0 => return Ok(()),
                received => decoder.feed(&bytes[..received]),
            }
        }
    }

    const fn wants_more(&self) -> &'static str {
        match self.session.prompt {
            Prompt::Shown => "+ ",
            Prompt::Never | Prompt::Silent => "",
        }
    }

    /// The answer to one command, and whether the connection goes on.
    pub(super) async fn command(&mut self, command: &Command) -> (String, bool) {
        if command.words.first().is_some_and(|word| word == "_getsocks") {
            if self.exposed.is_some() {
                self.give_sockets().await;
                return (String::new(), false);
            }
            return ("Permission denied\n\n".to_owned(), false);
        }
        // It may have gone over to another configuration since the last command.
        let (shared, board) = self.shared.newest(self.board);
        let reply = commands::run(shared, board, &mut self.session, command);
        let mut out = match reply {
            Reply::Text(text) => text,
            Reply::Message(severity, text) => self.labelled(severity, &text),
            Reply::Quit => return (String::new(), false),
            Reply::Soon(told) => match told.await {
                Ok(Ok(text)) => self.labelled(Severity::Info, &text),
                Ok(Err(text)) => self.labelled(Severity::Error, &text),
                // The process ends.
                Err(_) => return (String::new(), false),
            },
            Reply::Wait(wait) => {
                let text = wait.over(shared, board).await;
                self.labelled(Severity::Info, text)
            }
        };
        out.push_str(match self.session.prompt {
            Prompt::Shown => "\n> ",
            Prompt::Never | Prompt::Silent => "\n",
        });
        (out, true)
    }

    /// The answer to one line, of commands that need no time.
    pub(super) fn line_at_once(&mut self, line: &str) -> String {
        let mut decoder = Decoder::default();
        decoder.feed(line.as_bytes());
        if !line.ends_with('\n') {
            decoder.feed(b"\n");
        }
        let mut out = String::new();
        while let Some(input) = decoder.next() {
            let Input::Command(command) = input else { continue };
            match commands::run(self.shared, self.board, &mut self.session, &command) {
                Reply::Text(text) | Reply::Message(_, text) => out.push_str(&text),
                Reply::Quit | Reply::Wait(_) | Reply::Soon(_) => {}
            }
            out.push('\n');
        }
        out
    }

    fn labelled(&self, severity: Severity, text: &str) -> String {
        match self.session.labels {
            Labels::None => text.to_owned(),
            Labels::Numbers => format!("[{}]: {text}", severity as u8),
            Labels::Names => format!("[{}]: {text}", Severity::NAMES[severity as usize]),
        }
    }
}
