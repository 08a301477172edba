//! The scripts of the daemon's own start and end.

use daemon::log::{Log, Severity};
use daemon::script::{Outcome, Runner};
use vrrp::config::{Globals, LifeScript};

use crate::programs;

/// Runs a script of the daemon's own, if there is one, and waits for it as long as it may take.
/// Whatever comes of it, the daemon goes on.
pub(crate) async fn run(
    what: &str,
    script: Option<&LifeScript>,
    globals: &Globals,
    log: &Log,
    detail: bool,
) {
    let Some(script) = script else { return };
    let mut program = programs::program(&script.command, globals);
    program.timeout = Some(script.timeout);
    let name = script.command.words.first().map_or("", String::as_str);
    if detail {
        log.info(format_args!("Running {what} script {name}"));
    }
    let outcome = match Runner::start() {
        Ok(runner) => runner.run(&program).await,
        Err(error) => Outcome::NotStarted(error),
    };
    match outcome {
        Outcome::Exited(0) => {}
        Outcome::Exited(status) => {
            log.info(format_args!("{what} script script failed, status {status}"));
        }
        Outcome::Signalled(signal) => {
            log.info(format_args!("{what} script script failed due to signal {signal}"));
        }
        Outcome::TimedOut => log.info(format_args!("{what} script timed out")),
        Outcome::NotStarted(error) => log
            .write(Severity::Warning, format_args!("Call of {what} script {name} failed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use vrrp::config::Command;

    use super::*;

    fn shell(line: &str, seconds: u64) -> LifeScript {
        let words = ["sh", "-c", line].map(str::to_owned).to_vec();
        LifeScript {
            command: Command { words, ..Command::default() },
            timeout: Duration::from_secs(seconds),
        }
    }

    #[tokio::test]
    async fn a_script_is_waited_for_but_not_for_longer_than_it_may_take() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mark = directory.path().join("mark");
        let (globals, log) = (Globals::default(), Log::new("test"));
        let line = format!("sleep 0.2; : > {}", mark.display());
        run("startup", Some(&shell(&line, 60)), &globals, &log, true).await;
        assert!(mark.exists());
        let start = Instant::now();
        run("shutdown", Some(&shell("sleep 60", 1)), &globals, &log, true).await;
        assert!((1..30).contains(&start.elapsed().as_secs()));
        run("startup", None, &globals, &log, true).await;
    }
}
