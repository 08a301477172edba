//! The originals the tests run beside ours, and the one tool some need: installed from Debian where
//! that is allowed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's packages, and a program each brings.
const PACKAGES: [(&str, &str); 10] = [
    ("keepalived", "/usr/sbin/keepalived"),
    ("haproxy", "/usr/sbin/haproxy"),
    ("nginx", "/usr/sbin/nginx"),
    ("libnginx-mod-stream", "/usr/lib/nginx/modules/ngx_stream_module.so"),
    ("iproute2", "/usr/sbin/ip"),
    ("frr", "/usr/lib/frr/vrrpd"),
    ("python3-aiosmtpd", "/usr/lib/python3/dist-packages/aiosmtpd/main.py"),
    ("snmpd", "/usr/sbin/snmpd"),
    ("snmp", "/usr/bin/snmpwalk"),
    ("snmptrapd", "/usr/sbin/snmptrapd"),
];

/// What keeps a package from starting its daemon while it is installed (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing, where this is root's machine and it has apt; else says what will be
/// skipped. Never fails: without an original, its tests say so.
pub(crate) fn install() {
    let missing: Vec<&str> = (PACKAGES.iter())
        .filter(|(_, program)| !Path::new(program).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    let names = missing.join(" ");
    if !nix::unistd::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        println!(
            "  not installed here: {names}; what needs them is skipped (root and apt would do)"
        );
        return;
    }
    println!("  installing {names}");
    let policy = Policy::forbid_starting();
    let installed = apt(&["update"])
        && apt(&[&["install", "--yes", "--no-install-recommends"], &missing[..]].concat());
    drop(policy);
    if !installed {
        println!("  could not install {names}; what needs them is skipped");
    }
}

fn apt(args: &[&str]) -> bool {
    let mut apt = Command::new("apt-get");
    apt.arg("--quiet=2").args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let quiet = apt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// A `policy-rc.d` of ours, removed when dropped; nothing where the machine has one.
struct Policy(Option<PathBuf>);

impl Policy {
    fn forbid_starting() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = PathBuf::from(POLICY);
        if path.exists() || std::fs::write(&path, "#!/bin/sh\nexit 101\n").is_err() {
            return Self(None);
        }
        // Not executable, it would be ignored: then the daemons start, which their tests survive.
        let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755));
        Self(Some(path))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
