//! Commands that are run at transitions, and who runs them.

use conf::{Binder, Problem, Stmt, Word};

use super::{complain, switch};
use crate::draft::{CommandDraft, GroupDraft, InstanceDraft, NotifyDraft};

/// A block whose transitions are told: an instance or a group.
pub(super) trait Told {
    /// The draft to fill.
    fn notify(&mut self) -> &mut NotifyDraft;
    /// How a complaint about one of its scripts begins.
    fn prefix(&self) -> String;
    /// How its `notify_priority_changes` and `smtp_alert` are called.
    const KIND: (&'static str, &'static str);
    /// Its name.
    fn called(&self) -> &str;
}

impl Told for InstanceDraft {
    fn notify(&mut self) -> &mut NotifyDraft {
        &mut self.notify
    }

    fn prefix(&self) -> String {
        format!("({})", self.name)
    }

    const KIND: (&'static str, &'static str) = ("", "vrrp_instance");

    fn called(&self) -> &str {
        &self.name
    }
}

impl Told for GroupDraft {
    fn notify(&mut self) -> &mut NotifyDraft {
        &mut self.notify
    }

    fn prefix(&self) -> String {
        format!("vrrp group {}:", self.name)
    }

    const KIND: (&'static str, &'static str) = ("sync group ", "vrrp_group");

    fn called(&self) -> &str {
        &self.name
    }
}

/// `<command> [<user> [<group>]]` behind a keyword.
pub(super) fn command(stmt: &Stmt) -> Option<CommandDraft> {
    let mut words = stmt.words.iter();
    let keyword = words.next()?.owned();
    let command = words.next()?.clone();
    Some(CommandDraft {
        keyword,
        command,
        user: words.next().cloned(),
        group: words.next().cloned(),
    })
}

/// Complains that a keyword stands alone, which ends keepalived.
pub(super) fn missing(stmt: &Stmt, usage: &str, b: &mut Binder) {
    let problem = Problem::MissingArgument {
        keyword: stmt.word(0).to_owned(),
        position: stmt.words.len(),
        usage: usage.to_owned(),
    };
    b.error(stmt.at(), problem);
}

/// `notify`, `notify_master` and their like.
pub(super) fn script<T: Told>(told: &mut T, stmt: &Stmt, b: &mut Binder) {
    let Some(command) = command(stmt) else {
        return missing(stmt, "<command> [<user> [<group>]]", b);
    };
    let prefix = told.prefix();
    let notify = told.notify();
    if notify.scripts.iter().any(|s| s.keyword == command.keyword) {
        let (keyword, text) = (&command.keyword, &command.command.text);
        let said = format!("{prefix} {keyword} script already specified - ignoring {text}");
        complain(b, stmt.at(), said);
        return;
    }
    notify.scripts.push(command);
}

/// `notify_deleted [<command>]`
pub(super) fn deleted(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    if instance.notify.deleted_is_told {
        let said = format!(
            "({}) notify_deleted already specified - ignoring {}",
            instance.name,
            stmt.word(1)
        );
        complain(b, stmt.at(), said);
        return;
    }
    instance.notify.deleted_is_told = true;
    instance.notify.scripts.extend(command(stmt));
}

/// `notify_priority_changes [on|off]`
pub(super) fn priority_changes<T: Told>(told: &mut T, words: &[Word], b: &mut Binder) {
    match switch(words) {
        Some(on) => told.notify().priority_changes = Some(on),
        None => {
            let (name, kind, text) = (told.called(), T::KIND.0, &words[0].text);
            let said = format!(
                "({name}) Invalid value '{text}' for {kind}notify_priority_changes specified"
            );
            complain(b, words[0].span, said);
        }
    }
}

/// `smtp_alert [on|off]`
pub(super) fn smtp_alert<T: Told>(told: &mut T, words: &[Word], b: &mut Binder) {
    match switch(words) {
        Some(on) => told.notify().smtp_alert = Some(on),
        None => {
            let said = format!("Invalid {} smtp_alert parameter {}", T::KIND.1, words[0].text);
            complain(b, words[0].span, said);
        }
    }
}
