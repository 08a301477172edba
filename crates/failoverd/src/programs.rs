//! The operator's programs, and whom they run as.

use std::ffi::OsStr;

use daemon::script::{Account, Guard, Script as Program};
use keepalived_conf::{System as _, Weakness};
use vrrp::config::{Command, Globals};

/// `command`, ready to be run.
pub(crate) fn program(command: &Command, globals: &Globals) -> Program {
    Program {
        command: command.words.iter().map(Into::into).collect(),
        account: account(command.user.as_deref(), command.group.as_deref(), globals),
        timeout: None,
        guard: guard(globals),
    }
}

/// With `enable_script_security`, root runs only what nobody else can change.
pub(crate) fn guard(globals: &Globals) -> Option<Guard> {
    globals.script_security.then_some(|program: &OsStr| {
        match keepalived_conf::Host.weakness(&program.to_string_lossy()) {
            None => Ok(()),
            Some(Weakness { part, why, mend }) => {
                let (program, part) = (program.to_string_lossy(), part.display());
                Err(format!(
                    "Unsafe permissions found for script '{program}': {part} {why} - {mend}"
                ))
            }
        }
    })
}

/// The user named, else the configuration's `script_user`, else ourselves.
pub(crate) fn account(user: Option<&str>, group: Option<&str>, globals: &Globals) -> Account {
    match (user, &globals.script_user) {
        (Some(user), _) => Account::named(user, group),
        (None, Some(user)) => Account::named(user, globals.script_group.as_deref()),
        (None, None) => Account::ours(),
    }
}
