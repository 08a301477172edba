//! The installed keepalived, asked in a namespace of its own.

use std::path::Path;
use std::process::Command;

use keepalived_conf::{Loaded, Options, Program, System, load};

/// A node with `eth0`, `eth1` and root's programs, as the namespace the original runs in.
pub(crate) struct Node;

impl System for Node {
    fn has_interface(&self, name: &str) -> bool {
        ["lo", "eth0", "eth1"].contains(&name)
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        (name == "root").then_some((0, 0))
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }

    fn own_user(&self) -> u32 {
        0
    }

    fn program(&self, name: &str) -> Program {
        match name {
            "/bin/true" | "/bin/sh" => Program::Found { insecure: false, found_at: None },
            _ => Program::Missing,
        }
    }

    fn read_script(&self, _: &str) -> Option<String> {
        None
    }

    fn host_name(&self) -> String {
        "not-this-node".into()
    }
}

/// What keepalived prints and exits with, repeats of its processes left out.
fn original(directory: &Path) -> Option<(i32, Vec<String>)> {
    let script = "ip link add eth0 type veth peer name eth1 && mount -t tmpfs none /run && exec keepalived -t -f t.conf";
    let output = Command::new("unshare")
        .args(["-Urnm", "sh", "-c", script])
        .current_dir(directory)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.code()?, once(&said)))
}

/// The lines, repeats of its processes left out.
fn once(said: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in said.lines() {
        let elsewhere = line.replacen("(t.conf: Line", "(Line", 1);
        if !lines.iter().any(|l| l == line || *l == elsewhere) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Whether the original can be asked here.
pub(crate) fn can_ask() -> bool {
    let directory = tempfile::tempdir().expect("a directory for the test");
    std::fs::write(directory.path().join("t.conf"), "keepalived_asked\n")
        .expect("a file for the test");
    let answer = original(directory.path());
    let works = answer.is_some_and(|(code, lines)| {
        code == 5 && lines.iter().any(|l| l.contains("Unknown keyword 'keepalived_asked'"))
    });
    if !works {
        eprintln!("SKIPPED: keepalived cannot be run in a namespace here");
    }
    works
}

pub(crate) fn both(text: &str) -> ((i32, Vec<String>), Loaded) {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let file = directory.path().join("t.conf");
    std::fs::write(&file, text).expect("a file for the test");
    let theirs = original(directory.path()).expect("keepalived answered before");
    let ours = load(&file, &Options::new(&Node));
    (theirs, ours)
}

/// Our lines, with the file named as the original was given it.
pub(crate) fn shown(loaded: &Loaded) -> Vec<String> {
    let name = loaded.sources.name(0);
    loaded.upstream_lines().iter().map(|l| l.replace(name, "t.conf")).collect()
}

/// What it says to `many` files, `0/t.conf` and so on, one after the other in one namespace.
pub(crate) fn original_of_many(place: &Path, many: usize) -> Option<Vec<(i32, Vec<String>)>> {
    let script = format!(
        "ip link add eth0 type veth peer name eth1 && mount -t tmpfs none /run || exit 1
         n=0
         while [ $n -lt {many} ]; do
           cd {}/$n
           timeout 20 keepalived -t -f t.conf >/dev/null 2>said
           echo $? >code
           n=$((n + 1))
         done",
        place.display()
    );
    let status = Command::new("unshare").args(["-Urnm", "sh", "-c", &script]).status().ok()?;
    if !status.success() {
        return None;
    }
    let one = |number: usize| {
        let own = place.join(number.to_string());
        let code = std::fs::read_to_string(own.join("code")).ok()?.trim().parse().ok()?;
        let said = std::fs::read(own.join("said")).ok()?;
        Some((code, once(&String::from_utf8_lossy(&said))))
    };
    (0..many).map(one).collect()
}
