use std::ffi::OsString;

use super::argv::{Args, Order, parse};
use super::handover::Handover;
use super::*;

fn words(text: &str) -> Vec<OsString> {
    text.split_ascii_whitespace().map(OsString::from).collect()
}

#[test]
fn options_combine_and_take_their_value_glued_or_apart() {
    let args = parse(&words("-tq -c/a/b -p d -gx; -s reload -e stderr")).expect("all are known");
    let expected = Args {
        test: true,
        quiet: true,
        file: Some("/a/b".into()),
        prefix: Some("d".into()),
        globals: Some("x;".into()),
        order: Some(Order::Reload),
        error_log: Some("stderr".into()),
        ..Args::default()
    };
    assert_eq!(args, expected);
    assert_eq!(parse(&words("-tg a;")).expect("known").globals.as_deref(), Some("a;"));
}

#[test]
fn a_wrong_command_line_is_refused_in_nginxs_words() {
    for (line, said) in [
        ("-x", "invalid option: \"x\""),
        ("-tx", "invalid option: \"x\""),
        ("foo", "invalid option: \"foo\""),
        ("-s foo", "invalid option: \"-s foo\""),
        ("-c", "option \"-c\" requires file name"),
        ("-e", "option \"-e\" requires file name"),
        ("-p", "option \"-p\" requires directory name"),
        ("-g", "option \"-g\" requires parameter"),
        ("-s", "option \"-s\" requires parameter"),
    ] {
        assert_eq!(parse(&words(line)), Err(said.to_owned()), "{line}");
    }
}

#[test]
fn only_nginx_and_its_processes_are_nginx() {
    for name in ["nginx", "/usr/sbin/nginx", "./nginx", MASTER, WORKER] {
        assert!(is_called(name.as_ref()), "{name}");
    }
    for name in ["balancerd", "haproxy", "/usr/sbin/nginx.distrib", "xnginx", ""] {
        assert!(!is_called(name.as_ref()), "{name}");
    }
}

#[test]
fn a_worker_reads_what_its_master_has_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("n.conf");
    let included = directory.path().join("a.inc");
    std::fs::write(&file, "include *.inc; events {}\nstream {}\n").expect("written");
    std::fs::write(&included, "pid \"é {\n\"; worker_processes 7;\n").expect("written");
    let options = Options {
        prefix: directory.path().to_owned(),
        globals: Some("daemon off;".into()),
        ..options()
    };
    let loaded = nginx_conf::load(&file, &options);
    assert!(loaded.is_ok(), "{:?}", loaded.diagnostics);
    // What changes in between is of no matter.
    let handed = Handover::of(&loaded, &file, &options).write().expect("a memory file");
    std::fs::write(&file, "broken").expect("written");
    std::fs::remove_file(&included).expect("removed");
    let mut handed = std::fs::File::from(handed);
    let read = Handover::read(&mut handed).expect("it is whole");
    let again = nginx_conf::load(&read.file, &read.options);
    assert_eq!(again.config, loaded.config);
    assert_eq!(again.config.process.pidfile, Some(directory.path().join("é {\n")));
    assert!(!again.config.process.daemon);
}
