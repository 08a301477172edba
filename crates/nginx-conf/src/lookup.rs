//! What a configuration asks the machine.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

/// Names of hosts, users and groups, and what the process may do.
#[derive(Clone, Debug)]
pub struct Lookups {
    /// Whether the process has root's rights, without which `user` means nothing.
    pub superuser: bool,
    /// The addresses of a host; empty where it is unknown.
    pub resolve: fn(&str) -> Vec<IpAddr>,
    /// Whether a user exists.
    pub user: fn(&str) -> bool,
    /// Whether a group exists.
    pub group: fn(&str) -> bool,
    /// Whether a file exists.
    pub exists: fn(&Path) -> bool,
}

impl Lookups {
    /// A machine that knows `localhost` and nothing else.
    pub fn offline() -> Self {
        Self {
            superuser: false,
            resolve: |name| match name {
                "localhost" => vec![std::net::Ipv4Addr::LOCALHOST.into()],
                _ => vec![],
            },
            user: |_| false,
            group: |_| false,
            exists: |_| false,
        }
    }
}

impl Default for Lookups {
    /// The system's resolver, `/etc/passwd` and `/etc/group`. Root's rights are for the caller to
    /// tell: this crate asks the kernel nothing.
    fn default() -> Self {
        Self {
            superuser: false,
            resolve: system_resolve,
            user: |name| is_in("/etc/passwd", name),
            group: |name| is_in("/etc/group", name),
            exists: Path::exists,
        }
    }
}

fn system_resolve(name: &str) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    if let Ok(found) = (name, 0).to_socket_addrs() {
        for ip in found.map(|address| address.ip()) {
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
    }
    ips
}

fn is_in(file: &str, name: &str) -> bool {
    std::fs::read_to_string(file)
        .is_ok_and(|text| text.lines().any(|line| line.split(':').next() == Some(name)))
}
