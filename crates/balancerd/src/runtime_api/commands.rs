//! The commands: who may say them, and where each is answered.

mod absent;
mod dynamic;
mod frontends;
mod patterns;
mod process;
mod proxies;
mod rates;
mod resolvers;
mod servers;
mod sessions;
mod show;
mod tables;
mod unbuilt;
mod variables;
mod wait;

use std::fmt::Write as _;

use haproxy_cfg::cli;
use haproxy_cfg::cli::commands::{Row, row_of};
use proxy::{Level, Severity};
use tokio::sync::oneshot;

use super::client::Session;
use crate::health::Board;
use crate::state::Shared;

pub(super) use wait::Wait;

/// What a command leads to.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is shown; an empty line follows.
    Text(String),
    /// This is said, with its severity in front if the client asked for that.
    Message(Severity, String),
    /// The end of the connection.
    Quit,
    /// The answer comes later.
    Wait(Wait),
    /// The answer comes once it is done, or that it was not.
    Soon(oneshot::Receiver<Result<String, String>>),
}

impl Reply {
    /// It was done.
    pub(super) const DONE: Self = Self::Text(String::new());

    /// What was asked for cannot be done.
    fn error(text: impl Into<String>) -> Self {
        Self::Message(Severity::Error, text.into())
    }

    /// An answer of few words.
    fn info(text: impl Into<String>) -> Self {
        Self::Message(Severity::Info, text.into())
    }

    /// The end of the line is part of it.
    fn error_line(text: impl std::fmt::Display) -> Self {
        Self::error(format!("{text}\n"))
    }

    /// As [`error_line`](Self::error_line).
    fn info_line(text: impl std::fmt::Display) -> Self {
        Self::info(format!("{text}\n"))
    }
}

/// A command that does nothing more, or why it does not.
type Outcome = Result<Reply, Reply>;

struct Command {
    /// The words it begins with.
    words: &'static str,
    run: fn(&mut Call<'_>) -> Outcome,
}

impl Command {
    const fn new(words: &'static str, run: fn(&mut Call<'_>) -> Outcome) -> Self {
        Self { words, run }
    }

    /// What the reference says of it; a test sees to it that it says something.
    fn row(&self) -> &'static Row {
        const NOBODY: Row = Row {
            words: "",
            arguments: "",
            level: Level::Admin,
            since: "",
            help: "",
            doc: "",
            experimental: true,
        };
        row_of(self.words).unwrap_or(&NOBODY)
    }
}

/// What a command gets.
struct Call<'a> {
    shared: &'static Shared,
    board: &'static Board,
    session: &'a mut Session,
    /// What follows its own words.
    arguments: &'a [&'a str],
    /// The lines that followed a `<<`.
    payload: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A word of its arguments, empty if there are fewer.
    fn word(&self, at: usize) -> &'a str {
        self.arguments.get(at).copied().unwrap_or_default()
    }
}

/// All of them; a command that begins like another one stands before it.
const TABLES: &[&[Command]] = &[
    dynamic::COMMANDS,
    servers::COMMANDS,
    frontends::COMMANDS,
    proxies::COMMANDS,
    patterns::COMMANDS,
    process::COMMANDS,
    rates::COMMANDS,
    sessions::COMMANDS,
    resolvers::COMMANDS,
    show::COMMANDS,
    tables::COMMANDS,
    variables::COMMANDS,
    wait::COMMANDS,
    absent::COMMANDS,
];

fn all() -> impl Iterator<Item = &'static Command> {
    TABLES.iter().copied().flatten()
}

/// Carries one command out.
pub(super) fn run(
    shared: &'static Shared,
    board: &'static Board,
    session: &mut Session,
    command: &cli::Command,
) -> Reply {
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    let Some(found) = all().find(|command| begins(&words, command.words)) else {
        return unbuilt::refuse(session.level, &words).unwrap_or_else(|| unknown(session, &words));
    };
    let row = found.row();
    if session.level < row.level {
        return Reply::error_line("Permission denied");
    }
    if row.experimental && !session.experimental {
        return Reply::error_line("This command is restricted to experimental mode only.");
    }
    let arguments = &words[found.words.split(' ').count()..];
    let payload = command.payload.as_deref();
    let mut call = Call { shared, board, session, arguments, payload };
    (found.run)(&mut call).unwrap_or_else(|refusal| refusal)
}

/// `help`.
fn help(call: &mut Call<'_>) -> Outcome {
    let matching: Vec<&Command> = all()
        .filter(|command| is_listed(call.session, command))
        .filter(|command| {
            let mut words = command.words.split(' ');
            call.arguments.iter().all(|argument| words.next() == Some(argument))
        })
        .collect();
    Ok(Reply::Text(listed("The following commands are valid at this level:\n", matching)))
}

fn begins(words: &[&str], command: &str) -> bool {
    let mut rest = words.iter();
    command.split(' ').all(|word| rest.next() == Some(&word))
}

fn is_listed(session: &Session, command: &Command) -> bool {
    session.experimental || !command.row().experimental
}

fn unknown(session: &Session, words: &[&str]) -> Reply {
    let first = words.first().copied().unwrap_or_default();
    let likely = |command: &&Command| {
        let own = command.words.split(' ').next().unwrap_or_default();
        !first.is_empty()
            && (own.eq_ignore_ascii_case(first)
                || conf::nearest(first, [own].into_iter()).is_some())
    };
    let known = || all().filter(|command| is_listed(session, command));
    let same = |command: &&Command| command.words.split(' ').next() == Some(first);
    let mut alike: Vec<&Command> = known().filter(same).collect();
    if alike.is_empty() {
        alike = known().filter(likely).collect();
    }
    let text = if first.is_empty() {
        listed("Unknown command. Please enter one of the following commands only:\n", known())
    } else if alike.is_empty() {
        let head = format!(
            "Unknown command: '{first}'. Please enter one of the following commands only:\n"
        );
        listed(&head, known())
    } else {
        for last in all().filter(|command| ["help", "prompt", "quit"].contains(&command.words)) {
            if !alike.iter().any(|one| one.words == last.words) {
                alike.push(last);
            }
        }
        let head = format!(
            "Unknown command: '{first}', but maybe one of the following ones is a better match:\n"
        );
        listed(&head, alike)
    };
    Reply::error(text)
}

fn listed(head: &str, commands: impl IntoIterator<Item = &'static Command>) -> String {
    let mut out = head.to_owned();
    for command in commands {
        let Row { words, arguments, help, .. } = command.row();
        let usage = format!("{words} {arguments}");
        // Writing to a string does not fail.
        let _ = writeln!(out, "  {:<39} : {help}", usage.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_row_and_every_row_a_command() {
        let words: Vec<&str> = all().map(|command| command.words).collect();
        for word in &words {
            let row = row_of(word).unwrap_or_else(|| panic!("no row: {word}"));
            assert!(!row.help.is_empty() && !row.doc.is_empty(), "{word}");
        }
        for row in cli::commands::ROWS {
            assert!(words.contains(&row.words), "no command: {}", row.words);
            assert_eq!(words.iter().filter(|word| **word == row.words).count(), 1, "{}", row.words);
        }
    }
}
