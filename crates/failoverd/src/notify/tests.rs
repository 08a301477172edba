use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use vrrp::config::{MailConfig, SyncGroupConfig};

use super::*;

fn command(words: &[&str]) -> Command {
    Command { words: words.iter().map(|&w| w.to_owned()).collect(), ..Command::default() }
}

/// Appends its arguments behind `$0` to a file, after `sleep` seconds.
fn noting(directory: &TempDir, sleep: &str, word: &str) -> Command {
    let script = format!("sleep {sleep}; echo $0 $* >> {}", directory.path().join("log").display());
    command(&["sh", "-c", &script, word])
}

fn noted(directory: &TempDir) -> Vec<String> {
    let text = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn notifier(config: &Config) -> Notifier {
    let mut notifier = Notifier::new(Rc::new(Log::new("test")), true);
    notifier.configure(config);
    notifier
}

fn tell(
    notifier: &mut Notifier,
    clock: Clock,
    kind: Kind,
    name: &str,
    told: Told,
    c: &NotifyConfig,
) {
    let priority = if kind == Kind::Group { 0 } else { 150 };
    notifier.tell(clock.now(), Notice { kind, name, told, priority, config: c });
}

async fn until_quiet(notifier: &mut Notifier, clock: Clock) {
    while !notifier.queue.is_empty() || notifier.mails_waiting > 0 {
        let deadline = notifier.deadline();
        tokio::select! {
            () = clock.until(deadline) => notifier.tick(clock.now()),
            end = notifier.ended() => notifier.end(clock.now(), end),
        }
    }
}

#[tokio::test]
async fn scripts_of_an_instance_run_one_after_another_in_the_order_of_its_states() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = NotifyConfig {
        master: Some(noting(&directory, "0.3", "master")),
        backup: Some(noting(&directory, "0", "backup")),
        any: Some(noting(&directory, "0.05", "any")),
        ..NotifyConfig::default()
    };
    let clock = Clock::start();
    let mut notifier = notifier(&Config::default());
    for told in [Told::Master, Told::Backup, Told::HeardLowerPriority] {
        tell(&mut notifier, clock, Kind::Instance, "VI_1", told, &config);
    }
    until_quiet(&mut notifier, clock).await;
    assert_eq!(
        noted(&directory),
        ["master", "any INSTANCE VI_1 MASTER 150", "backup", "any INSTANCE VI_1 BACKUP 150"]
    );
}

#[tokio::test]
async fn a_group_is_told_behind_its_members_and_with_priority_0() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let slow =
        NotifyConfig { any: Some(noting(&directory, "0.2", "i")), ..NotifyConfig::default() };
    let fast = NotifyConfig { any: Some(noting(&directory, "0", "g")), ..NotifyConfig::default() };
    let group = SyncGroupConfig {
        name: "G1".into(),
        instances: vec!["VI_1".into()],
        ..SyncGroupConfig::default()
    };
    let clock = Clock::start();
    let mut notifier = notifier(&Config { sync_groups: vec![group], ..Config::default() });
    tell(&mut notifier, clock, Kind::Instance, "VI_1", Told::Master, &slow);
    tell(&mut notifier, clock, Kind::Group, "G1", Told::Master, &fast);
    tell(&mut notifier, clock, Kind::Instance, "VI_1", Told::Fault, &slow);
    until_quiet(&mut notifier, clock).await;
    assert_eq!(
        noted(&directory),
        ["i INSTANCE VI_1 MASTER 150", "g GROUP G1 MASTER 0", "i INSTANCE VI_1 FAULT 150"]
    );
}

#[tokio::test]
async fn each_state_has_its_script_and_a_removed_instance_is_in_fault_unless_it_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut config = NotifyConfig {
        fault: Some(noting(&directory, "0", "fault")),
        stop: Some(noting(&directory, "0", "stop")),
        deleted: Some(noting(&directory, "0", "deleted")),
        master_rx_lower_pri: Some(noting(&directory, "0", "lower")),
        ..NotifyConfig::default()
    };
    let clock = Clock::start();
    let mut notifier = notifier(&Config::default());
    let removed = Told::removed(&config);
    for told in [Told::Fault, Told::Stop, Told::HeardLowerPriority, removed, Told::MasterPriority] {
        tell(&mut notifier, clock, Kind::Instance, "VI_1", told, &config);
    }
    config.deleted_is_told = true;
    tell(&mut notifier, clock, Kind::Instance, "VI_1", Told::removed(&config), &config);
    until_quiet(&mut notifier, clock).await;
    assert_eq!(noted(&directory), ["fault", "stop", "lower", "fault", "deleted"]);
}

#[tokio::test]
async fn at_the_end_a_script_has_a_second_and_one_that_hangs_keeps_nobody() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = NotifyConfig {
        master: Some(command(&["sleep", "60"])),
        stop: Some(noting(&directory, "0.3", "stop")),
        ..NotifyConfig::default()
    };
    let clock = Clock::start();
    let mut notifier = notifier(&Config::default());
    tell(&mut notifier, clock, Kind::Instance, "VI_1", Told::Master, &config);
    tell(&mut notifier, clock, Kind::Instance, "VI_1", Told::Stop, &config);
    let start = clock.now();
    notifier.finish(clock).await;
    assert_eq!(noted(&directory), ["stop"]);
    assert!(clock.now() - start < Duration::from_secs(3));
}

#[tokio::test]
async fn a_pipe_is_told_every_line_and_its_reader_ends_with_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("fifo").display().to_string();
    let copy = directory.path().join("log").display().to_string();
    let reader = command(&["sh", "-c", &format!("cat \"$1\" >> {copy}"), "reader"]);
    let fifo = FifoConfig { path: path.clone(), reader: Some(reader), ..FifoConfig::default() };
    let globals = Globals { vrrp_fifo: Some(fifo), ..Globals::default() };
    let clock = Clock::start();
    let mut notifier = notifier(&Config { globals, ..Config::default() });
    let mut config = NotifyConfig::default();
    let say = |notifier: &mut Notifier, kind, told, config: &NotifyConfig| {
        tell(notifier, clock, kind, "X", told, config);
    };
    say(&mut notifier, Kind::Instance, Told::Master, &config);
    say(&mut notifier, Kind::Instance, Told::MasterPriority, &config);
    config.priority_changes = true;
    say(&mut notifier, Kind::Instance, Told::MasterPriority, &config);
    say(&mut notifier, Kind::Instance, Told::HeardLowerPriority, &config);
    say(&mut notifier, Kind::Group, Told::Backup, &config);
    say(&mut notifier, Kind::Instance, Told::Stop, &config);
    // The reader is started by another thread: without it, the lines would go with the pipe.
    while !notifier.pipes[0].reader.as_ref().is_some_and(Reader::runs)
        || noted(&directory).len() < 5
    {
        tokio::select! {
            () = clock.until(Some(clock.now() + Duration::from_millis(5))) => {}
            end = notifier.ended() => notifier.end(clock.now(), end),
        }
    }
    let start = clock.now();
    notifier.finish(clock).await;
    assert!(clock.now() - start < Duration::from_secs(1), "the reader saw the end of the file");
    assert_eq!(
        noted(&directory),
        [
            "INSTANCE \"X\" MASTER 150",
            "INSTANCE \"X\" MASTER_PRIORITY 150",
            "INSTANCE \"X\" MASTER_RX_LOWER_PRI 150",
            "GROUP \"X\" BACKUP 0",
            "INSTANCE \"X\" STOP 150"
        ]
    );
    assert!(!std::path::Path::new(&path).exists());
}

#[tokio::test]
async fn a_reload_that_changes_no_pipe_closes_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("fifo").display().to_string();
    let fifo = FifoConfig { path: path.clone(), ..FifoConfig::default() };
    let globals = Globals { fifo: Some(fifo), ..Globals::default() };
    let config = Config { globals, ..Config::default() };
    let mut notifier = notifier(&config);
    let number = |path: &str| {
        use std::os::unix::fs::MetadataExt as _;
        fs::symlink_metadata(path).map(|m| m.ino()).ok()
    };
    let before = number(&path);
    assert!(before.is_some());
    notifier.configure(&config);
    assert_eq!(number(&path), before);
    notifier.configure(&Config::default());
    assert_eq!(number(&path), None);
    notifier.configure(&config);
    assert!(number(&path).is_some());
}

#[tokio::test]
async fn a_relay_that_says_nothing_keeps_nobody_waiting() {
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = relay.local_addr().expect("bound");
    let mail = MailConfig {
        recipients: vec!["a@b.c".into()],
        server: Some(address.ip().to_string()),
        port: address.port(),
        timeout: Duration::from_secs(60),
        ..MailConfig::default()
    };
    let globals = Globals { mail, ..Globals::default() };
    let config = NotifyConfig { smtp_alert: true, ..NotifyConfig::default() };
    let clock = Clock::start();
    let mut notifier = notifier(&Config { globals, ..Config::default() });
    for _ in 0..MAILS + 10 {
        tell(&mut notifier, clock, Kind::Instance, "VI_1", Told::Master, &config);
    }
    assert_eq!((notifier.mails_waiting, notifier.mails_left_out), (MAILS, 10));
    let start = clock.now();
    notifier.finish(clock).await;
    assert!(clock.now() - start < Duration::from_secs(3));
}
