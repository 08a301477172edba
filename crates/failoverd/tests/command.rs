//! The program as an operator meets it, as far as that needs no privilege.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Output};

/// No interface is the same on all machines, and a loopback will not do.
const GOOD: &str = "global_defs { dynamic_interfaces }
vrrp_instance VI_1 {
    interface evergate0
    virtual_router_id 51
    virtual_ipaddress { 192.0.2.1/24 }
}
";

/// Starts the program by `name`, as a link to it would be, without any privilege.
fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_failoverd"));
    command.arg0(name).args(arguments).env_remove("NOTIFY_SOCKET");
    command.output().expect("it was built")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file(directory: &Path, text: impl AsRef<[u8]>) -> String {
    let path = directory.join("keepalived.conf");
    std::fs::write(&path, text).expect("writable");
    path.display().to_string()
}

#[test]
fn the_version_goes_to_standard_error_under_either_name() {
    let output = run("keepalived", &["-v"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).starts_with("Keepalived v2."), "{}", said(&output));
    assert!(output.stdout.is_empty());
    let output = run("failoverd", &["--version"]);
    assert!(said(&output).starts_with("Failoverd v"), "{}", said(&output));
}

#[test]
fn the_help_names_every_option_and_which_are_to_come() {
    let output = run("/usr/sbin/keepalived", &["-h"]);
    assert_eq!(output.status.code(), Some(0));
    let help = said(&output);
    assert!(help.starts_with("Usage: keepalived [OPTION...]\n"), "{help}");
    for option in ["-f, --use-file=FILE", "-t, --config-test[=LOG_FILE]", "--signum=SIGFUNC"] {
        assert!(help.contains(option), "{option}");
    }
    let hash = help.lines().find(|line| line.contains("--genhash")).expect("it is keepalived's");
    assert!(hash.ends_with("(not supported yet)"), "{hash}");
}

#[test]
fn under_our_own_name_the_help_begins_with_its_words() {
    for word in ["--help", "-h"] {
        let output = run("failoverd", &[word]);
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(help.contains("failoverd check [PATH]...\n"), "{help}");
        assert!(help.contains("-f, --use-file=FILE"), "{help}");
    }
    let output = run("failoverd", &["chekc", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("'check'"), "{}", said(&output));
}

#[test]
fn what_is_not_understood_ends_with_code_1_and_its_name() {
    let cases: [(&[&str], &str); 4] = [
        (&["--foo"], "Unknown option --foo\n"),
        (&["-nZ"], "Unknown option -Z\n"),
        (&["-f"], "Missing parameter for option -f\n"),
        (&["-T"], "not supported yet: --genhash\n"),
    ];
    for (arguments, expected) in cases {
        let output = run("keepalived", arguments);
        assert_eq!((output.status.code(), &*said(&output)), (Some(1), expected));
    }
}

#[test]
fn signal_numbers_are_answered_on_standard_output() {
    let output = run("keepalived", &["--signum=RELOAD"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"1\n"[..]));
}

#[test]
fn a_good_configuration_is_tested_without_a_word() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = run("keepalived", &["-t", "-f", &file(directory.path(), GOOD)]);
    assert_eq!((output.status.code(), &*said(&output)), (Some(0), ""));
}

#[test]
fn every_mistake_is_said_in_one_test_in_keepaliveds_words() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = GOOD.replace("    virtual_router_id 51\n", "    priority 300\n    foo bar\n");
    let path = file(directory.path(), text);
    let output = run("keepalived", &["-t", "-f", &path]);
    assert_eq!(output.status.code(), Some(5));
    let said = said(&output);
    for line in [
        "Line 4) (VI_1) Priority not valid! must be between 1 & 255. Using default 100",
        "Line 5) Unknown keyword 'foo'",
        "(VI_1) the virtual router id must be set",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(!said.contains('^'), "{said}");
}

#[test]
fn under_our_own_name_a_mistake_is_shown_in_its_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), GOOD.replace("virtual_router_id", "virtual_router_ib"));
    for (name, arguments) in
        [("failoverd", &["-t", "-f"][..]), ("keepalived", &["-t", "--explain", "-f"])]
    {
        let output = run(name, &[arguments, &[&path]].concat());
        assert_eq!(output.status.code(), Some(5), "{name}");
        let said = said(&output);
        assert!(said.contains("virtual_router_ib 51") && said.contains("^^^"), "{said}");
    }
}

#[test]
fn the_manual_names_every_option() {
    let manual = include_str!("../../../packaging/man/failoverd.8.md");
    let output = run("failoverd", &["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    let words = help.split([' ', ',', '=', '[', '\n']).filter(|word| word.starts_with("--"));
    for option in words {
        assert!(manual.contains(option), "{option}");
    }
    let words = help.split("Commands:\n").nth(1).unwrap_or_default().lines();
    for word in words.map_while(|line| line.strip_prefix("  ")?.split(' ').next()) {
        assert!(manual.contains(&format!("\n`{word}`")), "{word}");
    }
}

#[test]
fn a_check_shows_a_mistake_in_its_line_and_reckons_with_what_is_right() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), GOOD.replace("virtual_router_id", "virtual_router_ib"));
    let output = run("failoverd", &["check", &path]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(1 | 3)), "{said}");
    assert!(said.contains("virtual_router_ib 51") && said.contains("^^^"), "{said}");
    let path = file(directory.path(), GOOD);
    let output = run("failoverd", &["check", &path]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("(keepalived): runs here: 1 virtual router"), "{said}");
    assert!(said.contains("takes over from a master that dies silently after at most"), "{said}");
    let output = run("failoverd", &["check", "/nowhere"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_result_of_a_test_is_appended_to_a_file_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(
        directory.path(),
        GOOD.replace("    virtual_router_id", "    foo\n    virtual_router_id"),
    );
    let log = directory.path().join("log");
    for _ in 0..2 {
        let output = run("keepalived", &[&format!("-t{}", log.display()), "-f", &path]);
        assert_eq!((output.status.code(), &*said(&output)), (Some(5), ""));
    }
    let text = std::fs::read_to_string(&log).expect("it was written");
    assert_eq!(text.matches("Unknown keyword 'foo'").count(), 2, "{text}");
    let mode = std::fs::metadata(&log).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn any_bytes_and_any_path_are_answered_with_a_message_and_a_code() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let nested = "vrrp_instance a {\n".repeat(1_000);
    let noise: Vec<u8> = (0..=255_u8).cycle().take(4096).collect();
    let long = format!("vrrp_instance {}", "x".repeat(10 << 20));
    let inputs: [&[u8]; 3] = [nested.as_bytes(), &noise, long.as_bytes()];
    for input in inputs {
        let output = run("keepalived", &["-t", "-f", &file(directory.path(), input)]);
        assert_eq!(output.status.signal(), None, "{}", said(&output));
        assert!(!said(&output).is_empty());
    }
    for path in [directory.path().display().to_string(), "/no/such/file".to_owned()] {
        let output = run("keepalived", &["-t", "-f", &path]);
        // keepalived's quirk: nothing was wrong with what it read, which was nothing.
        assert_eq!(output.status.code(), Some(0));
        assert!(said(&output).contains(&path), "{}", said(&output));
    }
}

/// As nobody, where we are root; else as we are.
fn unprivileged(arguments: &[&str], text: &str) -> Output {
    let directory = tempfile::Builder::new().tempdir_in("/tmp").expect("a temporary directory");
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), readable).expect("it is ours");
    let path = file(directory.path(), text);
    // Where it was built may not be for everybody.
    let program = directory.path().join("keepalived");
    // By another process: a child that is forked here meanwhile would keep the file open for writing,
    // and the kernel would not run it.
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_failoverd")).arg(&program);
    assert!(copy.status().expect("coreutils").success(), "room for a copy");
    let pid_files = [directory.path().join("p"), directory.path().join("r")];
    let mut command = Command::new(&program);
    command.args(arguments).arg("-f").arg(&path);
    command.arg("-p").arg(&pid_files[0]).arg("-r").arg(&pid_files[1]);
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().expect("it was built");
    assert!(!pid_files.iter().any(|file| file.exists()), "nothing may be left behind");
    output
}

#[test]
fn without_its_capabilities_it_says_which_and_ends_with_code_4() {
    let output = unprivileged(&["-n", "-l", "-G"], GOOD);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("CAP_NET_ADMIN is missing"), "{}", said(&output));
    // In the background too, whoever typed the command is told.
    let output = unprivileged(&["-G"], GOOD);
    assert_eq!(output.status.code(), Some(4));
    assert!(said(&output).contains("CAP_NET_ADMIN is missing"), "{}", said(&output));
}
