//! Running the operator's scripts.
//!
//! A script is a process group of its own, with nothing on its standard streams, as the user it is
//! configured for. When its time is up the group gets SIGTERM, and two seconds later SIGKILL.
//!
//! Starting a program waits for the file system it is on, so a thread of its own does that; the
//! event loop waits for the result and for the program's end, like for anything else.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use linux::ready::watch;
use linux::spawn::{Child, Ended, Spawner};
use linux::user::Identity;
use nix::sys::signal::Signal;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Variables keepalived keeps from scripts, so that they cannot be turned against their user.
const UNSAFE_VARIABLES: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// A program to run.
#[derive(Clone, Debug)]
pub struct Script {
    /// What to run, a path or a name looked up on `PATH`, and its arguments.
    pub command: Vec<OsString>,
    /// Whom it runs as.
    pub account: Account,
    /// How long it may take, if that is limited.
    pub timeout: Option<Duration>,
    /// What must have nothing against the program when root is to run it.
    pub guard: Option<Guard>,
}

/// Says why root must not run a program, by its path or by its name on `PATH`.
pub type Guard = fn(&OsStr) -> Result<(), String>;

/// For how long a guard's consent holds.
const CONSENT: Duration = Duration::from_secs(10);

/// Whom a script runs as. Clones share what was found out.
#[derive(Clone, Debug, Default)]
pub struct Account(Option<Arc<Named>>);

#[derive(Debug)]
struct Named {
    user: String,
    group: Option<String>,
    known: OnceLock<Identity>,
}

impl Account {
    /// Ourselves.
    #[must_use]
    pub const fn ours() -> Self {
        Self(None)
    }

    /// The user called `user`, with `group` or the user's own.
    #[must_use]
    pub fn named(user: &str, group: Option<&str>) -> Self {
        let (user, group) = (user.to_owned(), group.map(str::to_owned));
        Self(Some(Arc::new(Named { user, group, known: OnceLock::new() })))
    }

    /// Looks the names up, once there is an answer never again. It may take as long as whoever keeps
    /// the names takes.
    ///
    /// # Errors
    ///
    /// When there is no such user or group, or nobody can say.
    pub fn identity(&self) -> io::Result<Option<Identity>> {
        let Some(named) = &self.0 else { return Ok(None) };
        if let Some(known) = named.known.get() {
            return Ok(Some(*known));
        }
        let found = Identity::of(&named.user, named.group.as_deref())?.ok_or_else(|| {
            let group = named.group.as_deref().map(|g| format!(", or no group {g}"));
            let why = format!("no user {}{}", named.user, group.unwrap_or_default());
            io::Error::new(io::ErrorKind::NotFound, why)
        })?;
        Ok(Some(*named.known.get_or_init(|| found)))
    }
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
    script: Script,
    started: oneshot::Sender<io::Result<Charge>>,
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
    /// When there can be no more threads or descriptors.
    pub fn start() -> io::Result<Self> {
        let mut spawner = Spawner::new(&UNSAFE_VARIABLES)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        // Children get SIGTERM when the thread that started them ends, so it lives as long as we.
        std::thread::Builder::new().name("scripts".into()).stack_size(64 << 10).spawn(
            move || {
                let mut safe = HashMap::new();
                for Job { script, started } in queue {
                    // Whoever asked may have stopped waiting meanwhile, and may do so now.
                    if !started.is_closed() {
                        let child = script.account.identity().and_then(|identity| {
                            check(&script, identity, &mut safe)?;
                            spawner.spawn(&script.command, identity)
                        });
                        let unwanted = started.send(child.map(|child| Charge(Some(child))));
                        if let Err(Ok(charge)) = unwanted {
                            charge.kill();
                        }
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
    /// When the program cannot be executed, its user does not exist, or there are no processes or
    /// descriptors left.
    pub async fn spawn(&self, script: &Script) -> io::Result<Running> {
        let (started, child) = oneshot::channel();
        let gone = |_| io::Error::other("the thread that starts scripts has ended");
        let job = Job { script: script.clone(), started };
        self.jobs.send(job).map_err(|_| io::ErrorKind::BrokenPipe)?;
        let mut charge = child.await.map_err(gone)??;
        let child = charge.0.take().ok_or(io::ErrorKind::NotFound)?;
        Ok(Running(Some(watch(child)?)))
    }
}

/// Asks the guard of a script that root is to run, not every time.
fn check(
    script: &Script,
    identity: Option<Identity>,
    safe: &mut HashMap<OsString, Instant>,
) -> io::Result<()> {
    let (Some(guard), Some(program)) = (script.guard, script.command.first()) else {
        return Ok(());
    };
    let known = safe.get(program).is_some_and(|since| since.elapsed() < CONSENT);
    if known || identity.unwrap_or_else(Identity::current).uid != 0 {
        return Ok(());
    }
    guard(program).map_err(io::Error::other)?;
    safe.insert(program.clone(), Instant::now());
    Ok(())
}

/// A child nobody waits for yet. Dropped like that, it is ended.
struct Charge(Option<Child>);

impl Charge {
    /// Kills it and waits for its end.
    fn kill(mut self) {
        if let Some(mut child) = self.0.take() {
            child.signal_group(Signal::SIGKILL);
            let _ = child.finish();
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            end(child);
        }
    }
}

/// Ends a script nobody is interested in any more, and its children, and waits for it: a child
/// that is not waited for stays in the table of processes as long as we run.
fn end(mut child: Child) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    child.signal_group(Signal::SIGTERM);
    // Without a runtime the daemon is at its end, and leaves it to init.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if let Ok(child) = watch(child) {
                Running(Some(child)).put_down().await;
            }
        });
    }
}

/// A running script and its children. Dropped before its end, all of them get SIGTERM, and SIGKILL
/// two seconds later.
#[derive(Debug)]
pub struct Running(Option<AsyncFd<Child>>);

impl Running {
    /// Its process id, which is also its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, |child| child.get_ref().id())
    }

    /// Signals it and its children.
    pub fn signal(&self, signal: Signal) {
        if let Some(child) = &self.0 {
            child.get_ref().signal_group(signal);
        }
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
        self.put_down().await;
        Outcome::TimedOut
    }

    /// Waits for the end of one that got SIGTERM, not for ever.
    async fn put_down(&mut self) {
        if tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            self.signal(Signal::SIGKILL);
            self.ended().await;
        }
    }

    async fn wait(&mut self) -> io::Result<Outcome> {
        let child = self.0.as_mut().ok_or(io::ErrorKind::NotFound)?;
        loop {
            if let Some(status) = child.get_mut().try_wait()? {
                return Ok(match status {
                    Ended::Exited(code) => Outcome::Exited(code),
                    Ended::Signalled(signal) => Outcome::Signalled(signal),
                });
            }
            child.readable().await?.clear_ready();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            end(child.into_inner());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(line: &str) -> Script {
        let command = ["sh", "-c", line].map(OsString::from).to_vec();
        Script {
            command,
            account: Account::ours(),
            timeout: Some(Duration::from_secs(60)),
            guard: None,
        }
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
        let command = vec!["/no/such/program".into()];
        let script = Script { command, account: Account::ours(), timeout: None, guard: None };
        let Outcome::NotStarted(error) = runner.run(&script).await else { panic!("it started") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let nothing = Script { command: Vec::new(), ..script };
        assert!(matches!(runner.run(&nothing).await, Outcome::NotStarted(_)));
    }

    #[tokio::test]
    async fn root_runs_nothing_its_guard_objects_to() {
        let runner = Runner::start().expect("a thread");
        let guard: Guard = |_| Err("unsafe".to_owned());
        let script = Script { guard: Some(guard), ..shell("exit 0") };
        let outcome = runner.run(&script).await;
        if Identity::current().uid == 0 {
            let Outcome::NotStarted(error) = outcome else { panic!("it started") };
            assert_eq!(error.to_string(), "unsafe");
        } else {
            assert!(matches!(outcome, Outcome::Exited(0)));
        }
        let consents = Script { guard: Some(|_| Ok(())), ..shell("exit 0") };
        assert!(matches!(runner.run(&consents).await, Outcome::Exited(0)));
    }

    #[tokio::test]
    async fn a_user_that_does_not_exist_runs_nothing() {
        let runner = Runner::start().expect("a thread");
        let script = Script { account: Account::named("no such user", None), ..shell("exit 0") };
        let Outcome::NotStarted(error) = runner.run(&script).await else { panic!("it started") };
        assert_eq!(error.to_string(), "no user no such user");
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
        let script = shell(&format!("sleep 60 & echo $! $$ > {}; wait", path.display()));
        let (child, script_pid) = {
            let mut run = std::pin::pin!(runner.run(&script));
            loop {
                tokio::select! {
                    _ = &mut run => panic!("it runs for a minute"),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
                if let Ok(text) = std::fs::read_to_string(&path)
                    && let Some((child, script)) = text.split_once(' ')
                    && let Some(script) = script.strip_suffix('\n')
                {
                    break (child.to_owned(), script.to_owned());
                }
            }
        };
        // The script itself is waited for: it does not stay in the table of processes.
        let ours = format!("/proc/{script_pid}");
        while Path::new(&ours).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // An orphan that is gone, or waits for init to take notice of it.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat"));
        while state().is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_script_nobody_waits_for_any_more_that_ignores_sigterm_is_killed() {
        let runner = Runner::start().expect("a thread");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ready");
        let script = shell(&format!("trap '' TERM; : > {}; sleep 60; sleep 60", path.display()));
        let running = runner.spawn(&script).await.expect("there is a shell");
        let ours = format!("/proc/{}", running.id());
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let start = Instant::now();
        drop(running);
        while Path::new(&ours).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(start.elapsed() >= GRACE);
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_script_sees_no_input_and_no_loader_variables() {
        let runner = Runner::start().expect("a thread");
        let line = r#"read line; test -z "$line$LD_PRELOAD" && test "$(ps -o pgid= $$)" -eq $$"#;
        assert!(matches!(runner.run(&shell(line)).await, Outcome::Exited(0)));
    }
}
