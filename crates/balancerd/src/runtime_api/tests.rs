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
    Client::new(shared, board, level, Duration::from_millis(80))
}

impl Client {
    /// The answer to one line.
    async fn line(&mut self, line: &str) -> (String, bool) {
        let mut decoder = haproxy_cfg::cli::Decoder::default();
        decoder.feed(line.as_bytes());
        let mut out = String::new();
        while let Some(input) = decoder.next() {
            let haproxy_cfg::cli::Input::Command(command) = input else { continue };
            let (text, more) = self.command(&command).await;
            out.push_str(&text);
            if !more {
                return (out, false);
            }
        }
        (out, true)
    }
}

/// Everything that is answered to `said`, and whether the client was kept waiting for more.
async fn dialogue(level: Level, said: &[u8], hang_up: bool) -> (String, bool) {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let talk = tokio::spawn(client(level).talk(theirs));
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
    ("prompt;get weight b/s <<\nfoo\n\nquit\n", "\n> + + 50 (initial 50)\n\n> ", false),
    ("show version <<\nfoo\n\n", "V\n\n", false),
    ("expert-mode on;expert-mode\n", "\nexpert-mode is ON\n\n", false),
    ("experimental-mode\n", "experimental-mode is OFF\n\n", false),
    ("echo a b\n", "a b\n\n", false),
    ("prompt i\necho a\nquit\n", "\na\n\n", false),
    ("get\\ weight b/s\\;show info\n", "?", false),
];

#[tokio::test]
async fn dialogues_go_as_with_haproxy() {
    for &(said, answer, waits) in DIALOGUES {
        let expected = answer.replace('V', crate::stats::VERSION);
        let (said_back, waited) = dialogue(Level::Admin, said.as_bytes(), false).await;
        assert_eq!(waited, waits, "{said:?}");
        match answer {
            "?" => assert!(said_back.starts_with("Unknown command: "), "{said:?}: {said_back}"),
            _ => assert_eq!(said_back, expected, "{said:?}"),
        }
    }
}

#[tokio::test]
async fn half_a_line_is_not_a_command() {
    assert_eq!(dialogue(Level::Admin, b"show version", true).await, (String::new(), false));
    assert_eq!(dialogue(Level::Admin, b"show version", false).await, (String::new(), true));
    let endless = vec![b'x'; 20_000];
    assert_eq!(dialogue(Level::Admin, &endless, false).await, (String::new(), false));
}

#[tokio::test]
async fn what_is_not_built_is_refused_by_name() {
    let (answer, _) = client(Level::Admin).line("set ssl cert x\n").await;
    assert_eq!(answer, "not supported yet: set ssl cert\n\n");
}

#[tokio::test]
async fn a_level_keeps_others_out() {
    for level in [Level::User, Level::Operator] {
        let (answer, _) = client(level).line("set weight b/s 10\n").await;
        assert_eq!(answer, "Permission denied\n\n");
    }
    assert_eq!(client(Level::User).line("show sess\n").await.0, "Permission denied\n\n");
    assert_eq!(client(Level::Operator).line("show sess\n").await.0, "\n");
    let mut lowered = client(Level::Admin);
    let (answer, _) = lowered.line("user; set weight b/s 1\n").await;
    assert_eq!(answer, "\nPermission denied\n\n");
    let (answer, _) = lowered.line("operator; show cli level\n").await;
    assert_eq!(answer, "\nuser\n\n", "there is no way back");
}

#[tokio::test]
async fn unknown_commands_are_answered_with_those_that_could_be_meant() {
    let head = "Unknown command: 'shwo', but maybe one of the following ones is a better match:\n";
    let (answer, _) = client(Level::Admin).line("shwo stat\n").await;
    assert!(answer.starts_with(head) && answer.contains("\n  show stat "), "{answer}");
    assert!(answer.contains("\n  quit ") && answer.ends_with("\n\n"), "{answer}");
    let tail = "Please enter one of the following commands only:\n  ";
    for (line, head) in [("\n", "Unknown command. "), ("zork\n", "Unknown command: 'zork'. ")] {
        let (answer, _) = client(Level::Admin).line(line).await;
        assert!(answer.starts_with(&format!("{head}{tail}")), "{line:?}: {answer}");
    }
}

#[tokio::test]
async fn help_lists_what_can_be_said() {
    let (answer, _) = client(Level::User).line("help\n").await;
    assert!(answer.starts_with("The following commands are valid at this level:\n  "), "{answer}");
    assert!(!answer.contains("set var"), "experimental");
    let (answer, _) = client(Level::User).line("help show servers\n").await;
    assert_eq!(answer.lines().filter(|line| line.starts_with("  ")).count(), 2, "{answer}");
}

#[tokio::test]
async fn stat_is_filtered_by_proxy_kind_and_server() {
    async fn names(command: &str) -> Vec<String> {
        let (answer, _) = client(Level::User).line(command).await;
        let rows = answer.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        rows.filter_map(|row| row.split(',').nth(1)).map(str::to_owned).collect()
    }
    assert_eq!(names("show stat\n").await, ["FRONTEND", "s", "BACKEND"]);
    assert_eq!(names("show stat -1 4 -1\n").await, ["s"]);
    assert_eq!(names("show stat -1 3 -1\n").await, ["FRONTEND", "BACKEND"]);
    assert_eq!(names("show stat b 4 1\n").await, ["s"]);
    assert_eq!(names("show stat 99 -1 -1\n").await, Vec::<String>::new());
    assert_eq!(names("show stat up\n").await, ["FRONTEND", "s", "BACKEND"]);
    let (answer, _) = client(Level::User).line("show stat nope -1 -1\n").await;
    assert_eq!(answer, "No such proxy.\n\n");
}

#[tokio::test]
async fn weights_and_limits_are_changed_and_shown() {
    let mut client = client(Level::Admin);
    for (line, answer) in [
        ("set weight b/s 0", "\n"),
        ("get weight b/s", "0 (initial 50)\n\n"),
        ("set weight b/s 50%", "\n"),
        ("get weight b/s", "25 (initial 50)\n\n"),
        ("set server b/s weight 1000%", "\n"),
        ("get weight b/s", "256 (initial 50)\n\n"),
        ("set maxconn server b/s 7", "\n"),
        ("set maxconn frontend b 9", "\n"),
        ("set maxconn global 5", "\n"),
        ("set timeout cli 1m", "\n"),
        ("clear counters", "\n"),
        ("clear counters all", "\n"),
    ] {
        assert_eq!(client.line(&format!("{line}\n")).await.0, answer, "{line}");
    }
    let stat = client.line("show stat\n").await.0;
    let cells = |name: &str, column: usize| -> String {
        let row = stat.lines().find(|row| row.split(',').nth(1) == Some(name)).unwrap();
        row.split(',').nth(column).unwrap().to_owned()
    };
    assert_eq!((cells("s", 6).as_str(), cells("FRONTEND", 6).as_str()), ("7", "9"));
    assert_eq!(cells("s", 18), "256");
    let info = client.line("show info\n").await.0;
    assert!(info.contains("\nMaxconn: 5\n") && !info.contains("\nHard_maxconn: 5\n"), "{info}");
    assert_eq!(client.line("set maxconn global 0\n").await.0, "\n");
    assert!(!client.line("show info\n").await.0.contains("\nMaxconn: 5\n"));
}

/// What is refused, and in which words: those of HAProxy 2.6.12.
const REFUSALS: &[(&str, &str)] = &[
    ("set weight b/s", "Require <weight> or <weight%>.\n\n"),
    ("set weight", "Require 'backend/server'.\n\n"),
    ("set weight b/s 257", "Absolute weight can only be between 0 and 256 inclusive.\n\n"),
    ("set weight b/s foo", "Empty weight string empty or preceded by garbage\n\n"),
    ("set weight b/s 1x", "Trailing garbage in weight string\n\n"),
    ("set weight b/s -1%", "Relative weight must be positive.\n\n"),
    ("set server b/zz state ready", "No such server.\n\n"),
    ("set server zz/s state ready", "No such backend.\n\n"),
    (
        "set server b/s state foo",
        "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n",
    ),
    (
        "set server b/s health foo",
        "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n\n",
    ),
    ("set server b/s agent up", "agent checks are not enabled on this server.\n\n"),
    ("set server b/s agent-port 1", "agent checks are not enabled on this server\n\n"),
    ("set server b/s check-port 1", "health checks are not enabled on this server\n\n"),
    ("set server b/s addr foo", "Invalid addr 'foo'\n\n"),
    (
        "set server b/s addr 127.0.0.1 port x",
        "problem converting port 'x' to an int by 'stats socket command'\n\n",
    ),
    ("set maxconn server b/s", "Require <maxconn>.\n\n"),
    ("set maxconn server b/s x", "maxconn string empty or preceded by garbage\n\n"),
    ("set maxconn frontend b", "Integer value expected.\n\n"),
    ("set maxconn frontend zz 10", "No such frontend.\n\n"),
    ("set maxconn global", "Expects an integer value.\n\n"),
    ("set maxconn global 10000000", "Value out of range.\n\n"),
    ("set timeout foo", "'set timeout' only supports 'cli'.\n\n"),
    ("set timeout cli", "Expects an integer value.\n\n"),
    ("set timeout cli x", "Invalid timeout value.\n\n"),
    ("set severity-output x", "one of 'none', 'number', 'string' is a required argument\n\n"),
    ("set profiling foo", "Expects either 'tasks' or 'memory'.\n\n"),
    ("shutdown session 0x0", "Session pointer expected (use 'show sess').\n\n"),
    ("shutdown sessions server b/x", "No such server.\n\n"),
    ("show errors zz", "No such proxy.\n\n"),
    ("show sess 0x1", "Session not found.\n\n"),
    ("show servers conn zz", "Can't find backend.\n\n"),
    ("show env NOBODY_SETS_THIS", "Variable not found\n\n"),
    ("get var proc.x", "Variable not found.\n\n"),
    ("get var", "Missing process-wide variable identifier.\n\n"),
    ("set var proc.x int(1)", "This command is restricted to experimental mode only.\n\n"),
    ("enable health b/s", "Health check was not configured on this server, cannot enable.\n\n"),
    ("enable agent b/s", "Agent was not configured on this server, cannot enable.\n\n"),
];

#[tokio::test]
async fn refusals_are_in_haproxys_words() {
    for (line, answer) in REFUSALS {
        let said = client(Level::Admin).line(&format!("{line}\n")).await.0;
        assert_eq!(said, *answer, "{line}");
    }
}

#[tokio::test]
async fn a_server_is_moved_by_hand() {
    let mut client = client(Level::Admin);
    let by = "by 'stats socket command'";
    for (line, answer) in [
        ("addr 127.0.0.2", format!("IP changed from '127.0.0.1' to '127.0.0.2' {by}\n\n")),
        ("addr 127.0.0.2 port 9", format!("port changed from '1' to '9' {by}\n\n")),
        ("addr 127.0.0.2", format!("no need to change the addr {by}\n\n")),
    ] {
        assert_eq!(client.line(&format!("set server b/s {line}\n")).await.0, answer, "{line}");
    }
    assert!(client.line("show servers state\n").await.0.contains(" 127.0.0.2 "));
}

#[tokio::test]
async fn messages_have_a_label_if_that_is_wanted() {
    let mut client = client(Level::Admin);
    let line = "set severity-output number; show version; get weight b/x; show backend\n";
    let expected =
        format!("\n[6]: {}\n\n[3]: No such server.\n\n# name\nb\n\n", crate::stats::VERSION);
    assert_eq!(client.line(line).await.0, expected);
    let line = "set severity-output string; get weight b/x\n";
    assert_eq!(client.line(line).await.0, "\n[err]: No such server.\n\n");
}

#[tokio::test]
async fn variables_of_the_process_are_set_and_read() {
    let line = "experimental-mode on;set var proc.x int(1);get var proc.x;\
                set var proc.y str(a\\ b);get var proc.y\n";
    let expected = "\n\nproc.x: type=sint value=<1>\n\n\nproc.y: type=str value=<a b>\n\n";
    assert_eq!(client(Level::Admin).line(line).await.0, expected);
}

#[tokio::test]
async fn a_client_waits_as_long_as_it_says() {
    let start = std::time::Instant::now();
    assert_eq!(client(Level::User).line("wait 30ms\n").await.0, "Done.\n\n");
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let (mut ours, theirs) = tokio::io::duplex(256);
    let talk = tokio::spawn(client(Level::Admin).talk(theirs));
    ours.write_all(b"show stat\n").await.unwrap();
    let limit = Duration::from_secs(5);
    tokio::time::timeout(limit, talk).await.expect("it ends by itself").unwrap().unwrap();
}

#[tokio::test]
async fn a_dripping_client_is_understood() {
    let (mut ours, theirs) = tokio::io::duplex(4096);
    let talk = tokio::spawn(client(Level::Admin).talk(theirs));
    for byte in b"prompt; show backend\nquit\n" {
        ours.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    talk.await.unwrap().unwrap();
    assert_eq!(answer, "\n> # name\nb\n\n> ");
}

#[tokio::test]
async fn frontends_pause_go_on_and_end() {
    let mut client = client(Level::Admin);
    for (line, answer, status) in [
        ("enable frontend b", "All sockets are already enabled.\n\n", "OPEN"),
        ("disable frontend b", "\n", "PAUSED"),
        ("disable frontend b", "All sockets are already disabled.\n\n", "PAUSED"),
        ("enable frontend b", "\n", "OPEN"),
        ("shutdown frontend b", "\n", "STOP"),
        ("enable frontend b", "Frontend was previously shut down, cannot enable.\n\n", "STOP"),
        ("shutdown frontend b", "Frontend was already shut down.\n\n", "STOP"),
        ("shutdown frontend x", "No such frontend.\n\n", "STOP"),
        ("shutdown frontend", "A frontend name is expected.\n\n", "STOP"),
    ] {
        assert_eq!(client.line(&format!("{line}\n")).await.0, answer, "{line}");
        let stat = client.line("show stat -1 1 -1\n").await.0;
        let row = stat.lines().nth(1).unwrap();
        assert_eq!(row.split(',').nth(17), Some(status), "{line}");
    }
}

#[tokio::test]
async fn servers_are_steered_as_with_haproxy() {
    let mut client = client(Level::Admin);
    for (line, status, admin) in [
        ("set server b/s state maint", "MAINT", "1"),
        ("set server b/s state ready", "no check", "0"),
        ("set server b/s state drain", "DRAIN", "8"),
        ("disable server b/s", "MAINT", "1"),
        ("enable server b/s", "no check", "0"),
        ("set server b/s health down", "DOWN", "0"),
        ("set server b/s health stopping", "NOLB", "0"),
        ("set server b/s health up", "no check", "0"),
    ] {
        assert_eq!(client.line(&format!("{line}\n")).await.0, "\n", "{line}");
        let stat = client.line("show stat -1 4 -1\n").await.0;
        let state = client.line("show servers state b\n").await.0;
        assert_eq!(stat.lines().nth(1).unwrap().split(',').nth(17), Some(status), "{line}");
        assert_eq!(state.lines().nth(2).unwrap().split(' ').nth(6), Some(admin), "{line}");
    }
}
