//! Where a thread accepts, and how that goes over to another configuration.
//!
//! ```text
//!   Worker::renew ── Renewal ──► each thread, between two accepts:
//!                                  an address that stays     its socket goes on, for the new
//!                                  one that is gone          what waits is accepted, then closed
//!                                  one that is new           a socket that was sent along
//! ```

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};

use proxy::Severity;
use proxy::in_place::BindPlace;
use relay::{Listener, Stream, timer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Stage;
use crate::bind::Bound;
use crate::session::Serve;
use crate::state::{Door, Shared, lock};
use crate::udp;

/// What a thread is told when another configuration follows.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) shared: &'static Shared,
    /// Where the addresses that stay are in it.
    pub(super) moves: Arc<HashMap<BindPlace, BindPlace>>,
    /// Sockets of addresses that are new.
    pub(super) opened: Vec<Bound>,
    /// Let go of once it is done.
    pub(super) done: mpsc::Sender<()>,
}

/// What a thread listens to besides its sockets.
pub(super) struct Told {
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) renewals: mpsc::UnboundedReceiver<Renewal>,
    /// Let go of once it does not accept any more.
    pub(super) alive: mpsc::Sender<()>,
}

/// What comes next for a thread.
enum Next {
    Renewal(Renewal),
    /// It does not accept any more.
    Stop,
    /// The process ends.
    Gone,
}

impl Told {
    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            stopped = async {
                let waited = self.stage.wait_for(|stage| *stage != Stage::Serving);
                waited.await.map(|_| ()).is_ok()
            } => if stopped { Next::Stop } else { Next::Gone },
            Some(renewal) = self.renewals.recv() => Next::Renewal(renewal),
        }
    }

    /// Waits for the end of the process.
    async fn end(self) {
        let Self { mut stage, alive, .. } = self;
        drop(alive);
        let _ = stage.wait_for(|stage| *stage == Stage::Ending).await;
    }
}

/// An address that is accepted on.
struct Post {
    place: BindPlace,
    shared: &'static Shared,
    listener: Rc<Listener>,
    task: relay::Task,
}

impl Post {
    fn new(shared: &'static Shared, thread: u16, place: BindPlace, listener: Rc<Listener>) -> Self {
        let accept = accept(shared, thread, number(place), position(place), Rc::clone(&listener));
        Self { place, shared, task: relay::spawn(accept), listener }
    }

    fn open(shared: &'static Shared, thread: u16, socket: Bound) -> Option<Self> {
        let Bound { frontend, bind, fd } = socket;
        let listener = Listener::new(fd)
            .inspect_err(|error| {
                let text = format_args!("cannot watch a listening socket: {error}");
                shared.log.send(&shared.log_route, Severity::Alert, text);
            })
            .ok()?;
        Some(Self::new(shared, thread, (frontend, bind), Rc::new(listener)))
    }

    /// Goes over to another configuration; `None` where it has no such address.
    fn renew(self, thread: u16, renewal: &Renewal) -> Option<Self> {
        let Self { place, shared, listener, task } = self;
        // Between two accepts: what was accepted is served.
        task.cancel();
        if let Some(place) = renewal.moves.get(&place) {
            return Some(Self::new(renewal.shared, thread, *place, listener));
        }
        take_waiting(shared, thread, place, &listener);
        None
    }
}

/// Serves those who wait at an address that is given up.
fn take_waiting(shared: &'static Shared, thread: u16, place: BindPlace, listener: &Listener) {
    // No more than ever wait at a time: those who come later are not its own any more.
    for _ in 0..65_536 {
        let Ok((socket, peer)) = linux::tcp::accept(listener) else { break };
        let Ok(client) = Stream::new(socket) else { break };
        let (frontend, bind) = (number(place), position(place));
        relay::spawn(Serve::new(shared, thread, frontend, bind, client, peer));
    }
}

fn position((_, bind): BindPlace) -> u16 {
    u16::try_from(bind).unwrap_or(u16::MAX)
}

fn number((frontend, _): BindPlace) -> u32 {
    u32::try_from(frontend).unwrap_or(u32::MAX)
}

/// One serving thread.
pub(super) async fn serve(
    shared: &'static Shared,
    thread: u16,
    sockets: Vec<Bound>,
    mut told: Told,
) {
    crate::rules::number_thread(thread);
    let open = |socket| Post::open(shared, thread, socket);
    let mut posts: Vec<Post> = sockets.into_iter().filter_map(open).collect();
    loop {
        match told.next().await {
            Next::Renewal(mut renewal) => {
                let opened = std::mem::take(&mut renewal.opened);
                posts = posts.into_iter().filter_map(|post| post.renew(thread, &renewal)).collect();
                let open = |socket| Post::open(renewal.shared, thread, socket);
                posts.extend(opened.into_iter().filter_map(open));
                drop(renewal.done);
            }
            Next::Stop => break,
            Next::Gone => return,
        }
    }
    // Their sockets are closed with them, once nobody waits there: who takes over may not have taken
    // all of them.
    for Post { place, shared, listener, task } in posts {
        task.cancel();
        take_waiting(shared, thread, place, &listener);
    }
    told.end().await;
}

/// A socket of datagrams, and whom they are for.
struct Counter {
    place: BindPlace,
    desk: udp::Desk,
    task: JoinHandle<()>,
}

impl Counter {
    fn open(shared: &'static Shared, thread: u16, socket: Bound) -> Self {
        let Bound { frontend, bind, fd } = socket;
        let place = (frontend, bind);
        let desk: udp::Desk = Arc::new(Mutex::new((shared, number(place))));
        let task = tokio::spawn(udp::serve(Arc::clone(&desk), thread, fd));
        Self { place, desk, task }
    }
}

/// One thread for datagrams.
pub(super) async fn serve_datagrams(
    shared: &'static Shared,
    thread: u16,
    sockets: Vec<Bound>,
    mut told: Told,
) {
    tokio::spawn(timer::drive());
    let open = |socket| Counter::open(shared, thread, socket);
    let mut counters: Vec<Counter> = sockets.into_iter().map(open).collect();
    loop {
        match told.next().await {
            Next::Renewal(renewal) => {
                counters.retain_mut(|counter| match renewal.moves.get(&counter.place) {
                    Some(place) => {
                        counter.place = *place;
                        *lock(&counter.desk) = (renewal.shared, number(*place));
                        true
                    }
                    None => {
                        counter.task.abort();
                        false
                    }
                });
                let open = |socket| Counter::open(renewal.shared, thread, socket);
                counters.extend(renewal.opened.into_iter().map(open));
                drop(renewal.done);
            }
            Next::Stop => break,
            Next::Gone => return,
        }
    }
    for counter in counters {
        counter.task.abort();
        // Its socket is closed once it is gone.
        let _ = counter.task.await;
    }
    told.end().await;
}

/// Clients are refused from here on. A UNIX socket would stay so for good: there they wait.
fn close(listener: &Listener) {
    let socket = socket2::SockRef::from(listener);
    if socket.local_addr().is_ok_and(|address| !address.is_unix()) {
        // One that cannot be closed keeps them waiting.
        let _ = socket.shutdown(std::net::Shutdown::Read);
    }
}

/// Clients are taken again.
fn open(listener: &Listener, shared: &Shared, frontend: u32) {
    let socket = socket2::SockRef::from(listener);
    if socket.local_addr().is_ok_and(|address| !address.is_unix()) {
        let config = &shared.config.frontends[frontend as usize];
        let gate = &shared.frontends[frontend as usize].gate;
        let backlog = config.backlog.unwrap_or_else(|| gate.limit()).max(1);
        if let Err(error) = socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)) {
            let text = format_args!("cannot listen again: {error}");
            shared.log.send(&shared.log_route, Severity::Alert, text);
        }
    }
}

/// Accepts for a frontend for as long as there is room. More wait in the kernel.
async fn accept(
    shared: &'static Shared,
    thread: u16,
    frontend: u32,
    bind: u16,
    listener: Rc<Listener>,
) {
    let gate = &shared.frontends[frontend as usize].gate;
    let reject_privileged = shared.config.process.global.reject_privileged_ports;
    let mut complained = false;
    let (mut attended, mut closed) = (false, false);
    loop {
        if shared.starving.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            timer::until(timer::now() + PAUSE).await;
            continue;
        }
        if let Some(wait) = pause(shared, frontend) {
            timer::until(timer::now() + wait).await;
            continue;
        }
        let accepted = poll_fn(|cx| {
            if !attended {
                attended = true;
                gate.attend(cx.waker());
            }
            match (gate.door(), closed) {
                (Door::Open, false) => {}
                (Door::Open, true) => {
                    closed = false;
                    open(&listener, shared, frontend);
                }
                (_, false) => {
                    closed = true;
                    close(&listener);
                    return Poll::Pending;
                }
                (_, true) => return Poll::Pending,
            }
            // nginx takes who comes too many, and closes.
            if !shared.is_nginx() {
                ready!(gate.poll_room(cx));
                ready!(shared.process.poll_room(cx));
            }
            listener.poll_accept(cx)
        })
        .await;
        match accepted {
            Ok((_, Some(peer))) if reject_privileged && peer.port() < 1024 => {}
            Ok((client, peer)) => {
                complained = false;
                if shared.is_nginx() && shared.process.current() >= shared.process.limit() {
                    no_room(shared, frontend);
                    continue;
                }
                count(shared, frontend);
                relay::spawn(Serve::new(shared, thread, frontend, bind, client, peer));
            }
            Err(error) if is_exhausted(&error) => {
                if !complained {
                    complained = true;
                    exhausted(shared, frontend, &error);
                }
                timer::until(timer::now() + PAUSE).await;
            }
            // This connection did not last until it was accepted; the next is another.
            Err(_) => {}
        }
    }
}

/// The limits of connections and sessions a second that hold here.
fn paces(shared: &Shared, frontend: u32) -> [&crate::state::Pace; 3] {
    let process = &shared.paces;
    [&process.connections, &process.sessions, &shared.frontends[frontend as usize].pace]
}

/// For how long nobody more is accepted, because enough were in this second.
fn pause(shared: &Shared, frontend: u32) -> Option<timer::Millis> {
    let paces = paces(shared, frontend);
    if paces.iter().all(|pace| pace.limit() == 0) {
        return None;
    }
    let now = timer::now();
    let wait = paces.into_iter().map(|pace| pace.room(now)).max().unwrap_or(0);
    (wait > 0).then_some(wait.into())
}

/// Somebody was accepted.
fn count(shared: &Shared, frontend: u32) {
    for pace in paces(shared, frontend) {
        if pace.limit() > 0 {
            pace.count(timer::now());
        }
    }
}

/// nginx's line when `worker_connections` are used up.
fn no_room(shared: &Shared, frontend: u32) {
    let route = &shared.frontends[frontend as usize].errors;
    let process = &shared.config.process;
    let most = process.worker_connections.unwrap_or_else(|| shared.process.limit());
    let text = format_args!("{most} worker_connections are not enough");
    shared.log.send(route, Severity::Alert, text);
}

/// Milliseconds until accepting is tried again when something ran out.
const PAUSE: timer::Millis = 100;

/// EMFILE, ENFILE, ENOBUFS, ENOMEM.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}

fn exhausted(shared: &Shared, frontend: u32, error: &io::Error) {
    let name = &shared.config.frontends[frontend as usize].name;
    if shared.is_nginx() {
        let route = &shared.frontends[frontend as usize].errors;
        let number = error.raw_os_error().unwrap_or(0);
        let text = format_args!("accept4() failed ({number}: {})", crate::bind::reason(error));
        shared.log.send(route, Severity::Crit, text);
        return;
    }
    let what = match error.raw_os_error() {
        Some(24) => "process FD limit",
        Some(23) => "system FD limit",
        _ => "system memory limit",
    };
    let text = format_args!(
        "Proxy {name} reached {what} (maxsock={}). Please check system tunables.",
        shared.process.limit()
    );
    shared.log.send(&shared.frontends[frontend as usize].log, Severity::Emerg, text);
}
