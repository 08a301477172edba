//! What a package says and holds, without building a daemon: `true` stands for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::binaries::Arch;
use super::{output, package};

fn installed(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("SKIPPED: {program} is not installed");
    }
    there
}

/// All packages, with a small program in place of the daemons.
fn build(out: &Path) -> Vec<PathBuf> {
    let root = crate::generate::root();
    let binaries = out.join("binaries");
    std::fs::create_dir_all(&binaries).expect("writable");
    for daemon in ["failoverd", "balancerd"] {
        std::fs::copy("/bin/true", binaries.join(daemon)).expect("every machine has it");
    }
    let arch = Arch::host().expect("there are packages for it");
    package::all(&root, arch, &binaries, None, &out.join("debs")).expect("built")
}

fn field(package: &Path, name: &str) -> String {
    let said = output(Command::new("dpkg-deb").arg("--field").arg(package).arg(name));
    said.expect("a package").trim().to_owned()
}

#[test]
fn the_packages_hold_what_they_say_and_are_the_same_each_time() {
    if !["dpkg-deb", "dpkg-parsechangelog", "readelf"].into_iter().all(installed) {
        return;
    }
    let (one, other) = (tempfile::tempdir().expect("room"), tempfile::tempdir().expect("room"));
    let packages = build(one.path());
    let again = build(other.path());
    for (package, again) in packages.iter().zip(&again) {
        let same = std::fs::read(package).expect("there") == std::fs::read(again).expect("there");
        assert!(same, "{}", package.display());
    }
    let of = |name: &str| {
        let begin = format!("{name}_");
        let is = |path: &&PathBuf| {
            path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&begin))
        };
        packages.iter().find(is).expect("one of five")
    };
    let list = |name: &str| {
        output(Command::new("dpkg-deb").arg("--contents").arg(of(name))).expect("a package")
    };
    for original in ["keepalived", "haproxy"] {
        let name = format!("evergate-{original}");
        for relation in ["Conflicts", "Replaces"] {
            assert_eq!(field(of(&name), relation), original);
        }
        assert!(field(of(&name), "Provides").starts_with(original));
        assert!(field(of(&name), "Pre-Depends").contains("(= "), "the same build's daemon");
        let list = list(&name);
        assert!(list.contains(&format!("./usr/sbin/{original} -> ")), "{list}");
        assert!(list.contains(&format!("./lib/systemd/system/{original}.service")), "{list}");
        // Files of /etc are put there by a script, which knows what else is there.
        let in_etc = |line: &&str| line.contains(" ./etc/") && !line.ends_with('/');
        assert_eq!(list.lines().find(in_etc), None);
        let info = output(Command::new("dpkg-deb").arg("--info").arg(of(&name)));
        assert!(!info.expect("a package").contains("conffiles"));
    }
    for daemon in ["failoverd", "balancerd"] {
        let name = format!("evergate-{daemon}");
        assert!(field(of(&name), "Depends").starts_with("libc6 (>= 2."));
        assert!(list(&name).contains("-rwxr-xr-x root/root"), "{daemon}");
        let own = std::fs::read_to_string(
            crate::generate::root().join(format!("packaging/systemd/{daemon}.service")),
        );
        assert!(own.expect("a unit").contains(&format!("/usr/sbin/{daemon}")));
    }
}

#[test]
fn the_scripts_of_the_packages_are_read_by_a_shell_without_complaint() {
    let root = crate::generate::root().join("packaging/deb");
    let library = std::fs::read_to_string(root.join("lib.sh")).expect("there");
    let directory = tempfile::tempdir().expect("room");
    let mut scripts = Vec::new();
    for name in package::ALL {
        for script in ["preinst", "postinst", "prerm", "postrm", "handover"] {
            let Ok(text) = std::fs::read_to_string(root.join(name).join(script)) else { continue };
            let file = directory.path().join(format!("{name}.{script}"));
            std::fs::write(&file, text.replace("@LIB@", &library)).expect("writable");
            output(Command::new("sh").arg("-n").arg(&file)).expect("a shell reads it");
            scripts.push(file);
        }
    }
    assert!(scripts.len() >= 15, "{scripts:?}");
    if installed("shellcheck") {
        // Not each script uses all of the library.
        let exclude = "--exclude=SC2317,SC2329,SC2034";
        let mut check = Command::new("shellcheck");
        output(check.args(["--shell=sh", exclude]).args(&scripts)).expect("nothing found");
    }
}

#[test]
fn the_completions_are_read_by_their_shell() {
    let completions = crate::generate::root().join("packaging/completions");
    for daemon in ["failoverd", "balancerd"] {
        let file = completions.join(format!("{daemon}.bash"));
        output(Command::new("bash").arg("-n").arg(file)).expect("bash reads it");
    }
}
