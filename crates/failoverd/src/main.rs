//! `failoverd`: VRRP for Linux, in keepalived's place.
//!
//! ```text
//!   keepalived / failoverd            signals, pid file, systemd, restarts
//!     │  supervisor ─────────────────────────────────────────────────────
//!     │      ▲ reports
//!     └──► role `vrrp`                elections, adverts, addresses
//!            ├─ thread `kernel`       netlink requests, ARP
//!            ├─ threads `scripts`     start the operator's programs: checks, notifications
//!            ├─ thread `files`        reads tracked files
//!            └─ thread `processes`    counts tracked processes
//! ```
//!
//! Started by the name `keepalived`, it behaves as that program does: options, configuration,
//! signals, files, log lines and exit codes. By any other name it shows mistakes in a configuration
//! with their line.
//!
//! ```console
//! $ failoverd check keepalived.conf
//! # keepalived -n -l -D -f keepalived.conf
//! ```
#![forbid(unsafe_code)]

mod asked;
mod cli;
mod configuration;
mod dump;
mod exit;
mod files;
mod ledger;
mod life;
mod links;
mod notify;
mod own;
mod place;
mod processes;
mod programs;
mod release;
mod report;
mod role;
mod snmp;
mod status;
mod supervisor;
mod sysctl;
mod takeover;
mod trackers;
mod view;
mod vmac;
mod worker;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use daemon::argv::program_name;

use crate::cli::{Command, Persona, Refused};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let argv0 = arguments.next().unwrap_or_else(|| OsString::from("failoverd"));
    let name = program_name(&argv0).to_owned();
    // A role is started through /proc/self/exe, which the kernel would call it by.
    linux::process::set_name(&name);
    let arguments: Vec<OsString> = arguments.collect();
    let persona = Persona::of(&name);
    if own::is_meant(persona, &arguments) {
        return own::run(&arguments).into();
    }
    let (command, options) = match cli::read(persona, arguments.iter().cloned()) {
        Ok(read) => read,
        Err(Refused(why)) => {
            say(&format!("{why}\n"));
            return exit::FATAL.into();
        }
    };
    for remark in &options.remarks {
        say(&format!("{remark}\n"));
    }
    if !options.operands.is_empty() {
        let operands: Vec<_> = options.operands.iter().map(|o| o.to_string_lossy()).collect();
        say(&format!("Unexpected argument(s): {} \n", operands.join(" ")));
    }
    let code = match command {
        Command::Say(text) => {
            say(&text);
            exit::OK
        }
        Command::Answer(text) => {
            // Nobody may be listening, as with `| head`.
            let _ = std::io::stdout().write_all(text.as_bytes());
            exit::OK
        }
        Command::Test(file) => configuration::test(&options, file.as_deref()),
        Command::Run => supervisor::run(options, &argv0, &arguments),
        Command::Role(role) if role == "vrrp" => role::run(options),
        Command::Role(role) => {
            say(&format!("not supported yet: --{}={}\n", cli::ROLE, role.display()));
            exit::FATAL
        }
    };
    code.into()
}

/// Writes to standard error; a closed one is no reason to fail.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
