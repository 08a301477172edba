//! Container images in the layout of the Open Container Initiative, made by hand: an image is a layer
//! (a tar of a root), a configuration and a manifest, each named by its checksum. That of balancerd
//! holds one static binary; that of failoverd a shell and curl too, which the check scripts of a
//! keepalived.conf are written for.
//!
//! ```text
//!   NAME.oci.tar
//!   ├── oci-layout      {"imageLayoutVersion": "1.0.0"}
//!   ├── index.json      ──► manifest
//!   └── blobs/sha256/   manifest ──► config, layer
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::binaries::Arch;
use super::package::{make_directory, write};
use super::tarball::{epoch, pack};
use super::{must, output};

/// An image: the daemon, the name it is started by, its arguments.
struct Image {
    daemon: &'static str,
    /// The original, in whose place it stands.
    called: &'static str,
    arguments: &'static [&'static str],
}

const IMAGES: [Image; 2] = [
    Image {
        daemon: "failoverd",
        called: "keepalived",
        arguments: &["--dont-fork", "--log-console"],
    },
    Image {
        daemon: "balancerd",
        called: "haproxy",
        arguments: &["-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
    },
];

/// Makes both images of an architecture in `out`.
pub(super) fn make(
    root: &Path,
    arch: Arch,
    binaries: &Path,
    out: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    IMAGES.iter().map(|image| image.make(root, arch, binaries, out)).collect()
}

impl Image {
    fn make(
        &self,
        root: &Path,
        arch: Arch,
        binaries: &Path,
        out: &Path,
    ) -> anyhow::Result<PathBuf> {
        let name = format!("{}-{}-{}", self.daemon, env!("CARGO_PKG_VERSION"), arch.debian());
        let work = out.join(format!("{name}.work"));
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        let tree = work.join("root");
        self.root(arch, binaries, &tree)?;
        let blobs = work.join("image/blobs/sha256");
        make_directory(&blobs)?;

        let layer = work.join("layer.tar");
        pack(root, &tree, ".", &layer)?;
        let unpacked = sum(&layer)?;
        must(Command::new("gzip").args(["-9", "-n"]).arg(&layer))?;
        let layer = keep(&work.join("layer.tar.gz"), &blobs)?;

        let created = output(
            Command::new("date")
                .args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"])
                .arg(format!("--date=@{}", epoch(root)?)),
        )?;
        let entry = format!("/usr/sbin/{}", self.called);
        let quoted: Vec<String> = self.arguments.iter().map(|one| format!("{one:?}")).collect();
        let config = format!(
            r#"{{"created":"{}","architecture":"{}","os":"linux","config":{{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Entrypoint":["{entry}"],"Cmd":[{}],"StopSignal":"{}"}},"rootfs":{{"type":"layers","diff_ids":["sha256:{unpacked}"]}}}}"#,
            created.trim(),
            arch.debian(),
            quoted.join(","),
            if self.daemon == "balancerd" { "SIGUSR1" } else { "SIGTERM" },
        );
        let config = keep_text(&config, &work, &blobs)?;
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
            config.described("application/vnd.oci.image.config.v1+json", ""),
            layer.described("application/vnd.oci.image.layer.v1.tar+gzip", ""),
        );
        let manifest = keep_text(&manifest, &work, &blobs)?;
        let more = format!(
            r#","annotations":{{"org.opencontainers.image.ref.name":"{}"}},"platform":{{"architecture":"{}","os":"linux"}}"#,
            env!("CARGO_PKG_VERSION"),
            arch.debian(),
        );
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
            manifest.described("application/vnd.oci.image.manifest.v1+json", &more),
        );
        let image = work.join("image");
        write(&image.join("index.json"), &index, 0o644)?;
        write(&image.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        let file = out.join(format!("{name}.oci.tar"));
        pack(root, &image, ".", &file)?;
        fs::remove_dir_all(&work)?;
        Ok(file)
    }

    /// The root: the binary and its other name, the directories its files go to, who is who.
    fn root(&self, arch: Arch, binaries: &Path, tree: &Path) -> anyhow::Result<()> {
        if self.daemon == "failoverd" {
            for_scripts(arch, tree)?;
        }
        for directory in ["usr/sbin", "etc", "run", "tmp", "var/lib/haproxy"] {
            make_directory(&tree.join(directory))?;
        }
        let binary = tree.join("usr/sbin").join(self.daemon);
        fs::copy(binaries.join(self.daemon), &binary)?;
        must(Command::new("chmod").arg("755").arg(&binary))?;
        std::os::unix::fs::symlink(self.daemon, tree.join("usr/sbin").join(self.called))?;
        let configured = match self.daemon {
            "balancerd" => "usr/local/etc/haproxy",
            _ => "etc/keepalived",
        };
        make_directory(&tree.join(configured))?;
        write(
            &tree.join("etc/passwd"),
            "root:x:0:0:root:/:/sbin/nologin\nhaproxy:x:99:99:haproxy:/var/lib/haproxy:/sbin/nologin\n",
            0o644,
        )?;
        write(&tree.join("etc/group"), "root:x:0:\nhaproxy:x:99:\n", 0o644)
    }
}

/// What the check scripts of the guides call: a shell and its usual commands, and curl.
const APPLETS: [&str; 16] = [
    "sh", "cat", "echo", "grep", "head", "ip", "killall", "nc", "pgrep", "pidof", "ping", "ps",
    "sed", "sleep", "test", "wget",
];

/// Lays them out from Debian's packages, which are unpacked and not run: any architecture will do.
fn for_scripts(arch: Arch, tree: &Path) -> anyhow::Result<()> {
    make_directory(tree)?;
    let mut unpack = Command::new("mmdebstrap");
    unpack.args(["--quiet", "--variant=extract", "--include=libc6,curl,busybox-static"]);
    unpack.arg(format!("--architectures={}", arch.debian()));
    must(unpack.arg("bookworm").arg(tree))?;
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(applet))?;
    }
    for needless in ["dev", "usr/share", "var/lib/apt", "var/lib/dpkg", "var/cache", "var/log"] {
        if tree.join(needless).exists() {
            fs::remove_dir_all(tree.join(needless))?;
        }
    }
    Ok(())
}

/// A blob, by what a manifest says of it.
struct Blob {
    sum: String,
    size: u64,
}

impl Blob {
    fn described(&self, kind: &str, more: &str) -> String {
        let Self { sum, size } = self;
        format!(r#"{{"mediaType":"{kind}","digest":"sha256:{sum}","size":{size}{more}}}"#)
    }
}

fn keep_text(text: &str, work: &Path, blobs: &Path) -> anyhow::Result<Blob> {
    let file = work.join("blob.json");
    write(&file, text, 0o644)?;
    keep(&file, blobs)
}

/// Moves a file to where its checksum says.
fn keep(file: &Path, blobs: &Path) -> anyhow::Result<Blob> {
    let blob = Blob { sum: sum(file)?, size: fs::metadata(file)?.len() };
    fs::rename(file, blobs.join(&blob.sum))?;
    Ok(blob)
}

fn sum(file: &Path) -> anyhow::Result<String> {
    let said = output(Command::new("sha256sum").arg(file))?;
    Ok(said.split_whitespace().next().unwrap_or_default().to_owned())
}
