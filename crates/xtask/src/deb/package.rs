//! A package: staged as its `install` list says, with its scripts, and packed by `dpkg-deb`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::binaries::Arch;
use super::{elf, must, output};

/// All packages, in the order they depend on each other.
pub(super) const ALL: [&str; 5] = [
    "evergate-failoverd",
    "evergate-balancerd",
    "evergate-keepalived",
    "evergate-haproxy",
    "evergate-nginx-stream",
];
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// What the packages of one build share.
struct Build<'a> {
    packaging: PathBuf,
    arch: Arch,
    binaries: &'a Path,
    version: String,
    /// Seconds since 1970 that all files bear.
    epoch: String,
}

/// Builds all packages of an architecture into `out`.
pub(super) fn all(
    root: &Path,
    arch: Arch,
    binaries: &Path,
    version: Option<&str>,
    out: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let packaging = root.join("packaging");
    let changelog = packaging.join("deb/changelog");
    let field = |name: &str| {
        let mut parse = Command::new("dpkg-parsechangelog");
        parse.arg("--show-field").arg(name).arg("--file").arg(&changelog);
        output(&mut parse).map(|text| text.trim().to_owned())
    };
    let version = version.map_or_else(|| field("Version"), |version| Ok(version.to_owned()))?;
    let epoch = std::env::var("SOURCE_DATE_EPOCH").or_else(|_| field("Timestamp"))?;
    let build = Build { packaging, arch, binaries, version, epoch };
    fs::create_dir_all(out)?;
    let staging = out.join(format!("staging-{}", arch.debian()));
    let mut packages = Vec::new();
    for name in ALL {
        let tree = staging.join(name);
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        build.stage(name, &tree).with_context(|| format!("package {name}"))?;
        let file = out.join(format!("{name}_{}_{}.deb", build.version, arch.debian()));
        let mut pack = Command::new("dpkg-deb");
        pack.args(["--root-owner-group", "-Zxz", "--build"]).arg(&tree).arg(&file);
        must(pack.env("SOURCE_DATE_EPOCH", &build.epoch).stdout(std::process::Stdio::null()))?;
        packages.push(file);
    }
    fs::remove_dir_all(&staging)?;
    Ok(packages)
}

impl Build<'_> {
    fn stage(&self, name: &str, tree: &Path) -> anyhow::Result<()> {
        let own = self.packaging.join("deb").join(name);
        let list = fs::read_to_string(own.join("install")).context("install")?;
        for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            self.install(line, tree).with_context(|| line.to_owned())?;
        }
        self.documents(name, tree)?;
        let debian = tree.join("DEBIAN");
        make_directory(&debian)?;
        let library = fs::read_to_string(self.packaging.join("deb/lib.sh"))?;
        for script in SCRIPTS {
            let Ok(text) = fs::read_to_string(own.join(script)) else { continue };
            write(&debian.join(script), &text.replace("@LIB@", library.trim_end()), 0o755)?;
        }
        self.control(name, &own, tree)?;
        Ok(())
    }

    /// One line of an install list.
    fn install(&self, line: &str, tree: &Path) -> anyhow::Result<()> {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["link", target, at] => {
                make_parent(&tree.join(at))?;
                symlink(target, tree.join(at))?;
            }
            ["dir", at] => make_directory(&tree.join(at))?,
            [source, at, mode] => {
                let to = tree.join(at);
                make_parent(&to)?;
                let mode = u32::from_str_radix(mode, 8)?;
                if let Some(program) = source.strip_prefix("@BIN@/") {
                    fs::copy(self.binaries.join(program), &to)?;
                    must(Command::new(self.strip()).args(["--remove-section=.comment"]).arg(&to))?;
                    fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
                } else {
                    let text = fs::read_to_string(self.packaging.join(source))?;
                    let library = fs::read_to_string(self.packaging.join("deb/lib.sh"))?;
                    let text = text.replace("@LIB@", library.trim_end());
                    write(&to, &self.with_sandbox(&text)?, mode)?;
                }
            }
            _ => bail!("not understood"),
        }
        Ok(())
    }

    /// The name of the `strip` of this architecture.
    fn strip(&self) -> String {
        format!("{}-linux-gnu-strip", self.arch.rust())
    }

    /// A unit, with what both units of a daemon have in common.
    fn with_sandbox(&self, text: &str) -> anyhow::Result<String> {
        let mut text = text.to_owned();
        for daemon in ["failoverd", "balancerd"] {
            let mark = format!("@SANDBOX-{}@", daemon.to_uppercase());
            if text.contains(&mark) {
                let sandbox = self.packaging.join(format!("systemd/sandbox-{daemon}.conf"));
                text = text.replace(&mark, fs::read_to_string(sandbox)?.trim_end());
            }
        }
        Ok(text)
    }

    /// `/usr/share/doc` and the man pages there are.
    fn documents(&self, name: &str, tree: &Path) -> anyhow::Result<()> {
        let doc = tree.join("usr/share/doc").join(name);
        make_directory(&doc)?;
        let own = self.packaging.join("deb");
        write(&doc.join("copyright"), &fs::read_to_string(own.join("copyright"))?, 0o644)?;
        let changelog = fs::read_to_string(own.join("changelog"))?;
        let changelog = changelog.replacen("(0.1.0-1)", &format!("({})", self.version), 1);
        compress(&doc.join("changelog.Debian"), &changelog)?;
        // Those of the daemon's own name; an original's have the original's package.
        let daemon = name.trim_start_matches("evergate-");
        let pages = fs::read_dir(self.packaging.join("man")).into_iter().flatten().flatten();
        let mut pages: Vec<PathBuf> = pages.map(|page| page.path()).collect();
        pages.sort();
        for page in pages {
            let Some(file) = page.file_name().and_then(|file| file.to_str()) else { continue };
            let section = file.rsplit('.').next().unwrap_or_default();
            let is_its = file.strip_prefix(daemon).is_some_and(|rest| rest.starts_with(['.', '-']));
            if !is_its || section.parse::<u8>().is_err() {
                continue;
            }
            let directory = tree.join(format!("usr/share/man/man{section}"));
            make_directory(&directory)?;
            compress(&directory.join(file), &fs::read_to_string(&page)?)?;
        }
        Ok(())
    }

    /// `control` and `md5sums`.
    fn control(&self, name: &str, own: &Path, tree: &Path) -> anyhow::Result<()> {
        let daemon = tree.join("usr/sbin").join(name.trim_start_matches("evergate-"));
        let is_binary = daemon.is_file() && !daemon.is_symlink();
        let depends = if is_binary { elf::depends(&daemon)? } else { String::new() };
        let mut files = Vec::new();
        collect(tree, Path::new(""), &mut files)?;
        files.sort();
        let mut sums = String::new();
        let mut size = 0;
        for file in &files {
            let path = tree.join(file);
            size += fs::symlink_metadata(&path)?.len().div_ceil(1024);
            if !path.is_symlink() {
                let sum = output(Command::new("md5sum").arg(&path))?;
                let sum = sum.split_whitespace().next().unwrap_or_default();
                sums.push_str(&format!("{sum}  {}\n", file.display()));
            }
        }
        let control = fs::read_to_string(own.join("control"))?
            .replace("@VERSION@", &self.version)
            .replace("@ARCH@", self.arch.debian())
            .replace("@SIZE@", &size.to_string())
            .replace("@DEPENDS@", &depends);
        write(&tree.join("DEBIAN/control"), &control, 0o644)?;
        write(&tree.join("DEBIAN/md5sums"), &sums, 0o644)
    }
}

/// All files below `at`, but for dpkg's own.
fn collect(tree: &Path, at: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(tree.join(at))? {
        let entry = entry?;
        let path = at.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if path != Path::new("DEBIAN") {
                collect(tree, &path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A file with exactly this mode, whatever the umask.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

fn make_parent(path: &Path) -> anyhow::Result<()> {
    path.parent().map_or(Ok(()), make_directory)
}

/// A directory and all above it that are not there, each with the usual mode.
pub(super) fn make_directory(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_parent(path)?;
    fs::create_dir(path).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Writes `path.gz`, without a time in it.
fn compress(path: &Path, text: &str) -> anyhow::Result<()> {
    write(path, text, 0o644)?;
    must(Command::new("gzip").args(["-9", "-n", "--force"]).arg(path))
}
