//! The configuration as both processes read it, and what is said about it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::rc::Rc;

use conf::FileId;
use daemon::log::Log;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};
use vrrp::config::Config;

use crate::cli::Options;
use crate::exit;

/// Said when a reload finds a configuration of no use.
pub(crate) const KEPT: &str = "Reload refused - the running configuration is kept";

/// A configuration, and what is wrong with it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// With which code to end instead of running by it.
    pub(crate) exit: Option<u8>,
    /// What keepalived says of it, in its order.
    lines: Vec<String>,
    /// What we say besides.
    notices: Vec<String>,
    /// What was read, in order; the first is what was asked for.
    files: Vec<String>,
}

/// Reads the configuration `options` name.
///
/// It may take as long as the file system takes, and is for a thread that can wait.
pub(crate) fn load(options: &Options) -> Loaded {
    let system = keepalived_conf::Host;
    let loaded = read(options, &system);
    let files = (0..loaded.sources.len()).filter_map(|file| FileId::try_from(file).ok());
    let mut loaded = Loaded {
        exit: loaded.exit_code_run(),
        lines: loaded.upstream_lines(),
        notices: loaded.notices().collect(),
        files: files.map(|file| loaded.sources.name(file).to_owned()).collect(),
        config: loaded.config.unwrap_or_default(),
    };
    loaded.config.share_group_trackers();
    overrule(&mut loaded.config, options);
    for line in not_yet(&loaded.config) {
        loaded.lines.push(line);
        loaded.exit = Some(exit::CONFIG);
    }
    loaded
}

/// What the command line says, whatever the configuration says.
fn overrule(config: &mut Config, options: &Options) {
    let globals = &mut config.globals;
    globals.process.umask = options.umask.or(globals.process.umask);
    if let Some(namespace) = &options.namespace {
        globals.process.net_namespace = Some(namespace.clone());
    }
    globals.snmp.keepalived |= options.snmp;
    if let Some(socket) = &options.snmp_socket {
        globals.snmp.socket = Some(socket.clone());
    }
}

fn read(options: &Options, system: &keepalived_conf::Host) -> keepalived_conf::Loaded {
    let mut how = keepalived_conf::Options::new(system);
    how.config_id.clone_from(&options.config_id);
    how.all_included = options.all_included;
    let loaded = keepalived_conf::load(&options.file, &how);
    match options.namespace.clone().or_else(|| loaded.net_namespace.clone()) {
        Some(name) => read_in(&name, options).unwrap_or(loaded),
        None => loaded,
    }
}

/// Reads it where its interfaces are; `None` if there is no such network namespace.
fn read_in(name: &str, options: &Options) -> Option<keepalived_conf::Loaded> {
    std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            linux::namespace::enter_network(name).ok()?;
            let system = keepalived_conf::Host;
            let mut how = keepalived_conf::Options::new(&system);
            how.config_id.clone_from(&options.config_id);
            how.all_included = options.all_included;
            Some(keepalived_conf::load(&options.file, &how))
        });
        // A panic in it has been printed.
        read.join().ok().flatten()
    })
}

/// What a configuration may say and this daemon cannot do.
fn not_yet(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for instance in config.instances.iter().filter(|instance| instance.hmac.is_some()) {
        lines.push(format!("({}) not supported yet: auth_hmac", instance.name));
    }
    lines
}

/// Checks the configuration, says what is wrong with it, and returns keepalived's exit code.
pub(crate) fn test(options: &Options, to: Option<&Path>) -> u8 {
    let system = keepalived_conf::Host;
    let loaded = read(options, &system);
    let named = options.namespace.as_ref().or(loaded.net_namespace.as_ref());
    if let Some(name) = named.filter(|name| read_in(name, options).is_none()) {
        // As keepalived's: nobody knows what is in a namespace that is not there.
        eprintln!("Unable to set network namespace {name} - exiting");
        return exit::OK;
    }
    let refused = loaded.config.as_ref().map(not_yet).unwrap_or_default();
    let mut text = if options.explain {
        let text = loaded.explain();
        if text.is_empty() { text } else { text + "\n" }
    } else {
        loaded.upstream_lines().iter().map(|line| format!("{line}\n")).collect()
    };
    for line in &refused {
        text.push_str(line);
        text.push('\n');
    }
    let written = match to {
        Some(file) => append(file, &text),
        None => std::io::stderr().write_all(text.as_bytes()),
    };
    if let Err(error) = written
        && let Some(file) = to
    {
        eprintln!("Unable to open config-test log file {}: {error}", file.display());
        return exit::FATAL;
    }
    match loaded.exit_code_test() {
        exit::OK if !refused.is_empty() => exit::TEST_CONFIG,
        code => code,
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

impl Loaded {
    /// Whether it names nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.instances.is_empty() && self.config.static_addresses.is_empty()
    }

    /// What is wrong with it, without the places, which every edit moves. That scripts are run without
    /// protection is no slip of the pen.
    pub(crate) fn mistakes(&self) -> BTreeSet<String> {
        let slips = self.lines.iter().filter(|line| !line.starts_with("SECURITY VIOLATION"));
        slips.map(|line| without_place(line).to_owned()).collect()
    }

    /// The advice it is given, without the places.
    pub(crate) fn advice(&self) -> BTreeSet<String> {
        self.notices.iter().map(|line| without_place(line).to_owned()).collect()
    }

    /// Leaves out advice that was given already.
    pub(crate) fn leave_out(&mut self, given: &BTreeSet<String>) {
        self.notices.retain(|line| !given.contains(without_place(line)));
    }

    /// Leaves out all of it.
    pub(crate) fn leave_out_advice(&mut self) {
        self.notices.clear();
    }

    /// Logs which files were read.
    pub(crate) fn log_files_to(&self, log: &Log, detail: bool) {
        if detail {
            for file in &self.files {
                log.info(format_args!("Opening file '{file}'."));
            }
        }
        if let Some(file) = self.files.first() {
            log.info(format_args!("Configuration file {file}"));
        }
    }

    /// Logs what is wrong with it.
    pub(crate) fn log_to(&self, log: &Log) {
        for line in self.lines.iter().chain(&self.notices) {
            log.info(line);
        }
    }

    /// Says the same on standard error.
    pub(crate) fn print(&self) {
        for line in &self.lines {
            eprintln!("{line}");
        }
    }
}

/// What a line says, without where.
fn without_place(line: &str) -> &str {
    let said = line.strip_prefix('(').and_then(|rest| rest.split_once(") "));
    said.filter(|(place, _)| place.contains("Line ")).map_or(line, |(_, text)| text)
}

/// The log of a process: the supervisor's, or a role's.
pub(crate) fn log(options: &Options, role: Option<&str>) -> Rc<Log> {
    let ident = options.persona.ident();
    let suffix = &options.ident_suffix;
    let mut log = Log::new(match role {
        Some(role) => format!("{ident}_{role}{suffix}"),
        None => format!("{ident}{suffix}"),
    });
    if options.syslog {
        log = log.to_syslog("/dev/log", options.facility);
    }
    if options.console && options.foreground {
        log = log.to_console();
    }
    Rc::new(log)
}

/// The last line of a role.
pub(crate) fn stopped(detail: bool) -> String {
    if !detail {
        return "Stopped".to_owned();
    }
    let (user, system) = used(UsageWho::RUSAGE_SELF);
    let (child_user, child_system) = used(UsageWho::RUSAGE_CHILDREN);
    if child_user == "0.000000" && child_system == "0.000000" {
        return format!("Stopped - used {user} user time, {system} system time");
    }
    format!(
        "Stopped - used (self/children) {user}/{child_user} user time, {system}/{child_system} \
         system time"
    )
}

/// The supervisor's line about what it and its role used.
pub(crate) fn cpu_usage() -> String {
    let (user, system) = used(UsageWho::RUSAGE_SELF);
    let (child_user, child_system) = used(UsageWho::RUSAGE_CHILDREN);
    format!("CPU usage (self/children) user: {user}/{child_user} system: {system}/{child_system}")
}

fn used(who: UsageWho) -> (String, String) {
    let seconds = |time: TimeVal| format!("{}.{:06}", time.tv_sec(), time.tv_usec());
    getrusage(who).map_or_else(
        |_| ("?".to_owned(), "?".to_owned()),
        |usage| (seconds(usage.user_time()), seconds(usage.system_time())),
    )
}

#[cfg(test)]
mod tests {
    use vrrp::config::{HmacConfig, HmacMode, HmacReplay, InstanceConfig};

    use super::*;

    #[test]
    fn a_mistake_that_moves_is_the_same_mistake() {
        let lines = [
            "(/etc/a.conf: Line 3) Unknown keyword 'x'",
            "(VI_1) Unknown interface!",
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
        ];
        let loaded = Loaded {
            config: Config::default(),
            exit: None,
            lines: lines.map(str::to_owned).to_vec(),
            notices: Vec::new(),
            files: Vec::new(),
        };
        let mistakes: Vec<_> = loaded.mistakes().into_iter().collect();
        assert_eq!(mistakes, ["(VI_1) Unknown interface!", "Unknown keyword 'x'"]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let fine = Config::default();
        assert_eq!(not_yet(&fine), [""; 0]);
        let hmac = HmacConfig {
            keys: Vec::new(),
            active: 1,
            replay: HmacReplay::Time,
            window: std::time::Duration::from_secs(5),
            mode: HmacMode::Enforce,
        };
        let instance =
            InstanceConfig { name: "V".into(), hmac: Some(hmac), ..InstanceConfig::default() };
        let signed = Config { instances: vec![instance], ..fine };
        assert_eq!(not_yet(&signed), ["(V) not supported yet: auth_hmac"]);
    }
}
