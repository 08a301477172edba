//! What `failoverd status` and Prometheus are served with, by a thread of its own.
//!
//! ```text
//!   event loop ◄── asks for a view, 10 times a second at most ── thread `status'
//!                                                                  ├─ unix socket: JSON
//!                                                                  └─ TCP: GET /metrics
//! ```
//!
//! Whoever connects costs the event loop nothing but that view: a client that floods, never reads
//! or never ends its sentence keeps one of a few places, for a few seconds.

mod http;
pub(crate) mod json;
mod metrics;
pub(crate) mod table;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::log::{Log, Severity};
use nix::sys::stat::{Mode, fchmod};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use crate::view::View;

/// Clients at a time, on each of the two.
const PLACES: usize = 16;
/// How long a client may take for everything.
const PATIENCE: Duration = Duration::from_secs(5);
/// A view is not older than this, and not taken more often.
const FRESH: Duration = Duration::from_millis(100);
/// How long the event loop may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Somebody who wants to see how things stand.
pub(crate) type Look = oneshot::Sender<Arc<View>>;

/// Where it is served.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Places {
    pub(crate) socket: Option<PathBuf>,
    pub(crate) metrics: Option<SocketAddr>,
}

/// The thread, seen from the event loop. Dropping this ends it.
#[derive(Debug, Default)]
pub(crate) struct Status {
    places: Places,
    looks: Option<mpsc::Receiver<Look>>,
    /// To be removed at the end.
    socket: Option<PathBuf>,
}

impl Status {
    /// Serves at `places` from now on, and nowhere else. What cannot be done is logged, and keeps
    /// nothing else from being done.
    pub(crate) fn serve(&mut self, places: Places, log: &Log) {
        if places == self.places {
            return;
        }
        self.close();
        let unix = places.socket.as_deref().and_then(|path| match listen(path) {
            Ok(listener) => Some(listener),
            Err(error) => {
                let line = format_args!("no status on {}: {error}", path.display());
                log.write(Severity::Warning, line);
                None
            }
        });
        self.socket = places.socket.clone().filter(|_| unix.is_some());
        let tcp = places.metrics.and_then(|address| match TcpListener::bind(address) {
            Ok(listener) => Some(listener),
            Err(error) => {
                log.write(Severity::Warning, format_args!("no metrics on {address}: {error}"));
                None
            }
        });
        self.places = places;
        if unix.is_none() && tcp.is_none() {
            return;
        }
        let (ask, looks) = mpsc::channel(1);
        let thread = std::thread::Builder::new()
            .name("status".into())
            .stack_size(256 << 10)
            .spawn(move || run(ask, unix, tcp));
        match thread {
            Ok(_) => self.looks = Some(looks),
            Err(error) => {
                log.write(Severity::Warning, format_args!("no thread for status: {error}"));
                self.close();
            }
        }
    }

    /// The next who wants to see how things stand. Cancelling loses nothing.
    pub(crate) async fn looked(&mut self) -> Look {
        let Some(looks) = &mut self.looks else { return std::future::pending().await };
        match looks.recv().await {
            Some(look) => look,
            None => std::future::pending().await,
        }
    }

    fn close(&mut self) {
        self.looks = None;
        if let Some(path) = self.socket.take() {
            // Whoever removed it already has done the same.
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.close();
    }
}

/// A socket at `path` for its owner alone. One that a process left behind is taken over; one that
/// is served, and anything else there, is left alone.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        // One whose process is frozen takes nobody in any more, and must not hold us up.
        let knock = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        knock.set_nonblocking(true)?;
        match knock.connect(&socket2::SockAddr::unix(path)?) {
            Ok(()) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Err(error) => return Err(error),
        }
    }
    let address = socket2::SockAddr::unix(path)?;
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    // The file gets the mode of its socket, so that there is no moment at which it has another.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&address)?;
    socket.listen(8)?;
    Ok(socket.into())
}

fn run(ask: mpsc::Sender<Look>, unix: Option<UnixListener>, tcp: Option<TcpListener>) {
    // It has no election to win.
    let _ = linux::process::set_niceness(0);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let views = Arc::new(Views { ask: ask.clone(), last: Mutex::new(None) });
    runtime.block_on(async {
        let unix = unix.and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            tokio::net::UnixListener::from_std(listener).ok()
        });
        let tcp = tcp.and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            tokio::net::TcpListener::from_std(listener).ok()
        });
        tokio::select! {
            () = ask.closed() => {}
            () = serve_unix(unix, &views) => {}
            () = serve_tcp(tcp, &views) => {}
        }
    });
}

async fn serve_unix(listener: Option<tokio::net::UnixListener>, views: &Arc<Views>) {
    let Some(listener) = listener else { return std::future::pending().await };
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(FRESH).await;
            continue;
        };
        let views = Arc::clone(views);
        tokio::spawn(async move {
            let serve = async {
                if let Some(view) = views.get().await {
                    let _ = stream.write_all(json::write(&view).as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            };
            // A client that does not read has had its time.
            let _ = tokio::time::timeout(PATIENCE, serve).await;
            drop(place);
        });
    }
}

async fn serve_tcp(listener: Option<tokio::net::TcpListener>, views: &Arc<Views>) {
    let Some(listener) = listener else { return std::future::pending().await };
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(FRESH).await;
            continue;
        };
        let views = Arc::clone(views);
        tokio::spawn(async move {
            let body = async { views.get().await.map(|view| metrics::write(&view)) };
            let _ = tokio::time::timeout(PATIENCE, http::serve(stream, body)).await;
            drop(place);
        });
    }
}

/// Views for whoever asks, each of them used for all who ask at about the same time.
#[derive(Debug)]
struct Views {
    ask: mpsc::Sender<Look>,
    last: Mutex<Option<(Instant, Arc<View>)>>,
}

impl Views {
    async fn get(&self) -> Option<Arc<View>> {
        let mut last = self.last.lock().await;
        if let Some((at, view)) = &*last
            && at.elapsed() < FRESH
        {
            return Some(Arc::clone(view));
        }
        // An old one is of no use to anybody, and is as large as a new one.
        *last = None;
        let (sender, receiver) = oneshot::channel();
        self.ask.send(sender).await.ok()?;
        let view = tokio::time::timeout(ANSWER, receiver).await.ok()?.ok()?;
        *last = Some((Instant::now(), Arc::clone(&view)));
        Some(view)
    }
}

/// Where the status of the daemon with this pid file is, if its configuration names no other place:
/// beside it, `failoverd.sock` beside `keepalived.pid`.
pub(crate) fn socket_beside(pid_file: &Path) -> PathBuf {
    let stem = pid_file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = match stem.strip_prefix("keepalived") {
        Some(rest) => format!("failoverd{rest}"),
        None => stem,
    };
    pid_file.with_file_name(format!("{name}.sock"))
}

#[cfg(test)]
mod tests;
