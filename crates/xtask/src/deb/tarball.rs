//! Archives of the static binaries, for a machine without Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::binaries::Arch;
use super::package::make_directory;
use super::{must, output};

/// What stands beside the binaries: from the top of the workspace, and where in the archive.
const FILES: [(&str, &str); 5] = [
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("packaging/README.md", "packaging.md"),
    ("packaging/completions", "completions"),
    ("packaging/man", "man"),
];

/// Packs `evergate-VERSION-ARCH.tar.gz` into `out`.
pub(super) fn make(
    root: &Path,
    arch: Arch,
    binaries: &Path,
    out: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let name = format!("evergate-{}-{}-linux-musl", env!("CARGO_PKG_VERSION"), arch.rust());
    let tree = out.join(&name);
    if tree.exists() {
        std::fs::remove_dir_all(&tree)?;
    }
    make_directory(&tree.join("sbin"))?;
    for daemon in ["failoverd", "balancerd"] {
        std::fs::copy(binaries.join(daemon), tree.join("sbin").join(daemon))?;
    }
    for (from, to) in FILES {
        let from = root.join(from);
        if from.exists() {
            must(Command::new("cp").args(["-r", "--"]).arg(from).arg(tree.join(to)))?;
        }
    }
    let file = out.join(format!("{name}.tar.gz"));
    pack(root, out, &name, &file)?;
    std::fs::remove_dir_all(&tree)?;
    Ok(vec![file])
}

/// Packs `what` of a directory, the same bytes for the same files.
pub(super) fn pack(root: &Path, directory: &Path, what: &str, file: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go-w,a+rX"]);
    tar.arg(format!("--mtime=@{}", epoch(root)?));
    if file.extension().is_some_and(|extension| extension == "gz") {
        tar.args(["--use-compress-program", "gzip -9n"]);
    }
    must(tar.arg("--create").arg("--file").arg(file).arg("--directory").arg(directory).arg(what))
}

/// Seconds since 1970 that packed files bear: those of the changelog.
pub(super) fn epoch(root: &Path) -> anyhow::Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let mut parse = Command::new("dpkg-parsechangelog");
    parse.args(["--show-field", "Timestamp", "--file"]).arg(root.join("packaging/deb/changelog"));
    Ok(output(&mut parse)?.trim().to_owned())
}
