//! Users and groups, as `userlist` has them.

use std::collections::HashMap;

/// A password, and the groups of who knows it.
type User = (Box<[u8]>, Vec<Box<str>>);

/// A `userlist`. Its passwords are kept as they are written (`insecure-password`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Users {
    /// Its name.
    pub name: Box<str>,
    /// It has passwords that are encrypted, which cannot be compared here.
    pub locked: bool,
    users: HashMap<Box<[u8]>, User>,
}

impl Users {
    /// An empty list.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), locked: false, users: HashMap::new() }
    }

    /// Adds a user; whether there was none of that name.
    pub fn add(&mut self, user: &str, password: &str, groups: Vec<Box<str>>) -> bool {
        let entry = (password.as_bytes().into(), groups);
        self.users.insert(user.as_bytes().into(), entry).is_none()
    }

    /// Whether it has this user.
    pub fn has(&self, user: &str) -> bool {
        self.users.contains_key(user.as_bytes())
    }

    /// A user becomes a member of a group.
    pub fn join(&mut self, user: &str, group: &str) {
        if let Some((_, groups)) = self.users.get_mut(user.as_bytes())
            && !groups.iter().any(|known| **known == *group)
        {
            groups.push(group.into());
        }
    }

    /// The groups of a user who says the right password.
    pub fn groups(&self, user: &[u8], password: &[u8]) -> Option<&[Box<str>]> {
        let (known, groups) = self.users.get(user)?;
        // Every byte is looked at, so that the time says nothing of them.
        let mut differs = u8::from(known.len() != password.len());
        for (at, byte) in password.iter().enumerate() {
            differs |= byte ^ known.get(at).copied().unwrap_or(!byte);
        }
        (differs == 0).then_some(groups)
    }
}

/// The user and the password of `Basic` credentials (RFC 7617 §2).
pub fn basic(authorization: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = crate::convert::base64(rest.trim_ascii())?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    Some((text[..colon].to_vec(), text[colon + 1..].to_vec()))
}
