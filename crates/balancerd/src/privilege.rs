//! From the user that may bind ports to the one that serves connections.

use std::io;
use std::path::PathBuf;

use linux::process::Capability;
use nix::unistd::{Gid, Group, Uid, User, chdir, chroot, setgid, setgroups, setuid};
use proxy::Process;

/// A step of [`confine`] that was refused.
#[derive(Debug)]
pub struct ConfineError {
    /// What was tried.
    pub step: Step,
    /// Why it failed.
    pub error: io::Error,
}

/// One step of [`confine`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Changing the root directory. HAProxy: `[haproxy.main()] Cannot chroot(DIR).`
    Chroot(PathBuf),
    /// Finding or becoming the group. HAProxy: `[haproxy.main()] Cannot set gid N.`
    Group(String),
    /// Finding or becoming the user. HAProxy: `[haproxy.main()] Cannot set uid N.`
    User(String),
}

impl std::fmt::Display for ConfineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.step {
            Step::Chroot(path) => write!(f, "Cannot chroot({}).", path.display()),
            Step::Group(group) => write!(f, "Cannot set gid {group}."),
            Step::User(user) => write!(f, "Cannot set uid {user}."),
        }
    }
}

impl std::error::Error for ConfineError {}

/// Changes root, group and user as the configuration says, in this order, after the sockets are
/// bound. Without root a user or group that is this process's own already is fine.
///
/// With `transparent`, CAP_NET_RAW is kept, without which nobody can bind to a client's address.
///
/// # Errors
///
/// The first step that was refused. The process must end then: it may be half confined.
pub fn confine(process: &Process, transparent: bool) -> Result<(), ConfineError> {
    let ids = |error| io::Error::from(error);
    // Names are looked up where the databases are: outside.
    let group = match &process.group {
        Some(group) => Some(
            group_id(group)
                .map_err(|error| ConfineError { step: Step::Group(group.clone()), error })?,
        ),
        None => None,
    };
    let user = match &process.user {
        Some(user) => Some(
            user_id(user)
                .map_err(|error| ConfineError { step: Step::User(user.clone()), error })?,
        ),
        None => None,
    };
    if let Some(root) = &process.chroot {
        chroot(root.as_path()).and_then(|()| chdir("/")).map_err(|error| ConfineError {
            step: Step::Chroot(root.clone()),
            error: ids(error),
        })?;
    }
    if let Some(gid) = group.map(Gid::from_raw)
        && gid != Gid::effective()
    {
        let step = || Step::Group(gid.to_string());
        let set = setgroups(&[gid]).and_then(|()| setgid(gid));
        set.map_err(|error| ConfineError { step: step(), error: ids(error) })?;
    }
    if let Some(uid) = user.map(Uid::from_raw)
        && uid != Uid::effective()
    {
        let step = || Step::User(uid.to_string());
        let failed = |error| ConfineError { step: step(), error };
        let kept = kept(process, transparent);
        if !kept.is_empty() {
            linux::process::keep_capabilities().map_err(failed)?;
        }
        setuid(uid).map_err(|error| failed(ids(error)))?;
        if !kept.is_empty() {
            linux::process::regain_capabilities(&kept).map_err(failed)?;
        }
    }
    Ok(())
}

/// What outlives the change of the user: what `setcap` names, and what `transparent` needs.
fn kept(process: &Process, transparent: bool) -> Vec<Capability> {
    let named = process.global.capabilities.iter().filter_map(|name| match *name {
        "cap_net_raw" => Some(Capability::NetRaw),
        "cap_net_admin" => Some(Capability::NetAdmin),
        "cap_net_bind_service" => Some(Capability::NetBindService),
        "cap_sys_admin" => Some(Capability::SysAdmin),
        _ => None,
    });
    named.chain(transparent.then_some(Capability::NetRaw)).collect()
}

/// The id of a user given by name or as digits.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) when there is no such user.
pub(crate) fn user_id(user: &str) -> io::Result<u32> {
    if let Ok(id) = user.parse() {
        return Ok(id);
    }
    let found = User::from_name(user)?.ok_or(io::ErrorKind::NotFound)?;
    Ok(found.uid.as_raw())
}

/// The id of a group given by name or as digits.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) when there is no such group.
pub(crate) fn group_id(group: &str) -> io::Result<u32> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let found = Group::from_name(group)?.ok_or(io::ErrorKind::NotFound)?;
    Ok(found.gid.as_raw())
}

/// Raises the limit of open files to `wanted`, or as far as this process may.
pub(crate) fn raise_open_files(wanted: u64) -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if soft >= wanted {
        return soft;
    }
    let raised = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard));
    if raised.is_ok() {
        getrlimit(Resource::RLIMIT_NOFILE).map_or(soft, |(soft, _)| soft)
    } else {
        soft
    }
}

/// Allows `most` more open files than there are, and `own` for what the process does for itself.
///
/// # Errors
///
/// What setrlimit(2) lists; a limit that may not be raised stays as it is.
pub(crate) fn limit_open_files(most: u64, own: u64) -> std::io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = most.saturating_add(own).saturating_add(open);
    // With more rights than most have it may be more than it was.
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, wanted, hard))?;
    Ok(())
}

/// The largest core file, in bytes.
///
/// # Errors
///
/// What setrlimit(2) lists.
pub(crate) fn limit_core(bytes: u64) -> std::io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    Ok(setrlimit(Resource::RLIMIT_CORE, bytes, bytes)?)
}

/// The limit up to which this process may open files.
pub(crate) fn open_files_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard)
}
