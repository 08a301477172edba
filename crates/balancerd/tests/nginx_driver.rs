//! Driven as nginx's own tests drive it: the words of the command line, the pid file, the signals,
//! the text of `-V`, and a log nobody has to be woken for.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn free() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("bound").port()
}

fn nginx() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    command.arg0("nginx").stdin(Stdio::null());
    command
}

/// As Test::Nginx starts it; its standard error is closed there when it may fail.
fn run(directory: &Path, stream: &str) -> Child {
    let d = directory.display();
    let text = format!(
        "pid {d}/nginx.pid;\nerror_log {d}/error.log debug;\n\ndaemon off;\n\nevents {{\n}}\n\nstream {{\n{stream}\n}}\n"
    );
    std::fs::write(directory.join("nginx.conf"), text).expect("written");
    let prefix = format!("{d}/");
    let words = ["-p", &prefix, "-c", "nginx.conf", "-e", "error.log"];
    let child = nginx().args(words).stderr(Stdio::null()).spawn().expect("it starts");
    until("the pid file", || directory.join("nginx.pid").exists());
    child
}

fn talk(port: u16, text: &str) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    client.write_all(text.as_bytes()).expect("sent");
    let mut answer = [0; 64];
    let length = client.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn the_text_of_its_version_says_what_tests_look_for() {
    let run = nginx().arg("-V").output().expect("it runs");
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && run.stdout.is_empty());
    for part in [
        "nginx version: nginx/",
        "--with-stream ",
        "--with-stream_ssl_preread_module",
        "--with-stream_realip_module",
    ] {
        assert!(format!("{} ", text.trim_end()).contains(part), "{part} is not in {text}");
    }
    // Test::Nginx would load modules.
    assert!(!text.contains("=dynamic"), "{text}");
    // What it takes for missing is missing.
    let missing: Vec<&str> =
        text.split_whitespace().filter(|word| word.starts_with("--without-")).collect();
    assert_eq!(missing, ["--without-http"]);
    let version = text.split("nginx version: nginx/").nth(1).expect("a version");
    let number = version.split(|c: char| c != '.' && !c.is_ascii_digit()).next().expect("a number");
    assert_eq!(number.split('.').count(), 3, "{number}");
}

#[test]
fn it_starts_reloads_and_quits_as_a_driver_expects() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    let _ = client.write_all(&bytes[..length]);
                }
            });
        }
    });
    let directory = tempfile::tempdir().expect("a directory");
    let d = directory.path();
    let (port, second, closed) = (free(), free(), free());
    let stream = |text: &str| {
        format!(
            "    log_format test $status;\n    access_log %%/test.log test;\n\
                 server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{server}; }}\n\
                 server {{ listen 127.0.0.1:{second}; {text} }}"
        )
        .replace("%%", &d.display().to_string())
    };
    let mut child = run(d, &stream(&format!("proxy_pass 127.0.0.1:{closed};")));
    // It is served as soon as the pid file is there, which names the process that was started.
    assert_eq!(talk(port, "hello"), "hello");
    let pid = std::fs::read_to_string(d.join("nginx.pid")).expect("a pid file");
    assert_eq!(pid, format!("{}\n", child.id()));
    assert_eq!(talk(second, "hello"), "");
    // A reload, with a session that stays over it.
    let mut stays = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stays.set_read_timeout(Some(PATIENCE)).expect("set");
    stays.write_all(b"one").expect("sent");
    let mut bytes = [0; 3];
    stays.read_exact(&mut bytes).expect("an answer");
    let text = std::fs::read_to_string(d.join("nginx.conf")).expect("it is there");
    let text = text.replace(&format!("proxy_pass 127.0.0.1:{closed};"), "return over;");
    std::fs::write(d.join("nginx.conf"), text).expect("written");
    let id = Pid::from_raw(child.id().cast_signed());
    kill(id, Signal::SIGHUP).expect("ours");
    until("the reload", || talk(second, "") == "over");
    stays.write_all(b"two").expect("sent");
    stays.read_exact(&mut bytes).expect("an answer");
    assert_eq!(&bytes, b"two");
    // It ends once its sessions have.
    kill(id, Signal::SIGQUIT).expect("ours");
    until("no listener", || TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(child.try_wait().expect("ours").is_none(), "a session is left");
    drop(stays);
    until("the end", || child.try_wait().expect("ours").is_some_and(|status| status.success()));
    assert!(!d.join("nginx.pid").exists());
    let log = std::fs::read_to_string(d.join("error.log")).expect("a log");
    assert!(log.contains(" [notice] ") && log.contains(": nginx/"), "{log}");
    assert!(!log.contains("[alert]") && !log.contains("Sanitizer"), "{log}");
    assert!(
        log.contains("connect() failed (111: Connection refused) while connecting to upstream")
    );
    let access = std::fs::read_to_string(d.join("test.log")).expect("a log");
    assert!(access.lines().any(|line| line == "502"), "{access}");
}

#[test]
fn what_cannot_start_ends_at_once_even_with_nobody_to_tell() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("nginx.conf"), "events {} stream { foo; }")
        .expect("written");
    let d = format!("{}/", directory.path().display());
    let mut command = nginx();
    command.args(["-p", &d, "-c", "nginx.conf", "-e", "error.log"]).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    until("the end", || child.try_wait().expect("ours").is_some_and(|s| s.code() == Some(1)));
    assert!(!directory.path().join("nginx.pid").exists());
}
