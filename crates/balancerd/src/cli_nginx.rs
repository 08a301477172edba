//! `nginx`: its options, its processes, its words.
//!
//! ```text
//!  nginx -g …        reads, complains            -t -T -s -v -V end here
//!    │ daemon on: a new process; daemon off: this one, named anew
//!    ▼
//!  nginx: master process …     binds, writes the pid file, HUP QUIT TERM USR1 WINCH
//!    │ sockets inherited, configuration on standard input
//!    ▼
//!  nginx: worker process       serves (worker::run)
//! ```
//!
//! tokio cannot be forked, so each process is a new run of this program; which one it is stands in
//! its first word, as `ps` shows it for nginx.

mod argv;
mod handover;
mod master;
mod say;
mod start;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use conf::{Severity, Wording as _};
use nginx_conf::{Loaded, Lookups, Options, Wording};
use nix::unistd::{Group, User, geteuid};
use proxy::{AccessTarget, ErrorLogTarget};

use argv::{Args, Order};
use say::Console;

/// The first word of a master and of a worker.
pub(crate) const MASTER: &str = "nginx: master process";
pub(crate) const WORKER: &str = "nginx: worker process";

/// What Debian's nginx is compiled with.
const CONF: &str = "/etc/nginx/nginx.conf";

/// Whose behaviour this is. Debian 12's.
pub(crate) const VERSION: &str = "nginx/1.22.1";

/// Whether a program called like this is nginx or one of its processes.
#[must_use]
pub fn is_called(argv0: &OsStr) -> bool {
    let name = Path::new(argv0).file_name().unwrap_or(argv0);
    name == "nginx"
        || [MASTER, WORKER].iter().any(|title| argv0.as_bytes().starts_with(title.as_bytes()))
}

/// Runs as nginx with the program's words, its name first. Returns the exit code.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    linux::process::set_name("nginx".as_ref());
    // nginx runs the program that is to follow it with every signal it knows blocked.
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
    let role = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if role == WORKER {
        return start::worker();
    }
    // A master's own name is followed by the words the program was called with.
    let is_master = role == MASTER;
    let called = if is_master { &words[1..] } else { words };
    let given = called.get(1..).unwrap_or_default();
    let args = match argv::parse(given) {
        Ok(args) => args,
        Err(said) => {
            say::line(&format!("nginx: {said}"));
            return ExitCode::FAILURE;
        }
    };
    if args.version {
        version(&args);
        if !args.test {
            return ExitCode::SUCCESS;
        }
    }
    let options = Options {
        prefix: prefix(&args),
        globals: args.globals.clone(),
        error_log: args.error_log.clone(),
        ..options()
    };
    let file = absolute(&options.prefix, args.file.as_deref().unwrap_or(Path::new(CONF)));
    let console = Console::new(&options, &args);
    let loaded = load(&file, &options);
    if is_master {
        console.complain(&loaded, 0..loaded.diagnostics.len());
        return master::run(loaded, &file, &options, called, &console);
    }
    if args.test {
        return test(&args, &loaded, &file, &console);
    }
    if !loaded.is_ok() || args.order.is_some() {
        console.complain(&loaded, 0..loaded.diagnostics.len());
        if !loaded.is_ok() {
            return ExitCode::FAILURE;
        }
    }
    match args.order {
        Some(order) => send(order, &loaded, &console),
        None => start::master(called, &loaded, &console),
    }
}

/// Reads a configuration, and finds what stands in the way of serving it.
fn load(file: &Path, options: &Options) -> Loaded {
    let mut loaded = nginx_conf::load(file, options);
    if loaded.is_ok() {
        for flaw in crate::transport::nginx_flaws(&loaded.config) {
            loaded.refuse(flaw);
        }
    }
    loaded
}

/// The options every process has, whatever it was called with.
fn options() -> Options {
    let lookups = Lookups {
        superuser: geteuid().is_root(),
        user: |name| User::from_name(name).is_ok_and(|user| user.is_some()),
        group: |name| Group::from_name(name).is_ok_and(|group| group.is_some()),
        ..Lookups::default()
    };
    Options { lookups, ..Options::default() }
}

/// `-p`, from the current directory on.
fn prefix(args: &Args) -> PathBuf {
    match &args.prefix {
        Some(prefix) => absolute(&std::env::current_dir().unwrap_or_default(), prefix),
        None => Options::default().prefix,
    }
}

fn absolute(base: &Path, path: &Path) -> PathBuf {
    base.join(path)
}

/// `-t` and `-T`: complains, tries what a start would do, and says how it went.
fn test(args: &Args, loaded: &Loaded, file: &Path, console: &Console) -> ExitCode {
    let file = file.display();
    let errors = |from: &[conf::Diagnostic]| from.iter().any(|d| d.severity == Severity::Error);
    // What is found out after the text was read comes after "syntax is ok".
    let split = if loaded.syntax_ok {
        loaded.diagnostics.iter().position(|d| d.severity == Severity::Error)
    } else {
        None
    };
    let split = split.unwrap_or(loaded.diagnostics.len());
    console.complain(loaded, 0..split);
    if loaded.syntax_ok && !args.quiet {
        say::line(&format!("nginx: the configuration file {file} syntax is ok"));
    }
    console.complain(loaded, split..loaded.diagnostics.len());
    let mut sound = !errors(&loaded.diagnostics);
    if sound {
        sound = start::try_out(&loaded.config, console);
    }
    if !sound {
        say::line(&format!("nginx: configuration file {file} test failed"));
        return ExitCode::FAILURE;
    }
    if !args.quiet {
        say::line(&format!("nginx: configuration file {file} test is successful"));
    }
    if args.dump {
        let mut out = std::io::stdout().lock();
        for (name, text) in loaded.files() {
            if writeln!(out, "# configuration file {name}:\n{text}").is_err() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// `-s`: tells the running master.
fn send(order: Order, loaded: &Loaded, console: &Console) -> ExitCode {
    use nix::sys::signal::{Signal, kill};
    let Some(path) = &loaded.config.process.pidfile else { return ExitCode::FAILURE };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let why = nginx_conf::errno(&error);
            let said = format!("open() \"{}\" failed ({why})", path.display());
            console.say(proxy::Severity::Error, &said);
            return ExitCode::FAILURE;
        }
    };
    let text = text.trim_end_matches(['\n', '\r']);
    let Some(pid) = text.parse::<i32>().ok().filter(|pid| *pid > 0) else {
        let said = format!("invalid PID number \"{text}\" in \"{}\"", path.display());
        console.say(proxy::Severity::Error, &said);
        return ExitCode::FAILURE;
    };
    let signal = match order {
        Order::Stop => Signal::SIGTERM,
        Order::Quit => Signal::SIGQUIT,
        Order::Reload => Signal::SIGHUP,
        Order::Reopen => Signal::SIGUSR1,
    };
    if let Err(errno) = kill(nix::unistd::Pid::from_raw(pid), signal) {
        let said =
            format!("kill({pid}, {}) failed ({}: {})", signal as i32, errno as i32, errno.desc());
        console.say(proxy::Severity::Alert, &said);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// `-v`, `-V`, `-h`.
fn version(args: &Args) {
    let own = concat!("(balancerd ", env!("CARGO_PKG_VERSION"), ")");
    say::line(&format!("nginx version: {VERSION} {own}"));
    if args.help {
        say::line(HELP);
    }
    if args.configure {
        say::line(&format!("configure arguments: {CONFIGURE}"));
    }
}

const HELP: &str = "\
Usage: nginx [-?hvVtTq] [-s signal] [-p prefix]
             [-e filename] [-c filename] [-g directives]

  -?, -h         show this
  -v, -V         show the version; -V with what is built in
  -t             test the configuration and exit
  -T             the same, and print all its files
  -q             with -t: complaints only
  -s signal      tell the running master: stop, quit, reopen, reload
  -p prefix      the directory of relative names (/usr/share/nginx/)
  -e filename    the error log until the configuration names one (stderr)
  -c filename    the configuration (/etc/nginx/nginx.conf)
  -g directives  directives of the main context before those of the file
  --explain      show complaints with their line and what to do
";

/// What test suites ask `-V` for: a module that is not there is said to be left out.
const CONFIGURE: &str = "--prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf \
    --error-log-path=stderr --pid-path=/run/nginx.pid --with-stream --without-http \
    --with-stream_ssl_preread_module --with-stream_realip_module";

/// The files an error log of this configuration is written to.
fn log_files(config: &proxy::Config) -> impl Iterator<Item = &Path> {
    let process = config.process.error_log.iter();
    let all = process.chain(config.frontends.iter().flat_map(|frontend| &frontend.error_log));
    let errors = all.filter_map(|log| match &log.target {
        ErrorLogTarget::File(path) => Some(path.as_path()),
        _ => None,
    });
    let servers = config.frontends.iter().filter_map(|frontend| frontend.nginx.as_deref());
    let access = servers.flat_map(|nginx| &nginx.access_logs).filter_map(|log| match &log.target {
        AccessTarget::File(path) => Some(path.as_path()),
        _ => None,
    });
    errors.chain(access)
}

/// The complaint as one of our own pages shows it, or as nginx prints it.
fn shown(loaded: &Loaded, diagnostic: &conf::Diagnostic, explain: bool) -> String {
    if explain {
        conf::pretty(&Wording, &loaded.sources, diagnostic)
    } else {
        Wording.line(&loaded.sources, diagnostic)
    }
}

#[cfg(test)]
mod tests;
