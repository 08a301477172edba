//! `cargo xtask deb`: the Debian packages, from `packaging/`; `--test` tries them in a Debian of their
//! own. `cargo xtask tarball` and `oci`: the static binaries as archives and as container images.
//!
//! ```text
//!   cargo build --release --target …  ──►  binaries of an architecture
//!     packaging/deb/NAME/{control,install,postinst,…}  ──►  staged tree  ──►  dpkg-deb  ──►  NAME.deb
//! ```
//!
//! What is built depends on the sources alone: times are those of the changelog, owners are root,
//! paths of this machine are left out of the binaries.

mod binaries;
mod elf;
mod foreign;
mod guest;
mod oci;
mod package;
mod tarball;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use binaries::{Arch, Libc};

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    archs: Vec<Arch>,
    out: Option<PathBuf>,
    /// Already built binaries, for a single architecture.
    binaries: Option<PathBuf>,
    version: Option<String>,
    lint: bool,
    /// Suites to try the packages in.
    suites: Vec<String>,
}

impl Options {
    fn read(args: &[String], usage: &str) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter().peekable();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--arch" => options.archs.push(Arch::named(value()?)?),
                "--out" => options.out = Some(value()?.into()),
                "--binaries" => options.binaries = Some(value()?.into()),
                "--version" => options.version = Some(value()?.clone()),
                "--lint" => options.lint = true,
                "--test" => {
                    let suite = args.next_if(|next| !next.starts_with('-'));
                    let suites = suite.map_or(vec!["bookworm", "trixie"], |one| vec![one.as_str()]);
                    options.suites.extend(suites.into_iter().map(str::to_owned));
                }
                _ => bail!("unknown argument {arg:?}\nusage: {usage}"),
            }
        }
        Ok(options)
    }

    fn out(&self, root: &Path, below: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| root.join("target").join(below))
    }

    /// The directory with the binaries of an architecture, built if they were not given.
    fn binaries(&self, root: &Path, arch: Arch, libc: Libc) -> anyhow::Result<PathBuf> {
        match &self.binaries {
            Some(given) => Ok(given.clone()),
            None => binaries::build(root, arch, libc),
        }
    }
}

const USAGE: &str = "cargo xtask deb [--arch amd64|arm64]… [--out DIR] [--binaries DIR] \
    [--version VERSION] [--lint] [--test [bookworm|trixie]]";

/// Builds the packages, and tries them if asked to.
pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut options = Options::read(args, USAGE)?;
    let root = super::generate::root();
    let out = options.out(&root, "debian");
    let host = Arch::host()?;
    if options.archs.is_empty() || !options.suites.is_empty() && !options.archs.contains(&host) {
        options.archs.push(host);
    }
    let mut tried = None;
    for &arch in &options.archs {
        let binaries = options.binaries(&root, arch, Libc::Gnu)?;
        let built = package::all(&root, arch, &binaries, options.version.as_deref(), &out)?;
        for package in &built {
            println!("{}", package.display());
        }
        if arch != host {
            foreign::smoke(&root, arch, &binaries)?;
        }
        if options.lint && !lint(&built)? {
            return Ok(ExitCode::FAILURE);
        }
        if arch == host {
            tried = Some((binaries, built));
        }
    }
    match tried {
        Some((binaries, built)) if !options.suites.is_empty() => {
            guest::run(&root, &binaries, &built, &out.join("guest"), &options.suites)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Builds the archives of static binaries.
pub(crate) fn tarball(args: &[String]) -> anyhow::Result<ExitCode> {
    let usage = "cargo xtask tarball [--arch amd64|arm64]… [--out DIR] [--binaries DIR]";
    each_static(args, usage, "tarball", tarball::make)
}

/// Builds the container images.
pub(crate) fn oci(args: &[String]) -> anyhow::Result<ExitCode> {
    let usage = "cargo xtask oci [--arch amd64|arm64]… [--out DIR] [--binaries DIR]";
    each_static(args, usage, "oci", oci::make)
}

type Make = fn(&Path, Arch, &Path, &Path) -> anyhow::Result<Vec<PathBuf>>;

fn each_static(args: &[String], usage: &str, below: &str, make: Make) -> anyhow::Result<ExitCode> {
    let options = Options::read(args, usage)?;
    if options.lint || !options.suites.is_empty() || options.version.is_some() {
        bail!("usage: {usage}");
    }
    let root = super::generate::root();
    let out = options.out(&root, below);
    let archs = if options.archs.is_empty() { Arch::ALL.to_vec() } else { options.archs.clone() };
    std::fs::create_dir_all(&out)?;
    for arch in archs {
        let binaries = options.binaries(&root, arch, Libc::Musl)?;
        if arch != Arch::host()? {
            foreign::smoke(&root, arch, &binaries)?;
        }
        for made in make(&root, arch, &binaries, &out)? {
            println!("{}", made.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether lintian has nothing to say; true where it is not installed, with a line about it.
fn lint(packages: &[PathBuf]) -> anyhow::Result<bool> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error,warning", "--tag-display-limit", "0"]).args(packages);
    if nix::unistd::geteuid().is_root() {
        lintian.arg("--allow-root");
    }
    match lintian.status() {
        Ok(status) => Ok(status.success()),
        Err(error) => {
            println!("SKIPPED: lintian: {error}");
            Ok(true)
        }
    }
}

/// Runs a program to its end.
fn must(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs a program, and returns what it said.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{name} ended with {}: {}", output.status, why.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests;
