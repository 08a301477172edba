//! Which scripts can run, and as whom.

use std::collections::BTreeSet;

use conf::{Problem, Span};
use vrrp::config::{Config, ScriptConfig};

use super::Resolver;
use crate::draft::{CommandDraft, Draft, ScriptDraft};
use crate::lex::shell_words;
use crate::system::Program;
use crate::wording::{AFTER, CHILD, LIFE, PARENT};

/// The user scripts run as if the configuration names nobody.
const SCRIPT_USER: &str = "keepalived_script";

impl Resolver<'_> {
    pub(super) fn script_user(&mut self, config: &mut Config) {
        let globals = &self.draft.globals;
        let Some(user) = &globals.script_user else {
            let known = self.system.user(SCRIPT_USER).is_some();
            config.globals.script_user = known.then(|| SCRIPT_USER.to_owned());
            return;
        };
        let group = globals.script_group.as_ref();
        let unknown_group = group.is_some_and(|g| self.system.group(&g.text).is_none());
        if self.system.user(&user.text).is_none() || unknown_group {
            self.say(PARENT, user.span, "Error setting global script uid/gid");
            return;
        }
        config.globals.script_user = Some(user.owned());
        config.globals.script_group = group.map(|g| g.owned());
    }

    /// A script that can be run, or the reason why not.
    pub(super) fn script(&mut self, draft: &ScriptDraft) -> Option<ScriptConfig> {
        let name = &draft.config.name;
        let Some(word) = draft.command.as_ref() else {
            self.say(CHILD, draft.end, format!("No script set for vrrp_script {name} - removing"));
            return None;
        };
        let text = &word.text;
        // `</dev/tcp/…` is for a shell.
        let command = if text.starts_with('<') {
            Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()])
        } else {
            shell_words(text)
        };
        let command = match command {
            Ok(command) if !command.is_empty() => command,
            Ok(_) => {
                self.say(
                    CHILD,
                    draft.end,
                    format!("No script set for vrrp_script {name} - removing"),
                );
                return None;
            }
            Err(quote) => {
                let said = format!(
                    "String '{text}': missing terminating {quote}\nNo script set for vrrp_script {name} - removing"
                );
                self.say(CHILD, word.span, said);
                return None;
            }
        };
        if let Some(user) = &draft.user {
            let no_group =
                draft.group.as_ref().is_some_and(|g| self.system.group(&g.text).is_none());
            if self.system.user(&user.text).is_none() || no_group {
                self.say(CHILD, user.span, format!("Unable to set uid/gid for script '{text}'"));
                return None;
            }
        } else if self.draft.globals.script_user.is_some() {
            if self.script_user.is_none() {
                let said = format!("Unable to set default user for vrrp script {name} - removing");
                self.say(CHILD, draft.end, said);
                return None;
            }
        } else if self.draft.globals.globals.script_security && self.script_user.is_none() {
            let mut said = format!("Unable to set default user for vrrp script {name} - removing");
            if !std::mem::replace(&mut self.user_complained, true) {
                said = format!("Unable to set default user {SCRIPT_USER} for script\n{said}");
            }
            self.say(CHILD, draft.end, said);
            return None;
        }
        let mut config = draft.config.clone();
        config.timeout = draft.timeout.unwrap_or(config.interval);
        config.user = draft.user.as_ref().map(|w| w.owned());
        config.group = draft.group.as_ref().map(|w| w.owned());
        config.command = command;
        Some(config)
    }

    /// keepalived knows a script from its block on.
    pub(super) fn undefined_scripts(&mut self, config: &Config) {
        let followers = self.draft.instances.iter().map(|i| (&i.name, &i.track_scripts));
        let groups = self.draft.groups.iter().map(|g| (&g.name, &g.track_scripts));
        for (name, scripts) in followers.chain(groups) {
            for (tracked, span) in scripts {
                if defined_before(self.draft, config, &tracked.script, *span) {
                    continue;
                }
                let script = &tracked.script;
                self.say(
                    CHILD,
                    *span,
                    format!("({name}) track script {script} not found, ignoring..."),
                );
                if config.scripts.iter().any(|s| s.name == *script)
                    && let Some(last) = self.b.problems.last_mut()
                {
                    last.help =
                        Some(format!("move vrrp_script {script} before vrrp_instance {name}"));
                }
            }
        }
    }

    /// Drops scripts nobody follows, which its log speaks of alone.
    pub(super) fn unused_scripts(&mut self, config: &mut Config) {
        let Config { scripts, instances, sync_groups, .. } = config;
        if instances.is_empty() {
            return;
        }
        let followed = instances.iter().map(|instance| &instance.track_scripts);
        let followed = followed.chain(sync_groups.iter().map(|group| &group.track_scripts));
        let names: BTreeSet<&str> = followed.flatten().map(|t| t.script.as_str()).collect();
        scripts.retain(|script| {
            let used = names.contains(script.name.as_str());
            if !used {
                let draft = self.draft.scripts.iter().find(|s| s.config.name == script.name);
                let at = draft.map_or(Span::default(), |draft| draft.span);
                let said = format!("Warning - script {} is not used", script.name);
                self.b.notice(at, Problem::Other(said)).context.push_str(AFTER);
            }
            used
        });
    }

    /// Drops scripts that cannot run, and says whether those that can are anybody's.
    pub(super) fn check_scripts(&mut self, config: &mut Config) {
        let security = config.globals.script_security;
        let mut disabled: Vec<(String, &str)> = Vec::new();
        // Without a line of `-t`: the log alone speaks of them.
        let mut silent: Vec<String> = Vec::new();
        let (mut runs, mut unsafe_one) = (false, false);
        let own = self.system.own_user();
        let uid_of = |user: Option<&String>| match user {
            Some(user) => self.system.user(user).map_or(own, |(uid, _)| uid),
            None => own,
        };
        let default_uid = uid_of(config.globals.script_user.as_ref());
        for script in &config.scripts {
            let for_a_shell = script.command.get(2).is_some_and(|c| c.starts_with('<'));
            if for_a_shell || self.draft.instances.is_empty() {
                continue;
            }
            let uid = script.user.as_ref().map_or(default_uid, |user| uid_of(Some(user)));
            match self.system.program(&script.command[0]) {
                Program::Missing => disabled.push((script.name.clone(), "not found/accessible")),
                Program::NoFile => disabled.push((script.name.clone(), "insecure")),
                Program::NotExecutable => {
                    silent.push(script.name.clone());
                    runs = true;
                }
                Program::Found { insecure, .. } if uid == 0 && insecure && security => {
                    disabled.push((script.name.clone(), "insecure"));
                }
                Program::Found { insecure, .. } => {
                    runs = true;
                    unsafe_one |= insecure && uid == 0;
                }
            }
        }
        let notify = self.draft.instances.iter().map(|i| &i.notify);
        let notify = notify.chain(self.draft.groups.iter().map(|g| &g.notify));
        let readers = [&self.draft.globals.fifo.reader, &self.draft.globals.vrrp_fifo.reader];
        let commands = notify.flat_map(|n| &n.scripts).chain(readers.into_iter().flatten());
        // Without instances there is no process to run them.
        let commands = commands.filter(|_| !self.draft.instances.is_empty());
        for CommandDraft { command, user, .. } in commands {
            let user = user.as_ref().map(|word| word.owned());
            if user.as_ref().is_some_and(|user| self.system.user(user).is_none()) {
                continue;
            }
            let default_uid = user.map_or(default_uid, |user| uid_of(Some(&user)));
            let program = shell_words(&command.text).unwrap_or_default().into_iter().next();
            if let Some(Program::Found { insecure, .. }) = program.map(|p| self.system.program(&p))
            {
                runs = true;
                unsafe_one |= insecure && default_uid == 0;
            }
        }
        let life = [&config.globals.startup_script, &config.globals.shutdown_script];
        let life = life.into_iter().flatten().count() > 0;
        if life && !security {
            self.say(LIFE, Span::default(), "SECURITY VIOLATION - start/shutdown scripts are being executed but script_security not enabled.");
            self.insecure = true;
        }
        for (name, why) in &disabled {
            let due = if *why == "insecure" { "due to" } else { "since" };
            let draft = self.draft.scripts.iter().find(|s| s.config.name == *name);
            let span = draft.and_then(|d| d.command.as_ref()).map_or(Span::default(), |c| c.span);
            self.say(AFTER, span, format!("Disabling track script {name} {due} {why}"));
        }
        let gone = disabled.iter().map(|(name, _)| name).chain(&silent);
        config.scripts.retain(|s| !gone.clone().any(|name| *name == s.name));
        if runs && !security {
            let more = if unsafe_one { " There are insecure scripts." } else { "" };
            self.after(format!(
                "SECURITY VIOLATION - scripts are being executed but script_security not enabled.{more}"
            ));
            self.insecure = true;
        }
    }
}

/// Whether a script's block stands before the line that names it, as keepalived wants it.
fn defined_before(draft: &Draft, config: &Config, name: &str, at: Span) -> bool {
    let usable = config.scripts.iter().any(|s| s.name == name);
    let before = |s: &ScriptDraft| {
        s.config.name == name && (s.span.file != at.file || s.span.start < at.start)
    };
    usable && draft.scripts.iter().any(before)
}
