//! The thread that changes the kernel's configuration.
//!
//! A netlink request waits for the lock of all network configuration, which any other program may
//! hold for seconds. Adverts must not wait with it, so requests are queued for a thread of their
//! own. Announcements go through the same queue: an address is there before it is announced.
//! Whatever has been queued meanwhile is handed to the kernel by one system call.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use linux::packet::FrameSocket;
use netlink::{
    Address, Filter, Kernel, NewAddress, Request, RouteKey, Ruleset, Snapshot, Wish as Want,
    is_absence,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::vmac::{self, Made, Wish};

/// How much of the queue is taken at once.
const AT_ONCE: usize = 1024;

/// Something to do, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// Add an address.
    Add(NewAddress),
    /// Start the lifetime of an address afresh, of which the monitor is told nothing.
    Renew(NewAddress),
    /// Remove an address; one that is not there is no error.
    Remove(NewAddress),
    /// Add or remove a route or a rule.
    Route { request: Request, key: RouteKey, wish: Want },
    /// Send a frame from the link with this index.
    Announce { link: u32, frame: Vec<u8> },
    /// Make an interface with a virtual MAC address.
    Make(Wish),
    /// Take it away.
    Unmake(Wish),
    /// Have the packet filter do this.
    Filter(Ruleset),
    /// Read all links and addresses.
    Snapshot,
}

/// What came of it, where that matters.
#[derive(Debug)]
pub(crate) enum Done {
    /// The kernel would not have this address added.
    NotAdded { address: Address, error: io::Error },
    /// This address was not there to be removed.
    NotThere { address: Address },
    /// This address could not be removed.
    NotRemoved { address: Address, error: io::Error },
    /// This route or rule could not be added, or was not there to be removed.
    RouteRefused { key: RouteKey, wish: Want, error: io::Error },
    /// A frame could not be sent from the link with this index.
    NotAnnounced { link: u32, error: io::Error },
    /// An interface was made, or could not be.
    Made(Wish, io::Result<Made>),
    /// An interface was taken away, or was not there, or could not be.
    Unmade(Wish, io::Result<bool>),
    /// The packet filter would not do it.
    NotFiltered(io::Error),
    /// What there is.
    Snapshot(io::Result<Snapshot>),
}

/// The sockets on which the kernel is asked.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) kernel: Kernel,
    /// The monitor ignores what is asked for on this one.
    pub(crate) renewals: Kernel,
    pub(crate) frames: FrameSocket,
}

/// The thread and its two queues.
#[derive(Debug)]
pub(crate) struct Worker {
    queue: mpsc::Sender<Work>,
    done: UnboundedReceiver<Done>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn start(sockets: Sockets) -> io::Result<Self> {
        let (queue, work) = mpsc::channel();
        let (report, done) = unbounded_channel();
        let (requests, waiting) = (Vec::new(), Vec::new());
        let hand = Hand { sockets, report, filter: None, requests, waiting };
        let thread = std::thread::Builder::new()
            .name("kernel".into())
            .stack_size(128 << 10)
            .spawn(move || hand.carry_out(&work))?;
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

    /// Waits until everything queued has been done, and returns what came of it.
    pub(crate) fn finish(self) -> Vec<Done> {
        let Self { queue, mut done, thread } = self;
        drop(queue);
        // A panic in it has been printed.
        let _ = thread.join();
        std::iter::from_fn(|| done.try_recv().ok()).collect()
    }
}

/// What a request was for.
#[derive(Debug)]
enum Asked {
    Add(Address),
    Renew(Address),
    Remove(Address),
    Route(RouteKey, Want),
}

impl Asked {
    /// What is to be told when the kernel refuses.
    fn refused(self, error: io::Error) -> Option<Done> {
        let absent = is_absence(&error);
        Some(match self {
            // A link that is gone took its addresses with it, which the monitor tells of.
            Self::Renew(_) if absent => return None,
            Self::Add(address) | Self::Renew(address) => Done::NotAdded { address, error },
            Self::Remove(address) if absent => Done::NotThere { address },
            Self::Remove(address) => Done::NotRemoved { address, error },
            Self::Route(_, Want::There) if error.kind() == io::ErrorKind::AlreadyExists => {
                return None;
            }
            Self::Route(key, wish) => Done::RouteRefused { key, wish, error },
        })
    }
}

/// The thread's own.
#[derive(Debug)]
struct Hand {
    sockets: Sockets,
    report: UnboundedSender<Done>,
    /// Once it is needed.
    filter: Option<Filter>,
    /// To be asked at once, with what each is for.
    requests: Vec<Request>,
    waiting: Vec<Asked>,
}

impl Hand {
    fn carry_out(mut self, work: &mpsc::Receiver<Work>) {
        while let Ok(first) = work.recv() {
            let rest = work.try_iter().take(AT_ONCE).collect::<Vec<_>>();
            for item in std::iter::once(first).chain(rest) {
                self.take(item);
            }
            self.flush();
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Add(new) => self.ask(new.add(), Asked::Add(new.address)),
            Work::Renew(new) => self.ask(new.add(), Asked::Renew(new.address)),
            Work::Remove(old) => self.ask(old.remove(), Asked::Remove(old.address)),
            Work::Route { request, key, wish } => self.ask(request, Asked::Route(key, wish)),
            Work::Announce { link, frame } => {
                self.flush();
                if let Err(error) = self.sockets.frames.send(link, &frame) {
                    self.tell(Done::NotAnnounced { link, error });
                }
            }
            Work::Make(wish) => {
                self.flush();
                let made = vmac::make(&mut self.sockets.kernel, &wish);
                self.tell(Done::Made(wish, made));
            }
            Work::Unmake(wish) => {
                self.flush();
                let removed = vmac::remove(&mut self.sockets.kernel, &wish.name);
                self.tell(Done::Unmade(wish, removed));
            }
            Work::Filter(ruleset) => {
                self.flush();
                if let Err(error) = self.filter(&ruleset) {
                    self.tell(Done::NotFiltered(error));
                }
            }
            Work::Snapshot => {
                self.flush();
                let snapshot = self.sockets.kernel.snapshot();
                self.tell(Done::Snapshot(snapshot));
            }
        }
    }

    fn filter(&mut self, ruleset: &Ruleset) -> io::Result<()> {
        let filter = match &mut self.filter {
            Some(filter) => filter,
            none => none.insert(Filter::open()?),
        };
        filter.set(ruleset)
    }

    /// Notes a request, to be made with those before it if they go to the same socket.
    fn ask(&mut self, request: Request, asked: Asked) {
        let is_renewal = |asked: &Asked| matches!(asked, Asked::Renew(_));
        if self.waiting.first().is_some_and(|first| is_renewal(first) != is_renewal(&asked)) {
            self.flush();
        }
        self.requests.push(request);
        self.waiting.push(asked);
    }

    fn flush(&mut self) {
        let Sockets { kernel, renewals, .. } = &mut self.sockets;
        let kernel = match self.waiting.first() {
            None => return,
            Some(Asked::Renew(_)) => renewals,
            Some(_) => kernel,
        };
        let refused = kernel.apply(&self.requests);
        self.requests.clear();
        let waiting = std::mem::take(&mut self.waiting);
        match refused {
            Ok(refused) => {
                let mut refused = refused.into_iter().peekable();
                for (place, asked) in waiting.into_iter().enumerate() {
                    if let Some((_, error)) = refused.next_if(|(at, _)| *at == place) {
                        self.tell_some(asked.refused(error));
                    }
                }
            }
            Err(error) => {
                for asked in waiting {
                    let error = io::Error::new(error.kind(), error.to_string());
                    self.tell_some(asked.refused(error));
                }
            }
        }
    }

    fn tell_some(&self, done: Option<Done>) {
        done.into_iter().for_each(|done| self.tell(done));
    }

    fn tell(&self, done: Done) {
        // Nobody listens any more when the daemon stops.
        let _ = self.report.send(done);
    }
}
