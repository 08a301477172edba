//! How many system calls a connection takes, counted by strace(1) while many come at once.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::load;

/// Clients at the same time.
const CLIENTS: usize = 20;
/// Connections of each.
const EACH: usize = 50;
/// Requests over the kept connections.
const REQUESTS: usize = 5_000;

/// From accept to close, with all the waiting between; `None` without strace(1).
pub(super) fn per_connection(pid: u32, listen: SocketAddr) -> anyhow::Result<Option<f64>> {
    let Some(trace) = Trace::start(pid)? else { return Ok(None) };
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| thread::spawn(move || load::ask(listen, EACH))).collect();
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    Ok(Some(trace.end()? / (CLIENTS * EACH) as f64))
}

/// For a question and its answer over a kept connection.
pub(super) fn per_request(pid: u32, listen: SocketAddr) -> anyhow::Result<Option<f64>> {
    let mut talk = load::Talk::new(listen)?;
    let Some(trace) = Trace::start(pid)? else { return Ok(None) };
    talk.run(REQUESTS)?;
    Ok(Some(trace.end()? / REQUESTS as f64))
}

/// A running strace(1).
struct Trace {
    child: Child,
    pid: u32,
    counts: std::path::PathBuf,
}

impl Trace {
    /// Attaches to all threads of a process.
    fn start(pid: u32) -> anyhow::Result<Option<Self>> {
        let counts = std::env::temp_dir().join(format!("evergate-calls-{pid}"));
        let child = Command::new("strace")
            .args(["-f", "-c", "-qq", "-p", &pid.to_string(), "-o"])
            .arg(&counts)
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else { return Ok(None) };
        let trace = Self { child, pid, counts };
        let started = Instant::now();
        while !trace.is_attached()? {
            ensure!(started.elapsed() < Duration::from_secs(10), "strace does not attach");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(trace))
    }

    fn is_attached(&self) -> anyhow::Result<bool> {
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            if status.lines().any(|line| line == "TracerPid:\t0") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Detaches and adds up all calls.
    fn end(mut self) -> anyhow::Result<f64> {
        // What the last connections leave behind.
        thread::sleep(Duration::from_millis(50));
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into()?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
        self.child.wait()?;
        let text = fs::read_to_string(&self.counts)?;
        let _ = fs::remove_file(&self.counts);
        total(&text).context("strace counted nothing")
    }
}

/// The calls in the last line of a summary: share, seconds, time per call, calls, perhaps errors.
fn total(summary: &str) -> Option<f64> {
    let line = summary.lines().rfind(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_calls_of_a_summary_are_the_fourth_number_of_its_last_line() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            \x20 8.33    0.000100           1       100           sendto\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.001200           1      1200       100 total\n";
        assert_eq!(total(summary), Some(1200.0));
        assert_eq!(total("nothing"), None);
    }
}
