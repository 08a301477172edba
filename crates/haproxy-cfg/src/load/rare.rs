//! Sections that few files have: `namespace_list`, `acme`, `program`.

use std::path::Path;

use conf::{Severity, Stmt};

use super::Loader;
use crate::say::{Complain, TIGHT};

impl Loader {
    /// The first line of such a section.
    pub(super) fn rare_section(&mut self, stmt: &Stmt) {
        let at = stmt.at();
        match stmt.word(0) {
            "acme" => {
                let text = "section 'acme' is experimental, must be allowed via a global 'expose-experimental-directives'";
                self.binder.complain(Severity::Error, TIGHT, at, text).help =
                    Some("certificates are not asked for here, whatever is allowed".into());
            }
            "program" if stmt.words.len() < 2 => {
                self.binder.refuse(at, "'program' expects an <id> argument");
            }
            "program" => {
                let text = "The 'program' section is deprecated and will be eventually removed, it can be still allowed by setting 'expose-deprecated-directives' keyword in the 'global' section defined before any 'program' section. Please, consider to use a process manager instead of 'program' section, such as sysvinit, systemd, supervisord or s6.";
                self.binder.complain(Severity::Error, TIGHT, at, text).help =
                    Some("start the program by a unit of systemd".into());
            }
            _ => {}
        }
    }

    /// `namespace <name>` of a `namespace_list`.
    pub(super) fn namespace_keyword(&mut self, stmt: &Stmt) {
        let name = stmt.word(1);
        let path = Path::new("/var/run/netns").join(name);
        if !name.is_empty() && self.context.can_read(&path).is_err() {
            let text = format!("Cannot open namespace '{name}'.");
            self.binder.complain(Severity::Error, TIGHT, stmt.at(), text).help =
                Some(format!("ip netns add {name}"));
        }
    }
}

/// What is refused of a section as a whole, so that its lines are not looked at.
pub(super) fn is_refused(section: &str) -> bool {
    matches!(section, "acme" | "program")
}
