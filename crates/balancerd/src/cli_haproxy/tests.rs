use std::path::PathBuf;

use super::*;

fn parse(line: &str) -> Result<Arguments, Wrong> {
    Arguments::parse(line.split_whitespace().map(Into::into))
}

#[test]
fn the_command_lines_of_debian_s_unit_and_of_vtest_are_read() {
    let unit =
        parse("-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock")
            .expect("readable");
    assert!(unit.master && unit.notify && unit.mode == Mode::Run);
    assert_eq!(unit.pidfile.as_deref(), Some("/run/haproxy.pid"));
    assert_eq!(unit.sockets[0].level, proxy::Level::Admin);
    assert_eq!(unit.not_built, [""; 0]);
    let check = parse("-Ws -f a.cfg -c -q -S /x").expect("readable");
    assert!(check.mode == Mode::Check && check.quiet);
    let vtest = parse("-d -Ws -S fd@9 -dM -dI -dW -f h1/cfg -p h1/pid -L A").expect("readable");
    assert!(vtest.foreground && vtest.zero_warning && vtest.master);
}

#[test]
fn files_come_from_f_and_from_behind_two_dashes() {
    let read = parse("-f a -c -f b -- c -d").expect("readable");
    assert_eq!(read.files, ["a", "b", "c", "-d"].map(PathBuf::from));
    assert!(!read.foreground);
}

#[test]
fn processes_to_replace_are_all_numbers_that_follow() {
    let read = parse("-f a -sf 12 13 -st 14 -D").expect("readable");
    assert_eq!((read.finish, read.terminate), (vec![12, 13], vec![14]));
    assert!(read.daemon);
    // Neither everybody nor a group nor init.
    assert_eq!(parse("-sf 0 1 15").expect("readable").finish, [15]);
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    assert_eq!(parse("-Z"), Err(Wrong::Usage));
    assert_eq!(parse("a.cfg"), Err(Wrong::Usage));
    assert_eq!(parse("-c -f"), Err(Wrong::MissingValue));
    assert_eq!(parse("-p"), Err(Wrong::MissingValue));
    // HAProxy writes the file as it reads it and ends; who asks for that does not mean to serve.
    assert_eq!(parse("-dC -f a"), Err(Wrong::Unbuilt("-dC".into())));
    assert_eq!(parse("-dKall -dL -f a").expect("readable").not_built, ["-dKall", "-dL"]);
}

#[test]
fn the_first_to_ask_for_a_version_gets_one() {
    assert_eq!(parse("-v -Z").expect("readable").mode, Mode::Version);
    assert_eq!(parse("-vv").expect("readable").mode, Mode::Build);
    assert_eq!(parse("-version").expect("readable").mode, Mode::Version);
    assert_eq!(parse("-cc 1").expect("readable").mode, Mode::Condition("1".into()));
}

#[test]
fn the_third_field_of_the_first_line_is_the_version() {
    let line = version::short();
    let field = line.split(' ').nth(2).expect("three fields");
    assert!(field.starts_with(haproxy_cfg::VERSION), "{line}");
    assert!(version::long().contains("\n  TARGET  = linux-"));
    assert!(version::long().contains("\nFeature list : +ACCEPT4"));
}
