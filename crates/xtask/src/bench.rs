//! `cargo xtask bench`: what a connection costs, here and in the originals, measured in one run.
//!
//! ```text
//!   core 1: clients ──► core 0: balancerd, haproxy or nginx ──► core 1: server
//! ```
//!
//! Each program gets the configuration a user would write, one thread, and a core of its own; what
//! is compared is the CPU time it used, from the scheduler, its system calls, from strace(1), how
//! late its answers are, and its proportional memory. The rounds of the programs alternate, and of
//! each measure the median counts. What failoverd weighs at rest is measured on a node of the lab.
//!
//! The originals are the programs that `HAPROXY` and `NGINX` name, else those that `cargo xtask peers`
//! has fetched, else those that are installed. balancerd is measured twice: under HAProxy's name with
//! HAProxy's file, under nginx's with nginx's, each beside its original.

mod calls;
mod datagrams;
mod failover;
mod latency;
mod load;
mod many;
mod page;
mod rest;
mod scale;
mod scripts;
mod section;
mod subjects;
mod vrrp;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use self::rest::AtRest;
use self::subjects::{Subject, nginx, version_of};
use crate::generate::root;

/// How much is done of everything.
#[derive(Clone, Copy)]
struct Amount {
    rounds: usize,
    idle: usize,
    connections: usize,
    requests: usize,
    gigabytes: usize,
    /// Connections a second, and for how many seconds, while their latency is measured.
    rate: f64,
    seconds: u64,
}

/// What one program used. Times in microseconds, memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// Per connection that asks once and ends.
    connection: f64,
    /// Per question and answer of 64 bytes.
    request: f64,
    /// Per 2^30 bytes.
    gigabyte: f64,
    /// After the start, in all.
    start: f64,
    /// Per connection that has been used and waits.
    idle: f64,
    /// Of a connection that asks once and ends, until the answer: the slowest of a hundred.
    late: f64,
    /// System calls per connection that asks once and ends; without strace(1) none are counted.
    connection_calls: Option<f64>,
    /// System calls per question and answer.
    request_calls: Option<f64>,
    /// Until a file with very many servers is served.
    many_start: f64,
    /// From a reload of that file until clients go where it sends them; nginx's is not measured.
    many_reload: Option<f64>,
    /// The same where that is another way: with a new worker.
    many_renewal: Option<f64>,
}

impl Used {
    /// Of each measure the median.
    fn median(rounds: &[Self]) -> Self {
        let median = |value: &dyn Fn(&Self) -> Option<f64>| {
            let mut values: Vec<f64> = rounds.iter().filter_map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let number =
            |value: fn(&Self) -> f64| median(&|used: &Self| Some(value(used))).unwrap_or(f64::NAN);
        Self {
            connection: number(|used| used.connection),
            request: number(|used| used.request),
            gigabyte: number(|used| used.gigabyte),
            start: number(|used| used.start),
            idle: number(|used| used.idle),
            late: number(|used| used.late),
            connection_calls: median(&|used: &Self| used.connection_calls),
            request_calls: median(&|used: &Self| used.request_calls),
            many_start: number(|used| used.many_start),
            many_reload: median(&|used: &Self| used.many_reload),
            many_renewal: median(&|used: &Self| used.many_renewal),
        }
    }
}

/// Another benchmark than that of connections: whether it is to be quick, and to write its page.
type Other = fn(bool, bool) -> anyhow::Result<ExitCode>;

/// Runs the benchmark; `--write` keeps the page, `--quick` does less of everything.
pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut amount = Amount {
        rounds: 5,
        idle: 4_000,
        connections: 10_000,
        requests: 100_000,
        gigabytes: 3,
        rate: 0.0,
        seconds: 4,
    };
    let mut write = false;
    let mut other: Option<Other> = None;
    let mut quick = false;
    for arg in args {
        match arg.as_str() {
            "connections" => {}
            "datagrams" => other = Some(datagrams::run),
            "failover" => other = Some(failover::run),
            "scale" => other = Some(scale::run),
            "scripts" => other = Some(scripts::run),
            rest::ARGUMENT => {
                rest::print()?;
                return Ok(ExitCode::SUCCESS);
            }
            "--write" => write = true,
            "--quick" => {
                quick = true;
                amount = Amount {
                    rounds: 1,
                    idle: 500,
                    connections: 1_000,
                    requests: 20_000,
                    gigabytes: 1,
                    rate: 0.0,
                    seconds: 1,
                };
            }
            _ => anyhow::bail!(
                "usage: cargo xtask bench [connections|datagrams|failover|scale|scripts] [--quick] \
                 [--write]"
            ),
        }
    }
    if let Some(run) = other {
        return run(quick, write);
    }
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--quiet", "-p", "balancerd", "-p", "failoverd"])
        .current_dir(root())
        .status()
        .context("cargo build")?;
    ensure!(built.success(), "the daemons do not build");
    let files = raise_open_files()?;
    // Two descriptors per connection here, clients and server, and some for everything else.
    amount.idle = amount.idle.min(usize::try_from(files.saturating_sub(200) / 2)?);

    eprintln!("failoverd at rest");
    let rest = AtRest::measure()?;
    let place = Place::new()?;
    let mut subjects = subjects::all(&place.directory)?;
    // From here on everything that is started stays off the core of the programs.
    let cores = thread::available_parallelism()?.get();
    pin_to(cores.min(2) - 1)?;
    let server = load::serve()?;
    let mut slowest = f64::MAX;
    for subject in &subjects {
        let running = Running::start(subject, &place.directory, server)?;
        slowest = slowest.min(latency::saturate(running.listen)?);
    }
    amount.rate = slowest / 2.0;
    for round in 1..=amount.rounds {
        for subject in &mut subjects {
            eprintln!("round {round} of {}: {} {}", amount.rounds, subject.name, subject.version);
            let used = measure(subject, &place.directory, server, amount)
                .with_context(|| format!("measuring {}", subject.name))?;
            subject.rounds.push(used);
        }
    }
    let page = page::page(&subjects, amount, rest);
    println!("{}\n\n{}", page::table(&subjects), rest.row());
    if write {
        section::write("docs/BENCHMARKS.md", "connections", &page)?;
    }
    let met = page::is_met(&subjects) && rest.ours <= AtRest::MOST;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A directory for configurations, removed at the end.
struct Place {
    directory: PathBuf,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("evergate-bench-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A program while it runs; it is ended with the value.
struct Running {
    child: Child,
    listen: SocketAddr,
    /// From its start until it took a connection.
    took: Duration,
}

impl Running {
    fn start(subject: &Subject, directory: &Path, server: SocketAddr) -> anyhow::Result<Self> {
        let listen = free_address()?;
        Self::begin(subject.command(directory, listen, server)?, listen)
    }

    fn begin(mut command: Command, listen: SocketAddr) -> anyhow::Result<Self> {
        let started = Instant::now();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut running = Self { child, listen, took: Duration::ZERO };
        while TcpStream::connect(listen).is_err() {
            let ended = running.child.try_wait()?;
            ensure!(ended.is_none(), "it ended with {ended:?}");
            ensure!(started.elapsed() < Duration::from_secs(60), "it does not listen");
            thread::sleep(Duration::from_millis(2));
        }
        running.took = started.elapsed();
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Free a moment ago; a file has to name one.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn measure(
    subject: &Subject,
    directory: &Path,
    server: SocketAddr,
    amount: Amount,
) -> anyhow::Result<Used> {
    let (many_start, many_reload, many_renewal) = many::measure(subject, directory)?;
    let running = Running::start(subject, directory, server)?;
    let (listen, pid) = (running.listen, running.child.id());
    load::ask(listen, 1)?;
    let start = memory(pid)?;
    let idle = {
        let _waiting = load::wait(listen, amount.idle)?;
        (memory(pid)? - start) / amount.idle as f64
    };
    let cpu = |what: &dyn Fn() -> anyhow::Result<()>, count: usize| {
        let before = cpu_time(pid)?;
        what()?;
        anyhow::Ok((cpu_time(pid)? - before) / count as f64)
    };
    // Once for nothing: the next one must not pay for the end of those that waited.
    load::ask(listen, amount.connections / 10)?;
    let connection = cpu(&|| load::ask(listen, amount.connections), amount.connections)?;
    let mut talk = load::Talk::new(listen)?;
    let talk = std::cell::RefCell::new(&mut talk);
    talk.borrow_mut().run(amount.requests / 10)?;
    let request = cpu(&|| talk.borrow_mut().run(amount.requests), amount.requests)?;
    let gigabyte = cpu(&|| load::download(listen, amount.gigabytes), amount.gigabytes)?;
    let late = latency::slowest_of_a_hundred(listen, amount.rate, amount.seconds)?;
    let connection_calls = calls::per_connection(pid, listen)?;
    let request_calls = calls::per_request(pid, listen)?;
    Ok(Used {
        connection,
        request,
        gigabyte,
        start,
        idle,
        late,
        connection_calls,
        request_calls,
        many_start,
        many_reload,
        many_renewal,
    })
}

/// Microseconds of CPU all threads of a process have used.
fn cpu_time(pid: u32) -> anyhow::Result<f64> {
    let mut total = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split(' ').next().context("an empty schedstat")?;
        total += first.parse::<f64>()? / 1e3;
    }
    Ok(total)
}

/// Its proportional memory in bytes.
fn memory(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find(|line| line.starts_with("Pss:")).context("no Pss")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kilobytes * 1024.0)
}

fn pin_to(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn raise_open_files() -> anyhow::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
