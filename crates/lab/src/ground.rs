//! The namespaces everything stands in, and whether this machine lets us have them.

use std::fs;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// Whether the ground is a user namespace that maps a single user.
static SINGLE_USER: OnceLock<bool> = OnceLock::new();

/// Moves the process into namespaces of its own: it may now make links and mounts.
///
/// As root the users stay what they are; anyone else becomes root of a user namespace in which
/// there is no other user. Later calls do nothing.
///
/// # Errors
///
/// When the process already has threads, or the machine permits no user namespaces to ordinary
/// users; the message says what to do.
pub fn enter() -> Result<()> {
    if SINGLE_USER.get().is_some() {
        return Ok(());
    }
    let (uid, gid) = (geteuid(), getegid());
    let spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
    if uid.is_root() && unshare(spaces).is_ok() {
        SINGLE_USER.set(false).ok();
    } else {
        if threads()? > 1 {
            bail!("the lab must be entered before the program starts threads");
        }
        unshare(spaces | CloneFlags::CLONE_NEWUSER).with_context(denied)?;
        fs::write("/proc/self/setgroups", "deny").with_context(denied)?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).with_context(denied)?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).with_context(denied)?;
        SINGLE_USER.set(true).ok();
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("the mounts of the host cannot be made private")
}

/// Whether user and group 0 are the only ones here, so that no daemon can become another.
pub fn single_user() -> bool {
    SINGLE_USER.get().copied().unwrap_or_else(|| {
        // A node's agent is a new program: it reads what it was born into.
        fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| map.split_whitespace().nth(2) == Some("1"))
    })
}

fn threads() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/task").context("no /proc")?.count())
}

fn denied() -> String {
    let mut text = String::from(
        "this machine lets neither this user nor its programs make namespaces; run it as root, \
         or permit user namespaces:",
    );
    for (file, wrong, command) in [
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ] {
        if fs::read_to_string(file).is_ok_and(|value| value.trim() == wrong) {
            text.push_str("\n  ");
            text.push_str(command);
        }
    }
    if text.ends_with(':') {
        text.push_str("\n  (a container needs --security-opt seccomp=unconfined or --privileged)");
    }
    text
}
