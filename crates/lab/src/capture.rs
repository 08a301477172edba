//! What nodes send, as it reaches the switch: every frame with the kernel's own time stamp.
//!
//! One packet socket on the ground sees all cables of all labs; each [`Capture`] keeps what came in
//! from the nodes of its lab. A frame is seen once, at the port of its sender.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::frame::{Advert, Sent};
use crate::order::Moment;

/// One frame that a node sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it reached the switch.
    pub at: Moment,
    /// The node.
    pub node: Arc<str>,
    /// From the destination's hardware address on; at most 2048 bytes.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// What it is, as far as this lab cares.
    pub fn sent(&self) -> Sent {
        Sent::of(&self.bytes)
    }
}

/// The frames of one lab, growing until it is dropped.
#[derive(Clone)]
pub struct Capture(Arc<Sink>);

#[derive(Default)]
struct Sink {
    frames: Mutex<Vec<Frame>>,
}

/// Who listens to a port: the node's name and where its frames go.
type Listeners = HashMap<usize, (Arc<str>, Arc<Sink>)>;

struct Tap {
    listeners: Mutex<Listeners>,
    /// How many frames the kernel had no room for.
    lost: Mutex<u32>,
}

impl Capture {
    /// Listens to `ports`: the index of each and the node it leads to.
    pub(crate) fn of(ports: impl IntoIterator<Item = (u32, Arc<str>)>) -> Result<Self> {
        let tap = TAP.get_or_init(|| {
            let socket = open().map_err(|why| format!("{why:#}"))?;
            thread::spawn(|| listen(socket));
            Ok(Tap { listeners: Mutex::default(), lost: Mutex::default() })
        });
        let tap = tap.as_ref().map_err(|why| anyhow::anyhow!("no capture: {why}"))?;
        let sink = Arc::new(Sink::default());
        let mut listeners = lock(&tap.listeners);
        // Those of labs that are gone.
        listeners.retain(|_, (_, sink)| Arc::strong_count(sink) > 1);
        for (index, node) in ports {
            listeners.insert(index as usize, (node, Arc::clone(&sink)));
        }
        drop(listeners);
        Ok(Self(sink))
    }

    /// Shows all frames up to now to `look`.
    pub fn read<T>(&self, look: impl FnOnce(&[Frame]) -> T) -> T {
        look(&lock(&self.0.frames))
    }

    /// The adverts a node sent after `from`, with their times.
    pub fn adverts(&self, node: &str, from: Moment) -> Vec<(Moment, Advert)> {
        self.read(|frames| {
            let mine = frames.iter().filter(|frame| *frame.node == *node && frame.at > from);
            let adverts = mine.filter_map(|frame| match frame.sent() {
                Sent::Advert(advert) => Some((frame.at, *advert)),
                _ => None,
            });
            adverts.collect()
        })
    }

    /// Waits for a frame sent after `from` of which `found` returns something; `None` after `limit`.
    pub fn wait<T>(
        &self,
        from: Moment,
        limit: Duration,
        mut found: impl FnMut(&Frame) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut next = 0;
        loop {
            let value = self.read(|frames| {
                let start = next;
                next = frames.len();
                frames[start..].iter().filter(|frame| frame.at > from).find_map(&mut found)
            });
            if value.is_some() || Instant::now() > deadline {
                return value;
            }
            thread::sleep(LOOK);
        }
    }

    /// How many frames of all labs the kernel had no room for: figures are true only with none.
    pub fn lost() -> u32 {
        tap().map_or(0, |tap| *lock(&tap.lost))
    }
}

/// How often a waiting test looks at the frames.
const LOOK: Duration = Duration::from_millis(5);

/// The one of this process, once somebody captures.
static TAP: OnceLock<Result<Tap, String>> = OnceLock::new();

fn tap() -> Option<&'static Tap> {
    TAP.get()?.as_ref().ok()
}

fn open() -> Result<OwnedFd> {
    let socket =
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
            .context("packet socket on the ground")?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::RxqOvfl, &1)?;
    // Only root of the machine may force it; what is lost is counted.
    if setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(16 << 20)).ok();
    }
    Ok(socket)
}

fn listen(socket: OwnedFd) {
    /// `sll_pkttype` of what leaves by a port (packet(7)).
    const OUTGOING: u8 = 4;
    let mut buffer = [0; 2048];
    let mut control = nix::cmsg_space!(TimeSpec, u32);
    loop {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::empty();
        let received =
            recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
        let Ok(received) = received else { continue };
        let Some(tap) = tap() else { continue };
        let mut stamp = None;
        for message in received.cmsgs().into_iter().flatten() {
            match message {
                ControlMessageOwned::ScmTimestampns(time) => stamp = Some(time),
                ControlMessageOwned::RxqOvfl(count) => *lock(&tap.lost) = count,
                _ => {}
            }
        }
        let length = received.bytes;
        let Some(from) = received.address else { continue };
        if from.pkttype() == OUTGOING {
            continue;
        }
        let listeners = lock(&tap.listeners);
        let Some((node, sink)) = listeners.get(&from.ifindex()) else { continue };
        let (node, sink) = (Arc::clone(node), Arc::clone(sink));
        drop(listeners);
        let at = stamp.map_or_else(Moment::now, monotonic);
        let bytes = buffer[..length].to_vec();
        lock(&sink.frames).push(Frame { at, node, bytes });
    }
}

/// The kernel stamps by the wall clock; how long ago that was is the same by any clock.
fn monotonic(stamp: TimeSpec) -> Moment {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME).unwrap_or(stamp);
    let now = Moment::now();
    let nanos = |time: TimeSpec| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64;
    Moment(now.0.saturating_sub(nanos(wall).saturating_sub(nanos(stamp))))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
