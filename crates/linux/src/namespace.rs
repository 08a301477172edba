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

/// A network namespace in which sockets are made one at a time, while the thread lives in another.
#[derive(Debug)]
pub struct Network {
    there: File,
    home: File,
}

impl Network {
    /// Opens the namespace called `name`, and remembers that of the process.
    ///
    /// # Errors
    ///
    /// As [`enter_network`], except that entering it may still not be allowed.
    pub fn open(name: &str) -> io::Result<Self> {
        if name.is_empty() || name.contains('/') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let there = File::open(Path::new(NAMED).join(name))?;
        Ok(Self { there, home: File::open("/proc/self/ns/net")? })
    }

    /// Does something in the namespace. What it opens belongs there for good.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` without `CAP_SYS_ADMIN`; then `what` has not been done.
    pub fn within<T>(&self, what: impl FnOnce() -> T) -> io::Result<T> {
        setns(&self.there, CloneFlags::CLONE_NEWNET)?;
        let done = what();
        if setns(&self.home, CloneFlags::CLONE_NEWNET).is_err() {
            // Whatever this thread did from here on would be done on the wrong network.
            std::process::abort();
        }
        Ok(done)
    }
}
