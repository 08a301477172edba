//! The runtime API beside HAProxy's own: the same commands, the same answers; listening sockets
//! that go from one program to the other; the master's socket.

mod original;
mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use program::{DEFAULTS, LIMIT, Running, ask, echo, free_port, is_newer, ours, start, theirs};

const CONFIG: &str = "
global
    stats socket DIR/admin.sock level admin
    stats socket DIR/user.sock level user
    maxconn 2000
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    default-server inter 1h rise 2 fall 2 maxconn 250 maxqueue 256 weight 100
frontend fe
    bind unix@DIR/fe.sock
    default_backend be
backend be
    server a 127.0.0.1:1
    server b 127.0.0.1:2 weight 50
    server c 127.0.0.1:3 disabled
    server d 127.0.0.1:4 backup
backend st
    balance source
    server x 127.0.0.1:5
";

/// Said in this order, to both.
const COMMANDS: &[&str] = &[
    "show servers state",
    "show cli level",
    "show backend",
    "get weight be/b",
    "set weight be/b 50%",
    "get weight be/b",
    "set weight be/b 0",
    "set weight be/b 300",
    "set weight be/b foo",
    "set weight be/b 1x",
    "set weight be/b -5%",
    "set weight be/b",
    "set weight st/x 10",
    "set weight st/x 0",
    "set weight st/x 100%",
    "set weight be/nope 1",
    "set weight",
    "set server be/b weight 100000%",
    "set server be/a state drain",
    "show servers state be",
    "set server be/a state maint",
    "show servers state be",
    "set server be/a state foo",
    "set server be/a state ready",
    "set server be/a health down",
    "set server be/a health stopping",
    "set server be/a health up",
    "set server be/a health foo",
    "set server be/c state ready",
    "disable server be/b",
    "enable server be/b",
    "disable server",
    "set server be/a addr",
    "set server be/a addr 127.0.0.9",
    "set server be/a check-port 5",
    "set server be/a agent up",
    "set server be/a agent-port 5",
    "set server be/a ssl on",
    "set server be/a fqdn x",
    "set server be/a",
    "set server",
    "set server be/zz state ready",
    "set server zz/a state ready",
    "enable health be/a",
    "enable agent be/a",
    "disable agent be/a",
    "set maxconn server be/b 10",
    "set maxconn server be/b",
    "set maxconn server be/b x",
    "set maxconn frontend fe 10",
    "set maxconn frontend fe",
    "set maxconn frontend zz 10",
    "set maxconn global",
    "set maxconn global 100",
    "set maxconn global 1000000",
    "set timeout cli 10",
    "set timeout cli",
    "set timeout foo",
    "set timeout cli x",
    "set severity-output foo",
    "set severity-output number;set server be/b health foo;show cli level",
    "set severity-output string;set server be/b health foo",
    "clear counters",
    "clear counters all",
    "disable frontend fe",
    "disable frontend fe",
    "enable frontend fe",
    "enable frontend fe",
    "enable frontend zz",
    "shutdown frontend zz",
    "shutdown frontend",
    "shutdown session",
    "shutdown session zz",
    "shutdown sessions server be/b",
    "shutdown sessions server be/zz",
    "get var proc.x",
    "get var",
    "set var proc.x int(1)",
    "experimental-mode on;set var proc.x int(1);get var proc.x",
    "experimental-mode on;set var proc.x str(foo);get var proc.x",
    "expert-mode",
    "expert-mode on;expert-mode",
    "experimental-mode",
    "show errors zz",
    "show env NOBODY_SETS_THIS",
    "show servers conn zz",
    "show servers state zz",
    "user;show sess",
    "operator;set weight be/b 10",
    "user;show env",
    "show table nope",
    "show servers state",
    "show stat",
    "set rate-limit",
    "set rate-limit connections",
    "set rate-limit connections global",
    "set rate-limit connections global x",
    "set rate-limit connections global -5",
    "set rate-limit connections global 3000000000",
    "set rate-limit connections global 100",
    "set rate-limit sessions global 50",
    "set rate-limit ssl-sessions global 60",
    "set rate-limit ssl-sess global 60",
    "set rate-limit http-compression global 50",
    "set rate-limit foo global 5",
    "operator;set rate-limit connections global 5",
    "show info",
    "show info typed",
];

/// The same, to those that know them.
const NEWER: &[&str] = &[
    "set server be/a addr foo",
    "set server be/a addr foo port 7",
    "wait",
    "wait -h",
    "wait x",
    "wait 0",
    "wait 10 foo",
    "wait 10 srv-removable",
    "wait 10 srv-removable be",
    "wait 10 srv-removable be/nope",
    "wait 10 srv-removable nope/a",
    "wait 10 srv-removable be/a",
    "user;wait 10 srv-removable be/a",
    "set server be/b state maint;wait 10s srv-removable be/b",
    "add server",
    "add server be",
    "add server be/",
    "add server be/x",
    "add server zz/x 127.0.0.1:80",
    "add server be/a 127.0.0.1:80",
    "add server st/s2 127.0.0.1:80",
    "add server be/x 127.0.0.1:99999",
    "add server be/x! 127.0.0.1:80",
    "add server be/x 127.0.0.1:80 weight 300",
    "add server be/x 127.0.0.1:80 id 1",
    "add server be/x 127.0.0.1:80 resolvers r",
    "add server be/x 127.0.0.1:80 enabled",
    "add server be/x 127.0.0.1:80 track be/a",
    "add server be/x 127.0.0.1:80 usesrc clientip",
    "add server be/x 127.0.0.1:80 weight 30 maxconn 3 backup",
    "add server be/y 127.0.0.1:80 id 77 disabled",
    "add server be/z 127.0.0.1:80 check port 5 addr 127.0.0.2 inter 1h",
    "add server be/u unix@DIR/u.sock",
    "add server be/g [::1]:80 agent-check agent-port 9 agent-inter 1h",
    "add server be/v 127.0.0.1",
    "show servers state",
    "show servers conn",
    "enable health be/x",
    "enable server be/x",
    "enable server be/y",
    "del server",
    "del server be",
    "del server be/nope",
    "del server nope/x",
    "del server be/x",
    "operator;add server be/q 127.0.0.1:80",
    "operator;del server be/x",
    "set server be/x state maint",
    "wait 10s srv-removable be/x",
    "del server be/x",
    "del server be/x",
    "add server be/w 127.0.0.1:80",
    "set server be/d state maint;del server be/d",
    "show servers state",
    "show stat",
    "show servers conn",
    "show stat typed",
];

/// About a server with a check and an agent.
const AGENT: &[&str] = &[
    "add server be/ag 127.0.0.1:1 check inter 1h agent-check agent-port 9 agent-inter 1h",
    "set server be/ag agent-addr foo",
    "set server be/ag check-addr foo",
    "set server be/ag agent up",
    "enable agent be/ag",
    "enable health be/ag",
    "set server be/ag agent-addr",
    "set server be/ag agent-addr foo",
    "set server be/ag agent-addr 1.2.3.4",
    "set server be/ag agent-addr 1.2.3.5 port",
    "set server be/ag agent-addr 1.2.3.5 port x",
    "set server be/ag agent-addr 1.2.3.5 port 77",
    "set server be/ag agent-addr 1.2.3.5 foo 77",
    "set server be/ag agent-port",
    "set server be/ag agent-port x",
    "set server be/ag agent-port 70000",
    "set server be/ag agent-port 78",
    "set server be/ag agent-send",
    "set server be/ag agent-send foo",
    "set server be/b agent-send",
    "set server be/b agent-addr 1.2.3.4",
    "set server be/ag check-addr",
    "set server be/ag check-addr foo",
    "set server be/ag check-addr 1.2.3.4",
    "set server be/ag check-addr 1.2.3.5 port x",
    "set server be/ag check-addr 1.2.3.5 port 99",
    "set server be/ag check-port",
    "set server be/ag check-port x",
    "set server be/ag check-port 70000",
    "set server be/ag check-port 98",
    "set server be/ag fqdn foo",
];

/// What there is none of, and who may say what.
const NEWER_LEVELS: &[&str] = &[
    "show anon",
    "set anon off",
    "debug dev hash x",
    "debug counters",
    "show cache",
    "trace 0",
    "trace foo",
    "show quic",
    "acme status",
    "enable dynamic-cookie backend zz",
    "disable dynamic-cookie backend be",
    "set profiling tasks foo",
    "set profiling memory on",
    "set profiling foo",
    "show fd zz",
    "show sess zz",
    "show sess 0x1",
    "shutdown session 0x1",
    "shutdown session 0x0",
    "user;show cache",
    "user;show quic",
    "user;acme status",
    "user;trace 0",
    "user;show anon",
    "user;set anon off",
    "user;debug counters",
    "user;show env",
    "user;show sess",
    "user;show fd",
    "user;show startup-logs",
    "user;show cli sockets",
    "user;show backend",
    "user;show activity",
    "user;get map x y",
    "user;get var proc.x",
    "user;set timeout cli 5",
    "user;set severity-output none",
    "user;clear counters",
    "user;show profiling",
    "user;get weight be/a",
    "user;disable server be/a",
    "operator;show cli sockets",
    "operator;add map x y z",
    "operator;clear counters",
    "operator;set profiling tasks off",
    "operator;experimental-mode on",
    "operator;shutdown session 0x1",
    "operator;trace 0",
    "operator;set anon off",
    "operator;show quic",
    "operator;clear counters all",
];

/// Cells that count time, and columns 2.6 does not have, are left out.
fn comparable(command: &str, answer: &str, newer: bool) -> Vec<String> {
    // 2.6 forgets the end of some lines.
    let lines = answer.trim_end().lines();
    if command.starts_with("show servers state") {
        let without_age = |line: &str| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if words.len() > 13 && !line.starts_with('#') {
                // The time of the last change; the health of what is not checked.
                words[9] = "T";
                words[12] = "H";
            }
            words.join(" ")
        };
        return lines.map(without_age).collect();
    }
    if command == "show stat" {
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let last = if newer { "proto" } else { "agg_check_status" };
        let shared = rows[0].iter().position(|name| *name == last).expect("there");
        let timed = ["lastchg", "downtime", "chkdown", "srid"];
        return rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&rows[0]).take(shared + 1);
                let cells = cells.filter(|(_, name)| !timed.contains(name));
                cells.map(|(cell, _)| *cell).collect::<Vec<_>>().join(",")
            })
            .collect();
    }
    if command.starts_with("show info") {
        let is_limit = |line: &str| line.contains("Maxconn") || line.contains("RateLimit");
        let shown = |line: &str| match line.rsplit_once(':') {
            Some((name, _)) if !is_limit(line) => name.replace("SplicdedBytes", "SplicedBytes"),
            _ => line.to_owned(),
        };
        // 2.6 ends earlier.
        let end = lines.clone().position(|line| line.contains("TotalWarnings"));
        let lines = lines.take(end.filter(|_| !newer).unwrap_or(usize::MAX));
        return lines.map(shown).collect();
    }
    if command == "show stat typed" {
        let timed = ["lastchg", "downtime", "chkdown", "srid"];
        // Modules differ, and come behind the rest.
        let is_shared = |line: &&str| {
            let mut parts = line.split('.').skip(3);
            let at = parts.next().and_then(|at| at.parse::<u32>().ok());
            at.is_some_and(|at| at <= 112)
                && parts.next().is_some_and(|name| !timed.contains(&name))
        };
        return lines.filter(is_shared).map(str::to_owned).collect();
    }
    lines.map(str::to_owned).collect()
}

#[test]
fn the_same_commands_have_the_same_answers() {
    let Some(theirs) = theirs() else { return };
    let directories = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let original = start(theirs, directories.0.path(), CONFIG, &[]);
    let own = start(ours(), directories.1.path(), CONFIG, &[]);
    let newer = is_newer();
    let more = if newer { [NEWER, AGENT, NEWER_LEVELS] } else { [&[][..]; 3] };
    for command in COMMANDS.iter().chain(more.into_iter().flatten()) {
        let ask = |running: &Running| {
            let place = running.socket.parent().expect("a directory").display().to_string();
            running.ask(&command.replace("DIR", &place)).replace(&place, "DIR")
        };
        let (expected, answer) = (ask(&original), ask(&own));
        let compared = |text| comparable(command, text, newer);
        assert_eq!(compared(&answer), compared(&expected), "{command}");
        let blank = |text: &str| text.ends_with("\n\n");
        assert!(!newer || blank(&answer) == blank(&expected), "{command}: the empty line");
    }
    let user =
        |running: &Running| ask(&running.socket.with_file_name("user.sock"), "set weight be/b 10");
    assert_eq!(user(&own), user(&original));
}

/// Connects again and again until told to stop; how often that went well, and how often not.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU32>,
    bad: Arc<AtomicU32>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(port: u16) -> Self {
        let (stop, good, bad) = (Arc::default(), Arc::default(), Arc::default());
        let mut load = Self { stop, good, bad, threads: Vec::new() };
        for _ in 0..3 {
            let (stop, good, bad) =
                (Arc::clone(&load.stop), Arc::clone(&load.good), Arc::clone(&load.bad));
            load.threads.push(std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let echoed = TcpStream::connect(("127.0.0.1", port)).and_then(|mut client| {
                        client.set_read_timeout(Some(LIMIT))?;
                        client.write_all(b"x")?;
                        client.read_exact(&mut [0])
                    });
                    if echoed.is_ok() { &good } else { &bad }.fetch_add(1, SeqCst);
                }
            }));
        }
        load
    }

    fn at_least(&self, more: u32) {
        let (from, deadline) = (self.good.load(SeqCst), Instant::now() + LIMIT);
        while self.good.load(SeqCst) < from + more {
            assert!(Instant::now() < deadline, "no connection goes through");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(self) -> (u32, u32) {
        self.stop.store(true, SeqCst);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        (self.good.load(SeqCst), self.bad.load(SeqCst))
    }
}

/// `new` takes the place of `old` with `-x` and `-sf` while clients come.
fn takes_over(who: &str, threads: u32, old: Command, new: Command) {
    let directories = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let (port, back) = (free_port(), echo());
    let text = format!(
        "global\n nbthread {threads}\n stats socket DIR/admin.sock level admin expose-fd \
         listeners\n{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{back}\n"
    );
    let mut former = start(old, directories.0.path(), &text, &[]);
    let load = Load::on(port);
    load.at_least(50);
    let (path, pid) = (former.socket.display().to_string(), former.child.id().to_string());
    let next = start(new, directories.1.path(), &text, &["-x", &path, "-sf", &pid]);
    let status = former.child.wait().expect("it ends");
    assert!(status.success(), "{status}");
    load.at_least(50);
    let (good, bad) = load.end();
    assert_eq!(bad, 0, "{who}: of {good}");
    drop(next);
}

#[test]
fn listening_sockets_go_from_haproxy_to_us_and_back_and_nobody_is_refused() {
    takes_over("ours to ours", 2, ours(), ours());
    let (Some(old), Some(new)) = (theirs(), theirs()) else {
        return;
    };
    takes_over("from HAProxy", 2, old, ours());
    // HAProxy has one socket for all threads. It closes the others, and who waits there is refused.
    takes_over("to HAProxy", 1, ours(), new);
}

#[test]
fn a_paused_frontend_refuses_and_goes_on() {
    let directory = tempfile::tempdir().expect("made");
    let (port, back) = (free_port(), echo());
    let text = format!(
        "global\n stats socket DIR/admin.sock level admin\n{DEFAULTS}listen l\n \
         bind 127.0.0.1:{port}\n server s 127.0.0.1:{back}\n"
    );
    let running = start(ours(), directory.path(), &text, &[]);
    let reaches = || {
        let connected = TcpStream::connect(("127.0.0.1", port));
        connected.and_then(|mut client| {
            client.write_all(b"x")?;
            client.read_exact(&mut [0])
        })
    };
    let until = |wanted: bool| {
        let deadline = Instant::now() + LIMIT;
        while reaches().is_ok() != wanted {
            assert!(Instant::now() < deadline, "reachable: {wanted}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    until(true);
    for _ in 0..3 {
        assert_eq!(running.ask("disable frontend l"), "\n");
        until(false);
        assert_eq!(running.ask("enable frontend l"), "\n");
        until(true);
    }
    let pid = nix::unistd::Pid::from_raw(running.child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTTOU).expect("it is there");
    until(false);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTTIN).expect("it is there");
    until(true);
}

#[test]
fn the_master_shows_its_workers_reloads_and_passes_commands_on() {
    let directory = tempfile::tempdir().expect("made");
    let text = format!(
        "global\n stats socket DIR/admin.sock level admin\n{DEFAULTS}listen l\n \
         bind unix@DIR/l.sock\n server s 127.0.0.1:1 weight 7\n"
    );
    let master = directory.path().join("master.sock");
    let path = format!("{},level,admin", master.display());
    let running = start(ours(), directory.path(), &text, &["-W", "-S", &path]);
    let processes = ask(&master, "show proc");
    let lines: Vec<&str> = processes.lines().collect();
    assert!(lines[0].starts_with("#<PID>          <type>          <reloads> "), "{processes}");
    assert!(lines[1].starts_with(&running.child.id().to_string()), "{processes}");
    assert_eq!(lines[2], "# workers");
    let worker = lines[3].split(' ').next().expect("a number");
    assert_eq!(ask(&master, "@1 get weight l/s"), "7 (initial 7)\n\n");
    assert_eq!(ask(&master, &format!("@!{worker} get weight l/s")), "7 (initial 7)\n\n");
    assert_eq!(ask(&master, "@1 set weight l/s 3;@1 get weight l/s"), "\n3 (initial 7)\n\n");
    let reloaded = ask(&master, "reload");
    assert!(reloaded.starts_with("Success=1\n--\n"), "{reloaded}");
    let file = directory.path().join("h.cfg");
    std::fs::write(&file, "nonsense\n").expect("written");
    let failed = ask(&master, "reload");
    assert!(failed.starts_with("Success=0\n--\n") && failed.contains("nonsense"), "{failed}");
    assert!(ask(&master, "show proc").contains(" 2 [failed: 1] "));
    assert_eq!(ask(&master, "@1 show cli level"), "admin\n\n");
    assert_eq!(ask(&master, "operator;@1 show cli level"), "\noperator\n\n");
    let nobody = "Can't find the target PID matching the prefix '@!1'\n";
    assert_eq!(ask(&master, "@!1 show info"), nobody);
    // A master that is killed takes its worker with it.
}
