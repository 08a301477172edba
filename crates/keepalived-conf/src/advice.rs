//! What a file does that its author hardly meant. Never changes an exit code, or what is run.

use std::time::Duration;

use conf::{Binder, Problem, Span, Word};
use vrrp::config::{Initial, OWNER};

use crate::draft::{Draft, InstanceDraft, ScriptDraft};
use crate::system::{Program, System, Weakness};
use crate::wording::CHILD;

/// How long a failure may go unnoticed before it is worth a word.
const SLOW: Duration = Duration::from_secs(10);

struct Advisor<'a> {
    draft: &'a Draft,
    system: &'a dyn System,
    b: &'a mut Binder,
}

/// Adds what is worth knowing.
pub(crate) fn advise(draft: &Draft, system: &dyn System, b: &mut Binder) {
    let mut a = Advisor { draft, system, b };
    for script in &draft.scripts {
        a.script(script);
        if let Some(command) = &script.command {
            a.changeable(command, script.user.as_ref());
        }
    }
    let notify = draft.instances.iter().map(|i| &i.notify);
    let notify = notify.chain(draft.groups.iter().map(|g| &g.notify));
    let readers = [&draft.globals.fifo.reader, &draft.globals.vrrp_fifo.reader];
    for told in notify.flat_map(|n| &n.scripts).chain(readers.into_iter().flatten()) {
        a.changeable(&told.command, told.user.as_ref());
    }
    for instance in &draft.instances {
        a.instance(instance);
    }
    a.static_addresses();
}

impl Advisor<'_> {
    fn note(&mut self, span: Span, said: impl Into<String>, help: impl Into<String>) {
        let diagnostic = self.b.notice(span, Problem::Other(said.into()));
        diagnostic.context.push_str(CHILD);
        diagnostic.help = Some(help.into());
    }

    /// A script root runs and somebody else can change.
    fn changeable(&mut self, command: &Word, user: Option<&Word>) {
        let user = user.or(self.draft.globals.script_user.as_ref());
        let uid = user.map_or(Some(self.system.own_user()), |user| {
            self.system.user(&user.text).map(|(uid, _)| uid)
        });
        let words = crate::lex::shell_words(&command.text).unwrap_or_default();
        let Some(program) = words.first().filter(|_| uid == Some(0)) else { return };
        if let Some(Weakness { part, why, mend }) = self.system.weakness(program) {
            let part = part.display();
            self.note(
                command.span,
                format!("Unsafe permissions found for script '{program}': {part} {why} - {mend}"),
                format!("run '{mend}'"),
            );
        }
    }

    fn script(&mut self, script: &ScriptDraft) {
        let name = &script.config.name;
        let Some(command) = &script.command else { return };
        if let Some(span) = script.surplus {
            self.note(
                script.command.as_ref().map_or(span, |c| c.span.to(span)),
                format!(
                    "vrrp_script {name}: only '{}' is run; what follows is ignored",
                    command.text
                ),
                "put the whole command into one pair of quotes",
            );
        }
        let words = crate::lex::shell_words(&command.text).unwrap_or_default();
        let Some(program) = words.first() else { return };
        if words.iter().any(|w| ["&&", "||", "|", ";", ">", ">>"].contains(&w.as_str())) {
            self.note(
                command.span,
                format!("vrrp_script {name}: no shell reads this command; its operators are arguments of '{program}'"),
                "write \"/bin/sh -c '…'\"",
            );
        }
        if !command.text.starts_with('<') {
            let user = script.config.user.clone().or(self
                .draft
                .globals
                .script_user
                .as_ref()
                .map(Word::owned));
            let own = || (self.system.own_user(), self.system.own_user());
            let (uid, gid) = user.and_then(|user| self.system.user(&user)).unwrap_or_else(own);
            match self.system.program(program) {
                Program::Missing => self.note(
                    command.span,
                    format!("Script {program} cannot be accessed - No such file or directory"),
                    "install it and make it executable; until then instances do not follow it",
                ),
                Program::NotExecutable => self.note(
                    command.span,
                    format!("WARNING - script '{program}' is not executable for uid:gid {uid}:{gid} - disabling."),
                    format!("run 'chmod +x {program}'; until then instances do not follow it"),
                ),
                Program::NoFile => self.note(
                    command.span,
                    format!("Wrong file type found in script path '{program}'."),
                    "name the script itself; until then instances do not follow it",
                ),
                Program::Found { found_at: Some(path), .. } => self.note(
                    command.span,
                    format!("vrrp_script {name}: '{program}' is looked up in PATH and found at {}", path.display()),
                    "write the whole path",
                ),
                Program::Found { .. } => {}
            }
        }
        self.stops_itself(script, program);
        let config = &script.config;
        let slow = config.interval * config.fall;
        if config.weight > 0 && !config.reverse {
            self.note(
                script.span,
                format!("vrrp_script {name}: weight {} raises the priority while the check passes, on every node alike; a failure takes it away again", config.weight),
                "make the weight larger than the difference between the nodes' priorities, or negative",
            );
        }
        if slow > SLOW {
            let timeout = script.timeout.unwrap_or(config.interval);
            self.note(
                script.span,
                format!(
                    "vrrp_script {name}: a failure is noticed after up to {} s (interval {} s × fall {}, and up to {} s for the last run)",
                    (slow + timeout).as_secs_f64(),
                    config.interval.as_secs_f64(),
                    config.fall,
                    timeout.as_secs_f64()
                ),
                "lower interval or fall",
            );
        }
    }

    /// A check that stops the daemon it is run by.
    fn stops_itself(&mut self, script: &ScriptDraft, program: &str) {
        let Some(command) = &script.command else { return };
        let text = self.system.read_script(program).unwrap_or_default();
        let stops = |line: &str| {
            let line = line.split('#').next().unwrap_or_default();
            // `kill -0` only asks.
            !line.contains("-0")
                && (line.contains("keepalived") || line.contains("failoverd"))
                && (line.contains("stop") || line.contains("kill") || line.contains("restart"))
        };
        if stops(&command.text) || text.lines().any(stops) {
            let name = &script.config.name;
            self.note(
                command.span,
                format!("vrrp_script {name}: the check stops this daemon, which then does not come back by itself"),
                "let the check fail (exit 1) instead: the instance then leaves the race and returns when it passes",
            );
        }
    }

    fn instance(&mut self, instance: &InstanceDraft) {
        let name = &instance.name;
        let priority = instance.priority;
        if instance.initial == Some(Initial::Master) && priority.is_none() {
            self.note(
                instance.span,
                format!("({name}) state MASTER without a priority means priority 255, the owner of the addresses"),
                "set a priority, a different one on every node",
            );
        } else if instance.initial.is_some() && priority.is_some_and(|p| p != OWNER) {
            self.note(
                instance.span,
                format!("({name}) the state has no effect beyond the start: the priority decides, and must differ from the other nodes'"),
                format!("use another priority than {} on every other node", priority.unwrap_or_default()),
            );
        }
        if instance.common.strict.or(self.draft.globals.common.strict) == Some(true) {
            self.note(
                instance.span,
                format!("({name}) strict mode sets up no packet filter: packets for its addresses are answered by whoever holds them"),
                "nothing, unless the addresses must not answer: then filter them yourself",
            );
        }
        if instance.track_scripts.is_empty() && instance.track_interfaces.is_empty() {
            self.note(
                instance.span,
                format!("({name}) follows no script: if the service behind its addresses dies, they stay here"),
                "add a vrrp_script that checks the service, and track_script",
            );
        }
        for (tracked, span) in &instance.track_scripts {
            let script = self.draft.scripts.iter().find(|s| s.config.name == tracked.script);
            let weight = tracked.weight.or(script.map(|s| s.config.weight)).unwrap_or(0);
            let effective = i32::from(priority.unwrap_or(100)) + i32::from(weight);
            if weight != 0 && !(1..=254).contains(&effective) && priority != Some(OWNER) {
                self.note(
                    *span,
                    format!("({name}) priority {} and weight {weight} go beyond 1 to 254, where the priority stops", priority.unwrap_or(100)),
                    "choose them so that their sum stays within",
                );
            }
        }
    }

    fn static_addresses(&mut self) {
        let draft = self.draft;
        for address in &draft.static_addresses {
            let ip = address.config.address;
            for instance in &draft.instances {
                if instance.addresses.iter().any(|a| a.config.address == ip) {
                    let name = &instance.name;
                    self.note(
                        address.span,
                        format!("{ip} is in static_ipaddress and an address of {name}: it is held by the master alone"),
                        "remove it from static_ipaddress",
                    );
                }
            }
        }
    }
}
