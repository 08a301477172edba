//! Which crate may depend on which: the arrows of the architecture, from each `Cargo.toml`.

use std::path::Path;

use super::{Complaint, crate_of};

/// Our own crates and those of ours they may use. Tests may use more.
const ARROWS: &[(&str, &[&str])] = &[
    // Pure, without the standard library.
    ("machine", &[]),
    ("wire", &["machine"]),
    ("vrrp", &["machine", "wire"]),
    ("balance", &["machine"]),
    ("check", &["machine", "wire"]),
    ("stick", &["wire"]),
    // Pure.
    ("http", &[]),
    ("rules", &["wire", "balance", "stick", "http"]),
    ("proxy", &["machine", "balance", "check", "stick", "rules"]),
    ("agentx", &[]),
    // Text.
    ("conf", &[]),
    ("keepalived-conf", &["conf", "machine", "wire", "vrrp", "check"]),
    ("haproxy-cfg", &["conf", "machine", "balance", "check", "stick", "rules", "proxy"]),
    ("nginx-conf", &["conf", "machine", "balance", "check", "proxy"]),
    // What is said about files.
    (
        "lint",
        &[
            "balance",
            "check",
            "conf",
            "haproxy-cfg",
            "keepalived-conf",
            "nginx-conf",
            "proxy",
            "vrrp",
        ],
    ),
    // Linux.
    ("linux", &[]),
    ("netlink", &["vrrp", "linux"]),
    ("daemon", &["linux", "machine"]),
    ("relay", &["linux", "machine"]),
    ("tls", &["linux", "machine"]),
    // Programs.
    (
        "failoverd",
        &[
            "machine",
            "wire",
            "vrrp",
            "check",
            "conf",
            "keepalived-conf",
            "lint",
            "linux",
            "netlink",
            "agentx",
            "daemon",
            "tls",
        ],
    ),
    (
        "balancerd",
        &[
            "machine",
            "wire",
            "balance",
            "check",
            "stick",
            "http",
            "rules",
            "proxy",
            "conf",
            "haproxy-cfg",
            "nginx-conf",
            "lint",
            "linux",
            "daemon",
            "relay",
            "tls",
        ],
    ),
    // Development.
    ("sim", &["machine", "wire", "vrrp", "balance", "check"]),
    ("lab", &[]),
    (
        "xtask",
        &[
            "machine",
            "wire",
            "vrrp",
            "balance",
            "check",
            "stick",
            "http",
            "rules",
            "proxy",
            "conf",
            "keepalived-conf",
            "haproxy-cfg",
            "nginx-conf",
            "lint",
            "lab",
            "sim",
        ],
    ),
    (
        "fuzz",
        &[
            "machine",
            "wire",
            "vrrp",
            "balance",
            "check",
            "http",
            "stick",
            "rules",
            "proxy",
            "conf",
            "keepalived-conf",
            "haproxy-cfg",
            "nginx-conf",
        ],
    ),
    // A black box: it runs the programs and sees what an operator sees.
    ("compat-tests", &["lab"]),
];

/// Crates of others, and the only ones of ours that may name them.
const OUTSIDERS: &[(&[&str], &[&str], &str)] = &[
    (
        &["tokio"],
        &[
            "linux",
            "netlink",
            "daemon",
            "relay",
            "tls",
            "failoverd",
            "balancerd",
            "lab",
            "xtask",
            "compat-tests",
        ],
        "decisions are pure: what waits belongs into a shell above `linux`",
    ),
    (
        &["nix", "socket2"],
        &[
            "linux",
            "netlink",
            "daemon",
            "lint",
            "relay",
            "tls",
            "failoverd",
            "balancerd",
            "lab",
            "xtask",
            "compat-tests",
        ],
        "system calls belong into a shell above `linux`",
    ),
    (&["libc"], &["linux"], "add a safe wrapper to `linux` instead"),
    (
        &["nom"],
        &["wire", "conf", "keepalived-conf", "haproxy-cfg", "nginx-conf"],
        "parsing belongs into `wire`, `conf` or a dialect",
    ),
    (
        &["rtnetlink", "netlink-packet-core", "netlink-packet-route"],
        &["netlink", "lab"],
        "the kernel's routes and addresses belong into `netlink`",
    ),
    (
        &["rustls", "tokio-rustls"],
        &["tls", "lab", "xtask", "compat-tests"],
        "TLS belongs into `tls`",
    ),
];

/// Crates that do without the standard library, and so cannot read a clock or open a socket.
pub(super) const WITHOUT_STD: [&str; 6] = ["machine", "wire", "vrrp", "balance", "check", "stick"];

/// The one crate that may contain `unsafe`.
pub(super) const UNSAFE: &str = "linux";

/// Checks one `Cargo.toml`.
pub(super) fn check(file: &Path, text: &str, complaints: &mut Vec<Complaint>) {
    let Some(name) = crate_of(file).filter(|name| *name != "Cargo.toml") else { return };
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        let what = format!("crate `{name}` has no place in the layers: add it to `tidy`'s ARROWS");
        complaints.push(Complaint::new(file, 0, what));
        return;
    };
    if !text.contains("[lints]\nworkspace = true") && name != "fuzz" {
        let what = "the workspace's lints are not asked for: add `[lints] workspace = true`";
        complaints.push(Complaint::new(file, 0, what));
    }
    let mut section = "";
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
            continue;
        }
        // What only tests use is of no matter, except to a black box.
        let counts = section == "[dependencies]"
            || section.starts_with("[target.")
            || (section == "[dev-dependencies]" && name == "compat-tests");
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let dependency = &line[..end.unwrap_or(line.len())];
        if !counts || dependency.is_empty() {
            continue;
        }
        let ours = ARROWS.iter().any(|(known, _)| *known == dependency);
        if ours && !allowed.contains(&dependency) {
            let what = format!(
                "`{name}` may not depend on `{dependency}`: arrows point down, to {}",
                if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") }
            );
            complaints.push(Complaint::new(file, at + 1, what));
        }
        for (outsiders, may, why) in OUTSIDERS {
            if outsiders.contains(&dependency) && !may.contains(&name) {
                let what = format!("`{name}` may not name `{dependency}`: {why}");
                complaints.push(Complaint::new(file, at + 1, what));
            }
        }
    }
}
