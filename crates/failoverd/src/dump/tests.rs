use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn what_is_at_the_name_is_replaced_and_never_followed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("precious"), "keep me").expect("writable");
    std::os::unix::fs::symlink(path("precious"), path("keepalived.data")).expect("a link");
    put(directory.path(), "keepalived.data", "new").expect("written");
    assert_eq!(std::fs::read_to_string(path("precious")).expect("there"), "keep me");
    let meta = std::fs::symlink_metadata(path("keepalived.data")).expect("there");
    assert!(meta.is_file());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    put(directory.path(), "keepalived.data", "newer").expect("written");
    assert_eq!(std::fs::read_to_string(path("precious")).expect("there"), "keep me");
    assert_eq!(std::fs::read_to_string(path("keepalived.data")).expect("there"), "newer");
    let names = std::fs::read_dir(directory.path()).expect("there").count();
    assert_eq!(names, 2, "nothing is left beside them");
}

#[test]
fn no_two_names_beside_a_dump_are_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let name = || create(directory.path(), "keepalived.data").expect("a file").0;
    let (first, second) = (name(), name());
    std::fs::remove_file(&first).expect("ours");
    std::fs::remove_file(&second).expect("ours");
    let (third, fourth) = (name(), name());
    assert!(![&first, &second].contains(&&third) && ![&first, &second].contains(&&fourth));
}

#[test]
fn a_pipe_at_the_name_does_not_hold_anybody_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("keepalived.stats");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    put(directory.path(), "keepalived.stats", "text").expect("written");
    assert_eq!(std::fs::read_to_string(&path).expect("a file now"), "text");
}

#[test]
fn a_directory_that_is_gone_is_an_error_that_names_the_file() {
    let (path, _) = put(Path::new("/nonexistent"), "keepalived.json", "").expect_err("nowhere");
    assert_eq!(path, Path::new("/nonexistent/keepalived.json"));
}
