//! From a command line to a master, and from a master to a worker.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nginx_conf::Loaded;
use proxy::{BindAddress, Config, Severity};

use super::handover::Handover;
use super::say::Console;
use super::{MASTER, log_files};
use crate::bind::{ENVIRONMENT, Listeners, inherited};
use crate::worker;

/// What a new process says on its standard output once it serves.
pub(super) const READY: &str = "ready";

/// nginx's code of a worker that is not started again.
const FATAL: u8 = 2;

/// This program, by a name that a deleted or replaced file does not change.
pub(super) fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"))
}

/// Becomes the master, or starts it and waits until it serves.
pub(super) fn master(called: &[OsString], loaded: &Loaded, console: &Console) -> ExitCode {
    let mut command = Command::new(program());
    command.arg0(MASTER).args(called);
    let failed = |error: std::io::Error| {
        console.say(Severity::Emerg, &format!("execve() failed ({})", nginx_conf::errno(&error)));
        ExitCode::FAILURE
    };
    if !loaded.config.process.daemon {
        return failed(command.exec());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        // An error reads like silence: it did not say that it serves.
        let _ = BufReader::new(out).read_line(&mut said);
    }
    if said.trim_end() == READY {
        return ExitCode::SUCCESS;
    }
    // It has said why.
    let code = child.wait().ok().and_then(|status| status.code());
    ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0).unwrap_or(1),
    )
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
        eprintln!("nginx: [emerg] {text}");
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
        say_ready();
        if daemon {
            leave_terminal(log.as_deref());
        }
    };
    let options = worker::Options { ready: Box::new(ready), ..worker::Options::default() };
    match worker::run(loaded.config, listeners, options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(error.to_string()),
    }
}

/// Tells whoever started this process that it serves.
pub(super) fn say_ready() {
    // Whoever has gone away does not wait for it.
    let _ = writeln!(std::io::stdout(), "{READY}");
}

/// Lets go of the terminal: its input and output, and its errors too where `errors` is a file they
/// may go to. A reader of a pipe sees its end now.
pub(super) fn leave_terminal(errors: Option<&Path>) {
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else { return };
    // Failing to redirect is no reason to stop serving.
    let _ = nix::unistd::dup2_stdin(&null);
    let _ = nix::unistd::dup2_stdout(&null);
    let file = errors.and_then(|path| File::options().append(true).create(true).open(path).ok());
    let _ = nix::unistd::dup2_stderr(file.as_ref().unwrap_or(&null));
}
