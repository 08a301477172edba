//! The tasks and sockets of one thread, on an epoll set of its own.
//!
//! ```text
//!   block_on ─► poll what was woken ─► timers that are due ─► epoll_wait ─┐
//!      ▲            │ spawn, wake                                         │ events
//!      │            └──► queue of keys ◄── wakers ◄── sources ◄───────────┘
//!      │
//!   other threads ──► a list of keys and an eventfd
//! ```
//!
//! It does what a general runtime does, but for one thread only: a socket is asked for once in its
//! life (edge-triggered, never taken out before it is closed), what it is ready for is a byte
//! without a lock, and one waker serves both of its directions. Sockets are closed together, before
//! the next wait: the two of a connection usually have neighbouring numbers, and one call does for
//! them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use slab::Slab;

use crate::ready::Ready;
use crate::timer;

/// How many events one call takes.
const EVENTS: usize = 256;
/// How many tasks are polled before the sockets are looked at again.
const POLLS: usize = 256;
/// How many sockets may wait for being closed.
const CLOSING: usize = 64;
/// The future of [`block_on`], which has no place among the tasks.
const ROOT: u32 = u32::MAX;
/// The data of the eventfd's events.
const BELL: u64 = u64::MAX;

thread_local! {
    static LOCAL: Local = const { Local::new() };
}

/// A task of [`spawn`], for whoever wants to end it.
#[derive(Debug)]
pub struct Task {
    handle: Arc<Handle>,
}

impl Task {
    /// Drops its future now, unless it has ended. Only on the thread it was started on, and not by
    /// itself.
    pub fn cancel(self) {
        let future = LOCAL.try_with(|local| {
            let mut tasks = local.tasks.borrow_mut();
            let key = self.handle.key as usize;
            let same = tasks.get(key).is_some_and(|entry| Arc::ptr_eq(&entry.handle, &self.handle));
            same.then(|| tasks.remove(key))
        });
        // Outside of the borrow: what it drops may look at the tasks.
        drop(future);
    }
}

/// Starts a task on this thread. It runs inside [`block_on`], until it ends or that does.
///
/// # Panics
///
/// Outside of [`block_on`], and with more than four thousand million tasks.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> Task {
    LOCAL.with(|local| {
        assert!(local.running.get(), "no `relay::block_on` runs on this thread");
        let mut tasks = local.tasks.borrow_mut();
        let entry = tasks.vacant_entry();
        let key = u32::try_from(entry.key()).expect("fewer than four thousand million tasks");
        let home = Arc::clone(&local.watch.get().expect("it runs").home);
        let handle = Arc::new(Handle { key, queued: AtomicBool::new(true), home });
        entry.insert(Entry { future: Some(Box::pin(future)), handle: Arc::clone(&handle) });
        local.queue.borrow_mut().push_back(key);
        Task { handle }
    })
}

/// Runs a future, and with it the tasks of this thread. Those that have not ended when it has are
/// dropped.
///
/// # Errors
///
/// When no epoll set can be had, or waiting for it fails.
///
/// # Panics
///
/// When called inside itself.
pub fn block_on<F: Future>(root: F) -> io::Result<F::Output> {
    let mut root = pin!(root);
    LOCAL.with(|local| {
        let watch = local.watch()?;
        assert!(!local.running.replace(true), "the thread runs its tasks already");
        let _running = Running(local);
        let home = Arc::clone(&watch.home);
        let handle = Arc::new(Handle { key: ROOT, queued: true.into(), home });
        let waker = Waker::from(Arc::clone(&handle));
        local.queue.borrow_mut().push_back(ROOT);
        let mut events = vec![EpollEvent::empty(); EVENTS];
        loop {
            for _ in 0..POLLS {
                let Some(key) = local.next() else { break };
                if key != ROOT {
                    local.run(key);
                    continue;
                }
                handle.queued.store(false, Ordering::Release);
                if let Poll::Ready(output) = root.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Ok(output);
                }
            }
            local.wait(watch, &mut events)?;
        }
    })
}

/// Ends what is left when [`block_on`] returns.
struct Running<'a>(&'a Local);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        loop {
            let mut tasks = self.0.tasks.borrow_mut();
            let Some((key, _)) = tasks.iter().next() else { break };
            let entry = tasks.remove(key);
            drop(tasks);
            drop(entry);
        }
        self.0.queue.borrow_mut().clear();
        self.0.close();
        self.0.running.set(false);
    }
}

/// What a waker points to.
#[derive(Debug)]
struct Handle {
    key: u32,
    /// It waits for its turn.
    queued: AtomicBool,
    home: Arc<Home>,
}

/// What other threads know of one.
#[derive(Debug)]
struct Home {
    bell: EventFd,
    woken: Mutex<Vec<u32>>,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let here = LOCAL.try_with(|local| local.push(self));
        if !here.unwrap_or(false) {
            let mut woken = self.home.woken.lock().unwrap_or_else(PoisonError::into_inner);
            let first = woken.is_empty();
            woken.push(self.key);
            drop(woken);
            if first {
                // It can only be full, and then the thread is awake.
                let _ = self.home.bell.write(1);
            }
        }
    }
}

struct Entry {
    /// `None` while it is polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    handle: Arc<Handle>,
}

/// A socket that is watched.
struct Source {
    /// Tells it from others that had its place before, whose events may still come.
    generation: u32,
    ready: Ready,
    kind: Kind,
    waker: Option<Waker>,
}

/// How a socket is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Stream,
    Listener,
    /// A listening socket that nobody accepts from: it is not told of.
    Paused,
}

/// Where a socket is among the sources of its thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key(u32);

impl Key {
    /// It among those of its thread, while its socket is open.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// What a thread waits on.
struct Watch {
    epoll: Epoll,
    home: Arc<Home>,
}

impl Watch {
    fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_flags(flags)?;
        epoll.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        Ok(Self { epoll, home: Arc::new(Home { bell, woken: Mutex::new(Vec::new()) }) })
    }
}

struct Local {
    queue: RefCell<VecDeque<u32>>,
    tasks: RefCell<Slab<Entry>>,
    sources: RefCell<Slab<Source>>,
    listeners: RefCell<BTreeMap<u32, Rc<OwnedFd>>>,
    /// Sockets of connections that are over.
    closing: RefCell<Vec<OwnedFd>>,
    watch: OnceCell<Watch>,
    generation: Cell<u32>,
    turn: Cell<u32>,
    running: Cell<bool>,
}

impl Local {
    const fn new() -> Self {
        Self {
            queue: RefCell::new(VecDeque::new()),
            tasks: RefCell::new(Slab::new()),
            sources: RefCell::new(Slab::new()),
            listeners: RefCell::new(BTreeMap::new()),
            closing: RefCell::new(Vec::new()),
            watch: OnceCell::new(),
            generation: Cell::new(0),
            turn: Cell::new(0),
            running: Cell::new(false),
        }
    }

    fn register(&self, fd: impl AsFd, kind: Kind, flags: EpollFlags) -> io::Result<Key> {
        let watch = self.watch()?;
        // Never all ones, which is the bell.
        let generation = self.generation.get().wrapping_add(1) & (u32::MAX >> 1);
        self.generation.set(generation);
        let mut sources = self.sources.borrow_mut();
        let entry = sources.vacant_entry();
        let key = u32::try_from(entry.key()).map_err(io::Error::other)?;
        watch.epoll.add(fd, EpollEvent::new(flags, data(key, generation)))?;
        entry.insert(Source { generation, ready: Ready::NOTHING, kind, waker: None });
        Ok(Key(key))
    }

    fn watch(&self) -> io::Result<&Watch> {
        if self.watch.get().is_none() {
            let watch = Watch::new()?;
            return Ok(self.watch.get_or_init(|| watch));
        }
        self.watch.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Queues a task of this thread; whether it is one.
    fn push(&self, handle: &Handle) -> bool {
        let own = self.watch.get().is_some_and(|watch| Arc::ptr_eq(&watch.home, &handle.home));
        if own {
            self.queue.borrow_mut().push_back(handle.key);
        }
        own
    }

    fn next(&self) -> Option<u32> {
        self.queue.borrow_mut().pop_front()
    }

    /// Polls a task that was woken; one that has ended meanwhile is nobody's.
    fn run(&self, key: u32) {
        let taken = self.tasks.borrow_mut().get_mut(key as usize).and_then(|entry| {
            entry.handle.queued.store(false, Ordering::Release);
            entry.future.take().map(|future| (future, Arc::clone(&entry.handle)))
        });
        let Some((mut future, handle)) = taken else { return };
        let waker = Waker::from(Arc::clone(&handle));
        let mut context = Context::from_waker(&waker);
        // A panic has been reported by its hook; it ends this task and no other.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        let mut tasks = self.tasks.borrow_mut();
        // It may have been cancelled while it ran, and its place given to another.
        let same = tasks.get(key as usize).is_some_and(|entry| Arc::ptr_eq(&entry.handle, &handle));
        if same && matches!(polled, Ok(Poll::Pending)) {
            tasks[key as usize].future = Some(future);
            return;
        }
        if same {
            tasks.remove(key as usize);
        }
        drop(tasks);
        drop(future);
    }

    /// Closes what is over; whether there was something.
    fn close(&self) -> bool {
        let mut closing = self.closing.borrow_mut();
        let some = !closing.is_empty();
        linux::close::all(&mut closing);
        some
    }

    /// Waits for sockets, timers and other threads.
    fn wait(&self, watch: &Watch, events: &mut [EpollEvent]) -> io::Result<()> {
        self.close();
        self.turn.set(self.turn.get().wrapping_add(1));
        let deadline = timer::wake_due_here();
        let timeout = match deadline {
            _ if !self.queue.borrow().is_empty() => EpollTimeout::ZERO,
            None => EpollTimeout::NONE,
            Some(at) => {
                let left = at.saturating_sub(timer::now());
                EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
            }
        };
        let count = match watch.epoll.wait(events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..count] {
            if event.data() == BELL {
                let _ = watch.home.bell.read();
                let mut woken = watch.home.woken.lock().unwrap_or_else(PoisonError::into_inner);
                self.queue.borrow_mut().extend(woken.drain(..));
            } else {
                self.tell(watch, event.data(), event.events());
            }
        }
        Ok(())
    }

    /// Notes what a socket is ready for and wakes who waits for it.
    fn tell(&self, watch: &Watch, data: u64, events: EpollFlags) {
        let (key, generation) = (data as u32, (data >> 32) as u32);
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key as usize) else { return };
        if source.generation != generation {
            return;
        }
        source.ready |= Ready::from_epoll(events);
        let waker = source.waker.take();
        if waker.is_none() && source.kind == Kind::Listener {
            // It would be told of in every turn.
            source.kind = Kind::Paused;
            if let Some(fd) = self.listeners.borrow().get(&key) {
                let _ = watch.epoll.delete(fd);
            }
        }
        drop(sources);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Watches a socket of this thread: always for everything, told when something changes.
pub(crate) fn register(fd: impl AsFd) -> io::Result<Key> {
    let read = EpollFlags::EPOLLIN | EpollFlags::EPOLLPRI | EpollFlags::EPOLLRDHUP;
    let all = read | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
    LOCAL.with(|local| local.register(fd, Kind::Stream, all))
}

/// Watches a listening socket of this thread: told in every turn in which connections wait.
pub(crate) fn register_listener(fd: Rc<OwnedFd>) -> io::Result<Key> {
    LOCAL.with(|local| {
        let key = local.register(&fd, Kind::Listener, EpollFlags::EPOLLIN)?;
        local.listeners.borrow_mut().insert(key.0, fd);
        Ok(key)
    })
}

fn data(key: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(key)
}

/// Listens again to a listening socket whose last news nobody wanted.
pub(crate) fn resume(Key(key): Key) -> io::Result<()> {
    LOCAL.with(|local| {
        let mut sources = local.sources.borrow_mut();
        let Some(source) = sources.get_mut(key as usize) else { return Ok(()) };
        if source.kind == Kind::Paused
            && let Some(fd) = local.listeners.borrow().get(&key)
        {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, data(key, source.generation));
            local.watch()?.epoll.add(fd, event)?;
            source.kind = Kind::Listener;
        }
        Ok(())
    })
}

/// Forgets a listening socket. Others may have a copy of it: closing this one would leave it in
/// the epoll set.
pub(crate) fn forget_listener(key: Key) {
    let fd = LOCAL.try_with(|local| {
        let fd = local.listeners.borrow_mut().remove(&key.0);
        if let (Some(fd), Some(watch)) = (&fd, local.watch.get()) {
            // It is not there while it is paused.
            let _ = watch.epoll.delete(fd);
        }
        fd
    });
    drop(fd);
    forget(key);
}

/// Forgets a socket that is about to be closed, which is what takes it out of the epoll set.
fn forget(Key(key): Key) {
    let source = LOCAL.try_with(|local| local.sources.borrow_mut().try_remove(key as usize));
    drop(source);
}

/// Forgets a socket and closes it before the thread waits again; at once where none does.
pub(crate) fn close(key: Key, fd: OwnedFd) {
    forget(key);
    // A thread that is ending closes it by dropping it.
    let _ = LOCAL.try_with(|local| {
        local.closing.borrow_mut().push(fd);
        if !local.running.get() || local.closing.borrow().len() >= CLOSING {
            local.close();
        }
    });
}

/// Does something that takes a descriptor, and if there is none left, once more when what is over
/// has been closed.
pub(crate) fn with_descriptor<T>(mut take: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match take() {
        Err(error)
            if matches!(
                Errno::from_raw(error.raw_os_error().unwrap_or(0)),
                Errno::EMFILE | Errno::ENFILE
            ) && LOCAL.with(Local::close) =>
        {
            take()
        }
        done => done,
    }
}

/// What a socket is ready for, as far as it is asked for; if for nothing, the task is woken once
/// it is.
pub(crate) fn poll_ready(Key(key): Key, cx: &Context<'_>, asked: Ready) -> Poll<Ready> {
    LOCAL.with(|local| {
        let mut sources = local.sources.borrow_mut();
        let Some(source) = sources.get_mut(key as usize) else { return Poll::Ready(asked) };
        let ready = source.ready & asked;
        if ready != Ready::NOTHING {
            return Poll::Ready(ready);
        }
        if !source.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            source.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    })
}

/// What a socket is ready for.
pub(crate) fn ready(Key(key): Key) -> Ready {
    LOCAL.with(|local| {
        local.sources.borrow().get(key as usize).map_or(Ready::NOTHING, |source| source.ready)
    })
}

/// Something is known of it that no event has told.
pub(crate) fn note(Key(key): Key, what: Ready) {
    LOCAL.with(|local| {
        if let Some(source) = local.sources.borrow_mut().get_mut(key as usize) {
            source.ready |= what;
        }
    });
}

/// It is not ready for this any more, until it is told again.
pub(crate) fn clear(Key(key): Key, what: Ready) {
    LOCAL.with(|local| {
        if let Some(source) = local.sources.borrow_mut().get_mut(key as usize) {
            source.ready = source.ready.without(what);
        }
    });
}

/// How often this thread has waited.
pub(crate) fn turn() -> u32 {
    LOCAL.with(|local| local.turn.get())
}

#[cfg(test)]
mod tests;
