//! What signals ask for.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks a process to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// TERM, INT: stop.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// A signal keepalived has a use for, and we not yet. Unhandled it would end the process.
    NotYet(&'static str),
}

const ALL: [(i32, Asked); 7] = [
    (15, Asked::Stop),
    (2, Asked::Stop),
    (1, Asked::Reload),
    (10, Asked::NotYet("data dump on SIGUSR1")),
    (12, Asked::NotYet("statistics on SIGUSR2")),
    // SIGRTMIN + 2 and SIGRTMAX - 1, as `--signum` prints them.
    (36, Asked::NotYet("JSON dump")),
    (63, Asked::NotYet("clearing of statistics")),
];

/// All signals that are caught.
#[derive(Debug)]
pub(crate) struct Signals(Vec<(Signal, Asked)>);

impl Signals {
    /// Catches them from now on. Must be called within a runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        let one = |(number, asked)| Ok((signal(SignalKind::from_raw(number))?, asked));
        Ok(Self(ALL.into_iter().map(one).collect::<io::Result<_>>()?))
    }

    /// The next thing asked for. Cancelling loses nothing.
    pub(crate) async fn next(&mut self) -> Asked {
        std::future::poll_fn(|context| {
            for (signal, asked) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*asked);
                }
            }
            Poll::Pending
        })
        .await
    }
}
