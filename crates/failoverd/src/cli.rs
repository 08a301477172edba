//! The command line: keepalived's, and a few words of our own.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use daemon::argv::{self, ArgvError, Given, Opt, Takes};
use daemon::log::Facility;

/// Every option, in the order `--help` prints them.
const OPTIONS: &[Opt] = &[
    Opt::new('f', "use-file", Takes::Value("FILE"), "Use the specified configuration file"),
    Opt::new('P', "vrrp", Takes::Nothing, "Only run with VRRP subsystem"),
    Opt::new('C', "check", Takes::Nothing, "Only run with Health-checker subsystem"),
    Opt::new('B', "no_bfd", Takes::Nothing, "Don't run BFD subsystem"),
    Opt::long("all", Takes::Nothing, "Run all child processes, even without configuration"),
    Opt::new('l', "log-console", Takes::Nothing, "Log messages to local console"),
    Opt::new('D', "log-detail", Takes::Nothing, "Detailed log messages"),
    Opt::new(
        'S',
        "log-facility",
        Takes::Value("([0-7]|local[0-7]|user|daemon)"),
        "Set syslog facility",
    ),
    Opt::new('G', "no-syslog", Takes::Nothing, "Don't log via syslog"),
    Opt::new('u', "umask", Takes::Value("MASK"), "umask for file creation"),
    Opt::new('X', "release-vips", Takes::Nothing, "Drop VIP on transition from signal"),
    Opt::new('V', "dont-release-vrrp", Takes::Nothing, "Keep virtual addresses on daemon stop"),
    Opt::new('I', "dont-release-ipvs", Takes::Nothing, "Keep IPVS topology on daemon stop"),
    Opt::new('R', "dont-respawn", Takes::Nothing, "Don't respawn child processes"),
    Opt::new('n', "dont-fork", Takes::Nothing, "Don't fork the daemon process"),
    Opt::new('d', "dump-conf", Takes::Nothing, "Log the configuration at the start"),
    Opt::new('p', "pid", Takes::Value("FILE"), "Use specified pidfile for parent process"),
    Opt::new('r', "vrrp_pid", Takes::Value("FILE"), "Use specified pidfile for VRRP child process"),
    Opt::new('c', "checkers_pid", Takes::Value("FILE"), "Use specified pidfile for checkers"),
    Opt::new('b', "bfd_pid", Takes::Value("FILE"), "Use specified pidfile for BFD child process"),
    Opt::new('a', "address-monitoring", Takes::Nothing, "Report all address changes"),
    Opt::new('x', "snmp", Takes::Nothing, "Enable SNMP subsystem"),
    Opt::new('A', "snmp-agent-socket", Takes::Value("FILE"), "Use this socket for master agent"),
    Opt::new('s', "namespace", Takes::Value("NAME"), "Run in network namespace NAME"),
    Opt::new('m', "core-dump", Takes::Nothing, "Produce core dump if terminate abnormally"),
    Opt::new('M', "core-dump-pattern", Takes::Maybe("PATN"), "Also set core_pattern to PATN"),
    Opt::new('e', "all-config", Takes::Nothing, "Error if any configuration file missing"),
    Opt::new('i', "config-id", Takes::Value("id"), "Take lines beginning '@id', not '@^id'"),
    Opt::new('T', "genhash", Takes::Nothing, "Enter into genhash utility mode"),
    Opt::long("signum", Takes::Value("SIGFUNC"), "Return signal number for STOP, RELOAD, …"),
    Opt::new('t', "config-test", Takes::Maybe("LOG_FILE"), "Check the configuration"),
    Opt::long("explain", Takes::Nothing, "With -t: show each mistake in its line"),
    Opt::new('v', "version", Takes::Nothing, "Display the version number"),
    Opt::new('h', "help", Takes::Nothing, "Display this help message"),
    Opt::new('g', LOG_FILE, Takes::Nothing, "Log to a file (internal)"),
    Opt::long(ROLE, Takes::Value("vrrp"), "Be that child process (internal)"),
    Opt::long(IDENT, Takes::Value("SUFFIX"), "Behind the name in logs (internal)"),
];

/// keepalived takes it only where it was built to, which Debian's is not.
const LOG_FILE: &str = "log-file";
/// With [`ROLE`]: what its supervisor appends to its name in the logs.
pub(crate) const IDENT: &str = "ident";
/// Options that are in no help.
const HIDDEN: [&str; 3] = [ROLE, IDENT, LOG_FILE];

/// The option a child process is started with; keepalived forks, and so needs none.
pub(crate) const ROLE: &str = "role";

/// Options of features that are not there. Silence would be a promise.
const NOT_YET: [&str; 1] = ["genhash"];

/// Whose manners are asked for: decided by the name the program was started by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Persona {
    /// Called `keepalived`.
    Keepalived,
    /// Called anything else, our own name first.
    Failoverd,
}

impl Persona {
    pub(crate) fn of(name: &OsStr) -> Self {
        if name == "keepalived" { Self::Keepalived } else { Self::Failoverd }
    }

    /// The syslog ident of the parent; a child appends an underscore and its role.
    pub(crate) fn ident(self) -> &'static str {
        match self {
            Self::Keepalived => "Keepalived",
            Self::Failoverd => "Failoverd",
        }
    }

    /// `Keepalived v2.2.7 (failoverd 0.1.0)`: scripts look for the first two words, and decide by
    /// the number what they may configure.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Keepalived => {
                concat!("Keepalived v2.2.7 (failoverd ", env!("CARGO_PKG_VERSION"), ")")
            }
            Self::Failoverd => concat!("Failoverd v", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// Say this on standard error and end well.
    Say(String),
    /// Say this on standard output and end well.
    Answer(String),
    /// Check the configuration, with the result to this file instead of standard error.
    Test(Option<PathBuf>),
    /// Run as daemon.
    Run,
    /// Be a child of the daemon.
    Role(OsString),
}

/// How to do it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    pub(crate) persona: Persona,
    pub(crate) file: PathBuf,
    pub(crate) config_id: Option<String>,
    pub(crate) foreground: bool,
    pub(crate) console: bool,
    pub(crate) syslog: bool,
    pub(crate) facility: Facility,
    pub(crate) detail: bool,
    pub(crate) dump: bool,
    pub(crate) explain: bool,
    pub(crate) respawn: bool,
    pub(crate) keep_addresses: bool,
    pub(crate) only_vrrp: bool,
    pub(crate) only_checkers: bool,
    pub(crate) pid_file: PathBuf,
    /// It is not named on the command line, but by the configuration or nobody.
    pub(crate) default_pid_file: bool,
    pub(crate) vrrp_pid_file: PathBuf,
    /// The same.
    pub(crate) default_vrrp_pid_file: bool,
    /// Of files that are created, whatever the configuration says.
    pub(crate) umask: Option<u32>,
    /// Every file that is included must be there.
    pub(crate) all_included: bool,
    /// All changes of addresses are logged.
    pub(crate) all_addresses: bool,
    /// An SNMP agent is told, whatever the configuration says.
    pub(crate) snmp: bool,
    /// Where it listens, whatever the configuration says.
    pub(crate) snmp_socket: Option<String>,
    /// The network namespace, whatever the configuration says.
    pub(crate) namespace: Option<String>,
    /// A process that ends abnormally leaves its memory behind.
    pub(crate) core_dump: bool,
    /// Where the kernel puts it.
    pub(crate) core_pattern: Option<String>,
    /// Behind the name in the log.
    pub(crate) ident_suffix: String,
    /// Words that are no options; said to be ignored, and ignored.
    pub(crate) operands: Vec<OsString>,
    /// Values not understood; keepalived says so and goes on.
    pub(crate) remarks: Vec<String>,
}

impl Options {
    pub(crate) fn new(persona: Persona) -> Self {
        Self {
            persona,
            file: "/etc/keepalived/keepalived.conf".into(),
            config_id: None,
            foreground: false,
            console: false,
            syslog: true,
            facility: Facility::DAEMON,
            detail: false,
            dump: false,
            explain: persona == Persona::Failoverd,
            respawn: true,
            keep_addresses: false,
            only_vrrp: false,
            only_checkers: false,
            pid_file: "/run/keepalived.pid".into(),
            default_pid_file: true,
            vrrp_pid_file: "/run/vrrp.pid".into(),
            default_vrrp_pid_file: true,
            umask: None,
            all_included: false,
            all_addresses: false,
            snmp: false,
            snmp_socket: None,
            namespace: None,
            core_dump: false,
            core_pattern: None,
            ident_suffix: String::new(),
            operands: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// Why nothing is done; the exit code is 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refused(pub(crate) String);

impl From<ArgvError> for Refused {
    fn from(error: ArgvError) -> Self {
        Self(error.to_string())
    }
}

/// Reads the command line, the name of the program left out.
///
/// As keepalived does, `-v`, `-h` and `--signum` are answered where they stand, whatever follows.
pub(crate) fn read(
    persona: Persona,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Command, Options), Refused> {
    let Given { options: given, operands } = argv::parse(OPTIONS, arguments)?;
    let mut options = Options { operands, ..Options::new(persona) };
    let mut command = Command::Run;
    for argv::GivenOption { opt, value } in given {
        let value = value.unwrap_or_default();
        match opt.long {
            "version" => return Ok((Command::Say(version(persona)), options)),
            "help" => return Ok((Command::Say(help(persona)), options)),
            "signum" => {
                let number = signal_number(&value)
                    .ok_or_else(|| Refused(format!("Unknown sigfunc {}", value.display())))?;
                return Ok((Command::Answer(format!("{number}\n")), options));
            }
            "config-test" => {
                let file = (!value.is_empty()).then(|| PathBuf::from(value));
                command = Command::Test(file);
            }
            ROLE => command = Command::Role(value),
            "use-file" => options.file = value.into(),
            "config-id" => options.config_id = Some(value.to_string_lossy().into_owned()),
            "dont-fork" => options.foreground = true,
            "log-console" => options.console = true,
            "no-syslog" => options.syslog = false,
            "log-detail" => options.detail = true,
            "log-facility" => match facility(&value) {
                Some(facility) => options.facility = facility,
                None => {
                    options.remarks.push(format!("Invalid log facility '{}'", value.display()));
                }
            },
            "dump-conf" => options.dump = true,
            "explain" => options.explain = true,
            "dont-respawn" => options.respawn = false,
            "dont-release-vrrp" => options.keep_addresses = true,
            "vrrp" => options.only_vrrp = true,
            "check" => options.only_checkers = true,
            "pid" => {
                options.pid_file = value.into();
                options.default_pid_file = false;
            }
            "vrrp_pid" => {
                options.vrrp_pid_file = value.into();
                options.default_vrrp_pid_file = false;
            }
            "umask" => match umask(&value) {
                Some(mask) => options.umask = Some(mask),
                None => {
                    options.remarks.push(format!("Invalid --umask option {}", value.display()));
                }
            },
            "all-config" => options.all_included = true,
            "address-monitoring" => options.all_addresses = true,
            "snmp" => options.snmp = true,
            "snmp-agent-socket" => {
                options.snmp_socket = Some(value.to_string_lossy().into_owned());
            }
            "namespace" => options.namespace = Some(value.to_string_lossy().into_owned()),
            "core-dump" => options.core_dump = true,
            "core-dump-pattern" => {
                let pattern = Some(value).filter(|value| !value.is_empty());
                let pattern = pattern.map(|value| value.to_string_lossy().into_owned());
                options.core_pattern = Some(pattern.unwrap_or_else(|| "core".to_owned()));
            }
            IDENT => options.ident_suffix = value.to_string_lossy().into_owned(),
            LOG_FILE => {
                return Err(Refused("-g requires configure option --enable-log-file".into()));
            }
            // Addresses are always taken away when we stop, unless `-V` says otherwise; and there is
            // no IPVS to leave as it is.
            "release-vips" | "dont-release-ipvs" => {}
            // Their processes do not exist: there is nothing to leave out, or to write down.
            "no_bfd" | "checkers_pid" | "bfd_pid" | "all" => {}
            long => {
                debug_assert!(NOT_YET.contains(&long), "{long} is read nowhere");
                return Err(Refused(format!("not supported yet: --{long}")));
            }
        }
    }
    Ok((command, options))
}

/// As strtol(3) reads it with base 0: octal behind a zero, hexadecimal behind `0x`.
fn umask(value: &OsStr) -> Option<u32> {
    let text = value.to_str()?;
    let mask = if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        u32::from_str_radix(digits, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        u32::from_str_radix(text, 8)
    } else {
        text.parse()
    };
    mask.ok().filter(|&mask| mask <= 0o777)
}

fn facility(value: &OsStr) -> Option<Facility> {
    let value = value.to_str()?;
    match value {
        "user" | "daemon" => Facility::named(value),
        _ => Facility::local(value.strip_prefix("local").unwrap_or(value).parse().ok()?),
    }
}

/// The number of the signal for what `function` names, on Linux.
fn signal_number(function: &OsStr) -> Option<i32> {
    Some(match function.to_str()? {
        "STOP" => 15,
        "RELOAD" => 1,
        "DATA" => 10,
        "STATS" => 12,
        // SIGRTMAX - 1
        "STATS_CLEAR" => 63,
        // SIGRTMIN + 2
        "JSON" => 36,
        _ => return None,
    })
}

fn version(persona: Persona) -> String {
    let mut text = format!("{}\n\n", persona.version());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}\n", running_on());
    text.push_str("Config options:  VRRP VRRP_AUTH SYSTEMD_NOTIFY ADDRESS_LEASE\n\n");
    text.push_str("System options:  MEMFD_CREATE IFA_FLAGS\n");
    text
}

/// `Running on Linux 6.1.0 #1 SMP`, or only its first three words if the kernel does not say more.
pub(crate) fn running_on() -> String {
    let uname = nix::sys::utsname::uname();
    let field = |field: fn(&nix::sys::utsname::UtsName) -> &OsStr| {
        uname.as_ref().map(|uname| field(uname).to_string_lossy().into_owned()).unwrap_or_default()
    };
    format!(
        "Running on {} {} {}",
        field(nix::sys::utsname::UtsName::sysname),
        field(nix::sys::utsname::UtsName::release),
        field(nix::sys::utsname::UtsName::version),
    )
}

fn help(persona: Persona) -> String {
    let name = match persona {
        Persona::Keepalived => "keepalived",
        Persona::Failoverd => "failoverd",
    };
    format!("Usage: {name} [OPTION...]\n{}", help_lines())
}

/// One line for each option, but the internal one.
pub(crate) fn help_lines() -> String {
    let mut text = String::new();
    for opt in OPTIONS.iter().filter(|opt| !HIDDEN.contains(&opt.long)) {
        let note = if NOT_YET.contains(&opt.long) { " (not supported yet)" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{opt}{note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(Command, Options), Refused> {
        read(Persona::Keepalived, line.split_whitespace().map(Into::into))
    }

    #[test]
    fn debians_unit_and_the_usual_tutorials_are_understood() {
        let (command, options) = parse("--dont-fork").expect("understood");
        assert_eq!(command, Command::Run);
        assert!(options.foreground && options.syslog && !options.console);
        let (_, options) = parse("-nlD -f /a.conf -p /b.pid -r /c.pid -P").expect("understood");
        assert!(options.console && options.detail && options.only_vrrp);
        assert_eq!(options.file, PathBuf::from("/a.conf"));
        assert_eq!(options.pid_file, PathBuf::from("/b.pid"));
        assert_eq!(options.vrrp_pid_file, PathBuf::from("/c.pid"));
    }

    #[test]
    fn a_test_may_name_a_file_for_its_result() {
        assert_eq!(parse("-t -f x").expect("understood").0, Command::Test(None));
        let file = Command::Test(Some("/tmp/log".into()));
        assert_eq!(parse("-t/tmp/log").expect("understood").0, file);
        assert_eq!(parse("--config-test=/tmp/log").expect("understood").0, file);
    }

    #[test]
    fn the_version_line_has_the_shape_scripts_look_for() {
        let (Command::Say(text), _) = parse("-v").expect("understood") else { panic!("said") };
        assert!(text.starts_with("Keepalived v2."), "{text}");
        let number = text.split_whitespace().nth(1).expect("a number");
        let parts: Vec<u32> = number[1..].split('.').map(|n| n.parse().expect("digits")).collect();
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn signals_are_told_by_their_function() {
        assert_eq!(parse("--signum=RELOAD").expect("known").0, Command::Answer("1\n".into()));
        let refused = parse("--signum=XX").expect_err("unknown");
        assert_eq!(refused.0, "Unknown sigfunc XX");
    }

    #[test]
    fn an_option_without_its_feature_is_refused_by_name() {
        for long in NOT_YET {
            let refused = parse(&format!("--{long}")).expect_err("not there yet");
            assert_eq!(refused.0, format!("not supported yet: --{long}"));
        }
        assert_eq!(parse("--foo").expect_err("unknown").0, "Unknown option --foo");
    }

    #[test]
    fn what_keepalived_takes_is_taken() {
        let (_, options) = parse("-u 022 -a -x -A tcp:1 -s ns -m -Mpat -X -I").expect("understood");
        assert_eq!(options.umask, Some(0o22));
        assert!(options.all_addresses && options.snmp && options.core_dump);
        assert_eq!(options.snmp_socket.as_deref(), Some("tcp:1"));
        assert_eq!(options.namespace.as_deref(), Some("ns"));
        assert_eq!(options.core_pattern.as_deref(), Some("pat"));
        assert_eq!(parse("-M").expect("alone").1.core_pattern.as_deref(), Some("core"));
        for (text, mask) in [("9", Some(9)), ("0x12", Some(0x12)), ("0", Some(0))] {
            assert_eq!(parse(&format!("-u {text}")).expect("a number").1.umask, mask);
        }
        for text in ["xyz", "0777777", "08"] {
            let (_, options) = parse(&format!("-u {text}")).expect("it goes on");
            assert_eq!(options.remarks, [format!("Invalid --umask option {text}")]);
        }
        let refused = parse("-g").expect_err("Debian's keepalived cannot either");
        assert_eq!(refused.0, "-g requires configure option --enable-log-file");
    }

    #[test]
    fn every_option_is_either_read_or_refused() {
        for opt in OPTIONS {
            let line = match opt.takes {
                Takes::Value(_) => format!("--{}=1", opt.long),
                Takes::Nothing | Takes::Maybe(_) => format!("--{}", opt.long),
            };
            // `read` asserts that what falls through is in the list of what is refused.
            let _ = parse(&line);
        }
    }

    #[test]
    fn a_facility_nobody_knows_is_remarked_on() {
        let (_, options) = parse("-S 9").expect("it goes on");
        assert_eq!(options.remarks, ["Invalid log facility '9'"]);
        assert_eq!(options.facility, Facility::DAEMON);
        let (_, options) = parse("-S local3 -S 3").expect("known");
        assert_eq!(Some(options.facility), Facility::local(3));
    }
}
