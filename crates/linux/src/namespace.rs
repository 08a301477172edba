//! Network namespaces.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, setns};

/// Where ip-netns(8) keeps them.
const NAMED: &str = "/run/netns";

/// Takes the calling thread, and those it starts from now on, to the network namespace called
/// `name`. What it has opened stays where it is.
///
/// # Errors
///
/// `NotFound` if there is none, `PermissionDenied` without `CAP_SYS_ADMIN`; a name with a slash is
/// none.
pub fn enter_network(name: &str) -> io::Result<()> {
    if name.is_empty() || name.contains('/') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = File::open(Path::new(NAMED).join(name))?;
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}
