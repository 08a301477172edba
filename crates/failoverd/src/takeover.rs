//! In place of another daemon: `failoverd take-over COMMAND…` in a unit whose former processes were
//! left running, as when one package follows another.
//!
//! ```text
//!   stop      systemd leaves the processes of the old daemon alone: it is master on
//!   start     `take-over`: the new one could run this configuration?
//!             ├─ no:  says why and ends; the old one goes on
//!             └─ yes: kills the old one, which leaves its addresses, and becomes the new one
//!   new one   every instance whose addresses are there is master at once (see `ledger`)
//! ```
//!
//! A backup waits three intervals before it takes over: what takes milliseconds, nobody notices.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daemon::clock::Clock;
use daemon::group::{self, Sibling};
use daemon::log::Log;
use linux::proc_events::watch_process;
use netlink::Kernel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp::config::InstanceConfig;
use vrrp::{Counters, State};

use crate::cli::{self, Persona};
use crate::configuration;
use crate::exit;
use crate::ledger::{Account, Ledger, Subject};

/// Set for a daemon that starts where another was a moment ago.
const IN_PLACE: &str = "FAILOVERD_IN_PLACE";
/// What the old daemon's program may be called.
const PROGRAMS: [&str; 2] = ["keepalived", "failoverd"];

/// How long a process that was killed may take to end: it is less than two intervals of most
/// configurations, and milliseconds where the machine is not out of memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// Becomes `command`, in place of what is left in this unit.
pub(crate) fn run(command: &[OsString]) -> u8 {
    let Some((program, arguments)) = command.split_first() else { return exit::FATAL };
    let mut next = Command::new(program);
    next.args(arguments);
    let former = match group::siblings(&PROGRAMS) {
        Ok(former) => former,
        Err(error) => {
            eprintln!("failoverd take-over: cannot read /proc: {error}");
            return exit::FATAL;
        }
    };
    if !former.is_empty() {
        if could_run(command) != exit::OK {
            eprintln!("failoverd take-over: not with this configuration; the old one goes on");
            return exit::CONFIG;
        }
        end(&former);
        next.env(IN_PLACE, "1");
    }
    let error = next.exec();
    eprintln!("failoverd take-over: {}: {error}", program.display());
    exit::FATAL
}

/// Whether `command` would start a daemon that runs: 0, or else 2 after saying why not. `-t` would
/// not do: it has one code for what keeps a daemon from running and for what it puts up with.
pub(crate) fn could_run(command: &[OsString]) -> u8 {
    let arguments = command.iter().skip(1).cloned();
    let options = match cli::read(Persona::Keepalived, arguments) {
        Ok((_, options)) => options,
        Err(cli::Refused(why)) => {
            eprintln!("{why}");
            return exit::CONFIG;
        }
    };
    let loaded = configuration::load(&options);
    if loaded.exit.is_none() {
        return exit::OK;
    }
    loaded.print();
    exit::CONFIG
}

/// Kills the old daemon so that none of its processes has time for anything: a VRRP process whose
/// parent dies gets SIGTERM, and would give its addresses up. Returns once all are gone, and with them
/// the locks of their PID files, which would keep the new one from starting; or after [`PATIENCE`].
fn end(former: &[Sibling]) {
    let all: Vec<OwnedFd> =
        former.iter().filter_map(|one| watch_process(u32::try_from(one.pid).ok()?).ok()).collect();
    let eldest = group::eldest(former);
    let younger = former.iter().filter(|one| !eldest.contains(&one.pid)).map(|one| one.pid);
    let younger: Vec<i32> = younger.collect();
    let tell = |pids: &[i32], signal| {
        for pid in pids {
            // One that has ended meanwhile is what is wanted.
            let _ = kill(Pid::from_raw(*pid), signal);
        }
    };
    tell(&younger, Signal::SIGSTOP);
    tell(&eldest, Signal::SIGKILL);
    tell(&younger, Signal::SIGKILL);
    let until = Instant::now() + PATIENCE;
    for process in &all {
        let mut wanted = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        let left = PollTimeout::try_from(until.saturating_duration_since(Instant::now()));
        // What does not end in time is told of by the new daemon, which finds its lock.
        let _ = poll(&mut wanted, left.unwrap_or(PollTimeout::ZERO));
    }
}

/// In a daemon that [`run`] started: writes down that the instances whose addresses are there were
/// masters until now, for the role to go on with.
pub(crate) fn note_masters(ledger: &OwnedFd, instances: &[InstanceConfig], log: &Log) {
    if std::env::var_os(IN_PLACE).is_none() {
        return;
    }
    let Ok(there) = Kernel::open().and_then(|mut kernel| kernel.snapshot()) else { return };
    let is_there = |instance: &&InstanceConfig| {
        instance.addresses.iter().any(|ours| {
            there
                .addresses
                .iter()
                .any(|its| its.address == ours.address && its.prefix_len == ours.prefix_len)
        })
    };
    let clock = Clock::start();
    let now = clock.since_boot(clock.now());
    let mut ledger = Ledger::within(ledger);
    for instance in instances.iter().filter(is_there) {
        log.info(format_args!("({}) was master here, and goes on", instance.name));
        let subject =
            Subject::Instance(instance.interface.clone(), instance.vrid.0, instance.is_ipv4());
        let account = Account {
            state: State::Master,
            last_advert: now,
            since: now,
            transition: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            counters: Counters::default(),
        };
        ledger.write_instance(&subject, &account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_daemon_has_let_go_of_its_lock_when_the_new_one_starts() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for round in 0..5 {
            let file = directory.path().join(format!("{round}.pid"));
            // 64 MiB to give back, so that its end takes a while.
            let script = "import fcntl, sys, time; held = open(sys.argv[1], 'w'); \
                          fcntl.flock(held, fcntl.LOCK_EX); memory = b'x' * (64 << 20); \
                          print('locked', flush=True); time.sleep(600)";
            let mut child = Command::new("python3")
                .args(["-c", script])
                .arg(&file)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("python3 starts");
            let mut line = String::new();
            let out = child.stdout.take().expect("a pipe");
            std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)
                .expect("it says that it has the lock");
            let pid = i32::try_from(child.id()).expect("small");
            end(&[Sibling { pid, parent: 1, program: "keepalived".into() }]);
            let held = std::fs::File::open(&file).expect("readable");
            held.try_lock().expect("nobody has it");
            child.wait().expect("ours");
        }
    }

    #[test]
    fn what_a_daemon_puts_up_with_can_be_taken_over_and_what_it_refuses_cannot() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("keepalived.conf");
        let could = |text: &str| {
            std::fs::write(&file, text).expect("writable");
            could_run(&["keepalived".into(), "-n".into(), "-f".into(), file.clone().into()])
        };
        let with_interface = |interface: &str| {
            format!(
                "vrrp_instance V {{ interface {interface}\nvirtual_router_id 5\n\
                 authentication {{ auth_type PASS\nauth_pass longer-than-eight }}\n\
                 virtual_ipaddress {{ 192.0.2.1/24 }} }}"
            )
        };
        assert_eq!(could(&with_interface("evergate0")), exit::CONFIG);
        let dynamic = "global_defs { dynamic_interfaces }\n".to_owned();
        assert_eq!(could(&(dynamic + &with_interface("evergate0"))), exit::OK);
    }
}
