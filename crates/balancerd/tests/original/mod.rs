//! The HAProxy that tests run beside: the program that `HAPROXY` names, or the one Debian installs.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// A HAProxy.
pub(crate) struct Original {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its version: 2.6 is `(2, 6)`.
    pub(crate) version: (u32, u32),
}

impl Original {
    /// Whether it is of that version or a later one.
    pub(crate) fn since(&self, major: u32, minor: u32) -> bool {
        self.version >= (major, minor)
    }

    /// A call of it.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

/// The HAProxy to run beside, whose version is said; `None`, which is said too, where there is none.
pub(crate) fn original() -> Option<&'static Original> {
    static KNOWN: LazyLock<Option<Original>> = LazyLock::new(|| {
        let named = std::env::var_os("HAPROXY").map(PathBuf::from);
        let path = named.unwrap_or_else(|| PathBuf::from("/usr/sbin/haproxy"));
        let said = Command::new(&path).arg("-v").output().ok()?.stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let (major, minor) = said.strip_prefix("HAProxy version ")?.split_once('.')?;
        let minor = minor.split(|c: char| !c.is_ascii_digit()).next()?;
        let version = (major.parse().ok()?, minor.parse().ok()?);
        // What is said and done between is like neither: 3.0 hashes otherwise than both, too.
        if version > (2, 6) && version < (3, 2) {
            println!("SKIPPED: {} is neither 2.6 nor 3.2 or later", path.display());
            return None;
        }
        println!("beside {}: {}", path.display(), said.lines().next().unwrap_or_default());
        Some(Original { path, version })
    });
    if KNOWN.is_none() {
        println!("SKIPPED: there is no HAProxy to run beside");
    }
    KNOWN.as_ref()
}

/// Its path, where there is one.
pub(crate) fn path() -> Option<&'static Path> {
    original().map(|original| original.path.as_path())
}
