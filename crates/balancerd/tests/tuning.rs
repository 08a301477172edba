//! What a `global` section says of threads, pipes, descriptors and workers, seen from outside.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);
/// What a bulk transfer is here: enough to fill a buffer many times.
const BULK: usize = 8 << 20;

/// A server that answers every byte with [`BULK`] bytes.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                while client.read_exact(&mut [0]).is_ok() {
                    if client.write_all(&vec![7; BULK]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port")
}

struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Daemon {
    /// Starts one whose `global` section has these lines, with a listener before [`server`].
    fn start(global: &str, arguments: &[&str]) -> Self {
        let (directory, address) = (tempfile::tempdir().expect("a directory"), free());
        let server = server();
        let text = format!(
            "global\n{global}\ndefaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n timeout server 20s\nlisten l\n bind {address}\n server s {server}\n"
        );
        std::fs::write(directory.path().join("file"), text).expect("writable");
        let log = std::fs::File::create(directory.path().join("log")).expect("writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("haproxy").args(arguments).args(["-f", "file"]).stderr(log);
        command.env("EVERGATE_RELOAD", "new-worker");
        command.current_dir(&directory).stdin(Stdio::null());
        let daemon = Self { child: command.spawn().expect("it runs"), directory, address };
        daemon.connect();
        daemon
    }

    /// A connection that is served: what the process does before it serves is done.
    fn served(&self) -> TcpStream {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(LIMIT)).expect("an option");
        stream.write_all(b"x").expect("open");
        stream.read_exact(&mut [0]).expect("it answers");
        stream
    }

    fn connect(&self) -> TcpStream {
        let begun = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(self.address) {
                return stream;
            }
            assert!(begun.elapsed() < LIMIT, "{}", self.log());
            std::thread::yield_now();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn proc(&self, name: &str) -> std::path::PathBuf {
        format!("/proc/{}/{name}", self.child.id()).into()
    }

    /// How many descriptors of pipes are open once a bulk transfer has gone through.
    fn pipes(&self) -> usize {
        let mut stream = self.connect();
        stream.write_all(b"x").expect("open");
        let mut left = vec![0; BULK];
        stream.read_exact(&mut left).expect("all of it");
        assert!(left.iter().all(|byte| *byte == 7));
        let open = std::fs::read_dir(self.proc("fd")).expect("it lives").flatten();
        let is_pipe = |entry: std::fs::DirEntry| {
            std::fs::read_link(entry.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"))
        };
        open.map(is_pipe).filter(|is| *is).count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn threads_keep_to_the_processors_of_cpu_map() {
    let allowed = std::fs::read_to_string("/proc/self/status").expect("a process");
    if !allowed.lines().any(|line| line == "Cpus_allowed_list:\t0-1") {
        println!("SKIPPED: this test needs the processors 0 and 1, and no others");
        return;
    }
    let daemon = Daemon::start(" nbthread 2\n cpu-map auto:1/1-2 1,0", &[]);
    // A thread has its name and its processors a moment after it has begun.
    let begun = Instant::now();
    loop {
        let mut seen = Vec::new();
        for task in std::fs::read_dir(daemon.proc("task")).expect("it lives").flatten() {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let of = |field: &str| {
                let line = status.lines().find(|line| line.starts_with(field));
                line.and_then(|line| line.split('\t').nth(1)).unwrap_or_default().to_owned()
            };
            if of("Name:").starts_with("worker ") {
                seen.push((of("Name:"), of("Cpus_allowed_list:")));
            }
        }
        seen.sort();
        let wanted = [("worker 0", "0"), ("worker 1", "1")];
        if seen.iter().map(|(name, cpus)| (name.as_str(), cpus.as_str())).eq(wanted) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{seen:?}");
        std::thread::yield_now();
    }
}

#[test]
fn bulk_data_is_spliced_through_pipes_unless_nosplice_says_no() {
    let least = Daemon::start(" nbthread 1\n nosplice", &[]).pipes();
    let spliced = Daemon::start(" nbthread 1", &[]).pipes();
    assert!(spliced > least, "{spliced} and {least}");
    let one = Daemon::start(" nbthread 1\n maxpipes 1\n tune.pipesize 65536", &[]).pipes();
    assert_eq!(one, least + 2, "the two ends of one");
}

#[test]
fn a_process_that_changed_its_user_is_dumpable_where_the_file_says_so() {
    if !nix::unistd::Uid::effective().is_root() {
        println!("SKIPPED: only root changes its user");
        return;
    }
    // Files under /proc belong to root where a process may not be dumped (proc(5)).
    let owner = |global: &str| {
        use std::os::unix::fs::MetadataExt as _;
        let daemon = Daemon::start(global, &[]);
        // It listens before it changes its user.
        let _served = daemon.served();
        std::fs::metadata(daemon.proc("status")).expect("it lives").uid()
    };
    assert_eq!(owner(" uid 65534\n gid 65534"), 0);
    assert_eq!(owner(" uid 65534\n gid 65534\n set-dumpable"), 65_534);
}

#[test]
fn a_worker_outlives_no_more_reloads_than_it_may() {
    let daemon = Daemon::start(" nbthread 1\n mworker-max-reloads 1", &["-W"]);
    let (mut held, mut byte) = (daemon.served(), [0]);
    let master = Pid::from_raw(i32::try_from(daemon.child.id()).expect("a process id"));
    let reload = |nth: usize| {
        kill(master, Signal::SIGUSR2).expect("it lives");
        let begun = Instant::now();
        while daemon.log().matches("Loading success.").count() <= nth {
            assert!(begun.elapsed() < LIMIT, "{}", daemon.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    reload(1);
    held.read_exact(&mut byte).expect("one reload is outlived");
    reload(2);
    // The worker is told to end, and the connection with it, in the middle of what was under way.
    let mut rest = Vec::new();
    let ended = held.read_to_end(&mut rest);
    assert!(rest.len() < BULK, "{ended:?}");
    if let Err(error) = ended {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
