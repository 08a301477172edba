//! The program called `nginx`: what it prints, its processes and its signals.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A directory with a configuration; what runs there ends with it.
struct Site {
    directory: tempfile::TempDir,
    port: u16,
}

impl Site {
    fn new() -> Self {
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        Self { directory: tempfile::tempdir().expect("a directory"), port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, main: &str, stream: &str) {
        let text = format!(
            "pid n.pid; error_log error.log notice; {main}\nevents {{}}\nstream {{ {stream} }}\n"
        );
        std::fs::write(self.path("n.conf"), text).expect("written");
    }

    fn serve(&self, main: &str, answer: &Answer) {
        let (own, server) = (self.port, answer.port);
        self.write(
            main,
            &format!("server {{ listen 127.0.0.1:{own}; proxy_pass 127.0.0.1:{server}; }}"),
        );
    }

    fn nginx(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("nginx").args(words).args(["-c", "n.conf", "-p"]).arg(self.directory.path());
        // Reloads in place have tests of their own.
        command.stdin(Stdio::null()).env("EVERGATE_RELOAD", "new-worker");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.nginx(words).output().expect("it runs")
    }

    fn errors(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        let text = String::from_utf8_lossy(&output.stderr);
        let text = text.replace(&format!("{}/", self.directory.path().display()), "");
        (output.status.code().unwrap_or(-1), text)
    }

    fn pid(&self) -> Option<Pid> {
        std::fs::read_to_string(self.path("n.pid")).ok()?.trim().parse().ok().map(Pid::from_raw)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("error.log")).unwrap_or_default()
    }

    fn ask(&self) -> Option<String> {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        client.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A failed test leaves nothing behind.
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGTERM);
        }
    }
}

/// A server that says a word and hangs up.
struct Answer {
    port: u16,
}

impl Answer {
    fn with(word: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let _ = client.write_all(word.as_bytes());
            }
        });
        Self { port }
    }
}

fn children(of: Pid) -> Vec<Pid> {
    let file = format!("/proc/{of}/task/{of}/children");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

fn title(of: Pid) -> String {
    let line = std::fs::read(format!("/proc/{of}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned()
}

fn exit_code(child: &mut Child) -> Option<i32> {
    child.try_wait().expect("ours").and_then(|status| status.code())
}

#[test]
fn a_test_prints_on_stderr_and_has_nginxs_codes() {
    let site = Site::new();
    site.serve("", &Answer { port: 9 });
    let fine = "nginx: the configuration file n.conf syntax is ok\n\
                nginx: configuration file n.conf test is successful\n";
    // Without root's rights nothing is asked of the user.
    assert_eq!(site.errors(&["-t"]), (0, fine.to_owned()));
    assert_eq!(site.errors(&["-tq"]), (0, String::new()));
    let dumped = String::from_utf8_lossy(&site.run(&["-T", "-q"]).stdout).into_owned();
    let text = std::fs::read_to_string(site.path("n.conf")).expect("there");
    assert_eq!(
        dumped,
        format!("# configuration file {}:\n{text}\n", site.path("n.conf").display())
    );
    site.write("foo;", "server { lsten 1; }");
    let (code, said) = site.errors(&["-t"]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "nginx: [emerg] unknown directive \"foo\" in n.conf:1\n\
         nginx: [emerg] unknown directive \"lsten\" in n.conf:3\n\
         nginx: [emerg] no \"listen\" is defined for server in n.conf:3\n\
         nginx: configuration file n.conf test failed\n"
    );
    assert!(site.errors(&["-t", "--explain"]).1.contains("help: did you mean 'listen'?"));
    let (code, said) = site.errors(&["-s", "reload"]);
    assert_eq!((code, said.lines().count()), (1, 3), "{said}");
    site.write("", "server { listen 203.0.113.1:9; }");
    let (code, said) = site.errors(&["-t"]);
    assert_eq!(code, 1);
    assert!(
        said.contains(
            "nginx: [emerg] bind() to 203.0.113.1:9 failed (99: Cannot assign requested address)\n"
        ),
        "{said}"
    );
}

#[test]
fn it_serves_reloads_and_quits_under_one_process_number() {
    let (site, one, two) = (Site::new(), Answer::with("one"), Answer::with("two"));
    site.serve("daemon off; worker_processes 2;", &one);
    let mut child = site.nginx(&[]).stderr(Stdio::null()).spawn().expect("it starts");
    let master = until("a pid file", || site.pid());
    assert_eq!(master.as_raw(), child.id() as i32);
    assert_eq!(until("an answer", || site.ask()), "one");
    let worker = children(master)[0];
    assert!(
        title(master).starts_with("nginx: master process nginx -c n.conf"),
        "{}",
        title(master)
    );
    assert_eq!(title(worker), "nginx: worker process");
    for pid in [master, worker] {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("alive");
        assert_eq!(name.trim_end(), "nginx");
    }

    // A broken file keeps the old configuration and says why.
    site.write("daemon off; foo;", "");
    kill(master, Signal::SIGHUP).expect("alive");
    until("a complaint", || site.log().contains("[emerg]").then_some(()));
    let file = site.path("n.conf");
    assert!(site.log().contains(&format!("unknown directive \"foo\" in {}:1\n", file.display())));
    assert_eq!(site.ask().as_deref(), Some("one"));
    assert_eq!(children(master), [worker]);

    site.serve("daemon off; worker_processes 1;", &two);
    assert_eq!(site.errors(&["-s", "reload"]), (0, String::new()));
    until("the new configuration", || (site.ask()? == "two").then_some(()));
    until("the old worker's end", || (!children(master).contains(&worker)).then_some(()));

    // A worker that is killed is replaced.
    let worker = until("one worker", || children(master).first().copied());
    kill(worker, Signal::SIGKILL).expect("alive");
    until("another worker", || {
        children(master).first().is_some_and(|other| *other != worker).then_some(())
    });
    until("an answer", || site.ask());
    assert!(site.log().contains(&format!(
        "[alert] {master}#{master}: worker process {worker} exited on signal 9"
    )));

    std::fs::rename(site.path("error.log"), site.path("old.log")).expect("there");
    assert_eq!(site.errors(&["-s", "reopen"]).0, 0);
    until("a new log", || site.path("error.log").exists().then_some(()));
    assert_eq!(site.errors(&["-s", "quit"]).0, 0);
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
    assert!(!site.path("n.pid").exists() && site.ask().is_none());
    let (code, said) = site.errors(&["-s", "stop"]);
    assert_eq!(code, 1);
    assert_eq!(said, "nginx: [error] open() \"n.pid\" failed (2: No such file or directory)\n");
}

#[test]
fn in_the_background_it_returns_once_it_serves() {
    let (site, answer) = (Site::new(), Answer::with("here"));
    site.serve("", &answer);
    // The output is read to its end: the background process holds none of it.
    assert_eq!(site.errors(&[]), (0, String::new()));
    assert_eq!(site.ask().as_deref(), Some("here"));
    let master = site.pid().expect("written before it returned");
    assert_eq!(nix::unistd::getsid(Some(master)).ok(), Some(master));
    assert_eq!(site.errors(&["-s", "stop"]).0, 0);
    until("the end", || kill(master, None).is_err().then_some(()));
    assert!(!site.path("n.pid").exists());
}

#[test]
fn a_port_already_taken_is_tried_for_a_while_and_nothing_is_half_started() {
    let (site, answer) = (Site::new(), Answer::with("here"));
    site.serve("", &answer);
    let taken = TcpListener::bind(("127.0.0.1", site.port)).expect("free until now");
    let port = site.port;
    let (code, said) = site.errors(&[]);
    let line =
        format!("nginx: [emerg] bind() to 127.0.0.1:{port} failed (98: Address already in use)\n");
    assert_eq!((code, said), (1, line.repeat(5) + "nginx: [emerg] still could not bind()\n"));
    assert!(!site.path("n.pid").exists());
    // A test does not mind: it is tried beside the process that serves.
    assert_eq!(site.errors(&["-tq"]), (0, String::new()));
    drop(taken);
}

#[test]
fn a_single_process_serves_without_a_master() {
    let (site, answer) = (Site::new(), Answer::with("alone"));
    site.serve("daemon off; master_process off;", &answer);
    let mut child = site.nginx(&[]).stderr(Stdio::null()).spawn().expect("it starts");
    assert_eq!(until("an answer", || site.ask()), "alone");
    let pid = site.pid().expect("written");
    assert!(children(pid).is_empty());
    kill(pid, Signal::SIGQUIT).expect("alive");
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
    assert!(!site.path("n.pid").exists());
}

#[test]
fn a_missing_file_a_directory_and_noise_are_each_one_message() {
    let site = Site::new();
    let d = site.directory.path().display().to_string() + "/";
    let said = |file: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_balancerd"))
            .arg0("nginx")
            .args(["-t", "-c"])
            .arg(file)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).replace(&d, "");
        (output.status.code(), text)
    };
    let (code, text) = said(&site.path("none"));
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "nginx: [emerg] open() \"none\" failed (2: No such file or directory)\n\
         nginx: configuration file none test failed\n"
    );
    let (code, text) = said(site.directory.path());
    assert!(code == Some(1) && text.starts_with("nginx: [crit] pread()"), "{text}");
    let noise: Vec<u8> =
        (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(site.path("noise"), noise).expect("written");
    let (code, text) = said(&site.path("noise"));
    assert!(
        code == Some(1) && !text.bytes().any(|b| b.is_ascii_control() && b != b'\n'),
        "{text:?}"
    );
}

#[test]
fn a_worker_killed_again_and_again_is_always_replaced() {
    let (site, answer) = (Site::new(), Answer::with("here"));
    site.serve("daemon off;", &answer);
    let mut child = site.nginx(&[]).stderr(Stdio::null()).spawn().expect("it starts");
    let master = until("a pid file", || site.pid());
    until("an answer", || site.ask());
    // Each is killed the moment it exists, mostly before it serves.
    let mut killed = Vec::new();
    while killed.len() < 6 {
        let worker = until("another worker", || {
            children(master).into_iter().find(|worker| !killed.contains(worker))
        });
        // It may have ended by itself only if something is wrong; the loop would not end then.
        kill(worker, Signal::SIGKILL).expect("alive");
        killed.push(worker);
    }
    assert_eq!(until("an answer", || site.ask()), "here");
    kill(master, Signal::SIGTERM).expect("alive");
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
}

#[test]
fn many_reloads_at_once_end_with_the_last_configuration_and_blame_no_worker() {
    let (site, one, two) = (Site::new(), Answer::with("one"), Answer::with("two"));
    site.serve("daemon off;", &one);
    let mut child = site.nginx(&[]).stderr(Stdio::null()).spawn().expect("it starts");
    let master = until("a pid file", || site.pid());
    until("an answer", || site.ask());
    for _ in 0..100 {
        kill(master, Signal::SIGHUP).expect("alive");
        assert_eq!(site.ask().as_deref(), Some("one"), "no request is lost");
    }
    site.serve("daemon off;", &two);
    kill(master, Signal::SIGHUP).expect("alive");
    until("the last configuration", || (site.ask()? == "two").then_some(()));
    until("one worker", || (children(master).len() == 1).then_some(()));
    assert!(!site.log().contains("[alert]"), "{}", site.log());
    kill(master, Signal::SIGQUIT).expect("alive");
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
}

#[test]
fn a_reload_outlives_the_replacement_of_the_program() {
    let (site, answer) = (Site::new(), Answer::with("here"));
    site.serve("daemon off;", &answer);
    let program = site.path("nginx");
    std::fs::copy(env!("CARGO_BIN_EXE_balancerd"), &program).expect("copied");
    let mut command = Command::new(&program);
    command.args(["-c", "n.conf", "-p"]).arg(site.directory.path());
    command.env("EVERGATE_RELOAD", "new-worker");
    let mut child = command.stderr(Stdio::null()).spawn().expect("it starts");
    let master = until("a pid file", || site.pid());
    until("an answer", || site.ask());
    let worker = children(master);
    std::fs::remove_file(&program).expect("there");
    kill(master, Signal::SIGHUP).expect("alive");
    until("another worker", || {
        let now = children(master);
        (now.len() == 1 && now != worker).then_some(())
    });
    assert_eq!(site.ask().as_deref(), Some("here"));
    kill(master, Signal::SIGTERM).expect("alive");
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
}

#[test]
fn an_address_in_use_is_logged_once_per_try_and_the_reload_is_given_up() {
    let (site, one, two) = (Site::new(), Answer::with("one"), Answer::with("two"));
    site.serve("daemon off;", &one);
    let mut child = site.nginx(&[]).stderr(Stdio::null()).spawn().expect("it starts");
    let master = until("a pid file", || site.pid());
    until("an answer", || site.ask());
    let (own, taken) = (site.port, two.port);
    site.write(
        "daemon off;",
        &format!(
            "server {{ listen 127.0.0.1:{own}; proxy_pass 127.0.0.1:{taken}; }} \
             server {{ listen 127.0.0.1:{taken}; proxy_pass 127.0.0.1:9; }}"
        ),
    );
    kill(master, Signal::SIGHUP).expect("alive");
    until("its end", || site.log().contains("still could not bind()").then_some(()));
    assert_eq!(site.ask().as_deref(), Some("one"));
    assert_eq!(site.log().matches("failed (98: Address already in use)").count(), 5);
    assert_eq!(site.log().matches("still could not bind()").count(), 1);
    kill(master, Signal::SIGTERM).expect("alive");
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
}

#[test]
fn a_line_full_of_one_mistake_is_one_complaint_and_nobody_has_to_read_it() {
    let site = Site::new();
    let text = format!("events {{}} {}", "worker_processes 1;".repeat(20_000));
    std::fs::write(site.path("n.conf"), text).expect("written");
    let (code, said) = site.errors(&["-t"]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "nginx: [emerg] \"worker_processes\" directive is duplicate in n.conf:1\n\
         nginx: configuration file n.conf test failed\n"
    );
    // Whoever would read is gone.
    let (read, write) = std::io::pipe().expect("a pipe");
    drop(read);
    let status = site.nginx(&["-t"]).stderr(write).status().expect("it runs");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_reopened_log_belongs_to_the_user_who_writes_it() {
    use std::os::unix::fs::MetadataExt as _;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root has workers of another user");
        return;
    }
    let (site, answer) = (Site::new(), Answer::with("here"));
    // Workers must reach it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(site.directory.path(), open).expect("ours");
    site.serve("daemon off; user nobody nogroup; error_log error.log info;", &answer);
    let text = std::fs::read_to_string(site.path("n.conf")).expect("there");
    let text = text.replacen("error_log error.log notice; ", "", 1);
    std::fs::write(site.path("n.conf"), text).expect("written");
    let mut child = site.nginx(&[]).stderr(Stdio::null()).spawn().expect("it starts");
    let master = until("a pid file", || site.pid());
    until("an answer", || site.ask());
    std::fs::rename(site.path("error.log"), site.path("old.log")).expect("there");
    kill(master, Signal::SIGUSR1).expect("alive");
    until("a worker's line", || {
        let _ = site.ask();
        site.log().contains(" connected to ").then_some(())
    });
    let owner = std::fs::metadata(site.path("error.log")).expect("there").uid();
    let nobody = nix::unistd::User::from_name("nobody").expect("a passwd").expect("he is there");
    assert_eq!(owner, nobody.uid.as_raw());
    kill(master, Signal::SIGTERM).expect("alive");
    assert_eq!(until("the end", || exit_code(&mut child)), 0);
}

#[test]
fn a_notice_is_kept_from_those_who_asked_for_complaints_only() {
    let site = Site::new();
    let text = "pid n.pid;\nevents {}\nhttp {}\nstream {}\n";
    std::fs::write(site.path("n.conf"), text).expect("written");
    let (code, said) = site.errors(&["-t"]);
    assert!(code == 0 && said.contains("nginx: [notice] "), "{code} {said}");
    assert_eq!(site.errors(&["-t", "-q"]), (0, String::new()));
    let missing = "nginx: [error] open() \"n.pid\" failed (2: No such file or directory)\n";
    std::fs::remove_file(site.path("n.pid")).expect("a test makes one, as nginx's does");
    assert_eq!(site.errors(&["-s", "reload"]), (1, missing.to_owned()));
}
