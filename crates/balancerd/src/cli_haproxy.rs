//! The command line of `haproxy`.
//!
//! ```text
//!   arguments ─► Arguments ─► -v -vv -cc       answer, exit
//!                     │
//!                     ├─► -c                   read, report, exit 0, 1 or 2
//!                     ├─► -W -Ws               master ─► workers (this program again)
//!                     ├─► -D                   this program again, without a terminal
//!                     └─► -db, -d, nothing     serve
//! ```

mod arguments;
mod serve;
mod version;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use conf::Severity;
use haproxy_cfg::{Loaded, Manner, Options, preamble, prefix};
use proxy::Config;

use crate::terminal;

pub use arguments::{Arguments, Mode, Wrong};
pub(crate) use serve::{Handover, again, announce_bind_errors, tell_old, write_pid};
use serve::{become_daemon, serve};

/// Set in processes this program started itself: `worker` or `daemon`.
pub(crate) const ROLE: &str = "EVERGATE_ROLE";

/// Whether a program called like this is HAProxy.
#[must_use]
pub fn is_called(argv0: &OsStr) -> bool {
    daemon::argv::program_name(argv0) == "haproxy"
}

/// Runs as `haproxy` does. `program` is what it was started as, `arguments` leave that out.
pub fn main(program: &OsStr, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    linux::process::set_name(daemon::argv::program_name(program));
    let _ = PROGRAM.set(program.to_string_lossy().into_owned());
    let given: Vec<OsString> = arguments.into_iter().collect();
    let cli = Cli { program: program.to_owned(), given: given.clone() };
    match Arguments::parse(given) {
        Ok(arguments) => cli.run(&arguments),
        Err(Wrong::Usage) => {
            terminal::out(&version::short());
            terminal::err(&version::usage(daemon::argv::program_name(program)));
            ExitCode::from(1)
        }
        Err(Wrong::MissingValue) => {
            terminal::err(&preamble(std::process::id(), &executable()));
            say(Severity::Error, "failed to copy argv.");
            ExitCode::from(1)
        }
        Err(Wrong::Unbuilt(option)) => {
            say(Severity::Error, &format!("not supported yet: {option}"));
            ExitCode::from(1)
        }
        Err(Wrong::Socket(why)) => {
            terminal::err(&preamble(std::process::id(), &executable()));
            say(Severity::Error, &format!("Cannot create the master's socket (-S): {why}"));
            ExitCode::from(1)
        }
    }
}

/// How this program was started, for starting it again.
#[derive(Clone, Debug)]
pub(crate) struct Cli {
    pub(crate) program: OsString,
    pub(crate) given: Vec<OsString>,
}

impl Cli {
    fn run(&self, arguments: &Arguments) -> ExitCode {
        match &arguments.mode {
            Mode::Version => {
                terminal::out(&version::short());
                return ExitCode::SUCCESS;
            }
            Mode::Build => {
                terminal::out(&version::long());
                return ExitCode::SUCCESS;
            }
            Mode::Condition(condition) => return evaluate(condition),
            Mode::Check | Mode::Run => {}
        }
        if let Some(directory) = &arguments.directory
            && let Err(error) = std::env::set_current_dir(directory)
        {
            terminal::err(&preamble(std::process::id(), &executable()));
            let why = crate::bind::reason(&error);
            let directory = directory.display();
            say(Severity::Error, &format!("Could not change to directory {directory} : {why}"));
            return ExitCode::from(1);
        }
        if arguments.files.is_empty() || is_empty_directory(arguments) {
            terminal::out(&version::short());
            terminal::err(&version::usage(daemon::argv::program_name(&self.program)));
            return ExitCode::from(1);
        }
        let role = std::env::var(ROLE).ok();
        let loaded = read(arguments);
        // A process that was started by another of ours has its complaints already printed.
        let quiet = arguments.quiet || role.is_some();
        if let Some(code) = report(arguments, &loaded, quiet) {
            return code;
        }
        let loud = |d: &conf::Diagnostic| d.severity > Severity::Notice;
        let introduced = !quiet && loaded.diagnostics.iter().any(loud);
        let strict_limits = loaded.strict_limits;
        let Some(config) = loaded.config else { return ExitCode::from(1) };
        if role.is_none() && !limits_allow(&config, strict_limits, introduced) {
            return ExitCode::from(1);
        }
        if !arguments.quiet && role.is_none() {
            not_built(arguments);
        }
        let mut handover = Handover::from_env();
        // Whoever starts first fetches; its workers inherit them.
        let fetch =
            arguments.fetch.as_deref().filter(|path| *path != std::path::Path::new("/dev/null"));
        if let Some(path) = fetch.filter(|_| role.is_none()) {
            match crate::runtime_api::fetch_sockets(path) {
                Ok(sockets) => handover.sockets.extend(sockets),
                Err(_) => {
                    say(Severity::Error, "Failed to get the sockets from the old process!");
                    return ExitCode::from(1);
                }
            }
        }
        match role.as_deref() {
            Some("worker") => return serve(arguments, config, handover),
            Some(role) => {
                // Away from the terminal's session; a process that just started leads no group.
                let _ = nix::unistd::setsid();
                if role == "master" {
                    return crate::master::run(self, arguments, config, handover, introduced);
                }
                return serve(arguments, config, handover);
            }
            None => {}
        }
        let master = arguments.master || config.process.master_worker;
        let daemon = (arguments.daemon || config.process.daemon) && !arguments.foreground;
        if daemon && !arguments.notify {
            become_daemon(self, &config, master)
        } else if master {
            crate::master::run(self, arguments, config, handover, introduced)
        } else {
            serve(arguments, config, handover)
        }
    }
}

/// `-f` names only directories without any `*.cfg`.
fn is_empty_directory(arguments: &Arguments) -> bool {
    haproxy_cfg::files(&arguments.files).is_ok_and(|files| files.is_empty())
}

/// Reads the configuration the command line names.
pub(crate) fn read(arguments: &Arguments) -> Loaded {
    let mut options = Options { tell_accepted: arguments.explain, ..Options::system() };
    // Files may name it, and HAProxy sets it whatever the environment says.
    let peer = arguments.peer.clone().or_else(|| {
        nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned())
    });
    options.env.insert("HAPROXY_LOCALPEER".into(), peer.unwrap_or_else(|| "localhost".into()));
    let mut loaded = haproxy_cfg::load(&arguments.files, &options);
    for flaw in loaded.config.as_ref().map(crate::transport::flaws).unwrap_or_default() {
        loaded.refuse(flaw);
    }
    if let Some(config) = &mut loaded.config {
        if let Some(maxconn) = arguments.maxconn {
            config.process.maxconn = Some(maxconn);
        }
        if let Some(pidfile) = &arguments.pidfile {
            config.process.pidfile = Some(PathBuf::from(pidfile));
        }
        config.process.quiet |= arguments.quiet;
    }
    loaded
}

/// Prints what there is to say. An exit code if that is the end of it.
fn report(arguments: &Arguments, loaded: &Loaded, quiet: bool) -> Option<ExitCode> {
    let check = arguments.mode == Mode::Check;
    let pid = std::process::id();
    let report = loaded.report(&Manner {
        pid,
        executable: &executable(),
        quiet,
        check,
        zero_warning: arguments.zero_warning,
        explain: arguments.explain,
    });
    terminal::err(&report.stderr);
    match report.code {
        code if check => {
            terminal::out(&report.stdout);
            Some(ExitCode::from(code))
        }
        0 => None,
        2 => {
            if report.stderr.is_empty() && !quiet {
                terminal::err(&preamble(pid, &executable()));
            }
            say(Severity::Error, &in_main(NO_LISTENER));
            Some(ExitCode::from(1))
        }
        code => Some(ExitCode::from(code)),
    }
}

/// Raises the limit of open files to what the configuration may need. Whether to start: HAProxy
/// refuses where fewer files may be opened than `maxconn` takes, unless `no strict-limits` says so.
fn limits_allow(config: &Config, strict: bool, introduced: bool) -> bool {
    /// What HAProxy takes at least when nothing is said.
    const LEAST: u32 = 100;
    let maxconn = config.process.maxconn.unwrap_or(LEAST);
    let binds: usize = config.frontends.iter().map(|front| front.binds.len()).sum();
    // Two per connection, one per listener, and 16 of the process itself.
    let needed = u64::from(maxconn) * 2 + binds as u64 + 16;
    let wanted = needed.max(config.process.nofile.unwrap_or(0));
    let limit = crate::privilege::raise_open_files(wanted);
    if limit >= needed {
        return true;
    }
    if !introduced {
        terminal::err(&preamble(std::process::id(), &executable()));
    }
    let text = in_main(format_args!("Cannot raise FD limit to {needed}, limit is {limit}."));
    if strict {
        say(Severity::Error, &text);
        return false;
    }
    say(Severity::Warning, &text);
    let text = format!(
        "FD limit ({limit}) too low for maxconn={maxconn}/maxsock={needed}. Please raise 'ulimit-n' to {needed} or more to avoid any trouble."
    );
    say(Severity::Error, &in_main(text));
    true
}

/// Options that are taken and do nothing yet: said, not passed over.
fn not_built(arguments: &Arguments) {
    for option in &arguments.not_built {
        say(Severity::Warning, &format!("not supported yet: {option}"));
    }
}

fn evaluate(condition: &str) -> ExitCode {
    match haproxy_cfg::condition(condition, &Options::system()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            terminal::err(&preamble(std::process::id(), &executable()));
            say(Severity::Error, &format!("config : Failed to evaluate condition: {error}"));
            ExitCode::from(2)
        }
    }
}

/// `[WARNING]  (pid) : text` on stderr.
pub(crate) fn say(severity: Severity, text: &str) {
    terminal::err(&format!("{}{text}\n", prefix(severity, std::process::id())));
}

/// What is said when nothing would listen.
pub(crate) const NO_LISTENER: &str =
    "No enabled listener found (check for 'bind' directives) ! Exiting.";

/// What HAProxy says once it has read its files begins with what it was started as.
pub(crate) fn in_main(text: impl std::fmt::Display) -> String {
    let program = PROGRAM.get().map_or("haproxy", String::as_str);
    format!("[{program}.main()] {text}")
}

/// What this program was started as, with its directory.
static PROGRAM: OnceLock<String> = OnceLock::new();

/// The path of this program.
pub(crate) fn executable() -> String {
    std::env::current_exe().map_or_else(|_| "balancerd".into(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests;
