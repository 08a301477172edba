//! Commands that are run and FIFOs that are told.

use std::time::Duration;

use vrrp::config::{Command, Config, FifoConfig, LifeScript, NotifyConfig};

use super::Resolver;
use crate::draft::{CommandDraft, FifoDraft, LifeDraft, NotifyDraft};
use crate::lex::shell_words;
use crate::system::Program;
use crate::wording::{CHILD, PARENT};

/// How long a script of the start or the end is waited for unless set.
const LIFE: Duration = Duration::from_secs(10);

impl Resolver<'_> {
    /// What the daemon runs and tells as a whole.
    pub(super) fn told(&mut self, config: &mut Config) {
        let globals = &self.draft.globals;
        config.globals.fifo = self.fifo(&globals.fifo);
        config.globals.vrrp_fifo = self.fifo(&globals.vrrp_fifo);
        let path = |fifo: &Option<FifoConfig>| fifo.as_ref().map(|f| f.path.clone());
        if let Some(shared) = path(&config.globals.vrrp_fifo)
            && path(&config.globals.fifo).as_ref() == Some(&shared)
        {
            let said = format!(
                "notify FIFO {shared} has been specified for global and vrrp FIFO - ignoring vrrp FIFO"
            );
            let span = globals.vrrp_fifo.path.as_ref().map(|w| w.span).unwrap_or_default();
            self.note(span, said);
            config.globals.vrrp_fifo = None;
        }
        config.globals.startup_script = self.life(&globals.startup);
        config.globals.shutdown_script = self.life(&globals.shutdown);
    }

    fn fifo(&mut self, draft: &FifoDraft) -> Option<FifoConfig> {
        let path = draft.path.as_ref()?;
        let unknown = |r: &Self, user: &Option<conf::Word>, group: &Option<conf::Word>| {
            user.as_ref().is_some_and(|u| r.system.user(&u.text).is_none())
                || group.as_ref().is_some_and(|g| r.system.group(&g.text).is_none())
        };
        if unknown(self, &draft.user, &draft.group) {
            self.note(path.span, format!("Invalid user/group for fifo {} - ignoring", path.text));
            return None;
        }
        Some(FifoConfig {
            path: path.owned(),
            user: draft.user.as_ref().map(|w| w.owned()),
            group: draft.group.as_ref().map(|w| w.owned()),
            reader: draft.reader.as_ref().and_then(|c| self.command(c)),
        })
    }

    fn life(&mut self, draft: &LifeDraft) -> Option<LifeScript> {
        let command = draft.command.as_ref()?;
        let which = command.keyword.split('_').next().unwrap_or_default();
        let known = |r: &Self, c: &CommandDraft| {
            c.user.as_ref().is_none_or(|u| r.system.user(&u.text).is_some())
                && c.group.as_ref().is_none_or(|g| r.system.group(&g.text).is_some())
        };
        if !known(self, command) {
            self.say(PARENT, command.command.span, format!("Invalid {which} script"));
            return None;
        }
        let command = self.command(command)?;
        Some(LifeScript { command, timeout: draft.timeout.unwrap_or(LIFE) })
    }

    /// What is told of the transitions of an instance or a group.
    pub(super) fn notify(&mut self, draft: &NotifyDraft) -> NotifyConfig {
        let globals = &self.draft.globals;
        let alert = draft.smtp_alert.or(globals.smtp_alert_vrrp).or(globals.smtp_alert);
        let mut notify = NotifyConfig {
            deleted_is_told: draft.deleted_is_told,
            priority_changes: draft.priority_changes.unwrap_or(globals.priority_changes),
            smtp_alert: alert.unwrap_or(false),
            ..NotifyConfig::default()
        };
        for script in &draft.scripts {
            let Some(command) = self.command(script) else { continue };
            let place = match script.keyword.as_str() {
                "notify_master" => &mut notify.master,
                "notify_backup" => &mut notify.backup,
                "notify_fault" => &mut notify.fault,
                "notify_stop" => &mut notify.stop,
                "notify_deleted" => &mut notify.deleted,
                "notify_master_rx_lower_pri" => &mut notify.master_rx_lower_pri,
                _ => &mut notify.any,
            };
            *place = Some(command);
        }
        notify
    }

    /// A command that can be run; what keepalived logs of one that cannot.
    pub(super) fn command(&mut self, draft: &CommandDraft) -> Option<Command> {
        let (word, keyword) = (&draft.command, &draft.keyword);
        let text = &word.text;
        let words = match shell_words(text) {
            Ok(words) if !words.is_empty() => words,
            Ok(_) => {
                self.note(word.span, format!("Unable to parse script '{text}' - ignoring"));
                return None;
            }
            Err(quote) => {
                self.say(CHILD, word.span, format!("String '{text}': missing terminating {quote}"));
                return None;
            }
        };
        let unknown = draft.user.as_ref().is_some_and(|u| self.system.user(&u.text).is_none())
            || draft.group.as_ref().is_some_and(|g| self.system.group(&g.text).is_none());
        if unknown {
            let said = format!("Invalid user/group for {keyword} script {text} - ignoring");
            self.note(word.span, said);
            return None;
        }
        let globals = &self.draft.globals;
        let nobody = globals.script_user.is_some() || globals.globals.script_security;
        if draft.user.is_none() && nobody && self.script_user.is_none() {
            let said = format!("Failed to set default user for {keyword} script {text} - ignoring");
            self.note(word.span, said);
            return None;
        }
        let insecure = match self.system.program(&words[0]) {
            Program::Missing => {
                let program = &words[0];
                let said =
                    format!("Script {program} cannot be accessed - No such file or directory");
                self.note(word.span, said);
                return None;
            }
            Program::NoFile => {
                let said = format!("Wrong file type found in script path '{}'.", words[0]);
                self.note(word.span, said);
                return None;
            }
            Program::NotExecutable => {
                let said =
                    format!("WARNING - script '{}' is not executable - disabling.", words[0]);
                self.note(word.span, said);
                return None;
            }
            Program::Found { insecure, .. } => insecure,
        };
        let user = draft.user.as_ref().map(|w| w.text.clone()).or_else(|| self.script_user.clone());
        let uid = match &user {
            Some(user) => self.system.user(user).map_or(0, |(uid, _)| uid),
            None => self.system.own_user(),
        };
        if insecure && uid == 0 && globals.globals.script_security {
            let program = &words[0];
            let said = format!("Unsafe permissions found for script '{program}' - disabling.");
            self.note(word.span, said);
            return None;
        }
        Some(Command {
            words,
            user: draft.user.as_ref().map(|w| w.owned()),
            group: draft.group.as_ref().map(|w| w.owned()),
        })
    }
}
