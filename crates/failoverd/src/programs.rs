//! The operator's programs, and whom they run as.

use daemon::script::{Account, Script as Program};
use vrrp::config::{Command, Globals};

/// `command`, ready to be run.
pub(crate) fn program(command: &Command, globals: &Globals) -> Program {
    Program {
        command: command.words.iter().map(Into::into).collect(),
        account: account(command.user.as_deref(), command.group.as_deref(), globals),
        timeout: None,
    }
}

/// The user named, else the configuration's `script_user`, else ourselves.
pub(crate) fn account(user: Option<&str>, group: Option<&str>, globals: &Globals) -> Account {
    match (user, &globals.script_user) {
        (Some(user), _) => Account::named(user, group),
        (None, Some(user)) => Account::named(user, globals.script_group.as_deref()),
        (None, None) => Account::ours(),
    }
}
