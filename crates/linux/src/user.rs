//! Users and groups by name.

use std::io;

use nix::unistd::{Gid, Group, Uid, User};

/// Whom a child process runs as.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Identity {
    /// Whom this process runs as.
    #[must_use]
    pub fn current() -> Self {
        Self { uid: Uid::effective().as_raw(), gid: Gid::effective().as_raw() }
    }

    /// The user called `name`, with `group` or, without one, the user's own group.
    ///
    /// Returns `None` if one of them does not exist.
    ///
    /// # Errors
    ///
    /// When the user or group database cannot be read.
    pub fn of(name: &str, group: Option<&str>) -> io::Result<Option<Self>> {
        let Some(user) = User::from_name(name)? else { return Ok(None) };
        let gid = match group {
            None => user.gid,
            Some(group) => match Group::from_name(group)? {
                Some(group) => group.gid,
                None => return Ok(None),
            },
        };
        Ok(Some(Self { uid: user.uid.as_raw(), gid: gid.as_raw() }))
    }
}

/// What this process's user is called, if anything.
#[must_use]
pub fn own_name() -> Option<String> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name)
}
