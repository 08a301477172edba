//! `userlist`: users, their passwords and groups.

use conf::{Severity, Stmt};
use rules::Users;

use super::Loader;
use crate::say::{Complain, TIGHT};

/// Groups by name, and who is in them.
pub(super) type Groups = Vec<(String, Vec<String>)>;

impl Loader {
    /// A new list.
    pub(super) fn userlist_section(&mut self, name: &str) {
        self.userlists.push((Users::new(name), vec![]));
    }

    /// `user` or `group` of the last list.
    pub(super) fn userlist_keyword(&mut self, stmt: &Stmt) {
        let Some((users, groups)) = self.userlists.last_mut() else { return };
        let name = stmt.word(1);
        let words: Vec<&str> = stmt.words.iter().skip(2).map(|word| word.text.as_str()).collect();
        let refuse = |text: String| (text, stmt.at());
        let refused = match (stmt.word(0), &words[..]) {
            ("group", _) if name.is_empty() => Some(refuse("'group' expects <name>".to_owned())),
            ("group", _) if groups.iter().any(|(known, _)| known == name) => Some(refuse(format!(
                "group name '{name}' already defined in the userlist '{}'",
                users.name
            ))),
            ("group", ["users", members]) => {
                let members = members.split(',').map(str::to_owned).collect();
                groups.push((name.to_owned(), members));
                None
            }
            ("group", _) => {
                groups.push((name.to_owned(), vec![]));
                None
            }
            ("user", [kind, password, rest @ ..])
                if matches!(*kind, "password" | "insecure-password") =>
            {
                if *kind == "password" {
                    // Refused where the list is used.
                    users.locked = true;
                    return;
                }
                let own = match rest {
                    ["groups", names] => names.split(',').map(Into::into).collect(),
                    _ => vec![],
                };
                if users.add(name, password, own) {
                    None
                } else {
                    let list = &users.name;
                    let text = format!("duplicate user name: {name} in the userlist '{list}'");
                    self.binder.complain(Severity::Warning, TIGHT, stmt.at(), text);
                    return;
                }
            }
            ("user", _) if name.is_empty() => Some(refuse("'user' expects <name>".to_owned())),
            ("user", _) => {
                let text = format!("user '{name}' has no password, and nobody can be it");
                self.binder.complain(Severity::Warning, TIGHT, stmt.at(), text);
                return;
            }
            _ => None,
        };
        if let Some((text, at)) = refused {
            self.binder.complain(Severity::Error, TIGHT, at, text);
        }
    }

    /// The list of this name, its groups joined to its users.
    pub(crate) fn userlist(&self, name: &str) -> Option<Users> {
        let (users, groups) = self.userlists.iter().find(|(users, _)| &*users.name == name)?;
        let mut users = users.clone();
        for (group, members) in groups {
            for member in members {
                users.join(member, group);
            }
        }
        Some(users)
    }
}
