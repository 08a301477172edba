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
    /// USR1: write `keepalived.data`.
    Data,
    /// USR2: write `keepalived.stats`.
    Stats,
    /// RTMAX - 1: write `keepalived.stats`, and count from zero.
    StatsClear,
    /// RTMIN + 2: write `keepalived.json`.
    Json,
}

/// Numbers as `--signum` prints them.
const ALL: [(i32, Asked); 7] = [
    (15, Asked::Stop),
    (2, Asked::Stop),
    (1, Asked::Reload),
    (10, Asked::Data),
    (12, Asked::Stats),
    (63, Asked::StatsClear),
    (36, Asked::Json),
];

impl Asked {
    /// How a supervisor passes it on to its role; the rest is said otherwise.
    pub(crate) fn to_byte(self) -> Option<u8> {
        match self {
            Self::Stop | Self::Reload => None,
            Self::Data => Some(b'D'),
            Self::Stats => Some(b'T'),
            Self::StatsClear => Some(b'X'),
            Self::Json => Some(b'J'),
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        let all = [Self::Data, Self::Stats, Self::StatsClear, Self::Json];
        all.into_iter().find(|asked| asked.to_byte() == Some(byte))
    }
}

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
