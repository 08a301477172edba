//! Binding, going to the background, and serving.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};

use conf::Severity;
use haproxy_cfg::preamble;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy::{BindAddress, Config};
use tokio::sync::mpsc;

use super::{Arguments, Cli, ROLE, executable, in_main, say};
use crate::bind::{BindError, ENVIRONMENT, Listeners, inherited};
use crate::master::FDS;
use crate::terminal;
use crate::worker::{self, Order, StartError};
use crate::workers::{self, line};

/// What a process got from the one that started it.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    /// Listening sockets.
    pub(crate) sockets: Vec<OwnedFd>,
    /// The number of each configured `fd@N`, and what it is open as.
    pub(crate) placed: Vec<(i32, i32)>,
    /// `worker`, `daemon` or `master`; `None` in a process somebody else started.
    pub(crate) role: Option<String>,
}

impl Handover {
    /// Reads the environment.
    pub(crate) fn from_env() -> Self {
        let sockets = std::env::var(ENVIRONMENT).map(|text| inherited(&text)).unwrap_or_default();
        let placed = std::env::var(FDS).unwrap_or_default();
        let pair = |text: &str| {
            let (number, open) = text.split_once('=')?;
            Some((number.parse().ok()?, open.parse().ok()?))
        };
        let placed = placed.split(';').filter_map(pair).collect();
        Self { sockets, placed, role: std::env::var(ROLE).ok() }
    }

    /// Makes `fd@N` name what N is open as here.
    pub(crate) fn place(&self, config: &mut Config) {
        place(&self.placed, config);
    }

    fn is_worker(&self) -> bool {
        self.role.as_deref() == Some("worker")
    }
}

/// Makes each `fd@N` name the number N is open as.
fn place(placed: &[(i32, i32)], config: &mut Config) {
    let binds = config.frontends.iter_mut().flat_map(|frontend| &mut frontend.binds);
    let addresses = binds.map(|bind| &mut bind.address);
    let stats = config.process.stats_sockets.iter_mut().map(|stats| &mut stats.address);
    for address in addresses.chain(stats) {
        let BindAddress::Fd(number) = address else { continue };
        let known = placed.iter().find(|(configured, _)| configured == number);
        if let Some((_, open)) = known {
            *number = *open;
        }
    }
}

/// Prints what could not be bound. Whether that is the end.
pub(crate) fn announce_bind_errors(problems: &[BindError]) -> bool {
    if !problems.is_empty() {
        terminal::err(&preamble(std::process::id(), &executable()));
    }
    for problem in problems {
        let severity = if problem.fatal { Severity::Error } else { Severity::Warning };
        say(severity, &problem.haproxy().to_string());
    }
    let fatal = problems.iter().any(|problem| problem.fatal);
    if fatal {
        let text = "Some protocols failed to start their listeners! Exiting.";
        say(Severity::Error, &in_main(text));
    }
    fatal
}

/// Binds all addresses, or says what was in the way.
pub(crate) fn bind(config: &Config, sockets: Vec<OwnedFd>) -> Option<Listeners> {
    match Listeners::bind(config, sockets) {
        Ok((listeners, problems)) => {
            announce_bind_errors(&problems);
            Some(listeners)
        }
        Err(problems) => {
            announce_bind_errors(&problems);
            None
        }
    }
}

/// Writes a pid file as HAProxy does: over whatever stands there, and it stays when we are gone.
pub(crate) fn write_pid(config: &Config, pid: u32) -> bool {
    let Some(path) = &config.process.pidfile else { return true };
    let written = std::fs::write(path, format!("{pid}\n"));
    if written.is_err() {
        let text = format!("Cannot create pidfile {}", path.display());
        say(Severity::Error, &in_main(text));
    }
    written.is_ok()
}

/// Serves until told to end.
pub(crate) fn serve(arguments: &Arguments, mut config: Config, handover: Handover) -> ExitCode {
    let worker = handover.is_worker();
    let detached = handover.role.as_deref() == Some("daemon");
    handover.place(&mut config);
    let Some(listeners) = bind(&config, handover.sockets) else { return ExitCode::from(1) };
    if detached && !write_pid(&config, std::process::id()) {
        return ExitCode::from(1);
    }
    let orders = if worker { listen_to_master(arguments, handover.placed) } else { None };
    let (finish, terminate) = (arguments.finish.clone(), arguments.terminate.clone());
    let quiet = arguments.quiet;
    let options = worker::Options {
        ready: Box::new(move || {
            if worker {
                workers::say_ready(std::io::stdin());
            } else {
                tell_old(&finish, &terminate);
                if detached {
                    workers::say_ready(std::io::stdin());
                    workers::leave_terminal(None);
                }
            }
        }),
        foreground: !detached && !quiet,
        signals: true,
        orders,
    };
    match worker::run(config, listeners, options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(StartError::Unresolved(servers)) => {
            for server in &servers {
                let text = format!(
                    "config : [{}] : 'server {}/{}' : could not resolve address '{}'.",
                    server.origin, server.backend, server.server, server.address
                );
                say(Severity::Error, &text);
            }
            say(Severity::Error, "config : Failed to initialize server(s) addr.");
            ExitCode::from(1)
        }
        Err(error) => {
            say(Severity::Error, &in_main(error));
            ExitCode::from(1)
        }
    }
}

/// `-sf` and `-st`: the processes this one replaces.
pub(crate) fn tell_old(finish: &[i32], terminate: &[i32]) {
    for pid in finish {
        // One that is gone already needs no telling.
        let _ = kill(Pid::from_raw(*pid), Signal::SIGUSR1);
    }
    for pid in terminate {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGTERM);
    }
}

/// A worker's standard input is a line to its master, whose end says that the master is gone. What
/// comes over it are configurations to go over to, as `arguments` name their files.
fn listen_to_master(
    arguments: &Arguments,
    placed: Vec<(i32, i32)>,
) -> Option<mpsc::UnboundedReceiver<Order>> {
    let arguments = arguments.clone();
    let read = move || {
        let config = super::read(&arguments).config;
        let mut config = config.ok_or_else(|| "the worker reads something else".to_owned())?;
        place(&placed, &mut config);
        Ok(config)
    };
    let gone = || {
        say(Severity::Warning, "Master is gone. Exiting.");
        std::process::exit(0);
    };
    line::listen(std::io::stdin(), read, gone).ok()
}

/// This program again, with the same command line and name, and one end of a line as its input.
pub(crate) fn again(cli: &Cli, role: &str) -> std::io::Result<(Command, UnixStream)> {
    let (ours, theirs) = workers::line()?;
    let mut command = workers::again(&cli.program);
    command.args(&cli.given).env(ROLE, role).stdin(theirs);
    Ok((command, ours))
}

/// `-D`: this program again in a session of its own; the exit code once it serves, or does not.
///
/// The addresses are bound here first, while there is a terminal to complain on.
pub(crate) fn become_daemon(cli: &Cli, config: &Config, master: bool) -> ExitCode {
    // What was inherited under a number stays open under it, for the new process.
    let mut here = config.clone();
    for frontend in &mut here.frontends {
        frontend.binds.retain(|bind| !matches!(bind.address, BindAddress::Fd(_)));
    }
    let stats = &mut here.process.stats_sockets;
    stats.retain(|stats| !matches!(stats.address, BindAddress::Fd(_)));
    let Some(listeners) = bind(&here, Vec::new()) else { return ExitCode::from(1) };
    let role = if master { "master" } else { "daemon" };
    let started = again(cli, role).and_then(|(mut command, line)| {
        command.env(ENVIRONMENT, listeners.environment());
        listeners.set_inheritable(true)?;
        // Once `command` is gone only the child holds the other end: its death is seen here.
        Ok((command.spawn()?, line))
    });
    let (mut child, line) = match started {
        Ok(started) => started,
        Err(error) => {
            let why = crate::bind::reason(&error);
            say(Severity::Error, &in_main(format_args!("Cannot fork: {why}.")));
            return ExitCode::from(1);
        }
    };
    workers::wait(&mut child, line).map_or(ExitCode::SUCCESS, ExitCode::from)
}
