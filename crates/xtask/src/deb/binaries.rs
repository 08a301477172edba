//! The daemons, built for an architecture.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

/// An architecture, as Debian names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Arch {
    /// x86_64.
    Amd64,
    /// aarch64, as a Raspberry Pi is.
    Arm64,
}

/// The C library a binary is linked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Libc {
    /// Debian's, when it starts.
    Gnu,
    /// musl, put into the binary.
    Musl,
}

impl Arch {
    pub(super) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one called `name` by Debian.
    pub(super) fn named(name: &str) -> anyhow::Result<Self> {
        match Self::ALL.iter().find(|arch| arch.debian() == name) {
            Some(arch) => Ok(*arch),
            None => bail!("no architecture {name}: amd64 or arm64"),
        }
    }

    /// This machine's.
    pub(super) fn host() -> anyhow::Result<Self> {
        match Self::ALL.iter().find(|arch| arch.rust() == std::env::consts::ARCH) {
            Some(arch) => Ok(*arch),
            None => bail!("there are no packages for {}", std::env::consts::ARCH),
        }
    }

    /// Debian's and Docker's name.
    pub(super) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's and GNU's name.
    pub(super) fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// Builds both daemons, and returns where they are.
pub(super) fn build(root: &Path, arch: Arch, libc: Libc) -> anyhow::Result<PathBuf> {
    let libc = if libc == Libc::Gnu { "gnu" } else { "musl" };
    let target = format!("{}-unknown-linux-{libc}", arch.rust());
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--release", "--locked", "--target", &target]);
    cargo.args(["--package", "failoverd", "--package", "balancerd"]);
    cargo
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    let underscored = target.replace('-', "_");
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", underscored.to_uppercase());
    cargo.env(flags, remapped(root));
    let compiler = match (arch == Arch::host()?, libc) {
        (true, "gnu") => None,
        (true, _) => Some("musl-gcc".to_owned()),
        // Debian's cross compiler has no musl; what is compiled from C needs none of its headers,
        // and rustc brings musl itself.
        (false, _) => Some(format!("{}-linux-gnu-gcc", arch.rust())),
    };
    if let Some(compiler) = compiler {
        if arch != Arch::host()? {
            let linker = format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase());
            cargo.env(linker, &compiler);
        }
        cargo.env(format!("CC_{underscored}"), compiler);
    }
    println!("building for {target}");
    super::must(&mut cargo)?;
    let built =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(root.join(built).join(target).join("release"))
}

/// Flags that leave the paths of this machine out of panics.
fn remapped(root: &Path) -> String {
    let mut flags = format!("--remap-path-prefix={}=/evergate", root.display());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    if let Some(home) = home {
        flags.push_str(&format!(" --remap-path-prefix={}=/cargo", home.display()));
    }
    flags
}
