//! What ran out, broke off or cannot be written: what becomes of it is compared with nginx.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "beside/harness.rs"]
mod harness;

use harness::*;

/// Both, one after the other, with these directives of the main context and of `events`.
fn both<T: PartialEq + std::fmt::Debug>(
    [main, events, stream]: [&str; 3],
    names: &str,
    servers: &[(char, u16)],
    act: impl Fn(&Running) -> T,
) {
    if !installed() {
        return;
    }
    let [theirs, ours] = [true, false]
        .map(|original| act(&Running::with(original, main, events, stream, "", names, servers)));
    assert_eq!(ours, theirs);
}

fn client(it: &Running, name: char) -> TcpStream {
    let client = TcpStream::connect(it.at(name)).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client
}

/// Whether it is served: a byte of the server comes.
fn is_served(client: &mut TcpStream) -> bool {
    matches!(client.read(&mut [0; 1]), Ok(1))
}

/// The lines of the error log with this in them, without times, processes and numbers of
/// connections.
fn lines_with(it: &Running, text: &str) -> Vec<String> {
    let log = std::fs::read_to_string(it.path("error.log")).unwrap_or_default();
    let plain = |line: &str| {
        let (head, said) = line.split_once(": ").unwrap_or(("", line));
        let level = head.split_once('[').and_then(|(_, rest)| rest.split(']').next()).unwrap_or("");
        let said = match said.strip_prefix('*') {
            Some(said) => said.split_once(' ').map_or(said, |(_, said)| said),
            None => said,
        };
        it.ports.hide(&format!("{level}: {said}"))
    };
    log.lines().filter(|line| line.contains(text)).map(plain).collect()
}

fn master(it: &Running) -> Pid {
    Pid::from_raw(it.child.id().cast_signed())
}

#[test]
fn who_comes_when_worker_connections_are_used_up_is_closed_with_nginx_s_line() {
    let servers = [('X', speaker("x"))];
    let stream = "server { listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:@X@; }";
    both(["", "worker_connections 8;", stream], "A", &servers, |it| {
        let mut held = Vec::new();
        let mut served = Vec::new();
        for _ in 0..6 {
            let mut one = client(it, 'A');
            served.push(is_served(&mut one));
            held.push(one);
        }
        let said = until("its line", || {
            let said = lines_with(it, "worker_connections");
            (said.len() >= 3).then_some(said)
        });
        // Room is used again.
        held.clear();
        until("room", || is_served(&mut client(it, 'A')).then_some(()));
        (served, said)
    });
}

#[test]
fn worker_shutdown_timeout_ends_what_is_left_and_says_so() {
    let servers = [('X', speaker("x"))];
    let stream = "log_format f '$status $bytes_sent $upstream_bytes_sent'; access_log a.log f;
        server { listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:@X@; }";
    both(["worker_shutdown_timeout 200ms;", "", stream], "A", &servers, |it| {
        let mut held = client(it, 'A');
        assert!(is_served(&mut held));
        kill(master(it), Signal::SIGQUIT).expect("it runs");
        let mut rest = Vec::new();
        let ended = held.read_to_end(&mut rest).is_ok();
        let mut said = until("its last line", || {
            let said = lines_with(it, "timeout while");
            let all = lines_with(it, "exit");
            (!said.is_empty() && all.iter().any(|line| line == "notice: exit")).then_some(said)
        });
        said.extend(lines_with(it, "gracefully").into_iter().take(1));
        said.extend(it.lines("a.log", 1));
        (ended, said)
    });
}

#[test]
fn where_no_descriptor_is_left_nobody_is_accepted_until_one_is() {
    let servers = [('X', speaker("x"))];
    let stream = "server { listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:@X@; }";
    let main = "worker_rlimit_nofile 40;";
    both([main, "worker_connections 500;", stream], "A", &servers, |it| {
        let mut held: Vec<TcpStream> = Vec::new();
        // They are served one after another, until one is not.
        let full = (0..200).any(|_| {
            let mut one = client(it, 'A');
            one.set_read_timeout(Some(Duration::from_millis(700))).expect("a timeout");
            let served = is_served(&mut one);
            held.push(one);
            !served
        });
        assert!(full, "nothing ran out");
        let said = until("its line", || {
            let mut said = lines_with(it, "(24: Too many open files)");
            said.dedup();
            said.truncate(1);
            (!said.is_empty()).then_some(said)
        });
        assert!(
            said == ["crit: accept4() failed (24: Too many open files)"]
                || said[0].starts_with(
                    "alert: socket() failed (24: Too many open files) while connecting to upstream"
                ),
            "{said:?}"
        );
        // Once others have gone all is as before.
        held.clear();
        until("room", || is_served(&mut client(it, 'A')).then_some(()));
    });
}

/// A server that behaves as told: `r`eset at once, `R` reset after a word, `c`lose at once, `C`
/// close after a word, `h` half-close after a word and listen on, `s` say nothing.
fn odd(how: char) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let reset = |client: &TcpStream| {
                    let _ = socket2::SockRef::from(client).set_linger(Some(Duration::ZERO));
                };
                // It has heard what it was sent: the order is the same each time.
                let _ = client.read(&mut [0; 16]);
                match how {
                    'r' => reset(&client),
                    'R' => {
                        let _ = client.write_all(b"word\n");
                        // Not before the other side has taken it: a reset takes back what was sent.
                        let _ = client.read(&mut [0; 16]);
                        reset(&client);
                    }
                    'C' => drop(client.write_all(b"word\n")),
                    'h' => {
                        let _ = client.write_all(b"word\n");
                        let _ = client.shutdown(Shutdown::Write);
                        let mut rest = Vec::new();
                        let _ = client.read_to_end(&mut rest);
                    }
                    's' => {
                        let _ = client.read(&mut [0; 16]);
                    }
                    _ => {}
                }
            });
        }
    });
    port
}

#[test]
fn a_server_that_resets_stalls_or_closes_at_any_point_is_taken_as_by_nginx() {
    let kinds = ['r', 'R', 'c', 'C', 'h', 's'];
    let servers: Vec<(char, u16)> =
        ('P'..).zip(kinds).map(|(name, how)| (name, odd(how))).collect();
    for half in ["", "proxy_half_close on;"] {
        let mut stream = format!(
            "log_format f '$status $bytes_received/$bytes_sent $upstream_bytes_sent/$upstream_bytes_received';
             access_log a.log f; proxy_timeout 400ms; {half}"
        );
        for (name, (server, _)) in ('A'..).zip(&servers) {
            stream += &format!(
                "server {{ listen 127.0.0.1:@{name}@; proxy_pass 127.0.0.1:@{server}@; }}"
            );
        }
        both(["", "", &stream], "ABCDEF", &servers, |it| {
            let mut found = Vec::new();
            for (count, (name, how)) in (1..).zip(('A'..).zip(kinds)) {
                let mut client = client(it, name);
                client.write_all(b"hello").expect("sent");
                let mut word = [0; 5];
                let heard = match how {
                    'R' => {
                        client.read_exact(&mut word).expect("a word");
                        client.write_all(b"again").expect("sent");
                        word.to_vec()
                    }
                    _ => Vec::new(),
                };
                let mut rest = heard;
                let ended = client.read_to_end(&mut rest).map_err(|error| error.kind());
                let ended = ended.map(|_| ());
                drop(client);
                let line = it.lines("a.log", count).pop();
                found.push((how, String::from_utf8_lossy(&rest).into_owned(), ended, line));
            }
            (
                found,
                it.said("error"),
                it.said("info")
                    .into_iter()
                    .filter(|said| !said.contains("connected to"))
                    .collect::<Vec<_>>(),
            )
        });
    }
}

#[test]
fn a_log_that_cannot_be_opened_keeps_both_from_starting_and_a_reload_from_happening() {
    if !installed() {
        return;
    }
    let stream = "log_format f x; server { listen 127.0.0.1:@A@; return hi; access_log a.log f; }";
    let found = [true, false].map(|original| {
        let it = Running::start(original, stream, "", "A", &[]);
        let file = it.path("n.conf");
        let before = std::fs::read_to_string(&file).expect("a file");
        let mut all = Vec::new();
        for wrong in ["access_log none/a.log f", "access_log /proc/none f"] {
            std::fs::write(&file, before.replace("access_log a.log f", wrong)).expect("written");
            let seen = lines_with(&it, "[emerg]").len();
            kill(master(&it), Signal::SIGHUP).expect("it runs");
            let said = until("a complaint", || {
                let said = lines_with(&it, "[emerg]").split_off(seen);
                (!said.is_empty()).then_some(said)
            });
            let hide =
                |said: String| said.replace(&it.directory.path().display().to_string(), "@D@");
            all.extend(said.into_iter().map(hide));
            // The old one goes on.
            assert_eq!(it.ask('A', 1, b"", 1), "hi");
        }
        all
    });
    assert_eq!(found[1], found[0]);
}

/// The lines of a log that a full disk had no room for are lost, and only those.
#[test]
fn a_disk_that_is_full_costs_lines_and_nothing_else() {
    if !nix::unistd::geteuid().is_root() || !installed() {
        eprintln!("SKIPPED: only root can make a small disk");
        return;
    }
    for original in [true, false] {
        let disk = tempfile::tempdir().expect("a directory");
        let Some(_mounted) = Small::mount(disk.path()) else {
            eprintln!("SKIPPED: no file system can be mounted here");
            return;
        };
        let path = disk.path().display();
        let stream = format!(
            "log_format f '$remote_addr $status'; access_log {path}/a.log f;
             server {{ listen 127.0.0.1:@A@; return hi; }}"
        );
        let it = Running::start(original, &stream, "", "A", &[]);
        assert_eq!(it.ask('A', 1, b"", 1), "hi");
        until("a line", || {
            std::fs::metadata(disk.path().join("a.log")).ok().filter(|m| m.len() > 0)
        });
        let filler = disk.path().join("filler");
        let mut file = std::fs::File::create(&filler).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
        // What is left of the file's last page is room as well.
        let mut log = std::fs::OpenOptions::new()
            .append(true)
            .open(disk.path().join("a.log"))
            .expect("it is there");
        while log.write_all(b"#").is_ok() {}
        let full = std::fs::metadata(disk.path().join("a.log")).expect("it is there").len();
        for _ in 0..5 {
            assert_eq!(it.ask('A', 1, b"", 1), "hi");
        }
        assert_eq!(std::fs::metadata(disk.path().join("a.log")).expect("it is there").len(), full);
        drop(file);
        std::fs::remove_file(&filler).expect("it is there");
        // nginx leaves a full disk alone for a second.
        until("lines again", || {
            assert_eq!(it.ask('A', 1, b"", 1), "hi");
            let text = std::fs::read_to_string(disk.path().join("a.log")).ok()?;
            text.trim_end().ends_with("127.0.0.1 200").then_some(())
        });
        assert!(it.said("crit").is_empty() && lines_with(&it, "[emerg]").is_empty());
    }
}

/// A file system of 64 kB that goes when it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut command = std::process::Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(at);
        let status = command.stderr(std::process::Stdio::null()).status().ok()?;
        status.success().then_some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazily: a process that ends may still hold a file of it.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}
