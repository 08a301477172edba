//! Files of `access_log`: collected, compressed, or named line by line.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use proxy::LogCache;

use super::{Buffering, Message, Sink, append};

/// Lines that may wait for the disk: access logs are written in bursts.
const QUEUE: usize = 16_384;

/// What is collected at most where nothing says otherwise.
const BATCH: usize = 64 * 1024;

/// A thread that appends to one file.
pub(super) fn writer(path: &Path, buffering: Buffering) -> io::Result<Sink> {
    let file = append(path)?;
    let path = path.to_owned();
    start(move |lines, lost| {
        Log { file, path, buffering, batch: Vec::new(), count: 0 }.run(&lines, &lost)
    })
}

/// A thread that writes each line to the file it names, and keeps some of them open.
pub(super) fn files(cache: Option<LogCache>) -> io::Result<Sink> {
    start(move |lines, lost| {
        let mut open = Open { cache, files: HashMap::new() };
        while let Ok(message) = lines.recv() {
            match message {
                Message::LineTo(path, line) => {
                    if open.write(path, &line, Instant::now()).is_err() {
                        lost.fetch_add(1, Relaxed);
                    }
                }
                Message::Flush(done) => answer(&done),
                Message::Reopen => open.files.clear(),
                Message::Line(_) => {}
            }
        }
    })
}

/// Files that stay open.
struct Open {
    cache: Option<LogCache>,
    files: HashMap<PathBuf, Kept>,
}

struct Kept {
    file: File,
    used: Instant,
    uses: u32,
    /// Since when `uses` are counted.
    since: Instant,
    /// When it was last seen that the name is this file's.
    seen: Instant,
}

impl Open {
    fn write(&mut self, path: PathBuf, line: &[u8], now: Instant) -> io::Result<()> {
        let Some(cache) = self.cache else { return append(&path)?.write_all(line) };
        self.files.retain(|_, kept| {
            let used = now - kept.since <= cache.inactive || kept.uses >= cache.min_uses;
            now - kept.used <= cache.inactive && used
        });
        if let Some(kept) = self.files.get_mut(&path) {
            if now - kept.seen > cache.valid {
                if !names(&path, &kept.file) {
                    kept.file = append(&path)?;
                }
                kept.seen = now;
            }
            if now - kept.since > cache.inactive {
                (kept.since, kept.uses) = (now, 0);
            }
            (kept.used, kept.uses) = (now, kept.uses.saturating_add(1));
            return kept.file.write_all(line);
        }
        let mut file = append(&path)?;
        file.write_all(line)?;
        if self.files.len() >= cache.max as usize {
            let oldest = self.files.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
                self.files.remove(&oldest);
            }
        }
        self.files.insert(path, Kept { file, used: now, uses: 1, since: now, seen: now });
        Ok(())
    }
}

/// Whether the name still is this file's.
fn names(path: &Path, file: &File) -> bool {
    let id = |meta: Metadata| (meta.dev(), meta.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => id(named) == id(open),
        _ => false,
    }
}

fn start(run: impl FnOnce(Receiver<Message>, Arc<AtomicU64>) + Send + 'static) -> io::Result<Sink> {
    let (lines, received) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let lost = Arc::clone(&dropped);
    thread::Builder::new()
        .name("log".to_owned())
        // Compression builds its tables there.
        .stack_size(1024 * 1024)
        .spawn(move || run(received, lost))?;
    Ok(Sink::Thread { lines, dropped })
}

struct Log {
    file: File,
    path: PathBuf,
    buffering: Buffering,
    batch: Vec<u8>,
    /// Lines in it.
    count: u64,
}

impl Log {
    fn run(mut self, lines: &Receiver<Message>, lost: &AtomicU64) {
        // When what is collected has to be written.
        let mut due: Option<Instant> = None;
        loop {
            let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
            let message = match wait {
                Some(wait) => lines.recv_timeout(wait),
                None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Line(line)) => {
                    self.take(&line, lost);
                    // What has come meanwhile goes out with one call.
                    while self.buffering.bytes == 0
                        && self.batch.len() < BATCH
                        && let Ok(next) = lines.try_recv()
                    {
                        match next {
                            Message::Line(line) => self.take(&line, lost),
                            other => self.handle(other, lost),
                        }
                    }
                    if self.buffering.bytes == 0 {
                        self.write(lost);
                    }
                }
                Ok(other) => self.handle(other, lost),
                Err(RecvTimeoutError::Timeout) => self.write(lost),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write(lost);
                    return;
                }
            }
            let flush = self.buffering.flush;
            due = match due {
                _ if self.batch.is_empty() || flush == Duration::ZERO => None,
                None => Some(Instant::now() + flush),
                known => known,
            };
        }
    }

    fn take(&mut self, line: &[u8], lost: &AtomicU64) {
        let most = self.buffering.bytes;
        if most > 0 && self.batch.len() + line.len() > most {
            self.write(lost);
        }
        self.batch.extend_from_slice(line);
        self.count += 1;
    }

    fn handle(&mut self, message: Message, lost: &AtomicU64) {
        match message {
            Message::Reopen => {
                self.write(lost);
                if let Ok(opened) = append(&self.path) {
                    self.file = opened;
                }
            }
            Message::Flush(done) => {
                self.write(lost);
                answer(&done);
            }
            Message::Line(_) | Message::LineTo(..) => {}
        }
    }

    fn write(&mut self, lost: &AtomicU64) {
        if self.batch.is_empty() {
            return;
        }
        let written = match self.buffering.gzip {
            Some(level) => compressed(&self.batch, level).and_then(|b| self.file.write_all(&b)),
            None => self.file.write_all(&self.batch),
        };
        if written.is_err() {
            lost.fetch_add(self.count, Relaxed);
        }
        self.batch.clear();
        self.count = 0;
    }
}

fn answer(done: &SyncSender<()>) {
    let _ = done.try_send(());
}

/// A member of a gzip file of its own: what is appended later is another one.
fn compressed(bytes: &[u8], level: u8) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level.into()));
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn read(path: &Path) -> Vec<u8> {
        std::fs::read(path).expect("a file")
    }

    #[test]
    fn lines_are_collected_until_the_next_does_not_fit() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        let buffering = Buffering { bytes: 10, ..Buffering::default() };
        let file = append(&path).expect("a file");
        let mut log = Log { file, path: path.clone(), buffering, batch: vec![], count: 0 };
        let lost = AtomicU64::new(0);
        log.take(b"12345\n", &lost);
        assert_eq!(read(&path), b"");
        log.take(b"67890\n", &lost);
        assert_eq!(read(&path), b"12345\n");
        log.write(&lost);
        assert_eq!(read(&path), b"12345\n67890\n");
    }

    #[test]
    fn what_is_collected_is_written_in_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        let flush = Duration::from_millis(20);
        let sink = writer(&path, Buffering { bytes: 1 << 16, flush, gzip: None }).expect("a file");
        sink.write(b"line\n");
        let begun = Instant::now();
        while read(&path).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was written");
            thread::yield_now();
        }
        assert!(begun.elapsed() >= flush);
    }

    #[test]
    fn a_compressed_log_grows_by_whole_members() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log.gz");
        let buffering = Buffering { bytes: 1 << 16, gzip: Some(1), ..Buffering::default() };
        let sink = writer(&path, buffering).expect("a file");
        for line in ["one\n", "two\n"] {
            sink.write(line.as_bytes());
            sink.flush();
        }
        let bytes = read(&path);
        let mut text = String::new();
        let mut decoder = flate2::read::MultiGzDecoder::new(bytes.as_slice());
        decoder.read_to_string(&mut text).expect("gzip");
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn a_line_goes_to_the_file_that_is_named_for_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let sink = files(None).expect("a thread");
        for name in ["a", "b", "a"] {
            sink.write_to(directory.path().join(name), format!("{name}\n").as_bytes());
        }
        sink.flush();
        assert_eq!(read(&directory.path().join("a")), b"a\na\n");
        assert_eq!(read(&directory.path().join("b")), b"b\n");
    }

    #[test]
    fn files_stay_open_as_many_and_as_long_as_they_may() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let seconds = Duration::from_secs;
        let cache = LogCache { max: 2, inactive: seconds(10), min_uses: 2, valid: seconds(60) };
        let mut open = Open { cache: Some(cache), files: HashMap::new() };
        let begun = Instant::now();
        let mut write = |name: &str, after: u64| {
            open.write(at(name), b"x\n", begun + seconds(after)).expect("room");
            let mut kept: Vec<_> = open.files.keys().filter_map(|path| path.file_name()).collect();
            kept.sort_unstable();
            kept.iter().map(|name| name.to_string_lossy()).collect::<String>()
        };
        assert_eq!(write("a", 0), "a");
        assert_eq!(write("b", 1), "ab");
        assert_eq!(write("a", 2), "ab");
        assert_eq!(write("c", 3), "ac", "the one unused longest goes");
        assert_eq!(write("a", 12), "ac", "as long as it may be unused");
        assert_eq!(write("d", 14), "ad", "and no longer");
        // What was moved away is written to until somebody looks.
        std::fs::rename(at("a"), at("old")).expect("it is there");
        write("a", 20);
        assert!(!at("a").exists());
        (3..8).for_each(|tens| drop(write("a", tens * 10)));
        assert!(at("a").exists());
        assert_eq!(read(&at("a")).len() + read(&at("old")).len(), 9 * 2);
    }

    #[test]
    fn a_file_used_too_seldom_is_not_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        let seconds = Duration::from_secs;
        let cache = LogCache { max: 2, inactive: seconds(10), min_uses: 3, valid: seconds(60) };
        let mut open = Open { cache: Some(cache), files: HashMap::new() };
        let begun = Instant::now();
        let mut kept = |after: u64| {
            open.write(path.clone(), b"x\n", begun + seconds(after)).expect("room");
            open.files.values().next().map(|kept| kept.uses)
        };
        assert_eq!([kept(0), kept(1), kept(2)], [Some(1), Some(2), Some(3)]);
        assert_eq!(kept(12), Some(1), "it is counted anew");
        assert_eq!(kept(23), Some(1), "it was closed");
    }
}
