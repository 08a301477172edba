//! The tracked processes: a thread that counts them.
//!
//! ```text
//!   proc connector ───────► each start and end, at once      (the first network namespace)
//!   /proc, once a second ─► starts; ends at once, by pidfd   (anywhere else)
//! ```
//!
//! The kernel tells of processes in the first network namespace only. From another one, the thread
//! enters that, if it may. If it may not, as in a container, it looks into `/proc` every second, and
//! has a descriptor of each process that counts, by which it hears of its end at once.

mod table;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use linux::proc_events::{ProcEvent, ProcEvents, watch_process};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::UnboundedSender;
use vrrp::config::TrackProcessConfig;

use self::table::Table;

/// How often `/proc` is looked into where the kernel tells nothing.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// How long the kernel's answer is waited for.
const ANSWER: Duration = Duration::from_millis(300);
/// Descriptors held of processes that count; the end of any more is noticed within [`PERIOD`].
const WATCHED: usize = 128;
/// Events taken in before anything else has its turn.
const BURST: usize = 1024;

/// Something about tracked processes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ProcessNews {
    /// Whether as many run as should.
    Quorum { name: String, good: bool, first: bool },
    /// Worth a line in the log, with `--log-detail`.
    Detail(String),
    /// Worth a line in the log.
    Line(String),
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Processes {
    _alive: UnixStream,
    first: mpsc::Receiver<()>,
}

impl Processes {
    /// Counts `processes` from now on.
    ///
    /// # Errors
    ///
    /// When there are no more threads or descriptors.
    pub(crate) fn follow(
        processes: Vec<TrackProcessConfig>,
        news: UnboundedSender<ProcessNews>,
    ) -> io::Result<Self> {
        Self::start(processes, news, events)
    }

    fn start(
        processes: Vec<TrackProcessConfig>,
        news: UnboundedSender<ProcessNews>,
        open: fn() -> io::Result<ProcEvents>,
    ) -> io::Result<Self> {
        let (alive, end) = UnixStream::pair()?;
        let (told, first) = mpsc::channel();
        thread::Builder::new().name("processes".into()).stack_size(128 << 10).spawn(move || {
            let table = Table::new(processes);
            let mut thread = Thread { table, news, events: None, watched: Vec::new() };
            thread.scan();
            thread.settle(Instant::now(), true);
            // Nobody waits for it after a reload. Whoever does, does not wait for the kernel's answer.
            let _ = told.send(());
            match open() {
                Ok(events) => {
                    thread.detail("proc_events has confirmed it is configured".into());
                    thread.events = Some(events);
                    thread.watched.clear();
                }
                Err(error) => thread.line(format!(
                    "tracked processes are looked for in /proc every {} s, for the kernel does not \
                     tell of them here: {error}",
                    PERIOD.as_secs()
                )),
            }
            // What happened meanwhile.
            thread.scan();
            thread.settle(Instant::now(), false);
            thread.run(&end);
        })?;
        Ok(Self { _alive: alive, first })
    }

    /// Waits until all have been counted once, but no longer than `patience`.
    pub(crate) fn wait(&self, patience: Duration) {
        let _ = self.first.recv_timeout(patience);
    }
}

/// The kernel's news of processes, from the first network namespace.
fn events() -> io::Result<ProcEvents> {
    let error = match ProcEvents::open(ANSWER) {
        Ok(events) => return Ok(events),
        Err(error) => error,
    };
    // This thread does nothing else with the network.
    let first = std::fs::File::open("/proc/1/ns/net").map_err(|_| io::Error::from(error.kind()));
    let entered =
        first.and_then(|first| Ok(nix::sched::setns(first, nix::sched::CloneFlags::CLONE_NEWNET)?));
    match entered {
        Ok(()) => ProcEvents::open(ANSWER),
        Err(_) => Err(error),
    }
}

struct Thread {
    table: Table,
    news: UnboundedSender<ProcessNews>,
    /// None where `/proc` is looked into instead.
    events: Option<ProcEvents>,
    /// Processes that count, and what tells of their end.
    watched: Vec<(u32, OwnedFd)>,
}

impl Thread {
    fn run(&mut self, end: &UnixStream) {
        let mut next_scan = Instant::now() + PERIOD;
        loop {
            let scan = self.events.is_none().then_some(next_scan);
            let due = scan.into_iter().chain(self.table.deadline()).min();
            let now = Instant::now();
            let timeout = match due.map(|due| due.saturating_duration_since(now)) {
                None => PollTimeout::NONE,
                // Rounded up, for a deadline is not there before it has passed.
                Some(left) => PollTimeout::try_from(left + Duration::from_millis(1))
                    .unwrap_or(PollTimeout::MAX),
            };
            let mut fds = vec![PollFd::new(end.as_fd(), PollFlags::empty())];
            fds.extend(self.events.iter().map(|e| PollFd::new(e.as_fd(), PollFlags::POLLIN)));
            let others = fds.len();
            fds.extend(
                self.watched.iter().map(|(_, fd)| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
            );
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            if ready(&fds[0]) {
                return;
            }
            let ended: Vec<bool> = fds[others..].iter().map(ready).collect();
            drop(fds);
            let mut ended = ended.into_iter();
            let table = &mut self.table;
            self.watched.retain(|(pid, _)| {
                let over = ended.next().unwrap_or(false);
                if over {
                    table.ended(*pid);
                }
                !over
            });
            self.listen();
            let now = Instant::now();
            if self.events.is_none() && now >= next_scan {
                self.scan();
                next_scan = now + PERIOD;
            }
            self.settle(now, false);
        }
    }

    /// Takes in what the kernel tells.
    fn listen(&mut self) {
        let Some(events) = &self.events else { return };
        // Where processes come faster than they can be looked at, verdicts are told all the same.
        for _ in 0..BURST {
            match events.next() {
                Ok(None) => return,
                Ok(Some(ProcEvent::Changed(pid))) => self.table.look_at(pid),
                Ok(Some(ProcEvent::Ended(pid))) => self.table.ended(pid),
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    let line = "process monitor: events were lost, /proc is read anew";
                    let _ = self.news.send(ProcessNews::Line(line.to_owned()));
                    self.table.scan();
                    return;
                }
                Err(error) => {
                    let line = format!("process monitor: {error}: /proc is read every second");
                    let _ = self.news.send(ProcessNews::Line(line));
                    self.events = None;
                    return;
                }
            }
        }
    }

    fn scan(&mut self) {
        self.table.scan();
        if self.events.is_some() {
            return;
        }
        for pid in self.table.counted() {
            if self.watched.len() >= WATCHED {
                break;
            }
            if self.watched.iter().any(|(known, _)| *known == pid) {
                continue;
            }
            match watch_process(pid) {
                Ok(fd) => self.watched.push((pid, fd)),
                Err(_) => self.table.look_at(pid),
            }
        }
    }

    /// Tells of each quorum that came or went, and has been so for long enough.
    fn settle(&mut self, now: Instant, first: bool) {
        for (name, good) in self.table.settle(now, first) {
            // Nobody listens any more when the daemon stops.
            let _ = self.news.send(ProcessNews::Quorum { name, good, first });
        }
    }

    fn line(&self, line: String) {
        let _ = self.news.send(ProcessNews::Line(line));
    }

    fn detail(&self, line: String) {
        let _ = self.news.send(ProcessNews::Detail(line));
    }
}

#[cfg(test)]
mod tests;
