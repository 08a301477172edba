//! Running the operator's scripts.
//!
//! A script is a process group of its own, with nothing on its standard streams, as the user it is
//! configured for. When its time is up the group gets SIGTERM, and two seconds later SIGKILL.
//!
//! Starting a program waits for the file system it is on, so a thread of its own does that; the
//! event loop waits for the result and for the program's end, like for anything else.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use linux::pidfd::ChildFd;
use linux::process::{dies_with_parent, with_usual_niceness};
use linux::ready::watch;
use linux::user::Identity;
use nix::sys::signal::Signal;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Variables keepalived keeps from scripts, so that they cannot be turned against their user.
const UNSAFE_VARIABLES: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// A program to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    /// What to run, a path or a name looked up on `PATH`, and its arguments.
    pub command: Vec<OsString>,
    /// Whom it runs as; ourselves if `None`.
    pub user: Option<Identity>,
    /// How long it may take, if that is limited.
    pub timeout: Option<Duration>,
}

/// How a script ended.
#[derive(Debug)]
pub enum Outcome {
    /// By itself, with this code.
    Exited(i32),
    /// By somebody's signal.
    Signalled(i32),
    /// By ours: it took too long.
    TimedOut,
    /// It never started.
    NotStarted(io::Error),
}

struct Job {
    command: Command,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts scripts. Dropping it ends those that run, and so does dropping what [`run`](Self::run)
/// returns.
#[derive(Debug)]
pub struct Runner {
    jobs: mpsc::Sender<Job>,
}

impl Runner {
    /// Starts the thread that starts scripts.
    ///
    /// # Errors
    ///
    /// When there can be no more threads.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        // Children get SIGTERM when the thread that started them ends, so it lives as long as we.
        std::thread::Builder::new().name("scripts".into()).stack_size(64 << 10).spawn(
            move || {
                for mut job in queue {
                    // Whoever asked may have stopped waiting meanwhile.
                    if !job.started.is_closed()
                        && let Err(Ok(mut child)) = job.started.send(job.command.spawn())
                    {
                        let _ = child.kill();
                        let _ = child.wait();
                    }
                }
            },
        )?;
        Ok(Self { jobs })
    }

    /// Runs `script` to its end. Cancelling this ends the script too.
    pub async fn run(&self, script: &Script) -> Outcome {
        match self.spawn(script).await {
            Ok(running) => running.within(script.timeout).await,
            Err(error) => Outcome::NotStarted(error),
        }
    }

    /// Starts `script`, for a caller with its own idea of how long it may take.
    ///
    /// # Errors
    ///
    /// When the program cannot be executed, or there are no processes or descriptors left.
    pub async fn spawn(&self, script: &Script) -> io::Result<Running> {
        let Some((program, arguments)) = script.command.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for variable in UNSAFE_VARIABLES {
            command.env_remove(variable);
        }
        if let Some(user) = script.user.filter(|&user| user != Identity::current()) {
            // With a uid, std also drops the supplementary groups where that is allowed.
            command.uid(user.uid).gid(user.gid);
        }
        dies_with_parent(&mut command, Signal::SIGTERM);
        with_usual_niceness(&mut command);
        let (started, child) = oneshot::channel();
        let gone = |_| io::Error::other("the thread that starts scripts has ended");
        self.jobs.send(Job { command, started }).map_err(|_| io::ErrorKind::BrokenPipe)?;
        let child = child.await.map_err(gone)??;
        Ok(Running(watch(ChildFd::new(child)?)?))
    }
}

/// A running script and its children. Dropped before its end, all of them get SIGTERM.
#[derive(Debug)]
pub struct Running(AsyncFd<ChildFd>);

impl Running {
    /// Its process id, which is also its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.get_ref().id()
    }

    /// Signals it and its children.
    pub fn signal(&self, signal: Signal) {
        self.0.get_ref().signal_group(signal);
    }

    /// Waits for its end. Cancelling changes nothing.
    pub async fn ended(&mut self) -> Outcome {
        self.wait().await.unwrap_or_else(Outcome::NotStarted)
    }

    async fn within(mut self, timeout: Option<Duration>) -> Outcome {
        let Some(timeout) = timeout else { return self.ended().await };
        if let Ok(outcome) = tokio::time::timeout(timeout, self.ended()).await {
            return outcome;
        }
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            self.signal(Signal::SIGKILL);
            self.ended().await;
        }
        Outcome::TimedOut
    }

    async fn wait(&mut self) -> io::Result<Outcome> {
        loop {
            if let Some(status) = self.0.get_mut().try_wait()? {
                let by_signal = status.signal().map(Outcome::Signalled);
                let code = status.code().unwrap_or_default();
                return Ok(by_signal.unwrap_or(Outcome::Exited(code)));
            }
            self.0.readable().await?.clear_ready();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.get_mut().try_wait(), Ok(None)) {
            self.0.get_ref().signal_group(Signal::SIGTERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(line: &str) -> Script {
        let command = ["sh", "-c", line].map(OsString::from).to_vec();
        Script { command, user: None, timeout: Some(Duration::from_secs(60)) }
    }

    #[tokio::test]
    async fn an_outcome_is_the_code_or_the_signal_it_ended_by() {
        let runner = Runner::start().expect("a thread");
        assert!(matches!(runner.run(&shell("exit 0")).await, Outcome::Exited(0)));
        assert!(matches!(runner.run(&shell("exit 7")).await, Outcome::Exited(7)));
        assert!(matches!(runner.run(&shell("kill -9 $$")).await, Outcome::Signalled(9)));
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_not_started() {
        let runner = Runner::start().expect("a thread");
        let script = Script { command: vec!["/no/such/program".into()], user: None, timeout: None };
        let Outcome::NotStarted(error) = runner.run(&script).await else { panic!("it started") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let nothing = Script { command: Vec::new(), ..script };
        assert!(matches!(runner.run(&nothing).await, Outcome::NotStarted(_)));
    }

    #[tokio::test]
    async fn a_script_that_takes_too_long_gets_sigterm() {
        let runner = Runner::start().expect("a thread");
        let mut script = shell("sleep 60; true");
        script.timeout = Some(Duration::from_millis(50));
        let start = Instant::now();
        assert!(matches!(runner.run(&script).await, Outcome::TimedOut));
        assert!(start.elapsed() < GRACE);
    }

    #[tokio::test]
    async fn a_script_that_ignores_sigterm_is_killed_with_its_children_two_seconds_later() {
        let runner = Runner::start().expect("a thread");
        let mut script = shell("trap '' TERM; sleep 60; sleep 60");
        script.timeout = Some(Duration::from_millis(50));
        let start = Instant::now();
        assert!(matches!(runner.run(&script).await, Outcome::TimedOut));
        assert!(start.elapsed() >= GRACE);
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_script_nobody_waits_for_any_more_is_ended_with_its_children() {
        let runner = Runner::start().expect("a thread");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("pid");
        let script = shell(&format!("sleep 60 & echo $! > {}; wait", path.display()));
        let child = {
            let mut run = std::pin::pin!(runner.run(&script));
            loop {
                tokio::select! {
                    _ = &mut run => panic!("it runs for a minute"),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
                if let Ok(text) = std::fs::read_to_string(&path)
                    && let Some(pid) = text.strip_suffix('\n')
                {
                    break pid.to_owned();
                }
            }
        };
        // An orphan that is gone, or waits for init to take notice of it.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat"));
        while state().is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_script_sees_no_input_and_no_loader_variables() {
        let runner = Runner::start().expect("a thread");
        let line = r#"read line; test -z "$line$LD_PRELOAD" && test "$(ps -o pgid= $$)" -eq $$"#;
        assert!(matches!(runner.run(&shell(line)).await, Outcome::Exited(0)));
    }
}
