//! Small stand-ins for programs that the guides' scripts call and a host may lack.
//!
//! A node finds them in its `/usr/bin` only where the host has no such program, except
//! `systemctl`, which always is the stand-in: there is no systemd in a node. What each understands
//! is what the guides use, and anything else is refused.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The names a stand-in goes by, and whether the host's own program is preferred to it.
pub(crate) const NAMES: [(&str, bool); 9] = [
    ("apiserver", false),
    ("ask", false),
    ("curl", true),
    ("killall", true),
    ("mailsink", false),
    ("pgrep", true),
    ("pidof", true),
    ("probe", false),
    ("systemctl", false),
];

/// Becomes the stand-in that the process was called as; returns if it was called otherwise.
pub(crate) fn run_if_called() {
    let mut args = std::env::args();
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let args: Vec<String> = args.collect();
    let done = match name {
        "apiserver" => apiserver(&args),
        "ask" => ask(&args),
        "curl" => curl(&args),
        "killall" => killall(&args),
        "mailsink" => mailsink(&args),
        "pgrep" | "pidof" => find(name, &args),
        "probe" => probe(&args),
        "systemctl" => systemctl(&args),
        _ => return,
    };
    std::process::exit(done.unwrap_or_else(|why| {
        eprintln!("{name}: {why:#}");
        2
    }));
}

/// The processes of this pid namespace that are called `name`.
pub(crate) fn named(name: &str) -> Vec<i32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<i32> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        })
        .collect();
    pids.sort_unstable();
    pids
}

fn find(program: &str, args: &[String]) -> Result<i32> {
    let [name] = args else { bail!("this stand-in knows only '{program} NAME'") };
    let pids: Vec<String> = named(name).iter().map(i32::to_string).collect();
    if !pids.is_empty() {
        println!("{}", pids.join(if program == "pidof" { " " } else { "\n" }));
    }
    Ok(i32::from(pids.is_empty()))
}

fn killall(args: &[String]) -> Result<i32> {
    let (signal, name) = match args {
        [name] => (Some(Signal::SIGTERM), name),
        [zero, name] if zero == "-0" => (None, name),
        [number, name] => {
            let number: i32 = number.trim_start_matches('-').parse().context("not a signal")?;
            (Some(Signal::try_from(number)?), name)
        }
        _ => bail!("this stand-in knows only 'killall [-NUMBER] NAME'"),
    };
    let pids = named(name);
    if pids.is_empty() {
        eprintln!("{name}: no process found");
        return Ok(1);
    }
    for pid in pids {
        kill(Pid::from_raw(pid), signal).ok();
    }
    Ok(0)
}

/// `systemctl stop UNIT` as seen by the unit's processes: SIGTERM.
fn systemctl(args: &[String]) -> Result<i32> {
    let [verb, unit] = args else { bail!("this stand-in knows only 'systemctl VERB UNIT'") };
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let pids = named(name);
    match verb.as_str() {
        "stop" => {
            // The oldest process is the one the unit would name as its main one.
            if let Some(main) = pids.first() {
                kill(Pid::from_raw(*main), Signal::SIGTERM)?;
            }
            Ok(0)
        }
        "is-active" => {
            println!("{}", if pids.is_empty() { "inactive" } else { "active" });
            Ok(if pids.is_empty() { 3 } else { 0 })
        }
        other => bail!("this stand-in has no '{other}'"),
    }
}

/// `curl [-sfkS] [--max-time S] [-o FILE] URL`, for `http` and `https` and an address or
/// `localhost`.
fn curl(args: &[String]) -> Result<i32> {
    let (mut limit, mut file, mut url, mut fail) = (Duration::from_secs(300), None, None, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--max-time" | "-m" => {
                let text = args.next().context("--max-time needs a number")?;
                limit = Duration::from_secs_f64(text.parse()?);
            }
            "-o" => file = Some(args.next().context("-o needs a file")?),
            flags if flags.starts_with('-') && flags[1..].chars().all(|c| "sfkS".contains(c)) => {
                fail |= flags.contains('f');
            }
            other if !other.starts_with('-') => url = Some(other),
            other => bail!("this stand-in has no '{other}'"),
        }
    }
    let url = url.context("no URL")?;
    let (tls, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Some(crate::tls::connector()?), rest),
        Some(("http", rest)) => (None, rest),
        _ => bail!("this stand-in knows only http:// and https://"),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let target = host.replace("localhost", "127.0.0.1").parse().context("an address and a port")?;
    let path = format!("/{path}");
    let asked = runtime()?.block_on(async {
        tokio::time::timeout(limit, crate::probe::get(target, &path, tls)).await
    });
    match asked {
        Err(_) => Ok(28),
        Ok(Err(_)) => Ok(7),
        Ok(Ok((status, _))) if fail && status >= 400 => Ok(22),
        Ok(Ok((_, body))) => {
            match file {
                Some(file) => fs::write(file, body)?,
                None => print!("{body}"),
            }
            Ok(0)
        }
    }
}

fn apiserver(args: &[String]) -> Result<i32> {
    let [name, address] = args else { bail!("usage: apiserver NAME ADDRESS:PORT") };
    let address = address.parse()?;
    runtime()?.block_on(crate::apiserver::serve(name, address))?;
    Ok(0)
}

fn mailsink(args: &[String]) -> Result<i32> {
    let [address] = args else { bail!("usage: mailsink ADDRESS:PORT") };
    crate::mailsink::serve(address.parse()?)?;
    Ok(0)
}

/// Sends a line to a Unix socket and prints what comes back until it is closed.
fn ask(args: &[String]) -> Result<i32> {
    let [path, line] = args else { bail!("usage: ask SOCKET LINE") };
    let mut socket = UnixStream::connect(path).with_context(|| format!("connect {path}"))?;
    socket.write_all(format!("{line}\n").as_bytes())?;
    std::io::copy(&mut socket, &mut std::io::stdout())?;
    Ok(0)
}

fn probe(args: &[String]) -> Result<i32> {
    let [target, every, limit] = args else { bail!("usage: probe ADDRESS:PORT EVERY-MS LIMIT-MS") };
    let millis = |text: &String| anyhow::Ok(Duration::from_millis(text.parse()?));
    runtime()?.block_on(crate::probe::ask(target.parse()?, millis(every)?, millis(limit)?))?;
    Ok(0)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
