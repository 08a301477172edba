//! The runtime API beside HAProxy's own: the same commands, the same answers; listening sockets
//! that go from one program to the other; the master's socket.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

const DEFAULTS: &str = "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n \
                        timeout connect 9s\n";

/// A program in a directory of its own, ended with the test.
struct Running {
    child: Child,
    socket: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    command.arg0("haproxy");
    command
}

/// HAProxy 2.6, if it is installed.
fn theirs() -> Option<Command> {
    let version = Command::new("haproxy").arg("-v").output().ok()?;
    let is_known = String::from_utf8_lossy(&version.stdout).starts_with("HAProxy version 2.6.");
    is_known.then(|| Command::new("haproxy"))
}

fn start(mut command: Command, directory: &Path, text: &str, arguments: &[&str]) -> Running {
    let (file, socket) = (directory.join("h.cfg"), directory.join("admin.sock"));
    std::fs::write(&file, text.replace("DIR", &directory.display().to_string())).expect("written");
    let child = command
        .arg("-db")
        .arg("-f")
        .arg(file)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let running = Running { child, socket };
    running.ask("show version");
    running
}

impl Running {
    /// The answer to one line; waits until somebody answers.
    fn ask(&self, line: &str) -> String {
        ask(&self.socket, line)
    }
}

fn ask(path: &Path, line: &str) -> String {
    let deadline = Instant::now() + LIMIT;
    let mut socket = loop {
        match UnixStream::connect(path) {
            Ok(socket) => break socket,
            Err(error) if Instant::now() > deadline => panic!("{}: {error}", path.display()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    socket.set_read_timeout(Some(LIMIT)).expect("a time");
    writeln!(socket, "{line}").expect("it reads");
    socket.shutdown(std::net::Shutdown::Write).expect("connected");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    answer
}

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
    "set server be/a addr foo",
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
];

/// Cells that count time, and columns 2.6 does not have, are left out.
fn comparable(command: &str, answer: &str) -> Vec<String> {
    let lines = answer.lines();
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
        let shared = rows[0].iter().position(|name| *name == "agg_check_status").expect("there");
        let timed = ["lastchg", "downtime", "chkdown"];
        return rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&rows[0]).take(shared);
                let cells = cells.filter(|(_, name)| !timed.contains(name));
                cells.map(|(cell, _)| *cell).collect::<Vec<_>>().join(",")
            })
            .collect();
    }
    lines.map(str::to_owned).collect()
}

#[test]
fn the_same_commands_have_the_same_answers() {
    let Some(theirs) = theirs() else {
        eprintln!("SKIPPED: HAProxy 2.6 is not installed");
        return;
    };
    let directories = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let original = start(theirs, directories.0.path(), CONFIG, &[]);
    let own = start(ours(), directories.1.path(), CONFIG, &[]);
    for command in COMMANDS {
        let (expected, answer) = (original.ask(command), own.ask(command));
        assert_eq!(comparable(command, &answer), comparable(command, &expected), "{command}");
        let blank = |text: &str| text.ends_with("\n\n");
        assert_eq!(blank(&answer), blank(&expected), "{command}: the empty line");
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

fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0; 1];
                while matches!(client.read(&mut byte), Ok(1)) && client.write_all(&byte).is_ok() {}
            });
        }
    });
    port
}

/// A port nobody has right now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// `new` takes the place of `old` with `-x` and `-sf` while clients come.
fn takes_over(who: &str, old: Command, new: Command) {
    let directories = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let (port, back) = (free_port(), echo());
    let text = format!(
        "global\n stats socket DIR/admin.sock level admin expose-fd listeners\n{DEFAULTS}\
         listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{back}\n"
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
    takes_over("ours to ours", ours(), ours());
    let (Some(old), Some(new)) = (theirs(), theirs()) else {
        eprintln!("SKIPPED: HAProxy 2.6 is not installed");
        return;
    };
    takes_over("from HAProxy", old, ours());
    takes_over("to HAProxy", ours(), new);
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
