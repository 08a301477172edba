//! `cargo xtask peers`: the newest HAProxy and nginx Debian has, to run beside ours.
//!
//! ```text
//!   apt, in a directory of its own ──► packages and all they need ──► dpkg-deb -x
//!                                                                         │
//!   target/peers/run/haproxy, …/nginx: scripts that start them ◄──────────┘
//!   with the libraries they were built for
//! ```
//!
//! Nothing is installed, and no package's scripts run. What was unpacked before is replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::generate::root;

/// The packages; what they depend on comes along.
const PACKAGES: [&str; 2] = ["haproxy", "libnginx-mod-stream"];
/// The programs they bring.
pub(crate) const PROGRAMS: [&str; 2] = ["haproxy", "nginx"];
/// Where Debian is.
const MIRROR: &str = "http://deb.debian.org/debian";
/// What its releases are signed with.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// nginx's stream module, below the directory everything is unpacked to.
pub(crate) const STREAM_MODULE: &str = "usr/lib/nginx/modules/ngx_stream_module.so";

/// Where the peers are kept.
pub(crate) fn directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| root().join("target")).join("peers")
}

/// Fetches and unpacks them; the argument is Debian's suite, `sid` where there is none.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let suite = match args {
        [] => "sid",
        [suite] if suite.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => suite,
        _ => anyhow::bail!("usage: cargo xtask peers [SUITE]"),
    };
    let peers = directory();
    if peers.exists() {
        fs::remove_dir_all(&peers).with_context(|| peers.display().to_string())?;
    }
    let apt = Apt::new(&peers.join("apt"), suite)?;
    apt.run(&["update"])?;
    apt.run(&[&["install", "--yes", "--download-only"][..], &PACKAGES[..]].concat())?;
    for package in apt.packages()? {
        let done = Command::new("dpkg-deb").arg("-x").arg(&package).arg(&peers).status()?;
        ensure!(done.success(), "cannot unpack {}", package.display());
    }
    fs::remove_dir_all(&apt.directory)?;
    for program in PROGRAMS {
        let path = script(&peers, program)?;
        let said = Command::new(&path).arg("-v").stdin(Stdio::null()).output()?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        println!("{}: {}", path.display(), said.lines().next().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// An apt that knows of one suite only and of nothing that is installed.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn new(directory: &Path, suite: &str) -> Result<Self> {
        ensure!(Path::new(KEYS).exists(), "{KEYS} is missing: is this a Debian?");
        for below in ["etc/apt.conf.d", "etc/preferences.d", "lists/partial", "archives/partial"] {
            fs::create_dir_all(directory.join(below))?;
        }
        fs::write(directory.join("status"), "")?;
        fs::write(
            directory.join("etc/sources.list"),
            format!("deb [signed-by={KEYS}] {MIRROR} {suite} main\n"),
        )?;
        Ok(Self { directory: directory.to_owned() })
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let options = [
            format!("Dir::Etc={}", at("etc")),
            format!("Dir::State={}", at("")),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("")),
            format!("Dir::Cache::archives={}", at("archives")),
            format!("APT::Sandbox::User={}", std::env::var("USER").unwrap_or_default()),
            "APT::Install-Recommends=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Debug::NoLocking=true".to_owned(),
        ];
        let mut apt = Command::new("apt-get");
        apt.arg("--quiet=2").args(options.iter().flat_map(|option| ["-o", option]));
        apt.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        ensure!(apt.status().context("apt-get")?.success(), "apt-get {} failed", args.join(" "));
        Ok(())
    }

    fn packages(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.directory.join("archives"))?.flatten();
        let paths = entries.map(|entry| entry.path());
        let packages: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
        ensure!(!packages.is_empty(), "apt-get fetched nothing");
        Ok(packages)
    }
}

/// Writes what starts a program with the libraries it was unpacked with. HAProxy's master starts
/// itself again by its first argument: that has to be the script.
fn script(peers: &Path, program: &str) -> Result<PathBuf> {
    let loader = loader(peers)?;
    let libraries = loader.parent().context("a loader in a directory")?;
    let run = peers.join("run");
    fs::create_dir_all(&run)?;
    let path = run.join(program);
    let text = format!(
        "#!/bin/sh\nexec '{}' --library-path '{}' --argv0 '{}' '{}' \"$@\"\n",
        loader.display(),
        libraries.display(),
        path.display(),
        peers.join("usr/sbin").join(program).display(),
    );
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The dynamic loader, `usr/lib/TRIPLET/ld-linux….so…`, beside the libraries of its machine.
fn loader(peers: &Path) -> Result<PathBuf> {
    let machines = fs::read_dir(peers.join("usr/lib"))?.flatten().map(|entry| entry.path());
    for machine in machines.filter(|path| path.is_dir()) {
        for entry in fs::read_dir(machine)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("ld-linux") {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!("no dynamic loader below {}", peers.display())
}
