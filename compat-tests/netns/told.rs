//! Who is told of a transition: scripts, named pipes, a mail relay; ours beside keepalived.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Lab, Moment, Node, NodeFile, NodePlan, Proc, Subject, Subnet};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{FILE, KEEPALIVED};

/// Long enough for anything that is going to happen at all.
const SOON: Duration = Duration::from_secs(20);
/// Appends who it is and its arguments to a log, in one write.
const NOTIFY: &str = "#!/bin/sh\nsleep \"$1\"\nshift\necho \"$(id -u) $*\" >> /tmp/told\n";

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.both("scripts_pipes_and_mail_are_told_the_same", the_same);
    tests.both("a_group_that_starts_as_backup_is_told_before_its_members", group_first);
    tests.ours("slow_notify_scripts_keep_their_order_and_no_advert_waits", in_order);
    tests.ours("a_mail_server_that_exists_takes_the_mail", real_server);
    tests.each("a_relay_without_manners_and_the_daemon", bad_relay);
}

struct Alone {
    lab: Lab,
    node: Node,
    daemon: Proc,
}

impl Alone {
    /// One node, whose instances become masters.
    fn start(subject: &Subject, text: &str) -> Result<Self> {
        let lab = Lab::new("told")?;
        let own = Subnet::new([10, 66, lab.number() as u8, 1].into(), 24);
        let plan = NodePlan::new("node")
            .link("eth0", own)
            .file(NodeFile::script("/etc/keepalived/notify.sh", NOTIFY))
            .file(NodeFile::new(FILE, text));
        let node = lab.node(subject.install(plan))?;
        let daemon = node.start(KEEPALIVED)?;
        Ok(Self { lab, node, daemon })
    }

    /// What a file holds when `done` is content with it.
    fn until(&self, path: &str, done: impl Fn(&str) -> bool) -> Result<String> {
        let end = Instant::now() + SOON;
        loop {
            let text = self.node.read(path).unwrap_or_default();
            if done(&text) {
                return Ok(text);
            }
            if Instant::now() > end {
                bail!("{path} holds:\n{text}\nthe log:\n{}", self.daemon.lines().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&self) -> Result<()> {
        self.daemon.signal(Signal::SIGTERM)?;
        ensure!(self.daemon.wait(SOON) == Some(0), "SIGTERM does not end it with code 0");
        Ok(())
    }
}

fn instance(name: &str, vrid: u8, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n    interface eth0\n    virtual_router_id {vrid}\n    \
         priority 200\n    version 3\n    advert_int 0.2\n    virtual_ipaddress {{\n        \
         192.0.2.{vrid}\n    }}\n{more}}}\n"
    )
}

/// The lines of one subject in order, for the order among several is nobody's promise.
fn by_subject(text: &str, name: usize) -> BTreeMap<String, Vec<String>> {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let of = line.split_whitespace().nth(name).unwrap_or_default().to_owned();
        lines.entry(of).or_default().push(line.to_owned());
    }
    lines
}

/// What was heard of each mail, by its subject; dates left out.
fn mails(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut talks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, line) in lines.iter().filter_map(|line| line.split_once(' ')) {
        let date = line.starts_with("\"Date: ");
        talks.entry(number).or_default().push(if date { "Date".into() } else { line.into() });
    }
    let subject = |talk: Vec<String>| {
        let subject = talk.iter().find(|line| line.starts_with("\"Subject: "))?.clone();
        Some((subject, talk))
    };
    talks.into_values().filter_map(subject).collect()
}

struct Told {
    scripts: BTreeMap<String, Vec<String>>,
    pipe: BTreeMap<String, Vec<String>>,
    mails: BTreeMap<String, Vec<String>>,
}

/// Start, a lost and a found cable, a tracked file that moves the priority, the end.
fn story(subject: &Subject) -> Result<Told> {
    let text = "global_defs {
    router_id R1
    script_user root
    enable_script_security
    notification_email {
        one@example.com
        two@example.com
    }
    notification_email_from us@example.com
    smtp_server 127.0.0.1 2525
    smtp_helo_name node.example.com
    vrrp_notify_fifo /tmp/fifo
    vrrp_notify_fifo_script \"/bin/sh /etc/keepalived/reader.sh\"
    vrrp_notify_priority_changes true
}
track_file f {
    file /tmp/number
    weight 1
    init_file 0
}
vrrp_sync_group G {
    group {
        A
        B
    }
    notify \"/etc/keepalived/notify.sh 0 group\"
    smtp_alert
}
"
    .to_owned()
        + &instance(
            "A",
            51,
            "    notify \"/etc/keepalived/notify.sh 0 A\" nobody\n    \
             notify_fault \"/etc/keepalived/notify.sh 0 'two words'\"\n",
        )
        + &instance("B", 52, "    smtp_alert\n")
        + &instance(
            "C",
            53,
            "    notify_stop \"/etc/keepalived/notify.sh 0 - C stops\"\n    track_file {\n        \
             f weight 5\n    }\n    notify \"/etc/keepalived/notify.sh 0 C\"\n",
        );
    let sink: &[&str] = &["mailsink", "127.0.0.1:2525"];
    let lab = Lab::new("told")?;
    let own = Subnet::new([10, 66, lab.number() as u8, 1].into(), 24);
    let plan = NodePlan::new("node")
        .link("eth0", own)
        .file(NodeFile::script("/etc/keepalived/notify.sh", NOTIFY))
        .file(NodeFile::new("/etc/keepalived/reader.sh", "exec cat \"$1\" >> /tmp/pipe\n"))
        .file(NodeFile::new("/tmp/told", ""))
        .file(NodeFile::new(FILE, text));
    let node = lab.node(subject.install(plan))?;
    ensure!(node.run(&["chmod", "666", "/tmp/told"], SOON)?.code == 0, "chmod");
    let sink = node.start(sink)?;
    sink.wait_line("listening", SOON)?;
    let daemon = node.start(KEEPALIVED)?;
    let alone = Alone { lab, node, daemon };
    let has = |lines: &'static [&'static str]| {
        move |text: &str| lines.iter().all(|line| text.lines().any(|one| one == *line))
    };
    let pipe = |lines| alone.until("/tmp/pipe", has(lines));
    pipe(&["INSTANCE \"A\" MASTER 200", "GROUP \"G\" MASTER 0", "INSTANCE \"C\" MASTER 200"])?;
    alone.node.write(NodeFile::new("/tmp/number", "3\n"))?;
    pipe(&["INSTANCE \"C\" MASTER_PRIORITY 215"])?;
    alone.node.write(NodeFile::new("/tmp/number", "0\n"))?;
    pipe(&["INSTANCE \"C\" MASTER_PRIORITY 200"])?;
    alone.node.link("eth0", false)?;
    pipe(&["INSTANCE \"A\" FAULT 200", "GROUP \"G\" FAULT 0", "INSTANCE \"C\" FAULT 200"])?;
    alone.node.link("eth0", true)?;
    let twice = |text: &str| {
        ["INSTANCE \"A\" MASTER 200", "GROUP \"G\" MASTER 0", "INSTANCE \"C\" MASTER 200"]
            .iter()
            .all(|line| text.lines().filter(|one| one == line).count() == 2)
    };
    alone.until("/tmp/pipe", twice)?;
    let told = |text: &str| {
        ["65534 A INSTANCE A MASTER 200", "0 group GROUP G MASTER 0", "0 C INSTANCE C MASTER 200"]
            .iter()
            .all(|line| text.lines().filter(|one| one == line).count() == 2)
    };
    alone.until("/tmp/told", told)?;
    let mut heard = BTreeMap::new();
    let end = Instant::now() + SOON;
    while heard.len() < 6 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
        heard = mails(&sink.lines());
    }
    alone.stop()?;
    let scripts = alone.until("/tmp/told", has(&["0 - C stops"]))?;
    let mut pipe = by_subject(&alone.node.read("/tmp/pipe")?, 1);
    for lines in pipe.values_mut() {
        // keepalived ends its reader before that has read the last lines.
        lines.retain(|line| !line.contains(" STOP "));
    }
    Ok(Told { scripts: by_subject(&scripts, 1), pipe, mails: heard })
}

/// What a pipe is told until all are masters.
fn start_of_a_group(subject: &Subject) -> Result<String> {
    let text = "global_defs {\n    script_user root\n    enable_script_security\n    \
                vrrp_notify_fifo /tmp/fifo\n    \
                vrrp_notify_fifo_script \"/bin/sh /etc/keepalived/reader.sh\"\n}\n\
                vrrp_sync_group G {\n    group {\n        A\n        B\n    }\n}\n"
        .to_owned()
        + &instance("A", 51, "")
        + &instance("B", 52, "");
    let lab = Lab::new("told")?;
    let own = Subnet::new([10, 66, lab.number() as u8, 1].into(), 24);
    let plan = NodePlan::new("node")
        .link("eth0", own)
        .file(NodeFile::new("/etc/keepalived/reader.sh", "exec cat \"$1\" >> /tmp/pipe\n"))
        .file(NodeFile::new(FILE, text));
    let node = lab.node(subject.install(plan))?;
    let daemon = node.start(KEEPALIVED)?;
    let alone = Alone { lab, node, daemon };
    let told = alone.until("/tmp/pipe", |text| text.contains("GROUP \"G\" MASTER"))?;
    alone.stop()?;
    Ok(told)
}

fn group_first(ours: &Subject, theirs: &Subject) -> Result<()> {
    let first = "GROUP \"G\" BACKUP 0\nINSTANCE \"A\" BACKUP 200\nINSTANCE \"B\" BACKUP 200\n";
    for subject in [ours, theirs] {
        let told = start_of_a_group(subject)?;
        ensure!(told.starts_with(first), "told:\n{told}");
    }
    Ok(())
}

fn the_same(ours: &Subject, theirs: &Subject) -> Result<()> {
    let (ours, theirs) = (story(ours)?, story(theirs)?);
    ensure!(ours.pipe == theirs.pipe, "pipe:\n{:#?}\n{:#?}", ours.pipe, theirs.pipe);
    // keepalived starts them all at once: what is told is the same, if not when.
    for told in ours.scripts.keys().chain(theirs.scripts.keys()) {
        let sorted = |all: &BTreeMap<String, Vec<String>>| {
            let mut lines = all.get(told).cloned().unwrap_or_default();
            lines.sort();
            lines
        };
        let (a, b) = (sorted(&ours.scripts), sorted(&theirs.scripts));
        ensure!(a == b, "scripts of {told}:\n{a:#?}\n{b:#?}");
    }
    // It does not wait for the mails of its own end.
    let rest = |mails: &BTreeMap<String, Vec<String>>| {
        let mut mails = mails.clone();
        mails.retain(|subject, _| !subject.contains("Stopping"));
        mails
    };
    let (a, b) = (rest(&ours.mails), rest(&theirs.mails));
    ensure!(a.len() >= 6, "mails are missing: {a:#?}");
    ensure!(a == b, "mails:\n{a:#?}\n{b:#?}");
    Ok(())
}

/// A script that takes two seconds is followed by the next, and the peer hears no gap.
fn in_order(subject: &Subject) -> Result<()> {
    let text = "global_defs {\n    script_user root\n    enable_script_security\n}\n".to_owned()
        + &instance(
            "A",
            51,
            "    notify_master \"/etc/keepalived/notify.sh 2 master\"\n    notify_fault \
             \"/etc/keepalived/notify.sh 0 fault\"\n    notify_backup \
             \"/etc/keepalived/notify.sh 0.3 backup\"\n",
        );
    let alone = Alone::start(subject, &text)?;
    let capture = alone.lab.capture()?;
    alone.daemon.wait_line("Entering MASTER STATE", SOON)?;
    // While the script of this state runs, the peers hear of it.
    let from = Moment::now();
    std::thread::sleep(Duration::from_secs(1));
    let heard = capture.adverts("node", from);
    let gaps = heard.windows(2).map(|two| two[1].0.since(two[0].0));
    let longest = gaps.max().unwrap_or(Duration::MAX);
    ensure!(longest < Duration::from_millis(800), "no advert for {longest:?}");
    ensure!(alone.node.read("/tmp/told")?.lines().count() == 1, "the script has ended already");
    alone.node.link("eth0", false)?;
    alone.daemon.wait_line("Entering FAULT STATE", SOON)?;
    alone.node.link("eth0", true)?;
    let count = |text: &str| text.lines().count() >= 5;
    let told = alone.until("/tmp/told", count)?;
    let told: Vec<&str> = told.lines().take(5).collect();
    let expected = ["0 backup", "0 master", "0 fault", "0 backup", "0 master"];
    ensure!(told == expected, "{told:?}");
    alone.stop()
}

fn mail_text(more: &str) -> String {
    format!(
        "global_defs {{\n    router_id R1\n    notification_email {{\n        one@example.com\n    }}\n    \
         notification_email_from us@example.com\n    smtp_server 127.0.0.1 2525\n    \
         smtp_connect_timeout 2\n{more}}}\n"
    ) + &instance("A", 51, "    smtp_alert\n")
}

/// aiosmtpd, of Debian's python3-aiosmtpd.
fn real_server(subject: &Subject) -> Result<()> {
    if !Path::new("/usr/lib/python3/dist-packages/aiosmtpd").exists() {
        eprintln!("SKIPPED: python3-aiosmtpd is not installed");
        return Ok(());
    }
    let server = "import os, sys\nos.makedirs('/tmp/box')\nfrom aiosmtpd.main import main\n\
                  print('listening', flush=True)\n\
                  main(['-n', '-l', '127.0.0.1:2525', '-c', 'aiosmtpd.handlers.Mailbox', \
                  '/tmp/box/mails'])\n";
    let lab = Lab::new("told")?;
    let own = Subnet::new([10, 66, lab.number() as u8, 1].into(), 24);
    let plan = NodePlan::new("node")
        .link("eth0", own)
        .file(NodeFile::new("/tmp/server.py", server))
        .file(NodeFile::new(FILE, mail_text("")));
    let node = lab.node(subject.install(plan))?;
    let server = node.start(&["/usr/bin/python3", "/tmp/server.py"])?;
    server.wait_line("listening", SOON)?;
    let end = Instant::now() + SOON;
    let listens = || {
        let table = node.read("/proc/net/tcp").unwrap_or_default();
        table.lines().any(|line| line.contains(":09DD 00000000:0000 0A"))
    };
    while !listens() {
        ensure!(Instant::now() < end, "it does not listen: {:?}", server.lines());
        std::thread::sleep(Duration::from_millis(20));
    }
    let daemon = node.start(KEEPALIVED)?;
    let alone = Alone { lab, node, daemon };
    let end = Instant::now() + SOON;
    let text = loop {
        let list = alone.node.run(&["sh", "-c", "cat /tmp/box/mails/new/*"], SOON)?;
        if list.stdout.contains("Entering BACKUP") {
            break list.stdout;
        }
        ensure!(Instant::now() < end, "no mail: {list:?} {:?}", alone.daemon.lines());
        std::thread::sleep(Duration::from_millis(50));
    };
    for line in [
        "From: us@example.com",
        "To: one@example.com",
        "X-MailFrom: us@example.com",
        "X-RcptTo: one@example.com",
        "Subject: [R1] VRRP Instance A - Entering BACKUP state",
        "=> VRRP Instance is no longer owning VRRP VIPs <=",
    ] {
        ensure!(text.lines().any(|one| one.trim_end() == line), "no {line:?} in\n{text}");
    }
    alone.stop()
}

/// A relay that refuses and then says anything but goodbye: keepalived says goodbye for ever, ours
/// once.
fn bad_relay(subject: &Subject) -> Result<()> {
    let script = "import socket\ns = socket.create_server(('127.0.0.1', 2525))\n\
                  print('listening', flush=True)\nwhile True:\n    c = s.accept()[0]\n    try:\n        \
                  c.sendall(b'554 no\\r\\n')\n        for n in range(500):\n            if not c.recv(4096): \
                  break\n            print('heard', flush=True)\n            \
                  c.sendall(b'250 and?\\r\\n')\n    except OSError: pass\n";
    if !Path::new("/usr/bin/python3").exists() {
        eprintln!("SKIPPED: python3 is not installed");
        return Ok(());
    }
    let lab = Lab::new("told")?;
    let own = Subnet::new([10, 66, lab.number() as u8, 1].into(), 24);
    let plan = NodePlan::new("node")
        .link("eth0", own)
        .file(NodeFile::new("/tmp/relay.py", script))
        .file(NodeFile::new(FILE, mail_text("")));
    let node = lab.node(subject.install(plan))?;
    let relay = node.start(&["/usr/bin/python3", "/tmp/relay.py"])?;
    relay.wait_line("listening", SOON)?;
    let daemon = node.start(KEEPALIVED)?;
    daemon.wait_line("SMTP status code = 554", SOON)?;
    daemon.wait_line("Entering MASTER STATE", SOON)?;
    let heard = relay.lines().iter().filter(|line| line.contains("heard")).count();
    if matches!(subject, Subject::Ours { .. }) {
        ensure!(heard <= 2, "ours says goodbye {heard} times");
    } else {
        ensure!(heard > 20, "keepalived says goodbye only {heard} times");
    }
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(SOON).context("it does not end")?;
    Ok(())
}
