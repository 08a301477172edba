use std::process::{Child, Command};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// A program nobody else runs.
fn program(directory: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::copy("/bin/sleep", &path).expect("there is one");
    path
}

fn start(path: &std::path::Path) -> Child {
    Command::new(path).arg("60").spawn().expect("started")
}

fn config(process: &str) -> TrackProcessConfig {
    TrackProcessConfig {
        name: "p".into(),
        process: process.into(),
        ..TrackProcessConfig::default()
    }
}

/// The next quorum told, within what is long enough for anything.
async fn quorum(news: &mut UnboundedReceiver<ProcessNews>) -> bool {
    let next = async {
        loop {
            if let ProcessNews::Quorum { good, .. } = news.recv().await.expect("the thread lives") {
                return good;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), next).await.expect("something happens")
}

async fn is_followed(name: &str, open: fn() -> io::Result<ProcEvents>) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = program(&directory, name);
    let (sender, mut news) = unbounded_channel();
    let processes = Processes::start(vec![config(name)], sender, open).expect("a thread");
    processes.wait(Duration::from_secs(20));
    assert!(!quorum(&mut news).await, "none runs");
    let mut child = start(&path);
    assert!(quorum(&mut news).await);
    let end = Instant::now();
    child.kill().expect("ours");
    assert!(!quorum(&mut news).await, "although nobody has waited for it yet");
    let took = end.elapsed();
    child.wait().expect("ours");
    took
}

fn refused() -> io::Result<ProcEvents> {
    Err(io::ErrorKind::ConnectionRefused.into())
}

#[tokio::test]
async fn a_process_is_counted_where_the_kernel_tells_nothing() {
    let took = is_followed("evergate-polled", refused).await;
    assert!(took < PERIOD / 2, "its end is told at once, not when /proc is read: {took:?}");
}

#[tokio::test]
async fn a_process_is_counted_where_the_kernel_tells() {
    is_followed("evergate-told", events).await;
}

#[tokio::test]
async fn a_name_longer_than_the_kernel_keeps_is_compared_whole() {
    let took = is_followed("evergate-with-a-long-name", refused).await;
    assert!(took < PERIOD / 2);
}
