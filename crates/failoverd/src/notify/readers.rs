//! The reader of a named pipe, started again when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daemon::script::{Runner, Script as Program};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::End;

/// After a reader that ran this long, the next starts at once.
const LONG_RUN: Duration = Duration::from_secs(60);
/// The first and the longest wait before a reader that did not is started again.
const DELAYS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A program that reads a pipe. Dropping it ends the program.
#[derive(Debug)]
pub(super) struct Reader {
    task: JoinHandle<()>,
    runs: Arc<AtomicBool>,
}

impl Reader {
    /// Runs `program` for as long as this lives, and tells of each end of it.
    pub(super) fn start(
        runner: Arc<Runner>,
        program: Program,
        script: String,
        ended: UnboundedSender<End>,
    ) -> Self {
        let runs = Arc::new(AtomicBool::new(true));
        let running = runs.clone();
        let task = tokio::spawn(async move {
            let mut delay = DELAYS.0;
            loop {
                let start = Instant::now();
                running.store(true, Ordering::Relaxed);
                let outcome = runner.run(&program).await;
                running.store(false, Ordering::Relaxed);
                let told = ended.send(End::Reader { script: script.clone(), outcome });
                if told.is_err() {
                    return;
                }
                if start.elapsed() < LONG_RUN {
                    sleep(delay).await;
                    delay = (delay * 2).min(DELAYS.1);
                } else {
                    delay = DELAYS.0;
                }
            }
        });
        Self { task, runs }
    }

    /// Whether it runs just now.
    pub(super) fn runs(&self) -> bool {
        self.runs.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
