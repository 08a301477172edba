//! The command line under our own name: words, read by clap. Options alone are keepalived's under
//! any name, see [`cli`].

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::{self, Options, Persona};
use crate::exit;
use crate::release;
use crate::status;
use crate::takeover;

/// VRRP for Linux: keeps an address on one of several nodes, as keepalived.conf says
#[derive(Debug, Parser)]
#[command(name = "failoverd", disable_help_subcommand = true)]
#[command(override_usage = "failoverd check [PATH]...\n       failoverd [OPTION]...")]
struct Own {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Says whether configurations run here, what they hold of the well-known mistakes, and what to
    /// write instead; exits with 1 if one does not run, 3 if one will not do what it seems to
    Check {
        /// Files, or directories such as /etc or a copy of another node's; /etc if there is none
        files: Vec<PathBuf>,
    },
    /// Says how the virtual routers of a running daemon stand
    Status {
        /// In JSON, as docs/observing.md describes it
        #[arg(long)]
        json: bool,
        /// Where the daemon answers, if not at /run/failoverd.sock
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
    /// Removes what a daemon that is no more has left of its addresses; units do after a stop
    #[command(disable_help_flag = true, override_usage = "failoverd release [OPTION]...")]
    Release {
        /// The daemon's options: where its configuration and its pid file are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// Starts a daemon in place of the one left in the same systemd service, without a transition
    #[command(override_usage = "failoverd take-over COMMAND [ARGUMENT]...")]
    TakeOver {
        /// Only say whether it could run its configuration
        #[arg(long)]
        test: bool,
        /// What starts it: /usr/sbin/keepalived --dont-fork …
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

/// Whether `arguments` are for clap: the first is a word, or asks for help.
pub(crate) fn is_meant(persona: Persona, arguments: &[OsString]) -> bool {
    let Some(first) = arguments.first().filter(|_| persona == Persona::Failoverd) else {
        return false;
    };
    first == "--help" || first == "-h" || !is_option(first)
}

fn is_option(word: &OsStr) -> bool {
    word.as_encoded_bytes().first() == Some(&b'-')
}

/// Does what `arguments` say, and returns the exit code: 2 for a command line that is not
/// understood, as all programs with such words have it.
pub(crate) fn run(arguments: &[OsString]) -> u8 {
    let options = cli::help_lines();
    let command = Own::command()
        .after_help(format!("As a daemon, and with -t, it takes keepalived's options:\n{options}"));
    let name = OsString::from("failoverd");
    let matches = command.try_get_matches_from(std::iter::once(&name).chain(arguments));
    match matches.and_then(|matches| Own::from_arg_matches(&matches)) {
        Ok(Own { what: What::Check { files } }) => check(files),
        Ok(Own { what: What::Status { json, socket } }) => show(json, socket),
        Ok(Own { what: What::Release { options } }) => release(&options),
        Ok(Own { what: What::TakeOver { test, command } }) if test => takeover::could_run(&command),
        Ok(Own { what: What::TakeOver { command, .. } }) => takeover::run(&command),
        Err(error) => {
            // Nobody may be listening, as with `| head`.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(exit::FATAL)
        }
    }
}

/// What is wrong with the files of one or several nodes; the machine's own if none is named.
fn check(mut operands: Vec<PathBuf>) -> u8 {
    if operands.is_empty() {
        operands.push(PathBuf::from("/etc"));
    }
    let (text, code) = lint::answer(&operands);
    // Nobody may be listening, as with `| head`.
    let _ = std::io::stdout().write_all(text.as_bytes());
    code
}

/// Removes leased addresses, and says which.
fn release(options: &[OsString]) -> u8 {
    let options = match cli::read(Persona::Failoverd, options.iter().cloned()) {
        Ok((_, options)) => options,
        Err(cli::Refused(why)) => {
            eprintln!("failoverd release: {why}");
            return exit::FATAL;
        }
    };
    match release::run(&options) {
        Ok(released) => {
            for address in released {
                println!("{address} removed");
            }
            exit::OK
        }
        Err(error) => {
            eprintln!("failoverd release: {error:#}");
            exit::FATAL
        }
    }
}

/// Asks the daemon at `socket`, and shows what it says.
fn show(json: bool, socket: Option<PathBuf>) -> u8 {
    let default = || status::socket_beside(&Options::new(Persona::Failoverd).pid_file);
    let socket = socket.unwrap_or_else(default);
    let text = match ask(&socket) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("no daemon answers at {}: {error}", socket.display());
            return exit::FATAL;
        }
    };
    let shown = if json {
        text
    } else {
        match serde_json::from_str(&text) {
            Ok(status) => status::table::write(&status),
            Err(error) => {
                eprintln!("what answers at {} is no failoverd: {error}", socket.display());
                return exit::FATAL;
            }
        }
    };
    // Nobody may be listening, as with `| head`.
    let _ = std::io::stdout().write_all(shown.as_bytes());
    exit::OK
}

fn ask(socket: &Path) -> io::Result<String> {
    /// The daemon gives up earlier.
    const PATIENCE: Duration = Duration::from_secs(10);

    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "it is busy"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_and_help_under_our_own_name_are_meant() {
        let is = |persona, line: &str| {
            let arguments: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            is_meant(persona, &arguments)
        };
        for line in ["check", "check x", "--help", "-h", "chekc"] {
            assert!(is(Persona::Failoverd, line), "{line}");
            assert!(!is(Persona::Keepalived, line), "{line}");
        }
        for line in ["", "-n check", "--role=vrrp", "-t"] {
            assert!(!is(Persona::Failoverd, line), "{line}");
        }
    }

    #[test]
    fn clap_finds_nothing_wrong_with_it() {
        Own::command().debug_assert();
    }
}
