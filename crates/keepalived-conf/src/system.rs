//! What a configuration is checked against.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How much of a script is looked at, in bytes.
const MAX_SCRIPT: u64 = 64 << 10;

/// The machine a configuration is meant for, as far as checking it needs to know.
pub trait System {
    /// Whether there is a network interface of this name.
    fn has_interface(&self, name: &str) -> bool;
    /// An environment variable, for `${_ENV NAME}`.
    fn variable(&self, name: &str) -> Option<String>;
    /// The numbers of a user and its own group.
    fn user(&self, name: &str) -> Option<(u32, u32)>;
    /// The number of a group.
    fn group(&self, name: &str) -> Option<u32>;
    /// The user a script runs as if nobody is named.
    fn own_user(&self) -> u32;
    /// What stands at a path, or under a bare name in `PATH`.
    fn program(&self, name: &str) -> Program;
    /// What lets somebody other than root change the program at a path, or under a bare name in
    /// `PATH`.
    fn weakness(&self, _: &str) -> Option<Weakness> {
        None
    }
    /// The text of a script, if it is one and can be read.
    fn read_script(&self, name: &str) -> Option<String>;
    /// The texts of a file of iproute2's names and of those in the directory beside it (`FILE.d`).
    fn name_files(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
    /// The short host name, which `@id` lines are compared with.
    fn host_name(&self) -> String;
}

/// What is known of a script before it runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Program {
    /// There is no such file.
    Missing,
    /// It is there, and nobody may execute it.
    NotExecutable,
    /// It is a directory, or something else that is no file.
    NoFile,
    /// It can be executed.
    Found {
        /// Somebody other than root could replace it, or a directory above it.
        insecure: bool,
        /// Where `PATH` led to, for a bare name.
        found_at: Option<PathBuf>,
    },
}

/// A part of a program's path that somebody other than root can change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weakness {
    /// The program, a directory above it, or what a link led to.
    pub part: PathBuf,
    /// Who can change it: `belongs to user 1000`.
    pub why: String,
    /// The command that mends it.
    pub mend: String,
}

impl Weakness {
    /// The first weak part of `real`, from the program upwards. In a directory with the sticky bit,
    /// such as `/tmp`, nobody can replace what belongs to root.
    fn of(real: &Path) -> Option<Self> {
        real.ancestors().find_map(|part| {
            let m = std::fs::metadata(part).ok()?;
            let (mode, shown) = (m.mode(), part.display());
            let sticky = m.is_dir() && mode & 0o1000 != 0;
            let (why, mend) = if m.uid() != 0 && mode & 0o200 != 0 {
                (format!("belongs to user {}", m.uid()), format!("chown root {shown}"))
            } else if m.gid() != 0 && mode & 0o020 != 0 {
                (format!("can be written by group {}", m.gid()), format!("chmod g-w {shown}"))
            } else if mode & 0o002 != 0 && !sticky {
                ("can be written by everybody".to_owned(), format!("chmod o-w {shown}"))
            } else {
                return None;
            };
            Some(Self { part: part.to_owned(), why, mend })
        })
    }
}

/// This machine: `/proc/thread-self/net/dev`, `/etc/passwd`, `/etc/group` or whatever else `getent` asks, the
/// file system and the environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

impl System for Host {
    fn has_interface(&self, name: &str) -> bool {
        // Not /sys/class/net: that shows the network namespace it was mounted in.
        let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        table.lines().any(|line| {
            line.rsplit_once(':').is_some_and(|(interface, _)| interface.trim() == name)
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        let fields = entry("/etc/passwd", name).or_else(|| ask("passwd", name))?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    }

    fn group(&self, name: &str) -> Option<u32> {
        entry("/etc/group", name).or_else(|| ask("group", name))?.get(2)?.parse().ok()
    }

    fn own_user(&self) -> u32 {
        std::fs::metadata("/proc/self").map_or(0, |m| m.uid())
    }

    fn weakness(&self, name: &str) -> Option<Weakness> {
        let path = match self.program(name) {
            Program::Found { insecure: true, found_at } => found_at.unwrap_or_else(|| name.into()),
            _ => return None,
        };
        Weakness::of(&std::fs::canonicalize(path).ok()?)
    }

    fn program(&self, name: &str) -> Program {
        if name.contains('/') {
            return inspect(Path::new(name), None);
        }
        let default = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path = std::env::var("PATH").unwrap_or_else(|_| default.to_owned());
        path.split(':')
            .filter(|directory| !directory.is_empty())
            .map(|directory| Path::new(directory).join(name))
            .map(|file| inspect(&file, Some(file.clone())))
            .find(|program| matches!(program, Program::Found { .. }))
            .unwrap_or(Program::Missing)
    }

    fn read_script(&self, name: &str) -> Option<String> {
        let mut text = Vec::new();
        let file = std::fs::File::open(name).ok().filter(|_| name.starts_with('/'))?;
        file.take(MAX_SCRIPT).read_to_end(&mut text).ok()?;
        String::from_utf8(text).ok().filter(|t| t.starts_with("#!"))
    }

    fn name_files(&self, file: &Path) -> Vec<String> {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".d");
        let entries = std::fs::read_dir(beside).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "conf"))
            .collect();
        files.sort();
        files.insert(0, file.to_path_buf());
        files.iter().filter_map(|path| text(path)).collect()
    }

    fn host_name(&self) -> String {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().split('.').next().unwrap_or_default().to_owned()
    }
}

/// The text of a file, as far as it is looked at; nothing if it cannot be read.
fn text(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::with_capacity(metadata.len().min(MAX_SCRIPT) as usize);
    std::fs::File::open(path).ok()?.take(MAX_SCRIPT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The fields of the line for `name` in a file of colon separated lines.
fn entry(file: &str, name: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(file).ok()?;
    let found = text.lines().map(|line| line.split(':')).find_map(|mut fields| {
        (fields.next() == Some(name)).then(|| fields.map(str::to_owned).collect::<Vec<_>>())
    });
    found.map(|rest| std::iter::once(name.to_owned()).chain(rest).collect())
}

/// The same of whoever else the machine asks for names (nsswitch.conf(5)), LDAP for instance.
fn ask(database: &str, name: &str) -> Option<Vec<String>> {
    let output = Command::new("getent")
        .args([database, "--", name])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let fields: Vec<String> = text.lines().next()?.split(':').map(str::to_owned).collect();
    // Asked for a number, it answers with whose it is.
    (fields.first().map(String::as_str) == Some(name)).then_some(fields)
}

/// Whether a file can be executed, and whether everything above it belongs to root alone.
fn inspect(file: &Path, found_at: Option<PathBuf>) -> Program {
    let real = std::fs::canonicalize(file).ok();
    let Some((real, metadata)) = real.and_then(|r| Some((r.clone(), std::fs::metadata(r).ok()?)))
    else {
        return Program::Missing;
    };
    if !metadata.is_file() {
        return Program::NoFile;
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Program::NotExecutable;
    }
    let insecure = Weakness::of(&real).is_some();
    Program::Found { insecure, found_at }
}

/// A machine that has everything a configuration names.
///
/// For tools that judge a file made for another machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elsewhere;

impl System for Elsewhere {
    fn has_interface(&self, _: &str) -> bool {
        true
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn user(&self, _: &str) -> Option<(u32, u32)> {
        Some((1, 1))
    }

    fn group(&self, _: &str) -> Option<u32> {
        Some(1)
    }

    fn own_user(&self) -> u32 {
        1
    }

    fn program(&self, _: &str) -> Program {
        Program::Found { insecure: false, found_at: None }
    }

    fn read_script(&self, _: &str) -> Option<String> {
        None
    }

    fn host_name(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn the_weak_part_of_a_path_is_named_with_what_mends_it() {
        if Host.own_user() != 0 {
            eprintln!("SKIPPED: only root's files are safe");
            return;
        }
        let directory = std::env::temp_dir().join(format!("evergate-weak-{}", std::process::id()));
        let (inner, script) = (directory.join("inner"), directory.join("inner/script"));
        fs::create_dir_all(&inner).expect("made");
        fs::write(&script, "#!/bin/sh\n").expect("made");
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        };
        for (path, bits) in [(&directory, 0o755), (&inner, 0o755), (&script, 0o755)] {
            mode(path, bits);
        }
        let weak = || {
            let weakness = Host.weakness(script.to_str().expect("text"));
            weakness.map(|w| format!("{} {}: {}", w.part.display(), w.why, w.mend))
        };
        assert_eq!(weak(), None);
        let shown = inner.display();
        mode(&inner, 0o757);
        let expected = format!("{shown} can be written by everybody: chmod o-w {shown}");
        assert_eq!(weak(), Some(expected));
        mode(&inner, 0o1757);
        assert_eq!(weak(), None, "sticky");
        mode(&inner, 0o755);
        chown(&inner, Some(1), None).expect("root may");
        assert_eq!(weak(), Some(format!("{shown} belongs to user 1: chown root {shown}")));
        chown(&inner, Some(0), Some(1)).expect("root may");
        mode(&inner, 0o775);
        let expected = format!("{shown} can be written by group 1: chmod g-w {shown}");
        assert_eq!(weak(), Some(expected));
        mode(&inner, 0o755);
        // As /bin is one today.
        let link = directory.join("link");
        symlink("inner", &link).expect("made");
        let through = link.join("script");
        assert_eq!(Host.weakness(through.to_str().expect("text")), None);
        fs::remove_dir_all(&directory).expect("ours");
    }

    #[test]
    fn users_are_those_the_machine_knows() {
        assert_eq!(Host.user("root"), Some((0, 0)));
        assert_eq!(Host.group("root"), Some(0));
        assert_eq!(Host.user("no such user"), None);
        assert_eq!(Host.user("--help"), None);
        assert_eq!(ask("passwd", "0"), None, "a number is no name");
    }
}
