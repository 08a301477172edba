//! The files a node sees: the host's programs, and a configuration of its own.
//!
//! ```text
//!   /            tmpfs
//!   ├ .host/     the host's /usr, /bin …; where links below lead
//!   ├ usr/bin    one link for each program of the host, and the stand-ins
//!   ├ usr/sbin   likewise, and the daemons under test under every name they go by
//!   ├ usr/lib …  the host's own
//!   ├ bin sbin   directories, so that a guide's /bin/check_nginx.sh may be put there
//!   ├ etc        accounts, the guide's files, HAProxy's error pages
//!   ├ dev        null, zero, full, random, urandom of the host; log is the agent's
//!   └ run tmp var proc sys
//! ```

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::order::{NodeFile, Program, Setup};
use crate::{ground, standin};

/// Builds the tree and makes it the process's root; the process must be alone in its mount
/// namespace.
pub(crate) fn enter(setup: &Setup) -> Result<()> {
    let own = std::env::current_exe().context("this program's own file")?;
    let root = PathBuf::from(&setup.root);
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("node"), &root, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .context("tmpfs for the node's root")?;
    for dir in DIRECTORIES {
        fs::create_dir_all(root.join(dir.trim_start_matches('/')))?;
    }
    for dir in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(dir), fs::Permissions::from_mode(0o1777))?;
    }
    host_tree(&root)?;
    bind(&own, &root.join(".host/lab"))?;
    for (name, prefer_host) in standin::NAMES {
        let link = root.join("usr/bin").join(name);
        if prefer_host && link.symlink_metadata().is_ok() {
            continue;
        }
        replace_link("/.host/lab", &link)?;
    }
    for program in &setup.programs {
        show_program(&root, program)?;
    }
    devices(&root)?;
    accounts(&root)?;
    for (path, contents) in etc_files() {
        write(&root, &NodeFile::new(&path, contents))?;
    }
    for file in &setup.files {
        write(&root, file)?;
    }
    mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), None::<&str>)
        .context("/proc of the node")?;
    mount(Some("sysfs"), &root.join("sys"), Some("sysfs"), MsFlags::empty(), None::<&str>)
        .context("/sys of the node")?;
    chdir(&root)?;
    pivot_root(".", ".").context("the node's root cannot be entered")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    Ok(())
}

/// Writes a file below `root`, with the directories it needs.
pub(crate) fn write(root: &Path, file: &NodeFile) -> Result<()> {
    let path = root.join(file.path.trim_start_matches('/'));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        fs::remove_file(&path)?;
    }
    fs::write(&path, &file.contents).with_context(|| format!("cannot write {}", file.path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    Ok(())
}

const DIRECTORIES: [&str; 17] = [
    "/.host",
    "/dev",
    "/etc/haproxy/errors",
    "/etc/keepalived",
    "/etc/nginx/conf.d",
    "/etc/nginx/modules-enabled",
    "/etc/ssl/certs",
    "/etc/ssl/private",
    "/proc",
    "/root",
    "/run/haproxy",
    "/sys",
    "/tmp",
    "/var/lib/haproxy/dev",
    "/var/lib/nginx",
    "/var/log/nginx",
    "/var/tmp",
];

/// What of the host's top level a node must not see, or has of its own.
const OWN: [&str; 15] = [
    "boot",
    "dev",
    "etc",
    "home",
    "lost+found",
    "media",
    "mnt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
];

fn host_tree(root: &Path) -> Result<()> {
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        let name = entry.file_name();
        let target = root.join(&name);
        if OWN.iter().any(|own| name == *own) || name == "bin" || name == "sbin" {
            continue;
        }
        if entry.file_type()?.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else if entry.file_type()?.is_dir() && !name.to_string_lossy().starts_with('.') {
            bind(&entry.path(), &target)?;
        }
    }
    bind(Path::new("/usr"), &root.join(".host/usr"))?;
    fs::create_dir(root.join("usr"))?;
    for entry in fs::read_dir("/usr")? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "bin" || name == "sbin" {
            continue;
        }
        let target = root.join("usr").join(&name);
        if entry.file_type()?.is_dir() {
            bind(&entry.path(), &target)?;
        } else if entry.file_type()?.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        }
    }
    for dir in ["bin", "sbin"] {
        links(&Path::new("/usr").join(dir), &root.join("usr").join(dir))?;
        let top = Path::new("/").join(dir);
        let separate = !top.symlink_metadata()?.is_symlink();
        if separate {
            bind(&top, &root.join(".host").join(dir))?;
        }
        links(&if separate { top } else { Path::new("/usr").join(dir) }, &root.join(dir))?;
    }
    Ok(())
}

/// Fills `into` with a link to each file of the host's `from`, by way of `/.host`.
fn links(from: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        symlink(Path::new("/.host").join(from.strip_prefix("/")?).join(&name), into.join(&name))?;
    }
    Ok(())
}

fn show_program(root: &Path, program: &Program) -> Result<()> {
    let (first, others) = program.names.split_first().context("a program without a name")?;
    let sbin = root.join("usr/sbin");
    fs::remove_file(sbin.join(first)).ok();
    bind(Path::new(&program.host), &sbin.join(first))?;
    for name in others {
        replace_link(first, &sbin.join(name))?;
    }
    for name in &program.names {
        replace_link(&format!("/usr/sbin/{name}"), &root.join("sbin").join(name))?;
    }
    Ok(())
}

fn devices(root: &Path) -> Result<()> {
    for name in ["full", "null", "random", "urandom", "zero"] {
        bind(&Path::new("/dev").join(name), &root.join("dev").join(name))?;
    }
    symlink("/proc/self/fd", root.join("dev/fd"))?;
    symlink("/proc/self/fd/1", root.join("dev/stdout"))?;
    symlink("/proc/self/fd/2", root.join("dev/stderr"))?;
    symlink("/run", root.join("var/run"))?;
    Ok(())
}

/// The accounts Debian's packages make; where there is a single user, all are that one.
fn accounts(root: &Path) -> Result<()> {
    let id = |usual: u32| if ground::single_user() { 0 } else { usual };
    let (web, proxy, nobody) = (id(33), id(106), id(65534));
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\n\
         www-data:x:{web}:{web}:www-data:/var/www:/usr/sbin/nologin\n\
         haproxy:x:{proxy}:{proxy}::/var/lib/haproxy:/usr/sbin/nologin\n\
         nobody:x:{nobody}:{nobody}:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    let group = format!(
        "root:x:0:\nwww-data:x:{web}:\nhaproxy:x:{proxy}:\nnogroup:x:{nobody}:\nadm:x:{}:\n",
        id(4)
    );
    write(root, &NodeFile::new("/etc/passwd", passwd))?;
    write(root, &NodeFile::new("/etc/group", group))?;
    for file in ["/etc/ld.so.cache", "/etc/protocols", "/etc/services", "/etc/localtime"] {
        if let Ok(contents) = fs::read(file) {
            write(root, &NodeFile::new(file, contents))?;
        }
    }
    Ok(())
}

/// What Debian's packages put into `/etc` beside the files a guide speaks of.
fn etc_files() -> Vec<(String, String)> {
    let mut files = vec![
        ("/etc/hosts".to_owned(), "127.0.0.1 localhost\n".to_owned()),
        ("/etc/nsswitch.conf".to_owned(), "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
        (
            "/etc/nginx/modules-enabled/50-mod-stream.conf".to_owned(),
            "load_module modules/ngx_stream_module.so;\n".to_owned(),
        ),
        (
            "/etc/nginx/mime.types".to_owned(),
            "types {\n    text/html html htm;\n    text/plain txt;\n}\n".to_owned(),
        ),
    ];
    for (status, reason) in [
        (400, "Bad request"),
        (403, "Forbidden"),
        (408, "Request Time-out"),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Time-out"),
    ] {
        files.push((
            format!("/etc/haproxy/errors/{status}.http"),
            format!(
                "HTTP/1.0 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
                 \r\n{status} {reason}\n"
            ),
        ));
    }
    files
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
    } else {
        fs::write(to, "")?;
    }
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .with_context(|| format!("{} cannot be shown in the node", from.display()))
}

fn replace_link(target: &str, link: &Path) -> Result<()> {
    fs::remove_file(link).ok();
    symlink(target, link).with_context(|| format!("link {}", link.display()))
}
