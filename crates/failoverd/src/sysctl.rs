//! Settings of interfaces below `/proc/sys/net`.

use std::fs;
use std::io;

/// A setting and what it was before we changed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Changed {
    path: String,
    before: String,
}

/// Sets `name` of `interface` for a family (`ipv4`, `ipv6`). Returns what it was, if it was not that
/// already. A setting the kernel does not have is no error: the feature it is of is missing too.
pub(crate) fn set(
    family: &str,
    interface: &str,
    name: &str,
    value: &str,
) -> io::Result<Option<Changed>> {
    let path = format!("/proc/sys/net/{family}/conf/{interface}/{name}");
    let before = match fs::read_to_string(&path) {
        Ok(before) => before.trim_end().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if before == value {
        return Ok(None);
    }
    fs::write(&path, value)?;
    Ok(Some(Changed { path, before }))
}

/// Reads `name` of `interface`; none if there is no such setting.
pub(crate) fn get(family: &str, interface: &str, name: &str) -> Option<String> {
    let path = format!("/proc/sys/net/{family}/conf/{interface}/{name}");
    fs::read_to_string(path).ok().map(|value| value.trim_end().to_owned())
}

/// The interfaces there are settings of for a family: all of the namespace, `all` and `default`.
pub(crate) fn interfaces(family: &str) -> io::Result<Vec<String>> {
    let names = fs::read_dir(format!("/proc/sys/net/{family}/conf"))?;
    names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

impl Changed {
    /// One that an earlier process made.
    pub(crate) fn earlier(path: String, before: u64) -> Self {
        Self { path, before: before.to_string() }
    }

    /// Where it is, and what it was.
    pub(crate) fn before(&self) -> (&str, Option<u64>) {
        (&self.path, self.before.parse().ok())
    }

    /// Sets it back. The interface may be gone.
    pub(crate) fn restore(&self) {
        let _ = fs::write(&self.path, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn a_setting_is_changed_once_and_set_back() {
        let thread = std::thread::spawn(|| {
            // /proc/sys/net is that of the thread's namespace.
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                return eprintln!("SKIPPED: no network namespace: {error}");
            }
            if fs::write("/proc/sys/net/ipv4/conf/lo/arp_ignore", "0").is_err() {
                return eprintln!("SKIPPED: /proc/sys is not to be written");
            }
            let changed = set("ipv4", "lo", "arp_ignore", "1").expect("written");
            assert_eq!(get("ipv4", "lo", "arp_ignore").as_deref(), Some("1"));
            assert_eq!(set("ipv4", "lo", "arp_ignore", "1").expect("read"), None);
            changed.expect("it was another").restore();
            assert_eq!(get("ipv4", "lo", "arp_ignore").as_deref(), Some("0"));
            assert_eq!(set("ipv4", "lo", "no_such_setting", "1").expect("no error"), None);
        });
        thread.join().expect("the assertions hold");
    }
}
