use std::time::Duration;

use proxy::{Config, Level};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::Client;
use super::*;

const CONFIG: &str = "
listen b
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    bind unix@/never/bound.sock
    server s 127.0.0.1:1 weight 50
";

fn config(text: &str) -> Config {
    let loaded = haproxy_cfg::load_texts(&[("t.cfg", text)], &haproxy_cfg::Options::sealed());
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn client(level: Level) -> Client {
    let shared: &'static Shared = Box::leak(Box::new(Shared::new(config(CONFIG)).unwrap()));
    let board: &'static Board = Box::leak(Box::new(Board::new(&shared.config).unwrap()));
    Client::new(shared, board, level)
}

/// Everything that is answered to `said`, and whether the client was kept waiting for more.
async fn dialogue(level: Level, said: &[u8], hang_up: bool) -> (String, bool) {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let talk = tokio::spawn(client(level).talk(theirs, Duration::from_millis(80)));
    ours.write_all(said).await.unwrap();
    if hang_up {
        ours.shutdown().await.unwrap();
    }
    let start = std::time::Instant::now();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    talk.await.unwrap().unwrap();
    (answer, start.elapsed() >= Duration::from_millis(80))
}

/// As HAProxy 2.6.12 answers: what is said, the answer (`V` is the version), whether it waits.
const DIALOGUES: &[(&str, &str, bool)] = &[
    ("show version\n", "V\n\n", false),
    ("show version;show version\n", "V\n\nV\n\n", false),
    ("show version ; show version\n", "V\n\nV\n\n", false),
    ("  show   version  \n", "V\n\n", false),
    ("show version\r\n", "V\n\n", false),
    ("show version\nshow version\n", "V\n\nV\n\n", false),
    ("prompt\nshow version\nquit\n", "\n> V\n\n> ", false),
    ("prompt\n", "\n> ", true),
    ("prompt;show version\n", "\n> V\n\n> ", true),
    ("prompt\nprompt\nshow version\n", "\n> \nV\n\n", false),
    ("quit\n", "", false),
    ("quit;show version\n", "", false),
    ("user\n", "\n", false),
    ("show cli level\n", "admin\n\n", false),
    ("operator;show cli level\n", "\noperator\n\n", false),
    ("show servers state zz\n", "Can't find backend.\n\n", false),
    ("get weight b/s\n", "50 (initial 50)\n\n", false),
    ("get weight b/x\n", "No such server.\n\n", false),
    ("get weight x/s\n", "No such backend.\n\n", false),
    ("show backend\n", "# name\nb\n\n", false),
];

#[tokio::test]
async fn dialogues_go_as_with_haproxy() {
    for &(said, answer, waits) in DIALOGUES {
        let expected = answer.replace('V', crate::stats::VERSION);
        assert_eq!(
            dialogue(Level::Admin, said.as_bytes(), false).await,
            (expected, waits),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn half_a_line_is_not_a_command() {
    assert_eq!(dialogue(Level::Admin, b"show version", true).await, (String::new(), false));
    assert_eq!(dialogue(Level::Admin, b"show version", false).await, (String::new(), true));
    let endless = vec![b'x'; 20_000];
    assert_eq!(dialogue(Level::Admin, &endless, false).await, (String::new(), false));
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let (answer, _) = client(Level::Admin).line("set weight b/s 10\n");
    assert_eq!(answer, "not supported yet: set weight\n\n");
    let (answer, _) = client(Level::Admin).line("show stat json\n");
    assert_eq!(answer, "not supported yet: show stat json\n\n");
}

#[test]
fn a_level_keeps_others_out() {
    for level in [Level::User, Level::Operator] {
        let (answer, _) = client(level).line("set weight b/s 10\n");
        assert_eq!(answer, "Permission denied\n\n");
    }
    assert_eq!(client(Level::User).line("show sess\n").0, "Permission denied\n\n");
    assert_eq!(client(Level::Operator).line("show sess\n").0, "not supported yet: show sess\n\n");
    let mut lowered = client(Level::Admin);
    assert_eq!(lowered.line("user; set weight b/s 1\n").0, "\nPermission denied\n\n");
    assert_eq!(lowered.line("operator; show cli level\n").0, "\nuser\n\n", "there is no way back");
}

#[test]
fn unknown_commands_are_answered_with_those_that_could_be_meant() {
    let head = "Unknown command, but maybe one of the following ones is a better match:\n  ";
    let (answer, _) = client(Level::Admin).line("shwo stat\n");
    assert!(answer.starts_with(head) && answer.contains("\n  show stat "), "{answer}");
    assert!(answer.contains("\n  quit ") && answer.ends_with("\n\n"), "{answer}");
    let head = "Unknown command. Please enter one of the following commands only:\n  ";
    for nothing in ["\n", "zork\n", "\u{1b}[A;\n"] {
        assert!(client(Level::Admin).line(nothing).0.starts_with(head), "{nothing:?}");
    }
}

#[test]
fn help_lists_what_can_be_said() {
    let (answer, _) = client(Level::User).line("help\n");
    assert!(answer.starts_with("The following commands are valid at this level:\n  "), "{answer}");
    let (answer, _) = client(Level::User).line("help show servers\n");
    assert_eq!(answer.lines().filter(|line| line.starts_with("  ")).count(), 1, "{answer}");
}

#[test]
fn stat_is_filtered_by_proxy_kind_and_server() {
    let names = |command: &str| -> Vec<String> {
        let (answer, _) = client(Level::User).line(command);
        let rows = answer.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        rows.filter_map(|row| row.split(',').nth(1)).map(str::to_owned).collect()
    };
    assert_eq!(names("show stat\n"), ["FRONTEND", "s", "BACKEND"]);
    assert_eq!(names("show stat -1 4 -1\n"), ["s"]);
    assert_eq!(names("show stat -1 3 -1\n"), ["FRONTEND", "BACKEND"]);
    assert_eq!(names("show stat b 4 1\n"), ["s"]);
    assert_eq!(names("show stat 99 -1 -1\n"), Vec::<String>::new());
    assert_eq!(names("show stat up\n"), ["FRONTEND", "s", "BACKEND"]);
    let (answer, _) = client(Level::User).line("show stat nope -1 -1\n");
    assert_eq!(answer, "No such proxy.\n\n");
}
