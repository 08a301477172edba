//! The thread that changes the kernel's configuration.
//!
//! A netlink request waits for the lock of all network configuration, which any other program may
//! hold for seconds. Adverts must not wait with it, so requests are queued for a thread of their
//! own. Announcements go through the same queue: an address is there before it is announced.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use linux::packet::FrameSocket;
use netlink::{Address, Kernel, NewAddress, Snapshot};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Something to do, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// Add or renew an address.
    Add(NewAddress),
    /// Remove an address; one that is not there is no error.
    Remove(Address),
    /// Send a frame from the link with this index.
    Announce { link: u32, frame: Vec<u8> },
    /// Read all links and addresses.
    Snapshot,
}

/// What came of it, where that matters.
#[derive(Debug)]
pub(crate) enum Done {
    /// The kernel would not have this address added.
    NotAdded { address: Address, error: io::Error },
    /// This address is gone by our own hand; or it was not there, or could not be removed.
    Removed { address: Address, result: io::Result<bool> },
    /// A frame could not be sent from the link with this index.
    NotAnnounced { link: u32, error: io::Error },
    /// What there is.
    Snapshot(io::Result<Snapshot>),
}

/// The thread and its two queues.
#[derive(Debug)]
pub(crate) struct Worker {
    queue: mpsc::Sender<Work>,
    done: UnboundedReceiver<Done>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn start(kernel: Kernel, frames: FrameSocket) -> io::Result<Self> {
        let (queue, work) = mpsc::channel();
        let (report, done) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("kernel".into())
            .stack_size(128 << 10)
            .spawn(move || carry_out(kernel, &frames, &work, &report))?;
        Ok(Self { queue, done, thread })
    }

    /// Queues something. Never waits.
    pub(crate) fn queue(&self, work: Work) {
        // It ends only when this, its only sender, is gone; a panic in it has been printed.
        let _ = self.queue.send(work);
    }

    /// The next result. Cancelling loses nothing.
    pub(crate) async fn done(&mut self) -> Done {
        match self.done.recv().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// Whether the thread has ended, by a panic.
    pub(crate) fn is_dead(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until everything queued has been done.
    pub(crate) fn finish(self) {
        drop(self.queue);
        // A panic in it has been printed.
        let _ = self.thread.join();
    }
}

fn carry_out(
    mut kernel: Kernel,
    frames: &FrameSocket,
    work: &mpsc::Receiver<Work>,
    report: &UnboundedSender<Done>,
) {
    for work in work {
        let done = match work {
            Work::Add(new) => {
                let address = new.address;
                kernel.add(&new).err().map(|error| Done::NotAdded { address, error })
            }
            Work::Remove(address) => {
                Some(Done::Removed { address, result: kernel.remove(address) })
            }
            Work::Announce { link, frame } => {
                frames.send(link, &frame).err().map(|error| Done::NotAnnounced { link, error })
            }
            Work::Snapshot => Some(Done::Snapshot(kernel.snapshot())),
        };
        if let Some(done) = done {
            // Nobody listens any more when the daemon stops.
            let _ = report.send(done);
        }
    }
}
