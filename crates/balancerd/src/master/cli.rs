//! The master's own socket (`-S`): `show proc`, `reload`, and a way to each worker.
//!
//! ```text
//!   -S <address> ─ accept ─► Client: lines, `;`, prompt ─┬─► Ask ──► Master: show proc, reload
//!                                                        └─► @1, @!pid: one end of a pair of
//!                                                            sockets goes to the worker, which
//!                                                            answers there as on a stats socket
//! ```

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as Pair;
use std::rc::Rc;
use std::time::Duration;

use haproxy_cfg::cli::{Command, Decoder, Input};
use linux::tcp::Listener;
use proxy::{Config, Flavour, Level, StatsSocket};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::bind::{BindError, Listeners};
use crate::stats::VERSION;

/// Clients at a time.
const MAX_CLIENTS: usize = 100;

/// For how long a client may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the master is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// `show proc`.
    Processes(oneshot::Sender<String>),
    /// `reload`: answered once the new worker serves, or does not.
    Reload(oneshot::Sender<String>),
    /// A connection to a worker, for a client of this level; the worker's number, and what names it
    /// if there is none.
    Worker(Target, Level, oneshot::Sender<Option<(u32, Pair)>>),
}

/// Who a command is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Target {
    /// `@master`, `@0`.
    #[default]
    Master,
    /// `@1`: the current worker.
    Current,
    /// `@!pid`.
    Process(u32),
}

impl Target {
    /// Reads what begins with `@`; `None` where it names nobody that can be.
    fn parse(word: &str) -> Option<Self> {
        match word.strip_prefix('@')? {
            "master" | "0" => Some(Self::Master),
            "1" => Some(Self::Current),
            other => other.strip_prefix('!')?.parse().ok().map(Self::Process),
        }
    }
}

/// What `-S` names: an address, and options behind commas.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<StatsSocket, String> {
    let text = text.replace(',', " ");
    let file = format!("global\n    stats socket {text}\n");
    let mut options = haproxy_cfg::Options::system();
    options.reach_out = true;
    let loaded = haproxy_cfg::load_texts(&[("-S", &file)], &options);
    let wrong = loaded.diagnostics.iter().find(|one| one.severity == conf::Severity::Error);
    let socket = loaded.config.map(|config| config.process.stats_sockets);
    match (socket.and_then(|mut sockets| sockets.pop()), wrong) {
        (Some(mut socket), None) => {
            if !text.contains(" level ") {
                socket.level = Level::Admin;
            }
            Ok(socket)
        }
        _ => Err(format!("'{text}' is no address with options")),
    }
}

/// Binds the sockets of `-S`.
pub(super) fn bind(sockets: Vec<StatsSocket>) -> Result<Vec<(Level, OwnedFd)>, Vec<BindError>> {
    let mut config = Config::new(Flavour::HaProxy);
    let levels: Vec<Level> = sockets.iter().map(|socket| socket.level).collect();
    config.process.stats_sockets = sockets;
    let (listeners, _) = Listeners::bind(&config, Vec::new())?;
    Ok(listeners.stats.into_iter().map(|(index, fd)| (levels[index], fd)).collect())
}

/// The answer to `show cli sockets`.
pub(super) fn sockets(sockets: &[StatsSocket]) -> Rc<str> {
    let lines = sockets.iter().map(|socket| {
        let level = crate::runtime_api::level_name(socket.level);
        format!("{} {level} all\n", crate::runtime_api::address(socket))
    });
    format!("# socket lvl processes\n{}", lines.collect::<String>()).into()
}

/// Answers the clients of one socket. Runs in a [`LocalSet`](tokio::task::LocalSet).
pub(super) async fn serve(
    socket: OwnedFd,
    level: Level,
    sockets: Rc<str>,
    master: mpsc::UnboundedSender<Ask>,
) {
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => {
            let pid = std::process::id();
            crate::terminal::err(&format!("[ALERT]    ({pid}) : the master's socket: {error}\n"));
            return;
        }
    };
    let room = Rc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        // The semaphore is never closed.
        let Ok(()) = room.acquire().await.map(tokio::sync::SemaphorePermit::forget) else { return };
        let Ok((fd, address)) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await else {
            room.add_permits(1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (master, sockets, room) = (master.clone(), Rc::clone(&sockets), Rc::clone(&room));
        tokio::task::spawn_local(async move {
            let client = Client { level, prompt: false, target: Target::Master, sockets, master };
            // Who is gone needs no answer.
            let _ = match address {
                Some(_) => match TcpStream::from_std(fd.into()) {
                    Ok(stream) => client.talk(stream).await,
                    Err(error) => Err(error),
                },
                None => match UnixStream::from_std(fd.into()) {
                    Ok(stream) => client.talk(stream).await,
                    Err(error) => Err(error),
                },
            };
            room.add_permits(1);
        });
    }
}

struct Client {
    level: Level,
    prompt: bool,
    /// Who a command without a prefix is for.
    target: Target,
    /// The answer to `show cli sockets`.
    sockets: Rc<str>,
    master: mpsc::UnboundedSender<Ask>,
}

/// What follows a command.
enum After {
    Next,
    /// The end of the connection.
    Close,
}

impl Client {
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S) -> io::Result<()> {
        let mut decoder = Decoder::default();
        let mut bytes = [0; 4096];
        loop {
            while let Some(input) = decoder.next() {
                let (mut text, after) = match input {
                    Input::Command(command) => self.command(command).await,
                    Input::LineEnd => continue,
                    Input::More if self.prompt => ("+ ".to_owned(), After::Next),
                    Input::More => continue,
                    Input::TooLong => return stream.shutdown().await,
                };
                if matches!(after, After::Next) && self.prompt && !text.ends_with("+ ") {
                    match &self.target {
                        Target::Master => text.push_str("master> "),
                        Target::Current => text.push_str("1> "),
                        Target::Process(pid) => text.push_str(&format!("{pid}> ")),
                    }
                }
                let written =
                    tokio::time::timeout(PATIENCE, stream.write_all(text.as_bytes())).await;
                written.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
                if matches!(after, After::Close) {
                    return stream.shutdown().await;
                }
            }
            match stream.read(&mut bytes).await? {
                0 => return stream.shutdown().await,
                received => decoder.feed(&bytes[..received]),
            }
        }
    }

    /// The answer, its empty line included.
    async fn command(&mut self, command: Command) -> (String, After) {
        let Some(prefix) = command.words.first().filter(|word| word.starts_with('@')) else {
            let target = self.target.clone();
            return self.run(&target, &command).await;
        };
        let Some(target) = Target::parse(prefix) else {
            return (no_target(prefix), After::Close);
        };
        if command.words.len() == 1 {
            return match self.find(&target).await {
                Ok(target) => {
                    self.target = target;
                    (String::new(), After::Next)
                }
                Err(()) => (no_target(prefix), After::Close),
            };
        }
        let text = command.text.trim_start().trim_start_matches(prefix.as_str()).to_owned();
        let words = command.words[1..].to_vec();
        let (answer, after) =
            self.run(&target, &Command { words, payload: command.payload.clone(), text }).await;
        if answer.is_empty() && matches!(after, After::Close) && target != Target::Master {
            return (no_target(prefix), After::Close);
        }
        (answer, after)
    }

    /// The target with the number of its process.
    async fn find(&self, target: &Target) -> Result<Target, ()> {
        if *target == Target::Master {
            return Ok(Target::Master);
        }
        let (answer, answered) = oneshot::channel();
        let _ = self.master.send(Ask::Worker(target.clone(), self.level, answer));
        match answered.await {
            Ok(Some((pid, _))) => Ok(Target::Process(pid)),
            _ => Err(()),
        }
    }

    async fn run(&mut self, target: &Target, command: &Command) -> (String, After) {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        // These are about the conversation, whoever it is with.
        match words.as_slice() {
            ["prompt", ..] => {
                self.prompt = !self.prompt;
                return (String::new(), After::Next);
            }
            ["quit", ..] => return (String::new(), After::Close),
            ["operator", ..] => {
                self.level = self.level.min(Level::Operator);
                return ("\n".to_owned(), After::Next);
            }
            ["user", ..] => {
                self.level = Level::User;
                return ("\n".to_owned(), After::Next);
            }
            _ => {}
        }
        if *target != Target::Master {
            return match self.forward(target, command).await {
                Some(answer) => (answer, After::Next),
                None => (String::new(), After::Close),
            };
        }
        self.own(&words).await
    }

    async fn own(&self, words: &[&str]) -> (String, After) {
        let text = match words {
            ["show", "proc", ..] => self.ask(Ask::Processes).await,
            ["reload" | "hard-reload", ..] => {
                if self.level < Level::Admin {
                    "Permission denied\n".to_owned()
                } else {
                    return (self.ask(Ask::Reload).await, After::Close);
                }
            }
            ["show", "version", ..] => format!("{VERSION}\n"),
            ["show", "cli", "level", ..] => {
                format!("{}\n", crate::runtime_api::level_name(self.level))
            }
            ["show", "cli", "sockets", ..] => self.sockets.to_string(),
            ["show", "startup-logs", ..] => crate::terminal::startup_log(),
            ["show", "env", rest @ ..] => environment(rest.first().copied()),
            ["expert-mode" | "experimental-mode" | "mcli-debug-mode", ..] => String::new(),
            ["help", ..] => listed("The following commands are valid at this level:\n"),
            [] => listed("Unknown command. Please enter one of the following commands only:\n"),
            [first, ..] => listed(&format!(
                "Unknown command: '{first}', but maybe one of the following ones is a better \
                 match:\n"
            )),
        };
        (format!("{text}\n"), After::Next)
    }

    async fn ask(&self, ask: fn(oneshot::Sender<String>) -> Ask) -> String {
        let (answer, answered) = oneshot::channel();
        let _ = self.master.send(ask(answer));
        // A master that ends answers nobody.
        answered.await.unwrap_or_default()
    }

    /// What a worker answers; `None` if there is none.
    async fn forward(&self, target: &Target, command: &Command) -> Option<String> {
        let (answer, answered) = oneshot::channel();
        self.master.send(Ask::Worker(target.clone(), self.level, answer)).ok()?;
        let (_, pair) = answered.await.ok()??;
        pair.set_nonblocking(true).ok()?;
        let mut worker = UnixStream::from_std(pair).ok()?;
        let mut text = command.text.trim().to_owned();
        if let Some(payload) = &command.payload {
            text = format!("{text} <<\n{payload}\n");
        }
        text.push('\n');
        worker.write_all(text.as_bytes()).await.ok()?;
        let mut answer = String::new();
        worker.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }
}

fn no_target(prefix: &str) -> String {
    format!("Can't find the target PID matching the prefix '{prefix}'\n")
}

fn environment(name: Option<&str>) -> String {
    let show = |name: std::ffi::OsString, value: std::ffi::OsString| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    match name {
        Some(name) => match std::env::var_os(name) {
            Some(value) => show(name.into(), value),
            None => "Variable not found\n".to_owned(),
        },
        None => std::env::vars_os().map(|(name, value)| show(name, value)).collect(),
    }
}

const HELP: &[(&str, &str)] = &[
    ("@!<pid>", "say it to this process"),
    ("@<relative pid>", "say it to the current worker: @1"),
    ("@master", "say it to the master"),
    ("hard-reload", "as reload"),
    ("operator", "may do what an operator may from now on"),
    ("reload", "read the configuration again and go over to it"),
    ("show cli level", "what this client may do"),
    ("show cli sockets", "where clients like this one connect"),
    ("show env [<name>]", "the environment"),
    ("show proc", "the processes"),
    ("show startup-logs", "what was said at the start or the last reload"),
    ("show version", "the version of this process"),
    ("user", "may only read from now on"),
    ("help [<command>]", "what can be said here"),
    ("prompt", "ask for one command after another"),
    ("quit", "close the connection"),
];

fn listed(head: &str) -> String {
    let lines = HELP.iter().map(|(usage, help)| format!("  {usage:<39} : {help}\n"));
    format!("{head}{}", lines.collect::<String>())
}

/// Gives a worker one end of a pair of sockets over `control`; the other end is returned.
pub(super) fn connect(control: &Pair, level: Level) -> io::Result<Pair> {
    let (ours, theirs) = Pair::pair()?;
    linux::rights::send(control, &[level as u8], &[theirs.as_fd()])?;
    Ok(ours)
}

#[cfg(test)]
mod tests;
