//! What is asked of the machine the configurations are for.

use std::net::IpAddr;
use std::process::Command;

/// The machine, as far as a mistake can depend on it. `None` is "unknown", and finds nothing.
pub trait Machine {
    /// Addresses of its interfaces, each with the length of its prefix.
    fn addresses(&self) -> Option<Vec<(IpAddr, u8)>>;
    /// Whether a program may bind an address that is not here (`net.ipv4.ip_nonlocal_bind`,
    /// `net.ipv6.ip_nonlocal_bind`).
    fn nonlocal_bind(&self, ipv6: bool) -> Option<bool>;
    /// The packet filter, as `nft list ruleset` prints it.
    fn firewall(&self) -> Option<String>;
    /// The text of a script, if it is one and can be read.
    fn script(&self, path: &str) -> Option<String>;
    /// Files below a directory that end in `.conf` or `.stream`, with their texts.
    fn files_below(&self, directory: &str) -> Vec<(String, String)>;
}

/// Another machine, of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elsewhere;

impl Machine for Elsewhere {
    fn addresses(&self) -> Option<Vec<(IpAddr, u8)>> {
        None
    }

    fn nonlocal_bind(&self, _: bool) -> Option<bool> {
        None
    }

    fn firewall(&self) -> Option<String> {
        None
    }

    fn script(&self, _: &str) -> Option<String> {
        None
    }

    fn files_below(&self, _: &str) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// The machine this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct This;

/// How much of a script or a configuration is looked at, in bytes.
const MAX_TEXT: u64 = 256 << 10;

impl Machine for This {
    fn addresses(&self) -> Option<Vec<(IpAddr, u8)>> {
        let all = nix::ifaddrs::getifaddrs().ok()?;
        let ip = |storage: nix::sys::socket::SockaddrStorage| {
            let v4 = storage.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
            v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
        };
        let one = |interface: nix::ifaddrs::InterfaceAddress| {
            let address = ip(interface.address?)?;
            let prefix = match ip(interface.netmask?)? {
                IpAddr::V4(mask) => mask.to_bits().count_ones(),
                IpAddr::V6(mask) => mask.to_bits().count_ones(),
            };
            Some((address, prefix as u8))
        };
        Some(all.filter_map(one).collect())
    }

    fn nonlocal_bind(&self, ipv6: bool) -> Option<bool> {
        let family = if ipv6 { "ipv6" } else { "ipv4" };
        let path = format!("/proc/sys/net/{family}/ip_nonlocal_bind");
        Some(std::fs::read_to_string(path).ok()?.trim() == "1")
    }

    fn firewall(&self) -> Option<String> {
        let listed = Command::new("nft").args(["list", "ruleset"]).output().ok()?;
        listed.status.success().then(|| String::from_utf8_lossy(&listed.stdout).into_owned())
    }

    fn script(&self, path: &str) -> Option<String> {
        read_text(path)
    }

    fn files_below(&self, directory: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        below(std::path::Path::new(directory), 4, &mut found);
        found.sort();
        found
    }
}

fn below(directory: &std::path::Path, depth: u8, found: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            if depth > 0 {
                below(&path, depth - 1, found);
            }
        } else if path.extension().is_some_and(|end| end == "conf" || end == "stream")
            && let Some(name) = path.to_str()
            && let Some(text) = read_text(name)
        {
            found.push((name.to_owned(), text));
        }
    }
}

/// A text of ordinary size; nothing where there is none, or a binary.
fn read_text(path: &str) -> Option<String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_TEXT).read_to_string(&mut text).ok()?;
    Some(text)
}
