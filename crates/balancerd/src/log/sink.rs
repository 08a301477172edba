//! Where lines end: a datagram socket, or a thread that writes to a descriptor.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use proxy::LogCache;
use socket2::{Domain, SockAddr, Socket, Type};

mod access;

/// Lines that may wait for a slow reader of a descriptor.
const QUEUE: usize = 1_024;

/// A destination, to find equal ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Unix(PathBuf),
    Udp(SocketAddr),
    Fd(i32),
    File(PathBuf),
    /// The file of an `access_log`.
    Access(PathBuf, Buffering),
    /// Files that are named line by line, and which of them stay open.
    Files(Option<LogCache>),
    /// A buffer in memory.
    Ring(String),
}

/// How much of an `access_log` is collected before it is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Buffering {
    /// Bytes; 0 writes what there is.
    pub(crate) bytes: usize,
    /// For how long at most; zero is no limit.
    pub(crate) flush: Duration,
    /// The level of compression.
    pub(crate) gzip: Option<u8>,
}

/// An open destination.
#[derive(Debug)]
pub(crate) enum Sink {
    Datagrams { socket: Socket, to: SockAddr, dropped: AtomicU64 },
    Thread { lines: SyncSender<Message>, dropped: Arc<AtomicU64> },
    Ring(Arc<super::ring::Buffer>),
    Broken(io::Error),
}

#[derive(Debug)]
pub(crate) enum Message {
    Line(Box<[u8]>),
    LineTo(PathBuf, Box<[u8]>),
    Reopen,
    Flush(SyncSender<()>),
}

impl Sink {
    pub(crate) fn open(place: &Place, rings: &[proxy::Ring]) -> Self {
        let opened = match place {
            Place::Unix(path) => SockAddr::unix(path).and_then(|to| datagrams(Domain::UNIX, to)),
            Place::Udp(to) => datagrams(Domain::for_address(*to), SockAddr::from(*to)),
            Place::Fd(fd) => descriptor(*fd).and_then(|file| writer(file, None)),
            Place::File(path) => append(path).and_then(|file| writer(file, Some(path.clone()))),
            Place::Access(path, buffering) => access::writer(path, *buffering),
            Place::Files(cache) => access::files(*cache),
            Place::Ring(name) => rings
                .iter()
                .find(|ring| ring.name == *name)
                .map(|ring| Self::Ring(super::ring::Buffer::start(ring)))
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        };
        opened.unwrap_or_else(Self::Broken)
    }

    /// Hands a line over, or loses it.
    pub(crate) fn write(&self, line: &[u8]) {
        match self {
            Self::Datagrams { socket, to, dropped } => {
                if socket.send_to(line, to).is_err() {
                    dropped.fetch_add(1, Relaxed);
                }
            }
            Self::Thread { lines, dropped } => {
                if lines.try_send(Message::Line(line.into())).is_err() {
                    dropped.fetch_add(1, Relaxed);
                }
            }
            Self::Ring(ring) => ring.write(line),
            Self::Broken(_) => {}
        }
    }

    /// What is kept in memory, if this is where.
    pub(crate) fn show(&self) -> Option<String> {
        match self {
            Self::Ring(ring) => Some(ring.show()),
            _ => None,
        }
    }

    /// The same, for a file of its own.
    pub(crate) fn write_to(&self, path: PathBuf, line: &[u8]) {
        if let Self::Thread { lines, dropped } = self
            && lines.try_send(Message::LineTo(path, line.into())).is_err()
        {
            dropped.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        match self {
            Self::Datagrams { dropped, .. } => dropped.load(Relaxed),
            Self::Thread { dropped, .. } => dropped.load(Relaxed),
            Self::Ring(ring) => ring.dropped(),
            Self::Broken(_) => 0,
        }
    }

    pub(crate) fn reopen(&self) {
        if let Self::Thread { lines, .. } = self {
            let _ = lines.try_send(Message::Reopen);
        }
    }

    pub(crate) fn flush(&self) {
        if let Self::Thread { lines, .. } = self {
            let (done, wait) = sync_channel(1);
            if lines.try_send(Message::Flush(done)).is_ok() {
                let _ = wait.recv_timeout(Duration::from_secs(1));
            }
        }
    }
}

fn datagrams(domain: Domain, to: SockAddr) -> io::Result<Sink> {
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), None)?;
    Ok(Sink::Datagrams { socket, to, dropped: AtomicU64::new(0) })
}

fn descriptor(fd: i32) -> io::Result<File> {
    match fd {
        1 => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        2 => io::stderr().as_fd().try_clone_to_owned().map(File::from),
        other => append(Path::new(&format!("/proc/self/fd/{other}"))),
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn writer(file: File, path: Option<PathBuf>) -> io::Result<Sink> {
    let (lines, received) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let lost = Arc::clone(&dropped);
    thread::Builder::new()
        .name("log".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || write_lines(file, path.as_deref(), &received, &lost))?;
    Ok(Sink::Thread { lines, dropped })
}

fn write_lines(mut file: File, path: Option<&Path>, lines: &Receiver<Message>, lost: &AtomicU64) {
    let mut batch: Vec<u8> = Vec::new();
    while let Ok(message) = lines.recv() {
        let mut next = Some(message);
        let mut flushed = None;
        let mut count = 0;
        // What has come meanwhile goes out with one call.
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => {
                    batch.extend_from_slice(&line);
                    count += 1;
                }
                Message::Reopen => {
                    if let Some(opened) = path.and_then(|path| append(path).ok()) {
                        let _ = file.write_all(&batch);
                        batch.clear();
                        file = opened;
                    }
                }
                Message::Flush(done) => flushed = Some(done),
                Message::LineTo(..) => {}
            }
            if batch.len() < 64 * 1024 && flushed.is_none() {
                next = lines.try_recv().ok();
            }
        }
        if file.write_all(&batch).is_err() {
            lost.fetch_add(count, Relaxed);
        }
        batch.clear();
        if let Some(done) = flushed {
            let _ = done.try_send(());
        }
    }
}
