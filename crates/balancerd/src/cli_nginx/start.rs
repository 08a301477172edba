//! From a command line to a master, and from a master to a worker.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use nginx_conf::Loaded;
use proxy::{BindAddress, Config, Severity};

use super::handover::Handover;
use super::master::in_place;
use super::say::Console;
use super::{MASTER, log_files, say};
use crate::bind::{ENVIRONMENT, Listeners, NGINX_ENVIRONMENT, inherited};
use crate::workers::line;
use crate::{worker, workers};

/// nginx's code of a worker that is not started again.
const FATAL: u8 = 2;

/// Becomes the master, or starts it and waits until it serves.
pub(super) fn master(called: &[OsString], loaded: &Loaded, console: &Console) -> ExitCode {
    let mut command = workers::again(MASTER);
    command.args(called);
    let failed = |error: std::io::Error| {
        console.say(Severity::Emerg, &format!("execve() failed ({})", nginx_conf::errno(&error)));
        ExitCode::FAILURE
    };
    // A master that hands its sockets over waits for this very process.
    if !loaded.config.process.daemon || std::env::var_os(NGINX_ENVIRONMENT).is_some() {
        return failed(command.exec());
    }
    let started = workers::line().and_then(|(line, theirs)| {
        command.stdin(Stdio::null()).stdout(theirs);
        let child = command.spawn();
        // Only the child is to hold the other end: its death is seen here.
        drop(command);
        Ok((child?, line))
    });
    match started {
        // It has said why.
        Ok((mut child, line)) => {
            workers::wait(&mut child, line).map_or(ExitCode::SUCCESS, ExitCode::from)
        }
        Err(error) => failed(error),
    }
}

/// Tries what a start would do, as far as that disturbs nobody: opens log files and the pid file,
/// and binds, where an address in use is no mistake.
pub(super) fn try_out(config: &Config, console: &Console) -> bool {
    let mut sound = true;
    let mut complain = |text: &str| {
        console.say(Severity::Emerg, text);
        sound = false;
    };
    let files = log_files(config).chain(config.process.pidfile.as_deref());
    for path in files {
        if let Err(error) = File::options().append(true).create(true).open(path) {
            let why = nginx_conf::errno(&error);
            complain(&format!("open() \"{}\" failed ({why})", path.display()));
        }
    }
    let mut config = config.clone();
    for frontend in &mut config.frontends {
        // Binding a UNIX socket would take it from whoever serves there.
        frontend.binds.retain(|bind| matches!(bind.address, BindAddress::Inet(_)));
    }
    if let Err(problems) = Listeners::bind(&config, Vec::new()) {
        for problem in problems.iter().filter(|problem| !in_use(&problem.error)) {
            complain(&problem.nginx().to_string());
        }
    }
    sound
}

/// EADDRINUSE.
pub(super) fn in_use(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrInUse
}

/// A worker: the configuration comes on standard input, the sockets by number.
pub(super) fn worker() -> ExitCode {
    let failed = |text: String| {
        say::line(&format!("nginx: [emerg] {text}"));
        ExitCode::from(FATAL)
    };
    let input = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let handover = match input.and_then(|mut input| Handover::read(&mut input)) {
        Ok(handover) => handover,
        Err(error) => return failed(format!("no configuration: {error}")),
    };
    let Handover { file, options } = handover;
    let loaded = nginx_conf::load(&file, &options);
    if let Some(error) = loaded.diagnostics.iter().find(|d| d.severity == conf::Severity::Error) {
        return failed(nginx_conf::Wording.message(&loaded.sources, error));
    }
    let sockets = std::env::var(ENVIRONMENT).map(|text| inherited(&text)).unwrap_or_default();
    let listeners = match Listeners::bind(&loaded.config, sockets) {
        Ok((listeners, _)) => listeners,
        Err(problems) => {
            let said: Vec<String> = problems.iter().map(|p| p.nginx().to_string()).collect();
            return failed(said.join("\n"));
        }
    };
    let daemon = loaded.config.process.daemon;
    let log = log_files(&loaded.config).next().map(Path::to_path_buf);
    let ready = move || {
        workers::say_ready(std::io::stdout());
        if daemon {
            workers::leave_terminal(log.as_deref());
        }
    };
    let superuser = nix::unistd::geteuid().is_root();
    let read = move || in_place::read(superuser);
    // A worker outlives its master, as nginx's do.
    let orders = line::listen(std::io::stdout(), read, || ()).ok();
    let ready = Box::new(ready);
    let options = worker::Options { ready, orders, ..worker::Options::default() };
    match worker::run(loaded.config, listeners, options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(error.to_string()),
    }
}
