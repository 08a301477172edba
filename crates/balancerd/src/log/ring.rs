//! Log lines kept in memory, for `show events`, and sent on over TCP.
//!
//! ```text
//!   Logger ─► [ oldest … newest ] ─► a thread per server ─► TCP: LF behind, or length before each
//!                      └───────────► show events
//! ```
//!
//! A line that a server has not had yet is not overwritten: where there is no room the new one is lost,
//! and counted. Without servers the oldest go.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use proxy::{Ring, RingServer};

use crate::state::lock;

/// Between two attempts to reach a server.
const PAUSE: Duration = Duration::from_secs(1);
/// Connecting takes no longer, whatever is configured.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept, and how far each server is.
#[derive(Debug)]
pub(crate) struct Buffer {
    kept: Mutex<Kept>,
    grown: Condvar,
    dropped: AtomicU64,
    size: usize,
    maxlen: usize,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// The number of the oldest line that is kept.
    first: u64,
    /// The number of the next line for each server.
    readers: Vec<u64>,
}

impl Buffer {
    /// Starts a buffer, and a thread for each server.
    pub(crate) fn start(ring: &Ring) -> Arc<Self> {
        let readers = vec![0; ring.servers.len()];
        let buffer = Arc::new(Self {
            kept: Mutex::new(Kept { readers, ..Kept::default() }),
            grown: Condvar::new(),
            dropped: AtomicU64::new(0),
            size: ring.size,
            maxlen: ring.maxlen,
        });
        for (at, server) in ring.servers.iter().enumerate() {
            let (mine, server) = (Arc::downgrade(&buffer), server.clone());
            let limit = ring.connect.unwrap_or(PATIENCE).min(PATIENCE);
            let thread = thread::Builder::new().name("ring".to_owned()).stack_size(64 * 1024);
            // Without it the lines are kept, and seen by `show events`.
            let _ = thread.spawn(move || {
                while let Some(buffer) = mine.upgrade() {
                    buffer.forward(at, &server, limit);
                    drop(buffer);
                    thread::sleep(PAUSE);
                }
            });
        }
        buffer
    }

    /// Keeps a line; its line feed is not kept.
    pub(crate) fn write(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = &line[..line.len().min(self.maxlen)];
        let mut kept = lock(&self.kept);
        while kept.bytes + line.len() > self.size {
            let needed = kept.readers.iter().min().is_some_and(|next| *next <= kept.first);
            let oldest = if needed { None } else { kept.lines.pop_front() };
            let Some(oldest) = oldest else {
                self.dropped.fetch_add(1, Relaxed);
                return;
            };
            kept.bytes -= oldest.len();
            kept.first += 1;
        }
        kept.bytes += line.len();
        kept.lines.push_back(line.into());
        drop(kept);
        self.grown.notify_all();
    }

    /// Lines for which there was no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// All that is kept, a line each.
    pub(crate) fn show(&self) -> String {
        let kept = lock(&self.kept);
        let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned() + "\n";
        kept.lines.iter().map(|line| text(line)).collect()
    }

    /// Sends on until the connection breaks.
    fn forward(&self, at: usize, server: &RingServer, limit: Duration) {
        let Ok(mut stream) = TcpStream::connect_timeout(&server.address, limit) else { return };
        let _ = stream.set_write_timeout(Some(PATIENCE));
        loop {
            let mut kept = lock(&self.kept);
            let mut next = kept.readers[at].max(kept.first);
            while next >= kept.first + kept.lines.len() as u64 {
                let waited = self.grown.wait_timeout(kept, PAUSE);
                kept = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
                next = kept.readers[at].max(kept.first);
                if next >= kept.first + kept.lines.len() as u64 && is_closed(&stream) {
                    return;
                }
            }
            let Some(line) = kept.lines.get((next - kept.first) as usize).cloned() else { return };
            drop(kept);
            let mut bytes = Vec::with_capacity(line.len() + 8);
            if server.octet_count {
                bytes.extend_from_slice(format!("{} ", line.len()).as_bytes());
                bytes.extend_from_slice(&line);
            } else {
                bytes.extend_from_slice(&line);
                bytes.push(b'\n');
            }
            if stream.write_all(&bytes).is_err() {
                return;
            }
            lock(&self.kept).readers[at] = next + 1;
        }
    }
}

/// Whether the other side has ended: nothing is expected of it.
fn is_closed(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let ended = matches!(stream.peek(&mut [0; 1]), Ok(0));
    let _ = stream.set_nonblocking(false);
    ended
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_oldest_lines_go_first_and_long_ones_are_cut() {
        let buffer = Buffer::start(&Ring { size: 10, maxlen: 4, ..Ring::new("r") });
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            buffer.write(line.as_bytes());
        }
        assert_eq!(buffer.show(), "thre\nfour\n");
        assert_eq!(buffer.dropped(), 0);
    }

    fn to(address: std::net::SocketAddr) -> Ring {
        let server = RingServer { name: "s".into(), address, octet_count: true };
        Ring { size: 8, servers: vec![server], ..Ring::new("r") }
    }

    #[test]
    fn a_server_has_every_line_with_its_length_before_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let buffer = Buffer::start(&to(listener.local_addr().expect("bound")));
        buffer.write(b"one");
        buffer.write(b"two\n");
        let (mut stream, _) = listener.accept().expect("it connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("settable");
        let mut bytes = [0; 10];
        stream.read_exact(&mut bytes).expect("lines");
        assert_eq!(&bytes, b"3 one3 two");
    }

    #[test]
    fn what_a_server_has_not_had_is_kept_and_new_lines_without_room_are_counted() {
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let buffer = Buffer::start(&to(closed));
        for line in ["one", "two", "lost"] {
            buffer.write(line.as_bytes());
        }
        assert_eq!((buffer.show().as_str(), buffer.dropped()), ("one\ntwo\n", 1));
    }
}
