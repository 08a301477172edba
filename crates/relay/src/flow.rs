//! One direction of a relay.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd as _;
use std::task::{Context, Poll, ready};

use crate::pipes::{self, Lent};
use crate::ready::Ready;
use crate::stream::Stream;

/// The buffer all small messages of a thread go through, HAProxy's `tune.bufsize`.
const BUFFER: usize = 16 * 1024;
/// How often one direction reads before the other connections have their turn.
const TURNS: usize = 8;

/// What is shared by the relays of a thread.
struct Shared {
    buffer: Box<[u8]>,
}

thread_local! {
    static SHARED: RefCell<Shared> =
        RefCell::new(Shared { buffer: vec![0; BUFFER].into_boxed_slice() });
}

/// Which of the two sockets of a direction failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The one that is read.
    Read,
    /// The one that is written.
    Write,
}

/// How far a direction is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// More may come.
    Open,
    /// More may come, and somebody else reads it.
    Held,
    /// The sender has ended; what is held is still to be delivered.
    Ending,
    /// All is delivered, and the receiver was told if it was to be.
    Ended,
}

/// What happened while a direction was polled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    /// Bytes or the end were read.
    pub(crate) read: bool,
    /// Bytes were written.
    pub(crate) written: bool,
}

/// One direction: what was read, what is not yet written.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Bytes read so far.
    pub(crate) bytes: u64,
    held: Option<Box<Held>>,
    stage: Stage,
    /// Why it broke, as errno(3); 0 if it did not.
    errno: u16,
    /// The last read filled the buffer: the next ones are spliced.
    bulk: bool,
}

/// Bytes the receiver did not take yet.
#[derive(Debug)]
enum Held {
    Bytes { bytes: Box<[u8]>, written: usize },
    Pipe(Lent),
}

impl Flow {
    pub(crate) const fn new() -> Self {
        Self { bytes: 0, held: None, stage: Stage::Open, errno: 0, bulk: false }
    }

    /// Holds bytes that were read elsewhere.
    pub(crate) fn begin_with(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len() as u64;
        self.held = Some(Box::new(Held::Bytes { bytes: bytes.into_boxed_slice(), written: 0 }));
    }

    /// Leaves reading to somebody else, or takes it back.
    pub(crate) fn hold(&mut self, held: bool) {
        self.stage = if held { Stage::Held } else { Stage::Open };
    }

    pub(crate) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Why it broke.
    pub(crate) fn error(&self) -> Option<io::Error> {
        (self.errno != 0).then(|| io::Error::from_raw_os_error(self.errno.into()))
    }

    fn broke(&mut self, error: &io::Error, fault: Fault) -> Fault {
        let errno = error.raw_os_error().and_then(|errno| u16::try_from(errno).ok());
        self.errno = errno.unwrap_or(0);
        fault
    }

    /// Whether the receiver has to take something before more is read.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.held.is_some()
    }

    /// Moves what can be moved, but reads no more than `most` bytes. `pass_end` says whether the
    /// receiver is told of the end.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        pass_end: bool,
        mut most: u64,
        moved: &mut Moved,
    ) -> Result<(), Fault> {
        if matches!(self.stage, Stage::Ended | Stage::Held) {
            return Ok(());
        }
        for _ in 0..TURNS {
            match self.flush(cx, to, moved) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(self.broke(&error, Fault::Write)),
            }
            if self.stage == Stage::Ending {
                if pass_end && to.poll_end(cx).is_pending() {
                    return Ok(());
                }
                self.stage = Stage::Ended;
                return Ok(());
            }
            if most == 0 {
                return Ok(());
            }
            let read = if self.bulk {
                self.splice(cx, from, most).map_err(|error| (error, Fault::Read))
            } else {
                self.copy(cx, from, to, most, moved)
            };
            match read {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err((error, fault))) => return Err(self.broke(&error, fault)),
                Poll::Ready(Ok(0)) => self.stage = Stage::Ending,
                Poll::Ready(Ok(bytes)) => {
                    self.bytes += bytes as u64;
                    most = most.saturating_sub(bytes as u64);
                }
            }
            moved.read = true;
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Writes what is held.
    fn flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &Stream,
        moved: &mut Moved,
    ) -> Poll<io::Result<()>> {
        let Some(held) = &mut self.held else { return Poll::Ready(Ok(())) };
        match &mut **held {
            Held::Bytes { bytes, written } => {
                while let left @ [_, ..] = &bytes[*written..] {
                    *written += ready!(to.poll_send(cx, left))?;
                    moved.written = true;
                }
            }
            Held::Pipe(pipe) => {
                while !pipe.is_empty() {
                    ready!(to.poll_ready(cx, Ready::WRITABLE));
                    to.before_send(pipe.len());
                    match to.try_io(Ready::WRITABLE, || pipe.drain(to.as_fd())) {
                        Ok(_) => moved.written = true,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
        if let Some(Held::Pipe(pipe)) = self.held.take().map(|held| *held) {
            pipes::give_back(pipe);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into the thread's buffer and writes from there; keeps what the receiver leaves.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        most: u64,
        moved: &mut Moved,
    ) -> Poll<Result<usize, (io::Error, Fault)>> {
        let most = usize::try_from(most).unwrap_or(BUFFER).min(BUFFER);
        SHARED.with_borrow_mut(|shared| {
            let read = match ready!(from.poll_recv(cx, &mut shared.buffer[..most])) {
                Ok(0) => return Poll::Ready(Ok(0)),
                Ok(read) => read,
                Err(error) => return Poll::Ready(Err((error, Fault::Read))),
            };
            let filled = &shared.buffer[..read];
            let written = match to.poll_send(cx, filled) {
                Poll::Pending => 0,
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err((error, Fault::Write))),
            };
            moved.written |= written > 0;
            if written < filled.len() {
                let bytes = filled[written..].into();
                self.held = Some(Box::new(Held::Bytes { bytes, written: 0 }));
            }
            // What a layer holds back is in no socket to splice from.
            let bare = !from.is_layered() && !to.is_layered();
            self.bulk = filled.len() == BUFFER && bare && pipes::allowed();
            Poll::Ready(Ok(filled.len()))
        })
    }

    /// Reads into a pipe.
    fn splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let most = usize::try_from(most).unwrap_or(pipes::SIZE).min(pipes::SIZE);
        loop {
            ready!(from.poll_ready(cx, Ready::READABLE));
            let Some(mut pipe) = pipes::take() else {
                // No descriptor left for one: the buffer always works.
                self.bulk = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            match from.try_io(Ready::READABLE, || pipe.fill(from.as_fd(), most)) {
                Ok(0) => {
                    pipes::give_back(pipe);
                    return Poll::Ready(Ok(0));
                }
                Ok(bytes) => {
                    self.bulk = bytes >= BUFFER / 4;
                    self.held = Some(Box::new(Held::Pipe(pipe)));
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) => {
                    pipes::give_back(pipe);
                    if error.kind() != io::ErrorKind::WouldBlock {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }
}
