//! The program as `haproxy`: exit codes, the master, reloads, the background.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const DEFAULTS: &str =
    "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n";
/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

fn haproxy() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    // Reloads in place have tests of their own.
    command.arg0("haproxy").env("EVERGATE_RELOAD", "new-worker");
    command
}

fn write(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("h.cfg");
    std::fs::write(&path, text).expect("writable");
    path
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        haproxy().args(arguments).current_dir(directory).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

/// A running process, its standard error, and the socket it accepts on.
struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    directory: tempfile::TempDir,
    front: TcpListener,
}

/// Starts it on a socket it inherits, with an echo server behind it.
fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    start_with("", arguments, environment)
}

/// As [`start`], with lines in front of the file.
fn start_with(lines: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let front = TcpListener::bind("127.0.0.1:0").expect("a port");
    let back = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = back.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in back.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0; 1];
                while matches!(client.read(&mut byte), Ok(1)) && client.write_all(&byte).is_ok() {}
            });
        }
    });
    let text =
        format!("{lines}{DEFAULTS}listen l\n bind \"fd@${{front}}\"\n server s 127.0.0.1:{port}\n");
    let path = write(directory.path(), &text);
    fcntl(&front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
    let mut child = haproxy()
        .args(arguments)
        .arg("-f")
        .arg(path)
        .env("front", front.as_raw_fd().to_string())
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    fcntl(&front, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("open");
    let lines = BufReader::new(child.stderr.take().expect("piped"));
    Running { child, lines, directory, front }
}

impl Running {
    /// The next line that holds `text`, and whether it came.
    fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended without saying '{text}':\n{seen}");
            if line.contains(text) {
                return line;
            }
            seen += &line;
        }
    }

    fn signal(&self, signal: Signal) {
        kill(pid(self.child.id()), signal).expect("it runs");
    }

    /// A new connection, already proven to work.
    fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.front.local_addr().expect("bound")).expect("open");
        stream.set_read_timeout(Some(LIMIT)).expect("settable");
        echo(&mut stream);
        stream
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a pid"))
}

fn echo(stream: &mut TcpStream) {
    let mut byte = [0; 1];
    stream.write_all(b"x").expect("open");
    stream.read_exact(&mut byte).expect("answered");
    assert_eq!(&byte, b"x");
}

/// The number in `New worker (123) forked`.
fn number(line: &str) -> u32 {
    let (_, rest) = line.split_once("worker (").expect("a worker");
    rest.split(')').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// Waits until a process is gone, or only its entry is left.
fn wait_gone(pid: u32) {
    let start = Instant::now();
    let stat = format!("/proc/{pid}/stat");
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(start.elapsed() < LIMIT, "process {pid} is still there");
        std::thread::yield_now();
    }
}

#[test]
fn a_check_exits_with_0_1_or_2_and_speaks_as_haproxy_does() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let here = directory.path();
    write(here, &format!("{DEFAULTS}listen l\n bind 127.0.0.1:1\n"));
    assert_eq!(
        run(here, &["-c", "-f", "h.cfg"]),
        (0, "Configuration file is valid\n".into(), String::new())
    );
    assert_eq!(run(here, &["-c", "-q", "-f", "h.cfg"]).1, "");
    write(here, "listen l\n bind 127.0.0.1:1\n");
    let (code, stdout, stderr) = run(here, &["-c", "-f", "h.cfg"]);
    assert_eq!((code, stdout.as_str()), (0, "Warnings were found.\nConfiguration file is valid\n"));
    assert!(stderr.contains("config : missing timeouts for proxy 'l'."), "{stderr}");
    assert_eq!(run(here, &["-c", "-dW", "-f", "h.cfg"]).0, 1);
    write(here, "global\n maxcon 5\n");
    let (code, _, stderr) = run(here, &["-c", "-f", "h.cfg"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("did you mean 'maxconn' maybe ?"), "{stderr}");
    write(here, DEFAULTS);
    assert_eq!(run(here, &["-c", "-f", "h.cfg"]).0, 2);
    assert_eq!(run(here, &["-db", "-f", "h.cfg"]).0, 1);
}

#[test]
fn bad_command_lines_and_bad_files_get_one_message_and_exit_code_1() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let here = directory.path();
    let (code, stdout, stderr) = run(here, &["-Z"]);
    assert_eq!(code, 1);
    assert!(stdout.starts_with("HAProxy version ") && stderr.starts_with("Usage : haproxy "));
    let (code, _, stderr) = run(here, &["-c", "-f", "nope.cfg"]);
    assert_eq!(code, 1);
    let line =
        "config : Cannot open configuration file/directory nope.cfg : No such file or directory";
    assert!(stderr.contains(line), "{stderr}");
    assert_eq!(run(here, &["-c", "-f", "."]).0, 1);
    std::fs::write(here.join("noise.cfg"), [0xff, 0, 0x80, b'\n', b'"', 7, b'\n'])
        .expect("writable");
    assert_eq!(run(here, &["-c", "-f", "noise.cfg"]).0, 1);
    std::fs::write(here.join("long.cfg"), "x".repeat(10 << 20) + "\n").expect("writable");
    assert_eq!(run(here, &["-c", "-f", "long.cfg"]).0, 1);
    assert_eq!(run(here, &["-cc", "version_atleast(2.4)"]).0, 0);
    assert_eq!(run(here, &["-cc", "streq(a,b)"]).0, 1);
    assert_eq!(run(here, &["-cc", "foo("]).0, 2);
}

#[test]
fn without_enough_open_files_it_does_not_start_unless_told_to() {
    use nix::sys::resource::{Resource, setrlimit};
    let directory = tempfile::tempdir().expect("a temporary directory");
    // More than the kernel lets anybody have (fs.nr_open), so that even root is refused.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let text = format!("global\n maxconn 2000000000\n{DEFAULTS}listen l\n bind {address}\n");
    write(directory.path(), &text);
    setrlimit(Resource::RLIMIT_NOFILE, 1024, 1024).expect("only lowered");
    for mode in ["-db", "-W", "-D"] {
        let (code, _, stderr) = run(directory.path(), &[mode, "-f", "h.cfg"]);
        let line = "[haproxy.main()] Cannot raise FD limit to 4000000017, limit is 1024.";
        assert!(code == 1 && stderr.contains(line), "{mode}: {code}: {stderr}");
    }
    assert_eq!(run(directory.path(), &["-c", "-f", "h.cfg"]).0, 0);

    write(directory.path(), &text.replace("global\n", "global\n no strict-limits\n"));
    let (_, _, stderr) = run(directory.path(), &["-db", "-f", "h.cfg"]);
    for line in [
        "[WARNING]  (",
        "Cannot raise FD limit to 4000000017, limit is 1024.",
        "FD limit (1024) too low for maxconn=2000000000/maxsock=4000000017.",
        // It went on, up to here.
        "Address already in use",
    ] {
        assert!(stderr.contains(line), "{line}: {stderr}");
    }
}

#[test]
fn an_address_in_use_is_named_with_its_line_and_nothing_is_left_running() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), &format!("{DEFAULTS}listen l\n bind {address}\n"));
    for mode in ["-db", "-W", "-D"] {
        let (code, _, stderr) = run(directory.path(), &[mode, "-f", "h.cfg"]);
        assert_eq!(code, 1, "{mode}");
        let line = format!(
            "Binding [h.cfg:7] for proxy l: cannot bind socket (Address already in use) for [{address}]"
        );
        assert!(stderr.contains(&line), "{mode}: {stderr}");
    }
}

#[test]
fn a_reload_loses_no_session_and_a_broken_file_changes_nothing() {
    let mut master = start(&["-W"], &[]);
    let first = number(&master.until("New worker"));
    master.until("Loading success.");
    let mut old = master.connect();
    master.signal(Signal::SIGUSR2);
    let second = number(&master.until("New worker"));
    master.until("Loading success.");
    assert_ne!(first, second);
    master.until("Proxy l stopped");
    let mut new = master.connect();
    echo(&mut old);

    let path = master.directory.path().join("h.cfg");
    let good = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, format!("{good} foo\n")).expect("writable");
    master.signal(Signal::SIGHUP);
    master.until("unknown keyword 'foo' in 'listen' section");
    master.until("Loading failure!");
    echo(&mut old);
    echo(&mut new);
    drop(master.connect());

    drop(old);
    let line = master.until("Former worker");
    assert!(
        line.ends_with(&format!("Former worker ({first}) exited with code 0 (Exit)\n")),
        "{line}"
    );
    master.signal(Signal::SIGTERM);
    master.until("Exiting Master process...");
    master.until(&format!("Current worker ({second}) exited with code 143 (Terminated)"));
    master.until("All workers exited. Exiting... (0)");
    assert_eq!(master.child.wait().expect("ended").code(), Some(0));
}

/// What a stats socket answers: the process id of the worker behind it.
fn pid_behind(mut stream: impl std::io::Read + std::io::Write) -> u32 {
    stream.write_all(b"show info\n").expect("open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let line = answer.lines().find_map(|line| line.strip_prefix("Pid: ")).expect("a Pid line");
    line.parse().expect("a number")
}

#[test]
fn after_a_reload_the_stats_sockets_answer_for_the_new_worker() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s.sock");
    let lines = format!(
        "global\n stats socket {}\n stats socket {address}\n stats socket abns@{}\n",
        path.display(),
        path.display()
    );
    let mut master = start_with(&lines, &["-W"], &[]);
    let mut workers = Vec::new();
    for _ in 0..3 {
        let worker = number(&master.until("New worker"));
        master.until("Loading success.");
        // The old one lets go a moment later; who asks it then is closed without an answer.
        if let Some(old) = workers.last() {
            master.until(&format!("Former worker ({old})"));
        }
        workers.push(worker);
        assert_eq!(pid_behind(UnixStream::connect(&path).expect("it listens")), worker);
        assert_eq!(pid_behind(TcpStream::connect(address).expect("it listens")), worker);
        master.signal(Signal::SIGUSR2);
    }
}

#[test]
fn a_reload_that_fails_leaves_the_stats_socket_with_the_worker() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s.sock");
    let lines = format!("global\n stats socket {}\n", path.display());
    let mut master = start_with(&lines, &["-W"], &[]);
    let worker = number(&master.until("New worker"));
    master.until("Loading success.");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let file = master.directory.path().join("h.cfg");
    let mut text = std::fs::read_to_string(&file).expect("readable");
    text += &format!(" bind {}\n", taken.local_addr().expect("bound"));
    std::fs::write(&file, text).expect("writable");
    master.signal(Signal::SIGUSR2);
    master.until("Loading failure!");
    assert_eq!(pid_behind(UnixStream::connect(&path).expect("it listens")), worker);
}

#[test]
fn a_worker_that_is_killed_ends_its_master_with_the_same_code() {
    let mut master = start(&["-W"], &[]);
    let worker = number(&master.until("New worker"));
    master.until("Loading success.");
    kill(pid(worker), Signal::SIGKILL).expect("it runs");
    master.until(&format!("Current worker ({worker}) exited with code 137 (Killed)"));
    master.until("exit-on-failure: killing every processes with SIGTERM");
    assert_eq!(master.child.wait().expect("ended").code(), Some(137));
}

#[test]
fn a_worker_does_not_outlive_its_master() {
    let mut master = start(&["-W"], &[]);
    let worker = number(&master.until("New worker"));
    master.until("Loading success.");
    assert_eq!(
        std::fs::read_to_string(format!("/proc/{worker}/comm")).expect("it runs"),
        "haproxy\n"
    );
    master.child.kill().expect("it runs");
    wait_gone(worker);
}

#[test]
fn nobody_ends_because_the_terminal_is_gone() {
    let mut master = start(&["-W"], &[]);
    let worker = number(&master.until("New worker"));
    master.until("Loading success.");
    // Whoever writes to standard error from now on gets EPIPE.
    let closed = std::process::Command::new("true").stderr(Stdio::piped()).spawn();
    let mut closed = closed.expect("it runs");
    let stderr = closed.stderr.take().expect("piped");
    closed.wait().expect("it ends");
    drop(std::mem::replace(&mut master.lines, BufReader::new(stderr)));

    master.signal(Signal::SIGUSR2);
    wait_gone(worker);
    let mut session = master.connect();
    echo(&mut session);
    let children = format!("/proc/{0}/task/{0}/children", master.child.id());
    let next = std::fs::read_to_string(children).expect("it runs");
    // The old one may still stand there, not waited for yet.
    let mut numbers = next.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
    let next = numbers.find(|number| *number != worker).expect("a new worker");
    master.child.kill().expect("it runs");
    wait_gone(next);
}

#[test]
fn a_master_drains_on_usr1_and_exits_with_130_on_int() {
    for (signal, code) in [(Signal::SIGUSR1, 0), (Signal::SIGINT, 130)] {
        let mut master = start(&["-W"], &[]);
        master.until("Loading success.");
        master.signal(signal);
        master.until("All workers exited.");
        assert_eq!(master.child.wait().expect("ended").code(), Some(code), "{signal}");
    }
}

#[test]
fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_read_timeout(Some(LIMIT)).expect("settable");
    let mut master = start(&["-Ws"], &[("NOTIFY_SOCKET", path.to_str().expect("text"))]);
    let told = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("told");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(told(), format!("READY=1\nMAINPID={}", master.child.id()));
    master.signal(Signal::SIGUSR2);
    assert!(told().starts_with("RELOADING=1"));
    assert!(told().starts_with("READY=1"));
    master.signal(Signal::SIGTERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(master.child.wait().expect("ended").code(), Some(0));
}

#[test]
fn in_the_foreground_it_dies_by_term_and_drains_on_usr1() {
    let mut single = start(&["-db"], &[]);
    drop(single.connect());
    single.signal(Signal::SIGTERM);
    assert_eq!(single.child.wait().expect("ended").signal(), Some(15));

    let mut single = start(&["-db"], &[]);
    let mut session = single.connect();
    single.signal(Signal::SIGUSR1);
    single.until("Proxy l stopped (cumulated conns: FE: 1, BE: 1).");
    echo(&mut session);
    drop(session);
    assert_eq!(single.child.wait().expect("ended").code(), Some(0));
}

#[test]
fn in_the_background_it_serves_before_the_command_returns() {
    for arguments in [vec!["-D", "-p", "h.pid"], vec!["-W", "-D", "-p", "h.pid"]] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let front = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = front.local_addr().expect("bound");
        write(directory.path(), &format!("{DEFAULTS}listen l\n bind \"fd@${{front}}\"\n"));
        fcntl(&front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
        let status = haproxy()
            .args(&arguments)
            .args(["-f", "h.cfg"])
            .env("front", front.as_raw_fd().to_string())
            .current_dir(directory.path())
            .status()
            .expect("it runs");
        assert!(status.success(), "{arguments:?}");
        drop(front);
        let text = std::fs::read_to_string(directory.path().join("h.pid")).expect("written");
        let daemon: u32 = text.trim().parse().expect("a number");
        // Without servers the connection is accepted and closed.
        let mut client = TcpStream::connect(address).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("settable");
        assert_eq!(client.read(&mut [0; 1]).expect("closed"), 0);
        kill(pid(daemon), Signal::SIGTERM).expect("it runs");
        wait_gone(daemon);
    }
}
