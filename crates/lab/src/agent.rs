//! The first process of a node: builds it, starts and signals what runs in it, and watches.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};
use serde_json::{Value, json};

use crate::order::{Event, Moment, Order, Setup, Stamped, Stream, Target, Usage};
use crate::{rootfs, standin, switch};

/// The first argument of a process that is to be a node's agent.
pub(crate) const ARGUMENT: &str = "--lab-node";

/// How often a node looks whether it has the watched address.
pub(crate) const SAMPLE: Duration = Duration::from_millis(10);

/// How often a node says that nothing changed, so that the last report is never old.
const REPEAT: Duration = Duration::from_millis(100);

/// Makes the namespaces, then runs itself again as their first process.
pub(crate) fn run() -> ! {
    let inside = std::env::args().nth(2).as_deref() == Some("inside");
    let done = if inside { first_process() } else { outside() };
    std::process::exit(match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("node: {why:#}");
            1
        }
    });
}

fn outside() -> Result<i32> {
    set_pdeathsig(Signal::SIGKILL)?;
    unshare(
        CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS,
    )
    .context("namespaces of the node")?;
    let status = Command::new("/proc/self/exe").args([ARGUMENT, "inside"]).status()?;
    Ok(status.code().unwrap_or(1))
}

fn first_process() -> Result<i32> {
    set_pdeathsig(Signal::SIGKILL)?;
    let mut orders = std::io::stdin().lock();
    let mut line = String::new();
    orders.read_line(&mut line)?;
    let setup: Setup = serde_json::from_str(&line).context("the first line is not a set-up")?;
    sethostname(&setup.name)?;
    rootfs::enter(&setup)?;
    for (name, value) in &setup.sysctls {
        fs::write(Path::new("/proc/sys").join(name), value)
            .with_context(|| format!("sysctl {name}={value}"))?;
    }
    for socket in ["/dev/log", "/var/lib/haproxy/dev/log"] {
        listen_to_syslog(socket)?;
    }
    let children = Arc::new(Children::default());
    let reaper = Arc::clone(&children);
    thread::spawn(move || reaper.reap());
    say(Event::Ready);

    for (number, line) in orders.lines().enumerate() {
        let order = number as u64;
        let done = serde_json::from_str(&line?).map_err(anyhow::Error::from);
        say(match done.and_then(|order| obey(order, &children)) {
            Ok(value) => Event::Done { order, value },
            Err(why) => Event::Refused { order, why: format!("{why:#}") },
        });
    }
    // The lab is gone, and with the first process everything in the node goes.
    Ok(0)
}

fn obey(order: Order, children: &Children) -> Result<Value> {
    match order {
        Order::Configure { interface, addresses } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(switch::configure(&interface, &addresses))?;
            Ok(Value::Null)
        }
        Order::Start { id, argv, env } => Ok(json!(children.start(id, &argv, env)?)),
        Order::Signal { target, signal } => {
            let signal = Signal::try_from(signal)?;
            let pids = match target {
                Target::Pid(pid) => vec![pid],
                Target::Name(name) => standin::named(&name),
            };
            // A child that is told of its parent's death, or a parent of its child's, must not have
            // the time to do something about it: all are to die at once.
            if signal == Signal::SIGKILL {
                for &pid in &pids {
                    kill(Pid::from_raw(pid), Signal::SIGSTOP).ok();
                }
            }
            for &pid in &pids {
                kill(Pid::from_raw(pid), signal)?;
            }
            Ok(json!(pids.len()))
        }
        Order::Write(file) => rootfs::write(Path::new("/"), &file).map(|()| Value::Null),
        Order::Read { path } => {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {path}"))?;
            Ok(json!(String::from_utf8_lossy(&bytes)))
        }
        Order::Remove { path } => {
            fs::remove_file(&path).with_context(|| format!("cannot remove {path}"))?;
            Ok(Value::Null)
        }
        Order::Link { interface, up } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(switch::switch_link(&interface, up))?;
            Ok(Value::Null)
        }
        Order::Children { of, name } => {
            let mut pids = standin::named(&name);
            pids.retain(|pid| parent(*pid) == Some(of));
            Ok(json!(pids))
        }
        Order::Usage { name } => Ok(json!(usage(&name))),
        Order::Watch { address } => {
            thread::spawn(move || watch(address));
            Ok(Value::Null)
        }
    }
}

/// The processes that orders started, by pid.
#[derive(Default)]
struct Children {
    ids: Mutex<HashMap<i32, u64>>,
    started: Condvar,
}

impl Children {
    fn start(&self, id: u64, argv: &[String], env: Vec<(String, String)>) -> Result<u32> {
        let Some((program, args)) = argv.split_first() else { bail!("nothing to start") };
        // Held while the child starts, so that the reaper cannot see it end before it is known.
        let mut ids = self.ids.lock().unwrap_or_else(|e| e.into_inner());
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let pid = child.id();
        ids.insert(pid as i32, id);
        self.started.notify_all();
        drop(ids);
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || copy_lines(id, Stream::Out, out));
        }
        if let Some(err) = child.stderr.take() {
            thread::spawn(move || copy_lines(id, Stream::Err, err));
        }
        Ok(pid)
    }

    /// Waits for every child for ever, the adopted ones too, and reports the started ones.
    fn reap(&self) {
        loop {
            let (pid, code) = match waitpid(None, None) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Err(Errno::ECHILD) => {
                    let ids = self.ids.lock().unwrap_or_else(|e| e.into_inner());
                    // The time-out covers a child that came and went before this lock was had.
                    drop(self.started.wait_timeout(ids, Duration::from_millis(50)));
                    continue;
                }
                _ => continue,
            };
            let at = Moment::now();
            let mut ids = self.ids.lock().unwrap_or_else(|e| e.into_inner());
            if let Some(id) = ids.remove(&pid.as_raw()) {
                say_at(at, Event::Exited { id, code });
            }
        }
    }
}

fn copy_lines(id: u64, stream: Stream, from: impl std::io::Read) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        say(Event::Line { id, stream, text });
        line.clear();
    }
    say(Event::Closed { id, stream });
}

fn listen_to_syslog(path: &str) -> Result<()> {
    let socket = UnixDatagram::bind(path).with_context(|| format!("cannot listen on {path}"))?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    thread::spawn(move || {
        let mut datagram = [0; 8192];
        while let Ok(length) = socket.recv(&mut datagram) {
            let text = String::from_utf8_lossy(&datagram[..length]).trim_end().to_owned();
            say(Event::Syslog { text });
        }
    });
    Ok(())
}

/// Looks for `address` on the node's interfaces every [`SAMPLE`], reporting when it comes or goes
/// and, every [`REPEAT`], that nothing changed.
fn watch(address: IpAddr) {
    let (mut held, mut samples) = (None, 0);
    let mut before = Moment::now();
    let mut said = Moment(0);
    let mut next = before;
    loop {
        let begun = Moment::now();
        let now_held = has(address);
        let at = Moment::now();
        samples += 1;
        if held != Some(now_held) || at.since(said) >= REPEAT {
            said = at;
            say_at(at, Event::Held { address, held: now_held, before, samples });
        }
        held = Some(now_held);
        before = begun;
        next = next.after(SAMPLE).max(Moment::now());
        thread::sleep(next.since(Moment::now()));
    }
}

fn has(address: IpAddr) -> bool {
    let Ok(mut all) = getifaddrs() else { return false };
    all.any(|one| {
        let Some(found) = one.address else { return false };
        match address {
            IpAddr::V4(v4) => found.as_sockaddr_in().is_some_and(|found| found.ip() == v4),
            IpAddr::V6(v6) => found.as_sockaddr_in6().is_some_and(|found| found.ip() == v6),
        }
    })
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// A process that ends while it is looked at has used nothing.
fn usage(name: &str) -> Usage {
    let mut sum = Usage::default();
    for pid in standin::named(name) {
        let Ok(memory) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let pss = memory.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = |text: &str| text.split_whitespace().next()?.parse::<u64>().ok();
        sum.pss += pss.and_then(number).unwrap_or(0);
        sum.processes += 1;
        sum.children += children_time(pid).unwrap_or(0);
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let times = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        sum.cpu += times.filter_map(|text| number(&text)).sum::<u64>();
    }
    sum
}

/// Nanoseconds of CPU that the ended children of a process used; `/proc/PID/stat` counts hundredths.
fn children_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the bracket may hold blanks; `cutime` and `cstime` are fields 16 and 17.
    let (_, rest) = stat.rsplit_once(')')?;
    let times =
        rest.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    Some(times.sum::<u64>() * 10_000_000)
}

fn say(event: Event) {
    say_at(Moment::now(), event);
}

fn say_at(at: Moment, event: Event) {
    let Ok(mut line) = serde_json::to_string(&Stamped { at, event }) else { return };
    line.push('\n');
    // Without a lab there is nobody to tell; the main thread sees that on its own.
    std::io::stdout().lock().write_all(line.as_bytes()).ok();
}
