//! The other processes of our control group: what a service left behind when it was told to stop
//! and to let its processes go on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A process beside ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sibling {
    /// Its process id.
    pub pid: i32,
    /// That of its parent.
    pub parent: i32,
    /// The name of the program it runs, without directories, even where another has been installed
    /// over it since; a link's target.
    pub program: String,
}

/// The processes of this process's control group that run one of `programs`, but for this process
/// itself. None where the group is not that of a service of systemd: then they are somebody
/// else's.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn siblings(programs: &[&str]) -> io::Result<Vec<Sibling>> {
    let Some(group) = service(&fs::read_to_string("/proc/self/cgroup")?) else {
        return Ok(Vec::new());
    };
    let me = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Whatever cannot be read has ended meanwhile.
        let path = entry.path();
        let is_in = fs::read_to_string(path.join("cgroup"))
            .is_ok_and(|text| service(&text).is_some_and(|its| its == group));
        if !is_in || u32::try_from(pid) == Ok(me) {
            continue;
        }
        let Some((parent, program)) = parent(&path).zip(program(&path)) else { continue };
        if programs.contains(&program.as_str()) {
            found.push(Sibling { pid, parent, program });
        }
    }
    found.sort_by_key(|sibling| sibling.pid);
    Ok(found)
}

/// Those that none of the others started.
#[must_use]
pub fn eldest(siblings: &[Sibling]) -> Vec<i32> {
    let is_child = |one: &Sibling| siblings.iter().any(|other| other.pid == one.parent);
    siblings.iter().filter(|one| !is_child(one)).map(|one| one.pid).collect()
}

/// The service's path in the text of a `/proc/PID/cgroup` (cgroups(7)), in systemd's hierarchy.
fn service(text: &str) -> Option<String> {
    // Where both hierarchies are mounted, it is in one of them.
    text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_its = ["", "name=systemd"].contains(&controllers) && path.ends_with(".service");
        is_its.then(|| path.to_owned())
    })
}

/// The fourth field of `/proc/PID/stat` (proc(5)); the second may hold spaces and parentheses.
fn parent(path: &Path) -> Option<i32> {
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn program(path: &Path) -> Option<String> {
    let program: PathBuf = fs::read_link(path.join("exe")).ok()?;
    Some(name(program.file_name()?.to_str()?).to_owned())
}

/// What a program is called that somebody has removed meanwhile, or dpkg replaced.
fn name(file: &str) -> &str {
    let file = file.strip_suffix(" (deleted)").unwrap_or(file);
    file.strip_suffix(".dpkg-tmp").or_else(|| file.strip_suffix(".dpkg-new")).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_its_control_group_in_either_hierarchy() {
        let one = "0::/system.slice/haproxy.service\n";
        assert_eq!(service(one).as_deref(), Some("/system.slice/haproxy.service"));
        let older = "12:cpu,cpuacct:/\n1:name=systemd:/system.slice/keepalived.service\n0::/\n";
        assert_eq!(service(older).as_deref(), Some("/system.slice/keepalived.service"));
        let both = "9:name=systemd:/container-7\n0::/system.slice/haproxy.service\n";
        assert_eq!(service(both), service(one));
        for text in ["0::/user.slice/user-0.slice/session-1.scope\n", "0::/\n", ""] {
            assert_eq!(service(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_process_is_known_by_its_parent_and_its_program() {
        let own = Path::new("/proc/self");
        let expected = i32::try_from(std::os::unix::process::parent_id()).expect("small");
        assert_eq!(parent(own), Some(expected));
        let exe = std::env::current_exe().expect("there is one");
        assert_eq!(program(own).as_deref(), exe.file_name().and_then(|name| name.to_str()));
    }

    #[test]
    fn a_program_that_was_replaced_keeps_its_name() {
        for file in ["haproxy", "haproxy (deleted)", "haproxy.dpkg-tmp (deleted)"] {
            assert_eq!(name(file), "haproxy");
        }
    }

    #[test]
    fn the_eldest_are_those_whose_parents_are_elsewhere() {
        let one = |pid, parent| Sibling { pid, parent, program: "haproxy".into() };
        let all = [one(10, 1), one(11, 10), one(12, 11), one(20, 1)];
        assert_eq!(eldest(&all), [10, 20]);
    }

    #[test]
    fn outside_of_a_service_there_is_nobody_to_follow() {
        // Tests run in somebody's session, in a container, or in a service of a CI; only there
        // could there be siblings, and none runs this program.
        assert_eq!(siblings(&["no-such-program"]).expect("/proc is readable"), []);
    }
}
